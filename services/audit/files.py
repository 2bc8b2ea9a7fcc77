"""Topics as files an auditor can take away, and a reader over them.

One file per topic and partition, `TOPIC/PARTITION.jsonl`: a record per line, in order, with offset,
key, value and headers; bytes as text where they are UTF-8, else as base64 (`value_b64`). The file
`manifest.json` lists every file with its records and SHA-256, and what the groups had committed
(`services.audit.manifest`). A reader refuses what does not fit to it.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.events.audit import Reader, scan
from libs.events.errors import BadInput
from libs.events.log import Bounds, Slice
from libs.events.record import Record
from services.audit.manifest import (
    AGAIN,
    MANIFEST,
    Committed,
    Manifest,
    Seal,
    file_name,
    files_in,
    files_of,
    read_manifest,
    write_manifest,
)


def export_topics(
    reader: Reader,
    partitions: Callable[[str], int],
    topics: Collection[str],
    directory: Path,
    committed: Committed,
) -> Manifest:
    """Write the committed records of topics to files; the manifest that was written.

    `committed` was read before any end of a topic: a step that is committed meanwhile may then be
    in the files without its offsets, which is no sign of a loss, and never the other way round.
    """
    count = max((partitions(topic) for topic in topics), default=0)
    wanted = files_of(topics, count)
    for name in sorted(files_in(directory) - wanted):
        problem = "lies there, and no topic belongs to it"
        raise BadInput(str(directory / name), problem, "export to a new directory")
    directory.mkdir(parents=True, exist_ok=True)
    (directory / MANIFEST).unlink(missing_ok=True)
    manifest = Manifest(count, committed)
    for topic in topics:
        for partition in range(count):
            name = file_name(topic, partition)
            manifest.files[name] = _write_partition(reader, topic, partition, directory / name)
    write_manifest(directory, manifest)
    return manifest


def _write_partition(reader: Reader, topic: str, partition: int, path: Path) -> Seal:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    count = 0
    with path.open("wb") as file:
        for record in scan(reader, topic, partition):
            line = json.dumps(_document(record), ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return Seal(count, digest.hexdigest())


def _document(record: Record) -> dict[str, Any]:
    document: dict[str, Any] = {"offset": record.offset, "timestamp_ms": record.timestamp_ms}
    _put(document, "key", record.key)
    _put(document, "value", record.value)
    headers: list[dict[str, Any]] = []
    for name, value in record.headers:
        header: dict[str, Any] = {"name": name}
        _put(header, "value", value)
        headers.append(header)
    document["headers"] = headers
    return document


def _put(document: dict[str, Any], name: str, value: bytes | None) -> None:
    if value is None:
        document[name] = None
        return
    try:
        document[name] = value.decode("utf-8")
    except UnicodeDecodeError:
        document[f"{name}_b64"] = base64.b64encode(value).decode("ascii")


def _get(document: dict[str, Any], name: str) -> bytes | None:
    if f"{name}_b64" in document:
        return base64.b64decode(document[f"{name}_b64"], validate=True)
    value = document[name]
    return None if value is None else str(value).encode("utf-8")


@dataclass(slots=True)
class FileReader:
    """Reads exported topics as if they were on a broker. BadInput names file and line."""

    directory: Path
    manifest: Manifest = field(init=False)
    _loaded: dict[str, list[Record]] = field(default_factory=dict, init=False)
    _offsets: dict[str, list[int]] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        self.manifest = read_manifest(self.directory)

    @property
    def partition_count(self) -> int:
        """The partition count of every topic in the export."""
        return self.manifest.partitions

    def partitions(self, topic: str) -> int:
        """The partition count of every topic in the export."""
        return self.manifest.partitions

    def committed(self, groups: Iterable[str]) -> Committed:
        """What these groups had committed; BadInput when the manifest does not say it."""
        for group in groups:
            if group not in self.manifest.committed:
                path = str(self.directory / MANIFEST)
                raise BadInput(path, f"has no committed offsets of {group}", AGAIN)
        return self.manifest.committed

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Records from `first` on."""
        records = self._load(topic, partition)
        at = bisect.bisect_left(self._offsets[file_name(topic, partition)], first)
        found = records[at : at + limit]
        return Slice(found, found[-1].offset + 1 if found else first)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends as the file shows them."""
        records = self._load(topic, partition)
        end = records[-1].offset + 1 if records else 0
        return Bounds(0, end, end)

    def _load(self, topic: str, partition: int) -> list[Record]:
        name = file_name(topic, partition)
        if name not in self._loaded:
            if name not in self.manifest.files:
                listing = str(self.directory / MANIFEST)
                raise BadInput(listing, f"does not list {name}", AGAIN)
            path = self.directory / name
            records = _sealed(path, topic, partition, self.manifest.files[name])
            self._loaded[name] = records
            self._offsets[name] = [record.offset for record in records]
        return self._loaded[name]


def _sealed(path: Path, topic: str, partition: int, seal: Seal) -> list[Record]:
    """The records of a file, which is the one that was exported."""
    try:
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != seal.sha256:
                problem = "is not as it was exported: its SHA-256 is not the one in the manifest"
                raise BadInput(str(path), problem, AGAIN)
            file.seek(0)
            records = [
                _record(topic, partition, line, f"{path}:{number}")
                for number, line in enumerate(file, start=1)
            ]
    except OSError as error:
        problem = error.strerror or "unreadable"
        raise BadInput(str(path), problem, "the manifest names it: export again") from None
    if len(records) != seal.records:
        problem = f"has {len(records)} records, the manifest says {seal.records}"
        raise BadInput(str(path), problem, AGAIN)
    return records


def _record(topic: str, partition: int, line: bytes, where: str) -> Record:
    try:
        document = json.loads(line.decode("utf-8"))
        headers = tuple(
            (str(header["name"]), _get(header, "value") or b"") for header in document["headers"]
        )
        offset = int(document["offset"])
        if offset < 0:
            raise ValueError(f"offset {offset}")
        return Record(
            topic=topic,
            partition=partition,
            offset=offset,
            key=_get(document, "key"),
            value=_get(document, "value") or b"",
            headers=headers,
            timestamp_ms=int(document["timestamp_ms"]),
        )
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadInput(where, f"is no exported record ({error})", "export again") from None

"""Topics as files an auditor can take away, and a reader over them.

One file per topic and partition, `TOPIC/PARTITION.jsonl`: a record per line, in order, with offset,
key, value and headers; bytes as text where they are UTF-8, else as base64 (`value_b64`). The file
`manifest.json` names the cluster's topics with their counts and the SHA-256 of every file.
"""

from __future__ import annotations

import base64
import bisect
import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from libs.events.audit import Reader, scan
from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.log import Bounds, Slice
from libs.events.record import Record

MANIFEST = "manifest.json"
PARTITIONS_MAX = 1_000


def export_topics(
    reader: Reader,
    partitions: Callable[[str], int],
    topics: Iterable[str],
    directory: Path,
    told: Callable[[str, int], None] = lambda topic, count: None,
) -> dict[str, Any]:
    """Write the committed records of topics to files; the manifest that was written."""
    directory.mkdir(parents=True, exist_ok=True)
    files: dict[str, dict[str, Any]] = {}
    for topic in topics:
        for partition in range(partitions(topic)):
            name = f"{topic}/{partition}.jsonl"
            count, digest = _write_partition(reader, topic, partition, directory / name)
            files[name] = {"records": count, "sha256": digest}
            told(topic, count)
    count = max((partitions(topic) for topic in topics), default=0)
    manifest = {"format": 1, "partitions": count, "files": files}
    (directory / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    return manifest


def _write_partition(reader: Reader, topic: str, partition: int, path: Path) -> tuple[int, str]:
    path.parent.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256()
    count = 0
    with path.open("wb") as file:
        for record in scan(reader, topic, partition):
            line = json.dumps(_document(record), ensure_ascii=False).encode() + b"\n"
            digest.update(line)
            file.write(line)
            count += 1
    return count, digest.hexdigest()


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
    partition_count: int = 0
    _written: frozenset[str] = field(default=frozenset(), init=False)
    _loaded: dict[str, list[Record]] = field(default_factory=dict)
    _offsets: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        path = self.directory / MANIFEST
        fix = "`gridledger audit export DIR` makes it"
        try:
            manifest = read_json(path)
            self.partition_count = int(manifest["partitions"])
            self._written = frozenset(manifest.get("files", ()))
        except BadInput as wrong:
            raise BadInput(wrong.field, wrong.problem, fix) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise BadInput(str(path), "is no manifest", fix) from None
        if not 1 <= self.partition_count <= PARTITIONS_MAX:
            problem = f"partitions is {self.partition_count}"
            raise BadInput(str(path), problem, "export the topics again")

    def partitions(self, topic: str) -> int:
        """The partition count of every topic in the export."""
        return self.partition_count

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Records from `first` on."""
        records = self._load(topic, partition)
        at = bisect.bisect_left(self._offsets[f"{topic}/{partition}"], first)
        found = records[at : at + limit]
        return Slice(found, found[-1].offset + 1 if found else first)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends as the file shows them."""
        records = self._load(topic, partition)
        end = records[-1].offset + 1 if records else 0
        return Bounds(0, end, end)

    def _load(self, topic: str, partition: int) -> list[Record]:
        name = f"{topic}/{partition}"
        if name not in self._loaded:
            path = self.directory / f"{name}.jsonl"
            records = []
            if f"{name}.jsonl" in self._written or path.exists():
                with _opened(path) as file:
                    for number, line in enumerate(file, start=1):
                        records.append(_record(topic, partition, line, f"{path}:{number}"))
            self._loaded[name] = records
            self._offsets[name] = [record.offset for record in records]
        return self._loaded[name]


def _opened(path: Path) -> BinaryIO:
    """A file of the export: an audit without one that was written would find nothing wrong."""
    try:
        return path.open("rb")
    except OSError as error:
        problem = error.strerror or "unreadable"
        raise BadInput(str(path), problem, "the manifest names it: export again") from None


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

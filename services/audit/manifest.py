"""The manifest of an export: what there is to be, so that nothing can be missing unseen.

    {
     "format": 2,
     "partitions": 2,
     "committed": {"billing": {"calendar/0": 812, "calendar/1": 812}},
     "files": {"calendar/0.jsonl": {"records": 790, "sha256": "6c1f..."}}
    }

format: of the export, this number. partitions: how many every topic has. files: every partition of
every topic, with its records (lines) and the SHA-256 of its bytes. committed: what the consumer
group of each core had committed when the export began, the offset of the next input by
`TOPIC/PARTITION`. A step is committed in one transaction with these offsets, so a log whose steps
lead to less lost its end; the sums alone would not show that, whoever cuts a file can count again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.record import TopicPartition

MANIFEST = "manifest.json"
FORMAT = 2
PARTITIONS_MAX = 1_000
AGAIN = "export again"

Committed = Mapping[str, Mapping[TopicPartition, int]]
"""The committed offsets of each group by its name, which is that of its core."""


@dataclass(frozen=True, slots=True)
class Seal:
    """What a file of the export holds: so many records, in bytes with this SHA-256."""

    records: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the module's text says; files by `TOPIC/PARTITION.jsonl`."""

    partitions: int
    committed: Committed
    files: dict[str, Seal] = field(default_factory=dict)

    @property
    def records(self) -> int:
        """The records of all files."""
        return sum(seal.records for seal in self.files.values())


def file_name(topic: str, partition: int) -> str:
    """Where the records of a partition lie in an export."""
    return f"{topic}/{partition}.jsonl"


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Seal an export."""
    document = {
        "format": FORMAT,
        "partitions": manifest.partitions,
        "committed": {
            group: {f"{topic}/{partition}": at for (topic, partition), at in offsets.items()}
            for group, offsets in manifest.committed.items()
        },
        "files": {
            name: {"records": seal.records, "sha256": seal.sha256}
            for name, seal in manifest.files.items()
        },
    }
    (directory / MANIFEST).write_text(json.dumps(document, indent=1), encoding="utf-8")


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an export. BadInput when it is none, when it lacks a partition of a topic
    that it has, or when a file is missing or was put in."""
    path = directory / MANIFEST
    fix = "`gridledger audit export DIR` makes it"
    try:
        document = read_json(path)
    except BadInput as wrong:
        raise BadInput(wrong.field, wrong.problem, fix) from None
    try:
        manifest = _parse(path, document)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise BadInput(str(path), "is no manifest", fix) from None
    _require_files(directory, manifest)
    return manifest


def _parse(path: Path, document: Any) -> Manifest:
    partitions = _number(document["partitions"])
    if not 1 <= partitions <= PARTITIONS_MAX:
        raise BadInput(str(path), f"partitions is {partitions}", "export the topics again")
    if document.get("format") != FORMAT:
        problem = f"has the format {document.get('format')!r}, not {FORMAT}"
        raise BadInput(str(path), problem, "export again, with this release")
    return Manifest(
        partitions,
        {group: _offsets(row) for group, row in document["committed"].items()},
        {name: _seal(row) for name, row in document["files"].items()},
    )


def _number(value: Any) -> int:
    if type(value) is not int:
        raise ValueError(f"{value!r} is no number")
    return value


def _seal(row: Any) -> Seal:
    return Seal(_number(row["records"]), str(row["sha256"]))


def _offsets(row: Any) -> dict[TopicPartition, int]:
    found = {}
    for place, at in row.items():
        topic, _, partition = place.rpartition("/")
        found[TopicPartition(topic, int(partition))] = _number(at)
    return found


def files_of(topics: Iterable[str], partitions: int) -> set[str]:
    """The files of an export of these topics."""
    return {file_name(topic, number) for topic in topics for number in range(partitions)}


def files_in(directory: Path) -> set[str]:
    """The files of records that lie in a directory."""
    return {path.relative_to(directory).as_posix() for path in directory.glob("*/*.jsonl")}


def _require_files(directory: Path, manifest: Manifest) -> None:
    """Every partition of a topic is listed, and what is listed is what lies there."""
    path, listed = str(directory / MANIFEST), manifest.files.keys()
    wanted = files_of({name.rpartition("/")[0] for name in listed}, manifest.partitions)
    for name in sorted(wanted - listed):
        raise BadInput(path, f"does not list {name}", AGAIN)
    for name in sorted(listed - wanted):
        raise BadInput(path, f"lists {name}, with {manifest.partitions} partitions", AGAIN)
    found = files_in(directory)
    for name in sorted(listed - found):
        problem = "No such file, and the manifest lists it"
        raise BadInput(str(directory / name), problem, AGAIN)
    for name in sorted(found - listed):
        raise BadInput(str(directory / name), "is not in the manifest", AGAIN)

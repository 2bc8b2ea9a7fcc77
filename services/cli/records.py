"""What commands read: the cluster that the settings name or an export, and the events in it.

    reader, partitions = open_records(Path("export"))     files, as `audit export` wrote them
    reader, partitions = open_records(None)               the cluster, after a look at it

The look at the cluster is what makes "no broker", "no topics" and another number of partitions one
line each. With too few partitions a list would be silently short.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from libs.events.audit import Reader, scan
from libs.events.codec import Codec, envelope_of
from libs.events.errors import BadInput, Undecodable
from libs.events.kafka import KafkaReader
from libs.events.topics import load_topics
from services.audit.files import FileReader
from services.settings import Settings, load_settings
from services.wiring import require_partitions

OWNED = ("validation.losses", "payments.settlement")
"""Own topics of cores whose names do not say so."""


def open_records(from_files: Path | None) -> tuple[Reader, int]:
    """A reader of an export or of the cluster, and how many partitions every topic has."""
    if from_files is not None:
        files = FileReader(from_files)
        return files, files.partition_count
    settings = load_settings().settings
    return open_cluster(settings), settings.partitions


def open_cluster(settings: Settings) -> KafkaReader:
    """A reader of the cluster. Unavailable when no broker answers, Refused when the topics are not
    there, BadInput when they have another number of partitions than the settings say."""
    reader = KafkaReader(settings.kafka())
    topic = next(iter(load_topics(settings.partitions).topics))
    require_partitions(topic, settings.partitions, reader.partitions(topic))
    return reader


def known_events(
    reader: Reader, codec: Codec, topic: str, partition: int
) -> Iterator[tuple[str, Any]]:
    """The time and the body of each event of a type that the codec knows, in order.

    A record that cannot be decoded stands at a place: in a topic that a core owns it is damage and
    refused by name, elsewhere the core that reads it made it a dead letter, and it is passed over.
    """
    owned = topic.endswith(".events") or topic in OWNED
    for record in scan(reader, topic, partition):
        try:
            envelope = envelope_of(record.headers)
            known = codec.knows(envelope.type)
            body = codec.decode(envelope.type, record.value) if known else None
        except Undecodable as wrong:
            if not owned:
                continue
            place = f"{topic}/{partition}/{record.offset}"
            fix = "`gridledger audit balance` shows what else is damaged"
            raise BadInput(place, str(wrong), fix) from None
        if body is not None:
            yield envelope.time, body


def known_bodies(reader: Reader, codec: Codec, topic: str, partition: int) -> Iterator[Any]:
    """The bodies of `known_events`."""
    for _, body in known_events(reader, codec, topic, partition):
        yield body


def named(option: str, text: str, why: str) -> str:
    """What a person said about themselves, trimmed; BadInput when it is nothing."""
    if not text.strip():
        raise BadInput(option, "is empty", why)
    return text.strip()

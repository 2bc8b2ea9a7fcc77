"""Records, positions and the envelope: what travels, without any client library.

An envelope is CloudEvents 1.0 in Kafka's binary mode (kafka-protocol-binding §3.2): attributes are
`ce_` headers, the body is the value. Ids are derived from the cause, so a decision repeated after a
crash yields the same ids.

Example: the first event that billing decides on offset 7 of `calendar`, partition 2, has the id
`billing/calendar/2/7/0`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]
CONTENT_TYPE_JSON = b"application/json"


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the log holds it; `offset` is dense only up to control records."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Headers
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to be written; the partition is always explicit."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: Headers


@dataclass(frozen=True, slots=True)
class Cause:
    """The input that made an event: topic, partition, offset, and the event's index under it."""

    topic: str
    partition: int
    offset: int
    index: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}/{self.index}"


def parse_cause(text: str) -> Cause:
    """Read what `str(Cause)` wrote; ValueError when it is no cause."""
    topic, partition, offset, index = text.rsplit("/", 3)
    return Cause(topic, int(partition), int(offset), int(index))


def event_id(source: str, cause: Cause) -> str:
    """The id of the event that `source` (a core) made of `cause`; the same after every crash."""
    return f"{source}/{cause}"


class Envelope(NamedTuple):
    """The CloudEvents attributes of one event.

    `type` is the full name with its version (`billing.invoice_issued.v1`), `time` an instant in UTC
    (business time for cores, wall time for edges), `cause` empty for what an edge observed.
    `traceparent` (W3C) and `release` are for people: replay never compares them.
    """

    id: str
    type: str
    source: str
    time: str
    subject: str
    cause: str = ""
    traceparent: str = ""
    release: str = ""


def envelope_headers(envelope: Envelope) -> Headers:
    """The Kafka headers of an envelope, in one fixed order."""
    attributes = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_type", envelope.type.encode()),
        ("ce_source", envelope.source.encode()),
        ("ce_time", envelope.time.encode()),
        ("ce_subject", envelope.subject.encode()),
        ("content-type", CONTENT_TYPE_JSON),
    ]
    if envelope.cause:
        attributes.append(("ce_cause", envelope.cause.encode()))
    if envelope.traceparent:
        attributes.append(("traceparent", envelope.traceparent.encode()))
    if envelope.release:
        attributes.append(("release", envelope.release.encode()))
    return tuple(attributes)


def read_envelope(headers: Headers) -> Envelope:
    """The envelope in a record's headers; KeyError names the attribute that is missing."""
    found: Mapping[str, bytes] = dict(headers)
    return Envelope(
        id=found["ce_id"].decode(),
        type=found["ce_type"].decode(),
        source=found["ce_source"].decode(),
        time=found["ce_time"].decode(),
        subject=found["ce_subject"].decode(),
        cause=found.get("ce_cause", b"").decode(),
        traceparent=found.get("traceparent", b"").decode(),
        release=found.get("release", b"").decode(),
    )


_MASK = 0xFFFFFFFF


def murmur2(data: bytes) -> int:
    """Murmur2 as Kafka's Java client computes it, as an unsigned 32-bit number."""
    length = len(data)
    m = 0x5BD1E995
    h = (0x9747B28C ^ length) & _MASK
    whole = length - length % 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little")
        k = (k * m) & _MASK
        k ^= k >> 24
        k = (k * m) & _MASK
        h = ((h * m) & _MASK) ^ k
    rest = length % 4
    if rest:
        h ^= int.from_bytes(data[whole:], "little")
        h = (h * m) & _MASK
    h ^= h >> 13
    h = (h * m) & _MASK
    return h ^ (h >> 15)


def partition_of(key: str, partitions: int) -> int:
    """The partition of a key, equal to that of Kafka's default (murmur2) partitioner."""
    return (murmur2(key.encode()) & 0x7FFFFFFF) % partitions

"""Dead letters: what a core could not decode, and the way back (docs/adr/0008).

A dead letter is the record as it came (key, value, headers) plus `dlq.*` headers that say why and
where from; its position in the dead-letter topic is its name: `payments.dlq/0/3`. `redrive` writes
it once more to the partition it came from, with the header `dlq.redriven`, and in the same
transaction a trace next to the dead letter. A dead letter with a trace is never redriven again.

    letter = find_letter(reader, parse_position("payments.dlq/0/3"))
    redrive(letter, table, reader, open_writer, by="li", reason="catalogue 1.3", at=utc_now())
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

from libs.events.audit import Reader, scan
from libs.events.codec import Codec, encode, envelope_of
from libs.events.errors import BadInput, Refused, Undecodable
from libs.events.record import (
    Envelope,
    Headers,
    Outgoing,
    Record,
    TopicPartition,
    envelope_headers,
)
from libs.events.registry import Catalogue
from libs.events.step import STEP
from libs.events.topics import TopicTable

REDRIVEN = "dlq.redriven"
"""On a record that was written back to its topic: the position of the dead letter it was."""

GROUP = "dlq.group"
_NUMBER = re.compile(r"[0-9]{1,19}")

HEADERS_OF_A_DEAD_LETTER: dict[str, tuple[str, str]] = {
    "dlq.reason": ("", "The part that could not be decoded: a header, the key, the value."),
    "dlq.error": ("", "What is wrong with that part."),
    "dlq.topic": (r"^[a-z][a-z0-9_.]*$", "The topic it came from."),
    "dlq.partition": (r"^\d+$", "The partition it came from."),
    "dlq.offset": (r"^\d+$", "Its offset there."),
    "dlq.timestamp": (r"^-?\d+$", "Its broker time there, in milliseconds since 1970."),
    GROUP: (r"^[a-z][a-z0-9_.]*$", "The core that could not decode it."),
}
"""Header -> pattern and meaning; `libs.events.batch` writes them, the catalogue publishes them."""

catalogue = Catalogue("dlq")


@catalogue.event("dlq.letter_redriven")
@dataclass(frozen=True, slots=True, kw_only=True)
class LetterRedriven:
    """The trace of a redrive, in the partition of its dead letter. dead_letter: its position."""

    dead_letter: str
    to_topic: str
    to_partition: int
    redriven_by: str
    reason: str
    redriven_at: str


@dataclass(frozen=True, slots=True)
class Position:
    """Where a record lies; as text `TOPIC/PARTITION/OFFSET`."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"


def parse_position(text: str) -> Position:
    """Read what `str(Position)` wrote; BadInput when it is none."""
    topic, _, rest = text.partition("/")
    partition, _, offset = rest.partition("/")
    if not (topic and all(_NUMBER.fullmatch(each) for each in (partition, offset))):
        raise BadInput("LETTER", f"{text[:80]!r} is no position", "TOPIC/PARTITION/OFFSET")
    return Position(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One dead letter. `headers`, `key` and `value` are those of the record as it came."""

    at: Position
    origin: Position
    core: str
    reason: str
    error: str
    dead_since_ms: int
    key: bytes | None
    value: bytes
    headers: Headers


class Writer(Protocol):
    """A transactional writer with one fixed id for all redrives: the newest fences the others."""

    def write(self, outgoing: list[Outgoing]) -> dict[TopicPartition, int]:
        """All records in one transaction; raises Aborted, Fenced or Unknown."""
        ...

    def close(self) -> None:
        """End the client."""
        ...


def read_letter(record: Record) -> DeadLetter | None:
    """A record of a dead-letter topic as a dead letter; None when it is a trace.

    Raises Undecodable when it is neither.
    """
    found = {name: value for name, value in record.headers if name in HEADERS_OF_A_DEAD_LETTER}
    at = Position(record.topic, record.partition, record.offset)
    if GROUP not in found:
        return None
    try:
        text = {name: found[name].decode() for name in HEADERS_OF_A_DEAD_LETTER}
        origin = Position(text["dlq.topic"], int(text["dlq.partition"]), int(text["dlq.offset"]))
    except (KeyError, ValueError) as error:
        raise Undecodable(str(at), f"is no dead letter: {error}") from None
    return DeadLetter(
        at=at,
        origin=origin,
        core=text[GROUP],
        reason=text["dlq.reason"],
        error=text["dlq.error"],
        dead_since_ms=record.timestamp_ms,
        key=record.key,
        value=record.value,
        headers=tuple(
            header for header in record.headers if header[0] not in HEADERS_OF_A_DEAD_LETTER
        ),
    )


def letters(reader: Reader, topic: str, partition: int) -> Iterator[DeadLetter]:
    """The dead letters of one partition, in order."""
    for record in scan(reader, topic, partition):
        letter = read_letter(record)
        if letter is not None:
            yield letter


def traces(reader: Reader, topic: str, partition: int, first: int = 0) -> dict[str, LetterRedriven]:
    """What was redriven, by the position of the dead letter, from the offset `first` on."""
    codec = Codec(catalogue)
    found: dict[str, LetterRedriven] = {}
    for record in scan(reader, topic, partition, first):
        if read_letter(record) is None:
            try:
                trace = codec.decode(envelope_of(record.headers).type, record.value)
            except Undecodable as wrong:
                place = str(Position(topic, partition, record.offset))
                fix = "only cores and `gridledger dlq` may write there"
                raise Undecodable(place, f"is no dead letter and no trace: {wrong}", fix) from None
            found[trace.dead_letter] = trace
    return found


def find_letter(reader: Reader, at: Position) -> DeadLetter:
    """The dead letter at a position; BadInput when there is none."""
    ends = reader.bounds(at.topic, at.partition)
    if ends.low <= at.offset < ends.stable:
        piece = reader.read(at.topic, at.partition, at.offset, 1)
        if piece.records and piece.records[0].offset == at.offset:
            letter = read_letter(piece.records[0])
            if letter is not None:
                return letter
    raise BadInput("LETTER", f"there is no dead letter at {at}", "`gridledger dlq list` shows them")


def own_topics(table: TopicTable) -> frozenset[str]:
    """The topics that a core's state is folded from: those that carry its step records."""
    return frozenset(
        name
        for name, topic in table.topics.items()
        if any(carried.endswith(f".{STEP}") for carried in topic.carries)
    )


def redrive(
    letter: DeadLetter,
    table: TopicTable,
    reader: Reader,
    open_writer: Callable[[], Writer],
    *,
    by: str,
    reason: str,
    at: str,
) -> LetterRedriven:
    """Write a dead letter back to its partition, once; returns the trace that was written.

    The writer is opened before the traces are read: opening it ends or fences every earlier
    redrive, so a trace is either visible now or will never be. Raises Refused when the letter was
    redriven already, or when its topic is the own-event topic of a core, which only that core
    may write (its state is a fold of it).
    """
    if letter.origin.topic in own_topics(table):
        raise Refused(
            f"{letter.at}: {letter.origin.topic} is a core's own-event topic and its state; "
            "nobody else may write there (docs/adr/0008 says what to do instead)"
        )
    writer = open_writer()
    try:
        earlier = traces(reader, letter.at.topic, letter.at.partition, letter.at.offset + 1)
        done = earlier.get(str(letter.at))
        if done is not None:
            raise Refused(
                f"{letter.at} was redriven already, at {done.redriven_at} by {done.redriven_by} "
                f"to {done.to_topic}/{done.to_partition}"
            )
        trace = LetterRedriven(
            dead_letter=str(letter.at),
            to_topic=letter.origin.topic,
            to_partition=letter.origin.partition,
            redriven_by=by,
            reason=reason,
            redriven_at=at,
        )
        writer.write([_again(letter), _trace_record(letter, trace)])
    finally:
        writer.close()
    return trace


def _again(letter: DeadLetter) -> Outgoing:
    return Outgoing(
        letter.origin.topic,
        letter.origin.partition,
        letter.key,
        letter.value,
        (*letter.headers, (REDRIVEN, str(letter.at).encode())),
    )


def _trace_record(letter: DeadLetter, trace: LetterRedriven) -> Outgoing:
    envelope = Envelope(
        id=f"{catalogue.owner}/{letter.at}",
        type=catalogue.type_of(trace).full_name,
        source=catalogue.owner,
        time=trace.redriven_at,
        subject=trace.dead_letter,
    )
    return Outgoing(
        letter.at.topic,
        letter.at.partition,
        trace.dead_letter.encode(),
        encode(trace),
        envelope_headers(envelope),
    )

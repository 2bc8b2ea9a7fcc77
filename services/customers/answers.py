"""What became of records that were sent: the answers of the core, followed on `customers.events`.

    follower = Follower.from_end(reader, partitions)        before anything is sent
    offsets = submit(found.requests, producer.append)
    answer = follow_import(follower, found.requests, offsets, Patience(60))
    answer.rejected      every row that was refused, with its column and the reason
    answer.waiting       the records that nobody has decided yet; they are in the log and stay there

The core says nothing of a row that it knows already. So a record is answered when a step record
says that its offset was passed, and not when something was said about it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from libs.events.audit import READ_LIMIT, Reader, scan
from libs.events.codec import Codec, envelope_of
from libs.events.errors import BadInput, Unavailable, Undecodable
from libs.events.record import Record, parse_cause, partition_of
from libs.events.step import StepTaken
from services.customers.api import REQUESTS
from services.customers.core import make_core
from services.customers.events import Row, RowRejected, RowsSubmitted, RowTaken

EVENTS = "customers.events"
PAUSE_S = 0.05


class Fact(NamedTuple):
    """One own event of the core: of which account, made of which input."""

    key: str
    cause: str
    body: Any


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one wait for answers may take, on a clock that tests can replace.

    Reading what is there already is no waiting: with many accounts it takes its time.
    """

    timeout_s: float
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep


def _anybody(_: str) -> bool:
    return True


class Follower:
    """Reads the core's own events from a place on, and knows how far each partition decided.

    `is_wanted` leaves out events of other accounts before they are decoded.
    """

    def __init__(
        self, reader: Reader, at: Mapping[int, int], is_wanted: Callable[[str], bool] = _anybody
    ) -> None:
        self.reader, self.is_wanted = reader, is_wanted
        self._at = dict(at)
        self._decided = dict.fromkeys(at, 0)
        self._codec = Codec(make_core().catalogue)

    @classmethod
    def from_begin(
        cls, reader: Reader, partitions: int, is_wanted: Callable[[str], bool]
    ) -> Follower:
        """Follows from the first event on."""
        first = {number: reader.bounds(EVENTS, number).low for number in range(partitions)}
        return cls(reader, first, is_wanted)

    @classmethod
    def from_end(cls, reader: Reader, partitions: int) -> Follower:
        """Follows what comes from now on."""
        return cls(reader, {n: reader.bounds(EVENTS, n).stable for n in range(partitions)})

    @property
    def partitions(self) -> int:
        """How many partitions are followed."""
        return len(self._at)

    def has_decided(self, partition: int, offset: int) -> bool:
        """Whether the core has passed a request."""
        return offset < self._decided[partition]

    def sent_before(self) -> dict[int, int]:
        """The offset after the last request of each partition that waits for its decision."""
        goals = {}
        for partition, decided in self._decided.items():
            for record in scan(self.reader, REQUESTS, partition, decided):
                goals[partition] = record.offset + 1
        return goals

    def behind(self, goals: Mapping[int, int]) -> list[int]:
        """The partitions that have not decided up to their goal."""
        return [number for number, end in goals.items() if self._decided[number] < end]

    def news(self) -> Iterator[Fact]:
        """What came since the last look, by partition and in order."""
        for partition in self._at:
            more = True
            while more:
                piece = self.reader.read(EVENTS, partition, self._at[partition], READ_LIMIT)
                for record in piece.records:
                    yield from self._fact(record)
                self._at[partition] = piece.next_offset
                more = len(piece.records) == READ_LIMIT

    def follow(self, goals: Mapping[int, int], patience: Patience) -> Iterator[Fact]:
        """What comes until every partition has reached its goal, or until patience is over.

        A broker that does not answer meanwhile is asked again: what was sent is in the log.
        """
        until = patience.now() + patience.timeout_s
        while True:
            with suppress(Unavailable):
                yield from self.news()
            if not self.behind(goals) or patience.now() > until:
                return
            patience.pause(PAUSE_S)

    def _fact(self, record: Record) -> Iterator[Fact]:
        key = (record.key or b"").decode()
        if key and not self.is_wanted(key):
            return
        try:
            envelope = envelope_of(record.headers)
            if not self._codec.knows(envelope.type):
                return
            body = self._codec.decode(envelope.type, record.value)
        except Undecodable as wrong:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            fix = "`gridledger audit balance` shows what else is damaged"
            raise BadInput(place, str(wrong), fix) from None
        if isinstance(body, StepTaken):
            self._decided[record.partition] = body.positions.get(REQUESTS, 0)
        else:
            yield Fact(key, envelope.cause, body)


class Place(NamedTuple):
    """A row of an import by where it stands; one row may go to several accounts."""

    file: str
    line: int


@dataclass(slots=True)
class ImportAnswer:
    """What the core made of an import: rows by where they stand, and records not decided yet."""

    taken: set[Place] = field(default_factory=set)
    known: set[Place] = field(default_factory=set)
    rejected: list[RowRejected] = field(default_factory=list)
    waiting: list[RowsSubmitted] = field(default_factory=list)

    @property
    def rows_waiting(self) -> int:
        """How many rows have no answer, or not from every account that they concern."""
        return len({_place(row) for request in self.waiting for row in request.rows})


def follow_import(
    follower: Follower,
    requests: Sequence[RowsSubmitted],
    offsets: Sequence[int],
    patience: Patience,
) -> ImportAnswer:
    """Follow until every record of an import is decided, or until patience is over."""
    partitions = [partition_of(each.account_no, follower.partitions) for each in requests]
    sent = dict(zip(zip(partitions, offsets, strict=True), requests, strict=True))
    goals: dict[int, int] = {}
    for partition, offset in sent:
        goals[partition] = max(goals.get(partition, 0), offset + 1)
    answer = ImportAnswer()
    for fact in follower.follow(goals, patience):
        if not isinstance(fact.body, RowTaken | RowRejected):
            continue
        cause = parse_cause(fact.cause)
        if cause.topic != REQUESTS or (cause.partition, cause.offset) not in sent:
            continue
        if isinstance(fact.body, RowTaken):
            answer.taken.add(_place(fact.body.row))
        else:
            answer.rejected.append(fact.body)
    named = answer.taken | {_place(each.row) for each in answer.rejected}
    for (partition, offset), request in sent.items():
        if follower.has_decided(partition, offset):
            answer.known.update(_place(row) for row in request.rows)
        else:
            answer.waiting.append(request)
    answer.known -= named
    return answer


def _place(row: Row) -> Place:
    return Place(row.file, row.line)

"""Who gets a meter line next: relay commands first, then reads on demand, first tries, retries.

    queue = LineQueue[str]()
    queue.join("day of meter 7", Priority.SCHEDULED, now_ms=0)
    queue.join("open meter 9", Priority.RELAY, now_ms=5)
    queue.take(now_ms=6)                                        # "open meter 9"

Laws (tests/unit/ingest/test_line_queue.py):

- Within a priority the one that could go first goes first.
- Who waited `ageing_ms` is overdue. Of two grants that follow each other at most one passes over
  an overdue item, so the (k+1)th overdue item has the line after at most 2(k+1) grants, whatever
  comes.
- Nobody else passes over a more urgent one: a relay command waits for the holder, for relay
  commands before it, and for at most one overdue item between two of them.

Time is whole milliseconds of any one clock, given by the caller. A queue knows no threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Generic, TypeVar

AGEING_MS = 60_000
"""From when a waiting item is overdue, unless a queue is told otherwise: in a minute a slow line
(2,400 baud) reads about 35 meters."""

T = TypeVar("T")


class Priority(IntEnum):
    """How urgent a conversation is; the lower goes first."""

    RELAY = 0
    ON_DEMAND = 1
    SCHEDULED = 2
    RETRY = 3


@dataclass(frozen=True, slots=True, eq=False)
class _Place(Generic[T]):
    """An item in the queue; `number`: in which order they joined."""

    item: T
    priority: Priority
    ready_ms: int
    number: int

    @property
    def age(self) -> tuple[int, int]:
        """What orders items by how long they could have gone."""
        return self.ready_ms, self.number


class LineQueue(Generic[T]):
    """Everything that waits for one line."""

    def __init__(self, ageing_ms: int = AGEING_MS) -> None:
        self.ageing_ms = ageing_ms
        self._places: list[_Place[T]] = []
        self._joined = 0
        self._passed_over = False

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[T]:
        """Who waits, in the order they joined."""
        return iter([place.item for place in self._places])

    def join(self, item: T, priority: Priority, now_ms: int, pause_ms: int = 0) -> None:
        """Stand at the end of a priority. pause_ms: not to be taken before (back-off)."""
        self._places.append(_Place(item, priority, now_ms + pause_ms, self._joined))
        self._joined += 1

    def is_ready(self, now_ms: int) -> bool:
        """Whether `take` would give one."""
        return any(place.ready_ms <= now_ms for place in self._places)

    def is_waited_for(self, priority: Priority, now_ms: int) -> bool:
        """Whether somebody more urgent than `priority` waits, so that its holder gives way."""
        return any(p.priority < priority and p.ready_ms <= now_ms for p in self._places)

    def first(self, now_ms: int) -> T | None:
        """Whom `take` would give, without taking it."""
        place = self._first(now_ms)
        return None if place is None else place.item

    def take(self, now_ms: int) -> T | None:
        """Take the next one out; None when nobody is ready."""
        place = self._first(now_ms)
        if place is None:
            return None
        self._places.remove(place)
        overdue = self._overdue(now_ms)
        self._passed_over = overdue is not None and overdue.age < place.age
        return place.item

    def _first(self, now_ms: int) -> _Place[T] | None:
        ready = [place for place in self._places if place.ready_ms <= now_ms]
        if not ready:
            return None
        urgent = min(ready, key=lambda place: (place.priority, *place.age))
        overdue = self._overdue(now_ms)
        return overdue if self._passed_over and overdue is not None else urgent

    def _overdue(self, now_ms: int) -> _Place[T] | None:
        """The one that is overdue longest."""
        late = [place for place in self._places if place.ready_ms + self.ageing_ms <= now_ms]
        return min(late, key=lambda place: place.age, default=None)

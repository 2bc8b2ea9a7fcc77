"""The loss-and-duplicate ledger, kept while records pass by: invariant 1 without reading twice.

    ledger.note_input(place, offset); ledger.note_run("billing", place, first, following, count)

A run may be seen before its inputs (two partitions of a tail have no order), so it waits until the
offsets it speaks of have passed. The audit (`gridledger audit balance`) proves the same from the
beginning; this is what the system publishes about itself meanwhile.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from dataclasses import dataclass, field

from libs.events.record import TopicPartition


@dataclass(slots=True)
class Hop:
    """One core on one input partition. `index`: how many of its records are accounted for."""

    index: int = 0
    position: int = 0
    decided: int = 0
    lost: int = 0
    doubled: int = 0
    waiting: list[tuple[int, int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Ledger:
    """All hops of an installation."""

    offsets: dict[TopicPartition, array[int]] = field(default_factory=dict)
    hops: dict[tuple[str, TopicPartition], Hop] = field(default_factory=dict)

    def note_input(self, place: TopicPartition, offset: int) -> None:
        """A record stands at this offset."""
        self.offsets.setdefault(place, array("q")).append(offset)

    def note_run(
        self, core: str, place: TopicPartition, first: int, following: int, count: int
    ) -> None:
        """A core decided the records from `first` up to `following`."""
        hop = self.hops.setdefault((core, place), Hop())
        hop.waiting.append((first, following, count))

    def settle(self) -> None:
        """Account for the runs whose inputs have all passed."""
        for (_, place), hop in self.hops.items():
            seen = self.offsets.get(place, array("q"))
            last = seen[-1] if seen else -1
            ready = [run for run in hop.waiting if run[1] <= last + 1]
            if ready:
                hop.waiting = [run for run in hop.waiting if run[1] > last + 1]
                for run in sorted(ready):
                    _account(hop, seen, *run)

    def lag(self, core: str, place: TopicPartition) -> int:
        """Records of the partition that the core has not decided."""
        hop = self.hops.get((core, place), Hop())
        return len(self.offsets.get(place, array("q"))) - hop.index


def _account(hop: Hop, seen: array[int], first: int, following: int, count: int) -> None:
    if first < hop.position:
        hop.doubled += bisect_left(seen, min(following, hop.position)) - bisect_left(seen, first)
    begin, end = bisect_left(seen, first), bisect_left(seen, following)
    hop.lost += max(0, begin - hop.index)
    hop.lost += max(0, end - begin - count)
    hop.doubled += max(0, count - (end - begin))
    hop.decided += count
    hop.index = max(hop.index, end)
    hop.position = max(hop.position, following)

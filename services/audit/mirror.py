"""A running cluster as it was at one moment: what the groups had committed, and all records.

`audit` reads every topic several times, once per core and question. Over a broker each pass over a
partition costs tens of milliseconds however small it is; one pass of a tail over all partitions
costs as much as the records, so they are mirrored in memory. Logs above `RECORDS_MAX` are read from
the broker instead, up to the same ends.

The order keeps false alarms away. The groups' offsets are read first, the ends of the topics then:
what was committed is in the log by that time. A commit reaches the offsets sometimes before the
records, which nobody may see yet; so the ends count only once no transaction of before is open.
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.events.audit import Reader
from libs.events.errors import Unavailable
from libs.events.kafka import KafkaAdmin, KafkaReader, KafkaSettings, KafkaTail
from libs.events.log import Bounds, Slice
from libs.events.record import Record, TopicPartition
from libs.events.topics import TopicTable
from services.audit.manifest import Committed

RECORDS_MAX = 2_000_000
CALM_S = 5.0
"""How long to wait for a moment in which nothing is written: only then do all ends fit together."""
OPEN_S = 60.0
"""How long to wait for open transactions of before: a dead member's lasts until its time-out."""


@dataclass(slots=True)
class MirrorReader:
    """All committed records up to the moment it was made."""

    records: dict[TopicPartition, list[Record]]
    ends: dict[TopicPartition, int]
    _offsets: dict[TopicPartition, list[int]] = field(default_factory=dict)

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on."""
        place = TopicPartition(topic, partition)
        found = self.records.get(place, [])
        if place not in self._offsets:
            self._offsets[place] = [record.offset for record in found]
        at = bisect.bisect_left(self._offsets[place], first)
        piece = found[at : at + limit]
        done = at + limit >= len(found)
        return Slice(piece, self.ends.get(place, 0) if done else piece[-1].offset + 1)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends as they were when the mirror was made."""
        place = TopicPartition(topic, partition)
        found = self.records.get(place, [])
        end = self.ends.get(place, 0)
        return Bounds(found[0].offset if found else end, end, end)


@dataclass(frozen=True, slots=True)
class EndedReader:
    """A broker's topics up to the moment it was made."""

    inner: Reader
    ends: Mapping[TopicPartition, int]

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on; `scan` leaves out those behind the end."""
        return self.inner.read(topic, partition, first, limit)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends as they were."""
        end = self.ends[TopicPartition(topic, partition)]
        return Bounds(self.inner.bounds(topic, partition).low, end, end)


class Ends(Protocol):
    """Who knows the ends of many partitions: `KafkaAdmin`."""

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, stable: bool = True
    ) -> dict[TopicPartition, int]:
        """The last stable offsets, or with `stable` false those after all that is written."""
        ...


def settled_ends(
    admin: Ends, places: list[TopicPartition], calm_s: float = CALM_S, open_s: float = OPEN_S
) -> dict[TopicPartition, int]:
    """Stable ends that hide nothing of what was written before the call.

    At a moment at which nothing is written they also fit together. If none comes in `calm_s`, the
    last event of one topic may be seen without the step that it belongs to.
    """
    began = time.monotonic()
    written = admin.end_offsets(places, stable=False)
    while True:
        visible = admin.end_offsets(places)
        if visible == admin.end_offsets(places, stable=False):
            return visible
        hidden = sorted(place for place in places if visible[place] < written[place])
        waited_s = time.monotonic() - began
        if not hidden and waited_s > calm_s:
            return visible
        if hidden and waited_s > open_s:
            topic, partition = hidden[0]
            raise Unavailable(f"an open transaction hides the end of {topic}[{partition}]")
        time.sleep(0.02)


def open_reader(
    settings: KafkaSettings, table: TopicTable, groups: Iterable[str]
) -> tuple[MirrorReader | EndedReader, Committed]:
    """The whole log as it is now, from memory or, when it is large, from the broker; and what these
    groups had committed just before."""
    places = table.places()
    admin = KafkaAdmin(settings)
    committed = {group: admin.committed(group) for group in groups}
    ends = settled_ends(admin, places)
    if sum(ends.values()) > RECORDS_MAX:
        return EndedReader(KafkaReader(settings), ends), committed
    tail = KafkaTail(settings, places)
    try:
        records: dict[TopicPartition, list[Record]] = {place: [] for place in places}
        for record in tail.follow_to(ends, 600.0):
            place = TopicPartition(record.topic, record.partition)
            if record.offset < ends[place]:
                records[place].append(record)
    finally:
        tail.close()
    return MirrorReader(records, ends), committed

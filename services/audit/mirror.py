"""A whole log in memory, read in one pass: what an audit of a small installation works on.

`audit` reads every topic several times, once per core and question. Over a broker each pass over a
partition costs tens of milliseconds however small it is; one pass of a tail over all partitions
costs as much as the records. Logs above `RECORDS_MAX` are read from the broker instead.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field

from libs.events.kafka import KafkaAdmin, KafkaReader, KafkaSettings, KafkaTail
from libs.events.log import Bounds, Slice
from libs.events.record import Record, TopicPartition
from libs.events.topics import TopicTable

RECORDS_MAX = 2_000_000


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


def open_reader(settings: KafkaSettings, table: TopicTable) -> MirrorReader | KafkaReader:
    """A mirror of the whole log, or the broker itself when the log is large."""
    places = table.places()
    ends = KafkaAdmin(settings).end_offsets(places)
    if sum(ends.values()) > RECORDS_MAX:
        return KafkaReader(settings)
    tail = KafkaTail(settings, places)
    try:
        records: dict[TopicPartition, list[Record]] = {place: [] for place in places}
        for record in tail.follow_to(ends, 600.0):
            place = TopicPartition(record.topic, record.partition)
            if record.offset < ends[place]:
                records[place].append(record)
    finally:
        tail.close()
    return MirrorReader(records, ends)

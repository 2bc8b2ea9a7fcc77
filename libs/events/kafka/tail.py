"""Following many partitions at once without a group: for the clock's barrier, views and exports."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping

from confluent_kafka import Consumer, KafkaError
from confluent_kafka import TopicPartition as Place

from libs.events.errors import Unavailable
from libs.events.kafka.client import TRANSIENT, KafkaSettings, known, made, record_of, typed
from libs.events.record import Record, TopicPartition


class KafkaTail:
    """Committed records of many partitions, each in order, from the beginning on.

    `positions` is where each partition's reader stands, past control records; `following` the
    offset after its last record, which is what a group that decided everything has committed.
    """

    def __init__(self, settings: KafkaSettings, partitions: Iterable[TopicPartition]) -> None:
        config = settings.reader("gridledger-tail") | {"enable.partition.eof": True}
        self.positions = dict.fromkeys(partitions, 0)
        self.following = dict.fromkeys(self.positions, 0)
        self._consumer = made(Consumer, config)
        self._consumer.assign([Place(*place, 0) for place in self.positions])

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """At most `limit` records that came meanwhile; [] when there are none."""
        records: list[Record] = []
        for message in self._consumer.consume(limit, timeout_s):
            error = message.error()
            place = TopicPartition(str(message.topic()), known(message.partition()))
            if error is None:
                record = record_of(message)
                records.append(record)
                self.positions[place] = self.following[place] = record.offset + 1
            elif error.code() == KafkaError._PARTITION_EOF:
                self.positions[place] = max(self.positions[place], known(message.offset()))
            elif error.code() not in TRANSIENT:
                raise typed(error, f"follow {place}")
        return records

    def follow_to(self, ends: Mapping[TopicPartition, int], timeout_s: float) -> list[Record]:
        """All records up to these stable offsets; Unavailable when they do not come in time."""
        records: list[Record] = []
        deadline = time.monotonic() + timeout_s
        while any(self.positions[place] < end for place, end in ends.items()):
            records += self.poll(1000, 0.02)
            if time.monotonic() > deadline:
                raise Unavailable("the topics could not be read to their end in time")
        return records

    def close(self) -> None:
        """Give the connections back."""
        self._consumer.close()

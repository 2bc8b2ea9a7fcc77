"""Reading any topic without a group: for recovery, auditors, dead letters and executors."""

from __future__ import annotations

import time

from confluent_kafka import Consumer, IsolationLevel, KafkaError
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import AdminClient

from libs.events.errors import Unavailable
from libs.events.kafka.client import (
    EARLIEST,
    LATEST,
    Catalogue,
    KafkaSettings,
    known,
    made,
    no_broker,
    record_of,
    result,
    typed,
)
from libs.events.log import Bounds, Slice
from libs.events.record import Record


class KafkaReader:
    """Reads any topic without a group: for recovery, auditors, dead letters and executors."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._timeout_s = settings.request_timeout_ms / 1000
        self._admin = made(AdminClient, settings.client())
        self._catalogue = Catalogue(self._admin, settings)
        self._source: Consumer | None = None
        self._reading: tuple[str, int, int] | None = None

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; Refused when it does not exist."""
        return self._catalogue.count(topic)

    def cluster_id(self) -> str:
        """Which cluster this is, asked once by whoever starts; waits as long as a start may."""
        return self._catalogue.cluster_id(self._settings.start_timeout_ms / 1000)

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on, up to the last stable offset.

        Raises Refused for an offset outside the log, Unavailable when no broker answers.
        """
        self._catalogue.require(topic, partition)
        if self._source is None:
            config = self._settings.reader() | {
                "enable.partition.eof": True,
                "fetch.wait.max.ms": 10,  # the end of the log is known after one empty fetch
            }
            self._source = made(Consumer, config)
        if self._reading != (topic, partition, first):
            self._source.assign([Place(topic, partition, first)])
        self._reading = None
        found = self._read_on(self._source, first, limit)
        if len(found.records) == limit:
            self._reading = (topic, partition, found.next_offset)
        else:
            self._source.unassign()
        return found

    def _read_on(self, source: Consumer, first: int, limit: int) -> Slice:
        records: list[Record] = []
        at = first
        deadline = time.monotonic() + self._timeout_s
        while len(records) < limit:
            for message in source.consume(limit - len(records), 0) or source.consume(1, 0.1):
                error = message.error()
                if error is None:
                    records.append(record_of(message))
                    at = records[-1].offset + 1
                elif error.code() == KafkaError._PARTITION_EOF:
                    return Slice(records, max(at, known(message.offset())))
                else:
                    doing = f"read {message.topic()}/{message.partition()} at {at}"
                    problem = typed(error, doing)
                    if not isinstance(problem, Unavailable):
                        raise problem
            if time.monotonic() > deadline:
                raise Unavailable(no_broker(self._settings.bootstrap_servers))
        return Slice(records, at)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends of one partition, asked of its leader now."""
        self._catalogue.require(topic, partition)
        place = Place(topic, partition)
        wanted = (
            (EARLIEST, IsolationLevel.READ_COMMITTED),
            (LATEST, IsolationLevel.READ_COMMITTED),
            (LATEST, IsolationLevel.READ_UNCOMMITTED),
        )
        asked = [
            self._admin.list_offsets(
                {place: spec}, isolation_level=level, request_timeout=self._timeout_s
            )[place]
            for spec, level in wanted
        ]
        doing = f"bounds of {topic}/{partition}"
        try:
            low, stable, high = (result(f, doing, self._timeout_s + 1).offset for f in asked)
        except Unavailable:
            self._renew()
            raise
        # Three questions, three instants: the high watermark never lies below a stable offset.
        return Bounds(low, stable, max(stable, high))

    def _renew(self) -> None:
        """Begin with a new client: the old one keeps the leader epochs of before a broker's crash,
        and is refused for them (FENCED_LEADER_EPOCH) for as long as nobody else refreshes them."""
        self._admin = made(AdminClient, self._settings.client())
        self._catalogue = Catalogue(self._admin, self._settings)

    def close(self) -> None:
        """Give the connections back."""
        if self._source is not None:
            self._source.close()

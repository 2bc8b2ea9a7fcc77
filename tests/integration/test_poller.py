"""The poller on a real broker: a line slower than the group's patience, and a thread that hangs."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from libs.events.codec import Codec, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.host import HUNG
from libs.events.kafka import (
    KafkaAdmin,
    KafkaLog,
    KafkaProducerPort,
    KafkaReader,
    KafkaSettings,
    TopicSpec,
)
from libs.events.record import Outgoing, TopicPartition
from services.ingest.events import ReadFailed, ReadingOrdered, catalogue, edge_catalogue
from services.ingest.poller import GROUP, ORDERS, READINGS, Poller, run_poller
from services.ingest.reading_qgdw376 import Waiting
from tests.integration.town import PARTITIONS, opened_town, own_kafka
from tests.unit.ingest.test_poller import order, outcome

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka
COUNT = 20
READ_S = 0.2
MAX_POLL_S = 1.5
"""A line of 20 meters takes 4 s: more than twice what the group waits for a poll."""


class NotingLog(KafkaLog):
    """Notes how far the orders were committed."""

    committed: ClassVar[list[int]] = [0]

    def commit(
        self, outgoing: Sequence[Outgoing], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """As ever."""
        ends = super().commit(outgoing, positions)
        self.committed.append(positions[TopicPartition(ORDERS, 0)])
        return ends


def read_of(settings: KafkaSettings) -> list[str]:
    """The orders whose readings are in the topic."""
    reader, codec = KafkaReader(settings), Codec(edge_catalogue)
    records = reader.read(READINGS, 0, 0, 1000).records
    reader.close()
    bodies: list[Any] = [codec.decode(envelope_of(r.headers).type, r.value) for r in records]
    return [body.order_id for body in bodies]


def test_a_line_slower_than_max_poll_interval_is_read_once(own_kafka: str) -> None:
    settings = KafkaSettings(
        bootstrap_servers=own_kafka,
        session_timeout_ms=1_000,
        heartbeat_interval_ms=200,
        max_poll_interval_ms=int(MAX_POLL_S * 1000),
        transaction_timeout_ms=5_000,
    )
    KafkaAdmin(settings).create(
        [TopicSpec(name=topic, partitions=PARTITIONS) for topic in (ORDERS, READINGS)]
    )
    asked: list[str] = []

    def read(
        order: ReadingOrdered, ordered_at: str, before: tuple[str, ...], waiting: Waiting
    ) -> ReadFailed:
        asked.append(order.order_id)
        time.sleep(READ_S)
        return outcome(order, asked.count(order.order_id))

    port = KafkaProducerPort(settings)
    ingest = EdgeProducer("ingest", catalogue, port, lambda topic: 1)
    ingest.append_many([ingest.outgoing(ORDERS, "P", order(number)) for number in range(COUNT)])
    log = NotingLog(settings, GROUP, f"{GROUP}-0", (ORDERS,))
    edge = EdgeProducer(GROUP, edge_catalogue, port, lambda topic: 1)
    poller = Poller(log, edge, read, 4, piece_s=0.5)
    stopping = threading.Event()
    thread = threading.Thread(target=run_poller, args=(poller, stopping, "test"), daemon=True)
    thread.start()
    deadline = time.monotonic() + 12.0
    while log.committed[-1] < COUNT and time.monotonic() < deadline:
        time.sleep(0.05)
    stopping.set()
    thread.join(10)
    expected = [f"O{number}" for number in range(COUNT)]
    assert log.committed[-1] == COUNT, log.committed
    assert asked == expected
    assert read_of(settings) == expected
    assert poller.generation == 1  # assigned once, never lost
    assert len(log.committed) > 4  # in pieces: what is read is not lost with the process
    port.close()


def test_a_poller_that_hangs_takes_the_executor_with_it(own_kafka: str, tmp_path: Path) -> None:
    with opened_town(own_kafka, tmp_path, ["000000000042"]) as town:
        member = town.start("tests.integration.freezing:hung_poller")
        member.may_end = True
        town.until("its end", member.has_ended)
        assert member.child.returncode == HUNG, member.said()
        assert "hangs, ending the process" in member.said()

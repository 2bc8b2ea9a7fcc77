"""The barrier of simulated time on a real Kafka: what is written and not visible yet is no rest.

A commit is answered before every partition of it can be read. Whoever takes the silence in between
for rest moves business time on over the head of a record.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from confluent_kafka import Producer

from libs.events.kafka import KafkaSettings
from libs.events.topics import load_topics
from services.cli.topics import apply
from services.clock.barrier import OPEN_TRANSACTIONS, Barrier
from services.settings import load_settings
from simulators.city.stage import insist
from tests.integration.town import own_kafka

__all__ = ["own_kafka"]
pytestmark = pytest.mark.kafka


def test_an_open_transaction_is_no_rest(own_kafka: str, tmp_path: Path) -> None:
    settings = load_settings(tmp_path, kafka_bootstrap_servers=own_kafka, partitions=1).settings
    apply(settings)
    kafka: KafkaSettings = settings.kafka()
    barrier = Barrier(kafka, load_topics(1))
    producer = Producer(kafka.transactional("somebody"))
    try:
        assert insist(lambda: barrier.wait(30)) == {}  # at first the topics have no leader yet
        producer.init_transactions(30)
        producer.begin_transaction()
        producer.produce("control.commands", b"{}", b"P1", 0)
        producer.flush(30)
        assert barrier.behind() == {OPEN_TRANSACTIONS: 1}
        assert not barrier.is_at_rest()
        assert barrier.wait(0.5) == {OPEN_TRANSACTIONS: 1}
        producer.commit_transaction(30)
        deadline = time.monotonic() + 30
        while (behind := barrier.behind()) != {"ingest.effect": 1}:  # who should take the command
            assert time.monotonic() < deadline, behind
    finally:
        producer.close()
        barrier.close()

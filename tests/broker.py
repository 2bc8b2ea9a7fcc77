"""A real Apache Kafka for tests: one broker per test session, or the one that the caller names."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

# What makes a broker quick to test with; none of it changes what is promised.
TEST_OVERRIDES = {
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "500",
}


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a broker: GRIDLEDGER_TEST_KAFKA when set (with the overrides above)."""
    given = os.environ.get("GRIDLEDGER_TEST_KAFKA")
    if given:
        yield given
        return
    from services.local.kafka import start_broker

    cluster = start_broker(tmp_path_factory.mktemp("kafka"), overrides=TEST_OVERRIDES)
    try:
        yield cluster.bootstrap_servers
    finally:
        cluster.stop()

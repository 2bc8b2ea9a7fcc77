"""The worlds that the contract suite runs in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.broker import kafka_bootstrap
from tests.contract.worlds import KafkaWorld, SimWorld, World

__all__ = ["kafka_bootstrap"]

TIMES = {"session_ms": 2_000, "max_poll_ms": 3_000, "transaction_ms": 1_900, "heartbeat_ms": 200}


@pytest.fixture(params=["sim", pytest.param("kafka", marks=pytest.mark.kafka)])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """SimLog or Apache Kafka, with nothing of another test in it."""
    made: World
    if request.param == "sim":
        made = SimWorld(**TIMES)
    else:
        made = KafkaWorld(request.getfixturevalue("kafka_bootstrap"), **TIMES)
    yield made
    made.end()

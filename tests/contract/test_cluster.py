"""What a core asks of a real cluster when it starts: by what name it knows itself."""

from __future__ import annotations

import time

import pytest

from libs.events.errors import Unavailable
from libs.events.kafka import KafkaReader, KafkaSettings


@pytest.mark.kafka
def test_a_cluster_says_which_it_is_to_everybody_alike(kafka_bootstrap: str) -> None:
    readers = [KafkaReader(KafkaSettings(bootstrap_servers=kafka_bootstrap)) for _ in range(2)]
    first, second = (reader.cluster_id() for reader in readers)
    assert first == second
    assert len(first) == 22  # 16 octets in base64


def test_a_start_waits_for_the_cluster_as_long_as_is_set() -> None:
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", start_timeout_ms=1_000)
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"no broker answers at 127\.0\.0\.1:1"):
        KafkaReader(settings).cluster_id()
    assert 0.9 < time.monotonic() - began < 10

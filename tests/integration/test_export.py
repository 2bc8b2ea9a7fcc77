"""An export of a real Apache Kafka: what a toy core left there is clean, and an end cut off shows.

Goal: the offsets that the group has committed are those that the steps lead to, also over control
records and partitions that nobody wrote to. Method: a toy core counts tokens and dead-letters one
record; its topics are exported in the order of the command, and audited from the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from libs.events.audit import balance
from libs.events.codec import encode
from libs.events.kafka import KafkaSettings
from libs.events.record import TopicPartition
from libs.events.replay import replay
from services.audit.files import FileReader, export_topics
from services.audit.mirror import open_reader
from tests.broker import kafka_bootstrap
from tests.integration.test_dlq import ALIEN, Place, TokenDropped, next_release
from tests.unit.audit.sealing import reseal

__all__ = ["kafka_bootstrap"]
pytestmark = pytest.mark.kafka
TOKENS = 6


@pytest.fixture
def place(kafka_bootstrap: str) -> Iterator[Place]:
    settings = KafkaSettings(
        bootstrap_servers=kafka_bootstrap,
        session_timeout_ms=6_000,
        transaction_timeout_ms=5_000,
        request_timeout_ms=20_000,
    )
    made = Place(settings)
    yield made
    made.reader.close()


def audited(place: Place, directory: Path) -> tuple[list[str], list[str]]:
    """What balance and replay of the toy say over an export."""
    reader = FileReader(directory)
    committed = reader.committed([place.name])[place.name]
    core, count = next_release(place.core), place.table.partitions
    ledger = balance(reader, core, count, (), committed)
    assert (ledger.lost, ledger.doubled) == (0, 0)
    return ledger.problems, replay(reader, core, count, (), committed=committed).differences


def test_an_export_is_clean_until_its_end_is_cut_off(place: Place, tmp_path: Path) -> None:
    name, directory = place.name, tmp_path / "export"
    for number in range(TOKENS):
        place.write(f"{name}.coins", 1, encode(TokenDropped(worth_fen=number + 1)), ALIEN)
    place.write(f"{name}.coins", 1, b"{no json", ALIEN)
    place.run(next_release(place.core), lambda: bool(place.records("dlq")))

    reader, committed = open_reader(place.settings, place.table, [name])
    assert committed[name][TopicPartition(f"{name}.coins", 1)] == TOKENS + 1
    manifest = export_topics(
        reader, place.table.partitions, place.table.topics, directory, committed
    )
    assert manifest.files[f"{name}.coins/1.jsonl"].records == TOKENS + 1
    assert FileReader(directory).manifest == manifest
    assert audited(place, directory) == ([], [])

    own = directory / f"{name}.events" / "1.jsonl"
    own.write_bytes(b"")
    (directory / f"{name}.dlq" / "1.jsonl").write_bytes(b"")
    reseal(directory)
    cut: Any = [
        f"{name}.events[1]: the steps lead to 0 in {name}.coins[1], "
        f"toy has committed {TOKENS + 1}: the end was cut off"
    ]
    assert audited(place, directory) == (cut, cut)

"""Dead letters on a real Apache Kafka: a poison record is listed, shown and redriven once.

Goal: what a core cannot decode is neither lost nor guessed, and an operator can give it back
exactly once. Method: a toy core meets a type it does not know; its next release knows it. The
commands are the ones a person types.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from libs.events.audit import balance, scan
from libs.events.core import Core, Emit, Item, View
from libs.events.dead_letters import REDRIVEN
from libs.events.errors import Fenced, Refused, Unavailable
from libs.events.kafka import (
    KafkaAdmin,
    KafkaLog,
    KafkaProducerPort,
    KafkaReader,
    KafkaSettings,
    TopicSpec,
    TransactionalWriter,
)
from libs.events.loop import Loop
from libs.events.record import Outgoing, Record, TopicPartition
from libs.events.registry import Catalogue
from libs.events.topics import Topic, TopicTable
from services.cli import dlq, records
from services.cli.main import main
from tests.broker import kafka_bootstrap
from tests.simulation import toy

__all__ = ["kafka_bootstrap"]
pytestmark = pytest.mark.kafka
PARTITIONS = 2
ALIEN = (
    ("ce_type", b"edge.token_dropped.v1"),
    ("ce_id", b"edge/1"),
    ("ce_source", b"edge"),
    ("ce_time", b"2026-01-01T00:00:00Z"),
    ("ce_subject", b"box"),
    ("x-odd", b"\xfe"),
)
VALUE = b'{"worth_fen": 250}'


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenDropped:
    """What only the next release of the toy knows."""

    worth_fen: int


def next_release(core: Core) -> Core:
    """The toy that takes a token for a coin."""
    catalogue = toy.catalogue.merged(Catalogue("next"))
    catalogue.reads("edge.token_dropped")(TokenDropped)

    def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
        if isinstance(item.body, TokenDropped):
            fen = item.body.worth_fen
            return [Emit(toy.CoinCounted(amount_fen=fen, total_fen=fen, at=item.at))]
        return toy.decide(view, key, item)

    return replace(core, catalogue=catalogue, decide=decide)


@dataclass
class Place:
    """A toy core with topics of its own on the broker."""

    settings: KafkaSettings
    name: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:8]}")

    def __post_init__(self) -> None:
        self.core = toy.make_core(
            own_topic=f"{self.name}.events",
            dlq_topic=f"{self.name}.dlq",
            inputs=(f"{self.name}.coins", f"{self.name}.calendar"),
        )
        rows = {
            f"{self.name}.coins": ("edge", "edge.coin_dropped"),
            f"{self.name}.calendar": ("clock", "clock.ticked"),
            f"{self.name}.events": ("toy", "toy.step_taken"),
            f"{self.name}.dlq": ("toy", ""),
        }
        topics = {
            name: Topic(name, "box", (writer,), (), (carried,) if carried else (), "")
            for name, (writer, carried) in rows.items()
        }
        self.table = TopicTable(topics, PARTITIONS)
        admin = KafkaAdmin(self.settings)
        admin.create(TopicSpec(name=name, partitions=PARTITIONS) for name in topics)
        places = [TopicPartition(name, n) for name in topics for n in range(PARTITIONS)]
        self.reader = KafkaReader(self.settings)
        deadline = time.monotonic() + 30
        while True:  # a broker learns of a new topic a little later than the controller
            try:
                admin.end_offsets(places)
                return
            except (Refused, Unavailable):
                assert time.monotonic() < deadline, "the topics never came"
                time.sleep(0.05)

    def write(self, topic: str, partition: int, value: bytes, headers: Any) -> int:
        producer = KafkaProducerPort(self.settings)
        try:
            return producer.append(Outgoing(topic, partition, b"box", value, headers), 30)
        finally:
            producer.close()

    def run(self, core: Core, until: Callable[[], bool]) -> None:
        log = KafkaLog(self.settings, self.name, f"{self.name}-0", core.inputs)
        loop = Loop(core, log, None, self.table.partitions)
        try:
            for _ in range(600):
                loop.step()
                if until():
                    return
            raise AssertionError("the toy never got there")
        finally:
            loop.stop()

    def records(self, topic: str, partition: int = 1) -> list[Record]:
        return list(scan(self.reader, f"{self.name}.{topic}", partition))


@pytest.fixture
def place(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    settings = KafkaSettings(
        bootstrap_servers=kafka_bootstrap,
        session_timeout_ms=6_000,
        transaction_timeout_ms=5_000,
        request_timeout_ms=20_000,
    )
    made = Place(settings)
    for module in (dlq, records):
        monkeypatch.setattr(module, "load_topics", lambda partitions=PARTITIONS: made.table)
    monkeypatch.setattr(dlq, "WRITER_ID", f"{made.name}-dlq")
    monkeypatch.setenv("GRIDLEDGER_KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    monkeypatch.setenv("GRIDLEDGER_PARTITIONS", str(PARTITIONS))
    yield made
    made.reader.close()


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    assert main(["dlq", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_poison_record_is_listed_shown_and_redriven_once(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    name = place.name
    at = place.write(f"{name}.coins", 1, VALUE, ALIEN)
    place.run(place.core, lambda: bool(place.records("dlq")))

    (row,) = run_json(capsys, "list")
    letter = row["letter"]
    assert letter == f"{name}.dlq/1/{row['offset']}"
    assert row["origin"] == f"{name}.coins/1/{at}"
    assert (row["core"], row["reason"]) == ("toy", "ce_type")
    assert "edge.token_dropped.v1" in row["error"]
    assert row["redriven_at"] == ""

    shown = run_json(capsys, "show", letter)
    assert bytes.fromhex(shown["value"]["hex"]) == VALUE
    assert shown["value"]["text"] == VALUE.decode()
    headers = [(h["name"], bytes.fromhex(h["hex"])) for h in shown["headers"]]
    assert headers == list(ALIEN)

    arguments = ["dlq", "redrive", letter, "--by", "li", "--reason", "next release"]
    assert main(arguments) == 0
    assert f"written back to {name}.coins/1" in capsys.readouterr().out
    assert main(arguments) == 2
    assert f"error: {letter} was redriven already, at " in capsys.readouterr().err

    first, again = place.records("coins")
    assert (again.key, again.value) == (first.key, first.value) == (b"box", VALUE)
    assert again.headers == (*first.headers, (REDRIVEN, letter.encode()))
    (row,) = run_json(capsys, "list", "--core", name)
    assert (row["redriven_by"], row["redriven_for"]) == ("li", "next release")

    newer = next_release(place.core)
    place.run(newer, lambda: len(place.records("events")) >= 3)
    counted = [
        r for r in place.records("events") if b"toy.coin_counted.v1" in dict(r.headers).values()
    ]
    assert len(counted) == 1
    assert dict(counted[0].headers)["ce_cause"].decode() == f"{name}.coins/1/{again.offset}/0"
    result = balance(place.reader, newer, place.table.partitions, ())
    assert (result.lost, result.doubled, result.problems) == (0, 0, [])
    assert result.verdicts["dead_lettered"] == result.verdicts["decided"] == 1


def test_a_letter_of_an_own_topic_is_not_redriven(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    """A core's state is a fold of its own topic: nobody else may write there."""
    own = f"{place.name}.events"
    reasons = (
        ("dlq.reason", b"ce_type"), ("dlq.error", b"unknown"), ("dlq.topic", own.encode()),
        ("dlq.partition", b"0"), ("dlq.offset", b"5"), ("dlq.timestamp", b"0"),
        ("dlq.group", b"toy"),
    )  # fmt: skip
    at = place.write(f"{place.name}.dlq", 0, VALUE, (*ALIEN, *reasons))
    letter = f"{place.name}.dlq/0/{at}"
    assert main(["dlq", "redrive", letter, "--by", "li", "--reason", "x"]) == 2
    assert "is a core's own-event topic and its state" in capsys.readouterr().err
    assert place.records("events", 0) == []
    assert len(place.records("dlq", 0)) == 1


def test_a_second_redrive_at_the_same_time_is_fenced(place: Place) -> None:
    """Whoever opens the writer later wins; the earlier one cannot write any more."""
    first = TransactionalWriter(place.settings, f"{place.name}-dlq")
    second = TransactionalWriter(place.settings, f"{place.name}-dlq")
    record = Outgoing(f"{place.name}.coins", 0, b"box", VALUE, ALIEN)
    with pytest.raises(Fenced):
        first.write([record])
    second.write([record])
    assert len(place.records("coins", 0)) == 1
    first.close()
    second.close()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["show", "nonsense"], "LETTER: 'nonsense' is no position (TOPIC/PARTITION/OFFSET)"),
        (["show", "{name}.dlq/x/1"], "is no position"),
        (["show", "{name}.coins/0/0"], "is no dead-letter topic"),
        (["show", "{name}.dlq/9/0"], "has 2 partitions"),
        (["show", "{name}.dlq/0/7"], "there is no dead letter at {name}.dlq/0/7"),
        (["list", "--core", "nobody"], "--core: 'nobody' has no dead letters (one of {name})"),
        (["redrive", "{name}.dlq/0/7", "--by", " ", "--reason", "x"], "--by: is empty"),
    ],
)
def test_bad_input_is_one_line(
    place: Place, capsys: pytest.CaptureFixture[str], arguments: list[str], complaint: str
) -> None:
    assert main(["dlq", *(text.format(name=place.name) for text in arguments)]) == 2
    error = capsys.readouterr().err
    assert complaint.format(name=place.name) in error
    assert error.count("\n") == 1


def test_people_read_tables_and_bytes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    reasons = (
        ("dlq.reason", b"key"), ("dlq.error", b"not UTF-8"),
        ("dlq.topic", f"{place.name}.coins".encode()), ("dlq.partition", b"0"),
        ("dlq.offset", b"5"), ("dlq.timestamp", b"0"), ("dlq.group", b"toy"),
    )  # fmt: skip
    value = "度 = kWh".encode() + b"\x00\xff" + b"0123456789"
    at = place.write(f"{place.name}.dlq", 0, value, (("x", b"\xfe"), *reasons))
    assert main(["dlq", "list"]) == 0
    assert "1 dead letters, 1 of them not redriven" in capsys.readouterr().out
    assert main(["dlq", "show", f"{place.name}.dlq/0/{at}"]) == 0
    out = capsys.readouterr().out
    assert "header      x: \\xfe\n" in out
    assert "key         box\n" in out
    assert "00000000  e5 ba a6 20 3d 20 6b 57 68 00 ff 30 31 32 33 34  |... = kWh..01234|" in out
    assert "00000010  35 36 37 38 39                                   |56789|" in out

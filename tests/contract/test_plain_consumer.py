"""A consumer with nothing but docs/asyncapi.yaml understands every record of every topic.

Goal: the catalogue is a promise to people who do not have our code; it must describe what is really
written, dead letters included, and must not accept anything else. Method: tests/plain_consumer.py
validates what simulated cores wrote, then one drawn example of every type on every topic that
carries it, then records that are wrong in one thing each.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from libs.events.asyncapi import Party, sources_of
from libs.events.audit import scan
from libs.events.codec import encode
from libs.events.dead_letters import REDRIVEN, catalogue, find_letter, letters, redrive
from libs.events.edge import EdgeProducer
from libs.events.record import Envelope, Outgoing, Record, envelope_headers
from libs.events.registry import EventType
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimReader
from libs.events.topics import EVERY, TopicTable, load_topics
from services.cli.catalogue import load_parties
from services.ingest import events as ingest
from tests.contract.bodies import bodies
from tests.plain_consumer import PlainConsumer, validate
from tests.simulation.path import EVEN, PARTITIONS, PointStory, World, daily_story, new_world

ASYNCAPI = Path(__file__).parents[2] / "docs" / "asyncapi.yaml"
TABLE = load_topics(PARTITIONS)
PARTIES = {party.name: party for party in load_parties()}
PARTIES["dlq"] = Party("dlq", catalogue)
PLAYED = ("customers.agreements", "customers.supply")
"""Topics that the simulated world writes in place of their core, without a cause."""


POISON = (
    (b"P0", b"{not json", (("ce_type", b"ingest.registers_read.v1"),)),
    (b"\xff", b"\x00\xff", (("x", b"\xfe"), ("dlq.redriven", b"an old one"))),
)
"""What two strangers wrote into `ingest.readings`: key, value, headers."""


def records_of(broker: SimBroker, topics: Iterable[str]) -> list[Record]:
    reader = SimReader(broker)
    return [
        record
        for topic in topics
        for partition in range(PARTITIONS)
        for record in scan(reader, topic, partition)
    ]


@pytest.fixture(scope="module")
def lived() -> World:
    """Five weeks of two accounts, with a silent meter, a spike, and inputs that nobody can read."""
    world = new_world(1)
    silent = PointStory("1000000001", "P0", EVEN, outages=((9, 10),))
    spiked = PointStory("1000000002", "P1", EVEN, spiked=frozenset({11}))
    for partition, (key, value, headers) in enumerate(POISON):
        world.sim.append("ingest.readings", partition, key, value, headers)
    world.live(daily_story(silent, spiked, days=35))
    return world


def test_what_cores_write_is_as_documented(lived: World) -> None:
    consumer = PlainConsumer(ASYNCAPI)
    topics = [name for name in TABLE.topics if name not in PLAYED]
    wrong = {
        (record.topic, record.value)
        for record in records_of(lived.sim.broker, topics)
        if consumer.problems(record)
    }
    assert wrong == {("ingest.readings", value) for _, value, _ in POISON}
    assert {
        ("billing.events", "billing.bill_calculated.v1"),
        ("billing.events", "billing.step_taken.v1"),
        ("calendar", "clock.ticked.v1"),
        ("ingest.dlq", "dead_letter"),
        ("ingest.events", "ingest.reading_failed.v1"),
        ("validation.dlq", "dead_letter"),
        ("validation.events", "validation.reading_rejected.v1"),
        ("validation.usage", "validation.usage_established.v1"),
    } <= consumer.seen.keys()


class SimWriter:
    """Transactions over the simulated broker: here simply all records."""

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker

    def write(self, outgoing: list[Outgoing]) -> dict[object, int]:
        for out in outgoing:
            self.broker.append(out.topic, out.partition, out.key, out.value, out.headers)
        return {}

    def close(self) -> None:
        pass


def test_a_redriven_record_and_its_trace_are_as_documented(lived: World) -> None:
    broker, reader = lived.sim.broker, SimReader(lived.sim.broker)
    letter = next(letters(reader, "validation.dlq", 0))
    redrive(
        find_letter(reader, letter.at),
        TABLE,
        reader,
        lambda: SimWriter(broker),  # type: ignore[arg-type,return-value]
        by="li",
        reason="decodable now",
        at="2026-03-01T00:00:00Z",
    )
    consumer = PlainConsumer(ASYNCAPI)
    for record in records_of(broker, ["validation.dlq"]):
        assert consumer.problems(record) == []
    assert consumer.seen["validation.dlq", "dlq.letter_redriven.v1"] == 1
    again = [r for r in records_of(broker, ["ingest.readings"]) if REDRIVEN in dict(r.headers)]
    assert [(r.partition, r.value) for r in again if r.value == letter.value] == [
        (letter.origin.partition, letter.value)
    ]


def carried() -> list[tuple[str, EventType, str]]:
    """Every (topic, type, writer) that topics.yaml promises, and the traces of redrives."""
    found = []
    for topic in TABLE.topics.values():
        names = topic.carries or ("dlq.letter_redriven",)
        for name in names:
            for source in sources_of(name, TABLE, list(PARTIES.values())):
                if source in (*topic.writers, "dlq"):
                    found.append((topic.name, PARTIES[source].catalogue.by_name[name], source))
    return found


def example_record(
    table: TopicTable, parties: dict[str, Party], topic: str, kind: EventType, body: object,
    source: str,
) -> Record:  # fmt: skip
    """A record as the writer would write it: an edge by EdgeProducer, a core with its cause."""
    party = parties[source]
    is_step = kind.name.endswith(".step_taken")
    key = "" if is_step or table.topics[topic].key == EVERY else "1000000001"
    if not party.own_topic and key:
        producer = EdgeProducer(source, party.catalogue, None, table.partitions)  # type: ignore[arg-type]
        out = producer.outgoing(topic, key, body)
        return Record(topic, out.partition, 0, out.key, out.value, out.headers)
    envelope = Envelope(
        id=f"{source}/x",
        type=kind.full_name,
        source=source,
        time="2026-01-31T16:00:00Z",
        subject=key or "0",
        cause="" if is_step or not party.own_topic else "calendar/0/7/0",
        traceparent="00-" + "a" * 32 + "-" + "b" * 16 + "-01",
        release="1.0",
    )
    return Record(topic, 0, 0, key.encode() or None, encode(body), envelope_headers(envelope))


@settings(
    max_examples=2,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)
@given(data=st.data())
def test_every_type_on_every_topic_is_as_documented(data: st.DataObject) -> None:
    """Fails also when the committed catalogue lacks a type: see test_catalogue."""
    consumer = PlainConsumer(ASYNCAPI)
    for topic, kind, source in carried():
        body = data.draw(bodies(kind.body), label=kind.full_name)
        record = example_record(TABLE, PARTIES, topic, kind, body, source)
        assert consumer.problems(record) == []
    assert {topic for topic, _ in consumer.seen} == set(TABLE.topics)


GOOD = example_record(
    TABLE, PARTIES, "ingest.readings", ingest.edge_catalogue.by_name["ingest.read_failed"],
    ingest.ReadFailed(
        order_id="o", usage_point="P", meter_no="M", day_on="2026-01-01", attempt=1,
        cause="no_reply", detail="", failed_at="2026-01-01T00:00:00Z",
    ),
    "ingest.edge",
)  # fmt: skip


CONSUMER = PlainConsumer(ASYNCAPI)


def header(name: str, value: bytes | None) -> Record:
    kept = [(other, text) for other, text in GOOD.headers if other != name]
    return replace(GOOD, headers=tuple(kept + ([(name, value)] if value is not None else [])))


@pytest.mark.parametrize(
    ("record", "complaint"),
    [
        (replace(GOOD, topic="nowhere"), "no such channel"),
        (header("ce_type", b"ingest.read_failed.v9"), "no message"),
        (header("ce_type", None), "no message"),
        (header("ce_id", None), "'ce_id' is a required property"),
        (header("ce_source", b"billing"), "'billing' is not one of ['ingest.edge']"),
        (header("ce_time", b"yesterday"), "'yesterday' does not match"),
        (header("ce_specversion", b"0.3"), "'1.0' was expected"),
        (header("x-ours", b"1"), "'x-ours' is not one of"),
        (replace(GOOD, key=None), "None is not of type 'string'"),
        (replace(GOOD, value=b"{"), "is no JSON"),
        (replace(GOOD, value=b"{}"), "'order_id' is a required property"),
        (replace(GOOD, value=GOOD.value.replace(b":1,", b':"1",')), "body['attempt']: '1' is not"),
        (replace(GOOD, topic="ingest.dlq"), "no message"),
    ],
)
def test_what_is_wrong_is_named(record: Record, complaint: str) -> None:
    assert CONSUMER.problems(GOOD) == []
    problems = CONSUMER.problems(record)
    assert len(problems) >= 1
    assert complaint in problems[0]


def test_validate_takes_records_and_a_path() -> None:
    bad = replace(GOOD, value=b"{")
    assert validate([GOOD, GOOD], ASYNCAPI) == []
    assert len(validate([GOOD, bad, bad], ASYNCAPI)) == 2

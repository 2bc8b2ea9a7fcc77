"""What commands read of a cluster: as many partitions as there are, known ids, decodable events."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.codec import Codec, encode
from libs.events.errors import BadInput, Refused
from libs.events.record import Envelope, Outgoing, envelope_headers
from libs.events.testing.simlog import SimBroker, SimReader
from services import wiring
from services.cli import bill, payments, reading
from services.cli.records import known_bodies, open_cluster
from services.ingest.events import RegistersRead
from services.ingest.events import edge_catalogue as ingest_catalogue
from services.settings import Settings

TOPICS = ("billing.events", "payments.events", "customers.supply", "ingest.readings")


@pytest.fixture
def broker() -> SimBroker:
    return SimBroker(dict.fromkeys(TOPICS, 1))


def test_another_number_of_partitions_is_told_and_nothing_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Reader:
        def __init__(self, _settings: Any) -> None:
            pass

        def partitions(self, _topic: str) -> int:
            return 4

    monkeypatch.setattr("services.cli.records.KafkaReader", Reader)
    assert open_cluster(Settings(partitions=4)) is not None
    with pytest.raises(BadInput, match=r"^GRIDLEDGER_PARTITIONS: 2 is set, .* has 4 .*\(set 4\)"):
        open_cluster(Settings(partitions=2))


def test_a_producer_never_writes_by_another_number_of_partitions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With 9 instead of 4 a reading would lie where no core looks for its usage point."""
    written: list[Outgoing] = []

    class Port:
        def __init__(self, _settings: Any) -> None:
            pass

        def partitions(self, _topic: str) -> int:
            return 4

        def append_many(self, outgoing: list[Outgoing], _timeout_s: float) -> list[int]:
            written.extend(outgoing)
            return [0] * len(outgoing)

    monkeypatch.setattr(wiring, "KafkaProducerPort", Port)
    wrong = wiring.open_producer(Settings(partitions=9), "ingest.edge", ingest_catalogue)
    with pytest.raises(BadInput, match=r"GRIDLEDGER_PARTITIONS: 9 is set, ingest.readings has 4"):
        wrong.append("ingest.readings", "P-1", registers("r1"))
    assert written == []
    right = wiring.open_producer(Settings(partitions=4), "ingest.edge", ingest_catalogue)
    assert right.append("ingest.readings", "P-1", registers("r1")) == 0
    assert len(written) == 1


def test_an_unknown_id_is_named(broker: SimBroker) -> None:
    reader = SimReader(broker)
    with pytest.raises(BadInput, match=r"^BILL: there is no bill '1-2026-01' \(see `gridledger"):
        bill.require_calculated(reader, 1, "1-2026-01")
    with pytest.raises(BadInput, match=r"^--suspense: there is no suspense 'wechat:1' \(see"):
        payments.require_suspense(reader, 1, "wechat:1")
    with pytest.raises(BadInput, match=r"^POINT: there is no usage point 'P-1' \(see `gridledger"):
        reading.require_point(reader, 1, "P-1")
    broker.append("customers.supply", 0, b"P-1", b"{}", ())
    reading.require_point(reader, 1, "P-1")


def test_what_a_core_made_a_dead_letter_is_passed_over(broker: SimBroker) -> None:
    """Anybody may write nonsense to `ingest.readings`: a bill can be explained all the same."""
    broker.append("ingest.readings", 0, b"P-1", b"\xff", ())
    kind = ingest_catalogue.by_class[RegistersRead].full_name
    headers = envelope_headers(Envelope("e", kind, "x", "2026-02-01T00:00:00Z", "P-1"))
    broker.append("ingest.readings", 0, b"P-1", b"{", headers)
    broker.append("ingest.readings", 0, b"P-1", encode(registers("r1")), headers)
    found = known_bodies(SimReader(broker), Codec(ingest_catalogue), "ingest.readings", 0)
    assert [body.reading_id for body in found] == ["r1"]


def test_damage_in_a_topic_that_a_core_owns_is_named_with_its_place(broker: SimBroker) -> None:
    broker.append("billing.events", 0, b"A", b"{}", ())
    with pytest.raises(BadInput, match=r"^billing\.events/0/0: ce_id: the header is missing \("):
        bill.held_bills(SimReader(broker), 1)


def test_a_topic_that_is_not_there_names_the_command() -> None:
    from libs.events.kafka.client import Catalogue, KafkaSettings

    class Client:
        def list_topics(self, *_: Any, **__: Any) -> Any:
            return type("Listed", (), {"topics": {}})()

    made = Catalogue(Client(), KafkaSettings(bootstrap_servers="x:1"))  # type: ignore[arg-type]
    with pytest.raises(Refused, match=r"does not exist: create it first \(`gridledger topics app"):
        made.count("billing.events")


def registers(reading_id: str) -> RegistersRead:
    return RegistersRead(
        reading_id=reading_id,
        usage_point="P-1",
        meter_no="M-1",
        kind="manual",
        source="manual",
        day_on="2026-02-12",
        read_at="2026-02-12T16:00:00Z",
        order_id="",
        registers={"1-0:1.8.0": 1},
    )

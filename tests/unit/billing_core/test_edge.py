"""What people do: publish books, look at held bills, release one, ask why a bill is what it is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import BadInput, Unavailable
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimProducerPort, SimReader, SimWriter
from services.billing import api
from services.billing.events import catalogue, edge_catalogue
from services.billing.explanation import explain_late_fee
from services.billing.payment_reactions import Allocation, PaymentCaptured, PaymentReversed
from services.billing.price_book import content_hash
from services.billing.price_book_file import BOOKS
from services.cli import bill as bill_cli
from services.cli import main as cli
from services.ingest.events import RegistersRead
from services.ingest.events import edge_catalogue as ingest_catalogue
from tests.unit.billing_core.office import (
    HOME,
    Office,
    agreement,
    home_book,
    month_of_usage,
    office,
    point,
    published,
    three_months,
    usage,
)

PARTITIONS = 2


@pytest.fixture
def broker() -> SimBroker:
    names = ("tariffs", "billing.requests", "billing.events", "ingest.readings")
    return SimBroker(dict.fromkeys(names, PARTITIONS))


def put(broker: SimBroker, known: Any, topic: str, key: str, body: Any) -> None:
    """A record as the owner of the topic writes it."""
    kind = known.type_of(body).full_name
    headers = envelope_headers(Envelope(f"e/{kind}", kind, "x", "2026-01-01T00:00:00Z", key))
    partition = partition_of(key, PARTITIONS)
    broker.append(topic, partition, key.encode(), encode(body), headers)


def put_log(broker: SimBroker, made: Office) -> None:
    for key, body in made.log:
        if key:
            put(broker, catalogue, "billing.events", key, body)


def test_a_book_is_published_to_every_partition_at_once(broker: SimBroker) -> None:
    digest = api.publish_book(SimWriter(broker, "desk"), HOME, "tariff desk", PARTITIONS)
    assert digest == content_hash(HOME)
    codec, reader = Codec(edge_catalogue), SimReader(broker)
    ids = set()
    for partition in range(PARTITIONS):
        (record,) = reader.read("tariffs", partition, 0, 9).records
        envelope = envelope_of(record.headers)
        ids.add(envelope.id)
        body = codec.decode(envelope.type, record.value)
        assert (body.book, body.content_hash, body.published_by) == (HOME, digest, "tariff desk")
        assert Office().feed(body, key="")[0].content_hash == digest
    assert len(ids) == PARTITIONS


def producer_for(broker: SimBroker) -> EdgeProducer:
    return EdgeProducer(
        api.SOURCE, edge_catalogue, SimProducerPort(broker), lambda topic: PARTITIONS
    )


def test_a_decision_goes_to_the_partition_of_its_account(broker: SimBroker) -> None:
    request_id = api.decide_release(
        producer_for(broker), "1000000001", "1000000001-2026-01", "release", "li", "fine", 3
    )
    partition = partition_of("1000000001", PARTITIONS)
    (record,) = SimReader(broker).read("billing.requests", partition, 0, 9).records
    body = Codec(edge_catalogue).decode("billing.release_decided.v1", record.value)
    assert record.key == b"1000000001"
    assert (body.request_id, body.decision, body.decided_by, body.calculation) == (
        request_id,
        "release",
        "li",
        3,
    )
    broker.down = True
    with pytest.raises(Unavailable):
        api.decide_release(producer_for(broker), "1", "1-2026-01", "release", "li", "fine")


def test_an_acceptance_goes_to_the_partition_of_its_account(broker: SimBroker) -> None:
    producer = producer_for(broker)
    request_id = api.accept_class(producer, "1000000001", "1000000001-T001", "li", "agreed")
    partition = partition_of("1000000001", PARTITIONS)
    (record,) = SimReader(broker).read("billing.requests", partition, 0, 9).records
    body = Codec(edge_catalogue).decode("billing.tariff_class_accepted.v1", record.value)
    assert record.key == b"1000000001"
    assert (body.request_id, body.audit_id) == (request_id, "1000000001-T001")
    assert (body.decided_by, body.reason) == ("li", "agreed")


# -- the command ----------------------------------------------------------------------------------


def held_names(broker: SimBroker) -> list[tuple[str, int]]:
    found = bill_cli.held_bills(SimReader(broker), PARTITIONS)
    return [(each.bill_id, each.calculation) for each in found]


def test_held_bills_are_those_that_stand_and_nobody_released(broker: SimBroker) -> None:
    made = office(*month_of_usage("2026-01"))
    made.tick("2026-02-02")
    made.feed(usage("2026-01-09", 11_000, revision=2))
    made.tick("2026-02-03")
    put_log(broker, made)
    assert held_names(broker) == [("A1-2026-01", 2)]


def test_a_bill_that_was_withdrawn_is_held_no_more(broker: SimBroker) -> None:
    made = office(*month_of_usage("2026-01"))
    made.tick("2026-02-02")
    made.feed(agreement(point(), point("P2"), version=2))
    made.tick("2026-02-03")
    put_log(broker, made)
    assert held_names(broker) == []


def test_a_bill_that_waits_for_a_price_again_is_held_no_more(broker: SimBroker) -> None:
    made = office(*month_of_usage("2026-01"))
    made.tick("2026-02-02")
    without = replace(home_book(version=2), price_lists={"shop": HOME.price_lists["shop"]})
    made.feed(published(without), key="")
    made.tick("2026-02-03")
    put_log(broker, made)
    assert held_names(broker) == []


def test_a_released_bill_is_held_no_more(broker: SimBroker) -> None:
    put_log(broker, three_months())
    assert held_names(broker) == []


def test_an_invoice_is_found_with_its_rounds_and_readings(broker: SimBroker) -> None:
    made = three_months()
    made.feed(usage("2026-01-31", 12_000, revision=2, readings=("P1@2026-01-30", "late")))
    made.tick("2026-04-05")
    put_log(broker, made)
    for name in ("P1@2025-12-31", "P1@2026-01-31", "late", "P1@2026-02-28"):
        put(broker, ingest_catalogue, "ingest.readings", "P1", registers(name))
    reader = SimReader(broker)
    invoice, rounds = bill_cli.find_invoice(reader, PARTITIONS, "A1-2026-01")
    assert (invoice.total_fen, [each.correction_no for each in rounds]) == (15_500, ["A1-K001"])
    found = bill_cli.find_readings(reader, PARTITIONS, invoice)
    assert [each.reading_id for each in found] == ["P1@2025-12-31", "P1@2026-01-31"]
    found = bill_cli.find_readings(reader, PARTITIONS, invoice, rounds)
    assert [each.reading_id for each in found] == ["P1@2025-12-31", "P1@2026-01-31", "late"]
    december, none = bill_cli.find_invoice(reader, PARTITIONS, "A1-2025-12")
    assert (december.month, none) == ("2025-12", [])
    with pytest.raises(BadInput, match=r"INVOICE: 'A1-2031-01' was not issued"):
        bill_cli.find_invoice(reader, PARTITIONS, "A1-2031-01")


def test_an_invoice_is_found_with_the_fees_of_its_late_payments(broker: SimBroker) -> None:
    made = three_months()
    parts = (
        Allocation(invoice_no="A1-2026-01", amount_fen=15_500),
        Allocation(invoice_no="A1-2026-02", amount_fen=14_000),
    )
    paid = PaymentCaptured(
        payment_id="w:1", account_no="A1", occurred_at="2026-04-28T02:00:00Z", allocations=parts
    )
    made.feed(paid, PaymentReversed(payment_id="w:1", transfer_id="", account_no="A1"))
    put_log(broker, made)
    reader = SimReader(broker)
    invoice, _ = bill_cli.find_invoice(reader, PARTITIONS, "A1-2026-01")
    fees = bill_cli.find_late_fees(reader, PARTITIONS, invoice)
    assert [fee.amount_fen for fee in fees] == [155, -155]
    assert [explain_late_fee(fee, "en") for fee in fees] == [
        "Late fee A1-L001 (due on 2026-04-18; 155.00 CNY paid on 2026-04-28, 10 days at 1 "
        "permille; split_at_year_end): 1.55 CNY",
        "Late fee A1-L003 (due on 2026-04-18; the payment was taken back; split_at_year_end): "
        "-1.55 CNY",
    ]
    assert [explain_late_fee(fee, "zh") for fee in fees] == [
        "违约金 A1-L001（应付 2026-04-18；2026-04-28 付款 155.00 元，10 天按 1‰；"
        "split_at_year_end）：1.55 元",
        "违约金 A1-L003（应付 2026-04-18；付款冲回；split_at_year_end）：-1.55 元",
    ]


def registers(reading_id: str) -> RegistersRead:
    return RegistersRead(
        reading_id=reading_id,
        usage_point="P1",
        meter_no="M1",
        kind="daily_freeze",
        source="dlt645_2007",
        day_on="2026-01-31",
        read_at="2026-01-31T16:01:00Z",
        order_id="o",
        registers={"1-0:1.8.0": 1},
    )


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["1000000001-2026-13", "--by", "li", "--reason", "x"], "BILL: '1000000001-2026-13' is no"),
        (["x-2026-01", "--by", "li", "--reason", "x"], "BILL: 'x-2026-01' is no bill"),
        (["1000000001-2026-01", "--by", " ", "--reason", "x"], "--by: is empty"),
        (["1000000001-2026-01", "--by", "li", "--reason", ""], "--reason: is empty"),
        (["1000000001-2026-01", "--by", "li"], "Missing option '--reason'"),
        (["1-2026-01", "--by", "a", "--reason", "b", "--calculation", "-1"], "--calculation"),
    ],
)
def test_a_wrong_release_is_one_line_and_status_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["bill", "release", *arguments]) == 2
    shown = capsys.readouterr().err
    assert line in shown
    assert len(shown.splitlines()) == 1


def test_a_wrong_language_or_export_is_one_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(["bill", "explain", "1-2026-01", "--language", "fr"]) == 2
    assert "--language: 'fr' is not known (zh or en)" in capsys.readouterr().err
    assert cli.main(["bill", "explain", "1-2026-01", "--from-files", str(tmp_path)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_books_are_checked_without_a_broker(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    home = str(BOOKS / "cq_residential.yaml")
    assert cli.main(["book", "check", home]) == 0
    assert capsys.readouterr().out.startswith("cq-residential@1: Chongqing, from 2012-07-01")
    assert cli.main(["book", "check", home, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == ["cq-residential@1"]
    broken = tmp_path / "broken.yaml"
    broken.write_text("kind: price_book\nid: x\n", encoding="utf-8")
    for path in (broken, tmp_path / "missing.yaml"):
        assert cli.main(["book", "check", str(path)]) == 2
        assert len(capsys.readouterr().err.splitlines()) == 1

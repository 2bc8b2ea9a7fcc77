"""`gridledger payments open-order|failures`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from libs.events.errors import BadInput
from services.cli import payments as command
from services.cli import payments_failures as failed
from services.cli import payments_order as orders
from services.cli.payments_work import events_of
from tests.unit.payments_core.asking import answer_to, at, give, open_order, states
from tests.unit.payments_core.edge_process import MemoryPort, producer_over
from tests.unit.payments_core.test_command import MemoryReader
from tests.unit.payments_core.world import A, World, received

ORDER = {
    "account": A,
    "yuan": "50.00",
    "channel": "wechat",
    "merchant": "1900000001",
    "by": "app",
    "invoices": "INV1, INV2",
    "life_min": 30,
    "sequence": "A7",
}


def run(*arguments: str) -> Any:
    return typer.main.get_command(command.app).main(list(arguments), standalone_mode=False)


def test_an_order_carries_its_account() -> None:
    body = orders.order_request(**ORDER)  # type: ignore[arg-type]
    assert (body.out_trade_no, body.amount_fen) == (f"{A}1A7", 5000)
    assert (body.invoice_nos, body.life_min) == (("INV1", "INV2"), 30)


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("account", "12", "account_no"),
        ("yuan", "0", "--yuan"),
        ("yuan", "five", "--yuan"),
        ("channel", "pos_http", "--channel"),
        ("merchant", " ", "--merchant"),
        ("by", "", "--by"),
        ("life_min", 43_201, "--life-min"),
        ("sequence", "no blanks", "sequence"),
    ],
)
def test_a_wrong_option_is_named(name: str, value: object, field: str) -> None:
    with pytest.raises(BadInput) as wrong:
        orders.order_request(**{**ORDER, name: value})  # type: ignore[arg-type]
    assert wrong.value.field == field
    assert wrong.value.fix


def test_an_order_is_written_under_its_account(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = MemoryPort()
    monkeypatch.setattr("services.cli.payments_refund.open_cluster", lambda settings: None)
    monkeypatch.setattr(
        "services.wiring.open_producer",
        lambda settings, source, catalogue: producer_over(port, source, catalogue),
    )
    given = ("--account", A, "--yuan", "50", "--channel", "alipay", "--merchant", "m", "--by", "w")
    run("open-order", *given, "--sequence", "A8", "--json")
    assert json.loads(capsys.readouterr().out)["out_trade_no"] == f"{A}1A8"
    run("open-order", *given)
    assert "opened order" in capsys.readouterr().out
    assert [record.key for record in port.taken] == [A.encode()] * 2


@pytest.fixture
def world() -> World:
    """A failed order, one that nobody paid, a declined card and two forged callbacks."""
    world = World()
    open_order(world, f"{A}1A1")
    [asked] = at(world, "2026-03-02T02:01:00Z")
    bank = {"bank_type": "ICBC_DEBIT"}
    cause = "insufficient_funds"
    give(world, states(asked, "", 0, kind="failed", code="X", cause=cause, references=bank))
    open_order(world, f"{A}1A2", channel="alipay")
    [asked] = at(world, "2026-03-02T02:02:00Z")
    give(world, answer_to(asked, "closed"))
    for number, kind in enumerate(({"failure_cause": "user_cancelled"}, {})):
        said = received(
            f"P{number}", 100, evidence_id=f"p{number}", kind="failed", channel="pos_http",
            references=kind,
        )  # fmt: skip
        world.take(said)
    for name in ("f1", "f2"):
        world.take(received(evidence_id=name, verdict="refused", cause="signature_invalid"))
    world.run()
    return world


def test_failures_are_counted_by_day_channel_bank_and_cause(world: World) -> None:
    events = [
        ("2026-03-02T02:00:00Z", body)
        for _, body in events_of(MemoryReader(world), world.partitions)
    ]
    found = failed.failures_of(events, failed.COLUMNS)
    day = "2026-03-02"
    assert [(f.day_on, f.channel, f.bank, f.kind, f.cause, f.count) for f in found] == [
        (day, "alipay", "", "unpaid", "user_cancelled", 1),
        (day, "pos_http", "", "failed", "channel_declined", 1),
        (day, "pos_http", "", "failed", "user_cancelled", 1),
        (day, "wechat", "", "refused", "signature_invalid", 2),
        (day, "wechat", "ICBC_DEBIT", "failed", "insufficient_funds", 1),
    ]
    assert found[-1].orders == (f"{A}1A1",)
    by_channel = failed.failures_of(events, failed.columns_of("channel"))
    assert {(f.day_on, f.channel, f.bank) for f in by_channel} == {
        ("", "alipay", ""), ("", "pos_http", ""), ("", "wechat", "")
    }  # fmt: skip


def test_the_command_prints_both_ways(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = (MemoryReader(world), world.partitions)
    monkeypatch.setattr(failed, "open_records", lambda from_files: given)
    run("failures")
    shown = capsys.readouterr().out
    assert "insufficient_funds" in shown
    assert max(map(len, shown.splitlines())) <= 80
    run("failures", "--json", "--by", "channel")
    assert json.loads(capsys.readouterr().out)[-1]["cause"] == "signature_invalid"
    monkeypatch.setattr(failed, "open_records", lambda from_files: (MemoryReader(World()), 2))
    run("failures")
    assert capsys.readouterr().out == "no payment failed\n"


def test_a_column_that_is_none_is_named() -> None:
    with pytest.raises(BadInput, match="no column"):
        failed.columns_of("channel,payer")

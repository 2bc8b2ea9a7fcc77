"""`gridledger payments`: wrong options are named, a right binding is written under its suspense."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
import typer

from libs.events.codec import Codec, encode, envelope_of
from libs.events.errors import BadInput
from libs.events.log import Bounds, Slice
from libs.events.record import Envelope, Record, envelope_headers
from services.cli import payments as command
from services.payments.core import make_core
from services.payments.events import BindingPart, BindingRequested, edge_catalogue
from tests.unit.payments_core.edge_process import MemoryPort, producer_over
from tests.unit.payments_core.world import A, B, World, order_of, received

RIGHT = {
    "suspense_key": "wechat:T1",
    "to": (f"{A}=100.00", f"{B}=23.45"),
    "by": " wang ",
    "reason": "called",
    "request_id": "r1",
}


def run(*arguments: str) -> Any:
    return typer.main.get_command(command.app).main(list(arguments), standalone_mode=False)


def test_a_request_says_who_and_why() -> None:
    assert command.make_request(**RIGHT) == BindingRequested(  # type: ignore[arg-type]
        request_id="r1",
        suspense_key="wechat:T1",
        parts=(
            BindingPart(account_no=A, amount_fen=10000),
            BindingPart(account_no=B, amount_fen=2345),
        ),
        requested_by="wang",
        reason="called",
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"by": " "}, "--by"),
        ({"reason": ""}, "--reason"),
        ({"suspense_key": "T1"}, "--suspense"),
        ({"suspense_key": ":T1"}, "--suspense"),
        ({"suspense_key": "wechat:"}, "--suspense"),
        ({"to": (A,)}, "--to"),
        ({"to": ("12=1.00",)}, "--to"),
        ({"to": (f"{A}=x",)}, "--to"),
        ({"to": (f"{A}=1.005",)}, "--to"),
        ({"to": (f"{A}=0",)}, "--to"),
        ({"to": (f"{A}=1", f"{A}=2")}, "--to"),
    ],
)
def test_a_wrong_option_is_named(change: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as wrong:
        command.make_request(**{**RIGHT, **change})
    assert wrong.value.field == field
    assert wrong.value.fix


@pytest.mark.parametrize("as_json", [False, True])
def test_bind_writes_one_record(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    port = MemoryPort()
    world = suspended_world()
    world.own += [[], []]
    monkeypatch.setattr("services.cli.records.KafkaReader", lambda settings: MemoryReader(world))
    monkeypatch.setattr(
        "services.wiring.open_producer",
        lambda settings, source, catalogue: producer_over(port, source, catalogue),
    )
    options = ["--suspense", "wechat:T1", "--to", f"{A}=1.00", "--by", "wang", "--reason", "slip"]
    run("bind", *options, "--request-id", "r7", *(["--json"] if as_json else []))
    (record,) = port.taken
    assert (record.topic, record.key) == ("payments.notices", b"wechat:T1")
    body = Codec(edge_catalogue).decode(envelope_of(record.headers).type, record.value)
    assert (body.request_id, body.requested_by, body.reason) == ("r7", "wang", "slip")
    assert port.is_closed
    printed = capsys.readouterr().out.splitlines()[0]
    if as_json:
        assert json.loads(printed)["parts"] == [{"account_no": A, "amount_fen": 100, "round": 1}]
    else:
        assert "request r7" in printed


class MemoryReader:
    """The own events of a World as `payments.events`."""

    def __init__(self, world: World) -> None:
        self.world = world

    def partitions(self, topic: str) -> int:
        return len(self.world.own)

    def bounds(self, topic: str, partition: int) -> Bounds:
        count = len(self.world.own[partition])
        return Bounds(0, count, count)

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        catalogue = make_core().catalogue
        records = []
        for offset, (key, body) in enumerate(self.world.own[partition]):
            envelope = Envelope(str(offset), catalogue.type_of(body).full_name, "payments", "", key)
            headers = envelope_headers(envelope)
            records.append(Record(topic, partition, offset, key.encode(), encode(body), headers))
        return Slice(records[first:], len(records))


def suspended_world() -> World:
    world = World()
    notices: Sequence[tuple[str, str]] = (("T1", ""), ("T2", ""), ("T3", "PAY-3"), ("T4", ""))
    for txn, order in notices:
        world.take(received(txn, 500, order))
    world.run()
    world.bind("wechat:T1", {A: 500})
    world.take(received("T2", 500, order_of(A)))
    world.run()
    return world


def test_suspenses_that_nobody_claimed_and_nobody_bound() -> None:
    found = command.open_suspenses(MemoryReader(suspended_world()), 2)
    assert [each.suspense_key for each in found] == ["wechat:T3", "wechat:T4"]


@pytest.mark.parametrize("as_json", [False, True])
def test_the_list_of_suspenses(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    world = suspended_world()
    world.own += [[], []]
    monkeypatch.setattr("services.cli.records.KafkaReader", lambda settings: MemoryReader(world))
    run("suspense", *(["--json"] if as_json else []))
    printed = capsys.readouterr().out
    if as_json:
        assert [row["suspense_key"] for row in json.loads(printed)] == ["wechat:T3", "wechat:T4"]
    else:
        assert "wechat:T3" in printed
        assert "5.00" in printed

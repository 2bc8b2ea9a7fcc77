"""The files of the simulated gateways are read by the readers of real ones, row by row."""

from __future__ import annotations

import asyncio
import io
import json
from datetime import date, datetime
from pathlib import Path

import httpx
import pytest

from libs.events.errors import BadInput
from services.cli.payments_parse import Reading, read_mapping
from services.payments.settlement.rows import SettlementRow
from services.payments.settlement.source import SourceFile
from simulators.gateways.bills import Bill
from simulators.gateways.callbacks import Twist
from simulators.gateways.control import Control
from simulators.gateways.delivery import Delivery, Journal
from simulators.gateways.gateway import Faults, Gateways
from simulators.gateways.keys import MCHID, POS_MERCHANT, SELLER_ID, KeySet
from tests.unit.payments.server import MemoryLog

DAY = date(2026, 2, 12)
ORDER = "1000000042126010001"
MAPPING = Path(__file__).parents[3] / "docs" / "examples" / "payments" / "acquirer.yaml"
MERCHANTS = {"wechat": MCHID, "alipay": SELLER_ID, "pos": POS_MERCHANT}


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-02-{text}:00+08:00")


async def traded(keys: KeySet, base_url: str, channel: str) -> Gateways:
    """Two payments of a day, one of them silent, a refund, a forgery, and the day after."""
    async with httpx.AsyncClient(base_url=base_url, trust_env=False) as client:
        gateways = Gateways(keys, Delivery(client, Journal(None), ()), seed=1)
        paid = await gateways.pay(ORDER, 12345, channel, at("12T00:00"))
        await gateways.pay("", 10000, channel, at("12T23:59"), Faults(silent=True))
        await gateways.pay(ORDER, 777, channel, at("12T08:00"), Faults(twist=Twist(forge=True)))
        await gateways.refund(paid.txn_id, 2345, at("12T09:00"))
        await gateways.refund(paid.txn_id, 1, at("12T10:00"), outcome="CLOSED")
        await gateways.pay(ORDER, 500, channel, at("13T00:00"))
        gateways.close()
        return gateways


def rows(bill: Bill, channel: str) -> list[SettlementRow]:
    mapping = read_mapping(MAPPING) if channel == "pos" else None
    reading = Reading(channel=channel, mapping=mapping, merchant="", day_on="")
    return list(reading.rows(SourceFile(bill.name, io.BytesIO(bill.content))))


@pytest.mark.parametrize(
    ("channel", "fees"), [("wechat", (74, 60, -14)), ("alipay", (74, 60, 0)), ("pos", (47, 38, 0))]
)
def test_a_bill_has_what_happened(
    keys: KeySet, edge: tuple[MemoryLog, str], channel: str, fees: tuple[int, ...]
) -> None:
    gateways = asyncio.run(traded(keys, edge[1], channel))
    bill = gateways.bill(channel, DAY)
    assert bill is not None
    found = {(row.kind, row.amount_fen): row for row in rows(bill, channel)}
    assert list(found) == [("capture", 12345), ("refund", 2345), ("capture", 10000)]
    assert {row.merchant for row in found.values()} == {MERCHANTS[channel]}
    assert {row.day_on for row in found.values()} == {DAY.isoformat()}
    first, refund, silent = found.values()
    assert (first.fee_fen, silent.fee_fen, refund.fee_fen) == fees
    assert first.order_no == ORDER
    assert silent.order_no == ""
    assert {first.transaction, silent.transaction} < gateways.payments.keys()
    assert (refund.transaction == first.transaction) == (channel != "pos")
    assert bool(refund.refund_no) == (channel != "pos")
    assert bill.owed_fen == 12345 + 10000 - 2345 - sum(fees)
    assert SourceFile(bill.name, io.BytesIO(bill.content)).hashes()[1] == bill.sha1
    assert gateways.bill(channel, date(2026, 2, 11)) is None


def test_a_bill_over_the_control_port(keys: KeySet, edge: tuple[MemoryLog, str]) -> None:
    gateways = asyncio.run(traded(keys, edge[1], "wechat"))
    control = Control(gateways)

    def ask(**fields: str) -> dict[str, object]:
        request = {"op": "bill", "channel": "wechat", "day": "2026-02-12", **fields}
        return asyncio.run(control.answer(json.dumps(request).encode()))

    assert ask()["rows"] == 3
    assert ask(day="2026-02-01") == {"ok": True, "rows": 0}
    assert ask(day="soon") == {
        "ok": False,
        "error": "day: is no day (write it like 2026-01-31)",
    }
    assert not ask(channel="cash")["ok"]
    with pytest.raises(BadInput, match="is none of"):
        gateways.bill("cash", DAY)

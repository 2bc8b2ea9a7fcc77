"""A week of a small log about money, by both cores of payments: docs/examples/payments/log.

`python -m tests.unit.payments_core.example_log` writes that export again. On 28 January two pay,
and of one the callback is lost; the payout of the day is late. On the 29th somebody pays without
an order number, and a callback tells of a payment that WeChat never had. On the 30th 30.00 go back
to the first payer; another refund waits for its second person.
"""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from libs.events.testing.simlog import SimReader
from services.audit.files import export_topics
from services.payments import events as payments
from services.payments.refund_events import RefundDecided, RefundRequested
from services.payments.settlement.requests import BANK, TRADE
from services.payments.settlement.rows import PAYOUT, REFUND, SettlementRow
from services.payments.suspense_refund_events import SuspenseRefundRequested
from tests.simulation.test_settlement import PARTITIONS, Told, World, day, files
from tests.unit.payments_core.settling import MERCHANT, row
from tests.unit.payments_core.world import A, B, C, order_of, received

EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "payments" / "log"
TOPICS = ("payments.events", "payments.postings", "payments.settlement")
REFUND_DAY = 2
SUSPENSE = "wechat:T3"


def told() -> list[Told]:
    """What gateways, clerks and the bank said, by day."""
    paid = [
        *called("T1", 10000, A, 0),
        *called("T3", 5000, "", 1),
        *called("T4", 1200, C, 1),
        *called("T5", 9000, C, REFUND_DAY),
    ]
    first = [
        row("T1", 10000, day_on=day(0), order=order_of(A, "T1"), fee_fen=60),
        row("T2", 8000, day_on=day(0), order=order_of(B, "T2"), fee_fen=48),
    ]
    back = row(
        *("T1", 3000),
        day_on=day(REFUND_DAY),
        kind=REFUND,
        refund_no="RF1",
        order=order_of(A, "T1"),
    )
    third = [back, row("T5", 9000, day_on=day(2), order=order_of(C, "T5"), fee_fen=54)]
    return [
        *paid,
        *files(TRADE, 0, first, 1, 0),
        *files(TRADE, 1, [row("T3", 5000, day_on=day(1), fee_fen=30)], 2, 0),
        *files(TRADE, 2, third, 3, 0),
        *files(BANK, 2, [payout(2, 17892), payout(2, 4970)], 3, 0),
        *files(BANK, 5, [payout(5, 5946)], 6, 0),
        *given_back(),
    ]


def payout(number: int, amount_fen: int) -> SettlementRow:
    return row("", amount_fen, day_on=day(number), kind=PAYOUT)


def called(txn: str, amount_fen: int, account_no: str, number: int) -> list[Told]:
    """A callback of WeChat."""
    order = order_of(account_no, txn) if account_no else ""
    body = received(txn, amount_fen, order, evidence_id=txn)
    assert body.notice is not None
    notice = replace(body.notice, bill_on=day(number), occurred_at=f"{day(number)}T02:00:00Z")
    body = replace(body, notice=notice)
    return [(number, payments.edge_catalogue, "payments.notices", body.key, body)]


def given_back() -> list[Told]:
    """Two refunds, one of them decided and paid; and a part of what nobody claims."""
    fields = {"merchant": MERCHANT, "kind": "channel", "requested_by": "wang"}
    first = RefundRequested(
        refund_no="RF1",
        account_no=A,
        payment_id="wechat:T1",
        out_trade_no=order_of(A, "T1"),
        refund_fen=3000,
        reason="paid twice",
        **fields,
    )
    decided = RefundDecided(
        refund_no="RF1", account_no=A, decision="approved", person="li", reason="seen"
    )
    second = RefundRequested(
        refund_no="RF2",
        account_no=B,
        payment_id="wechat:T2",
        out_trade_no=order_of(B, "T2"),
        refund_fen=1000,
        reason="moved out",
        **fields,
    )
    unclaimed = SuspenseRefundRequested(
        request_id="q1",
        suspense_key=SUSPENSE,
        amount_fen=2000,
        bank="icbc",
        bank_ref="4711",
        paid_on=day(5),
        evidence="letter 7",
        requested_by="wang",
        approved_by="li",
        reason="20.00 too much",
    )
    notice = received(
        *("T1", 10000, order_of(A, "T1")),
        evidence_id="RF1",
        kind="refund",
        refund_no="RF1",
        refund_fen=3000,
        refund_outcome="succeeded",
    )
    assert notice.notice is not None
    notice = replace(notice, notice=replace(notice.notice, bill_on=day(REFUND_DAY)))
    said = (
        *((1, A, first), (1, A, decided), (2, A, notice)),
        *((4, B, second), (5, SUSPENSE, unclaimed)),
    )
    return [(at, payments.edge_catalogue, "payments.notices", key, body) for at, key, body in said]


def write(directory: Path) -> None:
    """The log as an export; without commits of cores, so nothing can be audited on it."""
    world = World(1, 1)
    world.live(told(), faults=False)
    export_topics(SimReader(world.sim.broker), lambda _: PARTITIONS, list(TOPICS), directory, {})


if __name__ == "__main__":
    shutil.rmtree(EXAMPLE, ignore_errors=True)
    write(EXAMPLE)

"""Callbacks at an account: captured once, repeated, in conflict, forwarded, noted, refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.payments.allocation import Allocation, OpenDebt
from services.payments.days import add_days
from services.payments.events import (
    BalanceChanged,
    NoticeConflicted,
    NoticeNoted,
    NoticeRefused,
    NoticeRepeated,
    PaymentCaptured,
    PaymentClaimed,
    PaymentForwarded,
    PaymentSuspended,
)
from services.payments.policy import Policy
from services.payments.seen import RETENTION_DAYS
from tests.unit.payments_core.world import CLEARING, START, A, World, order_of, received


@pytest.fixture
def world() -> World:
    return World()


def test_oldest_debt_first_the_rest_is_prepaid(world: World) -> None:
    world.invoice(A, "I2", 9000, "2026-03-15")
    world.invoice(A, "I1", 3000, "2026-02-15")
    world.run()
    world.take(received("T1", 12345, order_of(A)))
    world.run()
    (captured,) = world.told(PaymentCaptured)
    assert captured.payment_id == "wechat:T1"
    assert (captured.source, captured.transfer_id) == ("callback", "")
    assert captured.allocations == (
        Allocation(invoice_no="I1", amount_fen=3000),
        Allocation(invoice_no="I2", amount_fen=9000),
    )
    assert captured.prepayment_fen == 345
    assert captured.captured_at == START
    balance = world.told(BalanceChanged)[-1]
    assert (balance.prepayment_fen, balance.receivable_fen, balance.overdue_fen) == (345, 0, 0)
    assert (balance.debts, balance.reason) == ((), "payment_captured")
    assert balance.as_of == START
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 12345},
        "prepayment": {A: 345},
        "revenue": {A: 12000},
    }
    claim = next(body for _, _, body in world.sent if isinstance(body, PaymentClaimed))
    assert (claim.account_no, claim.amount_fen, claim.clearing) == (A, 12345, CLEARING)
    world.check()


def test_a_capture_says_where_its_money_is_and_who_told_of_it(world: World) -> None:
    body = received("T1", 100, order_of(A), references={"bank_type": "ICBC_DEBIT"})
    world.take(replace(body, source="query"))
    world.run()
    (captured,) = world.told(PaymentCaptured)
    told = (captured.source, captured.merchant, captured.clearing, captured.bank_type)
    assert told == ("query", "1900000001", CLEARING, "ICBC_DEBIT")


def test_a_suspense_says_where_its_money_is_and_who_told_of_it(world: World) -> None:
    body = received("T1", 100, references={"bank_type": "ICBC_DEBIT"})
    world.take(replace(body, source="query"))
    world.run()
    world.bind("wechat:T1", {A: 100})
    world.run()
    (suspended,) = world.told(PaymentSuspended)
    told = (suspended.source, suspended.merchant, suspended.clearing, suspended.bank_type)
    assert told == ("query", "1900000001", CLEARING, "ICBC_DEBIT")
    (captured,) = world.told(PaymentCaptured)
    assert (captured.source, captured.merchant, captured.clearing) == ("transfer", "", "")


def test_a_part_payment_leaves_the_rest_open(world: World) -> None:
    world.invoice(A, "I1", 3000, "2026-02-15")
    world.take(received("T1", 1000, order_of(A)))
    world.run()
    balance = world.told(BalanceChanged)[-1]
    assert balance.debts == (OpenDebt(invoice_no="I1", open_fen=2000, due_on="2026-02-15"),)
    assert balance.overdue_fen == 2000  # due on 15 February, today is 2 March
    world.check()


def test_copies_are_repeated(world: World) -> None:
    for number in range(3):
        world.take(received("T1", 500, order_of(A), evidence_id=f"ev-{number}"))
    world.run()
    assert len(world.told(PaymentCaptured)) == 1
    assert world.told(NoticeRepeated) == [
        NoticeRepeated(evidence_id="ev-1", payment_id="wechat:T1"),
        NoticeRepeated(evidence_id="ev-2", payment_id="wechat:T1"),
    ]
    assert world.account(A).prepayment_fen == 500


@pytest.mark.parametrize(
    ("amount_fen", "sequence", "currency", "field", "known", "got"),
    [
        (501, "1", "CNY", "amount_fen", "500", "501"),
        (500, "1", "USD", "currency", "CNY", "USD"),
        (500, "2", "CNY", "out_trade_no", "digest ", "digest "),
    ],
)
def test_other_content_is_a_conflict_and_no_money(
    world: World,
    amount_fen: int,
    sequence: str,
    currency: str,
    field: str,
    known: str,
    got: str,
) -> None:
    world.take(received("T1", 500, order_of(A, "1")))
    order = order_of(A, sequence)
    world.take(received("T1", amount_fen, order, evidence_id="ev-2", currency=currency))
    world.run()
    (conflict,) = world.told(NoticeConflicted)
    assert (conflict.evidence_id, conflict.payment_id) == ("ev-2", "wechat:T1")
    assert conflict.field == field
    assert conflict.known.startswith(known)
    assert conflict.received.startswith(got)
    assert conflict.known != conflict.received
    assert world.account(A).prepayment_fen == 500
    world.check()


def test_a_refused_callback_is_evidence_only(world: World) -> None:
    world.take(received(verdict="refused", cause="signature_invalid", evidence_id="ev-9"))
    assert world.run() == [
        NoticeRefused(evidence_id="ev-9", channel="wechat", cause="signature_invalid")
    ]
    assert world.events[-1][0] == "wechat:ev-9"
    assert world.ledger() == {}


@pytest.mark.parametrize("kind", ["closed", "failed", "pending", "information"])
@pytest.mark.parametrize("order", [order_of(A), ""])
def test_other_kinds_are_noted(world: World, kind: str, order: str) -> None:
    body = received("T1", 500, order, kind=kind, references={"rrn": "RRN"})
    world.take(body)
    (noted,) = world.run()
    assert isinstance(noted, NoticeNoted)
    assert (noted.kind, noted.channel_txn_id, noted.amount_fen) == (kind, "T1", 500)
    assert (noted.references, noted.reason) == ({"rrn": "RRN"}, "")
    assert world.events[-1][0] == body.key
    assert world.ledger() == {}


def test_a_refund_is_noted_with_all_that_is_needed_later(world: World) -> None:
    world.take(received("T1", 500, order_of(A)))
    world.take(
        received(
            "T1",
            500,
            order_of(A),
            kind="refund",
            evidence_id="ev-2",
            refund_no="R1",
            refund_id="W1",
            refund_fen=200,
            refund_total=True,
            refund_outcome="succeeded",
        )
    )
    world.run()
    (noted,) = world.told(NoticeNoted)
    assert (noted.kind, noted.refund_no, noted.refund_id) == ("refund", "R1", "W1")
    assert (noted.refund_fen, noted.refund_total, noted.refund_outcome) == (200, True, "succeeded")
    assert (noted.merchant, noted.bill_on) == ("1900000001", "2026-03-01")
    assert world.account(A).prepayment_fen == 300


def test_nothing_paid_is_noted(world: World) -> None:
    world.take(received("T1", 0, order_of(A)))
    (noted,) = world.run()
    assert isinstance(noted, NoticeNoted)
    assert (noted.kind, noted.reason) == ("captured", "nothing was paid")


def test_older_than_the_horizon_is_suspense_never_a_capture(world: World) -> None:
    # 2 March 2026 less 400 days is 26 January 2025, in the utility's zone.
    world.take(received("T1", 500, order_of(A), occurred_at="2025-01-25T16:00:00Z"))
    world.take(received("T2", 700, order_of(A), occurred_at="2025-01-25T15:59:59Z"))
    world.take(received("T2", 700, order_of(A), occurred_at="2025-01-25T15:59:59Z"))
    world.run()
    assert [each.payment_id for each in world.told(PaymentCaptured)] == ["wechat:T1"]
    (suspended,) = world.told(PaymentSuspended)
    assert suspended.suspense_key == "wechat:T2"
    assert (suspended.reason, suspended.account_no) == ("older_than_horizon", A)
    assert suspended.out_trade_no == order_of(A)
    assert [each.reason for each in world.told(NoticeNoted)] == ["older_than_horizon"] * 2
    assert len(world.told(NoticeRepeated)) == 1
    assert world.ledger()["suspense"] == {"wechat:T2": 700}
    world.check()


def test_what_may_be_captured_is_still_known(world: World) -> None:
    """A copy comes when business time is as late as the horizon allows: still one capture."""
    world.take(received("T1", 500, order_of(A)))
    world.run()
    days = Policy().horizon_days - 1
    world.tick(f"{add_days('2026-03-02', days)}T02:00:00Z")
    world.run()
    world.take(received("T2", 100, order_of(A)))
    world.run()
    world.take(received("T1", 500, order_of(A), evidence_id="ev-late"))
    assert [type(body) for body in world.run()] == [NoticeRepeated]
    assert days < RETENTION_DAYS


def test_beyond_the_retention_a_copy_goes_to_suspense(world: World) -> None:
    world.take(received("T1", 500, order_of(A)))
    world.run()
    world.tick(f"{add_days('2026-03-02', RETENTION_DAYS + 1)}T02:00:00Z")
    world.take(received("T2", 100, order_of(A), occurred_at="2027-05-01T00:00:00Z"))
    world.run()
    world.take(received("T1", 500, order_of(A), evidence_id="ev-late"))
    world.run()
    assert [each.payment_id for each in world.told(PaymentCaptured)] == ["wechat:T1", "wechat:T2"]
    assert world.account(A).prepayment_fen == 600
    world.check()


def test_without_a_transaction_number_copies_cannot_be_told_apart(world: World) -> None:
    world.take(received("", 500, order_of(A), evidence_id="ev-7"))
    world.run()
    forwarded = next(body for _, _, body in world.sent if isinstance(body, PaymentForwarded))
    assert forwarded.reason == "no_transaction_number"
    (suspended,) = world.told(PaymentSuspended)
    assert suspended.suspense_key == "wechat:ev-7"
    assert world.told(PaymentCaptured) == []


def test_another_channel_with_the_same_number_is_another_payment(world: World) -> None:
    world.take(received("T1", 500, order_of(A)))
    world.take(received("T1", 500, order_of(A), channel="alipay"))
    world.run()
    assert len(world.told(PaymentCaptured)) == 2
    assert world.account(A).prepayment_fen == 1000
    world.check()

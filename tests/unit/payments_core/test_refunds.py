"""Refunds that people ask for: two of them, never more than is left, every fen in its place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.payments.allocation import OpenDebt
from services.payments.days import add_days
from services.payments.events import BalanceChanged, NoticeConflicted, NoticeNoted, NoticeRepeated
from services.payments.money_back import MoneyReturned
from services.payments.refund_events import (
    RefundApproved,
    RefundClosed,
    RefundDecided,
    RefundFactRefused,
    RefundNoted,
    RefundOpened,
    RefundOrdered,
    RefundRejected,
    RefundReported,
    RefundRequested,
    RefundSucceeded,
)
from tests.unit.payments_core.world import CLEARING, A, B, World, order_of, received

T = "wechat:T1"
DAY_2 = "wechat:1900000001:2026-03-02"


@pytest.fixture
def world() -> World:
    """Account A paid 100.00: 70.00 of it settled I1, 30.00 are prepaid."""
    world = World()
    world.invoice(A, "I1", 7000, "2026-03-20")
    world.run()
    world.take(received("T1", 10000, order_of(A)))
    world.run()
    return world


def ask(world: World, refund_fen: int = 5000, **changes: Any) -> None:
    request = RefundRequested(
        refund_no="R1",
        account_no=A,
        payment_id=T,
        out_trade_no=order_of(A),
        merchant="1900000001",
        refund_fen=refund_fen,
        kind="channel",
        requested_by="wang",
        reason="paid twice",
    )
    world.feed("payments.notices", A, replace(request, **changes))
    world.run()


def decide(
    world: World, decision: str = "approved", person: str = "li", refund_no: str = "R1"
) -> None:
    body = RefundDecided(
        refund_no=refund_no, account_no=A, decision=decision, person=person, reason="seen"
    )
    world.feed("payments.notices", A, body)
    world.run()


def report(world: World, fact: str, **changes: Any) -> None:
    body = RefundReported(
        refund_no="R1", account_no=A, fact=fact, person="wang", evidence="slip 4711"
    )
    world.feed("payments.notices", A, replace(body, **changes))
    world.run()


def notice(refund_fen: int = 5000, outcome: str = "succeeded", **changes: Any) -> Any:
    fields = {"refund_no": "R1", "refund_id": "W1", "evidence_id": "ev-r", "kind": "refund"}
    body = received(
        "T1",
        10000,
        order_of(A),
        **{**fields, "refund_fen": refund_fen, "refund_outcome": outcome, **changes},
    )
    assert body.notice is not None
    return replace(body, notice=replace(body.notice, bill_on="2026-03-02"))


def take(world: World, body: Any) -> list[Any]:
    world.take(body)
    return world.run()


def test_two_people_one_decision_and_the_receivable_open_again(world: World) -> None:
    ask(world)
    ask(world)
    assert len(world.told(RefundOpened)) == 1
    assert world.account(A).refunds[0].state == "requested"
    assert world.ledger()["prepayment"] == {A: 3000}
    decide(world)
    (approved,) = world.told(RefundApproved)
    assert (approved.requested_by, approved.approved_by) == ("wang", "li")
    assert approved.prepayment_fen == 3000
    assert approved.debts == (OpenDebt(invoice_no="I1", open_fen=2000, due_on="2026-03-20"),)
    assert world.account(A).debts == approved.debts
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 10000},
        "receivable": {A: 2000},
        "refund_payable": {"R1": 5000},
        "revenue": {A: 7000},
    }
    (ordered,) = world.told(RefundOrdered)
    assert (ordered.channel, ordered.total_fen, ordered.refund_fen) == ("wechat", 10000, 5000)
    assert (ordered.merchant, ordered.out_trade_no) == ("1900000001", order_of(A))
    assert world.told(BalanceChanged)[-1].reason == "refund_approved"
    take(world, notice())
    assert take(world, notice(evidence_id="ev-copy")) == [
        NoticeRepeated(evidence_id="ev-copy", payment_id=T)
    ]
    (succeeded,) = world.told(RefundSucceeded)
    assert succeeded.by == "ev-r"
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000, DAY_2: -5000}
    assert "refund_payable" not in world.ledger()
    assert world.account(A).refunds == ()
    world.check()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"refund_fen": 10001}, "of 10000 fen captured 10000 are left"),
        ({"refund_fen": 0}, "0 fen is no amount above zero"),
        ({"account_no": B}, f"account {B} was asked under {A}"),
        ({"kind": "cash"}, "'cash' is no way to give money back"),
        ({"payment_id": ""}, "what is prepaid goes back by bank transfer"),
        ({"payment_id": "", "kind": "bank"}, "3000 fen are prepaid"),
        ({"payment_id": "wechat:T9"}, "wechat:T9 was not captured at this account"),
        ({"out_trade_no": "X"}, "wechat:T1 has another order number than X"),
    ],
)
def test_what_cannot_be_asked_for(world: World, changes: dict[str, Any], problem: str) -> None:
    ask(world, **{"refund_fen": 5000, **changes})
    (rejected,) = world.told(RefundRejected)
    assert rejected.problem == problem
    ask(world)
    decide(world)
    assert world.told(RefundApproved) == []
    assert world.told(RefundFactRefused)[-1].state == "declined"


def test_past_the_channels_time_a_bank_transfer_is_left(world: World) -> None:
    world.tick(f"{add_days('2026-03-02', 366)}T02:00:00Z")
    world.run()
    ask(world)
    assert "bank transfer" in world.told(RefundRejected)[-1].problem
    ask(world, refund_no="R2", kind="bank")
    decide(world, refund_no="R2")
    assert world.account(A).refunds[0].state == "rerouted"
    report(world, "paid", refund_no="R2")
    assert world.told(RefundFactRefused)[-1].problem == "the bank account that paid is missing"
    report(world, "paid", refund_no="R2", bank="icbc-1")
    assert world.ledger()["bank"] == {"icbc-1": -5000}
    assert "refund_payable" not in world.ledger()
    world.check()


def test_at_the_end_of_a_contract_the_balance_goes_by_bank(world: World) -> None:
    ask(world, 3000, payment_id="", kind="bank")
    decide(world)
    assert world.told(RefundOrdered)[0].channel == ""
    assert world.account(A).prepayment_fen == 0
    report(world, "closed")
    assert world.account(A).prepayment_fen == 3000
    assert "refund_payable" not in world.ledger()
    world.check()


def test_never_above_the_capture_whatever_is_asked_and_approved(world: World) -> None:
    for number in range(4):
        ask(world, 4000, refund_no=f"R{number}")
    for number in range(4):
        decide(world, refund_no=f"R{number}")
    assert [each.refund_no for each in world.told(RefundApproved)] == ["R0", "R1"]
    assert {each.problem for each in world.told(RefundRejected)} == {
        "of 10000 fen captured 2000 are left"
    }
    world.check()


def test_nobody_approves_what_they_asked_for(world: World) -> None:
    ask(world)
    decide(world, person=" Wang ")
    (refused,) = world.told(RefundFactRefused)
    assert refused.problem == "a second person must approve it"
    decide(world, decision="perhaps")
    assert world.told(RefundFactRefused)[-1].problem == "it cannot be decided now"
    decide(world, refund_no="R9")
    assert world.told(RefundFactRefused)[-1].state == "unknown"
    decide(world, decision="declined")
    assert world.told(RefundRejected)[0].problem == "declined: seen"
    assert world.account(A).refunds == ()
    world.check()


def test_abnormal_is_a_work_item_and_goes_by_bank(world: World) -> None:
    ask(world)
    decide(world)
    take(world, notice(outcome=""))
    assert world.account(A).refunds[0].state == "processing"
    take(world, notice(outcome="abnormal"))
    assert [each.state for each in world.told(RefundNoted)] == ["processing", "abnormal"]
    assert world.ledger()["refund_payable"] == {"R1": 5000}
    report(world, "abnormal")
    report(world, "rerouted")
    report(world, "paid", bank="icbc-1")
    assert world.ledger()["bank"] == {"icbc-1": -5000}
    report(world, "accepted")
    assert len(world.told(RefundSucceeded)) == 1
    take(world, notice(outcome="abnormal", evidence_id="ev-late"))
    assert world.told(RefundFactRefused)[-1].by == "ev-late"
    world.check()


def test_a_closed_refund_is_the_accounts_again(world: World) -> None:
    ask(world)
    decide(world)
    take(world, notice(outcome="closed"))
    (closed,) = world.told(RefundClosed)
    assert (closed.prepayment_fen, closed.claim_fen) == (3000, 0)
    assert [part.amount_fen for part in closed.allocations] == [2000]
    assert (world.account(A).prepayment_fen, world.account(A).debts) == (3000, ())
    ask(world, 10000, refund_no="R2")
    decide(world, refund_no="R2")
    assert len(world.told(RefundApproved)) == 2
    # It was paid all the same: nothing is left here, so it is claimed from the channel.
    take(world, notice())
    assert world.told(MoneyReturned)[0].claim_fen == 5000
    world.check()


def test_a_reversal_while_a_refund_is_under_way(world: World) -> None:
    ask(world)
    decide(world)
    take(world, received("T1", 10000, order_of(A), kind="reversed", evidence_id="ev-v"))
    assert world.told(MoneyReturned)[0].claim_fen == 5000
    report(world, "closed")
    (closed,) = world.told(RefundClosed)
    assert (closed.claim_fen, closed.prepayment_fen, closed.allocations) == (5000, 0, ())
    assert "channel_claim" not in world.ledger()
    assert world.account(A).receivable_fen == 7000
    world.check()


def test_a_person_says_it_first(world: World) -> None:
    ask(world)
    decide(world)
    report(world, "succeeded")
    assert world.told(RefundFactRefused)[0].problem == "the day of the channel's bill is missing"
    report(world, "won")
    assert "nothing that happens" in world.told(RefundFactRefused)[-1].problem
    report(world, "succeeded", refund_no="R9")
    assert world.told(RefundFactRefused)[-1].problem == "there is no refund of this number"
    report(world, "rerouted")
    assert "no way on" in world.told(RefundFactRefused)[-1].problem
    report(world, "succeeded", bill_on="2026-03-02")
    (succeeded,) = world.told(RefundSucceeded)
    assert (succeeded.by, succeeded.evidence) == ("wang", "slip 4711")
    ledger = world.ledger()
    assert ledger["channel_clearing"] == {CLEARING: 10000, DAY_2: -5000}
    report(world, "succeeded", bill_on="2026-03-02")
    assert [type(body) for body in take(world, notice())] == [NoticeNoted]
    assert world.ledger() == ledger
    world.check()


def test_paid_before_it_was_approved(world: World) -> None:
    ask(world)
    take(world, notice())
    assert "before it was approved" in world.told(RefundRejected)[0].problem
    assert world.told(MoneyReturned)[0].amount_fen == 5000
    decide(world)
    assert world.told(RefundApproved) == []
    take(world, notice(outcome="abnormal"))
    assert world.told(RefundFactRefused)[-1].problem == "the channel says what does not fit"
    world.check()


def test_paid_by_the_channel_while_the_bank_pays(world: World) -> None:
    ask(world)
    decide(world)
    report(world, "abnormal")
    report(world, "rerouted")
    take(world, notice())
    assert world.told(RefundFactRefused)[-1].fact == "succeeded"
    assert world.told(MoneyReturned)[0].amount_fen == 5000
    world.check()


def test_another_amount_of_the_channel_is_a_work_item(world: World) -> None:
    ask(world)
    decide(world)
    take(world, notice(4000))
    assert world.told(RefundFactRefused)[0].problem == "the channel gave 4000 fen, ours are 5000"
    assert world.ledger()["refund_payable"] == {"R1": 5000}


def test_alipay_tells_the_sum(world: World) -> None:
    """Ours is 50.00, and somebody gave 20.00 at the channel before; the sums say 20.00, 70.00."""
    ask(world)
    decide(world)
    take(world, notice(2000, refund_no="other", refund_total=True))
    take(world, notice(7500, refund_total=True))
    assert [each.amount_fen for each in world.told(MoneyReturned)] == [2000, 500]
    assert len(world.told(RefundSucceeded)) == 1
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000, DAY_2: -7500}
    take(world, notice(7500, refund_total=True))
    take(world, notice(6000, refund_total=True, refund_no="older"))
    take(world, notice(8000, refund_total=True))
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000, DAY_2: -8000}
    world.check()


def test_a_terminals_refund_of_ours_is_known_by_its_payment_and_amount(world: World) -> None:
    ask(world)
    decide(world)
    body = notice(refund_no="", refund_id="RRN", original_txn_id="T1")
    assert body.notice is not None
    body = replace(body, notice=replace(body.notice, channel_txn_id="T77"))
    take(world, body)
    take(world, body)
    assert len(world.told(RefundSucceeded)) == 1
    assert world.told(MoneyReturned) == []
    other = notice(4000, refund_no="", original_txn_id="T1")
    take(world, other)
    assert world.told(MoneyReturned)[0].amount_fen == 4000
    world.check()


def test_a_copy_with_another_amount_is_a_conflict(world: World) -> None:
    take(world, notice(1000))
    take(world, notice(1100, evidence_id="ev-2"))
    (conflict,) = world.told(NoticeConflicted)
    assert (conflict.field, conflict.known, conflict.received) == ("refund_fen", "1000", "1100")
    assert world.told(MoneyReturned)[0].state == "partially_refunded"


def test_what_takes_money_back_and_names_none_is_only_noted(world: World) -> None:
    take(world, received("T1", 0, order_of(A), kind="reversed", evidence_id="ev-0"))
    assert [each.kind for each in world.told(NoticeNoted)] == ["reversed"]
    assert world.told(MoneyReturned) == []

"""The same transaction under several keys: one capture stays in effect, whatever comes first."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from services.payments.allocation import OpenDebt
from services.payments.days import add_days
from services.payments.events import (
    BindingPart,
    BindingRejected,
    BindingRequested,
    NoticeConflicted,
    NoticeRepeated,
    PaymentCaptured,
    PaymentClaimed,
    PaymentReversed,
    PaymentSuspended,
    ReversalOrdered,
    SuspenseBound,
    SuspenseCancelled,
    TransferMade,
)
from services.payments.seen import RETENTION_DAYS
from services.payments.transactions import page_of
from tests.unit.payments_core.world import CLEARING, A, B, C, World, order_of, received

T = "wechat:T1"


@pytest.fixture
def world() -> World:
    return World()


def test_a_page_is_a_digest_away() -> None:
    assert page_of(T).startswith("transactions/")
    assert len(page_of(T)) == len("transactions/") + 3
    assert len({page_of(f"wechat:{number}") for number in range(2000)}) > 1500


# -- suspense -------------------------------------------------------------------------------------


def test_money_without_an_order_waits_in_suspense(world: World) -> None:
    world.take(received("T1", 10000, "PAY-1"))
    world.take(received("T1", 10000, evidence_id="ev-2"))
    suspended, repeated = world.run()
    assert isinstance(suspended, PaymentSuspended)
    assert (suspended.suspense_key, suspended.payment_id) == (T, T)
    assert (suspended.reason, suspended.out_trade_no) == ("no_order", "PAY-1")
    assert repeated == NoticeRepeated(evidence_id="ev-2", payment_id=T)
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "suspense": {T: 10000}}
    assert world.page(T).suspenses[T].parts == ()


@pytest.mark.parametrize(
    ("amount_fen", "currency", "conflict"),
    [(9999, "CNY", ("amount_fen", "10000", "9999")), (10000, "USD", ("currency", "CNY", "USD"))],
)
def test_a_row_with_other_content_is_a_conflict(
    world: World, amount_fen: int, currency: str, conflict: tuple[str, str, str]
) -> None:
    world.take(received("T1", 10000))
    world.take(received("T1", amount_fen, evidence_id="ev-2", currency=currency))
    world.run()
    (found,) = world.told(NoticeConflicted)
    assert (found.field, found.known, found.received) == conflict
    assert world.ledger()["suspense"] == {T: 10000}


def test_a_suspense_is_known_for_as_long_as_it_stands(world: World) -> None:
    world.take(received("T1", 10000))
    world.run()
    world.tick(f"{add_days('2026-03-02', RETENTION_DAYS + 40)}T02:00:00Z")
    world.run()
    world.bind(T, {"1": 1}, "r0")  # rejected, and prunes the page
    world.take(received("T1", 10000, evidence_id="ev-2"))
    world.run()
    assert len(world.told(PaymentSuspended)) == 1
    assert world.told(NoticeRepeated)[-1].evidence_id == "ev-2"
    world.check()


# -- bindings -------------------------------------------------------------------------------------


def test_bound_once_to_several_accounts(world: World) -> None:
    world.invoice(A, "I1", 3000, "2026-02-15")
    world.take(received("T1", 10000))
    world.run()
    world.bind(T, {A: 4000, B: 6000})
    world.bind(T, {A: 4000, B: 6000})  # the same request again: silent
    world.bind(T, {C: 10000}, "r2")
    world.run()
    (bound,) = world.told(SuspenseBound)
    assert (bound.bound_by, bound.reason, bound.request_id) == ("wang", "called", "r1")
    assert bound.parts == (
        BindingPart(account_no=A, amount_fen=4000),
        BindingPart(account_no=B, amount_fen=6000),
    )
    transfers = [body for _, _, body in world.sent if isinstance(body, TransferMade)]
    assert [(each.transfer_id, each.amount_fen) for each in transfers] == [
        (f"{T}/{A}", 4000),
        (f"{T}/{B}", 6000),
    ]
    captured = {each.account_no: each for each in world.told(PaymentCaptured)}
    assert captured.keys() == {A, B}
    assert (captured[A].source, captured[A].payment_id) == ("transfer", T)
    assert (captured[A].allocations[0].amount_fen, captured[A].prepayment_fen) == (3000, 1000)
    (rejected,) = world.told(BindingRejected)
    assert (rejected.request_id, rejected.problem) == ("r2", f"{T} was bound by request r1")
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 10000},
        "prepayment": {A: 1000, B: 6000},
        "revenue": {A: 3000},
    }
    world.check()


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        ({A: 9999}, "the parts are 9999 fen, in suspense are 10000"),
        ({}, "the parts are 0 fen, in suspense are 10000"),
        ({A: 10001}, "the parts are 10001 fen, in suspense are 10000"),
        ({"12345": 10000}, "'12345' is no account number"),
        ({A: 10500, B: -500}, "-500 fen for 1000000043 is no amount"),
        ({A: 10000, B: 0}, "0 fen for 1000000043 is no amount"),
    ],
)
def test_parts_that_do_not_fit_are_rejected(
    world: World, parts: dict[str, int], problem: str
) -> None:
    world.take(received("T1", 10000))
    world.bind(T, parts)
    world.bind(T, parts)
    world.run()
    (rejected,) = world.told(BindingRejected)
    assert rejected.problem.startswith(problem)
    assert world.ledger()["suspense"] == {T: 10000}
    world.bind(T, {A: 10000}, "r2")
    world.run()
    assert len(world.told(SuspenseBound)) == 1


def test_an_account_named_twice_is_rejected(world: World) -> None:
    world.take(received("T1", 10000))
    part = BindingPart(account_no=A, amount_fen=5000)
    request = BindingRequested(
        request_id="r1", suspense_key=T, parts=(part, part), requested_by="w", reason="x"
    )
    world.feed("payments.notices", T, request)
    world.run()
    assert [each.problem for each in world.told(BindingRejected)] == ["an account is named twice"]


def test_unknown_foreign_and_claimed_suspenses_are_rejected(world: World) -> None:
    world.bind("wechat:T9", {A: 1})
    world.take(received("T1", 10000, order_of(A)))
    world.run()
    world.bind(T, {B: 10000}, "r2")
    request = BindingRequested(
        request_id="r3", suspense_key="wechat:T8", parts=(), requested_by="w", reason="x"
    )
    world.feed("payments.notices", "wechat:T7", request)
    world.run()
    assert {each.request_id: each.problem for each in world.told(BindingRejected)} == {
        "r1": "no money is in suspense under wechat:T9",
        "r2": f"{T} is the payment of account {A}",
        "r3": "wechat:T8 was asked under wechat:T7",
    }


def test_a_transfer_counts_once(world: World) -> None:
    transfer = TransferMade(
        transfer_id="t1",
        account_no=A,
        payment_id=T,
        channel="wechat",
        amount_fen=500,
        occurred_at="2026-03-01T02:00:00Z",
    )
    for _ in range(3):
        world.feed("payments.transfers", A, transfer)
    world.run()
    assert len(world.told(PaymentCaptured)) == 1
    assert world.account(A).prepayment_fen == 500


def test_old_transfers_and_bound_suspenses_are_forgotten(world: World) -> None:
    world.take(received("T1", 10000))
    world.run()
    world.bind(T, {A: 10000})
    world.run()
    world.take(received("T2", 500))
    world.run()
    assert [each.transfer_id for each in world.account(A).transfers] == [f"{T}/{A}"]
    world.tick(f"{add_days('2026-03-02', RETENTION_DAYS + 1)}T02:00:00Z")
    world.run()
    world.bind("wechat:T2", {A: 500}, "r2")
    world.bind(T, {A: 10000}, "r3")
    world.run()
    assert [each.transfer_id for each in world.account(A).transfers] == [f"wechat:T2/{A}"]
    assert world.page(T).suspenses == {}
    world.check()


# -- one transaction under several keys -----------------------------------------------------------

Send = Callable[[World], None]


def callback(world: World) -> None:
    world.take(received("T1", 10000, order_of(A), evidence_id="ev-callback"))


def copy(world: World) -> None:
    world.take(received("T1", 10000, order_of(A), evidence_id="ev-copy"))


def row(world: World) -> None:
    world.take(received("T1", 10000, evidence_id="ev-row"))


def binding(world: World) -> None:
    world.bind(T, {B: 10000})


def in_effect(world: World) -> dict[str, int]:
    """What each account has of the transaction: captured less reversed."""
    found: dict[str, int] = {}
    for captured in world.told(PaymentCaptured):
        found[captured.account_no] = found.get(captured.account_no, 0) + captured.amount_fen
    for reversed_ in world.told(PaymentReversed):
        found[reversed_.account_no] -= reversed_.amount_fen
    return {account_no: amount_fen for account_no, amount_fen in found.items() if amount_fen}


@pytest.mark.parametrize("sends", list(itertools.permutations((callback, copy, row, binding))))
@pytest.mark.parametrize("seed", [None, 1, 2, 3])
def test_one_capture_in_every_order(sends: tuple[Send, ...], seed: int | None) -> None:
    """Each arrives and is decided before the next (None), or all wait and race (a seed)."""
    world = World(partitions=4)
    world.invoice(A, "IA", 4000, "2026-02-15")
    world.invoice(B, "IB", 3000, "2026-03-20")
    world.run()
    for send in sends:
        send(world)
        if seed is None:
            world.run()
    world.run(random.Random(seed) if seed is not None else None)
    assert in_effect(world) == {A: 10000}
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 10000},
        "receivable": {B: 3000},
        "prepayment": {A: 6000},
        "revenue": {A: 4000, B: 3000},
    }
    assert world.account(B).debts == (
        OpenDebt(invoice_no="IB", open_fen=3000, due_on="2026-03-20"),
    )
    assert world.page(T).suspenses == {}
    world.check()


def test_without_a_callback_the_binding_stands(world: World) -> None:
    row(world)
    world.run()
    binding(world)
    world.run()
    row(world)
    world.run()
    assert in_effect(world) == {B: 10000}


def test_bound_to_the_right_account_already(world: World) -> None:
    row(world)
    world.run()
    world.bind(T, {A: 10000})
    world.run()
    callback(world)
    world.run()
    assert in_effect(world) == {A: 10000}
    assert world.account(A).prepayment_fen == 10000
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "prepayment": {A: 10000}}
    world.check()


def test_the_claim_cancels_the_suspense_and_reverses_each_part(world: World) -> None:
    row(world)
    world.run()
    world.bind(T, {B: 6000, C: 4000})
    world.run()
    callback(world)
    world.run()
    (cancelled,) = world.told(SuspenseCancelled)
    assert (cancelled.account_no, cancelled.amount_fen) == (A, 10000)
    assert [(part.account_no, part.amount_fen) for part in cancelled.parts] == [
        (B, 6000),
        (C, 4000),
    ]
    orders = [body for _, _, body in world.sent if isinstance(body, ReversalOrdered)]
    assert [(each.account_no, each.amount_fen, each.clearing) for each in orders] == [
        (B, 6000, ""),
        (C, 4000, ""),
    ]
    assert orders[0].reason == f"the transaction is the payment of account {A}"
    assert in_effect(world) == {A: 10000}
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "prepayment": {A: 10000}}
    world.check()


def test_a_row_of_another_amount_is_cancelled_as_a_conflict(world: World) -> None:
    world.take(received("T1", 9000, evidence_id="ev-row"))
    world.run()
    callback(world)
    world.run()
    (conflict,) = world.told(NoticeConflicted)
    assert (conflict.field, conflict.known, conflict.received) == ("amount_fen", "9000", "10000")
    assert in_effect(world) == {A: 10000}
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "prepayment": {A: 10000}}


def test_the_order_number_of_a_second_account_is_a_conflict(world: World) -> None:
    callback(world)
    world.run()
    world.invoice(C, "IC", 2500, "2026-02-15")
    world.take(received("T1", 10000, order_of(C), evidence_id="ev-other"))
    world.run()
    (conflict,) = world.told(NoticeConflicted)
    assert conflict == NoticeConflicted(
        evidence_id="ev-other", payment_id=T, field="account_no", known=A, received=C
    )
    (reversed_,) = world.told(PaymentReversed)
    assert (reversed_.account_no, reversed_.prepayment_fen) == (C, 7500)
    # What the capture had settled is owed in the name of the reversal, due in 30 days.
    assert reversed_.debts == (
        OpenDebt(invoice_no=f"{T}/{C}/claim/reversal", open_fen=2500, due_on="2026-04-01"),
    )
    assert in_effect(world) == {A: 10000}
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 10000},
        "receivable": {C: 2500},
        "prepayment": {A: 10000},
        "revenue": {C: 2500},
    }
    world.check()


def test_bound_to_an_account_whose_own_claim_comes_second(world: World) -> None:
    """C has the transaction twice, by transfer and by callback: both are taken back."""
    row(world)
    world.run()
    world.bind(T, {B: 6000, C: 4000})
    world.run()
    callback(world)
    world.run()
    world.take(received("T1", 10000, order_of(C), evidence_id="ev-other"))
    world.run()
    assert len(world.told(PaymentReversed)) == 3
    assert in_effect(world) == {A: 10000}
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "prepayment": {A: 10000}}
    world.check()


def test_a_claim_repeated_by_its_own_account_is_silent(world: World) -> None:
    callback(world)
    world.run()
    claim = next(body for _, _, body in world.sent if isinstance(body, PaymentClaimed))
    world.feed("payments.notices", T, claim)
    assert world.run() == []


# -- reversals ------------------------------------------------------------------------------------


def order_reversal(world: World, amount_fen: int = 10000, transfer_id: str = f"{T}/{B}") -> None:
    order = ReversalOrdered(
        reversal_id="rev-1",
        account_no=B,
        payment_id=T,
        transfer_id=transfer_id,
        clearing="",
        amount_fen=amount_fen,
        reason="test",
    )
    world.feed("payments.transfers", B, order)


def bound_to_b(world: World) -> None:
    """B owes 3000 (due in March) and 4000 (due in April); the transfer settles both."""
    world.invoice(B, "I1", 3000, "2026-03-20")
    world.invoice(B, "I2", 4000, "2026-04-20")
    row(world)
    world.run()
    binding(world)
    world.run()
    assert world.account(B).prepayment_fen == 3000


def test_a_reversal_reopens_what_the_transfer_settled(world: World) -> None:
    bound_to_b(world)
    order_reversal(world)
    order_reversal(world)
    world.run()
    (reversed_,) = world.told(PaymentReversed)
    assert reversed_.prepayment_fen == 3000
    assert world.account(B).debts == (
        OpenDebt(invoice_no="I1", open_fen=3000, due_on="2026-03-20"),
        OpenDebt(invoice_no="I2", open_fen=4000, due_on="2026-04-20"),
    )
    assert world.account(B).transfers == ()
    world.check()


def test_money_that_came_since_keeps_the_oldest_debt_settled(world: World) -> None:
    bound_to_b(world)
    world.take(received("T5", 3500, order_of(B)))
    world.run()
    order_reversal(world)
    world.run()
    # Without the transfer, 3500 had settled I1 and 500 of I2.
    assert world.account(B).debts == (
        OpenDebt(invoice_no="I2", open_fen=3500, due_on="2026-04-20"),
    )
    world.check()


def test_what_a_later_invoice_used_up_is_owed_in_the_name_of_the_reversal(world: World) -> None:
    bound_to_b(world)
    world.invoice(B, "I3", 1000, "2026-05-20")
    world.run()
    order_reversal(world)
    world.run()
    assert world.account(B).debts == (
        OpenDebt(invoice_no="I1", open_fen=3000, due_on="2026-03-20"),
        OpenDebt(invoice_no="rev-1", open_fen=1000, due_on="2026-04-01"),
        OpenDebt(invoice_no="I2", open_fen=4000, due_on="2026-04-20"),
    )
    world.check()


def test_a_debt_that_is_partly_open_grows_again(world: World) -> None:
    world.invoice(B, "I1", 15000, "2026-03-20")
    row(world)
    world.run()
    binding(world)
    world.run()
    assert world.account(B).receivable_fen == 5000
    order_reversal(world)
    world.run()
    assert world.account(B).debts == (
        OpenDebt(invoice_no="I1", open_fen=15000, due_on="2026-03-20"),
    )
    world.check()


def test_enough_prepaid_reopens_nothing(world: World) -> None:
    bound_to_b(world)
    world.take(received("T5", 7000, order_of(B)))
    world.run()
    order_reversal(world)
    world.run()
    assert world.account(B).debts == ()
    assert world.account(B).prepayment_fen == 0
    world.check()


def test_a_reversal_before_its_transfer_comes_out_even(world: World) -> None:
    order_reversal(world, 500)
    world.run()
    assert world.account(B).receivable_fen == 500
    transfer = TransferMade(
        transfer_id=f"{T}/{B}",
        account_no=B,
        payment_id=T,
        channel="wechat",
        amount_fen=500,
        occurred_at="2026-03-01T02:00:00Z",
    )
    world.feed("payments.transfers", B, transfer)
    world.run()
    assert world.account(B).receivable_fen == 0
    assert world.account(B).prepayment_fen == 0
    world.check()

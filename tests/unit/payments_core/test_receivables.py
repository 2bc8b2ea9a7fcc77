"""Invoices, corrections, openings and overdue debts."""

from __future__ import annotations

import pytest

from libs.events.core import Item, Tick
from services.payments.allocation import Allocation, OpenDebt
from services.payments.decide import decide, due
from services.payments.events import (
    AccountOverdue,
    BalanceChanged,
    CreditTaken,
    PaymentReversed,
    PrepaymentOpened,
    ReceivableOpened,
    ReversalOrdered,
)
from services.payments.state import Entry
from tests.unit.payments_core.world import START, A, World, order_of, received


@pytest.fixture
def world() -> World:
    return World()


def test_an_invoice_takes_what_is_prepaid(world: World) -> None:
    world.take(received("T1", 1000, order_of(A)))
    world.run()
    world.invoice(A, "I1", 700, "2026-03-20")
    world.invoice(A, "I2", 700, "2026-04-20")
    world.run()
    first, second = world.told(ReceivableOpened)
    assert (first.amount_fen, first.prepayment_fen) == (700, 700)
    assert (second.amount_fen, second.prepayment_fen) == (700, 300)
    balance = world.told(BalanceChanged)[-1]
    assert (balance.prepayment_fen, balance.receivable_fen) == (0, 400)
    assert balance.reason == "receivable_opened"
    assert world.account(A).debts == (OpenDebt(invoice_no="I2", open_fen=400, due_on="2026-04-20"),)
    world.check()


def test_an_invoice_counts_once_also_when_it_is_settled(world: World) -> None:
    world.invoice(A, "I1", 700, "2026-03-20")
    world.invoice(A, "I1", 700, "2026-03-20")
    world.take(received("T1", 700, order_of(A)))
    world.run()
    world.invoice(A, "I1", 700, "2026-03-20")
    assert world.run() == []
    assert len(world.told(ReceivableOpened)) == 1
    assert world.account(A).debts == ()


def test_nothing_to_pay_books_nothing(world: World) -> None:
    world.invoice(A, "I1", 0, "2026-03-20")
    world.correction(A, "K1", 0, "2026-03-20")
    assert world.run() == []


def test_an_invoice_below_zero_is_a_credit(world: World) -> None:
    world.invoice(A, "I1", 300, "2026-03-20")
    world.invoice(A, "I2", -500, "2026-04-20")
    world.invoice(A, "I2", -500, "2026-04-20")
    world.run()
    (credit,) = world.told(CreditTaken)
    assert (credit.correction_no, credit.amount_fen, credit.prepayment_fen) == ("I2", 500, 200)
    assert credit.allocations == (Allocation(invoice_no="I1", amount_fen=300),)
    assert world.ledger() == {"prepayment": {A: 200}, "revenue": {A: -200}}
    assert world.told(BalanceChanged)[-1].reason == "credit_taken"
    world.check()


def test_corrections_are_debts_and_credits_of_their_own(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.correction(A, "K1", 250, "2026-04-20")
    world.correction(A, "K2", -1100, "2026-05-20")
    world.correction(A, "K2", -1100, "2026-05-20")
    world.run()
    assert [each.invoice_no for each in world.told(ReceivableOpened)] == ["I1", "K1"]
    (credit,) = world.told(CreditTaken)
    assert credit.allocations == (
        Allocation(invoice_no="I1", amount_fen=1000),
        Allocation(invoice_no="K1", amount_fen=100),
    )
    assert world.account(A).debts == (OpenDebt(invoice_no="K1", open_fen=150, due_on="2026-04-20"),)
    world.check()


# -- openings -------------------------------------------------------------------------------------


def test_an_opening_brings_debts_and_prepayment_once(world: World) -> None:
    debts = [("O2", 400, "2026-02-20"), ("O1", 300, "2026-01-20")]
    for _ in range(2):
        world.opening(A, debts, 500)
    world.run()
    assert [each.invoice_no for each in world.told(ReceivableOpened)] == ["O1", "O2"]
    assert {each.opening_id for each in world.told(ReceivableOpened)} == {"open-1"}
    (opened,) = world.told(PrepaymentOpened)
    # Money of the account pays its debts, also money brought along.
    assert opened.allocations == (
        Allocation(invoice_no="O1", amount_fen=300),
        Allocation(invoice_no="O2", amount_fen=200),
    )
    assert (opened.amount_fen, opened.prepayment_fen) == (500, 0)
    assert len(world.told(BalanceChanged)) == 1
    assert world.ledger() == {"receivable": {A: 200}, "opening": {A: 200}}
    world.check()


def test_an_opening_with_prepayment_only(world: World) -> None:
    world.opening(A, [], 500)
    world.opening(A, [], 500)
    world.run()
    assert world.account(A).prepayment_fen == 500
    assert world.ledger() == {"prepayment": {A: 500}, "opening": {A: -500}}


def test_an_opening_with_nothing_is_silent(world: World) -> None:
    world.opening(A, [], 0)
    assert world.run() == []


def test_money_may_come_before_the_opening(world: World) -> None:
    world.take(received("T1", 350, order_of(A)))
    world.run()
    world.opening(A, [("O1", 300, "2026-01-20"), ("O2", 400, "2026-02-20")], 0)
    world.run()
    assert [each.prepayment_fen for each in world.told(ReceivableOpened)] == [300, 50]
    assert world.account(A).receivable_fen == 350
    world.check()


def test_an_old_number_used_again_is_another_debt(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.run()
    world.opening(A, [("I1", 300, "2026-01-20")], 0)
    world.run()
    assert [debt.invoice_no for debt in world.account(A).debts] == ["open-1/I1", "I1"]
    assert world.account(A).receivable_fen == 1300
    world.check()


# -- overdue --------------------------------------------------------------------------------------


def test_told_once_from_the_day_after_the_due_date(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.invoice(A, "I2", 500, "2026-03-25")
    world.run()
    world.tick("2026-03-20T15:59:59Z")  # a second before midnight in Shanghai
    assert world.run() == []
    world.tick("2026-03-20T16:00:00Z")
    (overdue,) = world.run()
    assert isinstance(overdue, AccountOverdue)
    assert overdue.invoice_nos == ("I1",)
    assert (overdue.overdue_fen, overdue.oldest_due_on) == (1000, "2026-03-20")
    assert [debt.invoice_no for debt in overdue.debts] == ["I1", "I2"]
    assert overdue.as_of == "2026-03-20T16:00:00Z"
    world.tick("2026-03-21T16:00:00Z")
    assert world.run() == []
    world.tick("2026-03-25T16:00:00Z")
    (second,) = world.run()
    assert isinstance(second, AccountOverdue)
    assert (second.invoice_nos, second.overdue_fen) == (("I2",), 1500)
    assert world.account(A).told == ("I1", "I2")
    world.check()


def test_on_its_due_date_a_debt_is_not_overdue(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-01")
    world.invoice(A, "I2", 500, "2026-03-02")  # today
    world.run()
    assert world.told(BalanceChanged)[-1].overdue_fen == 1000
    world.tick("2026-03-02T15:59:00Z")
    (overdue,) = world.run()
    assert isinstance(overdue, AccountOverdue)
    assert (overdue.invoice_nos, overdue.overdue_fen) == (("I1",), 1000)


def test_a_tick_that_jumps_tells_all_at_once(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.invoice(A, "I2", 500, "2026-03-25")
    world.run()
    world.tick("2026-06-01T00:00:00Z")
    (overdue,) = world.run()
    assert isinstance(overdue, AccountOverdue)
    assert (overdue.invoice_nos, overdue.overdue_fen) == (("I1", "I2"), 1500)


def test_a_debt_that_comes_late_is_told_at_the_next_tick(world: World) -> None:
    world.opening(A, [("O1", 300, "2026-01-20")], 0)
    world.run()
    assert world.told(AccountOverdue) == []
    assert world.told(BalanceChanged)[-1].overdue_fen == 300
    world.tick("2026-03-02T02:01:00Z")
    (overdue,) = world.run()
    assert isinstance(overdue, AccountOverdue)
    assert overdue.invoice_nos == ("O1",)


def test_a_settled_debt_is_not_told_and_a_reopened_one_is_told_again(world: World) -> None:
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.take(received("T1", 1000))
    world.run()
    world.tick("2026-03-21T00:00:00Z")
    world.run()
    assert len(world.told(AccountOverdue)) == 1
    world.bind("wechat:T1", {A: 1000})
    world.run()
    assert world.account(A).told == ()
    order = ReversalOrdered(
        reversal_id="rev-1",
        account_no=A,
        payment_id="wechat:T1",
        transfer_id=f"wechat:T1/{A}",
        clearing="",
        amount_fen=1000,
        reason="test",
    )
    world.feed("payments.transfers", A, order)
    world.run()
    assert len(world.told(PaymentReversed)) == 1
    world.tick("2026-03-22T00:00:00Z")
    world.run()
    assert [each.invoice_nos for each in world.told(AccountOverdue)] == [("I1",), ("I1",)]


def test_a_tick_for_an_account_that_owes_nothing_is_silent(world: World) -> None:
    tick = Item("calendar", 0, "", "clock.ticked.v1", Tick(at=START), START)
    assert decide(world.folds[0], A, tick) == []


def test_due_is_the_end_of_the_earliest_due_date_not_told(world: World) -> None:
    assert due(Entry()) == ""
    world.invoice(A, "I2", 500, "2026-03-25")
    world.invoice(A, "I1", 1000, "2026-03-20")
    world.run()
    assert due(Entry(account=world.account(A))) == "2026-03-20T16:00:00Z"
    world.tick("2026-03-20T16:00:00Z")
    world.run()
    assert due(Entry(account=world.account(A))) == "2026-03-25T16:00:00Z"
    world.tick("2026-03-25T16:00:00Z")
    world.run()
    assert due(Entry(account=world.account(A))) == ""


# -- late fees ------------------------------------------------------------------------------------


def test_a_late_fee_is_a_debt_with_an_income_of_its_own_once(world: World) -> None:
    world.invoice(A, "I1", 10_000, "2026-02-18")
    world.late_fee(A, "A-L001", 155, "2026-03-16")
    world.late_fee(A, "A-L001", 155, "2026-03-16")
    world.late_fee(A, "A-L002", 0, "2026-03-16")
    world.run()
    assert [(debt.invoice_no, debt.open_fen) for debt in world.account(A).debts] == [
        ("I1", 10_000),
        ("A-L001", 155),
    ]
    assert world.ledger()["late_fee"] == {A: 155}
    assert world.ledger()["revenue"] == {A: 10_000}
    world.check()


def test_a_late_fee_that_was_paid_and_is_given_back_is_prepaid(world: World) -> None:
    world.late_fee(A, "A-L001", 155, "2026-03-16")
    world.run()
    world.take(received("T1", 155, order_of(A)))
    world.late_fee(A, "A-L002", -155, "2026-03-20")
    world.run()
    assert (world.account(A).debts, world.account(A).prepayment_fen) == ((), 155)
    assert "late_fee" not in world.ledger()
    world.check()

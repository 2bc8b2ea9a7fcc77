"""What is owed for feed-in: opened, lowered, paid out and set off; never netted by itself."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.payments.allocation import Allocation, OpenDebt
from services.payments.events import BalanceChanged, ClearanceGranted, ClearanceWithdrawn
from services.payments.payable_events import (
    PayableLowered,
    PayableOpened,
    PayableSettled,
    PayoutRejected,
)
from tests.unit.payments_core.world import A, World, order_of, received


@pytest.fixture
def world() -> World:
    return World()


def paid(name: str, fen: int) -> Allocation:
    return Allocation(invoice_no=name, amount_fen=fen)


def test_a_statement_is_a_payable_and_settles_no_debt(world: World) -> None:
    world.invoice(A, "I1", 700, "2026-03-20")
    world.state_feed_in(A, "F1", 500)
    world.state_feed_in(A, "F1", 500)
    world.run()
    (opened,) = world.told(PayableOpened)
    assert (opened.amount_fen, opened.recovered_fen, opened.netting) == (500, 0, "none")
    balance = world.told(BalanceChanged)[-1]
    assert (balance.payable_fen, balance.receivable_fen, balance.prepayment_fen) == (500, 700, 0)
    assert balance.reason == "payable_opened"
    assert world.ledger()["payable_feed_in"] == world.ledger()["feed_in_cost"] == {A: 500}
    world.check()


def test_nothing_fed_in_books_nothing(world: World) -> None:
    world.state_feed_in(A, "F1", 0)
    world.correct_feed_in(A, "K1", 0)
    assert world.run() == []


def test_money_of_the_account_pays_its_debts_only(world: World) -> None:
    world.state_feed_in(A, "F1", 500)
    world.take(received("T1", 1000, order_of(A)))
    world.run()
    assert (world.account(A).payable_fen, world.account(A).prepayment_fen) == (500, 1000)
    world.check()


def test_a_transfer_out_is_recorded_once(world: World) -> None:
    world.state_feed_in(A, "F1", 500)
    world.pay_out(A, "F1", 200)
    world.pay_out(A, "F1", 200)
    world.pay_out(A, "F1", 300, request_id="p2", bank_ref="B2")
    world.run()
    first, second = world.told(PayableSettled)
    assert (first.allocations, first.overpaid_fen, first.debts) == ((paid("F1", 200),), 0, ())
    assert (first.bank_ref, first.evidence, first.recorded_by) == ("B1", "slip 7", "wang")
    assert second.allocations == (paid("F1", 300),)
    assert world.account(A).payables == ()
    assert world.ledger() == {"bank": {"icbc": -500}, "feed_in_cost": {A: 500}}
    assert world.told(BalanceChanged)[-1].payable_fen == 0
    world.pay_out(A, "F1", 1, request_id="p3")
    world.run()
    assert world.told(PayoutRejected)[0].problem == "nothing is to be paid for 'F1'"
    world.check()


def test_a_correction_lowers_the_oldest_first_and_is_recovered_later(world: World) -> None:
    world.state_feed_in(A, "F2", 300, due_on="2026-04-20")
    world.state_feed_in(A, "F1", 500, due_on="2026-03-20")
    world.correct_feed_in(A, "K1", -600)
    world.correct_feed_in(A, "K2", -250)
    world.correct_feed_in(A, "K2", -250)
    world.run()
    first, second = world.told(PayableLowered)
    assert (first.allocations, first.overpaid_fen) == ((paid("F1", 500), paid("F2", 100)), 0)
    assert (second.allocations, second.overpaid_fen) == ((paid("F2", 200),), 50)
    assert world.told(BalanceChanged)[-1].payable_fen == -50
    world.state_feed_in(A, "F3", 30)
    world.state_feed_in(A, "F4", 90)
    world.run()
    assert [each.recovered_fen for each in world.told(PayableOpened)[2:]] == [30, 20]
    assert [(each.statement_no, each.open_fen) for each in world.account(A).payables] == [
        ("F4", 70)
    ]
    world.check()


def test_a_transfer_that_a_correction_overtook_is_taken(world: World) -> None:
    world.state_feed_in(A, "F1", 500)
    world.correct_feed_in(A, "K1", -60)
    world.state_feed_in(A, "F2", 40)
    world.pay_out(A, "F1", 501)
    world.pay_out(A, "F1", 500, request_id="p2")
    world.run()
    assert world.told(PayoutRejected)[0].problem == "501 fen is more than the 500 to be paid"
    (settled,) = world.told(PayableSettled)
    assert (settled.allocations, settled.overpaid_fen) == ((paid("F1", 440), paid("F2", 40)), 20)
    assert (world.account(A).payables, world.account(A).overpaid_fen) == ((), 20)
    world.check()


def test_an_offset_needs_the_word_of_the_book(world: World) -> None:
    world.invoice(A, "I1", 700, "2026-03-20")
    world.state_feed_in(A, "F1", 500)
    world.state_feed_in(A, "F2", 500, netting="offset")
    world.pay_out(A, "F1", 100, kind="offset")
    world.pay_out(A, "F2", 501, kind="offset")
    world.pay_out(A, "F2", 450, kind="offset", request_id="p3", bank="", evidence="")
    world.run()
    assert [each.problem for each in world.told(PayoutRejected)] == [
        "its price book lets it settle no debts",
        "501 fen is more than the 500 that can be set off",
    ]
    (settled,) = world.told(PayableSettled)
    assert (settled.debts, settled.allocations) == ((paid("I1", 450),), (paid("F2", 450),))
    assert world.account(A).debts == (OpenDebt(invoice_no="I1", open_fen=250, due_on="2026-03-20"),)
    world.pay_out(A, "F2", 50, kind="offset", request_id="p4")
    world.run()
    assert world.ledger()["receivable"] == {A: 200}
    world.check()


def test_more_than_is_owed_is_not_set_off(world: World) -> None:
    world.state_feed_in(A, "F1", 500, netting="offset")
    world.pay_out(A, "F1", 100, kind="offset")
    world.run()
    assert world.told(PayoutRejected)[0].problem.startswith("100 fen is more than the 0")


def test_an_offset_takes_a_clearance_back(world: World) -> None:
    world.invoice(A, "I1", 700, "2026-02-20")
    world.state_feed_in(A, "F1", 700, netting="offset")
    world.ask(A, "I1")
    world.run()
    assert len(world.told(ClearanceGranted)) == 1
    world.pay_out(A, "F1", 700, kind="offset")
    world.run()
    (withdrawn,) = world.told(ClearanceWithdrawn)
    assert withdrawn.payment_id == "p/F1"
    world.check()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"account_no": "1000000099"}, "1000000099 was asked under 1000000042"),
        ({"statement_no": "F9"}, "nothing is to be paid for 'F9'"),
        ({"amount_fen": 0}, "0 fen is no amount above zero"),
        ({"kind": "gift"}, "'gift' is no way to settle it: transfer or offset"),
        ({"bank": ""}, "a transfer needs its bank"),
        ({"evidence": ""}, "a transfer needs its evidence"),
    ],
)
def test_what_cannot_be_paid_out_is_rejected_once(
    world: World, changes: dict[str, Any], problem: str
) -> None:
    world.state_feed_in(A, "F1", 500)
    request: dict[str, Any] = {"statement_no": "F1", "amount_fen": 500, "request_id": "p1"}
    for _ in range(2):
        world.pay_out(A, **{**request, **changes})
    world.run()
    (rejected,) = world.told(PayoutRejected)
    assert (rejected.problem, rejected.request_id) == (problem, "p1")
    assert world.account(A).payable_fen == 500
    world.check()


FACTS = st.lists(
    st.one_of(
        st.tuples(st.just("stated"), st.integers(0, 5), st.integers(0, 900)),
        st.tuples(st.just("corrected"), st.integers(0, 5), st.integers(-900, 900)),
        st.tuples(st.just("transfer"), st.integers(0, 5), st.integers(1, 900)),
        st.tuples(st.just("offset"), st.integers(0, 5), st.integers(1, 900)),
        st.tuples(st.just("invoice"), st.integers(0, 5), st.integers(0, 900)),
    ),
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(FACTS)
def test_any_order_balances_and_no_number_counts_twice(facts: list[tuple[str, int, int]]) -> None:
    world = World()
    for number, (kind, name, fen) in [*enumerate(facts), *enumerate(facts)]:
        if kind == "stated":
            world.state_feed_in(A, f"F{name}", fen, netting="offset" if name % 2 else "none")
        elif kind == "corrected":
            world.correct_feed_in(A, f"K{name}", fen)
        elif kind == "invoice":
            world.invoice(A, f"I{name}", fen, "2026-03-20")
        else:
            world.pay_out(A, f"F{name}", fen, kind=kind, request_id=f"p{number}")
    world.run()
    world.check()
    stated = {}
    for kind, name, fen in facts:
        if kind in ("stated", "corrected") and (fen or (kind, name) in stated):
            stated.setdefault((kind, name), fen)
    settled_fen = sum(each.amount_fen for each in world.told(PayableSettled))
    assert world.account(A).payable_fen == sum(stated.values()) - settled_fen

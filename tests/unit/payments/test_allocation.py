"""Laws of allocation: nothing lost, oldest first, the same however it is asked."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.allocation import Allocation, OpenDebt, Spread, remaining, spread

amounts = st.integers(0, 10**9)
debts = st.lists(
    st.builds(
        OpenDebt,
        invoice_no=st.sampled_from([f"I{i}" for i in range(20)]),
        open_fen=st.integers(1, 10**8),
        due_on=st.sampled_from(["2026-01-31", "2026-02-28", "2026-03-31"]),
    ),
    unique_by=lambda debt: debt.invoice_no,
    max_size=8,
)

JANUARY = OpenDebt(invoice_no="B", open_fen=3000, due_on="2026-01-31")
FEBRUARY = OpenDebt(invoice_no="A", open_fen=9000, due_on="2026-02-28")


def test_oldest_first() -> None:
    parts = spread(10000, [FEBRUARY, JANUARY])
    assert parts == Spread(
        allocations=(
            Allocation(invoice_no="B", amount_fen=3000),
            Allocation(invoice_no="A", amount_fen=7000),
        ),
        prepayment_fen=0,
    )
    left = remaining([JANUARY, FEBRUARY], parts.allocations)
    assert left == (OpenDebt(invoice_no="A", open_fen=2000, due_on="2026-02-28"),)


def test_the_rest_is_prepaid() -> None:
    parts = spread(12500, [JANUARY, FEBRUARY])
    assert (parts.settled_fen, parts.prepayment_fen, parts.amount_fen) == (12000, 500, 12500)
    assert spread(700, []).prepayment_fen == 700
    assert spread(0, [JANUARY]) == Spread(allocations=(), prepayment_fen=0)


def test_same_day_by_invoice_number() -> None:
    twin = OpenDebt(invoice_no="A", open_fen=3000, due_on="2026-01-31")
    assert spread(1, [JANUARY, twin]).allocations[0].invoice_no == "A"


def test_wrong_amounts_are_bugs() -> None:
    with pytest.raises(AssertionError, match="never negative"):
        spread(-1, [])
    with pytest.raises(AssertionError, match="I0 is not open"):
        spread(1, [OpenDebt(invoice_no="I0", open_fen=0, due_on="2026-01-31")])


@given(amounts, debts)
def test_nothing_is_lost(amount_fen: int, open_debts: list[OpenDebt]) -> None:
    parts = spread(amount_fen, open_debts)
    assert parts.amount_fen == amount_fen
    open_fen = {debt.invoice_no: debt.open_fen for debt in open_debts}
    assert all(0 < part.amount_fen <= open_fen[part.invoice_no] for part in parts.allocations)
    total_fen = sum(open_fen.values())
    assert parts.settled_fen == min(amount_fen, total_fen)
    left_fen = sum(debt.open_fen for debt in remaining(open_debts, parts.allocations))
    assert left_fen == total_fen - parts.settled_fen


@given(amounts, debts)
def test_no_debt_is_touched_before_older_ones_are_settled(
    amount_fen: int, open_debts: list[OpenDebt]
) -> None:
    parts = spread(amount_fen, open_debts)
    oldest = sorted(open_debts, key=lambda debt: (debt.due_on, debt.invoice_no))
    touched = [part.invoice_no for part in parts.allocations]
    assert touched == [debt.invoice_no for debt in oldest[: len(touched)]]
    for part, debt in list(zip(parts.allocations, oldest, strict=False))[:-1]:
        assert part.amount_fen == debt.open_fen


@given(amounts, debts, st.randoms(use_true_random=False))
def test_order_of_the_debts_does_not_matter(
    amount_fen: int, open_debts: list[OpenDebt], chance: object
) -> None:
    shuffled = list(open_debts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert spread(amount_fen, shuffled) == spread(amount_fen, open_debts)


@given(amounts, amounts, debts)
def test_two_payments_settle_what_one_would(
    first_fen: int, second_fen: int, open_debts: list[OpenDebt]
) -> None:
    once = spread(first_fen + second_fen, open_debts)
    first = spread(first_fen, open_debts)
    after_first = remaining(open_debts, first.allocations)
    second = spread(second_fen, after_first)
    assert first.prepayment_fen + second.prepayment_fen == once.prepayment_fen
    both = first.allocations + second.allocations
    assert remaining(open_debts, both) == remaining(open_debts, once.allocations)

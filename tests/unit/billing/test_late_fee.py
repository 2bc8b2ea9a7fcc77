"""Late fees: days, rates, the two readings, the minimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.late_fee import LateFeeShare, late_fee
from services.billing.price_book import LateFeeRule

SPLIT = LateFeeRule()
WHOLE = LateFeeRule(name="whole_debt_by_age")


@pytest.mark.parametrize("rule", [SPLIT, WHOLE])
@pytest.mark.parametrize("paid_on", ["2026-01-01", "2026-01-15"])
def test_nothing_is_owed_on_what_is_paid_in_time(rule: LateFeeRule, paid_on: str) -> None:
    fee = late_fee(1_000_000, "2026-01-15", paid_on, rule, residential=False)
    assert (fee.amount_fen, fee.shares) == (0, ())


def test_a_debt_of_one_year_is_split_at_its_end() -> None:
    """Due 15 December 2021, paid 18 January 2023: 16 days at 2, 383 days at 3 permille."""
    fee = late_fee(200_000, "2021-12-15", "2023-01-18", SPLIT, residential=False)
    assert fee.shares == (
        LateFeeShare(days=16, permille=2, amount_fen=6_400),
        LateFeeShare(days=383, permille=3, amount_fen=229_800),
    )
    assert fee.amount_fen == 236_200


def test_the_last_day_of_the_year_is_still_that_year() -> None:
    for rule in (SPLIT, WHOLE):
        fee = late_fee(200_000, "2021-12-15", "2021-12-31", rule, residential=False)
        assert fee.shares == (LateFeeShare(days=16, permille=2, amount_fen=6_400),)
    fee = late_fee(200_000, "2021-12-15", "2022-01-01", WHOLE, residential=False)
    assert fee.shares == (LateFeeShare(days=17, permille=3, amount_fen=10_200),)
    fee = late_fee(200_000, "2021-12-31", "2022-01-01", SPLIT, residential=False)
    assert fee.shares == (LateFeeShare(days=1, permille=3, amount_fen=600),)


def test_a_fee_is_at_least_the_minimum_and_no_fee_stays_none() -> None:
    fee = late_fee(10_000, "2026-01-15", "2026-01-16", SPLIT, residential=True)
    assert fee.shares[0].amount_fen == 10
    assert fee.amount_fen == 100
    free = replace(SPLIT, minimum_fen=0)
    assert late_fee(10_000, "2026-01-15", "2026-01-16", free, residential=True).amount_fen == 10
    assert late_fee(0, "2026-01-15", "2026-03-16", SPLIT, residential=True).amount_fen == 0


def test_residential_debts_have_one_rate_over_the_years_end() -> None:
    fee = late_fee(100_000, "2025-12-21", "2026-01-10", SPLIT, residential=True)
    assert fee.shares == (LateFeeShare(days=20, permille=1, amount_fen=2_000),)


def test_a_credit_and_an_unknown_reading_are_bugs() -> None:
    with pytest.raises(AssertionError, match="credit"):
        late_fee(-1, "2026-01-15", "2026-01-16", SPLIT, residential=True)
    with pytest.raises(AssertionError, match="no late-fee rule"):
        late_fee(1, "2026-01-15", "2026-01-16", replace(SPLIT, name="x"), residential=False)


@given(st.integers(0, 10**9), st.integers(0, 1000), st.booleans())
def test_the_split_reading_is_never_dearer(debt: int, days: int, home: bool) -> None:
    due_on = "2020-06-30"
    paid_on = f"{2020 + days // 365}-12-{days % 28 + 1:02d}"
    split = late_fee(debt, due_on, paid_on, SPLIT, residential=home)
    whole = late_fee(debt, due_on, paid_on, WHOLE, residential=home)
    assert split.amount_fen <= whole.amount_fen

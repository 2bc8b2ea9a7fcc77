"""Household allowances by the rules of a book."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import HouseholdAllowance, HouseholdSize
from services.billing.household import allowances_of
from services.billing.price_book import LARGE_HOUSEHOLD, HouseholdRule

LARGER = HouseholdRule(allowance="seven", people_from=7)
MONTHS = tuple(f"2026-{month:02d}-01" for month in range(1, 13))


def sizes(*people: tuple[str, int]) -> tuple[HouseholdSize, ...]:
    return tuple(
        HouseholdSize(from_on=from_on, people=count, category="residential")
        for from_on, count in people
    )


def allowance(rule: str, from_on: str, until_on: str = "") -> HouseholdAllowance:
    return HouseholdAllowance(rule=rule, from_on=from_on, until_on=until_on)


def test_a_book_that_says_nothing_has_an_allowance_from_five_people_on() -> None:
    grown = sizes(("2026-01-01", 4), ("2026-03-01", 5), ("2026-04-01", 6), ("2026-09-01", 4))
    large = allowance("large_household", "2026-03-01", "2026-09-01")
    assert allowances_of(grown, (LARGE_HOUSEHOLD,), "2026-04-01") == (large,)
    assert allowances_of(grown, (LARGE_HOUSEHOLD,), "2026-03-01") == ()
    assert allowances_of(grown, (), "2026-04-01") == ()


def test_every_rule_that_fits_gives_its_own() -> None:
    grown = sizes(("2026-01-01", 5), ("2026-02-01", 7))
    assert allowances_of(grown, (LARGE_HOUSEHOLD, LARGER), "2026-12-01") == (
        allowance("large_household", "2026-01-01"),
        allowance("seven", "2026-02-01"),
    )


def test_a_rule_counts_for_its_category() -> None:
    shop = HouseholdSize(from_on="2026-01-01", people=9, category="non_residential")
    assert allowances_of((shop,), (LARGE_HOUSEHOLD,), "2026-12-01") == ()
    rule = HouseholdRule(allowance="staff", people_from=9, category="non_residential")
    assert allowances_of((shop,), (rule,), "2026-12-01") == (allowance("staff", "2026-01-01"),)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_the_allowances_cover_exactly_the_months_with_enough_people(people: list[int]) -> None:
    found = allowances_of(
        sizes(*zip(MONTHS, people, strict=False)), (LARGE_HOUSEHOLD,), "2027-01-01"
    )
    for month, count in zip(MONTHS, people, strict=False):
        covered = [
            each
            for each in found
            if each.from_on <= month and (not each.until_on or month < each.until_on)
        ]
        assert len(covered) == (count >= 5)

"""Household allowances in the core: who has one is said by the book of the month.

The list costs 0.50 a kWh and 0.10 more above 200 kWh a month, above 300 for a large household; P1
uses 310 kWh in January.
"""

from __future__ import annotations

import pytest

from services.billing.events import CorrectionIssued, CorrectionWithheld, InvoiceIssued
from services.billing.price_book import LARGE_HOUSEHOLD, HouseholdRule, PriceBook
from tests.unit.billing.builders import book, price_list, tiers
from tests.unit.billing_core.office import (
    Office,
    agreement,
    month_of_usage,
    published,
    release,
    terms,
)

PLAIN_FEN, LARGE_FEN = 15_500 + 1_100, 15_500 + 100
FOUR = HouseholdRule(allowance="large_household", people_from=4)
HOME = price_list(
    code="home",
    category="residential",
    tiers=tiers("month", (200,), ("0.10",), allowances={"large_household": (100_000,)}),
)


def billed(tariff: PriceBook, people: int) -> Office:
    made = Office()
    made.feed(published(tariff), agreement(rows=[terms(household_size=people)]))
    made.feed(*month_of_usage("2026-01"))
    made.tick("2026-02-02T16:00:00Z")
    made.feed(release())
    return made


@pytest.mark.parametrize(
    ("rules", "people", "total_fen"),
    [
        ((LARGE_HOUSEHOLD,), 4, PLAIN_FEN),
        ((LARGE_HOUSEHOLD,), 5, LARGE_FEN),
        ((FOUR,), 4, LARGE_FEN),
        ((), 9, PLAIN_FEN),
    ],
)
def test_the_book_says_who_is_a_large_household(
    rules: tuple[HouseholdRule, ...], people: int, total_fen: int
) -> None:
    made = billed(book(HOME, household_rules=rules), people)
    (invoice,) = made.of(InvoiceIssued)
    assert invoice.total_fen == total_fen
    made.check_folds()


def test_a_household_that_was_told_wrong_is_corrected_where_it_matters() -> None:
    made = billed(book(HOME), 3)
    made.feed(agreement(version=2, rows=[terms(household_size=4)]))
    made.tick("2026-02-05")
    assert [each.is_needless for each in made.of(CorrectionWithheld)] == [True]
    made.feed(agreement(version=3, rows=[terms(household_size=5)]))
    made.tick("2026-02-06")
    (done,) = made.of(CorrectionIssued)
    assert (done.cause, done.difference_fen) == ("wrong_agreement", LARGE_FEN - PLAIN_FEN)
    made.check_folds()


def test_another_rule_of_the_next_book_moves_the_bills_it_prices() -> None:
    made = billed(book(HOME), 4)
    made.feed(published(book(HOME, version=2, household_rules=(FOUR,))))
    made.tick("2026-02-05")
    (done,) = made.of(CorrectionIssued)
    assert (done.cause, done.difference_fen) == ("book_superseded", LARGE_FEN - PLAIN_FEN)

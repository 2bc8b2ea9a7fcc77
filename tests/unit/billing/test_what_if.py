"""What if: bills under other books, counted without keeping any of them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.bill import Bill, RatingPart
from services.billing.rating import rate_parts
from services.billing.what_if import Comparison, Tally, ever_in_force, rated_under, three_digits
from tests.unit.billing.builders import (
    book,
    component,
    point_terms,
    point_usage,
    price_list,
    terms,
    usage,
)


def part(**changes: Any) -> RatingPart:
    """100 kWh at 0.5."""
    return RatingPart(usage(), book(), terms(**changes))


def bill_of(total_fen: int) -> Bill:
    return replace(rate_parts([part()]), total_fen=total_fen)


def tally(*changes_fen: int) -> Tally:
    made = Tally()
    for change_fen in changes_fen:
        made.add(10_000, 10_000 + change_fen)
    return made


def test_a_book_takes_the_place_of_the_one_with_its_id() -> None:
    """Whenever it is in force; the agreement names the book that it is rated by."""
    dearer = book(price_list(component(price="0.7")), version=2, from_on="2030-01-01")
    other = book(price_list(component(price="0.9")), id="other")
    for books in ([dearer], [other, dearer], [dearer, other]):
        again = rated_under([part()], {}, ever_in_force(books))
        assert again is not None
        assert (again.total_fen, again.withheld) == (7_000, False)
    again = rated_under([part()], {}, ever_in_force([other]))
    assert again is not None
    assert (again.total_fen, again.books[0].id) == (9_000, "other")


@pytest.mark.parametrize(
    "other",
    [
        book(id="other", region="Elsewhere"),
        book(price_list(code="another"), id="other"),
    ],
)
def test_a_book_that_does_not_price_a_bill_leaves_it_alone(other: Any) -> None:
    assert rated_under([part()], {}, ever_in_force([other])) is None
    assert rated_under([part()], {}, []) is None


def test_only_the_parts_of_the_book_are_priced_otherwise() -> None:
    """15 days in each of two books of other lists."""
    parts = []
    for name, from_on, until_on in (("a", "01-01", "01-16"), ("b", "01-16", "02-01")):
        days = {"from_on": f"2026-{from_on}", "until_on": f"2026-{until_on}"}
        published = book(price_list(code=name), id=name)
        agreed = terms(point_terms(price_list=name), price_book=name)
        parts.append(RatingPart(usage(point_usage(**days), **days), published, agreed))
    dearer = book(price_list(component(price="0.7"), code="b"), id="b", version=2)
    again = rated_under(parts, {}, ever_in_force([dearer]))
    assert again is not None
    assert [line.amount_fen for line in again.lines] == [5_000, 7_000]


def test_bills_are_counted_by_class_of_use() -> None:
    found = Comparison()
    withheld = rate_parts([part(payment_mode="barter")])
    unknown = rate_parts([part(basic_charge="capacity")])
    found.take("home", bill_of(10_000), bill_of(9_000))
    found.take("home", bill_of(10_000), bill_of(10_000))
    found.take("shop", bill_of(10_000), bill_of(13_000))
    found.take("shop", bill_of(10_000), None)
    found.take("shop", withheld, bill_of(1))
    found.take("shop", bill_of(1), unknown)
    home, shop, all_of = found.by_category["home"], found.by_category["shop"], found.all
    assert (home.bills, home.lower, home.higher, home.change_fen) == (2, 1, 0, -1_000)
    assert (shop.bills, shop.lower, shop.higher, shop.change_fen) == (1, 0, 1, 3_000)
    assert (all_of.bills, all_of.won_fen, all_of.lost_fen) == (3, 1_000, 3_000)
    assert (all_of.before_fen, all_of.after_fen) == (30_000, 32_000)
    assert found.unconcerned == 1
    assert dict(found.unrated) == {"not_yet_rated": 1, "two_part_list_ambiguous": 1}


def test_tenths_are_nearest_ranks() -> None:
    assert tally().deciles() == ()
    assert tally(*range(1, 11)).deciles() == (1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10)
    assert tally(-50, 70).deciles() == (-50,) * 6 + (70,) * 5


@pytest.mark.parametrize(
    ("value", "cut"), [(0, 0), (999, 999), (1_000, 1_000), (123_456, 123_000), (-98_765, -98_700)]
)
def test_three_digits_are_kept(value: int, cut: int) -> None:
    assert three_digits(value) == cut


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=30), st.randoms())
def test_neither_order_nor_number_of_runs_matters(changes: list[int], random: Any) -> None:
    """The totals are exact; the tenths rise, and lie between the least and the most."""
    shuffled = random.sample(changes, len(changes))
    one, two = tally(*changes), tally(*shuffled)
    assert one == two
    assert one.change_fen == sum(changes) == one.lost_fen - one.won_fen
    tenths = one.deciles()
    assert list(tenths) == sorted(tenths)
    assert (tenths[0], tenths[-1]) == (three_digits(min(changes)), three_digits(max(changes)))

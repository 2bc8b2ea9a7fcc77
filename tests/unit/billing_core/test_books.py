"""Which book is adopted, and which one prices a day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.tou_calendar import book_on
from services.billing.events import BookAdopted, BookNoted, BookRejected
from services.billing.month_input import book_parts
from services.billing.months import TermsPart, terms_parts
from services.billing.price_book import PriceBook, book_key, content_hash
from services.billing.reactions import agreement_noted
from tests.unit.billing.builders import book, component, price_list
from tests.unit.billing_core.office import (
    HOME,
    SHOP,
    Office,
    agreement,
    home_book,
    home_list,
    month_of_usage,
    names,
    office,
    point,
    published,
)

# -- adoption -------------------------------------------------------------------------------------


def test_a_book_is_adopted_once() -> None:
    made = Office()
    (adopted,) = made.feed(published(HOME), key="")
    assert (adopted.content_hash, adopted.offset) == (content_hash(HOME), 1)
    assert made.feed(published(HOME), key="") == []
    assert list(made.fold.shared.books) == ["test@1"]


def test_a_book_with_a_wrong_hash_is_rejected_and_the_right_one_taken() -> None:
    made = office(*month_of_usage("2026-01"))
    later = home_book("0.60", version=2)
    (rejected,) = made.feed(published(later, digest="0" * 64), key="")
    assert rejected == BookRejected(
        book_id="test@2",
        content_hash="0" * 64,
        problem=f"the content has the hash {content_hash(later)}",
    )
    assert list(made.fold.shared.books) == ["test@1"]
    assert names(made.feed(published(later), key="")) == ["BookAdopted"]
    made.check_folds()


def test_another_content_under_the_same_version_is_rejected() -> None:
    made = office()
    (rejected,) = made.feed(published(home_book("0.60")), key="")
    assert rejected.problem == "another book has this id and version; raise the version"
    assert made.fold.shared.books["test@1"].price_lists["home"].components[0].price == "0.50"


def test_a_book_with_a_defect_is_rejected_before_it_can_stop_a_bill() -> None:
    broken = replace(component(), price="ninety")
    made = Office()
    (rejected,) = made.feed(published(book(price_list(broken, code="home"))), key="")
    assert isinstance(rejected, BookRejected)
    assert rejected.problem.startswith("price_lists.home")


def test_a_rejected_book_concerns_nobody() -> None:
    made = office(*month_of_usage("2026-01"))
    made.tick("2026-02-02")
    made.feed(published(home_book("0.60"), digest=content_hash(HOME)), key="")
    made.feed(published(home_book("0.60")), key="")
    assert made.of(BookNoted) == []


def test_an_account_without_agreement_hears_of_no_book() -> None:
    made = Office()
    made.feed(*month_of_usage("2026-01"))
    assert names(made.feed(published(HOME), key="")) == ["BookAdopted"]


def test_a_book_may_come_before_any_account() -> None:
    made = Office()
    assert [type(body) for body in made.feed(published(HOME), key="")] == [BookAdopted]


# -- which book -----------------------------------------------------------------------------------

OLD = home_book("0.50", until_on="2027-01-01")
V2 = home_book("0.60", version=2, from_on="2026-01-11", until_on="2026-01-21")
LATER = book(home_list("0.70"), id="aa-later", from_on="2026-06-01")
ELSEWHERE = book(home_list("9.00"), id="elsewhere", region="Elsewhere")
SHOPS = book(SHOP, id="zz-shops", from_on="2026-01-05")
SHELF = {book_key(each): each for each in (OLD, V2, LATER, ELSEWHERE, SHOPS)}


def part(*points: Any, from_on: str = "2026-01-01", until_on: str = "2026-02-01") -> TermsPart:
    (found,) = terms_parts(agreement_noted(agreement(*points)), from_on, until_on)
    return found


def keys(found: list[tuple[str, str, PriceBook | None]]) -> list[tuple[str, str, str]]:
    return [(start, end, book_key(each) if each else "") for start, end, each in found]


def test_the_highest_version_that_covers_a_day_prices_it() -> None:
    assert keys(book_parts(part(), SHELF)) == [
        ("2026-01-01", "2026-01-11", "test@1"),
        ("2026-01-11", "2026-01-21", "test@2"),
        ("2026-01-21", "2026-02-01", "test@1"),
    ]


@pytest.mark.parametrize("reverse", [False, True])
def test_of_two_books_of_a_region_the_later_one_prices_its_days(reverse: bool) -> None:
    """`aa-later` comes first by name; it is in force from June only."""
    shelf = dict(sorted(SHELF.items(), reverse=reverse))
    summer = part(from_on="2026-05-01", until_on="2026-07-01")
    assert keys(book_parts(summer, shelf)) == [
        ("2026-05-01", "2026-06-01", "test@1"),
        ("2026-06-01", "2026-07-01", "aa-later@1"),
    ]


def test_of_two_books_of_one_day_the_last_by_name_prices_it() -> None:
    twin = book(home_list("0.55"), id="test-twin", until_on="2027-01-01")
    for shelf in ([OLD, twin], [twin, OLD]):
        assert book_on(shelf, {"home"}, "2026-01-01") is twin


def test_days_without_a_book_have_none() -> None:
    ends = {"test@1": home_book(until_on="2026-01-16")}
    assert keys(book_parts(part(), ends)) == [
        ("2026-01-01", "2026-01-16", "test@1"),
        ("2026-01-16", "2026-02-01", ""),
    ]
    assert keys(book_parts(part(), {})) == [("2026-01-01", "2026-02-01", "")]
    assert keys(book_parts(part(), {"elsewhere@1": ELSEWHERE})) == [
        ("2026-01-01", "2026-02-01", "")
    ]


def test_a_version_that_drops_the_list_prices_nothing() -> None:
    dropped = book(SHOP, version=3, from_on="2026-01-16")
    found = keys(book_parts(part(), {"test@1": HOME, "test@3": dropped}))
    assert found == [("2026-01-01", "2026-01-16", "test@1"), ("2026-01-16", "2026-02-01", "")]


def test_a_book_must_have_the_lists_of_all_priced_points_and_no_others() -> None:
    both = part(point(), point("P2", relation="deducted", parent_point="P1", price_list="shop"))
    assert keys(book_parts(both, {"zz-shops@1": SHOPS, "test@1": OLD})) == [
        ("2026-01-01", "2026-02-01", "test@1")
    ]
    assert keys(book_parts(both, {"zz-shops@1": SHOPS})) == [("2026-01-01", "2026-02-01", "")]
    fed = part(point(), point("P2", relation="feed_in", price_list="nowhere"))
    assert keys(book_parts(fed, {"test@1": OLD})) == [("2026-01-01", "2026-02-01", "")]
    seen = part(point(), point("P2", relation="check", price_list="nowhere"))
    assert keys(book_parts(seen, {"test@1": OLD})) == [("2026-01-01", "2026-02-01", "test@1")]


@given(st.permutations([OLD, V2, LATER, ELSEWHERE, SHOPS]))
def test_the_order_of_publication_does_not_count(order: list[PriceBook]) -> None:
    shelf = {book_key(each): each for each in order}
    assert book_parts(part(), shelf) == book_parts(part(), SHELF)


def test_an_account_that_names_its_book_gets_that_one() -> None:
    made = Office()
    made.feed(published(HOME), key="")
    rows = agreement()
    made.feed(replace(rows, terms=(replace(rows.terms[0], region="test"),)))
    made.feed(*month_of_usage("2026-01"))
    assert names(made.tick("2026-02-02")) == ["BillCalculated"]

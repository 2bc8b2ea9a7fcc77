"""Statements of feed-in: to the Wh, by their own list, and nothing of a bill."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, PointRelation
from services.billing.bill import RatingPart
from services.billing.book_defects import defects
from services.billing.feed_in import Statement, nothing_of, statement_of
from services.billing.price_book import PriceList, content_hash
from services.billing.price_book_file import BOOKS, load_book
from services.billing.rating import rate
from services.billing.usage import AccountUsage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    point_terms,
    point_usage,
    price_list,
    terms,
    two_part,
    usage,
)

SOLD = price_list(component("sold", "0.3964"), code="sold", kind="feed_in")
FLOATING = price_list(
    component(
        "sold", "", tou_applies=True,
        period_prices={"sharp": "0.6", "peak": "0.5", "flat": "0.4", "valley": "0.2"},
    ),
    code="floating", kind="feed_in", calendar="tou",
)  # fmt: skip
TARIFF = book(price_list(), SOLD, FLOATING, calendars={"tou": calendar()})
OFFSET = book(price_list(), SOLD, netting="offset")


def agreed(*points: Any, **changes: Any) -> AgreementTerms:
    return terms(*points, **{"feed_in_price_list": "sold", **changes})


def stated(month: AccountUsage, given_terms: AgreementTerms) -> Statement:
    return statement_of([RatingPart(month, TARIFF, given_terms)])


def test_export_is_valued_to_the_wh_and_rounded_once() -> None:
    made = stated(usage(point_usage(export_wh=1_234_567)), agreed())
    (line,) = made.lines
    assert (made.energy_wh, line.quantity, line.unit) == (1_234_567, 1_234_567, "Wh")
    assert (made.amount_fen, line.amount_fen) == (48_938, 48_938)  # 489.382... yuan
    assert (line.rule, line.reading_ids) == ("test@1/sold/sold", ("r-P1",))
    assert (made.netting, made.estimated, made.findings) == ("none", False, ())


def test_main_and_feed_in_points_export_and_others_do_not() -> None:
    points = [point_terms(name) for name in ("P1", "P2", "P3", "P4")]
    relations = (
        PointRelation(point="P2", kind="feed_in"),
        PointRelation(point="P3", kind="deducted", of="P1"),
        PointRelation(point="P4", kind="check", of="P1"),
    )
    month = usage(*(point_usage(f"P{n}", export_wh=10**n) for n in (4, 3, 2, 1)))
    made = stated(month, agreed(*points, relations=relations))
    assert [(line.point, line.quantity) for line in made.lines] == [("P1", 10), ("P2", 100)]


def test_a_floating_price_is_taken_by_period_and_the_rest_is_flat() -> None:
    fed = point_usage(export_wh=10_000, export_wh_by_rate={"1": 1_001, "2": 2_000, "4": 3_000})
    floating = agreed(point_terms(rate_periods=FOUR_RATES), feed_in_price_list="floating")
    made = stated(usage(fed), floating)
    assert [(line.code, line.quantity, line.amount_fen) for line in made.lines] == [
        ("sold.sharp", 1_001, 60),
        ("sold.peak", 2_000, 100),
        ("sold.flat", 3_999, 160),
        ("sold.valley", 3_000, 60),
    ]


@pytest.mark.parametrize(
    ("fed", "given_terms", "rule"),
    [
        ({"export_wh": 5}, agreed(feed_in_price_list="floating"), "periods_missing"),
        ({"export_wh": 5}, agreed(feed_in_price_list="nowhere"), "price_list_missing"),
        ({"export_wh": 5}, agreed(feed_in_price_list="list"), "price_list_kind"),
        ({"export_wh": -5}, agreed(), "negative_usage"),
        (
            {"export_wh": 5, "export_wh_by_rate": {"2": 900}},
            agreed(point_terms(rate_periods=FOUR_RATES), feed_in_price_list="floating"),
            "periods_exceed_total",
        ),
    ],
)
def test_what_cannot_be_right_has_no_lines(
    fed: dict[str, Any], given_terms: AgreementTerms, rule: str
) -> None:
    made = stated(usage(point_usage(**fed)), given_terms)
    assert [each.rule for each in made.findings] == [rule]
    assert (made.lines, made.energy_wh, made.amount_fen) == ((), 0, 0)


def test_a_floating_price_needs_no_rates_where_nothing_was_fed_in() -> None:
    made = stated(usage(), agreed(feed_in_price_list="floating"))
    assert (made.findings, made.lines, made.amount_fen) == ((), (), 0)


def test_it_may_be_set_off_only_where_every_book_says_so() -> None:
    first = usage(point_usage(export_wh=7, until_on="2026-01-11"), until_on="2026-01-11")
    second = usage(point_usage(export_wh=8, from_on="2026-01-11"), from_on="2026-01-11")
    for books, netting in (
        ((OFFSET, OFFSET), "offset"),
        ((OFFSET, TARIFF), "none"),
        ((TARIFF, OFFSET), "none"),
    ):
        parts = [
            RatingPart(days, tariff, agreed())
            for days, tariff in zip((first, second), books, strict=True)
        ]
        made = statement_of(parts)
        assert (made.netting, made.energy_wh, len(made.books)) == (
            netting, 15, 1 if books[0] is books[1] else 2,
        )  # fmt: skip
        assert (made.from_on, made.until_on) == ("2026-01-01", "2026-02-01")


def test_estimates_are_said_and_nothing_is_left_of_it() -> None:
    made = stated(usage(point_usage(export_wh=5_000, quality="estimated")), agreed())
    assert made.estimated
    nothing = nothing_of(made)
    assert (nothing.period, nothing.lines, nothing.amount_fen) == (made.period, (), 0)


def test_the_bill_is_as_if_nothing_had_been_fed_in() -> None:
    fed = rate(usage(point_usage(export_wh=70_000)), TARIFF, agreed())
    plain = rate(usage(), TARIFF, agreed())
    assert (fed.lines, fed.total_fen, fed.not_yet_rated) == (plain.lines, plain.total_fen, ())


def test_what_is_drawn_is_not_priced_by_a_list_of_feed_in() -> None:
    bill = rate(usage(), TARIFF, terms(point_terms(price_list="sold")))
    assert [each.rule for each in bill.findings] == ["price_list_kind"]


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (replace(SOLD, components=(*SOLD.components, component("x", unit="month"))),
         "price_lists.sold.components.x.unit"),
        (replace(SOLD, free_allowance_wh=5), "price_lists.sold.free_allowance_wh"),
        (replace(SOLD, minimum_charge="5"), "price_lists.sold.minimum_charge"),
    ],
)  # fmt: skip
def test_a_list_of_feed_in_has_prices_per_kwh_only(wrong: PriceList, field: str) -> None:
    assert [each.field for each in defects(book(wrong))] == [field]


def test_a_list_of_feed_in_is_not_two_part() -> None:
    wrong = replace(
        SOLD, two_part=two_part(), components=(*SOLD.components, component("d", unit="kW"))
    )
    fields = [each.field for each in defects(book(wrong))]
    assert fields == ["price_lists.sold.components.d.unit", "price_lists.sold.two_part"]


def test_a_book_says_whether_amounts_are_netted() -> None:
    assert [each.field for each in defects(book(netting="energy"))] == ["netting"]
    assert content_hash(book(netting="none")) == content_hash(book())
    assert content_hash(OFFSET) != content_hash(book(price_list(), SOLD))


def test_the_example_book_values_surplus_and_all_of_it() -> None:
    shipped = load_book(BOOKS / "cq_feed_in.yaml")
    assert {each.kind for each in shipped.price_lists.values()} == {"feed_in"}
    assert all(
        price.unconfirmed for each in shipped.price_lists.values() for price in each.components
    )
    assert shipped.netting == "none"


WH = st.integers(0, 10**9)


@given(st.lists(st.tuples(WH, WH, WH, WH), min_size=1, max_size=4), st.randoms())
def test_what_was_exported_is_stated_to_the_wh_in_any_order(
    meters: list[tuple[int, int, int, int]], random: Any
) -> None:
    points = [
        point_usage(
            f"P{number}",
            export_wh=sum(rates),
            export_wh_by_rate={str(rate): wh for rate, wh in enumerate(rates, 1)},
        )
        for number, rates in enumerate(meters)
    ]
    found = [point_terms(each.point, rate_periods=FOUR_RATES) for each in points]
    for name in ("sold", "floating"):
        made = stated(usage(*points), agreed(*found, feed_in_price_list=name))
        exported_wh = sum(map(sum, meters))
        assert made.energy_wh == exported_wh == sum(line.quantity for line in made.lines)
        shuffled, others = random.sample(points, len(points)), random.sample(found, len(found))
        again = stated(usage(*shuffled), agreed(*others, feed_in_price_list=name))
        assert again == made

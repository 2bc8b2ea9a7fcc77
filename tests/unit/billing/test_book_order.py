"""Prices out of order, versions that leave days out, and what nobody confirmed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.billing.book_order import (
    out_of_order,
    unconfirmed_values,
    version_defects,
    voltage_order,
)
from services.billing.price_book import LossRule, PriceBook, book_key
from tests.unit.billing.builders import book, component, example, price_list, tiers, two_part

NAMES = (
    "cq_residential",
    "zj_residential",
    "cq_commercial",
    "cq_industry_10kv",
    "cq_industry_110kv",
)


def floating(**prices: str) -> Any:
    return component(price="", tou_applies=True, period_prices=prices)


def test_the_example_books_are_in_order() -> None:
    books = [example(name) for name in NAMES]
    assert [out_of_order(each) for each in books] == [()] * len(books)
    assert voltage_order(books) == ()
    assert version_defects(books) == ()


@pytest.mark.parametrize(
    ("listed", "field", "problem"),
    [
        (
            price_list(floating(sharp="0.7", peak="0.8", flat="0.5", valley="0.5")),
            "price_lists.list.components.energy.period_prices",
            "peak 0.8 is above sharp 0.7",
        ),
        (
            price_list(floating(peak="0.5", valley="0.51")),
            "price_lists.list.components.energy.period_prices",
            "valley 0.51 is above peak 0.5",
        ),
        (
            price_list(tiers=tiers("year", (1, 2), ("0.3", "0.05"))),
            "price_lists.list.tiers.steps.tier.3.adder",
            "0.05 is below 0.3 of tier.2",
        ),
        (
            price_list(voltage_class="10kv"),
            "price_lists.list.voltage_class",
            "'10kv' is no voltage class",
        ),
    ],
)
def test_what_is_out_of_order_is_named(listed: Any, field: str, problem: str) -> None:
    (found,) = out_of_order(book(listed))
    assert (found.field, found.problem) == (field, problem)
    assert found.fix


def test_prices_in_order_are_fine() -> None:
    prices = floating(sharp="0.8", peak="0.8", flat="0.5", valley="0.3")
    assert out_of_order(book(price_list(prices, tiers=tiers("year", (1, 2), ("1", "1"))))) == ()


# -- voltages -------------------------------------------------------------------------------------

LOW = price_list(component(price="0.5"), component("fund", "0.01"))
HIGH = replace(LOW, code="high", voltage_class="1_10kv")


def pairs(*books: PriceBook) -> list[tuple[str, str, str]]:
    return [(book_key(each), found.field, found.problem) for each, found in voltage_order(books)]


def test_a_higher_voltage_is_not_dearer_in_total() -> None:
    """A component may be higher when another one makes up for it."""
    other = replace(HIGH, components=(component(price="0.51"),))
    assert pairs(book(LOW, other)) == []
    dear = replace(HIGH, components=(component(price="0.52"), component("fee", "3", unit="month")))
    assert pairs(book(LOW, dear)) == [
        ("test@1", "price_lists.high", "kWh 0.52 at 1_10kv is above 0.51 at lt1kv (list)")
    ]


def test_periods_and_demand_are_compared_each() -> None:
    low = price_list(
        floating(peak="0.8", valley="0.3"),
        component("fund", "0.01"),
        component("demand", "24", unit="kW"),
        two_part=two_part(),
    )
    high = replace(
        low,
        code="high",
        voltage_class="110kv",
        components=(
            floating(peak="0.7", valley="0.35"),
            component("float", "", tou_applies=True, period_prices={"peak": "0.01"}),
            component("demand", "25", unit="kW"),
        ),
    )
    assert [problem for _, _, problem in pairs(book(low, high))] == [
        "kWh valley 0.35 at 110kv is above 0.31 at lt1kv (list)",
        "kW 25 at 110kv is above 24 at lt1kv (list)",
    ]


@pytest.mark.parametrize(
    "other",
    [
        book(replace(HIGH, category="agriculture"), id="other"),
        book(replace(HIGH, voltage_class="strange"), id="other"),
        book(HIGH, id="other", region="Zhejiang"),
        book(HIGH, version=2),
        book(HIGH, id="other", until_on="2000-01-01", from_on="1999-01-01"),
    ],
    ids=["category", "voltage", "region", "version", "time"],
)
def test_what_is_not_together_is_not_compared(other: PriceBook) -> None:
    dear = replace(other.price_lists["high"], components=(component(price="9"),))
    assert pairs(book(LOW), replace(other, price_lists={"high": dear})) == []
    together = replace(HIGH, components=(component(price="9"),))
    assert len(pairs(book(LOW), book(together, id="other"))) == 1


# -- versions -------------------------------------------------------------------------------------


def version(number: int, from_on: str, until_on: str = "9999-12-31") -> PriceBook:
    return book(version=number, from_on=from_on, until_on=until_on)


@pytest.mark.parametrize(
    ("books", "expected"),
    [
        ([version(1, "2026-01-01"), version(2, "2026-02-01")], []),
        ([version(1, "2026-01-01", "2026-02-01"), version(2, "2026-02-01")], []),
        (
            [version(2, "2026-03-01"), version(1, "2026-01-01", "2026-02-01")],
            [("test@2", "no version is in force from 2026-02-01 to before 2026-03-01")],
        ),
        (
            [version(1, "2026-01-01", "2026-03-01"), version(2, "2026-02-01")],
            [("test@2", "overlaps test@1, which ends on 2026-03-01, from 2026-02-01 on")],
        ),
        (
            [version(1, "2026-02-01"), version(2, "2026-02-01")],
            [("test@2", "2026-02-01 is not after 2026-02-01 of test@1, which it replaces")],
        ),
        (
            [version(1, "2026-01-01"), version(2, "2026-02-01", "2026-03-01")],
            [("test@2", "test@1 is in force again from 2026-03-01 on")],
        ),
    ],
)
def test_versions_follow_one_another(
    books: list[PriceBook], expected: list[tuple[str, str]]
) -> None:
    assert [(book_key(each), found.problem) for each, found in version_defects(books)] == expected


def test_versions_are_those_of_one_book() -> None:
    assert version_defects([version(1, "2026-01-01"), book(id="other", version=2)]) == ()


# -- what is not confirmed ------------------------------------------------------------------------


def test_every_unconfirmed_value_is_listed_with_its_source() -> None:
    known = {"household_rules": (), "loss_rule": LossRule(unconfirmed=False)}
    confirmed = book(**known)
    assert unconfirmed_values(confirmed) == ()
    marked = book(
        price_list(component(unconfirmed=True, source="a page")),
        unconfirmed=True,
        source="another page",
        **known,
    )
    assert unconfirmed_values(marked) == (
        ("the book", "another page"),
        ("price_lists.list.components.energy", "a page"),
    )
    assert len(unconfirmed_values(example("cq_industry_110kv"))) == 16

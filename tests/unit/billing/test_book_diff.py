"""What differs between two books, for whom; and the half hours of calendars."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.tou_calendar import DayPattern, SlotRange, TouCalendar
from services.billing.book_diff import Difference, differences, periods_by_day
from services.billing.calendar_defects import span_text, wrong_half_hours
from services.billing.price_book import PriceBook
from tests.unit.billing.builders import (
    book,
    calendar,
    component,
    example,
    power_factor,
    price_list,
    tiers,
)


def shown(old: PriceBook, new: PriceBook) -> list[tuple[str, str, str, str, int | None]]:
    return [
        (each.price_list, each.field, each.before, each.after, each.change_e2_pct)
        for each in differences(old, new)
    ]


@pytest.mark.parametrize("name", ["cq_industry_10kv", "zj_residential"])
def test_a_book_does_not_differ_from_itself(name: str) -> None:
    assert differences(example(name), example(name)) == ()


def test_a_price_has_its_change() -> None:
    old = book(price_list(component(price="0.52", source="a")))
    new = book(price_list(component(price="0.55", source="b")))
    assert differences(old, new) == (
        Difference(
            price_list="list",
            category="commercial_industrial",
            voltage_class="lt1kv",
            name_zh="一般工商业",
            name_en="Commercial",
            field="components.energy.price",
            before="0.52",
            after="0.55",
            change_e2_pct=577,
        ),
    )


def test_components_are_found_by_their_code() -> None:
    old = book(price_list(component("a", "1"), component("b", "0"), component("c", "3")))
    new = book(price_list(component("c", "3"), component("b", "1"), component("a", "0.9")))
    assert shown(old, new) == [
        ("list", "components.a.price", "1", "0.9", -1000),
        ("list", "components.b.price", "0", "1", None),
    ]


def test_rules_of_the_book_are_for_all() -> None:
    old = book(day_basis="thirty", until_on="2026-01-01")
    new = book(day_basis="actual", version=2, from_on="2026-01-01", holidays_on=("2026-01-01",))
    assert shown(old, new) == [
        ("", "version", "1", "2", None),
        ("", "from_on", "2000-01-01", "2026-01-01", None),
        ("", "until_on", "2026-01-01", "9999-12-31", None),
        ("", "day_basis", "thirty", "actual", None),
        ("", "holidays_on", "", "2026-01-01", None),
    ]


def test_lists_that_come_and_go() -> None:
    old = book(price_list(), price_list(code="gone", name_en="Gone"))
    new = book(price_list(), price_list(code="new", name_en="New"))
    assert shown(old, new) == [
        ("gone", "price_list", "Gone", "", None),
        ("new", "price_list", "", "New", None),
    ]


def test_tiers_and_what_was_not_there() -> None:
    old = book(price_list(tiers=tiers("year", (2760, 4800), ("0.05", "0.30"))))
    new = book(price_list(tiers=tiers("year", (2800, 4800), ("0.05", "0.33"))))
    assert shown(old, new) == [
        ("list", "tiers.steps.tier.2.above_wh", "2760000", "2800000", None),
        ("list", "tiers.steps.tier.3.adder", "0.30", "0.33", 1000),
    ]
    raised = tiers("year", (2760, 4800), ("0.05", "0.30"), allowances={"large": (1, 2)})
    assert shown(old, book(price_list(tiers=raised))) == [
        ("list", "tiers.allowances.large", "", "1, 2", None)
    ]
    found = shown(book(), new)
    assert ("list", "tiers.span", "", "year", None) in found
    assert ("list", "tiers.steps.tier.2.adder", "", "0.05", None) in found


def test_the_power_factor_table_is_for_lists_that_it_applies_to() -> None:
    applies, not_adjusted = price_list(power_factor_applies=True), price_list(code="home")
    old = book(applies, not_adjusted, power_factor=power_factor())
    new = book(applies, not_adjusted, power_factor=power_factor(active="billed"))
    assert shown(old, new) == [("list", "power_factor.active", "metered", "billed", None)]
    assert ("list", "power_factor.active", "", "metered", None) in shown(book(applies), old)


def floating(**calendars: Any) -> PriceBook:
    prices = {"peak": "2", "valley": "1", "flat": "1", "sharp": "3"}
    energy = component(price="", tou_applies=True, period_prices=prices)
    return book(price_list(energy, calendar="times"), calendars=calendars)


def test_calendars_are_compared_by_their_half_hours() -> None:
    plain, july = calendar().patterns
    later = (SlotRange(start="22:00", end="07:30", period="valley"),)
    later += (SlotRange(start="07:30", end="22:00", period="peak"),)
    changed = TouCalendar(patterns=(replace(plain, slots=later), july))
    assert shown(floating(times=calendar()), floating(times=changed)) == [
        ("list", "07:30 to 08:00, months 1-6, 8-12", "valley", "peak", None)
    ]
    workdays = replace(plain, day_types=("workday",), slots=later)
    others = replace(plain, day_types=("weekend", "holiday"))
    changed = TouCalendar(patterns=(others, workdays, july))
    assert shown(floating(times=calendar()), floating(times=changed)) == [
        ("list", "07:30 to 08:00, months 1-6, 8-12 (workday)", "valley", "peak", None)
    ]
    rewritten = TouCalendar(patterns=(july, plain))
    assert shown(floating(times=calendar()), floating(times=rewritten)) == []


def test_another_calendar_is_a_difference_of_the_list() -> None:
    old = floating(times=calendar())
    listed = replace(old.price_lists["list"], calendar="")
    new = replace(old, price_lists={"list": listed})
    assert shown(old, new) == [("list", "calendar", "times", "", None)]


def pattern(*slots: tuple[str, str], months: tuple[int, ...] = (1,)) -> DayPattern:
    ranges = tuple(SlotRange(start=start, end=end, period="flat") for start, end in slots)
    types = ("workday", "weekend", "holiday")
    return DayPattern(name="p", months=months, day_types=types, slots=ranges)


def test_a_half_hour_without_a_period_has_none() -> None:
    days = periods_by_day(TouCalendar(patterns=(pattern(("00:00", "01:00"), ("x", "y")),)))
    assert days[1, "workday"][:3] == ("flat", "flat", "-")
    assert periods_by_day(TouCalendar(patterns=(pattern(("0", "1"), months=(13,)),)))[2, "weekend"]
    assert periods_by_day(TouCalendar(patterns=(pattern(("00:00", "24:00"), months=(13,)),)))


def test_wrong_half_hours_are_told_as_ranges() -> None:
    whole = pattern(("00:00", "24:00"), months=(4, 5, 6, 7, 8, 9, 10, 11, 12))
    part = pattern(("00:30", "12:00"), ("11:30", "24:00"), ("late", "later"), months=(1, 3))
    found = list(wrong_half_hours(TouCalendar(patterns=(whole, part))))
    assert found == [
        ("00:00 to 00:30 of workday, weekend, holiday in months 1, 3", 0),
        ("11:30 to 12:00 of workday, weekend, holiday in months 1, 3", 2),
        ("00:00 to 24:00 of workday, weekend, holiday in months 2", 0),
    ]


def test_runs_of_numbers() -> None:
    assert span_text([1]) == "1"
    assert span_text([1, 2, 3, 7, 9, 10]) == "1-3, 7, 9-10"

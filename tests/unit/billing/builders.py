"""Small books, terms and usages for the tests of billing; every figure in them is made up."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

from libs.tou_calendar import DAY_TYPES, DayPattern, SlotRange, TouCalendar
from services.billing.agreement import AgreementTerms, PointTerms
from services.billing.price_book import (
    DemandRule,
    PowerFactorRule,
    PriceBook,
    PriceComponent,
    PriceList,
    TierRule,
    TierStep,
    TwoPartRule,
    content_hash,
)
from services.billing.price_book_file import BOOKS, load_book
from services.billing.usage import AccountUsage, PointUsage

FOUR_RATES = {"1": "sharp", "2": "peak", "3": "flat", "4": "valley"}
JANUARY = ("2026-01-01", "2026-02-01")
YEAR = tuple(range(1, 13))


@cache
def example(name: str) -> PriceBook:
    """One of the example books."""
    return load_book(BOOKS / f"{name}.yaml")


def component(code: str = "energy", price: str = "0.5", **changes: Any) -> PriceComponent:
    fields = {"name_zh": "电费", "name_en": code.capitalize(), "unit": "kWh", "price": price}
    return PriceComponent(code=code, **{**fields, **changes})


def price_list(*components: PriceComponent, **changes: Any) -> PriceList:
    fields = {
        "code": "list",
        "category": "commercial_industrial",
        "voltage_class": "lt1kv",
        "name_zh": "一般工商业",
        "name_en": "Commercial",
    }
    return PriceList(components=components or (component(),), **{**fields, **changes})


def book(*price_lists: PriceList, **changes: Any) -> PriceBook:
    fields = {
        "id": "test",
        "version": 1,
        "region": "Test",
        "name_zh": "测试",
        "name_en": "Test",
        "from_on": "2000-01-01",
        "until_on": "9999-12-31",
    }
    lists = {each.code: each for each in price_lists or (price_list(),)}
    made = PriceBook(price_lists=lists, **{**fields, **changes})
    return replace(made, content_hash=content_hash(made))


def tiers(span: str, bounds_kwh: tuple[int, ...], adders: tuple[str, ...], **changes: Any) -> Any:
    steps = tuple(
        TierStep(
            code=f"tier.{number}",
            name_zh=f"第{number}档加价",
            name_en=f"Tier {number} adder",
            above_wh=bound * 1000,
            adder=adder,
        )
        for number, (bound, adder) in enumerate(zip(bounds_kwh, adders, strict=True), start=2)
    )
    return TierRule(span=span, steps=steps, **changes)


def calendar() -> TouCalendar:
    """Valley 22 to 08, peak 08 to 22, with a sharp hour at noon in July."""
    night = SlotRange(start="22:00", end="08:00", period="valley")
    plain = (night, SlotRange(start="08:00", end="22:00", period="peak"))
    july = (
        night,
        SlotRange(start="08:00", end="12:00", period="peak"),
        SlotRange(start="12:00", end="13:00", period="sharp"),
        SlotRange(start="13:00", end="21:30", period="peak"),
        SlotRange(start="21:30", end="22:00", period="flat"),
    )
    others = tuple(month for month in YEAR if month != 7)
    return TouCalendar(
        patterns=(
            DayPattern(name="plain", months=others, day_types=DAY_TYPES, slots=plain),
            DayPattern(name="july", months=(7,), day_types=DAY_TYPES, slots=july),
        )
    )


def demand_rule(**changes: Any) -> DemandRule:
    return DemandRule(**{"name": "sgcc_2016", "within": "contract", **changes})


def two_part(floor_percent: int = 0, **changes: Any) -> TwoPartRule:
    return TwoPartRule(contract_floor_percent=floor_percent, demand_rule=demand_rule(**changes))


def power_factor(**changes: Any) -> PowerFactorRule:
    """The shipped table."""
    rule = example("cq_industry_10kv").power_factor
    assert rule is not None
    return replace(rule, **changes)


def point_usage(point: str = "P1", import_wh: int = 100_000, **changes: Any) -> PointUsage:
    fields = {"from_on": JANUARY[0], "until_on": JANUARY[1], "reading_ids": (f"r-{point}",)}
    return PointUsage(point=point, import_wh=import_wh, **{**fields, **changes})


def usage(*points: PointUsage, **changes: Any) -> AccountUsage:
    fields = {
        "account": "A1",
        "period": "2026-01",
        "cycle_from_on": JANUARY[0],
        "cycle_until_on": JANUARY[1],
        "from_on": JANUARY[0],
        "until_on": JANUARY[1],
    }
    return AccountUsage(points=points or (point_usage(),), **{**fields, **changes})


def month_usage(month: str, next_month: str, *points: PointUsage) -> AccountUsage:
    """Usage of a whole calendar month; `month_usage("2026-02", "2026-03", …)`."""
    days = {"from_on": f"{month}-01", "until_on": f"{next_month}-01"}
    return usage(
        *(replace(each, **days) for each in points),
        period=month,
        cycle_from_on=days["from_on"],
        cycle_until_on=days["until_on"],
        **days,
    )


def point_terms(point: str = "P1", **changes: Any) -> PointTerms:
    fields = {
        "price_list": "list",
        "category": "commercial_industrial",
        "voltage_class": "lt1kv",
    }
    return PointTerms(point=point, **{**fields, **changes})


def terms(*points: PointTerms, **changes: Any) -> AgreementTerms:
    fields = {"account": "A1", "price_book": "test"}
    return AgreementTerms(points=points or (point_terms(),), **{**fields, **changes})

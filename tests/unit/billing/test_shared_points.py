"""Points without a meter: a fixed ratio or quantity of another one's energy, to the kWh once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, PointRelation
from services.billing.bill import Bill, RatingPart
from services.billing.explanation import explain
from services.billing.point_relations import PointEnergy
from services.billing.price_book import Rounding
from services.billing.rating import rate, rate_parts
from services.billing.shared_points import fixed_ratios
from services.billing.usage import split_usage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    point_terms,
    point_usage,
    price_list,
    terms,
    usage,
)

PRICES = {"sharp": "2", "peak": "1", "flat": "0.7", "valley": "0.5"}
SHOP = price_list(
    component(price="", tou_applies=True, period_prices=PRICES), code="shop", calendar="times"
)
HOME = price_list(component(price="0.54"), code="home")
TARIFF = book(SHOP, HOME, calendars={"times": calendar()})
FLAT = book(SHOP, HOME, calendars={"times": calendar()}, rounding=Rounding(deduction_spread="flat"))
MAIN = point_terms("P1", price_list="shop", rate_periods=FOUR_RATES)


def ratio(share: str, point: str = "P2", **changes: Any) -> PointRelation:
    return PointRelation(point=point, kind="fixed_ratio", of="P1", ratio=share, **changes)


def quantity(kwh: int, point: str = "P2", **changes: Any) -> PointRelation:
    wh = kwh * 1000
    return PointRelation(point=point, kind="fixed_quantity", of="P1", quantity_wh=wh, **changes)


def agreed(*relations: PointRelation, lists: tuple[str, ...] = ("home", "home")) -> AgreementTerms:
    points = (
        point_terms(each.point, price_list=name)
        for each, name in zip(relations, lists, strict=False)
    )
    return terms(MAIN, *points, relations=relations)


def main_usage(*kwh: int) -> Any:
    """Sharp, peak, flat and valley energy of the main point."""
    by_rate = {str(place): each * 1000 for place, each in enumerate(kwh, start=1)}
    return point_usage(import_wh=sum(by_rate.values()), import_wh_by_rate=by_rate)


def lines(bill: Bill) -> list[tuple[str, str, int, int]]:
    assert not bill.withheld, (bill.findings, bill.not_yet_rated)
    return [(each.point, each.code, each.quantity // 1000, each.amount_fen) for each in bill.lines]


THOUSAND = usage(main_usage(0, 500, 300, 200))


def test_a_fixed_ratio_gets_its_part_of_every_period_and_the_rest_stays() -> None:
    """0.2 of 1,000 kWh are 200 at 0.54; the shop pays 400, 240 and 160 kWh by their periods."""
    bill = rate(THOUSAND, TARIFF, agreed(ratio("0.2")))
    assert lines(bill) == [
        ("P1", "energy.peak", 400, 40_000),
        ("P1", "energy.flat", 240, 16_800),
        ("P1", "energy.valley", 160, 8_000),
        ("P2", "energy", 200, 10_800),
    ]
    assert bill.energy_wh == 1_000_000
    assert bill.lines[0].basis == {"metered_wh": "500000", "fixed_wh": "100000"}
    assert bill.lines[3].basis == {"fixed_ratio": "0.2", "shared_wh": "1000000"}
    assert bill.lines[3].reading_ids == ("r-P1",)
    text = explain(bill, ("en",))
    assert "points with a fixed part 100 kWh" in text[1]
    assert "fixed ratio 0.2; of 1000 kWh" in text[4]


def test_a_point_with_a_list_of_periods_gets_the_periods_of_the_meter() -> None:
    bill = rate(THOUSAND, TARIFF, agreed(ratio("0.2"), lists=("shop",)))
    assert lines(bill)[3:] == [
        ("P2", "energy.peak", 100, 10_000),
        ("P2", "energy.flat", 60, 4_200),
        ("P2", "energy.valley", 40, 2_000),
    ]


def test_a_fixed_quantity_is_spread_by_the_rule_of_the_book() -> None:
    """300 of 1,000 kWh: 150, 90 and 60 of the periods, or all of them from flat."""
    bill = rate(THOUSAND, TARIFF, agreed(quantity(300)))
    assert [each[2] for each in lines(bill)] == [350, 210, 140, 300]
    assert bill.lines[3].basis == {"fixed_quantity_wh": "300000", "days": "30/30"}
    bill = rate(THOUSAND, FLAT, agreed(quantity(300)))
    assert lines(bill) == [
        ("P1", "energy.peak", 500, 50_000),
        ("P1", "energy.valley", 200, 10_000),
        ("P2", "energy", 300, 16_200),
    ]


def test_quantities_come_before_ratios_and_sub_meters_before_both() -> None:
    """1,000 kWh, sub-meter 100, fixed 300: a ratio of 0.5 is one of 600 kWh."""
    sub = PointRelation(point="P4", kind="deducted", of="P1")
    names = ("home", "home", "home")
    account = agreed(ratio("0.5"), quantity(300, "P3"), sub, lists=names)
    month = usage(main_usage(0, 1000, 0, 0), point_usage("P4", import_wh=100_000))
    assert [each[:3] for each in lines(rate(month, TARIFF, account))] == [
        ("P1", "energy.peak", 300),
        ("P2", "energy", 300),
        ("P3", "energy", 300),
        ("P4", "energy", 100),
    ]


def test_a_meter_without_rates_shares_its_total() -> None:
    plain = terms(
        point_terms(price_list="home"),
        point_terms("P2", price_list="home"),
        point_terms("P3", price_list="home"),
        relations=(ratio("0.25"), quantity(10, "P3")),
    )
    bill = rate(usage(point_usage(import_wh=50_000)), TARIFF, plain)
    assert [each[2] for each in lines(bill)] == [30, 10, 10]


def test_ratios_never_get_more_than_there_is() -> None:
    """A third three times of 2 kWh: 1, 0 and 1, and nothing is left over."""
    two = PointEnergy(2_000, {"peak": 1_000, "valley": 1_000})
    got = fixed_ratios(two, ["0.333333", "0.333333", "0.333334"], Rounding())
    assert [energy.total_wh for energy, _ in got] == [1_000, 0, 1_000]
    assert [energy.by_period for energy, _ in got] == [
        {"peak": 1_000, "valley": 0},
        {"peak": 0, "valley": 0},
        {"peak": 0, "valley": 1_000},
    ]


@pytest.mark.parametrize(
    "relations", [(ratio("0.6"), ratio("0.5", "P3")), (quantity(1001),), (quantity(800),)]
)
def test_more_than_there_is_is_a_finding(relations: tuple[PointRelation, ...]) -> None:
    bill = rate(THOUSAND, FLAT, agreed(*relations))
    assert [(each.rule, each.point) for each in bill.findings] == [("negative_remainder", "P1")]
    assert min(bill.findings[0].numbers.values()) < 0


@pytest.mark.parametrize(
    ("relations", "rules"),
    [
        ((ratio(""),), ["ratio_invalid"]),
        ((ratio("0"),), ["ratio_invalid"]),
        ((ratio("1.01"),), ["ratio_invalid"]),
        ((ratio("1"),), []),
        ((quantity(0),), ["quantity_invalid"]),
        ((ratio("0.1"), PointRelation(point="P3", kind="fixed_ratio", of="P2", ratio="0.1")),
         ["relation_unknown"]),
        ((ratio("0.1", "P9"),), []),
    ],
)  # fmt: skip
def test_what_a_fixed_part_needs(relations: tuple[PointRelation, ...], rules: list[str]) -> None:
    bill = rate(THOUSAND, TARIFF, agreed(*relations))
    assert [each.rule for each in bill.findings] == rules


def test_a_list_of_periods_needs_a_meter_that_has_them() -> None:
    points = point_terms(price_list="home"), point_terms("P2", price_list="shop")
    bill = rate(usage(), TARIFF, terms(*points, relations=(ratio("0.5"),)))
    assert [(each.rule, each.point) for each in bill.findings] == [("periods_missing", "P2")]


def dated(relation: PointRelation, **days: str) -> AgreementTerms:
    """The point P2 has days of its own; without a relation it would be a main point."""
    return terms(MAIN, point_terms("P2", price_list="home", **days), relations=(relation,))


@pytest.mark.parametrize("days", [{}, {"from_on": "2026-01-15"}])
def test_a_relation_that_begins_within_the_days_cuts_them(days: dict[str, str]) -> None:
    """620 kWh by days: 280 in 14 days without P2, 340 in 17 days of which half are its own."""
    account = dated(ratio("0.5", **days), from_on="2026-01-15")
    bill = rate(usage(main_usage(0, 620, 0, 0)), TARIFF, account)
    assert [(each.point, each.from_on, each.quantity) for each in bill.lines] == [
        ("P1", "2026-01-01", 280_000),
        ("P1", "2026-01-15", 170_000),
        ("P2", "2026-01-15", 170_000),
    ]
    assert bill.lines[0].basis == {"prorated": "by_days"}


def test_a_relation_of_a_point_that_was_a_main_one_before() -> None:
    """A main point of its own until the 16th, deducted from the 17th: 300 - 150 kWh are left."""
    account = terms(
        point_terms("P1", price_list="home"),
        point_terms("P2", price_list="home"),
        relations=(PointRelation(point="P2", kind="deducted", of="P1", from_on="2026-01-17"),),
    )
    month = usage(point_usage(import_wh=620_000), point_usage("P2", import_wh=310_000))
    assert [each[:3] for each in lines(rate(month, TARIFF, account))] == [
        ("P1", "energy", 320),
        ("P2", "energy", 160),
        ("P1", "energy", 150),
        ("P2", "energy", 150),
    ]


def test_a_fixed_quantity_is_charged_for_its_days() -> None:
    """100 kWh a month until the 11th: 33 kWh for 10 of 30 days."""
    account = dated(quantity(100, until_on="2026-01-11"), until_on="2026-01-11")
    bill = rate(usage(main_usage(0, 620, 0, 0)), TARIFF, account)
    assert [each[:3] for each in lines(bill)] == [
        ("P1", "energy.peak", 167),
        ("P2", "energy", 33),
        ("P1", "energy.peak", 420),
    ]
    assert bill.lines[1].basis["days"] == "10/30"


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.integers(0, 10**6), min_size=4, max_size=4),
    st.lists(st.integers(0, 333_333), min_size=1, max_size=3),
    st.integers(0, 10**5),
    st.sampled_from([1, 100, 1000]),
)
def test_what_is_taken_from_one_is_billed_to_the_others(
    energies: list[int], parts: list[int], fixed_wh: int, unit: int
) -> None:
    """Whatever the roundings: all points together are billed what the meter showed, to the Wh."""
    shares = [
        ratio(f"0.{each:06d}" if each else "0.000001", f"R{n}") for n, each in enumerate(parts)
    ]
    fixed = PointRelation(point="Q", kind="fixed_quantity", of="P1", quantity_wh=fixed_wh + 1)
    account = agreed(*shares, fixed, lists=("shop", "home", "shop", "home"))
    by_rate = {str(place): each for place, each in enumerate(energies, start=1)}
    taken = point_usage(import_wh=sum(energies), import_wh_by_rate=by_rate)
    tariff = book(
        SHOP, HOME, calendars={"times": calendar()}, rounding=Rounding(energy_unit_wh=unit)
    )
    bill = rate(usage(taken), tariff, account)
    if bill.withheld:
        assert {each.rule for each in bill.findings} == {"negative_remainder"}
        assert fixed_wh + 1 + unit > sum(energies) - 4 * unit
        return
    whole_wh = (sum(energies) + unit // 2) // unit * unit
    assert bill.energy_wh == sum(each.quantity for each in bill.lines) == whole_wh
    assert min([each.quantity for each in bill.lines], default=0) >= 0


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**6), st.lists(st.integers(2, 31), min_size=1, max_size=3, unique=True))
def test_a_fixed_quantity_of_parts_adds_up_to_that_of_the_month(wh: int, days: list[int]) -> None:
    """Split anywhere, as a change of book does: the point gets its quantity, not a kWh more."""
    account = agreed(PointRelation(point="P2", kind="fixed_quantity", of="P1", quantity_wh=wh + 1))
    rest = usage(main_usage(0, 99_000, 0, 0))
    parts = []
    for day in sorted(days):
        before, rest = split_usage(rest, f"2026-01-{day:02d}")
        parts.append(RatingPart(before, TARIFF, account))
    bill = rate_parts([*parts, RatingPart(rest, TARIFF, account)])
    got = sum(each.quantity for each in bill.lines if each.point == "P2")
    assert got == (wh + 1 + 500) // 1000 * 1000

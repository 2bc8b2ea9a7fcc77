"""The basic charge: capacity by days, demand rules by version, feeders, floor, month fees."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, PointRelation, Transformer
from services.billing.basic_charge import (
    DemandCharge,
    billed_demand,
    contract_floor_w,
)
from services.billing.bill import Bill
from services.billing.price_book import Rounding
from services.billing.rating import rate
from tests.unit.billing.builders import (
    book,
    component,
    demand_rule,
    point_terms,
    point_usage,
    price_list,
    terms,
    two_part,
    usage,
)

SGCC_2016 = demand_rule()
OLD = demand_rule(name="old", within="measured", lower_percent=95, excess_over="contract")
KW = 1_000


@pytest.mark.parametrize(
    ("measured_kw", "base_kw", "excess_kw"),
    [(0, 1000, 0), (980, 1000, 0), (1050, 1000, 0), (1051, 1000, 1), (1100, 1000, 50)],
)
def test_the_2016_rule(measured_kw: int, base_kw: int, excess_kw: int) -> None:
    billed = billed_demand(measured_kw * KW, 1000 * KW, SGCC_2016)
    assert billed == DemandCharge(base_kw * KW, excess_kw * KW)


@pytest.mark.parametrize(
    ("measured_kw", "base_kw", "excess_kw"),
    [(0, 950, 0), (949, 950, 0), (950, 950, 0), (980, 980, 0), (1050, 1050, 0), (1100, 1000, 100)],
)
def test_the_old_rule(measured_kw: int, base_kw: int, excess_kw: int) -> None:
    """Above 105 % of the approved value: that value and twice the excess over it."""
    billed = billed_demand(measured_kw * KW, 1000 * KW, OLD)
    assert billed == DemandCharge(base_kw * KW, excess_kw * KW)


@pytest.mark.parametrize(
    ("base_above", "excess_over", "expected"),
    [
        ("contract", "limit", DemandCharge(1000 * KW, 50 * KW)),
        ("contract", "contract", DemandCharge(1000 * KW, 100 * KW)),
        ("limit", "limit", DemandCharge(1050 * KW, 50 * KW)),
        ("limit", "contract", DemandCharge(1050 * KW, 100 * KW)),
    ],
)
def test_every_published_reading_of_the_excess_is_a_choice_of_the_book(
    base_above: str, excess_over: str, expected: DemandCharge
) -> None:
    rule = demand_rule(base_above=base_above, excess_over=excess_over)
    assert billed_demand(1100 * KW, 1000 * KW, rule) == expected


@given(st.integers(0, 3_000_000), st.integers(1, 2_000_000), st.integers(0, 100_000))
def test_more_demand_never_costs_less(measured: int, contract: int, more: int) -> None:
    """With the excess over the limit, doubled, and the limit as base: no step downwards."""
    rule = demand_rule(base_above="limit")

    def cost(demand_w: int) -> int:
        billed = billed_demand(demand_w, contract, rule)
        return billed.base_w + rule.excess_factor * billed.excess_w

    assert cost(measured) <= cost(measured + more)


def test_the_floor_is_forty_percent_of_the_capacity() -> None:
    assert contract_floor_w(300 * KW, 1_000_000, 40) == 400 * KW
    assert contract_floor_w(500 * KW, 1_000_000, 40) == 500 * KW


def transformer(name: str, kva: int, from_on: str = "", until_on: str = "") -> Transformer:
    return Transformer(id=name, capacity_va=kva * 1000, from_on=from_on, until_on=until_on)


LISTED = price_list(
    component(),
    component("capacity", "10", unit="kVA"),
    component("demand", "40", unit="kW"),
    two_part=two_part(floor_percent=40),
)


def charged(agreed: AgreementTerms, *demands_w: int, **changes: Any) -> Bill:
    points = [
        point_usage(each.point, import_wh=0, demand_w=demand_w)
        for each, demand_w in zip(agreed.points, demands_w or (0,), strict=True)
    ]
    bill = rate(usage(*points), book(LISTED, **changes), agreed)
    assert not bill.withheld, bill.findings
    return bill


def test_capacity_of_january_by_thirty_days_or_the_actual_ones() -> None:
    """315 kVA for 18 days of 31, 400 kVA for 13: 18/30 and 12/30, or 18/31 and 13/31."""
    transformers = (
        transformer("T1", 315, until_on="2026-01-19"),
        transformer("T2", 400, from_on="2026-01-19"),
    )
    agreed = terms(basic_charge="capacity", transformers=transformers)
    bill = charged(agreed)
    assert [line.amount_fen for line in bill.lines] == [189_000, 160_000]
    assert [(line.quantity, line.from_on, line.until_on) for line in bill.lines] == [
        (315_000, "2026-01-01", "2026-01-19"),
        (400_000, "2026-01-19", "2026-02-01"),
    ]
    bill = charged(agreed, day_basis="actual")
    assert [line.basis["days"] for line in bill.lines] == ["18/31", "13/31"]
    assert [line.amount_fen for line in bill.lines] == [182_903, 167_742]
    assert all(line.reading_ids == () and line.point == "" for line in bill.lines)


def test_days_without_capacity_cost_nothing() -> None:
    agreed = terms(
        basic_charge="capacity", transformers=(transformer("T1", 315, from_on="2026-01-11"),)
    )
    bill = charged(agreed)
    assert [(line.basis["days"], line.amount_fen) for line in bill.lines] == [("20/30", 210_000)]


def contract(kw: int, *points: str, **changes: Any) -> AgreementTerms:
    names = points or ("P1",)
    fields: dict[str, Any] = {
        "basic_charge": "contract_demand",
        "contract_demand_w": kw * KW,
        "transformers": (transformer("T1", 1000),),
    }
    return terms(*(point_terms(name) for name in names), **{**fields, **changes})


def test_a_contract_under_its_floor_is_billed_at_the_floor() -> None:
    bill = charged(contract(300), 200 * KW)
    line = bill.lines[0]
    assert (line.code, line.quantity, line.amount_fen) == ("demand", 400 * KW, 1_600_000)
    assert line.basis == {
        "measured_w": "200000",
        "contract_w": "400000",
        "demand_rule": "sgcc_2016",
        "days": "30/30",
    }
    assert line.reading_ids == ("r-P1",)


def test_the_excess_is_a_line_of_its_own_at_the_multiple_price() -> None:
    bill = charged(contract(1000), 1100 * KW)
    assert [(line.code, line.quantity, line.price, line.amount_fen) for line in bill.lines] == [
        ("demand", 1000 * KW, "40", 4_000_000),
        ("demand.excess", 50 * KW, "80", 400_000),
    ]


def test_a_deducted_sub_meters_demand_is_not_added() -> None:
    sub = PointRelation(point="P2", kind="deducted", of="P1")
    agreed = contract(0, "P1", "P2", basic_charge="measured_demand", relations=(sub,))
    bill = charged(agreed, 500 * KW, 600 * KW)
    assert [(line.quantity, line.amount_fen) for line in bill.lines] == [(500 * KW, 2_000_000)]
    assert bill.lines[0].basis == {"measured_w": "500000", "days": "30/30"}


def test_the_measured_demand_is_rounded_by_the_book() -> None:
    agreed = contract(0, basic_charge="measured_demand")
    assert charged(agreed, 500_499).lines[0].quantity == 500_000
    exact = Rounding(demand_unit_w=1)
    assert charged(agreed, 500_499, rounding=exact).lines[0].quantity == 500_499
    up = Rounding(demand="ceil")
    assert charged(agreed, 500_001, rounding=up).lines[0].quantity == 501_000


def test_a_monthly_fee_is_charged_by_the_days_of_the_point() -> None:
    listed = price_list(component(), component("fee", "6", unit="month"))
    points = (point_terms(), point_terms("P2", from_on="2026-01-22"))
    month = usage(point_usage(import_wh=0), point_usage("P2", import_wh=0, from_on="2026-01-22"))
    bill = rate(month, book(listed), terms(*points))
    assert [(line.point, line.amount_fen, line.basis) for line in bill.lines] == [
        ("P1", 600, {"days": "30/30"}),
        ("P2", 200, {"days": "10/30"}),
    ]

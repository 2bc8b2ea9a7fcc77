"""Tier keys, boundaries with household allowances, and the split of energy over the steps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import HouseholdAllowance
from services.billing.rating import rate
from services.billing.tiers import (
    TierPosition,
    boundaries_wh,
    energy_by_step,
    position_at,
    tier_key,
)
from tests.unit.billing.builders import (
    book,
    component,
    example,
    month_usage,
    point_terms,
    point_usage,
    price_list,
    terms,
    tiers,
)

BOUNDS = (2_760_000, 4_800_000)
ANNUAL = tiers("year", (2760, 4800), ("0.05", "0.30"), allowances={"large": (100_000, 100_000)})
MONTHLY = tiers("month", (200, 320), ("0.05", "0.30"), allowances={"large": (100_000, 50_000)})
ENERGY = st.integers(0, 10_000_000)


def test_keys() -> None:
    assert tier_key(MONTHLY, "2026-03") == "2026-03"
    assert tier_key(ANNUAL, "2026-01") == tier_key(ANNUAL, "2026-12") == "2026"
    from_july = tiers("year", (1,), ("0.1",), year_from_month=7)
    assert [tier_key(from_july, each) for each in ("2026-06", "2026-07", "2027-06")] == [
        "2025",
        "2026",
        "2026",
    ]


def test_a_position_of_another_year_counts_nothing() -> None:
    positions = {"P1": TierPosition(key="2025", used_wh=5)}
    assert position_at(positions, "P1", "2025").used_wh == 5
    assert position_at(positions, "P1", "2026") == TierPosition(key="2026", used_wh=0)
    assert position_at(positions, "P2", "2025") == TierPosition(key="2025", used_wh=0)


@pytest.mark.parametrize(
    ("before", "used", "expected"),
    [
        (0, 2_760_000, (0, 0)),
        (0, 2_760_001, (1, 0)),
        (2_700_000, 100_000, (40_000, 0)),
        (2_760_000, 2_040_000, (2_040_000, 0)),
        (2_760_000, 2_040_001, (2_040_000, 1)),
        (4_800_000, 5, (0, 5)),
        (0, 6_000_000, (2_040_000, 1_200_000)),
        (9_000_000, 0, (0, 0)),
    ],
)
def test_energy_by_step(before: int, used: int, expected: tuple[int, ...]) -> None:
    assert energy_by_step(before, used, BOUNDS) == expected


@given(ENERGY, ENERGY, ENERGY)
def test_splitting_a_use_changes_nothing(before: int, first: int, second: int) -> None:
    """The law behind annual tiers: months one by one are the year at once."""
    one = energy_by_step(before, first, BOUNDS)
    two = energy_by_step(before + first, second, BOUNDS)
    whole = energy_by_step(before, first + second, BOUNDS)
    assert tuple(map(sum, zip(one, two, strict=True))) == whole


@given(ENERGY, ENERGY, st.integers(0, 1_000_000))
def test_more_use_is_never_less_in_a_step(before: int, used: int, more: int) -> None:
    less = energy_by_step(before, used, BOUNDS)
    assert all(
        a <= b for a, b in zip(less, energy_by_step(before, used + more, BOUNDS), strict=True)
    )
    assert sum(less) <= used


@given(ENERGY, ENERGY, st.integers(0, 1_000_000))
def test_higher_boundaries_never_charge_more(before: int, used: int, gain: int) -> None:
    higher = energy_by_step(before, used, tuple(bound + gain for bound in BOUNDS))
    lower = energy_by_step(before, used, BOUNDS)
    assert sum(higher) <= sum(lower)
    assert higher[1] <= lower[1]


def allowance(from_on: str, until_on: str = "") -> HouseholdAllowance:
    return HouseholdAllowance(rule="large", from_on=from_on, until_on=until_on)


@pytest.mark.parametrize(
    ("period", "given_allowance", "gained_kwh"),
    [
        ("2026-06", allowance("2026-07-15"), 0),
        ("2026-07", allowance("2026-07-15"), 600),
        ("2026-12", allowance("2026-07-15"), 600),
        ("2026-05", allowance("2020-01-01"), 1200),
        ("2026-09", allowance("2026-03-01", "2026-09-01"), 600),
        ("2026-02", allowance("2026-02-01", "2030-01-01"), 1100),
        ("2026-04", allowance("2025-01-01", "2026-01-01"), 0),
        ("2026-04", allowance("2020-01-01", "2021-01-01"), 0),
    ],
)
def test_annual_boundaries_rise_by_the_months_of_the_allowance(
    period: str, given_allowance: HouseholdAllowance, gained_kwh: int
) -> None:
    bounds = boundaries_wh(ANNUAL, period, [given_allowance])
    assert bounds == (2_760_000 + gained_kwh * 1000, 4_800_000 + gained_kwh * 1000)


@pytest.mark.parametrize(
    ("period", "bounds"),
    [
        ("2026-02", (200_000, 320_000)),
        ("2026-03", (300_000, 370_000)),
        ("2026-05", (300_000, 370_000)),
        ("2026-06", (200_000, 320_000)),
    ],
)
def test_monthly_boundaries_rise_in_the_months_of_the_allowance(
    period: str, bounds: tuple[int, ...]
) -> None:
    assert boundaries_wh(MONTHLY, period, [allowance("2026-03-01", "2026-06-01")]) == bounds


def test_two_allowances_add_up() -> None:
    both = [allowance("2026-01-01"), allowance("2026-07-01")]
    assert boundaries_wh(ANNUAL, "2026-08", both) == (2_760_000 + 1_800_000, 4_800_000 + 1_800_000)


def test_tiers_and_time_of_use_together_zhejiang() -> None:
    """2,700 kWh used before; 60 peak and 40 valley: base by period, adder on 40 kWh above 2,760.

    60 x 0.568 = 34.08, 40 x 0.288 = 11.52, 40 x 0.05 = 2.00 yuan.
    """
    rates = {"1": "peak", "2": "valley"}
    point = point_terms(price_list="residential_tou", category="residential", rate_periods=rates)
    agreed = terms(point, price_book="zj-residential")
    month = month_usage(
        "2026-09",
        "2026-10",
        point_usage(import_wh=100_000, import_wh_by_rate={"1": 60_000, "2": 40_000}),
    )
    start = {"P1": TierPosition(key="2026", used_wh=2_700_000)}
    bill = rate(month, example("zj_residential"), agreed, start)
    assert [(line.code, line.amount_fen) for line in bill.lines] == [
        ("energy.peak", 3408),
        ("energy.valley", 1152),
        ("tier.2", 200),
    ]
    assert bill.lines[2].basis == {"above_wh": "2760000", "used_before_wh": "2700000"}
    assert bill.tiers_before == start
    assert bill.tiers_after == {"P1": TierPosition(key="2026", used_wh=2_800_000)}
    assert not bill.warnings


def test_a_household_with_an_allowance_reaches_the_tiers_later() -> None:
    """From July on 2,760 + 6 x 100 = 3,360 kWh: of 3,300 + 100 used, 40 are above."""
    tariff = book(price_list(component(price="1"), tiers=ANNUAL))
    agreed = terms(allowances=(allowance("2026-07-01"),))
    month = month_usage("2026-09", "2026-10", point_usage(import_wh=100_000))
    bill = rate(month, tariff, agreed, {"P1": TierPosition(key="2026", used_wh=3_300_000)})
    assert [(line.code, line.quantity) for line in bill.lines] == [
        ("energy", 100_000),
        ("tier.2", 40_000),
    ]
    assert bill.lines[1].basis["above_wh"] == "3360000"


def test_a_new_tier_year_starts_at_nothing() -> None:
    tariff = book(price_list(component(price="1"), tiers=ANNUAL))
    month = month_usage("2027-01", "2027-02", point_usage(import_wh=100_000))
    bill = rate(month, tariff, terms(), {"P1": TierPosition(key="2026", used_wh=9_000_000)})
    assert [line.code for line in bill.lines] == ["energy"]
    assert bill.tiers_before == {"P1": TierPosition(key="2027", used_wh=0)}


def test_the_chongqing_months() -> None:
    """523 kWh: 523 x 0.52 = 271.96, 120 x 0.05 = 6.00, 203 x 0.30 = 60.90 yuan."""
    point = point_terms(price_list="residential", category="residential")
    agreed = terms(point, price_book="cq-residential")
    month = month_usage("2026-02", "2026-03", point_usage(import_wh=523_400))
    bill = rate(month, example("cq_residential"), agreed)
    assert [line.amount_fen for line in bill.lines] == [27_196, 600, 6_090]
    assert bill.total_fen == 33_886
    assert bill.tiers_after == {"P1": TierPosition(key="2026-02", used_wh=523_000)}

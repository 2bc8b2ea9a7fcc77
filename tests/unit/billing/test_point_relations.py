"""Rates to periods, rounding, and the deduction of sub-meters before anything is priced."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from services.billing.agreement import PointRelation
from services.billing.bill import Bill
from services.billing.point_relations import PointEnergy, deduct, metered_energy
from services.billing.price_book import Rounding
from services.billing.rating import rate
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

KWH = Rounding()
EACH = Rounding(periods="each")
FLAT = Rounding(deduction_spread="flat")
FOUR = point_terms(rate_periods=FOUR_RATES)


def rates(*energies_wh: int) -> dict[str, int]:
    return {str(place): energy for place, energy in enumerate(energies_wh, start=1)}


def read(total_wh: int, *energies_wh: int, rounding: Rounding = KWH) -> PointEnergy:
    taken = point_usage(import_wh=total_wh, import_wh_by_rate=rates(*energies_wh))
    energy, findings = metered_energy(taken, FOUR, rounding)
    assert findings == []
    assert sum(energy.by_period.values()) == energy.total_wh
    return energy


def test_flat_is_the_rounded_total_minus_the_other_rounded_periods() -> None:
    """10.4 + 20.4 + 30.4 + 40.4 = 101.6: 102, of which 10, 20 and 40 leave 32 for flat."""
    energy = read(101_600, 10_400, 20_400, 30_400, 40_400)
    assert energy.total_wh == 102_000
    assert energy.by_period == {"sharp": 10_000, "peak": 20_000, "flat": 32_000, "valley": 40_000}


def test_or_each_period_is_rounded_and_the_total_is_their_sum() -> None:
    energy = read(101_600, 10_400, 20_400, 30_400, 40_400, rounding=EACH)
    assert energy.total_wh == 100_000
    assert energy.by_period["flat"] == 30_000


def test_without_flat_the_rest_is_peak() -> None:
    zhejiang = point_terms(rate_periods={"1": "peak", "2": "valley"})
    taken = point_usage(import_wh=100_900, import_wh_by_rate=rates(60_500, 40_400))
    assert metered_energy(taken, zhejiang, KWH) == (
        PointEnergy(101_000, {"peak": 61_000, "valley": 40_000}),
        [],
    )


def test_two_rates_of_one_period_are_added_before_rounding() -> None:
    point = point_terms(rate_periods={"1": "peak", "2": "flat", "3": "peak"})
    taken = point_usage(import_wh=1_800, import_wh_by_rate=rates(400, 1_000, 400))
    assert metered_energy(taken, point, KWH)[0].by_period == {"peak": 1_000, "flat": 1_000}


def test_what_rounding_alone_takes_from_flat_the_largest_period_gives() -> None:
    """0.5 + 0.5 + 0 + 0.9 = 1.9 kWh: 2, but 1 + 1 + 1 are 3; the first of the largest gives."""
    energy = read(1_900, 500, 500, 0, 900)
    assert energy.by_period == {"sharp": 0, "peak": 1_000, "flat": 0, "valley": 1_000}


def test_two_units_are_given_by_two_periods() -> None:
    """0.5 + 0.5 + 0 + 0.5 of 1.499 kWh: 1, but 1 + 1 + 1 are 3; sharp and peak give one each."""
    energy = read(1_499, 500, 500, 0, 500)
    assert energy.by_period == {"sharp": 0, "peak": 0, "flat": 0, "valley": 1_000}


def test_periods_that_exceed_the_total_by_more_than_rounding_are_a_finding() -> None:
    taken = point_usage(import_wh=50_000, import_wh_by_rate=rates(20_000, 20_000, 0, 20_000))
    _, findings = metered_energy(taken, FOUR, KWH)
    assert [each.rule for each in findings] == ["periods_exceed_total"]
    assert findings[0].numbers == {"total_wh": 50_000, "periods_wh": 60_000}
    taken = point_usage(import_wh=0, import_wh_by_rate=rates(1_000, 1_000, 0, 1_000))
    assert metered_energy(taken, FOUR, KWH)[1][0].rule == "periods_exceed_total"


def test_negative_energy_is_a_finding() -> None:
    _, findings = metered_energy(point_usage(import_wh=-1), FOUR, KWH)
    assert (findings[0].rule, findings[0].numbers) == ("negative_usage", {"import_wh": -1})


TOU_MAIN = PointEnergy(1_000_000, {"peak": 500_000, "flat": 300_000, "valley": 200_000})
TOU_SUB = PointEnergy(100_000, {"peak": 10_000, "flat": 40_000, "valley": 50_000})
PLAIN_SUB = PointEnergy(90_000, {})


def left(main: PointEnergy, *subs: PointEnergy, rounding: Rounding = KWH) -> PointEnergy:
    metered = {"M": main, **{f"S{place}": sub for place, sub in enumerate(subs)}}
    names = [name for name in metered if name != "M"]
    energy, findings = deduct("M", metered, names, rounding)
    assert findings == []
    return energy


def test_a_sub_meter_with_rates_is_deducted_period_by_period() -> None:
    energy = left(TOU_MAIN, TOU_SUB)
    assert energy == PointEnergy(900_000, {"peak": 490_000, "flat": 260_000, "valley": 150_000})


def test_a_sub_meter_without_rates_is_deducted_in_proportion() -> None:
    """90 kWh over 500 : 300 : 200 are 45, 27 and 18."""
    energy = left(TOU_MAIN, PLAIN_SUB)
    assert energy == PointEnergy(910_000, {"peak": 455_000, "flat": 273_000, "valley": 182_000})


def test_or_from_the_flat_period() -> None:
    energy = left(TOU_MAIN, PLAIN_SUB, rounding=FLAT)
    assert energy.by_period == {"peak": 500_000, "flat": 210_000, "valley": 200_000}


def test_proportional_shares_are_whole_units_and_add_up() -> None:
    """100 kWh over 1 : 1 : 1 are 34, 33 and 33, the largest remainder in the order of the bill."""
    third = PointEnergy(900_000, {"peak": 300_000, "flat": 300_000, "valley": 300_000})
    energy = left(third, PointEnergy(100_000, {}))
    assert energy.by_period == {"peak": 266_000, "flat": 267_000, "valley": 267_000}


def test_a_main_meter_without_rates_only_has_a_total() -> None:
    assert left(PointEnergy(1_000_000, {}), TOU_SUB, PLAIN_SUB) == PointEnergy(810_000, {})


@pytest.mark.parametrize("rounding", [KWH, FLAT])
@pytest.mark.parametrize(
    "sub",
    [
        PointEnergy(1_000_001, {}),
        PointEnergy(500_000, {"peak": 500_001, "flat": 0, "valley": 0}),
        PointEnergy(10, {"sharp": 10}),
        PointEnergy(900_000, {"peak": 500_001, "flat": 0, "valley": 399_999}),
    ],
)
def test_a_negative_remainder_is_a_finding(sub: PointEnergy, rounding: Rounding) -> None:
    _, findings = deduct("M", {"M": TOU_MAIN, "S": sub}, ["S"], rounding)
    assert [each.rule for each in findings] == ["negative_remainder"]
    assert findings[0].numbers["remainder_wh"] == 1_000_000 - sub.total_wh
    assert min(findings[0].numbers.values()) < 0


def test_a_main_meter_at_zero_with_a_sub_meter_is_a_finding_too() -> None:
    zero = PointEnergy(0, {"peak": 0, "flat": 0})
    assert deduct("M", {"M": zero, "S": PLAIN_SUB}, ["S"], KWH)[1][0].rule == "negative_remainder"
    assert deduct("M", {"M": zero, "S": PointEnergy(0, {})}, ["S"], KWH) == (zero, [])


TARIFF = book(
    price_list(
        component(
            "energy",
            "",
            tou_applies=True,
            period_prices={"peak": "1.0", "valley": "0.5", "flat": "0.7", "sharp": "2"},
        ),
        calendar="times",
    ),
    price_list(component(price="0.54"), code="home"),
    calendars={"times": calendar()},
)
HOME = point_terms("P2", price_list="home")
SUB = PointRelation(point="P2", kind="deducted", of="P1")


def main_and_home(main_wh: int, home_wh: int) -> Bill:
    main = point_usage(
        "P1",
        import_wh=main_wh,
        import_wh_by_rate=rates(0, main_wh * 6 // 10, 0, main_wh - main_wh * 6 // 10),
    )
    agreed = terms(point_terms("P1", rate_periods=FOUR_RATES), HOME, relations=(SUB,))
    return rate(usage(main, point_usage("P2", import_wh=home_wh)), TARIFF, agreed)


def test_a_deducted_residential_sub_meter_is_billed_itself() -> None:
    """Main 1000 kWh (600 peak, 400 valley), home 100: 540 at 1.0, 360 at 0.5, 100 at 0.54."""
    bill = main_and_home(1_000_000, 100_000)
    assert [(line.point, line.code, line.quantity, line.amount_fen) for line in bill.lines] == [
        ("P1", "energy.peak", 540_000, 54_000),
        ("P1", "energy.valley", 360_000, 18_000),
        ("P2", "energy", 100_000, 5_400),
    ]
    assert bill.lines[0].basis == {"metered_wh": "600000", "deducted_wh": "60000"}
    assert bill.lines[0].reading_ids == ("r-P1", "r-P2")
    assert (bill.lines[2].basis, bill.lines[2].reading_ids) == ({}, ("r-P2",))
    assert bill.energy_wh == 1_000_000


def test_a_negative_remainder_withholds_the_bill() -> None:
    bill = main_and_home(100_000, 100_001_000)
    assert bill.withheld
    assert (bill.lines, bill.total_fen) == ((), 0)
    assert [each.rule for each in bill.findings] == ["negative_remainder"]


def test_sub_meters_of_sub_meters_are_deducted_from_theirs() -> None:
    """P1 1000, P2 of P1 300, P3 of P2 100: 700, 200 and 100 kWh are billed, together 1000."""
    relations = (SUB, PointRelation(point="P3", kind="deducted", of="P2"))
    points = (point_terms("P1", price_list="home"), HOME, point_terms("P3", price_list="home"))
    month = usage(
        point_usage("P3", import_wh=100_000),
        point_usage("P1", import_wh=1_000_000),
        point_usage("P2", import_wh=300_000),
    )
    bill = rate(month, TARIFF, terms(*points, relations=relations))
    assert [line.quantity for line in bill.lines] == [700_000, 200_000, 100_000]


@given(st.integers(0, 10**9), st.integers(0, 100))
def test_main_and_sub_meter_together_are_billed_what_the_main_meter_showed(
    main_wh: int, percent: int
) -> None:
    bill = main_and_home(main_wh, main_wh * percent // 100)
    assert not bill.withheld
    assert bill.energy_wh == (main_wh + 500) // 1000 * 1000


@given(
    st.lists(st.integers(0, 2_000) | st.integers(0, 10**6), min_size=4, max_size=4),
    st.integers(-2, 2),
)
@example([500, 500, 0, 500], -1)
def test_periods_always_add_up_to_the_rounded_total(energies: list[int], drift: int) -> None:
    total_wh = max(0, sum(energies) + drift)
    taken = point_usage(import_wh=total_wh, import_wh_by_rate=rates(*energies))
    energy, findings = metered_energy(taken, FOUR, KWH)
    assert findings == []
    assert sum(energy.by_period.values()) == energy.total_wh == (total_wh + 500) // 1000 * 1000
    assert min(energy.by_period.values()) >= 0

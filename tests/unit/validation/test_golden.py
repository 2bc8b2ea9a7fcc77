"""The VEE vectors (computed from published rule texts, domain.md §2) against the functions.

Goal: every case in scope gives the published numbers. Method: kilowatt-hours of the vectors become
watt-hours; each case id has one test, and a case without a test fails the last one.
"""

from __future__ import annotations

import json
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from services.validation.estimation import Actual, DayUsage, estimate_gap, split
from services.validation.estimation_plan import DEFAULT_PLAN
from services.validation.interval_estimation import estimate_series
from services.validation.interval_series import interval_series
from services.validation.reading_rules import PeriodUsage, high_low
from services.validation.register_bracket import brackets_of
from services.validation.register_usage import usages_between
from services.validation.rule_set import RuleSettings
from services.validation.rules import interval_sum, negative, rate_sum, rollover, spike
from tests.unit.validation.interval_samples import register_row, slots_of
from tests.unit.validation.samples import IMPORT, day_on, installed, snapshot

GOLDEN = Path(__file__).parents[2] / "golden" / "vee_cases.json"
CASES: dict[str, dict[str, Any]] = {
    case["id"]: case for case in json.loads(GOLDEN.read_text(), parse_float=Decimal)["cases"]
}

LATER = {}
"""Cases of methods that are not built yet."""


def wh(kwh: Decimal | int) -> int:
    value = Decimal(kwh) * 1000
    assert value == int(value)
    return int(value)


def spike_settings(case: dict[str, Any]) -> RuleSettings:
    tolerance = int(case["params"]["tolerance_pct"])
    return RuleSettings(
        parameters={"tolerance_pct": tolerance, "floor_wh": 1000, "history_days": 28}
    )


def check_spike(case: dict[str, Any]) -> None:
    values = {str(slot): wh(kwh) for slot, kwh in enumerate(case["input"])}
    found = spike(values, spike_settings(case))
    expected = case["expected"]
    assert found.numbers["highest_wh"] == str(wh(expected["highest"]))
    assert found.numbers["third_wh"] == str(wh(expected["third"]))
    assert Decimal(found.numbers["difference_pct"]) == expected["diff_pct"]
    assert (found.severity == "fail") is expected["flag"]


def test_v01_spike() -> None:
    check_spike(CASES["v01"])


def test_v02_two_high_values_near_a_third_are_no_spike() -> None:
    check_spike(CASES["v02"])


def test_v03_intervals_against_the_register() -> None:
    case = CASES["v03"]
    ratio = str(case["input"]["multiplier"])
    before, after = wh(case["input"]["register_start"]), wh(case["input"]["register_end"])
    used = usages_between(snapshot(0, before), snapshot(1, after), (installed(ratio=ratio),))[
        IMPORT
    ].usage
    assert used == wh(case["expected"]["register_delta"])
    tolerance = wh(int(case["params"]["tolerance_multipliers"]))
    settings = RuleSettings(
        parameters={"tolerance_register_wh": tolerance, "tolerance_permille": 0}
    )
    found = interval_sum(used, sum(map(wh, case["input"]["intervals"])), ratio, settings)
    assert found.severity == "pass"
    assert case["expected"]["pass"] is True
    assert found.numbers == {
        "register_wh": "40000",
        "sum_wh": str(wh(case["expected"]["interval_sum"])),
        "difference_wh": str(wh(case["expected"]["diff"])),
        "tolerance_wh": "40000",
    }


def test_v04_rates_against_the_total() -> None:
    case = CASES["v04"]
    tolerance = wh(case["params"]["tolerance"])
    settings = RuleSettings(
        parameters={"tolerance_register_wh": tolerance, "tolerance_permille": 0}
    )
    rates = {f"1-0:1.8.{n}": wh(kwh) for n, kwh in enumerate(case["input"]["tou"], start=1)}
    found = rate_sum(wh(case["input"]["total"]), rates, "1", settings)
    assert (found.severity == "pass") is case["expected"]["pass"]
    assert found.numbers["difference_wh"] == str(wh(case["expected"]["diff"]))


def test_v05_rollover() -> None:
    case = CASES["v05"]["input"]
    meter = installed(digits=case["digits"], ratio=str(case["multiplier"]))
    before, after = snapshot(0, wh(case["prev"])), snapshot(1, wh(case["curr"]))
    used = usages_between(before, after, (meter,))[IMPORT]
    assert used.usage == wh(CASES["v05"]["expected"]["delta"])
    assert (used.outcome == "rollover") is CASES["v05"]["expected"]["rollover"]
    assert rollover(used, RuleSettings(severity="warn")).severity == "warn"
    assert negative(used, RuleSettings()).severity == "pass"


def test_v06_a_decrease_that_is_no_rollover() -> None:
    case = CASES["v06"]["input"]
    capacity_w = wh(case["max_plausible_delta"]) // 24
    meter = installed(digits=case["digits"], capacity_w=capacity_w)
    before, after = snapshot(0, wh(case["prev"])), snapshot(1, wh(case["curr"]))
    used = usages_between(before, after, (meter,))[IMPORT]
    found = negative(used, RuleSettings())
    assert CASES["v06"]["expected"]["flag"] == "NEGATIVE_USAGE"
    assert found.severity == "fail"
    assert found.numbers["rollover_usage"] == str(wh(CASES["v06"]["expected"]["rollover_delta"]))
    assert used.usage is None


def test_v07_linear_interpolation_of_a_gap() -> None:
    case = CASES["v07"]
    values = [None if kwh is None else wh(kwh) for kwh in case["input"]]
    series = interval_series(slots_of(0, values, minutes=15), interval_minutes=15)
    found = estimate_series(series, (), DEFAULT_PLAN)
    assert [slot.energy for slot in found.slots] == [wh(kwh) for kwh in case["expected"]]
    assert {slot.method for slot in found.filled} == {"linear"}


def test_v08_like_days_of_intervals_scaled_to_the_register() -> None:
    case = CASES["v08"]
    days = [*case["input"]["ref_days"], [None] * 3]
    slots = [
        slot
        for week, row in enumerate(days)
        for slot in slots_of(7 * week, [None if kwh is None else wh(kwh) for kwh in row], 480)
    ]
    delta = wh(case["input"]["register_delta"])
    rows = (register_row(21, 5_000), register_row(22, 5_000 + delta))
    brackets = brackets_of(rows, IMPORT, interval_minutes=480)
    series = interval_series(slots, interval_minutes=480)
    found = estimate_series(series, brackets, DEFAULT_PLAN)
    last_day = found.filled[-3:]
    assert [slot.energy for slot in last_day] == [wh(kwh) for kwh in case["expected"]["estimate"]]
    assert [slot.shape for slot in last_day] == [wh(kwh) for kwh in case["expected"]["average"]]
    assert {slot.scale for slot in last_day} == {case["expected"]["scale"]}
    assert {slot.references for slot in last_day} == {(day_on(0), day_on(7), day_on(14))}


def test_v08_like_days_scaled_to_the_register() -> None:
    case = CASES["v08"]
    history = tuple(
        DayUsage(
            day_on=day_on(7 * week + weekday),
            energy={IMPORT: wh(kwh)},
            quality="actual",
        )
        for week, row in enumerate(case["input"]["ref_days"])
        for weekday, kwh in enumerate(row)
    )
    gap = Actual(
        opening_on=day_on(20),
        closing_on=day_on(23),
        energy={IMPORT: wh(case["input"]["register_delta"])},
    )
    estimates = estimate_gap(gap, history, weekday_samples=3)
    expected = [wh(kwh) for kwh in case["expected"]["estimate"]]
    assert [day.energy[IMPORT] for day in estimates] == expected
    averages = [Fraction(sum(column), 3) for column in zip(*case["input"]["ref_days"], strict=True)]
    assert averages == [Fraction(kwh) for kwh in case["expected"]["average"]]
    assert split(24_000, (9, 12, 15)) == tuple(expected)


def test_v09_high_usage_by_average_daily_usage() -> None:
    case = CASES["v09"]
    given, params = case["input"], case["params"]
    settings = RuleSettings(
        severity="warn",
        parameters={
            "high_permille": int(params["high_factor"] * 1000),
            "low_permille": int(params["low_factor"] * 1000),
            "floor_wh": 1000,
        },
    )
    current, history = (
        PeriodUsage(energy_wh=wh(given[f"{side}_kwh"]), period_s=given[f"{side}_days"] * 86_400)
        for side in ("curr", "hist")
    )
    found = high_low(current, history, settings)
    expected = case["expected"]
    assert found.numbers["daily_wh"] == str(wh(expected["adu_curr"]))
    assert found.numbers["history_daily_wh"] == str(wh(expected["adu_hist"]))
    assert Decimal(found.numbers["ratio"]) == expected["ratio"]
    assert expected["flag"] == "HIGH"
    assert found.text.startswith("high usage")
    assert found.severity == "warn"


def test_every_case_is_tested() -> None:
    assert {name.split("_")[1] for name in globals() if name.startswith("test_v")} == set(CASES)

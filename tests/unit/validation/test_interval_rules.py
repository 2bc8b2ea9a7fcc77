"""The rules for interval energies, each at its thresholds, with the numbers that it names."""

from __future__ import annotations

import pytest

from services.validation.interval_rules import (
    capacity,
    demand_step,
    historical_peak,
    inactive_usage,
    interval_size,
    negative_interval,
    zero_minutes_after,
    zero_run,
)
from services.validation.rule_set import RuleSettings

STEP = RuleSettings(severity="warn", parameters={"tolerance_pct": 100, "floor_wh": 50})
ZERO = RuleSettings(severity="warn", parameters={"run_minutes": 45})
FAIL = RuleSettings()


def test_intervals_of_another_length_or_between_the_ends_are_named() -> None:
    found = interval_size({"a": 900, "b": 1800, "x": 900}, ("a", "b", "c"), 15, FAIL)
    assert (found.severity, found.slots) == ("fail", ("b", "x"))
    assert found.numbers == {"expected_s": "900", "wrong_count": "2", "first_wrong_s": "1800"}
    assert interval_size({"a": 60}, ("a",), 1, FAIL).severity == "pass"


def test_a_step_is_judged_exactly_at_tolerance_and_floor() -> None:
    # 100 % above 100 is 200: the tolerance itself is allowed.
    assert demand_step({"a": 100, "b": 200}, None, STEP).severity == "pass"
    found = demand_step({"a": 100, "b": 201, "c": 90}, None, STEP)
    assert (found.severity, found.slots) == ("warn", ("b",))
    assert found.numbers == {
        "previous_wh": "100",
        "current_wh": "201",
        "step_pct": "101",
        "hit_count": "1",
        "tolerance_pct": "100",
        "floor_wh": "50",
    }
    assert demand_step({"a": 10, "b": 59}, None, STEP).severity == "pass"
    assert demand_step({"a": 10, "b": 60}, None, STEP).severity == "warn"


def test_the_numbers_of_a_step_are_those_of_the_largest() -> None:
    found = demand_step({"a": 0, "b": 60, "c": 500, "d": 0}, 1000, STEP)
    assert found.slots == ("b", "c")
    assert (found.numbers["previous_wh"], found.numbers["current_wh"]) == ("60", "500")


def test_a_step_after_zero_counts_and_one_over_a_gap_does_not() -> None:
    found = demand_step({"a": 0, "b": 50}, None, STEP)
    assert (found.severity, found.numbers["step_pct"]) == ("warn", "")
    assert demand_step({"a": 0, "b": None, "c": 900}, None, STEP).severity == "pass"
    assert demand_step({"a": 900}, 10, STEP).slots == ("a",)
    assert demand_step({}, 10, STEP).severity == "pass"


def test_a_peak_is_compared_with_the_one_before() -> None:
    assert historical_peak({"a": 200, "b": 1}, 100, STEP).severity == "pass"
    found = historical_peak({"a": 1, "b": 201, "c": None}, 100, STEP)
    assert (found.severity, found.slots) == ("warn", ("b",))
    assert found.numbers["difference_pct"] == "101"
    assert found.numbers["peak_wh"] == "201"
    assert historical_peak({"a": 49}, 0, STEP).severity == "pass"
    assert historical_peak({"a": 50}, 0, STEP).severity == "warn"
    assert historical_peak({"a": 500}, None, STEP).numbers.get("peak_wh") is None
    assert historical_peak({"a": None}, 100, STEP).severity == "pass"


@pytest.mark.parametrize(
    ("values", "before", "slots", "longest"),
    [
        ((0, 0, 1), 0, (), 30),
        ((0, 0, 0, 1), 0, ("0", "1", "2"), 45),
        ((0, 0, 1), 15, ("0", "1"), 45),
        ((1, 0, 0), 15, (), 30),
        ((0, None, 0, 0), 0, (), 30),
        ((1, 1), 90, (), 0),
        ((0, 0, 0, 5, 0, 0, 0), 0, ("0", "1", "2", "4", "5", "6"), 45),
        ((), 90, (), 0),
    ],
)
def test_zeros_count_across_the_days_and_not_through_an_outage(
    values: tuple[int | None, ...], before: int, slots: tuple[str, ...], longest: int
) -> None:
    named = {str(index): value for index, value in enumerate(values)}
    found = zero_run(named, 15, before, ZERO)
    assert found.slots == slots
    assert found.severity == ("warn" if slots else "pass")
    assert found.numbers == {"longest_minutes": str(longest), "run_minutes": "45"}


def test_a_run_of_zeros_is_handed_to_the_next_day() -> None:
    assert zero_minutes_after({"a": 0, "b": 0}, 30, 60) == 120
    assert zero_minutes_after({"a": 1, "b": 0}, 30, 60) == 30
    assert zero_minutes_after({"a": 0, "b": None}, 30, 60) == 0


def test_energies_below_zero_are_named() -> None:
    found = negative_interval({"a": -1, "b": 0, "c": -7}, FAIL)
    assert (found.severity, found.slots) == ("fail", ("a", "c"))
    assert found.numbers == {"negative_count": "2", "lowest_wh": "-7"}
    assert negative_interval({"b": 0}, FAIL).severity == "pass"


def test_usage_while_inactive() -> None:
    settings = RuleSettings(parameters={"floor_wh": 5})
    found = inactive_usage({"a": 6, "b": 5, "c": 100}, {"a", "b"}, settings)
    assert (found.severity, found.slots) == ("fail", ("a",))
    assert found.numbers == {
        "inactive_count": "2",
        "used_count": "1",
        "used_wh": "6",
        "floor_wh": "5",
    }
    assert inactive_usage({"c": 100}, (), settings).severity == "pass"


def test_capacity_times_margin_times_time_is_the_limit() -> None:
    settings = RuleSettings(parameters={"margin_permille": 1500})
    # 10 kW x 1.5 x 15 minutes = 3750 Wh
    assert capacity({"a": 3750}, 15, 10_000, settings).severity == "pass"
    found = capacity({"a": 3751, "b": 3}, 15, 10_000, settings)
    assert (found.severity, found.slots) == ("fail", ("a",))
    assert found.numbers == {
        "capacity_w": "10000",
        "limit_wh": "3750",
        "highest_wh": "3751",
        "above_count": "1",
    }
    assert capacity({"a": 60}, 1, 2401, settings).severity == "pass"  # 60.025 Wh
    assert capacity({"a": 61}, 1, 2401, settings).severity == "fail"
    unknown = capacity({"a": 10**9}, 15, 0, settings)
    assert (unknown.severity, unknown.numbers["limit_wh"]) == ("pass", "")

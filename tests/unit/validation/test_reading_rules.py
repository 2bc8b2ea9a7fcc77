"""The rules for readings in their context, each at its thresholds, with the numbers it names."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.reading_rules import (
    PeriodUsage,
    Version,
    device_match,
    high_low,
    meter_flags,
    outranks,
    prolonged_estimation,
    register_delta,
    replacement,
    reverse_flow,
)
from services.validation.register_usage import RegisterUsage, usages_between
from services.validation.rule_set import RuleSettings
from tests.unit.validation.samples import at, installed, snapshot

DAY_S = 86_400
RULES = DEFAULT_RULE_BOOK.rules
HIGH_LOW = RuleSettings(
    severity="warn", parameters={"high_permille": 2000, "low_permille": 500, "floor_wh": 1000}
)
DELTA = RuleSettings(severity="warn", parameters={"tolerance_pct": 50, "floor_wh": 100})
RANKS = RULES["replacement"]
FLAGS = RULES["meter_flags"]


def period(energy_wh: int, days: int, outage_s: int = 0) -> PeriodUsage:
    return PeriodUsage(energy_wh=energy_wh, period_s=days * DAY_S, outage_s=outage_s)


def test_meter_unit_and_ratio_must_match() -> None:
    expected = {"meter_no": "M1", "unit": "Wh", "ratio": "40"}
    assert device_match({"ratio": "40.0", "unit": "Wh"}, expected, RuleSettings()).severity == (
        "pass"
    )
    found = device_match(
        {"ratio": "30", "unit": "varh", "meter_no": "M1"}, expected, RuleSettings()
    )
    assert found.severity == "fail"
    assert found.numbers == {
        "other_count": "2",
        "ratio_found": "30",
        "ratio_expected": "40",
        "unit_found": "varh",
        "unit_expected": "Wh",
    }
    assert found.text == "unlike the master data: ratio, unit"
    assert device_match({"seal": "x"}, expected, RuleSettings()).numbers == {"other_count": "0"}


@pytest.mark.parametrize(
    ("current_wh", "history_wh", "severity", "text"),
    [
        (20_000, 10_000, "pass", "usage is as"),
        (20_001, 10_000, "warn", "high usage"),
        (5_000, 10_000, "pass", "usage is as"),
        (4_999, 10_000, "warn", "low usage"),
        (999, 0, "pass", "usage is as"),
        (1_000, 0, "warn", "high usage"),
        (0, 999, "pass", "usage is as"),
        (0, 1_000, "warn", "low usage"),
        (0, 0, "pass", "usage is as"),
    ],
)
def test_high_and_low_are_judged_at_factor_and_floor(
    current_wh: int, history_wh: int, severity: str, text: str
) -> None:
    found = high_low(period(current_wh, 1), period(history_wh, 1), HIGH_LOW)
    assert found.severity == severity
    assert found.text.startswith(text)


def test_high_and_low_leave_outages_out() -> None:
    # 12 h without supply: 6 kWh in the other 12 h are 12 kWh a day, as in the history.
    found = high_low(period(6_000, 1, 43_200), period(12_000, 1), HIGH_LOW)
    assert found.severity == "pass"
    assert found.numbers["daily_wh"] == found.numbers["history_daily_wh"] == "12000"
    assert high_low(period(5_999, 1), period(12_000, 1), HIGH_LOW).severity == "warn"
    none = high_low(period(0, 1, DAY_S), period(12_000, 1), HIGH_LOW)
    assert (none.severity, none.numbers) == ("pass", {})


def test_register_delta_adjusts_the_time() -> None:
    # 31 kWh in 31 days against 28 kWh in 28 days is no difference at all.
    same = register_delta(period(31_000, 31), period(28_000, 28), DELTA)
    assert (same.severity, same.numbers["difference_pct"]) == ("pass", "0")
    assert same.numbers["previous_adjusted_wh"] == "31000"
    # |1000 - 1500| / 1000 = 50 %: the tolerance itself is allowed.
    assert register_delta(period(1000, 1), period(1500, 1), DELTA).severity == "pass"
    found = register_delta(period(1000, 1), period(1501, 1), DELTA)
    assert (found.severity, found.numbers["difference_pct"]) == ("warn", "50.1")
    assert register_delta(period(0, 1), period(99, 1), DELTA).severity == "pass"
    zero = register_delta(period(0, 1), period(100, 1), DELTA)
    assert (zero.severity, zero.numbers["difference_pct"]) == ("warn", "")
    assert register_delta(period(5, 0), period(100, 1), DELTA).text.endswith("not judged")


def exported(before: int, after: int) -> RegisterUsage:
    return usages_between(snapshot(0, before), snapshot(1, after), (installed(),))["1-0:1.8.0"]


def test_the_reverse_register_of_a_consumer_stands_still() -> None:
    settings = RULES["reverse_flow"]
    found = reverse_flow(exported(5, 6), False, settings)
    assert (found.severity, found.slots, found.numbers["usage"]) == ("fail", ("1-0:1.8.0",), "1")
    assert reverse_flow(exported(5, 6), True, settings).severity == "pass"
    assert reverse_flow(exported(5, 5), False, settings).severity == "pass"
    fallen = reverse_flow(exported(900_000, 5), False, settings)
    assert (fallen.severity, fallen.numbers["usage"]) == ("pass", "")


@pytest.mark.parametrize(
    ("days", "severity"), [(0, "pass"), (62, "pass"), (63, "warn"), (93, "warn"), (94, "fail")]
)
def test_estimates_for_too_long(days: int, severity: str) -> None:
    found = prolonged_estimation(at(0), at(days), RULES["prolonged_estimation"])
    assert (found.severity, found.numbers["days"]) == (severity, str(days))


def test_flags_have_levels() -> None:
    assert meter_flags({"a": ("power_failure",)}, FLAGS).severity == "pass"
    warned = meter_flags({"a": ("battery_low",), "b": ("power_failure",)}, FLAGS)
    assert (warned.severity, warned.slots) == ("warn", ("a",))
    failed = meter_flags({"a": ("battery_low",), "b": ("cover_open", "power_failure")}, FLAGS)
    assert (failed.severity, failed.slots) == ("fail", ("b",))
    assert failed.numbers == {"battery_low_level": "1", "cover_open_level": "2"}
    assert meter_flags({}, FLAGS).severity == "pass"
    with pytest.raises(BadInput, match="'gremlin' is unknown"):
        meter_flags({"a": ("gremlin",)}, FLAGS)


@pytest.mark.parametrize(
    ("old", "new", "severity", "wins"),
    [
        ((5, "estimated"), (6, "actual"), "pass", True),
        ((5, "actual"), (6, "manual"), "fail", False),
        ((5, "actual"), (6, "actual"), "fail", False),
        ((5, "actual"), (5, "estimated"), "pass", False),
        ((None, "missing"), (0, "estimated"), "pass", True),
    ],
)
def test_newer_data_needs_a_higher_rank(
    old: tuple[int | None, str], new: tuple[int | None, str], severity: str, wins: bool
) -> None:
    before, after = (Version(value=value, condition=word) for value, word in (old, new))
    found = replacement(at(0), before, after, RANKS)
    assert found.severity == severity
    assert outranks(before, after, RANKS) is wins
    assert found.slots == ((at(0),) if severity == "fail" else ())


def test_late_data_that_wins_is_told() -> None:
    old = Version(value=None, condition="estimated")
    new = Version(value=7, condition="actual", received_at=at(3))
    assert replacement(at(0), old, new, RANKS).severity == "pass"
    later = replacement(at(0), old, Version(value=7, condition="actual", received_at=at(4)), RANKS)
    assert (later.severity, later.slots) == ("warn", (at(0),))
    assert later.numbers == {
        "old_wh": "",
        "new_wh": "7",
        "old_rank": "1",
        "new_rank": "3",
        "late_s": "345600",
        "late_after_s": "259200",
    }
    with pytest.raises(BadInput, match="'guessed' is unknown"):
        replacement(at(0), old, Version(value=1, condition="guessed"), RANKS)

"""A whole day through all rules: what a freeze, its context and its history say together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.validation.day_verdict import DayVerdict, DayWindow, day_verdict
from services.validation.instant import (
    day_end_at,
    days_after,
    parse_day,
    parse_instant,
    seconds_between,
)
from services.validation.profile import Profile, interval_block
from services.validation.register_usage import Snapshot
from services.validation.rule_set import DEFAULT_RULE_SET, RuleSettings
from services.validation.voltage_band import voltage_window
from tests.unit.validation.samples import IMPORT, at, day_on, installed, snapshot

RATE1, RATE2 = "1-0:1.8.1", "1-0:1.8.2"
WINDOW = DayWindow(
    day_on=day_on(10),
    previous=snapshot(10, 100_000, rate1=60_000, rate2=40_000),
    current=snapshot(11, 112_000, rate1=67_000, rate2=45_000),
    installations=(installed(),),
)


def notable(verdict: DayVerdict) -> dict[str, str]:
    found = (*verdict.findings, *verdict.profile_findings)
    return {each.rule: each.severity for each in found if each.severity != "pass"}


def severities(verdict: DayVerdict) -> dict[str, str]:
    return {each.rule: each.severity for each in verdict.findings}


def test_a_quiet_day_passes_with_its_usage() -> None:
    verdict = day_verdict(WINDOW, DEFAULT_RULE_SET)
    assert (verdict.status, verdict.profile_status) == ("pass", "pass")
    assert {register: used.usage for register, used in verdict.usages.items()} == {
        IMPORT: 12_000,
        RATE1: 7_000,
        RATE2: 5_000,
    }
    assert set(severities(verdict)) == {
        "missing",
        "duplicate",
        "bad_value",
        "negative",
        "rollover",
        "meter_exchange",
        "usage_while_disconnected",
        "rate_sum",
        "spike",
    }
    assert day_verdict(WINDOW, DEFAULT_RULE_SET) == verdict


def test_a_missing_freeze_fails_the_day() -> None:
    verdict = day_verdict(replace(WINDOW, current=None), DEFAULT_RULE_SET)
    assert verdict.status == "fail"
    assert [each.slots for each in verdict.findings] == [(day_on(10),)]
    assert verdict.usages == {}


def test_a_first_reading_is_judged_without_usage() -> None:
    first = replace(WINDOW, previous=None)
    verdict = day_verdict(first, DEFAULT_RULE_SET)
    assert (verdict.status, verdict.usages) == ("pass", {})
    foreign = replace(first, current=snapshot(11, 5, "M9"))
    assert notable(day_verdict(foreign, DEFAULT_RULE_SET)) == {"meter_exchange": "fail"}


def test_registers_that_are_expected_and_absent_are_missing() -> None:
    short = replace(WINDOW, current=snapshot(11, 112_000, rate1=67_000))
    assert notable(day_verdict(short, DEFAULT_RULE_SET)) == {"missing": "fail", "rate_sum": "fail"}
    wanted = replace(WINDOW, registers=(IMPORT, "1-0:5.8.0"))
    verdict = day_verdict(wanted, DEFAULT_RULE_SET)
    assert verdict.findings[0].slots == ("1-0:5.8.0",)


def test_a_flawed_register_is_there_but_bad() -> None:
    current = Snapshot(
        meter_no="M1",
        taken_at=at(11),
        registers={IMPORT: 112_000, RATE1: 67_000},
        flaws={RATE2: "non_bcd"},
    )
    only_total = replace(WINDOW, current=replace(current, registers={IMPORT: 112_000}))
    assert notable(day_verdict(only_total, DEFAULT_RULE_SET)) == {
        "missing": "fail",
        "bad_value": "fail",
    }
    verdict = day_verdict(replace(WINDOW, current=current), DEFAULT_RULE_SET)
    assert "missing" not in notable(verdict)
    assert notable(verdict)["bad_value"] == "fail"


def test_a_value_beyond_the_register_is_bad() -> None:
    beyond = replace(WINDOW, current=snapshot(11, 10**9, rate1=67_000, rate2=45_000))
    verdict = day_verdict(beyond, DEFAULT_RULE_SET)
    assert notable(verdict) == {"bad_value": "fail"}
    bad = next(each for each in verdict.findings if each.rule == "bad_value")
    assert bad.numbers == {"bad_count": "1", IMPORT: "out_of_range"}


def test_rates_are_not_compared_when_one_of_them_fell() -> None:
    fallen = replace(WINDOW, current=snapshot(11, 112_000, rate1=67_000, rate2=39_000))
    verdict = day_verdict(fallen, DEFAULT_RULE_SET)
    assert notable(verdict) == {"negative": "fail"}
    assert "rate_sum" not in severities(verdict)


def test_rates_that_do_not_add_up_fail_beyond_the_tolerance() -> None:
    near = replace(WINDOW, current=snapshot(11, 112_040, rate1=67_000, rate2=45_000))
    assert day_verdict(near, DEFAULT_RULE_SET).status == "pass"
    off = replace(WINDOW, current=snapshot(11, 112_041, rate1=67_000, rate2=45_000))
    assert notable(day_verdict(off, DEFAULT_RULE_SET)) == {"rate_sum": "fail"}


def test_a_repeat_with_another_value_fails() -> None:
    same = replace(WINDOW, repeats=(snapshot(11, 112_000, rate1=67_000, rate2=45_000),))
    assert notable(day_verdict(same, DEFAULT_RULE_SET)) == {"duplicate": "warn"}
    other = replace(WINDOW, repeats=(snapshot(11, 112_010, rate1=67_000, rate2=45_000),))
    assert notable(day_verdict(other, DEFAULT_RULE_SET)) == {"duplicate": "fail"}


HISTORY = {day_on(index): 4_000 for index in range(10)}


def test_a_day_far_above_its_history_is_a_spike() -> None:
    # 12,000 against 4,000 is 200 % above; 11,200 would be 180 %.
    verdict = day_verdict(replace(WINDOW, history=HISTORY), DEFAULT_RULE_SET)
    assert notable(verdict) == {"spike": "fail"}
    spike = next(each for each in verdict.findings if each.rule == "spike")
    assert spike.slots == (day_on(10),)
    assert spike.numbers["difference_pct"] == "200"


def test_a_spike_of_an_earlier_day_is_not_found_again() -> None:
    history = HISTORY | {day_on(3): 900_000, day_on(4): 12_000}
    verdict = day_verdict(replace(WINDOW, history=history), DEFAULT_RULE_SET)
    assert verdict.status == "pass"
    spike = next(each for each in verdict.findings if each.rule == "spike")
    assert (spike.text, spike.slots) == ("an earlier day stands out", ())


def test_only_the_last_days_of_the_history_count() -> None:
    few = RuleSettings(parameters={"tolerance_pct": 180, "floor_wh": 1000, "history_days": 1})
    rules = replace(DEFAULT_RULE_SET, rules={**DEFAULT_RULE_SET.rules, "spike": few})
    history = HISTORY | {day_on(10): 1, day_on(11): 1, day_on(12): 1, day_on(13): 1}
    verdict = day_verdict(replace(WINDOW, history=history), rules)
    spike = next(each for each in verdict.findings if each.rule == "spike")
    assert (spike.severity, spike.numbers["value_count"]) == ("pass", "2")


def test_after_a_gap_the_average_day_is_compared() -> None:
    previous = snapshot(8, 100_000, rate1=60_000, rate2=40_000)
    verdict = day_verdict(replace(WINDOW, previous=previous, history=HISTORY), DEFAULT_RULE_SET)
    assert verdict.status == "pass"
    spike = next(each for each in verdict.findings if each.rule == "spike")
    assert spike.numbers["highest_wh"] == "4000"


def test_a_fallen_register_gives_no_spike() -> None:
    fallen = replace(WINDOW, current=snapshot(11, 90_000), history=HISTORY, registers=(IMPORT,))
    verdict = day_verdict(fallen, DEFAULT_RULE_SET)
    assert "spike" not in severities(verdict)
    assert notable(verdict) == {"negative": "fail"}


def test_the_margin_of_the_rule_set_widens_a_rollover() -> None:
    # 1 kWh in a day: 35 W x 1.2 is enough, 35 W alone is not.
    rolled = DayWindow(
        day_on=day_on(10),
        previous=snapshot(10, 999_999_000),
        current=snapshot(11, 0),
        installations=(installed(capacity_w=35),),
    )
    assert notable(day_verdict(rolled, DEFAULT_RULE_SET)) == {"rollover": "warn"}
    exact = replace(
        DEFAULT_RULE_SET.rules["rollover"], parameters={"capacity_margin_permille": 1000}
    )
    rules = replace(DEFAULT_RULE_SET, rules={**DEFAULT_RULE_SET.rules, "rollover": exact})
    assert notable(day_verdict(rolled, rules)) == {"negative": "fail"}


def test_context_is_judged_where_it_is_given() -> None:
    context = replace(
        WINDOW,
        voltage=voltage_window("lt1kv", {"1-0:32.7.0": 1_895}),
        clock_drift_s=-301,
        disconnected=((at(10), ""),),
    )
    verdict = day_verdict(context, DEFAULT_RULE_SET)
    assert notable(verdict) == {
        "voltage_band": "warn",
        "clock_drift": "fail",
        "usage_while_disconnected": "fail",
    }


def profile_of(snapshots: tuple[int | None, ...]) -> Profile:
    return Profile(
        day_on=day_on(10),
        register=IMPORT,
        meter_no="M1",
        snapshots=snapshots,
        interval_minutes=360,
    )


def with_profile(*snapshots: int | None) -> DayWindow:
    return replace(WINDOW, profile=interval_block(profile_of(snapshots), installed()))


def test_a_profile_is_judged_on_its_own() -> None:
    verdict = day_verdict(
        with_profile(100_000, 103_000, 106_000, 109_000, 112_000), DEFAULT_RULE_SET
    )
    assert (verdict.status, verdict.profile_status) == ("pass", "pass")
    assert [each.rule for each in verdict.profile_findings] == [
        "missing",
        "bad_value",
        "spike",
        "interval_sum",
    ]


@pytest.mark.parametrize(
    ("snapshots", "expected"),
    [
        ((100_000, None, 106_000, 109_000, 112_000), {"missing": "fail"}),
        ((100_000, 103_000, 106_000, 109_000, 113_001), {"interval_sum": "fail"}),
        ((100_000, 103_000, 106_000, 109_000, 113_000), {}),
        ((100_000, 109_000, 110_000, 111_000, 112_000), {"spike": "fail"}),
        ((100_000, 103_000, 102_000, 109_000, 112_000), {"bad_value": "fail"}),
        ((100_000, 103_000, 106_000, 109_000, None), {"missing": "fail"}),
    ],
)
def test_a_bad_profile_does_not_spoil_the_registers(
    snapshots: tuple[int | None, ...], expected: dict[str, str]
) -> None:
    verdict = day_verdict(with_profile(*snapshots), DEFAULT_RULE_SET)
    assert verdict.status == "pass"
    found = {each.rule: each.severity for each in verdict.profile_findings}
    for rule, severity in expected.items():
        assert found[rule] == severity
    assert verdict.profile_status == ("fail" if expected else "pass")


def test_a_profile_is_compared_only_with_a_register_of_the_same_day() -> None:
    profile = with_profile(100_000, 103_000, 106_000, 109_000, 199_000)
    for window in (
        replace(profile, previous=snapshot(9, 100_000)),
        replace(profile, previous=None),
        replace(profile, current=snapshot(11, 90_000)),
    ):
        rules = [each.rule for each in day_verdict(window, DEFAULT_RULE_SET).profile_findings]
        assert "interval_sum" not in rules


def test_rules_that_are_off_yield_nothing() -> None:
    off = {
        rule: replace(settings, severity="off") for rule, settings in DEFAULT_RULE_SET.rules.items()
    }
    rules = replace(DEFAULT_RULE_SET, rules=off)
    window = replace(
        with_profile(100_000, None, 106_000, 109_000, 112_000),
        voltage=voltage_window("lt1kv", {"1-0:32.7.0": 1_895}),
        clock_drift_s=999,
    )
    for each in (window, replace(window, previous=None), replace(window, current=None)):
        verdict = day_verdict(each, rules)
        assert (verdict.findings, verdict.profile_findings) == ((), ())
        assert verdict.status == "pass"


def test_instants_and_days() -> None:
    assert day_end_at("2026-01-31") == "2026-01-31T16:00:00Z"
    assert day_end_at("2026-01-31", utc_offset_minutes=0) == "2026-02-01T00:00:00Z"
    assert seconds_between("2026-01-30T16:00:00Z", "2026-01-31T16:00:01Z") == 86_401
    assert days_after("2028-02-28", "2028-03-01") == ("2028-02-29", "2028-03-01")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-31",
        "2026-01-31T16:00:00",
        "2026-13-31T16:00:00Z",
        "2026-01-31 16:00:00Z",
        "2026-W05-6T16:00:00Z",
        "20260131T160000.000Z",
    ],
)
def test_a_wrong_instant_is_named(text: str) -> None:
    with pytest.raises(BadInput, match=r"^from_at: "):
        parse_instant(text, "from_at")


@pytest.mark.parametrize("text", ["", "2026-1-31", "2026-02-30", "20260131", "2026-W05-6"])
def test_a_wrong_day_is_named(text: str) -> None:
    with pytest.raises(BadInput, match=r"^day_on: "):
        parse_day(text, "day_on")

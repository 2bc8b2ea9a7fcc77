"""Each rule: what it hits, what it lets pass, and the numbers it names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.finding import Finding, slot_status, worst
from services.validation.register_usage import RegisterUsage, usages_between
from services.validation.rule_book import rule_set_for
from services.validation.rule_set import (
    RuleSettings,
    check_rule_set,
    content_hash,
    unconfirmed,
)
from services.validation.rules import (
    bad_value,
    clock_drift,
    duplicate,
    interval_sum,
    meter_exchange,
    missing,
    negative,
    rate_sum,
    rollover,
    spike,
    usage_while_disconnected,
)
from tests.unit.validation.samples import IMPORT, at, installed, snapshot

FAIL = RuleSettings()
DEFAULT_RULE_SET = rule_set_for(DEFAULT_RULE_BOOK, "", "")
SPIKE = DEFAULT_RULE_SET.rules["spike"]


def usage(before: int, after: int) -> RegisterUsage:
    return usages_between(snapshot(0, before), snapshot(1, after), (installed(),))[IMPORT]


def test_missing_names_the_absent_slots() -> None:
    found = missing(("a", "b", "c", "d"), ("d", "a", "x"), FAIL)
    assert (found.severity, found.slots) == ("fail", ("b", "c"))
    assert found.numbers == {"expected_count": "4", "found_count": "2", "missing_count": "2"}
    assert found.text == "missing: b, c"
    assert missing(("a",), ("a",), FAIL).severity == "pass"


def test_a_long_list_is_cut_in_the_text_only() -> None:
    found = missing(tuple("abcdefg"), (), FAIL)
    assert found.text == "missing: a, b, c, d and 3 more"
    assert found.slots == tuple("abcdefg")


def test_duplicates_that_agree_warn_and_that_contradict_fail() -> None:
    same = duplicate((("d1", {IMPORT: 5}), ("d2", {IMPORT: 6}), ("d1", {IMPORT: 5})), FAIL)
    assert (same.severity, same.slots) == ("warn", ("d1",))
    other = duplicate(
        (("d1", {IMPORT: 5}), ("d2", {IMPORT: 6}), ("d1", {IMPORT: 7}), ("d2", {IMPORT: 6})), FAIL
    )
    assert (other.severity, other.slots) == ("fail", ("d1",))
    assert other.numbers == {
        "reading_count": "4",
        "repeated_count": "2",
        "contradicted_count": "1",
    }
    assert duplicate((("d1", {IMPORT: 5}), ("d2", {IMPORT: 5})), FAIL).severity == "pass"
    assert duplicate((), FAIL).severity == "pass"


def test_bad_values_are_named_with_their_reason() -> None:
    found = bad_value({"1-0:1.8.2": "no_value", IMPORT: "non_bcd"}, FAIL)
    assert (found.severity, found.slots) == ("fail", (IMPORT, "1-0:1.8.2"))
    assert found.numbers == {"bad_count": "2", IMPORT: "non_bcd", "1-0:1.8.2": "no_value"}
    assert bad_value({}, FAIL).severity == "pass"


def test_negative_names_the_readings_and_the_rollover_it_refused() -> None:
    found = negative(usage(5_000_000, 4_800_000), FAIL)
    assert (found.severity, found.slots) == ("fail", (IMPORT,))
    assert found.numbers == {
        "register": IMPORT,
        "usage": "",
        "previous": "5000000",
        "current": "4800000",
        "rollover_usage": "999800000",
        "plausible_usage": "240000",
    }
    good = negative(usage(5_000, 5_010), FAIL)
    assert (good.severity, good.slots, good.numbers["usage"]) == ("pass", (), "10")


def test_rollover_says_what_follows_from_it() -> None:
    found = rollover(usage(999_998_500, 12_300), RuleSettings(severity="warn"))
    assert (found.severity, found.slots) == ("warn", (IMPORT,))
    assert found.numbers["rollover_usage"] == "13800"
    assert found.numbers["plausible_usage"] == "240000"
    assert rollover(usage(1, 2), FAIL).severity == "pass"


def test_meter_exchange_shows_the_sum_or_fails() -> None:
    chain = (
        installed(to_at=at(2), final={IMPORT: 5_600}, ratio="10"),
        installed("M2", from_at=at(2), initial={IMPORT: 100}, ratio="20"),
    )
    used = usages_between(snapshot(0, 5_000), snapshot(5, 900, "M2"), chain)[IMPORT]
    found = meter_exchange(used, FAIL)
    assert (found.severity, found.slots) == ("warn", (IMPORT,))
    assert found.numbers["segment_0"] == "(5600 - 5000) x 10 on M1"
    assert found.numbers["segment_1"] == "(900 - 100) x 20 on M2"
    foreign = usages_between(snapshot(0, 1), snapshot(1, 2, "M9"), (installed(),))[IMPORT]
    assert meter_exchange(foreign, FAIL).severity == "fail"
    assert "M9" in meter_exchange(foreign, FAIL).text
    assert meter_exchange(usage(1, 2), FAIL).severity == "pass"


def test_spike_needs_three_values() -> None:
    found = spike({"a": 1, "b": 9_000_000}, SPIKE)
    assert (found.severity, found.slots) == ("pass", ())


def test_spike_is_judged_exactly_at_its_tolerance() -> None:
    # 180 % above 1000 is 2800: the tolerance itself is allowed.
    assert spike({"a": 2_800, "b": 1_000, "c": 1_000}, SPIKE).severity == "pass"
    found = spike({"a": 2_801, "b": 1_000, "c": 1_000}, SPIKE)
    assert (found.severity, found.slots) == ("fail", ("a",))
    assert found.numbers["difference_pct"] == "180.1"


def test_spike_over_a_third_value_of_zero_and_below_the_floor() -> None:
    found = spike({"a": 1_000, "b": 0, "c": 0}, SPIKE)
    assert (found.severity, found.numbers["difference_pct"]) == ("fail", "")
    assert spike({"a": 999, "b": 0, "c": 0}, SPIKE).severity == "pass"
    assert spike({"a": 0, "b": 0, "c": 0}, SPIKE).severity == "pass"


def test_spike_names_both_values_that_stand_out() -> None:
    assert spike({"x": 9_000, "y": 8_000, "z": 1_000}, SPIKE).slots == ("x", "y")


@given(
    st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(0, 50_000), max_size=20),
    st.randoms(use_true_random=False),
)
def test_spike_does_not_depend_on_order(values: dict[str, int], random: Random) -> None:
    items = list(values.items())
    random.shuffle(items)
    assert spike(dict(items), SPIKE) == spike(values, SPIKE)


@pytest.mark.parametrize("rule", ["rate_sum", "interval_sum"])
def test_sums_are_judged_on_the_primary_side(rule: str) -> None:
    settings = RuleSettings(parameters={"tolerance_register_wh": 40, "tolerance_permille": 0})

    def check(total: int, parts: int) -> Finding:
        if rule == "interval_sum":
            return interval_sum(total, parts, "10", settings)
        return rate_sum(total, {"1-0:1.8.1": parts - 1, "1-0:1.8.2": 1}, "10", settings)

    assert check(10_000, 10_400).severity == "pass"
    assert check(10_000, 9_600).severity == "pass"
    found = check(10_000, 9_599)
    assert (found.rule, found.severity) == (rule, "fail")
    assert found.numbers == {
        "register_wh": "10000",
        "sum_wh": "9599",
        "difference_wh": "401",
        "tolerance_wh": "400",
    }


@pytest.mark.parametrize("rule", ["rate_sum", "interval_sum"])
@pytest.mark.parametrize(
    ("steps_wh", "permille", "difference", "severity"),
    [
        (40, 0, 41, "fail"),
        (0, 10, 1_000, "pass"),
        (0, 10, 1_001, "fail"),
        (2_000, 10, 2_000, "pass"),
        (40, 10, 1_000, "pass"),
    ],
)
def test_sums_are_judged_by_register_steps_or_by_one_per_cent(
    rule: str, steps_wh: int, permille: int, difference: int, severity: str
) -> None:
    settings = RuleSettings(
        parameters={"tolerance_register_wh": steps_wh, "tolerance_permille": permille}
    )
    parts = 100_000 - difference
    if rule == "interval_sum":
        found = interval_sum(100_000, parts, "1", settings)
    else:
        found = rate_sum(100_000, {"1-0:1.8.1": parts}, "1", settings)
    assert (found.rule, found.severity) == (rule, severity)


@pytest.mark.parametrize(
    ("drift_s", "severity"),
    [
        (0, "pass"),
        (60, "pass"),
        (-60, "pass"),
        (61, "warn"),
        (-300, "warn"),
        (301, "fail"),
        (-301, "fail"),
    ],
)
def test_clock_drift_has_two_levels(drift_s: int, severity: str) -> None:
    found = clock_drift(drift_s, DEFAULT_RULE_SET.rules["clock_drift"])
    assert found.severity == severity
    assert found.numbers == {"drift_s": str(drift_s), "warn_s": "60", "fail_s": "300"}


@pytest.mark.parametrize(
    ("periods", "severity"),
    [
        ((), "pass"),
        (((at(0), ""),), "fail"),
        (((at(0), at(1)),), "fail"),
        (((at(-5), at(9)),), "fail"),
        (((at(0, 1), ""),), "pass"),
        (((at(0), at(0, 23)),), "pass"),
        (((at(-9), at(-8)), (at(-1), at(2))), "fail"),
    ],
)
def test_usage_while_disconnected_needs_the_whole_time(
    periods: tuple[tuple[str, str], ...], severity: str
) -> None:
    settings = DEFAULT_RULE_SET.rules["usage_while_disconnected"]
    found = usage_while_disconnected(usage(0, 10), periods, settings)
    assert found.severity == severity
    assert ("disconnected_from_at" in found.numbers) is (severity == "fail")
    assert usage_while_disconnected(usage(10, 10), periods, settings).severity == "pass"
    assert usage_while_disconnected(usage(9_000, 10), periods, settings).severity == "pass"


def test_the_status_of_a_slot_is_the_worst_of_its_findings() -> None:
    findings = (
        Finding(rule="missing", severity="pass"),
        Finding(rule="spike", severity="fail", slots=("00:30",)),
        Finding(rule="clock_drift", severity="warn"),
    )
    assert worst(findings) == "fail"
    assert worst(()) == "pass"
    assert worst((findings[0], findings[2])) == worst((findings[2], findings[0])) == "warn"
    assert worst((findings[2], findings[1])) == worst((findings[1], findings[2])) == "fail"
    assert slot_status(("00:15", "00:30"), findings) == {"00:15": "warn", "00:30": "fail"}
    assert slot_status(("00:15",), ()) == {"00:15": "pass"}


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=8))
def test_rules_are_idempotent(pairs: list[tuple[str, int]]) -> None:
    """The same input gives the same findings, and counting a finding twice changes no status."""
    readings = tuple((slot, {IMPORT: value}) for slot, value in pairs)
    slots = tuple(slot for slot, _ in pairs)

    def check() -> tuple[Finding, ...]:
        return (
            duplicate(readings, FAIL),
            missing(("a", "b", "c"), slots, FAIL),
            spike({slot: values[IMPORT] * 1000 for slot, values in readings}, SPIKE),
        )

    first = check()
    assert check() == first
    assert worst(first + first) == worst(first)
    assert slot_status(("a", "b"), first + first) == slot_status(("a", "b"), first)


def test_the_default_rule_set_is_complete_and_lists_what_is_unconfirmed() -> None:
    assert check_rule_set(DEFAULT_RULE_SET) is DEFAULT_RULE_SET
    listed = unconfirmed(DEFAULT_RULE_SET)
    assert "spike.tolerance_pct" in listed
    assert "clock_drift.fail_s" in listed
    assert not [name for name in listed if name.startswith("voltage_band")]


def test_the_default_thresholds_are_those_of_the_documents() -> None:
    found = {
        f"{rule}.{name}": value
        for rule, settings in DEFAULT_RULE_SET.rules.items()
        for name, value in settings.parameters.items()
    }
    documented = {
        "rollover.capacity_margin_permille": 1200,
        "spike.tolerance_pct": 180,
        "spike.floor_wh": 1000,
        "spike.history_days": 28,
        "rate_sum.tolerance_register_wh": 40,
        "rate_sum.tolerance_permille": 0,
        "interval_sum.tolerance_register_wh": 1000,
        "interval_sum.tolerance_permille": 0,
        "voltage_band.single_phase_high_permille": 70,
        "voltage_band.single_phase_low_permille": 100,
        "voltage_band.three_phase_permille": 70,
        "voltage_band.three_phase_max_dv": 200_000,
        "voltage_band.high_voltage_permille": 100,
        "voltage_band.high_voltage_min_dv": 350_000,
        "clock_drift.warn_s": 60,
        "clock_drift.fail_s": 300,
        "usage_while_disconnected.floor_wh": 0,
        "estimation.weekday_samples": 3,
        "estimation.average_days": 28,
    }
    assert {name: found[name] for name in documented} == documented


def test_the_content_hash_changes_with_every_part() -> None:
    first = content_hash(DEFAULT_RULE_SET)
    assert len(first) == 64
    assert content_hash(replace(DEFAULT_RULE_SET)) == first
    assert content_hash(replace(DEFAULT_RULE_SET, version=2)) != first
    rules = {**DEFAULT_RULE_SET.rules, "missing": RuleSettings(severity="warn")}
    assert content_hash(replace(DEFAULT_RULE_SET, rules=rules)) != first
    reordered = dict(reversed(DEFAULT_RULE_SET.rules.items()))
    assert content_hash(replace(DEFAULT_RULE_SET, rules=reordered)) == first


Edit = Callable[[dict[str, RuleSettings]], object]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda rules: rules.pop("spike"), "rules.spike: is missing"),
        (lambda rules: rules.update(magic=RuleSettings()), "rules.magic: is no known rule"),
        (
            lambda rules: rules.update(missing=RuleSettings(severity="bad")),
            "rules.missing.severity: is 'bad' (use off, warn, fail)",
        ),
        (
            lambda rules: rules.update(clock_drift=RuleSettings(parameters={"warn_s": 1})),
            "rules.clock_drift.parameters.fail_s: is missing",
        ),
        (
            lambda rules: rules.update(missing=RuleSettings(parameters={"days": 1})),
            "rules.missing.parameters.days: is unknown",
        ),
        (
            lambda rules: rules.update(
                interval_sum=RuleSettings(
                    parameters={"tolerance_register_wh": -1, "tolerance_permille": 0}
                )
            ),
            "rules.interval_sum.parameters.tolerance_register_wh: is -1",
        ),
    ],
)
def test_a_wrong_rule_set_is_named(edit: Edit, message: str) -> None:
    rules = dict(DEFAULT_RULE_SET.rules)
    edit(rules)
    with pytest.raises(BadInput) as error:
        check_rule_set(replace(DEFAULT_RULE_SET, rules=rules))
    assert str(error.value).startswith(message)

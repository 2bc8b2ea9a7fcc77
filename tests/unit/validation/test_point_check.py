"""A point's day through all rules: what is chosen, what is remembered, what is found.

Goal: every rule of domain.md §2 is reached with the numbers of a real case. Method: days of 60
minutes in Shanghai, one or two intervals wrong, judged by the delivered rule book.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.electrical_rules import ElectricalSample
from services.validation.point_check import DayCheck, check_day
from services.validation.point_facts import (
    PointDay,
    PointFacts,
    PointHistory,
    PointRow,
    not_installed,
    outage_seconds,
)
from services.validation.reading_rules import PeriodUsage
from services.validation.rule_book import RuleBook, rule_set_for
from tests.unit.validation.samples import IMPORT, at, day_on, installed

BOOK = DEFAULT_RULE_BOOK
RULES_OF = partial(rule_set_for, BOOK, "residential")
FACTS = PointFacts(usage_point="P-1", interval_minutes=60)
EXPORT = "1-0:2.8.0"
ALL_OFF = partial(
    rule_set_for,
    RuleBook(
        id="off",
        version=1,
        valid_from_on="2026-01-01",
        rules={rule: replace(each, severity="off") for rule, each in BOOK.rules.items()},
    ),
    "",
)


def a_day(index: int) -> PointDay:
    ends = {
        minutes: tuple(at_minute(index, minutes * n) for n in range(1, 1440 // minutes + 1))
        for minutes in (30, 60)
    }
    return PointDay(day_on=day_on(index), from_at=at(index), to_at=at(index + 1), ends_at=ends)


def at_minute(day: int, minute: int) -> str:
    hour = at(day, minute // 60)
    return f"{hour[:14]}{minute % 60:02}:00Z"


def intervals(day: int, *energies_wh: int | None, **changes: Any) -> list[PointRow]:
    """The first intervals of a day, of 60 minutes; 24 of 500 Wh when none is given."""
    values = energies_wh or (500,) * 24
    given: dict[str, Any] = {"register": IMPORT, "source": "remote_profile", "minutes": 60}
    return [
        PointRow(at=at(day, hour), energy_wh=value, **(given | changes))
        for hour, value in enumerate(values, start=1)
    ]


def read(day: int, value: int, **changes: Any) -> PointRow:
    given: dict[str, Any] = {"register": IMPORT, "source": "remote_register", "meter_no": "M1"}
    return PointRow(at=at(day), value=value, **(given | changes))


def check(
    *days: list[PointRow], facts: PointFacts = FACTS, rules: Any = RULES_OF, first: int = 0
) -> DayCheck:
    """The last of some days in a row."""
    history = PointHistory()
    for index, rows in enumerate(days, start=first):
        checked = check_day(facts, a_day(index), rows, history, rules)
        history = checked.history
    return checked


def found(checked: DayCheck) -> list[tuple[str, str]]:
    return [(each.finding.rule, each.finding.severity) for each in checked.findings]


def numbers(checked: DayCheck, rule: str) -> dict[str, str]:
    return next(each.finding.numbers for each in checked.findings if each.finding.rule == rule)


def test_a_good_day_has_no_finding_and_is_remembered() -> None:
    checked = check(intervals(0))
    assert (checked.status, checked.findings, checked.slots) == ("pass", (), {})
    memory = checked.history.intervals[IMPORT]
    assert (memory.end_at, memory.last_wh, memory.peak_wh) == (at(1), 500, 500)
    assert checked.history.last_actual_at == at(1)


def test_the_status_of_a_slot_is_the_worst_of_its_findings() -> None:
    checked = check(intervals(0, *[500] * 10, 30_000, *[500] * 12))
    assert found(checked) == [("missing", "fail"), ("spike", "fail"), ("demand_step", "warn")]
    assert checked.status == "fail"
    assert checked.slots == {at(0, 11): "fail", at(1): "fail"}
    assert {each.rule_set for each in checked.findings} == {"default.v1"}
    assert {each.register for each in checked.findings} == {IMPORT}


def test_the_day_before_is_compared_only_when_it_is_the_day_before() -> None:
    tall = [5000] * 24
    both = [("demand_step", "warn"), ("historical_peak", "warn")]
    assert found(check(intervals(0, *[300] * 24), intervals(1, *tall))) == both
    assert found(check(intervals(0, *[300] * 24), [], intervals(2, *tall))) == []


def test_a_day_without_rows_misses_what_had_intervals_before() -> None:
    checked = check(intervals(0), [])
    assert found(checked) == [("missing", "fail")]
    assert numbers(checked, "missing")["missing_count"] == "24"
    assert found(check([])) == []
    expected = replace(FACTS, interval_registers=(EXPORT,))
    assert found(check([], facts=expected)) == [("missing", "fail")]


def test_zeros_are_counted_over_midnight() -> None:
    zeros = check(intervals(0, *[500] * 12, *[0] * 12), intervals(1, *[0] * 12, *[500] * 12))
    assert found(zeros) == [("zero_run", "warn")]
    assert numbers(zeros, "zero_run")["longest_minutes"] == "1440"


def test_the_period_of_the_point_bounds_what_is_expected() -> None:
    facts = replace(FACTS, from_at=at(0, 2), to_at=at(0, 4))
    assert found(check(intervals(0, 1, 1, 1, 1)[2:4], facts=facts)) == []
    missed = check(intervals(0, 1, 1, 1, 1)[2:3], facts=facts)
    assert numbers(missed, "missing")["expected_count"] == "2"
    outside = check(intervals(0, 1, 1, 1, 1)[1:4], facts=facts)
    assert found(outside) == [("interval_size", "fail")]
    assert found(check([], intervals(1, 5)[:0], facts=replace(FACTS, to_at=at(0)))) == []


def test_an_outage_is_a_true_zero_and_no_meter_expects_nothing() -> None:
    rows = intervals(0)
    outage = replace(FACTS, outages=((at(0, 5), at(0, 7)),))
    assert found(check(rows[:5] + rows[7:], facts=outage)) == []
    lasting = replace(FACTS, outages=((at(0, 5), ""),))
    assert found(check(rows[:5], facts=lasting)) == []
    new = replace(FACTS, installations=(installed(from_at=at(0, 3)),))
    assert found(check(rows[3:], facts=new)) == []
    assert found(check(rows, facts=new)) == [("inactive_usage", "fail")]
    cut = replace(FACTS, disconnected=((at(0, 1), at(0, 2)),))
    assert numbers(check(rows, facts=cut), "inactive_usage")["used_count"] == "1"


def test_the_times_without_a_meter() -> None:
    chain = (
        installed("M2", from_at=at(5), to_at=at(7)),
        installed("M1", from_at=at(1), to_at=at(5)),
        installed("M3", from_at=at(8), to_at=at(9)),
    )
    assert not_installed(chain) == (("", at(1)), (at(7), at(8)), (at(9), ""))
    assert not_installed((*chain[1:2], installed(from_at=at(5)))) == (("", at(1)),)
    assert not_installed(()) == ()
    periods = ((at(0), at(0, 2)), (at(0, 5), ""), (at(3), at(4)))
    assert outage_seconds(periods, at(0, 1), at(0, 6)) == 2 * 3600
    twice = ((at(0, 1), at(0, 4)), (at(0, 2), at(0, 3)), (at(0, 3), at(0, 5)))
    assert outage_seconds(twice, at(0, 0), at(0, 6)) == 4 * 3600


def test_intervals_of_another_length_do_not_count() -> None:
    rows = intervals(0)
    rows[3] = replace(rows[3], minutes=30)
    checked = check(rows)
    assert found(checked) == [("interval_size", "fail"), ("missing", "fail")]
    assert checked.slots == {at(0, 4): "fail"}


def test_duplicates_and_replacements() -> None:
    rows = intervals(0)
    again = check([*rows[:2], rows[1], *rows[2:]])
    assert found(again) == [("duplicate", "warn")]
    other = check([*rows[:2], replace(rows[1], energy_wh=7), *rows[2:]])
    assert found(other) == [("duplicate", "fail")]
    assert other.slots == {at(0, 2): "fail"}
    estimated = replace(rows[1], energy_wh=90_000, condition="estimated")
    assert found(check([rows[0], estimated, *rows[1:]])) == []  # the actual one replaces it
    late = check([*rows[:2], estimated, *rows[2:]])
    assert found(late) == [("replacement", "fail")]
    assert numbers(late, "replacement")["new_rank"] == "1"
    gone = check([*rows[:2], replace(rows[1], energy_wh=None), *rows[2:]])
    assert found(gone) == [("duplicate", "fail")]


def test_intervals_against_the_register_over_two_days() -> None:
    first, second = [read(0, 1_000_000), *intervals(0)], intervals(1)
    whole = check(first, [*second, read(2, 1_024_000)])
    assert found(whole) == []
    short = check(first, [*second, read(2, 1_026_000)])
    assert found(short) == [("interval_sum", "fail")]
    assert numbers(short, "interval_sum") == {
        "register_wh": "26000",
        "sum_wh": "24000",
        "difference_wh": "2000",
        "tolerance_wh": "1000",
    }
    gap = check(first, [*second[1:], read(2, 1_026_000)])
    assert found(gap) == [("missing", "fail")]


def test_a_reading_within_the_day_splits_the_sum() -> None:
    rows = intervals(0)
    day = [*rows[:12], replace(read(0, 100_000), at=at(0, 12)), *rows[12:], read(1, 106_000)]
    before = [read(0, 94_000)]
    assert found(check([*before, *day])) == []
    day[-1] = read(1, 108_000)
    checked = check([*before, *day])
    assert found(checked) == [("interval_sum", "fail")]
    assert numbers(checked, "interval_sum")["register_wh"] == "8000"


def test_the_reading_of_another_register_leaves_the_sum_alone() -> None:
    facts = replace(FACTS, is_producer=True)
    first = [read(0, 1_000_000), *intervals(0)]
    second = [read_now := read(1, 9, register=EXPORT), *intervals(1), read(2, 1_026_000)]
    checked = check(first, second, facts=facts)
    assert checked.history.readings[EXPORT].registers == {EXPORT: read_now.value}
    assert numbers(checked, "interval_sum")["sum_wh"] == "24000"


def test_registers_that_fall_rates_that_do_not_add_up_and_foreign_meters() -> None:
    fallen = check([read(1, 5_000_000)], [read(2, 4_800_000)])
    assert found(fallen) == [("negative", "fail")]
    rates = check(
        [read(1, 100), read(1, 60, register="1-0:1.8.1"), read(1, 40, register="1-0:1.8.2")],
        [read(2, 900), read(2, 460, register="1-0:1.8.1"), read(2, 340, register="1-0:1.8.2")],
    )
    assert found(rates) == [("rate_sum", "fail")]
    assert numbers(rates, "rate_sum")["difference_wh"] == "100"
    foreign = check([read(1, 100)], [read(2, 100, meter_no="M2")])
    assert found(foreign) == [("meter_exchange", "fail")]
    facts = replace(FACTS, capacity_w=20_000)
    rolled = check([read(1, 999_998_500)], [read(2, 12_300)], facts=facts)
    assert found(rolled) == [("rollover", "warn")]


def test_a_meter_exchange_is_told_with_both_ratios() -> None:
    chain = (
        installed(to_at=at(1, 12), final={IMPORT: 5_600}, ratio="10"),
        installed("M2", from_at=at(1, 12), initial={IMPORT: 100}, ratio="20"),
    )
    facts = replace(FACTS, installations=chain)
    checked = check([read(1, 5_000)], [read(2, 900, meter_no="M2", ratio="20")], facts=facts)
    assert found(checked) == [("meter_exchange", "warn")]
    wrong = check([read(1, 5_000)], [read(2, 900, meter_no="M2", ratio="10")], facts=facts)
    assert found(wrong) == [("meter_exchange", "warn"), ("device_match", "fail")]
    assert numbers(wrong, "device_match")["ratio_expected"] == "20"
    unknown = [replace(read(1, 5_000), at=at(-1))]
    assert found(check(unknown, facts=facts)) == [("meter_exchange", "fail")], "nobody's meter"


def test_two_ratios_of_one_meter_at_the_instant_of_the_change() -> None:
    chain = (
        installed(to_at=at(1), final={IMPORT: 5_000}, ratio="10"),
        installed(from_at=at(1), initial={IMPORT: 5_000}, ratio="20"),
    )
    facts = replace(FACTS, installations=chain)
    for ratio, expected in (("10", []), ("20", []), ("30", [("device_match", "fail")]), ("", [])):
        assert found(check([read(1, 5_000, ratio=ratio)], facts=facts)) == expected


def test_usage_is_compared_with_history_and_the_period_before() -> None:
    history = {IMPORT: PeriodUsage(energy_wh=300_000, period_s=30 * 86_400)}
    facts = replace(FACTS, history=history, registers=(IMPORT,))
    days = [read(1, 0)], [read(2, 10_000)], [read(3, 31_000)]
    assert found(check(*days, facts=facts)) == [("high_low", "warn")]
    checked = check(*days[:2], [read(3, 11_000)], facts=facts)
    assert found(checked) == [("high_low", "warn"), ("register_delta", "warn")]
    assert numbers(checked, "register_delta")["previous_adjusted_wh"] == "10000"
    assert found(check([read(1, 10), read(1, 10)], facts=facts)) == [("duplicate", "warn")]
    absent = check([read(1, 10, register=EXPORT)], facts=facts)
    assert numbers(absent, "missing")["missing_count"] == "1"


def test_a_complete_day_of_intervals_is_compared_with_history() -> None:
    history = {IMPORT: PeriodUsage(energy_wh=5_000, period_s=86_400)}
    facts = replace(FACTS, history=history)
    assert found(check(intervals(0), facts=facts)) == [("high_low", "warn")]
    assert found(check(intervals(0)[:23], facts=facts)) == [("missing", "fail")]


def test_a_manual_reading_has_rules_of_its_own() -> None:
    history = {IMPORT: PeriodUsage(energy_wh=300_000, period_s=30 * 86_400)}
    facts = replace(FACTS, history=history)
    rows = [read(1, 0, source="manual")], [read(2, 21_000, source="manual", drift_s=999)]
    checked = check(*rows, facts=facts)
    assert found(checked) == [("high_low", "fail")]
    assert checked.findings[0].rule_set == "default+manual.v1"


def test_what_a_person_read_does_not_hide_what_the_meter_said() -> None:
    rows = [read(1, 0, source="manual", drift_s=999), read(1, 0, register=EXPORT, drift_s=400)]
    checked = check(rows)
    assert found(checked) == [("clock_drift", "fail")]
    assert numbers(checked, "clock_drift")["drift_s"] == "400"


def test_what_flows_back_and_what_moves_while_disconnected() -> None:
    rows = [read(1, 10, register=EXPORT)], [read(2, 30, register=EXPORT)]
    assert found(check(*rows)) == [("reverse_flow", "fail")]
    assert found(check(*rows, facts=replace(FACTS, is_producer=True))) == []
    cut = replace(FACTS, disconnected=((at(0), ""),), is_producer=True)
    assert found(check(*rows, facts=cut)) == [("usage_while_disconnected", "fail")]


def test_what_the_meter_says_of_itself() -> None:
    row = read(1, 10, drift_s=-301, flags=("cover_open",), unit="varh")
    checked = check([replace(row, drift_s=60), row])
    assert found(checked) == [
        ("duplicate", "warn"),
        ("meter_flags", "fail"),
        ("clock_drift", "fail"),
        ("device_match", "fail"),
    ]
    assert numbers(checked, "clock_drift")["drift_s"] == "-301"
    reactive = read(1, 10, register="1-0:3.8.0", unit="varh")
    assert found(check([reactive])) == []


def test_flags_of_all_rows_of_an_instant_count() -> None:
    rows = [
        read(1, 10, flags=("cover_open",)),
        read(1, 0, register=EXPORT, flags=("battery_low",)),
    ]
    told = numbers(check(rows), "meter_flags")
    assert told == {"battery_low_level": "1", "cover_open_level": "2"}


def test_electrical_samples_and_voltages() -> None:
    sample = ElectricalSample(
        voltages_dv={"a": 2200, "b": 1000, "c": 2200},
        currents_ma={"a": 9000, "b": 9000, "c": 1000},
        active_w=3000,
        reactive_var=4000,
        apparent_va=9000,
        power_factor_permille=900,
        phase_active_w={"a": 1000},
    )
    row = PointRow(at=at(1), register=IMPORT, source="remote_register", sample=sample)
    facts = replace(FACTS, voltage_class="lt1kv", nominal_dv=2200)
    checked = check([row], facts=facts)
    assert found(checked) == [
        ("apparent_power", "warn"),
        ("power_factor", "warn"),
        ("phase_sum", "warn"),
        ("unbalance", "warn"),
        ("lost_phase", "fail"),
        ("voltage_band", "warn"),
    ]
    assert checked.slots == {at(1): "fail"}
    assert "voltage_band" not in dict(found(check([row])))


def test_estimates_for_too_long() -> None:
    facts = replace(FACTS, last_actual_at=at(-70))
    estimated = intervals(0, condition="estimated")
    checked = check(estimated, facts=facts)
    assert found(checked) == [("prolonged_estimation", "warn")]
    assert numbers(checked, "prolonged_estimation")["days"] == "71"
    assert found(check(intervals(0, condition="manual"), facts=facts)) == []
    assert found(check([], facts=facts)) == [("prolonged_estimation", "warn")]


def every_rule_at_once() -> list[PointRow]:
    return [
        *intervals(1, -5, 90_000, 90_000),
        replace(intervals(1, 7)[0], condition="estimated"),
        replace(intervals(1, 7)[0], minutes=30),
        read(2, 5, flags=("cover_open",), drift_s=999, unit="varh", sample=ElectricalSample()),
        read(2, 7, register=EXPORT),
        read(2, 7, register=EXPORT),
    ]


def test_rules_that_are_off_say_nothing() -> None:
    history = {IMPORT: PeriodUsage(energy_wh=5_000, period_s=86_400)}
    facts = replace(
        FACTS, history=history, registers=(IMPORT,), voltage_class="lt1kv", nominal_dv=2200
    )
    before = [read(1, 900), read(1, 5, register=EXPORT)]
    days = before, every_rule_at_once()
    assert found(check(*days, facts=facts, rules=ALL_OFF)) == []
    assert len(found(check(*days, facts=facts))) > 6

"""Voltage quality in the core: events as they begin and end, months that close, late samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.events import (
    QualityFound,
    ReadingAccepted,
    VoltageCounted,
    VoltageFound,
    VoltageMonthClosed,
    VoltageNoted,
)
from services.validation.policy import DEFAULT_POLICY, Policy
from services.validation.rule_book import Override, Variant
from services.validation.state import KEEP_DAYS
from services.validation.voltage_months import next_close_at
from services.validation.voltage_quality import (
    JudgedSample,
    QualityRules,
    VoltageSample,
    VoltageSupply,
    voltage_quality,
)
from services.validation.voltage_state import SAMPLED_DAILY, months_with, with_sample
from tests.unit.validation.desk import Desk, names, only, opened, reading, supply
from tests.unit.validation.samples import at

L1, L2, L3 = "1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0"
LAX = replace(DEFAULT_POLICY, voltage=replace(SAMPLED_DAILY, complete_least_e2_pct=0))
EACH = replace(DEFAULT_POLICY, voltage=replace(LAX.voltage, phase_rule="worst_phase"))
SHUT_AT = at(31, 8)
"""Grace after the end of January."""


def sampled(day: int, *volts_dv: int, **changes: Any) -> Any:
    """The reading of a day, made at 01:00 of the next: a sample of that next day."""
    voltages = dict(zip((L1, L2, L3), volts_dv, strict=False))
    return reading(day, 10_000 * (day + 1), voltages=voltages, **changes)


def lived(volts_dv: dict[int, int], policy: Policy = LAX) -> Desk:
    """A desk that took the readings of some days, each the night after it."""
    desk = opened()
    desk.policy = policy
    for day, value in volts_dv.items():
        desk.as_of = at(day + 1, 1)
        desk.take(sampled(day, value))
    return desk


def found(events: list[Any]) -> list[tuple[str, str, str, str, int, int]]:
    """What was told of events: side, begin, end, why, samples, extreme."""
    return [
        (one.side, one.begun_at, one.ended_at, one.ended_by, one.samples, one.extreme_dv)
        for one in events
        if isinstance(one, VoltageFound)
    ]


def standing(desk: Desk) -> tuple[dict[str, VoltageMonthClosed], set[VoltageFound]]:
    """What is told in the end: the last revision of each month, the events not withdrawn."""
    months, events = {}, {}
    for one in desk.events:
        if isinstance(one, VoltageMonthClosed):
            assert one.revision == (months[one.month].revision if one.month in months else 0) + 1
            months[one.month] = one
        if isinstance(one, VoltageFound):
            events[one.phase, one.side, one.begun_at] = one
    return months, {one for one in events.values() if one.ended_by != "withdrawn"}


def test_three_days_too_high_are_one_event_and_the_rate_of_the_month() -> None:
    days = dict.fromkeys(range(30), 2_200) | {10: 2_400, 11: 2_461, 12: 2_395}
    desk = lived(days, DEFAULT_POLICY)
    assert found(desk.events) == [
        ("over", at(11), "", "", 1, 2_400),
        ("over", at(11), at(14), "inside", 3, 2_461),
    ]
    last = [one for one in desk.events if isinstance(one, VoltageFound)][-1]
    assert (last.extreme_phase, last.nominal_dv, last.extreme_deviation_pct, last.month) == (
        "a",
        2_200,
        "11.86",
        "2026-01",
    )
    assert next_close_at(desk.point, DEFAULT_POLICY) == SHUT_AT
    desk.tick(at(31, 7))
    assert standing(desk)[0] == {}
    closed = only(desk.tick(SHUT_AT), VoltageMonthClosed)
    assert closed == VoltageMonthClosed(
        usage_point="P1",
        month="2026-01",
        revision=1,
        phase="",
        status="unqualified",
        reason="",
        rate_e2_pct=9_000,  # 27 of the 30 days that were read
        completeness_e2_pct=9_677,
        interval_s=86_400,
        expected_samples=31,
        found_samples=30,
        inside_samples=27,
        over_samples=3,
        under_samples=0,
        outage_samples=0,
    )
    assert next_close_at(desk.point, DEFAULT_POLICY) == ""


def test_a_month_with_too_few_samples_is_not_comparable() -> None:
    desk = lived({3: 2_200, 4: 0}, DEFAULT_POLICY)
    closed = only(desk.tick(SHUT_AT), VoltageMonthClosed)
    assert (closed.status, closed.reason, closed.rate_e2_pct, closed.outage_samples) == (
        "not_comparable",
        "2 of 31 samples",
        None,
        1,
    )
    fine = replace(DEFAULT_POLICY, voltage=QualityRules())
    closed = only(lived({3: 2_200}, fine).tick(SHUT_AT), VoltageMonthClosed)
    assert (closed.interval_s, closed.expected_samples, closed.found_samples) == (900, 2_976, 1)


def test_the_end_of_the_month_and_silence_end_an_event() -> None:
    desk = lived({29: 1_950})
    assert found(desk.events) == [("under", at(30), at(31), "month_end", 1, 1_950)]
    desk = lived({28: 1_950})
    assert found(desk.tick(SHUT_AT)) == [("under", at(29), at(30), "gap", 1, 1_950)]
    assert found(desk.tick(at(40))) == []


def test_a_late_sample_joins_two_events() -> None:
    desk = lived({10: 2_400, 12: 2_410, 13: 2_200})
    assert found(desk.events) == [
        ("over", at(11), "", "", 1, 2_400),
        ("over", at(11), at(12), "gap", 1, 2_400),
        ("over", at(13), "", "", 1, 2_410),
        ("over", at(13), at(14), "inside", 1, 2_410),
    ]
    late = desk.take(sampled(11, 2_405))
    assert found(late) == [
        ("over", at(13), at(13), "withdrawn", 0, 2_410),
        ("over", at(11), at(14), "inside", 3, 2_410),
    ]
    assert found(desk.take(sampled(20, 2_200))) == []


def test_an_event_that_seemed_over_may_last() -> None:
    """Its end was a gap, which a late sample fills; and what lasts is not told twice."""
    desk = lived({10: 2_400, 12: 2_410})
    assert found(desk.take(sampled(11, 2_405))) == [
        ("over", at(13), at(13), "withdrawn", 0, 2_410),
        ("over", at(11), "", "", 3, 2_410),
    ]
    assert found(desk.take(sampled(13, 2_450))) == []


def test_a_sample_after_closing_is_a_revision_until_nobody_needs_it() -> None:
    desk = lived({day: 2_400 for day in range(10) if day not in (5, 6)})
    desk.tick(SHUT_AT)
    desk.as_of = at(31 + KEEP_DAYS)
    own = desk.take(sampled(5, 2_200))
    again = only(own, VoltageMonthClosed)
    assert (again.revision, again.found_samples, again.rate_e2_pct) == (2, 9, 1_111)
    assert found(own) == [("over", at(1), at(6), "inside", 5, 2_400)]
    before = desk.point.voltages
    desk.as_of = at(31 + KEEP_DAYS, 1)
    own = desk.take(sampled(6, 2_200))
    assert names(own)[:2] == ["ReadingAccepted", "QualityFound"]
    assert own[0].voltage is None
    [finding] = own[1].findings
    assert (finding.rule, finding.severity, finding.numbers) == (
        "voltage_late",
        "warn",
        {"keep_days": "62"},
    )
    assert desk.point.voltages == before


def test_a_revision_is_told_only_when_something_changed() -> None:
    desk = lived({3: 2_400, 5: 2_400})
    desk.tick(SHUT_AT)
    own = desk.take(sampled(4, 2_400, read_at=at(4, 2)))
    assert own[0].voltage == VoltageNoted(at=at(5), counted=(counted("over", 2_400, "a"),))
    assert not [one for one in own if isinstance(one, (VoltageFound, VoltageMonthClosed))]


def counted(side: str, extreme_dv: int = 0, extreme_phase: str = "") -> VoltageCounted:
    return VoltageCounted(phase="", side=side, extreme_dv=extreme_dv, extreme_phase=extreme_phase)


def noted(*volts_dv: int, policy: Policy = LAX, **changes: Any) -> VoltageNoted | None:
    """What the sample of one reading counts as."""
    desk = opened(**{name: changes.pop(name) for name in ("voltage_class",) if name in changes})
    desk.policy, desk.as_of = policy, at(2)
    own = desk.take(sampled(0, *volts_dv, **changes))
    assert isinstance(own[0], ReadingAccepted)
    return own[0].voltage


@pytest.mark.parametrize(
    ("volts_dv", "side", "extreme_dv", "phase"),
    [
        ((2_354,), "inside", 0, ""),
        ((2_355,), "over", 2_355, "a"),
        ((1_979,), "under", 1_979, "a"),
        ((2_040, 2_200, 2_200), "under", 2_040, "a"),  # three phases: 7 % either way
        ((2_200, 2_360, 2_370), "over", 2_370, "c"),
        ((2_360, 2_200, 2_360), "over", 2_360, "a"),
        ((219,), "outage", 0, ""),
    ],
)
def test_what_a_sample_counts_as(
    volts_dv: tuple[int, ...], side: str, extreme_dv: int, phase: str
) -> None:
    expected = VoltageNoted(at=at(2), counted=(counted(side, extreme_dv, phase),))
    assert noted(*volts_dv) == expected


def test_the_interval_is_that_in_which_it_was_read() -> None:
    assert noted(2_200, read_at=at(1)).at == at(1)  # type: ignore[union-attr]
    assert noted(2_200, read_at=at(1, 23)).at == at(2)  # type: ignore[union-attr]
    assert noted(2_200, read_at=at(0, 13)).at == at(1)  # type: ignore[union-attr]
    assert noted(2_200, read_at=at(62, 23)).at == at(63)  # type: ignore[union-attr]
    for wrong in (at(-1, 23), at(63), "yesterday", ""):
        assert noted(2_200, read_at=wrong) is None
    assert noted() is None
    own = opened().take(reading(0, 10_000, voltages={"1-0:12.7.0": 2_500}))
    assert own[0].voltage is None


def test_what_has_no_known_nominal_voltage_is_not_judged() -> None:
    for level in ("10kv", "110kv", ""):
        assert noted(577, 577, 577, voltage_class=level) is None
    desk = opened(voltage_class="10kv")
    desk.as_of = at(2)
    own = desk.take(sampled(0, 577, 577, 577))
    assert names(own) == ["ReadingAccepted", "UsageEstablished"]
    variant = Variant(rules={"voltage_band": Override(severity="off")})
    book = replace(
        DEFAULT_RULE_BOOK, id="blind", variants={**DEFAULT_RULE_BOOK.variants, "off": variant}
    )
    assert noted(2_500, policy=replace(LAX, rule_book=book)) is None


def test_each_phase_by_itself() -> None:
    desk = opened()
    desk.policy = EACH
    for day, volts_dv in enumerate(((2_200, 2_360, 2_200), (2_000, 2_360, 2_200), (2_200,) * 3)):
        desk.as_of = at(day + 1, 1)
        desk.take(sampled(day, *volts_dv))
    told = [(one.phase, one.extreme_phase, one.side) for one in standing(desk)[1]]
    assert sorted(told) == [("a", "a", "under"), ("b", "b", "over")]
    closed = only(desk.tick(SHUT_AT), VoltageMonthClosed)
    assert (closed.phase, closed.rate_e2_pct, closed.over_samples) == ("b", 3_333, 2)


def test_readings_that_waited_or_stood_out_bring_their_samples() -> None:
    desk = Desk(as_of=at(2), policy=LAX)
    desk.take(sampled(0, 2_400))
    own = desk.take(supply())
    assert only(own, ReadingAccepted).voltage.counted == (counted("over", 2_400, "a"),)
    desk = lived(dict.fromkeys(range(9), 2_200))
    desk.as_of = at(11)
    desk.take(reading(9, 900_000, voltages={L1: 2_410}))
    own = desk.take(reading(10, 910_000, voltages={L1: 2_420}))
    accepted = [one for one in own if isinstance(one, ReadingAccepted)]
    assert [one.voltage.counted[0].extreme_dv for one in accepted if one.voltage] == [2_410, 2_420]
    assert found(own) == [("over", at(10), "", "", 2, 2_420)]


def test_a_reading_that_waited_may_open_a_month_that_is_over() -> None:
    """It is judged in the very tick that gives up waiting for the clock."""
    desk = opened()
    desk.policy, desk.as_of = LAX, at(0)
    desk.take(sampled(28, 2_400))
    assert desk.point.held
    own = desk.tick(SHUT_AT)
    assert found(own) == [("over", at(29), at(30), "gap", 1, 2_400)]
    assert only(own, VoltageMonthClosed).over_samples == 1


def test_another_interval_of_the_policy_counts_what_was_noted_by_the_old_one() -> None:
    quarter = replace(LAX, voltage=replace(LAX.voltage, interval_s=900))
    desk = lived({3: 2_200, 4: 2_400}, quarter)
    kept = desk.point.voltages["2026-01"].samples[""]
    assert [offset_s for offset_s, _ in kept] == [
        4 * 86_400 + 3_600,
        5 * 86_400 + 3_600,
    ]
    desk.policy = LAX
    closed = only(desk.tick(SHUT_AT), VoltageMonthClosed)
    assert (closed.found_samples, closed.over_samples, closed.expected_samples) == (2, 1, 31)


OVER, FAR = JudgedSample("over", 2_400, "a"), JudgedSample("under", 1_900, "b")
INSIDE, OUT = JudgedSample("inside"), JudgedSample("outage")


@pytest.mark.parametrize(
    ("one", "other", "worst"), [(OVER, INSIDE, OVER), (OUT, INSIDE, INSIDE), (OVER, FAR, FAR)]
)
def test_an_interval_counts_as_its_worst(
    one: JudgedSample, other: JudgedSample, worst: JudgedSample
) -> None:
    for first, second in ((one, other), (other, one)):
        assert with_sample(with_sample({}, 5, first), 5, second) == {5: worst}


def test_closed_months_are_forgotten_and_nothing_else_is_touched() -> None:
    desk = opened()
    desk.policy = LAX
    for day in (3, 40, 70, 100, 130):
        desk.as_of = at(day + 1, 1)
        desk.take(sampled(day, 2_200))
        desk.tick(at(day + 40))
    assert sorted(desk.point.voltages) == ["2026-03", "2026-04", "2026-05"]
    months = desk.point.voltages
    silent = QualityFound(usage_point="P1", day_on="", reading_id="", findings=(), rule_set="")
    assert months_with(months, silent, KEEP_DAYS) is months


MOODS = st.sampled_from([2_200, 2_200, 2_400, 2_450, 1_900, 0, None])


@settings(max_examples=40, deadline=None)
@given(st.lists(MOODS, min_size=3, max_size=8), st.randoms(use_true_random=False), st.booleans())
def test_whatever_the_order_the_month_is_that_of_the_whole_list(
    values: list[int | None], rng: Any, is_shut_first: bool
) -> None:
    """The core, sample by sample as they arrive, ends where the command does on the sorted file."""
    days = [(day, value) for day, value in enumerate(values, start=23) if value is not None]
    rng.shuffle(days)
    desk = opened()
    desk.policy, desk.as_of = LAX, at(40)
    for number, (day, value) in enumerate(days):
        desk.take(sampled(day, value))
        if is_shut_first and number == len(days) // 2:
            desk.tick(at(40, 1))
    desk.tick(at(41))
    months, events = standing(desk)
    samples = [
        VoltageSample(at=at(day + 2), voltages_dv={"a": value})
        for day, value in sorted(days)
        if day < 30
    ]
    whole = voltage_quality("P1", "2026-01", samples, VoltageSupply(phases=1), LAX.voltage)
    if samples:
        closed = months["2026-01"]
        assert (closed.rate_e2_pct, closed.status, closed.found_samples) == (
            whole.rate_e2_pct,
            whole.status,
            whole.found_samples,
        )
        assert (closed.over_samples * 86_400, closed.outage_samples * 86_400) == (
            whole.over_s,
            whole.outage_s,
        )
    told = {
        (one.side, one.begun_at, one.ended_at, one.samples, one.extreme_dv, one.ended_by)
        for one in events
        if one.month == "2026-01"
    }
    assert told == {
        (one.side, one.start_at, one.end_at, one.samples, one.extreme_dv, one.ended_by)
        for one in whole.events
    }

"""A usage point as `gridledger vee check` judges it: master data, rows, a day, and what is kept.

A day is two instants in UTC, so that zones with daylight-saving time, leap days and the ends of
months need no rule of their own. Instants in wire form sort as texts.

    PointFacts(usage_point="P-1", interval_minutes=30, outages=(("2026-01-01T02:00:00Z", ""),))
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.validation.electrical_rules import ElectricalSample
from services.validation.finding import PASS, Finding, slot_status
from services.validation.instant import seconds_between
from services.validation.reading_rules import PeriodUsage
from services.validation.register_usage import Installation, Snapshot
from services.validation.rule_set import OFF, RuleSet, RuleSettings

HISTORY_DAYS = 28
"""So many days of usage are remembered: four whole weeks."""

Period = tuple[str, str]
"""From an instant to an instant, "" while it lasts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointFacts:
    """Master data of a usage point. What is "", 0 or empty is not known, and not judged by.

    `history` is the usage of an earlier period by register, `registers` what a reading must have,
    `interval_registers` what must have intervals; `from_at` and `to_at` bound the period in which
    intervals are expected, without them whole days are. `nominal_dv` is what a phase should show.
    """

    usage_point: str
    usage_class: str = ""
    interval_minutes: int = 15
    capacity_w: int = 0
    is_producer: bool = False
    voltage_class: str = ""
    nominal_dv: int = 0
    installations: tuple[Installation, ...] = ()
    registers: tuple[str, ...] = ()
    interval_registers: tuple[str, ...] = ()
    outages: tuple[Period, ...] = ()
    disconnected: tuple[Period, ...] = ()
    history: Mapping[str, PeriodUsage] = field(default_factory=dict)
    last_actual_at: str = ""
    from_at: str = ""
    to_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDay:
    """A day of the utility's zone: its midnights, and the ends of intervals by their minutes."""

    day_on: str
    from_at: str
    to_at: str
    ends_at: Mapping[int, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRow:
    """What came for one register at one instant: an interval energy (`minutes` above 0) that ends
    there, a register reading (`value`), a sample of voltages and powers, or several of them. `flaw`
    says why there is no usable value although something came (non_bcd, no_value, negative)."""

    at: str
    register: str
    source: str
    minutes: int = 0
    energy_wh: int | None = None
    value: int | None = None
    condition: str = "actual"
    received_at: str = ""
    meter_no: str = ""
    unit: str = ""
    ratio: str = ""
    flags: tuple[str, ...] = ()
    flaw: str = ""
    drift_s: int | None = None
    sample: ElectricalSample | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalMemory:
    """What the intervals of a register leave to the next day: the last end and value, the day's
    peak and its block length, how long usage was zero, and what came since the last reading."""

    source: str
    end_at: str
    minutes: int
    last_wh: int | None
    peak_wh: int | None
    zero_minutes: int
    since_wh: int = 0
    since_s: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PointHistory:
    """What is remembered of the days before: bounded by the registers of the point.

    By register: `readings` the last one, `usages` the usage up to it, `days` the usage of the last
    `HISTORY_DAYS` days that were read at both of their ends.
    """

    intervals: Mapping[str, IntervalMemory] = field(default_factory=dict)
    readings: Mapping[str, Snapshot] = field(default_factory=dict)
    usages: Mapping[str, PeriodUsage] = field(default_factory=dict)
    days: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    last_actual_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A finding, the register (or "" for the point) and the rule set that it is from."""

    register: str
    rule_set: str
    finding: Finding


Rules = Callable[[str], RuleSet]
"""The rule set for a source."""


def told(register: str, rule_set: RuleSet, findings: Iterable[Finding]) -> Iterator[Told]:
    """Findings that are no `pass`, with their origin."""
    for found in findings:
        if found.severity != PASS:
            yield Told(register=register, rule_set=rule_set.name, finding=found)


def active(rule_set: RuleSet, rule: str) -> RuleSettings | None:
    """The settings of a rule; None when it is off."""
    settings = rule_set.rules[rule]
    return None if settings.severity == OFF else settings


def statuses(findings: Sequence[Told]) -> dict[str, str]:
    """The status of every slot that is named: the worst of its findings. A finding that names no
    slot is about everything that came that day, so it is in all of them."""
    plain = tuple(each.finding for each in findings)
    slots = sorted({slot for found in plain for slot in found.slots})
    return slot_status(slots, plain)


def overlapped(starts: Sequence[str], ends: Sequence[str], periods: Sequence[Period]) -> set[int]:
    """The indices of intervals that a period touches."""
    return {
        index
        for since, until in periods
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
        if end > since and (not until or start < until)
    }


def covered(starts: Sequence[str], ends: Sequence[str], periods: Sequence[Period]) -> set[int]:
    """The indices of intervals that lie wholly in a period."""
    return {
        index
        for since, until in periods
        for index, (start, end) in enumerate(zip(starts, ends, strict=True))
        if start >= since and (not until or end <= until)
    }


def not_installed(installations: Sequence[Installation]) -> tuple[Period, ...]:
    """The times before, between and after the installations of a point; none when none is known."""
    if not installations:
        return ()
    ordered = sorted(installations, key=lambda installed: installed.from_at)
    ends = ["", *(installed.to_at for installed in ordered)]
    starts = [*(installed.from_at for installed in ordered), ""]
    return tuple(
        (end, start)
        for index, (end, start) in enumerate(zip(ends, starts, strict=True))
        if (index == 0 or end) and end != start
    )


def outage_seconds(periods: Sequence[Period], from_at: str, to_at: str) -> int:
    """How long supply was out within a period; what two outages overlap counts once."""
    total, counted_to = 0, from_at
    for since, until in sorted(periods):
        begin, end = max(since, counted_to), min(until or to_at, to_at)
        if begin < end:
            total += seconds_between(begin, end)
            counted_to = end
    return total

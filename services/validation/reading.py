"""A reading as the rules look at it: its place in the timeline, what is known, what speaks against.

The rules are those of `gridledger vee check` (point_check.py): a reading becomes rows, and what the
command remembers of earlier rows is derived from the marks before it, so nothing depends on what
else was asked in between.

    run, before, after = place_of(point, reading)
    verdict_of(point, "P1", reading, run, before, policy).findings == ()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.validation.electrical_rules import ElectricalSample
from services.validation.events import Finding, HeldReading
from services.validation.finding import FAIL
from services.validation.instant import day_end_at, seconds_between
from services.validation.point_check import check_day
from services.validation.point_facts import (
    HISTORY_DAYS,
    PointHistory,
    PointRow,
)
from services.validation.policy import Policy
from services.validation.reading_rules import SECONDS_PER_DAY, PeriodUsage
from services.validation.register_usage import Snapshot, parse_register
from services.validation.revision import margin_of, runs_of, usages_between
from services.validation.rules_in_force import (
    as_told,
    facts_of,
    point_day,
    rules_for,
    source_of,
    supply_of_day,
)
from services.validation.state import Point
from services.validation.timeline import (
    Mark,
    Run,
    marks,
    neighbours,
    run_of,
)

REFUSES = frozenset(
    {
        "bad_value",
        "device_match",
        "duplicate",
        "meter_exchange",
        "missing",
        "negative",
        "rate_sum",
        "rollover",
    }
)
"""Rules whose `fail` refuses a reading: what it says cannot be counted, or not be believed."""

DOUBTS = frozenset({"high_low", "register_delta", "spike"})
"""Rules whose `fail` refuses a reading that stands out until the next one agrees with it.

A `fail` of any other rule is told and refuses nothing: it is about the supply, the clock, the meter
or the customer (voltage, drift, flags, reverse flow, usage behind an open relay), and the registers
count all the same. A `warn` never refuses."""

PHASES: Mapping[str, str] = {"32.7.0": "a", "52.7.0": "b", "72.7.0": "c"}
"""The phase whose voltage an OBIS code names."""

NO_VALUE = "no_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the rules say of a reading, by which rule set. `is_unusable`: the usage of some register
    cannot be told, which makes the reading no base for a bill."""

    findings: tuple[Finding, ...]
    rule_set: str
    is_unusable: bool

    @property
    def refusing(self) -> frozenset[str]:
        """The rules that speak against the reading."""
        failed = {found.rule for found in self.findings if found.severity == FAIL}
        return frozenset(failed & (REFUSES | DOUBTS))


def place_of(point: Point, reading: HeldReading) -> tuple[Run, Mark | None, Mark | None]:
    """The run of a reading and the marks around it; `_awaited` has seen that there is one."""
    run = run_of(runs_of(point), reading.meter_no, day_end_at(reading.day_on))
    assert run is not None
    before, after = neighbours(marks(run, point.readings, point.anchor_on), reading.day_on)
    return run, before, after


def mark_of(reading: HeldReading) -> Mark:
    """The mark that a reading makes when it counts."""
    return Mark(
        day_on=reading.day_on,
        meter_no=reading.meter_no,
        taken_at=day_end_at(reading.day_on),
        reading_id=reading.reading_id,
        registers=reading.registers,
    )


def verdict_of(
    point: Point, key: str, reading: HeldReading, run: Run, before: Mark | None, policy: Policy
) -> Verdict:
    """A reading against all that is known before it. BadInput: it has registers of no name."""
    supply = supply_of_day(point.supplies, reading.day_on)
    rules_of = rules_for(policy.rule_book, supply)
    expected = tuple(before.registers) if before is not None else ()
    facts = facts_of(key, supply, run.meters, expected)
    rows = _rows(reading)
    history = _history(point, reading.day_on, run, before, policy)
    day = point_day(reading.day_on)
    checked = check_day(facts, day, rows, history, rules_of)
    usages = {}
    if before is not None:
        usages = usages_between(run, before, mark_of(reading), margin_of(point, policy))
    return Verdict(
        findings=as_told(checked.findings),
        rule_set=rules_of(source_of(reading)).name,
        is_unusable=any(usage.usage is None for usage in usages.values()),
    )


def _rows(reading: HeldReading) -> tuple[PointRow, ...]:
    """A row for each cumulative register; what the meter said of itself and its supply stands in
    the first. A reading that has none at all is one without a value."""
    values: dict[str, int | None] = dict(reading.registers)
    values |= {name: None for name in reading.flaws if name not in values}
    found = [name for name in values if parse_register(name).cumulative]
    rows = [
        PointRow(
            at=day_end_at(reading.day_on),
            register=name,
            source=source_of(reading),
            value=values.get(name),
            flaw=reading.flaws.get(name, "") if name in values else NO_VALUE,
            meter_no=reading.meter_no,
        )
        for name in found or ("1-0:1.8.0",)
    ]
    rows[0] = replace(rows[0], drift_s=reading.clock_offset_s, sample=_sample(reading.voltages))
    return tuple(rows)


def _sample(voltages: Mapping[str, int]) -> ElectricalSample | None:
    if not voltages:
        return None
    phases = {PHASES.get(name.rpartition(":")[2], name): dv for name, dv in voltages.items()}
    return ElectricalSample(voltages_dv=phases)


def _history(
    point: Point, day_on: str, run: Run, before: Mark | None, policy: Policy
) -> PointHistory:
    """What `vee check` would remember of the readings before this one."""
    days: dict[str, dict[str, int]] = {}
    known = [day for day in point.history if day.day_on < day_on][-HISTORY_DAYS:]
    for day in known:
        for register, energy in day.energy.items():
            days.setdefault(register, {})[day.day_on] = energy
    if before is None:
        return PointHistory(days=days)
    return PointHistory(
        readings={
            register: Snapshot(
                meter_no=before.meter_no, taken_at=before.taken_at, registers={register: value}
            )
            for register, value in before.registers.items()
        },
        usages=_period_before(point, run, before, policy),
        days=days,
        last_actual_at=before.taken_at,
    )


def _period_before(point: Point, run: Run, before: Mark, policy: Policy) -> dict[str, PeriodUsage]:
    """The usage up to a mark since the one before it; when that is settled and forgotten, the day
    before the mark as history has it."""
    earlier, _ = neighbours(marks(run, point.readings, point.anchor_on), before.day_on)
    if earlier is not None:
        usages = usages_between(run, earlier, before, margin_of(point, policy))
        length_s = seconds_between(earlier.taken_at, before.taken_at)
        return {
            register: PeriodUsage(energy_wh=usage.usage, period_s=length_s)
            for register, usage in usages.items()
            if usage.usage is not None
        }
    settled = [day for day in point.history if day.day_on == before.day_on]
    return {
        register: PeriodUsage(energy_wh=energy, period_s=SECONDS_PER_DAY)
        for day in settled
        for register, energy in day.energy.items()
    }


def contradictions(
    point: Point, key: str, run: Run, reading: Mark, after: Mark | None, policy: Policy
) -> tuple[Finding, ...] | None:
    """What a later mark, which was accepted first, has against a reading; None for nothing."""
    if after is None:
        return None
    usages = usages_between(run, reading, after, margin_of(point, policy))
    if all(usage.usage is not None for usage in usages.values()):
        return None
    supply = supply_of_day(point.supplies, after.day_on)
    facts = replace(facts_of(key, supply, run.meters), registers=())
    later = replace(_held(after), day_on=after.day_on)
    history = PointHistory(
        readings={
            register: Snapshot(
                meter_no=reading.meter_no, taken_at=reading.taken_at, registers={register: value}
            )
            for register, value in reading.registers.items()
        }
    )
    rows = tuple(replace(row, at=after.taken_at) for row in _rows(later))
    rules_of = rules_for(policy.rule_book, supply)
    checked = check_day(facts, point_day(after.day_on), rows, history, rules_of)
    return tuple(
        found
        for found in as_told(checked.findings)
        if found.severity == FAIL and found.rule in REFUSES
    )


def _held(mark: Mark) -> HeldReading:
    """A mark as the reading that made it."""
    return HeldReading(
        reading_id=mark.reading_id,
        meter_no=mark.meter_no,
        kind="",
        source="",
        day_on=mark.day_on,
        read_at="",
        registers=mark.registers,
        flaws={},
        demands=(),
        voltages={},
        clock_offset_s=None,
    )


def is_confirmed(point: Point, run: Run, reading: HeldReading, policy: Policy) -> bool:
    """Whether a reading that stands out agrees with the one before that did: the register did not
    fall back. On the same day only a person's own reading counts as a second one."""
    doubted = point.doubted
    if doubted is None or run_of((run,), doubted.meter_no, day_end_at(doubted.day_on)) is None:
        return False
    if doubted.day_on >= reading.day_on:
        is_second = doubted.source != reading.source and doubted.day_on == reading.day_on
        return is_second and doubted.registers == reading.registers
    usages = usages_between(run, mark_of(doubted), mark_of(reading), margin_of(point, policy))
    return all(usage.usage is not None for usage in usages.values())

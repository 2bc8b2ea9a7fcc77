"""A reading as the rules look at it: its place in the timeline, its window, what speaks against it.

run, before, after = place_of(point, reading)
day_verdict(window_of(point, reading, run, before), policy.rule_set).status == "pass"
"""

from __future__ import annotations

from services.validation.day_verdict import DayVerdict, DayWindow, day_verdict
from services.validation.events import Finding, HeldReading
from services.validation.finding import FAIL
from services.validation.finding import Finding as RuleFinding
from services.validation.instant import day_end_at
from services.validation.policy import Policy
from services.validation.register_usage import Snapshot, parse_register
from services.validation.revision import runs_of, usages_between
from services.validation.state import Point
from services.validation.timeline import (
    Mark,
    Run,
    latest_supply,
    marks,
    neighbours,
    run_of,
    supply_on,
)
from services.validation.voltage_band import LEVEL_DV, PHASE_NOMINAL_DV, voltage_window

IMPORT_TOTAL = "1-0:1.8.0"


def place_of(point: Point, reading: HeldReading) -> tuple[Run, Mark | None, Mark | None]:
    """The run of a reading and the marks around it; `_awaited` has seen that there is one."""
    run = run_of(runs_of(point), reading.meter_no, day_end_at(reading.day_on))
    assert run is not None
    before, after = neighbours(marks(run, point.readings, point.anchor_on), reading.day_on)
    return run, before, after


def mark_of(reading: HeldReading) -> Mark:
    return Mark(
        day_on=reading.day_on,
        meter_no=reading.meter_no,
        taken_at=day_end_at(reading.day_on),
        reading_id=reading.reading_id,
        registers=reading.registers,
    )


def window_of(point: Point, reading: HeldReading, run: Run, before: Mark | None) -> DayWindow:
    supply = supply_on(point.supplies, reading.day_on) or latest_supply(point.supplies)
    voltage = None
    if reading.voltages and supply.voltage_class in LEVEL_DV:
        voltage = voltage_window(supply.voltage_class, reading.voltages, PHASE_NOMINAL_DV)
    return DayWindow(
        day_on=reading.day_on,
        previous=before.snapshot() if before is not None else None,
        current=Snapshot(
            meter_no=reading.meter_no,
            taken_at=day_end_at(reading.day_on),
            registers=reading.registers,
            flaws=reading.flaws,
        ),
        installations=run.meters,
        registers=tuple(name for name in supply.registers if parse_register(name).cumulative),
        history=_import_history(point),
        voltage=voltage,
        clock_drift_s=reading.clock_offset_s,
    )


def _import_history(point: Point) -> dict[str, int]:
    return {
        day.day_on: day.energy[IMPORT_TOTAL] for day in point.history if IMPORT_TOTAL in day.energy
    }


def contradictions(
    run: Run, reading: Mark, after: Mark | None, policy: Policy
) -> tuple[RuleFinding, ...] | None:
    """What a later mark, which was accepted first, has against a reading; None for nothing."""
    if after is None:
        return None
    window = DayWindow(
        day_on=after.day_on,
        previous=reading.snapshot(),
        current=after.snapshot(),
        installations=run.meters,
    )
    verdict = day_verdict(window, policy.rule_set)
    if not is_unusable(verdict):
        return None
    return tuple(found for found in verdict.findings if found.severity == FAIL)


def is_unusable(verdict: DayVerdict) -> bool:
    """A register whose usage cannot be told makes the reading no base for a bill."""
    return any(usage.usage is None for usage in verdict.usages.values())


def told(findings: tuple[RuleFinding, ...]) -> tuple[Finding, ...]:
    """Findings as events carry them."""
    return tuple(
        Finding(
            rule=found.rule,
            severity=found.severity,
            text=found.text,
            numbers={**found.numbers, **({"slots": ",".join(found.slots)} if found.slots else {})},
        )
        for found in findings
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
    usages = usages_between(run, mark_of(doubted), mark_of(reading), policy)
    return all(usage.usage is not None for usage in usages.values())

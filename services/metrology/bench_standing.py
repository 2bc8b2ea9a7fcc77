"""Whether a bench and its reference may judge: known, in time, in agreement, and fine enough.

    bench B1 due 2026-02-28, run of 2026-03-01     the bench was due: it may not judge
    reference R1 of class 0.2, meter of class 0.5S the reference is weaker than 0.1

A run states what it was measured with; the register of standards says what that is. The statement
of the run alone is judged by `services.metrology.judgement`; here both are compared. The weakest
class by class of meter is data of the `JudgementRules` (UNCONFIRMED, domain.md §4.3), so are the
reference conditions (`BenchConditions`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from libs.events.errors import BadInput
from services.metrology.judgement import (
    NOT_JUDGED,
    BenchRun,
    Judgement,
    JudgementRules,
    class_number,
    local_day,
)
from services.metrology.verification_cycle import is_overdue, parse_day

BENCH = "bench"
REFERENCE = "reference_meter"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standard:
    """A bench or a reference of the register: its number, kind, class and last day in time."""

    standard_no: str
    kind: str
    accuracy_class: str
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchConditions:
    """Under which conditions a measurement counts, and what can be a temperature at all."""

    lowest_c: Decimal = Decimal(21)
    highest_c: Decimal = Decimal(25)
    possible_from_c: Decimal = Decimal(-40)
    possible_to_c: Decimal = Decimal(70)
    source: str = "UNCONFIRMED: 23 +- 2 degrees Celsius (JJG 596, from memory)"


def standing(
    run: BenchRun,
    accuracy_class: str,
    standards: Mapping[tuple[str, str], Standard],
    rules: JudgementRules,
) -> tuple[str, ...]:
    """Why bench and reference of a run may not judge a meter of this class; empty: they may.

    `standards` by (kind, number). BadInput for a register whose day or class is none.
    """
    measured_on = local_day(run.measured_at, rules.utc_offset_minutes)
    weakest = rules.reference_class_max.get(accuracy_class)
    reasons: list[str] = []
    for kind, number in ((BENCH, run.bench_no), (REFERENCE, run.reference_meter_no)):
        found = standards.get((kind, number))
        if found is None:
            reasons.append(f"{kind} {number} is not in the register of standards")
            continue
        parse_day(found.due_on, "due_on")
        if is_overdue(found.due_on, measured_on):
            reasons.append(f"{kind} {number} was due on {found.due_on}, measured on {measured_on}")
        if weakest is not None and class_number(found.accuracy_class) > class_number(weakest):
            reasons.append(
                f"{kind} {number} of class {found.accuracy_class} is weaker than {weakest}"
            )
        if kind == REFERENCE:
            stated = (run.reference_class, run.reference_due_on)
            if stated != (found.accuracy_class, found.due_on):
                reasons.append(
                    f"the run states {kind} {number} as class {stated[0]} due {stated[1]}, "
                    f"the register says {found.accuracy_class} due {found.due_on}"
                )
    return tuple(reasons)


def outside_conditions(
    temperature_c: Decimal, conditions: BenchConditions | None = None
) -> tuple[str, ...]:
    """Why a run does not count at this temperature; BadInput when it can be no temperature of a
    room."""
    limits = conditions or BenchConditions()
    if not limits.possible_from_c <= temperature_c <= limits.possible_to_c:
        fix = f"give degrees Celsius, {limits.possible_from_c} to {limits.possible_to_c}"
        raise BadInput("temperature_c", f"is {temperature_c}, impossible in a laboratory", fix)
    if limits.lowest_c <= temperature_c <= limits.highest_c:
        return ()
    span = f"{limits.lowest_c} to {limits.highest_c}"
    return (f"measured at {temperature_c} degrees Celsius, not at {span}",)


def refused(judgement: Judgement, reasons: tuple[str, ...]) -> Judgement:
    """The judgement as it stands when the bench was not entitled: its numbers stay, its verdict
    does not."""
    if not reasons:
        return judgement
    return replace(judgement, verdict=NOT_JUDGED, reasons=(*reasons, *judgement.reasons))

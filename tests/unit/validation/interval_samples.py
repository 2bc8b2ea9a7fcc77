"""Small builders for intervals: a day's values from 2026-01-01 (a Thursday) on, and registers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import tzinfo

from services.validation.estimation_plan import DEFAULT_PLAN, EstimationPlan, PlanStep
from services.validation.interval_estimation import SeriesEstimate, estimate_series
from services.validation.interval_series import ACTUAL, MISSING, OUTAGE, Slot, interval_series
from services.validation.register_bracket import RegisterRow, brackets_of
from services.validation.slot_time import DEFAULT_ZONE, at_of, day_bounds
from tests.unit.validation.samples import IMPORT, at, day_on

OUT = "outage"
"""Stands for an outage in a list of values."""


def slots_of(
    day: int, values: Sequence[int | str | None], minutes: int = 60, first: int = 0
) -> list[Slot]:
    """Slots from the slot number `first` of a day on: an energy, None for a gap, OUT."""
    begin = day_bounds(day_on(day), DEFAULT_ZONE)[0] + first * minutes
    return slots_from(begin, values, minutes)


def slots_from(begin: int, values: Sequence[int | str | None], minutes: int) -> list[Slot]:
    slots = []
    for index, value in enumerate(values, 1):
        end_at = at_of(begin + index * minutes)
        if value is None:
            slots.append(Slot(end_at=end_at, energy=None, quality=MISSING))
        elif isinstance(value, str):
            slots.append(Slot(end_at=end_at, energy=None, quality=OUTAGE))
        else:
            slots.append(Slot(end_at=end_at, energy=value, quality=ACTUAL))
    return slots


def register_row(day: int, value: int, hour: int = 0, **changes: object) -> RegisterRow:
    """A reading of meter M1 at an hour of a day."""
    values: dict[str, object] = {"meter_no": "M1", "capacity_w": 10_000, **changes}
    return RegisterRow(taken_at=at(day, hour), value=value, **values)  # type: ignore[arg-type]


def plan_with(*steps: PlanStep, **changes: object) -> EstimationPlan:
    """The default plan with other steps."""
    return replace(DEFAULT_PLAN, id="test", steps=steps, **changes)  # type: ignore[arg-type]


def estimated(
    slots: Iterable[Slot],
    rows: Sequence[RegisterRow] = (),
    plan: EstimationPlan = DEFAULT_PLAN,
    *,
    minutes: int = 60,
    zone: tzinfo = DEFAULT_ZONE,
    holidays: frozenset[str] = frozenset(),
    **more: object,
) -> SeriesEstimate:
    """Slots and registers through brackets_of, interval_series and estimate_series."""
    brackets = brackets_of(rows, IMPORT, interval_minutes=minutes, zone=zone) if rows else ()
    bounds = (brackets[0].from_minute, brackets[-1].to_minute) if brackets else None
    series = interval_series(
        slots,
        interval_minutes=minutes,
        zone=zone,
        bounds=bounds,
        **more,  # type: ignore[arg-type]
    )
    return estimate_series(series, brackets, plan, holidays=holidays, zone=zone)

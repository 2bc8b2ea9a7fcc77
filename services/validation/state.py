"""What validation knows of a usage point: its supply, the readings it may still need, its history.

Readings and usage are kept only from the last day before which nothing is missing (`anchor`), so a
point that is read every day keeps one reading. A key costs about 4 KB: 28 days of history with one
register each (about 100 bytes a day and register) and one installation; it does not grow with time.
A point with a gap keeps every day since, up to `KEEP_DAYS`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from services.validation.estimation import ACTUAL, DayUsage
from services.validation.events import (
    HeldReading,
    ReadingAccepted,
    SupplyAwaited,
    SupplyNoted,
    UsageEstablished,
)
from services.validation.instant import day_end_at, days_after

KEEP_DAYS = 62
"""A meter holds its daily freezes about this long; older gaps stay as they were estimated."""

HISTORY_DAYS = 28


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all points of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """An accepted reading of the end of a day (or of an installation's beginning)."""

    day_on: str
    meter_no: str
    taken_at: str
    reading_id: str
    registers: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Established:
    """The latest revision of a day's usage."""

    revision: int
    quality: str
    energy: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One usage point; `readings` by day since the anchor, `usage` by day after it."""

    supply: SupplyNoted | None = None
    readings: dict[str, Kept] = field(default_factory=dict)
    usage: dict[str, Established] = field(default_factory=dict)
    history: tuple[DayUsage, ...] = ()
    held: tuple[HeldReading, ...] = ()


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its point."""
    point: Point = state or Point()
    match event:
        case SupplyNoted():
            return replace(point, supply=event, held=())
        case SupplyAwaited():
            return replace(point, held=(*point.held, event.reading))
        case ReadingAccepted():
            return _accepted(point, event)
        case UsageEstablished():
            return _established(point, event)
    return state


def _accepted(point: Point, event: ReadingAccepted) -> Point:
    kept = Kept(
        day_on=event.day_on,
        meter_no=event.meter_no,
        taken_at=day_end_at(event.day_on),
        reading_id=event.reading_id,
        registers=event.registers,
    )
    return _pruned(replace(point, readings={**point.readings, event.day_on: kept}))


def _established(point: Point, event: UsageEstablished) -> Point:
    usage = {
        **point.usage,
        event.day_on: Established(
            revision=event.revision, quality=event.quality, energy=event.energy
        ),
    }
    history = tuple(day for day in point.history if day.day_on != event.day_on)
    if event.quality == ACTUAL:
        day = DayUsage(day_on=event.day_on, energy=event.energy, quality=ACTUAL)
        ordered = sorted((*history, day), key=lambda found: found.day_on)
        history = tuple(ordered[-HISTORY_DAYS:])
    return _pruned(replace(point, usage=usage, history=history))


def _pruned(point: Point) -> Point:
    """Forget readings and usage before the anchor: the last day up to which all is actual, or the
    last reading that is too old for anything before it to be still read."""
    days = sorted(point.readings)
    if len(days) < 2:
        return point
    anchor = days[0]
    for before, after in pairwise(days):
        between = days_after(before, after)
        found = [point.usage.get(day) for day in between]
        complete = all(day is not None and day.quality == ACTUAL for day in found)
        too_old = len(days_after(after, days[-1])) > KEEP_DAYS if after < days[-1] else False
        if not complete and not too_old:
            break
        anchor = after
    if anchor == days[0]:
        return point
    return replace(
        point,
        readings={day: kept for day, kept in point.readings.items() if day >= anchor},
        usage={day: found for day, found in point.usage.items() if day > anchor},
    )

"""What the time-of-use basis of a point's days is judged from, kept until nothing can change it.

Only points whose supply has rate periods keep anything: the latest revision of each day's usage
(1 KB), the load profile's half hours (0.5 KB in a checkpoint, 2 KB in memory) and the clock of its
reading, for `BASIS_DAYS`; and the last `TABLES_KEPT` slot tables (1 KB each). So a slot table, a
profile or a price book that comes late revises the days that it concerns. That is 70 KB for a
point with rate periods, 190 KB for one whose profile is read as well; it does not grow with time.

    facts_with(facts, SlotTableNoted(...), supplies).tables[-1].reading_id
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from services.validation.events import (
    IntervalsEstablished,
    ReadingAccepted,
    SlotTableNoted,
    SupplyNoted,
    UsageEstablished,
)
from services.validation.interval_series import ACTUAL, LETTERS, OUTAGE
from services.validation.timeline import add_days

BASIS_DAYS = 62
"""Two whole months: bills are made some days after a month's end."""

TABLES_KEPT = 8
PROFILE_REGISTER = "1-0:1.8.0"
HALF_HOUR_MIN = 30
MEASURED = LETTERS[ACTUAL] + LETTERS[OUTAGE]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayProfile:
    """A day's profile: how many intervals it should have and has measured; slots: its energy (Wh)
    in 48 half hours (fewer where the intervals are longer), () while one is not measured."""

    reading_id: str
    expected: int
    found: int
    slots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DayFacts:
    """The latest revision of a day's usage, and its profile; None while it is not there."""

    usage: UsageEstablished | None = None
    profile: DayProfile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSeen:
    """How far a meter's clock was ahead when a day was read; seconds."""

    day_on: str
    offset_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisFacts:
    """days: by day; tables: in order of the days from which they hold; clocks: by reading."""

    days: dict[str, DayFacts] = field(default_factory=dict)
    tables: tuple[SlotTableNoted, ...] = ()
    clocks: dict[str, ClockSeen] = field(default_factory=dict)


def measured_energy(usage: UsageEstablished) -> dict[str, int]:
    """The day's energy as the registers counted it."""
    basis = usage.basis
    return basis.measured if basis is not None and basis.measured else usage.energy


def has_periods(supplies: Iterable[SupplyNoted]) -> bool:
    """Whether any supply of a point has rates with periods."""
    return any(tariff.rate_periods for supply in supplies for tariff in supply.tariffs)


def facts_with(facts: BasisFacts, event: Any, supplies: Iterable[SupplyNoted]) -> BasisFacts:
    """The facts after an own event; the same object when it says nothing of them."""
    match event:
        case SlotTableNoted():
            return _with_table(facts, event)
        case UsageEstablished() if has_periods(supplies):
            known = facts.days.get(event.day_on, DayFacts())
            return _with_day(facts, event.day_on, replace(known, usage=event))
        case IntervalsEstablished(register=register) if (
            register == PROFILE_REGISTER and has_periods(supplies)
        ):
            return _with_profile(facts, event)
        case ReadingAccepted(clock_offset_s=int(offset_s)) if has_periods(supplies):
            seen = ClockSeen(day_on=event.day_on, offset_s=offset_s)
            return replace(facts, clocks={**facts.clocks, event.reading_id: seen})
    return facts


def _with_table(facts: BasisFacts, table: SlotTableNoted) -> BasisFacts:
    tables = sorted(
        (*facts.tables, table), key=lambda each: (each.from_on, each.read_at, each.reading_id)
    )
    return replace(facts, tables=tuple(tables[-TABLES_KEPT:]))


def _with_profile(facts: BasisFacts, event: IntervalsEstablished) -> BasisFacts:
    """The latest revision of a day counts: what came before is part of it."""
    known = facts.days.get(event.day_on, DayFacts())
    return _with_day(facts, event.day_on, replace(known, profile=day_profile(event)))


def day_profile(event: IntervalsEstablished) -> DayProfile:
    """A profile as far as the basis needs it. What was estimated is nothing that a bill's periods
    may rest on: then a person looks at it."""
    qualities = event.qualities or MEASURED[0] * len(event.energies)
    measured = zip(event.energies, qualities, strict=True)
    energies = [wh for wh, letter in measured if wh is not None and letter in MEASURED]
    size = max(HALF_HOUR_MIN // event.interval_minutes, 1)
    slots: tuple[int, ...] = ()
    if len(energies) == len(event.energies):
        slots = tuple(sum(energies[at : at + size]) for at in range(0, len(energies), size))
    return DayProfile(
        reading_id=event.reading_id,
        expected=len(event.energies),
        found=len(energies),
        slots=slots,
    )


def _with_day(facts: BasisFacts, day_on: str, day: DayFacts) -> BasisFacts:
    """The facts with a day, without those that are too old for anything to change them."""
    days = {**facts.days, day_on: day}
    oldest_on = add_days(max(days), -BASIS_DAYS)
    return replace(
        facts,
        days={on: days[on] for on in sorted(days) if on > oldest_on},
        clocks={name: seen for name, seen in facts.clocks.items() if seen.day_on > oldest_on},
    )

"""What validation knows of a usage point: its supplies, readings it may still need, its history.

Readings and usage are kept only from the anchor on: the last day up to which all usage is actual
and nothing can come any more. So a point that is read every day keeps one reading. A key costs
about 5 KB: 28 days of history with one register each (about 100 bytes a day and register), one
account and one installation, and account and revision of 28 settled days (40 bytes each), so that a
person can still edit them; it does not grow with time but for the accounts that the point had
(0.5 KB each). A point with a gap keeps every day since, up to `KEEP_DAYS`; one that is never read
keeps its estimates (150 bytes a day) until it is. A point with a load profile of 15 minutes has up
to 31 days of intervals (0.6 KB a day stored, 3.5 KB in memory) and 10 of snapshots (1 KB, 4 KB):
about 30 KB stored, 150 KB in memory, and no more with time. A point with rate periods costs more,
see basis_facts.py; one whose voltages are read costs up to 2.5 KB more, see voltage_state.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from libs.events.memory import once_per
from services.validation.basis_facts import BasisFacts, facts_with, measured_energy
from services.validation.edit_events import EditHeld, EditRefused, EditRejected, EditTaken
from services.validation.edit_state import Edits, Settled, noted, settle
from services.validation.estimation import ACTUAL, DayUsage
from services.validation.events import (
    CalendarsAdopted,
    Finding,
    HeldReading,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    SupplyAwaited,
    SupplyNoted,
    TariffBook,
    UsageDemand,
    UsageEstablished,
)
from services.validation.instant import day_end_at, days_after
from services.validation.interval_series import EDITED
from services.validation.point_facts import HISTORY_DAYS
from services.validation.timeline import (
    Mark,
    Run,
    add_days,
    chain_of,
    marks,
    supply_on,
)
from services.validation.voltage_state import VoltageMonth, months_with

KEEP_DAYS = 62
"""A meter holds its daily freezes about this long; older gaps stay as they were estimated."""

PROFILE_REGISTER = "1-0:1.8.0"
"""Load profiles are kept of the import."""

OPEN_DAYS = 10
"""So many days, counted back from the newest load profile, a block may still be revised."""

REFERENCE_DAYS = 21
"""Estimates look so many days back: three days of the same weekday."""

PROFILE_DAYS = OPEN_DAYS + REFERENCE_DAYS
"""So many days of intervals are kept, counted back from the newest: so every open day has all its
references."""

IDS_KEPT = 4
"""So many profiles of a day are recognised when they come again."""


@dataclass(frozen=True, slots=True)
class Shared:
    """The calendars of the price books adopted in this partition, by `id@version`."""

    books: dict[str, TariffBook] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Established:
    """The latest revision of a day's usage, and whom it was given to. energy: as the registers
    say; given: as it was given where the load profile stands in for the rates, else {}; readings:
    the ids behind an edited day, for it settles only between readings of its own."""

    account_no: str
    revision: int
    quality: str
    energy: dict[str, int]
    demands: tuple[UsageDemand, ...] = ()
    given: dict[str, int] = field(default_factory=dict)
    readings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileDay:
    """The intervals of a day as they stand: `energies` (Wh after ratio, None for unknown) labelled
    by their ends, `qualities` a letter of `LETTERS` (interval_series.py) each.

    `snapshots`, as the meter shows them, and `findings` are kept while the day is open;
    `register_wh` is the day's usage by its registers, as far as it was needed.
    """

    reading_ids: tuple[str, ...]
    meter_no: str
    revision: int
    interval_minutes: int
    energies: tuple[int | None, ...] = ()
    qualities: str = ""
    snapshots: tuple[int | None, ...] = ()
    findings: tuple[Finding, ...] = ()
    register_wh: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One usage point. supplies: by account; readings: by day from the anchor on; usage: by day
    after it; history: the actual days since, and `HISTORY_DAYS` of them before; held: readings that
    wait; doubted: the last reading that was rejected only because it stands out; profiles: the
    intervals of the last `PROFILE_DAYS` days, by day: what anybody who needs them reads; basis:
    what the time-of-use basis of its days is judged from; voltages: see voltage_state.py, by month.
    """

    supplies: dict[str, SupplyNoted] = field(default_factory=dict)
    readings: dict[str, Mark] = field(default_factory=dict)
    usage: dict[str, Established] = field(default_factory=dict)
    history: tuple[DayUsage, ...] = ()
    held: tuple[HeldReading, ...] = ()
    doubted: HeldReading | None = None
    profiles: dict[str, ProfileDay] = field(default_factory=dict)
    anchor_on: str = ""
    basis: BasisFacts = field(default_factory=BasisFacts)
    edits: Edits = field(default_factory=Edits)
    voltages: dict[str, VoltageMonth] = field(default_factory=dict)


@once_per(512)
def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its point, or of the partition. Decisions look ahead
    with it: what they found is what the fold is given next."""
    if isinstance(state, Shared):
        return _shared(state, event)
    point: Point = state or Point()
    voltages = months_with(point.voltages, event, KEEP_DAYS)
    if voltages is not point.voltages:
        state = point = replace(point, voltages=voltages)
    basis = facts_with(point.basis, event, point.supplies.values())
    if basis is not point.basis:
        state = point = replace(point, basis=basis)
    match event:
        case SupplyNoted():
            return replace(point, supplies={**point.supplies, event.account_no: event})
        case SupplyAwaited():
            return replace(point, held=(*point.held, event.reading))
        case ReadingAccepted():
            return _accepted(_without_held(point, event.reading_id), event)
        case ReadingRejected():
            kept = _without_held(point, event.reading_id)
            return replace(kept, doubted=event.doubted) if event.doubted else kept
        case QualityFound():
            return _without_held(point, event.reading_id)
        case IntervalsEstablished():
            profiles = _with_profile(point.profiles, event)
            return replace(_without_held(point, event.reading_id), profiles=profiles)
        case UsageEstablished():
            return _established(point, event)
        case EditHeld() | EditTaken() | EditRejected() | EditRefused():
            return replace(point, edits=noted(point.edits, event))
    return state


def _shared(shared: Shared, event: Any) -> Shared:
    """What is true for all points after an own event; a rejected book changes nothing."""
    if not isinstance(event, CalendarsAdopted):
        return shared
    book = event.book
    return Shared(books={**shared.books, f"{book.id}@{book.version}": book})


def _without_held(point: Point, reading_id: str) -> Point:
    held = tuple(reading for reading in point.held if reading.reading_id != reading_id)
    return point if len(held) == len(point.held) else replace(point, held=held)


def _accepted(point: Point, event: ReadingAccepted) -> Point:
    mark = Mark(
        day_on=event.day_on,
        meter_no=event.meter_no,
        taken_at=day_end_at(event.day_on),
        reading_id=event.reading_id,
        registers=event.registers,
        demands=event.demands,
    )
    doubted = point.doubted
    if doubted is not None and doubted.day_on <= event.day_on:
        doubted = None  # the next reading that counts decides about it, either way
    return _pruned(replace(point, readings={**point.readings, event.day_on: mark}, doubted=doubted))


def _established(point: Point, event: UsageEstablished) -> Point:
    measured = measured_energy(event)
    established = Established(
        account_no=event.account_no,
        revision=event.revision,
        quality=event.quality,
        energy=measured,
        demands=event.demands,
        given=event.energy if measured != event.energy else {},
        readings=event.readings if event.quality == EDITED else (),
    )
    history = tuple(day for day in point.history if day.day_on != event.day_on)
    if event.quality == ACTUAL:
        day = DayUsage(day_on=event.day_on, energy=measured, quality=ACTUAL)
        history = tuple(sorted((*history, day), key=lambda found: found.day_on))
    usage = {**point.usage, event.day_on: established}
    return _pruned(replace(point, usage=usage, history=history))


# -- load profiles ---------------------------------------------------------------------------------


def open_profiles(profiles: Mapping[str, ProfileDay]) -> tuple[str, ...]:
    """The days that may still be revised, in order."""
    settled_on = add_days(max(profiles), -OPEN_DAYS) if profiles else ""
    return tuple(
        day_on for day_on in sorted(profiles) if day_on > settled_on and profiles[day_on].snapshots
    )


def _with_profile(
    known: Mapping[str, ProfileDay], event: IntervalsEstablished
) -> dict[str, ProfileDay]:
    before = known.get(event.day_on)
    ids = before.reading_ids if before is not None else ()
    new = ProfileDay(
        reading_ids=ids if event.reading_id in ids else (*ids, event.reading_id)[-IDS_KEPT:],
        meter_no=event.meter_no,
        revision=event.revision,
        interval_minutes=event.interval_minutes,
        energies=event.energies,
        qualities=event.qualities or "".join("m" if e is None else "a" for e in event.energies),
        snapshots=event.snapshots,
        findings=event.findings,
        register_wh=event.register_wh,
    )
    days = {**known, event.day_on: new}
    last_on = max(days)
    kept = {day_on: days[day_on] for day_on in days if day_on > add_days(last_on, -PROFILE_DAYS)}
    settled_on = add_days(last_on, -OPEN_DAYS - 1)  # the first open day looks at the one before
    return {
        day_on: replace(day, snapshots=(), findings=()) if day_on <= settled_on else day
        for day_on, day in kept.items()
    }


# -- what is forgotten ----------------------------------------------------------------------------


def _pruned(point: Point) -> Point:
    """Forget readings and usage before the anchor, and history long before it."""
    anchor_on = _anchor(point)
    before = tuple(day for day in point.history if day.day_on <= anchor_on)[-HISTORY_DAYS:]
    after = tuple(day for day in point.history if day.day_on > anchor_on)
    if not anchor_on:
        return point
    leaving = {day: _settled(day, point) for day in point.usage if day <= anchor_on}
    known = {day: found for day, found in leaving.items() if found is not None}
    return replace(
        point,
        edits=settle(point.edits, known, anchor_on, HISTORY_DAYS),
        anchor_on=anchor_on,
        readings={day: mark for day, mark in point.readings.items() if day >= anchor_on},
        usage={day: found for day, found in point.usage.items() if day > anchor_on},
        history=(*before, *after),
    )


def _settled(day_on: str, point: Point) -> Settled | None:
    """What is kept of a day that settles; None when it was never measured."""
    found = point.usage[day_on]
    if found.quality not in (ACTUAL, EDITED):
        return None
    is_edited = found.quality == EDITED
    return Settled(
        account_no=found.account_no,
        revision=found.revision,
        demands=found.demands,
        energy=found.energy if is_edited else {},
        edit_id=_edit_of(point.edits, day_on) if is_edited else "",
        given=found.given,
    )


def _edit_of(edits: Edits, day_on: str) -> str:
    """The edit of a day that settles, or settles again since another day moved the anchor."""
    kept = edits.days.get(day_on) or edits.settled[day_on]
    return kept.edit_id


def _anchor(point: Point) -> str:
    """The last day up to which all is actual and nothing can come any more, or the last mark that
    is too old for anything before it to be still read."""
    chain = chain_of(point.supplies)
    anchor_on = point.anchor_on
    known = [(run, marks(run, point.readings, anchor_on)) for run in chain]
    days = [mark.day_on for _, found in known for mark in found]
    for run, found in known:
        if not found and run.last_on and run.last_on <= point.anchor_on:
            continue
        if not found or not _is_first(point, run, found[0]):
            break
        anchor_on, is_complete = _advance(point, found, anchor_on)
        if not is_complete or found[-1].day_on != run.last_on:
            break
    oldest_on = add_days(max(days), -KEEP_DAYS) if days else ""
    return max([anchor_on, *(day_on for day_on in days if day_on <= oldest_on)])


def _advance(point: Point, found: tuple[Mark, ...], anchor_on: str) -> tuple[str, bool]:
    """As far as every day between marks of a run is actual (or nobody's); whether to its end."""
    for first, last in pairwise(found):
        days = days_after(first.day_on, last.day_on)
        for day_on in days:
            usage = point.usage.get(day_on)
            is_actual = usage is not None and usage.quality == ACTUAL
            if usage is not None and usage.quality == EDITED:
                own = (first.reading_id, last.reading_id)
                is_actual = len(days) == 1 and usage.readings == own
            if not is_actual and supply_on(point.supplies, day_on) is not None:
                return anchor_on, False
        anchor_on = last.day_on
    return anchor_on, True


def _is_first(point: Point, run: Run, mark: Mark) -> bool:
    """Whether no reading can come any more that would make usage of days before a mark."""
    first_supplied_on = min(supply.supplied_from_on for supply in point.supplies.values())
    opens_on = max(run.first_on, add_days(first_supplied_on, -1), point.anchor_on)
    return mark.day_on <= opens_on

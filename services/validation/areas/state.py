"""What the area stage knows of a loss unit: who is where, what each measured, which losses stand.

A unit is a feeder with all its areas, or an area that has no feeder (docs/adr/0012). The newest
`KEEP_DAYS` days are kept: about 150 bytes a point and day (5 KB a point), 1 KB an area and day, and
200 bytes a place. It does not grow with time: a point that left is forgotten with the days on which
it was there. A feeder of 3,000 points costs about 15 MB, a lone area of 200 points 1 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from services.validation.areas.days import add_days, days_between
from services.validation.areas.events import DayJudged, EnergyNoted, LossCalculated, PlacesNoted
from services.validation.areas.membership import READ, Membership

KEEP_DAYS = 31
"""An energy that changes later than this changes no loss any more."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all units of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """What a point measured on a day; as EnergyNoted."""

    quality: str
    import_wh: int
    export_wh: int | None
    ratio: str
    after_exchange: bool
    rolled_over: bool
    clock_offset_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """A day of the unit. energies: by point; losses: the latest by `place_key`; waiting: how many
    points that belong there were not read; is_open: something changed since it was judged."""

    waiting: int
    energies: dict[str, Energy] = field(default_factory=dict)
    losses: dict[str, LossCalculated] = field(default_factory=dict)
    is_open: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One loss unit. places: of each point that is or was in it; days: one after another."""

    places: dict[str, tuple[Membership, ...]] = field(default_factory=dict)
    days: dict[str, Day] = field(default_factory=dict)


def unit_of(place: Membership) -> str:
    """The unit that a place is in."""
    return place.feeder or place.area


def place_key(loss: LossCalculated) -> str:
    """What a loss is of, within its unit."""
    return f"{loss.feeder}/{loss.area}"


def energy_of(event: EnergyNoted, known: Energy | None) -> Energy:
    """An energy as it is kept; what is not told of the clock does not undo what was."""
    offset_s = event.clock_offset_s
    if offset_s is None and known is not None:
        offset_s = known.clock_offset_s
    return Energy(
        quality=event.quality,
        import_wh=event.import_wh,
        export_wh=event.export_wh,
        ratio=event.ratio,
        after_exchange=event.after_exchange,
        rolled_over=event.rolled_over,
        clock_offset_s=offset_s,
    )


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its unit."""
    unit: Unit = state or Unit()
    match event:
        case PlacesNoted():
            return _placed(unit, event)
        case EnergyNoted():
            return _measured(unit, event)
        case LossCalculated():
            unit = with_day(unit, event.day_on, event.unit)
            day = unit.days[event.day_on]
            losses = {**day.losses, place_key(event): event}
            return replace(unit, days={**unit.days, event.day_on: replace(day, losses=losses)})
        case DayJudged():
            return _judged(unit, event)
    return state


def with_day(unit: Unit, day_on: str, name: str) -> Unit:
    """The unit with a day, and those between it and the days that are known."""
    if day_on in unit.days:
        return unit
    known = [*unit.days, day_on]
    days = {
        each: unit.days.get(each) or Day(waiting=_waiting(unit.places.values(), name, each))
        for each in days_between(min(known), max(known))
    }
    return replace(unit, days=days)


def _waiting(all_places: Iterable[tuple[Membership, ...]], name: str, day_on: str) -> int:
    return sum(_waits(places, name, day_on, None) for places in all_places)


def _waits(places: tuple[Membership, ...], name: str, day_on: str, energy: Energy | None) -> bool:
    """Whether a reading of a point is waited for: it belongs there on the day and was not read."""
    if energy is not None and energy.quality in READ:
        return False
    return any(unit_of(place) == name and place.holds_on(day_on) for place in places)


def _placed(unit: Unit, event: PlacesNoted) -> Unit:
    """Who belongs there changed: every day that is kept is open again."""
    name, usage_point = event.unit, event.usage_point
    before, now = unit.places.get(usage_point, ()), event.places
    days = {}
    for day_on, day in unit.days.items():
        energy = day.energies.get(usage_point)
        more = _waits(now, name, day_on, energy) - _waits(before, name, day_on, energy)
        days[day_on] = replace(day, waiting=day.waiting + more, is_open=True)
    places = {each: known for each, known in unit.places.items() if each != usage_point}
    if any(unit_of(place) == name for place in now):
        places[usage_point] = now
    return replace(unit, places=places, days=days)


def _measured(unit: Unit, event: EnergyNoted) -> Unit:
    """A day has an energy more; later days are open again, for their usual day is another one."""
    unit = with_day(unit, event.day_on, event.unit)
    day = unit.days[event.day_on]
    known = day.energies.get(event.usage_point)
    energy = energy_of(event, known)
    places = unit.places.get(event.usage_point, ())
    more = _waits(places, event.unit, event.day_on, energy) - _waits(
        places, event.unit, event.day_on, known
    )
    changed = replace(
        day,
        energies={**day.energies, event.usage_point: energy},
        waiting=day.waiting + more,
        is_open=True,
    )
    days = {
        day_on: each if each.is_open or day_on < event.day_on else replace(each, is_open=True)
        for day_on, each in unit.days.items()
    }
    days[event.day_on] = changed
    return replace(unit, days=days)


def _judged(unit: Unit, event: DayJudged) -> Unit:
    """A day stands; what is older than the days that are kept is forgotten."""
    days = dict(with_day(unit, event.day_on, event.unit).days)
    days[event.day_on] = replace(days[event.day_on], is_open=False)
    if event.day_on != max(days):
        return replace(unit, days=days)
    first_on = add_days(event.day_on, 1 - KEEP_DAYS)
    return Unit(
        places={
            usage_point: places
            for usage_point, places in unit.places.items()
            if any(
                unit_of(place) == event.unit and (not place.to_on or place.to_on >= first_on)
                for place in places
            )
        },
        days={day_on: day for day_on, day in days.items() if day_on >= first_on},
    )

"""Where a point counts in line losses, day by day: who is supplied, by which meter, in which area.

A stay needs a supply, a place with a role (gate or member) and a meter: nobody expects a reading of
a point without one. The unit is what the area stage is keyed by: the feeder, or an area that has
none (docs/adr/0012).

    P1 in A1 from 1 January, a meter from 5 January on
    area_places(point.supplies)   (AreaPlace(area="A1", from_on="2026-01-05", ...),)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import pairwise

from libs.events.errors import BadInput
from services.validation.events import AreaPlace, PlaceNoted, SupplyNoted
from services.validation.register_usage import Installation, parse_ratio
from services.validation.timeline import (
    add_days,
    day_closed_by,
    day_of,
    latest_supply,
    meters_of,
    supply_on,
)

GATE, MEMBER = "gate", "member"
EXPORT = "1-0:2.8.0"
TOLD_DAYS = 31
"""So long the unit that a point left is told what it measures elsewhere."""


def unit_of(place: AreaPlace) -> str:
    """The feeder, or the area that stands alone."""
    return place.feeder or place.area


def area_places(supplies: Mapping[str, SupplyNoted]) -> tuple[AreaPlace, ...]:
    """All stays of a point, in order of time; a change that says nothing new begins no other."""
    meters = meters_of(supplies)
    found: list[AreaPlace] = []
    for first_on, next_on in pairwise((*_turning_days(supplies, meters), "")):
        place = _place_on(supplies, meters, first_on)
        if place is None:
            continue
        to_on = add_days(next_on, -1) if next_on else ""
        last = found[-1] if found else None
        follows = last is not None and last.to_on and add_days(last.to_on, 1) == first_on
        if last is not None and follows and _same_place(last, place):
            found[-1] = replace(last, to_on=to_on)
        else:
            found.append(replace(place, to_on=to_on))
    return tuple(found)


def place_on(places: Iterable[AreaPlace], day_on: str) -> AreaPlace | None:
    """The stay of a point on a day; None when it counts nowhere."""
    for place in places:
        if place.from_on <= day_on and (not place.to_on or day_on <= place.to_on):
            return place
    return None


def is_gate_on(supplies: Mapping[str, SupplyNoted], day_on: str) -> bool:
    """Whether a point is a gate on a day, so that no account is told of its usage: by its place
    alone, for a day may lose its supply or its meter when it has been given already."""
    place = _noted_on(supply_on(supplies, day_on) or latest_supply(supplies), day_on)
    return place is not None and place.role == GATE


def units_on(places: Iterable[AreaPlace], day_on: str) -> tuple[str, ...]:
    """The units that must know what a point measured on a day: its own, and those which it left
    not long before, for it may still be fed from there. None when it counts nowhere."""
    places = tuple(places)
    now = place_on(places, day_on)
    if now is None:
        return ()
    since_on = add_days(day_on, -TOLD_DAYS)
    left = {unit_of(each) for each in places if each.to_on and since_on < each.to_on < day_on}
    return tuple(sorted({unit_of(now), *left}))


def _same_place(one: AreaPlace, other: AreaPlace) -> bool:
    return replace(one, from_on="", to_on="") == replace(other, from_on="", to_on="")


def _turning_days(
    supplies: Mapping[str, SupplyNoted], meters: tuple[Installation, ...]
) -> list[str]:
    """The days on which the place may be another one than the day before."""
    days: set[str] = set()
    for supply in supplies.values():
        days.add(supply.supplied_from_on)
        if supply.supplied_to_on:
            days.add(add_days(supply.supplied_to_on, 1))
        for place in supply.places:
            days |= {place.from_on, place.to_on}
    for meter in meters:
        days.add(day_of(meter.from_at))
        if meter.to_at:
            days |= {day_closed_by(meter.to_at), add_days(day_closed_by(meter.to_at), 1)}
    return sorted(days - {""})


def _place_on(
    supplies: Mapping[str, SupplyNoted], meters: tuple[Installation, ...], day_on: str
) -> AreaPlace | None:
    supply = supply_on(supplies, day_on)
    meter = _meter_on(meters, day_on)
    place = _noted_on(supply, day_on) if supply is not None else None
    if supply is None or meter is None or place is None:
        return None
    if place.role not in (GATE, MEMBER) or not (place.feeder or place.area):
        return None
    return AreaPlace(
        area=place.area,
        feeder=place.feeder,
        role=place.role,
        from_on=day_on,
        to_on=day_on,
        ratio=_known_ratio(meter.ratio),
        has_pv=EXPORT in supply.registers,
    )


def _noted_on(supply: SupplyNoted, day_on: str) -> PlaceNoted | None:
    """The place that a supply says; one written before places were told says its area only."""
    if not supply.places:
        return PlaceNoted(area=supply.area, feeder="", role=MEMBER, from_on="", to_on="")
    for place in supply.places:
        if place.from_on <= day_on and (not place.to_on or day_on < place.to_on):
            return place
    return None


def _meter_on(meters: tuple[Installation, ...], day_on: str) -> Installation | None:
    """The last meter that stood there on a day, for the whole of it or a part."""
    for meter in reversed(meters):
        begins_on = day_of(meter.from_at)
        if begins_on <= day_on and (not meter.to_at or day_on <= day_closed_by(meter.to_at)):
            return meter
    return None


def _known_ratio(text: str) -> str:
    """A ratio that can be calculated with; of another one nothing is said here."""
    try:
        parse_ratio(text)
    except BadInput:
        return ""
    return text

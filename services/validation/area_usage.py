"""What the area stage is told: where a point counts, and what it measured, whenever either changes.

A place that changes for days that are past takes their energies along, as far as they are still
kept. A gate meter measures what goes into an area and is nobody's purchase: its usage is not told
to accounts, so it can never be billed.

    usage_established of a member      -> the same, and energy_published to its unit
    usage_established of a gate meter  -> the own event and energy_published, nothing for billing
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from libs.events.core import Emit
from services.validation.area_places import (
    EXPORT,
    area_places,
    is_gate_on,
    place_on,
    unit_of,
    units_on,
)
from services.validation.events import (
    AreaPlace,
    EnergyPublished,
    PlacesPublished,
    ReadingAccepted,
    SupplyNoted,
    UsageEstablished,
)
from services.validation.interval_series import EDITED
from services.validation.reactions import RegistersRead
from services.validation.revision import USAGE
from services.validation.state import Point
from services.validation.timeline import day_of, meters_of

AREA_USAGE = "validation.area_usage"
IMPORT = "1-0:1.8.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """What a meter showed; of a reading that is judged now also its day and the clock's error."""

    meter_no: str
    registers: Mapping[str, int]
    day_on: str = ""
    clock_offset_s: int | None = None


def with_area_usage(before: Point, key: str, body: object, emits: Sequence[Emit]) -> Sequence[Emit]:
    """The events of a decision without the usage of gate meters, then what is told to units.

    before: the point before the decision; body: its input.
    """
    noted = [emit.body for emit in emits if isinstance(emit.body, SupplyNoted)]
    supplies = {**before.supplies, **{supply.account_no: supply for supply in noted}}
    own = [emit.body for emit in emits if not emit.topic]
    usages = [found for found in own if isinstance(found, UsageEstablished)]
    if not noted and not usages:
        return emits
    places = area_places(supplies)
    told = [
        emit for emit in emits if emit.topic != USAGE or not is_gate_on(supplies, emit.body.day_on)
    ]
    if noted:
        told += _moved(before, key, supplies, {usage.day_on for usage in usages})
    shown = _shown(before, body, own, supplies) if usages else {}
    for usage in usages:
        place = place_on(places, usage.day_on)
        if place is not None:
            energy = _energy(key, usage, place, shown)
            told += _told(units_on(places, usage.day_on), energy)
    return told


def _told(units: Iterable[str], energy: EnergyPublished) -> Iterator[Emit]:
    """An energy to its units; one below zero says nothing, so the day stays without."""
    if energy.import_wh >= 0 and (energy.export_wh or 0) >= 0:
        for unit in units:
            yield Emit(energy, topic=AREA_USAGE, key=unit)


# -- where a point counts -------------------------------------------------------------------------


def _moved(
    before: Point, key: str, supplies: Mapping[str, SupplyNoted], told_days: set[str]
) -> Iterator[Emit]:
    """All places to all units that one of them is in or was in, and the energies of known days to
    the units that had none of them yet."""
    old, new = area_places(before.supplies), area_places(supplies)
    if old == new:
        return
    for unit in sorted({unit_of(place) for place in (*old, *new)}):
        body = PlacesPublished(usage_point=key, places=new)
        yield Emit(body, topic=AREA_USAGE, key=unit)
    meters = meters_of(supplies)
    for day_on, quality, energy in _known_days(before):
        now = place_on(new, day_on)
        if now is None or day_on in told_days:
            continue
        units = [unit for unit in units_on(new, day_on) if unit not in units_on(old, day_on)]
        body_of_day = EnergyPublished(
            usage_point=key,
            day_on=day_on,
            quality=quality,
            import_wh=energy.get(IMPORT, 0),
            export_wh=energy.get(EXPORT),
            ratio=now.ratio,
            after_exchange=any(day_of(meter.from_at) == day_on for meter in meters[1:]),
            rolled_over=False,
            clock_offset_s=None,
        )
        yield from _told(units, body_of_day)


def _known_days(point: Point) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Day, quality and energy of all days that the point still knows, in order of time."""
    known: dict[str, tuple[str, Mapping[str, int]]] = {
        day.day_on: (day.quality, day.energy) for day in point.history
    }
    edited = {day_on: kept.energy for day_on, kept in point.edits.settled.items() if kept.energy}
    known |= {day_on: (EDITED, energy) for day_on, energy in edited.items()}
    known |= {day_on: (found.quality, found.energy) for day_on, found in point.usage.items()}
    for day_on in sorted(known):
        yield day_on, *known[day_on]


# -- what it measured -----------------------------------------------------------------------------


def _energy(
    key: str, usage: UsageEstablished, place: AreaPlace, shown: Mapping[str, _Shown]
) -> EnergyPublished:
    first, last = (shown.get(name) for name in _ends(usage.readings))
    return EnergyPublished(
        usage_point=key,
        day_on=usage.day_on,
        quality=usage.quality,
        import_wh=usage.energy.get(IMPORT, 0),
        export_wh=usage.energy.get(EXPORT),
        ratio=place.ratio,
        after_exchange=usage.after_exchange,
        rolled_over=first is not None and last is not None and _has_fallen(first, last),
        clock_offset_s=last.clock_offset_s if last and last.day_on == usage.day_on else None,
    )


def _ends(readings: tuple[str, ...]) -> tuple[str, str]:
    """The readings before and after a day; "" behind the last one."""
    return (readings[0], readings[1]) if len(readings) == 2 else ("", "")


def _has_fallen(first: _Shown, last: _Shown) -> bool:
    """Whether an energy register of one meter shows less than before, which counts as a
    roll-over."""
    return first.meter_no == last.meter_no and any(
        ".8." in name and value < first.registers.get(name, 0)
        for name, value in last.registers.items()
    )


def _shown(
    before: Point, body: object, own: Iterable[object], supplies: Mapping[str, SupplyNoted]
) -> dict[str, _Shown]:
    """What meters showed, by the id of the reading: all marks that a day may lie between. The clock
    is known of readings that are judged now."""
    found: dict[str, _Shown] = {}
    for meter in meters_of(supplies):
        for end, registers in (("initial", meter.initial), ("final", meter.final)):
            found[f"{end}/{meter.meter_no}"] = _Shown(meter_no=meter.meter_no, registers=registers)
    for mark in before.readings.values():
        found[mark.reading_id] = _Shown(meter_no=mark.meter_no, registers=mark.registers)
    clocks = {reading.reading_id: reading.clock_offset_s for reading in before.held}
    if before.doubted is not None:
        clocks[before.doubted.reading_id] = before.doubted.clock_offset_s
    if isinstance(body, RegistersRead):
        clocks[body.reading_id] = body.clock_offset_s
    for accepted in own:
        if isinstance(accepted, ReadingAccepted):
            found[accepted.reading_id] = _Shown(
                meter_no=accepted.meter_no,
                registers=accepted.registers,
                day_on=accepted.day_on,
                clock_offset_s=clocks.get(accepted.reading_id),
            )
    return found

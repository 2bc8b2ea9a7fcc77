"""What the area stage decides: the loss of every area and feeder and day, as often as it changes.

    validation.area_usage -> places_noted, energy_noted
    calendar              -> loss_calculated, day_judged: as soon as everybody was read, or a grace
                             time after the day; again when something of the day changed since

Losses are calculated at ticks only, so a thousand late readings of a day cost one calculation. What
stands in the end follows from places and energies, not from the order in which they came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from libs.events.core import Emit, Item, Tick, View
from libs.events.quantities import floor_div
from services.validation.areas.days import add_days, day_of, grace_end
from services.validation.areas.events import DayJudged, LossCalculated
from services.validation.areas.line_loss import (
    ALARMS,
    NOT_COMPARABLE,
    Loss,
    LossDay,
    area_losses,
)
from services.validation.areas.loss_causes import causes_of
from services.validation.areas.membership import READ, PointDay
from services.validation.areas.policy import AreaPolicy
from services.validation.areas.reactions import (
    EnergyPublished,
    PlacesPublished,
    energy_noted,
    places_noted,
)
from services.validation.areas.state import KEEP_DAYS, Energy, Unit, energy_of, place_key

NEXT_TICK = "0001-01-01T00:00:00Z"
NOBODY = "nobody belongs there any more"


def decide(view: View, key: str, item: Item, policy: AreaPolicy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    unit: Unit = view.get(key) or Unit()
    match item.body:
        case PlacesPublished():
            return _on_places(unit, key, item.body)
        case EnergyPublished():
            return _on_energy(unit, key, item.body, item.at)
        case Tick():
            days = _days_to_judge(unit, item.body.at, policy)
            return [emit for day_on in days for emit in _judge(unit, key, day_on, policy)]
    return []


def due(state: Unit, policy: AreaPolicy) -> str:
    """When the next day is judged: at the next tick when nobody is waited for, else when its grace
    time is over."""
    moments = []
    for day_on, day in state.days.items():
        if day.is_open:
            moments.append(grace_end(day_on, policy.grace_min) if day.waiting else NEXT_TICK)
    if state.days and state.places:
        moments.append(grace_end(add_days(max(state.days), 1), policy.grace_min))
    return min(moments, default="")


def _on_places(unit: Unit, key: str, told: PlacesPublished) -> Sequence[Emit]:
    noted = places_noted(key, told)
    is_known = unit.places.get(noted.usage_point, ()) == noted.places
    return [] if is_known else [Emit(noted)]


def _on_energy(unit: Unit, key: str, told: EnergyPublished, now: str) -> Sequence[Emit]:
    """An energy that is new; one of a day that is no longer kept changes nothing."""
    newest_on = max([*unit.days, add_days(day_of(now), -1)])
    if told.day_on <= add_days(newest_on, -KEEP_DAYS):
        return []
    noted = energy_noted(key, told)
    day = unit.days.get(told.day_on)
    known = day.energies.get(told.usage_point) if day is not None else None
    return [] if energy_of(noted, known) == known else [Emit(noted)]


# -- judging --------------------------------------------------------------------------------------


def _days_to_judge(unit: Unit, now: str, policy: AreaPolicy) -> Iterator[str]:
    """The open days that are ready or waited long enough, then days of which nothing came."""
    for day_on, day in unit.days.items():
        if day.is_open and (not day.waiting or grace_end(day_on, policy.grace_min) <= now):
            yield day_on
    if not unit.days or not unit.places:
        return
    following_on = add_days(max(unit.days), 1)
    while grace_end(following_on, policy.grace_min) <= now:
        yield following_on
        following_on = add_days(following_on, 1)


def _judge(unit: Unit, key: str, day_on: str, policy: AreaPolicy) -> Iterator[Emit]:
    """The losses of a day that are not what was told before, each with the next revision."""
    day = unit.days.get(day_on)
    known = day.losses if day is not None else {}
    found = {place_key(loss): loss for loss in _losses(unit, key, day_on, policy)}
    for place in sorted({*known, *found}):
        before = known.get(place)
        loss = found.get(place) or _emptied(known[place])
        if before is None:
            yield Emit(loss)
        elif replace(before, revision=loss.revision) != loss:
            yield Emit(replace(loss, revision=before.revision + 1))
    yield Emit(DayJudged(unit=key, day_on=day_on))


def _losses(unit: Unit, key: str, day_on: str, policy: AreaPolicy) -> Iterator[LossCalculated]:
    """Every loss of the unit on a day, as revision 1. What a usual day is matters to causes only,
    so it is worked out when there is an alarm."""
    day = area_losses(day_on, unit.places, _points(unit, day_on, {}), policy.rules)
    if any(loss.status in ALARMS for loss in (*day.areas, *day.feeders)):
        usual = _usual_days(unit, day_on, policy.usual_days)
        day = area_losses(day_on, unit.places, _points(unit, day_on, usual), policy.rules)
    for loss in (*day.areas, *day.feeders):
        if (loss.feeder or loss.area) == key:
            yield _calculated(unit, key, loss, day, policy)


def _calculated(
    unit: Unit, key: str, loss: Loss, day: LossDay, policy: AreaPolicy
) -> LossCalculated:
    is_comparable = loss.status != NOT_COMPARABLE
    return LossCalculated(
        unit=key,
        day_on=loss.day_on,
        feeder=loss.feeder,
        area=loss.area,
        revision=1,
        status=loss.status,
        reason=loss.reason,
        gate_wh=loss.gate_wh,
        pv_wh=loss.pv_wh,
        sold_wh=loss.sold_wh,
        loss_wh=loss.loss_wh if is_comparable else None,
        loss_e2_pct=loss.loss_e2_pct,
        least_wh=loss.least_wh,
        most_wh=loss.most_wh,
        excess_wh=loss.excess_wh,
        gate_difference_wh=loss.gate_difference_wh,
        expected_points=loss.expected_points,
        read_points=loss.read_points,
        causes=causes_of(loss, day, unit.places, policy.rules),
    )


def _emptied(loss: LossCalculated) -> LossCalculated:
    """A loss of a place of which it was said later that nobody belonged there."""
    return LossCalculated(
        unit=loss.unit,
        day_on=loss.day_on,
        feeder=loss.feeder,
        area=loss.area,
        revision=1,
        status=NOT_COMPARABLE,
        reason=NOBODY,
        gate_wh=0,
        pv_wh=0,
        sold_wh=0,
        loss_wh=None,
        loss_e2_pct=None,
        least_wh=0,
        most_wh=0,
        excess_wh=0,
        gate_difference_wh=None,
        expected_points=0,
        read_points=0,
        causes=(),
    )


# -- what points measured -------------------------------------------------------------------------


def _points(
    unit: Unit, day_on: str, usual: Mapping[str, tuple[int | None, int | None]]
) -> Iterator[PointDay]:
    """What came of the points that belong to the unit, or once did."""
    day = unit.days.get(day_on)
    for usage_point, energy in day.energies.items() if day is not None else ():
        if usage_point in unit.places:
            usual_wh, usual_export_wh = usual.get(usage_point, (None, None))
            yield PointDay(
                usage_point=usage_point,
                import_wh=energy.import_wh,
                export_wh=energy.export_wh,
                quality=energy.quality,
                ratio=energy.ratio,
                usual_wh=usual_wh,
                usual_export_wh=usual_export_wh,
                after_exchange=energy.after_exchange,
                rolled_over=energy.rolled_over,
                clock_offset_s=energy.clock_offset_s,
            )


def _usual_days(unit: Unit, day_on: str, most: int) -> dict[str, tuple[int | None, int | None]]:
    """Import and export of each point's usual day: the mean of the latest days before it on which
    it was read and used (or fed in) anything, rounded down; None without any."""
    before = [unit.days[each].energies for each in sorted(unit.days, reverse=True) if each < day_on]
    return {
        usage_point: (
            _mean([each.import_wh for each in read if each.import_wh][:most]),
            _mean([each.export_wh for each in read if each.export_wh][:most]),
        )
        for usage_point in unit.places
        for read in [_read(before, usage_point)]
    }


def _read(days: Sequence[Mapping[str, Energy]], usage_point: str) -> list[Energy]:
    found = (energies.get(usage_point) for energies in days)
    return [each for each in found if each is not None and each.quality in READ]


def _mean(values: Sequence[int]) -> int | None:
    return floor_div(sum(values), len(values)) if values else None

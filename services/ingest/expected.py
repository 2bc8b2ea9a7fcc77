"""Which days of a point are expected of which meter, and for whom.

A day is expected when an account is supplied on it and a meter stands there at its end; so is the
day before the first one, if the meter stood there already: usage needs a register to begin with. A
meter that only people can read is expected at the end of a month and of a supply.

    supplied from 1 January, M1 there since 20 December: 31 December, 1 January, 2 January, ...
"""

from __future__ import annotations

from collections.abc import Iterator

from services.ingest.days import add_days, add_minutes, day_end, day_of, month_end, next_day
from services.ingest.events import SupplyInstallation, SupplyNoted
from services.ingest.policy import ReadingPolicy
from services.ingest.state import SLOT_TABLE, Point

MANUAL = "manual"


def order_at(day_on: str, policy: ReadingPolicy) -> str:
    """When the freeze of a day is asked for."""
    return add_minutes(day_end(day_on), policy.order_after_min)


def latest(point: Point) -> SupplyNoted:
    """The supply of the account that has or had the point last."""
    return point.supplies[-1]


def supply_of(point: Point, day_on: str) -> SupplyNoted:
    """The supply of a day, else the one that begins next, else the last one."""
    for supply in reversed(point.supplies):
        if supply.supplied_from_on <= day_on and _holds(supply, day_on):
            return supply
    later = [supply for supply in point.supplies if supply.supplied_from_on > day_on]
    return min(later, key=lambda each: each.supplied_from_on) if later else latest(point)


def account_of(point: Point, day_on: str) -> str:
    """Whose reading of a day it is."""
    return supply_of(point, day_on).account_no


def meter_at(point: Point, at: str) -> SupplyInstallation | None:
    """The meter installed at an instant, by the latest supply that knows one."""
    for meter in _installations(point):
        if meter.from_at <= at and (not meter.to_at or at < meter.to_at):
            return meter
    return None


def meter_of_day(point: Point, day_on: str) -> SupplyInstallation | None:
    """The meter that can tell how it stood at 24:00 of a day: there before, and there after."""
    return next((meter for meter in _installations(point) if _stands(meter, day_on)), None)


def next_expected(point: Point, after_on: str) -> str:
    """The first expected day after a day ("" for the very first one), "" when there is none."""
    days = [
        day_on
        for supply in point.supplies
        for meter in _installations(point)
        if (day_on := _first_day(supply, meter, after_on))
    ]
    return min(days, default="")


def _first_day(supply: SupplyNoted, meter: SupplyInstallation, after_on: str) -> str:
    """The first day after a day for which a supply expects a meter."""
    day_on = max(add_days(supply.supplied_from_on, -1), day_of(meter.from_at))
    if after_on:
        day_on = max(day_on, next_day(after_on))
    if meter.protocol == MANUAL and day_on >= supply.supplied_from_on:
        day_on = min(month_end(day_on), max(day_on, supply.supplied_to_on or "9999-12-31"))
    return day_on if _holds(supply, day_on) and _stands(meter, day_on) else ""


def _holds(supply: SupplyNoted, day_on: str) -> bool:
    return not supply.supplied_to_on or day_on <= supply.supplied_to_on


def _stands(meter: SupplyInstallation, day_on: str) -> bool:
    end = day_end(day_on)
    return meter.from_at < end and (not meter.to_at or end < meter.to_at)


def _installations(point: Point) -> Iterator[SupplyInstallation]:
    """All stays of meters, the latest supply's first; of one stay the latest word counts."""
    known: set[tuple[str, str]] = set()
    for supply in reversed(point.supplies):
        for meter in reversed(supply.installations):
            if (meter.meter_no, meter.from_at) not in known:
                known.add((meter.meter_no, meter.from_at))
                yield meter


def needs_slot_table(
    point: Point, meter: SupplyInstallation, day_on: str, policy: ReadingPolicy
) -> bool:
    """Whether the slot table of a meter is asked for with the freeze of a day: a point with rates,
    its first day with this meter, and again so many days later, unless it is still asked for."""
    meter_no, asked_on = point.slot_table
    if not supply_of(point, day_on).has_rates:
        return False
    if meter_no != meter.meter_no:
        return True
    is_open = any(day.kind == SLOT_TABLE for day in point.open_days)
    return not is_open and day_on >= add_days(asked_on, policy.slot_table_days)

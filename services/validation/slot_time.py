"""Local time of intervals in any zone: which day a slot lies in, and what time of it.

Instants are whole minutes since 1970-01-01T00:00Z here, so that a slot is an integer; the zone is a
parameter (`datetime.tzinfo`), with days of 23, 24 or 25 hours where it has daylight-saving time. A
slot belongs to the local day and time at which it begins.

    minute_of("1970-01-01T01:00:00Z") == 60
    slot_label(60, DEFAULT_ZONE) == SlotLabel(day_on="1970-01-01", minute=540, fold=0)    09:00
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

from libs.events.errors import BadInput
from services.validation.instant import UTC_OFFSET_MINUTES, format_instant, parse_day, parse_instant

DEFAULT_ZONE: tzinfo = timezone(timedelta(minutes=UTC_OFFSET_MINUTES), "Asia/Shanghai")
"""China has no daylight-saving time: a fixed offset, as in instant.py."""

MINUTES_PER_DAY = 1440
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
HOLIDAY = "holiday"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MINUTE = timedelta(minutes=1)


class SlotLabel(NamedTuple):
    """Where a slot begins on the wall clock. `fold` is 1 in the hour that comes a second time when
    the clock is put back."""

    day_on: str
    minute: int
    fold: int


def minute_of(at: str, field: str = "at") -> int:
    """An instant of the wire as minutes since 1970; BadInput when it has seconds."""
    if at[17:19] != "00":
        parse_instant(at, field)
        raise BadInput(field, f"{at} is no whole minute", "intervals begin and end on one")
    return (parse_instant(at, field) - _EPOCH) // _MINUTE


def at_of(minute: int) -> str:
    """The wire form of a minute."""
    return format_instant(_EPOCH + timedelta(minutes=minute))


def slot_label(start_minute: int, zone: tzinfo) -> SlotLabel:
    """The local day and time at which a slot begins."""
    local = (_EPOCH + timedelta(minutes=start_minute)).astimezone(zone)
    return SlotLabel(local.date().isoformat(), local.hour * 60 + local.minute, local.fold)


def day_bounds(day_on: str, zone: tzinfo) -> tuple[int, int]:
    """The minutes at which a local day begins and ends."""
    day = parse_day(day_on, "day_on")
    return _midnight(day.toordinal(), zone), _midnight(day.toordinal() + 1, zone)


@lru_cache(maxsize=4096)
def _midnight(ordinal: int, zone: tzinfo) -> int:
    local = datetime.fromordinal(ordinal).replace(tzinfo=zone)
    return (local - _EPOCH) // _MINUTE


def is_slot_end(minute: int, interval_minutes: int, zone: tzinfo) -> bool:
    """Whether slots counted from local midnight have a boundary here; a day that they do not fill
    (25 hours of 480 minutes) has none."""
    begins, ends = day_bounds(slot_label(minute, zone).day_on, zone)
    return (ends - begins) % interval_minutes == 0 and (minute - begins) % interval_minutes == 0


def day_kind(day_on: str, holidays: frozenset[str]) -> str:
    """`holiday`, or the name of the weekday."""
    return HOLIDAY if day_on in holidays else WEEKDAYS[parse_day(day_on).weekday()]


def days_apart(one_on: str, other_on: str) -> int:
    """Whole days from one day to another, negative when the other is earlier."""
    return (parse_day(other_on) - parse_day(one_on)).days

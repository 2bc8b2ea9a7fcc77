"""Instants and days as whole numbers, so that no calculation needs a clock or a float.

An instant on the wire is `2026-01-31T16:00:00Z`; a day is `2026-01-31` in the utility's zone. China
has one zone and no daylight-saving time, so the zone is an offset (480 minutes unless configured).

    seconds_between("2026-01-30T16:00:00Z", "2026-01-31T16:00:00Z") == 86400
    day_end_at("2026-01-31") == "2026-01-31T16:00:00Z"
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from libs.events.errors import BadInput

UTC_OFFSET_MINUTES = 480
"""Asia/Shanghai, the default zone of the utility."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

_KEPT = 4096
"""The texts whose reading is remembered: a decision asks for the same few days over and over."""


def parse_instant(text: str, field: str = "at") -> datetime:
    """An instant of the wire; BadInput names `field` when it is none. Other forms of ISO 8601 are
    none: instants are compared as texts in many places."""
    found = _instant(text)
    if found is not None:
        return found
    raise BadInput(field, f"{text!r} is no instant", "write it like 2026-01-31T16:00:00Z")


@lru_cache(maxsize=_KEPT)
def _instant(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if _INSTANT.fullmatch(text) else None
    except ValueError:
        return None


def format_instant(instant: datetime) -> str:
    """The wire form of an instant, to the second."""
    # strftime takes ten times as long, and writes years before 1000 with fewer digits.
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def parse_day(text: str, field: str = "on") -> date:
    """A day of the wire; BadInput names `field` when it is none."""
    found = _day(text)
    if found is not None:
        return found
    raise BadInput(field, f"{text!r} is no date", "write it like 2026-01-31")


@lru_cache(maxsize=_KEPT)
def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


@lru_cache(maxsize=_KEPT)
def seconds_between(from_at: str, to_at: str) -> int:
    """Whole seconds from one instant to another, negative when `to_at` is earlier."""
    return (parse_instant(to_at, "to_at") - parse_instant(from_at, "from_at")) // _SECOND


def day_start(day_on: str, utc_offset_minutes: int = UTC_OFFSET_MINUTES) -> datetime:
    """00:00 of a day in the utility's zone, as an instant in UTC."""
    days = parse_day(day_on, "day_on").toordinal() - _EPOCH.toordinal()
    return _EPOCH + timedelta(days=days, minutes=-utc_offset_minutes)


@lru_cache(maxsize=_KEPT)
def day_end_at(day_on: str, utc_offset_minutes: int = UTC_OFFSET_MINUTES) -> str:
    """24:00 of a day in the utility's zone, in wire form: the instant of its daily freeze."""
    return format_instant(day_start(day_on, utc_offset_minutes) + timedelta(days=1))


def days_after(opening_on: str, closing_on: str) -> tuple[str, ...]:
    """Every day after `opening_on` up to and with `closing_on`; BadInput when there is none."""
    first = parse_day(opening_on, "opening_on")
    count = (parse_day(closing_on, "closing_on") - first).days
    if count <= 0:
        raise BadInput("closing_on", f"{closing_on} is not after {opening_on}", "give a later day")
    return tuple((first + timedelta(days=index)).isoformat() for index in range(1, count + 1))

"""Instants and days of the wire, calculated exactly and without a clock.

An instant is `2026-01-31T16:00:00Z`, a day `2026-01-31` in the utility's zone. China has one zone
and no daylight-saving time, so the zone is an offset in minutes (480 unless the policy differs).

    plus("2026-01-31T16:00:00Z", 1800)        "2026-01-31T16:30:00Z"
    local_day("2026-01-31T16:00:00Z", 480)    "2026-02-01"
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from libs.events.errors import BadInput

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_INSTANT_LENGTH = len("2026-01-31T16:00:00Z")
_DAY_LENGTH = len("2026-01-31")
_FIRST_YEAR, _LAST_YEAR = "1000", "2999"


def parse_instant(text: str, field: str) -> datetime:
    """An instant of the wire; BadInput names `field` when it is none.

    Years as at the edge, 1000 to 2999: at the ends of the calendar some hours more would leave it.
    """
    has_form = len(text) == _INSTANT_LENGTH and text[10] == "T" and text.endswith("Z")
    if has_form and _FIRST_YEAR <= text[:4] <= _LAST_YEAR:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            pass
    raise BadInput(field, f"{text!r} is no instant", "write it in UTC like 2026-01-31T16:00:00Z")


def parse_day(text: str, field: str) -> date:
    """A day of the wire; BadInput names `field` when it is none."""
    if len(text) == _DAY_LENGTH:
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise BadInput(field, f"{text!r} is no date", "write it like 2026-01-31")


def plus(at: str, seconds: int) -> str:
    """The instant so many seconds later (earlier when negative)."""
    later = parse_instant(at, "at") + timedelta(seconds=seconds)
    return later.strftime("%Y-%m-%dT%H:%M:%SZ")


def hour_of(at: str) -> str:
    """The instant at which the hour of the clock began (UTC)."""
    return parse_instant(at, "at").strftime("%Y-%m-%dT%H:00:00Z")


def seconds_between(from_at: str, to_at: str, field: str = "at") -> int:
    """Whole seconds from one instant to another, negative when `to_at` is earlier."""
    return (parse_instant(to_at, field) - parse_instant(from_at, field)) // _SECOND


def epoch_seconds(at: str) -> int:
    """Whole seconds since 1970."""
    return (parse_instant(at, "at") - _EPOCH) // _SECOND


def local_time(at: str, utc_offset_minutes: int, field: str = "at") -> datetime:
    """The instant as the utility's wall clock shows it."""
    return parse_instant(at, field) + timedelta(minutes=utc_offset_minutes)


def local_day(at: str, utc_offset_minutes: int) -> str:
    """The day in the utility's zone."""
    return local_time(at, utc_offset_minutes).date().isoformat()


def days_between(from_on: str, to_on: str, field: str = "on") -> int:
    """Days from one date to another, negative when `to_on` is earlier."""
    return (parse_day(to_on, field) - parse_day(from_on, field)).days

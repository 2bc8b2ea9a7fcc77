"""Days of the utility's zone (Asia/Shanghai, UTC+8, no daylight saving) and instants in UTC.

day_end("2026-01-31") == "2026-01-31T16:00:00Z"
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

_ZONE = timedelta(hours=8)
_EPOCH = date(1970, 1, 1)
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def add_minutes(at: str, minutes: int) -> str:
    """The instant some minutes later."""
    return (_parse(at) + timedelta(minutes=minutes)).strftime(_INSTANT)


def add_days(day_on: str, days: int) -> str:
    """The day some days later."""
    return (date.fromisoformat(day_on) + timedelta(days=days)).isoformat()


def day_of(at: str) -> str:
    """The day in the zone in which an instant lies."""
    return (_parse(at) + _ZONE).date().isoformat()


def day_end(day_on: str) -> str:
    """24:00 of a day, as an instant."""
    midnight = datetime.fromisoformat(day_on) + timedelta(days=1)
    return (midnight - _ZONE).strftime(_INSTANT)


def day_number(day_on: str) -> int:
    """Days since 1970-01-01."""
    return (date.fromisoformat(day_on) - _EPOCH).days


def _parse(at: str) -> datetime:
    """An instant of the wire, naive."""
    return datetime.fromisoformat(at[:-1])

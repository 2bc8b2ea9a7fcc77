"""Days of the utility's zone (Asia/Shanghai, UTC+8, no daylight saving) and instants in UTC.

day_end("2026-01-31") == "2026-01-31T16:00:00Z"
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

_ZONE = timedelta(hours=8)
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"


def parse_instant(at: str) -> datetime:
    """An instant as ticks carry it (naive, UTC)."""
    return datetime.fromisoformat(at[:-1])


def format_instant(at: datetime) -> str:
    """The text of a naive UTC instant."""
    return at.strftime(_INSTANT)


def add_minutes(at: str, minutes: int) -> str:
    """The instant some minutes later."""
    return format_instant(parse_instant(at) + timedelta(minutes=minutes))


def day_end(day_on: str) -> str:
    """24:00 of a day, as an instant."""
    midnight = datetime.fromisoformat(day_on) + timedelta(days=1)
    return format_instant(midnight - _ZONE)


def next_day(day_on: str) -> str:
    """The day after."""
    return (date.fromisoformat(day_on) + timedelta(days=1)).isoformat()


def add_days(day_on: str, days: int) -> str:
    """The day some days later."""
    return (date.fromisoformat(day_on) + timedelta(days=days)).isoformat()


def day_of(at: str) -> str:
    """The day in the zone in which an instant lies."""
    return (parse_instant(at) + _ZONE).date().isoformat()


def month_end(day_on: str) -> str:
    """The last day of the month in which a day lies."""
    first_of_next = (date.fromisoformat(day_on).replace(day=1) + timedelta(days=32)).replace(day=1)
    return (first_of_next - timedelta(days=1)).isoformat()

"""Days of the utility's zone, as the area stage counts them.

grace_end("2026-01-31", 600)     "2026-02-01T02:00:00Z"
"""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from services.validation.instant import (
    UTC_OFFSET_MINUTES,
    day_start,
    format_instant,
    parse_day,
    parse_instant,
)

_KEPT = 4096  # a decision asks for the same few days over and over


@lru_cache(maxsize=_KEPT)
def add_days(day_on: str, days: int) -> str:
    """The day some days later (or earlier)."""
    return (parse_day(day_on) + timedelta(days=days)).isoformat()


def days_between(first_on: str, last_on: str) -> tuple[str, ...]:
    """Every day from one up to and with another."""
    first = parse_day(first_on)
    count = (parse_day(last_on) - first).days + 1
    return tuple((first + timedelta(days=index)).isoformat() for index in range(count))


@lru_cache(maxsize=_KEPT)
def day_of(at: str) -> str:
    """The day in which an instant lies."""
    return (parse_instant(at) + timedelta(minutes=UTC_OFFSET_MINUTES)).date().isoformat()


@lru_cache(maxsize=_KEPT)
def grace_end(day_on: str, grace_min: int) -> str:
    """When the grace time of a day is over."""
    return format_instant(day_start(day_on) + timedelta(days=1, minutes=grace_min))

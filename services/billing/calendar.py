"""Days of a billing cycle, and the periods of its months (of a day: libs/tou_calendar.py).

day_shares([("2026-03-01", "2026-03-19"), ("2026-03-19", "2026-03-31")], ...)  [(18,30), (12,30)]
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import lru_cache

from libs.events.memory import once_per
from libs.tou_calendar import PERIODS, TouCalendar

THIRTY = 30
DAY_BASES = ("thirty", "actual")

Share = tuple[int, int]
"""Days charged and days of a full month."""


@lru_cache(maxsize=4096)
def days_between(from_on: str, until_on: str) -> int:
    """The number of days from the first date to before the second."""
    return date.fromisoformat(until_on).toordinal() - date.fromisoformat(from_on).toordinal()


def overlap(
    from_on: str, until_on: str, valid_from_on: str, valid_until_on: str
) -> tuple[str, str] | None:
    """The days of [from_on, until_on) within a validity whose empty ends are open; None if none."""
    start = max(from_on, valid_from_on)
    end = min(until_on, valid_until_on) if valid_until_on else until_on
    return (start, end) if start < end else None


def day_shares(
    spans: Sequence[tuple[str, str]], cycle_from_on: str, cycle_until_on: str, basis: str
) -> list[Share]:
    """What part of a monthly price each of the adjoining spans of a cycle bears.

    `actual` divides by the days of the cycle. `thirty` divides by 30 whatever the month has: a
    cycle covered from end to end bears 30/30, its last span what the others leave (domain.md 3.3,
    b03: 18/30 and 12/30); a cycle covered in part bears its days.
    """
    days = [days_between(start, end) for start, end in spans]
    if basis == "actual":
        cycle_days = days_between(cycle_from_on, cycle_until_on)
        return [(each, cycle_days) for each in days]
    assert basis == "thirty", f"{basis!r} is no day basis"
    if spans[0][0] == cycle_from_on and spans[-1][1] == cycle_until_on:
        days[-1] = max(0, THIRTY - sum(days[:-1]))
    return [(each, THIRTY) for each in days]


def periods_of_months(calendar: TouCalendar, from_on: str, until_on: str) -> frozenset[str]:
    """Every period the calendar can have in the months that these days touch."""
    first = int(from_on[:4]) * 12 + int(from_on[5:7]) - 1
    last = int(until_on[:4]) * 12 + int(until_on[5:7]) - 1 - (until_on[8:] == "01")
    by_month = _periods_by_month(calendar)
    found = by_month[first % 12]
    for index in range(first + 1, last + 1):
        found |= by_month[index % 12]
    return found


@once_per(64)
def _periods_by_month(calendar: TouCalendar) -> tuple[frozenset[str], ...]:
    return tuple(
        frozenset(
            slot_range.period
            for pattern in calendar.patterns
            if month in pattern.months
            for slot_range in pattern.slots
        )
        for month in range(1, 13)
    )


def period_rank(period: str) -> int:
    """The place of a period in the order of a bill."""
    return PERIODS.index(period)

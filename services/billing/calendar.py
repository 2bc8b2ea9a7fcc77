"""Days of a billing cycle and half hours of a day: what is counted, and which period it is.

period_of(calendar, "2026-07-01", 24, holidays=frozenset())     "sharp": 12:00 in July
day_shares([("2026-03-01", "2026-03-19"), ("2026-03-19", "2026-03-31")], ...)  [(18,30), (12,30)]
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from libs.events.errors import BadInput
from services.billing.price_book import PERIODS, SlotRange, TouCalendar

SLOTS_PER_DAY = 48
THIRTY = 30
DAY_BASES = ("thirty", "actual")

Share = tuple[int, int]
"""Days charged and days of a full month."""


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


def slot_of(text: str, field: str) -> int:
    """`07:30` as the number of half hours since midnight; `24:00` is 48."""
    hours, colon, minutes = text.partition(":")
    whole = len(hours) == 2 and hours.isdecimal() and colon and minutes in ("00", "30")
    slot = int(hours) * 2 + (minutes == "30") if whole else SLOTS_PER_DAY + 1
    if slot > SLOTS_PER_DAY:
        raise BadInput(field, f"{text!r} is no half hour of a day", "write it like 07:30")
    return slot


def slots_of(slot_range: SlotRange, field: str) -> tuple[int, ...]:
    """The half hours of a range, over midnight where its end is not after its start."""
    start = slot_of(slot_range.start, field) % SLOTS_PER_DAY
    end = slot_of(slot_range.end, field)
    if end <= start:
        return (*range(start, SLOTS_PER_DAY), *range(end))
    return tuple(range(start, end))


def day_type_of(on: str, holidays: Collection[str]) -> str:
    """`holiday`, `weekend` or `workday`; which dates are holidays is reference data."""
    if on in holidays:
        return "holiday"
    return "weekend" if date.fromisoformat(on).weekday() >= 5 else "workday"


def period_of(calendar: TouCalendar, on: str, slot: int, holidays: Collection[str]) -> str:
    """The period of a half hour; BadInput where the calendar has none or two for it."""
    month, day_type = int(on[5:7]), day_type_of(on, holidays)
    found = [
        slot_range.period
        for pattern in calendar.patterns
        if month in pattern.months and day_type in pattern.day_types
        for slot_range in pattern.slots
        if slot in slots_of(slot_range, pattern.name)
    ]
    if len(found) != 1:
        problem = f"half hour {slot} of {on} ({day_type}) has {len(found)} periods, not one"
        raise BadInput("calendar", problem, "give every half hour of the day exactly one period")
    return found[0]


def periods_of_months(calendar: TouCalendar, from_on: str, until_on: str) -> frozenset[str]:
    """Every period the calendar can have in the months that these days touch."""
    first = int(from_on[:4]) * 12 + int(from_on[5:7]) - 1
    last = int(until_on[:4]) * 12 + int(until_on[5:7]) - 1 - (until_on[8:] == "01")
    months = {index % 12 + 1 for index in range(first, last + 1)}
    return frozenset(
        slot_range.period
        for pattern in calendar.patterns
        if not months.isdisjoint(pattern.months)
        for slot_range in pattern.slots
    )


def period_rank(period: str) -> int:
    """The place of a period in the order of a bill."""
    return PERIODS.index(period)

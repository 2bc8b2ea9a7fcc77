"""Half hours of a calendar that have no period, or more than one, told as clock ranges.

23:00 to 07:00 of workday, weekend, holiday in months 1-12 has no period
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby

from libs.events.errors import BadInput
from libs.tou_calendar import DAY_TYPES, SLOTS_PER_DAY, TouCalendar, slots_of

MONTHS = range(1, 13)
Range = tuple[str, int]
"""A clock range, and how many periods each of its half hours has."""


def wrong_half_hours(calendar: TouCalendar) -> Iterator[tuple[str, int]]:
    """Each range of half hours that has not exactly one period, and how many it has."""
    counts = _counts(calendar)
    days: dict[tuple[Range, ...], list[tuple[int, str]]] = {}
    for month in MONTHS:
        for day_type in DAY_TYPES:
            ranges = _ranges([counts[month, day_type, slot] for slot in range(SLOTS_PER_DAY)])
            days.setdefault(ranges, []).append((month, day_type))
    for ranges, found in days.items():
        months = span_text(sorted({month for month, _ in found}))
        types = ", ".join(each for each in DAY_TYPES if each in {kind for _, kind in found})
        for clock, count in ranges:
            yield f"{clock} of {types} in months {months}", count


def _counts(calendar: TouCalendar) -> Counter[tuple[int, str, int]]:
    counts: Counter[tuple[int, str, int]] = Counter()
    for pattern in calendar.patterns:
        for slot_range in pattern.slots:
            try:
                slots = slots_of(slot_range, "")
            except BadInput:  # a defect of its own
                continue
            counts.update(
                (month, day_type, slot)
                for month in pattern.months
                for day_type in pattern.day_types
                for slot in slots
            )
    return counts


def _ranges(counts: Sequence[int]) -> tuple[Range, ...]:
    found = []
    for count, slots in groupby(range(len(counts)), lambda slot: counts[slot]):
        first, *rest = slots
        if count != 1:
            found.append((clock_range(first, (rest or [first])[-1] + 1), count))
    return tuple(found)


def clock_range(first: int, end: int) -> str:
    """Half hours as clock times: 14, 22 is 07:00 to 11:00."""
    return f"{_clock(first)} to {_clock(end)}"


def _clock(slot: int) -> str:
    return f"{slot // 2:02d}:{'30' if slot % 2 else '00'}"


def span_text(numbers: Sequence[int]) -> str:
    """Rising numbers with their runs put together: 1-3, 7."""
    runs = [
        [number for _, number in group]
        for _, group in groupby(enumerate(numbers), lambda each: each[1] - each[0])
    ]
    return ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else f"{run[0]}" for run in runs)

"""Which half hour of which day is sharp, peak, flat or valley: the calendar of a price book.

Billing prices by it and validation compares it with what is programmed in the meter, so it is at
home in neither (docs/adr/0011-the-calendar-is-shared.md). Plain data and functions over it.

    period_of(calendar, "2026-07-01", 24, holidays=frozenset())     "sharp": 12:00 in July
    day_periods(calendar, "2026-07-01")[24]                         the same, of a whole day
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Protocol, TypeVar

from libs.events.errors import BadInput

PERIODS = ("sharp", "peak", "flat", "valley")
"""Time-of-use periods 尖 峰 平 谷, in the order in which a bill lists them."""

DAY_TYPES = ("workday", "weekend", "holiday")
SLOTS_PER_DAY = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotRange:
    """Half-hour aligned wall-clock times of one period; `23:00` to `07:00` runs over midnight."""

    start: str
    end: str
    period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayPattern:
    """The slots of the given months and day types."""

    name: str
    months: tuple[int, ...]
    day_types: tuple[str, ...]
    slots: tuple[SlotRange, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouCalendar:
    """Which half hour of which day is sharp, peak, flat or valley."""

    patterns: tuple[DayPattern, ...]
    source: str = ""
    unconfirmed: bool = False


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


@lru_cache(maxsize=1024)
def day_periods(
    calendar: TouCalendar, on: str, holidays: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """The period of each of the 48 half hours of a day; BadInput as `period_of`."""
    return tuple(period_of(calendar, on, slot, holidays) for slot in range(SLOTS_PER_DAY))


class DatedBook(Protocol):
    """What the choice of a book looks at; see billing's price book."""

    @property
    def id(self) -> str:
        """The book, whatever its version."""
        ...

    @property
    def version(self) -> int:
        """The higher one supersedes."""
        ...

    @property
    def from_on(self) -> str:
        """The first day it is in force."""
        ...

    @property
    def until_on(self) -> str:
        """The first day it no longer is."""
        ...

    @property
    def price_lists(self) -> Collection[str]:
        """The codes of its price lists."""
        ...


B = TypeVar("B", bound=DatedBook)


def book_on(books: Iterable[B], price_lists: Collection[str], on: str) -> B | None:
    """The book in force on a day that has the price lists.

    Of each book counts the highest version that covers the day; of several books the one that came
    into force last, and of those the last by name, so that the order of publication does not count.
    """
    newest: dict[str, B] = {}
    for book in books:
        is_in_force = book.from_on <= on < book.until_on
        if is_in_force and (book.id not in newest or newest[book.id].version < book.version):
            newest[book.id] = book
    found = [book for book in newest.values() if set(price_lists) <= set(book.price_lists)]
    return max(found, key=lambda book: (book.from_on, book.id), default=None)

"""What differs between two price books, and for whom: each value before and after, by price list.

A price has its change in percent. Calendars are compared half hour by half hour, so another way to
write the same day is no difference. Sources are left out.

    differences(one, two)    (Difference(price_list="residential", field="components.energy.price",
                                         before="0.52", after="0.55", change_e2_pct=577),)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby
from typing import Any

from libs.events.errors import BadInput
from libs.events.quantities import half_up_div
from libs.tou_calendar import DAY_TYPES, SLOTS_PER_DAY, TouCalendar, slots_of
from services.billing.calendar_defects import MONTHS, clock_range, span_text
from services.billing.price_book import PriceBook, PriceList, price_e6

PRICED = ("price", "adder", "minimum_charge")
LEFT_OUT = ("source", "content_hash", "price_lists", "calendars", "power_factor")
NO_PERIOD = "-"

Days = dict[tuple[int, str], tuple[str, ...]]
"""The period of each half hour, by month and day type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """A value that differs; price_list "" for all accounts of the book, else those of the list.

    before or after is "" where a book has no such value; change_e2_pct: of a price, in 1/100 %.
    """

    price_list: str
    category: str
    voltage_class: str
    name_zh: str
    name_en: str
    field: str
    before: str
    after: str
    change_e2_pct: int | None = None


def differences(old: PriceBook, new: PriceBook) -> tuple[Difference, ...]:
    """Everything that differs, first for all accounts, then list by list."""
    found = list(_of_all(old, new))
    for code in dict.fromkeys((*old.price_lists, *new.price_lists)):
        before, after = old.price_lists.get(code), new.price_lists.get(code)
        if before is None or after is None:
            found.append(_whole_list(before, after))
            continue
        values = (_values(before, ""), _values(after, ""))
        found += _changed(after, *values)
        found += _calendar(after, _days(old, before), _days(new, after))
        if after.power_factor_applies:
            found += _changed(
                after,
                _values(old.power_factor, "power_factor"),
                _values(new.power_factor, "power_factor"),
            )
    return tuple(found)


def _of_all(old: PriceBook, new: PriceBook) -> Iterator[Difference]:
    before, after = ({**_values(each, "")} for each in (old, new))
    yield from _changed(None, before, after)


def _whole_list(before: PriceList | None, after: PriceList | None) -> Difference:
    known = after or before
    assert known is not None, "a list is in one of the books"
    return _difference(
        known,
        "price_list",
        before.name_en if before else "",
        after.name_en if after else "",
    )


def _difference(
    whom: PriceList | None, field: str, before: str, after: str, change: int | None = None
) -> Difference:
    return Difference(
        price_list=whom.code if whom else "",
        category=whom.category if whom else "",
        voltage_class=whom.voltage_class if whom else "",
        name_zh=whom.name_zh if whom else "",
        name_en=whom.name_en if whom else "",
        field=field,
        before=before,
        after=after,
        change_e2_pct=change,
    )


def _changed(
    whom: PriceList | None, before: dict[str, str], after: dict[str, str]
) -> Iterator[Difference]:
    for field in dict.fromkeys((*before, *after)):
        old, new = before.get(field, ""), after.get(field, "")
        if old != new:
            yield _difference(whom, field, old, new, _percent(field, old, new))


def _percent(field: str, before: str, after: str) -> int | None:
    """The change of a price in 1/100 %, half-up; None for other values, and from zero."""
    last = field.rpartition(".")[2]
    if not before or not after or not (last in PRICED or ".period_prices." in field):
        return None
    old, new = price_e6(before), price_e6(after)
    if old == 0:
        return None
    return half_up_div(10_000 * (new - old), abs(old))


def _values(value: Any, place: str) -> dict[str, str]:
    """Every value below a place by its path; what a code names is found by it, not by its order."""
    if isinstance(value, dict):
        pairs = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        pairs = [(_key(item, number), item) for number, item in enumerate(value, 1)]
    elif is_dataclass(value):
        names = [each.name for each in fields(value) if each.name not in LEFT_OUT]
        pairs = [(name, getattr(value, name)) for name in names]
    else:
        text = ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
        return {} if value is None else {place: text}
    found: dict[str, str] = {}
    for name, item in pairs:
        found |= _values(item, f"{place}.{name}" if place else name)
    return found


def _key(item: Any, number: int) -> str:
    return getattr(item, "code", "") or getattr(item, "allowance", "") or str(number)


# -- calendars ------------------------------------------------------------------------------------


def _days(book: PriceBook, price_list: PriceList) -> Days:
    calendar = book.calendars.get(price_list.calendar)
    return {} if calendar is None else periods_by_day(calendar)


def periods_by_day(calendar: TouCalendar) -> Days:
    """The period of each half hour by month and day type; `-` for none, the first one of two."""
    days = {(month, kind): [NO_PERIOD] * SLOTS_PER_DAY for month in MONTHS for kind in DAY_TYPES}
    for pattern in reversed(calendar.patterns):
        for slot_range in reversed(pattern.slots):
            try:
                slots = slots_of(slot_range, "")
            except BadInput:  # `tariff check` says so
                continue
            for month in pattern.months:
                for day_type in pattern.day_types:
                    for slot in slots:
                        if (month, day_type) in days:
                            days[month, day_type][slot] = slot_range.period
    return {day: tuple(periods) for day, periods in days.items()}


def _calendar(whom: PriceList, before: Days, after: Days) -> Iterator[Difference]:
    """Clock ranges whose period differs, with the months and day types in which they do."""
    if not before or not after:  # that the list has another calendar is a difference already
        return
    found: dict[tuple[str, str, str], list[tuple[int, str]]] = {}
    for day in before:
        pairs = list(zip(before[day], after[day], strict=True))
        for pair, slots in groupby(range(SLOTS_PER_DAY), pairs.__getitem__):
            first, *rest = slots
            if pair[0] != pair[1]:
                clock = clock_range(first, (rest or [first])[-1] + 1)
                found.setdefault((clock, *pair), []).append(day)
    for (clock, old, new), days in found.items():
        months = span_text(sorted({month for month, _ in days}))
        types = [each for each in DAY_TYPES if each in {kind for _, kind in days}]
        when = "" if len(types) == len(DAY_TYPES) else f" ({', '.join(types)})"
        yield _difference(whom, f"{clock}, months {months}{when}", old, new)

"""What looks wrong in price books that each can be rated by: prices out of order, versions that
leave days out or come in force again, and what nobody has confirmed.

Usual are sharp >= peak >= flat >= valley, adders that rise from tier to tier, and prices that do
not rise with the voltage (domain.md 3.2, 3.6). A book may differ on purpose; a person should know.

    out_of_order(book)    (BookDefect(field="price_lists.shop.components.energy.period_prices",
                                      problem="valley 0.6 is above flat 0.5", fix=...),)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from libs.events.quantities import PRICE_SCALE, format_scaled
from libs.tou_calendar import PERIODS
from services.billing.book_defects import BookDefect
from services.billing.price_book import PriceBook, PriceList, book_key, price_e6

VOLTAGE_STEPS = ("lt1kv", "1_10kv", "20kv", "35kv", "110kv", "220kv")
"""Voltage classes from the lowest on; 220kv is 220 kV and above (domain.md 3.6)."""

OPEN_END = "9999-12-31"
CODED = "code"


class Unconfirmed(NamedTuple):
    """A value that no confirmed source stands behind."""

    field: str
    source: str


# -- prices ---------------------------------------------------------------------------------------


def out_of_order(book: PriceBook) -> tuple[BookDefect, ...]:
    """Prices of a book without defects whose order is unusual."""
    found: list[BookDefect] = []
    for price_list in book.price_lists.values():
        field = f"price_lists.{price_list.code}"
        found += _periods(field, price_list)
        found += _adders(field, price_list)
        if price_list.voltage_class not in VOLTAGE_STEPS:
            problem = f"{price_list.voltage_class!r} is no voltage class"
            fix = f"use one of {', '.join(VOLTAGE_STEPS)}"
            found.append(BookDefect(field=f"{field}.voltage_class", problem=problem, fix=fix))
    return tuple(found)


def _periods(field: str, price_list: PriceList) -> Iterator[BookDefect]:
    for component in price_list.components:
        prices = component.period_prices
        priced = [period for period in PERIODS if period in prices]
        for dear, cheap in pairwise(priced):
            if price_e6(prices[cheap]) > price_e6(prices[dear]):
                yield BookDefect(
                    field=f"{field}.components.{component.code}.period_prices",
                    problem=f"{cheap} {prices[cheap]} is above {dear} {prices[dear]}",
                    fix="usual is sharp >= peak >= flat >= valley",
                )


def _adders(field: str, price_list: PriceList) -> Iterator[BookDefect]:
    steps = price_list.tiers.steps if price_list.tiers else ()
    for lower, upper in pairwise(steps):
        if price_e6(upper.adder) < price_e6(lower.adder):
            yield BookDefect(
                field=f"{field}.tiers.steps.{upper.code}.adder",
                problem=f"{upper.adder} is below {lower.adder} of {lower.code}",
                fix="usual are adders that rise; each is on top of the base price",
            )


def voltage_order(books: Sequence[PriceBook]) -> tuple[tuple[PriceBook, BookDefect], ...]:
    """Prices that are higher at a higher voltage, in the books of a region at the same time."""
    lists = [
        (book, each)
        for book in books
        for each in book.price_lists.values()
        if each.voltage_class in VOLTAGE_STEPS
    ]
    return tuple(
        (book, found)
        for other, low in lists
        for book, high in lists
        if _are_steps(other, low, book, high)
        for found in _dearer(book, low, high)
    )


def _are_steps(other: PriceBook, low: PriceList, book: PriceBook, high: PriceList) -> bool:
    steps = [VOLTAGE_STEPS.index(each.voltage_class) for each in (low, high)]
    kinds = [(e.category, e.kind, bool(e.two_part), bool(e.tiers)) for e in (low, high)]
    is_together = other.from_on < book.until_on and book.from_on < other.until_on
    is_one_book = other.id != book.id or other.version == book.version
    same = other.region == book.region and is_together and is_one_book
    return same and steps[0] < steps[1] and kinds[0] == kinds[1]


def _dearer(book: PriceBook, low: PriceList, high: PriceList) -> Iterator[BookDefect]:
    lower = _prices(low)
    for place, price in _prices(high).items():
        if place in lower and price > lower[place]:
            prices = [format_scaled(each, PRICE_SCALE) for each in (price, lower[place])]
            yield BookDefect(
                field=f"price_lists.{high.code}",
                problem=f"{place} {prices[0]} at {high.voltage_class} is above {prices[1]} at "
                f"{low.voltage_class} ({low.code})",
                fix="usual are prices that fall with the voltage",
            )


def _prices(price_list: PriceList) -> dict[str, int]:
    """What a kWh costs with all its components, by period, and a kVA, a kW or a month."""
    found: Counter[str] = Counter()
    floating = [each for each in price_list.components if each.tou_applies]
    periods = [each for each in PERIODS if any(each in one.period_prices for one in floating)]
    for component in price_list.components:
        if component.unit != "kWh":
            found[component.unit] += price_e6(component.price)
            continue
        for period in periods or [""]:
            price = component.period_prices.get(period, component.price)
            found[f"kWh {period}".strip()] += price_e6(price) if price else 0
    return dict(found)


# -- versions -------------------------------------------------------------------------------------


def version_defects(books: Iterable[PriceBook]) -> tuple[tuple[PriceBook, BookDefect], ...]:
    """Days between versions of a book on which none is in force, or on which it is unclear which.

    The highest version that covers a day counts. A version with an open end is superseded by the
    next one, as is usual; one with an end of its own should end where the next begins.
    """
    by_id: dict[str, list[PriceBook]] = {}
    for book in books:
        by_id.setdefault(book.id, []).append(book)
    found: list[tuple[PriceBook, BookDefect]] = []
    for versions in by_id.values():
        versions.sort(key=lambda each: each.version)
        for earlier, later in pairwise(versions):
            found += ((later, each) for each in _between(earlier, later))
        found += _gaps(versions)
    return tuple(found)


def _between(earlier: PriceBook, later: PriceBook) -> Iterator[BookDefect]:
    name = book_key(earlier)
    if later.from_on <= earlier.from_on:
        problem = f"{later.from_on} is not after {earlier.from_on} of {name}, which it replaces"
        yield BookDefect(field="from_on", problem=problem, fix="let versions follow one another")
    elif later.from_on < earlier.until_on != OPEN_END:
        problem = f"overlaps {name}, which ends on {earlier.until_on}, from {later.from_on} on"
        yield BookDefect(field="from_on", problem=problem, fix="let one end where the other begins")
    if later.from_on < later.until_on < earlier.until_on:
        problem = f"{name} is in force again from {later.until_on} on"
        yield BookDefect(field="until_on", problem=problem, fix=f"end it on {earlier.until_on}")


def _gaps(versions: Sequence[PriceBook]) -> Iterator[tuple[PriceBook, BookDefect]]:
    covered = ""
    for book in sorted(versions, key=lambda each: each.from_on):
        if covered and book.from_on > covered:
            problem = f"no version is in force from {covered} to before {book.from_on}"
            fix = "let one end where the other begins"
            yield book, BookDefect(field="from_on", problem=problem, fix=fix)
        covered = max(covered, book.until_on)


# -- what is not confirmed ------------------------------------------------------------------------


def unconfirmed_values(book: PriceBook) -> tuple[Unconfirmed, ...]:
    """Everything in the book that is marked as unconfirmed, in the order of its fields."""
    return tuple(_unconfirmed(book, ""))


def _unconfirmed(value: Any, place: str) -> Iterator[Unconfirmed]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _unconfirmed(item, f"{place}.{key}")
    elif isinstance(value, tuple):
        for number, item in enumerate(value):
            yield from _unconfirmed(item, f"{place}.{getattr(item, CODED, number)}")
    elif is_dataclass(value):
        if getattr(value, "unconfirmed", False):
            yield Unconfirmed(place.lstrip(".") or "the book", getattr(value, "source", ""))
        for each in fields(value):
            yield from _unconfirmed(getattr(value, each.name), f"{place}.{each.name}")

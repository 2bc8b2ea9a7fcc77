"""At which prices a round corrects usage: those of the usage month, or of the month of the round.

By `correction_month` (a parameter of the book) the old usage and the new one are both priced by the
book in force on the day of the round, and the difference is charged. A change of the book itself is
no change of usage, and is corrected by the books' own prices.

    January at 0.50: 300 kWh became 260; corrected in April at 0.60     -40 kWh x 0.60 = -24.00
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from libs.tou_calendar import book_on
from services.billing.bill import BillLine, Finding, RatingPart
from services.billing.price_book import PriceBook

CORRECTION_MONTH = "correction_month"

NO_BOOK = Finding(
    rule="price_awaited", point="", text="no book is in force on the day of the correction"
)


def is_by_correction_month(before: Sequence[RatingPart], after: Sequence[RatingPart]) -> bool:
    """Whether the usage of a bill changed under books that correct at the prices of the round."""
    books = [[part.book for part in parts] for parts in (before, after)]
    is_asked = any(book.correction_price_basis == CORRECTION_MONTH for book in books[0])
    return is_asked and _once(books[0]) == _once(books[1])


def at_prices_of(
    parts: Sequence[RatingPart], books: Mapping[str, PriceBook], corrected_on: str
) -> tuple[RatingPart, ...] | None:
    """The parts by the book that is in force on a day for their price lists; None without one."""
    found = []
    for part in parts:
        near = [book for book in books.values() if book.region == part.book.region]
        lists = {
            point.price_list
            for point in part.terms.points
            if point.price_list in part.book.price_lists
        }
        book = book_on(near, lists, corrected_on)
        if book is None:
            return None
        usage, terms = part.usage, replace(part.terms, price_book=book.id)
        as_then = replace(book, from_on=usage.from_on, until_on=usage.until_on)
        found.append(RatingPart(usage, as_then, terms))
    return tuple(found)


def said_of(lines: Sequence[BillLine], corrected_on: str) -> tuple[BillLine, ...]:
    """The lines, each saying of which month its prices are."""
    month = corrected_on[:7]
    return tuple(replace(line, basis={**line.basis, "price_month": month}) for line in lines)


def _once(books: Sequence[PriceBook]) -> list[PriceBook]:
    return [book for place, book in enumerate(books) if book not in books[:place]]

"""What would recorded bills be under other prices? Who wins, who loses, and how it is spread.

    again = rated_under(parts, bill.tiers_before, ever_in_force(new_books))    the bill under them
    found.take(bill, again)                                      counted; nothing of it is kept
    found.all.deciles()                                          (-1_200, ..., 0, ..., 5_400) fen

A new book takes the place of the one with its id, else of any of its region that lacks none of the
lists; on whichever days it says to be in force, since the question is what if it were. Tier
positions are those that the bill began with. The distribution is a histogram of differences to
three digits, so that its size does not grow with the number of bills.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.billing.bill import Bill, RatingPart
from services.billing.month_input import price_lists_of
from services.billing.price_book import PriceBook
from services.billing.rating import rate_parts
from services.billing.tiers import TierPosition

DIGITS = 1000
"""A histogram keeps three digits of a difference: at most some ten thousand different ones."""

DECILES = 10
EVER = ("0001-01-01", "9999-12-31")


@dataclass(slots=True)
class Tally:
    """Bills before and after: how many fell, rose or stayed, by how much, and the spread."""

    bills: int = 0
    lower: int = 0
    higher: int = 0
    before_fen: int = 0
    after_fen: int = 0
    won_fen: int = 0
    lost_fen: int = 0
    histogram: Counter[int] = field(default_factory=Counter)

    def add(self, before_fen: int, after_fen: int) -> None:
        """Count one bill."""
        change_fen = after_fen - before_fen
        self.bills += 1
        self.lower += change_fen < 0
        self.higher += change_fen > 0
        self.before_fen += before_fen
        self.after_fen += after_fen
        self.won_fen -= min(0, change_fen)
        self.lost_fen += max(0, change_fen)
        self.histogram[three_digits(change_fen)] += 1

    @property
    def change_fen(self) -> int:
        """After minus before, of all together."""
        return self.after_fen - self.before_fen

    def deciles(self) -> tuple[int, ...]:
        """The least change, that of each tenth of the bills (the nearest rank), and the most."""
        found: list[int] = []
        seen = 0
        ranks = [max(1, -(-self.bills * number // DECILES)) for number in range(DECILES + 1)]
        for change_fen in sorted(self.histogram):
            seen += self.histogram[change_fen]
            while len(found) < len(ranks) and ranks[len(found)] <= seen:
                found.append(change_fen)
        return tuple(found)


@dataclass(slots=True)
class Comparison:
    """All bills that were taken: those that the new books price, by class of use; the others."""

    all: Tally = field(default_factory=Tally)
    by_category: dict[str, Tally] = field(default_factory=dict)
    unconcerned: int = 0
    unrated: Counter[str] = field(default_factory=Counter)

    def take(self, category: str, before: Bill, after: Bill | None) -> None:
        """Count a bill; after: None when the new books do not price it. One that cannot be rated by
        them, or was not before, is counted by its first reason and in no total."""
        if after is None:
            self.unconcerned += 1
        elif before.withheld or after.withheld:
            self.unrated[_reason(before if before.withheld else after)] += 1
        else:
            for tally in (self.all, self.by_category.setdefault(category, Tally())):
                tally.add(before.total_fen, after.total_fen)


def ever_in_force(books: Iterable[PriceBook]) -> list[PriceBook]:
    """The books as if they were in force on every day."""
    return [replace(book, from_on=EVER[0], until_on=EVER[1]) for book in books]


def rated_under(
    parts: Sequence[RatingPart], tiers: Mapping[str, TierPosition], books: Sequence[PriceBook]
) -> Bill | None:
    """The bill by the new books, `ever_in_force`; None when none of them prices any part of it."""
    changed = [_under(part, books) for part in parts]
    if all(new is part for new, part in zip(changed, parts, strict=True)):
        return None
    return rate_parts(changed, tiers)


def three_digits(value: int) -> int:
    """A value cut to its first three digits."""
    unit = 1
    while abs(value) // unit >= DIGITS:
        unit *= 10
    cut = abs(value) // unit * unit
    return cut if value >= 0 else -cut


def _under(part: RatingPart, books: Sequence[PriceBook]) -> RatingPart:
    """The part with the first book that may price it, or as it is."""
    wanted = price_lists_of(part.terms)
    fitting = [
        book
        for book in books
        if book.id == part.book.id
        or (book.region == part.book.region and wanted <= book.price_lists.keys())
    ]
    if not fitting:
        return part
    book = min(fitting, key=lambda each: each.id != part.book.id)
    terms = replace(part.terms, price_book=book.id)
    return RatingPart(part.usage, book, terms)


def _reason(bill: Bill) -> str:
    return next((each.rule for each in bill.findings), "not_yet_rated")

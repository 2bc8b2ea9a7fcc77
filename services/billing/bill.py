"""The bill and its lines: what was charged, by which rule, from which readings.

A line says quantity and price in exact integers and decimals, the rule by its place in the book
(`cq-residential@1/residential/energy`), and the readings behind it. A bill that cannot be right is
`withheld`: it has findings or parts that are not rated yet, and no lines.

    BillLine(code="energy", quantity=523_000, unit="Wh", price="0.52", price_unit="CNY/kWh",
             amount_fen=27_196, ...)
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from libs.events.frozen import draft_of
from services.billing.agreement import AgreementTerms
from services.billing.price_book import BookReference, PriceBook
from services.billing.tiers import TierPosition
from services.billing.usage import AccountUsage

AMOUNT_DENOMINATOR = 10**7
"""Wh (VA, W) times 1e-6 yuan per kWh (kVA, kW), in fen: 1e3 times 1e6 over 100."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BillLine:
    """One charge. `quantity` is in `unit` (Wh, VA, W, month, or fen for a percentage).

    `price` is exact, per `price_unit` (CNY/kWh, CNY/kVA/month, %). `basis` holds the further
    numbers of the calculation, such as days charged or the power factor. `point` is empty for a
    charge on the whole account.
    """

    code: str
    name_zh: str
    name_en: str
    point: str
    from_on: str
    until_on: str
    quantity: int
    unit: str
    price: str
    price_unit: str
    amount_fen: int
    rule: str
    basis: dict[str, str] = field(default_factory=dict)
    reading_ids: tuple[str, ...] = ()
    unconfirmed: bool = False


LineDraft = draft_of(BillLine)
"""A line that is being made: all fields by name, then `__class__` (libs/events/frozen.py)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What is wrong (it withholds the bill) or odd (a warning), with the rule and its numbers."""

    rule: str
    point: str
    text: str
    numbers: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NotYetRated:
    """A part of the agreement that this version does not rate; `withheld` when no bill can be."""

    what: str
    point: str
    reason: str
    withheld: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """The charges of an account for days of one billing cycle.

    `tiers_before` and `tiers_after` are the year-to-date (or month-to-date) positions of the tiered
    points that this bill moved. `energy_wh` is the billed import; `blocked_days`: of points, on
    which the time-of-use basis must be looked at.
    """

    account: str
    period: str
    from_on: str
    until_on: str
    books: tuple[BookReference, ...]
    lines: tuple[BillLine, ...]
    total_fen: int
    energy_wh: int
    tiers_before: dict[str, TierPosition]
    tiers_after: dict[str, TierPosition]
    estimated: bool = False
    exchanged: bool = False
    withheld: bool = False
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    not_yet_rated: tuple[NotYetRated, ...] = ()
    blocked_days: int = 0


BillDraft = draft_of(Bill)
"""As LineDraft, of a bill."""


class RatingPart(NamedTuple):
    """Days of a cycle with one book and one set of terms, and their usage."""

    usage: AccountUsage
    book: PriceBook
    terms: AgreementTerms


class Charge(NamedTuple):
    """A line on its way into the bill, with what the power-factor adjustment needs of it.

    `exact` is the unrounded amount in fen as numerator and denominator.
    """

    line: BillLine
    pf_base: bool
    exact: tuple[int, int]


def rule_id(book: PriceBook, *place: str) -> str:
    """Where in which book a rule stands: `cq-residential@1/residential/energy`."""
    return _rule_id(book.id, book.version, place)


@lru_cache(maxsize=4096)
def _rule_id(book_id: str, version: int, place: tuple[str, ...]) -> str:
    return "/".join((f"{book_id}@{version}", *place))

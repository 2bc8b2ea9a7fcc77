"""A month of an account as the tariff functions take it: which usage, which terms, which book.

    month_inputs(account, "2026-01", books)    the parts of the bill, or why there are none yet

The month is cut wherever the agreement or the book changes, and every part has the usage of its own
days: nothing is shared out by days that was read by day.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

from libs.tou_calendar import book_on
from services.billing.agreement import AgreementTerms, HouseholdAllowance, PointTerms
from services.billing.correction import RatingInput
from services.billing.household import allowances_of
from services.billing.meter_correction import adjustment
from services.billing.months import (
    PointMonth,
    Span,
    TermsPart,
    day_bits,
    demand_in,
    energy_in,
    month_span,
)
from services.billing.point_relations import BEHIND, MAIN, PRICED
from services.billing.price_book import PriceBook, book_key
from services.billing.state import Account, parts_of
from services.billing.usage import AccountUsage, PointUsage

IMPORT, EXPORT = "1-0:1.8", "1-0:2.8"
QUADRANTS = {"1-0:5.8.0": "1", "1-0:6.8.0": "2", "1-0:7.8.0": "3", "1-0:8.8.0": "4"}
METERED = ("main", *BEHIND, "check", "feed_in")
"""Relations of points whose meter must have been read before the account is rated."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """The usage and the agreement do not fit: a reason for each point."""

    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoBook:
    """No book with these price lists is published for (part of) the month."""

    price_list: str


def month_inputs(
    account: Account, month: str, books: Mapping[str, PriceBook]
) -> tuple[RatingInput, ...] | Lacking | NoBook:
    """What the month is rated from as things stand: one input per book and set of terms.

    () when none of its days are ours to bill.
    """
    parts = parts_of(account, month)
    if not parts:
        return ()
    points = account.months.get(month, {})
    reasons = (*days_missing(parts, points, month), *not_agreed(parts, points, month))
    if reasons:
        return Lacking(reasons)
    return inputs_of(account, month, parts, books)


def inputs_of(
    account: Account, month: str, parts: tuple[TermsPart, ...], books: Mapping[str, PriceBook]
) -> tuple[RatingInput, ...] | NoBook:
    """The inputs of some adjoining days of a month; a day that nobody read has no energy."""
    inputs = []
    span = (parts[0].from_on, parts[-1].until_on)
    for part in parts:
        for from_on, until_on, book in book_parts(part, books):
            if book is None:
                return NoBook(
                    ", ".join(sorted(price_lists_of(part.terms))) or part.terms.price_book
                )
            terms = replace(
                part.terms, price_book=book.id, allowances=_allowances(account, part, book)
            )
            usage = _account_usage(account, month, terms, (from_on, until_on), span)
            inputs.append(RatingInput(usage=usage, terms=terms, book=book_key(book)))
    return tuple(inputs)


def _allowances(
    account: Account, part: TermsPart, book: PriceBook
) -> tuple[HouseholdAllowance, ...]:
    """By the book; agreements noted before books said so have them in their terms."""
    assert account.agreement is not None, "there are parts under an agreement only"
    after = month_span(part.from_on[:7])[1]
    by_book = allowances_of(account.agreement.household, book.household_rules, after)
    return (*part.terms.allowances, *by_book)


# -- is the usage there? --------------------------------------------------------------------------


def relation_of(terms: AgreementTerms, point: str) -> str:
    """What a point is to the others under these terms; a point without a relation is a main one."""
    return next((each.kind for each in terms.relations if each.point == point), MAIN.kind)


def metered(terms: AgreementTerms, relations: Collection[str] = METERED) -> Iterator[PointTerms]:
    """The points of these relations."""
    for point in terms.points:
        if relation_of(terms, point.point) in relations:
            yield point


def days_missing(
    parts: tuple[TermsPart, ...],
    points: Mapping[str, PointMonth],
    month: str,
    relations: Collection[str] = METERED,
) -> Iterator[str]:
    """Days on which a point of these relations had to be read and was not."""
    missing: Counter[str] = Counter()
    for part in parts:
        wanted = day_bits(part.from_on, part.until_on)
        for point in metered(part.terms, relations):
            found = points.get(point.point, PointMonth()).days
            missing[point.point] += (wanted & ~found).bit_count()
    for point_name, days in sorted(missing.items()):
        if days:
            yield f"usage_missing {point_name}: {days} days of {month} have no usage"


def not_agreed(
    parts: tuple[TermsPart, ...], points: Mapping[str, PointMonth], month: str
) -> Iterator[str]:
    """Energy of a point on days on which the account is supplied and has no such point."""
    for name, sums in sorted(points.items()):
        energy_wh, days = 0, 0
        for part in parts:
            if all(point.point != name for point in part.terms.points):
                found = energy_in(sums, part.from_on, part.until_on)
                energy_wh += sum(abs(wh) for wh in found.values())
                days += (day_bits(part.from_on, part.until_on) & sums.days).bit_count()
        if energy_wh:
            yield f"usage_without_agreement {name}: {days} days of {month} have no such point"


# -- which usage ----------------------------------------------------------------------------------


def _account_usage(
    account: Account, month: str, terms: AgreementTerms, days: Span, span: Span
) -> AccountUsage:
    cycle_from_on, cycle_until_on = month_span(month)
    return AccountUsage(
        account=terms.account,
        period=month,
        cycle_from_on=cycle_from_on,
        cycle_until_on=cycle_until_on,
        from_on=days[0],
        until_on=days[1],
        points=tuple(
            point_usage(account, month, point.point, days, span) for point in metered(terms)
        ),
    )


def point_usage(account: Account, month: str, point: str, days: Span, span: Span) -> PointUsage:
    """A point's usage of some days; the maximum demand is that of the whole month."""
    sums = account.months.get(month, {}).get(point, PointMonth())
    energy = energy_in(sums, *days)
    for case in account.cases.values():
        if case.usage_point == point:
            for register, change in adjustment(sums, case, month, *days).items():
                energy[register] += change
    bits = day_bits(*days)
    peak = demand_in(sums, *span)
    return PointUsage(
        point=point,
        from_on=days[0],
        until_on=days[1],
        import_wh=energy.get(f"{IMPORT}.0", 0),
        import_wh_by_rate=_rates(energy, IMPORT),
        export_wh=energy.get(f"{EXPORT}.0", 0),
        export_wh_by_rate=_rates(energy, EXPORT),
        reactive_varh={
            number: energy[name] for name, number in QUADRANTS.items() if name in energy
        },
        demand_w=peak[0] if peak is not None else None,
        demand_at=peak[1] if peak is not None else "",
        quality="estimated" if sums.estimated & bits else "actual",
        exchanged=bool(sums.exchanged & bits),
        blocked_days=(sums.blocked & bits).bit_count(),
        reading_ids=tuple(name for name in (sums.first_reading, sums.last_reading) if name),
    )


def _rates(energy: Mapping[str, int], kind: str) -> dict[str, int]:
    return {
        name.rsplit(".", 1)[1]: value
        for name, value in energy.items()
        if name.startswith(f"{kind}.") and not name.endswith(".0")
    }


# -- which book -----------------------------------------------------------------------------------


def price_lists_of(terms: AgreementTerms) -> set[str]:
    """The price lists by which these terms are priced; check points have none."""
    return {point.price_list for point in terms.points if relation_of(terms, point.point) in PRICED}


def is_of(terms: AgreementTerms, book: PriceBook) -> bool:
    """Whether the book is one of the account's region, or the one it names."""
    return terms.price_book in (book.region, book.id)


def book_parts(
    part: TermsPart, books: Mapping[str, PriceBook]
) -> list[tuple[str, str, PriceBook | None]]:
    """The days cut where another book comes into force; None where there is none."""
    near = [book for book in books.values() if is_of(part.terms, book)]
    cuts = {
        part.from_on,
        part.until_on,
        *(on for book in near for on in (book.from_on, book.until_on)),
    }
    days = sorted(on for on in cuts if part.from_on <= on <= part.until_on)
    parts: list[tuple[str, str, PriceBook | None]] = []
    for start, end in pairwise(days):
        book = book_on(near, price_lists_of(part.terms), start)
        if parts and parts[-1][2] is book:
            parts[-1] = (parts[-1][0], end, book)
        else:
            parts.append((start, end, book))
    return parts

"""A month of an account as the tariff functions take it: which days, which usage, which book.

month_inputs(account, "2026-01", books)    the parts of the bill, or why there are none yet
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta

from services.billing.agreement import AgreementTerms
from services.billing.calendar import days_between, overlap
from services.billing.correction import RatingInput
from services.billing.events import AgreementNoted
from services.billing.price_book import PriceBook, book_key, book_spans
from services.billing.state import Account, PointMonth
from services.billing.usage import AccountUsage, PointUsage, split_usage

IMPORT, EXPORT = "1-0:1.8", "1-0:2.8"
QUADRANTS = {"1-0:5.8.0": "1", "1-0:6.8.0": "2", "1-0:7.8.0": "3", "1-0:8.8.0": "4"}
METERED = ("main", "deducted", "check", "feed_in")


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Days of a point are missing: nothing can be rated yet."""

    usage_point: str
    days: int


@dataclass(frozen=True, slots=True)
class NoBook:
    """No book is published for (part of) the month."""

    price_list: str


def next_month(month: str) -> str:
    """The month after `2026-12` is `2027-01`."""
    year, number = int(month[:4]), int(month[5:7])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def first_day(month: str) -> str:
    """The first day of a month."""
    return f"{month}-01"


def add_days(on: str, days: int) -> str:
    """The day some days later."""
    return (date.fromisoformat(on) + timedelta(days=days)).isoformat()


def span_of(agreement: AgreementNoted, month: str) -> tuple[str, str] | None:
    """The days of a month in which the account was supplied under its agreement."""
    if not agreement.timeline:
        return None
    from_on, until_on = first_day(month), first_day(next_month(month))
    return overlap(from_on, until_on, agreement.timeline[0].from_on, agreement.moved_out_on)


def month_inputs(
    account: Account, month: str, books: Mapping[str, PriceBook]
) -> tuple[RatingInput, ...] | Incomplete | NoBook:
    """What the month is rated from as things stand: one input per book and set of terms."""
    agreement = account.agreement
    assert agreement is not None
    span = span_of(agreement, month)
    assert span is not None, f"{agreement.account_no} was not supplied in {month}"
    spans = terms_spans(agreement, *span)
    points: list[PointUsage] = []
    for point in metered_points(spans[0][2], *span):
        lacking = _lacking(account, month, point, *span)
        if lacking is not None:
            return lacking
        points.append(_usage(account, month, point, *span))
    usage = AccountUsage(
        account=agreement.account_no,
        period=month,
        cycle_from_on=first_day(month),
        cycle_until_on=first_day(next_month(month)),
        from_on=span[0],
        until_on=span[1],
        points=tuple(points),
    )
    return _split(usage, spans, books)


def terms_spans(
    agreement: AgreementNoted, from_on: str, until_on: str
) -> list[tuple[str, str, AgreementTerms]]:
    """The sets of terms in force in these days, each with its days."""
    spans = []
    timeline = agreement.timeline
    for place, dated in enumerate(timeline):
        following = timeline[place + 1].from_on if place + 1 < len(timeline) else ""
        days = overlap(from_on, until_on, dated.from_on, following)
        if days is not None:
            spans.append((*days, dated.terms))
    return spans


def metered_points(terms: AgreementTerms, from_on: str, until_on: str) -> list[str]:
    """The points whose meter must have been read in these days."""
    kinds = {relation.point: relation.kind for relation in terms.relations}
    return [
        point.point
        for point in terms.points
        if kinds.get(point.point, "main") in METERED
        and overlap(from_on, until_on, point.from_on, point.until_on) is not None
    ]


def _lacking(
    account: Account, month: str, point: str, from_on: str, until_on: str
) -> Incomplete | None:
    terms = _point_days(account, point, from_on, until_on)
    wanted = 0
    for offset in range(days_between(*terms)):
        wanted |= 1 << (int(add_days(terms[0], offset)[8:10]) - 1)
    found = account.months.get(month, {}).get(point, PointMonth()).days
    missing = wanted & ~found
    return Incomplete(point, missing.bit_count()) if missing else None


def _point_days(account: Account, point: str, from_on: str, until_on: str) -> tuple[str, str]:
    assert account.agreement is not None
    for terms in account.agreement.timeline[-1].terms.points:
        if terms.point == point:
            days = overlap(from_on, until_on, terms.from_on, terms.until_on)
            if days is not None:
                return days
    return from_on, until_on


def _usage(account: Account, month: str, point: str, from_on: str, until_on: str) -> PointUsage:
    sums = account.months[month][point]
    energy = {
        name: sums.energy.get(name, 0) + sums.adjustment.get(name, 0)
        for name in sorted({**sums.energy, **sums.adjustment})
    }
    days = _point_days(account, point, from_on, until_on)
    has_demand = bool(sums.demand_at)
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
        demand_w=sums.demand_w if has_demand else None,
        demand_at=sums.demand_at,
        quality="estimated" if sums.estimated_days else "actual",
        exchanged=sums.exchanged,
        reading_ids=tuple(name for name in (sums.first_reading, sums.last_reading) if name),
    )


def _rates(energy: Mapping[str, int], kind: str) -> dict[str, int]:
    return {
        name.rsplit(".", 1)[1]: value
        for name, value in energy.items()
        if name.startswith(f"{kind}.") and not name.endswith(".0")
    }


def _split(
    usage: AccountUsage,
    spans: list[tuple[str, str, AgreementTerms]],
    books: Mapping[str, PriceBook],
) -> tuple[RatingInput, ...] | NoBook:
    """The usage cut at every change of terms or book."""
    parts: list[tuple[str, str, AgreementTerms, PriceBook]] = []
    for from_on, until_on, terms in spans:
        book_id = book_of(terms, books.values())
        wanted = terms.points[0].price_list if terms.points else terms.price_book
        if book_id is None:
            return NoBook(wanted)
        resolved = replace(terms, price_book=book_id)
        for each in book_spans(books.values(), book_id, from_on, until_on):
            if each.book is None:
                return NoBook(wanted)
            parts.append((each.from_on, each.until_on, resolved, each.book))
    inputs = []
    rest = usage
    for place, (_, until_on, terms, book) in enumerate(parts):
        part = rest
        if place + 1 < len(parts):
            part, rest = split_usage(rest, until_on)
        inputs.append(RatingInput(usage=part, terms=terms, book=book_key(book)))
    return tuple(inputs)


def book_of(terms: AgreementTerms, books: Iterable[PriceBook]) -> str | None:
    """The book of the account's region (or of that id) that has its points' price lists."""
    wanted = {point.price_list for point in terms.points}
    found = sorted(
        book.id
        for book in books
        if terms.price_book in (book.region, book.id) and wanted <= book.price_lists.keys()
    )
    return found[0] if found else None

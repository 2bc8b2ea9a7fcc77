"""What an account fed in during a month, and what the utility owes for it: a pure function.

Exported energy is valued to the Wh, by the price list of feed-in that the agreement names, and
never taken off what the account drew: that is billed (rating.py) as if nothing had been fed in.
Main points (surplus, 余电上网) and feed-in points (all of it, 全额上网) export to the grid; what a
sub-meter exports passes its main point, and is counted there once.

    statement_of([RatingPart(usage, book, terms)])
        1,234.567 kWh at 0.3964 yuan -> Statement(energy_wh=1_234_567, amount_fen=48_938, lines=...)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from services.billing.agreement import PointTerms
from services.billing.bill import BillLine, Finding, RatingPart
from services.billing.energy_charge import energy_charges
from services.billing.point_relations import BilledPoint, metered_energy
from services.billing.price_book import (
    BookReference,
    PriceBook,
    PriceList,
    Rounding,
    reference,
)
from services.billing.usage import PointUsage

EXPORTING = ("main", "feed_in")
"""Relations of points whose export reaches the grid."""

FEED_IN = "feed_in"
NETTING_NONE, NETTING_OFFSET = "none", "offset"

TO_THE_WH = Rounding(energy_unit_wh=1)
NO_SHARE = (1, 1)
"""Of monthly fees, which no list of feed-in has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What was fed in during a month and what it is worth; lines as those of a bill.

    netting: `offset` where every book says that the amount may settle debts of the account, else
    `none`: it is paid out. findings: why there is no statement; then it has no lines.
    """

    account: str
    period: str
    from_on: str
    until_on: str
    books: tuple[BookReference, ...]
    lines: tuple[BillLine, ...]
    energy_wh: int
    amount_fen: int
    estimated: bool = False
    netting: str = NETTING_NONE
    findings: tuple[Finding, ...] = ()


def statement_of(parts: Sequence[RatingPart]) -> Statement:
    """The statement of adjoining parts of one month, each of one book and one set of terms.

    Only exporting points are looked at, those that the terms name in the order of their ids. The
    lines of floating prices are by period; what the rates do not show is of the rest period.
    """
    assert parts, "a statement needs at least one part"
    lines: list[BillLine] = []
    findings: list[Finding] = []
    energy_wh = 0
    for part in parts:
        found = _list_problem(part)
        if found is not None:
            findings.append(found)
            continue
        price_list = part.book.price_lists[part.terms.feed_in_price_list]
        points, wrong = _exports(part, price_list)
        charges, unpriced = energy_charges(part, points, NO_SHARE)
        findings += [*wrong, *unpriced]
        lines += (charge.line for charge in charges)
        energy_wh += sum(each.billed.total_wh for each in points)
    first, last = parts[0].usage, parts[-1].usage
    made = Statement(
        account=first.account,
        period=first.period,
        from_on=first.from_on,
        until_on=last.until_on,
        books=tuple(dict.fromkeys(reference(part.book) for part in parts)),
        lines=tuple(lines),
        energy_wh=energy_wh,
        amount_fen=sum(line.amount_fen for line in lines),
        estimated=any(each.quality != "actual" for part in parts for each in part.usage.points),
        netting=_netting([part.book for part in parts]),
    )
    if findings:
        return replace(made, lines=(), energy_wh=0, amount_fen=0, findings=tuple(findings))
    return made


def nothing_of(statement: Statement) -> Statement:
    """The statement of a month of which nothing is left to be stated."""
    return replace(statement, books=(), lines=(), energy_wh=0, amount_fen=0, estimated=False)


def _list_problem(part: RatingPart) -> Finding | None:
    """Why the list that is agreed can value nothing."""
    name = part.terms.feed_in_price_list
    found = part.book.price_lists.get(name)
    if found is None:
        return _finding("price_list_missing", "", f"the book has no price list {name}")
    if found.kind != FEED_IN:
        return _finding("price_list_kind", "", f"the price list {name} is not one of feed-in")
    return None


def _exports(part: RatingPart, price_list: PriceList) -> tuple[list[BilledPoint], list[Finding]]:
    """What each point exported, in the place where a bill has what it drew."""
    usages = {each.point: each for each in part.usage.points}
    points: list[BilledPoint] = []
    findings: list[Finding] = []
    for terms in _exporting(part):
        turned = _turned(usages[terms.point])
        energy, found = metered_energy(turned, terms, TO_THE_WH)
        findings += found
        floats = any(each.tou_applies for each in price_list.components)
        if floats and turned.import_wh and not terms.rate_periods:
            text = "the price floats with the period and the meter has no rates"
            findings.append(_finding("periods_missing", terms.point, text))
        points.append(
            BilledPoint(
                terms=terms,
                price_list=price_list,
                usage=turned,
                kind=FEED_IN,
                metered=energy,
                billed=energy,
                reading_ids=turned.reading_ids,
            )
        )
    return points, findings


def _exporting(part: RatingPart) -> Iterator[PointTerms]:
    kinds = {each.point: each.kind for each in part.terms.relations}
    for terms in sorted(part.terms.points, key=lambda each: each.point):
        if kinds.get(terms.point, "main") in EXPORTING:
            yield terms


def _turned(usage: PointUsage) -> PointUsage:
    """A point's usage with its export in the place of its import."""
    return replace(
        usage, import_wh=usage.export_wh, import_wh_by_rate=usage.export_wh_by_rate, export_wh=0
    )


def _netting(books: Sequence[PriceBook]) -> str:
    return NETTING_OFFSET if all(each.netting == NETTING_OFFSET for each in books) else NETTING_NONE


def _finding(rule: str, point: str, text: str) -> Finding:
    return Finding(rule=rule, point=point, text=text)

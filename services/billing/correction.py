"""Numbered corrections: what an issued bill should have been, as debit and credit lines.

An issued bill is never changed or issued again. A round re-rates the bills whose usage, terms or
book changed, and every later bill whose tier position moves by it, and writes the differences per
bill under one number and one cause. Rounds add up: bill plus all its rounds is the bill that the
final data give, however many rounds it took.

    estimate 300 kWh billed, late actual 260 kWh   ->  round 1: credit 40 kWh on that bill, and a
                                                       credit of tier adders on a later one
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from libs.events.errors import BadInput
from services.billing.agreement import AgreementTerms
from services.billing.bill import Bill, BillLine, Finding, NotYetRated, RatingPart
from services.billing.price_basis import (
    NO_BOOK,
    at_prices_of,
    is_by_correction_month,
    said_of,
)
from services.billing.price_book import PriceBook
from services.billing.rating import rate_parts
from services.billing.tiers import TierPosition, position_at
from services.billing.usage import AccountUsage, PointUsage

CAUSES = (
    "late_actual",
    "usage_edited",
    "metrology",
    "book_superseded",
    "rebinding",
    "wrong_agreement",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why an issued month must be looked at again: a cause of corrections, and what it was."""

    cause: str
    reference: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingInput:
    """What one part of a bill was rated from; `book` is a key such as `cq-residential@1`."""

    usage: AccountUsage
    terms: AgreementTerms
    book: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedBill:
    """An issued bill as all its rounds left it: inputs, result, and the last round's number."""

    bill_id: str
    inputs: tuple[RatingInput, ...]
    bill: Bill
    round: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The inputs that an issued bill should have had, whole; none when nothing was to be billed."""

    bill_id: str
    inputs: tuple[RatingInput, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionLine:
    """A difference on one line of a bill: `debit` adds to the debt, `credit` takes from it.

    Where only the quantity changed, quantity and amount are differences. Where the price changed,
    the old line is credited whole and the new one debited. `superseded_ids` are the readings that
    no longer count.
    """

    side: str
    line: BillLine
    superseded_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class BillCorrection:
    """One bill's differences in a round, and what it is afterwards."""

    bill_id: str
    lines: tuple[CorrectionLine, ...]
    total_fen: int
    corrected: IssuedBill


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRound:
    """One numbered round over the bills of an account.

    A `withheld` round could not be rated: it has findings or parts not rated yet, and no lines.
    """

    account: str
    number: int
    cause: str
    references: tuple[str, ...]
    bills: tuple[BillCorrection, ...]
    total_fen: int
    withheld: bool = False
    findings: tuple[Finding, ...] = ()
    not_yet_rated: tuple[NotYetRated, ...] = ()


def correct(
    issued: Sequence[IssuedBill],
    changes: Sequence[Change],
    books: Mapping[str, PriceBook],
    *,
    number: int,
    cause: str,
    references: tuple[str, ...] = (),
    opening: Mapping[str, TierPosition] | None = None,
    corrected_on: str = "",
) -> CorrectionRound | None:
    """The round that turns the issued bills into what the changed inputs give.

    None when no line of any bill differs. `issued` are the bills of one account with all earlier
    rounds applied, `opening` its tier positions before the first of them; `corrected_on`: the
    day of the round, for books that correct at its prices. Bills before the first
    change are left alone; a later bill is rated again where its tier position moved, so the cascade
    ends with the tier year. A bill whose position moved without a difference is in the round with
    no lines, so that what is stored stays true. BadInput names an unknown cause, a bill that was
    not issued or changed twice, a book that was not given.
    """
    changed = _changes_by_bill(issued, changes, cause)
    assert all(each.round < number for each in issued), f"round {number} is not the next one"
    positions = dict(opening or {})
    corrections: list[BillCorrection] = []
    is_moved = False
    for each in sorted(issued, key=_place):
        change = changed.get(each.bill_id)
        before = each.bill.tiers_before
        positions = {**before, **positions} if is_moved else {**positions, **before}
        is_same_start = all(
            position_at(positions, point, position.key) == position
            for point, position in before.items()
        )
        if change is None and is_same_start:
            positions |= each.bill.tiers_after
            continue
        is_moved = True
        inputs = each.inputs if change is None else change.inputs
        parts = _parts(inputs, books)
        bill = rate_parts(parts, positions) if parts else _nothing(each.bill)
        compared: tuple[Bill, Bill] = (each.bill, bill)
        old_parts = _parts(each.inputs, books)
        if not bill.withheld and is_by_correction_month(old_parts, parts):
            compared = _at_new_prices(each, old_parts, bill, parts, positions, books, corrected_on)
        withheld = next((found for found in (bill, *compared) if found.withheld), None)
        if withheld is not None:
            return _withheld(withheld, number, cause, references)
        positions |= bill.tiers_after
        correction = _correction(each, inputs, bill, number, compared)
        if (inputs, bill) != (each.inputs, each.bill):
            corrections.append(correction)
    if not any(each.lines for each in corrections):
        return None
    return CorrectionRound(
        account=issued[0].bill.account,
        number=number,
        cause=cause,
        references=references,
        bills=tuple(corrections),
        total_fen=sum(each.total_fen for each in corrections),
    )


def apply_round(issued: Sequence[IssuedBill], done: CorrectionRound) -> tuple[IssuedBill, ...]:
    """The issued bills after a round, in the order they had."""
    corrected = {each.bill_id: each.corrected for each in done.bills}
    return tuple(corrected.get(each.bill_id, each) for each in issued)


def replace_usage(inputs: Sequence[RatingInput], usage: PointUsage) -> tuple[RatingInput, ...]:
    """The inputs with another usage of a point for the same days, as after a late actual.

    BadInput where no part has a usage of that point for exactly these days.
    """
    is_found = False
    replaced = []
    for each in inputs:
        points = tuple(usage if _is_same(usage, old) else old for old in each.usage.points)
        is_found = is_found or usage in points
        replaced.append(replace(each, usage=replace(each.usage, points=points)))
    if not is_found:
        problem = f"no usage of {usage.point} for {usage.from_on} to {usage.until_on} was billed"
        raise BadInput("usage", problem, "give the usage for the days of the bill's part")
    return tuple(replaced)


def _is_same(usage: PointUsage, old: PointUsage) -> bool:
    return (usage.point, usage.from_on, usage.until_on) == (old.point, old.from_on, old.until_on)


def _nothing(bill: Bill) -> Bill:
    """A bill of days that turned out not to be the account's: it charges nothing."""
    return Bill(
        account=bill.account,
        period=bill.period,
        from_on=bill.from_on,
        until_on=bill.until_on,
        books=(),
        lines=(),
        total_fen=0,
        energy_wh=0,
        tiers_before={},
        tiers_after={},
    )


def _place(issued: IssuedBill) -> tuple[str, str]:
    return issued.bill.from_on, issued.bill_id


def _changes_by_bill(
    issued: Sequence[IssuedBill], changes: Sequence[Change], cause: str
) -> dict[str, Change]:
    if cause not in CAUSES:
        raise BadInput("cause", f"{cause!r} is no cause", f"use one of {', '.join(CAUSES)}")
    known = {each.bill_id for each in issued}
    changed: dict[str, Change] = {}
    for change in changes:
        if change.bill_id not in known:
            problem = f"{change.bill_id} is no issued bill of the account"
            raise BadInput("bill_id", problem, "only issued bills are corrected")
        if change.bill_id in changed:
            problem = f"{change.bill_id} is changed twice in one round"
            raise BadInput("bill_id", problem, "give its final inputs once")
        changed[change.bill_id] = change
    return changed


def _parts(inputs: Sequence[RatingInput], books: Mapping[str, PriceBook]) -> tuple[RatingPart, ...]:
    missing = sorted({each.book for each in inputs} - books.keys())
    if missing:
        problem = f"{', '.join(missing)} was not given"
        raise BadInput("books", problem, "give every book the bills rest on")
    return tuple(RatingPart(each.usage, books[each.book], each.terms) for each in inputs)


def _at_new_prices(
    issued: IssuedBill,
    old_parts: Sequence[RatingPart],
    bill: Bill,
    parts: Sequence[RatingPart],
    positions: Mapping[str, TierPosition],
    books: Mapping[str, PriceBook],
    corrected_on: str,
) -> tuple[Bill, Bill]:
    """The bill before and after the round, both at the prices of the round."""
    both = (
        (at_prices_of(old_parts, books, corrected_on), issued.bill.tiers_before),
        (at_prices_of(parts, books, corrected_on), positions),
    )
    found = []
    for priced, tiers in both:
        if priced is None:
            withheld = replace(bill, withheld=True, findings=(NO_BOOK,))
            return withheld, withheld
        rated = rate_parts(priced, tiers)
        found.append(replace(rated, lines=said_of(rated.lines, corrected_on)))
    return found[0], found[1]


def _withheld(bill: Bill, number: int, cause: str, references: tuple[str, ...]) -> CorrectionRound:
    return CorrectionRound(
        account=bill.account,
        number=number,
        cause=cause,
        references=references,
        bills=(),
        total_fen=0,
        withheld=True,
        findings=bill.findings,
        not_yet_rated=bill.not_yet_rated,
    )


def _correction(
    issued: IssuedBill,
    inputs: tuple[RatingInput, ...],
    bill: Bill,
    number: int,
    compared: tuple[Bill, Bill],
) -> BillCorrection:
    """What the bill becomes; the money is the difference of the two that are compared."""
    before, after = compared
    lines = differences(before.lines, after.lines)
    total_fen = sum(each.line.amount_fen for each in lines)
    assert total_fen == after.total_fen - before.total_fen, "the differences lost money"
    corrected = IssuedBill(bill_id=issued.bill_id, inputs=inputs, bill=bill, round=number)
    return BillCorrection(
        bill_id=issued.bill_id, lines=lines, total_fen=total_fen, corrected=corrected
    )


def differences(
    old_lines: Sequence[BillLine], new_lines: Sequence[BillLine]
) -> tuple[CorrectionLine, ...]:
    """What turns the old lines into the new ones; lines are matched by what they charge."""
    old = {_identity(line): line for line in old_lines}
    new = {_identity(line): line for line in new_lines}
    assert len(old) == len(old_lines), "two lines of the bill charge the same"
    assert len(new) == len(new_lines), "two lines of the new bill charge the same"
    lines = []
    for identity in (*old, *(each for each in new if each not in old)):
        before, after = old.get(identity), new.get(identity)
        shown = after or before
        assert shown is not None, "an identity comes from one of the bills"
        quantity = (after.quantity if after else 0) - (before.quantity if before else 0)
        amount_fen = (after.amount_fen if after else 0) - (before.amount_fen if before else 0)
        if not quantity and not amount_fen:
            continue
        kept = after.reading_ids if after else ()
        superseded = before.reading_ids if before else ()
        lines.append(
            CorrectionLine(
                side="debit" if (amount_fen, quantity) > (0, 0) else "credit",
                line=replace(shown, quantity=quantity, amount_fen=amount_fen),
                superseded_ids=tuple(each for each in superseded if each not in kept),
            )
        )
    return tuple(lines)


def _identity(line: BillLine) -> tuple[str, ...]:
    return line.code, line.point, line.from_on, line.until_on, line.price, line.price_unit

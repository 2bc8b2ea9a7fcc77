"""What a tick brings for who feeds in: corrections of statements, then the next month's.

next_correction(account, "1000000001", books, "2026-04-05", "2026-04-20")
    feed_in_corrected with a number of its own, or feed_in_withheld: no difference, or why not yet
next_statement(account, "1000000001", "2026-03", books, "2026-04-03", "2026-04-18")
    feed_in_stated, or feed_in_withheld with the reasons
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from libs.tou_calendar import book_on
from services.billing.agreement import AgreementTerms
from services.billing.bill import RatingPart
from services.billing.correction import RatingInput, differences
from services.billing.events import (
    AgreementNoted,
    FeedInCorrected,
    FeedInStated,
    FeedInWithheld,
)
from services.billing.feed_in import EXPORTING, Statement, nothing_of, statement_of
from services.billing.feed_in_series import feed_in_parts, is_within
from services.billing.month_input import days_missing, is_of, not_agreed, point_usage
from services.billing.months import Span, TermsPart, month_span
from services.billing.price_book import PriceBook, book_key
from services.billing.state import Account, parts_of, supply_of
from services.billing.usage import AccountUsage, PointUsage

Books = Mapping[str, PriceBook]


def next_statement(
    account: Account, key: str, month: str, books: Books, issued_on: str, due_on: str
) -> FeedInStated | FeedInWithheld:
    """The statement of a month from what is known."""
    inputs = _inputs(account, month, books)
    if isinstance(inputs, str):
        return FeedInWithheld(account_no=key, month=month, reasons=(inputs,))
    made = _statement(inputs, books)
    if made.findings:
        return FeedInWithheld(account_no=key, month=month, reasons=_reasons(made))
    return FeedInStated(
        statement_no=f"{key}-F{month}",
        account_no=key,
        month=month,
        inputs=inputs,
        statement=made,
        energy_wh=made.energy_wh,
        amount_fen=made.amount_fen,
        netting=made.netting,
        issued_on=issued_on,
        due_on=due_on,
    )


def next_correction(
    account: Account, key: str, books: Books, issued_on: str, due_on: str
) -> FeedInCorrected | FeedInWithheld:
    """What the oldest changed statement is now, as a numbered difference."""
    series = account.feed_in
    month = min(series.to_correct)
    reason = series.to_correct[month]
    issued = next(each for each in series.statements if each.statement.period == month)
    inputs = _inputs(account, month, books)
    if isinstance(inputs, str):
        return FeedInWithheld(account_no=key, month=month, reasons=(inputs,))
    made = _statement(inputs, books) if inputs else nothing_of(issued.statement)
    if made.findings:
        return FeedInWithheld(account_no=key, month=month, reasons=_reasons(made))
    lines = differences(issued.statement.lines, made.lines)
    if not lines:
        reasons = ("no difference",)
        return FeedInWithheld(account_no=key, month=month, reasons=reasons, is_needless=True)
    round_no = series.round_no + 1
    return FeedInCorrected(
        correction_no=f"{key}-FK{round_no:03d}",
        statement_no=issued.statement_no,
        account_no=key,
        month=month,
        round_no=round_no,
        cause=reason.cause,
        reference=reason.reference,
        inputs=inputs,
        statement=made,
        lines=lines,
        energy_difference_wh=made.energy_wh - issued.statement.energy_wh,
        difference_fen=made.amount_fen - issued.statement.amount_fen,
        netting=made.netting,
        issued_on=issued_on,
        due_on=due_on,
    )


def is_concerned(account: Account, book: PriceBook, books: Books) -> bool:
    """Whether a statement waits or was made that this book may price."""
    agreement = account.agreement
    assert agreement is not None
    wanted = _lists(agreement, book)
    versions = (book, *(each for each in books.values() if each.id == book.id))
    if not any(wanted & each.price_lists.keys() for each in versions):
        return False
    series = account.feed_in
    return bool(series.waiting or series.stuck) or any(
        is_within(each.statement, book.from_on, book.until_on) for each in series.statements
    )


def _lists(agreement: AgreementNoted, book: PriceBook) -> set[str]:
    """The lists of feed-in that are agreed where the book counts."""
    of_book = (dated.terms for dated in agreement.timeline if is_of(dated.terms, book))
    return {terms.feed_in_price_list for terms in of_book} - {""}


def _reasons(made: Statement) -> tuple[str, ...]:
    return tuple(
        " ".join(filter(None, (each.rule, each.point))) + f": {each.text}" for each in made.findings
    )


def _statement(inputs: Sequence[RatingInput], books: Books) -> Statement:
    return statement_of([RatingPart(each.usage, books[each.book], each.terms) for each in inputs])


# -- what a month is stated from -------------------------------------------------------------------


def _inputs(account: Account, month: str, books: Books) -> tuple[RatingInput, ...] | str:
    """One input per book and set of terms; () when nothing of it is ours; or what is lacking."""
    parts = feed_in_parts(supply_of(account), month)
    points = account.months.get(month, {})
    lacking = (
        *days_missing(parts, points, month, EXPORTING),
        *not_agreed(parts_of(account, month), points, month),
    )
    if parts and lacking:
        return "; ".join(lacking)
    inputs: list[RatingInput] = []
    for part in parts:
        for from_on, until_on, book in _book_parts(part, books):
            if book is None:
                return f"price_awaited {month}: {part.terms.feed_in_price_list}"
            usage = _usage(account, month, part.terms, (from_on, until_on))
            inputs.append(RatingInput(usage=usage, terms=part.terms, book=book_key(book)))
    return tuple(inputs)


def _book_parts(part: TermsPart, books: Books) -> list[tuple[str, str, PriceBook | None]]:
    """The days cut where another book with the list comes into force; None where there is none."""
    near = [book for book in books.values() if is_of(part.terms, book)]
    cuts = {part.from_on, part.until_on}
    cuts |= {on for book in near for on in (book.from_on, book.until_on)}
    days = sorted(on for on in cuts if part.from_on <= on <= part.until_on)
    found: list[tuple[str, str, PriceBook | None]] = []
    for start, end in pairwise(days):
        book = book_on(near, {part.terms.feed_in_price_list}, start)
        if found and found[-1][2] is book:
            found[-1] = (found[-1][0], end, book)
        else:
            found.append((start, end, book))
    return found


def _usage(account: Account, month: str, terms: AgreementTerms, days: Span) -> AccountUsage:
    cycle_from_on, cycle_until_on = month_span(month)
    return AccountUsage(
        account=terms.account,
        period=month,
        cycle_from_on=cycle_from_on,
        cycle_until_on=cycle_until_on,
        from_on=days[0],
        until_on=days[1],
        points=tuple(
            _exported(point_usage(account, month, each.point, days, days)) for each in terms.points
        ),
    )


def _exported(usage: PointUsage) -> PointUsage:
    """The export of a point and what is said of it, without what it drew."""
    return PointUsage(
        point=usage.point,
        from_on=usage.from_on,
        until_on=usage.until_on,
        import_wh=0,
        export_wh=usage.export_wh,
        export_wh_by_rate=usage.export_wh_by_rate,
        quality=usage.quality,
        exchanged=usage.exchanged,
        reading_ids=usage.reading_ids,
    )

"""The statements of an account in their own series: which months are stated, and what changed.

Months with feed-in are stated one after the other, whatever becomes of their bills. Only the terms
that count for a statement are looked at, so that another tariff of what is drawn changes nothing.
A producer's statement costs about 2 KB; they are kept as long as bills are (`STATEMENTS_KEPT`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from services.billing.agreement import AgreementTerms
from services.billing.calendar import overlap
from services.billing.correction import RatingInput, Reason
from services.billing.events import (
    AgreementNoted,
    BookNoted,
    FeedInCorrected,
    FeedInStated,
    FeedInWithheld,
    OpeningNoted,
    UsageAdjusted,
    UsageNoted,
)
from services.billing.feed_in import EXPORTING, Statement
from services.billing.months import (
    MonthRange,
    Span,
    TermsPart,
    days_of,
    months_with,
    next_month,
    supplied,
    terms_parts,
)

STATEMENTS_KEPT = 25
FOREVER = "9999-12-31"


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedStatement:
    """A statement as all its corrections left it."""

    statement_no: str
    inputs: tuple[RatingInput, ...]
    statement: Statement


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInSeries:
    """The statements of an account.

    stated: the months that have one; statements: the newest of them; round_no: corrections so far;
    to_correct, stuck: stated months whose inputs changed, and those of which the correction could
    not be made; waiting: the month that cannot be stated as things are; news: something came that
    concerns the month to state.
    """

    stated: tuple[MonthRange, ...] = ()
    statements: tuple[IssuedStatement, ...] = ()
    round_no: int = 0
    to_correct: dict[str, Reason] = field(default_factory=dict)
    stuck: dict[str, Reason] = field(default_factory=dict)
    waiting: str = ""
    news: bool = False


class Supply(NamedTuple):
    """What says which days are ours: the agreement, and the last day that was billed elsewhere."""

    agreement: AgreementNoted | None
    billed_to_on: str


# -- what follows from it --------------------------------------------------------------------------


def feed_in_parts(supply: Supply, month: str) -> tuple[TermsPart, ...]:
    """The days of a month on which feed-in is agreed, with the terms that count for it."""
    days = days_of(supplied(*supply), month)
    if days is None:
        return ()
    assert supply.agreement is not None, "days are supplied under an agreement"
    parts: list[TermsPart] = []
    for part in terms_parts(supply.agreement, *days):
        if not part.terms.feed_in_price_list:
            continue
        own = part._replace(terms=_of_export(part.terms))
        last = parts[-1] if parts else None
        if last is not None and (last.until_on, last.terms) == (own.from_on, own.terms):
            parts[-1] = last._replace(until_on=own.until_on)
        else:
            parts.append(own)
    return tuple(parts)


def _of_export(terms: AgreementTerms) -> AgreementTerms:
    """The terms with nothing in them but what a statement rests on."""
    kinds = {each.point: each.kind for each in terms.relations}
    points = [each for each in terms.points if kinds.get(each.point, "main") in EXPORTING]
    names = {each.point for each in points}
    return AgreementTerms(
        account=terms.account,
        price_book=terms.price_book,
        points=tuple(
            replace(each, price_list="", category="", voltage_class="", metering_side="low",
                    loss_table="", line_loss=None, feeder="")
            for each in points
        ),
        relations=tuple(
            replace(each, of="", ratio="", quantity_wh=0)
            for each in terms.relations
            if each.point in names
        ),
        feed_in_price_list=terms.feed_in_price_list,
    )  # fmt: skip


def month_to_state(series: FeedInSeries, supply: Supply, closed: Sequence[MonthRange]) -> str:
    """The first month with agreed feed-in that has no statement, "" when there is none.

    closed: months of which usage is kept no longer; they cannot be stated.
    """
    days = supplied(*supply)
    if days is None:
        return ""
    for span in _agreed_spans(supply, days):
        month = span[0][:7]
        for first, last in sorted((*series.stated, *closed)):
            if first <= month <= last:
                month = next_month(last)
        if days_of(span, month) is not None:
            return month
    return ""


def _agreed_spans(supply: Supply, days: Span) -> Iterator[Span]:
    """The days on which a list of feed-in is agreed, row by row of the timeline."""
    assert supply.agreement is not None, "days are supplied under an agreement"
    timeline = supply.agreement.timeline
    ends = [*(dated.from_on for dated in timeline[1:]), FOREVER]
    for dated, end in zip(timeline, ends, strict=True):
        found = overlap(dated.from_on, end, *days) if dated.terms.feed_in_price_list else None
        if found is not None:
            yield found


def is_agreed(agreement: AgreementNoted | None) -> bool:
    """Whether feed-in is agreed on any day."""
    return agreement is not None and any(
        dated.terms.feed_in_price_list for dated in agreement.timeline
    )


# -- the fold --------------------------------------------------------------------------------------


def follow(
    series: FeedInSeries, before: Supply, after: Supply, event: Any, closed: Sequence[MonthRange]
) -> FeedInSeries:
    """The series after an event of the account; that of who never fed in stays as it is."""
    if not (series.statements or is_agreed(after.agreement)):
        return series
    match event:
        case UsageNoted():
            cause = "usage_edited" if event.quality == "edited" else "late_actual"
            reference = f"{event.usage_point}/{event.day_on}/{event.revision}"
            reason = Reason(cause=cause, reference=reference)
            return _changed(series, event.day_on[:7], reason, after, closed)
        case UsageAdjusted():
            reason = Reason(cause="metrology", reference=event.case_id)
            return _changed(series, event.month, reason, after, closed)
        case AgreementNoted():
            reason = Reason(cause="wrong_agreement", reference=f"agreement@{event.version}")
            return _agreed(series, before, after, reason)
        case OpeningNoted():
            reason = Reason(cause="wrong_agreement", reference=event.opening_id)
            return _agreed(series, before, after, reason)
        case BookNoted():
            return _priced(series, event)
        case FeedInStated():
            return _stated(series, event)
        case FeedInCorrected():
            return _corrected(series, event)
        case FeedInWithheld():
            return _withheld(series, event)
    return series


def _changed(
    series: FeedInSeries, month: str, reason: Reason, supply: Supply, closed: Sequence[MonthRange]
) -> FeedInSeries:
    if any(each.statement.period == month for each in series.statements):
        return _to_correct(series, month, reason)
    is_next = month == month_to_state(series, supply, closed)
    return replace(series, news=True) if is_next else series


def _to_correct(series: FeedInSeries, month: str, reason: Reason) -> FeedInSeries:
    """The first reason stands; what is stuck is looked at again with it."""
    marked = {month: reason, **series.to_correct, **series.stuck}
    return replace(series, to_correct=marked, stuck={})


def _agreed(series: FeedInSeries, before: Supply, after: Supply, reason: Reason) -> FeedInSeries:
    for each in series.statements:
        month = each.statement.period
        if feed_in_parts(before, month) != feed_in_parts(after, month):
            series = _to_correct(series, month, reason)
    return replace(series, news=True)


def _priced(series: FeedInSeries, event: BookNoted) -> FeedInSeries:
    reason = Reason(cause="book_superseded", reference=event.book)
    for each in series.statements:
        if is_within(each.statement, event.from_on, event.until_on):
            series = _to_correct(series, each.statement.period, reason)
    return replace(series, news=True)


def is_within(statement: Statement, from_on: str, until_on: str) -> bool:
    """Whether a statement has any of these days."""
    return statement.from_on < until_on and from_on < statement.until_on


def _stated(series: FeedInSeries, event: FeedInStated) -> FeedInSeries:
    made = IssuedStatement(
        statement_no=event.statement_no, inputs=event.inputs, statement=event.statement
    )
    kept = sorted((*series.statements, made), key=lambda each: each.statement.period)
    return replace(
        series,
        stated=months_with(series.stated, event.month),
        statements=tuple(kept[-STATEMENTS_KEPT:]),
        waiting="",
        news=True,
    )


def _corrected(series: FeedInSeries, event: FeedInCorrected) -> FeedInSeries:
    now = IssuedStatement(
        statement_no=event.statement_no, inputs=event.inputs, statement=event.statement
    )
    return replace(
        series,
        statements=tuple(
            now if each.statement_no == event.statement_no else each for each in series.statements
        ),
        round_no=event.round_no,
        to_correct=_without(series.to_correct, event.month),
    )


def _withheld(series: FeedInSeries, event: FeedInWithheld) -> FeedInSeries:
    reason = series.to_correct.get(event.month)
    if reason is None:
        return replace(series, waiting=event.month, news=False)
    stuck = series.stuck if event.is_needless else {**series.stuck, event.month: reason}
    return replace(series, to_correct=_without(series.to_correct, event.month), stuck=stuck)


def _without(marked: dict[str, Reason], month: str) -> dict[str, Reason]:
    return {name: reason for name, reason in marked.items() if name != month}

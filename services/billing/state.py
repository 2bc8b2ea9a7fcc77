"""What billing knows of an account: its agreement, its usage by day, its issued bills.

Usage is kept by day and register, so that a month can be cut at any day and a revision takes the
place of the one before. A point's month costs about 2 KB with one register and 7 KB with five; an
issued bill about 3.5 KB (its lines with the inputs behind them). Both are kept for `MONTHS_KEPT`
issued months, since a correction cascades within its tier year: a household takes about 137 KB
(48 KB in a checkpoint) after two years, and then grows no more. An account that cannot be billed
keeps its usage until it can. Amounts that others settled stay in the agreement: 0.2 KB for each of
the few accounts' months that have one. The due dates of debts, for late fees, are 0.1 KB each and
at most `DEBTS_KEPT`. A prepaid account has 0.3 KB for each month without an invoice.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.billing.agreement import HouseholdSize
from services.billing.bill_checks import PastBill, past_bill
from services.billing.correction import IssuedBill, Reason, apply_round
from services.billing.events import (
    AgreementNoted,
    BillCalculated,
    BillWithheld,
    BookAdopted,
    BookNoted,
    CaseNoted,
    ChargeEstimated,
    CorrectionIssued,
    CorrectionWithheld,
    InvoiceIssued,
    LateFeeCharged,
    OpeningNoted,
    PriceAwaited,
    TariffClassQuestioned,
    TariffClassSettled,
    UsageAdjusted,
    UsageNoted,
)
from services.billing.feed_in_series import FeedInSeries, Supply, follow, month_to_state
from services.billing.late_debts import LateDebt, with_fee, with_invoice, with_round
from services.billing.months import (
    MonthRange,
    PointMonth,
    Span,
    TermsPart,
    add_days,
    days_of,
    first_day,
    months_with,
    next_to_bill,
    noted,
    supplied,
    terms_parts,
)
from services.billing.price_book import PriceBook, book_key
from services.billing.standing_questions import Questions, question_key, with_question, with_settled

MONTHS_KEPT = 25
HISTORY_KEPT = 12


@dataclass(frozen=True, slots=True)
class Shared:
    """The price books adopted in this partition by `id@version`, and the offset each came at."""

    books: dict[str, PriceBook] = field(default_factory=dict)
    offsets: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account.

    months: month -> point -> usage; billed: the months that have an invoice; draft: the bill that
    is calculated and not issued, the last of `calculations`; issued: bills by month with all rounds
    applied; to_correct: issued months whose inputs changed, stuck: those whose correction could not
    be rated; waiting: the month that cannot be billed as things are; news: something came that
    concerns the month to bill; feed_in: what it fed in, in statements of their own series;
    late_debts: what a late fee may be taken of, by its number; late_fees: how many fees there are;
    questions: of the tariff audit, that stand; question_count: how many there ever were;
    estimates: the last one of each month without an invoice; estimated_to_on: until when.
    """

    agreement: AgreementNoted | None = None
    opening: OpeningNoted | None = None
    months: dict[str, dict[str, PointMonth]] = field(default_factory=dict)
    cases: dict[str, CaseNoted] = field(default_factory=dict)
    billed: tuple[MonthRange, ...] = ()
    draft: BillCalculated | None = None
    calculations: int = 0
    issued: tuple[IssuedBill, ...] = ()
    history: tuple[PastBill, ...] = ()
    to_correct: dict[str, Reason] = field(default_factory=dict)
    stuck: dict[str, Reason] = field(default_factory=dict)
    round_no: int = 0
    waiting: str = ""
    news: bool = False
    feed_in: FeedInSeries = field(default_factory=FeedInSeries)
    late_debts: dict[str, LateDebt] = field(default_factory=dict)
    late_fees: int = 0
    questions: Questions = field(default_factory=dict)
    question_count: int = 0
    estimates: dict[str, ChargeEstimated] = field(default_factory=dict)
    estimated_to_on: str = ""


# -- what follows from it -------------------------------------------------------------------------


def supplied_days(account: Account) -> Span | None:
    """The days that are ours to bill."""
    return supplied(*supply_of(account))


def supply_of(account: Account) -> Supply:
    """What says which days are ours."""
    opening = account.opening
    return Supply(account.agreement, opening.billed_to_on if opening is not None else "")


def feed_in_month(account: Account) -> str:
    """The first month with agreed feed-in that has no statement, "" when there is none."""
    return month_to_state(account.feed_in, supply_of(account), _closed(account))


def _closed(account: Account) -> tuple[MonthRange, ...]:
    """The billed months of which usage is kept no longer."""
    if not account.issued:
        return ()
    last = add_days(first_day(account.issued[0].bill.period), -1)[:7]
    return tuple((first, min(end, last)) for first, end in account.billed if first <= last)


def month_to_bill(account: Account) -> str:
    """The first month with supply that has no invoice, "" when there is none."""
    return next_to_bill(supplied_days(account), account.billed)


def parts_of(account: Account, month: str) -> tuple[TermsPart, ...]:
    """The days of a month that are ours to bill, cut where the terms change; () when none are."""
    days = days_of(supplied_days(account), month)
    if days is None:
        return ()
    assert account.agreement is not None, "days are supplied under an agreement"
    return terms_parts(account.agreement, *days)


def is_closed(account: Account, month: str) -> bool:
    """Whether the month's bill is so old that its usage and lines are no longer kept."""
    return (
        bool(account.issued)
        and _is_billed(account, month)
        and month < account.issued[0].bill.period
    )


def _is_billed(account: Account, month: str) -> bool:
    return any(first <= month <= last for first, last in account.billed)


# -- the fold -------------------------------------------------------------------------------------


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the partition's or the account's state."""
    if isinstance(event, BookAdopted):
        key = book_key(event.book)
        return Shared({**state.books, key: event.book}, {**state.offsets, key: event.offset})
    if isinstance(state, Shared):
        return state  # a book that was rejected
    before: Account = state or Account()
    after = _evolved(before, event)
    series = follow(before.feed_in, supply_of(before), supply_of(after), event, _closed(after))
    if series is not before.feed_in:
        return replace(after, feed_in=series)
    return state if after is before else after


def _evolved(account: Account, event: Any) -> Account:
    match event:
        case UsageNoted():
            return _used(account, event)
        case AgreementNoted():
            reason = Reason(cause="wrong_agreement", reference=f"agreement@{event.version}")
            return _agreed(account, replace(account, agreement=event, news=True), reason)
        case OpeningNoted():
            return _opened(account, event)
        case BookNoted():
            return _priced(account, event)
        case CaseNoted():
            return replace(account, cases={**account.cases, event.case_id: event})
        case UsageAdjusted():
            reason = Reason(cause="metrology", reference=event.case_id)
            return _changed(account, event.month, reason)
        case PriceAwaited():
            return replace(account, waiting=event.month, draft=None, news=False)
        case BillWithheld():
            is_other = event.month != month_to_bill(account)
            return replace(account, waiting=event.month, draft=None, news=is_other)
        case BillCalculated():
            calculations = event.calculation
            return replace(account, draft=event, calculations=calculations, waiting="", news=False)
        case InvoiceIssued():
            return _issued(account, event)
        case CorrectionIssued():
            issued = apply_round(account.issued, event.correction)
            debts = with_round(account.late_debts, event, (*account.issued, *issued))
            account = replace(account, issued=issued, late_debts=debts)
            return replace(account, round_no=event.round_no, to_correct={}, news=True)
        case LateFeeCharged():
            debts = with_fee(account.late_debts, event)
            return replace(account, late_debts=debts, late_fees=account.late_fees + 1)
        case CorrectionWithheld():
            return _withheld(account, event)
        case TariffClassQuestioned():
            return _questioned(account, event)
        case TariffClassSettled():
            return replace(account, questions=with_settled(account.questions, event))
        case ChargeEstimated():
            estimates = {**account.estimates, event.month: event}
            until_on = max(account.estimated_to_on, event.until_on)
            return replace(account, estimates=estimates, estimated_to_on=until_on)
    return account


def _questioned(account: Account, event: TariffClassQuestioned) -> Account:
    known = account.questions.get(question_key(event))
    is_new = known is None or known.asked.audit_id != event.audit_id
    questions = with_question(account.questions, event)
    return replace(account, questions=questions, question_count=account.question_count + is_new)


def _used(account: Account, event: UsageNoted) -> Account:
    month = event.day_on[:7]
    points = account.months.get(month, {})
    known = points.get(event.usage_point, PointMonth())
    changed = noted(known, event)
    months = {**account.months, month: {**points, event.usage_point: changed}}
    account = replace(account, months=months)
    if (known.days, known.energy, known.demands) != (changed.days, changed.energy, changed.demands):
        reference = f"{event.usage_point}/{event.day_on}/{event.revision}"
        cause = "usage_edited" if event.quality == "edited" else "late_actual"
        return _changed(account, month, Reason(cause=cause, reference=reference))
    return replace(account, news=account.news or month == month_to_bill(account))


def _changed(account: Account, month: str, reason: Reason) -> Account:
    """The inputs of a month are others now."""
    if _issued_bill(account, month) is not None:
        return _to_correct(account, month, reason)
    return replace(account, news=account.news or month == month_to_bill(account))


def _issued_bill(account: Account, month: str) -> IssuedBill | None:
    return next((each for each in account.issued if each.bill.period == month), None)


def _to_correct(account: Account, month: str, reason: Reason) -> Account:
    """Remember that an issued month's inputs changed; the first reason stands.

    What is stuck is looked at again with it.
    """
    return replace(
        account, to_correct={month: reason, **account.to_correct, **account.stuck}, stuck={}
    )


def _agreed(before: Account, after: Account, reason: Reason) -> Account:
    """Other terms, or other days that are ours to bill."""
    is_other = _household(before) != _household(after)
    for bill in before.issued:
        month = bill.bill.period
        if is_other or parts_of(before, month) != parts_of(after, month):
            after = _to_correct(after, month, reason)
    return after


def _household(account: Account) -> tuple[HouseholdSize, ...]:
    """What allowances follow from by the book; of which months is known with the book only."""
    return account.agreement.household if account.agreement is not None else ()


def _opened(account: Account, event: OpeningNoted) -> Account:
    reason = Reason(cause="wrong_agreement", reference=event.opening_id)
    opened = _agreed(account, replace(account, opening=event, news=True), reason)
    if opened.issued:  # its tier year so far was not known when these were billed
        return _to_correct(opened, opened.issued[0].bill.period, reason)
    return opened


def _priced(account: Account, event: BookNoted) -> Account:
    account = replace(account, news=True)
    reason = Reason(cause="book_superseded", reference=event.book)
    for issued in account.issued:
        bill = issued.bill
        if bill.from_on < event.until_on and event.from_on < bill.until_on:
            account = _to_correct(account, bill.period, reason)
    return account


def _issued(account: Account, event: InvoiceIssued) -> Account:
    bill = IssuedBill(bill_id=event.invoice_no, inputs=event.inputs, bill=event.bill)
    ordered = sorted((*account.issued, bill), key=lambda each: each.bill.period)
    issued = tuple(ordered[-MONTHS_KEPT:])
    months = account.months
    if len(ordered) > MONTHS_KEPT:
        oldest = issued[0].bill.period
        months = {month: points for month, points in months.items() if month >= oldest}
    account = replace(
        account,
        months=months,
        billed=months_with(account.billed, event.month),
        draft=None,
        calculations=0,
        issued=issued,
        history=(*account.history, past_bill(event.bill))[-HISTORY_KEPT:],
        waiting="",
        news=True,
        late_debts=with_invoice(account.late_debts, event),
        estimates={name: each for name, each in account.estimates.items() if name != event.month},
        estimated_to_on=max(account.estimated_to_on, event.bill.until_on),
    )
    later = [each.bill.period for each in issued if each.bill.period > event.month]
    if later:  # an earlier month was billed after it: its tier year begins elsewhere
        reason = Reason(cause="wrong_agreement", reference=event.invoice_no)
        return _to_correct(account, later[0], reason)
    return account


def _withheld(account: Account, event: CorrectionWithheld) -> Account:
    kept = {
        month: reason for month, reason in account.to_correct.items() if month not in event.months
    }
    if event.is_needless:
        return replace(account, to_correct=kept)
    stuck = {
        month: account.to_correct[month] for month in event.months if month in account.to_correct
    }
    return replace(account, to_correct=kept, stuck={**account.stuck, **stuck})

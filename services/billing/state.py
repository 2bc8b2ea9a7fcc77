"""What billing knows of an account: its agreement, its months' usage, its issued bills.

Usage is kept as sums by month and point. A month costs about 0.4 KB a point with one register and
1.2 KB with five; an issued bill about 3 KB (5 to 15 lines with the inputs behind them). Bills are
kept for `MONTHS_KEPT`, since a correction cascades within its tier year: about 80 KB an account.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from services.billing.bill_checks import PastBill, past_bill
from services.billing.correction import IssuedBill, apply_round
from services.billing.events import (
    AgreementNoted,
    BillCalculated,
    BillReleased,
    BillWithheld,
    BookAdopted,
    BookNoted,
    CaseNoted,
    CorrectionIssued,
    CorrectionWithheld,
    InvoiceIssued,
    OpeningNoted,
    PriceAwaited,
    UsageAdjusted,
    UsageNoted,
)
from services.billing.price_book import PriceBook, book_key

MONTHS_KEPT = 25


@dataclass(frozen=True, slots=True)
class Shared:
    """The price books adopted in this partition, by `id@version`."""

    books: dict[str, PriceBook] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointMonth:
    """A point's month: which days are there (bit 0 is the 1st), and the sums over them."""

    days: int = 0
    estimated_days: int = 0
    energy: dict[str, int] = field(default_factory=dict)
    adjustment: dict[str, int] = field(default_factory=dict)
    demand_w: int = 0
    demand_at: str = ""
    exchanged: bool = False
    first_reading: str = ""
    last_reading: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account. months: month -> point -> sums; draft: the bill that is calculated and not
    issued; issued: bills in order with all rounds applied; to_correct: months whose inputs changed
    after issue; billed_to: the last month that was billed (or opened with)."""

    agreement: AgreementNoted | None = None
    months: dict[str, dict[str, PointMonth]] = field(default_factory=dict)
    draft: BillCalculated | None = None
    released_by: tuple[str, ...] = ()
    issued: tuple[IssuedBill, ...] = ()
    history: tuple[PastBill, ...] = ()
    to_correct: dict[str, str] = field(default_factory=dict)
    billed_to: str = ""
    round_no: int = 0
    waiting: str = ""
    opening: OpeningNoted | None = None
    cases: dict[str, CaseNoted] = field(default_factory=dict)
    news: bool = False


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the partition's or the account's state."""
    if isinstance(event, BookAdopted):
        return Shared({**state.books, book_key(event.book): event.book})
    account: Account = state or Account()
    match event:
        case UsageNoted():
            return _used(account, event)
        case AgreementNoted():
            return _with_causes(replace(account, agreement=event, news=True), "wrong_agreement")
        case OpeningNoted():
            return replace(account, opening=event, billed_to=event.billed_to_on[:7], news=True)
        case BookNoted():
            return _with_causes(replace(account, news=True), "book_superseded")
        case UsageAdjusted():
            return _adjusted(account, event)
        case PriceAwaited() | BillWithheld():
            return replace(account, waiting=event.month, draft=None, released_by=(), news=False)
        case BillCalculated():
            return replace(account, draft=event, released_by=(), waiting="", news=False)
        case BillReleased():
            return replace(account, released_by=(*account.released_by, event.released_by))
        case InvoiceIssued():
            return _issued(account, event)
        case CorrectionIssued():
            return _corrected(account, event)
        case CorrectionWithheld():
            return replace(account, to_correct={})
        case CaseNoted():
            return replace(account, cases={**account.cases, event.case_id: event})
    return state


def _used(account: Account, event: UsageNoted) -> Account:
    month = event.day_on[:7]
    points = account.months.get(month, {})
    known = points.get(event.usage_point, PointMonth())
    bit = 1 << (int(event.day_on[8:10]) - 1)
    is_estimated = event.quality != "actual"
    energy = dict(known.energy)
    for register, change in event.change.items():
        energy[register] = energy.get(register, 0) + change
    is_peak = event.demand_w > known.demand_w
    changed = replace(
        known,
        days=known.days | bit,
        estimated_days=known.estimated_days | bit if is_estimated else known.estimated_days & ~bit,
        energy=energy,
        demand_w=event.demand_w if is_peak else known.demand_w,
        demand_at=event.demand_at if is_peak else known.demand_at,
        exchanged=known.exchanged or event.after_exchange,
        first_reading=_first(known, event, bit),
        last_reading=_last(known, event, bit),
    )
    months = {**account.months, month: {**points, event.usage_point: changed}}
    account = replace(account, months=_recent(months), news=True)
    if any(event.change.values()) or is_peak:
        return _to_correct(account, month, "late_actual")
    return account


def _first(known: PointMonth, event: UsageNoted, bit: int) -> str:
    """The reading before the month's first day that is there."""
    if not event.readings or (known.days and bit > known.days & -known.days):
        return known.first_reading
    return event.readings[0]


def _last(known: PointMonth, event: UsageNoted, bit: int) -> str:
    """The reading after the month's last day that is there."""
    if not event.readings or known.days >= 2 * bit:
        return known.last_reading
    return event.readings[-1]


def _adjusted(account: Account, event: UsageAdjusted) -> Account:
    points = account.months.get(event.month, {})
    known = points.get(event.usage_point, PointMonth())
    adjustment = dict(known.adjustment)
    for register, change in event.change.items():
        adjustment[register] = adjustment.get(register, 0) + change
    months = {
        **account.months,
        event.month: {**points, event.usage_point: replace(known, adjustment=adjustment)},
    }
    return _to_correct(replace(account, months=months, news=True), event.month, "metrology")


def _to_correct(account: Account, month: str, cause: str) -> Account:
    """Remember that an issued month's inputs changed; the first cause stands."""
    if all(bill.bill.period != month for bill in account.issued):
        return account
    causes = {**account.to_correct, month: account.to_correct.get(month, cause)}
    return replace(account, to_correct=causes)


def _with_causes(account: Account, cause: str) -> Account:
    for bill in account.issued:
        account = _to_correct(account, bill.bill.period, cause)
    return account


def _issued(account: Account, event: InvoiceIssued) -> Account:
    bill = IssuedBill(bill_id=event.invoice_no, inputs=event.inputs, bill=event.bill)
    return replace(
        account,
        draft=None,
        released_by=(),
        issued=(*account.issued, bill)[-MONTHS_KEPT:],
        history=(*account.history, past_bill(event.bill))[-12:],
        billed_to=event.month,
        waiting="",
        news=True,
    )


def _corrected(account: Account, event: CorrectionIssued) -> Account:
    return replace(
        account,
        issued=apply_round(account.issued, event.correction),
        round_no=event.round_no,
        to_correct={},
        news=True,
    )


def _recent(months: dict[str, dict[str, PointMonth]]) -> dict[str, dict[str, PointMonth]]:
    if len(months) <= MONTHS_KEPT:
        return months
    return {month: months[month] for month in sorted(months)[-MONTHS_KEPT:]}

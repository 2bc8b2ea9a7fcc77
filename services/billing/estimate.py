"""What a prepaid account has used and not been billed for: an estimate a day, by the very rating.

    the 10th, noon, 9 days of January at 10 kWh      charge_estimated 45.00 yuan until 2026-01-10

Every month without an invoice is rated as its bill would be, cut where the estimate ends. A day
that nobody read has no energy in it and is counted as missing: who acts on an estimate can see how
much of it was read. The tiers go on from the last bill, and from one estimated month to the next.
An older month is estimated again only when something in it changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.billing.bill import Bill, RatingPart
from services.billing.calendar import overlap
from services.billing.events import ChargeEstimated
from services.billing.month_input import NoBook, inputs_of, metered, not_agreed
from services.billing.months import (
    PointMonth,
    Span,
    TermsPart,
    add_days,
    day_bits,
    first_day,
    next_month,
)
from services.billing.policy import BillingPolicy
from services.billing.price_book import PriceBook
from services.billing.rating import rate_parts
from services.billing.rounds import Positions, reasons_of, tiers_before
from services.billing.state import Account, month_to_bill, parts_of, supplied_days

PREPAID = ("prepaid_remote", "prepaid_local")
ZONE = timedelta(hours=8)
FOREVER = "9999-12-31"
AT_ONCE = "0001-01-01T00:00:00Z"

Books = Mapping[str, PriceBook]


def estimate_at(account: Account, policy: BillingPolicy) -> str:
    """The instant of the next estimate; "" for an account that pays afterwards."""
    if _taken_back(account):
        return AT_ONCE
    span = _next_span(account)
    if span is None:
        return ""
    begin = datetime.fromisoformat(_next_until(account, span))
    return (begin + _lag(policy)).strftime("%Y-%m-%dT%H:%M:%SZ")


def next_estimates(
    account: Account, key: str, books: Books, now: str, policy: BillingPolicy
) -> Iterator[ChargeEstimated]:
    """The estimates that are due: of every month without an invoice that is prepaid, and nothing
    for a month that turned out not to be."""
    for month in _taken_back(account):
        last = account.estimates[month]
        nothing = replace(last, amount_fen=0, energy_wh=0, missing_days=0, estimated_days=0)
        yield replace(nothing, estimate_no=last.estimate_no + 1, books=(), reasons=())
    span = _next_span(account)
    if span is None:
        return
    today_on = (datetime.fromisoformat(now[:-1]) - _lag(policy)).date().isoformat()
    until_on = min(today_on, span[1] or FOREVER)
    if until_on < _next_until(account, span):
        return
    carried: Positions = {}
    for month in _open_months(account, until_on):
        parts = _cut(parts_of(account, month), until_on)
        if not _is_prepaid(parts):
            continue
        found, bill = _estimated(account, key, month, parts, books, carried)
        carried = {**carried, **(bill.tiers_after if bill is not None else {})}
        known = account.estimates.get(month)
        if known is None or replace(known, estimate_no=0) != found:
            number = known.estimate_no + 1 if known is not None else 1
            yield replace(found, estimate_no=number)


def _lag(policy: BillingPolicy) -> timedelta:
    """From a local day, taken as one of UTC, to the instant at which it is estimated."""
    return timedelta(minutes=policy.estimate_minute) - ZONE


# -- which days -----------------------------------------------------------------------------------


def _next_span(account: Account) -> Span | None:
    """The first prepaid days that are not estimated to their end; None when there are none."""
    days = supplied_days(account)
    if days is None or not month_to_bill(account):
        return None
    assert account.agreement is not None, "days are supplied under an agreement"
    timeline = account.agreement.timeline
    ends = [*(dated.from_on for dated in timeline[1:]), FOREVER]
    for dated, end in zip(timeline, ends, strict=True):
        span = overlap(dated.from_on, end, *days)
        if span is None or dated.terms.payment_mode not in PREPAID:
            continue
        if span[1] > account.estimated_to_on:
            return span
    return None


def _next_until(account: Account, span: Span) -> str:
    return add_days(max(span[0], account.estimated_to_on), 1)


def _open_months(account: Account, until_on: str) -> Iterator[str]:
    """The months that have no invoice and have begun."""
    month = month_to_bill(account)
    while first_day(month) < until_on:
        if not any(first <= month <= last for first, last in account.billed):
            yield month
        month = next_month(month)


def _is_prepaid(parts: tuple[TermsPart, ...]) -> bool:
    """Whether any of the days is; the month has one bill."""
    return any(part.terms.payment_mode in PREPAID for part in parts)


def _taken_back(account: Account) -> list[str]:
    """Months with an estimate that another agreement left without prepaid days: no invoice comes
    that would end it."""
    return [
        month
        for month, known in sorted(account.estimates.items())
        if (known.books or known.reasons) and not _is_prepaid(parts_of(account, month))
    ]


def _cut(parts: tuple[TermsPart, ...], until_on: str) -> tuple[TermsPart, ...]:
    """The days before `until_on`."""
    return tuple(
        part._replace(until_on=min(part.until_on, until_on))
        for part in parts
        if part.from_on < until_on
    )


# -- how much -------------------------------------------------------------------------------------


def _estimated(
    account: Account,
    key: str,
    month: str,
    parts: tuple[TermsPart, ...],
    books: Books,
    carried: Positions,
) -> tuple[ChargeEstimated, Bill | None]:
    """The estimate of a month's days (without its number), and the bill that it was read from."""
    missing, estimated = _unread_days(account.months.get(month, {}), parts)
    found = ChargeEstimated(
        account_no=key,
        month=month,
        estimate_no=0,
        until_on=parts[-1].until_on,
        amount_fen=0,
        energy_wh=0,
        missing_days=missing,
        estimated_days=estimated,
        books=(),
    )
    reasons = tuple(not_agreed(parts, account.months.get(month, {}), month))
    if reasons:
        return replace(found, reasons=reasons), None
    inputs = inputs_of(account, month, parts, books)
    if isinstance(inputs, NoBook):
        return replace(found, reasons=(f"price_awaited {inputs.price_list}",)), None
    rated = tuple(RatingPart(each.usage, books[each.book], each.terms) for each in inputs)
    bill = rate_parts(rated, {**tiers_before(account, month, inputs, books), **carried})
    if bill.withheld:
        return replace(found, reasons=reasons_of(bill)), None
    names = tuple(dict.fromkeys(each.book for each in inputs))
    return replace(found, amount_fen=bill.total_fen, energy_wh=bill.energy_wh, books=names), bill


def _unread_days(points: Mapping[str, PointMonth], parts: tuple[TermsPart, ...]) -> tuple[int, int]:
    """Days on which some point was not read, and others on which one has an estimated reading."""
    missing = estimated = 0
    for part in parts:
        wanted = day_bits(part.from_on, part.until_on)
        for point in metered(part.terms):
            known = points.get(point.point, PointMonth())
            missing |= wanted & ~known.days
            estimated |= wanted & known.estimated
    return missing.bit_count(), (estimated & ~missing).bit_count()

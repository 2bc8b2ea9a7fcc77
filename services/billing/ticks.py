"""What a tick brings for an account: its corrections, the bill of the next month, its estimates.

on_tick(account, "1000000001", shared, "2026-03-02T16:00:00Z", policy)
    bill_calculated, then bill_released and invoice_issued where no check holds it
due(account, policy)      "2026-03-02T16:00:00Z": when a tick must look at the account
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from libs.events.core import Emit
from services.billing.bill import RatingPart
from services.billing.bill_checks import AUTOMATIC, check_bill, release_of
from services.billing.correction import RatingInput
from services.billing.estimate import ZONE, estimate_at, next_estimates
from services.billing.events import (
    BillCalculated,
    BillReleased,
    BillWithheld,
    FeedInCorrected,
    FeedInStated,
    FeedInWithheld,
    InvoiceIssued,
    PriceAwaited,
)
from services.billing.month_input import Lacking, NoBook, month_inputs
from services.billing.months import add_days, first_day, next_month
from services.billing.policy import BillingPolicy
from services.billing.rating import rate_parts
from services.billing.rounds import next_round, reasons_of, tiers_before
from services.billing.state import Account, Shared, evolve, feed_in_month, month_to_bill
from services.billing.statements import next_correction, next_statement

AT_ONCE = "0001-01-01T00:00:00Z"
STEPS_MAX = 1_000
"""What one tick does for an account: a month takes two or three, so nobody is that far behind."""


def on_tick(
    account: Account, key: str, shared: Shared, now: str, policy: BillingPolicy
) -> Iterator[Emit]:
    """All that is due, one thing after the other, so that a tick may come late."""
    steps = 0
    while emits := list(_next_due(account, key, shared, now, policy)):
        steps += 1
        assert steps < STEPS_MAX, f"{key}: billing makes no progress"
        for emit in emits:
            account = evolve(account, emit.body)
        yield from emits
    for estimate in next_estimates(account, key, shared.books, now, policy):
        yield Emit(estimate)


def _next_due(
    account: Account, key: str, shared: Shared, now: str, policy: BillingPolicy
) -> Iterator[Emit]:
    """Corrections first, since they move the tier positions; then statements of feed-in, then the
    next month's bill."""
    if account.to_correct:
        issued_on = day_of(now)
        due_on = add_days(issued_on, policy.pay_within_days)
        yield from (
            Emit(each) for each in next_round(account, key, shared.books, issued_on, due_on)
        )
        return
    if feed_in_at(account, policy) and feed_in_at(account, policy) <= now:
        yield Emit(_statement(account, key, shared, now, policy))
        return
    if not account.news:
        return
    month, draft = month_to_bill(account), account.draft
    if draft is not None and draft.month != month:
        reason = "not_supplied: none of its days, or an earlier month comes first"
        yield Emit(BillWithheld(account_no=key, month=draft.month, reasons=(reason,)))
    elif month and bill_at(month, policy) <= now:
        yield from _bill(account, key, month, shared, now, policy)


def _statement(
    account: Account, key: str, shared: Shared, now: str, policy: BillingPolicy
) -> FeedInStated | FeedInCorrected | FeedInWithheld:
    """The next correction of a statement, or else the next statement."""
    issued_on = day_of(now)
    due_on = add_days(issued_on, policy.feed_in_pay_within_days)
    if account.feed_in.to_correct:
        return next_correction(account, key, shared.books, issued_on, due_on)
    month = feed_in_month(account)
    return next_statement(account, key, month, shared.books, issued_on, due_on)


def feed_in_at(account: Account, policy: BillingPolicy) -> str:
    """When a statement is to be made or corrected; "" when nothing new came for one."""
    if account.feed_in.to_correct:
        return AT_ONCE
    month = feed_in_month(account) if account.feed_in.news else ""
    return bill_at(month, policy) if month else ""


def _bill(
    account: Account, key: str, month: str, shared: Shared, now: str, policy: BillingPolicy
) -> Iterator[Emit]:
    """Calculate the month from what is known; issue it when nothing holds it."""
    inputs = month_inputs(account, month, shared.books)
    if isinstance(inputs, Lacking):
        yield Emit(BillWithheld(account_no=key, month=month, reasons=inputs.reasons))
        return
    if isinstance(inputs, NoBook):
        yield Emit(PriceAwaited(account_no=key, month=month, price_list=inputs.price_list))
        return
    bill = rate_parts(_parts(inputs, shared), tiers_before(account, month, inputs, shared.books))
    if bill.withheld:
        yield Emit(BillWithheld(account_no=key, month=month, reasons=reasons_of(bill)))
        return
    hits = check_bill(bill, account.history, policy.checks)
    calculated = BillCalculated(
        bill_id=f"{key}-{month}",
        account_no=key,
        month=month,
        calculation=account.calculations + 1,
        inputs=inputs,
        bill=bill,
        total_fen=bill.total_fen,
        hits=hits,
    )
    yield Emit(calculated)
    if release_of(hits) == AUTOMATIC:
        yield Emit(released(calculated, AUTOMATIC, "no check hit"))
        yield Emit(invoice(account, calculated, now, policy))


def _parts(inputs: Sequence[RatingInput], shared: Shared) -> tuple[RatingPart, ...]:
    return tuple(RatingPart(each.usage, shared.books[each.book], each.terms) for each in inputs)


def bill_at(month: str, policy: BillingPolicy) -> str:
    """The instant from which a month is billed."""
    begin = datetime.fromisoformat(first_day(next_month(month)))
    begin += timedelta(days=policy.bill_after_days)
    return (begin - ZONE).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of(at: str) -> str:
    """The day in the utility's zone in which an instant lies."""
    return (datetime.fromisoformat(at[:-1]) + ZONE).date().isoformat()


def due(state: Account, policy: BillingPolicy) -> str:
    """When a tick must look at the account: its next bill, statement or estimate, or at once for a
    correction; "" when nothing new came since it was last looked at."""
    found = (feed_in_at(state, policy), _bill_due(state, policy), estimate_at(state, policy))
    return min((at for at in found if at), default="")


def _bill_due(state: Account, policy: BillingPolicy) -> str:
    if state.to_correct:
        return AT_ONCE
    if not state.news:
        return ""
    month = month_to_bill(state)
    if state.draft is not None and state.draft.month != month:
        return AT_ONCE
    return bill_at(month, policy) if month else ""


# -- release and issue -----------------------------------------------------------------------------


def released(draft: BillCalculated, released_by: str, reason: str) -> BillReleased:
    """The bill may go out, by whom and why."""
    return BillReleased(
        bill_id=draft.bill_id,
        account_no=draft.account_no,
        month=draft.month,
        released_by=released_by,
        reason=reason,
    )


def invoice(
    account: Account, draft: BillCalculated, now: str, policy: BillingPolicy
) -> InvoiceIssued:
    """The invoice of a released bill."""
    issued_on = day_of(now)
    assert account.agreement is not None
    return InvoiceIssued(
        invoice_no=f"{draft.account_no}-{draft.month}",
        bill_id=draft.bill_id,
        account_no=draft.account_no,
        month=draft.month,
        inputs=draft.inputs,
        bill=draft.bill,
        total_fen=draft.total_fen,
        issued_on=issued_on,
        due_on=add_days(issued_on, policy.pay_within_days),
        language=account.agreement.timeline[-1].terms.language,
    )

"""What payments knows under one key: an account, or a page of the list of transactions.

Account numbers are the keys of accounts. A transaction without a valid order number is looked up in
a page of its partition: `transactions/3fa` holds all whose digest begins so (transactions.py).

A key costs (measured, in a checkpoint and in memory):
- an account 90 bytes and 0.4 KB, each open debt 90 and 160 bytes more, and each payment, invoice,
  transfer, reversal or clearance of the last 431 days 29 bytes: 28 of them (14 bills, 14 payments)
  are 0.8 KB, and there it stays. Opening ids stay for ever, one for each account;
- one that pays ahead 0.3 KB more, and 0.2 KB for each month without an invoice;
- a producer 0.1 KB more for each statement that is not paid yet;
- and besides, calculated: 29 bytes for each payment of which money went back and for each fact that
  took it, twice for refunds; about 0.1 KB for each capture of the last 92 days that settled a debt,
  0.3 KB for each refund until it ends, and 0.3 KB for what is awaited, for at most 431 days;
- 0.4 KB for each order, until 92 days after it was opened (order_state.py);
- a page 30 bytes and 0.3 KB, 29 bytes for each transaction of the last 431 days, and 210 and 300
  for each suspense that nobody bound yet. With 3.3 million payments in that time and 4 partitions
  a page has 200 transactions (6 KB) and a partition 4096 pages (24 MB). What grows for ever is
  only the suspense that nobody binds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.payments.allocation import Allocation, OpenDebt, remaining
from services.payments.days import day_number, day_of
from services.payments.entries import (
    REVERSED,
    Account,
    Clearance,
    Entry,
    Fold,
    OpenPayable,
    Page,
    Refund,
    Shared,
    Suspense,
    Transfer,
    waiting,
    without,
)
from services.payments.events import (
    AccountOverdue,
    ClearanceGranted,
    ClearanceOpened,
    ClearanceRefused,
    ClearanceWithdrawn,
    CreditTaken,
    PaymentCaptured,
    PaymentReversed,
    PrepaymentOpened,
    ReceivableOpened,
)
from services.payments.money_back import MoneyBack, MoneyBackAwaited, MoneyReturned
from services.payments.order_state import OF_ORDERS
from services.payments.page_state import OF_PAGE
from services.payments.payable_events import (
    PayableLowered,
    PayableOpened,
    PayableSettled,
    PayoutRejected,
)
from services.payments.prepaid_balance import estimated, noted, told, warned
from services.payments.prepaid_events import (
    AvailableChanged,
    BalanceLow,
    EstimateNoted,
    PrepaidNoted,
)
from services.payments.refund_events import (
    RefundApproved,
    RefundClosed,
    RefundNoted,
    RefundOpened,
    RefundRejected,
    RefundSucceeded,
)
from services.payments.seen import RETENTION_DAYS, Seen, digest_of, find, keep

__all__ = [
    "SETTLED_DAYS",
    "Account",
    "Clearance",
    "Entry",
    "OpenPayable",
    "Page",
    "Refund",
    "Shared",
    "Suspense",
    "Transfer",
    "evolve",
]

SETTLED_DAYS = 92
"""For how long an account knows which debts a capture by order number settled."""


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its key."""
    entry: Entry = state if state is not None else Entry()
    is_of_page = isinstance(event, MoneyBackAwaited | MoneyReturned) and not event.account_no
    of_account = None if is_of_page else _OF_ACCOUNT.get(type(event))
    if of_account is not None:
        return Entry(account=of_account(entry.account or Account(), event))
    of_page = OF_PAGE.get(type(event))
    if of_page is not None:
        return Entry(page=of_page(entry.page or Page(), event))
    return state


# -- accounts --------------------------------------------------------------------------------------


def _captured(account: Account, event: PaymentCaptured) -> Account:
    name = event.transfer_id or event.payment_id
    transfers = account.transfers
    if event.transfer_id or event.allocations:
        received_on = day_of(event.captured_at)
        today = day_number(received_on)
        new = Transfer(
            transfer_id=name,
            settled=_settled(account, event.allocations),
            received_on=received_on,
        )
        transfers = (*(kept for kept in transfers if _is_kept(account, kept, today)), new)
    changed = replace(_paid(account, event.allocations, event.prepayment_fen), transfers=transfers)
    if event.transfer_id:
        return _remember(changed, "transfer", name, event.captured_at)
    seen = Seen(
        amount_fen=event.amount_fen,
        holder=digest_of(event.out_trade_no),
        currency=event.currency,
    )
    return _remember(changed, "payment", name, event.captured_at, seen, day_of(event.occurred_at))


def _is_kept(account: Account, kept: Transfer, today: int) -> bool:
    is_capture = find(account.seen, "payment", kept.transfer_id) is not None
    days = SETTLED_DAYS if is_capture else RETENTION_DAYS
    return day_number(kept.received_on) >= today - days


def _credited(account: Account, event: CreditTaken) -> Account:
    changed = _paid(account, event.allocations, event.prepayment_fen)
    return _remember(changed, "invoice", event.correction_no, event.taken_at)


def _prepaid(account: Account, event: PrepaymentOpened) -> Account:
    changed = _paid(account, event.allocations, event.prepayment_fen)
    return replace(changed, opening_ids=_with(account.opening_ids, event.opening_id))


def _owed(account: Account, event: ReceivableOpened) -> Account:
    open_fen = event.amount_fen - event.prepayment_fen
    debt = OpenDebt(invoice_no=event.invoice_no, open_fen=open_fen, due_on=event.due_on)
    opening_ids = account.opening_ids
    changed = replace(
        account,
        prepayment_fen=account.prepayment_fen - event.prepayment_fen,
        debts=_sorted((*account.debts, debt)) if open_fen else account.debts,
        opening_ids=_with(opening_ids, event.opening_id) if event.opening_id else opening_ids,
    )
    return _remember(
        changed, "invoice", event.invoice_no, event.opened_at, Seen(), day_on=event.due_on
    )


def _reversed(account: Account, event: PaymentReversed) -> Account:
    name = event.transfer_id or event.payment_id
    changed = _given(account, event.prepayment_fen, event.debts, name)
    if not event.transfer_id:
        moved = Seen(amount_fen=event.amount_fen)
        changed = _remember(changed, "moved", event.payment_id, event.reversed_at, moved)
    return _remember(changed, "reversal", event.reversal_id, event.reversed_at)


def _given(
    account: Account, prepayment_fen: int, debts: tuple[OpenDebt, ...], name: str
) -> Account:
    """Money left the account: out of prepayment, and `debts` are open again, as far as they are
    of what the payment `name` settled it has settled less."""
    again = {debt.invoice_no: debt.open_fen for debt in debts}
    still = tuple(
        replace(debt, open_fen=debt.open_fen + again.get(debt.invoice_no, 0))
        for debt in account.debts
    )
    known = {debt.invoice_no for debt in still}
    new = tuple(debt for debt in debts if debt.invoice_no not in known)
    less = (
        replace(kept, settled=_less(kept.settled, again)) if kept.transfer_id == name else kept
        for kept in account.transfers
    )
    return replace(
        account,
        prepayment_fen=account.prepayment_fen - prepayment_fen,
        debts=_sorted((*still, *new)),
        transfers=tuple(kept for kept in less if kept.transfer_id != name or kept.settled),
    )


def _less(settled: tuple[OpenDebt, ...], again: dict[str, int]) -> tuple[OpenDebt, ...]:
    rest = (
        replace(debt, open_fen=debt.open_fen - again.get(debt.invoice_no, 0)) for debt in settled
    )
    return tuple(debt for debt in rest if debt.open_fen > 0)


def _awaited(account: Account, event: MoneyBackAwaited) -> Account:
    changed = _known_back(account, event.back, event.awaited_at)
    return replace(changed, awaited=waiting(changed.seen, (*account.awaited, event.back)))


def _returned(account: Account, event: MoneyReturned) -> Account:
    back = event.back
    changed = _given(account, event.prepayment_fen, event.debts, back.payment_id)
    changed = replace(changed, awaited=without(changed.awaited, back.back_id))
    changed = _known_back(changed, back, event.returned_at)
    if back.kind == "refund":
        changed = _refunded(changed, back.payment_id, event.amount_fen, event.returned_at)
    is_reversal = event.state == "reversed"
    return _gone(changed, back.payment_id, event.amount_fen, event.returned_at, is_reversal)


def _known_back(account: Account, back: MoneyBack, at: str) -> Account:
    return _remember(account, "back", back.back_id, at, Seen(amount_fen=back.amount_fen))


def _gone(
    account: Account, payment_id: str, amount_fen: int, at: str, is_reversed: bool = False
) -> Account:
    """So much more of a payment went back, or is on its way; below zero it does not go."""
    before = find(account.seen, "gone", payment_id) or Seen()
    holder = REVERSED if is_reversed else before.holder
    seen = Seen(amount_fen=before.amount_fen + amount_fen, holder=holder)
    return _remember(account, "gone", payment_id, at, seen)


def _refunded(account: Account, payment_id: str, amount_fen: int, at: str) -> Account:
    """So much more of a payment was refunded by its channel: Alipay tells the sum."""
    before = find(account.seen, "refunded", payment_id) or Seen()
    seen = Seen(amount_fen=before.amount_fen + amount_fen)
    return _remember(account, "refunded", payment_id, at, seen)


def _asked_for(account: Account, event: RefundOpened) -> Account:
    refund = Refund(
        refund_no=event.refund_no,
        payment_id=event.payment_id,
        out_trade_no=event.out_trade_no,
        merchant=event.merchant,
        refund_fen=event.refund_fen,
        kind=event.kind,
        state="requested",
        requested_by=event.requested_by,
        reason=event.reason,
    )
    changed = replace(account, refunds=(*account.refunds, refund))
    return _remember(changed, "refund", event.refund_no, event.opened_at)


def _approved(account: Account, event: RefundApproved) -> Account:
    changed = _given(account, event.prepayment_fen, event.debts, event.payment_id)
    changed = _refund_in(changed, event.refund_no, event.state)
    if not event.payment_id:
        return changed
    return _gone(changed, event.payment_id, event.refund_fen, event.approved_at)


def _noted(account: Account, event: RefundNoted) -> Account:
    return _refund_in(account, event.refund_no, event.state)


def _succeeded(account: Account, event: RefundSucceeded) -> Account:
    changed = _refund_ended(account, event.refund_no, "succeeded", event.succeeded_at)
    if event.by_channel:
        changed = _refunded(changed, event.payment_id, event.refund_fen, event.succeeded_at)
    if not event.back_id:
        return changed
    seen = Seen(amount_fen=event.refund_fen)
    return _remember(changed, "back", event.back_id, event.succeeded_at, seen)


def _closed(account: Account, event: RefundClosed) -> Account:
    changed = _paid(account, event.allocations, event.prepayment_fen)
    changed = _refund_ended(changed, event.refund_no, "closed", event.closed_at)
    if not event.payment_id:
        return changed
    return _gone(changed, event.payment_id, -event.refund_fen, event.closed_at)


def _declined(account: Account, event: RefundRejected) -> Account:
    return _refund_ended(account, event.refund_no, "declined", event.rejected_at)


def _refund_in(account: Account, refund_no: str, state: str) -> Account:
    return replace(
        account,
        refunds=tuple(
            replace(refund, state=state) if refund.refund_no == refund_no else refund
            for refund in account.refunds
        ),
    )


def _refund_ended(account: Account, refund_no: str, state: str, at: str) -> Account:
    """The refund is remembered by how it ended, as whatever is said of it later depends on it."""
    rest = tuple(refund for refund in account.refunds if refund.refund_no != refund_no)
    seen = Seen(holder=digest_of(state))
    return _remember(replace(account, refunds=rest), "refund", refund_no, at, seen)


def _to_pay(account: Account, event: PayableOpened) -> Account:
    payable = OpenPayable(
        statement_no=event.statement_no,
        open_fen=event.amount_fen - event.recovered_fen,
        unpaid_fen=event.amount_fen - event.recovered_fen,
        due_on=event.due_on,
        netting=event.netting,
    )
    changed = replace(
        account,
        payables=(*account.payables, payable) if payable.open_fen else account.payables,
        overpaid_fen=account.overpaid_fen - event.recovered_fen,
    )
    return _remember(changed, "statement", event.statement_no, event.opened_at)


def _lowered(account: Account, event: PayableLowered) -> Account:
    changed = _less_to_pay(account, event.allocations, event.overpaid_fen)
    return _remember(changed, "statement", event.correction_no, event.lowered_at)


def _paid_out(account: Account, event: PayableSettled) -> Account:
    paid = tuple(
        replace(each, unpaid_fen=each.unpaid_fen - event.amount_fen)
        if each.statement_no == event.statement_no
        else each
        for each in account.payables
    )
    changed = replace(account, payables=paid)
    changed = _less_to_pay(changed, event.allocations, event.overpaid_fen)
    changed = _paid(changed, event.debts, 0)
    return _remember(changed, "payout", event.request_id, event.settled_at)


def _less_to_pay(
    account: Account, allocations: tuple[Allocation, ...], overpaid_fen: int
) -> Account:
    """Payables are lower; one of which nothing is open is forgotten."""
    less = {part.invoice_no: part.amount_fen for part in allocations}
    lower = (
        replace(each, open_fen=each.open_fen - less.get(each.statement_no, 0))
        for each in account.payables
    )
    return replace(
        account,
        payables=tuple(each for each in lower if each.open_fen),
        overpaid_fen=account.overpaid_fen + overpaid_fen,
    )


def _refused_payout(account: Account, event: PayoutRejected) -> Account:
    return _remember(account, "payout", event.request_id, event.rejected_at)


def _told(account: Account, event: AccountOverdue) -> Account:
    return replace(account, told=tuple(sorted({*account.told, *event.invoice_nos})))


def _asked(account: Account, event: ClearanceOpened) -> Account:
    asked = Clearance(
        clearance_id=event.clearance_id,
        invoice_nos=event.invoice_nos,
        threshold_fen=event.threshold_fen,
        kind=event.kind,
    )
    live = (
        kept
        for kept in account.clearances
        if not kept.valid_until_at or kept.valid_until_at >= event.opened_at
    )
    changed = replace(account, clearances=(*live, asked))
    return _remember(changed, "clearance", event.clearance_id, event.opened_at)


def _granted(account: Account, event: ClearanceGranted) -> Account:
    return replace(
        account,
        clearances=tuple(
            replace(kept, valid_until_at=event.valid_until_at)
            if kept.clearance_id == event.clearance_id
            else kept
            for kept in account.clearances
        ),
    )


def _ended(account: Account, event: ClearanceRefused | ClearanceWithdrawn) -> Account:
    return replace(
        account,
        clearances=tuple(
            kept for kept in account.clearances if kept.clearance_id != event.clearance_id
        ),
    )


def _paid(account: Account, allocations: tuple[Allocation, ...], prepayment_fen: int) -> Account:
    """Money came: debts are lower, the rest is prepaid; a settled debt is forgotten."""
    debts = remaining(account.debts, allocations)
    open_nos = {debt.invoice_no for debt in debts}
    return replace(
        account,
        prepayment_fen=account.prepayment_fen + prepayment_fen,
        debts=debts,
        told=tuple(invoice_no for invoice_no in account.told if invoice_no in open_nos),
    )


def _settled(account: Account, allocations: tuple[Allocation, ...]) -> tuple[OpenDebt, ...]:
    due_on = {debt.invoice_no: debt.due_on for debt in account.debts}
    return tuple(
        OpenDebt(
            invoice_no=part.invoice_no, open_fen=part.amount_fen, due_on=due_on[part.invoice_no]
        )
        for part in allocations
    )


def _remember(
    account: Account, kind: str, name: str, at: str, seen: Seen | None = None, day_on: str = ""
) -> Account:
    today = day_number(day_of(at))
    day = day_number(day_on) if day_on else today
    packed = keep(account.seen, kind, name, seen or Seen(), day=day, today=today)
    return replace(account, seen=packed)


def _sorted(debts: tuple[OpenDebt, ...]) -> tuple[OpenDebt, ...]:
    return tuple(sorted(debts, key=lambda debt: (debt.due_on, debt.invoice_no)))


def _with(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)


_OF_ACCOUNT: dict[type, Fold] = {
    PaymentCaptured: _captured,
    CreditTaken: _credited,
    PrepaymentOpened: _prepaid,
    ReceivableOpened: _owed,
    PaymentReversed: _reversed,
    AccountOverdue: _told,
    ClearanceOpened: _asked,
    ClearanceGranted: _granted,
    ClearanceRefused: _ended,
    ClearanceWithdrawn: _ended,
    RefundOpened: _asked_for,
    RefundRejected: _declined,
    RefundApproved: _approved,
    RefundNoted: _noted,
    RefundSucceeded: _succeeded,
    RefundClosed: _closed,
    MoneyBackAwaited: _awaited,
    MoneyReturned: _returned,
    PayableOpened: _to_pay,
    PayableLowered: _lowered,
    PayableSettled: _paid_out,
    PayoutRejected: _refused_payout,
    **OF_ORDERS,
    PrepaidNoted: noted,
    EstimateNoted: estimated,
    AvailableChanged: told,
    BalanceLow: warned,
}

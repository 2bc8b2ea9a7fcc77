"""What payments knows under one key: an account, or a page of the list of transactions.

Account numbers are the keys of accounts. A transaction without a valid order number is looked up in
a page of its partition: `transactions/3fa` holds all whose digest begins so (transactions.py).

A key costs (measured, in a checkpoint and in memory):
- an account 90 bytes and 0.4 KB, each open debt 90 and 160 bytes more, and each payment, invoice,
  transfer, reversal or clearance of the last 431 days 29 bytes: 28 of them (14 bills, 14 payments)
  are 0.8 KB, and there it stays. Opening ids stay for ever, one for each account;
- a producer 0.1 KB more for each statement that is not paid yet;
- a page 30 bytes and 0.3 KB, 29 bytes for each transaction of the last 431 days, and 210 and 300
  for each suspense that nobody bound yet. With 3.3 million payments in that time and 4 partitions
  a page has 200 transactions (6 KB) and a partition 4096 pages (24 MB). What grows for ever is
  only the suspense that nobody binds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from services.payments.allocation import Allocation, OpenDebt, remaining
from services.payments.days import day_number, day_of
from services.payments.events import (
    AccountOverdue,
    BindingPart,
    BindingRejected,
    ClearanceGranted,
    ClearanceOpened,
    ClearanceRefused,
    ClearanceWithdrawn,
    CreditTaken,
    PaymentCaptured,
    PaymentClaimed,
    PaymentReversed,
    PaymentSuspended,
    PrepaymentOpened,
    ReceivableOpened,
    SuspenseBound,
    SuspenseCancelled,
)
from services.payments.payable_events import (
    PayableLowered,
    PayableOpened,
    PayableSettled,
    PayoutRejected,
)
from services.payments.seen import RETENTION_DAYS, Seen, account_holder, digest_of, find, keep


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all keys of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a transfer out of suspense settled here, in case it must be taken back."""

    transfer_id: str
    settled: tuple[OpenDebt, ...]
    received_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Clearance:
    """A clearance asked and not refused. valid_until_at: "" while its fence is under way."""

    clearance_id: str
    invoice_nos: tuple[str, ...]
    threshold_fen: int
    valid_until_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPayable:
    """What is still to be paid for a statement of feed-in.

    unpaid_fen: the same without what corrections took from it, up to which a transfer is believed.
    """

    statement_no: str
    open_fen: int
    unpaid_fen: int
    due_on: str
    netting: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The money of one account. While something is prepaid no debt is open.

    told: the open debts that were told overdue; seen: payments, invoices, transfers, reversals,
    clearances, statements and payouts taken (seen.py); payables: what is to be paid for feed-in;
    overpaid_fen: what was paid too much for it, while nothing is to be paid.
    """

    prepayment_fen: int = 0
    debts: tuple[OpenDebt, ...] = ()
    told: tuple[str, ...] = ()
    seen: bytes = b""
    opening_ids: tuple[str, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    clearances: tuple[Clearance, ...] = ()
    payables: tuple[OpenPayable, ...] = ()
    overpaid_fen: int = 0

    @property
    def receivable_fen(self) -> int:
        """All that is owed."""
        return sum(debt.open_fen for debt in self.debts)

    @property
    def payable_fen(self) -> int:
        """What is to be paid for feed-in; below zero what was paid too much."""
        return sum(each.open_fen for each in self.payables) - self.overpaid_fen

    def open_fen(self, invoice_nos: tuple[str, ...]) -> int:
        """What is owed of these invoices."""
        return sum(debt.open_fen for debt in self.debts if debt.invoice_no in invoice_nos)

    def overdue(self, day_on: str) -> tuple[OpenDebt, ...]:
        """The debts that are overdue on a day, oldest first."""
        return tuple(debt for debt in self.debts if debt.due_on < day_on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspense:
    """Money without an account. parts: to whom it was bound by `request_id`, none before.

    It stays until it is bound, and then for as long as the list knows the transaction.
    """

    payment_id: str
    channel: str
    amount_fen: int
    occurred_at: str
    clearing: str
    evidence_id: str
    currency: str
    parts: tuple[BindingPart, ...] = ()
    request_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the list of transactions: what each is, and those in suspense by their key."""

    seen: bytes = b""
    suspenses: dict[str, Suspense] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The state of a key: one of the two."""

    account: Account | None = None
    page: Page | None = None


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its key."""
    entry: Entry = state if state is not None else Entry()
    of_account = _OF_ACCOUNT.get(type(event))
    if of_account is not None:
        return Entry(account=of_account(entry.account or Account(), event))
    of_page = _OF_PAGE.get(type(event))
    if of_page is not None:
        return Entry(page=of_page(entry.page or Page(), event))
    return state


# -- accounts --------------------------------------------------------------------------------------


def _captured(account: Account, event: PaymentCaptured) -> Account:
    is_transfer = bool(event.transfer_id)
    transfers = account.transfers
    if is_transfer:
        received_on = day_of(event.captured_at)
        oldest = day_number(received_on) - RETENTION_DAYS
        transfers = (
            *(kept for kept in transfers if day_number(kept.received_on) >= oldest),
            Transfer(
                transfer_id=event.transfer_id,
                settled=_settled(account, event.allocations),
                received_on=received_on,
            ),
        )
    changed = replace(_paid(account, event.allocations, event.prepayment_fen), transfers=transfers)
    if is_transfer:
        return _remember(changed, "transfer", event.transfer_id, event.captured_at)
    seen = Seen(
        amount_fen=event.amount_fen,
        holder=digest_of(event.out_trade_no),
        currency=event.currency,
    )
    return _remember(
        changed, "payment", event.payment_id, event.captured_at, seen, day_of(event.occurred_at)
    )


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
    again = {debt.invoice_no: debt.open_fen for debt in event.debts}
    still = tuple(
        replace(debt, open_fen=debt.open_fen + again.get(debt.invoice_no, 0))
        for debt in account.debts
    )
    known = {debt.invoice_no for debt in still}
    new = tuple(debt for debt in event.debts if debt.invoice_no not in known)
    changed = replace(
        account,
        prepayment_fen=account.prepayment_fen - event.prepayment_fen,
        debts=_sorted((*still, *new)),
        transfers=tuple(
            kept for kept in account.transfers if kept.transfer_id != event.transfer_id
        ),
    )
    return _remember(changed, "reversal", event.reversal_id, event.reversed_at)


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


# -- pages -----------------------------------------------------------------------------------------


def _claimed(page: Page, event: PaymentClaimed) -> Page:
    seen = Seen(
        amount_fen=event.amount_fen,
        holder=account_holder(event.account_no),
        currency=event.currency,
    )
    return _list(page, event.payment_id, seen, event.captured_at, event.occurred_at)


def _suspended(page: Page, event: PaymentSuspended) -> Page:
    seen = Seen(amount_fen=event.amount_fen, currency=event.currency)
    listed = _list(page, event.payment_id, seen, event.suspended_at, event.occurred_at)
    suspense = Suspense(
        payment_id=event.payment_id,
        channel=event.channel,
        amount_fen=event.amount_fen,
        occurred_at=event.occurred_at,
        clearing=event.clearing,
        evidence_id=event.evidence_id,
        currency=event.currency,
    )
    return replace(listed, suspenses={**listed.suspenses, event.suspense_key: suspense})


def _bound(page: Page, event: SuspenseBound) -> Page:
    suspense = page.suspenses[event.suspense_key]
    bound = replace(suspense, parts=event.parts, request_id=event.request_id)
    changed = replace(page, suspenses={**page.suspenses, event.suspense_key: bound})
    return _heard(changed, event.request_id, event.bound_at)


def _cancelled(page: Page, event: SuspenseCancelled) -> Page:
    rest = {key: kept for key, kept in page.suspenses.items() if key != event.suspense_key}
    return replace(page, suspenses=rest)


def _rejected(page: Page, event: BindingRejected) -> Page:
    return _heard(page, event.request_id, event.rejected_at)


def _list(page: Page, payment_id: str, seen: Seen, at: str, occurred_at: str) -> Page:
    today, day = day_number(day_of(at)), day_number(day_of(occurred_at))
    return _forget(page, keep(page.seen, "payment", payment_id, seen, day=day, today=today))


def _heard(page: Page, request_id: str, at: str) -> Page:
    today = day_number(day_of(at))
    return _forget(page, keep(page.seen, "request", request_id, Seen(), day=today, today=today))


def _forget(page: Page, seen: bytes) -> Page:
    """The page with what is seen now; a bound suspense goes when its transaction is forgotten."""
    kept = {
        key: suspense
        for key, suspense in page.suspenses.items()
        if not suspense.parts or find(seen, "payment", key) is not None
    }
    return Page(seen=seen, suspenses=kept)


Fold = Callable[[Any, Any], Any]

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
    PayableOpened: _to_pay,
    PayableLowered: _lowered,
    PayableSettled: _paid_out,
    PayoutRejected: _refused_payout,
}
_OF_PAGE: dict[type, Fold] = {
    PaymentClaimed: _claimed,
    PaymentSuspended: _suspended,
    SuspenseBound: _bound,
    SuspenseCancelled: _cancelled,
    BindingRejected: _rejected,
}

"""What happened to money: captures, allocations, arrears, clearances and the journal behind them.

Names here are the storage format. A payment is never rejected: what nobody expected is captured to
suspense. Money is in fen; every event that moves money carries its balanced journal entry
(`JournalEntry` cannot be made, nor decoded, when its debits and credits differ).

A payment has one id everywhere, `channel:transaction` (`wechat:4200000000202601010000000001`); it
is also the key of its suspense. Three facts travel between keys: `payment_claimed` and
`payment_forwarded` to the transaction, `transfer_made` and `reversal_ordered` to an account.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.payments.allocation import Allocation, OpenDebt
from services.payments.journal import JournalEntry
from services.payments.notices import NoticeReceived

edge_catalogue = Catalogue("payments.edge")
edge_catalogue.event("payments.notice_received")(NoticeReceived)

catalogue = Catalogue("payments")
catalogue.reads("clock.ticked")(Tick)
catalogue.reads("payments.notice_received")(NoticeReceived)


@edge_catalogue.event("payments.binding_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRequested:
    """A person binds money in suspense to accounts (payments.notices, by the suspense's key)."""

    request_id: str
    suspense_key: str
    parts: tuple[BindingPart, ...]
    requested_by: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BindingPart:
    """What one account gets of a suspense. round: of the binding, from 1 (rebinding.py)."""

    account_no: str
    amount_fen: int
    round: int = 1


catalogue.reads("payments.binding_requested")(BindingRequested)


@catalogue.event("payments.fence_set")
@dataclass(frozen=True, slots=True, kw_only=True)
class FenceSet:
    """Written into payments.notices of the account: all that was acknowledged before is decided
    when it comes by."""

    account_no: str
    clearance_id: str


@catalogue.event("payments.payment_claimed")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentClaimed:
    """An account captured a transaction by its order number (payments.notices, by transaction).

    Own event of the list of transactions, too: from now on the transaction is this account's.
    """

    payment_id: str
    account_no: str
    amount_fen: int
    currency: str
    occurred_at: str
    clearing: str
    evidence_id: str
    captured_at: str


@catalogue.event("payments.payment_forwarded")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentForwarded:
    """Money that its account must not capture goes to suspense (payments.notices, by transaction).

    reason: older_than_horizon (whether it was captured before is not known any more),
    no_transaction_number (copies could not be told apart).
    """

    payment_id: str
    channel: str
    account_no: str
    out_trade_no: str
    amount_fen: int
    currency: str
    occurred_at: str
    clearing: str
    evidence_id: str
    reason: str
    source: str = "callback"
    merchant: str = ""
    bank_type: str = ""


@catalogue.event("payments.notice_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRefused:
    """A callback that was not accepted: kept as evidence, no money."""

    evidence_id: str
    channel: str
    cause: str


@catalogue.event("payments.notice_repeated")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRepeated:
    """A callback about a payment that is known already, with the same content."""

    evidence_id: str
    payment_id: str


@catalogue.event("payments.notice_conflicted")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeConflicted:
    """A callback about a known payment with other content: a case, no money.

    field: the first that differs (amount_fen, currency, out_trade_no, account_no). Of the order
    number known only a digest was kept.
    """

    evidence_id: str
    payment_id: str
    field: str
    known: str
    received: str


@catalogue.event("payments.notice_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNoted:
    """An accepted callback that moves no money here: closed, pending, failed, information, and
    refunds and reversals, which are kept with all that is needed to book them later.

    kind, original_txn_id: as in the notice; source: as in its record; reason: for a `captured` that
    was forwarded to suspense, or is of 0 fen.
    """

    evidence_id: str
    channel: str
    kind: str
    channel_txn_id: str
    merchant: str = ""
    out_trade_no: str = ""
    amount_fen: int = 0
    occurred_at: str = ""
    bill_on: str = ""
    refund_no: str = ""
    refund_id: str = ""
    refund_fen: int = 0
    refund_total: bool = False
    refund_outcome: str = ""
    references: dict[str, str] = field(default_factory=dict)
    reason: str = ""
    original_txn_id: str = ""
    source: str = "callback"


@catalogue.event("payments.payment_captured")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """Money reached an account: oldest debt first, the rest to prepayment.

    source: that of the notice (callback), or transfer (out of suspense, with `transfer_id`).
    occurred_at is the channel's time, captured_at the business time of the decision. clearing: the
    sub-account that it stands on until the channel pays it out; bank_type: of the payer's bank, in
    the channel's words. A transfer has none of these: its suspense had them.
    """

    payment_id: str
    account_no: str
    channel: str
    out_trade_no: str
    amount_fen: int
    occurred_at: str
    source: str
    allocations: tuple[Allocation, ...]
    prepayment_fen: int
    journal: JournalEntry
    evidence_id: str
    currency: str = "CNY"
    transfer_id: str = ""
    captured_at: str = ""
    merchant: str = ""
    clearing: str = ""
    bank_type: str = ""


@catalogue.event("payments.payment_suspended")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSuspended:
    """Money without a valid order number, in suspense until a person binds it.

    reason: no_order, or that of the account which forwarded it (account_no says which).
    """

    payment_id: str
    suspense_key: str
    channel: str
    amount_fen: int
    occurred_at: str
    journal: JournalEntry
    evidence_id: str
    currency: str = "CNY"
    clearing: str = ""
    reason: str = "no_order"
    account_no: str = ""
    out_trade_no: str = ""
    suspended_at: str = ""
    source: str = "callback"
    merchant: str = ""
    bank_type: str = ""


@catalogue.event("payments.suspense_bound")
@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseBound:
    """All of a suspense was bound, once; the transfers to the accounts follow."""

    suspense_key: str
    payment_id: str
    request_id: str
    parts: tuple[BindingPart, ...]
    bound_by: str
    journal: JournalEntry
    reason: str = ""
    bound_at: str = ""


@catalogue.event("payments.binding_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRejected:
    """A binding that is not possible: unknown or bound suspense, or parts that do not add up."""

    request_id: str
    suspense_key: str
    problem: str
    rejected_at: str = ""


@catalogue.event("payments.suspense_cancelled")
@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseCancelled:
    """The money in suspense was the payment of an account: its callback came after a row without
    an order number. What was bound already (`parts`) is reversed at those accounts, and what had
    gone back to the payer (`returned_fen`) is booked there instead.
    """

    suspense_key: str
    payment_id: str
    account_no: str
    amount_fen: int
    parts: tuple[BindingPart, ...]
    journal: JournalEntry
    returned_fen: int = 0


@catalogue.event("payments.transfer_made")
@dataclass(frozen=True, slots=True, kw_only=True)
class TransferMade:
    """Money bound out of suspense to an account (payments.transfers, by account)."""

    transfer_id: str
    account_no: str
    payment_id: str
    channel: str
    amount_fen: int
    occurred_at: str
    evidence_id: str = ""


@catalogue.event("payments.reversal_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalOrdered:
    """A capture must be taken back: the transaction is another account's (payments.transfers).

    transfer_id: of the transfer to take back; without one it is a capture by callback, whose money
    goes back to `clearing`, or to other accounts through transit when there is none.
    """

    reversal_id: str
    account_no: str
    payment_id: str
    transfer_id: str
    clearing: str
    amount_fen: int
    reason: str


@catalogue.event("payments.payment_reversed")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReversed:
    """A capture was taken back: from prepayment first, then debts are open again.

    debts: what is owed again, with the part that is: the invoices that a transfer had settled, and
    for what later invoices used up a debt in the name of the reversal. gone_fen: what had gone back
    to the payer already, which whoever has the payment now bears.
    """

    reversal_id: str
    payment_id: str
    transfer_id: str
    account_no: str
    amount_fen: int
    prepayment_fen: int
    debts: tuple[OpenDebt, ...]
    reason: str
    journal: JournalEntry
    reversed_at: str
    gone_fen: int = 0


@catalogue.event("payments.receivable_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableOpened:
    """An invoice (or an opening debt, or a debit correction) became a debt.

    prepayment_fen: what prepayment settled at once; opening_id: of the opening position, if any.
    """

    invoice_no: str
    account_no: str
    amount_fen: int
    prepayment_fen: int
    due_on: str
    journal: JournalEntry
    opening_id: str = ""
    opened_at: str = ""


@catalogue.event("payments.credit_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTaken:
    """A credit correction (or an invoice below zero) lowered debts; the rest became prepayment."""

    correction_no: str
    account_no: str
    amount_fen: int
    allocations: tuple[Allocation, ...]
    prepayment_fen: int
    journal: JournalEntry
    taken_at: str = ""


@catalogue.event("payments.prepayment_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaymentOpened:
    """A prepayment that a running utility brought along: debts first, as with any money."""

    opening_id: str
    account_no: str
    amount_fen: int
    journal: JournalEntry
    allocations: tuple[Allocation, ...] = ()
    prepayment_fen: int = 0


@catalogue.event("payments.account_overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverdue:
    """Debts are past their due date, with all that are open.

    invoice_nos: those that are told overdue by this event; each debt is told once.
    """

    account_no: str
    overdue_fen: int
    oldest_due_on: str
    debts: tuple[OpenDebt, ...]
    as_of: str
    invoice_nos: tuple[str, ...] = ()


@catalogue.event("payments.balance_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChanged:
    """How an account stands after money moved: debts by invoice and prepayment.

    as_of: the business time for which this is told; payable_fen: what is to be paid to the account
    for feed-in, below zero where too much was; it is no part of the prepayment.
    """

    account_no: str
    prepayment_fen: int
    receivable_fen: int
    overdue_fen: int
    debts: tuple[OpenDebt, ...]
    reason: str
    as_of: str = ""
    payable_fen: int = 0


@catalogue.event("payments.clearance_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceOpened:
    """Control asked; the fence is on its way. kind: arrears, or prepaid_balance for what is used
    beyond the agreed credit."""

    clearance_id: str
    account_no: str
    invoice_nos: tuple[str, ...]
    threshold_fen: int
    opened_at: str = ""
    kind: str = "arrears"


@catalogue.event("payments.clearance_granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceGranted:
    """The debt named in the notice (or what is used beyond the credit) is still open, all notices
    before the fence being decided."""

    clearance_id: str
    account_no: str
    fence_offset: int
    open_fen: int
    granted_at: str
    valid_until_at: str


@catalogue.event("payments.clearance_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceRefused:
    """The debt is settled, or too little of it is left."""

    clearance_id: str
    account_no: str
    fence_offset: int
    open_fen: int
    reason: str


@catalogue.event("payments.clearance_withdrawn")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceWithdrawn:
    """Money arrived after the fence; payment_id: the payment, or the number of the credit."""

    clearance_id: str
    account_no: str
    payment_id: str

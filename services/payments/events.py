"""What happened to money: captures, allocations, arrears, clearances and the journal behind them.

Names here are the storage format. A payment is never rejected: what nobody expected is captured to
suspense. Money is in fen; every event that moves money carries its balanced journal entry.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.payments.notices import NoticeReceived

edge_catalogue = Catalogue("payments.edge")
edge_catalogue.event("payments.notice_received")(NoticeReceived)

catalogue = Catalogue("payments")
catalogue.reads("clock.ticked")(Tick)
catalogue.reads("payments.notice_received")(NoticeReceived)


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalLine:
    """One leg: a ledger account of the chart, its sub-account, debit or credit in fen."""

    ledger_account: str
    sub_account: str
    debit_fen: int
    credit_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalEntry:
    """Legs whose debits equal their credits, with what they are for."""

    text: str
    lines: tuple[JournalLine, ...]


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
    """What one account gets of a suspense."""

    account_no: str
    amount_fen: int


catalogue.reads("payments.binding_requested")(BindingRequested)


@catalogue.event("payments.fence_set")
@dataclass(frozen=True, slots=True, kw_only=True)
class FenceSet:
    """Written into payments.notices of the account: all that was acknowledged before is decided
    when it comes by."""

    account_no: str
    clearance_id: str


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
    """A callback about a known payment with other content: a case, no money."""

    evidence_id: str
    payment_id: str
    field: str
    known: str
    received: str


@catalogue.event("payments.notice_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeNoted:
    """An accepted callback that moves no money (closed, pending, refund not of ours)."""

    evidence_id: str
    channel: str
    kind: str
    channel_txn_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """What of a payment went to one receivable."""

    invoice_no: str
    amount_fen: int


@catalogue.event("payments.payment_captured")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """Money reached an account: oldest debt first, the rest to prepayment.

    payment_id: channel:transaction; source: callback, transfer; late: after the order was closed.
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


@catalogue.event("payments.payment_suspended")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentSuspended:
    """Money without a valid order number, in suspense until a person binds it."""

    payment_id: str
    suspense_key: str
    channel: str
    amount_fen: int
    occurred_at: str
    journal: JournalEntry
    evidence_id: str


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


@catalogue.event("payments.binding_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class BindingRejected:
    """A binding that is not possible: unknown or bound suspense, or parts that do not add up."""

    request_id: str
    suspense_key: str
    problem: str


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


@catalogue.event("payments.receivable_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivableOpened:
    """An invoice (or an opening debt, or a debit correction) became a debt.

    prepayment_fen: what prepayment settled at once.
    """

    invoice_no: str
    account_no: str
    amount_fen: int
    prepayment_fen: int
    due_on: str
    journal: JournalEntry


@catalogue.event("payments.credit_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class CreditTaken:
    """A credit correction lowered debts; the rest became prepayment."""

    correction_no: str
    account_no: str
    amount_fen: int
    allocations: tuple[Allocation, ...]
    prepayment_fen: int
    journal: JournalEntry


@catalogue.event("payments.prepayment_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class PrepaymentOpened:
    """A prepayment that a running utility brought along."""

    opening_id: str
    account_no: str
    amount_fen: int
    journal: JournalEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDebt:
    """One debt as it stands."""

    invoice_no: str
    open_fen: int
    due_on: str


@catalogue.event("payments.account_overdue")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOverdue:
    """Debts are past their due date; emitted once per overdue debt, with all that are open."""

    account_no: str
    overdue_fen: int
    oldest_due_on: str
    debts: tuple[OpenDebt, ...]
    as_of: str


@catalogue.event("payments.balance_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceChanged:
    """How an account stands after money moved: debts by invoice and prepayment."""

    account_no: str
    prepayment_fen: int
    receivable_fen: int
    overdue_fen: int
    debts: tuple[OpenDebt, ...]
    reason: str


@catalogue.event("payments.clearance_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceOpened:
    """Control asked; the fence is on its way."""

    clearance_id: str
    account_no: str
    invoice_nos: tuple[str, ...]
    threshold_fen: int


@catalogue.event("payments.clearance_granted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceGranted:
    """The debt named in the notice is still open, all notices before the fence being decided."""

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
    """Money arrived after the fence."""

    clearance_id: str
    account_no: str
    payment_id: str

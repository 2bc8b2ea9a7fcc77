"""Refunds that people ask for: what the edge writes, and what became of it.

Names here are the storage format. Requests, decisions and reports go to payments.notices under the
account. A refund is of one payment (`payment_id`), or of what is prepaid ("" and kind `bank`, when
a contract ends). Its money stands on `refund_payable` from approval until it is paid or given up.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.allocation import Allocation, OpenDebt
from services.payments.events import catalogue, edge_catalogue
from services.payments.journal import JournalEntry


@edge_catalogue.event("payments.refund_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequested:
    """A person asks to give money back. refund_no: ours, the channel's `out_refund_no`; kind:
    channel (the way it came) or bank (a transfer); out_trade_no proves which payment is meant."""

    refund_no: str
    account_no: str
    payment_id: str
    out_trade_no: str
    merchant: str
    refund_fen: int
    kind: str
    requested_by: str
    reason: str


@edge_catalogue.event("payments.refund_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundDecided:
    """What a second person says of a request: decision is `approved` or `declined`."""

    refund_no: str
    account_no: str
    decision: str
    person: str
    reason: str


@edge_catalogue.event("payments.refund_reported")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundReported:
    """What a person saw of a refund, with the evidence: a fact of refund_table.

    bill_on: the day of the channel's bill, for `succeeded`; bank: our account, for `paid`.
    """

    refund_no: str
    account_no: str
    fact: str
    person: str
    evidence: str
    bill_on: str = ""
    bank: str = ""


for _name, _body in (
    ("payments.refund_requested", RefundRequested),
    ("payments.refund_decided", RefundDecided),
    ("payments.refund_reported", RefundReported),
):
    catalogue.reads(_name)(_body)


@catalogue.event("payments.refund_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOpened:
    """A request that may be decided: a second person is asked."""

    refund_no: str
    account_no: str
    payment_id: str
    out_trade_no: str
    merchant: str
    refund_fen: int
    kind: str
    requested_by: str
    reason: str
    opened_at: str


@catalogue.event("payments.refund_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRejected:
    """A request that is not possible, not any more, or was declined: it ends, no money moves."""

    refund_no: str
    account_no: str
    problem: str
    person: str
    rejected_at: str


@catalogue.event("payments.refund_fact_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFactRefused:
    """Something was said of a refund that has no way on from its state: a work item.

    by: the person, or the evidence id of the channel's notice.
    """

    refund_no: str
    account_no: str
    state: str
    fact: str
    by: str
    problem: str


@catalogue.event("payments.refund_approved")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundApproved:
    """Two people want it. What was not prepaid is de-allocated: `debts` are owed again at once."""

    refund_no: str
    account_no: str
    payment_id: str
    refund_fen: int
    prepayment_fen: int
    debts: tuple[OpenDebt, ...]
    journal: JournalEntry
    state: str
    requested_by: str
    approved_by: str
    approved_at: str


@catalogue.event("payments.refund_ordered")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundOrdered:
    """All that the command to the channel, or to the bank, needs. total_fen: of the payment.

    It is sent at most once; what became of it comes as a notice or as a person's report.
    """

    refund_no: str
    account_no: str
    kind: str
    channel: str
    merchant: str
    payment_id: str
    out_trade_no: str
    total_fen: int
    refund_fen: int
    reason: str
    ordered_at: str


@catalogue.event("payments.refund_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundNoted:
    """A refund came on without money: processing, abnormal (the card is dead, the money is still
    ours: a work item), or rerouted (a bank transfer is ordered)."""

    refund_no: str
    account_no: str
    state: str
    by: str
    evidence: str
    noted_at: str


@catalogue.event("payments.refund_succeeded")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundSucceeded:
    """The payer has the money: by the channel (its bill day's clearing) or by the bank.

    back_id: of the channel's refund, by which a copy is known; "" where a person said it.
    """

    refund_no: str
    account_no: str
    payment_id: str
    refund_fen: int
    journal: JournalEntry
    by: str
    evidence: str
    succeeded_at: str
    by_channel: bool
    back_id: str = ""


@catalogue.event("payments.refund_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class RefundClosed:
    """The refund will not be paid: its money is the account's again, oldest debt first.

    claim_fen: what the channel took back of the payment meanwhile comes first.
    """

    refund_no: str
    account_no: str
    payment_id: str
    refund_fen: int
    allocations: tuple[Allocation, ...]
    prepayment_fen: int
    claim_fen: int
    journal: JournalEntry
    by: str
    evidence: str
    closed_at: str

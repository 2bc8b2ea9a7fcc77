"""What the utility owes for feed-in and how it was settled: events of their own series.

A payable is no debt of the account and no prepayment: it is paid out by a bank transfer that a
person records with its evidence, or settles debts where the statement says so (`offset`).
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.allocation import Allocation
from services.payments.events import catalogue, edge_catalogue
from services.payments.journal import JournalEntry

TRANSFER, OFFSET = "transfer", "offset"


@edge_catalogue.event("payments.payout_recorded")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRecorded:
    """A person settles a payable (payments.notices, by account).

    kind: `transfer`, money that left the bank account `bank` on `paid_on` under the bank's
    `bank_ref`, with what proves it; or `offset`, which settles debts of the account.
    """

    request_id: str
    account_no: str
    statement_no: str
    kind: str
    amount_fen: int
    recorded_by: str
    reason: str
    bank: str = ""
    bank_ref: str = ""
    paid_on: str = ""
    evidence: str = ""


catalogue.reads("payments.payout_recorded")(PayoutRecorded)


@catalogue.event("payments.payable_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayableOpened:
    """A statement of feed-in (or a correction upwards) is to be paid to the account.

    recovered_fen: the part of it that was paid too much before; netting: as the statement has it.
    """

    statement_no: str
    account_no: str
    amount_fen: int
    recovered_fen: int
    due_on: str
    netting: str
    journal: JournalEntry
    opened_at: str


@catalogue.event("payments.payable_lowered")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayableLowered:
    """A correction downwards: open payables are lower, oldest first; `overpaid_fen` of it was paid
    already and is kept from the next ones."""

    correction_no: str
    account_no: str
    amount_fen: int
    allocations: tuple[Allocation, ...]
    overpaid_fen: int
    journal: JournalEntry
    lowered_at: str


@catalogue.event("payments.payable_settled")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayableSettled:
    """A payable was paid out, or set off against debts, as a person recorded it.

    allocations: by payable, that of the statement first; overpaid_fen: what a correction had taken
    from it before the transfer was recorded; debts: what an offset settled.
    """

    request_id: str
    statement_no: str
    account_no: str
    kind: str
    amount_fen: int
    allocations: tuple[Allocation, ...]
    overpaid_fen: int
    debts: tuple[Allocation, ...]
    bank: str
    bank_ref: str
    paid_on: str
    evidence: str
    recorded_by: str
    reason: str
    journal: JournalEntry
    settled_at: str


@catalogue.event("payments.payout_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutRejected:
    """A payout that is not possible: no such payable, more than it is, or not to be set off."""

    request_id: str
    account_no: str
    statement_no: str
    problem: str
    rejected_at: str

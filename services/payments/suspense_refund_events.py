"""Money in suspense that went back to its payer by bank: the request and what became of it.

Names here are the storage format; the request goes to payments.notices under the suspense.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import catalogue, edge_catalogue
from services.payments.journal import JournalEntry


@edge_catalogue.event("payments.suspense_refund_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseRefundRequested:
    """Two people sent money in suspense back to its payer. bank, bank_ref, paid_on: our account,
    and the transfer's number and day; evidence: why nobody claims it, and whose it is."""

    request_id: str
    suspense_key: str
    amount_fen: int
    bank: str
    bank_ref: str
    paid_on: str
    evidence: str
    requested_by: str
    approved_by: str
    reason: str


catalogue.reads("payments.suspense_refund_requested")(SuspenseRefundRequested)


@catalogue.event("payments.suspense_refunded")
@dataclass(frozen=True, slots=True, kw_only=True)
class SuspenseRefunded:
    """So much of a suspense went back by bank. What cannot is `binding_rejected`."""

    suspense_key: str
    payment_id: str
    request_id: str
    amount_fen: int
    bank: str
    bank_ref: str
    paid_on: str
    evidence: str
    requested_by: str
    approved_by: str
    reason: str
    journal: JournalEntry
    refunded_at: str

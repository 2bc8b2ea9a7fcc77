"""What billing takes of payments: which debts a capture settled, and when it was paid."""

from __future__ import annotations

from dataclasses import dataclass

from services.billing.events import catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The part of a payment that settled (some of) a debt."""

    invoice_no: str
    amount_fen: int


@catalogue.reads("payments.payment_captured")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCaptured:
    """Money reached an account; transfer_id: of money that was in suspense before."""

    payment_id: str
    account_no: str
    occurred_at: str
    allocations: tuple[Allocation, ...]
    transfer_id: str = ""


@catalogue.reads("payments.payment_reversed")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentReversed:
    """A capture was taken back."""

    payment_id: str
    transfer_id: str
    account_no: str

"""The shapes of what payments knows under one key; state.py folds them and says what they cost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from services.payments.allocation import OpenDebt
from services.payments.events import BindingPart
from services.payments.money_back import MoneyBack
from services.payments.order_state import Order
from services.payments.prepaid_events import EstimateNoted, PrepaidTerms
from services.payments.seen import digest_of, find

Fold = Callable[[Any, Any], Any]

REVERSED = digest_of("reversed")
"""Holder of what is gone of a payment that was reversed or charged back."""


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all keys of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """What a transfer out of suspense settled here, in case it must be taken back.

    A capture by order number that settled debts is kept so, too, under its payment id.
    """

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
    kind: str = "arrears"


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
class Refund:
    """A refund of ours that has not ended. payment_id: "" for one of what is prepaid; attempt,
    next_at: how often its channel was asked, and when it is again ("" for never)."""

    refund_no: str
    payment_id: str
    out_trade_no: str
    merchant: str
    refund_fen: int
    kind: str
    state: str
    requested_by: str
    reason: str
    attempt: int = 0
    next_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepaid:
    """What is known of an account that pays ahead; empty for any other.

    terms: by their days; estimates: by month, until its invoice; warned: the stages that it was
    told; money_fen: prepayment less debts when it was last told what is left.
    """

    version: int = 0
    terms: tuple[PrepaidTerms, ...] = ()
    estimates: dict[str, EstimateNoted] = field(default_factory=dict)
    warned: tuple[str, ...] = ()
    money_fen: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """The money of one account. While something is prepaid no debt is open.

    told: the open debts that were told overdue; seen: payments, invoices, transfers, reversals,
    clearances, refunds, statements, payouts and money that went back (seen.py); awaited: money that
    went back of payments that have not come; payables: what is to be paid for feed-in;
    overpaid_fen: what was paid too much for it, while nothing is to be paid; orders: those that may
    be paid, and the last that ended; prepaid: of who pays ahead.
    """

    prepayment_fen: int = 0
    debts: tuple[OpenDebt, ...] = ()
    told: tuple[str, ...] = ()
    seen: bytes = b""
    opening_ids: tuple[str, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    clearances: tuple[Clearance, ...] = ()
    refunds: tuple[Refund, ...] = ()
    awaited: tuple[MoneyBack, ...] = ()
    payables: tuple[OpenPayable, ...] = ()
    overpaid_fen: int = 0
    orders: tuple[Order, ...] = ()
    prepaid: Prepaid = field(default_factory=Prepaid)

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

    It stays until it is bound, and then for as long as the list knows the transaction. rounds: how
    often it was bound; returned: what went back to the payer, from it or from its parts.
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
    rounds: int = 0
    returned: tuple[MoneyBack, ...] = ()

    @property
    def left_fen(self) -> int:
        """What did not go back to the payer."""
        return max(0, self.amount_fen - sum(back.amount_fen for back in self.returned))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of the list of transactions: what each is, and those in suspense by their key.

    awaited: money that went back of transactions that have not come.
    """

    seen: bytes = b""
    suspenses: dict[str, Suspense] = field(default_factory=dict)
    awaited: tuple[MoneyBack, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """The state of a key: one of the two."""

    account: Account | None = None
    page: Page | None = None


def without(awaited: tuple[MoneyBack, ...], back_id: str) -> tuple[MoneyBack, ...]:
    """The others that are awaited."""
    return tuple(back for back in awaited if back.back_id != back_id)


def waiting(seen: bytes, awaited: tuple[MoneyBack, ...]) -> tuple[MoneyBack, ...]:
    """Those that are still remembered: what never came is given up with its entry."""
    return tuple(back for back in awaited if find(seen, "back", back.back_id) is not None)

"""Money that goes back to a payer without being asked by us, as accounts and pages book it.

A refund made elsewhere, a reversal and a chargeback are facts of the channel: what it took, it
took. So all of it is credited to the clearing of the channel's day, whatever we have left of the
payment; what we do not have is our claim on the channel. What an account bears of a payment is

    min(captured, all that went back or is on its way)

which no order of arrival can change.

Example: captured 100.00, then refunded 30.00 and reversed 100.00: the account gives 30.00 and
70.00, and 30.00 are claimed from the channel; the other way round it gives 100.00 at once.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from services.payments.allocation import OpenDebt
from services.payments.events import catalogue
from services.payments.journal import JournalEntry, clearing_of
from services.payments.notices import PaymentNotice


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBack:
    """One fact that takes money of `payment_id` back.

    back_id: the same for every copy and source. kind: one of MONEY_BACK. is_total: `amount_fen` is
    all that was refunded so far (Alipay). clearing: where the channel took it; "" for what an
    account gave before the payment was another's: that comes through transit. own_txn_id: where the
    channel numbers a refund like a payment (cards); its file has it under that number.
    """

    back_id: str
    payment_id: str
    kind: str
    amount_fen: int
    clearing: str
    evidence_id: str
    is_total: bool = False
    refund_no: str = ""
    own_txn_id: str = ""

    @property
    def booked_as(self) -> str:
        """`channel:transaction` under which the channel's file has it."""
        channel = self.payment_id.partition(":")[0]
        return f"{channel}:{self.own_txn_id}" if self.own_txn_id else self.payment_id


@catalogue.event("payments.money_back_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBackAwaited:
    """Money went back of a payment that nobody knows yet: booked when it comes (0400 before 0200).

    Until then it is a work item: without its sale no money is booked, because none came.
    """

    back: MoneyBack
    awaited_at: str
    account_no: str = ""


@catalogue.event("payments.money_back_forwarded")
@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyBackForwarded:
    """Money went back of a payment that stands elsewhere.

    From an account to the transaction (payments.notices), or from there to the account that has it
    (payments.transfers; `account_no`), where it is an own event, too.
    """

    back: MoneyBack
    account_no: str = ""
    forwarded_at: str = ""


@catalogue.event("payments.money_returned")
@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyReturned:
    """The money went back: out of prepayment first, then debts are open again; or of a suspense.

    debts: what is owed again; suspense_fen, parts: what a suspense, or the accounts that it was
    bound to, gave; claim_fen: what the channel took beyond what it had paid. state: of the payment.
    """

    back: MoneyBack
    account_no: str
    amount_fen: int
    journal: JournalEntry
    state: str
    prepayment_fen: int = 0
    debts: tuple[OpenDebt, ...] = ()
    suspense_fen: int = 0
    parts: dict[str, int] = field(default_factory=dict)
    claim_fen: int = 0
    returned_at: str = ""


def original_of(notice: PaymentNotice) -> str:
    """The payment that a notice takes back, `channel:transaction`."""
    return f"{notice.channel}:{notice.original_txn_id or notice.channel_txn_id}"


def back_of(notice: PaymentNotice, evidence_id: str) -> MoneyBack | None:
    """A notice of MONEY_BACK as money that went; None for one that moves none (yet)."""
    is_refund = notice.kind == "refund"
    amount_fen = notice.refund_fen if is_refund else notice.amount_fen
    if amount_fen <= 0 or (is_refund and notice.refund_outcome != "succeeded"):
        return None
    return MoneyBack(
        back_id=_back_id(notice, amount_fen),
        payment_id=original_of(notice),
        kind=notice.kind,
        amount_fen=amount_fen,
        clearing=clearing_of(notice.channel, notice.merchant, notice.bill_on),
        evidence_id=evidence_id,
        is_total=notice.refund_total,
        refund_no=notice.refund_no,
        own_txn_id=notice.channel_txn_id if _has_own_number(notice) else "",
    )


def _has_own_number(notice: PaymentNotice) -> bool:
    """Whether a refund or void has a transaction of its own; a reversal by our own terminals has
    the sale's with its kind of message behind it, which is no number of a file."""
    original = notice.original_txn_id
    own = notice.channel_txn_id
    return bool(original) and own != original and not own.startswith(f"{original}-")


def _back_id(notice: PaymentNotice, amount_fen: int) -> str:
    """Who states a sum of all refunds is known by it; others by the number of what they did."""
    original = notice.original_txn_id or notice.channel_txn_id
    if notice.refund_total:
        return f"{notice.channel}:{original}/total/{amount_fen}"
    own = notice.channel_txn_id if notice.channel_txn_id != original else ""
    number = notice.refund_no or own or notice.refund_id
    return f"{notice.channel}:{original}/{notice.kind}/{number}"

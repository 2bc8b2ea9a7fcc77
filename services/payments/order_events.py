"""Orders of accounts, and what is asked of channels about them: names here are the storage format.

The edge writes `order_opened` to payments.notices before a payer sees the order. What payments asks
of a channel (`channel_asked`) is an own event and goes to payments.commands, too, under the
account; what the channel said comes back as `channel_answered` (payments.results).
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import catalogue, edge_catalogue
from services.payments.notices import NoticeReceived

QUERY, CLOSE, REFUND, REFUND_QUERY = "query", "close", "refund", "refund_query"
KINDS = (QUERY, CLOSE, REFUND, REFUND_QUERY)

ANSWERED, CLOSED, NOT_FOUND = "answered", "closed", "not_found"
REFUSED, UNANSWERED, NOT_SENT = "refused", "unanswered", "not_sent"
OUTCOMES = (ANSWERED, CLOSED, NOT_FOUND, REFUSED, UNANSWERED, NOT_SENT)
"""answered: a signed statement, in `notice`; closed: the order is closed there; not_found: the
channel does not know it; refused: a signed no, with its code; unanswered: nothing that we believe
(no answer, no signature, too many requests); not_sent: we know that nothing was sent."""


@edge_catalogue.event("payments.order_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderOpened:
    """A payer is about to be shown an order. merchant: our name at the channel; life_min: minutes
    until it expires, 0 for the policy's; invoice_nos: what it is meant for."""

    out_trade_no: str
    account_no: str
    channel: str
    merchant: str
    amount_fen: int
    opened_by: str
    invoice_nos: tuple[str, ...] = ()
    life_min: int = 0


catalogue.reads("payments.order_opened")(OrderOpened)


@catalogue.event("payments.order_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderNoted:
    """An order is open: until it ends the channel is asked by the schedule."""

    out_trade_no: str
    account_no: str
    channel: str
    merchant: str
    amount_fen: int
    invoice_nos: tuple[str, ...]
    opened_by: str
    opened_at: str
    expires_at: str
    next_at: str


@catalogue.event("payments.order_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderRejected:
    """An order that cannot be: its number, account, channel, amount or life is wrong, or taken."""

    out_trade_no: str
    account_no: str
    problem: str


@catalogue.event("payments.channel_asked")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAsked:
    """What a channel is asked or told to do. kind: one of KINDS.

    attempt: which of the schedule; next_at: when it is asked again if no answer ends it, "" for
    never; is_closing: the order has expired, so it is asked a last time and closed. Of a refund
    refund_no is ours, total_fen what its payment was.
    """

    command_id: str
    kind: str
    account_no: str
    channel: str
    merchant: str
    out_trade_no: str
    attempt: int
    next_at: str
    asked_at: str
    is_closing: bool = False
    payment_id: str = ""
    refund_no: str = ""
    total_fen: int = 0
    refund_fen: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAnswered:
    """What became of a command (`payments.channel_answered` of the effect core).

    outcome: one of OUTCOMES; code: the channel's word; cause: one of channels.causes.Cause, ""
    where nothing failed; received: what it states, with its evidence; looked: after a crash nobody
    knew whether the command was sent, so it was asked about and not sent again.
    """

    command_id: str
    kind: str
    account_no: str
    out_trade_no: str
    refund_no: str
    outcome: str
    code: str
    cause: str
    detail: str
    looked: bool
    received: NoticeReceived | None


catalogue.reads("payments.channel_answered")(ChannelAnswered)


@catalogue.event("payments.payment_pending")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentPending:
    """The channel knows the order, or not yet, and nobody has paid. state: the channel's word."""

    out_trade_no: str
    account_no: str
    channel_state: str


@catalogue.event("payments.payment_unknown")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentUnknown:
    """Nothing that we believe was answered. next_query_at: "" where only the file will tell."""

    out_trade_no: str
    account_no: str
    cause: str
    channel_code: str
    attempts: int
    next_query_at: str


@catalogue.event("payments.payment_failed")
@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentFailed:
    """The channel says that the payment failed. failure_cause: one of channels.causes.Cause."""

    out_trade_no: str
    account_no: str
    channel: str
    failure_cause: str
    channel_code: str
    bank: str
    failed_at: str


@catalogue.event("payments.order_ended")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderEnded:
    """Nobody paid the order. state: closed (the channel says so) or expired (it never knew it, or
    never answered); failure_cause as of a payment that failed."""

    out_trade_no: str
    account_no: str
    channel: str
    state: str
    failure_cause: str
    channel_code: str
    ended_at: str


@catalogue.event("payments.order_paid")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrderPaid:
    """A payment of the order was captured. is_late: after it had ended; duplicate_of: the payment
    that had paid it before; paid_fen differs from amount_fen where another amount was paid. The
    money is captured in any case."""

    out_trade_no: str
    account_no: str
    payment_id: str
    amount_fen: int
    paid_fen: int
    is_late: bool
    duplicate_of: str
    source: str
    paid_at: str


@catalogue.event("payments.orders_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersChanged:
    """All orders of the account that may still be paid: a payment may be in flight."""

    account_no: str
    open_orders: tuple[str, ...]
    as_of: str

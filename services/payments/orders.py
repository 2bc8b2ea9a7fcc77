"""Orders that a payer was shown: asked about by a schedule, closed when they expire.

    opened    created; the channel is asked 1, 2, 5, ... minutes later (policy.query_after_min)
    expired   closing: asked a last time, and closed at the channel when nobody paid
    paid      whoever says so, the capture is captures.on_money; a payment that comes after the end
              is late, a second one is a duplicate, another amount is seen: the money counts always

payment_table.PAYMENT says where each fact leads. What the channel answers is in channel_answers.py.
"""

from __future__ import annotations

from services.payments import returns
from services.payments.days import add_minutes
from services.payments.draft import Draft
from services.payments.entries import Refund
from services.payments.order_events import (
    CLOSE,
    QUERY,
    REFUND_QUERY,
    ChannelAsked,
    OrderNoted,
    OrderOpened,
    OrderPaid,
    OrderRejected,
    OrdersChanged,
)
from services.payments.order_number import account_of
from services.payments.order_state import Order, open_orders

COMMANDS = "payments.commands"
CHANNELS = ("wechat", "alipay")
"""Channels that can be asked; an acquirer of card terminals only tells."""
LIFE_MIN_MAX = 30 * 1440


def order_of(draft: Draft, out_trade_no: str) -> Order | None:
    """The order of this number as it stands; None when it is not known (any more)."""
    return next((o for o in draft.account.orders if o.out_trade_no == out_trade_no), None)


def on_opened(draft: Draft, opened: OrderOpened) -> None:
    """An order is opened or rejected; the same once more changes nothing."""
    known = order_of(draft, opened.out_trade_no)
    said = (opened.channel, opened.merchant, opened.amount_fen)
    if known is not None and said == (known.channel, known.merchant, known.amount_fen):
        return
    problem = _problem(draft, opened, known)
    if problem:
        draft.note(
            OrderRejected(
                out_trade_no=opened.out_trade_no, account_no=opened.account_no, problem=problem
            )
        )
        return
    policy = draft.policy
    life_min = max(opened.life_min or policy.order_life_min, policy.order_close_min)
    expires_at = add_minutes(draft.at, life_min)
    before = open_orders(draft.account)
    draft.note(
        OrderNoted(
            out_trade_no=opened.out_trade_no,
            account_no=draft.key,
            channel=opened.channel,
            merchant=opened.merchant,
            amount_fen=opened.amount_fen,
            invoice_nos=opened.invoice_nos,
            opened_by=opened.opened_by,
            opened_at=draft.at,
            expires_at=expires_at,
            next_at=min(add_minutes(draft.at, policy.query_after_min[0]), expires_at),
        )
    )
    tell(draft, before)


def on_time(draft: Draft) -> None:
    """Channels are asked about the orders and refunds whose time has come."""
    for order in draft.account.orders:
        if _is_due(order.next_at, draft.at):
            ask(draft, order, QUERY)
    for refund in draft.account.refunds:
        if _is_due(refund.next_at, draft.at):
            ask_refund(draft, refund.refund_no, REFUND_QUERY)


def query_now(draft: Draft) -> None:
    """Ask about every order that may still be paid, at once and besides the schedule."""
    for order in draft.account.orders:
        if order.is_open:
            ask(draft, order, QUERY, is_extra=True)


def ask(draft: Draft, order: Order, kind: str, *, is_extra: bool = False) -> None:
    """Ask the channel, or have it close the order; an extra question moves no schedule."""
    is_closing = order.state == "closing" or (not is_extra and draft.at >= order.expires_at)
    attempt, next_at = order.attempt, order.next_at
    if not is_extra and kind != CLOSE:
        begins = is_closing and order.state != "closing"
        base_at = draft.at if begins else order.base_at
        attempt, next_at = _next(draft, base_at, 0 if begins else order.attempt + 1)
        if not is_closing:
            next_at = min(next_at or order.expires_at, order.expires_at)
    _send(
        draft,
        ChannelAsked(
            command_id=f"{order.out_trade_no}/{order.asked + 1}",
            kind=kind,
            account_no=draft.key,
            channel=order.channel,
            merchant=order.merchant,
            out_trade_no=order.out_trade_no,
            attempt=attempt,
            next_at=next_at,
            asked_at=draft.at,
            is_closing=is_closing,
        ),
    )


def ask_refund(draft: Draft, refund_no: str, kind: str) -> None:
    """Have the channel refund, or ask it about the refund; nothing where no channel can be told.

    It is asked again after longer and longer waits, each counted from the last question.
    """
    refund = next(each for each in draft.account.refunds if each.refund_no == refund_no)
    channel = refund.payment_id.partition(":")[0]
    if channel not in CHANNELS or refund.kind != "channel":
        return
    after_min = draft.policy.query_after_min
    is_last = refund.attempt >= len(after_min)
    _send(
        draft,
        ChannelAsked(
            command_id=f"{refund_no}/{refund.attempt + 1}",
            kind=kind,
            account_no=draft.key,
            channel=channel,
            merchant=refund.merchant,
            out_trade_no=refund.out_trade_no,
            attempt=refund.attempt + 1,
            next_at="" if is_last else add_minutes(draft.at, after_min[refund.attempt]),
            asked_at=draft.at,
            payment_id=refund.payment_id,
            refund_no=refund_no,
            total_fen=returns.captured_fen(draft, refund.payment_id) or 0,
            refund_fen=refund.refund_fen,
            reason=refund.reason,
        ),
    )


def on_paid(
    draft: Draft, out_trade_no: str, payment_id: str, paid_fen: int, source: str, *, is_new: bool
) -> None:
    """A payment with this order number is captured; a copy tells only what nobody knew."""
    order = order_of(draft, out_trade_no)
    if order is None or (order.payment_id and not is_new):
        return
    before = open_orders(draft.account)
    draft.note(
        OrderPaid(
            out_trade_no=out_trade_no,
            account_no=draft.key,
            payment_id=payment_id,
            amount_fen=order.amount_fen,
            paid_fen=paid_fen,
            is_late=not order.is_open and not order.payment_id,
            duplicate_of=order.payment_id,
            source=source,
            paid_at=draft.at,
        )
    )
    tell(draft, before)


def tell(draft: Draft, before: tuple[str, ...]) -> None:
    """Tell which orders may be paid now, if others could be before."""
    now = open_orders(draft.account)
    if now != before:
        draft.note(OrdersChanged(account_no=draft.key, open_orders=now, as_of=draft.at))


def due_at(orders: tuple[Order, ...], refunds: tuple[Refund, ...]) -> str:
    """When a channel must be asked next; "" for never."""
    times = [order.next_at for order in orders] + [refund.next_at for refund in refunds]
    return min(filter(None, times), default="")


def _problem(draft: Draft, opened: OrderOpened, known: Order | None) -> str:
    if known is not None:
        return "another order has this number"
    if account_of(opened.out_trade_no) != draft.key or opened.account_no != draft.key:
        return f"the number is none of account {draft.key}"
    if opened.channel not in CHANNELS:
        return f"{opened.channel!r} is no channel that can be asked"
    if opened.amount_fen <= 0:
        return f"{opened.amount_fen} fen is no amount above zero"
    if not 0 <= opened.life_min <= LIFE_MIN_MAX:
        return f"{opened.life_min} minutes is no life of an order"
    return ""


def _next(draft: Draft, base_at: str, attempt: int) -> tuple[int, str]:
    """The attempt made now, at least `attempt`, and when the next one is due, after now."""
    after_min = draft.policy.query_after_min
    while attempt < len(after_min) and add_minutes(base_at, after_min[attempt]) <= draft.at:
        attempt += 1
    return attempt, add_minutes(base_at, after_min[attempt]) if attempt < len(after_min) else ""


def _is_due(next_at: str, now: str) -> bool:
    return "" < next_at <= now


def _send(draft: Draft, asked: ChannelAsked) -> None:
    draft.note(asked)
    draft.send(asked, COMMANDS, draft.key)

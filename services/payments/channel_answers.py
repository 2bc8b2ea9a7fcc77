"""What a channel answered, decided like the callback that did not come.

A statement about money is taken by captures, with source `query`: a callback that comes after all
is a copy of it, and the other way round. What a channel says without money moves the order on; what
nobody answered is unknown, and asked again by the schedule (orders.py).
"""

from __future__ import annotations

from services.payments import captures, orders, refunds
from services.payments.draft import Draft
from services.payments.order_events import (
    ANSWERED,
    CLOSE,
    CLOSED,
    NOT_FOUND,
    NOT_SENT,
    REFUND,
    REFUSED,
    ChannelAnswered,
    OrderEnded,
    PaymentFailed,
    PaymentPending,
    PaymentUnknown,
)
from services.payments.order_state import Order, open_orders

IN_HAND = ("USERPAYING", "ACCEPT")
"""States in which the payer types a password just now: an order is not closed then."""
NOBODY_PAID, NOBODY_KNOWS = "user_cancelled", "timeout_unknown"


def on_answered(draft: Draft, answer: ChannelAnswered) -> None:
    """An answer, or that there was none, about an order or a refund."""
    if answer.refund_no:
        _on_refund(draft, answer)
    else:
        _on_order(draft, answer)


def _on_order(draft: Draft, answer: ChannelAnswered) -> None:
    received = answer.received
    money = captures.money_of(received) if received is not None else None
    if received is not None and money is not None:
        captures.on_money(draft, received, money)
        return
    order = orders.order_of(draft, answer.out_trade_no)
    if order is None or not order.is_open:
        return
    notice = received.notice if received is not None else None
    fact = notice.kind if notice is not None else answer.outcome
    is_closing = order.state == "closing"
    if fact == CLOSED:
        _end(draft, order, CLOSED, answer.cause or NOBODY_PAID, answer.code)
    elif fact == "failed":
        bank = notice.references.get("bank_type", "") if notice is not None else ""
        _fail(draft, order, answer, bank)
    elif is_closing and fact == NOT_FOUND:
        _end(draft, order, "expired", NOBODY_PAID, answer.code)
    elif is_closing and fact == "pending" and answer.code not in IN_HAND:
        orders.ask(draft, order, CLOSE)
    elif is_closing and not order.next_at:
        _end(draft, order, "expired", answer.cause or NOBODY_KNOWS, answer.code)
    elif fact not in ("pending", NOT_FOUND):
        _unknown(draft, order, answer)
    elif order.state in ("created", "unknown"):
        draft.note(
            PaymentPending(
                out_trade_no=order.out_trade_no, account_no=draft.key, channel_state=answer.code
            )
        )


def _on_refund(draft: Draft, answer: ChannelAnswered) -> None:
    received = answer.received
    if received is not None and received.notice is not None:
        assert answer.outcome == ANSWERED, answer
        captures.on_money_back(draft, received, received.notice)
    elif refunds.state_of(draft, answer.refund_no) not in refunds.AT_CHANNEL:
        return
    elif answer.outcome == NOT_SENT and answer.kind == REFUND:
        orders.ask_refund(draft, answer.refund_no, REFUND)
    elif answer.outcome in (REFUSED, NOT_FOUND):
        words = answer.code or answer.outcome
        problem = f"the channel says {words}; it is not sent again by itself"
        refunds.refuse(draft, answer.refund_no, answer.outcome, "channel", problem)


def _end(draft: Draft, order: Order, state: str, cause: str, code: str) -> None:
    before = open_orders(draft.account)
    draft.note(
        OrderEnded(
            out_trade_no=order.out_trade_no,
            account_no=draft.key,
            channel=order.channel,
            state=state,
            failure_cause=cause,
            channel_code=code,
            ended_at=draft.at,
        )
    )
    orders.tell(draft, before)


def _fail(draft: Draft, order: Order, answer: ChannelAnswered, bank: str) -> None:
    before = open_orders(draft.account)
    draft.note(
        PaymentFailed(
            out_trade_no=order.out_trade_no,
            account_no=draft.key,
            channel=order.channel,
            failure_cause=answer.cause,
            channel_code=answer.code,
            bank=bank,
            failed_at=draft.at,
        )
    )
    orders.tell(draft, before)


def _unknown(draft: Draft, order: Order, answer: ChannelAnswered) -> None:
    draft.note(
        PaymentUnknown(
            out_trade_no=order.out_trade_no,
            account_no=draft.key,
            cause=answer.cause or NOBODY_KNOWS,
            channel_code=answer.code,
            attempts=order.asked,
            next_query_at=order.next_at,
        )
    )

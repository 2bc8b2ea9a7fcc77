"""What an account knows of its orders, and how events change it (folded by state.py).

An order is 0.4 KB. It stays for ORDER_DAYS after it was opened, so that a payment that comes late,
or once more, is told as that; the channels let nobody pay an order longer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from services.payments.days import day_number, day_of
from services.payments.order_events import (
    ChannelAsked,
    OrderEnded,
    OrderNoted,
    OrderPaid,
    PaymentFailed,
    PaymentPending,
    PaymentUnknown,
)
from services.payments.payment_table import MONEY, PAYMENT

if TYPE_CHECKING:
    from services.payments.entries import Account

ORDER_DAYS = 92
"""For how long an order that has ended is known."""

ENDED = (*MONEY, "closed", "expired", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order of the account. state: one of payment_table.STATES; base_at: from when the schedule
    counts; attempt: how many of it were asked; asked: how many commands there were; payment_id:
    what paid it first."""

    out_trade_no: str
    channel: str
    merchant: str
    amount_fen: int
    state: str
    base_at: str
    expires_at: str
    next_at: str
    attempt: int = 0
    asked: int = 0
    payment_id: str = ""

    @property
    def is_open(self) -> bool:
        """Whether it may still be paid in time."""
        return self.state not in ENDED


def open_orders(account: Account) -> tuple[str, ...]:
    """The orders of the account that may still be paid in time."""
    return tuple(order.out_trade_no for order in account.orders if order.is_open)


def _noted(account: Account, event: OrderNoted) -> Account:
    today = day_number(day_of(event.opened_at))
    kept = (
        order
        for order in account.orders
        if order.is_open or day_number(day_of(order.base_at)) >= today - ORDER_DAYS
    )
    new = Order(
        out_trade_no=event.out_trade_no,
        channel=event.channel,
        merchant=event.merchant,
        amount_fen=event.amount_fen,
        state="created",
        base_at=event.opened_at,
        expires_at=event.expires_at,
        next_at=event.next_at,
    )
    return replace(account, orders=(*kept, new))


def _asked(account: Account, event: ChannelAsked) -> Account:
    if event.refund_no:
        return replace(
            account,
            refunds=tuple(
                replace(refund, attempt=event.attempt, next_at=event.next_at)
                if refund.refund_no == event.refund_no
                else refund
                for refund in account.refunds
            ),
        )

    def asked(order: Order) -> Order:
        begins = event.is_closing and order.state != "closing"
        return replace(
            order,
            state="closing" if event.is_closing else order.state,
            base_at=event.asked_at if begins else order.base_at,
            attempt=event.attempt,
            asked=order.asked + 1,
            next_at=event.next_at,
        )

    return _changed(account, event.out_trade_no, asked)


def _pending(account: Account, event: PaymentPending) -> Account:
    return _moved(account, event.out_trade_no, "pending")


def _unknown(account: Account, event: PaymentUnknown) -> Account:
    return _moved(account, event.out_trade_no, "unknown")


def _failed(account: Account, event: PaymentFailed) -> Account:
    return _moved(account, event.out_trade_no, "failed")


def _ended(account: Account, event: OrderEnded) -> Account:
    return _moved(account, event.out_trade_no, event.state)


def _paid(account: Account, event: OrderPaid) -> Account:
    def paid(order: Order) -> Order:
        first = order.payment_id or event.payment_id
        return replace(order, state="captured", next_at="", payment_id=first)

    return _changed(account, event.out_trade_no, paid)


def _moved(account: Account, out_trade_no: str, fact: str) -> Account:
    """The order goes on as the table says; one that ended is not asked about any more."""

    def moved(order: Order) -> Order:
        state = PAYMENT[order.state, fact].state
        return replace(order, state=state, next_at="" if state in ENDED else order.next_at)

    return _changed(account, out_trade_no, moved)


def _changed(account: Account, out_trade_no: str, change: Callable[[Order], Order]) -> Account:
    return replace(
        account,
        orders=tuple(
            change(order) if order.out_trade_no == out_trade_no else order
            for order in account.orders
        ),
    )


OF_ORDERS: dict[type, Callable[[Any, Any], Any]] = {
    OrderNoted: _noted,
    ChannelAsked: _asked,
    PaymentPending: _pending,
    PaymentUnknown: _unknown,
    PaymentFailed: _failed,
    OrderEnded: _ended,
    OrderPaid: _paid,
}

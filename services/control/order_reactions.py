"""Open orders of payments: while one may still be paid, a payment may be in flight.

payments.orders_changed -> control.orders_noted; a command under way is cancelled
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control import cases
from services.control.draft import Draft
from services.control.events import catalogue
from services.control.order_events import OrdersNoted


@catalogue.reads("payments.orders_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersChanged:
    """All orders of the account that may still be paid."""

    account_no: str
    open_orders: tuple[str, ...]


def on_orders(draft: Draft, told: OrdersChanged) -> None:
    """Note them; what they deny stops a command that is under way."""
    if told.open_orders == draft.account.open_orders:
        return
    draft.note(OrdersNoted(account_no=draft.key, open_orders=told.open_orders))
    cases.recheck(draft)

"""What control notes of orders that may still be paid."""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import catalogue


@catalogue.event("control.orders_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class OrdersNoted:
    """The orders of the account that may still be paid: a payment may be in flight."""

    account_no: str
    open_orders: tuple[str, ...]

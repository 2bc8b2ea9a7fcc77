"""Interlocks of money on its way: nobody is cut who is paying just now."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.policy import Policy


@interlock(
    reads=("open_orders",),
    rule="DESIGN 4: an open order is queried first",
    zh="无在途支付",
    en="no payment is in flight",
)
def no_payment_in_flight(facts: Facts, policy: Policy) -> Finding:
    """No order of this account may still be paid: it was paid, closed, or has expired."""
    looked_at = f"orders open: {listed(facts.open_orders)}"
    return looked_at, "an order may still be paid" if facts.open_orders else ""

"""Money bound to the wrong account and bound again: the request and what became of it.

Names here are the storage format; the request goes to payments.notices under the payment.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import BindingPart, catalogue, edge_catalogue
from services.payments.journal import JournalEntry


@edge_catalogue.event("payments.rebinding_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class RebindingRequested:
    """Two people want money that stands at `from_account` to be other accounts'."""

    request_id: str
    payment_id: str
    from_account: str
    parts: tuple[BindingPart, ...]
    requested_by: str
    approved_by: str
    reason: str


catalogue.reads("payments.rebinding_requested")(RebindingRequested)


@catalogue.event("payments.rebinding_made")
@dataclass(frozen=True, slots=True, kw_only=True)
class RebindingMade:
    """The money goes from one account to others through transit, once; `round` counts bindings.

    left: what `from_account` keeps of it. amount_fen, currency, channel: of the whole payment,
    where it was captured by an order number of a stranger and never in suspense.
    """

    payment_id: str
    request_id: str
    round: int
    from_account: str
    left: tuple[BindingPart, ...]
    parts: tuple[BindingPart, ...]
    journal: JournalEntry
    requested_by: str
    approved_by: str
    reason: str
    rebound_at: str
    amount_fen: int = 0
    currency: str = ""

"""The own events of the effect core of payments: names here are the storage format.

The own topic is `payments.results`.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.registry import Catalogue
from services.payments.order_events import ChannelAnswered

catalogue = Catalogue("payments.effect")

catalogue.event("payments.channel_answered")(ChannelAnswered)


@catalogue.event("payments.channel_attempted")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelAttempted:
    """A command is about to be sent. Without an answer after it nobody knows whether it was: then
    it is never sent again, only asked about. is_look: a refund that was sent before."""

    command_id: str
    kind: str
    account_no: str
    out_trade_no: str
    refund_no: str
    is_look: bool
    attempted_at: str

"""What the effect core reads: commands of payments."""

from __future__ import annotations

from services.payments.effect.events import catalogue
from services.payments.order_events import ChannelAsked

__all__ = ["ChannelAsked"]

catalogue.reads("payments.channel_asked")(ChannelAsked)

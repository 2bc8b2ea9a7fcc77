"""The effect core of payments, put together: commands in, calls to channels, answers out."""

from __future__ import annotations

from libs.events.effects import EffectCore
from services.payments.effect import decide as decisions
from services.payments.effect.events import catalogue
from services.payments.effect.state import Desk, Shared, evolve

PURE_MODULES: tuple[str, ...] = (
    "services.payments.allocation",
    "services.payments.days",
    "services.payments.effect.decide",
    "services.payments.effect.events",
    "services.payments.effect.reactions",
    "services.payments.effect.state",
    "services.payments.events",
    "services.payments.journal",
    "services.payments.notices",
    "services.payments.order_events",
    "services.payments.seen",
)
"""All modules whose text decides."""

WRITTEN: tuple[str, ...] = ()
CALENDAR, COMMANDS = "calendar", "payments.commands"


def make_core(decider: str = "") -> EffectCore:
    """The effect core, keyed by account; its own topic is `payments.results`."""
    return EffectCore(
        name="payments.effect",
        own_topic="payments.results",
        dlq_topic="payments.effect.dlq",
        inputs=(CALENDAR, COMMANDS),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Desk),
        decide=decisions.decide,
        evolve=evolve,
        decider=decider,
        action=decisions.action,
        conclude=decisions.conclude,
    )

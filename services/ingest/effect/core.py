"""The executor of device commands, put together."""

from __future__ import annotations

from functools import partial

from libs.events.effects import EffectCore
from libs.events.policy import decider_under
from services.ingest.effect import decide as decisions
from services.ingest.effect.policy import DEFAULT_POLICY, ExecutorPolicy
from services.ingest.effect.state import Place, Shared, evolve
from services.ingest.events import effect_catalogue

PURE_MODULES = (
    "services.ingest.days",
    "services.ingest.effect.decide",
    "services.ingest.effect.policy",
    "services.ingest.effect.reactions",
    "services.ingest.effect.state",
    "services.ingest.events",
    "services.ingest.reactions",
)
WRITTEN: tuple[str, ...] = ()
CALENDAR, SUPPLY, RECONNECTIONS = "calendar", "customers.supply", "control.reconnections"
COMMANDS = ("control.commands", RECONNECTIONS)
"""A close overtakes every open that waits (docs/adr/0004); what a command is compared with, and
business time, overtake both."""


def make_core(decider: str = "", policy: ExecutorPolicy = DEFAULT_POLICY) -> EffectCore:
    """The effect core, keyed by usage point; its own topic is `ingest.results`. Another policy is
    another decider."""
    return EffectCore(
        name="ingest.effect",
        own_topic="ingest.results",
        dlq_topic="ingest.effect.dlq",
        inputs=(CALENDAR, *COMMANDS, SUPPLY),
        precedence=(SUPPLY, CALENDAR, RECONNECTIONS),
        catalogue=effect_catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Place),
        decide=decisions.decide,
        evolve=evolve,
        due=decisions.due,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
        action=partial(decisions.action, policy=policy),
        conclude=partial(decisions.conclude, policy=policy),
    )

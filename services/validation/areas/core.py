"""The area stage of validation, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.validation.areas import decide as decisions
from services.validation.areas.events import catalogue
from services.validation.areas.policy import DEFAULT_POLICY, AreaPolicy
from services.validation.areas.state import Shared, Unit, evolve

PURE_MODULES = (
    "services.validation.areas.days",
    "services.validation.areas.decide",
    "services.validation.areas.events",
    "services.validation.areas.line_loss",
    "services.validation.areas.loss_causes",
    "services.validation.areas.loss_rules",
    "services.validation.areas.membership",
    "services.validation.areas.policy",
    "services.validation.areas.reactions",
    "services.validation.areas.state",
    "services.validation.instant",
    "services.validation.register_usage",
)
WRITTEN: tuple[str, ...] = ()


def make_core(decider: str = "", policy: AreaPolicy = DEFAULT_POLICY) -> Core:
    """The core that calculates line losses, keyed by loss unit; its own topic is
    `validation.losses`. Another policy is another decider."""
    return Core(
        name="validation.areas",
        own_topic="validation.losses",
        dlq_topic="validation.areas.dlq",
        inputs=("calendar", "validation.area_usage"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Unit),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        due=partial(decisions.due, policy=policy),
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

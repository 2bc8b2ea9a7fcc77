"""The limit stage of control, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.control.limits import decide as decisions
from services.control.limits.events import catalogue
from services.control.limits.policy import DEFAULT_POLICY, LimitPolicy
from services.control.limits.state import Area, Shared, evolve

PURE_MODULES: tuple[str, ...] = (
    "services.control.instant",
    "services.control.limits.decide",
    "services.control.limits.events",
    "services.control.limits.policy",
    "services.control.limits.reactions",
    "services.control.limits.state",
)
WRITTEN: tuple[str, ...] = (decisions.ANSWERS,)


def make_core(decider: str = "", policy: LimitPolicy = DEFAULT_POLICY) -> Core:
    """The core that gives permits to cut off, keyed by transformer area; its own topic is
    `control.permits`. Another policy is another decider."""
    return Core(
        name="control.limits",
        own_topic="control.permits",
        dlq_topic="control.limits.dlq",
        inputs=("calendar", "control.permit_requests"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Area),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

"""The core of ingest, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.ingest import decide as decisions
from services.ingest.events import catalogue
from services.ingest.policy import DEFAULT_POLICY, ReadingPolicy
from services.ingest.state import Point, Shared, evolve

PURE_MODULES = (
    "services.ingest.contact",
    "services.ingest.days",
    "services.ingest.decide",
    "services.ingest.events",
    "services.ingest.expected",
    "services.ingest.policy",
    "services.ingest.reactions",
    "services.ingest.state",
)
CALCULATIONS = (
    "libs.read_success",
    "services.ingest.read_rates",
)
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN = ("ingest.switching",)


def make_core(decider: str = "", policy: ReadingPolicy = DEFAULT_POLICY) -> Core:
    """The core that orders, counts and misses readings, keyed by usage point. Another policy is
    another decider."""
    return Core(
        name="ingest",
        own_topic="ingest.events",
        dlq_topic="ingest.dlq",
        inputs=("calendar", "customers.supply", "ingest.readings", "ingest.results"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Point),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        due=partial(decisions.due, policy=policy),
        fold_version=3,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

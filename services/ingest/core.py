"""The core of ingest, put together."""

from __future__ import annotations

from libs.events.core import Core
from services.ingest import decide as decisions
from services.ingest.events import catalogue
from services.ingest.state import Point, Shared, evolve

PURE_MODULES = (
    "services.ingest.days",
    "services.ingest.decide",
    "services.ingest.events",
    "services.ingest.expected",
    "services.ingest.policy",
    "services.ingest.reactions",
    "services.ingest.state",
)
WRITTEN = ("ingest.switching",)


def make_core(decider: str = "") -> Core:
    """The core that orders, counts and misses readings, keyed by usage point."""
    return Core(
        name="ingest",
        own_topic="ingest.events",
        dlq_topic="ingest.dlq",
        inputs=("calendar", "customers.supply", "ingest.readings", "ingest.results"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Point),
        decide=decisions.decide,
        evolve=evolve,
        due=decisions.due,
        decider=decider,
    )

"""The core of validation, put together."""

from __future__ import annotations

from libs.events.core import Core
from services.validation import decide as decisions
from services.validation.events import catalogue
from services.validation.state import Point, Shared, evolve

PURE_MODULES = (
    "services.validation.day_verdict",
    "services.validation.decide",
    "services.validation.estimation",
    "services.validation.events",
    "services.validation.finding",
    "services.validation.instant",
    "services.validation.profile",
    "services.validation.reactions",
    "services.validation.reading",
    "services.validation.register_usage",
    "services.validation.revision",
    "services.validation.rule_set",
    "services.validation.rules",
    "services.validation.state",
    "services.validation.timeline",
    "services.validation.voltage_band",
)
WRITTEN = ("validation.usage",)


def make_core(decider: str = "") -> Core:
    """The core that judges readings and establishes usage, keyed by usage point."""
    return Core(
        name="validation",
        own_topic="validation.events",
        dlq_topic="validation.dlq",
        inputs=("calendar", "customers.supply", "ingest.readings"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Point),
        decide=decisions.decide,
        evolve=evolve,
        due=decisions.due,
        decider=decider,
    )

"""The core of validation, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.validation import decide as decisions
from services.validation.events import catalogue
from services.validation.policy import DEFAULT_POLICY, Policy
from services.validation.state import Point, Shared, evolve

PURE_MODULES = (
    "services.validation.area_places",
    "services.validation.area_usage",
    "services.validation.day_verdict",
    "services.validation.decide",
    "services.validation.estimation",
    "services.validation.events",
    "services.validation.finding",
    "services.validation.instant",
    "services.validation.policy",
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
CALCULATIONS = tuple(
    f"services.validation.{name}"
    for name in (
        "electrical_rules",
        "estimation_methods",
        "estimation_plan",
        "interval_day",
        "interval_editing",
        "interval_estimation",
        "interval_rules",
        "interval_scaling",
        "interval_series",
        "point_check",
        "point_facts",
        "point_intervals",
        "point_readings",
        "reading_rules",
        "register_bracket",
        "rule_book",
        "slot_time",
        "tou_basis",
        "voltage_quality",
    )
)
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN = ("validation.usage", "validation.area_usage")


def make_core(decider: str = "", policy: Policy = DEFAULT_POLICY) -> Core:
    """The core that judges readings and establishes usage, keyed by usage point. Another policy is
    another decider."""
    return Core(
        name="validation",
        own_topic="validation.events",
        dlq_topic="validation.dlq",
        inputs=("calendar", "customers.supply", "ingest.readings"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Point),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        due=partial(decisions.due, policy=policy),
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

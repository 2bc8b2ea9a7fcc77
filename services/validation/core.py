"""The core of validation, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.validation import basis
from services.validation import decide as decisions
from services.validation.events import catalogue
from services.validation.policy import DEFAULT_POLICY, Policy
from services.validation.state import Point, Shared, evolve

PURE_MODULES = (
    "libs.tou_calendar",
    "services.validation.basis",
    "services.validation.basis_facts",
    "services.validation.area_places",
    "services.validation.area_usage",
    "services.validation.decide",
    "services.validation.default_rules",
    "services.validation.edit_events",
    "services.validation.edit_rules",
    "services.validation.edit_state",
    "services.validation.edited_days",
    "services.validation.edits",
    "services.validation.electrical_rules",
    "services.validation.estimation",
    "services.validation.estimation_methods",
    "services.validation.estimation_plan",
    "services.validation.events",
    "services.validation.finding",
    "services.validation.instant",
    "services.validation.interval_day",
    "services.validation.interval_editing",
    "services.validation.interval_estimation",
    "services.validation.interval_rules",
    "services.validation.interval_scaling",
    "services.validation.interval_series",
    "services.validation.point_check",
    "services.validation.point_facts",
    "services.validation.point_intervals",
    "services.validation.point_readings",
    "services.validation.policy",
    "services.validation.profile",
    "services.validation.profile_days",
    "services.validation.reactions",
    "services.validation.reading",
    "services.validation.reading_rules",
    "services.validation.register_bracket",
    "services.validation.register_usage",
    "services.validation.revision",
    "services.validation.rule_book",
    "services.validation.rule_set",
    "services.validation.rule_terms",
    "services.validation.rules",
    "services.validation.rules_in_force",
    "services.validation.slot_texts",
    "services.validation.slot_time",
    "services.validation.state",
    "services.validation.supply_check",
    "services.validation.timeline",
    "services.validation.tou_basis",
    "services.validation.voltage_band",
    "services.validation.voltage_months",
    "services.validation.voltage_quality",
    "services.validation.voltage_state",
)
CALCULATIONS: tuple[str, ...] = ()
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN = ("validation.usage", "validation.area_usage")


def make_core(decider: str = "", policy: Policy = DEFAULT_POLICY) -> Core:
    """The core that judges readings and establishes usage, keyed by usage point. Another policy is
    another decider."""
    return Core(
        name="validation",
        own_topic="validation.events",
        dlq_topic="validation.dlq",
        inputs=(
            "calendar",
            "customers.supply",
            "ingest.readings",
            "tariffs",
            "validation.requests",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Point),
        decide=partial(basis.decide, policy=policy),
        evolve=evolve,
        concerned=basis.concerned,
        due=partial(decisions.due, policy=policy),
        fold_version=3,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

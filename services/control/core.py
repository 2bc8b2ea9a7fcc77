"""The core of control, put together: its topics, its catalogue, its pure functions."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.control import decide as decisions
from services.control.events import catalogue
from services.control.policy import DEFAULT_POLICY, Policy
from services.control.safety import concerned
from services.control.state import Account, Shared, evolve

PURE_MODULES: tuple[str, ...] = (
    "services.control.cases",
    "services.control.correction_events",
    "services.control.corrections",
    "services.control.order_events",
    "services.control.order_reactions",
    "services.control.decide",
    "services.control.draft",
    "services.control.events",
    "services.control.facts",
    "services.control.holds",
    "services.control.identifiers",
    "services.control.instant",
    "services.control.interlocks",
    "services.control.interlocks_debt",
    "services.control.interlocks_disputes",
    "services.control.interlocks_notice",
    "services.control.interlocks_payments",
    "services.control.interlocks_people",
    "services.control.interlocks_point",
    "services.control.interlocks_prepaid",
    "services.control.interlocks_safety",
    "services.control.interlocks_time",
    "services.control.permit_events",
    "services.control.permit_requests",
    "services.control.permits",
    "services.control.policy",
    "services.control.prepaid",
    "services.control.prepaid_events",
    "services.control.prepaid_state",
    "services.control.reactions",
    "services.control.safety",
    "services.control.safety_events",
    "services.control.safety_facts",
    "services.control.safety_state",
    "services.control.state",
    "services.control.supply",
    "services.control.supply_reports",
    "services.control.switching",
    "services.control.switching_state",
)
"""All modules whose text decides."""

WRITTEN: tuple[str, ...] = (
    "control.clearances",
    "control.commands",
    "control.permit_requests",
    "control.reconnections",
)
"""Topics besides its own that control writes to."""


def make_core(decider: str = "", policy: Policy = DEFAULT_POLICY) -> Core:
    """The core of control, keyed by account. Another policy is another decider."""
    return Core(
        name="control",
        own_topic="control.events",
        dlq_topic="control.dlq",
        inputs=(
            "control.requests",
            "payments.events",
            "ingest.switching",
            "control.permit_answers",
            "metrology.findings",
            "control.alarms",
            "customers.agreements",
            "calendar",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Account),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        concerned=concerned,
        due=partial(decisions.due, policy=policy),
        fold_version=2,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

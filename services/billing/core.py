"""The core of billing, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.billing import decide as decisions
from services.billing.events import catalogue
from services.billing.policy import DEFAULT_POLICY, BillingPolicy
from services.billing.state import Account, Shared, evolve
from services.billing.ticks import due

PURE_MODULES = (
    "libs.tou_calendar",
    *(
        f"services.billing.{name}"
        for name in (
            "account_lines",
            "admission",
            "agreement",
            "apportion",
            "audit_rules",
            "basic_charge",
            "bill",
            "bill_checks",
            "book_defects",
            "calendar",
            "calendar_defects",
            "capacity",
            "case_estimate",
            "case_rules",
            "correction",
            "decide",
            "energy_charge",
            "estimate",
            "events",
            "external_lines",
            "feed_in",
            "feed_in_series",
            "free_energy",
            "household",
            "late_debts",
            "late_fee",
            "late_fees",
            "line_loss",
            "load_hours",
            "losses",
            "measured_demand",
            "meter_correction",
            "minimum_charge",
            "month_input",
            "months",
            "payment_reactions",
            "point_relations",
            "policy",
            "power_factor",
            "price_basis",
            "price_book",
            "producers",
            "quantities",
            "rating",
            "reactions",
            "relation_changes",
            "rounds",
            "shared_points",
            "stage",
            "standing_questions",
            "state",
            "statements",
            "tariff_audit",
            "tariff_questions",
            "ticks",
            "tier_charge",
            "tiers",
            "transferred",
            "transformer_loss",
            "unrated",
            "usage",
        )
    ),
)
CALCULATIONS = (
    "services.billing.book_diff",
    "services.billing.book_order",
    "services.billing.story",
    "services.billing.what_if",
)
"""Pure as well, and nothing is decided by it."""

WRITTEN: tuple[str, ...] = ()


def make_core(decider: str = "", policy: BillingPolicy = DEFAULT_POLICY) -> Core:
    """The core that calculates, issues and corrects bills, keyed by account. Another policy is
    another decider."""
    return Core(
        name="billing",
        own_topic="billing.events",
        dlq_topic="billing.dlq",
        inputs=(
            "billing.requests",
            "calendar",
            "customers.agreements",
            "metrology.findings",
            "payments.allocations",
            "tariffs",
            "validation.usage",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Account),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        concerned=decisions.concerned,
        due=partial(due, policy=policy),
        fold_version=3,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

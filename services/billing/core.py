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
            "admission",
            "agreement",
            "basic_charge",
            "bill",
            "bill_checks",
            "book_defects",
            "calendar",
            "case_estimate",
            "correction",
            "decide",
            "energy_charge",
            "events",
            "feed_in",
            "feed_in_series",
            "household",
            "late_fee",
            "meter_correction",
            "month_input",
            "months",
            "point_relations",
            "policy",
            "power_factor",
            "price_book",
            "quantities",
            "rating",
            "reactions",
            "rounds",
            "stage",
            "state",
            "statements",
            "ticks",
            "tier_charge",
            "tiers",
            "unrated",
            "usage",
        )
    ),
)
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
            "tariffs",
            "validation.usage",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Account),
        fold_version=2,
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        concerned=decisions.concerned,
        due=partial(due, policy=policy),
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

"""The core of billing, put together."""

from __future__ import annotations

from libs.events.core import Core
from services.billing import decide as decisions
from services.billing.events import catalogue
from services.billing.state import Account, Shared, evolve

PURE_MODULES = tuple(
    f"services.billing.{name}"
    for name in (
        "admission",
        "agreement",
        "basic_charge",
        "bill",
        "bill_checks",
        "book_defects",
        "calendar",
        "correction",
        "decide",
        "energy_charge",
        "events",
        "late_fee",
        "meter_correction",
        "month_input",
        "months",
        "point_relations",
        "policy",
        "power_factor",
        "price_book",
        "rating",
        "reactions",
        "rounds",
        "state",
        "tiers",
        "usage",
    )
)
WRITTEN: tuple[str, ...] = ()


def make_core(decider: str = "") -> Core:
    """The core that calculates, issues and corrects bills, keyed by account."""
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
        decide=decisions.decide,
        evolve=evolve,
        concerned=decisions.concerned,
        due=decisions.due,
        decider=decider,
    )

"""The settlement stage of payments, put together."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.payments.settlement import decide as decisions
from services.payments.settlement.events import NOTICES, catalogue
from services.payments.settlement.policy import DEFAULT_POLICY, SettlementPolicy
from services.payments.settlement.state import Book, Shared, evolve

PURE_MODULES: tuple[str, ...] = (
    *(
        f"services.payments.{name}"
        for name in (
            "allocation",
            "bookings",
            "days",
            "events",
            "journal",
            "notices",
            "order_number",
        )
    ),
    *(
        f"services.payments.settlement.{name}"
        for name in (
            "cases",
            "clearing",
            "closing",
            "decide",
            "decisions",
            "events",
            "judging",
            "matching",
            "payouts",
            "policy",
            "reactions",
            "requests",
            "rows",
            "state",
            "versions",
            "work_days",
        )
    ),
)
"""All modules whose text decides."""

CALCULATIONS = ("services.payments.settlement.sheets",)
"""Pure as well, and not decided by: how a file is cut into sheets."""

WRITTEN: tuple[str, ...] = (NOTICES,)
"""Topics besides its own: rows that only a channel has."""


def make_core(decider: str = "", policy: SettlementPolicy = DEFAULT_POLICY) -> Core:
    """The core that settles with channels, keyed by channel and merchant; its own topic is
    `payments.settlement`. Another policy is another decider."""
    return Core(
        name="payments.settlement",
        own_topic="payments.settlement",
        dlq_topic="payments.settlement.dlq",
        inputs=("calendar", "payments.postings"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Book),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        due=decisions.due,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

"""The core of payments, put together: its topics, its catalogue, its pure functions."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.payments import decide as decisions
from services.payments.bookings import POSTINGS
from services.payments.draft import ALLOCATIONS, NOTICES, TRANSFERS
from services.payments.events import catalogue
from services.payments.orders import COMMANDS
from services.payments.policy import DEFAULT_POLICY, Policy
from services.payments.state import Entry, Shared, evolve

PURE_MODULES: tuple[str, ...] = (
    "services.payments.allocation",
    "services.payments.bookings",
    "services.payments.captures",
    "services.payments.channel_answers",
    "services.payments.clearance",
    "services.payments.days",
    "services.payments.decide",
    "services.payments.draft",
    "services.payments.entries",
    "services.payments.events",
    "services.payments.found_rows",
    "services.payments.journal",
    "services.payments.money_back",
    "services.payments.notices",
    "services.payments.order_events",
    "services.payments.order_number",
    "services.payments.order_state",
    "services.payments.orders",
    "services.payments.page_returns",
    "services.payments.page_state",
    "services.payments.payment_table",
    "services.payments.payable_events",
    "services.payments.payables",
    "services.payments.policy",
    "services.payments.prepaid",
    "services.payments.prepaid_balance",
    "services.payments.prepaid_events",
    "services.payments.reactions",
    "services.payments.rebinding",
    "services.payments.rebinding_events",
    "services.payments.receivables",
    "services.payments.refund_events",
    "services.payments.refund_table",
    "services.payments.refunds",
    "services.payments.returns",
    "services.payments.seen",
    "services.payments.settlement.rows",
    "services.payments.state",
    "services.payments.suspense_refund_events",
    "services.payments.suspense_refunds",
    "services.payments.transactions",
)
"""All modules whose text decides."""

CALCULATIONS = tuple(
    f"services.payments.{name}"
    for name in (
        "ledger_chain",
        "settlement.alipay_bill",
        "settlement.mapping",
        "settlement.wechat_bills",
    )
)
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN: tuple[str, ...] = (NOTICES, TRANSFERS, POSTINGS, ALLOCATIONS, COMMANDS)
"""Topics besides its own that payments writes to; it reads the first two, too."""


def make_core(decider: str = "", policy: Policy = DEFAULT_POLICY) -> Core:
    """The core of payments, keyed by account or transaction. Another policy is another decider."""
    return Core(
        name="payments",
        own_topic="payments.events",
        dlq_topic="payments.dlq",
        inputs=(
            "payments.notices",
            "payments.transfers",
            "payments.results",
            "billing.events",
            "customers.agreements",
            "control.clearances",
            "calendar",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Entry),
        decide=partial(decisions.decide, policy=policy),
        evolve=evolve,
        concerned=decisions.concerned,
        due=decisions.due,
        fold_version=3,
        decider=decider_under(decider, policy, DEFAULT_POLICY),
    )

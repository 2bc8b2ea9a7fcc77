"""The customers core: which topics it reads and writes, and the functions that decide.

requests of the edge, ticks  ->  customers.events, and agreements, supply and meters for others
"""

from __future__ import annotations

from libs.events.core import Core
from services.customers.decide import AGREEMENTS, METERS, SUPPLY, decide
from services.customers.events import catalogue
from services.customers.state import Account, Shared, due, evolve

WRITTEN: tuple[str, ...] = (AGREEMENTS, SUPPLY, METERS)

PURE_MODULES: tuple[str, ...] = (
    "services.customers.events",
    "services.customers.state",
    "services.customers.decide",
    "services.customers.admission",
    "services.customers.cells",
    "services.customers.charge_columns",
    "services.customers.column_kinds",
    "services.customers.columns",
    "services.customers.days",
    "services.customers.meter_chain",
    "services.customers.openings",
    "services.customers.publication",
    "services.customers.reactions",
    "services.customers.rows",
)


def make_core(decider: str = "") -> Core:
    """The core, stamped with the hash of the modules that decide."""
    return Core(
        name="customers",
        own_topic="customers.events",
        dlq_topic="customers.dlq",
        inputs=("customers.requests", "calendar"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Account),
        decide=decide,
        evolve=evolve,
        due=due,
        decider=decider,
    )

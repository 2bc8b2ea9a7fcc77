"""The core of metrology, put together with the table of error limits it judges by."""

from __future__ import annotations

from libs.events.core import Core
from services.metrology.decide import deciding_with
from services.metrology.error_limits import ErrorLimits
from services.metrology.error_limits_file import load_error_limits
from services.metrology.events import catalogue
from services.metrology.state import Meter, Shared, evolve

PURE_MODULES = tuple(
    f"services.metrology.{name}"
    for name in (
        "correction_energy",
        "decide",
        "error_limits",
        "events",
        "judgement",
        "reactions",
        "representative_error",
        "state",
        "verification_cycle",
    )
)
CALCULATIONS = tuple(
    f"services.metrology.{name}"
    for name in (
        "bench_standing",
        "capacity_match",
        "certificate",
        "device_store",
        "due_list",
        "function_tests",
        "metering_category",
        "rule_sets",
        "sample_plan",
        "seal_custody",
        "transformer_judgement",
    )
)
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN = ("metrology.findings",)


def make_core(decider: str = "", limits: ErrorLimits | None = None) -> Core:
    """The core that judges meters, keyed by meter. The decider names the table as well."""
    table = limits or load_error_limits()
    return Core(
        name="metrology",
        own_topic="metrology.events",
        dlq_topic="metrology.dlq",
        inputs=("calendar", "customers.meters", "metrology.bench"),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Meter),
        decide=deciding_with(table),
        evolve=evolve,
        decider=f"{decider}+{table.id}" if decider else "",
    )

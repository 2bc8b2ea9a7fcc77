"""The core of metrology, put together with the table of error limits it judges by."""

from __future__ import annotations

from functools import partial

from libs.events.core import Core
from libs.events.policy import decider_under
from services.metrology.decide import concerned, deciding_with
from services.metrology.error_limits import ErrorLimits
from services.metrology.error_limits_file import load_error_limits
from services.metrology.events import catalogue
from services.metrology.policy import DEFAULT_POLICY, Policy
from services.metrology.state import Entry, Shared, evolve
from services.metrology.tracking import deadline

PURE_MODULES = tuple(
    f"services.metrology.{name}"
    for name in (
        "bench_standing",
        "cases",
        "certificate",
        "correction_energy",
        "custody",
        "dated_ahead",
        "decide",
        "device_store",
        "draft",
        "due_list",
        "error_limits",
        "events",
        "hand_cases",
        "installations",
        "judgement",
        "metering_category",
        "policy",
        "reactions",
        "representative_error",
        "runs",
        "seal_custody",
        "standards_register",
        "state",
        "tracking",
        "verification_cycle",
    )
)
CALCULATIONS = tuple(
    f"services.metrology.{name}"
    for name in (
        "capacity_match",
        "function_tests",
        "rule_sets",
        "sample_plan",
        "transformer_judgement",
    )
)
"""Pure as well, and not decided by: what the commands calculate on files."""

WRITTEN = ("metrology.findings", "metrology.custody")


def make_core(
    decider: str = "", limits: ErrorLimits | None = None, policy: Policy = DEFAULT_POLICY
) -> Core:
    """The core of the laboratory, keyed by meter or seal. The decider names the table as well."""
    table = limits or load_error_limits()
    named = f"{decider}+{table.id}" if decider else ""
    return Core(
        name="metrology",
        own_topic="metrology.events",
        dlq_topic="metrology.dlq",
        inputs=(
            "calendar",
            "customers.meters",
            "metrology.bench",
            "metrology.custody",
            "metrology.standards",
        ),
        catalogue=catalogue,
        initial_shared=Shared(),
        state_types=(Shared, Entry),
        decide=deciding_with(table, policy),
        evolve=evolve,
        concerned=concerned,
        due=partial(deadline, policy=policy),
        fold_version=2,
        decider=decider_under(named, policy, DEFAULT_POLICY),
    )

"""One member of the settlement stage of payments as a process."""

from __future__ import annotations

from libs.events.host import decider_hash
from services.payments.settlement.core import PURE_MODULES, make_core
from services.payments.settlement.policy import DEFAULT_POLICY
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import run_core


def run(settings: Settings, ordinal: int) -> int:
    """Run until told to stop; the exit status."""
    policy = policy_of(settings.policy_file, "payments.settlement", DEFAULT_POLICY)
    return run_core(make_core(decider_hash(PURE_MODULES), policy), settings, ordinal)

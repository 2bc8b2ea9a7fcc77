"""One member of the metrology core as a process."""

from __future__ import annotations

from libs.events.host import decider_hash
from services.metrology.core import PURE_MODULES, make_core
from services.metrology.policy import DEFAULT_POLICY
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import run_core


def run(settings: Settings, ordinal: int) -> int:
    """Run until told to stop; the exit status."""
    policy = policy_of(settings.policy_file, "metrology", DEFAULT_POLICY)
    return run_core(make_core(decider_hash(PURE_MODULES), policy=policy), settings, ordinal)

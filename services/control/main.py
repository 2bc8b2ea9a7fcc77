"""One member of control as a process: the core of the accounts, and beside it the limit stage.

Both are cores of their own, with their own groups, topics and checkpoints; the limit stage has a
few records an hour, so it takes a thread of this process (docs/adr/0017). Either one's end is the
end of both.
"""

from __future__ import annotations

from libs.events.host import decider_hash
from services.control.core import PURE_MODULES, make_core
from services.control.limits.core import PURE_MODULES as LIMIT_MODULES
from services.control.limits.core import make_core as make_limits
from services.control.limits.policy import DEFAULT_POLICY as DEFAULT_LIMITS
from services.control.policy import DEFAULT_POLICY
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import run_core


def run(settings: Settings, ordinal: int) -> int:
    """Run until told to stop; the exit status."""
    policy = policy_of(settings.policy_file, "control", DEFAULT_POLICY)
    limits = policy_of(settings.policy_file, "control.limits", DEFAULT_LIMITS)
    return run_core(
        make_core(decider_hash(PURE_MODULES), policy),
        settings,
        ordinal,
        beside=(make_limits(decider_hash(LIMIT_MODULES), limits),),
    )

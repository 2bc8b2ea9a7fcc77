"""One member of the validation core as a process."""

from __future__ import annotations

from libs.events.host import decider_hash
from services.settings import Settings
from services.validation.core import PURE_MODULES, make_core
from services.wiring import run_core


def run(settings: Settings, ordinal: int) -> int:
    """Run until told to stop; the exit status."""
    return run_core(make_core(decider_hash(PURE_MODULES)), settings, ordinal)

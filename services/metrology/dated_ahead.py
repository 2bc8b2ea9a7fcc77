"""What is dated after it was told cannot have happened: a wrong clock, or a slip of the pen.

    check_past("measured_at", "2036-03-01T02:00:00Z", "2026-03-01T03:00:00Z", 60)     BadInput

Such a date would outlive everything: no later verdict would count, no later entry of a seal or move
of a device would come after it.
"""

from __future__ import annotations

from datetime import timedelta

from libs.events.errors import BadInput
from services.metrology.judgement import parse_instant


def check_past(field_name: str, at: str, told_at: str, margin_min: int = 0) -> None:
    """BadInput when one is no instant, or `at` is more than `margin_min` after `told_at`."""
    if parse_instant(at, field_name) - parse_instant(told_at, "told_at") > timedelta(
        minutes=margin_min
    ):
        problem = f"{at} is after {told_at}, when it was told"
        raise BadInput(field_name, problem, "correct the clock or the date, and tell it again")

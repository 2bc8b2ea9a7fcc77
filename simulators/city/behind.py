"""What happens behind the demo's concentrator: a meter falls silent, a midnight is not frozen.

The meter with the load profile answers nobody for a day, from just after midnight: what it counted
until then is with its concentrator already, what it counts meanwhile is a gap that is forwarded
when it speaks again. On another night the concentrator freezes nothing at all.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulators.city.plan import Plan

SILENT_ON = date(2026, 2, 17)
"""The last day before it is silent: its profile is nowhere but with the concentrator."""
UNFROZEN_ON = date(2026, 2, 24)


def on_day(plan: Plan, day: date) -> None:
    """The stories of a day, after everybody else's: one of them lets time pass."""
    ask = plan.acts.concentrator.ask
    meter_no = plan.point("behind").meter_no
    if day == SILENT_ON:
        plan.tick(f"{day.isoformat()}T16:05:00Z")  # 00:05 of the next day
        ask("fault", meter=meter_no, kind="silent")
    elif day == SILENT_ON + timedelta(days=2):
        ask("clear", meter=meter_no)
    elif day == UNFROZEN_ON:
        ask("misbehave", kind="no_freeze", count=1)

"""What must be known besides the debt before anybody is cut, and a storm that holds a cut up.

The crew that serves a notice sees which meter measures the household. On the days of a cut
the duty officer states that no weather alarm is raised; on 19 February one is raised for the area
of the debtor, from the morning until 10:10. The case is ready at 10:00, is denied by the
alarm, and goes on when it is over. Whether meters answer is told by ingest, from their readings.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import TYPE_CHECKING

from simulators.city.facts import Check, Expectation, Facts, expect

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "cut_off"
STORM = "storm orange"
STORM_FROM_AT, STORM_UNTIL_AT = "2026-02-18T22:00:00Z", "2026-02-19T02:10:00Z"


def verify_matches(plan: Plan, roles: Iterable[str], day: date) -> None:
    """The crew reports which meter it saw the day before."""
    for role in roles:
        point = plan.point(role)
        seen = {
            "account_no": point.account_no,
            "usage_point": point.usage_point,
            "meter_no": point.meter_no,
            "verified_on": (day - timedelta(days=1)).isoformat(),
            "evidence": f"photo of {point.meter_no}",
        }
        plan.acts.ask_control("server", "/matches", seen)


def state_weather(plan: Plan, day: date, area: str = "") -> None:
    """No alarm on this day, everywhere; in an area one until 10:10."""
    eve = (day - timedelta(days=1)).isoformat()
    fine = {"from_at": f"{eve}T16:00:00Z", "until_at": f"{day.isoformat()}T16:00:00Z"}
    plan.acts.ask_control("server", "/weather", fine)
    if area:
        storm = {"area": area, "alarm": STORM, "from_at": STORM_FROM_AT, "until_at": STORM_UNTIL_AT}
        plan.acts.ask_control("server", "/weather", storm)
    plan.rest()


def storm_holds_the_cut_up(facts: Facts) -> Expectation:
    """Denied by the alarm alone while it is raised; commanded after it, with all verdicts."""
    judged = facts.of("control.interlocks_judged", ROLE, stage="before_clearance", allowed=False)
    denied = {
        verdict["name"] for body in judged for verdict in body["verdicts"] if not verdict["allows"]
    }
    commands = facts.of("control.command_issued", ROLE, action="open")
    issued = [body["issued_at"] for body in commands]
    shown = ", ".join(sorted(denied)) or "nothing"
    found = f"denied by {shown}, commanded at {', '.join(issued) or 'no time'}"
    holds = denied == {"no_weather_alarm"} and len(issued) == 1 and issued[0] >= STORM_UNTIL_AT
    return expect("storm over a cut", "denied by the alarm, cut after it", found, holds)


CHECKS: tuple[Check, ...] = (storm_holds_the_cut_up,)

"""What happens to the voltage at one home: for three days in March it is 20 V too high.

Its meter is read at 00:30, so the samples of 12, 13 and 14 March are outside the band of GB/T 12325
(up to 235.4 V at one phase), and 28 of the month's 31 inside.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from simulators.city.facts import Check, Expectation, Facts, expect

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "over_voltage"
VOLTS = 20
WOBBLE_DV = 20
"""So far a simulated meter is off what it is told to show, either way."""
RAISED_ON, LOWERED_ON = date(2026, 3, 11), date(2026, 3, 14)
"""The days after whose reading it begins and ends."""
BEGUN_AT, ENDED_AT = "2026-03-11T16:00:00Z", "2026-03-14T16:00:00Z"
RATE_E2_PCT = 9_032
"""28 of 31 days, rounded down."""


def on_day(plan: Plan, day: date) -> None:
    """The fault of the meter."""
    meter_no = plan.point(ROLE).meter_no
    if day == RAISED_ON:
        plan.acts.meters.ask("fault", meter=meter_no, kind="voltage", volts=VOLTS)
    elif day == LOWERED_ON:
        plan.acts.meters.ask("clear", meter=meter_no)


def over_voltage(facts: Facts) -> Expectation:
    """One event at this home, with its begin, end and extreme, none at any other; and the rate of
    March that follows from it."""
    told = facts.memory.of("validation.voltage_found")
    own = facts.of("validation.voltage_found", ROLE)
    ended = [body for body in own if body["ended_at"]]
    months = facts.of("validation.voltage_month_closed", ROLE, month="2026-03")
    rates = [body["rate_e2_pct"] for body in months]
    read = [
        counted["extreme_dv"]
        for body in facts.of("validation.reading_accepted", ROLE)
        if body["voltage"]
        for counted in body["voltage"]["counted"]
    ]
    when = [f"{body['begun_at']} to {body['ended_at']} {body['extreme_dv']} dV" for body in ended]
    found = f"{'; '.join(when) or 'none'}; elsewhere {len(told) - len(own)}; March {rates} 1/100 %"
    span = [(body["side"], body["begun_at"], body["ended_at"]) for body in own]
    holds = span == [("over", BEGUN_AT, ""), ("over", BEGUN_AT, ENDED_AT)] and len(told) == len(own)
    holds = holds and rates == [RATE_E2_PCT] and months[0]["status"] == "unqualified"
    holds = holds and ended[0]["extreme_dv"] == max(read)
    holds = holds and abs(ended[0]["extreme_dv"] - 2200 - 10 * VOLTS) <= WOBBLE_DV
    return expect("over-voltage", "one event of 3 days, March at 90.32 %", found, holds)


CHECKS: tuple[Check, ...] = (over_voltage,)

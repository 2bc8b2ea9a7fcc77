"""An approved metrology case as energy by month (Supply Rules 1996 art. 80(1), domain.md 3.6).

The meter's error beyond its limit is corrected back to zero over the period the case names: what
was recorded, W, holds g/(1+g) too much, g being the representative error. Each month bears the part
of its own recorded energy that lies in the period, by days.

    W = 120,000 kWh at +3.0 %    ->  -3,495.145631 kWh, rounded half-up to the Wh by month
"""

from __future__ import annotations

from collections.abc import Iterator

from libs.events.quantities import half_up_div
from services.billing.calendar import days_between, overlap
from services.billing.events import UsageAdjusted
from services.billing.months import first_day, next_month
from services.billing.reactions import CorrectionDecided, CorrectionProposed
from services.billing.state import Account

E4_PCT = 1_000_000
"""1e-4 per cent: an error of +3 % is 30,000, and 1 is 1,000,000."""


def adjustments(
    account: Account, case: CorrectionDecided | CorrectionProposed
) -> Iterator[UsageAdjusted]:
    """The change of every month that the case's period touches and that has recorded energy."""
    for month in sorted(account.months):
        point = account.months[month].get(case.usage_point)
        if point is None:
            continue
        from_on, until_on = first_day(month), first_day(next_month(month))
        days = overlap(from_on, until_on, case.from_on, case.to_on)
        if days is None:
            continue
        share = (days_between(*days), days_between(from_on, until_on))
        change = {
            register: -excess_wh(value, case.error_e4_pct, share)
            for register, value in sorted(point.energy.items())
        }
        if any(change.values()):
            yield UsageAdjusted(
                account_no=case.account_no,
                case_id=case.case_id,
                usage_point=case.usage_point,
                month=month,
                change=change,
            )


def excess_wh(recorded_wh: int, error_e4_pct: int, share: tuple[int, int]) -> int:
    """W * g / (1 + g) for a share of the energy, half-up to the Wh; negative for a slow meter."""
    days, of_days = share
    return half_up_div(recorded_wh * error_e4_pct * days, (E4_PCT + error_e4_pct) * of_days)

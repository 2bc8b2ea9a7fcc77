"""An approved metrology case as energy by month (Supply Rules 1996 art. 80(1), domain.md 3.6).

The meter's error is corrected back to zero over the period the case names: what was recorded, W,
holds g/(1+g) too much, g being the representative error. Each month bears the part of its own
energy that was recorded on days of the period; all registers of the meter are corrected alike, so
that periods add up and the power factor stays.

    W = 120,000 kWh at +3.0 %    ->  -3,495.145631 kWh, rounded half-up to the Wh by month
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from libs.events.quantities import half_up_div
from services.billing.calendar import days_between, overlap
from services.billing.events import CaseNoted, UsageAdjusted
from services.billing.months import PointMonth, day_bits, energy_in, first_day, month_span

E4_PCT = 1_000_000
"""1e-4 per cent: an error of +3 % is 30,000, and 1 is 1,000,000."""

APPROVED = "approved"

Months = Mapping[str, Mapping[str, PointMonth]]


def adjustments(months: Months, case: CaseNoted) -> Iterator[UsageAdjusted]:
    """What the case adds to every month of its period that has energy, as known now."""
    for month in sorted(months):
        sums = months[month].get(case.usage_point)
        if sums is None:
            continue
        change = adjustment(sums, case, month, *month_span(month))
        if any(change.values()):
            yield adjusted(case, month, change)


def adjusted(case: CaseNoted, month: str, change: dict[str, int]) -> UsageAdjusted:
    """The own event of a change."""
    return UsageAdjusted(
        account_no=case.account_no,
        case_id=case.case_id,
        usage_point=case.usage_point,
        month=month,
        change=change,
    )


def adjustment(
    sums: PointMonth, case: CaseNoted, month: str, from_on: str, until_on: str
) -> dict[str, int]:
    """What a case adds to days of a month, by register; parts add up to their month exactly.

    Nothing before it is approved, nor when its error has no correction by this rule.
    """
    if case.status != APPROVED or not is_calculable(case):
        return {}
    before = _excess(sums, case, first_day(month), from_on)
    until = _excess(sums, case, first_day(month), until_on)
    return {register: before[register] - until[register] for register in until}


def _excess(sums: PointMonth, case: CaseNoted, from_on: str, until_on: str) -> dict[str, int]:
    """What was recorded too much on the days of the case, rounded to the Wh."""
    days = overlap(from_on, until_on, case.from_on, case.to_on)
    recorded = energy_in(sums, *days) if days is not None else dict.fromkeys(sums.energy, 0)
    return {register: excess_wh(wh, case.error_e4_pct) for register, wh in recorded.items()}


def excess_wh(recorded_wh: int, error_e4_pct: int) -> int:
    """W * g / (1 + g), half-up to the Wh; negative for a slow meter."""
    return half_up_div(recorded_wh * error_e4_pct, E4_PCT + error_e4_pct)


def is_calculable(case: CaseNoted) -> bool:
    """A meter at -100 % stood still: what was used cannot be told from what it recorded."""
    return case.error_e4_pct > -E4_PCT


def problem_of(months: Months, case: CaseNoted) -> str:
    """What of an approved case billing cannot correct from what it knows; "" when nothing."""
    if case.status != APPROVED:
        return ""
    if not is_calculable(case):
        return "the meter stood still: estimate the energy, no correction by its error is possible"
    all_days = max(0, days_between(case.from_on, case.to_on))
    known = 0
    for month in months:
        sums = months[month].get(case.usage_point)
        days = overlap(*month_span(month), case.from_on, case.to_on)
        if sums is not None and days is not None:
            known += (sums.days & day_bits(*days)).bit_count()
    if known == all_days:
        return ""
    return f"no usage is known of {all_days - known} of {all_days} days: correct them by hand"

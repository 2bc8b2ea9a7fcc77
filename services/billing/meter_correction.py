"""An approved metrology case as energy by month (domain.md 3.6).

What was recorded over the period of the case is put right by the rule of its kind (case_rules.py).
Each month bears the part of its own energy that was recorded on days of the period; all registers
of the meter are corrected alike, so that periods add up and the power factor stays.

    W = 120,000 kWh at +3.0 %    ->  -3,495.145631 kWh, rounded half-up to the Wh by month
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from services.billing.calendar import days_between, overlap
from services.billing.case_rules import change_wh, problem_of_rule
from services.billing.events import CaseNoted, UsageAdjusted
from services.billing.months import PointMonth, day_bits, energy_in, first_day, month_span

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

    Nothing before it is approved, nor when it has no correction by its rule.
    """
    if case.status != APPROVED or problem_of_rule(case):
        return {}
    before = _missing(sums, case, first_day(month), from_on)
    until = _missing(sums, case, first_day(month), until_on)
    return {register: until[register] - before[register] for register in until}


def _missing(sums: PointMonth, case: CaseNoted, from_on: str, until_on: str) -> dict[str, int]:
    """What was recorded too little on the days of the case, rounded to the Wh."""
    days = overlap(from_on, until_on, case.from_on, case.to_on)
    recorded = energy_in(sums, *days) if days is not None else dict.fromkeys(sums.energy, 0)
    return {register: change_wh(case, wh) for register, wh in recorded.items()}


def problem_of(months: Months, case: CaseNoted) -> str:
    """What of an approved case billing cannot correct from what it knows; "" when nothing."""
    if case.status != APPROVED:
        return ""
    if problem := problem_of_rule(case):
        return problem
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

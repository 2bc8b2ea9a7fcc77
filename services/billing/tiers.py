"""Residential tiers: how much of a period's energy lies above each boundary of the month or year.

The base price is charged on all energy and an adder on the part above a boundary (b07; the same
money as a price per tier, b06). Boundaries may be raised for a large household, also from within
the year: an annual boundary then rises by the months from the allowance's start (domain.md 3.2).

    energy_by_step(2_700_000, 100_000, (2_760_000, 4_800_000))    (40_000, 0): 40 kWh in tier 2
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.billing.agreement import HouseholdAllowance
from services.billing.price_book import TierRule

TIER_SPANS = ("month", "year")
MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPosition:
    """The energy a point has used in one tier month (`2026-01`) or tier year (`2026`)."""

    key: str
    used_wh: int


def tier_key(rule: TierRule, period: str) -> str:
    """The tier month or year that a billing period (`2026-01`) belongs to, by its label.

    A tier year that starts in another month than January is named by the year it starts in.
    """
    if rule.span == "month":
        return period
    return str((month_index(period) - (rule.year_from_month - 1)) // MONTHS_PER_YEAR)


def position_at(positions: Mapping[str, TierPosition], point: str, key: str) -> TierPosition:
    """What the point has used under this key; nothing when its position is of another one."""
    position = positions.get(point)
    if position is None or position.key != key:
        return TierPosition(key=key, used_wh=0)
    return position


def boundaries_wh(
    rule: TierRule, period: str, allowances: Sequence[HouseholdAllowance]
) -> tuple[int, ...]:
    """The boundary of each step in this period, raised by the household's allowances.

    An allowance counts from the month its first day lies in; one that starts after the period does
    not count yet, so that a bill never rests on what was agreed later. KeyError names a rule that
    the book does not have.
    """
    bounds = [step.above_wh for step in rule.steps]
    for allowance in allowances:
        gains = rule.allowances[allowance.rule]
        months = _allowance_months(rule, period, allowance)
        bounds = [bound + gain * months for bound, gain in zip(bounds, gains, strict=True)]
    return tuple(bounds)


def energy_by_step(used_before_wh: int, used_wh: int, bounds_wh: Sequence[int]) -> tuple[int, ...]:
    """How much of `used_wh` lies above each boundary and not above the next one."""
    used_after_wh = used_before_wh + used_wh
    energies = []
    end_wh = used_after_wh
    for start_wh in reversed(bounds_wh):
        energies.append(max(0, min(used_after_wh, end_wh) - max(used_before_wh, start_wh)))
        end_wh = start_wh
    return tuple(reversed(energies))


def month_index(date_or_period: str) -> int:
    """Months since year 0 of a date or a period label."""
    return int(date_or_period[:4]) * MONTHS_PER_YEAR + int(date_or_period[5:7]) - 1


def _allowance_months(rule: TierRule, period: str, allowance: HouseholdAllowance) -> int:
    month = month_index(period)
    start = month_index(allowance.from_on)
    end = month_index(allowance.until_on) if allowance.until_on else None
    if start > month:
        return 0
    if rule.span == "month":
        return int(end is None or month < end)
    year_start = month - (month - (rule.year_from_month - 1)) % MONTHS_PER_YEAR
    year_end = year_start + MONTHS_PER_YEAR
    return max(0, min(year_end, year_end if end is None else end) - max(year_start, start))

"""Tier adders: what comes on top of the base price for the energy above each boundary.

An adder counts whatever the period was (the Zhejiang time-of-use prices of every tier differ by the
same 0.05 and 0.30). The positions run on from part to part of a bill.

    3 kWh above 2760  -> 0.15 yuan            tier.2 at 0.05
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from libs.events.memory import once_per
from services.billing.bill import Charge, RatingPart
from services.billing.energy_charge import energy_charge
from services.billing.point_relations import BilledPoint
from services.billing.price_book import PriceComponent, TierStep
from services.billing.stage import Rating
from services.billing.tiers import (
    TierPosition,
    boundaries_wh,
    energy_by_step,
    position_at,
    tier_key,
)


def tier_stage(rating: Rating) -> None:
    """The adders of every part; each begins where the one before it ended."""
    for number, part in enumerate(rating.parts):
        positions = {**rating.tiers, **rating.tiers_after}
        adders, before, after = tier_charges(part, rating.points[number], positions)
        rating.charges[number] += adders
        rating.tiers_before = {**before, **rating.tiers_before}
        rating.tiers_after = {**rating.tiers_after, **after}


def tier_charges(
    part: RatingPart, points: Iterable[BilledPoint], positions: Mapping[str, TierPosition]
) -> tuple[list[Charge], dict[str, TierPosition], dict[str, TierPosition]]:
    """The adders above the tier boundaries, and each tiered point's position before and after."""
    charges: list[Charge] = []
    before: dict[str, TierPosition] = {}
    after: dict[str, TierPosition] = {}
    period = part.usage.period
    for point in points:
        rule = point.price_list.tiers
        if rule is None:
            continue
        name, used_wh = point.terms.point, point.billed.total_wh
        key = tier_key(rule, period)
        position = position_at(positions, name, key)
        bounds_wh = boundaries_wh(rule, period, part.terms.allowances)
        energies_wh = energy_by_step(position.used_wh, used_wh, bounds_wh)
        for step, bound_wh, energy_wh in zip(rule.steps, bounds_wh, energies_wh, strict=True):
            if energy_wh:
                component = _component(step)
                basis = {"above_wh": str(bound_wh), "used_before_wh": str(position.used_wh)}
                charges.append(
                    energy_charge(part, point, component, step.adder, energy_wh, basis=basis)
                )
        before[name] = position
        after[name] = TierPosition(key=key, used_wh=position.used_wh + used_wh)
    return charges, before, after


@once_per(1024)
def _component(step: TierStep) -> PriceComponent:
    """A step as a component of the list: its adder is no base of the power factor."""
    return PriceComponent(
        code=step.code,
        name_zh=step.name_zh,
        name_en=step.name_en,
        unit="kWh",
        pf_base=False,
        unconfirmed=step.unconfirmed,
    )

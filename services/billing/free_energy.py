"""Free energy of low-income households 低保免费电量: a credit at the prices that were charged.

The first kilowatt-hours of the month are free, once for the account: its points get them in the
order of their ids, a month in parts from part to part. Whether the months in which the agreement
has it only in part bear the whole, and that tiers count the free energy as used, is UNCONFIRMED.

    10 kWh at 0.52    ->  -5.20 yuan, `energy.free`
"""

from __future__ import annotations

from collections.abc import Iterator

from services.billing.bill import Charge, RatingPart
from services.billing.calendar import period_rank
from services.billing.energy_charge import energy_charge
from services.billing.point_relations import BilledPoint
from services.billing.price_book import PriceComponent
from services.billing.stage import Rating


def free_energy_stage(rating: Rating) -> None:
    """The credits of every part whose terms have the allowance."""
    used_wh = 0
    for number, part in enumerate(rating.parts):
        if not part.terms.free_allowance:
            continue
        for point in rating.points[number]:
            rest_wh = max(0, point.price_list.free_allowance_wh - used_wh)
            free_wh = min(rest_wh, point.billed.total_wh)
            if free_wh:
                rating.charges[number] += credits(part, point, free_wh)
                used_wh += free_wh


def credits(part: RatingPart, point: BilledPoint, free_wh: int) -> Iterator[Charge]:
    """Every price per kWh of the point is given back for the free energy; one that floats by
    period in proportion to the periods (largest remainder, to the Wh)."""
    for component in point.price_list.components:
        if component.unit != "kWh":
            continue
        if not component.tou_applies:
            yield _credit(part, point, component, component.price, free_wh, "")
            continue
        for period, wh in _by_period(point, free_wh).items():
            if wh:
                price = component.period_prices[period]
                yield _credit(part, point, component, price, wh, period)


def _by_period(point: BilledPoint, free_wh: int) -> dict[str, int]:
    by_period, whole_wh = point.billed.by_period, point.billed.total_wh
    shares = {period: divmod(free_wh * wh, whole_wh) for period, wh in by_period.items()}
    left = free_wh - sum(share for share, _ in shares.values())
    order = sorted(shares, key=lambda period: (-shares[period][1], period_rank(period)))
    found = {period: shares[period][0] + (place < left) for place, period in enumerate(order)}
    return {period: found[period] for period in by_period}


def _credit(
    part: RatingPart,
    point: BilledPoint,
    component: PriceComponent,
    price: str,
    free_wh: int,
    period: str,
) -> Charge:
    named = PriceComponent(
        code=f"{component.code}.free",
        name_zh=f"{component.name_zh}（免费电量）",
        name_en=f"{component.name_en} (free energy)",
        unit="kWh",
        pf_base=component.pf_base,
        unconfirmed=component.unconfirmed,
    )
    basis = {"free_wh": str(point.price_list.free_allowance_wh)}
    return energy_charge(part, point, named, price, -free_wh, period=period, basis=basis)

"""Transferred supply 转供: what others draw through a customer's lines is not the customer's.

Its energy is deducted like a sub-meter's (point_relations.py), and so are its demand and its
reactive energy (Supply Rules 1996, art. 14, UNCONFIRMED). Where its meter has no demand register,
its demand is what its energy stands for by the rule of the book.

    main 1,000 kW, transferred 150 kW                       ->  850 kW
    transferred 36,000 kWh a month at 180 kWh per kW        ->  200 kW
"""

from __future__ import annotations

from collections.abc import Sequence

from libs.events.quantities import half_up_div
from services.billing.point_relations import BilledPoint
from services.billing.price_book import DemandRule


def transferred_of(points: Sequence[BilledPoint]) -> dict[str, list[BilledPoint]]:
    """The transferred points by the main point they are behind, be it through a sub-meter.

    One behind another transferred point is in that one's energy and demand already.
    """
    by_name = {each.terms.point: each for each in points}
    found: dict[str, list[BilledPoint]] = {}
    for each in points:
        if each.kind != "transferred":
            continue
        above = by_name[each.of]
        while above.kind == "deducted":
            above = by_name[above.of]
        if above.kind == "main":
            found.setdefault(above.terms.point, []).append(each)
    return found


def demand_of_energy_w(energy_wh: int, category: str, rule: DemandRule) -> int:
    """The demand that a month's energy of a class of use stands for, half-up to whole W."""
    return half_up_div(energy_wh, rule.transferred_kwh_per_kw[category])

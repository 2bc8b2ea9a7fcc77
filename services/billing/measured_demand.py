"""The maximum demand of a cycle: of each feeder, without transferred supply, summed.

A meter has its own maximum at its own instant. Maxima of separate feeders are summed (domain.md
3.3). Of points on one feeder the book says whether theirs are summed too or the highest counts
(UNCONFIRMED: the demand of the feeder lies between the two).

    feeder 1: 500 kW, feeder 2: 600 kW                       ->  1,100 kW
    two points of one feeder, 500 and 600 kW                 ->  1,100 kW, or 600 kW by `highest`
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.events.quantities import ROUNDING
from services.billing.bill import Finding
from services.billing.point_relations import BilledPoint
from services.billing.price_book import DemandRule, Rounding
from services.billing.transferred import demand_of_energy_w, transferred_of


class MeasuredDemand(NamedTuple):
    """The demand of a cycle, what was transferred of it, and the readings behind it."""

    demand_w: int
    transferred_w: int
    reading_ids: tuple[str, ...]


@dataclass(slots=True)
class _Meter:
    """A meter's maximum in the cycle, if it has one, and its energy."""

    feeder: str
    category: str = ""
    demand_w: int | None = None
    energy_wh: int = 0
    behind: set[str] = field(default_factory=set)

    def add(self, point: BilledPoint) -> None:
        if point.usage.demand_w is not None:
            self.demand_w = max(self.demand_w or 0, point.usage.demand_w)
        self.energy_wh += point.metered.total_wh


def measured_demand(
    points_by_part: Sequence[Sequence[BilledPoint]], rule: DemandRule, rounding: Rounding
) -> tuple[MeasuredDemand, list[Finding]]:
    """The demand of the main two-part points over the cycle, rounded; a finding where more was
    transferred than a meter showed, or nothing says how much."""
    mains: dict[str, _Meter] = {}
    taken: dict[str, _Meter] = {}
    reading_ids: set[str] = set()
    for points in points_by_part:
        transferred = transferred_of(points)
        for each in points:
            if each.kind != "main" or each.price_list.two_part is None:
                continue
            name = each.terms.point
            main = mains.setdefault(name, _Meter(each.terms.feeder or f"point {name}"))
            main.add(each)
            reading_ids.update(each.usage.reading_ids)
            for sub in transferred.get(name, ()):
                terms = sub.terms
                taken.setdefault(terms.point, _Meter("", terms.category)).add(sub)
                main.behind.add(terms.point)
                reading_ids.update(sub.usage.reading_ids)
    feeders: dict[str, list[int]] = {}
    findings: list[Finding] = []
    taken_w: dict[str, int] = {}
    for name, sub_meter in taken.items():
        found_w = _transferred_w(sub_meter, rule)
        taken_w[name] = found_w or 0
        if found_w is None:
            text = f"no maximum demand, and no energy per kW of {sub_meter.category} in the book"
            findings.append(Finding(rule="demand_missing", point=name, text=text))
    for name, main in mains.items():
        own_w = (main.demand_w or 0) - sum(taken_w[sub] for sub in main.behind)
        if own_w < 0:
            text = "the demand of transferred supply is more than the main meter's"
            numbers = {"demand_w": main.demand_w or 0, "remainder_w": own_w}
            findings.append(Finding(rule="negative_demand", point=name, text=text, numbers=numbers))
        feeders.setdefault(main.feeder, []).append(own_w)
    within = max if rule.within_feeder == "highest" else sum
    unit_w = rounding.demand_unit_w
    whole_w = sum(within(demands) for demands in feeders.values())
    demand_w = ROUNDING[rounding.demand](whole_w, unit_w) * unit_w
    ids = tuple(sorted(reading_ids))
    return MeasuredDemand(demand_w, sum(taken_w.values()), ids), findings


def _transferred_w(meter: _Meter, rule: DemandRule) -> int | None:
    """What its register showed, else what its energy stands for, None where nothing says that."""
    if meter.demand_w is None and meter.category in rule.transferred_kwh_per_kw:
        return demand_of_energy_w(meter.energy_wh, meter.category, rule)
    return meter.demand_w

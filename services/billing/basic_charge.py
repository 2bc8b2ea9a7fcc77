"""The basic charge 基本电费 of two-part customers: by capacity, contract demand or measured demand.

Capacity is charged by the days each sum of transformers was in use (b03: 315 kVA x 18/30 and
400 kVA x 12/30). A demand is the cycle's maximum, the sum over separate feeders; it is billed
against the contract by the rule version of the book (b22), the contract value not below its floor.

    contract 1000 kW at 40 yuan, measured 1100 kW, 2016 rule   ->  40,000 + 50 x 80 = 44,000 yuan
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from libs.events.quantities import PRICE_SCALE, ROUNDING, ceil_div, format_scaled
from services.billing.agreement import AgreementTerms
from services.billing.bill import AMOUNT_DENOMINATOR, BillLine, Charge, RatingPart, rule_id
from services.billing.calendar import Share, overlap
from services.billing.point_relations import BilledPoint, two_part_lists
from services.billing.price_book import (
    DemandRule,
    PriceComponent,
    PriceList,
    Rounding,
    TwoPartRule,
    price_e6,
)
from services.billing.stage import Rating, part_shares, shares_of

LINE_UNITS = {"kVA": "VA", "kW": "W"}


class DemandCharge(NamedTuple):
    """What a measured demand is billed as: at the price, and what is billed at a multiple of it."""

    base_w: int
    excess_w: int


class CapacitySpan(NamedTuple):
    """Days in which the capacity in use did not change."""

    from_on: str
    until_on: str
    capacity_va: int


class MeasuredDemand(NamedTuple):
    """The demand of a cycle and the readings behind it."""

    demand_w: int
    reading_ids: tuple[str, ...]


def basic_charge_stage(rating: Rating) -> None:
    """The basic charges of every part; days are shared over the spans of the whole cycle."""
    parts = rating.parts
    if all(part.terms.basic_charge == "none" for part in parts):
        return
    spans = [capacity_spans(part.terms, part.usage.from_on, part.usage.until_on) for part in parts]
    days = [(span.from_on, span.until_on) for part_spans in spans for span in part_spans]
    shares = iter(shares_of(parts, days))
    measured = measured_demand(rating.points, parts[0].book.rounding)
    for number, (part, part_share) in enumerate(zip(parts, part_shares(parts), strict=True)):
        shared = [(span, next(shares)) for span in spans[number]]
        charges: list[Charge] = []
        for price_list, rule in two_part_lists(rating.given[number]):
            if part.terms.basic_charge == "capacity":
                charges = capacity_charges(part, price_list, shared)
            else:
                charges = demand_charges(part, price_list, rule, measured, part_share)
        rating.charges[number] += charges


def billed_demand(measured_w: int, contract_w: int, rule: DemandRule) -> DemandCharge:
    """A measured demand against the contract by a rule version (domain.md 3.3).

    2016 rule: up to 105 % of the contract the contract value is billed, the part above 105 %
    doubled. Old rule: between 95 % and 105 % the measured value, below it 95 %, above it the
    contract value and twice the excess. Percentages of odd contract values round up to whole W.
    """
    limit_w = ceil_div(contract_w * rule.upper_percent, 100)
    if measured_w > limit_w:
        level_w = {"contract": contract_w, "limit": limit_w}
        return DemandCharge(level_w[rule.base_above], measured_w - level_w[rule.excess_over])
    if rule.within == "contract":
        return DemandCharge(contract_w, 0)
    return DemandCharge(max(measured_w, ceil_div(contract_w * rule.lower_percent, 100)), 0)


def contract_floor_w(contract_w: int, capacity_va: int, floor_percent: int) -> int:
    """The contract demand, not under its floor: 300 kW on 1,000 kVA at 40 % is 400 kW."""
    return max(contract_w, ceil_div(capacity_va * floor_percent, 100))


def capacity_spans(terms: AgreementTerms, from_on: str, until_on: str) -> list[CapacitySpan]:
    """The capacity in use over days, cut where it changes; the spans adjoin and are complete."""
    days = []
    for each in terms.transformers:
        span = overlap(from_on, until_on, each.from_on, each.until_on)
        if each.state == "in_use" and span:
            days.append((*span, each.capacity_va))
    cuts = sorted({from_on, until_on} | {on for start, end, _ in days for on in (start, end)})
    spans: list[CapacitySpan] = []
    for start, end in pairwise(cuts):
        total_va = sum(va for first, last, va in days if first <= start and end <= last)
        if spans and spans[-1].capacity_va == total_va:
            spans[-1] = spans[-1]._replace(until_on=end)
        else:
            spans.append(CapacitySpan(start, end, total_va))
    return spans


def measured_demand(
    points_by_part: Iterable[Iterable[BilledPoint]], rounding: Rounding
) -> MeasuredDemand:
    """The sum over the main two-part points of their maximum demand in the cycle, rounded."""
    maxima_w: dict[str, int] = {}
    reading_ids: set[str] = set()
    for points in points_by_part:
        for each in points:
            if each.kind == "main" and each.price_list.two_part:
                name = each.terms.point
                maxima_w[name] = max(maxima_w.get(name, 0), each.usage.demand_w or 0)
                reading_ids.update(each.usage.reading_ids)
    unit_w = rounding.demand_unit_w
    demand_w = ROUNDING[rounding.demand](sum(maxima_w.values()), unit_w) * unit_w
    return MeasuredDemand(demand_w, tuple(sorted(reading_ids)))


def capacity_charges(
    part: RatingPart, price_list: PriceList, spans: Iterable[tuple[CapacitySpan, Share]]
) -> list[Charge]:
    """The capacity in use, by the days of each span."""
    return [
        _charge(part, price_list, component, span, share)
        for component in price_list.components
        if component.unit == "kVA"
        for span, share in spans
        if span.capacity_va
    ]


def demand_charges(
    part: RatingPart,
    price_list: PriceList,
    rule: TwoPartRule,
    measured: MeasuredDemand,
    share: Share,
) -> list[Charge]:
    """The cycle's maximum demand, by the days of the part; above the limit at a multiple."""
    terms, usage = part.terms, part.usage
    basis = {"measured_w": str(measured.demand_w)}
    demand, demand_rule = DemandCharge(measured.demand_w, 0), rule.demand_rule
    if terms.basic_charge == "contract_demand":
        assert terms.contract_demand_w is not None, "admission let a missing contract through"
        spans = capacity_spans(terms, usage.from_on, usage.until_on)
        capacity_va = max(span.capacity_va for span in spans)
        floor_percent = rule.contract_floor_percent
        contract_w = contract_floor_w(terms.contract_demand_w, capacity_va, floor_percent)
        demand = billed_demand(measured.demand_w, contract_w, demand_rule)
        basis |= {"contract_w": str(contract_w), "demand_rule": demand_rule.name}
    charges = []
    for component in price_list.components:
        if component.unit != "kW":
            continue
        parts = [(component, demand.base_w)]
        if demand.excess_w:
            parts.append((_excess(component, demand_rule), demand.excess_w))
        for priced, demand_w in parts:
            span = CapacitySpan(usage.from_on, usage.until_on, demand_w)
            ids = measured.reading_ids
            charges.append(_charge(part, price_list, priced, span, share, basis=basis, ids=ids))
    return charges


def _excess(component: PriceComponent, rule: DemandRule) -> PriceComponent:
    return replace(
        component,
        code=f"{component.code}.excess",
        name_zh=f"{component.name_zh}（超限，{rule.excess_factor} 倍）",
        name_en=f"{component.name_en} (above the limit, {rule.excess_factor}-fold)",
        price=format_scaled(price_e6(component.price) * rule.excess_factor, PRICE_SCALE),
        unconfirmed=component.unconfirmed or rule.unconfirmed,
    )


def _charge(
    part: RatingPart,
    price_list: PriceList,
    component: PriceComponent,
    span: CapacitySpan,
    share: Share,
    *,
    basis: dict[str, str] | None = None,
    ids: tuple[str, ...] = (),
) -> Charge:
    days, month_days = share
    quantity = span.capacity_va
    exact = (quantity * price_e6(component.price) * days, AMOUNT_DENOMINATOR * month_days)
    line = BillLine(
        code=component.code,
        name_zh=component.name_zh,
        name_en=component.name_en,
        point="",
        from_on=span.from_on,
        until_on=span.until_on,
        quantity=quantity,
        unit=LINE_UNITS[component.unit],
        price=component.price,
        price_unit=f"{part.book.currency}/{component.unit}/month",
        amount_fen=ROUNDING[part.book.rounding.amount](*exact),
        rule=rule_id(part.book, price_list.code, component.code),
        basis={**(basis or {}), "days": f"{days}/{month_days}"},
        reading_ids=ids,
        unconfirmed=component.unconfirmed,
    )
    return Charge(line, component.pf_base and price_list.power_factor_applies, exact)

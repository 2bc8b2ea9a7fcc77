"""The basic charge 基本电费 of two-part customers: by capacity, contract demand or measured demand.

Capacity is charged by the days each sum of transformers was in use (b03: 315 kVA x 18/30 and
400 kVA x 12/30). A demand is the cycle's maximum (measured_demand.py); it is billed
against the contract by the rule version of the book (b22), the contract value not below its floor.

    contract 1000 kW at 40 yuan, measured 1100 kW, 2016 rule   ->  40,000 + 50 x 80 = 44,000 yuan
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from libs.events.quantities import PRICE_SCALE, ROUNDING, ceil_div, format_scaled
from services.billing.bill import (
    AMOUNT_DENOMINATOR,
    BillLine,
    Charge,
    LineDraft,
    RatingPart,
    rule_id,
)
from services.billing.calendar import Share
from services.billing.capacity import CapacitySpan, capacity_spans
from services.billing.load_hours import WHOLE, price_percent
from services.billing.measured_demand import MeasuredDemand, measured_demand
from services.billing.point_relations import InForce, two_part_lists
from services.billing.price_book import (
    DemandRule,
    PriceComponent,
    PriceList,
    TwoPartRule,
    price_e6,
)
from services.billing.stage import Rating, part_shares, shares_of

LINE_UNITS = {"kVA": "VA", "kW": "W"}


class DemandCharge(NamedTuple):
    """What a measured demand is billed as: at the price, and what is billed at a multiple of it."""

    base_w: int
    excess_w: int


def basic_charge_stage(rating: Rating) -> None:
    """The basic charges of every part; days are shared over the spans of the whole cycle."""
    parts = rating.parts
    if all(part.terms.basic_charge == "none" for part in parts):
        return
    spans = [_spans(given) for given in rating.given]
    days = [(span.from_on, span.until_on) for part_spans in spans for span in part_spans]
    shares = iter(shares_of(parts, days))
    capacity_va = max(span.capacity_va for part_spans in spans for span in part_spans)
    for number, (part, part_share) in enumerate(zip(parts, part_shares(parts), strict=True)):
        shared = [(span, next(shares)) for span in spans[number]]
        charges: list[Charge] = []
        for price_list, rule in two_part_lists(rating.given[number]):
            if part.terms.basic_charge == "capacity":
                charges = capacity_charges(part, price_list, shared)
            else:
                measured, found = measured_demand(
                    rating.points, rule.demand_rule, parts[0].book.rounding
                )
                rating.findings += (each for each in found if each not in rating.findings)
                demand = _Demand(measured, _own_energy_wh(rating), capacity_va, shared, part_share)
                charges = demand_charges(part, price_list, rule, demand)
        rating.charges[number] += charges


class _Demand(NamedTuple):
    """What a part's demand charge is worked out from; `spans` are those of the part."""

    measured: MeasuredDemand
    energy_wh: int
    capacity_va: int
    spans: list[tuple[CapacitySpan, Share]]
    share: Share


def _spans(given: InForce) -> list[CapacitySpan]:
    """The capacity of a part's days by the states of its price list; no list, no capacity."""
    terms, usage = given.part.terms, given.part.usage
    for _, rule in two_part_lists(given):
        return capacity_spans(terms, usage.from_on, usage.until_on, rule.state_percents)
    return [CapacitySpan(usage.from_on, usage.until_on, 0)]


def _own_energy_wh(rating: Rating) -> int:
    """What came through the transformers for the account itself: neither what it passed on, nor
    what a feed-in point drew, which has a connection of its own."""
    return sum(
        each.billed.total_wh
        for points in rating.points
        for each in points
        if each.kind not in ("transferred", "feed_in")
    )


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
    part: RatingPart, price_list: PriceList, rule: TwoPartRule, given: _Demand
) -> list[Charge]:
    """The cycle's maximum demand, by the days of the part; above the limit at a multiple."""
    terms, usage, measured = part.terms, part.usage, given.measured
    basis = {"measured_w": str(measured.demand_w)}
    if measured.transferred_w:
        basis["transferred_w"] = str(measured.transferred_w)
    demand, demand_rule = DemandCharge(measured.demand_w, 0), rule.demand_rule
    if terms.basic_charge == "contract_demand":
        assert terms.contract_demand_w is not None, "admission let a missing contract through"
        capacity_va = max(span.capacity_va for span, _ in given.spans)
        floor_percent = rule.contract_floor_percent
        contract_w = contract_floor_w(terms.contract_demand_w, capacity_va, floor_percent)
        demand = billed_demand(measured.demand_w, contract_w, demand_rule)
        basis |= {"contract_w": str(contract_w), "demand_rule": demand_rule.name}
    percent = price_percent(demand_rule, given.energy_wh, given.capacity_va)
    if percent != WHOLE:
        basis |= {"price_percent": str(percent), "month_wh": str(given.energy_wh)}
        basis |= {"capacity_va": str(given.capacity_va)}
    charges = []
    span = CapacitySpan(usage.from_on, usage.until_on, demand.base_w)
    above = span._replace(capacity_va=demand.excess_w)
    is_unconfirmed = percent != WHOLE and demand_rule.unconfirmed
    for listed in price_list.components:
        if listed.unit != "kW":
            continue
        component = replace(listed, unconfirmed=True) if is_unconfirmed else listed
        parts = [(component, span)]
        if demand.excess_w:
            parts.append((_excess(component, demand_rule), above))
        for priced, charged in parts:
            charge = _charge(
                part, price_list, priced, charged, given.share,
                basis=basis, ids=measured.reading_ids, percent=percent,
            )  # fmt: skip
            charges.append(charge)
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
    percent: int = WHOLE,
) -> Charge:
    days, month_days = share
    quantity = span.capacity_va
    exact = (
        quantity * price_e6(component.price) * days * percent,
        AMOUNT_DENOMINATOR * month_days * WHOLE,
    )
    line = LineDraft(
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
    line.__class__ = BillLine
    return Charge(line, component.pf_base and price_list.power_factor_applies, exact)

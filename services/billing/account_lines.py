"""Prices that one account alone has: components of its contract or of the market 户级电价项.

A component is charged on what its point was billed, or on all priced points of the account; per
kVA, kW or month by the days in which it holds. It is no base of the power-factor adjustment
(UNCONFIRMED: no source says so of prices that stand in no book).

    0.0123 yuan per kWh on 10,000 kWh    ->  123.00 yuan, `account.market_spread`
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from libs.events.quantities import ROUNDING, WH_PER_KWH
from services.billing.agreement import AccountComponent
from services.billing.bill import AMOUNT_DENOMINATOR, BillLine, Charge, Finding, RatingPart
from services.billing.calendar import Share, overlap
from services.billing.capacity import CapacitySpan, capacity_spans
from services.billing.point_relations import BilledPoint, two_part_lists
from services.billing.price_book import UNITS, default_state_percents, price_e6
from services.billing.stage import Rating, part_shares, shares_of

LINE_UNITS = {"kWh": "Wh", "kVA": "VA", "kW": "W", "month": "month"}


def account_line_stage(rating: Rating) -> None:
    """The components of the account in every part in which they hold."""
    parts = rating.parts
    if not any(part.terms.components for part in parts):
        return
    capacities = capacity_by_part(rating)
    for number, (part, share) in enumerate(zip(parts, part_shares(parts), strict=True)):
        seen: set[tuple[str, str]] = set()
        for each in sorted(_in_force(part), key=lambda found: (found.code, found.point)):
            problem = _problem(part, each, rating.points[number], seen)
            if problem is not None:
                rating.findings.append(problem)
                continue
            quantities: Iterable[tuple[CapacitySpan, Share]]
            whole = CapacitySpan(part.usage.from_on, part.usage.until_on, 0)
            if each.unit == "kVA":
                quantities = capacities[number]
            elif each.unit == "kW":
                demand_w = _demand_w(part, each, rating.points)
                quantities = [(whole._replace(capacity_va=demand_w), share)]
            elif each.unit == "kWh":
                energy_wh = sum(point.billed.total_wh for point in _of(each, rating.points[number]))
                quantities = [(whole._replace(capacity_va=energy_wh), (1, 1))]
            else:
                quantities = [(whole._replace(capacity_va=1), share)]
            rating.charges[number] += [
                _charge(part, each, span, span_share, rating.points[number])
                for span, span_share in quantities
                if span.capacity_va
            ]


def capacity_by_part(rating: Rating) -> list[list[tuple[CapacitySpan, Share]]]:
    """The spans of each part's capacity with what part of a month each of them bears; what a
    resting transformer counts for is said by the price list, by default where it has no rule."""
    spans = []
    for given in rating.given:
        usage = given.part.usage
        states = next(
            (rule.state_percents for _, rule in two_part_lists(given)), default_state_percents()
        )
        spans.append(capacity_spans(given.part.terms, usage.from_on, usage.until_on, states))
    days = [(span.from_on, span.until_on) for part_spans in spans for span in part_spans]
    shares = iter(shares_of(rating.parts, days))
    return [[(span, next(shares)) for span in part_spans] for part_spans in spans]


def _in_force(part: RatingPart) -> Iterator[AccountComponent]:
    usage = part.usage
    for each in part.terms.components:
        if overlap(usage.from_on, usage.until_on, each.from_on, each.until_on):
            yield each


def _problem(
    part: RatingPart,
    component: AccountComponent,
    points: Iterable[BilledPoint],
    seen: set[tuple[str, str]],
) -> Finding | None:
    """Why the component cannot be charged in this part; its code and point are noted as seen."""
    usage, text = part.usage, ""
    days = overlap(usage.from_on, usage.until_on, component.from_on, component.until_on)
    if component.unit not in UNITS:
        text = f"{component.unit} is no unit: {', '.join(UNITS)}"
    elif days != (usage.from_on, usage.until_on):
        text = f"it holds on some of the days {usage.from_on} to {usage.until_on} only"
    elif component.point and not list(_of(component, points)):
        text = "the agreement prices no such point in these days"
    elif (component.code, component.point) in seen:
        text = "it is in two rows on the same day"
    seen.add((component.code, component.point))
    if not text:
        return None
    found = f"the account's component {component.code}: {text}"
    return Finding(rule="account_component", point=component.point, text=found)


def _of(component: AccountComponent, points: Iterable[BilledPoint]) -> Iterator[BilledPoint]:
    for each in points:
        if component.point in ("", each.terms.point):
            yield each


def _demand_w(
    part: RatingPart, component: AccountComponent, points_by_part: Iterable[Iterable[BilledPoint]]
) -> int:
    """The cycle's maximum demand of the component's point, or summed over all main points."""
    maxima_w: dict[str, int] = {}
    for points in points_by_part:
        for each in _of(component, points):
            if each.kind == "main" or component.point:
                name = each.terms.point
                maxima_w[name] = max(maxima_w.get(name, 0), each.usage.demand_w or 0)
    rounding = part.book.rounding
    unit_w = rounding.demand_unit_w
    return ROUNDING[rounding.demand](sum(maxima_w.values()), unit_w) * unit_w


def _charge(
    part: RatingPart,
    component: AccountComponent,
    span: CapacitySpan,
    share: Share,
    points: Iterable[BilledPoint],
) -> Charge:
    days, month_days = share
    quantity = span.capacity_va
    scaled = quantity * WH_PER_KWH if component.unit == "month" else quantity
    exact = (scaled * price_e6(component.price) * days, AMOUNT_DENOMINATOR * month_days)
    per = component.unit if component.unit in ("kWh", "month") else f"{component.unit}/month"
    basis = {} if component.unit == "kWh" else {"days": f"{days}/{month_days}"}
    if component.source:
        basis["settled_by"] = component.source
    ids: set[str] = set()
    if component.unit in ("kWh", "kW"):
        ids = {name for each in _of(component, points) for name in each.reading_ids}
    line = BillLine(
        code=f"account.{component.code}",
        name_zh=component.name_zh,
        name_en=component.name_en,
        point=component.point,
        from_on=span.from_on,
        until_on=span.until_on,
        quantity=quantity,
        unit=LINE_UNITS[component.unit],
        price=component.price,
        price_unit=f"{part.book.currency}/{per}",
        amount_fen=ROUNDING[part.book.rounding.amount](*exact),
        rule=f"agreement/component/{component.code}",
        basis=basis,
        reading_ids=tuple(sorted(ids)),
    )
    return Charge(line, False, exact)

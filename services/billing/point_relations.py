"""From registers to billed energy: rates become periods, energy is rounded, sub-meters deducted.

Each meter's energy is rounded first and deducted afterwards, so that what the sub-meters are billed
and what the main point is billed add up to the main meter's rounded energy. A negative remainder is
a finding and withholds the bill: either the relation or a reading is wrong.

    main 1000 kWh, deducted sub-meter 300 kWh    ->  billed 700 kWh and 300 kWh
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from libs.events.quantities import ROUNDING
from services.billing.agreement import PointRelation, PointTerms
from services.billing.bill import Finding, RatingPart
from services.billing.calendar import overlap, period_rank
from services.billing.price_book import PriceList, Rounding, TwoPartRule
from services.billing.usage import PointUsage

REST_PERIODS = ("flat", "peak", "valley", "sharp")
"""Which period is total minus the others: flat, or peak where a meter has only peak and valley."""

PRICED = ("main", "deducted", "feed_in")
"""Relations of points that are billed for what they drew, each by its own price list."""

MAIN = PointRelation(point="", kind="main")


class PointEnergy(NamedTuple):
    """Rounded energy of a point; `by_period` is empty for a meter without rates."""

    total_wh: int
    by_period: dict[str, int]


class BilledPoint(NamedTuple):
    """A point that is priced: what its meter showed, and what is left to bill."""

    terms: PointTerms
    price_list: PriceList
    usage: PointUsage
    kind: str
    metered: PointEnergy
    billed: PointEnergy
    reading_ids: tuple[str, ...]


class InForce(NamedTuple):
    """The points and relations of the agreement that hold in the days of a part.

    `points` are in the order of their ids. A second relation of a point is refused by admission.py.
    """

    part: RatingPart
    points: list[PointTerms]
    relations: dict[str, PointRelation]
    priced: list[PointTerms]


def in_force(part: RatingPart) -> InForce:
    """What of the agreement holds in the days of a part."""
    start, end = part.usage.from_on, part.usage.until_on
    points = [
        each for each in part.terms.points if overlap(start, end, each.from_on, each.until_on)
    ]
    points.sort(key=lambda each: each.point)
    relations = {
        each.point: each
        for each in part.terms.relations
        if overlap(start, end, each.from_on, each.until_on)
    }
    priced = [each for each in points if relations.get(each.point, MAIN).kind in PRICED]
    return InForce(part, points, relations, priced)


def two_part_lists(given: InForce) -> list[tuple[PriceList, TwoPartRule]]:
    """The two-part price lists of the main points, each once, with its rule."""
    lists = {
        each.price_list: given.part.book.price_lists[each.price_list]
        for each in given.priced
        if given.relations.get(each.point, MAIN).kind == "main"
    }
    return [(each, each.two_part) for each in lists.values() if each.two_part]


def billed_points(given: InForce) -> tuple[list[BilledPoint], list[Finding]]:
    """The priced points with their energy after deduction, and what speaks against billing it.

    Expects a part without admission findings: every point has one usage and a price list.
    """
    book = given.part.book
    usages = {each.point: each for each in given.part.usage.points}
    findings: list[Finding] = []
    metered: dict[str, PointEnergy] = {}
    subs: dict[str, list[str]] = {}
    for terms in given.priced:
        energy, found = metered_energy(usages[terms.point], terms, book.rounding)
        metered[terms.point] = energy
        findings += found
        relation = given.relations.get(terms.point, MAIN)
        if relation.kind == "deducted":
            subs.setdefault(relation.of, []).append(terms.point)
    points = []
    for terms in given.priced:
        deducted = subs.get(terms.point, [])
        billed, found = deduct(terms.point, metered, deducted, book.rounding)
        findings += found
        points.append(
            BilledPoint(
                terms=terms,
                price_list=book.price_lists[terms.price_list],
                usage=usages[terms.point],
                kind=given.relations.get(terms.point, MAIN).kind,
                metered=metered[terms.point],
                billed=billed,
                reading_ids=_reading_ids([usages[each] for each in (terms.point, *deducted)]),
            )
        )
    return points, findings


def metered_energy(
    usage: PointUsage, terms: PointTerms, rounding: Rounding
) -> tuple[PointEnergy, list[Finding]]:
    """One meter's energy by period, rounded to whole units by the rule of the book.

    With `flat_is_rest` the flat energy is total minus the other periods. Rounding alone can leave
    it below zero, by half a unit for each period; the largest of the others then give a unit each,
    so that the periods still add up to the total. More than that is no rounding, and a finding.
    """
    unit = rounding.energy_unit_wh
    round_units = ROUNDING[rounding.energy]
    total_wh = round_units(usage.import_wh, unit) * unit
    if usage.import_wh < 0:
        text = "the meter's import energy is negative"
        numbers = {"import_wh": usage.import_wh}
        return PointEnergy(0, {}), [_finding("negative_usage", usage.point, text, numbers)]
    if not terms.rate_periods:
        return PointEnergy(total_wh, {}), []
    raw_wh: dict[str, int] = dict.fromkeys(terms.rate_periods.values(), 0)
    for rate, energy_wh in usage.import_wh_by_rate.items():
        period = terms.rate_periods.get(rate)
        if period is not None:
            raw_wh[period] += energy_wh
    by_period = {
        period: round_units(raw_wh[period], unit) * unit
        for period in sorted(raw_wh, key=period_rank)
    }
    if rounding.periods == "each":
        return PointEnergy(sum(by_period.values()), by_period), []
    rest = next(period for period in REST_PERIODS if period in by_period)
    by_period[rest] += total_wh - sum(by_period.values())
    deficit_units, by_period[rest] = max(0, -by_period[rest]) // unit, max(0, by_period[rest])
    if deficit_units > len(by_period) // 2:
        text = "the periods' energies together are more than the total"
        numbers = {"total_wh": usage.import_wh, "periods_wh": sum(raw_wh.values())}
        finding = _finding("periods_exceed_total", usage.point, text, numbers)
        return PointEnergy(total_wh, by_period), [finding]
    for _ in range(deficit_units):
        largest = max(by_period, key=lambda period: (by_period[period], -period_rank(period)))
        by_period[largest] -= unit
    return PointEnergy(total_wh, by_period), []


def deduct(
    point: str, metered: Mapping[str, PointEnergy], subs: Iterable[str], rounding: Rounding
) -> tuple[PointEnergy, list[Finding]]:
    """What is left of a main point's energy after its sub-meters, in total and by period.

    A sub-meter with rates is deducted period by period. The others' total is spread over what then
    remains, in proportion or from the flat period, as the book says (UNCONFIRMED, domain.md 3).
    """
    total_wh, by_period = metered[point].total_wh, dict(metered[point].by_period)
    unspread_wh = 0
    for sub in subs:
        energy = metered[sub]
        total_wh -= energy.total_wh
        if energy.by_period:
            for period, energy_wh in energy.by_period.items():
                by_period[period] = by_period.get(period, 0) - energy_wh
        else:
            unspread_wh += energy.total_wh
    if metered[point].by_period:
        for period, energy_wh in _spread(by_period, unspread_wh, rounding).items():
            by_period[period] -= energy_wh
    else:
        by_period = {}
    if min(total_wh, *by_period.values(), 0) < 0:
        text = "the deducted sub-meters used more than the main meter"
        numbers = {"metered_wh": metered[point].total_wh, "remainder_wh": total_wh}
        numbers |= {f"remainder_{period}_wh": by_period[period] for period in by_period}
        finding = _finding("negative_remainder", point, text, numbers)
        return PointEnergy(total_wh, by_period), [finding]
    return PointEnergy(total_wh, by_period), []


def _spread(by_period: Mapping[str, int], energy_wh: int, rounding: Rounding) -> dict[str, int]:
    """Shares of an energy by period, in whole units, adding up to it (largest remainder)."""
    whole_wh = sum(by_period.values())
    if rounding.deduction_spread == "flat" or whole_wh <= 0 or min(by_period.values()) < 0:
        rest = next(period for period in REST_PERIODS if period in by_period)
        return {rest: energy_wh}
    units = energy_wh // rounding.energy_unit_wh
    shares = {period: divmod(units * part_wh, whole_wh) for period, part_wh in by_period.items()}
    left = units - sum(share for share, _ in shares.values())
    order = sorted(shares, key=lambda period: (-shares[period][1], period_rank(period)))
    return {
        period: (shares[period][0] + (place < left)) * rounding.energy_unit_wh
        for place, period in enumerate(order)
    }


def _reading_ids(usages: Iterable[PointUsage]) -> tuple[str, ...]:
    return tuple(sorted({each for usage in usages for each in usage.reading_ids}))


def _finding(rule: str, point: str, text: str, numbers: dict[str, int]) -> Finding:
    return Finding(rule=rule, point=point, text=text, numbers=numbers)

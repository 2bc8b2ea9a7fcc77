"""From registers to billed energy: rates become periods, energy is rounded, sub-meters deducted.

Each meter's energy is rounded first and deducted afterwards, so that what the sub-meters are billed
and what the main point is billed add up to the main meter's rounded energy. A negative remainder is
a finding and withholds the bill: either the relation or a reading is wrong.

    main 1000 kWh, deducted sub-meter 300 kWh    ->  billed 700 kWh and 300 kWh

Transferred supply 转供 is a sub-meter too; what its demand takes off is in measured_demand.py, what
points without a meter get in shared_points.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from libs.events.quantities import ROUNDING
from services.billing.agreement import PointRelation, PointTerms
from services.billing.apportion import proportional
from services.billing.bill import Finding, RatingPart
from services.billing.calendar import overlap, period_rank
from services.billing.price_book import PriceList, Rounding, TwoPartRule
from services.billing.usage import PointUsage

REST_PERIODS = ("flat", "peak", "valley", "sharp")
"""Which period is total minus the others: flat, or peak where a meter has only peak and valley."""

BEHIND = ("deducted", "transferred")
"""Relations of points with a meter of their own that another one's meter measures too."""

UNMETERED = ("fixed_ratio", "fixed_quantity")
"""Relations of points without a meter, which get a part of another one's energy."""

PRICED = ("main", *BEHIND, *UNMETERED, "feed_in")
"""Relations of points that are billed for what they drew, each by its own price list."""

MAIN = PointRelation(point="", kind="main")


class PointEnergy(NamedTuple):
    """Rounded energy of a point; `by_period` is empty for a meter without rates."""

    total_wh: int
    by_period: dict[str, int]


class BilledPoint(NamedTuple):
    """A point that is priced: what its meter showed, what came off or on it, what is left to bill.

    `changes` are the steps from `metered` to `billed` by the name they have in a line's basis;
    `origin`: what an unmetered point's energy comes from, likewise; `of`: the point it is behind;
    `loss_wh`, `loss_varh`: what the changes add for losses; `unconfirmed`: one of them rests on a
    figure that is.
    """

    terms: PointTerms
    price_list: PriceList
    usage: PointUsage
    kind: str
    metered: PointEnergy
    billed: PointEnergy
    reading_ids: tuple[str, ...]
    of: str = ""
    changes: tuple[tuple[str, PointEnergy], ...] = ()
    origin: tuple[tuple[str, str], ...] = ()
    loss_wh: int = 0
    loss_varh: int = 0
    unconfirmed: bool = False


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
        if relation_in(given, each.point).kind == "main"
    }
    return [(each, each.two_part) for each in lists.values() if each.two_part]


def relation_in(given: InForce, point: str) -> PointRelation:
    """What a point is to the others; one without a relation is a main point."""
    return given.relations.get(point, MAIN)


def measured(given: InForce) -> Iterator[PointTerms]:
    """The priced points that have a meter."""
    return (each for each in given.priced if relation_in(given, each.point).kind not in UNMETERED)


def billed_points(given: InForce) -> tuple[list[BilledPoint], list[Finding]]:
    """The measured points with their energy after deduction, and what speaks against billing it.

    Expects a part without admission findings: every point has one usage and a price list.
    """
    book = given.part.book
    usages = {each.point: each for each in given.part.usage.points}
    findings: list[Finding] = []
    metered: dict[str, PointEnergy] = {}
    subs: dict[str, list[str]] = {}
    for terms in measured(given):
        energy, found = metered_energy(usages[terms.point], terms, book.rounding)
        metered[terms.point] = energy
        findings += found
        relation = relation_in(given, terms.point)
        if relation.kind in BEHIND:
            subs.setdefault(relation.of, []).append(terms.point)
    points = []
    for terms in measured(given):
        relation, whole = relation_in(given, terms.point), metered[terms.point]
        deducted, billed = subs.get(terms.point, []), whole
        if deducted:
            billed, found = deduct(terms.point, metered, deducted, book.rounding)
            findings += found
        points.append(
            BilledPoint(
                terms=terms,
                price_list=book.price_lists[terms.price_list],
                usage=usages[terms.point],
                kind=relation.kind,
                metered=whole,
                billed=billed,
                reading_ids=_reading_ids([usages[each] for each in (terms.point, *deducted)]),
                of=relation.of if relation.kind in BEHIND else "",
                changes=(("deducted_wh", minus(whole, billed)),) if whole != billed else (),
            )
        )
    return points, findings


def minus(energy: PointEnergy, taken: PointEnergy) -> PointEnergy:
    """What is left of an energy, in total and in each of its periods."""
    by_period = {
        period: energy_wh - taken.by_period.get(period, 0)
        for period, energy_wh in energy.by_period.items()
    }
    return PointEnergy(energy.total_wh - taken.total_wh, by_period)


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
        for period, energy_wh in spread(by_period, unspread_wh, rounding).items():
            by_period[period] -= energy_wh
    else:
        by_period = {}
    left = PointEnergy(total_wh, by_period)
    return left, negative_remainder(
        point, metered[point], left, "the deducted sub-meters used more than the main meter"
    )


def negative_remainder(
    point: str, whole: PointEnergy, left: PointEnergy, text: str
) -> list[Finding]:
    """The finding that more was taken off a point than there was, in total or in a period."""
    if min(left.total_wh, *left.by_period.values(), 0) >= 0:
        return []
    numbers = {"metered_wh": whole.total_wh, "remainder_wh": left.total_wh}
    numbers |= {f"remainder_{period}_wh": left.by_period[period] for period in left.by_period}
    return [_finding("negative_remainder", point, text, numbers)]


def spread(by_period: Mapping[str, int], energy_wh: int, rounding: Rounding) -> dict[str, int]:
    """Shares of an energy by period, in whole units, adding up to it: in proportion (largest
    remainder), or from the period that is the rest, as the book says."""
    if rounding.deduction_spread == "flat":
        return {_rest(by_period): energy_wh}
    return by_proportion(by_period, energy_wh, rounding.energy_unit_wh)


def by_proportion(by_period: Mapping[str, int], energy_wh: int, unit_wh: int) -> dict[str, int]:
    """Shares of an energy in proportion to what each period has; all of it to the period that is
    the rest where there is nothing."""
    if min(by_period.values()) < 0 or not any(by_period.values()):
        return {_rest(by_period): energy_wh}
    ordered = {period: by_period[period] for period in sorted(by_period, key=period_rank)}
    return proportional(ordered, energy_wh, unit_wh)


def _rest(by_period: Mapping[str, int]) -> str:
    return next(period for period in REST_PERIODS if period in by_period)


def _reading_ids(usages: Iterable[PointUsage]) -> tuple[str, ...]:
    return tuple(sorted({each for usage in usages for each in usage.reading_ids}))


def _finding(rule: str, point: str, text: str, numbers: dict[str, int]) -> Finding:
    return Finding(rule=rule, point=point, text=text, numbers=numbers)

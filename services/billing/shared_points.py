"""Points without a meter 定比、定量: a ratio of another point's energy, or so much a month.

What the other point has left after its sub-meters is shared: first the fixed quantities, then the
ratios of what is left (the order is UNCONFIRMED; contracts have one of them). The share is rounded
and the rest stays with the metered point, so nothing is lost and nothing is billed twice.

    main 1,000 kWh, ratio 0.2           ->  200 kWh, and the main point 800 kWh
    main 1,000 kWh, 300 kWh a month     ->  300 kWh (150 kWh for 15 of 30 days), main 700 kWh
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction

from libs.events.quantities import ROUNDING
from services.billing.agreement import PointTerms
from services.billing.apportion import RunningTotal, part_of
from services.billing.bill import Finding
from services.billing.calendar import Share
from services.billing.point_relations import (
    UNMETERED,
    BilledPoint,
    InForce,
    PointEnergy,
    by_proportion,
    minus,
    negative_remainder,
    relation_in,
    spread,
)
from services.billing.price_book import Rounding
from services.billing.stage import Rating, part_shares

Given = tuple[PointEnergy, tuple[tuple[str, str], ...]]
"""What an unmetered point gets, and what that comes from."""


def shared_point_stage(rating: Rating) -> None:
    """The unmetered points of every part with their energy, which is taken off the others'."""
    if not any(given.relations for given in rating.given):
        return
    kinds = {each.kind for given in rating.given for each in given.relations.values()}
    if kinds.isdisjoint(UNMETERED):
        return
    totals: dict[str, RunningTotal] = {}
    for number, share in enumerate(part_shares(rating.parts)):
        given = rating.given[number]
        points: list[BilledPoint] = []
        for point in rating.points[number]:
            shared, found = share_out(given, point, share, totals)
            points += shared
            rating.findings += found
        rating.points[number] = sorted(points, key=lambda each: each.terms.point)


def share_out(
    given: InForce, point: BilledPoint, share: Share, totals: dict[str, RunningTotal]
) -> tuple[list[BilledPoint], list[Finding]]:
    """A metered point with what is left to it, and the points that get a part of it.

    `share` is the part of a month that these days bear; `totals`: of each fixed quantity's point,
    what it got in the cycle so far, so that its parts add up.
    """
    rounding = given.part.book.rounding
    name = point.terms.point
    shared: list[tuple[PointTerms, Given]] = []
    left = point.billed
    for terms in _behind(given, name, "fixed_quantity"):
        total = totals.setdefault(terms.point, RunningTotal())
        got = fixed_quantity(
            left, relation_in(given, terms.point).quantity_wh, share, total, rounding
        )
        shared.append((terms, got))
        left = minus(left, got[0])
    ratios = list(_behind(given, name, "fixed_ratio"))
    texts = [relation_in(given, terms.point).ratio for terms in ratios]
    by_ratio = fixed_ratios(left, texts, rounding)
    shared += zip(ratios, by_ratio, strict=True)
    for energy, _ in by_ratio:
        left = minus(left, energy)
    if not shared:
        return [point], []
    taken = minus(point.billed, left)
    changes = (*point.changes, ("fixed_wh", taken))
    text = "the points with a fixed part of it have more than there is"
    return [
        point._replace(billed=left, changes=changes),
        *(_unmetered(given, point, *each) for each in shared),
    ], negative_remainder(name, point.billed, left, text)


def fixed_quantity(
    left: PointEnergy, quantity_wh: int, share: Share, total: RunningTotal, rounding: Rounding
) -> Given:
    """The quantity of a month for some of its days, spread over the periods by the book's rule."""
    exact = Fraction(quantity_wh * share[0], share[1])
    energy_wh = total.add(exact, rounding.energy_unit_wh, ROUNDING[rounding.energy])
    by_period = spread(left.by_period, energy_wh, rounding) if left.by_period else {}
    origin = ("fixed_quantity_wh", str(quantity_wh)), ("days", f"{share[0]}/{share[1]}")
    return PointEnergy(energy_wh, _complete(left, by_period)), origin


def fixed_ratios(left: PointEnergy, ratios: Sequence[str], rounding: Rounding) -> list[Given]:
    """The ratios of an energy, each period's part in proportion.

    Ratios up to one together never get more than there is, whatever the roundings are.
    """
    total, rest = RunningTotal(), left
    found: list[Given] = []
    for ratio in ratios:
        exact = left.total_wh * part_of(ratio)
        energy_wh = total.add(exact, rounding.energy_unit_wh, ROUNDING[rounding.energy])
        by_period: dict[str, int] = {}
        if rest.by_period:
            by_period = by_proportion(rest.by_period, energy_wh, rounding.energy_unit_wh)
        energy = PointEnergy(energy_wh, _complete(left, by_period))
        found.append((energy, (("fixed_ratio", ratio), ("shared_wh", str(left.total_wh)))))
        rest = minus(rest, energy)
    return found


def _behind(given: InForce, point: str, kind: str) -> Iterator[PointTerms]:
    for terms in given.priced:
        relation = relation_in(given, terms.point)
        if (relation.kind, relation.of) == (kind, point):
            yield terms


def _complete(whole: PointEnergy, by_period: dict[str, int]) -> dict[str, int]:
    return {period: by_period.get(period, 0) for period in whole.by_period}


def _unmetered(given: InForce, of: BilledPoint, terms: PointTerms, got: Given) -> BilledPoint:
    """A point that is priced like any other; its usage is a part of the metered one's."""
    energy, origin = got
    usage = replace(
        of.usage,
        point=terms.point,
        import_wh=energy.total_wh,
        import_wh_by_rate={},
        export_wh=0,
        export_wh_by_rate={},
        reactive_varh={},
        demand_w=None,
        demand_at="",
    )
    return BilledPoint(
        terms=terms,
        price_list=given.part.book.price_lists[terms.price_list],
        usage=usage,
        kind=relation_in(given, terms.point).kind,
        metered=energy,
        billed=energy,
        reading_ids=of.reading_ids,
        of=of.terms.point,
        origin=origin,
    )

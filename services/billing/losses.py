"""What losses of transformers and lines have in common: the load behind them, what they add.

A loss that no table says goes with the square of the load. What flows on average over the days of a
meter's cycle is taken for the load on each of them, so days split anywhere add up to the whole.

    with_loss(point, "transformer_loss_wh", 203_000, 0, ...)    spread over the periods as metered
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from services.billing.calendar import days_between
from services.billing.point_relations import BilledPoint, PointEnergy, by_proportion
from services.billing.price_book import LossRule

HOURS_PER_DAY = 24


class Load(NamedTuple):
    """What a meter showed, with losses added to it before, over its days of a cycle."""

    energy_wh: int
    reactive_varh: int
    days: int


def load_of(points: Iterable[BilledPoint]) -> Load:
    """The load of one point over the parts of a cycle; reactive of all quadrants that were read."""
    energy_wh = reactive_varh = days = 0
    for each in points:
        energy_wh += each.metered.total_wh + each.loss_wh
        reactive_varh += sum(abs(varh) for varh in each.usage.reactive_varh.values())
        days += days_between(each.usage.from_on, each.usage.until_on)
    return Load(energy_wh, reactive_varh, days)


def square_of_load(rule: LossRule, energy_wh: Fraction, reactive_varh: Fraction) -> Fraction:
    """What a loss by load goes with: P^2, or P^2 + Q^2, by the name of the rule."""
    if rule.name == "active_squared":
        return energy_wh * energy_wh
    return energy_wh * energy_wh + reactive_varh * reactive_varh


def with_loss(
    point: BilledPoint,
    name: str,
    loss_wh: int,
    loss_varh: int,
    *,
    unit_wh: int,
    unconfirmed: bool,
) -> BilledPoint:
    """A point that also bears a loss, spread over its periods in proportion to what was metered.

    In whole units, by the largest remainder: the periods' losses add up to the loss.
    """
    if not loss_wh and not loss_varh:
        return point
    shares: dict[str, int] = {}
    if point.metered.by_period:
        shares = by_proportion(point.metered.by_period, loss_wh, unit_wh)
    by_period = {period: shares.get(period, 0) for period in point.metered.by_period}
    billed = PointEnergy(
        point.billed.total_wh + loss_wh,
        {period: point.billed.by_period[period] + added for period, added in by_period.items()},
    )
    return point._replace(
        billed=billed,
        changes=(*point.changes, (name, PointEnergy(loss_wh, by_period))),
        loss_wh=point.loss_wh + loss_wh,
        loss_varh=point.loss_varh + loss_varh,
        unconfirmed=point.unconfirmed or unconfirmed,
    )


class PointPart(NamedTuple):
    """A point in one of the parts of a cycle, and its place there."""

    part: int
    place: int
    point: BilledPoint


def main_points(points_by_part: Sequence[Sequence[BilledPoint]]) -> dict[str, list[PointPart]]:
    """The main points by their name, each in the order of the parts."""
    found: dict[str, list[PointPart]] = {}
    for number, points in enumerate(points_by_part):
        for place, each in enumerate(points):
            if each.kind == "main":
                found.setdefault(each.terms.point, []).append(PointPart(number, place, each))
    return found

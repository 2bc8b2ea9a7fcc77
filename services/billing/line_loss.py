"""Line loss behind the property boundary 产权分界点: the customer's own line is metered at its end.

The contract says how much is lost: a percentage of the energy that leaves the line (with the loss
of a transformer behind it), or the resistance of the line, by which the loss is R I^2 t. The
current is that of the average load at the nominal voltage (domain.md 3.5; UNCONFIRMED).

    1.5 % of 10,000 kWh                           ->  150 kWh
    250 mOhm, 10 kV, 100,000 kWh in 30 days       ->  0.25 x (10^8)^2 / (10^8 x 720) Wh = 35 kWh
"""

from __future__ import annotations

from fractions import Fraction

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, parse_scaled
from services.billing.agreement import LineLoss, PointTerms
from services.billing.apportion import RunningTotal
from services.billing.calendar import days_between
from services.billing.losses import (
    HOURS_PER_DAY,
    Load,
    PointPart,
    load_of,
    main_points,
    square_of_load,
    with_loss,
)
from services.billing.price_book import LossRule
from services.billing.stage import Rating

PERCENT_SCALE = 10**6
MOHM_PER_OHM = 1000


def line_loss_stage(rating: Rating) -> None:
    """The loss of every main point's line, added to what it is billed."""
    if not any(each.line_loss for given in rating.given for each in given.priced):
        return
    for found in main_points(rating.points).values():
        bearing = [each for each in found if each.point.terms.line_loss is not None]
        load, total = load_of(each.point for each in bearing), RunningTotal()
        for each in bearing:
            _add(rating, each, load, total)


def _add(rating: Rating, found: PointPart, load: Load, total: RunningTotal) -> None:
    book, point = rating.parts[found.part].book, found.point
    line = point.terms.line_loss
    assert line is not None, "only points with a line loss are asked"
    if line.kind == "percent":
        exact = (point.metered.total_wh + point.loss_wh) * part_lost(line)
    else:
        days = days_between(point.usage.from_on, point.usage.until_on)
        nominal_v = book.loss_rule.nominal_v[point.terms.voltage_class]
        exact = resistance_loss_wh(line.resistance_mohm, nominal_v, load, days, book.loss_rule)
    unit_wh = book.rounding.energy_unit_wh
    loss_wh = total.add(exact, unit_wh, ROUNDING[book.rounding.energy])
    unconfirmed = line.kind == "resistance" and book.loss_rule.unconfirmed
    rating.points[found.part][found.place] = with_loss(
        point, "line_loss_wh", loss_wh, 0, unit_wh=unit_wh, unconfirmed=unconfirmed
    )


def part_lost(line: LineLoss) -> Fraction:
    """What part of the energy the percentage of a line is."""
    return Fraction(parse_scaled(line.percent, PERCENT_SCALE, "percent"), 100 * PERCENT_SCALE)


def resistance_loss_wh(
    resistance_mohm: int, nominal_v: int, load: Load, days: int, rule: LossRule
) -> Fraction:
    """R (P^2 + Q^2) t / U^2 of the days, with the average load of all the days; exact.

    For three phases 3 R I^2 with I = S / (sqrt(3) U) is the same.
    """
    hours = load.days * HOURS_PER_DAY
    power_squared = square_of_load(
        rule, Fraction(load.energy_wh, hours), Fraction(load.reactive_varh, hours)
    )
    return (
        power_squared
        * Fraction(resistance_mohm, MOHM_PER_OHM * nominal_v * nominal_v)
        * (days * HOURS_PER_DAY)
    )


def line_loss_defect(terms: PointTerms, rule: LossRule) -> str:
    """What is wrong with the line loss of a point, "" when nothing is."""
    line = terms.line_loss
    if line is None:
        return ""
    if line.kind == "percent":
        try:
            lost = part_lost(line)
        except BadInput:
            return f"{line.percent!r} is no percentage"
        return "" if 0 < lost < 1 else f"{line.percent} % cannot be lost"
    if line.kind != "resistance":
        return f"{line.kind} is no way to calculate a loss"
    if line.resistance_mohm <= 0:
        return f"{line.resistance_mohm} mOhm is no resistance"
    if terms.voltage_class not in rule.nominal_v:
        return f"the book has no nominal voltage of {terms.voltage_class}"
    return ""

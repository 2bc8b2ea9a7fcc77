"""Power-factor adjustment 功率因数调整电费: the factor of the cycle, the table, the adjusted base.

The factor is P/sqrt(P^2+Q^2) of the cycle's totals, rounded half-up to two decimals, in integers
throughout. The table (81 rows for three standards) is data of the book; below its last row each
further 0.01 adds the book's step (domain.md 3.4).

    power_factor_hundredths(40_000, 39_670)                 71: factor 0.71
    percent_hundredths(rule, "0.90", 71)                    950: +9.50 %
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import isqrt

from libs.events.quantities import ROUNDING, format_scaled, parse_scaled
from services.billing.bill import BillLine, Charge, Finding, LineDraft, RatingPart, rule_id
from services.billing.point_relations import BilledPoint
from services.billing.price_book import PowerFactorRule, Rounding
from services.billing.producers import counted_export_wh, counted_quadrants, is_producer
from services.billing.stage import Rating
from services.billing.transferred import transferred_of

PERCENT_SCALE = 100
"""Percentages are read and kept in 0.01 %."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFactor:
    """The assessed factor of a cycle in hundredths, its energies, and the readings behind them."""

    hundredths: int
    active_wh: int
    reactive_varh: int
    reading_ids: tuple[str, ...]


def power_factor_stage(rating: Rating) -> None:
    """Each part's adjustment of its charges; a warning where there is nothing to assess."""
    if not any(part.terms.power_factor_standard for part in rating.parts):
        return
    factor, found = assessed_factor(rating.parts, rating.points)
    rating.findings += found
    if found:
        return
    if factor is None:
        text = "no active and no reactive energy: there is no power factor to adjust for"
        rating.warnings.append(Finding(rule="power_factor_undefined", point="", text=text))
        return
    for part, charges in zip(rating.parts, rating.charges, strict=True):
        adjustment = power_factor_charge(part, factor, charges)
        if adjustment is not None:
            charges.append(adjustment)


def power_factor_hundredths(active: int, reactive: int) -> int:
    """P/sqrt(P^2+Q^2) rounded half-up to 0.01; both in the same scale and not both zero.

    floor(100 f + 1/2) equals (floor(200 f) + 1) // 2, and floor(200 f) is an integer square root.
    """
    apparent_squared = active * active + reactive * reactive
    assert apparent_squared > 0, "no energy has no power factor"
    return (isqrt(200 * 200 * active * active // apparent_squared) + 1) // 2


def percent_hundredths(rule: PowerFactorRule, standard: str, hundredths: int) -> int:
    """The adjustment in 0.01 % for a factor by the table of a standard; below the table by step."""
    percents = rule.percents[standard]
    row = 100 - hundredths
    below = max(0, row - (len(percents) - 1))
    return _percent(percents[row - below]) + below * _percent(rule.step_below)


@lru_cache(maxsize=1024)
def _percent(text: str) -> int:
    return parse_scaled(text, PERCENT_SCALE, "power_factor")


def assessed_factor(
    parts: Sequence[RatingPart], points_by_part: Sequence[Sequence[BilledPoint]]
) -> tuple[PowerFactor | None, list[Finding]]:
    """The factor over all parts of a cycle that have a standard, None where there is no energy;
    findings where reactive energy that counts was not measured.

    Main points with a price list to which the adjustment applies are assessed, with their losses
    and without the supply they transfer. Reactive energy is the sum of the absolute energies of the
    quadrants that count (producers.py); what is transferred takes it to zero at the most.
    """
    active_wh = reactive_varh = 0
    reading_ids: set[str] = set()
    findings: list[Finding] = []
    produces = is_producer(parts)
    for part, points in zip(parts, points_by_part, strict=True):
        rule, rounding = part.book.power_factor, part.book.rounding
        if rule is None or not part.terms.power_factor_standard:
            continue
        quadrants = counted_quadrants(rule, produces)
        transferred = transferred_of(points)
        for each in points:
            if each.kind != "main" or not each.price_list.power_factor_applies:
                continue
            subs = transferred.get(each.terms.point, [])
            findings += (gap for point in (each, *subs) for gap in _missing(point, quadrants))
            active_wh += _active_wh(each, subs, rule, rounding, produces)
            varh = _reactive_varh(each, quadrants, rounding)
            varh -= sum(_reactive_varh(sub, quadrants, rounding) for sub in subs)
            reactive_varh += max(0, varh) + each.loss_varh
            reading_ids.update(name for point in (each, *subs) for name in point.usage.reading_ids)
    if findings or (active_wh == 0 and reactive_varh == 0):
        return None, findings
    return PowerFactor(
        hundredths=power_factor_hundredths(active_wh, reactive_varh),
        active_wh=active_wh,
        reactive_varh=reactive_varh,
        reading_ids=tuple(sorted(reading_ids)),
    ), []


def _active_wh(
    point: BilledPoint,
    subs: Iterable[BilledPoint],
    rule: PowerFactorRule,
    rounding: Rounding,
    produces: bool,
) -> int:
    exported_wh = counted_export_wh(rule, produces, point, rounding)
    if rule.active == "billed":
        return point.billed.total_wh + exported_wh
    metered_wh = point.metered.total_wh + point.loss_wh + exported_wh
    return metered_wh - sum(sub.metered.total_wh for sub in subs)


def _reactive_varh(point: BilledPoint, quadrants: Iterable[str], rounding: Rounding) -> int:
    varh = sum(abs(point.usage.reactive_varh.get(q, 0)) for q in quadrants)
    unit = rounding.energy_unit_wh
    return ROUNDING[rounding.energy](varh, unit) * unit


def _missing(point: BilledPoint, quadrants: Iterable[str]) -> Iterator[Finding]:
    missing = [q for q in quadrants if q not in point.usage.reactive_varh]
    if missing:
        text = f"the usage has no reactive energy of quadrant {', '.join(missing)}"
        yield Finding(rule="reactive_missing", point=point.terms.point, text=text)


def power_factor_charge(
    part: RatingPart, factor: PowerFactor, charges: Iterable[Charge]
) -> Charge | None:
    """The adjustment of one part's charges; None where the part has no standard.

    The base is the sum of the lines of assessed price lists whose component is a base, in fen or
    exact by the rounding order of the book.
    """
    rule, standard = part.book.power_factor, part.terms.power_factor_standard
    if rule is None or not standard:
        return None
    percent = percent_hundredths(rule, standard, factor.hundredths)
    base = [charge for charge in charges if charge.pf_base]
    base_fen = sum(charge.line.amount_fen for charge in base)
    amount = (base_fen * percent, 100 * PERCENT_SCALE)
    if part.book.rounding.power_factor_base == "exact":
        exact = sum((Fraction(*charge.exact) for charge in base), Fraction())
        amount = (exact.numerator * percent, exact.denominator * 100 * PERCENT_SCALE)
    line = LineDraft(
        code="power_factor",
        name_zh="功率因数调整电费",
        name_en="Power-factor adjustment",
        point="",
        from_on=part.usage.from_on,
        until_on=part.usage.until_on,
        quantity=base_fen,
        unit="fen",
        price=format_scaled(percent, PERCENT_SCALE),
        price_unit="%",
        amount_fen=ROUNDING[part.book.rounding.amount](*amount),
        rule=rule_id(part.book, "power_factor", standard),
        basis={
            "power_factor": f"{factor.hundredths // 100}.{factor.hundredths % 100:02d}",
            "standard": standard,
            "active_wh": str(factor.active_wh),
            "reactive_varh": str(factor.reactive_varh),
            "base": part.book.rounding.power_factor_base,
        },
        reading_ids=factor.reading_ids,
        unconfirmed=rule.unconfirmed,
    )
    line.__class__ = BillLine
    return Charge(line, False, amount)

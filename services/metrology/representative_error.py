"""The one error that stands for a meter when its energy is corrected: a weighted mean of points.

    (1 x error at Imax + 3 x error at Ib + 1 x error at 0.2 Ib) / 5       at power factor 1.0

The weights 1:3:1 are of domain.md §3.6, UNCONFIRMED, and so are configuration: another rule is
another `RepresentativeRule`.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING
from services.metrology.error_limits import (
    BASES,
    MeasuredPoint,
    MeterRating,
    comparable_current,
    parse_current,
)

IMAX = "Imax"


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedPoint:
    """A point and its weight. `current` is a multiple of the base current ("0.2"), or Imax."""

    current: str
    weight: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeRule:
    """Which points count how much, at which power factor and load, and how the mean is rounded."""

    id: str
    version: int
    weights: tuple[WeightedPoint, ...]
    power_factor: str = "1.0"
    load: str = "balanced"
    rounding: str = "half_even"
    source: str = ""


DEFAULT_RULE = RepresentativeRule(
    id="weights-1-3-1",
    version=1,
    weights=(
        WeightedPoint(current=IMAX, weight=1),
        WeightedPoint(current="1", weight=3),
        WeightedPoint(current="0.2", weight=1),
    ),
    source="UNCONFIRMED: points at Imax, Ib, 0.2Ib with weights 1:3:1 (domain.md §3.6)",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RepresentativeError:
    """The error in 1e-4 per cent, None when points are missing, with the sum it was made of."""

    error_e4_pct: int | None
    text: str
    rule: str


def representative_error(
    points: tuple[MeasuredPoint, ...], meter: MeterRating, rule: RepresentativeRule = DEFAULT_RULE
) -> RepresentativeError:
    """The weighted mean of the rule's points, rounded once.

    A point that is missing, or was measured twice with different errors, leaves no error to stand
    for the meter: the text names it. BadInput for a rule without weight, or with a current that the
    meter has not.
    """
    whole = sum(weighted.weight for weighted in rule.weights)
    if whole <= 0 or min(weighted.weight for weighted in rule.weights) < 0:
        raise BadInput(
            "weights", f"add up to {whole}", "give weights of zero or more, not all zero"
        )
    name = f"{rule.id} v{rule.version}"
    errors: list[int] = []
    for weighted in rule.weights:
        current = _current_name(weighted.current, meter)
        found = _errors_at(current, points, meter, rule)
        if len(found) != 1:
            how = "was not measured" if not found else "was measured with different errors"
            text = f"{current} at {rule.power_factor}, {rule.load} load, {how}"
            return RepresentativeError(error_e4_pct=None, text=text, rule=name)
        errors.append(found.pop())
    total = sum(w.weight * error for w, error in zip(rule.weights, errors, strict=True))
    terms = (f"{w.weight} x {error}" for w, error in zip(rule.weights, errors, strict=True))
    return RepresentativeError(
        error_e4_pct=ROUNDING[rule.rounding](total, whole),
        text=f"({' + '.join(terms)}) / {whole}",
        rule=name,
    )


def _current_name(current: str, meter: MeterRating) -> str:
    if meter.connection not in BASES:
        fix = f"use {', '.join(BASES)}"
        raise BadInput("connection", f"{meter.connection!r} is unknown", fix)
    return IMAX if current == IMAX else f"{current}{BASES[meter.connection]}"


def _errors_at(
    current: str, points: tuple[MeasuredPoint, ...], meter: MeterRating, rule: RepresentativeRule
) -> set[int]:
    wanted = parse_current(current, meter)
    return {
        point.error_e4_pct
        for point in points
        if (point.power_factor, point.load) == (rule.power_factor, rule.load)
        and comparable_current(point.current, meter) == wanted
    }

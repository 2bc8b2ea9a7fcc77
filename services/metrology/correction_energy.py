"""The energy by which a wrong measurement is corrected: the rules of domain.md §3.6, exactly.

    meter error        true - recorded = -W x g / (1 + g), W over half of the time      art. 80(1)
                       class 1 at +3.0 %, 240,000 kWh in two years: -3,495 kWh (a refund)
    wrong wiring       true - recorded = W x (K - 1), K = true power / recorded power
                       one of three CTs reversed: K = 3, that is +200 %
    wrong ratio        true - recorded = W x (real ratio / billed ratio - 1)

A correction is what the customer used but was not billed (positive: to pay) or was billed but did
not use (negative: refunded). It is an exact fraction, rounded once to the watt-hour by a named
rule; rule and fraction stand in the result. Supply Business Rules 1996; of the 2024 rules the text
is UNCONFIRMED, so which rule a case takes is decided by data, not here. That the error is beyond
its limit is the judgement's matter, not checked again here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction

from libs.events.errors import BadInput
from libs.events.quantities import ROUNDING, parse_scaled
from services.metrology.error_limits import ERROR_SCALE
from services.metrology.verification_cycle import parse_day

WHOLE_ERROR = 100 * ERROR_SCALE
"""An error of 100 % in 1e-4 per cent."""

FACTOR_SCALE = 10**6

METER_ERROR = "supply-rules-1996-art-80-1"
WRONG_WIRING = "supply-rules-1996-wiring"
WRONG_RATIO = "supply-rules-1996-ratio"

HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionPeriod:
    """From the last verification or installation to the correction, and the half that counts.

    Days run from `since_on` (included) to `until_on` (not included); the half is the later one,
    from `half_from_on` on; of an odd number of days it is the smaller half.
    """

    since_on: str
    until_on: str
    half_from_on: str
    days: int
    half_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """A correction of energy: `correction_wh` is rounded from `exact_wh` (a fraction) by
    `rounding`; `text` is the sum written out."""

    rule: str
    recorded_wh: int
    correction_wh: int
    exact_wh: str
    rounding: str
    text: str


def correction_period(verified_on: str, installed_on: str, corrected_on: str) -> CorrectionPeriod:
    """The time that a meter error is corrected over: the later half of the time since the last
    verification or the installation, whichever is later (`verified_on` may be empty).

    BadInput when that is not before the correction.
    """
    since = parse_day(installed_on, "installed_on")
    if verified_on:
        since = max(since, parse_day(verified_on, "verified_on"))
    until = parse_day(corrected_on, "corrected_on")
    days = (until - since).days
    if days <= 0:
        problem = f"{corrected_on} is not after {since.isoformat()}"
        raise BadInput("corrected_on", problem, "give the day on which the meter was replaced")
    half_days = days // 2
    return CorrectionPeriod(
        since_on=since.isoformat(),
        until_on=until.isoformat(),
        half_from_on=(until - timedelta(days=half_days)).isoformat(),
        days=days,
        half_days=half_days,
    )


def meter_error_correction(
    recorded_wh: int, error_e4_pct: int, share: Fraction = HALF, rounding: str = "half_up"
) -> Correction:
    """A meter whose error is beyond its limit, brought back to zero error.

    `recorded_wh` times `share` is W: the energy of the whole time with a share of one half (the
    default), or the energy that was recorded in the half itself with a share of 1. `error_e4_pct`
    is the representative error g. BadInput for an error of -100 % or less: such a meter recorded
    nothing that could be corrected by its error.
    """
    if recorded_wh < 0:
        raise BadInput("recorded_wh", f"is {recorded_wh}", "give an energy of zero or more")
    if error_e4_pct <= -WHOLE_ERROR:
        problem = f"is {error_e4_pct}: the meter stood still"
        raise BadInput("error_e4_pct", problem, "estimate the energy instead")
    if not 0 < share <= 1:
        raise BadInput("share", f"is {share}", "use 1/2 of the whole time, or 1 of the half")
    counted = recorded_wh * share
    refund = counted * Fraction(error_e4_pct, WHOLE_ERROR + error_e4_pct)
    text = f"-({recorded_wh} Wh x {share}) x g / (1 + g), g = {error_e4_pct} / {WHOLE_ERROR}"
    return _correction(METER_ERROR, recorded_wh, -refund, rounding, text)


def wiring_correction(recorded_wh: int, factor: Fraction, rounding: str = "half_up") -> Correction:
    """Wrong wiring over the whole period since the last verification: true = recorded x K.

    A meter that ran backwards recorded a negative energy and has a negative K.
    """
    if recorded_wh * factor < 0:
        problem = f"{factor} and recorded_wh {recorded_wh} give a negative energy"
        raise BadInput("factor", problem, "both are negative for a meter that ran backwards")
    text = f"{recorded_wh} Wh x (K - 1), K = {factor}"
    return _correction(WRONG_WIRING, recorded_wh, recorded_wh * (factor - 1), rounding, text)


def wiring_factor(true_power_w: int, recorded_power_w: int) -> Fraction:
    """K = true power / recorded power, for a wiring whose powers were worked out or measured."""
    if recorded_power_w == 0:
        fix = "estimate the energy instead: the meter recorded nothing"
        raise BadInput("recorded_power_w", "is 0", fix)
    return Fraction(true_power_w, recorded_power_w)


def reversed_transformer_factor(reversed_count: int, phases: int = 3) -> Fraction:
    """K when `reversed_count` of the current transformers are reversed, at balanced load.

    Each reversed one takes a phase away instead of adding it: one of three leaves (3 - 2) / 3 of
    the true energy, so K = 3 (vector b04). BadInput where nothing at all would be recorded.
    """
    if not 0 <= reversed_count <= phases or phases <= 0:
        raise BadInput("reversed_count", f"is {reversed_count}", f"use 0 to {phases}")
    return wiring_factor(phases, phases - 2 * reversed_count)


def ratio_correction(
    recorded_wh: int, billed_ratio: str, real_ratio: str, rounding: str = "half_up"
) -> Correction:
    """A wrong ratio over the readings it was billed with. `recorded_wh` is the billed energy."""
    billed, real = _ratio(billed_ratio, "billed_ratio"), _ratio(real_ratio, "real_ratio")
    text = f"{recorded_wh} Wh x ({real_ratio} / {billed_ratio} - 1)"
    return _correction(
        WRONG_RATIO, recorded_wh, recorded_wh * (Fraction(real, billed) - 1), rounding, text
    )


def _ratio(text: str, field: str) -> int:
    scaled = parse_scaled(text, FACTOR_SCALE, field)
    if scaled <= 0:
        raise BadInput(field, f"is {text}", "use CT ratio x VT ratio, above zero")
    return scaled


def _correction(
    rule: str, recorded_wh: int, exact: Fraction, rounding: str, text: str
) -> Correction:
    if rounding not in ROUNDING:
        raise BadInput("rounding", f"{rounding!r} is unknown", f"use {', '.join(ROUNDING)}")
    return Correction(
        rule=rule,
        recorded_wh=recorded_wh,
        correction_wh=ROUNDING[rounding](exact.numerator, exact.denominator),
        exact_wh=str(exact),
        rounding=rounding,
        text=text,
    )

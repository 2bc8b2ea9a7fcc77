"""By how much a metrology case changes recorded energy: meter errors, wrong wiring, wrong ratios.

    error     true - recorded = -W x g / (1 + g)    g the representative error, art. 80(1)
    wiring    true - recorded = W x (K - 1)         K = true power / recorded power
    ratio     true - recorded = W x (k - 1)         k = real ratio / billed ratio

    one of three current transformers reversed: K = 3, that is +200 %
    120,000 kWh at +3.0 %: -3,495.146 kWh

All registers of the meter are changed alike, so that periods add up and the power factor stays: of
wrong wiring K holds for active energy, and no source says what reactive registers showed meanwhile
(UNCONFIRMED). Over which days a rule counts is the case's own matter: half of the time for an
error, the whole of it for wiring, by the reading records for a ratio (domain.md 3.6).
"""

from __future__ import annotations

from collections.abc import Callable

from libs.events.quantities import half_up_div
from services.billing.events import CaseNoted

E4_PCT = 1_000_000
"""1e-4 per cent: an error of +3 % is 30,000, and 1 is 1,000,000."""


def change_wh(case: CaseNoted, recorded_wh: int) -> int:
    """What the case adds to recorded energy, half-up to the Wh; negative takes off."""
    return RULES[case.kind](case, recorded_wh)


def problem_of_rule(case: CaseNoted) -> str:
    """Why the case has no correction by its rule, "" when it has one."""
    if case.kind not in RULES:
        return f"{case.kind!r} is no kind of case that is corrected: {', '.join(RULES)}"
    if case.kind == "error" and case.error_e4_pct <= -E4_PCT:
        return "the meter stood still: estimate the energy, no correction by its error is possible"
    if case.kind != "error" and case.factor_den <= 0:
        return f"the factor {case.factor_num}/{case.factor_den} is none"
    return ""


def excess_wh(recorded_wh: int, error_e4_pct: int) -> int:
    """W * g / (1 + g), half-up to the Wh; negative for a slow meter."""
    return half_up_div(recorded_wh * error_e4_pct, E4_PCT + error_e4_pct)


def _error(case: CaseNoted, recorded_wh: int) -> int:
    return -excess_wh(recorded_wh, case.error_e4_pct)


def _factor(case: CaseNoted, recorded_wh: int) -> int:
    return half_up_div(recorded_wh * (case.factor_num - case.factor_den), case.factor_den)


RULES: dict[str, Callable[[CaseNoted, int], int]] = {
    "error": _error,
    "wiring": _factor,
    "ratio": _factor,
}

"""The electrical identities [14] of domain.md §2: what a meter shows at one moment must agree.

    S² = P² + Q²        power factor = P / S        P = Pa + Pb + Pc
    no current in a phase without voltage           currents of the phases near each other

Every check is exact: squares and products of integers, no root and no division. Only what was
measured is judged; each function returns one `Finding` with its numbers.

    sample = ElectricalSample(active_w=3000, reactive_var=4000, apparent_va=5000)
    apparent_power(sample, settings).severity == "pass"
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from services.validation.finding import PASS, Finding
from services.validation.register_usage import PERMILLE
from services.validation.rule_set import RuleSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ElectricalSample:
    """What a meter showed at one moment, by phase (a, b, c) or in all; None was not read.

    Voltages in 0.1 V, currents in mA, power in W, var, VA, the power factor in 1/1000.
    """

    voltages_dv: Mapping[str, int] = field(default_factory=dict)
    currents_ma: Mapping[str, int] = field(default_factory=dict)
    phase_active_w: Mapping[str, int] = field(default_factory=dict)
    active_w: int | None = None
    reactive_var: int | None = None
    apparent_va: int | None = None
    power_factor_permille: int | None = None


def apparent_power(sample: ElectricalSample, settings: RuleSettings) -> Finding:
    """S is within `tolerance_permille` of the root of P² + Q²; below `floor_va` not judged."""
    tolerance, floor = settings.parameters["tolerance_permille"], settings.parameters["floor_va"]
    p_w, q_var, s_va = sample.active_w, sample.reactive_var, sample.apparent_va
    if p_w is None or q_var is None or s_va is None:
        return _not_judged("apparent_power")
    square = p_w * p_w + q_var * q_var
    scaled = s_va * s_va * PERMILLE * PERMILLE
    low, high = max(PERMILLE - tolerance, 0), PERMILLE + tolerance
    # Light loads are not judged, whichever of the two sides says that the load is light.
    judged = s_va >= floor or square >= floor * floor
    hit = judged and not low * low * square <= scaled <= high * high * square
    return _judged(
        "apparent_power",
        hit,
        {
            "active_w": str(p_w),
            "reactive_var": str(q_var),
            "apparent_va": str(s_va),
            "tolerance_permille": str(tolerance),
        },
        "S is not the root of P² + Q²",
        settings,
    )


def power_factor(sample: ElectricalSample, settings: RuleSettings) -> Finding:
    """The power factor is within `tolerance_permille` of |P| / S; below `floor_va` not judged."""
    tolerance, floor = settings.parameters["tolerance_permille"], settings.parameters["floor_va"]
    p_w, s_va, shown = sample.active_w, sample.apparent_va, sample.power_factor_permille
    if p_w is None or s_va is None or shown is None:
        return _not_judged("power_factor")
    hit = s_va >= floor and abs(abs(shown) * s_va - PERMILLE * abs(p_w)) > tolerance * s_va
    return _judged(
        "power_factor",
        hit,
        {
            "active_w": str(p_w),
            "apparent_va": str(s_va),
            "power_factor_permille": str(shown),
            "tolerance_permille": str(tolerance),
        },
        "the power factor is not P / S",
        settings,
    )


def phase_sum(sample: ElectricalSample, settings: RuleSettings) -> Finding:
    """The active powers of the phases add up to the total, within `tolerance_permille` of it and
    `floor_w`."""
    tolerance, floor = settings.parameters["tolerance_permille"], settings.parameters["floor_w"]
    if sample.active_w is None or not sample.phase_active_w:
        return _not_judged("phase_sum")
    total = sum(sample.phase_active_w.values())
    difference = abs(total - sample.active_w)
    hit = (difference - floor) * PERMILLE > tolerance * abs(sample.active_w)
    return _judged(
        "phase_sum",
        hit,
        {
            "active_w": str(sample.active_w),
            "phases_w": str(total),
            "difference_w": str(difference),
            "tolerance_permille": str(tolerance),
            "floor_w": str(floor),
        },
        "the phases do not add up to the total",
        settings,
    )


def lost_phase(sample: ElectricalSample, nominal_dv: int, settings: RuleSettings) -> Finding:
    """No phase carries at least `floor_ma` while its voltage is below `voltage_permille` of the
    nominal one: current without voltage is a lost voltage phase, and its energy is not counted."""
    share, floor = settings.parameters["voltage_permille"], settings.parameters["floor_ma"]
    numbers = {"nominal_dv": str(nominal_dv), "voltage_permille": str(share)}
    lost = tuple(
        phase
        for phase, current_ma in sorted(sample.currents_ma.items())
        if abs(current_ma) >= floor
        and phase in sample.voltages_dv
        and sample.voltages_dv[phase] * PERMILLE < share * nominal_dv
    )
    for phase in lost:
        numbers[f"voltage_{phase}_dv"] = str(sample.voltages_dv[phase])
        numbers[f"current_{phase}_ma"] = str(sample.currents_ma[phase])
    text = f"current without voltage in phase {', '.join(lost)}"
    return _judged("lost_phase", bool(lost), numbers, text, settings)


def unbalance(sample: ElectricalSample, settings: RuleSettings) -> Finding:
    """(highest - lowest) / highest current of the phases is at most `tolerance_permille`; not
    judged for one phase, or when the highest is below `floor_ma`."""
    tolerance, floor = settings.parameters["tolerance_permille"], settings.parameters["floor_ma"]
    currents = [abs(current) for current in sample.currents_ma.values()]
    if len(currents) < 2:
        return _not_judged("unbalance")
    highest, lowest = max(currents), min(currents)
    hit = highest >= floor and (highest - lowest) * PERMILLE > tolerance * highest
    return _judged(
        "unbalance",
        hit,
        {
            "highest_ma": str(highest),
            "lowest_ma": str(lowest),
            "tolerance_permille": str(tolerance),
            "floor_ma": str(floor),
        },
        "the currents of the phases are far apart",
        settings,
    )


def _not_judged(rule: str) -> Finding:
    return Finding(rule=rule, severity=PASS, text="not all of it was measured: not judged")


def _judged(
    rule: str, hit: bool, numbers: dict[str, str], text: str, settings: RuleSettings
) -> Finding:
    return Finding(
        rule=rule,
        severity=settings.severity if hit else PASS,
        numbers=numbers,
        text=text if hit else "agrees",
    )

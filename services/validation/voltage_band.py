"""The voltage band of GB/T 12325: how far a supply voltage may be from its nominal value.

    single phase 220 V           +7 / -10 %      198.0 V .. 235.4 V
    three phase up to 20 kV      +7 / -7 %
    35 kV and above              highest and lowest deviation of opposite sign: their absolute sum
                                 at most 10 %; of the same sign: the larger at most 10 %

Voltages are integers of 0.1 V (`_dv`); a limit itself is inside the band. Whether a deviation is
inside is decided by cross-multiplication; the percentages in the numbers are for people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled, half_up_div
from services.validation.finding import PASS, WARN, Finding
from services.validation.rule_set import RuleSettings

RULE = "voltage_band"
PERMILLE = 1000
PERCENT_E2 = 10_000
"""Per cent with two decimals."""

LOW_VOLTAGE = "lt1kv"
PHASE_NOMINAL_DV = 2200
LEVEL_DV: Mapping[str, int] = {
    LOW_VOLTAGE: 3_800,
    "10kv": 100_000,
    "20kv": 200_000,
    "35kv": 350_000,
    "110kv": 1_100_000,
    "220kv": 2_200_000,
}
"""The nominal voltage of a supply by the voltage class of its agreement (GB/T 156)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VoltageWindow:
    """The voltages of one slot, 0.1 V: the highest and lowest of all phases.

    `nominal_dv` is the nominal value of what was measured, `level_dv` that of the supply, which
    decides the band: behind a voltage transformer the two differ (57.7 V measured, 10 kV supplied).
    """

    level_dv: int
    phases: int
    nominal_dv: int
    highest_dv: int
    lowest_dv: int


def voltage_window(
    voltage_class: str, voltages_dv: Mapping[str, int], nominal_dv: int = PHASE_NOMINAL_DV
) -> VoltageWindow:
    """The window of the phase voltages of one reading, by OBIS code in 0.1 V.

    `nominal_dv` is what a phase should show: 220 V at low voltage, 57.7 or 100 V behind a voltage
    transformer. One voltage alone at low voltage is a single-phase supply.
    """
    if voltage_class not in LEVEL_DV:
        fix = f"use {', '.join(LEVEL_DV)}"
        raise BadInput("voltage_class", f"{voltage_class!r} is unknown", fix)
    if not voltages_dv:
        raise BadInput("voltages", "there are none", "give at least one phase voltage")
    return VoltageWindow(
        level_dv=LEVEL_DV[voltage_class],
        phases=1 if voltage_class == LOW_VOLTAGE and len(voltages_dv) == 1 else 3,
        nominal_dv=nominal_dv,
        highest_dv=max(voltages_dv.values()),
        lowest_dv=min(voltages_dv.values()),
    )


def deviation_pct(measured_dv: int, nominal_dv: int) -> str:
    """The deviation from nominal in per cent, two decimals, halves away from zero."""
    return format_scaled(half_up_div((measured_dv - nominal_dv) * PERCENT_E2, nominal_dv), 100)


def voltage_band(window: VoltageWindow, settings: RuleSettings) -> Finding:
    """Whether the voltages of a slot are inside the band of their level.

    A level for which the standard gives no band (above 20 kV, below 35 kV) is a warning that says
    so, never a pass. BadInput when the window contradicts itself.
    """
    _check(window)
    limits = settings.parameters
    if window.phases == 1:
        high, low = limits["single_phase_high_permille"], limits["single_phase_low_permille"]
        inside = _within(window, high, low)
        band = f"+{_pct(high)}/-{_pct(low)} % (single phase)"
    elif window.level_dv <= limits["three_phase_max_dv"]:
        both = limits["three_phase_permille"]
        inside = _within(window, both, both)
        band = f"+-{_pct(both)} % (three phase)"
    elif window.level_dv >= limits["high_voltage_min_dv"]:
        total = limits["high_voltage_permille"]
        inside = _spread_dv(window) * PERMILLE <= total * window.nominal_dv
        band = f"sum of the deviations at most {_pct(total)} % (high voltage)"
    else:
        text = f"no band is stated for a supply at {_volts(window.level_dv)} V"
        return Finding(rule=RULE, severity=WARN, numbers=_numbers(window), text=text)
    if inside:
        return Finding(rule=RULE, severity=PASS, numbers=_numbers(window), text=f"inside {band}")
    return Finding(
        rule=RULE,
        severity=settings.severity,
        numbers=_numbers(window),
        text=f"{_volts(window.lowest_dv)} to {_volts(window.highest_dv)} V is outside {band}",
    )


def _check(window: VoltageWindow) -> None:
    for name, value in (("level_dv", window.level_dv), ("nominal_dv", window.nominal_dv)):
        if value <= 0:
            raise BadInput(name, f"is {value}", "give the nominal voltage in 0.1 V")
    if window.phases not in {1, 3}:
        raise BadInput("phases", f"is {window.phases}", "use 1 or 3")
    if window.highest_dv < window.lowest_dv:
        problem = f"{window.highest_dv} is below lowest_dv {window.lowest_dv}"
        raise BadInput("highest_dv", problem, "swap them")


def _within(window: VoltageWindow, high_permille: int, low_permille: int) -> bool:
    above = (window.highest_dv - window.nominal_dv) * PERMILLE
    below = (window.nominal_dv - window.lowest_dv) * PERMILLE
    return above <= high_permille * window.nominal_dv and below <= low_permille * window.nominal_dv


def _spread_dv(window: VoltageWindow) -> int:
    """Opposite signs: the sum of both absolute deviations; the same sign: the larger one."""
    above = window.highest_dv - window.nominal_dv
    below = window.nominal_dv - window.lowest_dv
    return above + below if above > 0 and below > 0 else max(abs(above), abs(below))


def _numbers(window: VoltageWindow) -> dict[str, str]:
    return {
        "nominal_v": _volts(window.nominal_dv),
        "highest_v": _volts(window.highest_dv),
        "lowest_v": _volts(window.lowest_dv),
        "highest_deviation_pct": deviation_pct(window.highest_dv, window.nominal_dv),
        "lowest_deviation_pct": deviation_pct(window.lowest_dv, window.nominal_dv),
    }


def _volts(value_dv: int) -> str:
    return format_scaled(value_dv, 10)


def _pct(permille: int) -> str:
    return format_scaled(permille, 10)

"""Start, creep, dial and clock: the tests of a meter besides its errors, from what was observed.

    start   class 1, 5(60) A, 1200 imp/kWh, 220 V: 0.02 A, first pulse within 818.18 s     pass
    creep   the same at 1.15 Un, no current: at most one pulse in 2273 s (IEC)             pass
    dial    12000 pulses are 10 kWh; the register counted 10.05 kWh, class 1: +0.5 %       pass
    clock   gained 30 ms in an hour, that is 0.72 s a day against 0.5 s                    fail

domain.md §4.1. Times are exact fractions of a second, shown to the hundredth. An observation that
was too short to tell, or not made as the rule demands, is `not_judged` with the reason, never
passed; what the source leaves open is a field of `FunctionRules`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled, half_even_div
from services.metrology.error_limits import CURRENT_SCALE, ERROR_SCALE
from services.metrology.judgement import FAILED, NOT_JUDGED, PASSED, JudgedTest, format_error

SECONDS_PER_MINUTE = 60
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
MILLI = 1_000
WH_PER_KWH = 1_000
HUNDREDTH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class CreepRule:
    """How long creep is observed: coefficient / (C x m x Un x I), in minutes or hours.

    `coefficients` by accuracy class; `current` is base or imax; `counts_phases` tells whether m
    stands in the formula.
    """

    id: str
    coefficients: dict[str, int]
    current: str
    counts_phases: bool
    seconds_per_unit: int
    source: str


IEC_CREEP = CreepRule(
    id="iec-62053",
    coefficients={"0.2S": 900_000_000, "0.5S": 600_000_000, "1": 600_000_000, "2": 480_000_000},
    current="imax",
    counts_phases=True,
    seconds_per_unit=SECONDS_PER_MINUTE,
    source="UNCONFIRMED: IEC 62053-21 and -22 8.3.2 (from memory); C in imp/kWh",
)
JJG_CREEP = CreepRule(
    id="jjg-596",
    coefficients=dict.fromkeys(("0.2S", "0.5S", "1", "2"), 20 * 1_000),
    current="base",
    counts_phases=False,
    seconds_per_unit=SECONDS_PER_HOUR,
    source="UNCONFIRMED: 20 x 1000 / (C Un Ib), read as hours: 20 pulses' time (domain.md §4.1)",
)
CREEP_RULES = {rule.id: rule for rule in (IEC_CREEP, JJG_CREEP)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRules:
    """The settings of the four tests, as data.

    `start_current_e6`: start current in 1e-6 of the base current, by "class/connection";
    `start_factor_e1`: the factor of tQ in tenths; `dial_limit_e4_pct`: by class.
    """

    id: str
    version: int
    start_current_e6: dict[str, int]
    start_factor_e1: int
    creep: CreepRule
    creep_voltage_e2: int
    creep_pulses_max: int
    dial_limit_e4_pct: dict[str, int]
    clock_limit_ms_per_day: int
    sources: dict[str, str] = field(default_factory=dict)


DEFAULT_FUNCTION_RULES = FunctionRules(
    id="jjg-596-2012-tests",
    version=1,
    start_current_e6={
        "1/direct": 4_000, "2/direct": 5_000, "1/ct": 2_000, "2/ct": 3_000,
        "0.2S/ct": 1_000, "0.5S/ct": 1_000,
    },
    start_factor_e1=12,
    creep=IEC_CREEP,
    creep_voltage_e2=115,
    creep_pulses_max=1,
    dial_limit_e4_pct={"0.2S": 2_000, "0.5S": 5_000, "1": 10_000, "2": 20_000},
    clock_limit_ms_per_day=500,
    sources={
        "start_current_e6": "domain.md §4.1; of classes 1 and 2 behind CTs UNCONFIRMED (IEC)",
        "start_factor_e1": "domain.md §4.1: tQ = 1.2 x 60 x 1000 / (C m U IQ) minutes",
        "creep": "UNCONFIRMED: the longer of the two formulas of domain.md §4.1",
        "dial_limit_e4_pct": "domain.md §4.1: the class, within the register's resolution",
        "clock_limit_ms_per_day": "UNCONFIRMED: 0.5 s a day (domain.md §4.1)",
    },
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterPlate:
    """What is written on a meter: class, connection, pulses per kWh, phases, volts and amperes
    (in thousandths, `_m`)."""

    accuracy_class: str
    connection: str
    pulses_per_kwh: int
    phases: int
    voltage_mv: int
    base_ma: int
    imax_ma: int


def check_plate(plate: MeterPlate) -> None:
    """BadInput names the first impossible quantity."""
    if plate.phases not in (1, 2, 3):
        raise BadInput("phases", f"is {plate.phases}", "use 1, 2 or 3 measuring elements")
    for name in ("pulses_per_kwh", "voltage_mv", "base_ma"):
        if getattr(plate, name) <= 0:
            raise BadInput(name, f"is {getattr(plate, name)}", "give a number above zero")
    if plate.imax_ma < plate.base_ma:
        raise BadInput("imax_ma", f"is {plate.imax_ma}", "give Imax, not below the base current")


def start_limit_s(plate: MeterPlate, current_ua: int, rules: FunctionRules) -> Fraction:
    """The time within which the first pulse must come, at the current that flows (1e-6 A)."""
    minutes = Fraction(rules.start_factor_e1 * SECONDS_PER_MINUTE * 1_000, 10) / (
        plate.pulses_per_kwh
        * plate.phases
        * Fraction(plate.voltage_mv, MILLI)
        * Fraction(current_ua, CURRENT_SCALE)
    )
    return minutes * SECONDS_PER_MINUTE


def judge_start(
    plate: MeterPlate,
    current_ua: int,
    observed_s: int,
    first_pulse_s: int | None,
    rules: FunctionRules = DEFAULT_FUNCTION_RULES,
) -> JudgedTest:
    """The meter starts: a pulse comes within tQ at no more than the start current of its class.

    `first_pulse_s` is None when none came while it was observed.
    """
    check_plate(plate)
    if current_ua <= 0:
        raise BadInput("current_ua", f"is {current_ua}", "give a current above zero")
    _observed(observed_s, first_pulse_s)
    key = f"{plate.accuracy_class}/{plate.connection}"
    multiple_e6 = rules.start_current_e6.get(key)
    if multiple_e6 is None:
        return _judged("start", NOT_JUDGED, f"no start current is stated for {key}")
    highest_ua = Fraction(multiple_e6 * plate.base_ma, MILLI)
    limit_s = start_limit_s(plate, current_ua, rules)
    within = f"{_seconds(limit_s)} at {format_scaled(current_ua, CURRENT_SCALE)} A"
    if first_pulse_s is not None and first_pulse_s <= limit_s:
        if current_ua > highest_ua:
            most = f"{_decimal(highest_ua, CURRENT_SCALE)} A"
            return _judged("start", NOT_JUDGED, f"was made with more than {most}")
        return _judged("start", PASSED, f"first pulse after {first_pulse_s} s, within {within}")
    if first_pulse_s is None and observed_s < limit_s:
        return _judged("start", NOT_JUDGED, f"{observed_s} s is shorter than {within}")
    if current_ua < highest_ua:
        return _judged("start", NOT_JUDGED, "was made with less than the start current")
    return _judged("start", FAILED, f"no pulse within {within}")


def creep_time_s(plate: MeterPlate, rule: CreepRule) -> Fraction:
    """How long the meter is observed without current; BadInput for a class without one."""
    coefficient = rule.coefficients.get(plate.accuracy_class)
    if coefficient is None:
        problem = f"{plate.accuracy_class!r} has no creep time"
        raise BadInput("accuracy_class", problem, f"known are {', '.join(rule.coefficients)}")
    current_ma = plate.imax_ma if rule.current == "imax" else plate.base_ma
    phases = plate.phases if rule.counts_phases else 1
    product = (
        plate.pulses_per_kwh
        * phases
        * Fraction(plate.voltage_mv, MILLI)
        * Fraction(current_ma, MILLI)
    )
    return coefficient / product * rule.seconds_per_unit


def judge_creep(
    plate: MeterPlate,
    voltage_mv: int,
    observed_s: int,
    pulses: int,
    rules: FunctionRules = DEFAULT_FUNCTION_RULES,
) -> JudgedTest:
    """The meter does not run without current, at 1.15 times its voltage."""
    check_plate(plate)
    _observed(observed_s, None)
    if pulses < 0:
        raise BadInput("pulses", f"is {pulses}", "give a count of zero or more")
    needed_s = creep_time_s(plate, rules.creep)
    needed_mv = Fraction(plate.voltage_mv * rules.creep_voltage_e2, 100)
    shown = f"{pulses} pulses in {observed_s} s, {_seconds(needed_s)} needed ({rules.creep.id})"
    windows = ceil(observed_s / needed_s)
    if pulses > rules.creep_pulses_max * windows:
        return _judged("creep", FAILED, shown)
    if observed_s < needed_s:
        return _judged("creep", NOT_JUDGED, f"too short: {shown}")
    if pulses > rules.creep_pulses_max:
        return _judged("creep", NOT_JUDGED, f"does not tell when they came: {shown}")
    if voltage_mv < needed_mv:
        volts = f"{_decimal(needed_mv, MILLI)} V"
        return _judged("creep", NOT_JUDGED, f"was made below {volts}")
    return _judged("creep", PASSED, shown)


def judge_dial(
    plate: MeterPlate,
    pulses: int,
    register_wh: int,
    resolution_wh: int,
    rules: FunctionRules = DEFAULT_FUNCTION_RULES,
) -> JudgedTest:
    """The register counts what the pulses say: the difference is within the class.

    The register moves in steps of `resolution_wh`: a difference above the class that one step
    could explain is not judged, for then the test was too short.
    """
    check_plate(plate)
    for name, value in (("pulses", pulses), ("resolution_wh", resolution_wh)):
        if value <= 0:
            raise BadInput(name, f"is {value}", "give a number above zero")
    if register_wh < 0:
        raise BadInput("register_wh", f"is {register_wh}", "give the energy counted")
    limit_e4_pct = rules.dial_limit_e4_pct.get(plate.accuracy_class)
    if limit_e4_pct is None:
        reason = f"no limit is stated for class {plate.accuracy_class}"
        return _judged("constant", NOT_JUDGED, reason)
    true_wh = Fraction(pulses * WH_PER_KWH, plate.pulses_per_kwh)
    difference_wh = register_wh - true_wh
    allowed_wh = true_wh * Fraction(limit_e4_pct, 100 * ERROR_SCALE)
    error = difference_wh / true_wh * 100 * ERROR_SCALE
    shown = (
        f"{_decimal(Fraction(register_wh), WH_PER_KWH)} kWh against "
        f"{_decimal(true_wh, WH_PER_KWH)} kWh of {pulses} pulses: "
        f"{format_error(half_even_div(error.numerator, error.denominator))} "
        f"against +-{format_error(limit_e4_pct).lstrip('+')}"
    )
    if abs(difference_wh) <= allowed_wh:
        return _judged("constant", PASSED, shown)
    if abs(difference_wh) <= allowed_wh + resolution_wh:
        return _judged("constant", NOT_JUDGED, f"within one step of the register, go on: {shown}")
    return _judged("constant", FAILED, shown)


def judge_clock(
    drift_ms: int, observed_s: int, rules: FunctionRules = DEFAULT_FUNCTION_RULES
) -> JudgedTest:
    """The clock gains or loses no more than the limit a day."""
    _observed(observed_s, None)
    if abs(drift_ms) > observed_s * MILLI:
        raise BadInput("drift_ms", f"is {drift_ms}", f"at most the {observed_s} s observed")
    per_day_ms = Fraction(drift_ms * SECONDS_PER_DAY, observed_s)
    limit = f"{format_scaled(rules.clock_limit_ms_per_day, MILLI)} s a day"
    shown = f"{_decimal(per_day_ms, MILLI)} s a day against +-{limit}"
    inside = abs(per_day_ms) <= rules.clock_limit_ms_per_day
    return _judged("clock", PASSED if inside else FAILED, shown)


def _observed(observed_s: int, first_pulse_s: int | None) -> None:
    if observed_s <= 0:
        raise BadInput("observed_s", f"is {observed_s}", "give a time above zero")
    if first_pulse_s is not None and not 0 <= first_pulse_s <= observed_s:
        problem = f"is {first_pulse_s}"
        raise BadInput("first_pulse_s", problem, f"give 0 to {observed_s}, the time observed")


def _judged(test: str, verdict: str, reason: str) -> JudgedTest:
    return JudgedTest(test=test, verdict=verdict, reason=reason)


def _seconds(value_s: Fraction) -> str:
    return f"{_decimal(value_s * HUNDREDTH, HUNDREDTH)} s"


def _decimal(value: Fraction, scale: int) -> str:
    """A fraction of 1/scale for people, rounded half even to it."""
    return format_scaled(half_even_div(value.numerator, value.denominator), scale)

"""Start, creep, dial and clock, worked out by hand from the formulas of domain.md §4.1."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest

from libs.events.errors import BadInput
from services.metrology.function_tests import (
    DEFAULT_FUNCTION_RULES,
    IEC_CREEP,
    JJG_CREEP,
    MeterPlate,
    creep_time_s,
    judge_clock,
    judge_creep,
    judge_dial,
    judge_start,
    start_limit_s,
)

PLATE = MeterPlate(
    accuracy_class="1",
    connection="direct",
    pulses_per_kwh=1_200,
    phases=1,
    voltage_mv=220_000,
    base_ma=5_000,
    imax_ma=60_000,
)
JJG_RULES = replace(DEFAULT_FUNCTION_RULES, creep=JJG_CREEP)


def test_the_formulas() -> None:
    # 1.2 x 60 x 1000 / (1200 x 1 x 220 x 0.02) = 13.636 min = 818.18 s
    assert start_limit_s(PLATE, 20_000, DEFAULT_FUNCTION_RULES) == Fraction(9_000, 11)
    # 600e6 / (1200 x 1 x 220 x 60) = 37.88 min; 20 x 1000 / (1200 x 220 x 5) = 0.01515 h
    assert creep_time_s(PLATE, IEC_CREEP) == Fraction(25_000, 11)
    assert creep_time_s(PLATE, JJG_CREEP) == Fraction(600, 11)
    three = replace(PLATE, phases=3)
    assert creep_time_s(three, IEC_CREEP) == Fraction(25_000, 33)
    assert creep_time_s(three, JJG_CREEP) == Fraction(600, 11)


@pytest.mark.parametrize(
    ("current_ua", "observed_s", "first_pulse_s", "verdict", "reason"),
    [
        (20_000, 900, 818, "pass", "first pulse after 818 s, within 818.18 s at 0.02 A"),
        (20_000, 900, 819, "fail", "no pulse within 818.18 s at 0.02 A"),
        (20_000, 900, None, "fail", "no pulse within 818.18 s at 0.02 A"),
        (20_000, 818, None, "not_judged", "818 s is shorter than 818.18 s at 0.02 A"),
        (20_001, 900, 818, "not_judged", "was made with more than 0.02 A"),
        (21_000, 900, None, "fail", "no pulse within 779.22 s at 0.021 A"),
        (19_000, 900, 860, "pass", "first pulse after 860 s, within 861.24 s at 0.019 A"),
        (19_000, 900, None, "not_judged", "was made with less than the start current"),
    ],
)
def test_start(
    current_ua: int, observed_s: int, first_pulse_s: int | None, verdict: str, reason: str
) -> None:
    found = judge_start(PLATE, current_ua, observed_s, first_pulse_s)
    assert (found.test, found.verdict, found.reason) == ("start", verdict, reason)


def test_start_currents_by_class_and_connection() -> None:
    # A 1.5(6) A meter of class 0.5S behind a CT starts at 1.5 mA; class 2 direct at 25 mA of 5 A.
    fine = replace(PLATE, accuracy_class="0.5S", connection="ct", base_ma=1_500, imax_ma=6_000)
    assert judge_start(fine, 1_500, 20_000, 10_000).verdict == "pass"
    assert judge_start(fine, 1_501, 20_000, 10_000).verdict == "not_judged"
    coarse = replace(PLATE, accuracy_class="2")
    assert judge_start(coarse, 25_000, 900, 600).verdict == "pass"
    other = replace(PLATE, accuracy_class="0.2S")
    assert judge_start(other, 1, 9, None).reason == "no start current is stated for 0.2S/direct"


@pytest.mark.parametrize(
    ("voltage_mv", "observed_s", "pulses", "verdict", "reason"),
    [
        (253_000, 2_273, 1, "pass", "1 pulses in 2273 s, 2272.73 s needed (iec-62053)"),
        (253_000, 2_272, 1, "not_judged", "too short: 1 pulses in 2272 s, 2272.73 s needed "
         "(iec-62053)"),
        (253_000, 2_272, 2, "fail", "2 pulses in 2272 s, 2272.73 s needed (iec-62053)"),
        (253_000, 4_000, 2, "not_judged", "does not tell when they came: 2 pulses in 4000 s, "
         "2272.73 s needed (iec-62053)"),
        (253_000, 4_000, 3, "fail", "3 pulses in 4000 s, 2272.73 s needed (iec-62053)"),
        (252_999, 2_273, 0, "not_judged", "was made below 253 V"),
        (220_000, 2_273, 5, "fail", "5 pulses in 2273 s, 2272.73 s needed (iec-62053)"),
    ],
)  # fmt: skip
def test_creep(voltage_mv: int, observed_s: int, pulses: int, verdict: str, reason: str) -> None:
    found = judge_creep(PLATE, voltage_mv, observed_s, pulses)
    assert (found.test, found.verdict, found.reason) == ("creep", verdict, reason)


def test_the_other_formula_of_creep_is_a_named_rule() -> None:
    assert judge_creep(PLATE, 253_000, 55, 1, JJG_RULES).verdict == "pass"
    assert judge_creep(PLATE, 253_000, 54, 1, JJG_RULES).verdict == "not_judged"


@pytest.mark.parametrize(
    ("register_wh", "verdict"),
    [
        (10_100, "pass"),  # 1 % of 10 kWh
        (9_900, "pass"),
        (10_101, "not_judged"),  # a step of 10 Wh could explain it
        (10_110, "not_judged"),
        (10_111, "fail"),
        (9_889, "fail"),
        (0, "fail"),
    ],
)
def test_dial(register_wh: int, verdict: str) -> None:
    assert judge_dial(PLATE, 12_000, register_wh, 10).verdict == verdict


def test_dial_tells_the_sum_and_the_class() -> None:
    assert judge_dial(PLATE, 12_000, 10_050, 10).reason == (
        "10.05 kWh against 10 kWh of 12000 pulses: +0.5 % against +-1 %"
    )
    other = replace(PLATE, accuracy_class="3")
    assert judge_dial(other, 1, 1, 1).reason == "no limit is stated for class 3"


@pytest.mark.parametrize(
    ("drift_ms", "observed_s", "verdict", "reason"),
    [
        (500, 86_400, "pass", "0.5 s a day against +-0.5 s a day"),
        (-501, 86_400, "fail", "-0.501 s a day against +-0.5 s a day"),
        (30, 3_600, "fail", "0.72 s a day against +-0.5 s a day"),
        (0, 1, "pass", "0 s a day against +-0.5 s a day"),
    ],
)
def test_clock(drift_ms: int, observed_s: int, verdict: str, reason: str) -> None:
    found = judge_clock(drift_ms, observed_s)
    assert (found.test, found.verdict, found.reason) == ("clock", verdict, reason)


@pytest.mark.parametrize(
    ("plate", "field"),
    [
        ({"phases": 4}, "phases"),
        ({"pulses_per_kwh": 0}, "pulses_per_kwh"),
        ({"voltage_mv": -1}, "voltage_mv"),
        ({"base_ma": 0}, "base_ma"),
        ({"imax_ma": 4_999}, "imax_ma"),
    ],
)
def test_an_impossible_plate_is_named(plate: dict[str, int], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        judge_start(replace(PLATE, **plate), 1, 1, None)  # type: ignore[arg-type]
    assert caught.value.field == field


def test_impossible_observations_are_named() -> None:
    for call, field in (
        (lambda: judge_start(PLATE, 0, 1, None), "current_ua"),
        (lambda: judge_start(PLATE, 1, 0, None), "observed_s"),
        (lambda: judge_start(PLATE, 1, 5, 6), "first_pulse_s"),
        (lambda: judge_creep(PLATE, 253_000, 1, -1), "pulses"),
        (lambda: judge_creep(replace(PLATE, accuracy_class="9"), 1, 1, 1), "accuracy_class"),
        (lambda: judge_dial(PLATE, 0, 1, 1), "pulses"),
        (lambda: judge_dial(PLATE, 1, 1, 0), "resolution_wh"),
        (lambda: judge_dial(PLATE, 1, -1, 1), "register_wh"),
        (lambda: judge_clock(1_001, 1), "drift_ms"),
    ):
        with pytest.raises(BadInput) as caught:
            call()
        assert caught.value.field == field

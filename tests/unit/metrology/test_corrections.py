"""Representative error, correction of energy, due dates: the numbers of domain.md §3.6 and §4."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.billing.case_rules import excess_wh
from services.metrology.correction_energy import (
    correction_period,
    meter_error_correction,
    ratio_correction,
    reversed_transformer_factor,
    wiring_correction,
    wiring_factor,
)
from services.metrology.error_limits import MeasuredPoint, MeterRating
from services.metrology.representative_error import (
    DEFAULT_RULE,
    RepresentativeRule,
    WeightedPoint,
    representative_error,
)
from services.metrology.verification_cycle import DEFAULT_CYCLES, is_overdue, next_due_on, parse_day
from tests.unit.metrology.samples import METER, PLAN, measured

THREE = (measured("Imax", 20_000), measured("1Ib", 30_000), measured("0.2Ib", 40_001))


def test_the_weights_are_1_3_1() -> None:
    found = representative_error(THREE, METER)
    # (20000 + 3 x 30000 + 40001) / 5 = 30000.2
    assert found.error_e4_pct == 30_000
    assert found.text == "(1 x 20000 + 3 x 30000 + 1 x 40001) / 5"
    assert found.rule == "weights-1-3-1 v1"


def test_only_the_points_of_the_rule_count() -> None:
    others = (
        measured("1Ib", 90_000, "0.5L"),
        measured("1Ib", 90_000, load="single_phase"),
        measured("0.5Ib", 90_000),
        measured("5 A", 90_000),
        measured("Ib", 30_000),
    )
    assert representative_error((*others, *THREE), METER).error_e4_pct == 30_000


def test_a_meter_behind_transformers_uses_its_own_base() -> None:
    meter = MeterRating(accuracy_class="0.5S", connection="ct")
    points = (measured("Imax", -10), measured("1In", -10), measured("0.2In", -13))
    # -53 / 5 = -10.6
    assert representative_error(points, meter).error_e4_pct == -11


@pytest.mark.parametrize(
    ("points", "text"),
    [
        (THREE[:2], "0.2Ib at 1.0, balanced load, was not measured"),
        ((*THREE, measured("Imax", 1)), "Imax at 1.0, balanced load, was measured with different"),
        ((), "Imax at 1.0, balanced load, was not measured"),
    ],
)
def test_without_all_its_points_there_is_no_representative_error(
    points: tuple[MeasuredPoint, ...], text: str
) -> None:
    found = representative_error(points, METER)
    assert found.error_e4_pct is None
    assert found.text.startswith(text)


def test_other_weights_are_another_rule() -> None:
    rule = RepresentativeRule(
        id="only-base", version=2, weights=(WeightedPoint(current="1", weight=1),), rounding="floor"
    )
    found = representative_error(PLAN, METER, rule)
    assert (found.error_e4_pct, found.rule) == (2_000, "only-base v2")


def test_a_point_of_weight_zero_must_be_measured_and_does_not_count() -> None:
    weights = (WeightedPoint(current="Imax", weight=0), WeightedPoint(current="1", weight=2))
    rule = RepresentativeRule(id="r", version=1, weights=weights)
    assert representative_error(THREE, METER, rule).error_e4_pct == 30_000


@pytest.mark.parametrize(
    ("weights", "connection", "field"),
    [
        ((WeightedPoint(current="1", weight=0),), "direct", "weights"),
        (
            (WeightedPoint(current="1", weight=-1), WeightedPoint(current="0.2", weight=3)),
            "direct",
            "weights",
        ),
        (DEFAULT_RULE.weights, "wireless", "connection"),
    ],
)
def test_a_wrong_rule_or_meter_is_named(
    weights: tuple[WeightedPoint, ...], connection: str, field: str
) -> None:
    rule = RepresentativeRule(id="r", version=1, weights=weights)
    meter = MeterRating(accuracy_class="1", connection=connection)
    with pytest.raises(BadInput) as error:
        representative_error(THREE, meter, rule)
    assert error.value.field == field


def test_class_1_at_plus_3_percent_over_two_years() -> None:
    """domain.md §3.6: 240,000 kWh in two years: 120,000 x 0.03 / 1.03 = 3,495 kWh back."""
    found = meter_error_correction(240_000_000, 30_000)
    assert Fraction(found.exact_wh) == -Fraction(120_000_000 * 3, 103)
    assert found.correction_wh == -3_495_146
    assert -found.correction_wh // 1000 == 3_495
    assert (found.rule, found.rounding) == ("supply-rules-1996-art-80-1", "half_up")
    assert found.text == "-(240000000 Wh x 1/2) x g / (1 + g), g = 30000 / 1000000"


def test_the_energy_of_the_half_itself_may_be_given() -> None:
    whole = meter_error_correction(240_000_000, 30_000)
    half = meter_error_correction(120_000_000, 30_000, share=Fraction(1))
    assert half.correction_wh == whole.correction_wh


def test_a_slow_meter_is_paid_for_and_rounding_is_named() -> None:
    # 1000 x 1/2 x 0.03 / 0.97 = 15.46...
    assert meter_error_correction(1_000, -30_000).correction_wh == 15
    assert meter_error_correction(1_000, -30_000, rounding="ceil").correction_wh == 16
    assert meter_error_correction(1_000, 0).correction_wh == 0


@given(st.integers(0, 10**12), st.integers(-999_999, 10**6))
def test_what_is_left_after_the_correction_is_true(recorded: int, error: int) -> None:
    """recorded + correction = recorded / (1 + g): the energy that a meter without error shows."""
    found = meter_error_correction(recorded, error, share=Fraction(1))
    true = Fraction(recorded) / (1 + Fraction(error, 10**6))
    assert recorded + Fraction(found.exact_wh) == true
    assert abs(found.correction_wh - Fraction(found.exact_wh)) <= Fraction(1, 2)


def test_one_of_three_transformers_reversed_is_k_3() -> None:
    """domain.md §3.6 (b04): recorded a third of the true energy, so add 200 %."""
    factor = reversed_transformer_factor(1)
    assert factor == 3
    found = wiring_correction(1_000_000, factor)
    assert found.correction_wh == 2_000_000
    assert found.rule == "supply-rules-1996-wiring"


def test_other_wirings() -> None:
    assert reversed_transformer_factor(0) == 1
    assert reversed_transformer_factor(2) == -3
    assert wiring_correction(-1_000, Fraction(-3)).correction_wh == 4_000
    assert wiring_factor(3_000, 2_000) == Fraction(3, 2)
    assert wiring_correction(1_001, Fraction(3, 2)).correction_wh == 501
    assert wiring_correction(1_001, Fraction(3, 2), rounding="half_even").correction_wh == 500


def test_a_wrong_ratio_is_corrected_to_the_real_one() -> None:
    # billed x 40 instead of x 50: a quarter more
    found = ratio_correction(1_000_000, "40", "50")
    assert (found.correction_wh, found.rule) == (250_000, "supply-rules-1996-ratio")
    assert ratio_correction(1_000_000, "50", "40").correction_wh == -200_000
    assert ratio_correction(1_000_000, "1.5", "1.5").correction_wh == 0


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: meter_error_correction(-1, 1), "recorded_wh"),
        (lambda: meter_error_correction(1, -1_000_000), "error_e4_pct"),
        (lambda: meter_error_correction(1, 1, share=Fraction(2)), "share"),
        (lambda: meter_error_correction(1, 1, share=Fraction(0)), "share"),
        (lambda: meter_error_correction(1, 1, rounding="up"), "rounding"),
        (lambda: wiring_correction(1, Fraction(-3)), "factor"),
        (lambda: wiring_factor(1, 0), "recorded_power_w"),
        (lambda: reversed_transformer_factor(1, phases=2), "recorded_power_w"),
        (lambda: reversed_transformer_factor(4), "reversed_count"),
        (lambda: reversed_transformer_factor(0, phases=0), "reversed_count"),
        (lambda: ratio_correction(1, "0", "1"), "billed_ratio"),
        (lambda: ratio_correction(1, "1", "x"), "real_ratio"),
        (lambda: correction_period("", "2026-01-01", "2026-01-01"), "corrected_on"),
        (lambda: correction_period("", "yesterday", "2026-01-01"), "installed_on"),
        (lambda: correction_period("x", "2026-01-01", "2026-01-02"), "verified_on"),
    ],
)
def test_wrong_input_is_named(call: object, field: str) -> None:
    assert callable(call)
    with pytest.raises(BadInput) as error:
        call()
    assert error.value.field == field


@pytest.mark.parametrize(
    ("verified_on", "installed_on", "since_on", "half_from_on", "days", "half_days"),
    [
        ("2024-01-01", "2024-02-01", "2024-02-01", "2025-01-31", 730, 365),
        ("2025-06-01", "2024-02-01", "2025-06-01", "2025-10-01", 244, 122),
        ("", "2026-01-31", "2026-01-31", "2026-02-01", 1, 0),
    ],
)
def test_the_later_half_since_verification_or_installation(
    verified_on: str,
    installed_on: str,
    since_on: str,
    half_from_on: str,
    days: int,
    half_days: int,
) -> None:
    until_on = "2026-01-31" if days != 1 else "2026-02-01"
    period = correction_period(verified_on, installed_on, until_on)
    assert (period.since_on, period.until_on) == (since_on, until_on)
    assert (period.half_from_on, period.days, period.half_days) == (half_from_on, days, half_days)


@pytest.mark.parametrize(
    ("verified_on", "accuracy_class", "due_on"),
    [
        ("2026-03-15", "0.2S", "2032-03-15"),
        ("2026-03-15", "0.5S", "2032-03-15"),
        ("2026-12-31", "1", "2034-12-31"),
        ("2028-02-29", "2", "2036-02-29"),
        ("2028-02-29", "0.5S", "2034-02-28"),
    ],
)
def test_the_next_verification_is_due_after_the_cycle(
    verified_on: str, accuracy_class: str, due_on: str
) -> None:
    assert next_due_on(verified_on, accuracy_class, DEFAULT_CYCLES) == due_on


def test_the_due_date_itself_is_in_time() -> None:
    assert not is_overdue("2026-03-15", "2026-03-15")
    assert is_overdue("2026-03-15", "2026-03-16")


def test_a_class_without_a_cycle_and_a_wrong_date_are_named() -> None:
    with pytest.raises(BadInput, match=r"^accuracy_class: '3' has no cycle \(known are 0.2S"):
        next_due_on("2026-01-01", "3", DEFAULT_CYCLES)
    with pytest.raises(BadInput, match=r"^on: '2026-W05-6' is no date"):
        parse_day("2026-W05-6", "on")
    with pytest.raises(BadInput, match=r"^on: '2026-02-30' is no date"):
        parse_day("2026-02-30", "on")


@given(st.integers(0, 10**13), st.integers(-999_999, 1_000_000))
def test_billing_corrects_by_the_same_rule(recorded_wh: int, error_e4_pct: int) -> None:
    """Services never import each other; what billing takes off the half is what the rule says."""
    correction = meter_error_correction(recorded_wh, error_e4_pct, Fraction(1))
    assert correction.correction_wh == -excess_wh(recorded_wh, error_e4_pct)

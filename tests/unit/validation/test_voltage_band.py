"""GB/T 12325: the limits themselves are inside, one step of 0.1 V beyond is outside."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.voltage_band import (
    VoltageWindow,
    deviation_pct,
    voltage_band,
    voltage_window,
)

SETTINGS = DEFAULT_RULE_BOOK.rules["voltage_band"]


def window(level_dv: int, phases: int, low_dv: int, high_dv: int, nominal_dv: int) -> VoltageWindow:
    return VoltageWindow(
        level_dv=level_dv,
        phases=phases,
        nominal_dv=nominal_dv,
        highest_dv=high_dv,
        lowest_dv=low_dv,
    )


@pytest.mark.parametrize(
    ("level_dv", "phases", "low_dv", "high_dv", "nominal_dv", "severity"),
    [
        # 220 V single phase: 198.0 to 235.4 V (domain.md §2 rule 15)
        (2_200, 1, 1_980, 2_354, 2_200, "pass"),
        (2_200, 1, 1_979, 2_200, 2_200, "warn"),
        (2_200, 1, 2_200, 2_355, 2_200, "warn"),
        # three phase up to 20 kV: +-7 %
        (3_800, 3, 2_046, 2_354, 2_200, "pass"),
        (3_800, 3, 2_045, 2_200, 2_200, "warn"),
        (100_000, 3, 93_000, 107_000, 100_000, "pass"),
        (100_000, 3, 92_999, 100_000, 100_000, "warn"),
        (200_000, 3, 186_000, 214_000, 200_000, "pass"),
        # the same band behind a voltage transformer of 100 V
        (100_000, 3, 930, 1_070, 1_000, "pass"),
        (100_000, 3, 929, 1_000, 1_000, "warn"),
        # 35 kV and above: opposite signs add up, the same sign takes the larger
        (350_000, 3, 332_500, 367_500, 350_000, "pass"),
        (350_000, 3, 332_499, 367_500, 350_000, "warn"),
        (350_000, 3, 350_000, 385_000, 350_000, "pass"),
        (350_000, 3, 350_000, 385_001, 350_000, "warn"),
        (1_100_000, 3, 1_122_000, 1_210_000, 1_100_000, "pass"),
        (1_100_000, 3, 990_000, 1_078_000, 1_100_000, "pass"),
        (1_100_000, 3, 989_999, 1_078_000, 1_100_000, "warn"),
        # between the bands of the standard nothing is passed
        (300_000, 3, 300_000, 300_000, 300_000, "warn"),
    ],
)
def test_the_band_of_each_level(
    level_dv: int, phases: int, low_dv: int, high_dv: int, nominal_dv: int, severity: str
) -> None:
    found = voltage_band(window(level_dv, phases, low_dv, high_dv, nominal_dv), SETTINGS)
    assert (found.rule, found.severity) == ("voltage_band", severity)


def test_the_numbers_and_the_text_say_what_was_outside() -> None:
    found = voltage_band(window(2_200, 1, 1_895, 2_261, 2_200), SETTINGS)
    assert found.numbers == {
        "nominal_v": "220",
        "highest_v": "226.1",
        "lowest_v": "189.5",
        "highest_deviation_pct": "2.77",
        "lowest_deviation_pct": "-13.86",
    }
    assert found.text == "189.5 to 226.1 V is outside +7/-10 % (single phase)"


def test_a_level_without_a_band_says_so() -> None:
    found = voltage_band(window(300_000, 3, 1, 2, 3), SETTINGS)
    assert found.text == "no band is stated for a supply at 30000 V"


def test_deviations_are_rounded_half_up() -> None:
    assert deviation_pct(2_354, 2_200) == "7"
    assert deviation_pct(1_979, 2_200) == "-10.05"


@pytest.mark.parametrize(
    ("voltage_class", "voltages", "phases", "level_dv"),
    [
        ("lt1kv", {"1-0:32.7.0": 2_261}, 1, 3_800),
        ("lt1kv", {"1-0:32.7.0": 2_261, "1-0:52.7.0": 2_100, "1-0:72.7.0": 2_200}, 3, 3_800),
        ("10kv", {"1-0:32.7.0": 1_003}, 3, 100_000),
    ],
)
def test_a_window_of_phase_voltages(
    voltage_class: str, voltages: dict[str, int], phases: int, level_dv: int
) -> None:
    found = voltage_window(voltage_class, voltages)
    assert found == VoltageWindow(
        level_dv=level_dv,
        phases=phases,
        nominal_dv=2_200,
        highest_dv=max(voltages.values()),
        lowest_dv=min(voltages.values()),
    )


@pytest.mark.parametrize(
    ("voltage_class", "voltages", "field"),
    [("6kv", {"1-0:32.7.0": 1}, "voltage_class"), ("lt1kv", {}, "voltages")],
)
def test_a_window_needs_a_class_and_a_voltage(
    voltage_class: str, voltages: dict[str, int], field: str
) -> None:
    with pytest.raises(BadInput) as error:
        voltage_window(voltage_class, voltages)
    assert error.value.field == field


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        (window(0, 1, 1, 1, 1), "level_dv"),
        (window(1, 1, 1, 1, 0), "nominal_dv"),
        (window(1, 2, 1, 1, 1), "phases"),
        (window(1, 1, 2, 1, 1), "highest_dv"),
    ],
)
def test_a_window_that_contradicts_itself_is_refused(wrong: VoltageWindow, field: str) -> None:
    with pytest.raises(BadInput) as error:
        voltage_band(wrong, SETTINGS)
    assert error.value.field == field

"""The electrical identities, each at its tolerance and its floor."""

from __future__ import annotations

import pytest

from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.electrical_rules import (
    ElectricalSample,
    apparent_power,
    lost_phase,
    phase_sum,
    power_factor,
    unbalance,
)

RULES = DEFAULT_RULE_BOOK.rules


def power(s_va: int, p_w: int = 3000, q_var: int = 4000, factor: int = 600) -> ElectricalSample:
    return ElectricalSample(
        active_w=p_w, reactive_var=q_var, apparent_va=s_va, power_factor_permille=factor
    )


@pytest.mark.parametrize(
    ("s_va", "severity"),
    [(5000, "pass"), (5100, "pass"), (5101, "warn"), (4900, "pass"), (4899, "warn"), (0, "warn")],
)
def test_s_is_the_root_of_p_and_q_within_two_percent(s_va: int, severity: str) -> None:
    assert apparent_power(power(s_va), RULES["apparent_power"]).severity == severity


def test_light_loads_and_what_was_not_measured_are_not_judged() -> None:
    settings = RULES["apparent_power"]
    assert apparent_power(power(0, 60, 79), settings).severity == "pass"  # root 99.2
    assert apparent_power(power(0, 60, 80), settings).severity == "warn"  # root 100
    assert apparent_power(power(100, 1, 1), settings).severity == "warn"
    nothing = ElectricalSample()
    assert "not judged" in apparent_power(nothing, settings).text
    assert "not judged" in power_factor(nothing, RULES["power_factor"]).text
    assert "not judged" in phase_sum(nothing, RULES["phase_sum"]).text
    assert "not judged" in unbalance(nothing, RULES["unbalance"]).text


@pytest.mark.parametrize(
    ("factor", "severity"),
    [(600, "pass"), (-600, "pass"), (620, "pass"), (621, "warn"), (579, "warn")],
)
def test_the_power_factor_is_p_over_s(factor: int, severity: str) -> None:
    found = power_factor(power(5000, factor=factor), RULES["power_factor"])
    assert found.severity == severity
    assert found.numbers["power_factor_permille"] == str(factor)
    light = ElectricalSample(active_w=0, apparent_va=99, power_factor_permille=1000)
    assert power_factor(light, RULES["power_factor"]).severity == "pass"


@pytest.mark.parametrize(
    ("a_w", "severity"), [(1000, "pass"), (1070, "pass"), (1071, "warn"), (929, "warn")]
)
def test_the_phases_add_up(a_w: int, severity: str) -> None:
    # 2 % of 3000 W and 10 W more
    sample = ElectricalSample(active_w=3000, phase_active_w={"a": a_w, "b": 1000, "c": 1000})
    found = phase_sum(sample, RULES["phase_sum"])
    assert (found.severity, found.numbers["difference_w"]) == (severity, str(abs(a_w - 1000)))


def test_current_without_voltage_is_a_lost_phase() -> None:
    def sample(voltage_dv: int, current_ma: int) -> ElectricalSample:
        return ElectricalSample(
            voltages_dv={"a": 2200, "b": voltage_dv},
            currents_ma={"a": 500, "b": current_ma, "c": 900},
        )

    settings = RULES["lost_phase"]
    found = lost_phase(sample(1319, -100), 2200, settings)
    assert found.severity == "fail"
    assert found.text == "current without voltage in phase b"
    assert (found.numbers["voltage_b_dv"], found.numbers["current_b_ma"]) == ("1319", "-100")
    assert lost_phase(sample(1320, 100), 2200, settings).severity == "pass"
    assert lost_phase(sample(0, 99), 2200, settings).severity == "pass"


@pytest.mark.parametrize(
    ("lowest", "highest", "severity"),
    [(7000, 10_000, "pass"), (6999, 10_000, "warn"), (0, 4999, "pass"), (0, 5000, "warn")],
)
def test_unbalanced_currents(lowest: int, highest: int, severity: str) -> None:
    sample = ElectricalSample(currents_ma={"a": -highest, "b": lowest, "c": highest})
    assert unbalance(sample, RULES["unbalance"]).severity == severity
    one = ElectricalSample(currents_ma={"a": 9000})
    assert unbalance(one, RULES["unbalance"]).severity == "pass"

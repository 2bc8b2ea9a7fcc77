"""What the demo's editor asks for."""

from __future__ import annotations

from simulators.city.edits import halved


def test_a_total_is_what_its_halved_rates_add_up_to() -> None:
    energy = {"1-0:1.8.0": 10_759, "1-0:1.8.1": 4_001, "1-0:1.8.2": 6_758, "1-0:2.8.0": 7}
    assert halved(energy) == {"1-0:1.8.0": 5_379, "1-0:1.8.1": 2_000, "1-0:1.8.2": 3_379}


def test_a_total_without_rates_is_halved() -> None:
    assert halved({"1-0:1.8.0": 10_759, "1-0:5.8.0": 3}) == {"1-0:1.8.0": 5_379}

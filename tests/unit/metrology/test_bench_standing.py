"""A bench that is unknown, out of date, too coarse, or too warm judges nothing."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from libs.events.errors import BadInput
from services.metrology.bench_standing import (
    BenchConditions,
    Standard,
    outside_conditions,
    refused,
    standing,
)
from services.metrology.judgement import DEFAULT_RULES, judge
from tests.unit.metrology.samples import LIMITS, METER, bench_run

BENCH = Standard(standard_no="B1", kind="bench", accuracy_class="0.1", due_on="2026-12-31")
REFERENCE = Standard(
    standard_no="R1", kind="reference_meter", accuracy_class="0.05", due_on="2026-12-31"
)


def reasons(*standards: Standard, accuracy_class: str = "1", **changes: object) -> tuple[str, ...]:
    register = {(each.kind, each.standard_no): each for each in standards}
    return standing(bench_run(**changes), accuracy_class, register, DEFAULT_RULES)


def test_a_bench_in_good_standing() -> None:
    assert reasons(BENCH, REFERENCE) == ()
    last_day = replace(BENCH, due_on="2026-03-01")
    assert reasons(last_day, REFERENCE) == ()


def test_each_reason_by_its_name() -> None:
    assert reasons(REFERENCE) == ("bench B1 is not in the register of standards",)
    assert reasons(replace(BENCH, due_on="2026-02-28"), REFERENCE) == (
        "bench B1 was due on 2026-02-28, measured on 2026-03-01",
    )
    assert reasons(replace(BENCH, accuracy_class="0.3"), REFERENCE) == (
        "bench B1 of class 0.3 is weaker than 0.2",
    )
    assert reasons(BENCH, replace(REFERENCE, due_on="2026-01-31")) == (
        "reference_meter R1 was due on 2026-01-31, measured on 2026-03-01",
        "the run states reference_meter R1 as class 0.05 due 2026-12-31, the register says 0.05 "
        "due 2026-01-31",
    )
    assert reasons(BENCH, REFERENCE, reference_class="0.02") == (
        "the run states reference_meter R1 as class 0.02 due 2026-12-31, the register says 0.05 "
        "due 2026-12-31",
    )


@pytest.mark.parametrize(
    ("accuracy_class", "bench_class", "fits"),
    [("0.2S", "0.05", True), ("0.2S", "0.1", False), ("0.5S", "0.1", True), ("0.5S", "0.2", False),
     ("1", "0.2", True), ("1", "0.3", False), ("2", "0.3", True), ("2", "0.5", False)],
)  # fmt: skip
def test_the_class_ratio(accuracy_class: str, bench_class: str, fits: bool) -> None:
    bench = replace(BENCH, accuracy_class=bench_class)
    assert (reasons(bench, REFERENCE, accuracy_class=accuracy_class) == ()) is fits


def test_a_class_without_a_ratio_is_left_to_the_judgement() -> None:
    assert reasons(BENCH, REFERENCE, accuracy_class="3") == ()


def test_a_register_with_a_wrong_day_is_named() -> None:
    with pytest.raises(BadInput, match=r"^due_on: 'soon' is no date"):
        reasons(replace(BENCH, due_on="soon"), REFERENCE)


@pytest.mark.parametrize(
    ("temperature", "inside"),
    [("21", True), ("25", True), ("20.9", False), ("25.1", False)],
)
def test_reference_conditions(temperature: str, inside: bool) -> None:
    found = outside_conditions(Decimal(temperature))
    assert (found == ()) is inside
    if not inside:
        assert found == (f"measured at {temperature} degrees Celsius, not at 21 to 25",)
    assert outside_conditions(Decimal(30), BenchConditions(highest_c=Decimal(30))) == ()


@pytest.mark.parametrize("temperature", ["-41", "71", "230"])
def test_no_laboratory_has_such_a_temperature(temperature: str) -> None:
    with pytest.raises(BadInput, match=f"^temperature_c: is {temperature}, impossible"):
        outside_conditions(Decimal(temperature))


def test_a_refused_judgement_keeps_its_numbers() -> None:
    judged = judge(bench_run(), METER, LIMITS, DEFAULT_RULES)
    assert refused(judged, ()) is judged
    found = refused(judged, ("the bench was due",))
    assert (found.verdict, found.reasons) == ("not_judged", ("the bench was due",))
    assert found.points == judged.points

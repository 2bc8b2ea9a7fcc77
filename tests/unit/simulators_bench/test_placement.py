"""What the simulated bench measures: the true curve, seeded noise, and its misbehaviours."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from libs.events.errors import BadInput
from services.metrology.bench_protocol import BenchError, BenchParser, ReceivedRun, encode_run
from simulators.bench.config import BenchConfig, load_config
from simulators.bench.line import on_the_wire
from simulators.bench.placement import Placement, measure, run_id, true_error

CONFIG = BenchConfig.model_validate(
    {
        "bench_no": "B1",
        "reference_meter_no": "R1",
        "reference_due_on": "2027-03-01",
        "operator": "lab-3",
        "edge_port": 1,
        "journal": "unused.jsonl",
        "seed": 7,
    }
)
KNOTS = (("0.05", 4_000), ("1", 2_000), ("12", -1_001))


def placement(**changes: Any) -> Placement:
    values: dict[str, Any] = {
        "meter_no": "M1",
        "accuracy_class": "1",
        "measured_at": "2026-03-01T02:00:00Z",
        "curve": [{"power_factor": "1.0", "load": "balanced", "knots": KNOTS}],
        "points": [
            {"current": current, "power_factor": "1.0", "load": "balanced"}
            for current in ("0.05Ib", "0.2Ib", "1Ib", "Imax")
        ],
        "tests": {"start": "pass"},
        **changes,
    }
    return Placement.model_validate(values)


@pytest.mark.parametrize(
    ("multiple", "error"),
    [
        ("0.01", Fraction(4_000)),
        ("0.05", Fraction(4_000)),
        ("0.525", Fraction(3_000)),
        ("1", Fraction(2_000)),
        ("6.5", Fraction(999, 2)),
        ("12", Fraction(-1_001)),
        ("100", Fraction(-1_001)),
    ],
)
def test_the_curve_is_straight_between_knots_and_level_beyond(
    multiple: str, error: Fraction
) -> None:
    assert true_error(KNOTS, Fraction(multiple)) == error
    assert true_error(tuple(reversed(KNOTS)), Fraction(multiple)) == error


def test_without_noise_the_points_are_the_curve() -> None:
    run = measure(CONFIG, placement())
    # at 0.2: 4000 - 2000 x 0.15 / 0.95 = 3684.2
    assert [point.error_e4_pct for point in run.points] == [4_000, 3_684, 2_000, -1_001]
    assert run.run_id == "B1-M1-20260301T020000Z"
    assert (run.accuracy_class, run.reference_class) == ("1", "0.05")
    assert (run.reference_due_on, run.tests) == ("2027-03-01", {"start": "pass"})


@given(st.integers(0, 10**6), st.integers(1, 5_000))
def test_noise_is_bounded_and_drawn_from_the_seed(seed: int, noise: int) -> None:
    config = CONFIG.model_copy(update={"seed": seed})
    noisy = placement(noise_e4_pct=noise)
    first = measure(config, noisy)
    assert measure(config, noisy) == first
    quiet = measure(config, placement())
    for with_noise, without in zip(first.points, quiet.points, strict=True):
        assert abs(with_noise.error_e4_pct - without.error_e4_pct) <= noise
    backwards = placement(noise_e4_pct=noise, points=tuple(reversed(noisy.points)))
    assert measure(config, backwards).points == tuple(reversed(first.points))


def test_another_seed_gives_other_noise() -> None:
    noisy = placement(noise_e4_pct=100_000)
    other = CONFIG.model_copy(update={"seed": 8})
    assert measure(CONFIG, noisy).points != measure(other, noisy).points


def test_each_misbehaviour_of_the_content() -> None:
    quiet = measure(CONFIG, placement())

    def with_one(name: str) -> Any:
        return measure(CONFIG, placement(misbehaviours=(name,)))

    assert with_one("missing_point").points == quiet.points[:-1]
    assert with_one("duplicate_point").points == (*quiet.points, quiet.points[0])
    contradiction = with_one("contradicting_point").points[-1]
    assert contradiction == replace(quiet.points[0], error_e4_pct=5_000)
    assert with_one("wrong_class").accuracy_class == "2"
    assert with_one("expired_reference").reference_due_on == "2026-02-28"
    late = placement(misbehaviours=("expired_reference",), measured_at="2026-02-28T16:00:00Z")
    assert measure(CONFIG, late).reference_due_on == "2026-02-28"
    for line_only in ("garbled_line", "lost_line", "disconnect"):
        assert with_one(line_only) == quiet


@pytest.mark.parametrize(
    ("name", "field"), [("garbled_line", "line"), ("lost_line", "seq"), ("disconnect", "run_ended")]
)
def test_each_misbehaviour_of_the_line_breaks_the_run(name: Any, field: str) -> None:
    lines = encode_run(measure(CONFIG, placement()))
    parser = BenchParser()
    outcomes = (*parser.feed(b"".join(on_the_wire(lines, (name,)))), *parser.close())
    assert [each.field for each in outcomes if isinstance(each, BenchError)] == [field]
    (whole,) = BenchParser().feed(b"".join(on_the_wire(lines, ())))
    assert isinstance(whole, ReceivedRun)


def test_a_placement_that_cannot_be_measured_is_named() -> None:
    place = {"current": "1Ib", "power_factor": "0.5L", "load": "balanced"}
    with pytest.raises(BadInput, match=r"^curve: there is none for 0.5L, balanced"):
        measure(CONFIG, placement(points=[place]))
    with pytest.raises(BadInput, match=r"^current: '1In' has not the base"):
        measure(CONFIG, placement(points=[{**place, "current": "1In"}]))
    with pytest.raises(BadInput, match=r"^knots: "):
        true_error((("much", 1),), Fraction(1))
    with pytest.raises(BadInput, match=r"^knots: "):
        true_error((("1/0", 1),), Fraction(1))


def test_an_unknown_misbehaviour_is_refused() -> None:
    with pytest.raises(ValidationError):
        placement(misbehaviours=("explode",))


def test_a_meter_behind_transformers() -> None:
    point = {"current": "1In", "power_factor": "1.0", "load": "balanced"}
    run = measure(CONFIG, placement(base="In", points=[point], accuracy_class="0.5S"))
    assert [each.error_e4_pct for each in run.points] == [2_000]
    assert run_id(CONFIG, placement(meter_no="M9")) == "B1-M9-20260301T020000Z"


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "is empty (write a JSON document)"),
        ("{}", "bench_no: Field required (6 wrong in all"),
        ('{"colour": 1}', "Field required (7 wrong in all"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, content: str, problem: str) -> None:
    path = tmp_path / "bench.json"
    path.write_text(content)
    with pytest.raises(BadInput) as error:
        load_config(path)
    assert str(error.value).startswith(str(path))
    assert problem in str(error.value)


def test_a_missing_configuration_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"absent.json: No such file or directory"):
        load_config(tmp_path / "absent.json")


def test_a_meter_may_be_placed_on_a_bench_that_is_out_of_date_and_does_not_say_so() -> None:
    late = placement(bench_no="B2", reference_meter_no="R9", reference_due_on="2026-02-27")
    run = measure(CONFIG, late)
    assert run.run_id.startswith("B2-")
    assert (run.bench_no, run.reference_meter_no, run.reference_due_on) == (
        "B2",
        "R9",
        "2026-02-27",
    )
    own = measure(CONFIG, placement())
    assert (own.bench_no, own.reference_due_on) == (
        CONFIG.bench_no,
        CONFIG.reference_due_on.isoformat(),
    )

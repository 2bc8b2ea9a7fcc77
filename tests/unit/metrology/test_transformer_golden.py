"""Every row of the table of transformer limits, at its limits and on both sides of them.

Goal: no row can be changed or lost without a failing test. Method: the test reads the CSV with its
own few lines, and asks at the limit (pass), where rounding still helps (pass), and where it no
longer does (fail), for the ratio error and the phase displacement apart.
"""

from __future__ import annotations

import csv
from fractions import Fraction
from pathlib import Path

import pytest

from services.metrology.error_limits_file import SHIPPED_TRANSFORMERS, load_transformer_limits
from services.metrology.transformer_judgement import (
    DEFAULT_TRANSFORMER_RULES,
    JudgedTransformerPoint,
    TransformerPoint,
    judge_transformer_point,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "ct_vt_error_limits.csv"
LIMITS = load_transformer_limits()
# Interval of the ratio error in 1e-4 %, of the phase displacement in 1e-3 minutes.
INTERVALS = {
    "0.1": (100, 500),
    "0.2": (200, 1_000),
    "0.2S": (200, 1_000),
    "0.5": (500, 2_000),
    "0.5S": (500, 2_000),
    "1": (1_000, 5_000),
}

with GOLDEN.open(newline="", encoding="utf-8") as file:
    ROWS = list(enumerate(csv.DictReader(file), start=2))
CASES = [
    pytest.param(line, row, id=f"{row['device']}-{row['class']}-{row['pct_of_rated']}")
    for line, row in ROWS
]


def scaled(text: str, scale: int) -> int:
    exact = Fraction(text) * scale
    assert exact.denominator == 1
    return exact.numerator


def judged(row: dict[str, str], ratio_e4_pct: int, phase_e3_min: int) -> JudgedTransformerPoint:
    point = TransformerPoint(
        at_e3_pct=scaled(row["pct_of_rated"], 1_000),
        burden="rated",
        ratio_e4_pct=ratio_e4_pct,
        phase_e3_min=phase_e3_min,
    )
    return judge_transformer_point(
        point, row["device"], row["class"], LIMITS, DEFAULT_TRANSFORMER_RULES
    )


def largest_inside(limit: int, interval: int) -> int:
    """The largest error that passes: it rounds half even to a multiple within the limit, or is
    itself at the limit."""
    last = limit // interval
    half = last * interval + interval // 2
    rounds_down = half if last % 2 == 0 else half - 1
    return max(limit, rounds_down)


def test_the_shipped_table_is_the_golden_one() -> None:
    assert SHIPPED_TRANSFORMERS.read_bytes() == GOLDEN.read_bytes()
    assert len(LIMITS.rows) == len(ROWS) == 38


@pytest.mark.parametrize(("line", "row"), CASES)
def test_each_row_at_its_limits(line: int, row: dict[str, str]) -> None:
    ratio = scaled(row["ratio_error_pct_pm"], 10_000)
    phase = scaled(row["phase_displacement_min_pm"], 1_000)
    most = (
        largest_inside(ratio, INTERVALS[row["class"]][0]),
        largest_inside(phase, INTERVALS[row["class"]][1]),
    )
    for sign in (1, -1):
        found = judged(row, sign * ratio, sign * phase)
        assert found.verdict == "pass"
        assert found.row == f"{LIMITS.id} line {line}"
        assert found.source == row["source"]
        assert (found.ratio_limit_e4_pct, found.phase_limit_e3_min) == (str(ratio), str(phase))
        assert judged(row, sign * most[0], sign * most[1]).verdict == "pass"
        assert judged(row, sign * (most[0] + 1), 0).verdict == "fail"
        assert judged(row, 0, sign * (most[1] + 1)).verdict == "fail"


def test_the_examples_of_the_module() -> None:
    at_five = next(row for _, row in ROWS if (row["class"], row["pct_of_rated"]) == ("0.2S", "5"))
    assert judged(at_five, 3_500, 0).verdict == "pass"
    assert judged(at_five, 3_510, 0).reason == "+0.36 % against +-0.35 %, 0' against +-15'"
    assert judged(at_five, 3_510, 0).verdict == "fail"
    full = next(row for _, row in ROWS if (row["class"], row["pct_of_rated"]) == ("0.2S", "100"))
    assert judged(full, 2_090, 10_500).reason == "+0.2 % against +-0.2 %, +10' against +-10'"
    assert judged(full, 2_090, 10_501).verdict == "fail"

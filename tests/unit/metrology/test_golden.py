"""Every row of the table of error limits, used at the boundaries of its current and of its limit.

Goal: no row can be changed, lost or shadowed without a failing test. Method: the test reads the CSV
with its own few lines of code, and asks the judgement at the lower end of each row (inside), just
below it (another row or none), just below the upper end (inside), at the upper end (another row),
at the limit (pass), on both sides of where rounding turns (pass, fail), and far above (fail).
"""

from __future__ import annotations

import csv
import re
from decimal import Decimal
from pathlib import Path

import pytest

from services.metrology.error_limits import MeasuredPoint, MeterRating
from services.metrology.error_limits_file import SHIPPED
from services.metrology.judgement import DEFAULT_RULES, JudgedPoint, judge_point
from tests.unit.metrology.samples import LIMITS

GOLDEN = Path(__file__).parents[2] / "golden" / "meter_error_limits.csv"
STEP = Decimal("0.000001")
HAIR = Decimal("0.0001")
CLASS_PCT = {"0.2S": Decimal("0.2"), "0.5S": Decimal("0.5"), "1": Decimal(1), "2": Decimal(2)}

with GOLDEN.open(newline="", encoding="utf-8") as file:
    ROWS = list(enumerate(csv.DictReader(file), start=2))
CASES = [
    pytest.param(line, row, factor, id=f"line{line}-{factor}")
    for line, row in ROWS
    for factor in row["cos_phi"].split(";")
]


def bound(text: str) -> Decimal:
    match = re.search(r"\d+(\.\d+)?", text)
    assert match is not None
    return Decimal(match[0])


def judged(
    row: dict[str, str], factor: str, current: Decimal | str, error_pct: Decimal
) -> JudgedPoint:
    base = "Ib" if row["connection"] == "direct" else "In"
    meter = MeterRating(
        accuracy_class=row["class"], connection=row["connection"], imax_multiple="4"
    )
    point = MeasuredPoint(
        current=current if isinstance(current, str) else f"{current}{base}",
        power_factor=factor,
        load="single_phase" if row["load"].startswith("single") else "balanced",
        error_e4_pct=int(error_pct * 10_000),
    )
    return judge_point(point, meter, LIMITS, DEFAULT_RULES)


def test_the_shipped_table_is_the_golden_one() -> None:
    assert SHIPPED.read_bytes() == GOLDEN.read_bytes()
    assert len(LIMITS.rows) == len(ROWS) == 38


@pytest.mark.parametrize(("line", "row", "factor"), CASES)
def test_each_row_holds_its_range_of_current(line: int, row: dict[str, str], factor: str) -> None:
    lower = bound(row["i_from"])
    inside: list[Decimal | str] = [lower]
    if row["i_to"] == "Imax":
        inside += ["Imax", Decimal(4), Decimal("3.999999")]
        assert judged(row, factor, Decimal(4) + STEP, Decimal(0)).verdict == "not_judged"
    else:
        upper = bound(row["i_to"])
        inside += [upper - STEP]
        assert not judged(row, factor, upper, Decimal(0)).row.endswith(f"line {line}")
    for current in inside:
        assert judged(row, factor, current, Decimal(0)).row == f"{LIMITS.id} line {line}"
    assert not judged(row, factor, lower - STEP, Decimal(0)).row.endswith(f"line {line}")


@pytest.mark.parametrize(("line", "row", "factor"), CASES)
def test_each_row_passes_at_its_limit_and_fails_an_interval_above(
    line: int, row: dict[str, str], factor: str
) -> None:
    limit, interval = Decimal(row["limit_pct_plus_minus"]), CLASS_PCT[row["class"]] / 10
    lower = bound(row["i_from"])
    # 2.5 % is no multiple of class 2's 0.2 %: the last rounded value inside is 2.4 %, up to 2.5 %.
    last = limit // interval * interval
    edge = last + interval / 2
    for sign in (1, -1):
        at_limit = judged(row, factor, lower, sign * limit)
        assert (at_limit.verdict, at_limit.limit_e4_pct) == ("pass", int(limit * 10_000))
        assert judged(row, factor, lower, sign * (edge - HAIR)).verdict == "pass"
        assert judged(row, factor, lower, sign * (edge + HAIR)).verdict == "fail"
        assert judged(row, factor, lower, sign * (limit + interval)).verdict == "fail"
        assert at_limit.source == row["source"]


def test_unconfirmed_rows_say_so_in_the_verdict() -> None:
    unconfirmed = [line for line, row in ROWS if row["source"].startswith("UNCONFIRMED")]
    assert unconfirmed == [row.line for row in LIMITS.rows if "UNCONFIRMED" in row.source]
    assert len(unconfirmed) == 14

"""A transformer's verdict: between the rows, what is missing, and a standard that may not judge."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.metrology.error_limits_file import load_transformer_limits
from services.metrology.transformer_judgement import (
    COLUMNS,
    DEFAULT_TRANSFORMER_RULES,
    TransformerJudgement,
    TransformerPoint,
    TransformerRules,
    TransformerRun,
    judge_transformer,
    judge_transformer_point,
    parse_transformer_limits,
)

LIMITS = load_transformer_limits()
RULES = DEFAULT_TRANSFORMER_RULES
LINEAR = replace(RULES, between="linear")
ROW = dict(zip(COLUMNS, ("CT", "0.2S", "5", "0.35", "15", "a page"), strict=True))


def point(
    pct: int, ratio: int = 1_000, phase: int = 2_000, burden: str = "rated"
) -> TransformerPoint:
    return TransformerPoint(
        at_e3_pct=pct * 1_000, burden=burden, ratio_e4_pct=ratio, phase_e3_min=phase
    )


PLAN = (
    *(point(pct) for pct in (1, 5, 20, 100, 120)),
    *(point(pct, burden="lower") for pct in (1, 5, 20, 100)),
)


def run(**changes: object) -> TransformerRun:
    values: dict[str, object] = {
        "run_id": "T-1",
        "device_no": "CT7",
        "device": "CT",
        "accuracy_class": "0.2S",
        "standard_no": "S1",
        "standard_class": "0.02",
        "standard_due_on": "2027-01-31",
        "measured_at": "2026-03-01T02:00:00Z",
        "operator": "lab-3",
        "points": PLAN,
        **changes,
    }
    return TransformerRun(**values)  # type: ignore[arg-type]


def judged(registered: tuple[str, str] = ("CT", "0.2S"), **changes: object) -> TransformerJudgement:
    return judge_transformer(run(**changes), *registered, LIMITS, RULES)


def test_a_transformer_that_passes() -> None:
    found = judged()
    assert (found.verdict, found.reasons, len(found.points)) == ("pass", (), 9)
    assert (found.rules, found.limits) == ("jjg-313-314 v1", LIMITS.id)


def test_one_point_beyond_its_limit_fails_it() -> None:
    found = judged(points=(*PLAN[:2], point(20, ratio=2_101), *PLAN[3:]))
    assert found.verdict == "fail"
    assert found.reasons == ("20 % rated burden: +0.22 % against +-0.2 %, +2' against +-10'",)


def test_a_missing_point_a_contradiction_and_a_repeat() -> None:
    missing = judged(points=PLAN[:-1])
    assert missing.verdict == "not_judged"
    assert missing.reasons == ("100 % lower burden: demanded by the table, not measured",)
    contradicted = judged(points=(*PLAN, point(5, ratio=1_001)))
    assert contradicted.verdict == "not_judged"
    assert [each.reason for each in contradicted.points].count(
        "measured more than once with different errors"
    ) == 2
    assert judged(points=(*PLAN, point(5))).verdict == "pass"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"standard_due_on": "2026-02-28"},
            "standard S1 was due on 2026-02-28, measured on 2026-03-01",
        ),
        ({"standard_class": "0.1"}, "standard class 0.1 is weaker than 0.05"),
        ({"accuracy_class": "0.5S"}, "was measured as CT 0.5S, the register says CT 0.2S"),
        ({"device": "VT"}, "was measured as VT 0.2S, the register says CT 0.2S"),
    ],
)
def test_a_standard_that_may_not_judge(changes: dict[str, object], reason: str) -> None:
    for points in (PLAN, (point(20, ratio=90_000), *PLAN)):
        found = judged(points=points, **changes)
        assert (found.verdict, found.reasons[0]) == ("not_judged", reason)


def test_a_class_without_limits_and_a_run_without_points() -> None:
    unknown = judged(("CT", "5P"), accuracy_class="5P")
    assert unknown.verdict == "not_judged"
    assert unknown.reasons[0] == "no standard's class is stated for class 5P"
    assert unknown.points[0].reason == "no limits are stated for CT class 5P"
    nothing = judged(("CT", "5P"), accuracy_class="5P", points=())
    assert (nothing.verdict, nothing.reasons[-1]) == ("not_judged", "no point was measured")


def test_a_voltage_transformer_and_a_device_whose_top_is_measured_at_both_burdens() -> None:
    points = (*(point(pct) for pct in (80, 100, 120)), point(80, burden="lower"))
    changes = {"device": "VT", "accuracy_class": "0.2", "points": points}
    assert judged(("VT", "0.2"), **changes).reasons == (
        "100 % lower burden: demanded by the table, not measured",
    )
    strict = replace(RULES, full_burden_only_e3_pct={})
    found = judge_transformer(run(**changes), "VT", "0.2", LIMITS, strict)
    assert [each.at_e3_pct for each in found.points if each.verdict == "not_judged"] == [
        100_000,
        120_000,
    ]


@pytest.mark.parametrize(
    ("pct", "rules", "verdict", "reason"),
    [
        (50, RULES, "pass", "+0.1 % against +-0.2 %, +2' against +-10'"),
        (10, RULES, "not_judged", "pct_of_rated: the table has no row for 10 %, and its neighbours "
         "differ (measure at a point of the table)"),
        (10, LINEAR, "pass", "+0.1 % against +-0.3 %, +2' against +-40/3'"),
        (50, LINEAR, "pass", "+0.1 % against +-0.2 %, +2' against +-10'"),
        (121, RULES, "not_judged", "pct_of_rated: the table does not reach 121 % (measure within "
         "it)"),
        (0, LINEAR, "not_judged", "pct_of_rated: the table does not reach 0 % (measure within it)"),
    ],
)  # fmt: skip
def test_between_the_rows(pct: int, rules: TransformerRules, verdict: str, reason: str) -> None:
    found = judge_transformer_point(point(pct), "CT", "0.2S", LIMITS, rules)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_a_linear_limit_is_exact() -> None:
    # At 10 %, a third of the way from 5 to 20 %: 15' - 5' / 3 = 13.33', rounded to 1' it is 13'.
    rules = replace(LINEAR, phase_interval_e3_min={"0.2S": 1})
    limit = [judge_transformer_point(point(10, phase=phase), "CT", "0.2S", LIMITS, rules).verdict
             for phase in (13_333, 13_334)]  # fmt: skip
    assert limit == ["pass", "fail"]


def test_the_row_of_a_point_between_two_names_both() -> None:
    found = judge_transformer_point(point(50), "CT", "0.2S", LIMITS, RULES)
    first = next(row.line for row in LIMITS.rows
                 if (row.accuracy_class, row.at_e3_pct) == ("0.2S", 20_000))  # fmt: skip
    assert found.row == f"{LIMITS.id} line {first} to {first + 1}"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "lines: the table is empty"),
        ([{**ROW, "device": "XX"}], "line 2, column device: 'XX' is unknown"),
        ([{**ROW, "class": ""}], "line 2, column class: is empty"),
        ([ROW, ROW], "line 3, column pct_of_rated: repeats line 2"),
        ([{**ROW, "ratio_error_pct_pm": "0"}], "line 2, column ratio_error_pct_pm: is 0"),
        ([{**ROW, "pct_of_rated": "x"}], "line 2, column pct_of_rated: 'x' is no decimal"),
    ],
)
def test_a_wrong_table_is_named(rows: list[dict[str, str]], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        parse_transformer_limits("t", rows)


def test_a_wrong_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "limits.csv"
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, ("CT", "0.2S", "5", "0.35", "15", "")])
    with pytest.raises(BadInput, match=r"limits.csv: line 2, column source: is empty"):
        load_transformer_limits(path)

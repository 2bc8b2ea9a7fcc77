"""`gridledger metrology correction` on files: the published examples, every way in, wrong input."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from services.billing.case_rules import change_wh
from services.billing.events import CaseNoted
from services.cli import main as cli
from services.metrology.hand_cases import RULES

HEADER = "case_no,kind,recorded_kwh,error_pct,whole,factor,reversed,of,billed_ratio,real_ratio\n"
Capsys = pytest.CaptureFixture[str]


def corrected(path: Path, capsys: Capsys, *rows: str) -> list[dict[str, Any]]:
    file = path / "cases.csv"
    file.write_text(HEADER + "".join(f"{row}\n" for row in rows), "utf-8")
    assert cli.main(["metrology", "correction", str(file), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("row", "correction_wh", "factor"),
    [
        ("a,error,120000,3.0,,,,,,", -3_495_146, None),  # domain.md 3.6: 3,495 kWh are refunded
        ("a,error,240000,3.0,yes,,,,,", -3_495_146, None),
        ("a,error,120000,-3.0,no,,,,,", 3_711_340, None),
        ("a,wiring,1000,,,,1,,,", 2_000_000, "3"),  # b04: one of three reversed adds 200 %
        ("a,wiring,-1000,,,,2,,,", 4_000_000, "-3"),
        ("a,wiring,1000,,,1.5,,,,", 500_000, "3/2"),
        ("a,wiring,999,,,2/3,,,,", -333_000, "2/3"),
        ("a,ratio,52000,,,,,,20,30", 26_000_000, "3/2"),
        ("a,ratio,52000,,,,,,40,30", -13_000_000, "3/4"),
    ],
)
def test_a_correction_is_the_one_that_billing_makes(
    row: str, correction_wh: int, factor: str | None, tmp_path: Path, capsys: Capsys
) -> None:
    found, total = corrected(tmp_path, capsys, row)
    assert (found["correction_wh"], found["factor"]) == (correction_wh, factor)
    assert found["true_wh"] == found["recorded_wh"] + correction_wh
    assert total == {"type": "summary", "corrections": 1, "correction_wh": correction_wh}
    cells = row.split(",")
    half = found["recorded_wh"] // 2 if cells[4] == "yes" else found["recorded_wh"]
    num, _, den = (factor or "1").partition("/")
    case = CaseNoted(
        case_id="a",
        account_no="A1",
        usage_point="P1",
        status="approved",
        error_e4_pct=int(float(cells[3]) * 10_000) if cells[3] else 0,
        rule="",
        from_on="2026-01-01",
        to_on="2026-02-01",
        kind=cells[1],
        factor_num=int(num),
        factor_den=int(den or 1),
    )
    assert change_wh(case, half) == correction_wh
    assert found["rule"] == RULES.get(cells[1], "supply-rules-1996-art-80-1")


def test_people_see_a_table_and_the_sum(tmp_path: Path, capsys: Capsys) -> None:
    file = tmp_path / "cases.csv"
    file.write_text(f"{HEADER}表-1,wiring,1000,,,,1,,,\nB,error,1000,3,,,,,,\n", "utf-8")
    assert cli.main(["metrology", "correction", str(file)]) == 0
    shown = capsys.readouterr().out
    assert "2 corrections, 1970.874 kWh" in shown
    assert "表-1" in shown
    assert "3 %" in shown


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        (HEADER, "has no case (give one wrong measurement"),
        (f"{HEADER}a,slow,1000,,,,,,,\n", "line 2 kind: 'slow' is not known (one of error"),
        (f"{HEADER}a,error,1 MWh,3,,,,,,\n", "line 2 recorded_kwh: '1 MWh' is no decimal"),
        (f"{HEADER}a,error,0.0001,3,,,,,,\n", "line 2 recorded_kwh:"),
        (f"{HEADER}a,error,99999999999999,3,,,,,,\n", "recorded_kwh: is more than a meter"),
        (f"{HEADER}a,error,-5,3,,,,,,\n", "line 2 recorded_kwh: is -5000"),
        (f"{HEADER}a,error,1000,,,,,,,\n", "line 2 error_pct: is empty"),
        (f"{HEADER}a,error,1000,-100,,,,,,\n", "line 2 error_pct: is -1000000: the meter stood"),
        (f"{HEADER}a,error,1000,30000,,,,,,\n", "line 2 error_pct: is more than 1000 %"),
        (f"{HEADER}a,error,1000,3,maybe,,,,,\n", "line 2 whole: 'maybe' is not known"),
        (f"{HEADER}a,wiring,1000,,,,,,,\n", "line 2 factor: is not given"),
        (f"{HEADER}a,wiring,1000,,,3/0,,,,\n", "line 2 factor: 3/0 divides by zero"),
        (f"{HEADER}a,wiring,1000,,,-3,,,,\n", "line 2 factor: -3 and recorded_wh"),
        (f"{HEADER}a,wiring,1000,,,,4,,,\n", "line 2 reversed: 4 is impossible (give 0 to 3)"),
        (f"{HEADER}a,wiring,1000,,,,1,2,,\n", "line 2 reversed:"),
        (f"{HEADER}a,ratio,1000,,,,,,20,\n", "line 2 real_ratio: is empty"),
        (f"{HEADER}a,ratio,1000,,,,,,0,20\n", "line 2 billed_ratio: is 0"),
        (f"{HEADER}a,ratio,1000,,,,,,1:20,20\n", "line 2 billed_ratio: '1:20' is no decimal"),
    ],
)
def test_wrong_input_is_one_line_with_place_and_fix(
    text: str, said: str, tmp_path: Path, capsys: Capsys
) -> None:
    file = tmp_path / "cases.csv"
    file.write_text(text, "utf-8")
    assert cli.main(["metrology", "correction", str(file)]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert said in error
    assert "(" in error

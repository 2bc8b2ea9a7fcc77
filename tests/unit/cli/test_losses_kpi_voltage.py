"""`gridledger losses`, `kpi` and `voltage`: what they print, their statuses, and wrong input."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len

from services.cli import main as cli
from services.cli.row_values import fixed_line, per_cent

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
LOSSES, AREAS = EXAMPLES / "losses" / "days.csv", EXAMPLES / "losses" / "areas.csv"
READS = EXAMPLES / "kpi" / "reads.csv"
SAMPLES, GRID = EXAMPLES / "voltage" / "samples.csv", EXAMPLES / "voltage" / "rules.json"
COMMANDS: dict[str, list[str]] = {
    "losses": ["losses", str(LOSSES), "--areas", str(AREAS)],
    "kpi": ["kpi", str(READS), "--by", "concentrator"],
    "voltage": ["voltage", str(SAMPLES), "--rules", str(GRID)],
}
Capture = pytest.CaptureFixture[str]


def run(capsys: Capture, *arguments: str) -> tuple[int, list[str]]:
    status = cli.main(list(arguments))
    return status, capsys.readouterr().out.splitlines()


def objects(capsys: Capture, name: str) -> list[dict[str, Any]]:
    status, lines = run(capsys, *COMMANDS[name], "--json")
    assert status == 1
    return [json.loads(line) for line in lines]


def refused(capsys: Capture, *arguments: str) -> str:
    assert cli.main(list(arguments)) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


@pytest.mark.parametrize("name", COMMANDS)
def test_tables_fit_a_terminal(name: str, capsys: Capture) -> None:
    status, lines = run(capsys, *COMMANDS[name])
    assert status == 1
    assert len(lines) > 3
    assert max(map(cell_len, lines)) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_standard_input_and_json_lines_give_the_same(
    name: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = COMMANDS[name]
    expected = run(capsys, *arguments)
    header, *rows = Path(arguments[1]).read_text("utf-8").splitlines()
    columns = header.split(",")
    lines = [json.dumps(dict(zip(columns, row.split(","), strict=True))) for row in rows]
    piped = io.TextIOWrapper(io.BytesIO("\n".join(lines).encode()))
    monkeypatch.setattr(sys, "stdin", piped)
    assert run(capsys, arguments[0], "-", *arguments[2:]) == expected


def test_losses_as_json(capsys: Capture) -> None:
    found = objects(capsys, "losses")
    assert [(loss["day_on"][-2:], loss["area"], loss["status"]) for loss in found] == [
        ("30", "和平台区", "high"),
        ("30", "红旗台区", "ok"),
        ("30", "", "ok"),
        ("31", "和平台区", "not_comparable"),
        ("31", "红旗台区", "high"),
        ("31", "", "not_comparable"),
    ]
    first, second, feeder, gone, *_ = found
    assert (first["supplied_wh"], first["sold_wh"], first["loss_pct"]) == (42_000, 32_100, "23.57")
    assert [cause["cause"] for cause in first["causes"]] == ["zero_usage"]
    assert (second["pv_wh"], second["loss_wh"], second["loss_pct"]) == (3_000, 1_000, "2.86")
    areas_wh = first["loss_wh"] + second["loss_wh"]
    assert feeder["loss_wh"] == areas_wh + feeder["gate_difference_wh"]
    assert (gone["loss_wh"], gone["loss_pct"], gone["read_pct"]) == (None, None, "80.00")


def test_thresholds_come_from_a_file(tmp_path: Path, capsys: Capture) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"area_most_e2_pct": 5000, "feeder_most_e2_pct": 5000}')
    assert run(capsys, *COMMANDS["losses"], "--rules", str(rules))[0] == 0


def test_kpi_as_json(capsys: Capture) -> None:
    found = objects(capsys, "kpi")
    outlier = found[-1]
    assert outlier["kind"] == "outlier"
    assert (outlier["key"], outlier["missing"], outlier["share_of_missing_pct"]) == (
        "集中器2",
        6,
        "100.00",
    )
    whole = next(each for each in found if not each["day_on"] and not each["key"])
    assert (whole["expected"], whole["freeze_pct"], whole["below_target"]) == (
        24,
        "75.00",
        ["freeze"],
    )


def test_kpi_without_groups_and_with_a_lower_target(tmp_path: Path, capsys: Capture) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"freeze_least_e2_pct": 7500}')
    status, lines = run(capsys, "kpi", str(READS), "--rules", str(rules))
    assert (status, len(lines)) == (0, 4)
    assert run(capsys, "kpi", str(READS))[0] == 1


def test_voltage_as_json(capsys: Capture) -> None:
    (found,) = objects(capsys, "voltage")
    assert (found["usage_point"], found["rate_pct"], found["status"]) == (
        "王家湾-07",
        "97.25",
        "unqualified",
    )
    assert [event["extreme_v"] for event in found["events"]] == ["239", "204.1"]


def test_the_worst_phase_is_named(tmp_path: Path, capsys: Capture) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text('{"interval_s": 14400, "phase_rule": "worst_phase"}')
    status, lines = run(capsys, "voltage", str(SAMPLES), "--rules", str(rules))
    assert (status, lines[2]) == (1, "  worst phase: l1")
    assert "97.8" in lines[1]


def test_a_month_that_is_not_complete_is_told_and_does_not_fail(capsys: Capture) -> None:
    status, lines = run(capsys, "voltage", str(SAMPLES))
    assert (status, lines[2]) == (0, "  not comparable: 183 of 2976 samples")


# -- wrong input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        ("day_on,用户\n".encode("gbk"), "is not UTF-8"),
        ("usage_point\n".encode("utf-16"), "is UTF-16"),
        (b"x,y\n1,2\n", "has no column"),
        (b'{"usage_point": ', "is no JSON"),
        (b"[1, 2]\n", "has no column"),
    ],
)
@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_file(
    name: str, content: bytes, said: str, tmp_path: Path, capsys: Capture
) -> None:
    file = tmp_path / "rows"
    file.write_bytes(content)
    line = refused(capsys, name, str(file), *COMMANDS[name][2:])
    assert said in line
    assert str(file) in line


@pytest.mark.parametrize("name", COMMANDS)
def test_a_header_alone_and_a_row_cut_off(name: str, tmp_path: Path, capsys: Capture) -> None:
    header, first, *_ = Path(COMMANDS[name][1]).read_text("utf-8").splitlines()
    file = tmp_path / "rows.csv"
    file.write_text(header + "\n")
    assert "has no rows" in refused(capsys, name, str(file), *COMMANDS[name][2:])
    file.write_text(f"{header}\n{first.rpartition(',')[0]}\n")
    assert "line 2: has " in refused(capsys, name, str(file), *COMMANDS[name][2:])


def changed(name: str, tmp_path: Path, cells: dict[str, str], line: int = 2) -> list[str]:
    """The command on its example with some cells of a line changed."""
    lines = Path(COMMANDS[name][1]).read_text("utf-8").splitlines()
    columns = lines[0].split(",")
    row = dict(zip(columns, lines[line - 1].split(","), strict=True)) | cells
    columns += [column for column in cells if column not in columns]
    others = [each + "," * (len(columns) - each.count(",") - 1) for each in lines]
    others[0], others[line - 1] = ",".join(columns), ",".join(row[name] for name in columns)
    file = tmp_path / "rows.csv"
    file.write_text("\n".join(others) + "\n")
    return [name, str(file), *COMMANDS[name][2:]]


@pytest.mark.parametrize(
    ("name", "cells", "said"),
    [
        ("losses", {"day_on": "2999-01-01"}, "line 2 day_on: 2999-01-01 is in the future"),
        ("losses", {"day_on": "20260130"}, "line 2 day_on: "),
        ("losses", {"usage_point": "Z9"}, "line 2 usage_point: Z9 is in no area"),
        ("losses", {"usage_point": "D1"}, "line 3 usage_point: D1 comes twice"),
        ("losses", {"usage_point": ""}, "line 2 usage_point: is empty"),
        ("losses", {"energy_wh": "-5"}, "line 2 energy_wh: -5 is impossible"),
        ("losses", {"energy_wh": "9" * 18}, "line 2 energy_wh: "),
        ("losses", {"energy_wh": "6.04 MWh"}, "line 2 energy_wh: "),
        ("losses", {"energy_wh": "", "quality": "actual"}, "line 2 energy_wh: "),
        ("losses", {"export_wh": "x"}, "line 2 export_wh: "),
        ("losses", {"ratio": "0"}, "line 2 ratio: "),
        ("losses", {"ratio": "1e3"}, "line 2 ratio: "),
        ("losses", {"quality": "good"}, "line 2 quality: "),
        ("losses", {"current_seen": "maybe"}, "line 2 current_seen: "),
        ("losses", {"clock_offset_s": "9" * 12}, "line 2 clock_offset_s: "),
        ("losses", {"energy_kwh": "1"}, "line 1: 'energy_kwh' is no column"),
        ("kpi", {"day_on": "2999-01-01"}, "line 2 day_on: "),
        ("kpi", {"usage_point": "P02"}, "line 3 usage_point: P02 comes twice"),
        ("kpi", {"concentrator": ""}, "line 2 concentrator: is empty"),
        ("kpi", {"collected_at": "2999-01-01T00:00:00Z"}, "line 2 collected_at: "),
        ("kpi", {"collected_at": "2026-01-30 16:11"}, "line 2 collected_at: "),
        ("kpi", {"collected_at": "2026-01-30T15:00:00Z"}, "line 2 collected_at: "),
        ("kpi", {"attempts": "0"}, "line 2 attempts: 0 is impossible"),
        ("voltage", {"at": "2999-01-01T00:00:00Z"}, "line 2 at: "),
        ("voltage", {"at": "2025-12-31T20:00:01Z"}, "line 2 at: "),
        ("voltage", {"usage_point": ""}, "line 2 usage_point: is empty"),
        ("voltage", {"l1_v": "-3"}, "line 2 l1_v: -3 V is impossible"),
        ("voltage", {"l1_v": "2000000"}, "line 2 l1_v: "),
        ("voltage", {"l1_v": "226.11"}, "line 2 l1_v: "),
        ("voltage", {"l1_v": "0.22 kV"}, "line 2 l1_v: "),
        ("voltage", {"l1_v": "", "l2_v": "", "l3_v": ""}, "line 2 l1_v: there is no voltage"),
        ("voltage", {"voltage_class": "5kv"}, "line 2 voltage_class: "),
        ("voltage", {"voltage_class": "10kv"}, "line 3 voltage_class or nominal_v: "),
        ("voltage", {"nominal_v": "0"}, "line 2 nominal_v: is 0"),
    ],
    ids=str,
)
def test_a_wrong_cell_is_named(
    name: str, cells: dict[str, str], said: str, tmp_path: Path, capsys: Capture
) -> None:
    assert f"rows.csv {said}" in refused(capsys, *changed(name, tmp_path, cells))


@pytest.mark.parametrize(
    ("name", "cells", "line", "said"),
    [
        ("losses", {"day_on": "2026-01-29"}, 12, "2026-01-29 comes after 2026-01-30"),
        ("kpi", {"day_on": "2026-01-29"}, 14, "2026-01-29 comes after 2026-01-30"),
        ("voltage", {"at": "2025-12-31T20:00:00Z"}, 9, "is not after"),
        ("voltage", {"usage_point": "A"}, 9, "comes after"),
    ],
)
def test_rows_out_of_order(
    name: str, cells: dict[str, str], line: int, said: str, tmp_path: Path, capsys: Capture
) -> None:
    arguments = changed(name, tmp_path, cells, line)
    assert cli.main(arguments) == 2
    told = capsys.readouterr().err
    assert f"rows.csv line {line} " in told
    assert said in told


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"),
        ("[1]", "is no JSON object"),
        ('{"speed": 1}', "speed: is not known"),
        ('{"rounding": 1}', "rounding: 1 is wrong (write a text)"),
        ('{"complete_least_e2_pct": 1.5}', "complete_least_e2_pct: 1.5 is wrong"),
        ('{"complete_least_e2_pct": true}', "complete_least_e2_pct: True is wrong"),
        ('{"complete_least_e2_pct": 10001}', "complete_least_e2_pct: 10001 is out of range"),
    ],
)
def test_wrong_rules(content: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    rules = tmp_path / "rules.json"
    rules.write_text(content)
    assert said in refused(capsys, *COMMANDS["losses"], "--rules", str(rules))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("A1,F,,chief,2025-01-01,,", "line 2 role: 'chief' is not known"),
        ("A1,F,,gate,2025-01-01,2024-01-01,", "line 2 to_on: 2024-01-01 is before from_on"),
        ("A1,F,,gate,2025-01-01,,-1", "line 2 ratio: "),
        ("A1,F,,gate,soon,,", "line 2 from_on: "),
        ("A1,F,,gate,2025-01-01,,\nA1,F,B,member,2025-02-01,,", "A1 is in two places"),
    ],
)
def test_wrong_areas(row: str, said: str, tmp_path: Path, capsys: Capture) -> None:
    areas = tmp_path / "areas.csv"
    areas.write_text(f"usage_point,feeder,area,role,from_on,to_on,ratio\n{row}\n")
    assert said in refused(capsys, "losses", str(LOSSES), "--areas", str(areas))


def test_a_wrong_group(capsys: Capture) -> None:
    assert "--by: 'city' is not known" in refused(capsys, "kpi", str(READS), "--by", "city")


def test_cells_of_two_columns_stay_in_line() -> None:
    assert fixed_line(("台区", "7", "x"), (6, -3, 1)) == "台区     7 x"
    assert fixed_line(("红旗台区", "1234", ""), (5, -3, 1)) == "红旗  1234"
    assert [per_cent(value) for value in (None, -5, 10_000)] == ["-", "-0.05", "100.00"]

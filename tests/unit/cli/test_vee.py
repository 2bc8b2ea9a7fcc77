"""`gridledger vee check`: what it prints, what it streams, and how it answers wrong files."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from services.cli import main as cli
from services.cli.vee_rows import local_day
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.rule_book_file import DEFAULT_FILE

HEADER = "usage_point,at,minutes,energy_wh,value_wh,meter_no"
AS_OF = ["--as-of", "2026-12-31T00:00:00Z"]


def a_day(point: str, from_at: str, count: int = 96, minutes: int = 15, **other: int) -> list[str]:
    """The interval rows of a day, 200 Wh each, `i5=7` another value and `i5=-1` no row."""
    start = datetime.strptime(from_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    rows = []
    for number in range(1, count + 1):
        energy_wh = other.get(f"i{number}", 200)
        if energy_wh >= 0:
            end = start + timedelta(minutes=minutes * number)
            rows.append(f"{point},{end:%Y-%m-%dT%H:%M:%SZ},{minutes},{energy_wh},,")
    return rows


def put(tmp_path: Path, rows: list[str], header: str = HEADER) -> str:
    path = tmp_path / "readings.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return str(path)


def points(tmp_path: Path, *given: dict[str, Any]) -> list[str]:
    path = tmp_path / "points.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in given), encoding="utf-8")
    return ["--context", str(path)]


def run(
    arguments: list[str], capsys: pytest.CaptureFixture[str], status: int = 0
) -> dict[str, Any]:
    """The JSON that `check` prints."""
    assert cli.main(["vee", "check", *arguments, *AS_OF, "--json"]) == status
    printed = capsys.readouterr()
    assert printed.err == ""
    document: dict[str, Any] = json.loads(printed.out)
    return document


START = "2026-02-28T16:00:00Z"
"""2026-03-01 00:00 in Shanghai."""


def test_a_good_file_has_no_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run([put(tmp_path, a_day("P-1", START))], capsys)
    assert document["days"] == []
    summary = document["summary"]
    assert (summary["points"], summary["days"], summary["rows"]) == (1, 1, 96)
    assert (summary["fail"], summary["warn"], summary["rules"]) == (0, 0, {})
    assert set(summary["rule_sets"]) == {"default.v1"}


def test_a_good_file_is_told_to_people_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["vee", "check", put(tmp_path, a_day("P-1", START)), *AS_OF]) == 0
    assert capsys.readouterr().out == "1 points, 1 days, 96 rows: 0 fail, 0 warn\n"


def test_a_point_of_which_nothing_came_where_nothing_is_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    book = tmp_path / "own.yaml"
    text = DEFAULT_FILE.read_text("utf-8")
    book.write_text(text.replace("missing:\n    severity: fail", "missing:\n    severity: off", 1))
    context = points(tmp_path, {"usage_point": "P-1"}, {"usage_point": "P-2"})
    arguments = [put(tmp_path, a_day("P-1", START)), *context, "--rules", str(book)]
    assert run(arguments, capsys)["summary"]["points"] == 2


def test_a_finding_names_point_slot_and_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = a_day("P-1", START, i5=900) + a_day("P-2", START, i9=1900, i20=-1)
    document = run([put(tmp_path, rows)], capsys, status=1)
    assert [day["usage_point"] for day in document["days"]] == ["P-2"]
    day = document["days"][0]
    assert (day["day_on"], day["status"]) == ("2026-03-01", "fail")
    assert day["slots"] == {"2026-02-28T18:15:00Z": "fail", "2026-02-28T21:00:00Z": "fail"}
    spike = next(found for found in day["findings"] if found["rule"] == "spike")
    assert spike == {
        "rule": "spike",
        "severity": "fail",
        "register": "1-0:1.8.0",
        "rule_set": "default.v1",
        "text": "far above the third highest value: 2026-02-28T18:15:00Z",
        "slots": ["2026-02-28T18:15:00Z"],
        "numbers": {
            "value_count": "95",
            "tolerance_pct": "180",
            "highest_wh": "1900",
            "third_wh": "200",
            "difference_pct": "850",
            "floor_wh": "1000",
        },
    }
    assert document["summary"]["rules"] == {
        "missing": {"warn": 0, "fail": 1},
        "spike": {"warn": 0, "fail": 1},
    }


def test_people_get_lines_that_fit_and_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = a_day("计量点-1", START, i9=9000)
    assert cli.main(["vee", "check", put(tmp_path, rows), *AS_OF]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "计量点-1  2026-03-01  fail"
    assert lines[1].startswith("  FAIL spike  1-0:1.8.0: far above the third highest value:")
    assert any("highest_wh 9000" in line for line in lines)
    assert lines[-1] == "1 points, 1 days, 96 rows: 1 fail, 1 warn"
    assert max(map(len, lines)) <= 80


def test_people_are_told_when(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "usage_point,at,minutes,energy_wh,voltage_a_dv"
    nothing_used = a_day("P-2", START, **dict.fromkeys([f"i{n}" for n in range(1, 97)], 0))
    rows = ["P-1,2026-02-28T17:00:00Z,,,1965", *(row.removesuffix(",") for row in nothing_used)]
    low = {"usage_point": "P-1", "voltage_class": "lt1kv", "nominal_dv": 2200}
    context = points(tmp_path, low, {"usage_point": "P-2"})
    assert cli.main(["vee", "check", put(tmp_path, rows, header), *context, *AS_OF]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "196.5 V is outside +7/-10 % (single phase) at 2026-02-28T17:00:00Z nominal_v" in out
    assert "no usage for 1440 minutes at 2026-02-28T16:15:00Z and 95 more longest" in out


def test_standard_input_and_json_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = '{"usage_point": "P-1", "at": "2026-03-01T16:00:00Z", "flags": "cover_open"}\n'
    source = tmp_path / "in"
    source.write_text(text)
    with source.open() as lines:
        monkeypatch.setattr("sys.stdin", lines)
        document = run(["-"], capsys, status=1)
    assert document["days"][0]["findings"][0]["rule"] == "meter_flags"


@pytest.mark.parametrize(
    ("zone", "day_on", "hours"),
    [
        ("Asia/Shanghai", "2026-03-29", 24),
        ("Europe/Berlin", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", 25),
        ("Europe/Berlin", "2028-02-29", 24),
        ("Australia/Lord_Howe", "2026-04-05", None),
    ],
)
def test_days_are_instants(zone: str, day_on: str, hours: int | None) -> None:
    day = local_day(date.fromisoformat(day_on), ZoneInfo(zone))
    count = 49 if hours is None else 2 * hours
    assert len(day.ends_at[30]) == count
    assert day.ends_at[30][-1] == day.to_at
    assert len(day.ends_at[1]) == 30 * count


@pytest.mark.parametrize(
    ("minutes", "from_at", "count"),
    [(15, "2026-10-24T22:00:00Z", 100), (60, "2026-03-28T23:00:00Z", 23), (1, START, 1440)],
)
def test_block_lengths_and_daylight_saving_days(
    minutes: int, from_at: str, count: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = points(tmp_path, {"usage_point": "P-1", "interval_minutes": minutes})
    zone = ["--zone", "Asia/Shanghai" if minutes == 1 else "Europe/Berlin"]
    good = put(tmp_path, a_day("P-1", from_at, count, minutes))
    assert run([good, *context, *zone], capsys)["days"] == []
    short = put(tmp_path, a_day("P-1", from_at, count, minutes, i7=-1))
    found = run([short, *context, *zone], capsys, status=1)["days"][0]["findings"]
    assert found[0]["numbers"]["expected_count"] == str(count)


def test_the_block_length_is_that_of_the_first_interval_unless_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reading = "P-1,2026-02-28T16:00:00Z,,,5,M1"
    rows = [reading, *a_day("P-1", START, 24, 60)]
    assert run([put(tmp_path, rows)], capsys)["days"] == []
    rows[9] = rows[9].replace(",60,", ",30,")
    found = run([put(tmp_path, rows)], capsys, status=1)["days"][0]["findings"]
    assert [each["rule"] for each in found] == ["interval_size", "missing"]
    quarter = points(tmp_path, {"usage_point": "P-1", "interval_minutes": 15})
    rules = run([put(tmp_path, a_day("P-1", START, 24, 60)), *quarter], capsys, status=1)
    assert rules["days"][0]["findings"][0]["numbers"]["first_wrong_s"] == "3600"


def test_days_between_and_around_are_expected(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = a_day("P-1", START) + a_day("P-1", "2026-03-02T16:00:00Z")
    document = run([put(tmp_path, rows)], capsys, status=1)
    assert [day["day_on"] for day in document["days"]] == ["2026-03-02"]
    bounded = {
        "usage_point": "P-1",
        "from_at": "2026-02-27T16:00:00Z",
        "to_at": "2026-03-04T16:00:00Z",
        "interval_registers": ["1-0:1.8.0"],
    }
    document = run([put(tmp_path, rows), *points(tmp_path, bounded)], capsys, status=1)
    days = [day["day_on"] for day in document["days"]]
    assert days == ["2026-02-28", "2026-03-02", "2026-03-04"]
    rows += a_day("P-2", START)
    both = points(tmp_path, bounded, {"usage_point": "P-2"}, {"usage_point": "P-3"})
    document = run([put(tmp_path, rows), *both], capsys, status=1)
    assert [day["usage_point"] for day in document["days"]] == ["P-1"] * 3 + ["P-3"]
    assert document["days"][-1]["findings"][0]["text"] == "missing: P-3"


def test_a_point_of_which_nothing_came_before_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    context = points(tmp_path, {"usage_point": "P-1"}, {"usage_point": "P-2"})
    document = run([put(tmp_path, a_day("P-2", START)), *context], capsys, status=1)
    assert [(day["usage_point"], day["day_on"]) for day in document["days"]] == [("P-1", "")]
    assert document["summary"]["points"] == 2


def test_master_data_is_judged_by(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "usage_point,at,register,value_wh,meter_no,unit,ratio,source,voltage_a_dv,received_at"
    rows = [
        "P-1,2026-03-01T16:00:00Z,1-0:1.8.0,5000000,M1,Wh,10,manual,,",
        "P-1,2026-03-02T16:00:00Z,1-0:1.8.0,900000,M2,varh,30,manual,1900,2026-03-03T00:00:00Z",
    ]
    chain = [
        {
            "meter_no": "M1",
            "from_at": "2020-01-01T00:00:00Z",
            "to_at": "2026-03-02T04:00:00Z",
            "ratio": "10",
            "final": {"1-0:1.8.0": 5600000},
        },
        {
            "meter_no": "M2",
            "from_at": "2026-03-02T04:00:00Z",
            "ratio": "20",
            "digits": 8,
            "capacity_w": 5000,
            "initial": {"1-0:1.8.0": 100000},
        },
    ]
    facts = {
        "usage_point": "P-1",
        "class": "dedicated",
        "is_producer": True,
        "voltage_class": "lt1kv",
        "nominal_dv": 2200,
        "capacity_w": 10000,
        "installations": chain,
        "history": {"1-0:1.8.0": {"energy_wh": 300, "days": 30, "outage_s": 60}},
        "outages": [{"from_at": "2026-03-01T16:00:00Z", "to_at": "2026-03-01T17:00:00Z"}],
        "disconnected": [{"from_at": "2026-03-08T16:00:00Z"}],
        "last_actual_at": "2026-02-28T16:00:00Z",
        "registers": ["1-0:1.8.0"],
    }
    arguments = [put(tmp_path, rows, header), *points(tmp_path, facts)]
    document = run(arguments, capsys, status=1)
    found = {each["rule"]: each for each in document["days"][0]["findings"]}
    assert set(found) == {"meter_exchange", "high_low", "device_match", "voltage_band"}
    # 600 kWh x 10 + 800 kWh x 20 in a day, an hour of it without supply
    assert found["high_low"]["numbers"]["daily_wh"] == str(22_000_000 * 24 // 23)
    assert found["device_match"]["numbers"]["ratio_expected"] == "20"
    assert found["high_low"]["rule_set"] == "default+manual+industry+dedicated.v1"


def test_a_class_and_a_book_of_ones_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, a_day("P-1", START, i9=1900))
    assert set(run([file, "--class", "industrial"], capsys, status=1)["summary"]["rule_sets"]) == {
        "default+industry.v1"
    }
    book = tmp_path / "own.yaml"
    text = DEFAULT_FILE.read_text("utf-8").replace("id: default", "id: own")
    book.write_text(text.replace("value: 180", "value: 900"), encoding="utf-8")
    document = run([file, "--rules", str(book)], capsys)
    assert set(document["summary"]["rule_sets"]) == {"own.v1"}
    assert DEFAULT_RULE_BOOK.rules["spike"].parameters["tolerance_pct"] == 180


GOLDEN = Path(__file__).parents[2] / "golden" / "vee_cases.json"
CASES = {
    case["id"]: case for case in json.loads(GOLDEN.read_text("utf-8"), parse_float=Decimal)["cases"]
}


def wh(kwh: Decimal | int) -> int:
    return int(Decimal(kwh) * 1000)


def numbers_of(document: dict[str, Any], rule: str) -> dict[str, str]:
    """The numbers of a rule's finding, {} when it found nothing."""
    found = [each for day in document["days"] for each in day["findings"] if each["rule"] == rule]
    return found[0]["numbers"] if found else {}


@pytest.mark.parametrize("name", ["v01", "v02"])
def test_published_spikes(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASES[name]
    values = {f"i{n}": wh(kwh) for n, kwh in enumerate(case["input"], 1)}
    file = put(tmp_path, a_day("P-1", START, len(values), 60, **values))
    period = {"usage_point": "P-1", "to_at": "2026-02-28T22:00:00Z"}
    flag = case["expected"]["flag"]
    document = run([file, *points(tmp_path, period)], capsys, status=int(flag))
    shown = numbers_of(document, "spike").get("difference_pct")
    assert shown == (str(case["expected"]["diff_pct"]) if flag else None)


@pytest.mark.parametrize(("name", "rule"), [("v05", "rollover"), ("v06", "negative")])
def test_published_falling_registers(
    name: str, rule: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES[name]["input"]
    rows = [
        f"P-1,2026-03-0{day}T16:00:00Z,,,{wh(case[side])},M1"
        for day, side in ((1, "prev"), (2, "curr"))
    ]
    most = wh(case.get("max_plausible_delta", 500)) * 10 // 12 // 24  # x 1.2, the margin
    facts = {"usage_point": "P-1", "capacity_w": most}
    status = int(rule == "negative")
    document = run([put(tmp_path, rows), *points(tmp_path, facts)], capsys, status=status)
    expected = CASES[name]["expected"]
    usage = wh(expected.get("delta", expected.get("rollover_delta")))
    assert numbers_of(document, rule)["rollover_usage"] == str(usage)


def test_published_sum_with_a_multiplier(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    case = CASES["v03"]["input"]
    header = "usage_point,at,minutes,energy_wh,value_wh,meter_no,ratio"
    ratio = case["multiplier"]
    starts = [f"P-1,2026-02-28T20:00:00Z,,,{wh(case['register_start'])},M1,{ratio}"]
    values = {f"i{n}": wh(kwh) for n, kwh in enumerate(case["intervals"], 1)}
    rows = a_day("P-1", "2026-02-28T20:00:00Z", 4, 60, **values)
    period = {"usage_point": "P-1", "from_at": "2026-02-28T20:00:00Z"}
    context = points(tmp_path, period | {"to_at": "2026-03-01T00:00:00Z"})
    for added_wh, status in ((0, 0), (1000, 0), (1001, 1)):
        end = wh(case["register_end"]) + added_wh
        last = f"{rows[-1].rstrip(',')},{end},M1,{ratio}"
        file = put(tmp_path, [*starts, *(f"{row}," for row in rows[:-1]), last], header)
        document = run([file, *context], capsys, status=status)
        shown = numbers_of(document, "interval_sum").get("difference_wh")
        assert shown == (str(1001 * ratio) if status else None)

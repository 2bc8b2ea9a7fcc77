"""Wrong input of `gridledger vee check`, of every kind: one line, the field, the fix."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from services.cli import main as cli
from tests.unit.cli.test_vee import AS_OF, START, points, put


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.main(["vee", "check", *arguments, *AS_OF]) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("error: ")
    assert printed.err.count("\n") == 1
    return printed.err.removeprefix("error: ").strip()


GOOD = f"P-1,{START},15,200,,"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([f",{START},15,200,,"], "line 2 usage_point: is empty"),
        (["P-1,2026-03-01 00:00,15,200,,"], "line 2 at: '2026-03-01 00:00' is no instant"),
        (["P-1,2026-02-30T00:00:00Z,15,200,,"], "line 2 at: '2026-02-30T00:00:00Z' is no instant"),
        (["P-1,2027-01-01T00:00:00Z,15,200,,"], "line 2 at: 2027-01-01T00:00:00Z is in the future"),
        (["P-1,1969-01-01T00:00:00Z,15,200,,"], "line 2 at: 1969-01-01T00:00:00Z is before"),
        ([f"P-1,{START},7,200,,"], "line 2 minutes: '7' is not known (one of 1, 5, 10"),
        ([f"P-1,{START},15,0.2,,"], "line 2 energy_wh: '0.2' is no whole number"),
        ([f"P-1,{START},15,{10**16},,"], f"line 2 energy_wh: {10**16} is impossible"),
        ([f"P-1,{START},,,-1,M1"], "line 2 value_wh: -1 is below zero"),
        ([f"P-1,{START},,,5,"], "line 2 meter_no: is empty"),
        ([f"P-1,{START},,,,"], "line 2 energy_wh: is empty, and so is everything else"),
        ([f"P-1,{START},15,200"], "line 2: has 4 cells, the header 6"),
        ([GOOD, f"P-0,{START},15,200,,"], "line 3 usage_point: 'P-0' comes after 'P-1'"),
        ([GOOD, "P-1,2026-02-28T15:45:00Z,15,1,,"], "line 3 at: 2026-02-28T15:45:00Z comes after"),
        (["P-1,2024-01-01T00:00:00Z,15,200,,", GOOD], "line 3 at: nothing came for 788 days"),
    ],
)
def test_a_wrong_row_is_named(
    rows: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(tmp_path, rows)
    assert refused([file], capsys).startswith(f"{file} {said}")


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("register", "energy", "is no OBIS code"),
        ("register", "1-0:1.6.0", "counts no energy"),
        ("source", "radio", "'radio' is not known"),
        ("condition", "guessed", "'guessed' is not known"),
        ("unit", "kWh", "'kWh' is not known (one of Wh, varh)"),
        ("ratio", "0", "is 0"),
        ("ratio", "x", "is no decimal number"),
        ("flags", "gremlin", "'gremlin' is not known"),
        ("received_at", "soon", "'soon' is no instant"),
        ("drift_s", "1.5", "is no whole number"),
        ("apparent_va", "-1", "-1 is below zero"),
        ("power_factor_permille", "1001", "1001 is impossible"),
        ("voltage_b_dv", "-1", "-1 is impossible"),
    ],
)
def test_a_wrong_cell_is_named(
    column: str, value: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(tmp_path, [f"P-1,{START},200,{value}"], f"usage_point,at,energy_wh,{column}")
    line = refused([file], capsys)
    assert line.startswith(f"{file} line 2 {column}: ")
    assert said in line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty (give it a header with usage_point, at)"),
        (b"usage_point\nP-1\n", "line 1: has no column 'at'"),
        (b"usage_point,at,energy_kwh\n", "line 1: 'energy_kwh' is no column"),
        ("usage_point,at\n计量点,x\n".encode("gbk"), "line 2: is not UTF-8"),
        ("usage_point,at\n".encode("utf-16"), "is UTF-16"),
        (b'{"usage_point": "P-1", "at"', "line 1: is no JSON"),
        (b'usage_point,at,flags\nP-1,"2026', "line 2: unexpected end of data"),
    ],
)
def test_a_wrong_file_is_named(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "readings.csv"
    path.write_bytes(content)
    line = refused([str(path)], capsys)
    assert line.startswith(str(path))
    assert said in line
    assert "No such file" in refused([str(tmp_path / "nothing.csv")], capsys)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"usage_point": "P-0"}, "usage_point: 'P-1' is not in"),
        ({"usage_point": "P-2"}, "usage_point: 'P-1' is not in"),
        ({"usage_point": "P-1", "colour": "red"}, "'colour' is no column"),
        ({"usage_point": "P-1", "class": "royal"}, "class: 'royal' is not known"),
        ({"usage_point": "P-1", "interval_minutes": 7}, "interval_minutes: '7' is not known"),
        ({"usage_point": "P-1", "is_producer": "maybe"}, "is_producer: 'maybe' is not known"),
        ({"usage_point": "P-1", "capacity_w": -1}, "capacity_w: -1 is below zero"),
        ({"usage_point": "P-1", "voltage_class": "1kv"}, "voltage_class: '1kv' is not known"),
        ({"usage_point": "P-1", "registers": "all"}, "registers: is no list"),
        ({"usage_point": "P-1", "registers": ["all"]}, "registers: 'all' is no OBIS code"),
        ({"usage_point": "P-1", "outages": ["x"]}, "outages: is no object"),
        ({"usage_point": "P-1", "outages": [{"at": START}]}, "outages.at: is no field"),
        ({"usage_point": "P-1", "outages": [{"to_at": START}]}, "outages.from_at: is empty"),
        (
            {"usage_point": "P-1", "outages": [{"from_at": START, "to_at": START}]},
            f"outages.to_at: {START} is not after",
        ),
        ({"usage_point": "P-1", "history": 5}, "history: is no object"),
        ({"usage_point": "P-1", "history": {"x": {"days": 3}}}, "history.x.energy_wh: is empty"),
        ({"usage_point": "P-1", "installations": [{}]}, "installations.ratio"),
        ({"usage_point": "P-1", "last_actual_at": "x"}, "last_actual_at: 'x' is no instant"),
    ],
)
def test_wrong_master_data_is_named(
    facts: dict[str, Any], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if facts.get("installations"):
        facts = facts | {"installations": [{"meter_no": "M", "from_at": START, "ratio": "-1"}]}
    line = refused([put(tmp_path, [GOOD]), *points(tmp_path, facts)], capsys)
    assert said in line
    assert "line" in line


def test_more_wrong_master_data(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, [GOOD])
    meter = {"meter_no": "M", "from_at": START}
    for wrong, said in (
        (meter | {"digits": 3}, "installations.digits: 3 is impossible"),
        (meter | {"initial": 5}, "installations.initial: is no object"),
        ({"from_at": START}, "installations.meter_no: is empty"),
    ):
        context = points(tmp_path, {"usage_point": "P-1", "installations": [wrong]})
        assert said in refused([file, *context], capsys)
    twice = points(tmp_path, {"usage_point": "P-0"}, {"usage_point": "P-0"})
    assert "'P-0' comes after 'P-0'" in refused([file, *twice], capsys)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--class", "royal"], "--class: 'royal' is unknown"),
        (["--zone", "Asia/Atlantis"], "--zone: 'Asia/Atlantis' is no time zone"),
        (["--zone", "../etc"], "--zone: '../etc' is no time zone"),
        (["--as-of", "tomorrow"], "--as-of: 'tomorrow' is no instant"),
        (["--rules", "nothing.yaml"], "nothing.yaml: No such file"),
        (["--context", "nothing.jsonl"], "nothing.jsonl: No such file"),
    ],
)
def test_a_wrong_option_is_named(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["vee", "check", put(tmp_path, [GOOD]), *arguments]) == 2
    printed = capsys.readouterr()
    assert (printed.out, said in printed.err) == ("", True)


def test_the_machines_clock_bounds_rows_unless_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    later = datetime.now(UTC) + timedelta(days=3)
    file = put(tmp_path, [f"P-1,{later:%Y-%m-%dT%H:%M:%SZ},15,200,,"])
    assert cli.main(["vee", "check", file]) == 2
    assert "is in the future" in capsys.readouterr().err

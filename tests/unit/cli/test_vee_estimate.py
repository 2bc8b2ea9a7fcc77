"""`gridledger vee estimate`: what it prints, that the register is kept, and wrong input."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from services.cli import main as cli
from services.validation.estimation_plan import DEFAULT_PLAN, plan_document
from tests.unit.cli.vee_desk import NOW, Desk, desk

__all__ = ["desk"]

ROOT = Path(cli.__file__).parents[2]
HEADER = "usage_point,end_at,energy_wh\n"
REGISTERS = "usage_point,meter_no,taken_at,value_wh\n"


def at(quarter: int) -> str:
    """So many quarters of an hour after 2026-01-31 00:00 in Shanghai."""
    moment = datetime(2026, 1, 30, 16, tzinfo=UTC) + timedelta(minutes=15 * quarter)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rows(point: str, *energies: int | None) -> str:
    return "".join(
        f"{point},{at(number)},{'' if energy is None else energy}\n"
        for number, energy in enumerate(energies, 1)
    )


V07 = HEADER + rows("P-1", 10_000, None, None, None, 14_000)


def test_a_gap_is_filled_and_the_register_kept(desk: Desk) -> None:
    file = desk.put("i.csv", V07)
    read = desk.put("r.csv", REGISTERS + f"P-1,M1,{at(0)},0\nP-1,M1,{at(5)},60100\n")
    series, summary = desk.documents(["estimate", file, "--registers", read, *NOW])
    assert series["usage_point"] == "P-1"
    assert (series["register"], series["interval_minutes"]) == ("1-0:1.8.0", 15)
    assert series["plan"] == "default.v1"
    assert series["filled"][0] == {
        "end_at": at(2),
        "energy_wh": 11_031,
        "method": "linear",
        "references": [at(1), at(5)],
        "shape": "11000",
        "scale": "361/360",
        "shift": None,
    }
    assert [slot["energy_wh"] for slot in series["filled"]] == [11_031, 12_033, 13_036]
    assert series["balances"] == [
        {
            "from_at": at(0),
            "to_at": at(5),
            "delta_wh": 60_100,
            "outcome": "good",
            "source": "remote",
            "known_wh": 24_000,
            "estimated_wh": 36_100,
            "kept": True,
        }
    ]
    assert (series["unfilled"], series["findings"]) == ([], [])
    assert summary == {
        "summary": {
            "points": 1,
            "series": 1,
            "filled": 3,
            "unfilled": 0,
            "balances": 1,
            "kept": 1,
            "failed": 0,
            "plan": "default.v1",
        }
    }


def test_the_table_shows_method_scale_and_references_in_80_columns(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    file = desk.put("i.csv", V07)
    read = desk.put("r.csv", REGISTERS + f"P-1,M1,{at(0)},0\nP-1,M1,{at(5)},60100\n")
    said = desk.call(["estimate", file, "--registers", read, *NOW])
    assert max(len(line) for line in said.splitlines()) <= 80
    assert "P-1 1-0:1.8.0, 15 min: 3 estimated, 0 left empty" in said
    for word in (at(2), "11031", "linear", "x1.0028", at(1)):
        assert word in said
    assert "register 60100 = known 24000 + estimated 36100" in said
    assert "register kept in 1 of 1 periods" in said


def test_what_cannot_be_estimated_is_status_1(desk: Desk) -> None:
    empty = desk.put("i.csv", HEADER + rows("计量点1", None, None))
    said = desk.call(["estimate", empty, *NOW], status=1)
    assert "计量点1 1-0:1.8.0, 15 min: 0 estimated, 2 left empty" in said
    assert "fail no_method: no method of the plan finds a reference (slot_count 2)" in said
    above = desk.put("a.csv", V07)
    read = desk.put("r.csv", REGISTERS + f"P-1,M1,{at(0)},0\nP-1,M1,{at(5)},23999\n")
    said = desk.call(["estimate", above, "--registers", read, *NOW], status=1)
    assert "register 23999 is not known 24000 + estimated 0" in said
    assert "fail above_register: known intervals alone exceed" in said
    assert "(register 23999, left -1)" in said
    shifted = desk.documents(["estimate", above, "--registers", read, "--signed", *NOW])
    assert shifted[0]["filled"][0]["shift"] == "-36001/3"
    assert "-12000.3333" in desk.call(["estimate", above, "--registers", read, "--signed", *NOW])


def test_points_stream_and_a_point_without_intervals_is_told(desk: Desk) -> None:
    file = desk.put("i.csv", HEADER + rows("P-1", 5, None, 7) + rows("P-3", 1, 2))
    read = desk.put("r.csv", REGISTERS + f"P-2,M2,{at(0)},0\nP-2,M2,{at(4)},9\n")
    one, two, three, summary = desk.documents(
        ["estimate", file, "--registers", read, *NOW], status=1
    )
    assert [one["usage_point"], two["usage_point"], three["usage_point"]] == ["P-1", "P-2", "P-3"]
    assert two["findings"][0]["rule"] == "no_intervals"
    assert summary["summary"]["points"] == 3
    assert summary["summary"]["failed"] == 1
    fallen = desk.put("f.csv", REGISTERS + f"P-1,M1,{at(0)},50\nP-1,M1,{at(3)},9\n")
    said = desk.call(["estimate", file, "--registers", fallen, *NOW], status=1)
    assert "register unknown is not known 12 + estimated 6" in said


def test_a_meter_exchange_a_check_meter_and_json_lines(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [
        {"usage_point": "P-1", "end_at": at(1), "energy_wh": 100},
        {"usage_point": "P-1", "end_at": at(8), "energy_wh": 100},
        *(
            {"usage_point": "P-1", "end_at": at(n), "energy_wh": n, "source": "scada"}
            for n in range(2, 8)
        ),
    ]
    exchange = (
        "usage_point,meter_no,taken_at,value_wh,kind,ratio,digits,capacity_w,source\n"
        f"P-1,M1,{at(0)},100,read,10,6,10000,remote\n"
        f"P-1,M1,2026-01-30T16:35:00Z,150,final,10,6,10000,manual\n"
        f"P-1,M2,2026-01-30T16:35:00Z,0,initial,20,6,10000,\n"
        f"P-1,M2,{at(8)},10,read,20,6,10000,manual\n"
    )
    read = desk.put("r.csv", exchange)
    text = "".join(json.dumps(line) + "\n" for line in lines)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    series, _ = desk.documents(["estimate", "-", "--registers", read, *NOW])
    (balance,) = series["balances"]
    assert (balance["delta_wh"], balance["source"], balance["kept"]) == (700, "manual", True)
    assert {slot["method"] for slot in series["filled"]} == {"check_meter"}
    assert sum(slot["energy_wh"] for slot in series["filled"]) == 500
    assert series["filled"][0]["scale"] == "500/27"


def test_the_result_can_be_estimated_again_and_nothing_changes(desk: Desk) -> None:
    file = desk.put("i.csv", V07 + rows("P-2", 5, None))
    out, again = desk.path("o.csv"), desk.path("o2.csv")
    desk.call(["estimate", file, "--output", out, *NOW], status=1)
    desk.call(["estimate", out, "--output", again, *NOW], status=1)
    assert desk.text("o.csv") == desk.text("o2.csv")
    assert f"P-1,1-0:1.8.0,15,{at(2)},11000,estimated" in desk.text("o.csv")
    assert f"P-2,1-0:1.8.0,15,{at(2)},,missing" in desk.text("o.csv")


def test_superseded_versions_are_not_read(desk: Desk) -> None:
    text = "usage_point,end_at,energy_wh,version,is_final,superseded_by\n"
    text += f"P-1,{at(1)},5,1,no,2\nP-1,{at(1)},9,2,no,\nP-1,{at(3)},11,1,no,\n"
    series, _ = desk.documents(["estimate", desk.put("i.csv", text), *NOW])
    assert [slot["energy_wh"] for slot in series["filled"]] == [10]


def test_zone_holidays_plan_and_class_profile(desk: Desk) -> None:
    document = plan_document(DEFAULT_PLAN) | {
        "id": "city",
        "version": 2,
        "steps": [{"method": "class_profile", "source": "ours"}],
        "class_profiles": {"home": {"workday": [40] * 24, "restday": [80] * 24}},
    }
    plan = desk.put("plan.yaml", yaml.safe_dump(document))
    holidays = desk.put("days.csv", "day_on,name\n2026-01-26,节\n")
    text = "usage_point,end_at,energy_wh,interval_minutes,profile_class\n"
    text += "".join(
        f"P-1,2026-01-{day}T{hour},,60,home\n"
        for day, hour in ((25, "23:00:00Z"), (26, "00:00:00Z"), (27, "00:00:00Z"))
    )
    call = ["estimate", desk.put("i.csv", text), "--plan", plan, "--zone", "Europe/Berlin", *NOW]
    series, _ = desk.documents([*call, "--holidays", holidays])
    found = {slot["end_at"]: slot["energy_wh"] for slot in series["filled"]}
    assert series["plan"] == "city.v2"
    assert found["2026-01-25T23:00:00Z"] == 80  # Sunday until 24:00 in Berlin
    assert found["2026-01-26T00:00:00Z"] == 80  # a holiday
    assert found["2026-01-27T00:00:00Z"] == 40
    assert desk.documents(call)[0]["filled"][1]["energy_wh"] == 40


def test_the_plan_in_use_reads_back(desk: Desk) -> None:
    said = desk.call(["estimate", "--print-plan"])
    assert desk.call(["estimate", "--print-plan", "--plan", desk.put("p.yaml", said)]) == said
    (document,) = desk.documents(["estimate", "--print-plan"])
    assert document == plan_document(DEFAULT_PLAN)


# -- wrong input -----------------------------------------------------------------------------------


WRONG = {
    "empty": (b"", "is empty"),
    "truncated": ((HEADER + f"P-1,{at(1)}").encode(), "line 2: has 2 cells, the header 3"),
    "other encoding": ("用户,a\n".encode("gbk"), "line 1: is not UTF-8"),
    "wide": ((HEADER + "x").encode("utf-16"), "is UTF-16"),
    "wrong unit": (b"usage_point,end_at,energy_kwh\nP-1,x,1\n", "has no column 'energy_wh'"),
    "wrong number": ((HEADER + f"P-1,{at(1)},1.5\n").encode(), "energy_wh: '1.5' is no whole"),
    "no instant": ((HEADER + "P-1,2026-01-31,5\n").encode(), "line 2 end_at: '2026-01-31' is no"),
    "future date": ((HEADER + "P-1,2027-01-01T00:00:00Z,5\n").encode(), "is in the future"),
    "off the grid": ((HEADER + "P-1,2026-01-01T00:07:00Z,5\n").encode(), "no end of an interval"),
    "seconds": ((HEADER + "P-1,2026-01-01T00:00:07Z,5\n").encode(), "line 2 end_at"),
    "negative": ((HEADER + rows("P-1", 1, -5)).encode(), "line 3 energy_wh: is -5"),
    "impossible": ((HEADER + rows("P-1", 10**16)).encode(), "more than a register can show"),
    "no point": ((HEADER + f",{at(1)},5\n").encode(), "line 2 usage_point: is empty"),
    "blank point": ((HEADER + rows("P 1", 5)).encode(), "usage_point: 'P 1' is no code"),
    "unsorted": ((HEADER + rows("P-2", 5) + rows("P-1", 5)).encode(), "'P-1' comes after 'P-2'"),
    "twice": ((HEADER + rows("P-1", 5) + rows("P-1", 6)).encode(), "line 3 end_at"),
    "far apart": (
        (HEADER + rows("P-1", 5) + "P-1,1900-01-01T00:00:00Z,5\n").encode(),
        "P-1 1-0:1.8.0 end_at: 1900-01-01T00:00:00Z to",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_intervals(desk: Desk, kind: str) -> None:
    content, said = WRONG[kind]
    file = desk.put("i.csv", content)
    if kind == "unsorted":  # the first point was told already: it streams
        assert cli.main(["vee", "estimate", file, *NOW]) == 2
        assert said in desk.capsys.readouterr().err
        return
    line = desk.refused(["estimate", file, *NOW])
    assert line.startswith(file)
    assert said in line


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("register", "energy", "register: 'energy' is no OBIS code"),
        ("interval_minutes", "7", "interval_minutes: is 7"),
        ("interval_minutes", "x", "interval_minutes: 'x' is no whole number"),
        ("quality", "fine", "quality: 'fine' is not known"),
        ("quality", "outage", "energy_wh: is 5 in an outage"),
        ("source", "phone", "source: 'phone' is not known"),
        ("profile_class", "shop", "profile_class: 'shop' is no class of plan default.v1"),
        ("colour", "red", "'colour' is no column"),
    ],
)
def test_wrong_optional_columns(desk: Desk, column: str, value: str, said: str) -> None:
    text = f"usage_point,end_at,energy_wh,{column}\nP-1,{at(1)},5,{value}\n"
    assert said in desk.refused(["estimate", desk.put("i.csv", text), *NOW])


def test_two_sizes_of_one_register(desk: Desk) -> None:
    text = "usage_point,end_at,energy_wh,interval_minutes\n"
    text += f"P-1,{at(1)},5,15\nP-1,{at(2)},5,30\n"
    said = desk.refused(["estimate", desk.put("i.csv", text), *NOW])
    assert "line 3 interval_minutes: is 30, was 15 before" in said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("usage_point,meter_no,taken_at,value_kwh\n", "has no column 'value_wh'"),
        (REGISTERS + f"P-1,M1,{at(0)},1.5\n", "line 2 value_wh: '1.5' is no whole number"),
        (REGISTERS + f"P-1,M1,{at(0)},-1\n", "line 2 value_wh: is -1"),
        (REGISTERS + f"P-1,M1,{at(0)},9999999999\n", "a register of 6 digits cannot show"),
        (REGISTERS + f"P-1,,{at(0)},1\n", "line 2 meter_no: is empty"),
        (REGISTERS + "P-1,M1,2027-01-01T00:00:00Z,1\n", "is in the future"),
        (REGISTERS + f"P-1,M1,{at(0)},1\nP-1,M1,{at(0)},2\n", "M1 showed 1 and 2"),
        (
            f"{REGISTERS[:-1]},kind\nP-1,M1,{at(0)},1,start\n",
            "line 2 kind: 'start' is not known",
        ),
        (
            f"{REGISTERS[:-1]},ratio\nP-1,M1,{at(0)},1,0\n",
            "line 2 ratio: is 0",
        ),
        (
            f"{REGISTERS[:-1]},source\nP-1,M1,{at(0)},1,phone\n",
            "line 2 source: 'phone' is not known",
        ),
        (
            f"{REGISTERS[:-1]},register\nP-1,M1,{at(0)},1,1.8\n",
            "line 2 register: '1.8' is no OBIS code",
        ),
    ],
)
def test_wrong_registers(desk: Desk, text: str, said: str) -> None:
    file = desk.put("i.csv", V07)
    read = desk.put("r.csv", text)
    assert said in desk.refused(["estimate", file, "--registers", read, *NOW])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "plan.yaml plan: is no table of names"),
        ("a: [1", "plan.yaml: while parsing a flow sequence"),
        ("a: *b", "plan.yaml: aliases are not used here"),
        ("id: &a x\nversion: *a", "plan.yaml: aliases are not used here"),
        ("id: a\nid: b", "plan.yaml: 'id' is given twice"),
        ("- 1", "plan.yaml plan: is no table of names"),
        ("id: a\nversion: 1\nsteps: [{method: guess}]", "steps[1].method: 'guess' is unknown"),
    ],
)
def test_wrong_plans(desk: Desk, text: str, said: str) -> None:
    file, plan = desk.put("i.csv", V07), desk.put("plan.yaml", text)
    assert said in desk.refused(["estimate", file, "--plan", plan, *NOW])


def test_wrong_options(desk: Desk) -> None:
    file = desk.put("i.csv", V07)
    days = desk.put("days.csv", "day_on\n2026-02-30\n")
    for arguments, said in (
        (["estimate", desk.path("none.csv")], "none.csv: No such file"),
        (["estimate", str(desk.directory)], "Is a directory"),
        (["estimate", file, "--zone", "Mars/Base"], "--zone: there is no zone 'Mars/Base'"),
        (["estimate", file, "--zone", "../x"], "--zone: there is no zone '../x'"),
        (["estimate", file, "--minutes", "7"], "--minutes: is 7"),
        (["estimate", file, "--as-of", "today"], "--as-of: 'today' is no instant"),
        (["estimate", file, "--output", file], "is named twice"),
        (["estimate", file, "--holidays", days], "line 2 day_on: '2026-02-30' is no day"),
        (["estimate", file, "--plan", desk.path("none")], "none: No such file"),
        (["estimate", file, "--output", desk.path("no/o.csv"), *NOW], "No such file"),
    ):
        assert said in desk.refused(arguments)


def test_wrong_input_leaves_no_output_behind(desk: Desk) -> None:
    file = desk.put("i.csv", V07 + "P-2,now,5\n")
    out = desk.path("o.csv")
    assert cli.main(["vee", "estimate", file, "--output", out, *NOW]) == 2
    assert sorted(path.name for path in desk.directory.iterdir()) == ["i.csv"]


def test_the_count_for_a_person_who_waits_catches_no_output(desk: Desk) -> None:
    """Standard error is a terminal here, standard output a file, as with `> out.json`."""
    file, out = desk.put("i.csv", V07), desk.path("out.json")
    command = [sys.executable, "-m", "services.cli.main", "vee", "estimate", file, "--json"]
    leader, follower = pty.openpty()
    with open(out, "wb") as sink:
        ended = subprocess.run(
            [*command, *NOW], stdout=sink, stderr=follower, cwd=ROOT, check=False, timeout=60
        )
    os.close(follower)
    os.close(leader)
    assert ended.returncode == 0
    assert len(desk.text("out.json").splitlines()) == 2

"""`gridledger metrology due`, `seals`, `store` and `match`: output, status, wrong files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.unit.cli.metrology.calling import (
    ON,
    Capsys,
    as_json,
    call,
    refused,
)

DEVICES = """device_no,kind,accuracy_class,category,phases,capacity_va,voltage_v,installed_on,\
verified_on,checked_on,drop_measured_on,due_on
M1,meter,0.5S,I,,,10000,2026-01-10,2025-12-20,2026-02-01,,
M2,meter,1,,3,400000,10000,2026-03-01,2026-02-20,,,
M3,meter,2,V,,,220,2017-01-10,2017-01-01,,,
T2,vt,0.2,,,,35000,2022-01-01,2022-03-31,,2024-04-10,
B1,bench,0.1,,,,,,2025-01-01,,,2026-02-28
"""


def test_what_is_due(put: Callable[..., str], capsys: Capsys) -> None:
    file = put(DEVICES)
    status, out = call(capsys, "due", file, "--on", ON)
    assert status == 1
    assert "│ M3     │ meter │ verification │ 2025-01-01 │ -454 │ overdue  │" in out
    assert max(map(len, out.splitlines())) <= 80
    assert out.endswith("5 devices on 2026-03-31, dlt-448-2000, dlt-448-2000-periods\n")
    status, found = as_json(capsys, "due", file, "--on", ON)
    assert status == 1
    duties = [(each["device_no"], each["duty"], each["due_on"], each["status"])
              for each in found if each["type"] == "obligation"]  # fmt: skip
    assert duties == [
        ("M1", "verification", "2031-12-20", "done"),
        ("M1", "rotation", "2030-01-10", "done"),
        ("M1", "on_site_check", "2026-05-01", "done"),
        ("M2", "verification", "2034-02-20", "done"),
        ("M2", "rotation", "2030-03-01", "done"),
        ("M2", "first_check", "2026-04-01", "due_soon"),
        ("M3", "verification", "2025-01-01", "overdue"),
        ("T2", "verification", "2032-03-31", "done"),
        ("T2", "voltage_drop", "2026-04-10", "due_soon"),
        ("B1", "verification", "2026-02-28", "overdue"),
    ]
    covered = {each["duty"]: each["coverage_pct"] for each in found if each["type"] == "coverage"}
    assert covered["verification"] == "60"
    assert found[-1]["counts"] == {"overdue": 2, "untracked": 0, "due_soon": 2, "done": 6}


def test_all_in_time_and_the_other_edition(put: Callable[..., str], capsys: Capsys) -> None:
    file = put("\n".join(DEVICES.splitlines()[:3]) + "\n")
    assert call(capsys, "due", file, "--on", ON)[0] == 0
    header = "device_no,kind,accuracy_class,phases,voltage_v,verified_on\n"
    low = put(f"{header}M,meter,2,3,220,2026-01-01\n")
    _, found = as_json(capsys, "due", low, "--on", ON, "--edition", "dlt-448-2016")
    assert [each["duty"] for each in found if each["type"] == "obligation"] == ["verification"]
    assert "monthly_energy_wh: is not known" in refused(capsys, "due", low, "--on", ON)


def test_only_the_most_urgent_are_shown(put: Callable[..., str], capsys: Capsys) -> None:
    rows = "".join(f"M{day:02},meter,1,2018-02-{day:02}\n" for day in range(28, 0, -1))
    file = put(f"device_no,kind,accuracy_class,verified_on\n{rows}")
    _, out = call(capsys, "due", file, "--on", ON, "--limit", "2")
    shown = [line for line in out.splitlines() if "overdue" in line and "meter" in line]
    assert [line.split()[1] for line in shown] == ["M01", "M02"]
    assert "and 26 more" in out


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "file: is empty"),
        (b"device_no,kind\n", "file: has no device"),
        (b"device_no\nM1\n", "file line 1: has no column 'kind'"),
        (b"device_no,kind\nM1\n", "file line 2: has 1 cells, the header 2"),
        ("device_no,kind\n电表,meter\n".encode("gbk"), "file line 2: is not UTF-8"),
        (b"device_no,kind\nM1,horse\n", "file line 2 kind: 'horse' is not known"),
        (b"device_no,kind\n,bench\n", "file line 2 device_no: is empty"),
        (b"device_no,kind,colour\nM1,bench,red\n", "file line 1: 'colour' is no column"),
        (b"device_no,kind,verified_on\nM1,bench,2026-04-01\n",
         "file line 2 verified_on: 2026-04-01 is after 2026-03-31"),
        (b"device_no,kind,verified_on\nM1,bench,01.04.2025\n", "file line 2 verified_on: "),
        (b"device_no,kind\nM1,meter\n", "file line 2 accuracy_class: is empty"),
        (b"device_no,kind,accuracy_class,verified_on\nM1,meter,3,2026-01-01\n",
         "file line 2 accuracy_class: '3' has no cycle"),
        (b"device_no,kind,voltage_v\nT,ct,10 kV\n",
         "file line 2 voltage_v: '10 kV' is no whole number"),
        (b"device_no,kind,voltage_v\nT,ct,-5\n", "file line 2 voltage_v: is -5"),
        (b"device_no,kind,accuracy_class,phases,capacity_va\nM,meter,1,2,5\n",
         "file line 2 phases: is 2"),
    ],
)  # fmt: skip
def test_wrong_devices_are_named(
    content: bytes, said: str, put: Callable[..., str], capsys: Capsys
) -> None:
    assert refused(capsys, "due", put(content), "--on", ON).startswith(said)


TRAIL = """seal_no,action,by,at,kind,holder,device_no,location,reason,photo
S1,issue,store,2026-03-01T01:00:00Z,verification,li,,,,
S1,apply,li,2026-03-01T02:00:00Z,,,M1,terminal cover,,
S2,issue,store,2026-03-01T01:00:00Z,installation,li,,,,
"""
BROKEN = """S1,break,zhou,2026-03-10T02:00:00Z,,,M1,,发现封印断开,p1.jpg
S1,apply,zhou,2026-03-10T03:00:00Z,,,M1,terminal cover,,
S2,lose,li,2026-03-11T03:00:00Z,,,,,fell into the river,
"""


def test_seals_in_good_custody(put: Callable[..., str], capsys: Capsys) -> None:
    status, out = call(capsys, "seals", put(TRAIL), "--on", ON)
    assert status == 0
    assert "3 entries: 1 applied, 1 held\n0 violations, 0 breaks, 0 losses" in out
    assert "│ li     │ held    │ installation │ 1     │" in out


def test_breaks_losses_and_a_seal_used_again(put: Callable[..., str], capsys: Capsys) -> None:
    file = put(TRAIL + BROKEN)
    status, found = as_json(capsys, "seals", file, "--on", ON)
    assert status == 1
    assert [each["type"] for each in found] == [
        "break", "violation", "loss", "seal", "seal", "summary",
    ]  # fmt: skip
    assert found[0] == {
        "type": "break",
        "seal_no": "S1",
        "at": "2026-03-10T02:00:00Z",
        "by": "zhou",
        "device_no": "M1",
        "location": "terminal cover",
        "reason": "发现封印断开",
        "photo": "p1.jpg",
    }
    assert (found[1]["rule"], found[1]["action"]) == ("used_again", "apply")
    assert found[-1] == {
        "type": "summary",
        "entries": 6,
        "violations": 1,
        "breaks": 1,
        "losses": 1,
        "states": {"broken": 1, "lost": 1},
    }
    status, out = call(capsys, "seals", file, "--on", ON)
    assert status == 1
    assert "发现封印断开" in out
    assert "│ fell into the river" in out
    unknown = TRAIL + "S3,remove,li,2026-03-01T01:00:00Z,,,M2,,old,\n"
    _, found = as_json(capsys, "seals", put(unknown), "--on", ON)
    assert found[0]["rule"] == "never_issued"


MOVES = "device_no,action,by,at,place,reason\n" + "".join(
    f"M1,{action},li,2026-03-0{day}T01:00:00Z,{place},\n"
    for day, (action, place) in enumerate(
        (("receive", "dock"), ("accept", "shelf 1"), ("reserve", "shelf 1"), ("install", "P1")), 1
    )
)


def test_the_store(put: Callable[..., str], capsys: Capsys) -> None:
    status, found = as_json(capsys, "store", put(MOVES), "--on", ON)
    assert status == 0
    assert found[0] == {
        "type": "device",
        "device_no": "M1",
        "state": "installed",
        "place": "P1",
        "since_at": "2026-03-04T01:00:00Z",
        "moves": 4,
    }
    twice = MOVES + "M1,install,li,2026-03-05T01:00:00Z,P2,\nM2,accept,li,2026-03-05T01:00:00Z,s,\n"
    twice += "M1,remove,li,2026-03-03T01:00:00Z,s,\n"
    status, found = as_json(capsys, "store", put(twice), "--on", ON)
    assert status == 1
    assert [(each["rule"], each["device_no"]) for each in found if each["type"] == "violation"] == [
        ("transition", "M1"), ("transition", "M2"), ("before_last", "M1"),
    ]  # fmt: skip
    assert (
        "'install' of a device that is installed since 2026-03-04T01:00:00Z at P1"
        in (found[0]["problem"])
    )
    _, out = call(capsys, "store", put(twice), "--on", ON)
    assert "7 entries: 1 installed" in out


@pytest.mark.parametrize(
    ("command", "content", "said"),
    [
        ("seals", "", "file: is empty"),
        ("seals", "seal_no,action,by,at\n", "file: has no entry"),
        ("seals", "seal_no,action,by\nS1,issue,li\n", "file line 1: has no column 'at'"),
        ("seals", TRAIL + "S3,eat,li,2026-03-01T01:00:00Z,,,,,,\n", "file line 5 action: 'eat'"),
        ("seals", TRAIL + "S3,issue,li,2026-04-01T01:00:00Z,factory,li,,,,\n",
         "file line 5 at: 2026-04-01T01:00:00Z is after 2026-03-31"),
        ("seals", TRAIL + "S3,issue,li,yesterday,factory,li,,,,\n", "file line 5 at: 'yesterday'"),
        ("seals", TRAIL + "S3,issue,li,2026-03-01T01:00:00Z,paper,li,,,,\n", "file line 5 kind: "),
        ("seals", TRAIL + "S1,remove,li,2026-03-02T01:00:00Z,,,M1,,,\n", "file line 5 reason: is "),
        ("seals", TRAIL + 'S3,issue,"a\nb",2026-03-01T01:00:00Z,factory,li,,,,\n',
         "file line 6 by: is no printable text"),
        ("store", "", "file: is empty"),
        ("store", MOVES + "M2,receive,li,2026-03-05T01:00:00Z,,\n", "file line 6 place: is empty"),
        ("store", MOVES + "M2,fly,li,2026-03-05T01:00:00Z,s,\n", "file line 6 action: 'fly' is "),
        ("store", MOVES + "M2,reject,li,2026-03-05T01:00:00Z,s,\n", "file line 6 reason: is empty"),
        ("store", MOVES + "M2,receive,li,2027-03-05T01:00:00Z,s,\n", "file line 6 at: 2027-03-05"),
    ],
)  # fmt: skip
def test_wrong_trails_are_named(
    command: str, content: str, said: str, put: Callable[..., str], capsys: Capsys
) -> None:
    assert refused(capsys, command, put(content), "--on", ON).startswith(said)


def test_many_findings_are_counted_but_not_all_shown(
    put: Callable[..., str], capsys: Capsys
) -> None:
    again = "S1,apply,li,2026-03-01T03:00:00Z,,,M1,cover,,\n" * 1_001
    _, out = call(capsys, "seals", put(TRAIL + again), "--on", ON)
    assert "and 1 more" in out
    assert "1001 violations" in out


POINTS = """usage_point,account_no,phases,voltage_v,connection,meter_class,base_a,imax_a,\
capacity_kva,load_kva,ct_ratio,ct_class,vt_ratio,vt_class,category
P1,1000,3,10000,ct,0.5S,1.5,6,315,,30/5,0.2S,10000/100,0.2,III
"""


def test_matches(put: Callable[..., str], capsys: Capsys) -> None:
    status, out = call(capsys, "match", put(POINTS))
    assert (status, out) == (0, "1 points: everything fits\n")
    status, found = as_json(capsys, "match", put(POINTS.replace("30/5", "150/5")))
    assert status == 1
    assert found[0]["load_current_ma"] == 18_186
    assert found[0]["findings"] == [
        {
            "rule": "ct_oversized",
            "found_e2_pct": 1_212,
            "bound_e2_pct": 3_000,
            "text": "18.186 A are 12.12 % of the CT 150/5 A, at least 30 %",
        }
    ]
    assert found[1] == {"type": "summary", "points": 1, "findings": {"ct_oversized": 1}}
    _, out = call(capsys, "match", put(POINTS.replace("30/5", "150/5")))
    assert out.startswith("P1 1000 ct_oversized: 18.186 A are 12.12 %")


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (POINTS, "", "file: is empty"),
        (POINTS, POINTS.splitlines()[0] + "\n", "file: has no point"),
        ("30/5", "30", "file line 2 ct_ratio: '30' is no ratio"),
        ("30/5", "30/0", "file line 2 ct_ratio: '30/0' is no ratio"),
        ("30/5", "a/b", "file line 2 ct_ratio: 'a/b' is no ratio"),
        ("315", "315kVA", "file line 2 capacity_kva: '315kVA' is no decimal number"),
        ("315", "315000000", "file line 2 capacity_kva: is 315000000000, impossible"),
        ("315", "-1", "file line 2 capacity_kva: is -1000"),
        ("ct,0.5S", "radio,0.5S", "file line 2 connection: 'radio' is not known"),
        ("ct,0.5S", "ct,fine", "file line 2 meter_class: 'fine' is no accuracy class"),
        ("1.5,6", "1.5,1", "file line 2 imax_a: is below the base"),
        ("III", "VII", "file line 2 category: 'VII' is not known"),
        ("P1,1000", ",1000", "file line 2 usage_point: is empty"),
    ],
)
def test_wrong_points_are_named(
    before: str, after: str, said: str, put: Callable[..., str], capsys: Capsys
) -> None:
    assert refused(capsys, "match", put(POINTS.replace(before, after))).startswith(said)


def test_a_device_stands_in_the_due_list_once(put: Callable[..., str], capsys: Capsys) -> None:
    rows = "device_no,kind,accuracy_class,verified_on\nM1,meter,1,2020-01-01\n"
    twice = rows + "M2,meter,1,2020-01-01\nM1,meter,1,2021-01-01\n"
    said = refused(capsys, "due", put(twice), "--on", ON)
    assert said.startswith("file line 4 device_no: meter M1 stands there twice (give each device")
    # A bench may bear the number of a meter.
    status, found = as_json(capsys, "due", put(rows + "M1,bench,,2025-01-01\n"), "--on", ON)
    assert (status, found[-1]["devices"]) == (0, 2)


SAMPLE = """batch_no,batch,device_no,verdict
D1,3,M1,pass
D1,3,M2,pass
D1,3,M3,pass
D2,600,M4,fail
D2,600,M5,not_judged
"""


def test_samples(put: Callable[..., str], capsys: Capsys) -> None:
    status, found = as_json(capsys, "sample", put(SAMPLE))
    assert status == 0
    assert found[0] == {
        "type": "batch",
        "batch_no": "D1",
        "batch": 3,
        "n": 3,
        "c": 0,
        "verified": 3,
        "failed": 0,
        "verdict": "accepted",
        "reason": "0 failed of 3, at most 0 may",
        "failed_devices": [],
    }
    assert (found[1]["verdict"], found[1]["reason"]) == ("incomplete", "1 of 80 are verified")
    assert found[1]["failed_devices"] == ["M4"]
    assert found[2] == {
        "type": "summary",
        "batches": 2,
        "verdicts": {"accepted": 1, "incomplete": 1},
        "plans": "gb-2828.1-II-aql-1.0",
    }
    status, out = call(capsys, "sample", put(SAMPLE.replace("M2,pass", "M2,fail")))
    assert status == 1
    assert "rejected" in out


def test_a_utility_has_its_own_plans(
    put: Callable[..., str], capsys: Capsys, tmp_path: Path
) -> None:
    plans = tmp_path / "plans.csv"
    plans.write_text("batch,n,c\n1000,2,1\n", "utf-8")
    status, found = as_json(capsys, "sample", put(SAMPLE), "--plans", str(plans))
    assert status == 0
    assert [(each["n"], each["c"], each["verdict"]) for each in found[:2]] == [
        (2, 1, "accepted"),
        (2, 1, "incomplete"),
    ]
    for text, said in (
        ("batch,n,c\n", "has no plan"),
        ("batch,n,c\n9,2,1\n9,2,1\n", "line 3 batch: is 9"),
        ("batch,n,c\n9,2,2\n", "line 2 c: is 2 of n = 2"),
        ("batch,n,c\n9,two,1\n", "line 2 n: 'two' is no whole number"),
    ):
        plans.write_text(text, "utf-8")
        assert said in refused(capsys, "sample", put(SAMPLE), "--plans", str(plans))


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (SAMPLE, "", "file: is empty"),
        (SAMPLE, SAMPLE.splitlines()[0] + "\n", "file: has no device"),
        ("D1,3,M2", "D1,4,M2", "file line 3 batch: is 4, a line above says 3"),
        ("D1,3,M2", "D1,3,M1", "file line 3 device_no: M1 stands there twice"),
        ("D1,3,M1", "D1,0,M1", "file line 2 batch: is 0"),
        ("D1,3,M1", "D1,999999,M1", "file line 2 batch: is 999999, larger than any plan"),
        ("M1,pass", "M1,good", "file line 2 verdict: 'good' is not known"),
        ("D1,3,M1", ",3,M1", "file line 2 batch_no: is empty"),
        ("D2,600,M4", "D1,3,M4", "file line 5 device_no: more than 3 devices"),
    ],
)
def test_wrong_samples_are_named(
    before: str, after: str, said: str, put: Callable[..., str], capsys: Capsys
) -> None:
    assert refused(capsys, "sample", put(SAMPLE.replace(before, after))).startswith(said)

"""`gridledger vee edit`: new versions, the audit trail, a second person, and wrong input."""

from __future__ import annotations

import json

import pytest

from services.cli import main as cli
from tests.unit.cli.vee_desk import NOW, Desk, desk

__all__ = ["desk"]

AT, LATER_AT = "2026-01-30T16:15:00Z", "2026-01-30T16:30:00Z"
INTERVALS = "usage_point,register,end_at,energy_wh,quality,version,is_final,superseded_by\n"
EDITS = "usage_point,end_at,before_wh,after_wh,reason,edited_by,edited_at,approved_by,approved_at\n"
DONE_AT, APPROVED_AT = "2026-02-01T08:00:00Z", "2026-02-01T09:00:00Z"
BOTH = INTERVALS + f"P-1,,{AT},5,,,,\nP-1,,{LATER_AT},,missing,,yes,\nP-2,,{AT},7,,,,\n"


def call(desk: Desk, intervals: str, edits: str) -> list[str]:
    file, wanted = desk.put("i.csv", intervals), desk.put("e.csv", edits)
    return ["edit", file, wanted, "--output", desk.path("o.csv"), "--audit", desk.path("a"), *NOW]


def change(point: str = "P-1", at: str = AT, before: str = "5", after: str = "9") -> str:
    return f"{point},{at},{before},{after},照片复核,li,{DONE_AT},,\n"


def test_both_versions_are_written_with_an_audit_trail(desk: Desk) -> None:
    final = f"P-1,{LATER_AT},,12,field visit,li,{DONE_AT},wang,{APPROVED_AT}\n"
    arguments = call(desk, BOTH, EDITS + change() + final)
    one, two, summary = desk.documents(arguments)
    assert summary == {"summary": {"points": 2, "intervals": 3, "edits": 2}}
    assert one == {
        "usage_point": "P-1",
        "register": "1-0:1.8.0",
        "end_at": AT,
        "version_before": 1,
        "version_after": 2,
        "energy_before": 5,
        "energy_after": 9,
        "quality_before": "actual",
        "quality_after": "edited",
        "reason": "照片复核",
        "source": "edit",
        "edited_by": "li",
        "edited_at": DONE_AT,
        "approved_by": "",
        "approved_at": "",
        "was_final": False,
    }
    assert (two["energy_before"], two["approved_by"], two["was_final"]) == (None, "wang", True)
    assert [json.loads(line) for line in desk.text("a").splitlines()] == [one, two]
    assert desk.text("o.csv").splitlines() == [
        "usage_point,register,interval_minutes,end_at,energy_wh,quality,version,is_final,superseded_by",
        f"P-1,1-0:1.8.0,,{AT},5,actual,1,no,2",
        f"P-1,1-0:1.8.0,,{AT},9,edited,2,no,",
        f"P-1,1-0:1.8.0,,{LATER_AT},,missing,1,yes,2",
        f"P-1,1-0:1.8.0,,{LATER_AT},12,edited,2,yes,",
        f"P-2,1-0:1.8.0,,{AT},7,actual,1,no,",
    ]


def test_the_output_can_be_edited_and_estimated_again(desk: Desk) -> None:
    desk.call(call(desk, BOTH, EDITS + change()))
    again = [
        "edit",
        desk.path("o.csv"),
        desk.put("e2.csv", EDITS + change(before="9", after="10") + change(before="10", after="0")),
        *("--output", desk.path("o2.csv"), "--audit", desk.path("a2"), *NOW),
    ]
    assert [entry["version_after"] for entry in desk.documents(again)[:-1]] == [3, 4]
    lines = [line for line in desk.text("o2.csv").splitlines() if f",{AT}," in line]
    assert lines[:4] == [
        f"P-1,1-0:1.8.0,,{AT},5,actual,1,no,2",
        f"P-1,1-0:1.8.0,,{AT},9,edited,2,no,3",
        f"P-1,1-0:1.8.0,,{AT},10,edited,3,no,4",
        f"P-1,1-0:1.8.0,,{AT},0,edited,4,no,",
    ]
    estimated = desk.documents(["estimate", desk.path("o2.csv"), *NOW], status=1)
    assert estimated[0]["unfilled"] == [LATER_AT]


def test_the_table_for_people(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    said = desk.call(call(desk, BOTH, EDITS + change()))
    assert AT in said
    assert "edits 1, intervals 3, points 2; every old version is kept" in said
    (desk.directory / "a").unlink()
    assert "┃" not in desk.call(call(desk, BOTH, EDITS))


def test_a_field_reading_and_a_signed_series(desk: Desk) -> None:
    edits = EDITS.replace("approved_by,approved_at", "source")
    edits += f"P-1,{AT},5,-9,read on site,li,{DONE_AT},field_reading\n"
    assert "after_wh: is -9" in desk.refused(call(desk, BOTH, edits))
    (entry, _) = desk.documents([*call(desk, BOTH, edits), "--signed"])
    assert (entry["source"], entry["quality_after"], entry["energy_after"]) == (
        "field_reading",
        "manual",
        -9,
    )


REFUSED = [
    (f"P-1,{AT},5,9,,li,{DONE_AT},,\n", "e.csv line 2 reason: is empty"),
    (f"P-1,{AT},5,9,why,,{DONE_AT},,\n", "e.csv line 2 edited_by: is empty"),
    (f"P-1,{AT},5,9,why,li,{DONE_AT},Li,{APPROVED_AT}\n", "approved_by: is Li, who edits"),
    (f"P-1,{LATER_AT},,9,why,li,{DONE_AT},,\n", "approved_by: is empty, and the interval is final"),
    (f"P-1,{LATER_AT},,9,why,li,{DONE_AT},li,{APPROVED_AT}\n", "approved_by: is li, who edits"),
    (f"P-1,{AT},5,9,why,li,{DONE_AT},wang,\n", "line 2 approved_at: is empty"),
    (f"P-1,{AT},4,9,why,li,{DONE_AT},,\n", "before_wh: is 4, the interval has 5"),
    (f"P-1,{AT},5,,why,li,{DONE_AT},,\n", "line 2 after_wh: is empty"),
    (f"P-1,{AT},5,9.5,why,li,{DONE_AT},,\n", "after_wh: '9.5' is no whole number"),
    (f"P-1,{AT},5,{10**16},why,li,{DONE_AT},,\n", "more than a register can show"),
    (f"P-1,{AT},5,9,why,li,2027-01-01T00:00:00Z,,\n", "edited_at: 2027-01-01T00:00:00Z is in the"),
    (f"P-1,{AT},5,9,why,li,yesterday,,\n", "edited_at: 'yesterday' is no instant"),
    (f"P-9,{AT},5,9,why,li,{DONE_AT},,\n", "P-9 has no interval 1-0:1.8.0 2026-01-30T16:15:00Z"),
    (f"P-1,2026-01-30T16:45:00Z,5,9,why,li,{DONE_AT},,\n", "P-1 has no interval"),
    (change("P-2", before="7") + change(), "'P-1' comes after 'P-2'"),
    (change() + change(), "line 3 before_wh: is 5, the interval has 9"),
]


@pytest.mark.parametrize(("edits", "said"), REFUSED)
def test_a_wrong_edit_is_refused_and_nothing_is_written(desk: Desk, edits: str, said: str) -> None:
    assert said in desk.refused(call(desk, BOTH, EDITS + edits))
    assert sorted(path.name for path in desk.directory.iterdir()) == ["e.csv", "i.csv"]


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ("", "i.csv: is empty"),
        ("usage_point,end_at\n", "has no column 'energy_wh'"),
        (INTERVALS + f"P-1,,{AT},5,fine,,,\n", "quality: 'fine' is not known"),
        (INTERVALS + f"P-1,,{AT},5,,0,,\n", "version: is 0"),
        (INTERVALS + f"P-1,,{AT},5,,,maybe,\n", "is_final: 'maybe' is not known"),
        (INTERVALS + f"P-1,,{AT},5,,,,-1\n", "superseded_by: is -1"),
        (INTERVALS + f"P-1,,{AT},5,,,,\nP-1,,{AT},5,,,,\n", "line 3 end_at: 2026-01-30T16:15:00Z"),
        (INTERVALS + "P-1,,2027-01-30T16:15:00Z,5,,,,\n", "is in the future"),
        (INTERVALS + f"P-1,1.8,{AT},5,,,,\n", "register: '1.8' is no OBIS code"),
    ],
)
def test_wrong_intervals(desk: Desk, intervals: str, said: str) -> None:
    assert said in desk.refused(call(desk, intervals, EDITS + change()))


def test_wrong_files_and_options(desk: Desk) -> None:
    arguments = call(desk, BOTH, "名".encode("gbk").decode("latin-1"))
    assert "has no column 'usage_point'" in desk.refused(arguments)
    desk.put("e.csv", "名".encode("gbk"))
    assert "line 1: is not UTF-8" in desk.refused(arguments)
    desk.put("e.csv", EDITS + change())
    assert "is named twice" in desk.refused([*arguments, "--output", desk.path("i.csv")])
    desk.call(arguments)
    assert "is there already" in desk.refused(arguments)
    assert cli.main(["vee", "edit", "i.csv"]) == 2
    assert "Missing" in desk.capsys.readouterr().err

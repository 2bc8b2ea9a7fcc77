"""A directory becomes requests by account; every bad row is named, and what depends on it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.customers import import_files
from services.customers.admission import judge_rows
from services.customers.import_files import Import, read_import
from services.customers.state import Account
from tests.unit.customers.samples import Desk, types

EXAMPLE = Path(import_files.__file__).parent / "example"
Change = Callable[[str, str, str], None]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "import"))


def edit(directory: Path, file: str, old: str, new: str) -> None:
    path = directory / f"{file}.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} is {text.count(old)} times in {file}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def add(directory: Path, file: str, line: str) -> None:
    with (directory / f"{file}.csv").open("a", encoding="utf-8") as stream:
        stream.write(line + "\n")


def named(directory: Path) -> list[str]:
    return [str(each) for each in read_import(directory, "wang").defects]


def sent(found: Import, file: str) -> dict[str, list[str]]:
    """The natural keys of a file by account."""
    return {
        request.account_no: keys
        for request in found.requests
        if (keys := [row.natural_key for row in request.rows if row.file == file])
    }


def test_the_example_is_good_and_grouped_by_account() -> None:
    found = read_import(EXAMPLE, "wang")
    assert found.defects == ()
    assert found.rows_good == 45
    assert [request.account_no for request in found.requests] == [
        f"100000000{number}" for number in range(1, 8)
    ]
    assert {(request.import_id, request.submitted_by) for request in found.requests} == {
        (found.import_id, "wang")
    }
    # The meter of the point where one customer follows another is told to both.
    assert sent(found, "meters") == {
        "1000000001": ["M-1001"],
        "1000000002": ["M-1002"],
        "1000000003": ["M-1003"],
        "1000000004": ["M-1004", "M-1005"],
        "1000000005": ["M-1006", "M-2006"],
        "1000000006": ["M-1007"],
        "1000000007": ["M-1007"],
    }
    assert sent(found, "exchanges") == {"1000000005": ["P-1006@2026-02-10"]}
    first = found.requests[0].rows
    assert [row.file for row in first] == [
        "accounts",
        "accounts",
        "agreements",
        "points",
        "meters",
        "installations",
    ]
    assert (first[1].kind, first[1].valid_from_on, first[1].line) == ("change", "2026-04-01", 3)
    assert first[1].values == {"account_no": "1000000001", "language": "zh", "household_size": "5"}


def test_the_core_takes_all_of_the_example_and_nothing_the_second_time() -> None:
    desk = Desk()
    desk.tick("2026-01-05T00:00:00Z")
    found = read_import(EXAMPLE, "wang")
    for request in found.requests:
        assert "RowRejected" not in types(desk.take(request.account_no, request))
    for request in read_import(EXAMPLE, "li").requests:
        assert desk.take(request.account_no, request) == []


def test_the_import_id_is_that_of_the_content(directory: Path) -> None:
    first = read_import(directory, "wang").import_id
    assert first == read_import(EXAMPLE, "li").import_id
    add(directory, "transformers", "1000000004,T-4003,2026-01-01,,315,,in_use")
    assert read_import(directory, "wang").import_id != first


def test_bad_cells_are_named_and_good_rows_taken(directory: Path) -> None:
    edit(directory, "accounts", "1000000005,2026-01-01,,en,2", "1000000005,2026-01-01,,fr,two")
    found = read_import(directory, "wang")
    assert [str(each) for each in found.defects] == [
        "accounts.csv line 7 household_size: 'two' is no number "
        "(write it like 1234.5, without separators)",
        "accounts.csv line 7 language: 'fr' is not known (one of zh, en)",
        "agreements.csv line 6 account_no: account 1000000005 is not known; "
        "give its row in accounts.csv",
        "points.csv line 7 account_no: account 1000000005 is not known; "
        "give its row in accounts.csv",
        "meters.csv line 7 meter_no: account 1000000005, to which it belongs, is not known; "
        "give its row in accounts.csv",
        "meters.csv line 9 meter_no: account 1000000005, to which it belongs, is not known; "
        "give its row in accounts.csv",
        "installations.csv line 7 usage_point: usage point P-1006 is not known; "
        "give its row in points.csv",
        "exchanges.csv line 2 usage_point: usage point P-1006 is not known; "
        "give its row in points.csv",
    ]
    assert found.rows_good == 45 - 7
    assert "1000000005" not in {request.account_no for request in found.requests}


def test_a_row_that_another_account_takes_is_a_good_one(directory: Path) -> None:
    edit(directory, "accounts", "1000000007,2026-03-16,,zh", "1000000007,2026-03-16,,fr")
    assert [name.split(":")[0] for name in named(directory)] == [
        "accounts.csv line 9 language",
        "agreements.csv line 8 account_no",
        "points.csv line 9 account_no",
    ]
    assert sent(read_import(directory, "wang"), "meters")["1000000006"] == ["M-1007"]


def test_an_installation_of_a_bad_meter_is_named(directory: Path) -> None:
    edit(directory, "meters", "M-1001,2026-01-01,DDZY102,2,", "M-1001,2026-01-01,DDZY102,3,")
    assert named(directory) == [
        "meters.csv line 2 accuracy_class: '3' is not known (one of 0.2S, 0.5S, 1, 2)",
        "installations.csv line 2 meter_no: meter M-1001 is not known; give its row in meters.csv",
    ]


def test_rows_of_nobody_are_named(directory: Path) -> None:
    add(directory, "meters", "M-9,2026-01-01,,2,direct,,")
    add(directory, "installations", "P-9,M-9,2026-01-01,,1,manual,,,8,")
    add(directory, "agreements", "1000000009,2026-01-01,residential,5,r,lt1kv,low,,,,,,,,,,,")
    assert named(directory) == [
        "agreements.csv line 9 account_no: account 1000000009 is not known; "
        "give its row in accounts.csv",
        "meters.csv line 10 meter_no: M-9 is installed nowhere from this day on "
        "(name it in a good row of installations.csv or exchanges.csv)",
        "installations.csv line 9 usage_point: there is no good row of P-9 in points.csv "
        "(give or correct it)",
    ]


def test_what_happens_after_moving_out_needs_the_next_account(directory: Path) -> None:
    edit(directory, "points", "1000000007,P-1007,2026-03-16", "1000000007,P-1008,2026-03-16")
    add(directory, "exchanges", "P-1007,2026-05-01,2026-05-01 09:00,M-1007,1,1-0:1.8.0=5,,,,,,,")
    add(directory, "meters", "M-1007,2026-04-01,DDZY102,2,direct,2026-04-01,")
    edit(directory, "meters", "model,accuracy", "kind,model,accuracy")
    text = (directory / "meters.csv").read_text(encoding="utf-8").splitlines()
    rows = [
        line.replace(",DD", ",,DD").replace(",DT", ",,DT").replace(",DS", ",,DS") for line in text
    ]
    rows[-1] = rows[-1].replace(",,DD", ",change,DD")
    (directory / "meters.csv").write_text("\n".join(rows), encoding="utf-8")
    assert named(directory) == [
        "meters.csv line 10 meter_no: M-1007 is installed nowhere from this day on "
        "(name it in a good row of installations.csv or exchanges.csv)",
        "exchanges.csv line 3 valid_from: P-1007 has no account from 2026-03-16 on "
        "(give it in points.csv)",
    ]


def test_rows_that_are_there_twice_are_named(directory: Path) -> None:
    add(directory, "agreements", "1000000002,2026-01-01,residential,5,x,lt1kv,low,,,,,,,,,,,")
    add(directory, "accounts", "1000000002,2026-02-01,,zh,5,,")
    assert named(directory) == [
        "accounts.csv line 10 kind: 1000000002 has an earlier row in line 4 "
        "(state change or correction)",
        "agreements.csv line 9 valid_from: 1000000002 has a row from this day in line 3 "
        "(give it once)",
    ]


def test_a_day_and_its_correction_are_not_given_together(directory: Path) -> None:
    edit(directory, "accounts", "protected,moved_out_on", "protected,moved_out_on,valid_from_was")
    path = directory / "accounts.csv"
    lines = path.read_text(encoding="utf-8").splitlines()
    lines = [lines[0], *(line + "," for line in lines[1:])]
    lines.append("1000000001,2026-04-05,correction,zh,5,,,2026-04-01")
    path.write_text("\n".join(lines), encoding="utf-8")
    assert named(directory) == [
        "accounts.csv line 3 valid_from: line 10 says that this day was wrong (give one of them)"
    ]
    lines.pop(2)
    path.write_text("\n".join(lines), encoding="utf-8")
    found = read_import(directory, "wang")
    assert found.defects == ()
    assert found.requests[0].rows[1].values["valid_from_was"] == "2026-04-01"


def test_a_point_has_one_account_at_a_time(directory: Path) -> None:
    edit(directory, "accounts", "zh,2,,2026-03-16", "zh,2,,2026-03-20")
    assert named(directory) == [
        "points.csv line 9 usage_point: P-1007 is supplied to account 1000000006 until 2026-03-20 "
        "(give the day that account moved out, or valid_to of its point)",
    ]
    edit(directory, "accounts", "zh,2,,2026-03-20", "zh,2,,")
    assert "until further notice" in named(directory)[0]


def test_three_customers_one_after_another(directory: Path) -> None:
    edit(
        directory,
        "accounts",
        "1000000007,2026-03-16,,zh,1,,",
        "1000000007,2026-03-16,,zh,1,,2026-06-01",
    )
    add(directory, "accounts", "1000000008,2026-06-01,,zh,,,")
    add(directory, "points", "1000000008,P-1007,2026-06-01,,,,,,A,,,")
    found = read_import(directory, "wang")
    assert found.defects == ()
    assert sent(found, "meters")["1000000008"] == ["M-1007"]


def test_a_meter_is_at_one_point_at_a_time(directory: Path) -> None:
    edit(directory, "installations", "P-1002,M-1002,2023-07-01", "P-1002,M-1001,2024-07-01")
    assert named(directory) == [
        "meters.csv line 3 meter_no: M-1002 is installed nowhere from this day on "
        "(name it in a good row of installations.csv or exchanges.csv)",
        "installations.csv line 3 meter_no: M-1001 is at P-1001 until further notice "
        "(take it away there first, by a row in exchanges.csv)",
    ]


def test_a_meter_may_move_between_accounts(directory: Path) -> None:
    """M-1006 is exchanged on 10 February and goes to P-1001's account in March."""
    add(directory, "points", "1000000001,P-1010,2026-02-01,,,,,,A,,,")
    add(directory, "installations", "P-1010,M-1006,2026-02-05,,1,manual,,,8,")
    assert named(directory) == [
        "installations.csv line 9 meter_no: M-1006 is at P-1006 until 2026-02-10T02:30:00Z "
        "(take it away there first, by a row in exchanges.csv)"
    ]
    edit(directory, "installations", "P-1010,M-1006,2026-02-05", "P-1010,M-1006,2026-03-05")
    found = read_import(directory, "wang")
    assert found.defects == ()
    assert sent(found, "meters")["1000000001"] == ["M-1001", "M-1006"]


def test_an_exchange_that_brings_a_meter_from_elsewhere_is_named(directory: Path) -> None:
    edit(directory, "exchanges", "M-2006,1,1-0:1.8.0=0.12", "M-1001,1,1-0:1.8.0=0.12")
    assert named(directory)[-1] == (
        "exchanges.csv line 2 new_meter_no: M-1001 is at P-1001 until further notice "
        "(take it away there first, by a row in exchanges.csv)"
    )


def test_contradictions_are_named_in_their_column(directory: Path) -> None:
    edit(directory, "exchanges", "M-1006,1,1-0", "M-1006,40,1-0")
    assert named(directory) == [
        "exchanges.csv line 2 old_ratio: is 40; M-1006 was installed with ratio 1; "
        "correct the one that is wrong"
    ]


def test_a_file_in_a_wrong_encoding_is_named_with_what_depends_on_it(directory: Path) -> None:
    path = directory / "meters.csv"
    path.write_bytes(path.read_bytes().replace(b"DSZ331", b"DSZ\xff\xff"))
    defects = read_import(directory, "wang").defects
    assert str(defects[0]) == (
        "meters.csv line 5: is neither UTF-8 nor GBK (save the whole file as UTF-8)"
    )
    assert {each.file for each in defects[1:]} == {"installations.csv", "exchanges.csv"}
    assert len(defects) == 1 + 7 + 1


def test_gbk_gives_the_same_rows(directory: Path) -> None:
    path = directory / "points.csv"
    path.write_bytes(path.read_text(encoding="utf-8").encode("gbk"))
    found, example = read_import(directory, "wang"), read_import(EXAMPLE, "wang")
    assert found.defects == ()
    assert [request.rows for request in found.requests] == [
        request.rows for request in example.requests
    ]


def test_misspelt_and_missing_files_are_named(directory: Path) -> None:
    (directory / "meters.csv").rename(directory / "meter.csv")
    found = named(directory)
    assert found[-1].startswith("meter.csv line 1: is no import file (rename it: accounts, ")
    assert found[0].startswith("installations.csv line 2 meter_no: meter M-1001 is not known")
    (directory / "accounts.csv").unlink()
    with pytest.raises(BadInput, match=r"^accounts\.csv: is not in "):
        read_import(directory, "wang")
    with pytest.raises(BadInput, match=r"^DIR: .* is no directory"):
        read_import(directory / "nowhere", "wang")


def test_an_account_with_many_rows_is_sent_in_parts_parents_first(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_files, "ROWS_PER_REQUEST", 3)
    found = read_import(directory, "wang")
    parts = [request for request in found.requests if request.account_no == "1000000005"]
    assert [[row.file for row in request.rows] for request in parts] == [
        ["accounts", "agreements", "points"],
        ["meters", "meters", "installations"],
        ["exchanges"],
    ]
    state = Account()
    for request in parts:
        judged = judge_rows(state, "1000000005", request.rows)
        assert judged.refused == ()
        state = judged.state

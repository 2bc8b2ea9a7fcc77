"""The edge and its commands, with a core on a simulated log that answers them."""

from __future__ import annotations

import getpass
import json
import shutil
from pathlib import Path

import pytest

from libs.events.errors import Unavailable
from services.cli.customers import app
from services.customers import import_files
from services.customers.api import REQUESTS, submit
from services.customers.core import PURE_MODULES, WRITTEN, make_core
from services.customers.events import RowRejected, RowsSubmitted
from services.customers.import_files import read_import
from tests.unit.customers.office import Office, office
from tests.unit.customers.test_import_files import edit

pytestmark = pytest.mark.wide

__all__ = ["office"]
EXAMPLE = Path(import_files.__file__).parent / "example"
IMPORT_ID = "import-8c19a280e1ff0da0"


class Producer:
    """Collects what is appended; gives up after `limit` records."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self.records: list[tuple[str, str, object]] = []

    def append(self, topic: str, key: str, body: object) -> int:
        if len(self.records) == self.limit:
            raise Unavailable("no broker answers")
        self.records.append((topic, key, body))
        return 100 + len(self.records)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "files"))


def test_requests_go_to_their_accounts() -> None:
    requests = read_import(EXAMPLE, "wang").requests
    producer = Producer()
    assert submit(requests, producer.append) == [101, 102, 103, 104, 105, 106, 107]
    assert producer.records == [(REQUESTS, each.account_no, each) for each in requests]


def test_a_broker_that_stops_answering_is_told_with_how_far_it_came() -> None:
    requests = read_import(EXAMPLE, "wang").requests
    with pytest.raises(Unavailable, match=r"^no broker answers: 3 of 7 records were sent; run the"):
        submit(requests, Producer(limit=3).append)


def test_import_sends_and_says_what_came_of_it(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.command("import", directory, "--by", "wang") == 0
    sent = office.bodies(REQUESTS)
    assert [type(each) for each in sent] == [RowsSubmitted] * 7
    assert {each.submitted_by for each in sent} == {"wang"}
    first = f"{IMPORT_ID}: 45 good rows of 7 accounts, 0 bad; 7 records sent\n"
    assert capsys.readouterr().out == first + "45 rows taken, 0 rejected, 0 known already\n"
    assert office.command("import", directory) == 0
    again = "0 rows taken, 0 rejected, 45 known already: nothing changed\n"
    assert capsys.readouterr().out == first + again


def test_a_row_that_the_core_rejects_is_named_with_its_line_and_status_1(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another category from the same day, without saying that the first one was wrong."""
    assert office.command("import", directory) == 0
    capsys.readouterr()
    edit(
        directory,
        "agreements",
        "1000000001,2026-01-01,residential",
        "1000000001,2026-01-01,non_residential",
    )
    assert office.command("import", directory) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "agreements.csv  2  kind  1000000001 has other values from 2026-01-01 already; "
        "state correction, or change from another day"
    )
    assert lines[1].endswith("45 good rows of 7 accounts, 0 bad; 7 records sent")
    assert lines[2] == "0 rows taken, 1 rejected, 44 known already: nothing changed"
    assert office.command("import", directory, "--json") == 1
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows_rejected"], answer["rows_known"], answer["rows_waiting"]) == (1, 44, 0)
    assert answer["defects"] == []
    assert answer["rejected"] == [
        {
            "file": "agreements.csv",
            "line": 2,
            "column": "kind",
            "problem": "1000000001 has other values from 2026-01-01 already; "
            "state correction, or change from another day",
        }
    ]
    assert (
        len([each for each in office.bodies("customers.events") if isinstance(each, RowRejected)])
        == 2
    )


def test_a_row_of_two_accounts_is_named_once(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """M-1007 stays when 1000000006 moves out, and its row goes to both accounts."""
    assert office.command("import", directory) == 0
    capsys.readouterr()
    edit(directory, "meters", "M-1007,2026-01-01,DDZY102,2,", "M-1007,2026-01-01,DDZY999,2,")
    assert office.command("import", directory) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines[:-2]] == [["meters.csv", "8", "kind"]]
    rejected = [each for each in office.bodies("customers.events") if isinstance(each, RowRejected)]
    assert len(rejected) == 2


def test_without_a_core_import_ends_after_its_time_and_says_that_nothing_is_lost(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office.core_is_up = False
    assert office.command("import", directory, "--timeout", "7") == 1
    assert 7 < office.time_s < 8
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "0 rows taken, 0 rejected, 0 known already"
    assert lines[2].startswith("45 rows without an answer after 7 s: they are recorded and will be")
    office.core_is_up = True
    office.work()
    assert office.command("import", directory) == 0
    assert "45 known already: nothing changed" in capsys.readouterr().out


def test_answers_to_others_are_not_ours(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another import was sent before and is decided while we wait: its rows are not counted."""
    office.core_is_up = False
    assert office.command("import", EXAMPLE, "--no-wait") == 0
    capsys.readouterr()
    office.core_is_up = True
    old, new = (f"1000000001,2026-01-01,{name}" for name in ("residential", "non_residential"))
    edit(directory, "agreements", old, new)
    assert office.command("import", directory) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "0 rows taken, 1 rejected, 44 known already: nothing changed"


def test_import_can_be_told_not_to_wait(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office.core_is_up = False
    assert office.command("import", directory, "--no-wait") == 0
    assert office.time_s == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("45 rows without an answer: they are recorded and will be")
    assert office.command("import", directory, "--no-wait", "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["rows_taken"], answer["rows_waiting"]) == (0, 45)


def test_a_broker_that_does_not_answer_meanwhile_is_asked_again(
    office: Office,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calm = office.pause

    def down_for_a_while(seconds: float) -> None:
        office.sim.broker.down = office.time_s < 3
        if office.sim.broker.down:
            office.time_s += seconds
        else:
            calm(seconds)

    monkeypatch.setattr(office, "pause", down_for_a_while)
    assert office.command("import", directory) == 0
    assert office.time_s > 3
    assert "45 rows taken" in capsys.readouterr().out


def test_import_names_bad_rows_sends_the_others_and_ends_with_2(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "meters", "M-1001,2026-01-01,DDZY102,2,", "M-1001,2026-01-01,DDZY102,3,")
    assert office.command("import", directory) == 2
    assert len(office.bodies(REQUESTS)) == 7
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "meters.csv         2  accuracy_class  '3' is not known (one of 0.2S, 0.5S, 1, 2)"
    )
    assert lines[1].startswith("installations.csv  2  meter_no        meter M-1001 is not known")
    assert lines[2].endswith("43 good rows of 7 accounts, 2 bad; 7 records sent")
    assert lines[3] == "43 rows taken, 0 rejected, 0 known already"


def test_import_as_json(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "transformers", "suspended", "asleep")
    assert office.command("import", directory, "--json") == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["accounts"], answer["rows_good"], answer["rows_bad"]) == (7, 44, 1)
    assert (answer["records_sent"], answer["rows_taken"], answer["rejected"]) == (7, 44, [])
    assert answer["defects"] == [
        {
            "file": "transformers.csv",
            "line": 4,
            "column": "state",
            "problem": "'asleep' is not known (one of in_use, suspended, cold_sealed, hot_standby)",
        }
    ]


def test_check_sends_nothing(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert office.command("import", directory, "--check") == 0
    assert office.command("open", directory, "--check") == 0
    assert office.bodies(REQUESTS) == []
    out = capsys.readouterr().out
    assert out.count("checked, nothing sent") == 2


def test_bad_input_is_one_line_and_status_2(
    office: Office,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert office.command("import", "nowhere") == 2
    assert capsys.readouterr().err == (
        "error: DIR: nowhere is no directory (name the one with the CSV files)\n"
    )
    producer = office.producer()
    limited = Producer(limit=2)
    monkeypatch.setattr(producer, "append", limited.append)
    monkeypatch.setattr(office, "producer", lambda: producer)
    assert office.command("import", directory) == 2
    assert "2 of 7 records were sent" in capsys.readouterr().err


def test_a_user_without_a_name_submits_all_the_same(
    office: Office, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise OSError("no user of this number")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert office.command("import", directory) == 0
    assert {each.submitted_by for each in office.bodies(REQUESTS)} == {"unknown"}


def test_every_command_has_an_example() -> None:
    for command in app.registered_commands:
        assert str(command.epilog).startswith("Example: gridledger customers ")


def test_the_core_names_its_topics_and_modules() -> None:
    core = make_core("hash")
    assert core.inputs == ("customers.requests", "calendar")
    assert core.decider == "hash"
    assert WRITTEN == ("customers.agreements", "customers.supply", "customers.meters")
    directory = EXAMPLE.parent
    pure = {name.removeprefix("services.customers.") for name in PURE_MODULES}
    border = {"__init__", "answers", "api", "core", "csv_files", "import_files", "main"}
    border |= {"opening_files", "takeover"}
    assert {path.stem for path in directory.glob("*.py")} - border == pure

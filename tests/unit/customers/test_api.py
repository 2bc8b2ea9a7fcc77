"""The edge and its commands, with a producer that only collects."""

from __future__ import annotations

import getpass
import json
import shutil
from pathlib import Path

import pytest

from libs.events.errors import Unavailable
from services import wiring
from services.cli.customers import app
from services.cli.main import COMMANDS, main
from services.customers import import_files
from services.customers.api import REQUESTS, submit
from services.customers.core import PURE_MODULES, WRITTEN, make_core
from services.customers.events import OpeningSubmitted, RowsSubmitted, catalogue
from services.customers.import_files import read_import
from tests.unit.customers.test_import_files import edit

EXAMPLE = Path(import_files.__file__).parent / "example"


class Producer:
    """Collects what is appended; gives up after `limit` records."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self.records: list[tuple[str, str, object]] = []
        self.closed = False

    def append(self, topic: str, key: str, body: object) -> None:
        if len(self.records) == self.limit:
            raise Unavailable("no broker answers")
        self.records.append((topic, key, body))

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    """The producer that the commands open."""
    made = Producer()

    def open_producer(settings: object, source: str, known: object) -> Producer:
        assert source == "customers.edge"
        assert known is catalogue
        return made

    monkeypatch.setattr(wiring, "open_producer", open_producer)
    monkeypatch.setitem(COMMANDS, "customers", ("services.cli.customers:app", ""))
    return made


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the example, with no settings around."""
    monkeypatch.chdir(tmp_path)
    return Path(shutil.copytree(EXAMPLE, tmp_path / "files"))


def test_requests_go_to_their_accounts() -> None:
    requests = read_import(EXAMPLE, "wang").requests
    producer = Producer()
    assert submit(requests, producer.append) == 7
    assert producer.records == [(REQUESTS, each.account_no, each) for each in requests]


def test_a_broker_that_stops_answering_is_told_with_how_far_it_came() -> None:
    requests = read_import(EXAMPLE, "wang").requests
    with pytest.raises(Unavailable, match=r"^no broker answers: 3 of 7 records were sent; run the"):
        submit(requests, Producer(limit=3).append)


def test_import_sends_and_says_so(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["customers", "import", str(directory), "--by", "wang"]) == 0
    assert len(producer.records) == 7
    assert producer.closed
    first = producer.records[0][2]
    assert isinstance(first, RowsSubmitted)
    assert first.submitted_by == "wang"
    assert capsys.readouterr().out == (
        f"{first.import_id}: 43 good rows of 7 accounts, 0 bad; 7 records sent\n"
    )


def test_import_names_bad_rows_sends_the_others_and_ends_with_2(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "meters", "M-1001,2026-01-01,DDZY102,2,", "M-1001,2026-01-01,DDZY102,3,")
    assert main(["customers", "import", str(directory)]) == 2
    assert len(producer.records) == 7
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "meters.csv         2  accuracy_class  '3' is not known (one of 0.2S, 0.5S, 1, 2)"
    )
    assert lines[1].startswith("installations.csv  2  meter_no        meter M-1001 is not known")
    assert lines[2].endswith("41 good rows of 7 accounts, 2 bad; 7 records sent")


def test_import_as_json(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "transformers", "suspended", "asleep")
    assert main(["customers", "import", str(directory), "--json"]) == 2
    answer = json.loads(capsys.readouterr().out)
    assert (answer["accounts"], answer["rows_good"], answer["rows_bad"]) == (7, 42, 1)
    assert answer["records_sent"] == 7
    assert answer["defects"] == [
        {
            "file": "transformers.csv",
            "line": 4,
            "column": "state",
            "problem": "'asleep' is not known (one of in_use, suspended, cold_sealed, hot_standby)",
        }
    ]


def test_check_sends_nothing(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["customers", "import", str(directory), "--check"]) == 0
    assert main(["customers", "open", str(directory), "--check"]) == 0
    assert producer.records == []
    out = capsys.readouterr().out
    assert out.count("checked, nothing sent") == 2


def test_open_sends_all(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["customers", "open", str(directory), "--by", "wang"]) == 0
    assert [key for _, key, _ in producer.records] == [f"100000000{n}" for n in range(1, 7)]
    body = producer.records[0][2]
    assert isinstance(body, OpeningSubmitted)
    assert capsys.readouterr().out == f"{body.opening_id}: 6 accounts; 6 records sent\n"


def test_open_sends_nothing_when_a_total_differs(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "opening_totals", "61434.98", "61434.89")
    assert main(["customers", "open", str(directory)]) == 2
    assert producer.records == []
    out = capsys.readouterr().out
    assert "the rows add up to 61434.98: difference 0.09" in out
    assert "0 accounts; 0 records sent" in out


def test_bad_input_is_one_line_and_status_2(
    producer: Producer, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["customers", "import", "nowhere"]) == 2
    assert capsys.readouterr().err == (
        "error: DIR: nowhere is no directory (name the one with the CSV files)\n"
    )
    producer.limit = 2
    assert main(["customers", "import", str(directory)]) == 2
    assert "2 of 7 records were sent" in capsys.readouterr().err


def test_a_user_without_a_name_submits_all_the_same(
    producer: Producer, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise OSError("no user of this number")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert main(["customers", "open", str(directory)]) == 0
    body = producer.records[0][2]
    assert isinstance(body, OpeningSubmitted)
    assert body.submitted_by == "unknown"


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
    border = {"__init__", "api", "core", "csv_files", "import_files", "opening_files", "main"}
    assert {path.stem for path in directory.glob("*.py")} - border == pure

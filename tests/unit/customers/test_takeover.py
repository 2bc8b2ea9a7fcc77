"""Opening a utility's accounts: all of them or none, whatever comes in between."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.customers import import_files
from services.customers.api import REQUESTS
from services.customers.events import (
    OpeningRejected,
    OpeningSubmitted,
    OpeningTaken,
    catalogue,
)
from services.customers.opening_files import read_opening
from services.customers.takeover import TRANSACTIONAL_ID
from tests.unit.customers.office import Office, aborted, office, unknown
from tests.unit.customers.test_import_files import add, edit

__all__ = ["office"]
EXAMPLE = Path(import_files.__file__).parent / "example"
ACCOUNTS = [f"100000000{number}" for number in range(1, 7)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "files"))


@pytest.fixture
def imported(office: Office, directory: Path, capsys: pytest.CaptureFixture[str]) -> Office:
    """An office that knows the accounts."""
    assert office.command("import", directory) == 0
    capsys.readouterr()
    return office


def sent(office: Office) -> list[OpeningSubmitted]:
    found = [each for each in office.bodies(REQUESTS) if isinstance(each, OpeningSubmitted)]
    return sorted(found, key=lambda each: each.account_no)


def of_type(office: Office, kind: type) -> list[Any]:
    return [each for each in office.bodies("customers.events") if isinstance(each, kind)]


def test_all_are_taken_and_the_same_again_changes_nothing(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported.command("open", directory, "--by", "wang") == 0
    assert [each.account_no for each in sent(imported)] == ACCOUNTS
    assert {each.submitted_by for each in sent(imported)} == {"wang"}
    opening_id = read_opening(EXAMPLE, "").opening_id
    assert capsys.readouterr().out == (
        f"{opening_id}: 6 accounts; 6 records sent\n"
        "6 accounts taken, 0 rejected; the control totals match\n"
    )
    assert len(of_type(imported, OpeningTaken)) == 6
    assert imported.command("open", directory, "--by", "li") == 0
    assert capsys.readouterr().out == (
        f"{opening_id}: 6 accounts; 0 records sent\n"
        "every account is open with this very position already: nothing changed\n"
    )
    assert len(sent(imported)) == 6


def test_the_document(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported.command("open", directory, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "opening_id": read_opening(EXAMPLE, "").opening_id,
        "accounts": 6,
        "records_sent": 6,
        "accounts_taken": 6,
        "accounts_known": 0,
        "accounts_waiting": [],
        "defects": [],
        "rejected": [],
    }


def test_one_unknown_account_and_nothing_is_sent(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add(directory, "opening_accounts", "1000000099,2025-12-31,0,")
    edit(directory, "opening_totals", "accounts,6", "accounts,7")
    edit(directory, "opening_readings", "1000000001,P-1001", "1000000001,P-9999")
    assert imported.command("open", directory) == 2
    assert sent(imported) == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == (
        "opening_accounts.csv  2  usage_point  1000000001: P-9999 is not known to the account; "
        "import it first"
    )
    assert lines[1] == (
        "opening_accounts.csv  8  account_no   1000000099 is not known; import it first"
    )
    assert lines[2].endswith("7 accounts, 2 would be refused; nothing was sent")


def test_nothing_is_sent_when_a_total_differs(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(directory, "opening_totals", "61434.98", "61434.89")
    assert imported.command("open", directory) == 2
    assert sent(imported) == []
    out = capsys.readouterr().out
    assert "the rows add up to 61434.98: difference 0.09" in out
    assert "0 accounts; 0 records sent" in out


def test_accounts_that_are_open_otherwise_stop_the_rest(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert imported.command("open", directory) == 0
    capsys.readouterr()
    edit(
        directory,
        "opening_accounts",
        "1000000002,2025-12-31,0,36.50",
        "1000000002,2025-12-31,0,36.60",
    )
    edit(directory, "opening_totals", "36.50", "36.60")
    assert imported.command("open", directory) == 2
    assert len(sent(imported)) == 6
    assert "1000000002: the account is open already" in capsys.readouterr().out


def test_what_was_imported_a_moment_ago_is_waited_for(office: Office, directory: Path) -> None:
    office.core_is_up = False
    assert office.command("import", directory, "--no-wait") == 0
    office.core_is_up = True
    assert office.command("open", directory) == 0
    assert len(of_type(office, OpeningTaken)) == 6


def test_without_a_core_nothing_is_sent_while_something_waits_for_it(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    office.core_is_up = False
    assert office.command("import", directory, "--no-wait") == 0
    capsys.readouterr()
    assert office.command("open", directory, "--timeout", "5") == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("error: customers: did not decide in 5 s what was sent before, ")
    assert printed.err.count("\n") == 1
    assert sent(office) == []


def test_without_a_core_what_was_sent_is_recorded_and_the_same_command_finishes_it(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    imported.core_is_up = False
    assert imported.command("open", directory, "--timeout", "5") == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "0 accounts taken, 0 rejected"
    assert lines[2].startswith(
        "6 accounts without an answer after 5 s, the first is 1000000001: their positions are "
        "recorded and will be answered"
    )
    imported.core_is_up = True
    assert imported.command("open", directory) == 0
    assert "nothing changed" in capsys.readouterr().out
    assert len(sent(imported)) == 6


def test_a_command_that_begins_meanwhile_fences_the_older_one(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both have checked, one sends: else two directories could open an account each in part."""

    def begin_another() -> None:
        imported.before_write = lambda: None
        imported.writer(TRANSACTIONAL_ID)

    imported.before_write = begin_another
    assert imported.command("open", directory) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: another `customers open` began meanwhile and ended this one: ")
    assert said.endswith("(run the command again after it, that finds out what was sent)\n")
    assert said.count("\n") == 1
    assert sent(imported) == []


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (
            aborted,
            "error: transaction: timed out: nothing was sent (run the command again, with more "
            "GRIDLEDGER_KAFKA_TRANSACTION_TIMEOUT_MS if slow)\n",
        ),
        (
            unknown,
            "error: commit: no answer: all records were sent or none; run the command again, it "
            "finds out\n",
        ),
    ],
)
def test_a_transaction_that_fails_is_told(
    imported: Office,
    directory: Path,
    capsys: pytest.CaptureFixture[str],
    failure: Any,
    said: str,
) -> None:
    imported.before_write = failure
    assert imported.command("open", directory) == 2
    assert capsys.readouterr().err == said


def test_what_is_rejected_after_all_is_named_and_the_totals_with_it(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody writes past the command between its check and its transaction."""

    def open_otherwise() -> None:
        imported.before_write = lambda: None
        found = read_opening(directory, "somebody")
        other = replace(found.requests[1], tier_year_to_date_wh=5)
        imported.sim.feed(catalogue, REQUESTS, other.account_no, other, 1)

    imported.before_write = open_otherwise
    assert imported.command("open", directory) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("opening_accounts.csv  3  account_no  1000000002: the account is")
    assert lines[1] == (
        "opening_totals.csv    2  value       accounts is 6, the positions taken add up to 5: "
        "difference -1"
    )
    assert lines[-1] == "5 accounts taken, 1 rejected"
    assert len(of_type(imported, OpeningRejected)) == 1


def test_what_was_rejected_at_an_earlier_attempt_is_forgotten(
    office: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A release without the check sent these positions before anything was imported."""
    for number, request in enumerate(read_opening(directory, "wang").requests):
        office.sim.feed(catalogue, REQUESTS, request.account_no, request, number)
    office.work()
    assert len(of_type(office, OpeningRejected)) == 6
    assert office.command("import", directory) == 0
    assert office.command("open", directory) == 0
    assert "6 accounts taken, 0 rejected; the control" in capsys.readouterr().out


def test_what_an_earlier_attempt_left_out_is_completed(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, request in enumerate(read_opening(directory, "wang").requests[:2]):
        imported.sim.feed(catalogue, REQUESTS, request.account_no, request, number)
    imported.work()
    assert imported.command("open", directory) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("6 accounts; 4 records sent")
    assert lines[1] == (
        "4 accounts taken, 0 rejected, 2 were open alike before; the control totals match"
    )


def test_an_event_that_cannot_be_read_is_named(
    imported: Office, directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    headers = imported.reader().read("customers.events", 0, 0, 1).records[0].headers
    imported.sim.broker.append("customers.events", 0, b"1000000001", b"{", headers)
    assert imported.command("open", directory) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: customers.events/0/")
    assert "audit balance" in said

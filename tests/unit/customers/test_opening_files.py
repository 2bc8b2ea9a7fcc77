"""Opening positions: all of a directory or nothing, by control totals."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.customers import import_files
from services.customers.events import OpeningReading
from services.customers.opening_files import OPENING_FILES, read_opening
from tests.unit.customers.test_import_files import add, edit

EXAMPLE = Path(import_files.__file__).parent / "example"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A copy of the example."""
    return Path(shutil.copytree(EXAMPLE, tmp_path / "open"))


def named(directory: Path) -> list[str]:
    found = read_opening(directory, "wang")
    assert found.requests == ()
    return [str(each) for each in found.defects]


def test_the_example_is_good() -> None:
    found = read_opening(EXAMPLE, "wang")
    assert found.defects == ()
    by_account = {request.account_no: request for request in found.requests}
    assert sorted(by_account) == [f"100000000{number}" for number in range(1, 7)]
    behind = by_account["1000000006"]
    assert behind.opening_id == found.opening_id
    assert (behind.as_of_on, behind.submitted_by) == ("2025-12-31", "wang")
    assert [(each.invoice_no, each.amount_fen) for each in behind.receivables] == [
        ("OLD-2025-11-0006", 5_200),
        ("OLD-2025-12-0006", 4_784),
    ]
    assert (behind.receivables[0].issued_on, behind.receivables[0].due_on) == (
        "2025-11-05",
        "2025-11-25",
    )
    assert behind.control_total_fen == 9_984
    assert [(each.usage_point, each.reason, each.since_on) for each in behind.holds] == [
        ("P-1007", "arrears", "2025-12-30")
    ]
    assert behind.readings == (
        OpeningReading(
            usage_point="P-1007", register="1-0:1.8.0", reading_wh=9_120_660, read_on="2025-12-31"
        ),
    )
    ahead = by_account["1000000002"]
    assert (ahead.prepayment_fen, ahead.control_total_fen) == (3_650, -3_650)
    assert len(ahead.readings) == 3


def test_the_id_is_that_of_the_content(directory: Path) -> None:
    assert read_opening(directory, "li").opening_id == read_opening(EXAMPLE, "wang").opening_id
    add(directory, "opening_accounts", "1000000007,2025-12-31,0,")
    assert read_opening(directory, "li").opening_id != read_opening(EXAMPLE, "wang").opening_id


@pytest.mark.parametrize(
    ("file", "old", "new", "text"),
    [
        (
            "opening_receivables",
            "61250.90",
            "61250.99",
            "opening_totals.csv line 7 value: receivables_yuan is 61434.98, the rows add up to "
            "61435.07: difference 0.09",
        ),
        (
            "opening_readings",
            "15400",
            "1540",
            "opening_totals.csv line 4 value: readings_kwh is 78692.07, the rows add up to "
            "64832.07: difference -13860",
        ),
        (
            "opening_accounts",
            "2025-12-31,0,36.50",
            "2025-12-31,0.5,36.50",
            "opening_totals.csv line 5 value: tier_year_to_date_kwh is 0, the rows add up to 0.5: "
            "difference 0.5",
        ),
        (
            "opening_totals",
            "holds,1",
            "holds,2",
            "opening_totals.csv line 9 value: holds is 2, the rows add up to 1: difference -1",
        ),
        (
            "opening_totals",
            "accounts,6\n",
            "",
            "opening_totals.csv line 1 name: accounts is missing (state it; the rows add up to 6)",
        ),
        (
            "opening_totals",
            "accounts,6",
            "accounts,six",
            "opening_totals.csv line 2 value: 'six' is no number "
            "(write it like 1234.5, without separators)",
        ),
        (
            "opening_totals",
            "accounts,6",
            "acounts,6",
            "opening_totals.csv line 2 name: 'acounts' is not known",
        ),
        (
            "opening_readings",
            "P-1007,1-0:1.8.0,9120.66",
            "P-1007,1-0:1.6.0,9120.66",
            "opening_readings.csv line 10 register: 1-0:1.6.0 is no register that is billed",
        ),
        (
            "opening_readings",
            "9120.66,2025-12-31",
            "9120.66,2026-01-01",
            "opening_readings.csv line 10 read_on: 2026-01-01 is after as_of 2025-12-31",
        ),
        (
            "opening_receivables",
            "OLD-2025-11-0006,52.00,2025-11-05,2025-11-25",
            "OLD-2025-11-0006,52.00,2025-11-05,2025-11-01",
            "opening_receivables.csv line 4 due_on: 2025-11-01 is before issued_on 2025-11-05",
        ),
        (
            "opening_receivables",
            "OLD-2025-11-0006",
            "OLD-2025-12-0006",
            "opening_receivables.csv line 5 invoice_no: OLD-2025-12-0006 is there already",
        ),
        (
            "opening_holds",
            "1000000006,P-1007",
            "1000000007,P-1007",
            "opening_holds.csv line 2 account_no: has no good row in opening_accounts.csv",
        ),
        (
            "opening_accounts",
            "account_no,as_of,",
            "account,as_of,",
            "opening_accounts.csv line 1: 'account' is no column of this file",
        ),
    ],
)
def test_one_thing_wrong_and_nothing_is_sent(
    directory: Path, file: str, old: str, new: str, text: str
) -> None:
    edit(directory, file, old, new)
    assert named(directory)[0].startswith(text)


def test_missing_files_are_refused(directory: Path) -> None:
    for name in OPENING_FILES:
        moved = directory / f"{name}.csv"
        content = moved.read_bytes()
        moved.unlink()
        with pytest.raises(BadInput, match=rf"^{name}\.csv: is not in "):
            read_opening(directory, "wang")
        moved.write_bytes(content)
    with pytest.raises(BadInput, match=r"^DIR: .* is no directory"):
        read_opening(directory / "nowhere", "wang")

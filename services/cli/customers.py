"""`gridledger customers`: take customers from files, and the opening positions of a utility."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from services.customers.api import submit
from services.customers.csv_files import Defect
from services.customers.events import OpeningSubmitted, RowsSubmitted
from services.customers.import_files import read_import
from services.customers.opening_files import read_opening

STATUS_BAD_ROWS = 2

app = typer.Typer(no_args_is_help=True, help="Take customers and opening positions from files.")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory with the CSV files.")]
By = Annotated[str, typer.Option("--by", help="Who submits it; default: your user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Check = Annotated[bool, typer.Option("--check", help="Only check the files, send nothing.")]


@app.callback()
def customers() -> None:
    """Take customers and opening positions from files."""


@app.command(
    "import",
    epilog="Example: gridledger customers import services/customers/example --check",
)
def import_rows(
    directory: Directory, by: By = "", as_json: AsJson = False, check: Check = False
) -> None:
    """Send the good rows of accounts, agreements, points, meters and so on; name the bad ones.

    The files and their columns are described in services/customers/README.md. The same import
    again changes nothing. Status 2 when a row was bad.
    """
    found = read_import(directory, by or _user_name())
    sent = _send(found.requests, check)
    accounts = len({request.account_no for request in found.requests})
    bad = len({(each.file, each.line) for each in found.defects})
    facts = {
        "import_id": found.import_id,
        "accounts": accounts,
        "rows_good": found.rows_good,
        "rows_bad": bad,
        "records_sent": sent,
    }
    text = (
        f"{found.import_id}: {found.rows_good} good rows of {accounts} accounts, "
        f"{bad} bad; {_sent(sent, check)}"
    )
    _report(text, facts, found.defects, as_json)


@app.command(
    "open",
    epilog="Example: gridledger customers open services/customers/example --by wang",
)
def open_positions(
    directory: Directory, by: By = "", as_json: AsJson = False, check: Check = False
) -> None:
    """Send last billed readings, debts, prepayments and holds of a running utility.

    All or nothing: status 2 and nothing is sent when a row is bad or a control total differs.
    """
    found = read_opening(directory, by or _user_name())
    sent = _send(found.requests, check)
    facts = {
        "opening_id": found.opening_id,
        "accounts": len(found.requests),
        "records_sent": sent,
    }
    text = f"{found.opening_id}: {len(found.requests)} accounts; {_sent(sent, check)}"
    _report(text, facts, found.defects, as_json)


def _send(requests: Sequence[RowsSubmitted | OpeningSubmitted], check: bool) -> int:
    if check or not requests:
        return 0
    from services.customers.events import catalogue
    from services.settings import load_settings
    from services.wiring import open_producer

    producer = open_producer(load_settings().settings, "customers.edge", catalogue)
    with closing(producer):
        return submit(requests, producer.append)


def _sent(records: int, check: bool) -> str:
    return "checked, nothing sent" if check else f"{records} records sent"


def _report(text: str, facts: dict[str, object], defects: Iterable[Defect], as_json: bool) -> None:
    """Print what became of it; status 2 when something was wrong."""
    named = [
        {"file": each.file, "line": each.line, "column": each.column, "problem": each.problem}
        for each in defects
    ]
    if as_json:
        typer.echo(json.dumps({**facts, "defects": named}, ensure_ascii=False, indent=1))
    else:
        columns = [[str(row[name]) for row in named] for name in ("file", "line", "column")]
        widths = [max(map(len, cells), default=0) for cells in columns]
        for row, *cells in zip(named, *columns, strict=True):
            padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
            typer.echo("  ".join([*padded, str(row["problem"])]))
        typer.echo(text)
    if named:
        raise typer.Exit(STATUS_BAD_ROWS)


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of this number
        return "unknown"

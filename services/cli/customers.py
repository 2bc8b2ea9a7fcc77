"""`gridledger customers`: take customers from files, and the opening positions of a utility.

Both commands follow what they sent to its answer: a row that the core refuses is named here, to the
person who has the file, with its line. Status 0 says that everything was taken.
"""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.edge import EdgeProducer
from libs.events.kafka import TransactionalWriter
from libs.events.record import Outgoing
from services.cli.records import open_cluster
from services.customers.answers import Follower, ImportAnswer, Patience, follow_import
from services.customers.api import submit
from services.customers.csv_files import Defect
from services.customers.events import OpeningSubmitted, catalogue
from services.customers.import_files import Import, read_import
from services.customers.opening_files import read_opening
from services.customers.takeover import TRANSACTIONAL_ID, Takeover, TakeoverAnswer, Writer
from services.settings import Settings, load_settings
from services.wiring import open_producer

STATUS_REFUSED = 1
STATUS_BAD_ROWS = 2
TIMEOUT_DEFAULT_S = 60
TIMEOUT_MAX_S = 86_400

app = typer.Typer(no_args_is_help=True, help="Take customers and opening positions from files.")

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Directory with the CSV files.")]
By = Annotated[str, typer.Option("--by", help="Who submits it; default: your user name.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object.")]
Check = Annotated[bool, typer.Option("--check", help="Only check the files, send nothing.")]
Timeout = Annotated[
    int,
    typer.Option(
        "--timeout", min=1, max=TIMEOUT_MAX_S, help="Seconds to wait for the core's answers."
    ),
]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Do not wait for the core's answers.")]


@app.callback()
def customers() -> None:
    """Take customers and opening positions from files."""


@app.command(
    "import",
    epilog="Example: gridledger customers import services/customers/example --check",
)
def import_rows(
    directory: Directory,
    by: By = "",
    as_json: AsJson = False,
    check: Check = False,
    no_wait: NoWait = False,
    timeout: Timeout = TIMEOUT_DEFAULT_S,
) -> None:
    """Send the good rows of accounts, agreements, points, meters and so on; name the bad ones.

    The files and their columns are described in services/customers/README.md. The
    same import again changes nothing. Status 2 when a row was bad, 1 when the
    core rejected a row or has not answered in time, 0 when all of it is known
    now. With --no-wait only the files count.
    """
    found = read_import(directory, by or _user_name())
    sent, answer = 0, ImportAnswer()
    if found.requests and not check:
        sent, answer = _import(found, 0 if no_wait else timeout)
    facts = {
        "import_id": found.import_id,
        "accounts": len({request.account_no for request in found.requests}),
        "rows_good": found.rows_good,
        "rows_bad": len({(each.file, each.line) for each in found.defects}),
        "records_sent": sent,
        "rows_taken": len(answer.taken),
        "rows_known": len(answer.known),
        "rows_rejected": len({(each.row.file, each.row.line) for each in answer.rejected}),
        "rows_waiting": answer.rows_waiting,
    }
    lines = [
        f"{found.import_id}: {found.rows_good} good rows of {facts['accounts']} accounts, "
        f"{facts['rows_bad']} bad; {_sent(sent, check)}"
    ]
    if sent:
        lines += _import_lines(facts, timeout, no_wait)
    rejected = _rejected_rows(answer)
    is_open = bool(rejected or (answer.waiting and not no_wait))
    _report(Report(lines, facts, found.defects, rejected, is_open), as_json)


def _import(found: Import, timeout_s: int) -> tuple[int, ImportAnswer]:
    """Send an import and follow it; with a time of 0 nothing is waited for."""
    settings = load_settings().settings
    with closing(open_cluster(settings)) as reader, _producer(settings) as producer:
        if not timeout_s:
            sent = len(submit(found.requests, producer.append))
            return sent, ImportAnswer(waiting=list(found.requests))
        follower = Follower.from_end(reader, settings.partitions)
        offsets = submit(found.requests, producer.append)
        return len(offsets), follow_import(follower, found.requests, offsets, Patience(timeout_s))


def _import_lines(facts: dict[str, Any], timeout_s: int, no_wait: bool) -> Iterator[str]:
    if not no_wait:
        text = f"{facts['rows_taken']} rows taken, {facts['rows_rejected']} rejected"
        nothing = "" if facts["rows_taken"] or facts["rows_waiting"] else ": nothing changed"
        yield f"{text}, {facts['rows_known']} known already{nothing}"
    if facts["rows_waiting"]:
        waited = "" if no_wait else f" after {timeout_s} s"
        yield (
            f"{facts['rows_waiting']} rows without an answer{waited}: they are recorded and will "
            "be answered when the customers core runs; the same command again tells what came of it"
        )


def _rejected_rows(answer: ImportAnswer) -> list[Defect]:
    """Each row once, also when several accounts refuse it for the same reason."""
    named = {
        Defect(
            file=f"{each.row.file}.csv",
            line=each.row.line,
            column=each.field,
            problem=each.problem,
        )
        for each in answer.rejected
    }
    return sorted(named, key=lambda each: (each.file, each.line, each.column, each.problem))


@app.command(
    "open",
    epilog="Example: gridledger customers open services/customers/example --by wang",
)
def open_positions(
    directory: Directory,
    by: By = "",
    as_json: AsJson = False,
    check: Check = False,
    timeout: Timeout = TIMEOUT_DEFAULT_S,
) -> None:
    """Take last billed readings, debts, prepayments and holds of a running utility.

    All or nothing: status 2 and nothing is sent when a row is bad, a control
    total differs, or the core would refuse an account. Then all accounts are sent
    in one transaction and followed to their answers. Status 0 when every account
    is open and the control totals match, else 1. The same command again changes
    nothing.
    """
    found = read_opening(directory, by or _user_name())
    facts: dict[str, Any] = {
        "opening_id": found.opening_id,
        "accounts": len(found.requests),
        "records_sent": 0,
        "accounts_taken": 0,
        "accounts_known": 0,
        "accounts_waiting": [],
    }
    begin = f"{found.opening_id}: {len(found.requests)} accounts"
    if check or not found.requests:
        text = f"{begin}; {_sent(0, check)}"
        _report(Report([text], facts, found.defects), as_json)
        return
    settings = load_settings().settings
    with closing(open_cluster(settings)) as reader, _writer(settings) as writer:
        takeover = Takeover(reader, settings.partitions, found, Patience(timeout))
        refused = takeover.refused()
        if refused:
            text = f"{begin}, {len(refused)} would be refused; nothing was sent"
            _report(Report([text], facts, refused), as_json)
        with _producer(settings) as producer:
            facts["records_sent"] = takeover.send(writer, _outgoing(producer))
        answer = takeover.answer()
    facts["accounts_taken"] = len(answer.taken)
    facts["accounts_known"] = len(answer.known)
    facts["accounts_waiting"] = list(answer.waiting)
    lines = [f"{begin}; {_sent(facts['records_sent'], check)}", *_opening_lines(answer, timeout)]
    wrong = [*answer.rejected, *answer.differences]
    _report(Report(lines, facts, (), wrong, not answer.is_complete), as_json)


def _opening_lines(answer: TakeoverAnswer, timeout_s: int) -> Iterator[str]:
    if answer.is_complete and not answer.taken:
        yield "every account is open with this very position already: nothing changed"
        return
    known = f", {len(answer.known)} were open alike before" if answer.known else ""
    totals = "; the control totals match" if answer.is_complete else ""
    yield f"{len(answer.taken)} accounts taken, {len(answer.rejected)} rejected{known}{totals}"
    if answer.waiting:
        yield (
            f"{len(answer.waiting)} accounts without an answer after {timeout_s} s, the first is "
            f"{answer.waiting[0]}: their positions are recorded and will be answered when the "
            "customers core runs; the same command again tells what came of it"
        )


def _outgoing(producer: EdgeProducer) -> Any:
    def outgoing(topic: str, key: str, body: OpeningSubmitted) -> Outgoing:
        return producer.outgoing(topic, key, body)

    return outgoing


@contextmanager
def _producer(settings: Settings) -> Iterator[EdgeProducer]:
    with closing(open_producer(settings, "customers.edge", catalogue)) as producer:
        yield producer


@contextmanager
def _writer(settings: Settings) -> Iterator[Writer]:
    """The writer that every command of this kind takes over from the one before it."""
    with closing(TransactionalWriter(settings.kafka(), TRANSACTIONAL_ID)) as writer:
        yield writer


def _sent(records: int, check: bool) -> str:
    return "checked, nothing sent" if check else f"{records} records sent"


@dataclass(frozen=True, slots=True)
class Report:
    """What a command says: lines and facts, what is wrong in the files, what the core refused;
    is_open: something was not taken, or nobody knows yet."""

    lines: list[str]
    facts: dict[str, Any]
    defects: Iterable[Defect] = ()
    rejected: Iterable[Defect] = ()
    is_open: bool = False


def _report(report: Report, as_json: bool) -> None:
    """Print what became of it; status 2 when the files were wrong, 1 when the core refused."""
    defects, rejected = list(report.defects), list(report.rejected)
    if as_json:
        lists = {"defects": _rows(defects), "rejected": _rows(rejected)}
        typer.echo(json.dumps({**report.facts, **lists}, ensure_ascii=False, indent=1))
    else:
        named = _rows([*defects, *rejected])
        columns = [[str(row[name]) for row in named] for name in ("file", "line", "column")]
        widths = [max(map(len, cells), default=0) for cells in columns]
        for row, *cells in zip(named, *columns, strict=True):
            padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
            typer.echo("  ".join([*padded, str(row["problem"])]))
        for line in report.lines:
            typer.echo(line)
    if defects:
        raise typer.Exit(STATUS_BAD_ROWS)
    if report.is_open:
        raise typer.Exit(STATUS_REFUSED)


def _rows(defects: Iterable[Defect]) -> list[dict[str, object]]:
    return [
        {"file": each.file, "line": each.line, "column": each.column, "problem": each.problem}
        for each in defects
    ]


def _user_name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user of this number
        return "unknown"

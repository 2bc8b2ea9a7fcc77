"""`gridledger journal`: the double-entry journal outside the log: export, check, balance, CSV.

FILE has one entry a line, as `journal export` writes them from an export of the log:

    {"number", "posted_on", "posted_at", "event", "event_id", "text",
     "lines": [{"ledger_account", "sub_account", "debit_fen", "credit_fen"}],
     "prev_hash", "hash"}

`ledger_account` is a role of the chart (services/payments/journal.py); --chart FILE gives roles the
codes and names of your books: {"bank": {"code": "100201", "name_zh": "银行存款"}}. Hashes:
services/payments/ledger_chain.py. Entries are read one at a time; `export` holds all, to sort them.

`check --json` prints {"entries", "days": [{"posted_on", "entries", "hash": of the day's last}],
"findings": [{"place", "kind", "detail"}]}; `trial-balance --json` one object a day and account:
{"posted_on", "ledger_account", "code", "name_zh", "opening_fen", "debit_fen", "credit_fen",
"closing_fen"}, balances on the account's normal side; `ledger --json` one object a leg with the
columns of the CSV, which are those of LEDGER_COLUMNS, amounts in yuan.

Status 1: a finding (check). 2: wrong input; trial-balance and ledger refuse what is no entry, and
print nothing of such a file (of standard input, nothing from there on).
"""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import groupby, product
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.audit import Reader, scan
from libs.events.codec import Codec, envelope_of
from libs.events.documents import read_json
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from libs.events.record import Envelope
from services.audit.files import FileReader
from services.audit.manifest import file_name
from services.cli.row_file import STANDARD_INPUT, Row, read_rows
from services.cli.row_values import fixed_line
from services.cli.watched import watched
from services.payments.core import make_core
from services.payments.days import day_of
from services.payments.journal import CHART, JournalEntry, LedgerAccount, trial_balance
from services.payments.ledger_chain import (
    ExportedEntry,
    ExportedLine,
    Finding,
    chained,
    check_entries,
    line_findings,
)
from services.payments.settlement.core import make_core as make_settlement

PAYMENTS, SETTLEMENT = "payments.events", "payments.settlement"
NEEDED = (
    "number",
    "posted_on",
    "posted_at",
    "event",
    "event_id",
    "text",
    "lines",
    "prev_hash",
    "hash",
)
LINE_COLUMNS = ("ledger_account", "sub_account", "debit_fen", "credit_fen")
LEDGER_COLUMNS = (
    *("posted_on", "number", "text", "code", "name_zh", "ledger_account", "sub_account"),
    *("debit", "credit", "event", "event_id"),
)
BALANCE_WIDTHS = (10, 7, 18, -13, -13, -13)
BALANCE_HEADER = ("day", "code", "account", "debit", "credit", "closing")
FINDINGS_SHOWN = 20

app = typer.Typer(no_args_is_help=True, help="The journal on files: export, check, balance, CSV.")
File = Annotated[str, typer.Argument(help="Exported entries; -: standard input.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
Chart = Annotated[Path | None, typer.Option(help="Codes and names of your books.", metavar="FILE")]


@app.callback()
def journal() -> None:
    """The journal on files: export, check, balance, CSV."""


@app.command(epilog="Example: gridledger journal export --from-files export > journal.jsonl")
def export(
    from_files: Annotated[
        Path, typer.Option(help="An export of the log (`gridledger audit export DIR`).")
    ],
    as_json: Annotated[
        bool, typer.Option("--json", help="The same: it prints nothing but JSON.")
    ] = False,
) -> None:
    """Write the journal entries of an exported log, by day, chained by hash.

    One entry a line. The same log gives the same bytes.
    """
    reader = FileReader(from_files)
    # An older release had no settlement.
    has_settlement = file_name(SETTLEMENT, 0) in reader.manifest.files
    topics = (PAYMENTS, SETTLEMENT) if has_settlement else (PAYMENTS,)
    for entry in chained(in_order(logged_entries(reader, reader.partition_count, topics))):
        print(json.dumps(asdict(entry), ensure_ascii=False))


@app.command(epilog="Example: gridledger journal check journal.jsonl --json")
def check(file: File, as_json: AsJson = False) -> int:
    """Check every entry: debits equal credits, the chart, numbers, days, the hash chain.

    Status 1 when something is wrong. The last hash of a day stands for all
    entries up to it: compare it with the one that was noted then.
    """
    days: dict[str, dict[str, Any]] = {}

    def counted() -> Iterator[ExportedEntry]:
        for entry in read_entries(file):
            day = days.setdefault(entry.posted_on, {"posted_on": entry.posted_on, "entries": 0})
            day |= {"entries": day["entries"] + 1, "hash": entry.hash}
            yield entry

    findings = list(check_entries(counted()))
    count = sum(day["entries"] for day in days.values())
    if as_json:
        found = {
            "entries": count,
            "days": list(days.values()),
            "findings": [asdict(each) for each in findings],
        }
        print(json.dumps(found, ensure_ascii=False))
    else:
        show_check(count, list(days.values()), findings)
    return int(bool(findings))


@app.command(
    "trial-balance", epilog="Example: gridledger journal trial-balance journal.jsonl --json"
)
def balance(file: File, chart: Chart = None, as_json: AsJson = False) -> None:
    """Debits, credits and closing balance of each account, day by day.

    A day's debits equal its credits, and so do the balances of all days.
    """
    accounts = read_chart(chart) if chart else CHART
    check_first(file)
    closing = dict.fromkeys(CHART, 0)
    is_first = True
    for posted_on, entries in groupby(sound_entries(file), key=lambda each: each.posted_on):
        rows = trial_balance(each.entry for each in entries)
        if is_first and not as_json:
            print(fixed_line(BALANCE_HEADER, BALANCE_WIDTHS))
        is_first = False
        for row in rows:
            closing[row.ledger_account] += row.balance_fen
            if as_json:
                account = accounts[row.ledger_account]
                document = {
                    "posted_on": posted_on,
                    "ledger_account": row.ledger_account,
                    "code": account.code,
                    "name_zh": account.name_zh,
                    "opening_fen": closing[row.ledger_account] - row.balance_fen,
                    "debit_fen": row.debit_fen,
                    "credit_fen": row.credit_fen,
                    "closing_fen": closing[row.ledger_account],
                }
                print(json.dumps(document, ensure_ascii=False))
            elif row.debit_fen or row.credit_fen or closing[row.ledger_account]:
                account = accounts[row.ledger_account]
                amounts = (row.debit_fen, row.credit_fen, closing[row.ledger_account])
                cells = (posted_on, account.code, account.name_zh, *map(format_yuan, amounts))
                print(fixed_line(cells, BALANCE_WIDTHS))
        if not as_json:
            sums = (sum(row.debit_fen for row in rows), sum(row.credit_fen for row in rows))
            print(fixed_line((posted_on, "", "合计", *map(format_yuan, sums), ""), BALANCE_WIDTHS))


@app.command(epilog="Example: gridledger journal ledger journal.jsonl --chart chart.json > gl.csv")
def ledger(file: File, chart: Chart = None, as_json: AsJson = False) -> None:
    """Write the entries for the general ledger: CSV, one leg a line, in yuan."""
    accounts = read_chart(chart) if chart else CHART
    check_first(file)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    is_first = True
    for entry in sound_entries(file):
        if is_first and not as_json:
            writer.writerow(LEDGER_COLUMNS)
        is_first = False
        for line in entry.lines:
            account = accounts[line.ledger_account]
            cells = (
                *(entry.posted_on, entry.number, entry.text, account.code, account.name_zh),
                *(line.ledger_account, line.sub_account),
                *(format_yuan(line.debit_fen), format_yuan(line.credit_fen)),
                *(entry.event, entry.event_id),
            )
            if as_json:
                print(json.dumps(dict(zip(LEDGER_COLUMNS, cells, strict=True)), ensure_ascii=False))
            else:
                writer.writerow(cells)


# -- input ----------------------------------------------------------------------------------------


def logged_entries(
    reader: Reader, partitions: int, topics: Sequence[str] = (PAYMENTS, SETTLEMENT)
) -> Iterator[ExportedEntry]:
    """The entries in the events of payments and of settlement, as the cores wrote them."""
    codecs = {
        PAYMENTS: Codec(make_core().catalogue),
        SETTLEMENT: Codec(make_settlement().catalogue),
    }
    for topic, partition in product(topics, range(partitions)):
        codec = codecs[topic]
        for record in scan(reader, topic, partition):
            envelope = envelope_of(record.headers)
            body = codec.decode(envelope.type, record.value) if codec.knows(envelope.type) else None
            entry = getattr(body, "journal", None)
            if isinstance(entry, JournalEntry):
                yield exported(envelope, entry)


def exported(envelope: Envelope, entry: JournalEntry) -> ExportedEntry:
    """An entry with the event that booked it; number and hashes follow when it is chained."""
    return ExportedEntry(
        number=0,
        posted_on=day_of(envelope.time),
        posted_at=envelope.time,
        event=envelope.type,
        event_id=envelope.id,
        text=entry.text,
        lines=tuple(ExportedLine(**asdict(line)) for line in entry.lines),
    )


def in_order(entries: Iterable[ExportedEntry]) -> list[ExportedEntry]:
    """The order in which a journal is chained: whatever the order of partitions was."""
    return sorted(entries, key=lambda each: (each.posted_on, each.posted_at, each.event_id))


def read_entries(path: str) -> Iterator[ExportedEntry]:
    """The entries of a file, one at a time; BadInput names file, line and field."""
    is_empty = True
    for row in watched(read_rows(path, NEEDED, ()), "entries"):
        is_empty = False
        yield entry_of(row)
    if is_empty:
        raise BadInput(path, "has no entries", "write them with `gridledger journal export`")


def entry_of(row: Row) -> ExportedEntry:
    """One line of the file."""
    lines = row.cells.get("lines")
    if not isinstance(lines, list):
        raise row.wrong("lines", "is no list", "write the legs as objects in a list")
    return ExportedEntry(
        number=row.whole("number"),
        posted_on=row.day("posted_on"),
        posted_at=row.instant("posted_at"),
        lines=tuple(_line_of(row, each, f"lines[{at}]") for at, each in enumerate(lines)),
        **{name: row.text(name) for name in ("event", "event_id", "text", "prev_hash", "hash")},
    )


def _line_of(row: Row, line: Any, place: str) -> ExportedLine:
    if not isinstance(line, dict) or set(line) != set(LINE_COLUMNS):
        raise row.wrong(place, "is no leg", f"an object of {', '.join(LINE_COLUMNS)}")
    if not all(isinstance(each, str) for each in line.values()):
        raise row.wrong(place, "has a value that is neither text nor number", "correct it")
    leg = replace(row, cells=line)
    amounts = {name: leg.whole(name) for name in ("debit_fen", "credit_fen")}
    for name, amount_fen in amounts.items():
        if amount_fen < 0:
            raise row.wrong(f"{place} {name}", f"{amount_fen} is below zero", "use the other side")
    return ExportedLine(
        ledger_account=line["ledger_account"],
        sub_account=line["sub_account"],
        debit_fen=amounts["debit_fen"],
        credit_fen=amounts["credit_fen"],
    )


def sound_entries(path: str) -> Iterator[ExportedEntry]:
    """Entries that can be booked, in the order of their days; BadInput names the first other."""
    last_on = ""
    for place, entry in enumerate(read_entries(path), 1):
        fix = "see `gridledger journal check`"
        for finding in line_findings(entry, place):
            raise BadInput(f"{path} entry {place}", f"{finding.kind}: {finding.detail}", fix)
        if entry.posted_on < last_on:
            raise BadInput(f"{path} entry {place}", f"{entry.posted_on} after {last_on}", fix)
        last_on = entry.posted_on
        yield entry


def check_first(path: str) -> None:
    """Read a file to its end before anything of it is printed; standard input comes but once."""
    if path != STANDARD_INPUT:
        for _ in sound_entries(path):
            pass


def read_chart(path: Path) -> dict[str, LedgerAccount]:
    """The chart with the codes and names of a file."""
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(str(path), "is no JSON object", 'write it like {"bank": {"code": "100201"}}')
    found = dict(CHART)
    for role, given in document.items():
        if role not in CHART:
            raise BadInput(f"{path} {role}", "is no role", f"one of {', '.join(CHART)}")
        if not isinstance(given, dict) or not set(given) <= {"code", "name_zh"}:
            raise BadInput(f"{path} {role}", "is no account", "give code and name_zh")
        for name, value in given.items():
            if not isinstance(value, str) or not value:
                raise BadInput(f"{path} {role} {name}", f"{value!r} is no text", "write a text")
        found[role] = replace(found[role], **given)
    return found


def show_check(count: int, days: list[dict[str, Any]], findings: list[Finding]) -> None:
    """The result for people."""
    for day in days:
        print(f"{day['posted_on']}  {day['entries']} entries, hash {day['hash'][:32]}...")
    for finding in findings[:FINDINGS_SHOWN]:
        print(f"entry {finding.place}: {finding.kind}")
        print(f"  {finding.detail}")
    if len(findings) > FINDINGS_SHOWN:
        print(f"and {len(findings) - FINDINGS_SHOWN} findings more, see --json")
    verdict = "the chain is whole and every entry balances" if not findings else "NOT whole"
    print(f"{count} entries, {len(findings)} findings: {verdict}")

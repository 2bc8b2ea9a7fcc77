"""`gridledger rate`: bills out of files, by the functions of the billing service.

--usage FILE and --contract FILE: JSON lines, one object a line and an account or more, or one YAML
or JSON document; fields by `--schema usage` and `--schema contract`. Both are in the order of their
accounts: one account is held at a time, however long the files are. --book FILE: a price book;
several for several versions or regions. What a usage has been cut by is in rate_inputs.py.

`--json` prints one object a bill:

    {"account", "period", "from_on", "until_on",
     "books": [{"id", "version", "content_hash"}], "withheld", "total_fen", "energy_wh",
     "lines": [{"code", "name_zh", "name_en", "point", "from_on", "until_on",
                "quantity", "unit" (Wh, VA, W, month, or fen for a percentage), "price",
                "price_unit", "amount_fen", "rule", "basis": {}, "reading_ids", "unconfirmed"}],
     "tiers_before": {point: {"key", "used_wh"}}, "tiers_after", "estimated", "exchanged",
     "blocked_days", "findings": [{"rule", "point", "text", "numbers": {}}], "warnings",
     "not_yet_rated": [{"what", "point", "reason", "withheld"}], "notes": [],
     "story": [{"zh", "en"}] (with --explain)}

Status 1 when a bill is withheld: its findings say why.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled, format_yuan
from services.billing.bill import BillLine
from services.billing.book_schema import SCHEMAS, schema_of
from services.billing.contract_file import Contract, read_contract
from services.billing.explanation import BASIS_PHRASES, LANGUAGES, UNIT_NAMES
from services.billing.price_book import PriceBook, book_key
from services.billing.price_book_file import load_book
from services.billing.story import story
from services.billing.usage_file import UsageEntry, read_usage
from services.cli.entry_file import read_entries
from services.cli.rate_inputs import RatedBill, rated_bills
from services.cli.row_file import STANDARD_INPUT
from services.cli.row_values import fixed_line, today_on
from services.cli.watched import watched
from services.cli.wrapped_text import wrapped
from services.customers.days import read_day

WIDTHS = (20, 16, -17, -10, -11, 1)
HEADERS = {
    "zh": ("项目", "名称", "数量", "单价", "元", ""),
    "en": ("charge", "name", "quantity", "price", "yuan", ""),
}
UNCONFIRMED = {"zh": "?：价格或规则未经核实", "en": "?: price or rule unconfirmed"}
TOTAL = {"zh": "合计", "en": "total"}
RULE = {"zh": "规则", "en": "rule"}
WITHHELD = {"zh": "不出账", "en": "withheld"}
COLUMNS = 80

app = typer.Typer(help="Rate usage files with price books: the bills, line by line.")


@app.command(
    epilog="Example: gridledger rate --usage usage.jsonl --book books/cq_residential.yaml "
    "--contract contracts.jsonl --explain"
)
def rate(
    usage: Annotated[
        str, typer.Option(help="What was used; -: standard input.", metavar="FILE")
    ] = "",
    book: Annotated[
        list[Path] | None, typer.Option(help="A price book, repeatable.", metavar="FILE")
    ] = None,
    contract: Annotated[
        str, typer.Option(help="The contracts; -: standard input.", metavar="FILE")
    ] = "",
    explain: Annotated[
        bool, typer.Option("--explain", help="Tell each bill in Chinese and English.")
    ] = False,
    language: Annotated[str, typer.Option(help="Of the table: zh or en.")] = "zh",
    on: Annotated[str, typer.Option(help="What counts as today.", metavar="DAY")] = "",
    schema: Annotated[
        str, typer.Option(help="Print the JSON Schema of usage, contract or book.", metavar="KIND")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Rate usage with price books and contracts, as the billing service does.

    Files are JSON lines in the order of their accounts, or one YAML document;
    `--schema` prints their fields. Status 1 when a bill is withheld.
    """
    if schema:
        print(json.dumps(schema_of(schema), ensure_ascii=False, indent=1))
        return 0
    _require(usage, book, contract, language)
    today = read_day(on, "--on") if on else today_on()
    books = load_each(book or [])
    found = rated_bills(usages_in(usage, today), contracts_in(contract), books)
    is_withheld = False
    for rated in watched(found, "bills", prints=True):
        is_withheld |= rated.bill.withheld
        if as_json:
            print(json.dumps(document(rated, explain), ensure_ascii=False))
        else:
            show(rated, language, explain)
    return int(is_withheld)


def _require(usage: str, book: Sequence[Path] | None, contract: str, language: str) -> None:
    if language not in LANGUAGES:
        raise BadInput("--language", f"{language!r} is not known", "zh or en")
    for option, given in (("--usage", usage), ("--book", book), ("--contract", contract)):
        if not given:
            kinds = ", ".join(SCHEMAS)
            fix = f"rate needs --usage, --book and --contract; or --schema {kinds}"
            raise BadInput(option, "is missing", fix)
    if usage == contract == STANDARD_INPUT:
        raise BadInput("--contract", "standard input is the usage already", "name a file")


def load_each(files: Sequence[Path]) -> list[PriceBook]:
    """The books of files; one version twice is refused."""
    books: dict[str, PriceBook] = {}
    for file in files:
        book = load_book(file)
        if book_key(book) in books:
            raise BadInput("--book", f"{book_key(book)} is given twice", "give each version once")
        books[book_key(book)] = book
    return list(books.values())


def usages_in(path: str, today: str) -> Iterator[UsageEntry]:
    """The usages of a file, one at a time."""
    for place, found in read_entries(path):
        yield read_usage(found, place, today)


def contracts_in(path: str) -> Iterator[Contract]:
    """The contracts of a file, one at a time."""
    for place, found in read_entries(path):
        yield read_contract(found, place)


def document(rated: RatedBill, with_story: bool) -> dict[str, object]:
    """A bill as the object that `--json` prints."""
    found: dict[str, object] = {**asdict(rated.bill), "notes": list(rated.notes)}
    if with_story:
        found["story"] = [each._asdict() for each in story(rated.bill, rated.parts)]
    return found


def show(rated: RatedBill, language: str, with_story: bool) -> None:
    """A bill as a table, or as a story."""
    bill = rated.bill
    books = ", ".join(book_key(each) for each in bill.books)
    print(f"{bill.account} {bill.period} ({bill.from_on} .. {bill.until_on}) {books}")
    if with_story:
        for each in story(bill, rated.parts):
            for text in each:
                _wrapped(text, "  ")
        _show_notes(rated)
        return
    if bill.lines:
        print(fixed_line(HEADERS[language], WIDTHS))
    for line in bill.lines:
        _show_line(line, language)
    if not bill.withheld:
        cells = (TOTAL[language], "", f"{_kilo(bill.energy_wh)} kWh", "")
        print(fixed_line((*cells, format_yuan(bill.total_fen), ""), WIDTHS))
    if any(line.unconfirmed for line in bill.lines):
        print(f"  {UNCONFIRMED[language]}")
    for finding in bill.findings:
        _wrapped(f"{WITHHELD[language]}: {finding.point} {finding.rule}: {finding.text}", "  ")
    for gap in bill.not_yet_rated:
        _wrapped(f"not yet rated: {gap.what} {gap.point} {gap.reason}", "  ")
    for finding in bill.warnings:
        _wrapped(f"warning: {finding.point} {finding.rule}: {finding.text}", "  ")
    _show_notes(rated)


def _show_notes(rated: RatedBill) -> None:
    for note in rated.notes:
        _wrapped(f"note: {note}", "  ")


def _show_line(line: BillLine, language: str) -> None:
    quantity = format_yuan(line.quantity) if line.unit == "fen" else _kilo(line.quantity)
    if line.unit == "month":
        quantity = str(line.quantity)
    price = f"{line.price} %" if line.price_unit == "%" else line.price
    cells = (
        line.code,
        line.name_zh if language == "zh" else line.name_en,
        f"{quantity} {UNIT_NAMES[line.unit][1]}",
        price,
        format_yuan(line.amount_fen),
        "?" if line.unconfirmed else "",
    )
    print(fixed_line(cells, WIDTHS))
    basis = [f"{RULE[language]} {line.rule}"]
    if line.point:
        basis.insert(0, line.point)
    for key, text in line.basis.items():
        phrase = BASIS_PHRASES[key]
        said = phrase.zh if language == "zh" else phrase.en
        basis.append(said.format(phrase.say(text)))
    _wrapped("; ".join(basis), "  ")


def _kilo(value: int) -> str:
    return format_scaled(value, WH_PER_KWH)


def _wrapped(text: str, indent: str) -> None:
    for line in wrapped(" ".join(text.split()), COLUMNS - len(indent)):
        print(f"{indent}{line}")

"""`gridledger tariff`: what is wrong or odd in price books, and what differs between two.

audit and accept are in tariff_audit.py, late-fee in tariff_late_fee.py.

check: defects (a book with one is not rated by), prices out of order, versions with a gap or an
overlap, of all books together; and each value marked `unconfirmed` with its source. `--json`:

    {"books": [key],
     "findings": [{"kind" (defect, order, versions), "book", "field", "problem", "fix"}],
     "unconfirmed": [{"book", "field", "source"}]}

Status 1 with a finding; what is unconfirmed is told and does not fail.

diff: what changes for whom, from A to B; status 0. `--json`:

    {"a": key, "b": key,
     "differences": [{"price_list" ("" for all accounts), "category", "voltage_class", "name_zh",
                      "name_en", "field", "before", "after", "change_pct" (of a price, or null)}]}
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from services.billing.book_defects import BookDefect, defects
from services.billing.book_diff import Difference, differences
from services.billing.book_order import (
    out_of_order,
    unconfirmed_values,
    version_defects,
    voltage_order,
)
from services.billing.price_book import PriceBook, book_key
from services.billing.price_book_file import examined_book
from services.cli.row_values import per_cent
from services.cli.tariff_audit import accept, audit
from services.cli.tariff_late_fee import late_fee_file
from services.cli.wrapped_text import wrapped

COLUMNS = 80


app = typer.Typer(help="Price books: what is wrong in them, what differs; late fees on files.")
app.command("late-fee", epilog="Example: gridledger tariff late-fee payments.csv --json")(
    late_fee_file
)
app.command(
    epilog="Example: gridledger tariff audit --usage u.jsonl --contract c.jsonl --book b.yaml"
)(audit)
app.command(
    epilog="Example: gridledger tariff accept 1000000063-T001 --by li --reason 'as agreed'"
)(accept)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]

Found = tuple[str, PriceBook, BookDefect]


@app.command(epilog="Example: gridledger tariff check books/cq_residential.yaml --json")
def check(
    files: Annotated[
        list[Path], typer.Argument(help="Price books (YAML), all versions.", metavar="FILE...")
    ],
    as_json: AsJson = False,
) -> int:
    """Find holes and overlaps in calendars, missing periods, prices out of order.

    Versions of one book are compared with each other, voltages within a region.
    Values that nobody confirmed are listed. Status 1 with a finding.
    """
    books = _books(files)
    found = review(books)
    if as_json:
        print(json.dumps(_document(books, found), ensure_ascii=False, indent=1))
        return int(bool(found))
    for book in books:
        lists = ", ".join(book.price_lists)
        _say(f"{book_key(book)}: {book.region}, from {book.from_on}, lists {lists}", "", "  ")
        for kind, owner, defect in found:
            if owner is book:
                _say(f"{kind}: {defect.field}: {defect.problem} ({defect.fix})", "  ", "    ")
        for each in unconfirmed_values(book):
            source = f" [{each.source}]" if each.source else ""
            _say(f"unconfirmed: {each.field}{source}", "  ", "    ")
    count = sum(len(unconfirmed_values(book)) for book in books)
    print(f"{len(books)} books, {len(found)} findings, {count} unconfirmed")
    return int(bool(found))


def review(books: Sequence[PriceBook]) -> list[Found]:
    """Every finding; prices of a book with defects are not compared, they may be no prices."""
    found: list[Found] = []
    sound = []
    for book in books:
        own = defects(book)
        found += (("defect", book, each) for each in own)
        if not own:
            sound.append(book)
            found += (("order", book, each) for each in out_of_order(book))
    found += (("order", book, each) for book, each in voltage_order(sound))
    found += (("versions", book, each) for book, each in version_defects(books))
    return found


def _books(files: Sequence[Path]) -> list[PriceBook]:
    books: dict[str, PriceBook] = {}
    for file in files:
        book = examined_book(file)
        if book_key(book) in books:
            raise BadInput(f"{file}: version", f"{book_key(book)} is given twice", "raise it")
        books[book_key(book)] = book
    return list(books.values())


def _document(books: Sequence[PriceBook], found: Iterable[Found]) -> dict[str, Any]:
    return {
        "books": [book_key(book) for book in books],
        "findings": [
            {"kind": kind, "book": book_key(book), **asdict(defect)} for kind, book, defect in found
        ],
        "unconfirmed": [
            {"book": book_key(book), **each._asdict()}
            for book in books
            for each in unconfirmed_values(book)
        ],
    }


def _say(text: str, first: str, rest: str) -> None:
    for number, line in enumerate(wrapped(text, COLUMNS - len(rest))):
        print(f"{rest if number else first}{line}")


@app.command(epilog="Example: gridledger tariff diff old.yaml new.yaml --json")
def diff(
    a: Annotated[Path, typer.Argument(help="The book before.", metavar="A")],
    b: Annotated[Path, typer.Argument(help="The book after.", metavar="B")],
    as_json: AsJson = False,
) -> int:
    """Say what changes for whom from one price book to another."""
    old, new = examined_book(a), examined_book(b)
    for file, book in ((a, old), (b, new)):
        _require_sound(file, book)
    found = differences(old, new)
    if as_json:
        document = {"a": book_key(old), "b": book_key(new)}
        rows = [_row(each) for each in found]
        print(json.dumps({**document, "differences": rows}, ensure_ascii=False, indent=1))
        return 0
    print(f"{book_key(old)} -> {book_key(new)}: {len(found)} differences")
    for _, group in groupby(found, lambda each: each.price_list):
        _show(list(group))
    return 0


def _require_sound(file: Path, book: PriceBook) -> None:
    found = defects(book)
    if found:
        fix = "see `gridledger tariff check`"
        raise BadInput(f"{file.name}: {found[0].field}", found[0].problem, fix)


def _row(difference: Difference) -> dict[str, Any]:
    row = asdict(difference)
    change = row.pop("change_e2_pct")
    return {**row, "change_pct": None if change is None else per_cent(change)}


def _show(group: Sequence[Difference]) -> None:
    first = group[0]
    whom = "all accounts of the book"
    if first.price_list:
        whom = f"{first.price_list}: {first.name_en} / {first.name_zh}"
        whom += f" ({first.category}, {first.voltage_class})"
    _say(f"for {whom}", "", "  ")
    for each in group:
        change = ""
        if each.change_e2_pct is not None:
            sign = "+" if each.change_e2_pct > 0 else ""
            change = f" ({sign}{per_cent(each.change_e2_pct)} %)"
        before, after = each.before or "none", each.after or "none"
        _say(f"{each.field}: {before} -> {after}{change}", "  ", "    ")

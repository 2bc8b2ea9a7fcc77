"""`gridledger whatif`: recorded usage rated again by other price books.

Every issued invoice of an export (--from-files) or the cluster, as its corrections left it, is
rated by the books of --book from the very inputs that it records; or the bills of --usage and
--contract (as of `gridledger rate`, by the books of --billed-by). Nothing is kept of a bill but its
place in a histogram, so memory stays flat. A new book takes the place of the one with its id, else
of any of its region, whatever days it is in force on. `--json`:

    {"books": [key], "bills": count, "unconcerned": count (no new book prices them),
     "unrated": {rule: count} (withheld before or by the new books; in no total),
     "all": {"bills", "lower", "higher", "same", "before_fen", "after_fen", "change_fen",
             "won_fen", "lost_fen", "deciles_fen": [11 changes, least to most; three digits]},
     "by_category": {category: as "all"}}

Status 1 when a bill cannot be rated by the new books.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.billing.price_book import book_key
from services.billing.what_if import Comparison, Tally, ever_in_force, rated_under
from services.cli.rate import load_each
from services.cli.recorded_bills import RecordedBill, RecordedBills
from services.cli.row_values import fixed_line, today_on
from services.cli.watched import watched
from services.customers.days import read_day

WIDTHS = (22, -8, -8, -8, -14, -14)
HEADERS = ("class of use", "bills", "lower", "higher", "before yuan", "change yuan")

app = typer.Typer(help="What recorded usage would cost by other price books.")


@app.command(epilog="Example: gridledger whatif --book 2027.yaml --from-files export --json")
def whatif(
    book: Annotated[
        list[Path] | None, typer.Option(help="A new price book, repeatable.", metavar="FILE")
    ] = None,
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    usage: Annotated[str, typer.Option(help="What was used; -: stdin.", metavar="FILE")] = "",
    contract: Annotated[str, typer.Option(help="The contracts.", metavar="FILE")] = "",
    billed_by: Annotated[
        list[Path] | None,
        typer.Option(help="With --usage: the book now, repeatable.", metavar="FILE"),
    ] = None,
    on: Annotated[str, typer.Option(help="What counts as today.", metavar="DAY")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> int:
    """Rate recorded usage by other price books: winners, losers, totals, spread.

    From an export, from --usage, --contract and --billed-by, or else from the
    cluster. Status 1 when a bill cannot be rated by the new books.
    """
    if not book:
        raise BadInput("--book", "is missing", "name the new price book")
    today = read_day(on, "--on") if on else today_on()
    new, old = load_each(book), load_each(billed_by or [])
    if len({each.id for each in new}) < len(new):
        raise BadInput("--book", "two versions of one book are given", "give the one to compare")
    found, tried = Comparison(), ever_in_force(new)
    for recorded in watched(RecordedBills(usage, contract, old, from_files, today), "bills"):
        after = rated_under(recorded.parts, recorded.bill.tiers_before, tried)
        found.take(_category(recorded), recorded.bill, after)
    books = [book_key(each) for each in new]
    if as_json:
        print(json.dumps(document(found, books), ensure_ascii=False, indent=1))
    else:
        show(found, books)
    return int(bool(found.unrated))


def _category(recorded: RecordedBill) -> str:
    """The class of use of the first point in the order of the agreement."""
    return recorded.parts[0].terms.points[0].category


def document(found: Comparison, books: list[str]) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "books": books,
        "bills": found.all.bills + found.unconcerned + found.unrated.total(),
        "unconcerned": found.unconcerned,
        "unrated": dict(sorted(found.unrated.items())),
        "all": _figures(found.all),
        "by_category": {name: _figures(each) for name, each in sorted(found.by_category.items())},
    }


def _figures(tally: Tally) -> dict[str, Any]:
    return {
        "bills": tally.bills,
        "lower": tally.lower,
        "higher": tally.higher,
        "same": tally.bills - tally.lower - tally.higher,
        "before_fen": tally.before_fen,
        "after_fen": tally.after_fen,
        "change_fen": tally.change_fen,
        "won_fen": tally.won_fen,
        "lost_fen": tally.lost_fen,
        "deciles_fen": list(tally.deciles()),
    }


def show(found: Comparison, books: list[str]) -> None:
    """The comparison for people."""
    print(f"by {', '.join(books)}: {found.all.bills} bills rated again, "
          f"{found.unconcerned} that they do not price")  # fmt: skip
    print(fixed_line(HEADERS, WIDTHS))
    for name, tally in (*sorted(found.by_category.items()), ("all", found.all)):
        print(fixed_line(_cells(name, tally), WIDTHS))
    won, lost = format_yuan(found.all.won_fen), format_yuan(found.all.lost_fen)
    print(f"winners save {won} yuan, losers pay {lost} more")
    if found.all.bills:
        print("change of a bill in yuan, by tenths of the bills from the least to the most:")
        deciles = [format_yuan(each) for each in found.all.deciles()]
        for row in (deciles[:6], deciles[6:]):
            print("  " + " ".join(f"{each:>12}" for each in row))
    for rule, count in sorted(found.unrated.items()):
        print(f"not rated: {count} for {rule}")


def _cells(name: str, tally: Tally) -> tuple[str, ...]:
    counts = (str(each) for each in (tally.bills, tally.lower, tally.higher))
    return (name, *counts, format_yuan(tally.before_fen), format_yuan(tally.change_fen))

"""`gridledger feed-in`: statements of what was fed in, calculated from a file.

FILE, sorted by account_no and month, one row a usage point and month:

    account_no, month, usage_point   the month as 2026-01; all of its days
    price_list                       the list of feed-in by which the account's export is valued
    export_wh                        what the point exported, after ratio
    export_sharp_wh, export_peak_wh, export_flat_wh, export_valley_wh
                                     of it by period, where the meter has rates; flat is the rest
    quality                          actual (also when empty) or estimated

`--json` prints one object a line:

    {"account_no", "month", "energy_wh", "amount_fen", "estimated", "netting" (none or offset),
     "books": [], "lines": [{"code", "point", "energy_wh", "price", "amount_fen", "rule",
     "unconfirmed"}], "findings": [{"rule", "point", "text"}]}

Status 1 when a statement cannot be made: it has findings and no lines then.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled, format_yuan
from libs.tou_calendar import PERIODS, book_on
from services.billing.agreement import AgreementTerms, PointTerms
from services.billing.bill import RatingPart
from services.billing.explanation import explain_line
from services.billing.feed_in import Statement, statement_of
from services.billing.months import add_days, month_span
from services.billing.price_book import PriceBook, book_key
from services.billing.price_book_file import load_book
from services.billing.usage import QUALITIES, AccountUsage, PointUsage
from services.cli.row_file import STANDARD_INPUT, Row, read_rows
from services.cli.row_values import ENERGY_MOST_WH, between, optional_between, today_on
from services.cli.watched import watched

NEEDED = ("account_no", "month", "usage_point", "price_list", "export_wh")
PERIOD_COLUMNS = {period: f"export_{period}_wh" for period in PERIODS}
KNOWN = (*PERIOD_COLUMNS.values(), "quality")
MONTH = re.compile(r"20[0-9]{2}-(?:0[1-9]|1[0-2])")

app = typer.Typer(help="Statements of what was fed in, from a file.")


@app.command(epilog="Example: gridledger feed-in exports.csv --book cq_feed_in.yaml")
def feed_in(
    file: Annotated[str, typer.Argument(help="Exports by month, CSV or JSON lines; - for stdin.")],
    book: Annotated[list[Path], typer.Option(help="Price books; repeat it.", metavar="FILE")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """State what accounts fed in, by the very function that billing states it with.

    FILE must be sorted by account_no and month. Its columns: account_no,
    month (2026-01), usage_point, price_list (of feed-in), export_wh; where
    the meter has rates export_sharp_wh, export_peak_wh, export_flat_wh,
    export_valley_wh; quality. Nothing that was drawn is taken off.
    Status 1 when a statement cannot be made.
    """
    books = [load_book(each) for each in book]
    status = 0
    for made in statements(file, books):
        status |= bool(made.findings)
        if as_json:
            print(json.dumps(document(made), ensure_ascii=False))
        else:
            show(made)
    return status


def statements(file: str, books: Sequence[PriceBook]) -> Iterator[Statement]:
    """The statements of a file, one at a time; BadInput names its line and column."""
    last = ("", "")
    rows = watched(read_rows(file, NEEDED, KNOWN), "rows")
    for place, found in groupby(rows, key=_place):
        group = list(found)
        if place <= last:
            problem = f"{' '.join(place)} comes after {' '.join(last)}"
            raise group[0].wrong("month", problem, "sort the file by account_no and month")
        last = place
        yield statement_of([_part(group, books)])
    if not any(last):
        name = "standard input" if file == STANDARD_INPUT else file
        raise BadInput(name, "has no export", "give a row a usage point and month after the header")


def _place(row: Row) -> tuple[str, str]:
    month = row.text("month")
    if not MONTH.fullmatch(month):
        raise row.wrong("month", f"{month!r} is no month", "write it as 2026-01")
    if month_span(month)[1] > today_on():
        raise row.wrong("month", f"{month} is not over", "give months that are over")
    return row.text("account_no"), month


def _part(rows: Sequence[Row], books: Sequence[PriceBook]) -> RatingPart:
    account_no, month = _place(rows[0])
    from_on, until_on = month_span(month)
    name = rows[0].text("price_list")
    seen: set[str] = set()
    for row in rows:
        if row.text("price_list") != name:
            raise row.wrong("price_list", f"is not {name}", "an account has one list a month")
        if row.text("usage_point") in seen:
            raise row.wrong(
                "usage_point",
                f"{row.text('usage_point')!r} is there twice",
                "one row a point and month",
            )
        seen.add(row.text("usage_point"))
    book = book_on(books, {name}, from_on)
    if book is None:
        problem = f"no given book has {name!r} on {from_on}"
        raise rows[0].wrong("price_list", problem, "give --book with it")
    if book_on(books, {name}, add_days(until_on, -1)) is not book:
        problem = f"the book changes within {month}"
        raise rows[0].wrong("month", problem, "what a file has by month cannot be cut by day")
    terms = AgreementTerms(
        account=account_no,
        price_book=book.id,
        points=tuple(_point(row) for row in rows),
        feed_in_price_list=name,
    )
    usage = AccountUsage(
        account=account_no,
        period=month,
        cycle_from_on=from_on,
        cycle_until_on=until_on,
        from_on=from_on,
        until_on=until_on,
        points=tuple(_usage(row, from_on, until_on) for row in rows),
    )
    return RatingPart(usage, book, terms)


def _point(row: Row) -> PointTerms:
    """The rates of the file are named by their periods."""
    given = [period for period, column in PERIOD_COLUMNS.items() if row.optional(column)]
    return PointTerms(
        point=row.text("usage_point"),
        price_list="",
        category="",
        voltage_class="",
        rate_periods={period: period for period in given},
    )


def _usage(row: Row, from_on: str, until_on: str) -> PointUsage:
    quality = row.one_of("quality", QUALITIES) if row.optional("quality") else QUALITIES[0]
    by_period = {
        period: optional_between(row, column, 0, ENERGY_MOST_WH)
        for period, column in PERIOD_COLUMNS.items()
    }
    return PointUsage(
        point=row.text("usage_point"),
        from_on=from_on,
        until_on=until_on,
        import_wh=0,
        export_wh=between(row, "export_wh", 0, ENERGY_MOST_WH),
        export_wh_by_rate={name: wh for name, wh in by_period.items() if wh is not None},
        quality=quality,
    )


def document(made: Statement) -> dict[str, Any]:
    """A statement as stable data."""
    return {
        "account_no": made.account,
        "month": made.period,
        "energy_wh": made.energy_wh,
        "amount_fen": made.amount_fen,
        "estimated": made.estimated,
        "netting": made.netting,
        "books": [book_key(each) for each in made.books],
        "lines": [
            {
                "code": line.code,
                "point": line.point,
                "energy_wh": line.quantity,
                "price": line.price,
                "amount_fen": line.amount_fen,
                "rule": line.rule,
                "unconfirmed": line.unconfirmed,
            }
            for line in made.lines
        ],
        "findings": [
            {"rule": each.rule, "point": each.point, "text": each.text} for each in made.findings
        ],
    }


def show(made: Statement, language: str = "en") -> None:
    """A statement for people."""
    energy = format_scaled(made.energy_wh, WH_PER_KWH)
    for each in made.findings:
        place = " ".join(filter(None, (made.account, made.period, each.point)))
        print(f"{place}: no statement, {each.rule}: {each.text}")
    if not made.findings:
        estimated = ", with estimated energy" if made.estimated else ""
        print(
            f"{made.account} {made.period}: fed in {energy} kWh, "
            f"to be paid {format_yuan(made.amount_fen)} CNY{estimated}"
        )
    for line in made.lines:
        for part in explain_line(line, language).replace("；", "; ").split("; "):
            print(f"  {part}")

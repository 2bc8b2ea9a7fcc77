"""`gridledger tariff late-fee`: what debts that were paid late bear, by either published reading.

Reads one payment of a debt a line: debt_no, residential (yes, no), due_on, paid_on, paid_yuan. A
debt paid in pieces has a line for each; its fee is their sum, at least the minimum of the rule.
The rates are those of `--book`, else the ones of 1996; `--reading` says which of the two published
readings counts at the year's end, whatever the book says:

    split_at_year_end   the days of the debt's own year at one rate, those after it at another
    whole_debt_by_age   all days at the later rate once the year is over

With --json one object a line:

    debt      debt_no, residential, due_on, fee_fen, minimum_fen, payments: paid_on, paid_fen,
              fee_fen, shares (days, permille, amount_fen)
    summary   debts, late (that bear a fee), fee_fen, rule, source, unconfirmed
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.codec import to_document
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan, parse_yuan
from services.billing.late_fee import LATE_FEE_RULES, LateFee, late_fee
from services.billing.late_fees import standing_fen
from services.billing.price_book import LateFeeRule
from services.billing.price_book_file import load_book
from services.cli.metrology_trails import tell
from services.cli.row_file import Row, read_rows
from services.cli.row_values import FIRST_ON, today_on
from services.cli.watched import watched

COLUMNS = ("debt_no", "residential", "due_on", "paid_on", "paid_yuan")


@dataclass(slots=True)
class Debt:
    """A debt and its payments so far, each with its fee before the minimum."""

    due_on: str
    residential: bool
    payments: list[tuple[str, int, LateFee]] = field(default_factory=list)


def late_fee_file(
    file: Annotated[str, typer.Argument(help="Payments, - for standard input.")],
    book: Annotated[Path | None, typer.Option(help="Rates of this book.", metavar="FILE")] = None,
    reading: Annotated[str, typer.Option(help=f"{' or '.join(LATE_FEE_RULES)}.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
) -> None:
    """Work out late fees: days, rates, the reading of the year's end, the minimum.

    Keeps one record for each debt.
    """
    rule = LateFeeRule() if book is None else load_book(book).late_fee
    if reading and reading not in LATE_FEE_RULES:
        fix = f"one of {', '.join(LATE_FEE_RULES)}"
        raise BadInput("--reading", f"{reading!r} is not known", fix)
    rule = replace(rule, name=reading or rule.name)
    debts: dict[str, Debt] = {}
    for row in watched(read_rows(file, COLUMNS), "payments"):
        _take(debts, row, rule)
    if not debts:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no payment", "give one payment a line after the header")
    fees = {name: _fee_fen(debt, rule) for name, debt in debts.items()}
    if as_json:
        for name, debt in debts.items():
            tell({"type": "debt", **_document(name, debt, fees[name], rule)})
        summary = {
            "debts": len(debts),
            "late": sum(fee > 0 for fee in fees.values()),
            "fee_fen": sum(fees.values()),
            "rule": rule.name,
            "source": rule.source,
            "unconfirmed": rule.unconfirmed,
        }
        tell({"type": "summary", **summary})
    else:
        _show(debts, fees, rule)


def _take(debts: dict[str, Debt], row: Row, rule: LateFeeRule) -> None:
    name, due_on, paid_on = row.text("debt_no"), _day(row, "due_on"), _paid_on(row)
    residential = row.one_of("residential", ("yes", "no")) == "yes"
    try:
        paid_fen = parse_yuan(row.text("paid_yuan"), "paid_yuan")
    except BadInput as wrong:
        raise row.wrong("paid_yuan", wrong.problem, wrong.fix) from None
    if paid_fen <= 0:
        raise row.wrong("paid_yuan", "is not above zero", "a credit bears no late fee")
    debt = debts.setdefault(name, Debt(due_on, residential))
    if (debt.due_on, debt.residential) != (due_on, residential):
        raise row.wrong("debt_no", f"{name} stands above with other terms", "give a debt one name")
    exact = replace(rule, minimum_fen=0)
    fee = late_fee(paid_fen, due_on, paid_on, exact, residential=residential)
    debt.payments.append((paid_on, paid_fen, fee))


def _day(row: Row, column: str) -> str:
    day_on = row.day(column)
    if day_on < FIRST_ON:
        raise row.wrong(column, f"{day_on} is before there were bills", f"at least {FIRST_ON}")
    return day_on


def _paid_on(row: Row) -> str:
    """A payment can be of today; what will be paid bears no fee yet."""
    paid_on, today = _day(row, "paid_on"), today_on()
    if paid_on > today:
        raise row.wrong("paid_on", f"{paid_on} is in the future", f"at most {today}")
    return paid_on


def _fee_fen(debt: Debt, rule: LateFeeRule) -> int:
    return standing_fen((fee.amount_fen for _, _, fee in debt.payments), rule)


def _document(name: str, debt: Debt, fee_fen: int, rule: LateFeeRule) -> dict[str, Any]:
    return {
        "debt_no": name,
        "residential": debt.residential,
        "due_on": debt.due_on,
        "fee_fen": fee_fen,
        "minimum_fen": rule.minimum_fen,
        "payments": [
            {
                "paid_on": paid_on,
                "paid_fen": paid_fen,
                "fee_fen": fee.amount_fen,
                "shares": [to_document(share) for share in fee.shares],
            }
            for paid_on, paid_fen, fee in debt.payments
        ],
    }


def _show(debts: dict[str, Debt], fees: dict[str, int], rule: LateFeeRule) -> None:
    table = Table("debt", "due", "paid", "yuan", "days at permille", "fee")
    for name, debt in debts.items():
        exact_fen = sum(fee.amount_fen for _, _, fee in debt.payments)
        for number, (paid_on, paid_fen, fee) in enumerate(debt.payments):
            shares = " + ".join(f"{share.days} at {share.permille}" for share in fee.shares)
            shown = (name, debt.due_on) if number == 0 else ("", "")
            amounts = format_yuan(paid_fen), shares or "in time", format_yuan(fee.amount_fen)
            table.add_row(*shown, paid_on, *amounts)
        if fees[name] != exact_fen:
            table.add_row("", "", "", "", "minimum", format_yuan(fees[name]))
    Console().print(table)
    total = format_yuan(sum(fees.values()))
    mark = ", unconfirmed" if rule.unconfirmed else ""
    print(f"{len(debts)} debts, late fees {total} yuan, {rule.name}{mark}")

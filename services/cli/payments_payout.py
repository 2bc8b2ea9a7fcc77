"""`gridledger payments payout|offset|payables`: what is owed for feed-in, and how it is settled."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import Reader
from libs.events.codec import Codec, to_document
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan, parse_yuan
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.cli.row_values import day_until_today
from services.payments.core import make_core
from services.payments.draft import NOTICES
from services.payments.events import edge_catalogue
from services.payments.order_number import is_account_no
from services.payments.payable_events import (
    OFFSET,
    TRANSFER,
    PayableLowered,
    PayableOpened,
    PayableSettled,
    PayoutRecorded,
)

WHY = "people must be able to ask back"
StatementNo = Annotated[str, typer.Option(help="ACCOUNT-FMONTH, or the number of a correction.")]
Amount = Annotated[str, typer.Option(help="Yuan, like 49.61.")]
By = Annotated[str, typer.Option(help="Who records it.")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


def payout(
    statement: StatementNo,
    amount: Amount,
    bank: Annotated[str, typer.Option(help="Our bank account that it left.")],
    bank_ref: Annotated[str, typer.Option(help="The bank's number of the transfer.")],
    paid_on: Annotated[str, typer.Option(help="The day on which it left, 2026-02-20.")],
    evidence: Annotated[str, typer.Option(help="What proves it: the bank slip, its file.")],
    by: By,
    reason: Annotated[str, typer.Option(help="A remark.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record a bank transfer that paid feed-in to its account; the same transfer counts once.

    Payments decides: see `gridledger payments payables`, and the events
    payable_settled or payout_rejected.
    """
    _record(
        PayoutRecorded(
            request_id=f"transfer/{statement}/{named('--bank-ref', bank_ref, WHY)}",
            account_no=account_of(statement),
            statement_no=statement,
            kind=TRANSFER,
            amount_fen=_amount(amount),
            recorded_by=named("--by", by, WHY),
            reason=reason,
            bank=named("--bank", bank, "say where the money left"),
            bank_ref=bank_ref.strip(),
            paid_on=day_until_today("--paid-on", paid_on),
            evidence=named("--evidence", evidence, "say what proves it"),
        ),
        as_json,
    )


def offset(
    statement: StatementNo,
    amount: Amount,
    request_id: Annotated[str, typer.Option(help="The same id again changes nothing.")],
    by: By,
    reason: Annotated[str, typer.Option(help="Who agreed to it.")],
    as_json: AsJson = False,
) -> None:
    """Set feed-in off against debts of its account, where the price book lets it."""
    _record(
        PayoutRecorded(
            request_id=f"offset/{named('--request-id', request_id, WHY)}",
            account_no=account_of(statement),
            statement_no=statement,
            kind=OFFSET,
            amount_fen=_amount(amount),
            recorded_by=named("--by", by, WHY),
            reason=named("--reason", reason, WHY),
        ),
        as_json,
    )


def payables(
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List what is still to be paid for feed-in, the earliest due date first."""
    found = open_payables(*open_records(from_files))
    if as_json:
        print(json.dumps(found, ensure_ascii=False, indent=1))
        return
    shown = Table("statement", "account", "due", "yuan", "netting")
    for each in found:
        yuan = format_yuan(each["open_fen"])
        cells = (each["statement_no"], each["account_no"], each["due_on"], yuan, each["netting"])
        shown.add_row(*cells)
    Console().print(shown)


def open_payables(reader: Reader, partitions: int) -> list[dict[str, Any]]:
    """What is open of each statement, as payments decided it."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for body in _events(reader, partitions):
        if isinstance(body, PayableOpened):
            found[body.account_no, body.statement_no] = {
                "statement_no": body.statement_no,
                "account_no": body.account_no,
                "due_on": body.due_on,
                "open_fen": body.amount_fen - body.recovered_fen,
                "netting": body.netting,
            }
        elif isinstance(body, PayableLowered | PayableSettled):
            for part in body.allocations:
                found[body.account_no, part.invoice_no]["open_fen"] -= part.amount_fen
    still = [each for each in found.values() if each["open_fen"]]
    return sorted(still, key=lambda each: (each["due_on"], each["statement_no"]))


def _events(reader: Reader, partitions: int) -> Iterator[Any]:
    codec = Codec(make_core().catalogue)
    for partition in range(partitions):
        yield from known_bodies(reader, codec, "payments.events", partition)


def _record(request: PayoutRecorded, as_json: bool) -> None:
    from services.settings import load_settings
    from services.wiring import open_producer

    settings = load_settings().settings
    open_cluster(settings).close()
    with closing(open_producer(settings, "payments.edge", edge_catalogue)) as producer:
        offset_at = producer.append(NOTICES, request.account_no, request)
    if as_json:
        print(json.dumps({**to_document(request), "offset": offset_at}, ensure_ascii=False))
    else:
        print(f"recorded as {request.request_id}; payments decides")


def account_of(statement_no: str) -> str:
    """The account of a statement or correction; BadInput when it is neither."""
    account_no, dash, number = statement_no.partition("-")
    if not (dash and number.startswith("F") and is_account_no(account_no)):
        fix = "ACCOUNT-FMONTH, 1000000001-F2026-01"
        raise BadInput("--statement", f"{statement_no!r} is no statement", fix)
    return account_no


def _amount(yuan: str) -> int:
    amount_fen = parse_yuan(yuan, "--amount")
    if amount_fen <= 0:
        raise BadInput("--amount", f"{yuan} is no amount above zero", "write it like 49.61")
    return amount_fen

"""`gridledger payments`: callbacks and files judged offline, refunds, and money in suspense."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import Reader
from libs.events.codec import Codec, to_document
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.cli.payments_cases import FromFiles, books, cases, days, decide
from services.cli.payments_import import import_file
from services.cli.payments_iso8583 import iso8583
from services.cli.payments_match import match
from services.cli.payments_parse import parse
from services.cli.payments_payout import offset, payables, payout
from services.cli.payments_refund import (
    approve_refund,
    parts_of,
    rebind,
    refund,
    refund_outcome,
    require_payment,
)
from services.cli.payments_verify import verify
from services.cli.payments_work import work_items
from services.cli.records import known_bodies, named, open_cluster, open_records
from services.payments.core import make_core
from services.payments.draft import NOTICES
from services.payments.events import (
    BindingRequested,
    PaymentSuspended,
    SuspenseBound,
    SuspenseCancelled,
    edge_catalogue,
)
from services.payments.money_back import MoneyReturned

app = typer.Typer(
    no_args_is_help=True, help="Callbacks, settlement files, matching, money in suspense."
)
app.command(
    epilog="Example: gridledger payments verify --channel wechat --headers headers.txt "
    "--body body.json --keys keys --at 2026-01-31T16:00:00Z"
)(verify)
app.command(epilog="Example: gridledger payments parse --channel wechat 2026-01-31.csv --rows")(
    parse
)
app.command(
    epilog="Example: gridledger payments match ours.csv channel.jsonl bank.jsonl --rules rules.json"
)(match)
app.command(
    epilog="Example: gridledger payments payout --statement 1000000001-F2026-01 --amount 49.61 "
    "--bank icbc --bank-ref 4711 --paid-on 2026-02-20 --evidence slip.pdf --by wang"
)(payout)
app.command(
    epilog="Example: gridledger payments offset --statement 1000000001-F2026-01 --amount 49.61 "
    "--request-id 17 --by wang --reason 'letter of 3 March'"
)(offset)
app.command(epilog="Example: gridledger payments payables --json")(payables)
app.command(
    epilog="Example: gridledger payments refund --payment wechat:4200000000202601010000000001 "
    "--order 1000000042126030001 --merchant 1900000001 --yuan 50.00 --by wang --reason 'paid twice'"
)(refund)
app.command(
    epilog="Example: gridledger payments approve-refund --account 1000000042 --refund-no RF1 "
    "--by li --reason 'seen the two payments'"
)(approve_refund)
app.command(
    epilog="Example: gridledger payments refund-outcome --account 1000000042 --refund-no RF1 "
    "--outcome succeeded --bill-on 2026-03-02 --by wang --evidence 'merchant console'"
)(refund_outcome)
app.command(
    epilog="Example: gridledger payments rebind --payment wechat:4200000000202601010000000001 "
    "--from 1000000042 --to 1000000043=23.45 --by wang --approved-by li --reason 'slip 4711'"
)(rebind)
app.command(epilog="Example: gridledger payments work-items --json")(work_items)
app.command(epilog="Example: gridledger payments iso8583 sign-on.hex --json")(iso8583)
app.command(
    "import",
    epilog="Example: gridledger payments import --channel wechat --by wang 2026-01-31.csv",
)(import_file)
app.command(epilog="Example: gridledger payments cases --from-files export --json")(cases)
app.command(
    epilog="Example: gridledger payments decide 0a1b2c3d4e5f6071 --action write_off --by wang "
    "--reason 'the channel never had it' --evidence 'letter 7'"
)(decide)
app.command(epilog="Example: gridledger payments days --from-files export")(days)
app.command(epilog="Example: gridledger payments books --from-files export > ours.jsonl")(books)
AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]


@app.callback()
def payments() -> None:
    """Callbacks, settlement files, matching, money in suspense."""


@app.command(
    epilog="Example: gridledger payments bind --suspense wechat:4200000000202601010000000001 "
    "--to 1000000042=100.00 --to 1000000043=23.45 --by wang --reason 'called, bank slip 4711'"
)
def bind(
    suspense: Annotated[str, typer.Option(help="Key of the suspense, CHANNEL:TRANSACTION.")],
    to: Annotated[
        list[str],
        typer.Option(help="ACCOUNT=YUAN; repeat it: the parts are all of it.", metavar="PART"),
    ],
    by: Annotated[str, typer.Option(help="Who binds it.")],
    reason: Annotated[str, typer.Option(help="Why it is theirs.")],
    request_id: Annotated[
        str, typer.Option(help="The same id again changes nothing; default: a new one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for money in suspense to be bound to accounts: once, and exactly all of it.

    Whether it was is decided by payments: see `gridledger payments suspense`, and
    the events suspense_bound or binding_rejected with the request's id.
    """
    request = make_request(suspense, to, by, reason, request_id or secrets.token_hex(8))
    from services.settings import load_settings
    from services.wiring import open_producer

    settings = load_settings().settings
    require_suspense(open_cluster(settings), settings.partitions, suspense)
    producer = open_producer(settings, "payments.edge", edge_catalogue)
    with closing(producer):
        offset = producer.append(NOTICES, request.suspense_key, request)
    if as_json:
        print(json.dumps({**to_document(request), "offset": offset}, ensure_ascii=False))
    else:
        print(f"asked as request {request.request_id}; payments decides")


@app.command(epilog="Example: gridledger payments suspense --json")
def suspense(from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """List the money that nobody claimed and nobody bound."""
    found = open_suspenses(*open_records(from_files))
    if as_json:
        names = ("suspense_key", "amount_fen", "occurred_at", "reason", "account_no")
        rows = [{name: getattr(each, name) for name in names} for each in found]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    shown = Table("suspense", "yuan", "paid", "why", "order number")
    for each in found:
        amount = format_yuan(each.amount_fen)
        shown.add_row(each.suspense_key, amount, each.occurred_at, each.reason, each.out_trade_no)
    Console().print(shown)


def make_request(
    suspense_key: str, to: Sequence[str], by: str, reason: str, request_id: str
) -> BindingRequested:
    """The request of a person; BadInput names the option that is wrong."""
    by = named("--by", by, "people must be able to ask back")
    reason = named("--reason", reason, "people must be able to ask back")
    require_payment("--suspense", suspense_key)
    return BindingRequested(
        request_id=request_id,
        suspense_key=suspense_key,
        parts=parts_of(to),
        requested_by=by,
        reason=reason,
    )


def open_suspenses(reader: Reader, partitions: int) -> list[PaymentSuspended]:
    """The suspenses that are neither bound nor cancelled, oldest payment first."""
    found: dict[str, PaymentSuspended] = {}
    for event in _suspense_events(reader, partitions):
        if isinstance(event, PaymentSuspended):
            found[event.suspense_key] = event
        elif isinstance(event, MoneyReturned):
            _give_back(found, event)
        else:
            found.pop(event.suspense_key, None)
    return sorted(found.values(), key=lambda each: (each.occurred_at, each.suspense_key))


def _give_back(found: dict[str, PaymentSuspended], event: MoneyReturned) -> None:
    """What went back to the payer is not in suspense any more."""
    suspended = found.get(event.back.payment_id)
    if suspended is None:
        return
    left_fen = suspended.amount_fen - event.suspense_fen
    if left_fen:
        found[suspended.suspense_key] = replace(suspended, amount_fen=left_fen)
    else:
        del found[suspended.suspense_key]


def require_suspense(reader: Reader, partitions: int, suspense_key: str) -> None:
    """BadInput when no money was ever suspended so. Whether it still is, payments decides."""
    if not any(
        isinstance(event, PaymentSuspended) and event.suspense_key == suspense_key
        for event in _suspense_events(reader, partitions)
    ):
        fix = "see `gridledger payments suspense`"
        raise BadInput("--suspense", f"there is no suspense {suspense_key!r}", fix)


def _suspense_events(
    reader: Reader, partitions: int
) -> Iterable[PaymentSuspended | SuspenseBound | SuspenseCancelled | MoneyReturned]:
    codec = Codec(make_core().catalogue)
    for partition in range(partitions):
        for body in known_bodies(reader, codec, "payments.events", partition):
            if isinstance(
                body, PaymentSuspended | SuspenseBound | SuspenseCancelled | MoneyReturned
            ):
                yield body

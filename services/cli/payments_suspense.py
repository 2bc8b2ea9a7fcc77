"""`gridledger payments refund-suspense`: money that nobody claims, sent back to its payer by bank.

`--json` prints the request and the offset that it got. Whether it was booked is decided by
payments: the events suspense_refunded or binding_rejected with the request's id.
"""

from __future__ import annotations

import secrets
from datetime import date
from typing import Annotated

import typer

from libs.events.errors import BadInput
from services.cli.payments_refund import ASK_BACK, amount_of, ask, require_payment
from services.cli.records import named
from services.payments.suspense_refund_events import SuspenseRefundRequested


def refund_suspense(
    suspense: Annotated[str, typer.Option(help="Key of the suspense, CHANNEL:TRANSACTION.")],
    yuan: Annotated[str, typer.Option(help="How much went back.")],
    bank: Annotated[str, typer.Option(help="Our bank account that paid.")],
    bank_ref: Annotated[str, typer.Option(help="The number of the transfer.")],
    paid_on: Annotated[str, typer.Option(help="The day of the transfer.")],
    evidence: Annotated[str, typer.Option(help="What it rests on: a letter, a slip.")],
    by: Annotated[str, typer.Option(help="Who asks for it.")],
    approved_by: Annotated[str, typer.Option(help="The second person.")],
    reason: Annotated[str, typer.Option(help="Why nobody can claim it.")],
    request_id: Annotated[
        str, typer.Option(help="The same id again changes nothing; default: a new one.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Book that money in suspense went back to its payer by bank transfer.

    Two people, never more than is in suspense, and only what is bound to
    nobody: see `gridledger payments suspense`.
    """
    request = SuspenseRefundRequested(
        request_id=request_id or secrets.token_hex(8),
        suspense_key=suspense,
        amount_fen=amount_of("--yuan", yuan),
        bank=named("--bank", bank, "name our bank account"),
        bank_ref=named("--bank-ref", bank_ref, "give the number of the transfer"),
        paid_on=_day(paid_on),
        evidence=named("--evidence", evidence, "money leaves with evidence only"),
        requested_by=named("--by", by, ASK_BACK),
        approved_by=named("--approved-by", approved_by, "a second person must approve it"),
        reason=named("--reason", reason, ASK_BACK),
    )
    require_payment("--suspense", suspense)
    if request.requested_by.strip().casefold() == request.approved_by.strip().casefold():
        raise BadInput("--approved-by", f"{approved_by} asked for it", "name a second person")
    said = f"asked as request {request.request_id}; payments decides"
    ask(suspense, request, said, as_json)


def _day(text: str) -> str:
    try:
        found = date.fromisoformat(text).isoformat()
    except ValueError:
        found = ""
    if found != text:
        raise BadInput("--paid-on", f"{text!r} is no day", "write it 2026-03-01")
    return text

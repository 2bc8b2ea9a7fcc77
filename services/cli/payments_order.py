"""`gridledger payments open-order`: an order that a payer is about to be shown.

It is written to `payments.notices` before anybody can pay it, so that payments asks its channel
when no callback comes, closes it when it expires, and cuts nobody meanwhile.
"""

from __future__ import annotations

import secrets
from typing import Annotated

import typer

from libs.events.errors import BadInput
from services.cli.payments_refund import AsJson, By, amount_of, ask
from services.cli.records import named
from services.payments.order_events import OrderOpened
from services.payments.order_number import make_order_number
from services.payments.orders import CHANNELS, LIFE_MIN_MAX


def open_order(
    account: Annotated[str, typer.Option(help="Account number, 10 digits.")],
    yuan: Annotated[str, typer.Option(help="How much is to be paid.")],
    channel: Annotated[str, typer.Option(help=f"One of {', '.join(CHANNELS)}.")],
    merchant: Annotated[str, typer.Option(help="Our merchant there.")],
    by: By,
    invoices: Annotated[str, typer.Option(help="What it is meant for: INV1,INV2.")] = "",
    life_min: Annotated[int, typer.Option(help="Minutes until it expires; 0: the policy's.")] = 0,
    sequence: Annotated[
        str, typer.Option(help="Its own part of the number; default: a new one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Open an order: its channel is asked about it until it is paid, closed or expired."""
    part = sequence or secrets.token_hex(8)
    body = order_request(account, yuan, channel, merchant, by, invoices, life_min, part)
    ask(body.account_no, body, f"opened order {body.out_trade_no}; payments decides", as_json)


def order_request(
    account: str,
    yuan: str,
    channel: str,
    merchant: str,
    by: str,
    invoices: str,
    life_min: int,
    sequence: str,
) -> OrderOpened:
    """The order; BadInput names the option that is wrong."""
    if channel not in CHANNELS:
        fix = f"one of {', '.join(CHANNELS)}"
        raise BadInput("--channel", f"{channel!r} is no channel that can be asked", fix)
    if not 0 <= life_min <= LIFE_MIN_MAX:
        raise BadInput("--life-min", f"{life_min} is no life", f"give 0 to {LIFE_MIN_MAX}")
    return OrderOpened(
        out_trade_no=make_order_number(account, sequence),
        account_no=account,
        channel=channel,
        merchant=named("--merchant", merchant, "give the merchant that is paid"),
        amount_fen=amount_of("--yuan", yuan),
        opened_by=named("--by", by, "say who shows it"),
        invoice_nos=tuple(part.strip() for part in invoices.split(",") if part.strip()),
        life_min=life_min,
    )

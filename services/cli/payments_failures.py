"""`gridledger payments failures`: why payments failed, by channel, day and bank.

    failed      the channel said so: a failed order, a card that was declined
    unpaid      an order that ended without a payment: closed, or expired
    refused     a callback that was not believed

JSON: a list of {"day_on", "channel", "bank", "kind", "cause", "count", "orders"}; `orders` are
order numbers, at most ten. Days are of the utility's zone, by the business time of the event.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.payments_work import events_of
from services.cli.records import open_records
from services.payments.channels.causes import Cause
from services.payments.days import day_of
from services.payments.events import NoticeNoted, NoticeRefused
from services.payments.order_events import OrderEnded, PaymentFailed

SHOWN_MAX = 10
COLUMNS = ("day_on", "channel", "bank")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failures:
    """How often something failed on a day, at a channel and bank ("" where nobody said it)."""

    day_on: str
    channel: str
    bank: str
    kind: str
    cause: str
    count: int
    orders: tuple[str, ...]


def failures(
    by: Annotated[
        str, typer.Option(help=f"What to count by: some of {','.join(COLUMNS)}.")
    ] = "day_on,channel,bank",
    from_files: Annotated[
        Path | None, typer.Option(help="Directory of an export instead of the cluster.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Count why payments failed, by day, channel and bank."""
    columns = columns_of(by)
    found = failures_of(events_of(*open_records(from_files)), columns)
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    if not found:
        print("no payment failed")
        return
    shown = Table(*columns, "kind", "cause", "count")
    for each in found:
        values = asdict(each)
        cells = [values[column] or "-" for column in columns]
        shown.add_row(*cells, each.kind, each.cause, str(each.count))
    Console().print(shown)


def columns_of(by: str) -> tuple[str, ...]:
    """The columns to count by, in their fixed order; BadInput names one that is none."""
    wanted = [part.strip() for part in by.split(",") if part.strip()]
    for name in wanted:
        if name not in COLUMNS:
            raise BadInput("--by", f"{name!r} is no column", f"some of {', '.join(COLUMNS)}")
    return tuple(column for column in COLUMNS if column in wanted)


def failures_of(events: Iterable[tuple[str, Any]], columns: tuple[str, ...]) -> list[Failures]:
    """What failed, counted by these columns and by cause."""
    orders: dict[tuple[str, ...], list[str]] = {}
    for at, body in events:
        said = _said(body)
        if said is not None:
            kind, channel, bank, cause, order = said
            place = {"day_on": day_of(at) if at else "", "channel": channel, "bank": bank}
            counted = (place[name] if name in columns else "" for name in COLUMNS)
            orders.setdefault((*counted, kind, cause), []).append(order)
    return [
        Failures(
            day_on=day_on,
            channel=channel,
            bank=bank,
            kind=kind,
            cause=cause,
            count=len(numbers),
            orders=tuple(sorted(filter(None, numbers))[:SHOWN_MAX]),
        )
        for (day_on, channel, bank, kind, cause), numbers in sorted(orders.items())
    ]


def _said(body: Any) -> tuple[str, str, str, str, str] | None:
    """Kind, channel, bank, cause and order of an event about a failure; None for any other."""
    match body:
        case PaymentFailed():
            return "failed", body.channel, body.bank, body.failure_cause, body.out_trade_no
        case NoticeNoted(kind="failed"):
            cause = body.references.get("failure_cause", Cause.CHANNEL_DECLINED.value)
            bank = body.references.get("bank_type", "")
            return "failed", body.channel, bank, cause, body.out_trade_no
        case OrderEnded():
            return "unpaid", body.channel, "", body.failure_cause, body.out_trade_no
        case NoticeRefused():
            return "refused", body.channel, "", body.cause, ""
    return None

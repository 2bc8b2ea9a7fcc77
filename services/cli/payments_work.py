"""`gridledger payments work-items`: what of the money waits for a person, oldest first.

    approve     a refund that a second person must decide
    outcome     an approved refund of which nothing was heard: look at the channel, record it
    abnormal    the card is dead, the money is still ours: reroute it or close it
    transfer    a bank transfer to make, then to record as paid
    refused     the channel said of a refund what does not fit
    awaited     money went back of a payment that never came
    claim       the channel took back more than it had paid

All but `refused` and `claim` go when what they wait for is on the log; those two stay as a record.
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

from libs.events.audit import Reader
from libs.events.codec import Codec
from libs.events.quantities import format_yuan
from services.cli.records import known_events, open_records
from services.payments.core import make_core
from services.payments.money_back import MoneyBackAwaited, MoneyBackForwarded, MoneyReturned
from services.payments.refund_events import (
    RefundApproved,
    RefundClosed,
    RefundFactRefused,
    RefundNoted,
    RefundOpened,
    RefundRejected,
    RefundSucceeded,
)
from services.payments.refund_table import OF_PEOPLE

KIND_OF_STATE = {
    "requested": "approve",
    "approved": "outcome",
    "processing": "outcome",
    "abnormal": "abnormal",
    "rerouted": "transfer",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkItem:
    """What a person has to do. name: of the refund, or of what went back."""

    kind: str
    name: str
    account_no: str
    payment_id: str
    amount_fen: int
    since_at: str
    what: str


def work_items(
    from_files: Annotated[
        Path | None, typer.Option(help="Directory of an export instead of the cluster.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """List what of the money waits for a person, oldest first."""
    found = items_of(events_of(*open_records(from_files)))
    if as_json:
        print(json.dumps([asdict(each) for each in found], ensure_ascii=False, indent=1))
        return
    if not found:
        print("nothing waits for a person")
        return
    shown = Table("do", "which", "account", "yuan", "since", "what")
    for each in found:
        amount = format_yuan(each.amount_fen)
        shown.add_row(each.kind, each.name, each.account_no, amount, each.since_at, each.what)
    Console().print(shown)


def events_of(reader: Reader, partitions: int) -> Iterable[tuple[str, Any]]:
    """Time and body of the own events of payments, partition by partition."""
    codec = Codec(make_core().catalogue)
    for partition in range(partitions):
        yield from known_events(reader, codec, "payments.events", partition)


def items_of(events: Iterable[tuple[str, Any]]) -> list[WorkItem]:
    """What waits after these events, oldest first. Events of one key are in their order."""
    refunds: dict[str, RefundOpened] = {}
    found: dict[tuple[str, str], WorkItem] = {}
    for at, body in events:
        match body:
            case RefundOpened():
                refunds[body.refund_no] = body
                _refund(found, body, "requested", at, body.reason)
            case RefundApproved() | RefundNoted():
                said = body.evidence if isinstance(body, RefundNoted) else ""
                _refund(found, refunds[body.refund_no], body.state, at, said)
            case RefundRejected() | RefundSucceeded():
                found.pop(("refund", body.refund_no), None)
            case RefundClosed():
                found.pop(("refund", body.refund_no), None)
                _claim(found, body.payment_id, body.account_no, -body.claim_fen, at)
            case RefundFactRefused() if body.state != "unknown" and body.fact not in OF_PEOPLE:
                found["refused", f"{body.refund_no}/{body.by}"] = _item(
                    "refused", body.refund_no, body.account_no, "", 0, at, body.problem
                )
            case MoneyBackAwaited(back=back):
                found["awaited", back.back_id] = _item(
                    *("awaited", back.back_id, body.account_no, back.payment_id),
                    *(back.amount_fen, at, f"{back.kind} of a payment that did not come"),
                )
            case MoneyReturned(back=back):
                found.pop(("awaited", back.back_id), None)
                _claim(found, back.payment_id, body.account_no, body.claim_fen, at)
            case MoneyBackForwarded(back=back):
                found.pop(("awaited", back.back_id), None)
    return sorted(found.values(), key=lambda each: (each.since_at, each.kind, each.name))


def _refund(
    found: dict[tuple[str, str], WorkItem], opened: RefundOpened, state: str, at: str, what: str
) -> None:
    found["refund", opened.refund_no] = _item(
        *(KIND_OF_STATE[state], opened.refund_no, opened.account_no, opened.payment_id),
        *(opened.refund_fen, at, what or opened.reason),
    )


def _claim(
    found: dict[tuple[str, str], WorkItem],
    payment_id: str,
    account_no: str,
    claim_fen: int,
    at: str,
) -> None:
    if not claim_fen:
        return
    before = found.pop(("claim", payment_id), None)
    total_fen = claim_fen + (before.amount_fen if before else 0)
    if total_fen > 0:
        found["claim", payment_id] = _item(
            *("claim", payment_id, account_no, payment_id, total_fen),
            *(before.since_at if before else at, "the channel took more than it had paid"),
        )


def _item(
    kind: str, name: str, account_no: str, payment_id: str, amount_fen: int, at: str, what: str
) -> WorkItem:
    return WorkItem(
        kind=kind,
        name=name,
        account_no=account_no,
        payment_id=payment_id,
        amount_fen=amount_fen,
        since_at=at,
        what=what,
    )

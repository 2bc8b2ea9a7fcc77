"""`gridledger payments refund|approve-refund|refund-outcome|rebind`: what people ask of payments.

Each writes one record to `payments.notices` and says that it asked; payments decides. What waits
for a person is listed by `gridledger payments work-items` (payments_work.py).
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from contextlib import closing
from typing import Annotated, Any

import typer

from libs.events.codec import to_document
from libs.events.errors import BadInput
from libs.events.quantities import parse_yuan
from services.cli.records import named, open_cluster
from services.cli.row_values import day_until_today
from services.payments.draft import NOTICES
from services.payments.events import BindingPart, edge_catalogue
from services.payments.order_number import account_of, is_account_no
from services.payments.rebinding_events import RebindingRequested
from services.payments.refund_events import RefundDecided, RefundReported, RefundRequested
from services.payments.refund_table import OF_CHANNEL
from services.payments.refunds import KINDS

OUTCOMES = (*OF_CHANNEL, "rerouted", "paid")
ASK_BACK = "people must be able to ask back"

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of text.")]
By = Annotated[str, typer.Option("--by", help="Who says so.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]
Account = Annotated[str, typer.Option("--account", help="Account number, 10 digits.")]
RefundNo = Annotated[str, typer.Option("--refund-no", help="Number of the refund.")]


def refund(
    yuan: Annotated[str, typer.Option(help="How much.")],
    by: By,
    reason: Reason,
    payment: Annotated[str, typer.Option(help="CHANNEL:TRANSACTION; none: prepaid money.")] = "",
    order: Annotated[str, typer.Option(help="Order number of the payment.")] = "",
    merchant: Annotated[str, typer.Option(help="Merchant that it was paid to.")] = "",
    account: Annotated[str, typer.Option(help="Account, where no payment is named.")] = "",
    kind: Annotated[str, typer.Option(help="channel, or bank: a transfer.")] = "channel",
    refund_no: Annotated[
        str, typer.Option(help="The same number again changes nothing; default: a new one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for money to be given back. A second person approves it.

    At most what is left of the payment, or of what is prepaid.
    Debts that it had settled are owed again.
    """
    number = refund_no or f"RF{secrets.token_hex(8)}"
    request = refund_request(payment, order, merchant, account, yuan, kind, by, reason, number)
    ask(request.account_no, request, f"asked for refund {number}; a second person decides", as_json)


def approve_refund(
    account: Account,
    refund_no: RefundNo,
    by: By,
    reason: Reason,
    decline: Annotated[bool, typer.Option(help="Decline it instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Approve the refund that another person asked for: its money leaves the account."""
    body = RefundDecided(
        refund_no=named("--refund-no", refund_no, "see `gridledger payments work-items`"),
        account_no=_account(account),
        decision="declined" if decline else "approved",
        person=named("--by", by, ASK_BACK),
        reason=named("--reason", reason, ASK_BACK),
    )
    ask(body.account_no, body, f"{body.decision} refund {refund_no}; payments decides", as_json)


def refund_outcome(
    account: Account,
    refund_no: RefundNo,
    outcome: Annotated[str, typer.Option(help=f"One of {', '.join(OUTCOMES)}.")],
    by: By,
    evidence: Annotated[str, typer.Option(help="What proves it: a slip, a screen, a letter.")],
    bill_on: Annotated[str, typer.Option(help="Day of the channel's bill: succeeded.")] = "",
    bank: Annotated[str, typer.Option(help="Our bank account that paid: paid.")] = "",
    as_json: AsJson = False,
) -> None:
    """Record what became of a refund, with evidence.

    rerouted: a dead card, so a bank transfer is ordered; paid: the bank paid it.
    """
    body = outcome_report(account, refund_no, outcome, by, evidence, bill_on, bank)
    ask(body.account_no, body, f"recorded {outcome} of refund {refund_no}", as_json)


def rebind(
    payment: Annotated[str, typer.Option(help="CHANNEL:TRANSACTION of the money.")],
    old: Annotated[str, typer.Option("--from", help="Account that should not have it.")],
    to: Annotated[list[str], typer.Option(help="ACCOUNT=YUAN; repeat it.", metavar="PART")],
    by: By,
    approved_by: Annotated[str, typer.Option(help="The second person.")],
    reason: Reason,
    request_id: Annotated[
        str, typer.Option(help="The same id again changes nothing; default: a new one.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Ask for money that is at the wrong account to be bound to others."""
    number = request_id or secrets.token_hex(8)
    request = rebinding_request(payment, old, to, by, approved_by, reason, number)
    ask(request.payment_id, request, f"asked as request {number}; payments decides", as_json)


def refund_request(
    payment: str,
    order: str,
    merchant: str,
    account: str,
    yuan: str,
    kind: str,
    by: str,
    reason: str,
    refund_no: str,
) -> RefundRequested:
    """The request of a person; BadInput names the option that is wrong."""
    if kind not in KINDS:
        raise BadInput("--kind", f"{kind!r} is no way to give money back", "channel or bank")
    if payment:
        require_payment("--payment", payment)
        holder = account_of(order)
        if holder is None:
            fix = "give the order number under which it was paid"
            raise BadInput("--order", f"{order!r} is no order number of ours", fix)
        if account and account != holder:
            raise BadInput("--account", f"the order is of account {holder}", "leave it out")
        named("--merchant", merchant, "give the merchant that was paid")
    elif kind == "channel":
        raise BadInput("--payment", "is missing", "name the payment, or use --kind bank")
    else:
        holder = _account(account)
    return RefundRequested(
        refund_no=refund_no,
        account_no=holder,
        payment_id=payment,
        out_trade_no=order,
        merchant=merchant,
        refund_fen=amount_of("--yuan", yuan),
        kind=kind,
        requested_by=named("--by", by, ASK_BACK),
        reason=named("--reason", reason, ASK_BACK),
    )


def outcome_report(
    account: str, refund_no: str, outcome: str, by: str, evidence: str, bill_on: str, bank: str
) -> RefundReported:
    """What a person saw; BadInput names the option that is wrong."""
    if outcome not in OUTCOMES:
        raise BadInput("--outcome", f"{outcome!r} is no outcome", f"one of {', '.join(OUTCOMES)}")
    if bill_on:
        day_until_today("--bill-on", bill_on)
    if outcome == "paid":
        named("--bank", bank, "name our bank account")
    return RefundReported(
        refund_no=named("--refund-no", refund_no, "see `gridledger payments work-items`"),
        account_no=_account(account),
        fact=outcome,
        person=named("--by", by, ASK_BACK),
        evidence=named("--evidence", evidence, "an outcome without evidence is no outcome"),
        bill_on=bill_on,
        bank=bank,
    )


def rebinding_request(
    payment: str,
    old: str,
    to: Sequence[str],
    by: str,
    approved_by: str,
    reason: str,
    request_id: str,
) -> RebindingRequested:
    """The request of two people; BadInput names the option that is wrong."""
    require_payment("--payment", payment)
    if not is_account_no(old):
        raise BadInput("--from", f"{old!r} is no account number", "give 10 digits")
    return RebindingRequested(
        request_id=request_id,
        payment_id=payment,
        from_account=old,
        parts=parts_of(to),
        requested_by=named("--by", by, ASK_BACK),
        approved_by=named("--approved-by", approved_by, "a second person must approve it"),
        reason=named("--reason", reason, ASK_BACK),
    )


def parts_of(to: Sequence[str]) -> tuple[BindingPart, ...]:
    """`ACCOUNT=YUAN` each, every account once."""
    parts = tuple(_part(text) for text in to)
    if len({part.account_no for part in parts}) != len(parts):
        raise BadInput("--to", "names an account twice", "add its amounts up")
    return parts


def require_payment(option: str, payment: str) -> None:
    """BadInput when a text is no `channel:transaction`."""
    channel, colon, transaction = payment.partition(":")
    if not (channel and colon and transaction):
        raise BadInput(option, f"{payment!r} is no payment", "CHANNEL:TRANSACTION")


def amount_of(option: str, yuan: str) -> int:
    """An amount above zero, in fen."""
    amount_fen = parse_yuan(yuan, option)
    if amount_fen <= 0:
        raise BadInput(option, f"{yuan} is no amount above zero", "write it like 100.00")
    return amount_fen


def _part(text: str) -> BindingPart:
    account_no, equals, yuan = text.partition("=")
    if not equals:
        raise BadInput("--to", f"{text!r} names no amount", "write ACCOUNT=YUAN")
    if not is_account_no(account_no):
        raise BadInput("--to", f"{account_no!r} is no account number", "give 10 digits")
    return BindingPart(account_no=account_no, amount_fen=amount_of("--to", yuan))


def _account(account: str) -> str:
    if not is_account_no(account):
        raise BadInput("--account", f"{account!r} is no account number", "give 10 digits")
    return account


def ask(key: str, body: Any, said: str, as_json: bool) -> None:
    """Write one record of the edge; the cluster is looked at first, so that it fails in words."""
    from services.settings import load_settings
    from services.wiring import open_producer

    settings = load_settings().settings
    open_cluster(settings)
    producer = open_producer(settings, "payments.edge", edge_catalogue)
    with closing(producer):
        offset = producer.append(NOTICES, key, body)
    if as_json:
        print(json.dumps({**to_document(body), "offset": offset}, ensure_ascii=False))
    else:
        print(said)

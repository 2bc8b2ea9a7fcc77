"""POS callbacks of an acquirer over HTTP, signed by Standard Webhooks (payments.md 3 b).

A sale has no number of ours, so its identity is what the terminal printed: merchant (field 42),
terminal (41), batch (60.2), STAN (11) and settlement date (15); the same rule must key its
settlement rows. The RRN (37) is kept for the second try of matching. What takes a sale back names
the sale the same way (`original_txn_id`, docs/adr/0014), so that both come to one place.

Example: merchant 887580481655550, terminal 58D01115, batch 000001, STAN 000042 on 2026-01-01 is
`887580481655550-58D01115-000001-000042-20260101`.
"""

from __future__ import annotations

import re

from services.payments.channels import standard_webhooks
from services.payments.channels.causes import Cause, RefusalError
from services.payments.channels.profile import PosProfile
from services.payments.channels.response_codes import APPROVED, cause_of_response
from services.payments.channels.strict import (
    Document,
    Headers,
    date_of,
    fen_of,
    instant_of,
    optional_text_of,
    parse_json,
    refuse,
    text_of,
    utc_text,
)
from services.payments.masking import payer_hash
from services.payments.notices import MONEY_BACK, PaymentNotice

KIND_OF_TYPE = {
    "sale": "captured",
    "refund": "refund",
    "void": "reversed",
    "reversal": "reversed",
    "chargeback": "chargeback",
}
ORIGINAL = ("original_batch", "original_stan", "original_settlement_on")

_SHAPES = {
    "merchant": re.compile(r"[0-9A-Za-z]{1,15}", re.ASCII),
    "terminal": re.compile(r"[0-9A-Za-z]{1,8}", re.ASCII),
    "batch": re.compile(r"[0-9]{6}", re.ASCII),
    "stan": re.compile(r"[0-9]{6}", re.ASCII),
    "rrn": re.compile(r"[0-9A-Za-z]{12}", re.ASCII),
    "original_rrn": re.compile(r"[0-9A-Za-z]{12}", re.ASCII),
    "original_terminal": re.compile(r"[0-9A-Za-z]{1,8}", re.ASCII),
    "original_batch": re.compile(r"[0-9]{6}", re.ASCII),
    "original_stan": re.compile(r"[0-9]{6}", re.ASCII),
    "response_code": re.compile(r"[0-9A-Za-z]{2}", re.ASCII),
}


def read_callback(
    profile: PosProfile, headers: Headers, raw_body: bytes, now_unix: int
) -> PaymentNotice:
    """What a callback says; RefusalError when it is not believed."""
    standard_webhooks.verify(profile.secrets, headers, raw_body, now_unix, profile.window_s)
    theirs = parse_json(raw_body)
    content = {ours: theirs.get(their) for ours, their in profile.fields.items()}
    merchant = _shaped(content, "merchant")
    terminal = _shaped(content, "terminal")
    if merchant not in profile.merchants:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "merchant is not one of ours")
    if profile.terminals and terminal not in profile.terminals:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "terminal is not one of ours")
    if content["currency"] not in (None, "", "CNY", "156"):  # 156: CNY in ISO 4217 digits
        raise RefusalError(Cause.CURRENCY_MISMATCH, "currency is not CNY")
    return _notice(profile, content, merchant, terminal)


def transaction_id(merchant: str, terminal: str, batch: str, stan: str, settlement_on: str) -> str:
    """The identity of a POS transaction, for callbacks and settlement rows alike."""
    return "-".join((merchant, terminal, batch, stan, settlement_on.replace("-", "")))


def _notice(profile: PosProfile, content: Document, merchant: str, terminal: str) -> PaymentNotice:
    kind = KIND_OF_TYPE.get(text_of(content, "type"))
    if kind is None:
        refuse(f"type is none of {', '.join(KIND_OF_TYPE)}")
    response = _shaped(content, "response_code")
    batch, stan, rrn = (_shaped(content, name) for name in ("batch", "stan", "rrn"))
    settlement_on = date_of(content, "settlement_on")
    amount_fen = fen_of(content, "amount_fen")
    references = {"terminal": terminal, "batch": batch, "stan": stan, "rrn": rrn}
    original_txn_id = ""
    if kind in MONEY_BACK:
        references["original_rrn"] = _shaped(content, "original_rrn")
        original_txn_id = _original(content, merchant, terminal)
    approved = response == APPROVED
    cause = cause_of_response(response)
    references |= {"failure_cause": cause.value} if cause is not None else {}
    is_refund = kind == "refund" and approved
    return PaymentNotice(
        channel=profile.channel,
        merchant=merchant,
        kind=kind if approved else "failed",
        state=response,
        channel_txn_id=transaction_id(merchant, terminal, batch, stan, settlement_on),
        out_trade_no=optional_text_of(content, "order_no"),
        amount_fen=amount_fen,
        payer_total_fen=amount_fen,
        currency="CNY",
        occurred_at=utc_text(instant_of(content, "occurred_at")),
        bill_on=settlement_on,
        payer_hash=payer_hash(profile.payer_key, optional_text_of(content, "card")),
        refund_id=rrn if is_refund else "",
        refund_fen=amount_fen if is_refund else 0,
        refund_outcome="succeeded" if is_refund else "",
        references=references,
        original_txn_id=original_txn_id,
    )


def _original(content: Document, merchant: str, terminal: str) -> str:
    """The identity of the sale that is taken back; "" when the acquirer says nothing of it.

    A sale of another terminal is named by `original_terminal`; part of an identity is refused.
    """
    if not any(optional_text_of(content, name) for name in ORIGINAL):
        return ""
    if optional_text_of(content, "original_terminal"):
        terminal = _shaped(content, "original_terminal")
    batch, stan = _shaped(content, "original_batch"), _shaped(content, "original_stan")
    settlement_on = date_of(content, "original_settlement_on")
    return transaction_id(merchant, terminal, batch, stan, settlement_on)


def _shaped(content: Document, field: str) -> str:
    value = text_of(content, field)
    if not _SHAPES[field].fullmatch(value):
        refuse(f"{field} has not the form of ISO 8583")
    return value

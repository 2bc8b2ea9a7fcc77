"""Alipay asynchronous notices (RSA2): verify, normalise (payments.md 2).

Signed are all form fields except `sign` and `sign_type`, decoded, sorted, as `k=v` joined with `&`.
The form is read as bytes and verified as bytes, so the charset cannot change what was signed; it is
decoded afterwards. (Bytes in the declared charset: sourced for utf-8, UNCONFIRMED for gbk.)

There is no time header: replay is stopped by `notify_time` inside the signed text and, for good, by
the core, which knows each `trade_no`.

Example: the golden vector `syn-ali-partial-refund` is a `refund` of 23.45 yuan in all, no credit.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from services.payments.channels.causes import Cause, RefusalError
from services.payments.channels.profile import AlipayProfile
from services.payments.channels.rsa import signed_by
from services.payments.channels.strict import (
    Headers,
    check_window,
    day_of,
    local_instant,
    optional_text_of,
    parse_form,
    refuse,
    text_of,
    utc_text,
    yuan_of,
)
from services.payments.masking import masked_text, payer_hash
from services.payments.notices import PaymentNotice

SIGN_TYPE = b"RSA2"
CHARSETS = {"utf-8": "utf-8", "utf8": "utf-8", "gbk": "gbk"}
UNSIGNED_FIELDS = (b"sign", b"sign_type")
KIND_OF_STATUS = {
    "WAIT_BUYER_PAY": "pending",
    "TRADE_SUCCESS": "captured",
    "TRADE_FINISHED": "captured",  # paid and final; often a second notice of the same trade_no
    "TRADE_CLOSED": "closed",  # unpaid at timeout, or fully refunded (then refund fields are set)
}
TIME_OF_KIND = {"captured": "gmt_payment", "closed": "gmt_close", "refund": "gmt_refund"}

Fields = Mapping[str, str]


def read_callback(
    profile: AlipayProfile, headers: Headers, raw_body: bytes, now_unix: int
) -> PaymentNotice:
    """What a notice says; RefusalError when it is not believed. The headers carry nothing."""
    fields = _authenticated_fields(profile, raw_body)
    _check_parties(profile, fields)
    sent = local_instant(fields.get("notify_time", ""), "notify_time")
    check_window(
        int(sent.timestamp()),
        now_unix,
        past_s=profile.past_s,
        future_s=profile.future_s,
        field="notify_time",
    )
    return _notice(profile, fields, sent)


def signed_text(form: Mapping[bytes, bytes]) -> bytes:
    """The bytes that Alipay signed, rebuilt from the fields received (EasySDK Signer.java)."""
    return b"&".join(
        name + b"=" + form[name] for name in sorted(form) if name not in UNSIGNED_FIELDS
    )


def _authenticated_fields(profile: AlipayProfile, raw_body: bytes) -> Fields:
    form = parse_form(raw_body)
    if form.get(b"sign_type") != SIGN_TYPE:
        raise RefusalError(Cause.SUITE_UNSUPPORTED, "sign_type is not RSA2")
    signature = form.get(b"sign", b"").decode("latin-1")
    message = signed_text(form)
    valid = [signed_by(key, message, signature) for key in profile.public_keys]
    if not any(valid):
        raise RefusalError(Cause.SIGNATURE_INVALID, "sign does not match")
    charset = CHARSETS.get(form.get(b"charset", b"utf-8").decode("latin-1").lower())
    if charset is None:
        refuse("charset is neither utf-8 nor gbk")
    try:
        return {name.decode(charset): value.decode(charset) for name, value in form.items()}
    except UnicodeDecodeError:
        refuse("a form field is not text in the declared charset")


def _check_parties(profile: AlipayProfile, fields: Fields) -> None:
    if fields.get("app_id") != profile.app_id:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "app_id is another application's")
    if fields.get("seller_id") != profile.name:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "seller_id is another seller's")
    if fields.get("trans_currency") not in (None, "", "CNY"):
        raise RefusalError(Cause.CURRENCY_MISMATCH, "trans_currency is not CNY")


def _notice(profile: AlipayProfile, fields: Fields, sent: datetime) -> PaymentNotice:
    status = text_of(fields, "trade_status")
    kind = KIND_OF_STATUS.get(status)
    if kind is None:
        refuse("trade_status is none that we know")
    total_fen = yuan_of(fields, "total_amount")
    if total_fen == 0:
        refuse("total_amount is zero")
    refund_fen = _refund_fen(fields, total_fen)
    if refund_fen:
        kind = "refund"
    time_field = TIME_OF_KIND.get(kind, "notify_time")
    text = fields.get(time_field)
    occurred = local_instant(text, time_field) if text else sent
    return PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind=kind,
        state=status,
        channel_txn_id=text_of(fields, "trade_no"),
        out_trade_no=optional_text_of(fields, "out_trade_no"),
        amount_fen=total_fen,
        payer_total_fen=_payer_total(fields, total_fen),
        currency="CNY",
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
        payer_hash=payer_hash(profile.payer_key, _payer(fields)),
        refund_no=optional_text_of(fields, "out_biz_no") if refund_fen else "",
        refund_fen=refund_fen,
        refund_total=refund_fen > 0,
        refund_outcome="succeeded" if refund_fen else "",
        original_txn_id=text_of(fields, "trade_no") if refund_fen else "",
        references=_references(fields),
    )


def _refund_fen(fields: Fields, total_fen: int) -> int:
    """All that was refunded of the trade so far (the parameter's text: 返回总退款金额), 0 if none.

    A partial refund comes as TRADE_SUCCESS once more, with the refund fields set: reading it as a
    payment would credit twice.
    """
    if not fields.get("refund_fee") and not fields.get("gmt_refund"):
        return 0
    refund_fen = yuan_of(fields, "refund_fee")
    if refund_fen > total_fen:
        refuse("refund_fee is more than total_amount")
    if fields.get("gmt_refund") and refund_fen == 0:
        refuse("gmt_refund is set but refund_fee is zero")
    return refund_fen


def _payer_total(fields: Fields, total_fen: int) -> int:
    if not fields.get("buyer_pay_amount"):
        return total_fen
    payer_total_fen = yuan_of(fields, "buyer_pay_amount")
    if payer_total_fen > total_fen:
        refuse("buyer_pay_amount is more than total_amount")
    return payer_total_fen


def _payer(fields: Fields) -> str:
    names = ("buyer_id", "buyer_open_id", "buyer_logon_id")
    return next((fields[name] for name in names if fields.get(name)), "")


def _references(fields: Fields) -> dict[str, str]:
    notify_id = optional_text_of(fields, "notify_id")
    return {"notify_id": masked_text(notify_id)} if notify_id else {}

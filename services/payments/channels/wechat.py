"""WeChat Pay API v3 callbacks: verify, decrypt, normalise (payments.md 1.1 and 1.2).

Order of the checks: headers, suite, time window, key by serial, RSA signature over
`timestamp LF nonce LF body LF`, AES-256-GCM or SM4-GCM, then merchant, application, currency and
amounts.
An unknown serial costs the same work as a known one and asks nobody. Deliberately wrong signatures
of WeChat (`WECHATPAY/SIGNTEST/...`) take the same path and only get another cause.

Example: the golden vector `syn-wx-success` becomes a `captured` notice of 12345 fen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import SM4
from cryptography.hazmat.primitives.ciphers.modes import GCM
from cryptography.hazmat.primitives.hashes import SM3, Hash

from services.payments.channels.causes import Cause, RefusalError
from services.payments.channels.profile import WechatProfile
from services.payments.channels.rsa import signed_by
from services.payments.channels.strict import (
    Document,
    Headers,
    check_window,
    day_of,
    decode_base64,
    fen_of,
    header,
    instant_of,
    object_of,
    optional_text_of,
    parse_json,
    parse_unix,
    refuse,
    required_header,
    text_of,
    utc_text,
)
from services.payments.masking import masked_text, payer_hash
from services.payments.notices import PaymentNotice

RSA_SUITE = "WECHATPAY2-SHA256-RSA2048"
"""The only signature type we accept; an absent header means this one (wechatpay-go notify.go)."""
PROBE_PREFIX = "WECHATPAY/SIGNTEST/"
TAG_BYTES = 16


def _open_aes(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    return AESGCM(key).decrypt(nonce, sealed, associated)


def _open_sm4(key: bytes, nonce: bytes, sealed: bytes, associated: bytes) -> bytes:
    """SM4-GCM under the first 16 bytes of the SM3 of the APIv3 key (wechatpay-java, shangmi)."""
    if len(sealed) < TAG_BYTES:
        raise InvalidTag
    digest = Hash(SM3())
    digest.update(key)
    mode = GCM(nonce, sealed[-TAG_BYTES:])
    opening = Cipher(SM4(digest.finalize()[:16]), mode).decryptor()
    opening.authenticate_additional_data(associated)
    return opening.update(sealed[:-TAG_BYTES]) + opening.finalize()


SUITES: Mapping[str, Callable[[bytes, bytes, bytes, bytes], bytes]] = {
    "AEAD_AES_256_GCM": _open_aes,
    "AEAD_SM4_GCM": _open_sm4,
}
"""Ciphers of a resource. SM2 signatures cannot be verified with our libraries: a callback that is
signed so is refused by its suite (`RSA_SUITE`)."""

KIND_OF_STATE = {
    "SUCCESS": "captured",
    "REFUND": "captured",  # "was paid, then refunded": still a payment (payments.md 1.2)
    "CLOSED": "closed",
    "REVOKED": "closed",
    "NOTPAY": "pending",
    "USERPAYING": "pending",
    "ACCEPT": "pending",
    "PAYERROR": "failed",
}
REFUND_EVENTS = {
    "REFUND.SUCCESS": ("SUCCESS", "succeeded"),
    "REFUND.ABNORMAL": ("ABNORMAL", "abnormal"),
    "REFUND.CLOSED": ("CLOSED", "closed"),
}

_NONCE = re.compile(r"[!-~]{1,128}", re.ASCII)


def read_callback(
    profile: WechatProfile, headers: Headers, raw_body: bytes, now_unix: int
) -> PaymentNotice:
    """What a callback says; RefusalError when it is not believed."""
    authenticate(profile, headers, raw_body, now_unix)
    envelope = parse_json(raw_body)
    event = text_of(envelope, "event_type")
    created = instant_of(envelope, "create_time")
    plaintext = decrypt_resource(profile.api_v3_keys, object_of(envelope, "resource"))
    content = parse_json(plaintext)
    if event.startswith("TRANSACTION."):
        return read_transaction(profile, event, content, created)
    if event in REFUND_EVENTS:
        return _refund(profile, event, content, created)
    return _information(profile, event, content, created)


def authenticate(profile: WechatProfile, headers: Headers, raw_body: bytes, now_unix: int) -> None:
    """RefusalError unless the headers carry a fresh, valid signature of the body."""
    timestamp = required_header(headers, "wechatpay-timestamp")
    nonce = required_header(headers, "wechatpay-nonce")
    serial = required_header(headers, "wechatpay-serial")
    signature = required_header(headers, "wechatpay-signature")
    suite = header(headers, "wechatpay-signature-type")
    if suite not in (None, RSA_SUITE):
        raise RefusalError(Cause.SUITE_UNSUPPORTED, "wechatpay-signature-type is not supported")
    if not _NONCE.fullmatch(nonce):
        refuse("header wechatpay-nonce is no printable text")
    sent_unix = parse_unix(timestamp, "header wechatpay-timestamp")
    window_s = profile.window_s
    check_window(
        sent_unix, now_unix, past_s=window_s, future_s=window_s, field="wechatpay-timestamp"
    )
    known = profile.platform_keys.get(serial)
    decoy = next(iter(profile.platform_keys.values()))
    message = f"{timestamp}\n{nonce}\n".encode() + raw_body + b"\n"
    valid = signed_by(known or decoy, message, signature)
    if known is None:
        raise RefusalError(Cause.SERIAL_UNKNOWN, "wechatpay-serial names no key we hold")
    if not valid:
        probe = signature.startswith(PROBE_PREFIX)
        cause = Cause.PROBE if probe else Cause.SIGNATURE_INVALID
        raise RefusalError(cause, "wechatpay-signature does not match")


def decrypt_resource(api_v3_keys: tuple[bytes, ...], resource: Document) -> bytes:
    """The plaintext of a callback's resource, under the first of our keys that opens it."""
    opened = SUITES.get(str(resource.get("algorithm")))
    if opened is None:
        raise RefusalError(Cause.SUITE_UNSUPPORTED, "resource.algorithm is not supported")
    nonce = resource.get("nonce")
    ciphertext = resource.get("ciphertext")
    associated = resource.get("associated_data") or ""
    if not (isinstance(nonce, str) and isinstance(ciphertext, str) and isinstance(associated, str)):
        refuse("resource.nonce, .ciphertext or .associated_data is no text")
    sealed = decode_base64(ciphertext)
    if sealed is None:
        refuse("resource.ciphertext is no base64")
    if len(nonce.encode()) != 12:
        refuse("resource.nonce has not 12 bytes")
    for key in api_v3_keys:
        try:
            return opened(key, nonce.encode(), sealed, associated.encode())
        except InvalidTag:
            continue
    raise RefusalError(Cause.DECRYPT_FAILED, "resource does not open with our APIv3 key")


def check_merchant(profile: WechatProfile, content: Document) -> None:
    """RefusalError when it is about another merchant."""
    if text_of(content, "mchid") != profile.name:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "mchid is another merchant's")


def _check_currency(amount: Document) -> str:
    currency = optional_text_of(amount, "currency") or "CNY"
    if currency != "CNY":
        raise RefusalError(Cause.CURRENCY_MISMATCH, "amount.currency is not CNY")
    return currency


def read_transaction(
    profile: WechatProfile, event: str, content: Document, created: datetime
) -> PaymentNotice:
    """A transaction of a callback or an answer; RefusalError when it is not ours or not whole."""
    check_merchant(profile, content)
    if text_of(content, "appid") not in profile.appids:
        raise RefusalError(Cause.MERCHANT_MISMATCH, "appid is not one of ours")
    state = text_of(content, "trade_state")
    kind = KIND_OF_STATE.get(state)
    if kind is None:
        refuse("trade_state is none that we know")
    if (event == "TRANSACTION.SUCCESS") != (kind == "captured"):
        refuse("trade_state contradicts event_type")
    amount = object_of(content, "amount")
    total_fen = fen_of(amount, "total")
    paid = kind == "captured"
    occurred = instant_of(content, "success_time") if paid else created
    return PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind=kind,
        state=state,
        channel_txn_id=(text_of if paid else optional_text_of)(content, "transaction_id"),
        out_trade_no=optional_text_of(content, "out_trade_no"),
        amount_fen=total_fen,
        payer_total_fen=_payer_total(amount, total_fen),
        currency=_check_currency(amount),
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
        payer_hash=payer_hash(profile.payer_key, _openid(content)),
        references=references_of(content, ("trade_type", "bank_type")),
    )


def _payer_total(amount: Document, total_fen: int) -> int:
    """What the payer gave: less than the total when coupons were used, never more."""
    if amount.get("payer_total") is None:
        return total_fen
    payer_total_fen = fen_of(amount, "payer_total", minimum=0)
    if payer_total_fen > total_fen:
        refuse("amount.payer_total is more than amount.total")
    return payer_total_fen


def _openid(content: Document) -> str:
    payer: Any = content.get("payer")
    openid = payer.get("openid") if isinstance(payer, dict) else None
    return openid if isinstance(openid, str) else ""


def references_of(content: Document, fields: tuple[str, ...]) -> dict[str, str]:
    """What matching and reports need besides, with nothing of a card in it."""
    found = {name: masked_text(optional_text_of(content, name)) for name in fields}
    return {name: value for name, value in found.items() if value}


def _refund(
    profile: WechatProfile, event: str, content: Document, created: datetime
) -> PaymentNotice:
    check_merchant(profile, content)
    state, outcome = REFUND_EVENTS[event]
    if text_of(content, "refund_status") != state:
        refuse("refund_status contradicts event_type")
    amount = object_of(content, "amount")
    total_fen = fen_of(amount, "total")
    refund_fen = fen_of(amount, "refund")
    if refund_fen > total_fen:
        refuse("amount.refund is more than amount.total")
    occurred = instant_of(content, "success_time") if outcome == "succeeded" else created
    return PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind="refund",
        state=state,
        channel_txn_id=text_of(content, "transaction_id"),
        out_trade_no=optional_text_of(content, "out_trade_no"),
        amount_fen=total_fen,
        payer_total_fen=_payer_total(amount, total_fen),
        currency=_check_currency(amount),
        occurred_at=utc_text(occurred),
        bill_on=day_of(occurred),
        refund_no=text_of(content, "out_refund_no"),
        refund_id=text_of(content, "refund_id"),
        refund_fen=refund_fen,
        refund_outcome=outcome,
        original_txn_id=text_of(content, "transaction_id"),
    )


def _information(
    profile: WechatProfile, event: str, content: Document, created: datetime
) -> PaymentNotice:
    """Signed by WeChat but about no payment: the self-test echo, contracts, pay scores."""
    if content.get("mchid") is not None:
        check_merchant(profile, content)
    return PaymentNotice(
        channel=profile.channel,
        merchant=profile.name,
        kind="information",
        state=event,
        channel_txn_id="",
        out_trade_no="",
        amount_fen=0,
        payer_total_fen=0,
        currency="CNY",
        occurred_at=utc_text(created),
        bill_on=day_of(created),
    )

"""Truly signed callbacks with any content, for what the simulated gateways would never send."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote_plus

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from services.payments.channels.standard_webhooks import sign
from simulators.gateways.keys import (
    APP_ID,
    APPID,
    MCHID,
    POS_MERCHANT,
    POS_TERMINAL,
    PUBLIC_KEY_ID,
    SELLER_ID,
    KeySet,
)

NOW = 1767225600  # 2026-01-01 08:00:00 +08:00
Request = tuple[list[tuple[str, str]], bytes]


def wechat_content(**changes: Any) -> dict[str, Any]:
    """A captured transaction; a change to None takes the field out."""
    content: dict[str, Any] = {
        "mchid": MCHID,
        "appid": APPID,
        "out_trade_no": "1000000042126010001",
        "transaction_id": "4200000000202601010000000001",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "bank_type": "OTHERS",
        "success_time": "2026-01-01T08:00:00+08:00",
        "payer": {"openid": "oPAYER"},
        "amount": {"total": 12345, "payer_total": 12345, "currency": "CNY"},
    }
    return _changed(content, changes)


def wechat_refund(**changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "mchid": MCHID,
        "out_trade_no": "1000000042126010001",
        "transaction_id": "4200000000202601010000000001",
        "out_refund_no": "REF1",
        "refund_id": "5030",
        "refund_status": "SUCCESS",
        "success_time": "2026-01-02T08:00:00+08:00",
        "user_received_account": "招商银行信用卡0403",
        "amount": {"total": 12345, "refund": 2345, "payer_total": 12345, "payer_refund": 2345},
    }
    return _changed(content, changes)


def wechat_request(
    keys: KeySet, content: Any, event: str = "TRANSACTION.SUCCESS", **envelope: Any
) -> Request:
    plaintext = content if isinstance(content, bytes) else json.dumps(content).encode()
    sealed = AESGCM(keys.api_v3_key).encrypt(b"n0nceN0nce12", plaintext, b"")
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": "n0nceN0nce12",
        "ciphertext": base64.b64encode(sealed).decode(),
    }
    document = {
        "id": "EV-1",
        "create_time": "2026-01-01T08:00:01+08:00",
        "event_type": event,
        "resource": resource,
    }
    return sign_wechat(keys, json.dumps(_changed(document, envelope)).encode())


def sign_wechat(keys: KeySet, body: bytes, nonce: str = "nonce") -> Request:
    message = f"{NOW}\n{nonce}\n".encode() + body + b"\n"
    signature = base64.b64encode(keys.wechat_key.sign(message, PKCS1v15(), SHA256())).decode()
    headers = [
        ("Wechatpay-Timestamp", str(NOW)),
        ("Wechatpay-Nonce", nonce),
        ("Wechatpay-Serial", PUBLIC_KEY_ID),
        ("Wechatpay-Signature", signature),
    ]
    return headers, body


def alipay_fields(**changes: str | None) -> dict[str, str]:
    fields = {
        "app_id": APP_ID,
        "seller_id": SELLER_ID,
        "charset": "utf-8",
        "notify_time": "2026-01-01 08:00:00",
        "notify_id": "2026010100222000000000000000000001",
        "trade_status": "TRADE_SUCCESS",
        "trade_no": "2026010122001400000000000001",
        "out_trade_no": "1000000042126010001",
        "total_amount": "123.45",
        "buyer_pay_amount": "120.00",
        "buyer_id": "2088000000000001",
        "buyer_logon_id": "138****1234",
        "subject": "电费",
        "gmt_payment": "2026-01-01 07:59:58",
        "passback_params": "",
    }
    return _changed(fields, changes)


def alipay_request(keys: KeySet, fields: dict[str, str], charset: str = "utf-8") -> Request:
    raw = {name: value.encode(charset) for name, value in fields.items()}
    return [], sign_alipay(keys, raw)


def sign_alipay(keys: KeySet, raw: dict[str, bytes]) -> bytes:
    message = b"&".join(name.encode() + b"=" + raw[name] for name in sorted(raw))
    signature = base64.b64encode(keys.alipay.sign(message, PKCS1v15(), SHA256()))
    whole = {**raw, "sign_type": b"RSA2", "sign": signature}
    return "&".join(f"{quote_plus(name)}={quote_plus(whole[name])}" for name in whole).encode()


def pos_document(**changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": "sale",
        "merchant": POS_MERCHANT,
        "terminal": POS_TERMINAL,
        "stan": "000042",
        "batch": "000001",
        "rrn": "601010000042",
        "amount_fen": 12345,
        "currency": "CNY",
        "settlement_on": "2026-01-01",
        "occurred_at": "2026-01-01T08:00:00+08:00",
        "order_no": "1000000042126010001",
        "response_code": "00",
        "card": "6228480402564890018",
    }
    return _changed(document, changes)


def pos_request(keys: KeySet, document: Any, **headers: str) -> Request:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    stamp = headers.get("timestamp", str(NOW))
    message_id = headers.get("id", "msg_1")
    signature = sign(keys.pos_secret, message_id, stamp, body)
    return [
        ("webhook-id", message_id),
        ("webhook-timestamp", stamp),
        ("webhook-signature", headers.get("signature", signature)),
    ], body


def _changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    changed = {**document, **changes}
    return {name: value for name, value in changed.items() if value is not None}

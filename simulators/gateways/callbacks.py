"""The callbacks as the three gateways send them: real signatures over real bytes.

A `Payment` is what happened in business time; the signature's time is always wall time (DESIGN 3),
so `sign_*` take both. `Twist` says what is wrong with a callback on purpose.

Example: `wechat_callback(keys, payment, Twist(), now_unix)` is a POST for /notify/wechat/MCHID.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from urllib.parse import urlencode

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256

from simulators.gateways.keys import (
    ACQUIRER,
    APP_ID,
    APPID,
    MCHID,
    POS_MERCHANT,
    POS_TERMINAL,
    PUBLIC_KEY_ID,
    SELLER_ID,
    KeySet,
)

CHINA = timezone(timedelta(hours=8))
OTHER_MCHID = "1900009999"
OTHER_APP_ID = "2021000000009999"
OTHER_POS_MERCHANT = "999999999999999"
AGE_MAX_S = {"wechat": 300, "alipay": 25 * 3600, "pos": 300}


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment as its gateway knows it. `order` is empty for money without an order."""

    channel: str
    order: str
    amount_fen: int
    at: datetime
    txn_id: str
    payer: str
    coupon_fen: int = 0
    stan: str = ""
    batch: str = ""
    rrn: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """A refund of a payment: this one's amount, and all that was refunded so far."""

    payment: Payment
    refund_no: str
    refund_fen: int
    total_fen: int
    at: datetime
    outcome: str = "SUCCESS"

    @property
    def pos_numbers(self) -> tuple[str, str, str]:
        """Batch, STAN and retrieval reference number of a refund at a card terminal."""
        digits = _digits(self.refund_no, 24)
        return digits[18:], digits[12:18], digits[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Twist:
    """What is wrong with a callback; nothing by default.

    forge: signed with a key nobody trusts; alter: one bit changed after signing; age_s: the
    signature's time lies that far back; unknown_key: another key id; other_merchant: truly signed,
    but for somebody else; probe: a WeChat signature test; certificate: signed with the older
    platform certificate, which is right, too.
    """

    forge: bool = False
    alter: bool = False
    age_s: int = 0
    unknown_key: bool = False
    other_merchant: bool = False
    probe: bool = False
    certificate: bool = False

    def wrong(self, channel: str) -> bool:
        """Whether a correct edge refuses the callback: broken, or older than the channel allows."""
        broken = self.forge or self.alter or self.unknown_key or self.other_merchant or self.probe
        return broken or self.age_s >= AGE_MAX_S[channel] or self.age_s <= -300


@dataclass(frozen=True, slots=True, kw_only=True)
class Callback:
    """One HTTP request: path, headers, body."""

    path: str
    headers: dict[str, str]
    body: bytes


def build(
    keys: KeySet, fact: Payment | Refund, twist: Twist, event_id: str, now_unix: int
) -> Callback:
    """The callback about a payment or refund, signed at `now_unix` (less the twist's age)."""
    channel = fact.channel if isinstance(fact, Payment) else fact.payment.channel
    sign = {"wechat": _wechat, "alipay": _alipay, "pos": _pos}[channel]
    callback = sign(keys, fact, twist, event_id, now_unix - twist.age_s)
    return _altered(callback) if twist.alter else callback


def _compact(document: dict[str, Any]) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def _rsa_signature(key: RSAPrivateKey, message: bytes) -> str:
    return base64.b64encode(key.sign(message, PKCS1v15(), SHA256())).decode()


def _wechat(
    keys: KeySet, fact: Payment | Refund, twist: Twist, event_id: str, sent_unix: int
) -> Callback:
    if isinstance(fact, Payment):
        event, content = "TRANSACTION.SUCCESS", _wechat_payment(fact)
    else:
        event, content = f"REFUND.{fact.outcome}", _wechat_refund(fact)
    if twist.other_merchant:
        content["mchid"] = OTHER_MCHID
    kind = "transaction" if isinstance(fact, Payment) else "refund"
    nonce = secrets.token_hex(6)
    sealed = AESGCM(keys.api_v3_key).encrypt(nonce.encode(), _compact(content), kind.encode())
    body = _compact(
        {
            "id": event_id,
            "create_time": fact.at.astimezone(CHINA).isoformat(),
            "resource_type": "encrypt-resource",
            "event_type": event,
            "summary": "支付成功" if kind == "transaction" else "退款通知",
            "resource": {
                "original_type": kind,
                "algorithm": "AEAD_AES_256_GCM",
                "ciphertext": base64.b64encode(sealed).decode(),
                "associated_data": kind,
                "nonce": nonce,
            },
        }
    )
    headers = _wechat_headers(keys, twist, body, sent_unix)
    return Callback(path=f"/notify/wechat/{MCHID}", headers=headers, body=body)


def _wechat_headers(keys: KeySet, twist: Twist, body: bytes, sent_unix: int) -> dict[str, str]:
    header_nonce = secrets.token_hex(16)
    message = f"{sent_unix}\n{header_nonce}\n".encode() + body + b"\n"
    trusted = keys.wechat_certificate if twist.certificate else keys.wechat_key
    signature = _rsa_signature(keys.stranger if twist.forge else trusted, message)
    if twist.probe:
        signature = "WECHATPAY/SIGNTEST/" + signature
    serial = keys.certificate_serial if twist.certificate else PUBLIC_KEY_ID
    return {
        "Content-Type": "application/json",
        "Wechatpay-Nonce": header_nonce,
        "Wechatpay-Serial": "PUB_KEY_ID_UNKNOWN" if twist.unknown_key else serial,
        "Wechatpay-Signature": signature,
        "Wechatpay-Signature-Type": "WECHATPAY2-SHA256-RSA2048",
        "Wechatpay-Timestamp": str(sent_unix),
    }


def _wechat_payment(payment: Payment) -> dict[str, Any]:
    order = {"out_trade_no": payment.order} if payment.order else {}
    return {
        "mchid": MCHID,
        "appid": APPID,
        **order,
        "transaction_id": payment.txn_id,
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "trade_state_desc": "支付成功",
        "bank_type": "OTHERS",
        "attach": "",
        "success_time": payment.at.astimezone(CHINA).isoformat(),
        "payer": {"openid": payment.payer},
        "amount": {
            "total": payment.amount_fen,
            "payer_total": payment.amount_fen - payment.coupon_fen,
            "currency": "CNY",
            "payer_currency": "CNY",
        },
    }


def _wechat_refund(refund: Refund) -> dict[str, Any]:
    payment = refund.payment
    return {
        "mchid": MCHID,
        "out_trade_no": payment.order,
        "transaction_id": payment.txn_id,
        "out_refund_no": refund.refund_no,
        "refund_id": "5030" + payment.txn_id[-20:] + refund.refund_no[-4:],
        "refund_status": refund.outcome,
        "success_time": refund.at.astimezone(CHINA).isoformat(),
        "user_received_account": "招商银行信用卡0403",
        "amount": {
            "total": payment.amount_fen,
            "refund": refund.refund_fen,
            "payer_total": payment.amount_fen,
            "payer_refund": refund.refund_fen,
        },
    }


def _alipay(
    keys: KeySet, fact: Payment | Refund, twist: Twist, event_id: str, sent_unix: int
) -> Callback:
    payment = fact if isinstance(fact, Payment) else fact.payment
    fields = {
        "gmt_create": _local(payment.at),
        "charset": "utf-8",
        "gmt_payment": _local(payment.at),
        "notify_time": _local(datetime.fromtimestamp(sent_unix, UTC)),
        "subject": "电费 & 预存",
        "buyer_id": payment.payer,
        "buyer_logon_id": "138****1234",
        "version": "1.0",
        "notify_id": hashlib.sha256(event_id.encode()).hexdigest()[:34],
        "notify_type": "trade_status_sync",
        "total_amount": _yuan(payment.amount_fen),
        "buyer_pay_amount": _yuan(payment.amount_fen - payment.coupon_fen),
        "trade_status": "TRADE_SUCCESS",
        "trade_no": payment.txn_id,
        "app_id": OTHER_APP_ID if twist.other_merchant else APP_ID,
        "auth_app_id": APP_ID,
        "seller_id": SELLER_ID,
        "passback_params": "",
    }
    if payment.order:
        fields["out_trade_no"] = payment.order
    if isinstance(fact, Refund):
        fields["refund_fee"] = _yuan(fact.total_fen)
        fields["gmt_refund"] = _local(fact.at) + ".123"
        fields["out_biz_no"] = fact.refund_no
    message = "&".join(f"{name}={fields[name]}" for name in sorted(fields)).encode()
    stranger = twist.forge or twist.unknown_key
    fields["sign_type"] = "RSA2"
    fields["sign"] = _rsa_signature(keys.stranger if stranger else keys.alipay, message)
    return Callback(
        path=f"/notify/alipay/{SELLER_ID}",
        headers={"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"},
        body=urlencode(fields).encode(),
    )


def _local(instant: datetime) -> str:
    return instant.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _yuan(amount_fen: int) -> str:
    return f"{amount_fen // 100}.{amount_fen % 100:02d}"


def _pos(
    keys: KeySet, fact: Payment | Refund, twist: Twist, event_id: str, sent_unix: int
) -> Callback:
    payment = fact if isinstance(fact, Payment) else fact.payment
    local_at = fact.at.astimezone(CHINA)
    document: dict[str, Any] = {
        "type": "sale" if isinstance(fact, Payment) else "refund",
        "merchant": OTHER_POS_MERCHANT if twist.other_merchant else POS_MERCHANT,
        "terminal": POS_TERMINAL,
        "stan": payment.stan,
        "batch": payment.batch,
        "rrn": payment.rrn,
        "amount_fen": payment.amount_fen if isinstance(fact, Payment) else fact.refund_fen,
        "currency": "CNY",
        "settlement_on": local_at.date().isoformat(),
        "occurred_at": local_at.isoformat(),
        "response_code": "00",
        "card": payment.payer,
    }
    if payment.order:
        document["order_no"] = payment.order
    if isinstance(fact, Refund):
        batch, stan, rrn = fact.pos_numbers
        document |= {"original_rrn": payment.rrn, "rrn": rrn, "stan": stan, "batch": batch}
        document |= {"original_batch": payment.batch, "original_stan": payment.stan}
        document["original_settlement_on"] = payment.at.astimezone(CHINA).date().isoformat()
    body = _compact(document)
    stranger = twist.forge or twist.unknown_key
    secret = secrets.token_bytes(32) if stranger else keys.pos_secret
    message_id = f"msg_{event_id}"
    message = f"{message_id}.{sent_unix}.".encode() + body
    signature = base64.b64encode(hmac.new(secret, message, hashlib.sha256).digest()).decode()
    headers = {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_unix),
        "webhook-signature": f"v1,{signature}",
    }
    return Callback(path=f"/notify/pos/{ACQUIRER}", headers=headers, body=body)


def _digits(seed: str, count: int) -> str:
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big")
    return str(number)[-count:].zfill(count)


_AMOUNTS = (b"total_amount=", b'"amount_fen":', b'"ciphertext":"')


def _altered(callback: Callback) -> Callback:
    """One bit of the amount changed after signing (of the ciphertext where it is hidden)."""
    body = bytearray(callback.body)
    place = next(body.index(mark) + len(mark) for mark in _AMOUNTS if mark in body)
    body[place] ^= 1
    return Callback(path=callback.path, headers=callback.headers, body=bytes(body))

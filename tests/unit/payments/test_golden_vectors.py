"""Every vector of tests/golden/payments.json with every mutation it names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.payments.channels import reply_to, verify_and_parse
from services.payments.channels.alipay import signed_text
from services.payments.channels.causes import Accepted, Cause, RefusalError, Refused
from services.payments.channels.profile import PosProfile, WechatProfile
from services.payments.channels.rsa import load_public_key, signed_by
from services.payments.channels.standard_webhooks import sign, verify
from services.payments.channels.strict import parse_form
from services.payments.channels.wechat import decrypt_resource
from services.payments.notices import PaymentNotice
from tests.unit.payments.vectors import (
    ALIPAY_NOW,
    PAYER_KEY,
    VECTORS,
    alipay_profile,
    wechat_headers,
    wechat_profile,
)

PAYER_OTEST = "58a49fa6456d97f86c993f3e0547d30c"
NOT_OF_THIS_EDGE = {
    "wx-bill-all-1": "facts about a settlement file: the settlement stage reads those",
}


def notice_of(verdict: object) -> PaymentNotice:
    assert isinstance(verdict, Accepted), verdict
    return verdict.notice


def cause_of(verdict: object) -> Cause:
    assert isinstance(verdict, Refused), verdict
    return verdict.cause


def test_every_vector_has_a_test() -> None:
    source = Path(__file__).read_text("utf-8")
    missing = [name for name in VECTORS if f'"{name}"' not in source]
    assert missing == []
    assert len(VECTORS) == 23


# --- WeChat: the published notification of wechatpay-go

PUBLISHED = VECTORS["wx-notify-rsa-1"]
SERIAL = PUBLISHED["serial_hex"]


def published_profile() -> WechatProfile:
    return wechat_profile(PUBLISHED, name="1234567890")


def test_published_notification_is_accepted() -> None:
    verdict = verify_and_parse(
        published_profile(),
        wechat_headers(PUBLISHED),
        PUBLISHED["body"].encode(),
        PUBLISHED["now_unix"],
    )
    notice = notice_of(verdict)
    assert (notice.kind, notice.state) == ("information", "PAYSCORE.USER_OPEN_SERVICE")
    assert notice.occurred_at == "2021-06-24T08:37:26Z"
    resource = json.loads(PUBLISHED["body"])["resource"]
    plaintext = decrypt_resource((PUBLISHED["api_v3_key"].encode(),), resource)
    assert plaintext.decode() == PUBLISHED["expect"]["plaintext"]


Request = tuple[dict[str, str], bytes, int]


def _flip(body: str) -> bytes:
    raw = bytearray(body.encode())
    raw[10] ^= 1
    return bytes(raw)


MUTATIONS: dict[str, tuple[Callable[[dict[str, Any]], Request], Cause]] = {
    "now_unix+300": (
        lambda v: ({}, v["body"].encode(), v["now_unix"] + 300),
        Cause.TIMESTAMP_OUTSIDE_WINDOW,
    ),
    "body byte flip": (
        lambda v: ({}, _flip(v["body"]), v["now_unix"]),
        Cause.SIGNATURE_INVALID,
    ),
    "signature prefix WECHATPAY/SIGNTEST/": (
        lambda v: (
            {"Wechatpay_Signature": "WECHATPAY/SIGNTEST/" + v["headers"]["Wechatpay-Signature"]},
            v["body"].encode(),
            v["now_unix"],
        ),
        Cause.PROBE,
    ),
    "serial=D7CE59D1F522D702": (
        lambda v: ({"Wechatpay_Serial": "D7CE59D1F522D702"}, v["body"].encode(), v["now_unix"]),
        Cause.SERIAL_UNKNOWN,
    ),
    "serial=PUB_KEY_ID_X": (
        lambda v: ({"Wechatpay_Serial": "PUB_KEY_ID_X"}, v["body"].encode(), v["now_unix"]),
        Cause.SERIAL_UNKNOWN,
    ),
    "body re-serialised (spaces)": (
        lambda v: (
            {},
            json.dumps(json.loads(v["body"]), ensure_ascii=False).encode(),
            v["now_unix"],
        ),
        Cause.SIGNATURE_INVALID,
    ),
    "resource.algorithm=AEAD_SM4_GCM": (
        lambda v: (
            {},
            v["body"].replace("AEAD_AES_256_GCM", "AEAD_SM4_GCM").encode(),
            v["now_unix"],
        ),
        Cause.SIGNATURE_INVALID,
    ),
    "Wechatpay-Signature-Type=WECHATPAY2-SM2-WITH-SM3": (
        lambda v: (
            {"Wechatpay_Signature_Type": "WECHATPAY2-SM2-WITH-SM3"},
            v["body"].encode(),
            v["now_unix"],
        ),
        Cause.SUITE_UNSUPPORTED,
    ),
}


@pytest.mark.parametrize("change", [item["change"] for item in PUBLISHED["mutations"]])
def test_published_notification_mutated_is_refused(change: str) -> None:
    mutate, expected = MUTATIONS[change]
    headers, body, now_unix = mutate(PUBLISHED)
    verdict = verify_and_parse(
        published_profile(), wechat_headers(PUBLISHED, **headers), body, now_unix
    )
    assert cause_of(verdict) == expected
    reply = reply_to("wechat", verdict)
    assert reply.status == 401
    assert json.loads(reply.body)["code"] == "SIGN_ERROR"


# --- WeChat: signatures and ciphers by themselves


def test_signature_by_public_key() -> None:
    vector = VECTORS["wx-rsa-pubkey-1"]
    key = load_public_key(vector["public_key_pem"], "pem")
    assert signed_by(key, vector["message"].encode(), vector["signature_b64"])
    refused = {"message='wrong source'", "signature=''", "signature='invalid base64 signature'"}
    assert {item["change"] for item in vector["mutations"]} - refused == {
        "serial='invalid serial number'"
    }
    assert not signed_by(key, b"wrong source", vector["signature_b64"])
    assert not signed_by(key, b"source", "")
    assert not signed_by(key, b"source", "invalid base64 signature")


def test_signature_with_invalid_serial_is_refused() -> None:
    vector = VECTORS["syn-wx-success"]
    verdict = verify_and_parse(
        wechat_profile(vector),
        wechat_headers(vector, Wechatpay_Serial="invalid serial number"),
        vector["body"].encode(),
        vector["now_unix"],
    )
    assert cause_of(verdict) == Cause.SERIAL_UNKNOWN


def test_signature_by_certificate() -> None:
    vector = VECTORS["wx-rsa-cert-2"]
    key = load_public_key(vector["certificate_pem"], "pem", vector["serial_hex"])
    assert signed_by(key, vector["message"].encode(), vector["signature_b64"])
    assert not signed_by(key, b"Message", vector["signature_b64"])


@pytest.mark.parametrize("name", ["wx-aes-gcm-1", "wx-aes-gcm-2"])
def test_resource_decrypts(name: str) -> None:
    vector = VECTORS[name]
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": vector["nonce"],
        "associated_data": vector["aad"],
        "ciphertext": vector["ciphertext_b64"],
    }
    api_v3_keys = (vector["api_v3_key"].encode(),)
    assert decrypt_resource(api_v3_keys, resource).decode() == vector["plaintext"]
    changes = {
        "aad='bad-associatedData'": {"associated_data": "bad-associatedData"},
        "nonce='bad-4a9R25RW'": {"nonce": "bad-4a9R25RW"},
    }
    for mutation in vector.get("mutations", []):
        with pytest.raises(RefusalError) as refusal:
            decrypt_resource(api_v3_keys, resource | changes[mutation["change"]])
        assert refusal.value.cause == Cause.DECRYPT_FAILED


def test_national_cipher_decrypts() -> None:
    vector = VECTORS["wx-sm4-gcm-1"]
    resource = {
        "algorithm": "AEAD_SM4_GCM",
        "nonce": vector["nonce"],
        "associated_data": vector["aad"],
        "ciphertext": vector["ciphertext_b64"],
    }
    keys = (b"x" * 32, vector["api_v3_key"].encode())
    assert decrypt_resource(keys, resource).decode() == vector["plaintext"]
    for change in (
        {"associated_data": "other"},
        {"nonce": "uluk4a9R25RX"},
        {"ciphertext": base64.b64encode(b"x" * 15).decode()},
        {"algorithm": "AEAD_AES_256_GCM"},
    ):
        with pytest.raises(RefusalError) as refusal:
            decrypt_resource(keys, resource | change)
        assert refusal.value.cause == Cause.DECRYPT_FAILED


def test_unknown_cipher_is_refused_by_name() -> None:
    with pytest.raises(RefusalError) as refusal:
        decrypt_resource((b"x" * 32,), {"algorithm": "AEAD_SM4_CCM"})
    assert refusal.value.cause == Cause.SUITE_UNSUPPORTED


def test_national_signature_key_is_no_key_of_ours() -> None:
    vector = VECTORS["wx-sm2-sm3-1"]
    with pytest.raises(BadInput, match=r"platform_keys\.x: is no"):
        load_public_key(vector["certificate_pem"], "platform_keys.x")


def test_standard_webhook() -> None:
    vector = VECTORS["stdwh-1"]
    secret = base64.b64decode(vector["secret_b64"])
    body = vector["payload"].encode()
    stamp = str(vector["timestamp"])
    assert sign(secret, vector["msg_id"], stamp, body) == vector["expected"]
    headers = [
        ("Webhook-Id", vector["msg_id"]),
        ("Webhook-Timestamp", stamp),
        ("Webhook-Signature", vector["expected"]),
    ]
    assert verify((secret,), headers, body, vector["timestamp"]) == vector["msg_id"]
    with pytest.raises(RefusalError):
        verify((secret,), headers, body + b" ", vector["timestamp"])


# --- WeChat: whole callbacks


def _read_wechat(name: str, offset_s: int = 0) -> object:
    vector = VECTORS[name]
    return verify_and_parse(
        wechat_profile(vector),
        wechat_headers(vector),
        vector["body"].encode(),
        vector["now_unix"] + offset_s,
    )


def test_wechat_payment() -> None:
    notice = notice_of(_read_wechat("syn-wx-success"))
    # hmac.new(b"p" * 32, b"oTEST", "sha256").hexdigest()[:32], computed apart
    assert notice.payer_hash == PAYER_OTEST
    assert notice == PaymentNotice(
        channel="wechat",
        merchant="1900000001",
        kind="captured",
        state="SUCCESS",
        channel_txn_id="4200000000202601010000000001",
        out_trade_no="PAY20260101000001",
        amount_fen=12345,
        payer_total_fen=12345,
        currency="CNY",
        occurred_at="2026-01-01T00:00:00Z",
        bill_on="2026-01-01",
        payer_hash=PAYER_OTEST,
        references={"trade_type": "NATIVE", "bank_type": "OTHERS"},
    )


def test_wechat_payment_of_another_amount_is_a_fact_too() -> None:
    """Whether the amount is the order's is for the core: money is never refused for it."""
    assert notice_of(_read_wechat("syn-wx-success-amount-mismatch")).amount_fen == 12300


def test_wechat_payment_of_another_merchant() -> None:
    verdict = _read_wechat("syn-wx-success-other-mchid")
    assert cause_of(verdict) == Cause.MERCHANT_MISMATCH


def test_wechat_refund() -> None:
    notice = notice_of(_read_wechat("syn-wx-refund-success"))
    assert (notice.kind, notice.refund_outcome, notice.refund_total) == (
        "refund",
        "succeeded",
        False,
    )
    assert (notice.amount_fen, notice.refund_fen) == (12345, 2345)
    assert (notice.refund_no, notice.refund_id) == (
        "REF20260102000001",
        "50000000000000000000000000001",
    )
    assert notice.occurred_at == "2026-01-02T00:00:00Z"


WECHAT_WHOLE = [
    "syn-wx-success",
    "syn-wx-success-amount-mismatch",
    "syn-wx-success-other-mchid",
    "syn-wx-refund-success",
]


@pytest.mark.parametrize("name", WECHAT_WHOLE)
@pytest.mark.parametrize(
    ("offset_s", "fresh"),
    [(0, True), (299, True), (300, False), (-299, True), (-300, False), (86400, False)],
)
def test_wechat_replay(name: str, offset_s: int, fresh: bool) -> None:
    verdict = _read_wechat(name, offset_s)
    stale = isinstance(verdict, Refused) and verdict.cause == Cause.TIMESTAMP_OUTSIDE_WINDOW
    assert stale is not fresh


# --- Alipay


def _read_alipay(name: str, offset_s: int = 0) -> object:
    vector = VECTORS[name]
    body = vector["form_body"].encode()
    return verify_and_parse(alipay_profile(vector), [], body, ALIPAY_NOW + offset_s)


ALIPAY = [name for name in VECTORS if name.startswith("syn-ali-")]


@pytest.mark.parametrize("name", ALIPAY)
def test_alipay_signed_text(name: str) -> None:
    vector = VECTORS[name]
    rebuilt = signed_text(parse_form(vector["form_body"].encode())).decode()
    if name == "syn-ali-tampered-amount":
        rebuilt = rebuilt.replace("total_amount=0.01", "total_amount=123.45")
    assert rebuilt == vector["content_to_verify"]


def test_alipay_payment() -> None:
    verdict = _read_alipay("syn-ali-success")
    notice = notice_of(verdict)
    assert (notice.kind, notice.state) == ("captured", "TRADE_SUCCESS")
    assert notice.amount_fen == 12345
    assert notice.channel_txn_id == "2026010122001400000000000001"
    assert notice.occurred_at == "2026-01-01T00:00:05Z"
    assert (notice.merchant, notice.bill_on) == ("2088000000000099", "2026-01-01")
    assert reply_to("alipay", Accepted(notice=notice)).body == b"success"


def test_alipay_waiting_moves_no_money() -> None:
    notice = notice_of(_read_alipay("syn-ali-wait"))
    assert (notice.kind, notice.state) == ("pending", "WAIT_BUYER_PAY")


def test_alipay_finished_is_the_same_payment() -> None:
    first = notice_of(_read_alipay("syn-ali-success"))
    final = notice_of(_read_alipay("syn-ali-finished"))
    assert (final.kind, final.state) == ("captured", "TRADE_FINISHED")
    identity = ("channel", "kind", "channel_txn_id", "out_trade_no", "amount_fen", "occurred_at")
    assert [getattr(final, name) for name in identity] == [
        getattr(first, name) for name in identity
    ]


def test_alipay_partial_refund_is_no_second_payment() -> None:
    notice = notice_of(_read_alipay("syn-ali-partial-refund"))
    assert (notice.kind, notice.refund_fen, notice.refund_total) == ("refund", 2345, True)
    assert notice.refund_no == "REF20260102000002"
    assert notice.occurred_at == "2026-01-02T01:00:00Z"


@pytest.mark.parametrize(
    ("name", "cause", "status"),
    [
        ("syn-ali-other-app", Cause.MERCHANT_MISMATCH, 403),
        ("syn-ali-sha1-under-rsa2", Cause.SIGNATURE_INVALID, 401),
        ("syn-ali-signtype-rsa", Cause.SUITE_UNSUPPORTED, 401),
        ("syn-ali-tampered-amount", Cause.SIGNATURE_INVALID, 401),
    ],
)
def test_alipay_refused(name: str, cause: Cause, status: int) -> None:
    verdict = _read_alipay(name)
    assert cause_of(verdict) == cause
    assert isinstance(verdict, Refused)
    reply = reply_to("alipay", verdict)
    assert (reply.status, reply.body) == (status, b"failure")


@pytest.mark.parametrize(
    ("offset_s", "fresh"),
    [
        (0, True),
        (299, True),
        (300, True),
        (25 * 3600 - 1, True),
        (25 * 3600, False),
        (-299, True),
        (-300, False),
    ],
)
def test_alipay_replay(offset_s: int, fresh: bool) -> None:
    verdict = _read_alipay("syn-ali-success", offset_s)
    assert isinstance(verdict, Accepted) is fresh
    if not fresh:
        assert cause_of(verdict) == Cause.TIMESTAMP_OUTSIDE_WINDOW


# --- POS: ISO 8583 frames are no callbacks


@pytest.mark.parametrize("name", ["pos-8583-signon-1", "syn-pos-8583-sale-1"])
def test_iso_8583_frame_is_no_callback(name: str) -> None:
    """The listener for these frames is an optional adapter; the HTTP edge refuses them, even
    signed."""
    frame = bytes.fromhex(VECTORS[name]["hex"])
    profile = PosProfile(
        name="acquirer-1",
        merchants=("88758D048165555",),
        secrets=(b"s" * 32,),
        payer_key=PAYER_KEY,
    )
    headers = [
        ("webhook-id", "msg_1"),
        ("webhook-timestamp", "1767225600"),
        ("webhook-signature", sign(b"s" * 32, "msg_1", "1767225600", frame)),
    ]
    verdict = verify_and_parse(profile, headers, frame, 1767225600)
    assert cause_of(verdict) == Cause.MALFORMED


def test_vectors_out_of_scope_are_named() -> None:
    assert set(NOT_OF_THIS_EDGE) == {"wx-bill-all-1"}

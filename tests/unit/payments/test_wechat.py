"""WeChat callbacks beyond the golden vectors."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.channels import verify_and_parse, wechat
from services.payments.channels.causes import Accepted, Cause, Refused
from services.payments.channels.profile import Profiles, WechatProfile
from services.payments.notices import KINDS, REFUND_OUTCOMES, PaymentNotice
from simulators.gateways.keys import MCHID, KeySet
from tests.unit.payments.signing import (
    NOW,
    Request,
    sign_wechat,
    wechat_content,
    wechat_refund,
    wechat_request,
)


@pytest.fixture
def profile(profiles: Profiles) -> WechatProfile:
    return profiles.wechat[MCHID]


def accept(profile: WechatProfile, request: Request) -> PaymentNotice:
    verdict = verify_and_parse(profile, *request, NOW)
    assert isinstance(verdict, Accepted), verdict
    assert verdict.notice.kind in KINDS
    assert verdict.notice.refund_outcome in REFUND_OUTCOMES
    return verdict.notice


def refuse(profile: WechatProfile, request: Request) -> tuple[Cause, str]:
    verdict = verify_and_parse(profile, *request, NOW)
    assert isinstance(verdict, Refused), verdict
    return verdict.cause, verdict.detail


def test_coupon_is_credited_by_the_total(keys: KeySet, profile: WechatProfile) -> None:
    amount = {"total": 12345, "payer_total": 12000, "currency": "CNY"}
    notice = accept(profile, wechat_request(keys, wechat_content(amount=amount)))
    assert (notice.amount_fen, notice.payer_total_fen) == (12345, 12000)
    amount = {"total": 12345, "payer_total": 0}
    notice = accept(profile, wechat_request(keys, wechat_content(amount=amount)))
    assert (notice.amount_fen, notice.payer_total_fen, notice.currency) == (12345, 0, "CNY")
    notice = accept(profile, wechat_request(keys, wechat_content(amount={"total": 5})))
    assert notice.payer_total_fen == 5


def test_money_without_an_order_is_accepted(keys: KeySet, profile: WechatProfile) -> None:
    notice = accept(profile, wechat_request(keys, wechat_content(out_trade_no=None)))
    assert (notice.kind, notice.out_trade_no) == ("captured", "")


@pytest.mark.parametrize("payer", [None, {}, "oPAYER", {"openid": 7}, {"openid": ""}])
def test_payer_may_be_absent(keys: KeySet, profile: WechatProfile, payer: Any) -> None:
    assert accept(profile, wechat_request(keys, wechat_content(payer=payer))).payer_hash == ""


def test_refunded_later_still_was_paid(keys: KeySet, profile: WechatProfile) -> None:
    notice = accept(profile, wechat_request(keys, wechat_content(trade_state="REFUND")))
    assert (notice.kind, notice.state) == ("captured", "REFUND")


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        ("CLOSED", "closed"),
        ("REVOKED", "closed"),
        ("NOTPAY", "pending"),
        ("USERPAYING", "pending"),
        ("ACCEPT", "pending"),
        ("PAYERROR", "failed"),
    ],
)
def test_unpaid_states(keys: KeySet, profile: WechatProfile, state: str, kind: str) -> None:
    content = wechat_content(trade_state=state, transaction_id=None, success_time=None)
    notice = accept(profile, wechat_request(keys, content, "TRANSACTION.FAIL"))
    assert (notice.kind, notice.channel_txn_id) == (kind, "")
    assert notice.occurred_at == "2026-01-01T00:00:01Z"
    contradiction = refuse(profile, wechat_request(keys, content, "TRANSACTION.SUCCESS"))
    assert contradiction == (Cause.MALFORMED, "trade_state contradicts event_type")


@pytest.mark.parametrize(
    ("state", "outcome", "occurred_at"),
    [
        ("SUCCESS", "succeeded", "2026-01-02T00:00:00Z"),
        ("ABNORMAL", "abnormal", "2026-01-01T00:00:01Z"),
        ("CLOSED", "closed", "2026-01-01T00:00:01Z"),
    ],
)
def test_refunds(
    keys: KeySet, profile: WechatProfile, state: str, outcome: str, occurred_at: str
) -> None:
    content = wechat_refund(refund_status=state)
    notice = accept(profile, wechat_request(keys, content, f"REFUND.{state}"))
    assert (notice.kind, notice.state, notice.refund_outcome) == ("refund", state, outcome)
    assert (notice.refund_fen, notice.occurred_at) == (2345, occurred_at)


def test_self_test_echo_moves_no_money(keys: KeySet, profile: WechatProfile) -> None:
    notice = accept(profile, wechat_request(keys, {"echo": 1}, "SECURITY_ECHO.SUCCESS"))
    assert (notice.kind, notice.state) == ("information", "SECURITY_ECHO.SUCCESS")
    assert (notice.amount_fen, notice.channel_txn_id) == (0, "")
    cause, _ = refuse(profile, wechat_request(keys, {"mchid": "19"}, "SECURITY_ECHO.SUCCESS"))
    assert cause == Cause.MERCHANT_MISMATCH


@pytest.mark.parametrize(
    ("changes", "cause", "part"),
    [
        ({"mchid": "1900009999"}, Cause.MERCHANT_MISMATCH, "mchid"),
        ({"appid": "wx9"}, Cause.MERCHANT_MISMATCH, "appid"),
        ({"mchid": None}, Cause.MALFORMED, "mchid"),
        ({"trade_state": "PAID"}, Cause.MALFORMED, "trade_state"),
        ({"transaction_id": None}, Cause.MALFORMED, "transaction_id"),
        ({"success_time": None}, Cause.MALFORMED, "success_time"),
        ({"amount": {"total": 1, "currency": "USD"}}, Cause.CURRENCY_MISMATCH, "currency"),
        ({"amount": {"total": 1, "payer_total": 2}}, Cause.MALFORMED, "payer_total"),
        ({"amount": {"total": "1"}}, Cause.MALFORMED, "total"),
        ({"amount": {"total": 0}}, Cause.MALFORMED, "total"),
        ({"amount": 1}, Cause.MALFORMED, "amount"),
    ],
)
def test_signed_but_wrong(
    keys: KeySet, profile: WechatProfile, changes: dict[str, Any], cause: Cause, part: str
) -> None:
    found, detail = refuse(profile, wechat_request(keys, wechat_content(**changes)))
    assert found == cause
    assert part in detail


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"refund_status": "CLOSED"}, "refund_status"),
        ({"amount": {"total": 1, "refund": 2}}, "amount.refund"),
        ({"refund_id": None}, "refund_id"),
        ({"out_refund_no": None}, "out_refund_no"),
    ],
)
def test_refund_signed_but_wrong(
    keys: KeySet, profile: WechatProfile, changes: dict[str, Any], part: str
) -> None:
    request = wechat_request(keys, wechat_refund(**changes), "REFUND.SUCCESS")
    cause, detail = refuse(profile, request)
    assert cause == Cause.MALFORMED
    assert part in detail


@pytest.mark.parametrize(
    ("resource", "cause"),
    [
        ({"algorithm": "AEAD_SM4_CCM"}, Cause.SUITE_UNSUPPORTED),
        ({"nonce": 7}, Cause.MALFORMED),
        ({"nonce": "short"}, Cause.MALFORMED),
        ({"ciphertext": None}, Cause.MALFORMED),
        ({"ciphertext": "QR=="}, Cause.MALFORMED),
        ({"ciphertext": ""}, Cause.DECRYPT_FAILED),
        ({"associated_data": 7}, Cause.MALFORMED),
        ({"associated_data": "other"}, Cause.DECRYPT_FAILED),
        ({"nonce": "n0nceN0nce13"}, Cause.DECRYPT_FAILED),
    ],
)
def test_resource_wrong(
    keys: KeySet, profile: WechatProfile, resource: dict[str, Any], cause: Cause
) -> None:
    document = json.loads(wechat_request(keys, wechat_content())[1])
    document["resource"] |= resource
    assert refuse(profile, sign_wechat(keys, json.dumps(document).encode()))[0] == cause


@pytest.mark.parametrize("associated", [None, ""])
def test_associated_data_may_be_missing(
    keys: KeySet, profile: WechatProfile, associated: str | None
) -> None:
    document = json.loads(wechat_request(keys, wechat_content())[1])
    document["resource"]["associated_data"] = associated
    assert accept(profile, sign_wechat(keys, json.dumps(document).encode())).kind == "captured"


def test_envelope_wrong(keys: KeySet, profile: WechatProfile) -> None:
    wrong: list[dict[str, Any]] = [{"event_type": None}, {"create_time": "now"}, {"resource": []}]
    for changes in wrong:
        cause, detail = refuse(profile, wechat_request(keys, wechat_content(), **changes))
        assert cause == Cause.MALFORMED
        assert next(iter(changes)) in detail
    assert refuse(profile, wechat_request(keys, b"not json"))[0] == Cause.MALFORMED
    assert refuse(profile, sign_wechat(keys, b""))[0] == Cause.MALFORMED


def test_old_and_new_api_v3_key(keys: KeySet, profile: WechatProfile) -> None:
    both = WechatProfile(
        name=profile.name,
        appids=profile.appids,
        platform_keys=profile.platform_keys,
        api_v3_keys=(b"o" * 32, keys.api_v3_key),
        payer_key=profile.payer_key,
    )
    assert accept(both, wechat_request(keys, wechat_content())).kind == "captured"


def test_header_faults(keys: KeySet, profile: WechatProfile) -> None:
    headers, body = wechat_request(keys, wechat_content())
    for name, _ in headers:
        rest = [item for item in headers if item[0] != name]
        assert refuse(profile, (rest, body)) == (
            Cause.MALFORMED,
            f"header {name.lower()} is missing",
        )
    twice = [*headers, ("wechatpay-NONCE", "x")]
    assert refuse(profile, (twice, body))[0] == Cause.MALFORMED
    upper = [(name.upper(), value) for name, value in headers]
    assert accept(profile, (upper, body)).kind == "captured"
    explicit = [*headers, ("Wechatpay-Signature-Type", "WECHATPAY2-SHA256-RSA2048")]
    assert accept(profile, (explicit, body)).kind == "captured"
    brand = [*headers, ("Wechatpay-Signature-Type", "WECHATPAY-BRAND-SHA256-RSA2048")]
    assert refuse(profile, (brand, body))[0] == Cause.SUITE_UNSUPPORTED
    blank = sign_wechat(keys, body, nonce="two words")
    assert refuse(profile, blank) == (
        Cause.MALFORMED,
        "header wechatpay-nonce is no printable text",
    )


def test_unknown_serial_works_as_hard_as_a_known_one(
    keys: KeySet, profile: WechatProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    verified = []

    def counted(key: object, message: bytes, signature: str) -> bool:
        verified.append(key)
        return True

    monkeypatch.setattr(wechat, "signed_by", counted)
    headers, body = wechat_request(keys, wechat_content())
    unknown = [(n, "PUB_KEY_ID_X" if n == "Wechatpay-Serial" else v) for n, v in headers]
    assert refuse(profile, (unknown, body))[0] == Cause.SERIAL_UNKNOWN
    assert verified == [next(iter(profile.platform_keys.values()))]


def test_too_long_a_body(profile: WechatProfile) -> None:
    cause, detail = refuse(profile, ([], b"x" * 65537))
    assert (cause, detail) == (Cause.MALFORMED, "the body has over 65536 bytes")


@given(
    body=st.binary(max_size=80) | st.text(max_size=40).map(str.encode),
    nonce=st.text(max_size=10),
    signature=st.text(max_size=20),
    stamp=st.text(max_size=10) | st.just(str(NOW)),
)
def test_anything_gets_a_verdict(
    profiles: Profiles, body: bytes, nonce: str, signature: str, stamp: str
) -> None:
    headers = [
        ("wechatpay-timestamp", stamp),
        ("wechatpay-nonce", nonce),
        ("wechatpay-serial", "x"),
        ("wechatpay-signature", signature),
    ]
    assert isinstance(verify_and_parse(profiles.wechat[MCHID], headers, body, NOW), Refused)


@given(st.integers(0, 8 * 1000))
def test_one_bit_changed_is_refused(keys: KeySet, profiles: Profiles, place: int) -> None:
    headers, body = wechat_request(keys, wechat_content())
    changed = bytearray(body)
    changed[(place // 8) % len(body)] ^= 1 << place % 8
    verdict = verify_and_parse(profiles.wechat[MCHID], headers, bytes(changed), NOW)
    assert isinstance(verdict, Refused)
    assert verdict.cause == Cause.SIGNATURE_INVALID

"""Alipay notices beyond the golden vectors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.channels import verify_and_parse
from services.payments.channels.causes import Accepted, Cause, Refused
from services.payments.channels.profile import AlipayProfile, Profiles
from services.payments.notices import PaymentNotice
from simulators.gateways.keys import SELLER_ID, KeySet
from tests.unit.payments.signing import (
    NOW,
    Request,
    alipay_fields,
    alipay_request,
    sign_alipay,
)


@pytest.fixture
def profile(profiles: Profiles) -> AlipayProfile:
    return profiles.alipay[SELLER_ID]


def accept(profile: AlipayProfile, request: Request) -> PaymentNotice:
    verdict = verify_and_parse(profile, *request, NOW)
    assert isinstance(verdict, Accepted), verdict
    return verdict.notice


def refuse(profile: AlipayProfile, request: Request) -> tuple[Cause, str]:
    verdict = verify_and_parse(profile, *request, NOW)
    assert isinstance(verdict, Refused), verdict
    return verdict.cause, verdict.detail


def test_payment(keys: KeySet, profile: AlipayProfile) -> None:
    notice = accept(profile, alipay_request(keys, alipay_fields()))
    assert (notice.kind, notice.amount_fen, notice.payer_total_fen) == ("captured", 12345, 12000)
    assert notice.occurred_at == "2025-12-31T23:59:58Z"
    assert notice.bill_on == "2026-01-01"
    assert notice.references == {"notify_id": "2026010100222000000000000000000001"}
    assert (notice.refund_no, notice.refund_total, notice.refund_outcome) == ("", False, "")


def test_charsets(keys: KeySet, profile: AlipayProfile) -> None:
    gbk = alipay_request(keys, alipay_fields(charset="GBK"), "gbk")
    assert accept(profile, gbk).kind == "captured"
    assert accept(profile, alipay_request(keys, alipay_fields(charset=None))).kind == "captured"
    other = alipay_request(keys, alipay_fields(charset="big5"))
    assert refuse(profile, other) == (Cause.MALFORMED, "charset is neither utf-8 nor gbk")
    raw = {name: value.encode() for name, value in alipay_fields().items()}
    broken = sign_alipay(keys, {**raw, "subject": b"\xff\xfe"})
    cause, detail = refuse(profile, ([], broken))
    assert (cause, detail) == (
        Cause.MALFORMED,
        "a form field is not text in the declared charset",
    )


def test_two_keys_for_rotation(keys: KeySet, profile: AlipayProfile) -> None:
    both = AlipayProfile(
        name=profile.name,
        app_id=profile.app_id,
        public_keys=(keys.stranger.public_key(), *profile.public_keys),
        payer_key=profile.payer_key,
    )
    assert accept(both, alipay_request(keys, alipay_fields())).kind == "captured"


@pytest.mark.parametrize(
    ("status", "changes", "kind", "occurred_at"),
    [
        ("WAIT_BUYER_PAY", {}, "pending", "2026-01-01T00:00:00Z"),
        ("TRADE_SUCCESS", {"gmt_payment": None}, "captured", "2026-01-01T00:00:00Z"),
        ("TRADE_FINISHED", {}, "captured", "2025-12-31T23:59:58Z"),
        ("TRADE_CLOSED", {}, "closed", "2026-01-01T00:00:00Z"),
        ("TRADE_CLOSED", {"gmt_close": "2026-01-01 07:00:00"}, "closed", "2025-12-31T23:00:00Z"),
        ("TRADE_SUCCESS", {"refund_fee": "0.00"}, "captured", "2025-12-31T23:59:58Z"),
        ("TRADE_SUCCESS", {"out_biz_no": "R1"}, "captured", "2025-12-31T23:59:58Z"),
    ],
)
def test_states(
    keys: KeySet,
    profile: AlipayProfile,
    status: str,
    changes: dict[str, str | None],
    kind: str,
    occurred_at: str,
) -> None:
    fields = alipay_fields(trade_status=status, **changes)
    notice = accept(profile, alipay_request(keys, fields))
    assert (notice.kind, notice.state, notice.occurred_at) == (kind, status, occurred_at)
    assert notice.refund_fen == 0


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED"])
def test_refunds_never_credit(keys: KeySet, profile: AlipayProfile, status: str) -> None:
    fields = alipay_fields(
        trade_status=status, refund_fee="123.45", gmt_refund="2026-01-01 08:00:00.5"
    )
    notice = accept(profile, alipay_request(keys, fields))
    assert (notice.kind, notice.refund_fen, notice.refund_total) == ("refund", 12345, True)
    assert (notice.refund_no, notice.refund_outcome) == ("", "succeeded")


def test_money_without_an_order_is_accepted(keys: KeySet, profile: AlipayProfile) -> None:
    fields = alipay_fields(out_trade_no=None, buyer_id=None, buyer_pay_amount=None, notify_id=None)
    notice = accept(profile, alipay_request(keys, fields))
    assert (notice.out_trade_no, notice.payer_total_fen, notice.references) == ("", 12345, {})
    assert notice.payer_hash != ""  # of buyer_logon_id
    nobody = {**fields, "buyer_logon_id": ""}
    assert accept(profile, alipay_request(keys, nobody)).payer_hash == ""


@pytest.mark.parametrize(
    ("changes", "cause", "part"),
    [
        ({"app_id": "2021"}, Cause.MERCHANT_MISMATCH, "app_id"),
        ({"seller_id": "2088"}, Cause.MERCHANT_MISMATCH, "seller_id"),
        ({"trans_currency": "USD"}, Cause.CURRENCY_MISMATCH, "trans_currency"),
        ({"trade_status": "PAID"}, Cause.MALFORMED, "trade_status"),
        ({"trade_no": None}, Cause.MALFORMED, "trade_no"),
        ({"total_amount": "1,00"}, Cause.MALFORMED, "total_amount"),
        ({"total_amount": "0.00"}, Cause.MALFORMED, "total_amount"),
        ({"buyer_pay_amount": "123.46"}, Cause.MALFORMED, "buyer_pay_amount"),
        ({"refund_fee": "123.46"}, Cause.MALFORMED, "refund_fee"),
        ({"gmt_refund": "2026-01-01 08:00:00"}, Cause.MALFORMED, "refund_fee"),
        (
            {"gmt_refund": "2026-01-01 08:00:00", "refund_fee": "0"},
            Cause.MALFORMED,
            "gmt_refund",
        ),
        ({"notify_time": None}, Cause.MALFORMED, "notify_time"),
        ({"notify_time": "2025-12-31 07:00:00"}, Cause.TIMESTAMP_OUTSIDE_WINDOW, "notify_time"),
        ({"gmt_payment": "soon"}, Cause.MALFORMED, "gmt_payment"),
    ],
)
def test_signed_but_wrong(
    keys: KeySet,
    profile: AlipayProfile,
    changes: dict[str, str | None],
    cause: Cause,
    part: str,
) -> None:
    found, detail = refuse(profile, alipay_request(keys, alipay_fields(**changes)))
    assert found == cause
    assert part in detail


def test_signature_faults(keys: KeySet, profile: AlipayProfile) -> None:
    _, body = alipay_request(keys, alipay_fields())
    assert refuse(profile, ([], body.replace(b"RSA2", b"RSA")))[0] == Cause.SUITE_UNSUPPORTED
    without_type = body.replace(b"&sign_type=RSA2", b"")
    assert refuse(profile, ([], without_type))[0] == Cause.SUITE_UNSUPPORTED
    unsigned = body.partition(b"&sign=")[0]
    assert refuse(profile, ([], unsigned))[0] == Cause.SIGNATURE_INVALID
    assert refuse(profile, ([], body + b"&total_amount=1"))[0] == Cause.MALFORMED
    assert refuse(profile, ([], body + b"&extra=1"))[0] == Cause.SIGNATURE_INVALID
    dropped = body.replace(b"&passback_params=", b"")
    assert refuse(profile, ([], dropped))[0] == Cause.SIGNATURE_INVALID
    spaced = body.replace(b"sign=", b"sign=+")
    assert refuse(profile, ([], spaced))[0] == Cause.SIGNATURE_INVALID


def test_order_of_fields_does_not_matter(keys: KeySet, profile: AlipayProfile) -> None:
    _, body = alipay_request(keys, alipay_fields())
    turned = b"&".join(reversed(body.split(b"&")))
    assert accept(profile, ([], turned)) == accept(profile, ([], body))


@given(st.binary(max_size=60) | st.text(max_size=40).map(str.encode))
def test_anything_gets_a_verdict(profiles: Profiles, body: bytes) -> None:
    for extra in (b"", b"&sign_type=RSA2&sign=QQ=="):
        verdict = verify_and_parse(profiles.alipay[SELLER_ID], [], body + extra, NOW)
        assert isinstance(verdict, Refused)

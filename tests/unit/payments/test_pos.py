"""POS callbacks: Standard Webhooks signatures and the acquirer's fields."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.payments.channels import REPLIES, reply_to, verify_and_parse
from services.payments.channels.causes import Accepted, Cause, Refused
from services.payments.channels.pos import transaction_id
from services.payments.channels.profile import POS_FIELDS, PosProfile, Profiles
from services.payments.channels.standard_webhooks import sign
from services.payments.notices import PaymentNotice
from simulators.gateways.keys import ACQUIRER, POS_MERCHANT, POS_TERMINAL, KeySet
from tests.unit.payments.signing import NOW, Request, pos_document, pos_request

TXN = f"{POS_MERCHANT}-{POS_TERMINAL}-000001-000042-20260101"


@pytest.fixture
def profile(profiles: Profiles) -> PosProfile:
    return profiles.pos[ACQUIRER]


def accept(profile: PosProfile, request: Request, now_unix: int = NOW) -> PaymentNotice:
    verdict = verify_and_parse(profile, *request, now_unix)
    assert isinstance(verdict, Accepted), verdict
    return verdict.notice


def refuse(profile: PosProfile, request: Request, now_unix: int = NOW) -> tuple[Cause, str]:
    verdict = verify_and_parse(profile, *request, now_unix)
    assert isinstance(verdict, Refused), verdict
    return verdict.cause, verdict.detail


def test_sale(keys: KeySet, profile: PosProfile) -> None:
    notice = accept(profile, pos_request(keys, pos_document()))
    assert transaction_id(POS_MERCHANT, POS_TERMINAL, "000001", "000042", "2026-01-01") == TXN
    assert notice == PaymentNotice(
        channel="pos_http",
        merchant=POS_MERCHANT,
        kind="captured",
        state="00",
        channel_txn_id=TXN,
        out_trade_no="1000000042126010001",
        amount_fen=12345,
        payer_total_fen=12345,
        currency="CNY",
        occurred_at="2026-01-01T00:00:00Z",
        bill_on="2026-01-01",
        payer_hash=notice.payer_hash,
        references={
            "terminal": POS_TERMINAL,
            "batch": "000001",
            "stan": "000042",
            "rrn": "601010000042",
        },
    )
    assert len(notice.payer_hash) == 32


@pytest.mark.parametrize(
    ("type_", "code", "kind", "refund_fen", "outcome"),
    [
        ("refund", "00", "refund", 12345, "succeeded"),
        ("void", "00", "reversed", 0, ""),
        ("reversal", "00", "reversed", 0, ""),
        ("chargeback", "00", "chargeback", 0, ""),
        ("refund", "51", "failed", 0, ""),
    ],
)
def test_money_back(
    keys: KeySet,
    profile: PosProfile,
    type_: str,
    code: str,
    kind: str,
    refund_fen: int,
    outcome: str,
) -> None:
    document = pos_document(type=type_, response_code=code, original_rrn="601010000041")
    notice = accept(profile, pos_request(keys, document))
    assert (notice.kind, notice.refund_fen, notice.refund_outcome) == (kind, refund_fen, outcome)
    assert notice.references["original_rrn"] == "601010000041"
    assert notice.refund_id == ("601010000042" if refund_fen else "")
    assert notice.original_txn_id == ""  # the acquirer said nothing of it


ORIGINAL = {
    "original_rrn": "601010000041",
    "original_batch": "000001",
    "original_stan": "000041",
    "original_settlement_on": "2025-12-31",
}


@pytest.mark.parametrize("type_", ["refund", "void", "reversal", "chargeback"])
def test_what_takes_a_sale_back_names_it_as_the_sale_named_itself(
    keys: KeySet, profile: PosProfile, type_: str
) -> None:
    sale = pos_document(stan="000041", settlement_on="2025-12-31")
    taken = accept(profile, pos_request(keys, sale))
    notice = accept(profile, pos_request(keys, pos_document(type=type_, **ORIGINAL)))
    assert notice.original_txn_id == taken.channel_txn_id
    assert notice.channel_txn_id == TXN
    assert taken.original_txn_id == ""


def test_a_sale_of_another_terminal(keys: KeySet, profile: PosProfile) -> None:
    document = pos_document(type="refund", original_terminal="58D01116", **ORIGINAL)
    notice = accept(profile, pos_request(keys, document))
    assert notice.original_txn_id == f"{POS_MERCHANT}-58D01116-000001-000041-20251231"


def test_an_acquirer_that_repeats_the_sale_maps_both_names_to_one_field(
    keys: KeySet, profile: PosProfile
) -> None:
    fields = {f"original_{name}": name for name in ("batch", "stan", "settlement_on")}
    repeating = replace(profile, fields={**POS_FIELDS, **fields})
    document = pos_document(type="reversal", original_rrn="601010000042")
    assert accept(repeating, pos_request(keys, document)).original_txn_id == TXN


def test_declined_sale_moves_no_money(keys: KeySet, profile: PosProfile) -> None:
    notice = accept(profile, pos_request(keys, pos_document(response_code="51")))
    assert (notice.kind, notice.state) == ("failed", "51")


def test_money_without_an_order_is_accepted(keys: KeySet, profile: PosProfile) -> None:
    notice = accept(profile, pos_request(keys, pos_document(order_no=None, card=None)))
    assert (notice.kind, notice.out_trade_no, notice.payer_hash) == ("captured", "", "")


@pytest.mark.parametrize("currency", [None, "", "CNY", "156"])
def test_currency_is_ours(keys: KeySet, profile: PosProfile, currency: str | None) -> None:
    notice = accept(profile, pos_request(keys, pos_document(currency=currency)))
    assert notice.currency == "CNY"


@pytest.mark.parametrize(
    ("changes", "cause", "part"),
    [
        ({"merchant": "999999999999999"}, Cause.MERCHANT_MISMATCH, "merchant"),
        ({"terminal": "99999999"}, Cause.MERCHANT_MISMATCH, "terminal"),
        ({"currency": "USD"}, Cause.CURRENCY_MISMATCH, "currency"),
        ({"currency": 156}, Cause.CURRENCY_MISMATCH, "currency"),
        ({"type": "tip"}, Cause.MALFORMED, "type"),
        ({"type": "void"}, Cause.MALFORMED, "original_rrn"),
        ({"type": "void", **ORIGINAL, "original_batch": None}, Cause.MALFORMED, "original_batch"),
        ({"type": "void", **ORIGINAL, "original_stan": "41"}, Cause.MALFORMED, "original_stan"),
        (
            {"type": "void", **ORIGINAL, "original_settlement_on": "2025-12-32"},
            Cause.MALFORMED,
            "original_settlement_on",
        ),
        (
            {"type": "void", **ORIGINAL, "original_terminal": "58 D"},
            Cause.MALFORMED,
            "original_terminal",
        ),
        ({"stan": "42"}, Cause.MALFORMED, "stan"),
        ({"batch": "00000A"}, Cause.MALFORMED, "batch"),
        ({"rrn": None}, Cause.MALFORMED, "rrn"),
        ({"amount_fen": "12345"}, Cause.MALFORMED, "amount_fen"),
        ({"amount_fen": -1}, Cause.MALFORMED, "amount_fen"),
        ({"settlement_on": "20260101"}, Cause.MALFORMED, "settlement_on"),
        ({"occurred_at": "08:00"}, Cause.MALFORMED, "occurred_at"),
        ({"response_code": "0"}, Cause.MALFORMED, "response_code"),
        ({"card": "62 28"}, Cause.MALFORMED, "card"),
    ],
)
def test_signed_but_wrong(
    keys: KeySet, profile: PosProfile, changes: dict[str, Any], cause: Cause, part: str
) -> None:
    found, detail = refuse(profile, pos_request(keys, pos_document(**changes)))
    assert found == cause
    assert part in detail


def test_any_terminal_of_the_merchant(keys: KeySet, profile: PosProfile) -> None:
    anywhere = PosProfile(
        name=profile.name,
        merchants=profile.merchants,
        secrets=profile.secrets,
        payer_key=profile.payer_key,
    )
    notice = accept(anywhere, pos_request(keys, pos_document(terminal="99999999")))
    assert notice.references["terminal"] == "99999999"


def test_fields_by_the_acquirers_names(keys: KeySet, profile: PosProfile) -> None:
    named = PosProfile(
        name=profile.name,
        merchants=profile.merchants,
        secrets=profile.secrets,
        payer_key=profile.payer_key,
        fields={**POS_FIELDS, "merchant": "mid", "amount_fen": "transAmt"},
    )
    document = pos_document(merchant=None, amount_fen=None, mid=POS_MERCHANT, transAmt=7)
    assert accept(named, pos_request(keys, document)).amount_fen == 7


@pytest.mark.parametrize(
    ("offset_s", "fresh"), [(0, True), (299, True), (300, False), (-299, True), (-300, False)]
)
def test_replay(keys: KeySet, profile: PosProfile, offset_s: int, fresh: bool) -> None:
    request = pos_request(keys, pos_document())
    if fresh:
        assert accept(profile, request, NOW + offset_s).kind == "captured"
    else:
        assert refuse(profile, request, NOW + offset_s)[0] == Cause.TIMESTAMP_OUTSIDE_WINDOW


def test_secrets_rotate_on_either_side(keys: KeySet, profile: PosProfile) -> None:
    new = b"n" * 32
    headers, body = pos_request(keys, pos_document())
    ours = headers[2][1]
    theirs = sign(new, "msg_1", str(NOW), body)
    several = [*headers[:2], ("webhook-signature", f"v1a,xx {theirs} {ours}")]
    assert accept(profile, (several, body)).kind == "captured"
    both = PosProfile(
        name=profile.name,
        merchants=profile.merchants,
        secrets=(new, *profile.secrets),
        payer_key=profile.payer_key,
    )
    assert accept(both, (headers, body)).kind == "captured"
    only_new = [*headers[:2], ("webhook-signature", theirs)]
    assert accept(both, (only_new, body)).kind == "captured"
    assert refuse(profile, (only_new, body))[0] == Cause.SIGNATURE_INVALID


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"id": "msg.1"}, Cause.MALFORMED),
        ({"id": "two words"}, Cause.MALFORMED),
        ({"id": "x" * 129}, Cause.MALFORMED),
        ({"id": ""}, Cause.MALFORMED),
        ({"timestamp": "1767225600.0"}, Cause.MALFORMED),
        ({"signature": "v1,é"}, Cause.SIGNATURE_INVALID),
        ({"signature": "v1,QQ=="}, Cause.SIGNATURE_INVALID),
        ({"signature": " ".join(["v1,QQ=="] * 11)}, Cause.MALFORMED),
    ],
)
def test_signature_headers(
    keys: KeySet, profile: PosProfile, changes: dict[str, str], cause: Cause
) -> None:
    assert refuse(profile, pos_request(keys, pos_document(), **changes))[0] == cause


def test_replies() -> None:
    assert REPLIES["pos_http"].success.status == 200
    refused = Refused(cause=Cause.MALFORMED, detail="stan has not the form of ISO 8583")
    reply = reply_to("pos_http", refused)
    assert reply.status == 400
    assert reply.body == b'{"code":"MALFORMED","message":"stan has not the form of ISO 8583"}'


@given(st.binary(max_size=60), st.text(max_size=12), st.text(max_size=12))
def test_anything_gets_a_verdict(
    profiles: Profiles, body: bytes, message_id: str, signature: str
) -> None:
    headers = [
        ("webhook-id", message_id),
        ("webhook-timestamp", str(NOW)),
        ("webhook-signature", signature),
    ]
    assert isinstance(verify_and_parse(profiles.pos[ACQUIRER], headers, body, NOW), Refused)


@given(st.binary(max_size=60))
def test_anything_signed_gets_a_verdict(keys: KeySet, profiles: Profiles, body: bytes) -> None:
    request = pos_request(keys, body)
    assert isinstance(verify_and_parse(profiles.pos[ACQUIRER], *request, NOW), Refused)

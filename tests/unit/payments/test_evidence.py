"""Evidence: the body can be opened by who holds the key, and by nobody after a change."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.payments.evidence import EvidenceKey, kept_headers, make_evidence, open_body
from services.payments.notices import Evidence

KEY = EvidenceKey(key_id="evidence-2026", secret=b"e" * 32)


def evidence_of(body: bytes, nonce: bytes = b"n" * 12, host: str = "192.0.2.7") -> Evidence:
    return make_evidence(
        KEY,
        channel="wechat",
        merchant="1900000001",
        headers=[("Wechatpay-Serial", "S1"), ("Cookie", "secret"), ("User-Agent", "x")],
        body=body,
        remote_host=host,
        received_at="2026-01-01T00:00:00Z",
        nonce=nonce,
    )


@given(st.binary(max_size=200), st.binary(min_size=12, max_size=12))
def test_body_opens(body: bytes, nonce: bytes) -> None:
    evidence = evidence_of(body, nonce)
    assert open_body(KEY, evidence, "wechat", "1900000001") == body
    assert evidence.body_sha256 == hashlib.sha256(body).hexdigest()


def test_body_is_not_in_the_record() -> None:
    body = b'{"openid":"oPAYER-PAYER-PAYER"}'
    record = msgspec.json.encode(evidence_of(body))
    assert b"oPAYER" not in record
    assert base64.b64encode(body)[:20] not in record
    assert b"192.0.2.7" not in record
    assert KEY.secret not in record
    assert repr(KEY) == "EvidenceKey(key_id='evidence-2026')"


def test_copies_are_separate_evidence_of_one_body() -> None:
    first, again = evidence_of(b"x", b"1" * 12), evidence_of(b"x", b"2" * 12)
    assert first.evidence_id != again.evidence_id
    assert first.body_sha256 == again.body_sha256
    assert first.remote_ip_hash == again.remote_ip_hash
    assert evidence_of(b"x", host="192.0.2.8").remote_ip_hash != first.remote_ip_hash
    assert evidence_of(b"x", b"1" * 12) == first  # nothing random inside


@pytest.mark.parametrize(
    "change",
    [
        {"body_sha256": "0" * 64},
        {"nonce": base64.b64encode(b"m" * 12).decode()},
        {"sealed_body": base64.b64encode(b"\0" * 30).decode()},
    ],
)
def test_a_changed_record_does_not_open(change: dict[str, Any]) -> None:
    changed = dataclasses.replace(evidence_of(b"body"), **change)
    with pytest.raises(BadInput, match="sealed_body: does not open"):
        open_body(KEY, changed, "wechat", "1900000001")


def test_other_keys_and_places_do_not_open() -> None:
    evidence = evidence_of(b"body")
    with pytest.raises(BadInput, match="key_id: sealed under evidence-2026"):
        open_body(EvidenceKey(key_id="k2", secret=b"f" * 32), evidence, "wechat", "1900000001")
    with pytest.raises(BadInput, match="does not open"):
        open_body(KEY, evidence, "alipay", "1900000001")
    with pytest.raises(AssertionError):
        EvidenceKey(key_id="k", secret=b"short")
    with pytest.raises(AssertionError):
        evidence_of(b"body", b"short")


def test_only_what_verifies_a_signature_is_kept_of_headers() -> None:
    headers = [
        ("Webhook-Signature", "b"),
        ("webhook-signature", "c"),
        ("Authorization", "token"),
        ("Content-Type", "x" * 2000),
    ]
    kept = kept_headers(headers)
    assert list(kept) == ["content-type", "webhook-signature"]
    assert kept["webhook-signature"] == "b, c"
    assert len(kept["content-type"]) == 1024

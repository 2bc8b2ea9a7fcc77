"""Certificates: canonical bytes, the public key alone checks them, no byte is changed unseen."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from libs.events.errors import BadInput
from services.metrology.certificate import (
    Certificate,
    decode_signed,
    encode_signed,
    make_certificate,
    signed_bytes,
)
from services.metrology.certificate_signing import (
    BadSignature,
    check_signature,
    key_id,
    read_private_key,
    read_public_key,
    sign,
)

SECRET = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
FIELDS = {
    "certificate_no": "C-1",
    "device_no": "M1",
    "device": "meter",
    "accuracy_class": "1",
    "run_id": "B1-0001",
    "verdict": "pass",
    "rules": "jjg-596-2012 v1",
    "limits": "meter_error_limits.csv@d71aaacaf64d",
    "measured_on": "2026-03-01",
    "valid_until": "2034-03-01",
    "issued_on": "2026-03-02",
    "issued_by": "检定员 张三",
    "result_sha256": "ab" * 32,
}
CERTIFICATE = make_certificate(**FIELDS)
SIGNED = sign(CERTIFICATE, SECRET)
CONTENT = encode_signed(SIGNED)


def test_the_bytes_are_canonical() -> None:
    members = {**FIELDS, "format": "gridledger-certificate/1", "kind": "certificate"}
    text = json.dumps(members, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert signed_bytes(CERTIFICATE) == text.encode()
    assert CONTENT.startswith(b'{"certificate":{"accuracy_class":"1"')
    assert CONTENT.endswith(b'"}}\n')
    assert CONTENT.count(b"\n") == 1
    assert decode_signed(CONTENT) == SIGNED


def test_the_public_key_alone_is_enough() -> None:
    check_signature(decode_signed(CONTENT), SECRET.public_key())
    assert sign(CERTIFICATE, SECRET) == SIGNED  # the same certificate, the same bytes
    # SHA-256 of the public key that RFC 8032's arithmetic gives for the bytes 0 to 31.
    raw = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")
    assert SECRET.public_key().public_bytes_raw() == raw
    assert (
        SIGNED.signature.key_id
        == key_id(SECRET.public_key())
        == ("56475aa75463474c0285df5dbf2bcab7")
    )


def rejected(content: bytes) -> bool:
    try:
        check_signature(decode_signed(content), SECRET.public_key())
    except (BadInput, BadSignature):
        return True
    return False


@pytest.mark.parametrize("change", [1, 0x20, 0x80], ids=["bit", "case", "high"])
def test_no_byte_can_be_changed(change: int) -> None:
    unseen = []
    for index in range(len(CONTENT)):
        changed = bytearray(CONTENT)
        changed[index] ^= change
        if not rejected(bytes(changed)):
            unseen.append(index)
    assert unseen == []


def test_no_byte_can_be_added_or_taken_away() -> None:
    places = range(len(CONTENT) + 1)
    assert [at for at in places if not rejected(CONTENT[:at] + b" " + CONTENT[at:])] == []
    assert [at for at in places[:-1] if not rejected(CONTENT[:at] + CONTENT[at + 1 :])] == []
    assert [at for at in places[:-1] if not rejected(CONTENT[:at])] == []


def test_members_cannot_be_written_in_another_way() -> None:
    document = json.loads(CONTENT)
    escaped = json.dumps(document, sort_keys=True, separators=(",", ":")).encode() + b"\n"
    spaced = json.dumps(document, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    document["signature"]["value"] = document["signature"]["value"].upper()
    upper = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    twice = CONTENT.replace(b'"certificate":', b'"certificate":{},"certificate":', 1)
    for content in (escaped, spaced, upper.encode() + b"\n", twice):
        assert content != CONTENT
        assert rejected(content)
    capitals = replace(SIGNED.signature, value=SIGNED.signature.value.upper())
    with pytest.raises(BadSignature, match="canonical form"):
        check_signature(replace(SIGNED, signature=capitals), SECRET.public_key())


def test_what_a_wrong_signature_says() -> None:
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key()
    with pytest.raises(BadSignature, match=f"not with {key_id(other)}"):
        check_signature(SIGNED, other)
    for signature, said in (
        (replace(SIGNED.signature, algorithm="none"), "signed with 'none'"),
        (replace(SIGNED.signature, value="zz"), "does not match"),
        (replace(SIGNED.signature, value=""), "does not match"),
    ):
        with pytest.raises(BadSignature, match=said):
            check_signature(replace(SIGNED, signature=signature), SECRET.public_key())
    better = replace(CERTIFICATE, verdict="fail")
    with pytest.raises(BadSignature, match="does not match: the certificate was changed"):
        check_signature(replace(SIGNED, certificate=better), SECRET.public_key())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is no JSON"),
        (b"\xff", "is no JSON"),
        (b"[" * 100_000, "is no JSON"),
        (b"[]", "is none of ours"),
        (b'{"certificate": {}, "signature": {}}', "is none of ours"),
        (b'{"certificate": [], "signature": {}}', "is none of ours"),
        (CONTENT.replace(b'"C-1"', b"1"), "is none of ours"),
        (CONTENT.replace(b"C-1", b"\\ud800"), "is none of ours"),
        (CONTENT + b"\n", "is not in its canonical form"),
    ],
)
def test_what_is_no_certificate_is_named(content: bytes, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        decode_signed(content)


def test_another_format_is_named() -> None:
    old = replace(CERTIFICATE, format="gridledger-certificate/0")
    with pytest.raises(BadInput, match="this release knows gridledger-certificate/1"):
        decode_signed(encode_signed(sign(old, SECRET)))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"verdict": "not_judged"}, "verdict"),
        ({"issued_by": ""}, "issued_by"),
        ({"issued_on": "2026-02-28"}, "issued_on"),
        ({"issued_on": "2026-02-30"}, "issued_on"),
        ({"valid_until": "2026-03-01"}, "valid_until"),
    ],
)
def test_an_impossible_certificate_is_named(changes: dict[str, str], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        make_certificate(**{**FIELDS, **changes})
    assert caught.value.field == field


def test_what_failed_gets_a_notice_of_result() -> None:
    made: Certificate = make_certificate(**{**FIELDS, "verdict": "fail", "valid_until": ""})
    assert made.kind == "notice_of_result"


def pem(key: Any, password: bytes = b"") -> bytes:
    how = BestAvailableEncryption(password) if password else NoEncryption()
    found: bytes = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    return found


def test_keys_are_read_and_wrong_ones_named(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"

    def put(content: bytes) -> Path:
        path.write_bytes(content)
        return path

    assert read_private_key(put(pem(SECRET))).sign(b"x") == SECRET.sign(b"x")
    public = SECRET.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    assert read_public_key(put(public)) == SECRET.public_key()
    curve = generate_private_key(SECP256R1())
    curve_public = curve.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for content, said in (
        (pem(SECRET, b"secret"), "is an encrypted key"),
        (b"", "is no private key"),
        (public, "is no private key"),
        (pem(curve), "is a key of another kind"),
    ):
        with pytest.raises(BadInput, match=said):
            read_private_key(put(content))
    for content, said in ((pem(SECRET), "is no public key"), (curve_public, "another kind")):
        with pytest.raises(BadInput, match=said):
            read_public_key(put(content))
    with pytest.raises(BadInput, match="No such file"):
        read_public_key(tmp_path / "none.pem")

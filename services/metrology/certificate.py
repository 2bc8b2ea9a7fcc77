"""A certificate of verification, as the bytes that are signed.

    {"certificate":{"certificate_no":"C-1", ... "verdict":"pass"},"signature":{...}}

Canonical JSON: sorted names, no spaces, UTF-8, whole numbers and texts only, one line. A file whose
bytes are not exactly the canonical form of what they say is refused, so every changed byte is
found, also one that a JSON reader would not see. A meter that passed gets a certificate
(检定证书), one that failed a notice of result (检定结果通知书); what was not judged gets neither.
The signature itself is made and checked in `certificate_signing`, the only module with a key.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields
from typing import Any

from libs.events.errors import BadInput
from services.metrology.judgement import FAILED, PASSED, Judgement
from services.metrology.verification_cycle import parse_day

FORMAT = "gridledger-certificate/1"
ALGORITHM = "Ed25519"
KINDS = {PASSED: "certificate", FAILED: "notice_of_result"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """What is certified of a device; `result_sha256` is the hash of the judgement's own bytes, so
    that the numbers behind it can be shown and checked later."""

    format: str
    certificate_no: str
    kind: str
    device_no: str
    device: str
    accuracy_class: str
    run_id: str
    verdict: str
    rules: str
    limits: str
    measured_on: str
    valid_until: str
    issued_on: str
    issued_by: str
    result_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """How a certificate was signed: the key's id (the hash of the public key), and the value."""

    algorithm: str
    key_id: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCertificate:
    """A certificate with its signature: one file."""

    certificate: Certificate
    signature: Signature


def make_certificate(**fields: str) -> Certificate:
    """A certificate; BadInput for a verdict without one, an empty field or an impossible day."""
    verdict = fields["verdict"]
    if verdict not in KINDS:
        fix = "certify what passed or failed"
        raise BadInput("verdict", f"is {verdict!r}", fix)
    made = Certificate(format=FORMAT, kind=KINDS[verdict], **fields)
    for name, value in _fields_of(made).items():
        if value == "" and name != "valid_until":
            raise BadInput(name, "is empty", "give it a value")
    issued = parse_day(made.issued_on, "issued_on")
    if issued < parse_day(made.measured_on, "measured_on"):
        problem = f"{made.issued_on} is before {made.measured_on}, when it was measured"
        raise BadInput("issued_on", problem, "give the day of issue")
    if made.valid_until and parse_day(made.valid_until, "valid_until") < issued:
        problem = f"{made.valid_until} is before the issue"
        raise BadInput("valid_until", problem, "verify the device again")
    return made


def signed_bytes(certificate: Certificate) -> bytes:
    """The bytes that the signature is made over."""
    return _canonical(certificate)


def content_digest(certificate: Certificate) -> str:
    """SHA-256 (hex) of the bytes that are signed: what the core told is what was signed."""
    return hashlib.sha256(signed_bytes(certificate)).hexdigest()


def certificate_of(judgement: Judgement, measured_on: str, due_on: str, by: str) -> Certificate:
    """The certificate (or notice of result) of a meter's judgement, numbered by its run.

    It bears the day of the measurement, which is when the laboratory found what it says; the same
    judgement gives the same bytes. BadInput as in `make_certificate`.
    """
    return make_certificate(
        certificate_no=f"C-{judgement.run_id}",
        device_no=judgement.meter_no,
        device="meter",
        accuracy_class=judgement.accuracy_class,
        run_id=judgement.run_id,
        verdict=judgement.verdict,
        rules=judgement.rules,
        limits=judgement.limits,
        measured_on=measured_on,
        valid_until=due_on,
        issued_on=measured_on,
        issued_by=by,
        result_sha256=result_digest(judgement),
    )


def result_digest(judgement: Any) -> str:
    """SHA-256 (hex) of a judgement's canonical bytes: what `result_sha256` is."""
    return hashlib.sha256(_canonical(judgement)).hexdigest()


def encode_signed(signed: SignedCertificate) -> bytes:
    """The bytes of the file: one line."""
    return _canonical(signed) + b"\n"


def decode_signed(content: bytes) -> SignedCertificate:
    """The certificate in a file's bytes; BadInput when they are not exactly one."""
    fix = "give the file as it was issued"
    try:
        document = json.loads(content.decode())
    except (ValueError, RecursionError):
        raise BadInput("certificate", "is no JSON", fix) from None
    try:
        signed = SignedCertificate(
            certificate=Certificate(**_texts(document["certificate"])),
            signature=Signature(**_texts(document["signature"])),
        )
        same = encode_signed(signed) == content
    except (KeyError, TypeError, ValueError):
        raise BadInput("certificate", "is none of ours, or was changed", fix) from None
    if not same:
        raise BadInput("certificate", "is not in its canonical form: it was changed", fix)
    if signed.certificate.format != FORMAT:
        problem = f"is {signed.certificate.format!r}"
        raise BadInput("format", problem, f"this release knows {FORMAT}")
    return signed


def _texts(members: Any) -> dict[str, str]:
    if not isinstance(members, dict) or not all(isinstance(v, str) for v in members.values()):
        raise TypeError("a certificate consists of texts")
    return members


def _canonical(document: Any) -> bytes:
    text = json.dumps(
        document, default=_fields_of, sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    return text.encode()


def _fields_of(made: Any) -> dict[str, Any]:
    # Not asdict, which copies everything below as well.
    return {field.name: getattr(made, field.name) for field in fields(made)}

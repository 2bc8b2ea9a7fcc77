"""Raw callbacks as evidence: hashed, sealed, and findable without opening (DESIGN 2.8).

The body holds personal data, so it is stored only under AES-256-GCM; the key is known to the edge
and to the auditor, the log carries the key's id. The nonce is random and comes from the edge: these
functions draw no random numbers. With 96 random bits one key serves 2**32 bodies safely
(NIST SP 800-38D 8.3), so a new key a year is ample.

Example: `open_body(key, evidence, "wechat", "1900000001")` gives the bytes as WeChat sent them.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from libs.events.errors import BadInput
from services.payments.notices import Evidence

NONCE_BYTES = 12
HEADER_VALUE_MAX = 1024
KEPT_HEADERS = frozenset(
    {
        "content-type",
        "request-id",
        "wechatpay-nonce",
        "wechatpay-serial",
        "wechatpay-signature",
        "wechatpay-signature-type",
        "wechatpay-timestamp",
        "webhook-id",
        "webhook-signature",
        "webhook-timestamp",
    }
)
"""Headers an auditor needs to verify a signature again; none of them is secret or personal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKey:
    """The key that seals bodies (32 bytes, never printed) and its id in the log."""

    key_id: str
    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        assert len(self.secret) == 32, "AES-256 wants a key of 32 bytes"


def make_evidence(
    key: EvidenceKey,
    *,
    channel: str,
    merchant: str,
    headers: Sequence[tuple[str, str]],
    body: bytes,
    remote_host: str,
    received_at: str,
    nonce: bytes,
) -> Evidence:
    """The evidence record of one request.

    `nonce` is 12 random bytes, fresh for every request; it also makes the id unique, so copies of
    one callback are separate evidence with the same `body_sha256`.
    """
    assert len(nonce) == NONCE_BYTES, "AES-GCM wants a nonce of 12 bytes"
    digest = hashlib.sha256(body).hexdigest()
    sealed = AESGCM(key.secret).encrypt(nonce, body, _associated(channel, merchant, digest))
    identity = "\n".join((channel, merchant, digest, received_at, nonce.hex()))
    return Evidence(
        evidence_id="ev-" + hashlib.sha256(identity.encode()).hexdigest()[:32],
        body_sha256=digest,
        sealed_body=base64.b64encode(sealed).decode(),
        nonce=base64.b64encode(nonce).decode(),
        key_id=key.key_id,
        headers=kept_headers(headers),
        remote_ip_hash=host_hash(key, remote_host),
        received_at=received_at,
    )


def open_body(key: EvidenceKey, evidence: Evidence, channel: str, merchant: str) -> bytes:
    """The raw body; BadInput when the key is another one or a byte of the record was changed."""
    if evidence.key_id != key.key_id:
        raise BadInput(
            "key_id", f"sealed under {evidence.key_id}, not {key.key_id}", "give that key"
        )
    try:
        body = AESGCM(key.secret).decrypt(
            base64.b64decode(evidence.nonce),
            base64.b64decode(evidence.sealed_body),
            _associated(channel, merchant, evidence.body_sha256),
        )
    except InvalidTag:
        raise BadInput(
            "sealed_body", "does not open: wrong key, or the record was changed"
        ) from None
    assert hashlib.sha256(body).hexdigest() == evidence.body_sha256
    return body


def kept_headers(headers: Sequence[tuple[str, str]]) -> dict[str, str]:
    """The headers worth keeping, by lower-case name; repeated ones are joined with `, `."""
    kept: dict[str, str] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in KEPT_HEADERS:
            joined = f"{kept[lower]}, {value}" if lower in kept else value
            kept[lower] = joined[:HEADER_VALUE_MAX]
    return dict(sorted(kept.items()))


def host_hash(key: EvidenceKey, host: str) -> str:
    """Keyed hash of the sender's address: repeated senders can be seen, none be named."""
    label = b"remote_ip\n" + host.encode()
    return hmac.new(key.secret, label, hashlib.sha256).hexdigest()[:32]


def _associated(channel: str, merchant: str, digest: str) -> bytes:
    return "\n".join((channel, merchant, digest)).encode()

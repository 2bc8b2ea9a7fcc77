"""How we call a channel ourselves: where it is, and the key we sign with. Sans I/O.

    request = wechat_client.request(profile, asked, now_unix, nonce)      what to send
    outcome = wechat_client.read(profile, asked, answer, now_unix)        what it means

An answer counts only with a valid signature; whatever else comes is `unanswered`, and asked again.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from libs.events.errors import BadInput
from services.payments.channels.causes import Cause
from services.payments.notices import PaymentNotice
from services.payments.order_events import UNANSWERED

_BITS_MIN = 2048


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """Our access to a channel. base_url: without a path; serial: of our certificate (WeChat Pay);
    key: signs our requests, never printed."""

    base_url: str
    serial: str
    key: RSAPrivateKey = field(repr=False)

    def sign(self, message: bytes) -> str:
        """RSA PKCS#1 v1.5 with SHA-256, in base64."""
        return base64.b64encode(self.key.sign(message, PKCS1v15(), SHA256())).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiRequest:
    """What is sent."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiAnswer:
    """What came back; status 0 when nothing did, with the reason in `problem`."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an answer means: an outcome of order_events, the channel's word, why a payment failed,
    and what is stated about money, None for nothing."""

    outcome: str
    code: str = ""
    cause: str = ""
    detail: str = ""
    notice: PaymentNotice | None = None


def nothing_believed(answer: ApiAnswer, detail: str) -> Said:
    """No answer that counts: whatever it may have said, it is asked again."""
    code = f"HTTP_{answer.status}" if answer.status else "NO_ANSWER"
    return Said(outcome=UNANSWERED, code=code, cause=Cause.TIMEOUT_UNKNOWN.value, detail=detail)


def private_key(pem: bytes, where: str) -> RSAPrivateKey:
    """Our RSA key in a PEM; BadInput names the setting."""
    try:
        key: object = load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise BadInput(where, "is no PEM private key", "give it unencrypted") from None
    if not isinstance(key, RSAPrivateKey) or key.key_size < _BITS_MIN:
        raise BadInput(where, "is no RSA key of 2048 bits or more")
    return key

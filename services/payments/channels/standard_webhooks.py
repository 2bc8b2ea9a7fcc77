"""Standard Webhooks signatures (v1, HMAC-SHA256), the rule for partners whose callbacks we define.

Signed is `id.timestamp.body`; the header holds one or more `v1,base64`, so a sender can sign with
an old and a new secret at once, and a receiver may know several secrets: either side rotates
without a gap (standard-webhooks spec, payments.md 6).

Example: secret `MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw`, id `msg_p5jXN8AQM9LWM0D4loKWxJek`, timestamp
1614265330, body `{"test": 2432232314}` -> `v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Sequence

from services.payments.channels.causes import Cause, RefusalError
from services.payments.channels.strict import (
    Headers,
    check_window,
    parse_unix,
    refuse,
    required_header,
)

SECRET_BYTES_MIN = 24
SECRET_BYTES_MAX = 64
SIGNATURES_MAX = 10
WINDOW_S = 300

_ID = re.compile(r"[!-\-/-~]{1,128}", re.ASCII)  # printable, no blank, no dot


def sign(secret: bytes, message_id: str, timestamp: str, body: bytes) -> str:
    """The `v1,base64` signature of one message."""
    message = f"{message_id}.{timestamp}.".encode() + body
    digest = hmac.new(secret, message, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def verify(
    secrets: Sequence[bytes],
    headers: Headers,
    body: bytes,
    now_unix: int,
    window_s: int = WINDOW_S,
) -> str:
    """The message id of a request signed with one of the secrets, at most `window_s` off.

    RefusalError otherwise. Every secret is compared with every signature, each in constant time.
    """
    message_id = required_header(headers, "webhook-id")
    timestamp = required_header(headers, "webhook-timestamp")
    signatures = required_header(headers, "webhook-signature").split(" ")
    if not _ID.fullmatch(message_id):
        refuse("header webhook-id is no id of 1 to 128 characters without a dot")
    if len(signatures) > SIGNATURES_MAX:
        refuse(f"header webhook-signature has more than {SIGNATURES_MAX} signatures")
    sent_unix = parse_unix(timestamp, "header webhook-timestamp")
    check_window(sent_unix, now_unix, past_s=window_s, future_s=window_s, field="webhook-timestamp")
    matched = False
    for secret in secrets:
        expected = sign(secret, message_id, timestamp, body).encode()
        for signature in signatures:
            matched |= hmac.compare_digest(expected, signature.encode(errors="replace"))
    if not matched:
        raise RefusalError(Cause.SIGNATURE_INVALID, "no webhook-signature matches")
    return message_id

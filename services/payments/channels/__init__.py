"""The channels' callbacks: one pure question, "who says what, and do we believe it?".

`verify_and_parse` reads no clock, no file and no network: keys lie in the profile, the time is an
argument. What each gateway wants to hear is data (`REPLIES`): the status decides for all of them,
the exact body only for Alipay (payments.md 1.1, 2, 6).

Example:
    verdict = verify_and_parse(profile, headers, raw_body, now_unix)
    reply = reply_to(profile.channel, verdict)
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from services.payments.channels import alipay, pos, wechat
from services.payments.channels.causes import (
    STATUS_OF_REFUSAL,
    Accepted,
    Cause,
    RefusalError,
    Refused,
    Verdict,
)
from services.payments.channels.profile import AlipayProfile, Profile, WechatProfile
from services.payments.channels.strict import BODY_BYTES_MAX, Headers
from services.payments.notices import PaymentNotice

__all__ = ["REPLIES", "Reply", "reply_to", "unavailable", "verify_and_parse"]


def verify_and_parse(profile: Profile, headers: Headers, raw_body: bytes, now_unix: int) -> Verdict:
    """Whether a callback is believed, and what it says; never raises for what was received.

    `now_unix` is wall time in seconds, also in simulated business time (DESIGN 3).
    """
    if len(raw_body) > BODY_BYTES_MAX:
        return Refused(cause=Cause.MALFORMED, detail=f"the body has over {BODY_BYTES_MAX} bytes")
    try:
        return Accepted(notice=_read(profile, headers, raw_body, now_unix))
    except RefusalError as refusal:
        return Refused(cause=refusal.cause, detail=refusal.detail)


def _read(profile: Profile, headers: Headers, raw_body: bytes, now_unix: int) -> PaymentNotice:
    if isinstance(profile, WechatProfile):
        return wechat.read_callback(profile, headers, raw_body, now_unix)
    if isinstance(profile, AlipayProfile):
        return alipay.read_callback(profile, headers, raw_body, now_unix)
    return pos.read_callback(profile, headers, raw_body, now_unix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An HTTP answer as the gateway expects it."""

    status: int
    media_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Replies:
    """What one channel hears: taken (again), not believed, try again later.

    A repeated callback is answered like the first: the edge keeps nothing and cannot tell, and any
    other answer would make the gateway repeat it once more.
    """

    success: Reply
    duplicate: Reply
    refused: Reply
    unavailable: Reply


_JSON = "application/json"
_TEXT = "text/plain; charset=utf-8"


def _code(status: int, code: str, message: str) -> Reply:
    body = json.dumps({"code": code, "message": message}, separators=(",", ":")).encode()
    return Reply(status=status, media_type=_JSON, body=body)


_WECHAT_SUCCESS = Reply(status=204, media_type=_JSON, body=b"")
_ALIPAY_SUCCESS = Reply(status=200, media_type=_TEXT, body=b"success")
_POS_SUCCESS = Reply(status=200, media_type=_JSON, body=b'{"result":"ok"}')

REPLIES: dict[str, Replies] = {
    "wechat": Replies(
        success=_WECHAT_SUCCESS,
        duplicate=_WECHAT_SUCCESS,
        refused=_code(401, "SIGN_ERROR", "signature verification failed"),
        unavailable=_code(503, "SYSTEM_ERROR", "not recorded, please send again"),
    ),
    "alipay": Replies(
        success=_ALIPAY_SUCCESS,
        duplicate=_ALIPAY_SUCCESS,
        refused=Reply(status=401, media_type=_TEXT, body=b"failure"),
        unavailable=Reply(status=503, media_type=_TEXT, body=b"failure"),
    ),
    "pos_http": Replies(
        success=_POS_SUCCESS,
        duplicate=_POS_SUCCESS,
        refused=_code(401, "SIGNATURE_INVALID", "signature verification failed"),
        unavailable=_code(503, "UNAVAILABLE", "not recorded, please send again"),
    ),
}
"""The exact replies by channel. `refused` is the one for a wrong signature; see `reply_to`."""


def reply_to(channel: str, verdict: Verdict) -> Reply:
    """The answer to a callback that is safely recorded.

    Refusals after the signature was found valid get the status of their cause and say which check
    failed: only the true channel can get that far.
    """
    replies = REPLIES[channel]
    if isinstance(verdict, Accepted):
        return replies.success
    status = STATUS_OF_REFUSAL[verdict.cause]
    if status == replies.refused.status:
        return replies.refused
    if channel == "alipay":
        return Reply(status=status, media_type=_TEXT, body=replies.refused.body)
    return _code(status, verdict.cause.value.upper(), verdict.detail)


def unavailable(channel: str) -> Reply:
    """The answer when the log did not take the record in time: the gateway will send again."""
    return REPLIES[channel].unavailable

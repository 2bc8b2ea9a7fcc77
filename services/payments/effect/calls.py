"""The one place that calls channels: a command out over HTTP, a believed answer as evidence.

    Performer(load_profiles(path), Http())(call)    Outcome(outcome="answered", received=...)

It never raises for what the world does: a time-out, a refused connection and an answer without a
valid signature are `unanswered`. Redirects are not followed, proxies of the environment not used.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import httpx

from services.payments.channels import alipay_client, wechat_client
from services.payments.channels.access import ApiAnswer, ApiRequest, Said
from services.payments.channels.profile import AlipayProfile, Profiles, WechatProfile
from services.payments.channels.strict import BODY_BYTES_MAX, utc_text
from services.payments.effect.decide import Call, Outcome
from services.payments.evidence import make_evidence
from services.payments.notices import NoticeReceived, PaymentNotice
from services.payments.order_events import (
    CLOSE,
    QUERY,
    REFUND,
    REFUND_QUERY,
    UNANSWERED,
    ChannelAsked,
)

TIMEOUT_S = 10.0
LOOK_OF = {CLOSE: QUERY, REFUND: REFUND_QUERY}
"""How to see what became of a command that moves something."""

Send = Callable[[ApiRequest], ApiAnswer]


class Performer:
    """Calls the channels that have a profile with access; any other is not answered."""

    def __init__(
        self,
        profiles: Profiles | None,
        send: Send,
        now: Callable[[], int] = lambda: int(time.time()),
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self.profiles, self.send, self.now, self.random = profiles, send, now, random

    def __call__(self, call: Call) -> Outcome:
        """Do one call; only a question when it may have been sent before."""
        asked = call.asked
        if call.is_look:
            asked = replace(asked, kind=LOOK_OF.get(asked.kind, asked.kind))
        return replace(self._ask(asked), looked=call.is_look)

    def _ask(self, asked: ChannelAsked) -> Outcome:
        profile = self._profile_of(asked)
        if profile is None or profile.access is None:
            detail = f"no access to {asked.channel} {asked.merchant} is configured"
            return Outcome(outcome=UNANSWERED, code="NO_ACCESS", detail=detail)
        nonce = self.random(16).hex()
        if isinstance(profile, WechatProfile):
            answer = self.send(wechat_client.request(profile, asked, self.now(), nonce))
            said = wechat_client.read(profile, asked, answer, self.now())
        else:
            answer = self.send(alipay_client.request(profile, asked, self.now(), nonce))
            said = alipay_client.read(profile, asked, answer, self.now())
        return self._outcome(asked, profile, said, answer)

    def _profile_of(self, asked: ChannelAsked) -> WechatProfile | AlipayProfile | None:
        if self.profiles is None:
            return None
        if asked.channel == "wechat":
            return self.profiles.wechat.get(asked.merchant)
        return self.profiles.alipay.get(asked.merchant)

    def _outcome(
        self,
        asked: ChannelAsked,
        profile: WechatProfile | AlipayProfile,
        said: Said,
        answer: ApiAnswer,
    ) -> Outcome:
        received = None
        if said.notice is not None:
            received = self._received(asked, profile, said.notice, answer)
        return Outcome(
            outcome=said.outcome,
            code=said.code,
            cause=said.cause,
            detail=said.detail,
            received=received,
        )

    def _received(
        self,
        asked: ChannelAsked,
        profile: WechatProfile | AlipayProfile,
        notice: PaymentNotice,
        answer: ApiAnswer,
    ) -> NoticeReceived:
        """The statement with its evidence, as the edge writes it of a callback."""
        assert self.profiles is not None
        evidence = make_evidence(
            self.profiles.evidence_key,
            channel=profile.channel,
            merchant=profile.name,
            headers=answer.headers,
            body=answer.body,
            remote_host="",
            received_at=utc_text(datetime.fromtimestamp(self.now(), UTC)),
            nonce=self.random(12),
        )
        return NoticeReceived(
            verdict="accepted",
            cause="",
            detail="",
            channel=profile.channel,
            merchant=profile.name,
            key=asked.account_no,
            notice=notice,
            evidence=evidence,
            source="query",
        )


class Http:
    """HTTP with a time-out, and a bound on what is read."""

    def __init__(self, timeout_s: float = TIMEOUT_S) -> None:
        self.timeout_s = timeout_s
        self.client = httpx.Client(timeout=timeout_s, trust_env=False, follow_redirects=False)

    def __call__(self, request: ApiRequest) -> ApiAnswer:
        """Send it once; what fails is an answer of status 0."""
        until = time.monotonic() + self.timeout_s
        try:
            with self.client.stream(
                request.method, request.url, headers=dict(request.headers), content=request.body
            ) as response:
                body = b""
                for chunk in response.iter_bytes():
                    body += chunk
                    if len(body) > BODY_BYTES_MAX:
                        return ApiAnswer(status=0, problem=f"over {BODY_BYTES_MAX} bytes")
                    if time.monotonic() > until:
                        return ApiAnswer(status=0, problem="the answer took too long")
                headers = tuple(response.headers.multi_items())
                return ApiAnswer(status=response.status_code, headers=headers, body=body)
        except httpx.HTTPError as error:
            return ApiAnswer(status=0, problem=type(error).__name__)

    def close(self) -> None:
        """Hang up."""
        self.client.close()

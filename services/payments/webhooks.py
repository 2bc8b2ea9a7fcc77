"""The payments edge over HTTP: every callback becomes one record, and is answered after its ack.

The path of a callback (payments.md 0.2): raw bytes -> verify and parse (pure, keys in memory) ->
evidence -> `append` (returns when the broker has acknowledged) -> the channel's exact reply. What
cannot be recorded in time is answered 503, so the gateway sends it again; a refused callback is
recorded too. The edge keeps no state and cannot tell a repeated callback from the first.

Example:
    app = make_app(load_profiles(Path("keys.json")), append, now=clock, nonce=random_nonce)
    POST /notify/wechat/1900000001 -> 204, after append("1000000042", NoticeReceived(...))
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from libs.events.documents import read_json
from libs.events.errors import BadInput, LogError
from services.payments.channels import REPLIES, Reply, reply_to, unavailable, verify_and_parse
from services.payments.channels.causes import Refused, Verdict
from services.payments.channels.profile import Pos8583Profile, Profile, Profiles, parse_profiles
from services.payments.channels.strict import BODY_BYTES_MAX, utc_text
from services.payments.evidence import EvidenceKey, make_evidence
from services.payments.notices import MONEY_BACK, Evidence, NoticeReceived, PaymentNotice
from services.payments.order_number import account_of

HEADER_BYTES_MAX = 8 * 1024
SECRET_BYTES_MOST = 64 * 1024
BODY_TIMEOUT_S = 5
APPEND_TIMEOUT_S = 3
"""WeChat counts an answer after 5 s as failed (payments.md 1.1)."""

Append = Callable[[str, NoticeReceived], Awaitable[None]]
Observe = Callable[[str, str], None]
"""Called with channel and outcome (`accepted`, a cause, `unavailable`) for metrics; probes of
WeChat are `probe`, so that they can be kept out of the alarm on forged callbacks."""


def make_app(
    profiles: Profiles,
    append: Append,
    now: Callable[[], int],
    nonce: Callable[[], bytes],
    observe: Observe = lambda channel, outcome: None,
) -> FastAPI:
    """The ASGI application of the payments edge.

    `append(key, record)` returns after the broker's ack and raises a LogError or TimeoutError when
    there is none. `now` is wall time in unix seconds; `nonce` gives 12 fresh random bytes.
    """
    app = FastAPI(
        title="GridLedger payments edge",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    edge = _Edge(profiles.evidence_key, append, now, nonce, observe)

    @app.post("/notify/wechat/{merchant}", **_operation("wechat", "merchant", "application/json"))
    async def notify_wechat(request: Request) -> Response:
        """A WeChat Pay API v3 notification."""
        return await edge.answer(request, profiles.wechat.get(request.path_params["merchant"]))

    @app.post("/notify/alipay/{merchant}", **_operation("alipay", "merchant", _FORM))
    async def notify_alipay(request: Request) -> Response:
        """An Alipay asynchronous notice (form, RSA2)."""
        return await edge.answer(request, profiles.alipay.get(request.path_params["merchant"]))

    @app.post("/notify/pos/{acquirer}", **_operation("pos_http", "acquirer", "application/json"))
    async def notify_pos(request: Request) -> Response:
        """A card payment reported by an acquirer (Standard Webhooks)."""
        return await edge.answer(request, profiles.pos.get(request.path_params["acquirer"]))

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Alive: the loop answers."""
        return {"status": "ok"}

    @app.exception_handler(HTTPException)
    async def not_found(request: Request, error: HTTPException) -> Response:
        """Wrong path, or wrong method: then `Allow` names the right one (RFC 9110 15.5.6)."""
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            response = _problem(405, "Method Not Allowed", "use the method that Allow names")
            response.headers.update(error.headers or {})
            return response
        return _problem(404, "Not Found", "POST a callback to /notify/CHANNEL/NAME")

    return app


@dataclass(frozen=True, slots=True)
class _Edge:
    """What every callback route needs."""

    evidence_key: EvidenceKey
    append: Append
    now: Callable[[], int]
    nonce: Callable[[], bytes]
    observe: Observe

    async def answer(self, request: Request, profile: Profile | None) -> Response:
        """The answer to one callback, after its record was acknowledged."""
        if profile is None:
            return _problem(404, "Not Found", "no channel profile has this name")
        body = await _read_request(request)
        if isinstance(body, Response):
            return body
        reply, outcome = await self._take(profile, _headers(request), body, _host(request))
        self.observe(profile.channel, outcome)
        return _answer(reply)

    async def _take(
        self, profile: Profile, headers: list[tuple[str, str]], body: bytes, host: str
    ) -> tuple[Reply, str]:
        """Verify, record, and only then reply; also says what to count."""
        received_unix = self.now()
        verdict = verify_and_parse(profile, headers, body, received_unix)
        evidence = make_evidence(
            self.evidence_key,
            channel=profile.channel,
            merchant=profile.name,
            headers=headers,
            body=body,
            remote_host=host,
            received_at=utc_text(datetime.fromtimestamp(received_unix, UTC)),
            nonce=self.nonce(),
        )
        record = make_record(profile, verdict, evidence)
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_S):
                await self.append(record.key, record)
        except (LogError, TimeoutError):
            return unavailable(profile.channel), "unavailable"
        return reply_to(profile.channel, verdict), record.cause or record.verdict


def make_record(
    profile: Profile | Pos8583Profile,
    verdict: Verdict,
    evidence: Evidence,
    source: str = "callback",
) -> NoticeReceived:
    """The record of one request: verdict, meaning and evidence under the right key."""
    if isinstance(verdict, Refused):
        return NoticeReceived(
            verdict="refused",
            cause=verdict.cause.value,
            detail=verdict.detail,
            channel=profile.channel,
            merchant=profile.name,
            key=f"{profile.channel}:{evidence.evidence_id}",
            notice=None,
            evidence=evidence,
            source=source,
        )
    return NoticeReceived(
        verdict="accepted",
        cause="",
        detail="",
        channel=profile.channel,
        merchant=profile.name,
        key=notice_key(verdict.notice, evidence.evidence_id),
        notice=verdict.notice,
        evidence=evidence,
        source=source,
    )


def notice_key(notice: PaymentNotice, evidence_id: str = "") -> str:
    """The partition key of an accepted callback: the account of its order, else the transaction.

    Money that goes back has the key of the payment that it takes back (docs/adr/0014).
    """
    original = notice.original_txn_id if notice.kind in MONEY_BACK else ""
    transaction = original or notice.channel_txn_id or evidence_id
    return account_of(notice.out_trade_no) or f"{notice.channel}:{transaction}"


async def _read_request(request: Request) -> bytes | Response:
    """The raw body, or the answer to a request that is over a limit."""
    if sum(len(name) + len(value) for name, value in request.headers.raw) > HEADER_BYTES_MAX:
        return _problem(431, "Request Header Fields Too Large", "send at most 8 KiB of headers")
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > BODY_BYTES_MAX:
        return _too_large()
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > BODY_BYTES_MAX:
                    return _too_large()
    except (TimeoutError, ClientDisconnect):
        return _problem(408, "Request Timeout", f"send the body within {BODY_TIMEOUT_S} s")
    return bytes(body)


def _headers(request: Request) -> list[tuple[str, str]]:
    return [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw
    ]


def _host(request: Request) -> str:
    return request.client.host if request.client else ""


def _answer(reply: Reply) -> Response:
    if reply.status == 204:
        return Response(status_code=204)
    return Response(reply.body, status_code=reply.status, media_type=reply.media_type)


def _too_large() -> Response:
    response = _problem(413, "Content Too Large", f"send at most {BODY_BYTES_MAX} bytes")
    response.headers["connection"] = "close"
    return response


def _problem(status: int, title: str, detail: str) -> Response:
    """An RFC 9457 problem document."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return Response(json.dumps(document), status_code=status, media_type="application/problem+json")


_FORM = "application/x-www-form-urlencoded"
_PROBLEM_SCHEMA = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
}


def _operation(channel: str, parameter: str, media_type: str) -> dict[str, Any]:
    """What the OpenAPI document says of one callback route."""
    replies = REPLIES[channel]
    texts = {400: "malformed", 401: "signature not believed", 403: "another merchant"}
    problems = {404: "unknown name", 408: "body too slow", 413: "body over 64 KiB"}
    responses: dict[str, Any] = {
        str(status): _described(f"{text}; recorded as evidence", replies.refused.media_type)
        for status, text in texts.items()
    }
    for status, text in {**problems, 431: "headers over 8 KiB"}.items():
        responses[str(status)] = _described(text, "application/problem+json", _PROBLEM_SCHEMA)
    responses["503"] = _described("not recorded: send again", replies.unavailable.media_type)
    success = replies.success
    if success.status != 204:
        responses[str(success.status)] = _described("recorded", success.media_type)
    parameters = [{"name": parameter, "in": "path", "required": True, "schema": {"type": "string"}}]
    body_schema = {"type": "string" if media_type == _FORM else "object"}
    return {
        "status_code": success.status,
        "response_class": Response,
        "response_description": "recorded",
        "openapi_extra": {
            "parameters": parameters,
            "requestBody": {"required": True, "content": {media_type: {"schema": body_schema}}},
            "responses": responses,
        },
    }


def _described(text: str, media_type: str, schema: Mapping[str, Any] | None = None) -> Any:
    essence = media_type.partition(";")[0]
    return {"description": text, "content": {essence: {"schema": schema or {}}}}


def load_profiles(path: Path) -> Profiles:
    """The channel profiles of a JSON file; `file:` references are relative to its folder.

    BadInput names the setting, the file or the environment variable that is wrong.
    """
    document = read_json(path)
    try:
        return parse_profiles(document, lambda reference: _secret(path.parent, reference))
    except BadInput as wrong:
        raise BadInput(f"{path} {wrong.field}", wrong.problem, wrong.fix) from None


def _secret(folder: Path, reference: str) -> bytes:
    """The bytes that a reference names. One that is no reference may be the secret itself: it is
    not said in any error."""
    scheme, _, name = reference.partition(":")
    if scheme == "env" and name in os.environ:
        return os.environb[name.encode()].strip()
    if scheme == "file" and name:
        try:
            with (folder / name).open("rb") as stored:
                return stored.read(SECRET_BYTES_MOST).strip()
        except (OSError, ValueError) as error:  # a name with a NUL in it
            problem = getattr(error, "strerror", None) or "is no name of a file"
            raise BadInput(reference, problem, "give a readable file") from None
    place = reference if scheme == "env" else ""
    fix = "write file:NAME or env:NAME of one that is set"
    raise BadInput(place, "is no secret we can read", fix)

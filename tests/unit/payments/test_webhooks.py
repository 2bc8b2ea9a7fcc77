"""The payments edge: exact replies, one record per request, nothing answered before its ack."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import httpx
import msgspec
import pytest

from libs.events.errors import LogError, Unavailable
from services.payments import webhooks
from services.payments.channels.profile import Profiles
from services.payments.evidence import open_body
from services.payments.notices import NoticeReceived
from services.payments.webhooks import make_app
from simulators.gateways.keys import ACQUIRER, MCHID, POS_MERCHANT, SELLER_ID, KeySet
from tests.unit.payments.signing import (
    NOW,
    Request,
    alipay_fields,
    alipay_request,
    pos_document,
    pos_request,
    wechat_content,
    wechat_request,
)

T = TypeVar("T")
PATHS = {
    "wechat": f"/notify/wechat/{MCHID}",
    "alipay": f"/notify/alipay/{SELLER_ID}",
    "pos": f"/notify/pos/{ACQUIRER}",
}


class Edge:
    """The application with an in-memory log."""

    def __init__(self, profiles: Profiles, failure: Exception | None = None) -> None:
        self.records: list[tuple[str, NoticeReceived]] = []
        self.outcomes: list[tuple[str, str]] = []
        self.failure = failure
        numbers = itertools.count()
        self.app = make_app(
            profiles,
            self.append,
            now=lambda: NOW,
            nonce=lambda: next(numbers).to_bytes(12, "big"),
            observe=lambda channel, outcome: self.outcomes.append((channel, outcome)),
        )

    async def append(self, key: str, record: NoticeReceived) -> None:
        await asyncio.sleep(0)
        if self.failure:
            raise self.failure
        self.records.append((key, record))

    def ask(self, call: Callable[[httpx.AsyncClient], Awaitable[T]]) -> T:
        async def run() -> T:
            transport = httpx.ASGITransport(app=self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://edge") as client:
                return await call(client)

        return asyncio.run(run())

    def post(self, path: str, request: Request) -> httpx.Response:
        headers, body = request
        return self.ask(lambda client: client.post(path, headers=headers, content=body))


@pytest.fixture
def edge(profiles: Profiles) -> Edge:
    return Edge(profiles)


def requests(keys: KeySet) -> dict[str, Request]:
    return {
        "wechat": wechat_request(keys, wechat_content()),
        "alipay": alipay_request(keys, alipay_fields()),
        "pos": pos_request(keys, pos_document()),
    }


@pytest.mark.parametrize(
    ("channel", "status", "body"),
    [("wechat", 204, b""), ("alipay", 200, b"success"), ("pos", 200, b'{"result":"ok"}')],
)
def test_taken_and_taken_again(
    edge: Edge, keys: KeySet, profiles: Profiles, channel: str, status: int, body: bytes
) -> None:
    request = requests(keys)[channel]
    for _ in range(2):
        response = edge.post(PATHS[channel], request)
        assert (response.status_code, response.content) == (status, body)
    (key, first), (_, second) = edge.records
    assert key == first.key == "1000000042"
    assert (first.verdict, first.cause) == ("accepted", "")
    assert first.notice == second.notice
    assert first.notice is not None
    assert first.notice.amount_fen == 12345
    assert first.evidence.evidence_id != second.evidence.evidence_id
    opened = open_body(profiles.evidence_key, first.evidence, first.channel, first.merchant)
    assert opened == request[1]
    assert first.evidence.received_at == "2026-01-01T00:00:00Z"
    assert {outcome for _, outcome in edge.outcomes} == {"accepted"}
    assert msgspec.json.decode(msgspec.json.encode(first), type=NoticeReceived) == first


def test_money_without_an_order_goes_by_its_transaction(edge: Edge, keys: KeySet) -> None:
    edge.post(PATHS["wechat"], wechat_request(keys, wechat_content(out_trade_no=None)))
    edge.post(PATHS["alipay"], alipay_request(keys, alipay_fields(out_trade_no="PAY1")))
    edge.post(PATHS["pos"], pos_request(keys, pos_document(order_no="1000000042226010001")))
    edge.post(PATHS["wechat"], wechat_request(keys, {}, "SECURITY_ECHO.SUCCESS"))
    assert [key for key, _ in edge.records] == [
        "wechat:4200000000202601010000000001",
        "alipay:2026010122001400000000000001",
        f"pos_http:{POS_MERCHANT}-58D01115-000001-000042-20260101",
        f"wechat:{edge.records[3][1].evidence.evidence_id}",
    ]


@pytest.mark.parametrize("channel", PATHS)
def test_one_bit_changed_is_refused_with_evidence(edge: Edge, keys: KeySet, channel: str) -> None:
    headers, body = requests(keys)[channel]
    changed = bytearray(body)
    changed[body.index(b"1")] ^= 1
    response = edge.post(PATHS[channel], (headers, bytes(changed)))
    assert response.status_code == 401
    ((key, record),) = edge.records
    assert (record.verdict, record.cause) == ("refused", "signature_invalid")
    assert record.notice is None
    assert key == f"{record.channel}:{record.evidence.evidence_id}"
    assert edge.outcomes == [(record.channel, "signature_invalid")]
    if channel == "wechat":
        assert response.json() == {
            "code": "SIGN_ERROR",
            "message": "signature verification failed",
        }
        assert response.headers["content-type"] == "application/json"
    if channel == "alipay":
        assert response.content == b"failure"


def _with(request: Request, name: str, value: str) -> Request:
    headers, body = request
    return [(n, value if n.lower() == name else v) for n, v in headers], body


def test_old_unknown_other_and_probe_are_refused_with_evidence(edge: Edge, keys: KeySet) -> None:
    good = requests(keys)["wechat"]
    signature = dict(good[0])["Wechatpay-Signature"]
    cases = [
        (_with(good, "wechatpay-timestamp", str(NOW - 300)), 401, "timestamp_outside_window"),
        (_with(good, "wechatpay-serial", "PUB_KEY_ID_X"), 401, "serial_unknown"),
        (wechat_request(keys, wechat_content(mchid="1900009999")), 403, "merchant_mismatch"),
        (
            _with(good, "wechatpay-signature", "WECHATPAY/SIGNTEST/" + signature),
            401,
            "probe",
        ),
    ]
    for request, status, _ in cases:
        assert edge.post(PATHS["wechat"], request).status_code == status
    assert [record.cause for _, record in edge.records] == [cause for _, _, cause in cases]
    assert all(record.notice is None for _, record in edge.records)
    mismatch = edge.post(PATHS["wechat"], cases[2][0])
    assert mismatch.json() == {
        "code": "MERCHANT_MISMATCH",
        "message": "mchid is another merchant's",
    }


@pytest.mark.parametrize("failure", [Unavailable("no broker"), LogError("x"), TimeoutError()])
@pytest.mark.parametrize("channel", PATHS)
def test_without_ack_the_gateway_sends_again(
    profiles: Profiles, keys: KeySet, channel: str, failure: Exception
) -> None:
    edge = Edge(profiles, failure)
    response = edge.post(PATHS[channel], requests(keys)[channel])
    assert response.status_code == 503
    assert b"success" not in response.content
    assert edge.outcomes[0][1] == "unavailable"


def test_a_slow_log_is_answered_in_time(
    profiles: Profiles, keys: KeySet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhooks, "APPEND_TIMEOUT_S", 0.01)

    async def never(key: str, record: NoticeReceived) -> None:
        await asyncio.sleep(60)

    edge = Edge(profiles)
    edge.app = make_app(profiles, never, now=lambda: NOW, nonce=lambda: b"n" * 12)
    assert edge.post(PATHS["wechat"], requests(keys)["wechat"]).status_code == 503


def test_the_answer_waits_for_the_ack(profiles: Profiles, keys: KeySet) -> None:
    acknowledged = []

    async def slow(key: str, record: NoticeReceived) -> None:
        await asyncio.sleep(0.02)
        acknowledged.append(key)

    edge = Edge(profiles)
    edge.app = make_app(profiles, slow, now=lambda: NOW, nonce=lambda: b"n" * 12)

    async def call(client: httpx.AsyncClient) -> tuple[int, int]:
        headers, body = requests(keys)["wechat"]
        response = await client.post(PATHS["wechat"], headers=headers, content=body)
        return response.status_code, len(acknowledged)

    assert edge.ask(call) == (204, 1)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/notify/wechat/1900009999"),
        ("POST", "/notify/pos/unknown"),
        ("POST", "/notify/alipay/%2e%2e"),
        ("POST", "/notify/paypal/x"),
        ("POST", PATHS["wechat"] + "/"),  # no redirect: gateways do not follow any
        ("GET", "/"),
    ],
)
def test_a_wrong_name_is_404(edge: Edge, method: str, path: str) -> None:
    response = edge.ask(lambda client: client.request(method, path))
    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == 404
    assert edge.records == []


@pytest.mark.parametrize(
    ("method", "path", "allow"),
    [
        ("GET", PATHS["wechat"], "POST"),
        ("PUT", PATHS["alipay"], "POST"),
        ("DELETE", "/notify/pos/unknown", "POST"),
        ("POST", "/healthz", "GET"),
    ],
)
def test_a_wrong_method_is_405_and_names_the_right_one(
    edge: Edge, method: str, path: str, allow: str
) -> None:
    response = edge.ask(lambda client: client.request(method, path))
    assert (response.status_code, response.headers["allow"]) == (405, allow)
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["title"] == "Method Not Allowed"
    assert edge.records == []


def test_limits(edge: Edge, keys: KeySet) -> None:
    path = PATHS["wechat"]
    too_long = edge.ask(lambda client: client.post(path, content=b"x" * 65537))
    assert too_long.status_code == 413
    assert too_long.json()["title"] == "Content Too Large"

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(70):
            yield b"x" * 1024

    chunked = edge.ask(lambda client: client.post(path, content=chunks()))
    assert chunked.status_code == 413
    heavy = edge.ask(lambda client: client.post(path, headers={"x": "y" * 9000}))
    assert heavy.status_code == 431
    assert edge.records == []
    just = edge.ask(lambda client: client.post(path, content=b"x" * 65536))
    assert just.status_code == 400
    assert [record.cause for _, record in edge.records] == ["malformed"]


def test_a_slow_body_ends(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhooks, "BODY_TIMEOUT_S", 0.01)

    async def drip() -> AsyncGenerator[bytes, None]:
        yield b"x"
        await asyncio.sleep(30)

    # httpx reads the whole request before it hands it over, so the application is called directly
    async def call() -> list[dict[str, Any]]:
        sent: list[dict[str, Any]] = []
        body = drip()

        async def receive() -> dict[str, Any]:
            part = await anext(body)
            return {"type": "http.request", "body": part, "more_body": True}

        async def send(message: Any) -> None:
            sent.append(dict(message))

        scope: dict[str, Any] = {
            "type": "http",
            "method": "POST",
            "path": PATHS["wechat"],
            "raw_path": b"",
            "query_string": b"",
            "headers": [],
            "client": None,
            "root_path": "",
            "scheme": "http",
        }
        await edge.app(scope, receive, send)
        await body.aclose()
        return sent

    assert asyncio.run(call())[0]["status"] == 408
    assert edge.records == []


def test_health_and_document(edge: Edge) -> None:
    assert edge.ask(lambda client: client.get("/healthz")).json() == {"status": "ok"}
    document = edge.ask(lambda client: client.get("/openapi.json")).json()
    assert set(document["paths"]) == {
        "/notify/wechat/{merchant}",
        "/notify/alipay/{merchant}",
        "/notify/pos/{acquirer}",
        "/healthz",
    }
    wechat = document["paths"]["/notify/wechat/{merchant}"]["post"]
    assert set(wechat["responses"]) == {
        "204",
        "400",
        "401",
        "403",
        "404",
        "408",
        "413",
        "431",
        "503",
    }
    assert wechat["parameters"][0]["name"] == "merchant"


def test_records_carry_no_secret_and_nobody(edge: Edge, keys: KeySet, profiles: Profiles) -> None:
    for channel, request in requests(keys).items():
        edge.post(PATHS[channel], request)
        edge.post(PATHS[channel], (request[0], request[1] + b" "))
    assert len(edge.records) == 6
    for _, record in edge.records:
        written = json.dumps(msgspec.to_builtins(record))
        for secret in (
            "oPAYER",
            "2088000000000001",
            "138****1234",
            "6228480402564890018",
            "127.0.0.1",
            keys.api_v3_key.decode(),
        ):
            assert secret not in written
        assert profiles.evidence_key.secret.hex() not in written

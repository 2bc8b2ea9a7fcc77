"""The edge for people: who may ask for what, what goes to the log, and every error as a problem."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from libs.events.errors import Unavailable, Unknown
from services.control.accounts import Accounts, add_account
from services.control.api import create_app
from services.control.events import RequestMade
from tests.unit.control.samples import ACCOUNT, WINDOW_FROM, WINDOW_TO
from tests.unit.control.test_accounts import PASSWORD, QUICK

pytestmark = pytest.mark.wide

CASE = f"{ACCOUNT}.ab12"
SERVED = {
    "channel": "handed over",
    "recipient": "the customer",
    "served_at": "2026-03-03T01:00:00Z",
    "evidence": "photo 17",
}
PEOPLE = {
    "wang": "requester",
    "li": "reviewer",
    "zhao": "unit_head",
    "chen": "server",
    "guo": "viewer",
}


class Log:
    """What was appended, or the error to raise."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, RequestMade]] = []
        self.error: Exception | None = None

    def append(self, key: str, body: RequestMade) -> int:
        if self.error is not None:
            raise self.error
        self.taken.append((key, body))
        return len(self.taken) - 1


class Client:
    """The application without a socket: each call is one request over ASGI."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app

    def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        async def call() -> httpx.Response:
            transport = httpx.ASGITransport(app=self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://control") as client:
                return await client.request(method, path, **options)

        return asyncio.run(call())

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.request("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.request("POST", path, **options)


async def in_pieces() -> AsyncIterator[bytes]:
    """A body without a length."""
    yield b"{}"


class Office:
    """A client with a log and the accounts of five people."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "accounts.json"
        for person, role in PEOPLE.items():
            unit = "works" if person == "chen" else ""
            add_account(self.path, person, role, PASSWORD, unit, hasher=QUICK)
        self.log = Log()
        accounts = Accounts(self.path, QUICK)
        self.app = create_app(accounts, self.log.append, lambda: "2026-03-02T01:00:00Z")
        self.client = Client(self.app)

    def post(self, person: str, path: str, body: Any = None, **headers: str) -> Any:
        return self.client.post(path, json=body, auth=(person, PASSWORD), headers=headers)


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def wanted(**changes: Any) -> dict[str, Any]:
    return {
        "account_no": ACCOUNT,
        "usage_point": "P1",
        "window_from_at": WINDOW_FROM,
        "invoices": ["INV1", "INV2"],
        **changes,
    }


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    return body


def test_a_case_is_asked_for(office: Office) -> None:
    answer = office.post("wang", "/cases", wanted(window_to_at=WINDOW_TO))
    assert answer.status_code == 202
    ((key, body),) = office.log.taken
    assert key == ACCOUNT
    assert answer.json() == {
        "request_id": body.request_id,
        "case_id": f"{ACCOUNT}.{body.request_id}",
    }
    assert body == RequestMade(
        request_id=body.request_id,
        action="request_disconnect",
        account_no=ACCOUNT,
        usage_point="P1",
        case_id="",
        person="wang",
        role="requester",
        details={
            "window_from_at": WINDOW_FROM,
            "window_to_at": WINDOW_TO,
            "invoices": "INV1,INV2",
        },
        requested_at="2026-03-02T01:00:00Z",
        unit="",
    )


@pytest.mark.parametrize(
    ("person", "path", "body", "action"),
    [
        ("chen", "notice-served", SERVED, "serve_notice"),
        ("chen", "final-notice-served", SERVED, "serve_final_notice"),
        ("li", "approve", None, "approve"),
        ("zhao", "approve", None, "approve"),
        ("zhao", "approve-over-cap", {"reason": "a dangerous line"}, "approve_over_cap"),
        ("li", "refuse", {"reason": "no"}, "refuse"),
        ("wang", "cancel", {"reason": "paid"}, "cancel"),
    ],
)
def test_steps_of_a_case(office: Office, person: str, path: str, body: Any, action: str) -> None:
    answer = office.post(person, f"/cases/{CASE}/{path}", body)
    assert answer.status_code == 202, answer.text
    ((key, request),) = office.log.taken
    assert key == request.account_no == ACCOUNT
    assert (request.action, request.case_id) == (action, CASE)
    assert (request.person, request.role) == (person, PEOPLE[person])
    assert request.details == (body or {})
    assert answer.json()["case_id"] == CASE


@pytest.mark.parametrize(
    ("path", "action", "extra"),
    [
        ("/holds", "place_hold", {"reason": "works", "note": "cable"}),
        ("/holds/release", "release_hold", {"reason": "works", "note": ""}),
        ("/locks", "lock_point", {"locked_by": ""}),
        ("/locks/release", "unlock_point", {"locked_by": "wu"}),
    ],
)
def test_holds_and_locks(office: Office, path: str, action: str, extra: dict[str, str]) -> None:
    answer = office.post("chen", path, {"account_no": ACCOUNT, "usage_point": "P1", **extra})
    assert answer.status_code == 202, answer.text
    ((_, request),) = office.log.taken
    assert (request.action, request.usage_point, request.unit) == (action, "P1", "works")
    assert request.details == extra


WEATHER = {
    "area": "A1",
    "alarm": "storm orange",
    "from_at": "2026-03-12T00:00:00Z",
    "until_at": "2026-03-12T12:00:00Z",
}
ROUTES = {
    "/cases": (wanted(), {"wang"}),
    f"/cases/{CASE}/notice-served": (SERVED, {"chen"}),
    f"/cases/{CASE}/final-notice-served": (SERVED, {"chen"}),
    f"/cases/{CASE}/approve": (None, {"li", "zhao"}),
    f"/cases/{CASE}/approve-over-cap": ({"reason": "no"}, {"zhao"}),
    f"/cases/{CASE}/refuse": ({"reason": "no"}, {"li", "zhao"}),
    f"/cases/{CASE}/cancel": ({"reason": "no"}, {"wang", "li", "zhao"}),
    "/holds": (
        {"account_no": ACCOUNT, "usage_point": "P1", "reason": "works"},
        {"wang", "li", "zhao", "chen"},
    ),
    "/holds/release": (
        {"account_no": ACCOUNT, "usage_point": "P1", "reason": "works"},
        {"wang", "li", "zhao", "chen"},
    ),
    "/weather": (WEATHER, {"li", "zhao", "chen"}),
    "/disputes": ({"account_no": ACCOUNT, "reason": "paid"}, {"wang", "li", "zhao", "chen"}),
    "/disputes/r1/decide": (
        {"account_no": ACCOUNT, "decision": "upheld", "reason": "paid indeed"},
        {"li", "zhao"},
    ),
    "/matches": (
        {
            "account_no": ACCOUNT,
            "usage_point": "P1",
            "meter_no": "M1",
            "verified_on": "2026-03-01",
            "evidence": "photo 3",
        },
        {"chen"},
    ),
    "/keep-supply": (
        {"account_no": ACCOUNT, "usage_point": "P1", "reason": "life support"},
        {"wang", "li", "zhao", "chen"},
    ),
    "/keep-supply/end": (
        {"account_no": ACCOUNT, "usage_point": "P1", "reason": "moved"},
        {"li", "zhao"},
    ),
    "/load-limits": (
        {"account_no": ACCOUNT, "usage_point": "P1", "limit_w": 2000, "reason": "arrears"},
        {"li", "zhao"},
    ),
    "/protections": (
        {
            "account_no": ACCOUNT,
            "kind": "school",
            "until_on": "2026-07-10",
            "legal_basis": "in session",
        },
        {"li", "zhao"},
    ),
    "/prepaid-cases": (
        {"account_no": ACCOUNT, "usage_point": "P1", "window_from_at": "2026-03-12T02:00:00Z"},
        {"wang"},
    ),
    "/warnings": (
        {
            "account_no": ACCOUNT,
            "stage": "warn1",
            "channel": "letter",
            "recipient": "she",
            "served_at": "2026-03-02T02:00:00Z",
            "evidence": "photo 3",
        },
        {"chen"},
    ),
    "/locks": ({"account_no": ACCOUNT, "usage_point": "P1"}, {"wang", "li", "zhao", "chen"}),
    "/locks/release": (
        {"account_no": ACCOUNT, "usage_point": "P1"},
        {"wang", "li", "zhao", "chen"},
    ),
}


@pytest.mark.parametrize("path", ROUTES)
def test_every_route_knows_its_roles(office: Office, path: str) -> None:
    body, allowed = ROUTES[path]
    for person, role in PEOPLE.items():
        answer = office.post(person, path, body)
        if person in allowed:
            assert answer.status_code == 202, (person, answer.text)
        else:
            assert role in problem(answer, 403)["detail"]
    assert len(office.log.taken) == len(allowed)


def in_document(path: str) -> str:
    """A path as the document has it."""
    return path.replace(CASE, "{case_id}").replace("/r1/", "/{dispute_id}/")


def test_the_routes_are_all_tried(office: Office) -> None:
    paths = office.client.get("/openapi.json").json()["paths"]
    tried = {in_document(path) for path in ROUTES}
    assert set(paths) == tried | {"/healthz"}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer abc",
        "Basic",
        "Basic not-base64!",
        "Basic " + base64.b64encode(b"\xff\xfe:x").decode(),
        "Basic " + base64.b64encode(b"wang").decode(),
        "Basic " + base64.b64encode(b"wang:wrong password").decode(),
        "Basic " + base64.b64encode(b"nobody:" + PASSWORD.encode()).decode(),
    ],
)
def test_nobody_we_know(office: Office, header: str | None) -> None:
    headers = {"Content-Type": "application/json"}
    if header is not None:
        headers["Authorization"] = header
    for path in ("/cases", "/nowhere"):
        answer = office.client.post(path, content=b"{ no json", headers=headers)
        problem(answer, 401)
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
    assert office.log.taken == []


def test_a_person_and_a_role_in_the_body_are_refused(office: Office) -> None:
    for name in ("person", "role", "request_id", "unit"):
        body = problem(office.post("wang", "/cases", wanted(**{name: "zhao"})), 422)
        assert body["errors"] == [
            {"field": f"body.{name}", "problem": "Extra inputs are not permitted"}
        ]
    assert office.log.taken == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"account_no": ""}, "body.account_no"),
        ({"account_no": "1.2"}, "body.account_no"),
        ({"account_no": 7}, "body.account_no"),
        ({"usage_point": "a b"}, "body.usage_point"),
        ({"window_from_at": "2026-03-12"}, "body.window_from_at"),
        ({"window_from_at": "2026-02-29T00:00:00Z"}, "body.window_from_at"),
        ({"window_to_at": "2026-03-12T02:00:00+08:00"}, "body.window_to_at"),
        ({"invoices": ["a,b"]}, "body.invoices.0"),
        ({"invoices": ["a"] * 51}, "body.invoices"),
    ],
)
def test_a_bad_body_names_its_field(office: Office, changes: dict[str, Any], field: str) -> None:
    body = problem(office.post("wang", "/cases", wanted(**changes)), 422)
    assert body["errors"][0]["field"] == field
    assert body["detail"].startswith(f"{field}: ")
    assert office.log.taken == []


def test_other_bad_requests(office: Office) -> None:
    basic = {"auth": ("wang", PASSWORD), "headers": {"Content-Type": "application/json"}}
    post = office.client.post
    problem(post("/cases", content=b"{", **basic), 422)
    problem(post("/cases", content=b"", **basic), 422)
    problem(post("/cases", content=b"\xff", **basic), 422)
    problem(post("/cases", content=b'{"\\ud800": 1}', **basic), 422)
    problem(post("/cases", content=b'{"account_no": "\\ud800"}', **basic), 422)
    problem(office.post("li", "/cases/nonsense/approve"), 422)
    problem(office.post("chen", f"/cases/{CASE}/notice-served", SERVED | {"evidence": " "}), 422)
    bad = {"account_no": ACCOUNT, "usage_point": "P1", "reason": "witchcraft"}
    assert "safety_defect" in problem(office.post("chen", "/holds", bad), 422)["detail"]
    problem(office.post("wang", "/cases", wanted(), **{"Idempotency-Key": "x" * 129}), 422)
    problem(office.post("wang", "/nowhere"), 404)
    problem(office.client.get("/cases", auth=("wang", PASSWORD)), 405)
    assert office.log.taken == []


def test_a_body_has_a_length_and_is_not_too_long(office: Office) -> None:
    long = b'{"account_no": "' + b"1" * 70_000 + b'"}'
    basic = {"auth": ("wang", PASSWORD), "headers": {"Content-Type": "application/json"}}
    problem(office.client.post("/cases", content=long, **basic), 413)
    problem(office.client.post("/cases", content=in_pieces(), **basic), 413)


def test_the_same_key_makes_the_same_request(office: Office) -> None:
    key = {"Idempotency-Key": "form-17"}
    first = office.post("wang", "/cases", wanted(), **key).json()
    again = office.post("wang", "/cases", wanted(), **key).json()
    other = office.post("wang", "/cases", wanted(usage_point="P2"), **key).json()
    none = office.post("wang", "/cases", wanted()).json()
    assert first == again
    assert len({first["request_id"], other["request_id"], none["request_id"]}) == 3
    approve = f"/cases/{CASE}/approve"
    ids = {office.post(person, approve, **key).json()["request_id"] for person in ("li", "zhao")}
    assert len(ids) == 2, "two people, two requests"


def test_without_an_ack_there_is_no_yes(office: Office) -> None:
    office.log.error = Unavailable("the broker is away")
    answer = office.post("wang", "/cases", wanted())
    assert "try again" in problem(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "1"
    assert "broker" not in answer.text
    office.log.error = Unknown("no ack")
    answer = office.post("wang", "/cases", wanted())
    assert "same Idempotency-Key" in problem(answer, 503)["detail"]


def test_an_accounts_file_that_broke_lets_nobody_in(office: Office) -> None:
    office.path.write_text("{")
    answer = office.post("wang", "/cases", wanted())
    problem(answer, 503)
    assert office.log.taken == []
    assert office.client.get("/healthz").json() == {"status": "ok"}


def test_the_wall_clock_is_the_default(tmp_path: Path) -> None:
    log = Log()
    path = tmp_path / "accounts.json"
    add_account(path, "wang", "requester", PASSWORD, hasher=QUICK)
    client = Client(create_app(Accounts(path, QUICK), log.append))
    assert client.post("/cases", json=wanted(), auth=("wang", PASSWORD)).status_code == 202
    assert len(log.taken[0][1].requested_at) == 20

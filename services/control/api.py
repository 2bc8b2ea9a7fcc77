"""The edge of control for people: HTTP over loopback, one record per accepted request.

Who somebody is and in which role they act comes from authentication (HTTP basic, accounts.py) and
never from a body. An answer 202 means that the log has the request; what became of it is told by
control's events. An Idempotency-Key makes a repeated request the same one.

    POST /cases                        {"account_no", "usage_point", "window_from_at", "invoices"}
    POST /cases/{id}/notice-served     {"channel", "recipient", "served_at", "evidence"}
    POST /cases/{id}/final-notice-served, /approve, /approve-over-cap, /refuse, /cancel
    POST /holds, /holds/release, /locks, /locks/release
    POST /disputes, /protections, ... see api_safety.py
    POST /warnings, /prepaid-cases    see api_prepaid.py
    GET  /healthz

Errors are application/problem+json: 401 unknown person, 403 wrong role, 422 bad body, 503 no ack.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from pydantic import Field, StringConstraints
from starlette.exceptions import HTTPException

from libs.events.errors import BadInput, LogError, Unknown
from services.control import api_prepaid, api_safety
from services.control.accounts import Accounts, Staff
from services.control.api_parts import (
    PROBLEMS,
    SCHEME,
    Accepted,
    AccountNo,
    Append,
    Body,
    CaseId,
    Edge,
    HoldReason,
    Instant,
    Key,
    May,
    Name,
    PointBody,
    Served,
    Text,
    TheEdge,
)


class CaseWanted(Body):
    """A disconnection for arrears. Without invoices: every debt that is old enough."""

    account_no: AccountNo
    usage_point: Name
    window_from_at: Instant
    window_to_at: Instant | None = None
    invoices: list[Name] = Field(default_factory=list, max_length=50)


class NoticeServed(Served):
    """A notice reached the customer, and the authority got its copy where it needs one."""

    authority_copy_at: Instant | None = None


class Because(Body):
    """Why."""

    reason: Text


class HoldWanted(PointBody):
    """A reason why a point must be off."""

    reason: HoldReason
    note: Annotated[str, StringConstraints(max_length=500)] = ""


class LockWanted(PointBody):
    """A point nobody may close. locked_by: whose lock a head of a unit removes."""

    locked_by: Annotated[str, StringConstraints(max_length=64)] = ""


BODY_BYTES_MOST = 64 * 1024
OPEN_PATHS = ("/healthz", "/openapi.json")

router = APIRouter(dependencies=[Depends(SCHEME)], responses=PROBLEMS)


@router.post("/cases", status_code=202)
def request_disconnect(
    body: CaseWanted,
    staff: Annotated[Staff, Depends(May("request_disconnect"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Ask to cut a point off for arrears; the case id is good if control takes the request."""
    details = {
        "window_from_at": body.window_from_at,
        "window_to_at": body.window_to_at or "",
        "invoices": ",".join(body.invoices),
    }
    return edge.accept(
        staff,
        "request_disconnect",
        body.account_no,
        details,
        idempotency_key,
        usage_point=body.usage_point,
    )


@router.post("/cases/{case_id}/notice-served", status_code=202)
def serve_notice(
    case_id: CaseId,
    body: NoticeServed,
    staff: Annotated[Staff, Depends(May("serve_notice"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that the written notice was served."""
    details = body.model_dump(exclude_none=True)
    return edge.accept_case(staff, "serve_notice", case_id, details, idempotency_key)


@router.post("/cases/{case_id}/final-notice-served", status_code=202)
def serve_final_notice(
    case_id: CaseId,
    body: NoticeServed,
    staff: Annotated[Staff, Depends(May("serve_final_notice"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that the final notice was served."""
    details = body.model_dump(exclude_none=True)
    return edge.accept_case(staff, "serve_final_notice", case_id, details, idempotency_key)


@router.post("/cases/{case_id}/approve", status_code=202)
def approve(
    case_id: CaseId,
    staff: Annotated[Staff, Depends(May("approve"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Approve as the reviewer or the head of the unit that you are."""
    return edge.accept_case(staff, "approve", case_id, {}, idempotency_key)


@router.post("/cases/{case_id}/approve-over-cap", status_code=202)
def approve_over_cap(
    case_id: CaseId,
    body: Because,
    staff: Annotated[Staff, Depends(May("approve_over_cap"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Let a case of other people be cut above the cap of its area."""
    return edge.accept_case(staff, "approve_over_cap", case_id, body.model_dump(), idempotency_key)


@router.post("/cases/{case_id}/refuse", status_code=202)
def refuse(
    case_id: CaseId,
    body: Because,
    staff: Annotated[Staff, Depends(May("refuse"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Say no: the case ends."""
    return edge.accept_case(staff, "refuse", case_id, body.model_dump(), idempotency_key)


@router.post("/cases/{case_id}/cancel", status_code=202)
def cancel(
    case_id: CaseId,
    body: Because,
    staff: Annotated[Staff, Depends(May("cancel"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Call the case off."""
    return edge.accept_case(staff, "cancel", case_id, body.model_dump(), idempotency_key)


@router.post("/holds", status_code=202)
def place_hold(
    body: HoldWanted,
    staff: Annotated[Staff, Depends(May("place_hold"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Hold a point off; your unit owns the hold."""
    return edge.accept_point(staff, "place_hold", body, idempotency_key)


@router.post("/holds/release", status_code=202)
def release_hold(
    body: HoldWanted,
    staff: Annotated[Staff, Depends(May("release_hold"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """End a hold of your unit."""
    return edge.accept_point(staff, "release_hold", body, idempotency_key)


@router.post("/locks", status_code=202)
def lock_point(
    body: LockWanted,
    staff: Annotated[Staff, Depends(May("lock_point"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Lock a point: nothing closes it until you unlock it."""
    return edge.accept_point(staff, "lock_point", body, idempotency_key)


@router.post("/locks/release", status_code=202)
def unlock_point(
    body: LockWanted,
    staff: Annotated[Staff, Depends(May("unlock_point"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Remove your lock, or as a head of a unit somebody else's."""
    return edge.accept_point(staff, "unlock_point", body, idempotency_key)


def healthz() -> dict[str, str]:
    """Alive."""
    return {"status": "ok"}


# -- the application ------------------------------------------------------------------------------


def create_app(accounts: Accounts, append: Append, now: Callable[[], str] | None = None) -> FastAPI:
    """The edge; `append` blocks until the ack and raises LogError when it does not come."""
    app = FastAPI(
        title="GridLedger control",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.edge = Edge(append, now or _wall_clock)
    app.include_router(router)
    app.include_router(api_safety.router)
    app.include_router(api_prepaid.router)
    app.get("/healthz")(healthz)
    _describe_problems(app)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(LogError, _on_log_error)

    @app.middleware("http")
    async def gate(
        request: Request, call_next: Callable[[Request], Awaitable[Response]]
    ) -> Response:
        """Nobody reaches a route, or has a body read, before they are known."""
        if request.url.path in OPEN_PATHS:
            return await call_next(request)
        try:
            staff = await run_in_threadpool(_authenticated, request, accounts)
        except BadInput:
            return problem(503, "the accounts file cannot be read", {"Retry-After": "60"})
        if staff is None:
            challenge = {"WWW-Authenticate": 'Basic realm="control", charset="UTF-8"'}
            return problem(401, "unknown person or wrong password", challenge)
        if not _is_bounded(request):
            return problem(413, f"give a body with its length, at most {BODY_BYTES_MOST} bytes")
        request.state.staff = staff
        return await call_next(request)

    return app


def _describe_problems(app: FastAPI) -> None:
    """Say in the OpenAPI document that errors are application/problem+json."""
    document = app.openapi()  # made once and kept by the application
    for path in document["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if not status.startswith("2"):
                    content = response["content"]
                    content["application/problem+json"] = content.pop("application/json")


def _authenticated(request: Request, accounts: Accounts) -> Staff | None:
    """Who sends a request; a malformed header costs the same work as a wrong password."""
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    person, password = "", ""
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(encoded.strip(), validate=True).decode()
            person, _, password = text.partition(":")
        except (binascii.Error, UnicodeDecodeError):
            person, password = "", ""
    return accounts.authenticate(person, password)


def _is_bounded(request: Request) -> bool:
    if "transfer-encoding" in request.headers:
        return False
    length = request.headers.get("content-length", "0")
    return length.isdecimal() and int(length) <= BODY_BYTES_MOST


def _wall_clock() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def problem(
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, str]] | None = None,
) -> Response:
    """An error as RFC 9457 wants it; ASCII, so that any echoed name can be sent."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    return Response(
        json.dumps(body), status, dict(headers or {}), media_type="application/problem+json"
    )


def _on_bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [
        {"field": ".".join(str(part) for part in found["loc"]), "problem": str(found["msg"])}
        for found in error.errors()
    ]
    detail = f"{errors[0]['field']}: {errors[0]['problem']}"
    return problem(422, detail, errors=errors)


def _on_http_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 400:
        # What FastAPI says of bytes that are no text; for our callers a bad body like any.
        found = {"field": "body", "problem": str(error.detail)}
        return problem(422, f"body: {error.detail}", errors=[found])
    return problem(error.status_code, str(error.detail), error.headers)


def _on_log_error(_: Request, error: Exception) -> Response:
    detail = "the log did not take the request: try again"
    if isinstance(error, Unknown):
        detail = "the log may have taken the request: try again with the same Idempotency-Key"
    return problem(503, detail, {"Retry-After": "1"})

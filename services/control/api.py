"""The edge of control for people: HTTP over loopback, one record per accepted request.

Who somebody is and in which role they act comes from authentication (HTTP basic, accounts.py) and
never from a body. An answer 202 means that the log has the request; what became of it is told by
control's events. An Idempotency-Key makes a repeated request the same one.

    POST /cases                        {"account_no", "usage_point", "window_from_at", "invoices"}
    POST /cases/{id}/notice-served     {"channel", "recipient", "served_at", "evidence"}
    POST /cases/{id}/final-notice-served, /approve, /approve-over-cap, /refuse, /cancel
    POST /holds, /holds/release, /locks, /locks/release
    GET  /healthz

Errors are application/problem+json: 401 unknown person, 403 wrong role, 422 bad body, 503 no ack.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import uuid
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Path, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBasic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException

from libs.events.errors import BadInput, LogError, Unknown
from services.control.accounts import Accounts, Staff
from services.control.decide import ACTIONS
from services.control.events import HOLD_REASONS, RequestMade
from services.control.identifiers import ACCOUNT_PATTERN, CASE_PATTERN, account_of, case_id_of

Append = Callable[[str, RequestMade], object]
"""Writes a request under its key to control.requests; returns after the broker's ack."""

BODY_BYTES_MOST = 64 * 1024
# Exactly the instants that there are, so that what fits the OpenAPI document is taken: 29 February
# only in the years 1000 to 2999 that the calendar gives one.
INSTANT_PATTERN = (
    "^([12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)-02-29)"
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
)
OPEN_PATHS = ("/healthz", "/openapi.json")
_SCHEME = HTTPBasic(auto_error=False, realm="control")


def _hold_reason(text: str) -> str:
    if text not in HOLD_REASONS:
        raise ValueError(f"give one of {', '.join(HOLD_REASONS)}")
    return text


Instant = Annotated[str, StringConstraints(pattern=INSTANT_PATTERN)]
Text = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500, pattern=r"\S")
]
Name = Annotated[str, StringConstraints(pattern=r"^[0-9A-Za-z][0-9A-Za-z_.-]{0,63}$")]
AccountNo = Annotated[str, StringConstraints(pattern=f"^{ACCOUNT_PATTERN}$")]
HoldReason = Annotated[
    str, Field(json_schema_extra={"enum": list(HOLD_REASONS)}), AfterValidator(_hold_reason)
]
CaseId = Annotated[str, Path(pattern=f"^{CASE_PATTERN}$")]
Key = Annotated[str | None, Header(pattern=r"^[!-~]{1,128}$")]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CaseWanted(Body):
    """A disconnection for arrears. Without invoices: every debt that is old enough."""

    account_no: AccountNo
    usage_point: Name
    window_from_at: Instant
    window_to_at: Instant | None = None
    invoices: Annotated[list[Name], Field(max_length=50)] = []


class Served(Body):
    """A notice reached the customer."""

    channel: Text
    recipient: Text
    served_at: Instant
    evidence: Text


class Because(Body):
    """Why."""

    reason: Text


class HoldWanted(Body):
    """A reason why a point must be off."""

    account_no: AccountNo
    usage_point: Name
    reason: HoldReason
    note: Annotated[str, StringConstraints(max_length=500)] = ""


class LockWanted(Body):
    """A point nobody may close. locked_by: whose lock a head of a unit removes."""

    account_no: AccountNo
    usage_point: Name
    locked_by: Annotated[str, StringConstraints(max_length=64)] = ""


class Accepted(BaseModel):
    """The log has the request."""

    request_id: str
    case_id: str


class Edge:
    """What the routes share: the way into the log, and the clock on the wall."""

    def __init__(self, append: Append, now: Callable[[], str]) -> None:
        self._append = append
        self._now = now

    def accept(
        self,
        staff: Staff,
        action: str,
        account_no: str,
        details: Mapping[str, str],
        key: str | None,
        *,
        usage_point: str = "",
        case_id: str = "",
    ) -> Accepted:
        """Write one request and wait for the ack; LogError when it did not come."""
        request_id = uuid.uuid4().hex
        if key is not None:
            same = [staff.person, action, account_no, usage_point, case_id, key, dict(details)]
            request_id = hashlib.sha256(json.dumps(same, sort_keys=True).encode()).hexdigest()[:32]
        body = RequestMade(
            request_id=request_id,
            action=action,
            account_no=account_no,
            usage_point=usage_point,
            case_id=case_id,
            person=staff.person,
            role=staff.role,
            details=dict(details),
            requested_at=self._now(),
            unit=staff.unit,
        )
        self._append(account_no, body)
        opened = action in ("request_disconnect", "request_prepaid_disconnect")
        return Accepted(
            request_id=request_id,
            case_id=case_id_of(account_no, request_id) if opened else case_id,
        )

    def accept_case(
        self, staff: Staff, action: str, case_id: str, details: Mapping[str, str], key: str | None
    ) -> Accepted:
        """A request about a case; the case id says whose it is."""
        return self.accept(staff, action, account_of(case_id), details, key, case_id=case_id)

    def accept_point(
        self, staff: Staff, action: str, body: HoldWanted | LockWanted, key: str | None
    ) -> Accepted:
        """A request about a point."""
        details = body.model_dump(exclude={"account_no", "usage_point"})
        return self.accept(
            staff, action, body.account_no, details, key, usage_point=body.usage_point
        )


class May:
    """The dependency of a route: the person, if their role may ask for the action (403)."""

    def __init__(self, action: str) -> None:
        self.action = action

    def __call__(self, request: Request) -> Staff:
        staff: Staff = request.state.staff
        if staff.role not in ACTIONS[self.action][1]:
            roles = ", ".join(ACTIONS[self.action][1])
            raise HTTPException(403, f"{staff.role} may not {self.action}: be one of {roles}")
        return staff


def _edge(request: Request) -> Edge:
    edge: Edge = request.app.state.edge
    return edge


TheEdge = Annotated[Edge, Depends(_edge)]


class Problem(BaseModel):
    """RFC 9457."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "Nobody we know, or a wrong password"),
        (403, "The person's role may not ask for this"),
        (413, "The body is too long, or has no length"),
        (422, "The body, the path or a header is not as described"),
        (503, "The log did not acknowledge: try again with the same Idempotency-Key"),
    )
}
router = APIRouter(dependencies=[Depends(_SCHEME)], responses=_PROBLEMS)


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
    body: Served,
    staff: Annotated[Staff, Depends(May("serve_notice"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that the written notice was served."""
    return edge.accept_case(staff, "serve_notice", case_id, body.model_dump(), idempotency_key)


@router.post("/cases/{case_id}/final-notice-served", status_code=202)
def serve_final_notice(
    case_id: CaseId,
    body: Served,
    staff: Annotated[Staff, Depends(May("serve_final_notice"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that the final notice was served."""
    return edge.accept_case(
        staff, "serve_final_notice", case_id, body.model_dump(), idempotency_key
    )


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
    from services.control import api_prepaid  # its routes are made of what is above

    app = FastAPI(
        title="GridLedger control",
        version="1",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.edge = Edge(append, now or _wall_clock)
    app.include_router(router)
    app.include_router(api_prepaid.router, dependencies=router.dependencies, responses=_PROBLEMS)
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

"""What all routes of control's edge share: types of fields, the way into the log, who may ask."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPBasic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from starlette.exceptions import HTTPException

from services.control.accounts import Staff
from services.control.decide import ACTIONS
from services.control.events import HOLD_REASONS, RequestMade
from services.control.identifiers import ACCOUNT_PATTERN, CASE_PATTERN, account_of, case_id_of
from services.control.safety_events import WeatherTold

Append = Callable[[str, RequestMade | WeatherTold], object]
"""Writes a request under its key to control.requests, or a statement about the weather to every
partition of control.alarms; returns after the broker's ack."""

# Exactly the instants that there are, so that what fits the OpenAPI document is taken: 29 February
# only in the years 1000 to 2999 that the calendar gives one.
INSTANT_PATTERN = (
    "^([12][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"
    "|([12][0-9](0[48]|[2468][048]|[13579][26])|(1[26]|2[048])00)-02-29)"
    "T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]Z$"
)
SCHEME = HTTPBasic(auto_error=False, realm="control")


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
    """A body with no other members than those named."""

    model_config = ConfigDict(extra="forbid")


class PointBody(Body):
    """What is asked about a point of an account."""

    account_no: AccountNo
    usage_point: Name


class Served(Body):
    """A notice or a warning reached the customer."""

    channel: Text
    recipient: Text
    served_at: Instant
    evidence: Text


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

    def tell(self, statement: WeatherTold) -> None:
        """Write what holds for everybody; LogError when the ack did not come."""
        self._append("", statement)

    def accept_case(
        self, staff: Staff, action: str, case_id: str, details: Mapping[str, str], key: str | None
    ) -> Accepted:
        """A request about a case; the case id says whose it is."""
        return self.accept(staff, action, account_of(case_id), details, key, case_id=case_id)

    def accept_point(self, staff: Staff, action: str, body: PointBody, key: str | None) -> Accepted:
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


PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in (
        (401, "Nobody we know, or a wrong password"),
        (403, "The person's role may not ask for this"),
        (413, "The body is too long, or has no length"),
        (422, "The body, the path or a header is not as described"),
        (503, "The log did not acknowledge: try again with the same Idempotency-Key"),
    )
}

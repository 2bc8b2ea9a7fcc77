"""Routes of control's edge for what stops a cut: weather, disputes, protections, the match on site.

POST /weather                 {"area", "alarm", "from_at", "until_at"}
POST /disputes                {"account_no", "reason"}       the answer's request_id is its id
POST /disputes/{id}/decide    {"account_no", "decision", "reason"}
POST /matches                 {"account_no", "usage_point", "meter_no", "verified_on", ...}
POST /protections             {"account_no", "kind", "until_on", "legal_basis"}
POST /keep-supply, /keep-supply/end   {"account_no", "usage_point", "reason"}
POST /load-limits             {"account_no", "usage_point", "limit_w", "reason"}
"""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Path, Request
from pydantic import Field, StringConstraints
from starlette.exceptions import HTTPException

from services.control.accounts import Staff
from services.control.api_parts import (
    INSTANT_PATTERN,
    PROBLEMS,
    SCHEME,
    Accepted,
    AccountNo,
    Body,
    Instant,
    Key,
    May,
    Name,
    PointBody,
    Text,
    TheEdge,
)
from services.control.safety_events import WeatherTold
from services.control.supply import LIMIT_W_MOST

WEATHER_ROLES = ("reviewer", "unit_head", "server")
"""Who states the weather: not who asks for cuts."""

Day = Annotated[str, StringConstraints(pattern=INSTANT_PATTERN.partition("T(")[0] + "$")]


class WeatherSaid(Body):
    """The weather of an area ("" everywhere) for a time; alarm "" says that none is raised."""

    area: Annotated[str, StringConstraints(pattern=r"^([0-9A-Za-z][0-9A-Za-z_.-]{0,63})?$")] = ""
    alarm: Annotated[str, StringConstraints(max_length=64)] = ""
    from_at: Instant
    until_at: Instant


class Disputed(Body):
    """A customer disputes what is owed."""

    account_no: AccountNo
    reason: Text


class DisputeDecided(Body):
    """What became of a dispute."""

    account_no: AccountNo
    decision: Literal["upheld", "dismissed"]
    reason: Text


class Matched(PointBody):
    """Somebody saw on site which meter measures the household."""

    meter_no: Name
    verified_on: Day
    evidence: Text


class Protected(Body):
    """Nobody cuts the customer up to and including a day."""

    account_no: AccountNo
    kind: Literal[
        "life_support", "hospital", "school", "key_user", "fire_pump", "hardship", "other"
    ]
    until_on: Day
    legal_basis: Text


class SupplyKept(PointBody):
    """A point that nobody may cut, or may cut again, and why."""

    reason: Text


class LoadLimited(PointBody):
    """The most that a point may take, in watts, and why."""

    limit_w: Annotated[int, Field(ge=1, le=LIMIT_W_MOST)]
    reason: Text


def _may_tell(request: Request) -> Staff:
    staff: Staff = request.state.staff
    if staff.role not in WEATHER_ROLES:
        raise HTTPException(403, f"{staff.role} may not: be one of {', '.join(WEATHER_ROLES)}")
    return staff


router = APIRouter(dependencies=[Depends(SCHEME)], responses=PROBLEMS)


@router.post("/weather", status_code=202)
def tell_weather(
    body: WeatherSaid,
    staff: Annotated[Staff, Depends(_may_tell)],
    edge: TheEdge,
) -> Accepted:
    """State the weather; it replaces the statement before about the same area."""
    statement = WeatherTold(statement_id=uuid.uuid4().hex, person=staff.person, **body.model_dump())
    edge.tell(statement)
    return Accepted(request_id=statement.statement_id, case_id="")


@router.post("/disputes", status_code=202)
def raise_dispute(
    body: Disputed,
    staff: Annotated[Staff, Depends(May("raise_dispute"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Note that a customer disputes what is owed; nobody is cut until another person decides."""
    details = {"reason": body.reason}
    return edge.accept(staff, "raise_dispute", body.account_no, details, idempotency_key)


@router.post("/disputes/{dispute_id}/decide", status_code=202)
def decide_dispute(
    dispute_id: Annotated[str, Path(pattern="^[0-9A-Za-z_-]{1,64}$")],
    body: DisputeDecided,
    staff: Annotated[Staff, Depends(May("decide_dispute"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Decide a dispute that somebody else raised; upheld ends the account's open cases."""
    details = {"dispute_id": dispute_id, "decision": body.decision, "reason": body.reason}
    return edge.accept(staff, "decide_dispute", body.account_no, details, idempotency_key)


@router.post("/matches", status_code=202)
def verify_match(
    body: Matched,
    staff: Annotated[Staff, Depends(May("verify_match"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that the meter of a point was seen to measure the household."""
    return edge.accept_point(staff, "verify_match", body, idempotency_key)


@router.post("/protections", status_code=202)
def protect(
    body: Protected,
    staff: Annotated[Staff, Depends(May("protect"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Approve that a customer is protected for a time, and on what legal basis."""
    details = body.model_dump(exclude={"account_no"})
    return edge.accept(staff, "protect", body.account_no, details, idempotency_key)


@router.post("/keep-supply", status_code=202)
def keep_supply(
    body: SupplyKept,
    staff: Annotated[Staff, Depends(May("keep_supply"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Have the meter of a point keep the supply: it obeys no command to open."""
    return edge.accept_point(staff, "keep_supply", body, idempotency_key)


@router.post("/keep-supply/end", status_code=202)
def end_keep_supply(
    body: SupplyKept,
    staff: Annotated[Staff, Depends(May("end_keep_supply"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Let the meter of a point obey a command to open again."""
    return edge.accept_point(staff, "end_keep_supply", body, idempotency_key)


@router.post("/load-limits", status_code=202)
def limit_load(
    body: LoadLimited,
    staff: Annotated[Staff, Depends(May("limit_load"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Limit what a point may take; where the meter has no frame for it, a crew sets it."""
    details = {"limit_w": str(body.limit_w), "reason": body.reason}
    account_no, usage_point = body.account_no, body.usage_point
    return edge.accept(
        staff, "limit_load", account_no, details, idempotency_key, usage_point=usage_point
    )

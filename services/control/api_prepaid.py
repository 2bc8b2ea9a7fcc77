"""The routes of accounts that pay ahead: warnings that were served, and their cases."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Depends

from services.control.accounts import Staff
from services.control.api_parts import (
    PROBLEMS,
    SCHEME,
    Accepted,
    AccountNo,
    Body,
    Instant,
    Key,
    May,
    Name,
    Served,
    TheEdge,
)

router = APIRouter(dependencies=[Depends(SCHEME)], responses=PROBLEMS)


class WarningWanted(Served):
    """A warning of the balance reached the customer."""

    account_no: AccountNo
    stage: Literal["warn1", "warn2"]


class PrepaidCaseWanted(Body):
    """A disconnection of an account that used more than its agreed credit."""

    account_no: AccountNo
    usage_point: Name
    window_from_at: Instant
    window_to_at: Instant | None = None


@router.post("/warnings", status_code=202)
def serve_warning(
    body: WarningWanted,
    staff: Annotated[Staff, Depends(May("serve_warning"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Report that a warning of the balance was served."""
    details = body.model_dump(exclude={"account_no"})
    return edge.accept(staff, "serve_warning", body.account_no, details, idempotency_key)


@router.post("/prepaid-cases", status_code=202)
def request_prepaid_disconnect(
    body: PrepaidCaseWanted,
    staff: Annotated[Staff, Depends(May("request_prepaid_disconnect"))],
    edge: TheEdge,
    idempotency_key: Key = None,
) -> Accepted:
    """Ask to cut an account off that used more than its credit; the case id is good if control
    takes the request."""
    details = {
        "window_from_at": body.window_from_at,
        "window_to_at": body.window_to_at or "",
    }
    return edge.accept(
        staff,
        "request_prepaid_disconnect",
        body.account_no,
        details,
        idempotency_key,
        usage_point=body.usage_point,
    )

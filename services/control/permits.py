"""The permits of a case: the limit stage is asked before payments are, so that clearance stays the
last step.

A permit is for one hour of the clock. One that was not used in it is returned and asked for anew; a
refused case asks again in the next hour of its window, or when somebody approves it above the cap.

    case is ready -> permit_asked -> reserved -> clearance -> command: used
                                  -> refused  -> next hour, or separate approval
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.control import cases
from services.control.draft import Draft
from services.control.events import RequestMade
from services.control.identifiers import identity
from services.control.permit_events import (
    OverCapApproved,
    PermitNoted,
    PermitRefused,
    PermitReserved,
)
from services.control.state import REFUSED

OVER_CAP_ROLES = ("unit_head",)


def approve_over_cap(draft: Draft, request: RequestMade) -> str:
    """The head of a unit who has no part in the case lets it be cut above the cap of its area."""
    case = cases.open_case(draft, request)
    reason = cases.detail(request, "reason")
    if case.over_cap_by:
        raise BadInput("case_id", f"{case.over_cap_by} approved it", "nothing is left to do")
    permit = case.permit
    if permit is None or (permit.answer, permit.reason) != (REFUSED, "cap"):
        fix = "approve it when the limit stage refused it"
        raise BadInput("case_id", "no cap stands against it now", fix)
    people = (case.requested_by, case.reviewer, case.unit_head)
    if identity(request.person) in {identity(person) for person in people}:
        raise BadInput(
            "person",
            f"{request.person} acts in this case already",
            "have the head of another unit approve it above the cap",
        )
    draft.note(
        OverCapApproved(
            case_id=case.case_id,
            account_no=draft.key,
            area=permit.area,
            person=request.person,
            reason=reason,
            approved_at=draft.at,
        )
    )
    return ""


def on_answered(draft: Draft, told: PermitReserved | PermitRefused) -> None:
    """The limit stage answers; a permit that its case gave back meanwhile is returned already."""
    case = draft.account.cases.get(told.case_id)
    if case is None or case.permit is None:
        return
    if (case.permit.permit_id, case.permit.answer) != (told.permit_id, ""):
        return
    is_reserved = isinstance(told, PermitReserved)
    draft.note(
        PermitNoted(
            permit_id=told.permit_id,
            account_no=draft.key,
            case_id=told.case_id,
            answer="reserved" if is_reserved else REFUSED,
            hour_at=told.hour_at,
            cap=told.cap,
            count=told.count,
            reason="" if is_reserved else "cap",
        )
    )
    if is_reserved:
        cases.on_time(draft, draft.account.cases[told.case_id])

"""How a case comes by a permit of its area: asked for once, for an hour, given back after it."""

from __future__ import annotations

from services.control.draft import PERMIT_REQUESTS, Draft
from services.control.identifiers import permit_id_of
from services.control.instant import hour_of, plus
from services.control.permit_events import PermitAsked, PermitNoted
from services.control.policy import HOUR_S
from services.control.state import REFUSED, RESERVED, Case, Permit

NEVER = "9999-12-31T00:00:00Z"


def is_held(draft: Draft, case: Case) -> bool:
    """Whether the case has a permit for this hour, of the area where its point is now."""
    permit = case.permit
    return permit is not None and (permit.answer, permit.area, permit.hour_at) == (
        RESERVED,
        _area(draft, case),
        hour_of(draft.at),
    )


def next_at(permit: Permit | None) -> str:
    """When a case goes on that has (or waits for) this permit; NEVER while an answer is due."""
    if permit is None:
        return ""
    if permit.answer == "":
        return NEVER
    if permit.answer == REFUSED:
        return plus(permit.hour_at, HOUR_S)
    return permit.hour_at if permit.answer == RESERVED else ""


def seek(draft: Draft, case: Case) -> None:
    """Give back what is of another hour or area, and ask for a permit."""
    if case.permit is not None and case.permit.is_out:
        draft.end_permit(case, "returned")
    area = _area(draft, case)
    asked = PermitAsked(
        permit_id=permit_id_of(case.case_id, case.permit_count + 1),
        area=area,
        account_no=draft.key,
        case_id=case.case_id,
        usage_point=case.usage_point,
        over_cap_by=case.over_cap_by,
        asked_at=draft.at,
    )
    if area:
        draft.send(asked, PERMIT_REQUESTS, area)
        return
    draft.note(asked)
    draft.note(
        PermitNoted(
            permit_id=asked.permit_id,
            account_no=draft.key,
            case_id=case.case_id,
            answer=REFUSED,
            hour_at=hour_of(draft.at),
            cap=0,
            count=0,
            reason="no_area",
        )
    )


def _area(draft: Draft, case: Case) -> str:
    noted = draft.point(case.usage_point).noted
    return noted.area if noted is not None else ""

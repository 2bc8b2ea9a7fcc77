"""Holds and locks: reasons why a point must be off, and people who forbid closing it.

Only a hold's owner releases it. The owner is the unit of the person who placed it (the person, when
the account has no unit). Holds other than arrears are carried out on site: a ticket, not a relay.

A lock belongs to the person who hung it; only that person removes it, or a head of a unit who names
whose lock it is.
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.control.draft import MONEY_REASONS, Draft
from services.control.events import (
    HOLD_REASONS,
    HoldPlaced,
    OpeningNoted,
    PointLocked,
    RequestMade,
)
from services.control.policy import CLOSE_ACTIONS
from services.control.reactions import AccountOpened, opening_holds
from services.control.state import Point
from services.control.switching import cancel_command, reconnect


def place_hold(draft: Draft, request: RequestMade) -> str:
    """Somebody other than money wants the point off (details: reason, note)."""
    point = _known_point(draft, request)
    reason = request.details.get("reason", "")
    if reason not in HOLD_REASONS or reason in MONEY_REASONS:
        allowed = ", ".join(name for name in HOLD_REASONS if name not in MONEY_REASONS)
        raise BadInput("reason", f"{reason!r} cannot be placed by a person", f"give {allowed}")
    owner = _owner(request)
    if any((hold.reason, hold.owner) == (reason, owner) for hold in point.holds):
        raise BadInput(
            "reason", f"{owner} holds the point for {reason} already", "release it first"
        )
    isolated = point.cut
    draft.note(
        HoldPlaced(
            usage_point=point.usage_point,
            account_no=draft.key,
            reason=reason,
            owner=owner,
            placed_at=draft.at,
        )
    )
    _stop_closing(draft, point.usage_point, f"hold {reason}")
    if not isolated:
        note = request.details.get("note", "")
        draft.ticket(point.usage_point, "isolate", f"{reason} of {owner}: {note}", "")
    return ""


def release_hold(draft: Draft, request: RequestMade) -> str:
    """The owner ends a hold; the point is closed when no other is left.

    An arrears or prepaid hold is released by money, or by the head of the unit that owns it.
    """
    point = _known_point(draft, request)
    reason = request.details.get("reason", "")
    owner = _owner(request)
    held = [hold for hold in point.holds if hold.reason == reason]
    own = [hold for hold in held if hold.owner == owner]
    if not own:
        owners = ", ".join(hold.owner for hold in held)
        problem = f"held by {owners}, not by {owner}" if held else f"no hold {reason!r} is in force"
        raise BadInput("reason", problem, "only a hold's owner releases it")
    if reason in MONEY_REASONS and request.role != "unit_head":
        raise BadInput("reason", f"{reason} ends when the debt is settled", "or by the unit's head")
    for hold in own:
        draft.release(point.usage_point, hold, request.person)
        _stop_opening(draft, point.usage_point, hold.case_id, request.person)
    reconnect(draft, point.usage_point)
    return ""


def lock_point(draft: Draft, request: RequestMade) -> str:
    """Somebody works there: while locked nothing closes the point."""
    point = _known_point(draft, request)
    if request.person in point.locks:
        raise BadInput(
            "usage_point", f"{request.person} locked it already", "nothing is left to do"
        )
    _note_lock(draft, request, request.person, locked=True)
    _stop_closing(draft, point.usage_point, f"locked by {request.person}")
    return ""


def unlock_point(draft: Draft, request: RequestMade) -> str:
    """A lock goes (details: locked_by, when a head of a unit removes somebody else's)."""
    point = _known_point(draft, request)
    person = request.details.get("locked_by", "") or request.person
    if person != request.person and request.role != "unit_head":
        raise BadInput("locked_by", f"only {person} removes this lock", "or a head of a unit")
    if person not in point.locks:
        raise BadInput("usage_point", f"{person} has not locked it", "name the person who did")
    _note_lock(draft, request, person, locked=False)
    reconnect(draft, point.usage_point)
    return ""


def on_opened(draft: Draft, body: AccountOpened) -> None:
    """A running utility brought holds along: the points are off already."""
    opening = body.opening
    if not opening.holds or opening.opening_id in draft.account.openings:
        return
    draft.note(
        OpeningNoted(
            opening_id=opening.opening_id, account_no=draft.key, hold_count=len(opening.holds)
        )
    )
    for hold in opening_holds(body, draft.at, draft.policy):
        draft.note(hold)


def _note_lock(draft: Draft, request: RequestMade, person: str, *, locked: bool) -> None:
    draft.note(
        PointLocked(
            usage_point=request.usage_point,
            account_no=draft.key,
            locked=locked,
            person=person,
            asked_by=request.person,
        )
    )


def _known_point(draft: Draft, request: RequestMade) -> Point:
    point = draft.account.points.get(request.usage_point)
    if point is None:
        problem = f"account {draft.key} has no point {request.usage_point!r}"
        raise BadInput("usage_point", problem, "take it from the agreement")
    return point


def _owner(request: RequestMade) -> str:
    return request.unit or request.person


def _stop_closing(draft: Draft, usage_point: str, reason: str) -> None:
    """A close that is under way must not be sent any more: something holds the point off."""
    command = draft.point(usage_point).under_way
    if command is not None and command.action in CLOSE_ACTIONS:
        cancel_command(draft, usage_point, reason)


def _stop_opening(draft: Draft, usage_point: str, case_id: str, person: str) -> None:
    """The hold of a case went while its command is under way: the command goes too."""
    command = draft.point(usage_point).under_way
    if command is not None and case_id and command.case_id == case_id:
        cancel_command(draft, usage_point, "cancelled", person)

"""What follows from an input: one function per input type, all pure.

    control.requests     people ask                 -> cases, notices, approvals, holds, locks
    payments.events      money, debts, clearances   -> commands, cancellations, released holds
    ingest.switching     what relays did            -> ends of commands and cases, tickets
    control.permit_answers  the limit stage answers -> clearances asked
    metrology.findings   corrections                -> what the interlocks look at
    customers.agreements terms, points, openings    -> what the interlocks look at
    control.alarms       weather and its alarms     -> what the interlocks look at
    calendar             time                       -> clearances asked, expired cases

Inputs of different topics may come in any order: what is not there yet denies, and is looked at
again when time passes. A repeated input yields nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.events.core import Emit, Item, Tick, View
from libs.events.errors import BadInput
from services.control import cases, holds, permits, prepaid, safety, supply
from services.control.corrections import CorrectionDecided, CorrectionProposed, on_correction
from services.control.draft import Draft
from services.control.events import RequestMade, RequestRejected, RequestTaken
from services.control.instant import plus
from services.control.order_reactions import OrdersChanged, on_orders
from services.control.permit_events import PermitRefused, PermitReserved
from services.control.policy import DEFAULT_POLICY, Policy
from services.control.reactions import (
    AccountOpened,
    AccountOverdue,
    AgreementPublished,
    BalanceChanged,
    ClearanceGranted,
    ClearanceRefused,
    ClearanceWithdrawn,
    PaymentCaptured,
    SwitchingReported,
    account_noted,
    arrears_noted,
    says_nothing_new,
)
from services.control.safety import ContactChanged
from services.control.safety_events import WeatherTold
from services.control.state import Account, Point
from services.control.switching import on_report

Step = Callable[[Draft, RequestMade], str]

ACTIONS: dict[str, tuple[Step, tuple[str, ...]]] = {
    "request_disconnect": (cases.request_disconnect, ("requester",)),
    "request_prepaid_disconnect": (prepaid.request_prepaid_disconnect, ("requester",)),
    "serve_warning": (prepaid.serve_warning, ("server",)),
    "serve_notice": (cases.serve_notice, ("server",)),
    "serve_final_notice": (cases.serve_final_notice, ("server",)),
    "approve": (cases.approve, ("reviewer", "unit_head")),
    "approve_over_cap": (permits.approve_over_cap, permits.OVER_CAP_ROLES),
    "refuse": (cases.refuse, ("reviewer", "unit_head")),
    "cancel": (cases.cancel, ("requester", "reviewer", "unit_head")),
    "place_hold": (holds.place_hold, ("requester", "reviewer", "unit_head", "server")),
    "release_hold": (holds.release_hold, ("requester", "reviewer", "unit_head", "server")),
    "lock_point": (holds.lock_point, ("requester", "reviewer", "unit_head", "server")),
    "unlock_point": (holds.unlock_point, ("requester", "reviewer", "unit_head", "server")),
    "raise_dispute": (safety.raise_dispute, ("requester", "reviewer", "unit_head", "server")),
    "decide_dispute": (safety.decide_dispute, ("reviewer", "unit_head")),
    "verify_match": (safety.verify_match, ("server",)),
    "keep_supply": (supply.keep_supply, ("requester", "reviewer", "unit_head", "server")),
    "end_keep_supply": (supply.end_keep_supply, ("reviewer", "unit_head")),
    "limit_load": (supply.limit_load, ("reviewer", "unit_head")),
    "protect": (safety.protect, ("reviewer", "unit_head")),
}
"""What can be asked for, what does it, and in which roles. `viewer` asks for nothing."""


def decide(view: View, key: str, item: Item, policy: Policy = DEFAULT_POLICY) -> Sequence[Emit]:
    """What follows from an input for one account."""
    account = view.get(key) if key else None
    draft = Draft(account, key, item.at, policy, view.shared.weather)
    match item.body:
        case WeatherTold():
            return safety.on_weather(draft, key, item.body)
        case RequestMade():
            return _on_request(draft, item.body)
        case Tick():
            _on_tick(draft)
        case AccountOverdue() | BalanceChanged():
            _on_arrears(draft, item.body)
        case ClearanceGranted():
            granted = item.body
            cases.on_granted(
                draft, granted.clearance_id, granted.fence_offset, granted.valid_until_at
            )
        case ClearanceRefused():
            refused = item.body
            cases.on_refused(draft, refused.clearance_id, refused.fence_offset, refused.open_fen)
        case ClearanceWithdrawn():
            cases.on_withdrawn(draft, item.body.clearance_id)
        case PermitReserved() | PermitRefused():
            permits.on_answered(draft, item.body)
        case PaymentCaptured():
            cases.on_captured(draft)
        case SwitchingReported():
            on_report(draft, item.body)
        case ContactChanged():
            safety.on_contact(draft, item.body)
        case CorrectionProposed() | CorrectionDecided():
            on_correction(draft, item.body)
        case OrdersChanged():
            on_orders(draft, item.body)
        case prepaid.AvailableChanged() | prepaid.BalanceLow():
            prepaid.on_told(draft, item.body)
        case AgreementPublished():
            _on_agreement(draft, item.body)
        case AccountOpened():
            holds.on_opened(draft, item.body)
    return draft.emits


def due(state: Account, policy: Policy = DEFAULT_POLICY) -> str:
    """The next instant at which time alone changes something for an account; "" for none."""
    deadlines = [unresolved_at(point, policy) for point in state.points.values()]
    for case in state.cases.values():
        command = state.point(case.usage_point).under_way
        if command is None or command.case_id != case.case_id:
            deadlines.append(min(case.ends_at, cases.ready_at(case, policy)))
    return min((at for at in deadlines if at), default="")


def unresolved_at(point: Point, policy: Policy) -> str:
    """When somebody is sent to look at a relay whose command has no certain outcome; "" for no."""
    command = point.under_way
    if command is None or command.ticketed:
        return ""
    return plus(command.valid_until_at, policy.unresolved_s)


def _on_request(draft: Draft, request: RequestMade) -> Sequence[Emit]:
    """A person's request: taken with all that follows, or rejected with the reason."""
    if request.request_id in draft.account.requests:
        return []
    unchanged = draft.account
    try:
        step = _permitted(draft, request)
        problem = step(draft, request)
    except BadInput as wrong:
        draft = Draft(unchanged, draft.key, draft.at, draft.policy, draft.weather)
        problem = str(wrong)
    if problem:
        draft.note(
            RequestRejected(
                request_id=request.request_id,
                action=request.action,
                account_no=draft.key,
                case_id=request.case_id,
                problem=problem,
            )
        )
    else:
        draft.note(
            RequestTaken(
                request_id=request.request_id,
                action=request.action,
                account_no=draft.key,
                case_id=request.case_id,
                usage_point=request.usage_point,
                person=request.person,
                role=request.role,
                unit=request.unit,
                reason=request.details.get("reason", ""),
            )
        )
    return draft.emits


def _permitted(draft: Draft, request: RequestMade) -> Step:
    """The step of a request whose role may ask for it; the edge checks the same (default deny)."""
    if request.action not in ACTIONS:
        raise BadInput("action", f"{request.action!r} is unknown", f"give {', '.join(ACTIONS)}")
    step, roles = ACTIONS[request.action]
    if request.role not in roles:
        raise BadInput("role", f"{request.role!r} may not {request.action}", f"be {roles}")
    if request.account_no != draft.key:
        raise BadInput(
            "account_no", f"{request.account_no!r} is not {draft.key!r}", "send it there"
        )
    if not request.person.strip() or not request.request_id:
        raise BadInput("person", "nobody, or no request id", "authenticate")
    return step


def _on_tick(draft: Draft) -> None:
    for case in draft.cases():
        cases.on_time(draft, case)
    for point in draft.points():
        at = unresolved_at(point, draft.policy)
        if at and draft.at >= at:
            command = point.under_way
            assert command is not None, point
            reason = f"{command.action} {command.command_id}: {command.outcome or 'no outcome'}"
            draft.ticket(point.usage_point, "read_relay", reason, command.case_id)


def _on_arrears(draft: Draft, body: AccountOverdue | BalanceChanged) -> None:
    event = arrears_noted(body, draft.account)
    if says_nothing_new(event, draft.account):
        return
    draft.note(event)
    cases.settle(draft)


def _on_agreement(draft: Draft, body: AgreementPublished) -> None:
    if body.version <= draft.account.version:
        return
    draft.note(account_noted(body, draft.at, draft.policy))
    cases.recheck(draft)

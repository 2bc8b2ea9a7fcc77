"""Accounts that pay ahead: what payments tell of them, warnings that are served, and their cases.

    payments.available_changed -> control.available_noted      a case ends, a hold is released
    payments.balance_low       -> control.warning_due
    people                     -> control.warning_served, cases of kind prepaid_balance

Such a case goes the way of any other (cases.py), with interlocks of its own in the place of debt
and notices: the warnings take the place of the notices, so none is served in the case.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from libs.events.errors import BadInput
from services.control import cases
from services.control.draft import Draft
from services.control.events import CaseOpened, NoticeIssued, RequestMade, catalogue
from services.control.facts import Facts
from services.control.identifiers import case_id_of
from services.control.instant import parse_instant, plus, seconds_between
from services.control.prepaid_events import WARNINGS, AvailableNoted, WarningDue, WarningServed
from services.control.state import PREPAID
from services.control.switching import facts_of_point


@catalogue.reads("payments.available_changed")
@dataclass(frozen=True, slots=True, kw_only=True)
class AvailableChanged:
    """What an account that pays ahead has left."""

    account_no: str
    available_fen: int
    estimate_until_on: str
    missing_days: int
    estimated_days: int
    warned: tuple[str, ...]


@catalogue.reads("payments.balance_low")
@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceLow:
    """What is left fell below a threshold. stage: warn1, warn2, zero, credit_limit."""

    account_no: str
    stage: str
    available_fen: int
    threshold_fen: int
    as_of: str


def on_told(draft: Draft, told: AvailableChanged | BalanceLow) -> None:
    """Note how much is left, or that a warning is due; money may end a case and a hold."""
    if isinstance(told, BalanceLow):
        if told.stage in WARNINGS:
            draft.note(
                WarningDue(
                    account_no=draft.key,
                    stage=told.stage,
                    available_fen=told.available_fen,
                    threshold_fen=told.threshold_fen,
                    due_at=told.as_of,
                )
            )
        return
    draft.note(
        AvailableNoted(
            account_no=draft.key,
            available_fen=told.available_fen,
            estimate_until_on=told.estimate_until_on,
            missing_days=told.missing_days,
            estimated_days=told.estimated_days,
            warned=told.warned,
        )
    )
    cases.settle(draft)


def serve_warning(draft: Draft, request: RequestMade) -> str:
    """A warning of the balance was served (details: stage and those of a served notice)."""
    stage = cases.detail(request, "stage")
    due = {each.stage: each for each in draft.account.balance.warnings}.get(stage)
    if due is None:
        raise BadInput("stage", f"no {stage!r} is due", "serve it when payments say it is low")
    if due.served_at:
        raise BadInput("stage", f"{stage} was served at {due.served_at}", "nothing is left to do")
    served_at = cases.detail(request, "served_at")
    if seconds_between(draft.at, served_at, "served_at") > draft.policy.clock_s:
        raise BadInput("served_at", f"{served_at} is in the future", "report it when it is done")
    if seconds_between(due.due_at, served_at, "served_at") < 0:
        problem = f"{served_at} is before {due.due_at}, when it became due"
        raise BadInput("served_at", problem, "give the time at which it was handed over")
    draft.note(
        WarningServed(
            account_no=draft.key,
            stage=stage,
            channel=cases.detail(request, "channel"),
            recipient=cases.detail(request, "recipient"),
            served_at=served_at,
            evidence=cases.detail(request, "evidence"),
            served_by=request.person,
        )
    )
    return ""


def request_prepaid_disconnect(draft: Draft, request: RequestMade) -> str:
    """Open a case for a prepaid account beyond its credit; returns what stands against it.

    details: window_from_at, window_to_at ("" for the default length).
    """
    window_from_at = cases.detail(request, "window_from_at")
    parse_instant(window_from_at, "window_from_at")
    window_to_at = request.details.get("window_to_at", "") or plus(
        window_from_at, draft.policy.window_s_default
    )
    parse_instant(window_to_at, "window_to_at")
    other = draft.account.case_at(request.usage_point)
    facts = replace(
        facts_of_point(draft, draft.point(request.usage_point)),
        window_from_at=window_from_at,
        window_to_at=window_to_at,
        other_case=other.case_id if other else "",
    )
    case_id = case_id_of(draft.key, request.request_id)
    judged = cases.judgement(draft, "prepaid_request", case_id, request.usage_point, facts)
    draft.note(judged)
    if not judged.allowed:
        return cases.reasons_of(judged)
    _note_opened(draft, case_id, request, facts)
    return ""


def _note_opened(draft: Draft, case_id: str, request: RequestMade, facts: Facts) -> None:
    """The case, and its window; the amount is what is used beyond the credit."""
    noted, terms, known = facts.point, facts.prepaid, facts.available
    assert noted is not None, case_id
    assert terms is not None, case_id
    assert known is not None, case_id
    amount_fen = -terms.credit_limit_fen - known.available_fen
    draft.note(
        CaseOpened(
            case_id=case_id,
            account_no=draft.key,
            usage_point=request.usage_point,
            requested_by=request.person,
            invoice_nos=(),
            amount_fen=amount_fen,
            opened_at=draft.at,
            meter_no=noted.meter_no,
            installed_from_at=noted.installed_from_at,
            kind=PREPAID,
        )
    )
    draft.note(
        NoticeIssued(
            case_id=case_id,
            account_no=draft.key,
            usage_point=request.usage_point,
            invoice_nos=(),
            amount_fen=amount_fen,
            window_from_at=facts.window_from_at,
            window_to_at=facts.window_to_at,
            expires_at=facts.window_to_at,
        )
    )

"""The chain of one case: request, notice, approvals, final notice, permit, clearance, command.

Each function is one step. What a person asks for and cannot have raises BadInput, which becomes a
rejected request; what an interlock denies becomes a recorded verdict.

    requested -> notice_issued -> served -> approved by two others -> final notice served
              -> in the window: interlocks -> permit -> clearance -> interlocks -> hold and command
"""

from __future__ import annotations

from dataclasses import replace

from libs.events.errors import BadInput
from services.control.draft import Draft
from services.control.events import (
    ApprovalGiven,
    CaseOpened,
    ClearanceAsked,
    ClearanceNoted,
    InterlocksJudged,
    NoticeIssued,
    NoticeServed,
    RequestMade,
)
from services.control.facts import Facts
from services.control.identifiers import case_id_of, clearance_id_of, identity
from services.control.instant import days_between, parse_instant, plus, seconds_between
from services.control.interlocks import AFTER_A_CHANGE, STAGES, allows, judge, stage_of
from services.control.permit_requests import NEVER, is_held, next_at, seek
from services.control.policy import Policy
from services.control.state import OPEN, PREPAID, Case, Hold
from services.control.switching import (
    MONEY_CAME,
    cancel_command,
    facts_of_case,
    facts_of_point,
    issue_open,
    reconnect,
    send_crew,
    undo,
)

CLEARANCES = "control.clearances"


# -- asked for by people --------------------------------------------------------------------------


def request_disconnect(draft: Draft, request: RequestMade) -> str:
    """Open a case for debts of the account; returns what stands against it, "" for nothing.

    details: invoices (comma-separated; "" for every debt that is old enough), window_from_at,
    window_to_at ("" for the default length).
    """
    invoice_nos = _named_debts(draft, request.details.get("invoices", ""))
    window_from_at = detail(request, "window_from_at")
    parse_instant(window_from_at, "window_from_at")
    window_to_at = request.details.get("window_to_at", "") or plus(
        window_from_at, draft.policy.window_s_default
    )
    parse_instant(window_to_at, "window_to_at")
    point = draft.point(request.usage_point)
    other = draft.account.case_at(request.usage_point)
    facts = replace(
        facts_of_point(draft, point),
        invoice_nos=invoice_nos,
        window_from_at=window_from_at,
        window_to_at=window_to_at,
        other_case=other.case_id if other else "",
    )
    case_id = case_id_of(draft.key, request.request_id)
    judged = judgement(draft, "request", case_id, request.usage_point, facts)
    draft.note(judged)
    if not judged.allowed:
        return reasons_of(judged)
    _note_opened(draft, case_id, request, facts)
    return ""


def _note_opened(draft: Draft, case_id: str, request: RequestMade, facts: Facts) -> None:
    """The case, and the notice that names its debt and its window."""
    noted = facts.point
    assert noted is not None, case_id
    amount_fen = draft.account.open_fen(facts.invoice_nos)
    draft.note(
        CaseOpened(
            case_id=case_id,
            account_no=draft.key,
            usage_point=request.usage_point,
            requested_by=request.person,
            invoice_nos=facts.invoice_nos,
            amount_fen=amount_fen,
            opened_at=draft.at,
            meter_no=noted.meter_no,
            installed_from_at=noted.installed_from_at,
        )
    )
    draft.note(
        NoticeIssued(
            case_id=case_id,
            account_no=draft.key,
            usage_point=request.usage_point,
            invoice_nos=facts.invoice_nos,
            amount_fen=amount_fen,
            window_from_at=facts.window_from_at,
            window_to_at=facts.window_to_at,
            expires_at=facts.window_to_at,
        )
    )


def _named_debts(draft: Draft, text: str) -> tuple[str, ...]:
    """The debts a request names; without names, all that are overdue for long enough."""
    if text:
        return tuple(sorted({number.strip() for number in text.split(",")} - {""}))
    policy = draft.policy
    return tuple(
        sorted(
            debt.invoice_no
            for debt in draft.account.debts
            if days_between(debt.due_on, draft.today_on) > policy.overdue_days
        )
    )


def serve_notice(draft: Draft, request: RequestMade) -> str:
    """The written notice was served: only this makes it count (DESIGN 5).

    A notice served too late or too early can never lead to a cut: the case ends at once.
    """
    case = open_case(draft, request)
    if case.kind == PREPAID:
        raise BadInput("case_id", "a prepaid case has no notices", "serve the balance warnings")
    if case.served_at:
        raise BadInput("case_id", f"the notice was served at {case.served_at}", "approve the case")
    draft.note(_served(draft, request, case, final=False))
    facts = facts_of_case(draft, draft.account.cases[case.case_id])
    judged = judgement(draft, "notice", case.case_id, case.usage_point, facts)
    draft.note(judged)
    if not judged.allowed:
        draft.close_case(case.case_id, case.usage_point, "refused", reasons_of(judged))
    return ""


def serve_final_notice(draft: Draft, request: RequestMade) -> str:
    """The final notice was served, after everybody approved; a later one replaces it."""
    case = open_case(draft, request)
    if not (case.served_at and case.reviewer and case.unit_head):
        raise BadInput(
            "case_id", "it is not approved yet", "serve the notice, have it reviewed and approved"
        )
    draft.note(_served(draft, request, case, final=True))
    return ""


def _served(draft: Draft, request: RequestMade, case: Case, *, final: bool) -> NoticeServed:
    served_at = detail(request, "served_at")
    ahead_s = seconds_between(draft.at, served_at, "served_at")
    if ahead_s > draft.policy.clock_s:
        raise BadInput("served_at", f"{served_at} is in the future", "report it when it is done")
    after_at = case.opened_at
    if final:
        after_at = max(case.served_at, case.approved_at, case.final_served_at)
    if seconds_between(after_at, served_at, "served_at") < 0:
        problem = f"{served_at} is before {after_at}"
        raise BadInput("served_at", problem, "give the time at which it was handed over")
    return NoticeServed(
        case_id=case.case_id,
        account_no=draft.key,
        final=final,
        channel=detail(request, "channel"),
        recipient=detail(request, "recipient"),
        served_at=served_at,
        evidence=detail(request, "evidence"),
        served_by=request.person,
        counts_from_at=_counts_from(draft, case, served_at) if final else "",
        authority_copy_at=request.details.get("authority_copy_at", ""),
    )


def _counts_from(draft: Draft, case: Case, served_at: str) -> str:
    """When the final notice allows a cut; without a known category the interlock denies anyway."""
    rule = draft.policy.notice_rule(facts_of_case(draft, case).category)
    return served_at if rule is None else plus(served_at, rule.final_least_s)


def approve(draft: Draft, request: RequestMade) -> str:
    """A reviewer or the head of the unit approves a case whose notice was served."""
    case = open_case(draft, request)
    if not case.served_at and case.kind != PREPAID:
        raise BadInput("case_id", "its notice is not served yet", "report that it was served")
    known = case.reviewer if request.role == "reviewer" else case.unit_head
    if known:
        raise BadInput("role", f"{known} approved as {request.role}", "nothing is left to do")
    people = (case.requested_by, case.reviewer, case.unit_head)
    if identity(request.person) in {identity(person) for person in people}:
        raise BadInput(
            "person",
            f"{request.person} acts in this case already",
            "have somebody else approve: requester, reviewer and unit head are three people",
        )
    draft.note(
        ApprovalGiven(
            case_id=case.case_id,
            account_no=draft.key,
            role=request.role,
            person=request.person,
            approved_at=draft.at,
        )
    )
    return ""


def refuse(draft: Draft, request: RequestMade) -> str:
    """A reviewer or the head of the unit says no: the case ends."""
    return _stop(draft, request, "refused")


def cancel(draft: Draft, request: RequestMade) -> str:
    """The case is called off, at any step before the relay opened."""
    return _stop(draft, request, "cancelled")


def _stop(draft: Draft, request: RequestMade, outcome: str) -> str:
    case = open_case(draft, request)
    reason = detail(request, "reason")
    command = draft.point(case.usage_point).under_way
    if command is None or command.case_id != case.case_id:
        draft.close_case(case.case_id, case.usage_point, outcome, reason)
    elif command.cancelled:
        raise BadInput("case_id", "its command is cancelled already", "wait for its outcome")
    else:
        cancel_command(draft, case.usage_point, outcome, request.person)
    return ""


def call_off(draft: Draft, reason: str) -> None:
    """No case of the account goes on; a command under way decides how its case ends."""
    for case in draft.cases():
        command = draft.point(case.usage_point).under_way
        if command is None or command.case_id != case.case_id:
            draft.close_case(case.case_id, case.usage_point, "cancelled", reason)


def open_case(draft: Draft, request: RequestMade) -> Case:
    """The open case that a request is about; BadInput when there is none."""
    case = draft.account.cases.get(request.case_id)
    if case is None:
        problem = f"account {draft.key} has no open case {request.case_id!r}"
        raise BadInput(
            "case_id", problem, "take the id from the notice; a closed case stays closed"
        )
    return case


def detail(request: RequestMade, name: str) -> str:
    """A detail that a request cannot do without; BadInput when it is missing."""
    text = request.details.get(name, "").strip()
    if not text:
        raise BadInput(name, "it is missing", f"give {name} in the details of {request.action}")
    return text


# -- time passes ----------------------------------------------------------------------------------


def ready_at(case: Case, policy: Policy) -> str:
    """From when on a case goes on to permit and clearance; NEVER while a step is missing."""
    if not (case.reviewer and case.unit_head):
        return NEVER
    if not (case.served_at and case.final_served_at) and case.kind != PREPAID:
        return NEVER
    since_at = max(case.window_from_at, case.final_counts_at, next_at(case.permit))
    if case.clearance is None:
        return since_at
    return max(since_at, plus(case.clearance.asked_at, policy.clearance_retry_s))


def on_time(draft: Draft, case: Case) -> None:
    """What the hour brings for a case: its end, or the question whether it may be cut now."""
    command = draft.point(case.usage_point).under_way
    if command is not None and command.case_id == case.case_id:
        return  # its outcome decides
    if draft.at >= case.ends_at:
        draft.close_case(case.case_id, case.usage_point, "expired", f"at {case.ends_at}")
    elif draft.at >= ready_at(case, draft.policy):
        _go_on(draft, case)


def _go_on(draft: Draft, case: Case) -> None:
    """Judge, and ask for a permit, then payments; the same denial is recorded once, not at every
    tick."""
    facts = facts_of_case(draft, case)
    judged = judgement(
        draft, stage_of(case, "before_clearance"), case.case_id, case.usage_point, facts
    )
    denied_by = _denied_by(judged)
    if denied_by and denied_by == case.denied_by:
        return
    if judged.allowed and not is_held(draft, case):
        seek(draft, case)
        return
    draft.note(judged)
    if not judged.allowed:
        return
    draft.send(
        ClearanceAsked(
            clearance_id=clearance_id_of(case.case_id, case.clearance_count + 1),
            account_no=draft.key,
            case_id=case.case_id,
            invoice_nos=case.invoice_nos,
            threshold_fen=draft.policy.threshold_fen,
            asked_at=draft.at,
            kind=case.kind,
        ),
        CLEARANCES,
        draft.key,
    )


# -- payments answer ------------------------------------------------------------------------------


def on_granted(draft: Draft, clearance_id: str, fence_offset: int, valid_until_at: str) -> None:
    """Payments grant: the interlocks for the last time, then the command at once."""
    asking = _case_of(draft, clearance_id, "")
    if asking is None:
        return
    _note_answer(draft, asking.case_id, clearance_id, "granted", fence_offset, valid_until_at)
    case = draft.account.cases[asking.case_id]
    facts = facts_of_case(draft, case)
    judged = judgement(
        draft, stage_of(case, "before_command"), case.case_id, case.usage_point, facts
    )
    draft.note(judged)
    if judged.allowed:
        issue_open(draft, case, judged)
    elif _denied_by(judged) == ("switching_method_remote",):
        send_crew(draft, case, reasons_of(judged))
        draft.close_case(case.case_id, case.usage_point, "field_ticket", reasons_of(judged))


def on_refused(draft: Draft, clearance_id: str, fence_offset: int, open_fen: int) -> None:
    """Payments refuse: the debt is settled, or they are asked again while the window lasts."""
    case = _case_of(draft, clearance_id, "")
    if case is None:
        return
    _note_answer(draft, case.case_id, clearance_id, "refused", fence_offset, "")
    if open_fen <= draft.policy.threshold_fen:
        draft.close_case(case.case_id, case.usage_point, "cancelled_paid", "clearance refused")


def on_withdrawn(draft: Draft, clearance_id: str) -> None:
    """Money came after the fence: stop the command, or undo what it did."""
    case = _case_of(draft, clearance_id, "granted")
    if case is not None:
        granted = case.clearance
        assert granted is not None, case
        _note_answer(draft, case.case_id, clearance_id, "withdrawn", granted.fence_offset, "")
    for point in draft.points():
        command = point.command
        if command is None or command.clearance_id != clearance_id:
            continue
        if command.is_under_way:
            cancel_command(draft, point.usage_point, MONEY_CAME, "payments")
        elif command.outcome == "confirmed" and draft.at <= plus(
            command.valid_until_at, draft.policy.withdrawal_s
        ):
            _note_answer(draft, command.case_id, clearance_id, "withdrawn", -1, "")
            undo(draft, command, point.usage_point)


def on_captured(draft: Draft) -> None:
    """Any money while an open command is under way stops it: a new clearance sees the rest."""
    for point in draft.points():
        command = point.under_way
        if command is not None and command.action == OPEN:
            cancel_command(draft, point.usage_point, MONEY_CAME, "payments")


def _case_of(draft: Draft, clearance_id: str, answer: str) -> Case | None:
    """The case whose present clearance this is and stands so; None for an outdated answer."""
    for case in draft.cases():
        clearance = case.clearance
        if clearance is not None and clearance.clearance_id == clearance_id:
            return case if clearance.answer == answer else None
    return None


def _note_answer(
    draft: Draft, case_id: str, clearance_id: str, answer: str, fence: int, until_at: str
) -> None:
    draft.note(
        ClearanceNoted(
            clearance_id=clearance_id,
            account_no=draft.key,
            case_id=case_id,
            answer=answer,
            fence_offset=fence,
            valid_until_at=until_at,
        )
    )


def settle(draft: Draft) -> None:
    """Payments told how the account stands: debts that are settled end cases and release holds."""
    for case in draft.cases():
        if not draft.is_over(case):
            continue
        command = draft.point(case.usage_point).under_way
        if command is None or command.case_id != case.case_id:
            draft.close_case(case.case_id, case.usage_point, "cancelled_paid", "settled")
        else:
            cancel_command(draft, case.usage_point, "paid", "payments")
    for point in draft.points():
        for hold in point.holds:
            if _money_releases(draft, hold):
                draft.release(point.usage_point, hold, "payments")
        reconnect(draft, point.usage_point)


def _money_releases(draft: Draft, hold: Hold) -> bool:
    if hold.reason == "arrears":
        return not hold.awaiting and draft.is_settled(hold.invoice_nos)
    account = draft.account
    if hold.reason != PREPAID:
        return False
    if account.balance.available is not None:
        return account.balance.available.available_fen > draft.policy.prepaid_release_fen
    return account.prepayment_fen > draft.policy.prepaid_release_fen and not account.debts


def recheck(draft: Draft) -> None:
    """Facts changed: a command that would not be issued now must not be sent either."""
    for case in draft.cases():
        point = draft.point(case.usage_point)
        command = point.under_way
        if command is None or command.case_id != case.case_id or command.cancelled:
            continue
        verdicts = judge(AFTER_A_CHANGE[case.kind], facts_of_case(draft, case), draft.policy)
        denied = [verdict.name for verdict in verdicts if not verdict.allows]
        if denied:
            cancel_command(draft, case.usage_point, denied[0], "control")


# -- verdicts -------------------------------------------------------------------------------------


def judgement(
    draft: Draft, stage: str, case_id: str, usage_point: str, facts: Facts
) -> InterlocksJudged:
    verdicts = judge(STAGES[stage], facts, draft.policy)
    return InterlocksJudged(
        case_id=case_id,
        account_no=draft.key,
        usage_point=usage_point,
        stage=stage,
        allowed=allows(verdicts, STAGES[stage]),
        verdicts=verdicts,
    )


def _denied_by(judged: InterlocksJudged) -> tuple[str, ...]:
    return tuple(verdict.name for verdict in judged.verdicts if not verdict.allows)


def reasons_of(judged: InterlocksJudged) -> str:
    return "; ".join(
        f"{verdict.name}: {verdict.reason}" for verdict in judged.verdicts if not verdict.allows
    )

"""Commands to relays, what became of them, and the way back: the only module that issues commands.

`issue_open` is the one place where an open command can come from, and it asserts the whole chain:
an allowed verdict of every interlock, served notices, three different people, a granted clearance.
Closing goes through `reconnect`: once, for an empty set of holds and no lock.

seq rises strictly per usage point although a point may move from one account (and partition) to
another: it is the business time in seconds, or one more than the last one of the account.
"""

from __future__ import annotations

from dataclasses import replace

from services.control.draft import Draft
from services.control.events import (
    CommandCancelled,
    CommandIssued,
    HoldPlaced,
    InterlocksJudged,
    SwitchingNoted,
)
from services.control.facts import UNKNOWN, Facts
from services.control.identifiers import command_id_of, identity
from services.control.instant import epoch_seconds, plus
from services.control.interlocks import RECONNECT, STAGES, allows, judge, stage_of
from services.control.policy import CLOSE_ACTIONS, SUPPLY_ACTIONS
from services.control.prepaid_state import agreement_of
from services.control.reactions import SwitchingReported
from services.control.safety_facts import weather_of
from services.control.state import OPEN, PREPAID, RESERVED, Case, Clearance, Command, Point
from services.control.supply_reports import on_supply_report

COMMANDS, RECONNECTIONS = "control.commands", "control.reconnections"
"""A close goes on a topic of its own, where the executor takes it before all that waits."""

OPEN_PRIORITY, CLOSE_PRIORITY = 0, 1
MONEY_CAME = "money_came"
"""Why a command is cancelled when a payment came after the fence and may not settle the debt."""
GOES_ON = (MONEY_CAME, "no_weather_alarm")
"""What stops a command and not its case."""


def facts_of_point(draft: Draft, point: Point) -> Facts:
    """What the interlocks look at without a case, from the state as it stands."""
    account = draft.account
    command = point.under_way
    terms = account.terms_on(draft.today_on)
    category = terms.category if terms else ""
    if category and point.noted is not None and point.noted.category == "residential":
        category = "residential"  # the stricter of the account's and the point's category
    return Facts(
        now_at=draft.at,
        category=category,
        protected=terms.protected if terms else UNKNOWN,
        moved_out_on=terms.moved_out_on if terms else "",
        version=account.version,
        arrears_known=account.arrears_known,
        debts=account.debts,
        point=point.noted,
        cut=point.cut,
        holds=tuple(f"{hold.reason} of {hold.owner}" for hold in point.holds),
        locks=point.locks,
        corrections=account.corrections,
        open_orders=account.open_orders,
        disputes=account.disputes,
        protections=account.protections,
        weather=weather_of(draft.weather, point.noted.area if point.noted is not None else ""),
        contact=point.contact,
        matched=point.matched,
        kept=point.kept,
        prepaid=agreement_of(terms),
        available=account.balance.available,
        warnings=account.balance.warnings,
        under_way=command.command_id if command is not None else "",
    )


def facts_of_case(draft: Draft, case: Case) -> Facts:
    """What the interlocks look at for a case."""
    return replace(
        facts_of_point(draft, draft.point(case.usage_point)),
        invoice_nos=case.invoice_nos,
        noticed=case.noticed,
        noticed_fen=case.noticed_fen,
        window_from_at=case.window_from_at,
        window_to_at=case.window_to_at,
        expires_at=case.expires_at,
        served_at=case.served_at,
        final_served_at=case.final_served_at,
        requester=case.requested_by,
        reviewer=case.reviewer,
        unit_head=case.unit_head,
        case_meter_no=case.meter_no,
        case_installed_at=case.installed_from_at,
        clearance=case.clearance,
        permit=case.permit,
        notice_form=case.notice_form,
        final_form=case.final_form,
    )


# -- opening --------------------------------------------------------------------------------------


def issue_open(draft: Draft, case: Case, judged: InterlocksJudged) -> None:
    """Place the hold of the case and command the relay to open.

    AssertionError when any part of the chain is missing: a bug, which must never reach a meter.
    """
    clearance = _assert_chain(case, judged)
    point = draft.point(case.usage_point)
    noted = point.noted
    assert noted is not None, case.case_id
    _place_hold(draft, case)
    seq = next_seq(draft, point)
    command = CommandIssued(
        command_id=command_id_of(case.case_id, case.usage_point, seq),
        seq=seq,
        case_id=case.case_id,
        account_no=draft.key,
        usage_point=case.usage_point,
        meter_no=noted.meter_no,
        address=noted.address,
        installed_from_at=noted.installed_from_at,
        agreement_version=noted.agreement_version,
        switching_method=noted.switching_method,
        action=OPEN,
        clearance_id=clearance.clearance_id,
        fence_offset=clearance.fence_offset,
        approvals=(
            f"requester:{case.requested_by}",
            f"reviewer:{case.reviewer}",
            f"unit_head:{case.unit_head}",
        ),
        verdicts=judged.verdicts,
        issued_at=draft.at,
        valid_until_at=min(clearance.valid_until_at, plus(draft.at, draft.policy.command_s)),
        priority=OPEN_PRIORITY,
    )
    draft.send(command, COMMANDS, case.usage_point)
    draft.end_permit(case, "used", command.command_id)


def _assert_chain(case: Case, judged: InterlocksJudged) -> Clearance:
    """The whole chain behind an open command, looked at once more and not by the interlocks."""
    assert judged.allowed, judged
    stage = stage_of(case, "before_command")
    assert judged.stage == stage, judged
    assert (judged.case_id, judged.usage_point) == (case.case_id, case.usage_point), judged
    assert allows(judged.verdicts, STAGES[stage]), judged
    people = {identity(person) for person in (case.requested_by, case.reviewer, case.unit_head)}
    assert len(people - {""}) == 3, case
    assert case.kind == PREPAID or (case.served_at and case.final_served_at), case
    assert case.permit is not None, case
    assert case.permit.answer == RESERVED, case
    clearance = case.clearance
    assert clearance is not None, case
    assert clearance.answer == "granted", case
    return clearance


def send_crew(draft: Draft, case: Case, reason: str) -> None:
    """Everything allows and nothing can be done from afar: the hold, and a ticket to disconnect."""
    _place_hold(draft, case)
    draft.ticket(case.usage_point, "disconnect", reason, case.case_id)


def _place_hold(draft: Draft, case: Case) -> None:
    draft.note(
        HoldPlaced(
            usage_point=case.usage_point,
            account_no=draft.key,
            reason=case.kind,
            owner=draft.policy.unit_of(case.kind),
            placed_at=draft.at,
            case_id=case.case_id,
            invoice_nos=case.invoice_nos,
        )
    )


def next_seq(draft: Draft, point: Point) -> int:
    """Above every number that a command of the point has had."""
    last = point.command.seq if point.command is not None else 0
    return max(last + 1, epoch_seconds(draft.at))


def cancel_command(draft: Draft, usage_point: str, reason: str, released_by: str = "") -> None:
    """The command under way must not be sent any more; its outcome is still awaited.

    An open command takes the hold of its case with it: the point need not be off any more.
    """
    command = draft.point(usage_point).under_way
    if command is None or command.cancelled:
        return
    draft.send(
        CommandCancelled(
            command_id=command.command_id,
            seq=command.seq,
            account_no=draft.key,
            usage_point=usage_point,
            reason=reason,
        ),
        RECONNECTIONS if command.action in CLOSE_ACTIONS else COMMANDS,
        usage_point,
    )
    if command.action == OPEN:
        draft.release_case_hold(usage_point, command.case_id, released_by)


# -- closing --------------------------------------------------------------------------------------


def reconnect(draft: Draft, usage_point: str) -> None:
    """Close a point that was cut once nothing holds it off: one command, or one ticket."""
    point = draft.point(usage_point)
    if not point.cut or point.tried or point.holds or point.locks or point.under_way is not None:
        return
    verdicts = judge(RECONNECT, facts_of_point(draft, point), draft.policy)
    judged = InterlocksJudged(
        case_id=point.case_id,
        account_no=draft.key,
        usage_point=usage_point,
        stage="reconnect",
        allowed=allows(verdicts, RECONNECT),
        verdicts=verdicts,
    )
    draft.note(judged)
    if judged.allowed:
        _issue_close(draft, point, judged)
        return
    reasons = "; ".join(verdict.reason for verdict in verdicts if not verdict.allows)
    draft.ticket(usage_point, "reconnect", reasons, point.case_id)


def _issue_close(draft: Draft, point: Point, judged: InterlocksJudged) -> None:
    assert judged.allowed, judged
    assert not point.holds, point
    assert not point.locks, point
    assert draft.policy.close_action in CLOSE_ACTIONS, draft.policy
    noted = point.noted
    assert noted is not None, point
    seq = next_seq(draft, point)
    command = CommandIssued(
        command_id=command_id_of(point.case_id, point.usage_point, seq),
        seq=seq,
        case_id=point.case_id,
        account_no=draft.key,
        usage_point=point.usage_point,
        meter_no=noted.meter_no,
        address=noted.address,
        installed_from_at=noted.installed_from_at,
        agreement_version=noted.agreement_version,
        switching_method=noted.switching_method,
        action=draft.policy.close_action,
        clearance_id="",
        fence_offset=-1,
        approvals=(),
        verdicts=judged.verdicts,
        issued_at=draft.at,
        valid_until_at=plus(draft.at, draft.policy.close_s),
        priority=CLOSE_PRIORITY,
    )
    draft.send(command, RECONNECTIONS, point.usage_point)


# -- outcomes -------------------------------------------------------------------------------------


def on_report(draft: Draft, report: SwitchingReported) -> None:
    """What became of a command, or a relay found otherwise than we left it."""
    command = draft.point(report.usage_point).command
    if command is None or not report.command_id or report.seq > command.seq:
        _found(draft, report, "no command of ours" if report.command_id else "found")
    elif report.command_id != command.command_id:
        return  # an older command of the point: it ended before this one was issued
    elif command.action in SUPPLY_ACTIONS:
        on_supply_report(draft, command, report)
        reconnect(draft, report.usage_point)
    elif command.action == OPEN:
        _on_open_report(draft, command, report)
    else:
        _on_close_report(draft, command, report)


def heard(action: str, outcome: str, state: str) -> str:
    """What a report proves: switched is only what was read back (invariant 7).

    confirmed, waiting_for_button, refused, not_confirmed; anything else is unknown.
    """
    wanted = "open" if action == OPEN else "closed"
    if state == wanted:
        return "confirmed"
    if outcome == "waiting_for_button" and action != OPEN:
        return "waiting_for_button"
    if outcome == "refused":
        return "refused"
    if outcome in ("not_confirmed", "waiting_for_button") or (outcome == "confirmed" and state):
        return "not_confirmed"
    return "unknown"


def _note_outcome(
    draft: Draft, command: Command, report: SwitchingReported, outcome: str, state: str
) -> None:
    draft.note(
        SwitchingNoted(
            command_id=command.command_id,
            case_id=command.case_id,
            account_no=draft.key,
            usage_point=report.usage_point,
            action=command.action,
            outcome=outcome,
            state=state,
            reason=report.reason,
            reported_at=report.reported_at,
        )
    )


def _on_open_report(draft: Draft, command: Command, report: SwitchingReported) -> None:
    case = draft.account.cases.get(command.case_id)
    outcome = heard(OPEN, report.outcome, report.state)
    where = report.usage_point
    if outcome == command.outcome or (outcome, command.outcome) == ("confirmed", "crossed"):
        return
    if outcome == "unknown":
        if command.is_under_way:  # after an end this is older news
            _note_outcome(draft, command, report, "unknown", report.state)
    elif outcome != "confirmed":
        if not command.is_under_way:
            _found(draft, report, f"{outcome} after {command.outcome}")
            return
        _note_outcome(draft, command, report, outcome, report.state)
        _end_unopened(draft, case, command, where, outcome, report.reason)
    elif case is None or command.cancelled:
        _note_outcome(draft, command, report, "crossed", "open")
        cross(draft, command, where, f"opened although {command.cancelled or command.outcome}")
    else:
        _note_outcome(draft, command, report, "confirmed", "open")
        draft.close_case(command.case_id, where, "disconnected", "")


def cross(draft: Draft, command: Command, usage_point: str, reason: str) -> None:
    """The relay opened although it should not have: the case says so, and the way back follows."""
    draft.close_case(command.case_id, usage_point, "crossed", reason)
    draft.release_case_hold(usage_point, command.case_id, "control")
    reconnect(draft, usage_point)


def undo(draft: Draft, command: Command, usage_point: str) -> None:
    """The withdrawal of a clearance came after the report that the relay had opened on it."""
    draft.note(
        SwitchingNoted(
            command_id=command.command_id,
            case_id=command.case_id,
            account_no=draft.key,
            usage_point=usage_point,
            action=command.action,
            outcome="crossed",
            state="open",
            reason="money came after the fence",
            reported_at=draft.at,
        )
    )
    cross(draft, command, usage_point, "opened although money came after the fence")


def _end_unopened(
    draft: Draft, case: Case | None, command: Command, where: str, outcome: str, reason: str
) -> None:
    """A command ended and the relay did not open: the hold goes, the case ends or goes on."""
    draft.release_case_hold(where, command.case_id, "control")
    if outcome == "not_confirmed" or not command.cancelled:
        draft.ticket(where, "inspect_relay", f"{outcome}: {reason}", command.case_id)
    assert case is not None, "a case outlives its command"
    _end_case(draft, case, command.cancelled, outcome, reason)
    reconnect(draft, where)


def _end_case(draft: Draft, case: Case, cancelled: str, outcome: str, reason: str) -> None:
    if draft.is_over(case):
        draft.close_case(case.case_id, case.usage_point, "cancelled_paid", cancelled)
    elif cancelled in ("cancelled", "refused"):
        draft.close_case(case.case_id, case.usage_point, cancelled, "by a person")
    elif not cancelled:
        draft.close_case(case.case_id, case.usage_point, outcome, reason)
    elif cancelled in GOES_ON and outcome == "refused":
        return  # the debt is not settled, or the alarm ends: the case goes on in its window
    else:
        draft.close_case(case.case_id, case.usage_point, "cancelled", cancelled)


def _on_close_report(draft: Draft, command: Command, report: SwitchingReported) -> None:
    outcome = heard(command.action, report.outcome, report.state)
    where = report.usage_point
    if outcome == command.outcome or (outcome != "unknown" and command.outcome == "crossed"):
        return
    if outcome in ("confirmed", "waiting_for_button"):
        _on_closed(draft, command, report, outcome)
    elif outcome == "unknown":
        if command.is_under_way:
            _note_outcome(draft, command, report, "unknown", report.state)
    elif not command.is_under_way:
        _found(draft, report, f"{outcome} after {command.outcome}")
    else:
        _note_outcome(draft, command, report, outcome, report.state)
        if outcome == "not_confirmed" or not command.cancelled:
            reason = f"{outcome}: {report.reason}"
            draft.ticket(where, "reconnect", reason, command.case_id)
        reconnect(draft, where)


def _on_closed(draft: Draft, command: Command, report: SwitchingReported, outcome: str) -> None:
    """The point is back, or its customer may press the button; not if something holds it off."""
    if command.outcome == "confirmed":
        return  # "waiting" after "closed" is older news
    point = draft.point(report.usage_point)
    state = "closed" if outcome == "confirmed" else ""
    if point.holds or point.locks:
        _note_outcome(draft, command, report, "crossed", state)
        reason = f"closed although {command.cancelled or 'it is held off'}"
        draft.ticket(report.usage_point, "isolate", reason, command.case_id)
        return
    pressed = command.outcome == "waiting_for_button"
    _note_outcome(draft, command, report, outcome, state)
    if command.case_id and not pressed:
        draft.close_case(command.case_id, report.usage_point, "reconnected", outcome)


def _found(draft: Draft, report: SwitchingReported, reason: str) -> None:
    """A relay stands otherwise than our commands left it: an event and a ticket (invariant 7)."""
    point = draft.point(report.usage_point)
    if report.reported_at <= point.found_at or report.state not in ("open", "closed"):
        return
    draft.note(
        SwitchingNoted(
            command_id=report.command_id,
            case_id="",
            account_no=draft.key,
            usage_point=report.usage_point,
            action=report.action,
            outcome="found",
            state=report.state,
            reason=f"{reason}: {report.reason}",
            reported_at=report.reported_at,
        )
    )
    why = f"found {report.state}: {reason}"
    draft.ticket(report.usage_point, "inspect_relay", why, point.case_id)

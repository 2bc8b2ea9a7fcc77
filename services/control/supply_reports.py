"""What became of a command that leaves the relay as it is: keep-supply, its end, a load limit."""

from __future__ import annotations

from services.control.draft import Draft
from services.control.events import SwitchingNoted
from services.control.policy import KEEP_ACTIONS
from services.control.reactions import SwitchingReported
from services.control.state import Command


def on_supply_report(draft: Draft, command: Command, report: SwitchingReported) -> None:
    """Note an outcome once; where the meter did not do it, somebody goes and sets it there."""
    outcome = supply_outcome(command.action, report.outcome, report.state)
    if outcome == command.outcome or not command.is_under_way:
        return
    draft.note(
        SwitchingNoted(
            command_id=command.command_id,
            case_id="",
            account_no=draft.key,
            usage_point=report.usage_point,
            action=command.action,
            outcome=outcome,
            state=report.state,
            reason=report.reason,
            reported_at=report.reported_at,
        )
    )
    if outcome in ("refused", "not_confirmed"):
        reason = f"{outcome}: {report.reason}"
        draft.ticket(report.usage_point, command.action, reason, "")


def supply_outcome(action: str, outcome: str, state: str) -> str:
    """What a report proves: done is only what was read back (invariant 7)."""
    if state and state == KEEP_ACTIONS.get(action):
        return "confirmed"
    if outcome == "refused":
        return "refused"
    return "not_confirmed" if outcome == "not_confirmed" or state else "unknown"

"""Keep-supply and load limits: commands that people ask for and that leave the relay as it is.

    control.requests  keep_supply      -> interlocks judged, command keep_supply
                      end_keep_supply  -> interlocks judged, command keep_supply_off
                      limit_load       -> interlocks judged, command limit_load (details: limit_w)

A meter that keeps the supply obeys no command to open (domain.md 1.2), and no case is cut there
(interlock not_kept_supplied). Both are an alternative to a cut (domain.md 5). DL/T 645 has no frame
for a load limit that we could confirm: the executor refuses it by name, and a crew sets it.
"""

from __future__ import annotations

from libs.events.errors import BadInput
from services.control import cases
from services.control.draft import Draft
from services.control.events import CommandIssued, InterlocksJudged, RequestMade
from services.control.identifiers import command_id_of
from services.control.instant import plus
from services.control.interlocks import SUPPLY, allows, judge
from services.control.policy import SUPPLY_ACTIONS
from services.control.switching import COMMANDS, OPEN_PRIORITY, facts_of_point, next_seq

LIMIT_W_MOST = 10_000_000
"""No low-voltage point takes 10 MW: a guard against a wrong unit."""


def keep_supply(draft: Draft, request: RequestMade) -> str:
    """Nobody cuts the point, and its meter obeys no command to open."""
    return _command(draft, request, "keep_supply")


def end_keep_supply(draft: Draft, request: RequestMade) -> str:
    """The meter may open its relay again."""
    return _command(draft, request, "keep_supply_off")


def limit_load(draft: Draft, request: RequestMade) -> str:
    """The point may take no more than limit_w watts."""
    text = cases.detail(request, "limit_w")
    limit_w = int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
    if not 0 < limit_w <= LIMIT_W_MOST:
        raise BadInput("limit_w", f"{text!r} is no load", f"give watts up to {LIMIT_W_MOST}")
    return _command(draft, request, "limit_load", limit_w)


def _command(draft: Draft, request: RequestMade, action: str, limit_w: int = 0) -> str:
    """Judge and command; what stands against it rejects the request."""
    cases.detail(request, "reason")
    point = draft.point(request.usage_point)
    verdicts = judge(SUPPLY, facts_of_point(draft, point), draft.policy)
    judged = InterlocksJudged(
        case_id="",
        account_no=draft.key,
        usage_point=request.usage_point,
        stage="supply",
        allowed=allows(verdicts, SUPPLY),
        verdicts=verdicts,
    )
    draft.note(judged)
    if not judged.allowed:
        return "; ".join(f"{each.name}: {each.reason}" for each in verdicts if not each.allows)
    assert action in SUPPLY_ACTIONS, action
    noted = point.noted
    assert noted is not None, point
    seq = next_seq(draft, point)
    command = CommandIssued(
        command_id=command_id_of("", point.usage_point, seq),
        seq=seq,
        case_id="",
        account_no=draft.key,
        usage_point=point.usage_point,
        meter_no=noted.meter_no,
        address=noted.address,
        installed_from_at=noted.installed_from_at,
        agreement_version=noted.agreement_version,
        switching_method=noted.switching_method,
        action=action,
        clearance_id="",
        fence_offset=-1,
        approvals=(f"{request.role}:{request.person}",),
        verdicts=verdicts,
        issued_at=draft.at,
        valid_until_at=plus(draft.at, draft.policy.close_s),
        priority=OPEN_PRIORITY,
        limit_w=limit_w,
    )
    draft.send(command, COMMANDS, point.usage_point)
    return ""

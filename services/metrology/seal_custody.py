"""The custody of a seal, from its issue to its removal: who holds it, where it sits, who broke it.

    issue -> held -hand_over-> held (by another) -apply-> applied -remove-> removed -destroy-> ...
                                                  applied -break-> broken    held, applied -lose->

A seal is applied once: `TRANSITIONS` leads from no state after `applied` back to it. Only who holds
a seal may hand it over or apply it, and a removal or a break names the device it was applied to.
What the table does not allow is a violation: it is reported and changes nothing.

    follow(None, SealEvent(seal_no="S1", action="issue", kind="verification", holder="li", ...))
    -> (Seal(state="held", holder="li", ...), None)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput
from services.metrology.judgement import local_day

UNKNOWN = ""
HELD = "held"
APPLIED = "applied"
REMOVED = "removed"
BROKEN = "broken"
LOST = "lost"
DESTROYED = "destroyed"

TRANSITIONS: Mapping[tuple[str, str], str] = {
    (UNKNOWN, "issue"): HELD,
    (HELD, "hand_over"): HELD,
    (HELD, "apply"): APPLIED,
    (HELD, "lose"): LOST,
    (HELD, "destroy"): DESTROYED,
    (APPLIED, "remove"): REMOVED,
    (APPLIED, "break"): BROKEN,
    (APPLIED, "lose"): LOST,
    (REMOVED, "destroy"): DESTROYED,
    (BROKEN, "destroy"): DESTROYED,
}
"""(state, action) -> state. What is not here is a violation."""

ACTIONS = tuple(dict.fromkeys(action for _, action in TRANSITIONS))
KINDS = ("factory", "verification", "installation", "concentrator")
REASONED = ("remove", "break", "lose", "destroy")


@dataclass(frozen=True, slots=True, kw_only=True)
class SealEvent:
    """One entry of the trail: what was done with a seal, by whom and when.

    kind (factory, verification, installation, concentrator) and holder come with an issue, the new
    holder with a hand-over; device and location (terminal cover, bench place) with an application,
    the device also with a removal or a break; those, a loss and a destruction have a reason.
    `photo` names the picture (a file or its hash), if there is one.
    """

    seal_no: str
    action: str
    by: str
    at: str
    kind: str = ""
    holder: str = ""
    device_no: str = ""
    location: str = ""
    reason: str = ""
    photo: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Where a seal is now: who holds it, or which device it is on; and how often it was applied
    (never more than once)."""

    seal_no: str
    kind: str
    state: str
    holder: str
    device_no: str
    location: str
    applied_by: str
    since_at: str
    applications: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """An entry that cannot be: the rule it breaks, and what was known of the seal."""

    seal_no: str
    at: str
    action: str
    by: str
    rule: str
    problem: str


def check_event(event: SealEvent) -> None:
    """BadInput when an entry lacks what its action needs; that is no matter of custody."""
    if event.action not in ACTIONS:
        raise BadInput("action", f"{event.action!r} is unknown", f"use {', '.join(ACTIONS)}")
    needed = ["seal_no", "by", "at"]
    needed += ["kind", "holder"] if event.action == "issue" else []
    needed += ["holder"] if event.action == "hand_over" else []
    needed += ["device_no", "location"] if event.action == "apply" else []
    needed += ["device_no"] if event.action in {"remove", "break"} else []
    needed += ["reason"] if event.action in REASONED else []
    for name in needed:
        if not getattr(event, name):
            raise BadInput(name, "is empty", f"an entry to {event.action} needs it")
    if event.kind and event.kind not in KINDS:
        raise BadInput("kind", f"{event.kind!r} is unknown", f"use {', '.join(KINDS)}")
    local_day(event.at, 0, "at")


def follow(seal: Seal | None, event: SealEvent) -> tuple[Seal | None, Violation | None]:
    """The seal after an entry, or as it was with the violation. BadInput as in `check_event`."""
    check_event(event)
    assert seal is None or seal.seal_no == event.seal_no, "an entry of another seal"
    state = seal.state if seal else UNKNOWN
    after = TRANSITIONS.get((state, event.action))
    problem = _problem(seal, event, after)
    if problem is not None:
        rule, text = problem
        violation = Violation(
            seal_no=event.seal_no,
            at=event.at,
            action=event.action,
            by=event.by,
            rule=rule,
            problem=text,
        )
        return seal, violation
    assert after is not None, "what the table does not allow is a problem"
    return _after(seal, event, after), None


def _problem(seal: Seal | None, event: SealEvent, after: str | None) -> tuple[str, str] | None:
    if seal is None:
        return None if after else ("never_issued", "the seal was never issued")
    known = f"{seal.state} since {seal.since_at}"
    where = f" on {seal.device_no}" if seal.device_no else ""
    if after is None:
        rule = "used_again" if event.action in {"apply", "issue", "hand_over"} else "not_possible"
        return rule, f"{event.action} of a seal that is {known}{where}"
    if event.at < seal.since_at:
        return "before_last", f"{event.at} is before {seal.since_at}"
    if event.action in {"hand_over", "apply"} and event.by != seal.holder:
        return "not_the_holder", f"{event.by} used a seal that {seal.holder} holds"
    if seal.state == APPLIED and event.device_no and event.device_no != seal.device_no:
        return "other_device", f"was applied to {seal.device_no}, not to {event.device_no}"
    if event.kind and event.kind != seal.kind:
        return "other_kind", f"was issued as {seal.kind}, not as {event.kind}"
    return None


def _after(seal: Seal | None, event: SealEvent, state: str) -> Seal:
    if seal is None:
        return Seal(
            seal_no=event.seal_no,
            kind=event.kind,
            state=state,
            holder=event.holder,
            device_no="",
            location="",
            applied_by="",
            since_at=event.at,
            applications=0,
        )
    applied = state == APPLIED
    # A seal taken off is with who took it off until it is destroyed; a lost one is with nobody.
    holder = {HELD: event.holder, REMOVED: event.by, BROKEN: event.by}.get(state, "")
    return Seal(
        seal_no=seal.seal_no,
        kind=seal.kind,
        state=state,
        holder=holder,
        device_no=event.device_no if applied else seal.device_no,
        location=event.location if applied else seal.location,
        applied_by=event.by if applied else seal.applied_by,
        since_at=event.at,
        applications=seal.applications + applied,
    )

"""Interlocks of the point: its meter, its relay, its holds, its locks and its commands."""

from __future__ import annotations

from services.control.facts import Facts, Finding, interlock, listed
from services.control.instant import hour_of, local_day
from services.control.policy import Policy
from services.control.state import RESERVED


@interlock(
    reads=("now_at", "point", "version", "moved_out_on", "case_meter_no", "case_installed_at"),
    terms=("utc_offset_minutes",),
    rule="DESIGN 5: the point under the present agreement",
    zh="户表关系与立案时一致",
    en="household and meter are those of the case",
)
def point_matches(facts: Facts, policy: Policy) -> Finding:
    """The point is the account's under the present agreement, with the meter the case was for."""
    point = facts.point
    if point is None:
        return "no such point", "the account has no such point"
    looked_at = (
        f"meter {point.meter_no} at {point.address} since {point.installed_from_at}, agreement "
        f"{point.agreement_version} of {facts.version}, supplied {point.from_on} to {point.to_on}"
    )
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    installed = (point.meter_no, point.installed_from_at)
    problem = ""
    if not (point.meter_no and point.address and point.installed_from_at):
        problem = "no meter is known at the point"
    elif point.agreement_version != facts.version or facts.version < 1:
        problem = "the point is of another version of the agreement"
    elif point.from_on > today or (point.to_on and point.to_on <= today):
        problem = "the point does not belong to the account today"
    elif facts.moved_out_on and facts.moved_out_on <= today:
        problem = f"the customer moved out on {facts.moved_out_on}"
    elif facts.case_meter_no and installed != (facts.case_meter_no, facts.case_installed_at):
        problem = f"the case was opened for meter {facts.case_meter_no}"
    return looked_at, problem


@interlock(
    reads=("point",),
    terms=("remote_methods",),
    zh="该计量点允许远程操作",
    en="the point may be switched from afar",
)
def switching_method_remote(facts: Facts, policy: Policy) -> Finding:
    """The installation may be switched from afar at its voltage (DESIGN 5: data)."""
    point = facts.point
    if point is None:
        return "no such point", "the account has no such point"
    allowed = policy.methods_of(point.voltage_class)
    looked_at = f"{point.switching_method} at {point.voltage_class}, allowed {listed(allowed)}"
    problem = "" if point.switching_method in allowed else "no remote method"
    return looked_at, problem


@interlock(
    reads=("now_at", "point", "permit"),
    rule="DESIGN 4: the cap on cut-offs per hour and area",
    zh="台区本小时停电名额已取得",
    en="the area lets one more be cut this hour",
)
def permit_reserved(facts: Facts, policy: Policy) -> Finding:
    """The limit stage reserved a permit of the point's area for this hour of the clock."""
    area = facts.point.area if facts.point is not None else ""
    permit = facts.permit
    if permit is None:
        return f"area {area or 'unknown'}: no permit", "no permit was asked for"
    looked_at = (
        f"area {area or 'unknown'}: permit {permit.permit_id} of {permit.area or 'no area'}, "
        f"{permit.answer or 'asked'}, hour {permit.hour_at or '?'}, now {facts.now_at}"
    )
    problem = ""
    if permit.answer != RESERVED:
        problem = f"the permit is not reserved: {permit.reason or permit.answer or 'no answer'}"
    elif not area or permit.area != area:
        problem = "the permit is not of the area where the point is"
    elif permit.hour_at != hour_of(facts.now_at):
        problem = "the permit is not for this hour"
    return looked_at, problem


@interlock(
    reads=("holds", "cut"),
    rule="DESIGN 5: the set of holds",
    zh="该点未因其他原因停电",
    en="the point is not off for another reason",
)
def not_cut_already(facts: Facts, policy: Policy) -> Finding:
    """The point is not off or to be off for another reason."""
    looked_at = f"holds {listed(facts.holds)}, cut {str(facts.cut).lower()}"
    problem = "it is off already, or to be off" if facts.holds or facts.cut else ""
    return looked_at, problem


@interlock(
    reads=("under_way",),
    rule="DESIGN 5: an unknown outcome is read, never repeated",
    zh="无结果未明的命令",
    en="no command's outcome is unknown",
)
def no_case_unknown(facts: Facts, policy: Policy) -> Finding:
    """No command of the point is under way: an unknown outcome is read, never repeated."""
    looked_at = f"command under way: {facts.under_way or 'none'}"
    problem = "its outcome is still to come" if facts.under_way else ""
    return looked_at, problem


@interlock(
    reads=("other_case",),
    rule="DESIGN 5: one case at a time",
    zh="该点无其他停电案",
    en="no other case is open",
)
def no_other_case(facts: Facts, policy: Policy) -> Finding:
    """One case at a time for a point."""
    looked_at = f"case {facts.other_case}" if facts.other_case else "no other case"
    return looked_at, "another case is open" if facts.other_case else ""


@interlock(
    reads=("holds",),
    rule="DESIGN 5: a close needs an empty set of holds",
    zh="已无停电原因",
    en="no hold is left",
)
def no_hold_left(facts: Facts, policy: Policy) -> Finding:
    """A close is sent only for an empty set of holds (DESIGN 5)."""
    looked_at = f"holds {listed(facts.holds)}"
    return looked_at, "holds are in force" if facts.holds else ""


@interlock(
    reads=("locks",),
    rule="DESIGN 5: nothing closes a locked point",
    zh="无人挂锁",
    en="nobody has locked the point",
)
def nobody_locked(facts: Facts, policy: Policy) -> Finding:
    """While somebody has locked the point nothing closes it (DESIGN 5)."""
    looked_at = f"locked by {listed(facts.locks)}"
    return looked_at, "the point is locked" if facts.locks else ""


@interlock(
    reads=("kept",),
    rule="issue of relay safety: keep-supply; domain.md 1.2 status word 3",
    zh="未设保电",
    en="the point is not kept supplied",
)
def not_kept_supplied(facts: Facts, policy: Policy) -> Finding:
    """No keep-supply is in force at the meter; what is not known counts as in force."""
    looked_at = f"keep-supply: {facts.kept or 'off'}"
    return looked_at, "the point is kept supplied" if facts.kept else ""

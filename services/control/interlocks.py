"""The interlocks: each a named function over plain data that says whether a relay may be switched.

Default deny: what is not known, not parseable or not positively right does not allow. Each verdict
names what it looked at, so that the record proves itself. All interlocks of a stage are judged even
when one denies, and a stage allows only when every one of them does.

    judge(BEFORE_COMMAND, facts, policy)    (InterlockVerdict(name="debt_still_open", ...), ...)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from libs.events.errors import BadInput
from services.control.events import InterlockVerdict, PointNoted
from services.control.identifiers import identity
from services.control.instant import days_between, local_day, local_time, seconds_between
from services.control.policy import DAY_S, Policy
from services.control.state import Clearance, Debt

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the interlocks look at. Whoever fills in nothing gets every interlock to deny.

    moved_out_on, protected, category: of the terms in force; invoice_nos: the debt acted on;
    noticed, noticed_fen: the debt the written notice names; case_meter_no, case_installed_at: what
    was installed when the case was opened; locks: who locked the point; holds: reasons in force;
    under_way: the command whose outcome is to come, "" for none.
    """

    now_at: str
    category: str = ""
    protected: str = UNKNOWN
    moved_out_on: str = ""
    version: int = 0
    arrears_known: bool = False
    debts: tuple[Debt, ...] = ()
    invoice_nos: tuple[str, ...] = ()
    noticed: tuple[str, ...] = ()
    noticed_fen: int = 0
    window_from_at: str = ""
    window_to_at: str = ""
    expires_at: str = ""
    served_at: str = ""
    final_served_at: str = ""
    requester: str = ""
    reviewer: str = ""
    unit_head: str = ""
    point: PointNoted | None = None
    case_meter_no: str = ""
    case_installed_at: str = ""
    other_case: str = UNKNOWN
    cut: bool = True
    holds: tuple[str, ...] = (UNKNOWN,)
    locks: tuple[str, ...] = (UNKNOWN,)
    under_way: str = UNKNOWN
    clearance: Clearance | None = None


Interlock = Callable[[Facts, Policy], InterlockVerdict]


def _say(name: str, looked_at: str, problem: str) -> InterlockVerdict:
    """The verdict of one interlock: it allows when there is no problem."""
    return InterlockVerdict(name=name, allows=not problem, looked_at=looked_at, reason=problem)


def _named(facts: Facts) -> dict[str, Debt]:
    return {debt.invoice_no: debt for debt in facts.debts if debt.invoice_no in facts.invoice_nos}


def _open_fen(facts: Facts) -> int:
    return sum(debt.open_fen for debt in _named(facts).values())


# -- the debt -------------------------------------------------------------------------------------


def debt_still_open(facts: Facts, policy: Policy) -> InterlockVerdict:
    """More than the threshold is open of the debt acted on (DESIGN 5: threshold is data)."""
    open_fen = _open_fen(facts)
    looked_at = f"invoices {_list(facts.invoice_nos)}: {open_fen} fen open"
    problem = ""
    if not facts.arrears_known:
        problem = "payments never told how the account stands"
    elif open_fen <= policy.threshold_fen:
        problem = f"no more than {policy.threshold_fen} fen are open"
    return _say("debt_still_open", looked_at, problem)


def debt_old_enough(facts: Facts, policy: Policy) -> InterlockVerdict:
    """Every debt acted on is overdue for more than `overdue_days` days (domain.md 5 (1))."""
    today = local_day(facts.now_at, policy.utc_offset_minutes)
    named = _named(facts)
    days = {
        number: days_between(debt.due_on, today, f"due_on of {number}")
        for number, debt in sorted(named.items())
    }
    looked_at = "days overdue: " + _list(f"{number} {count}" for number, count in days.items())
    missing = [number for number in facts.invoice_nos if number not in named]
    young = [number for number, count in days.items() if count <= policy.overdue_days]
    problem = ""
    if not days:
        problem = "no debt is named"
    elif young:
        problem = f"{_list(young)} not overdue for more than {policy.overdue_days} days"
    # A named debt that is settled by now does not make the others younger.
    elif not set(missing) <= set(facts.noticed):
        problem = f"{_list(missing)} is no open debt"
    return _say("debt_old_enough", looked_at, problem)


def debt_is_the_noticed_one(facts: Facts, policy: Policy) -> InterlockVerdict:
    """A notice names one debt; another or a grown debt needs a new notice (domain.md 5)."""
    open_fen = _open_fen(facts)
    looked_at = (
        f"noticed {_list(facts.noticed)} {facts.noticed_fen} fen, "
        f"acted on {_list(facts.invoice_nos)} open {open_fen} fen"
    )
    problem = ""
    if not facts.noticed or set(facts.noticed) != set(facts.invoice_nos):
        problem = "the notice names another debt"
    elif open_fen > facts.noticed_fen:
        problem = "more is open than the notice names"
    return _say("debt_is_the_noticed_one", looked_at, problem)


# -- notices and times ----------------------------------------------------------------------------


def notice_served(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The written notice was served; an issued one does not count (DESIGN 5)."""
    looked_at = f"served_at {facts.served_at or 'never'}"
    problem = ""
    if not facts.served_at:
        problem = "nobody reported that the notice was served"
    elif seconds_between(facts.served_at, facts.now_at, "served_at") < -policy.clock_s:
        problem = "it is said to be served in the future"
    return _say("notice_served", looked_at, problem)


def notice_period(facts: Facts, policy: Policy) -> InterlockVerdict:
    """Served long enough before the window and not too long before the cut (Art. 67, regional)."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: served {facts.served_at or 'never'}, "
    looked_at += f"window from {facts.window_from_at or 'never'}"
    if rule is None:
        return _say("notice_period", looked_at, f"no notice period for {facts.category!r}")
    if not facts.served_at or not facts.window_from_at:
        return _say("notice_period", looked_at, "not served, or no window")
    before_s = seconds_between(facts.served_at, facts.window_from_at, "window_from_at")
    until_now_s = seconds_between(facts.served_at, facts.now_at, "served_at")
    problem = ""
    if before_s < rule.least_s:
        problem = f"served less than {_days(rule.least_s)} days before the window"
    elif max(before_s, until_now_s) > rule.most_s:
        problem = f"served more than {_days(rule.most_s)} days before the cut"
    return _say("notice_period", looked_at, problem)


def final_notice(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The final notice was served at least 30 minutes (residential) or 1 hour ago, not long ago."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: final notice served "
    looked_at += f"{facts.final_served_at or 'never'}, now {facts.now_at}"
    if rule is None or not facts.final_served_at:
        return _say("final_notice", looked_at, "no final notice, or no rule for the category")
    ago_s = seconds_between(facts.final_served_at, facts.now_at, "final_served_at")
    problem = ""
    if ago_s < rule.final_least_s:
        problem = f"served less than {rule.final_least_s // 60} minutes ago"
    elif ago_s > rule.final_most_s:
        problem = f"served more than {rule.final_most_s // 60} minutes ago"
    return _say("final_notice", looked_at, problem)


def notice_not_expired(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The notice is still good."""
    looked_at = f"expires_at {facts.expires_at or 'unknown'}, now {facts.now_at}"
    good = (
        bool(facts.expires_at) and seconds_between(facts.now_at, facts.expires_at, "expires_at") > 0
    )
    return _say("notice_not_expired", looked_at, "" if good else "the notice expired")


def within_window(facts: Facts, policy: Policy) -> InterlockVerdict:
    """Now lies in the window that the notice names: cut at the noticed time (Art. 67)."""
    looked_at = f"window {facts.window_from_at or '?'} to {facts.window_to_at or '?'}, "
    looked_at += f"now {facts.now_at}"
    if not facts.window_from_at or not facts.window_to_at:
        return _say("within_window", looked_at, "no window")
    begun = seconds_between(facts.window_from_at, facts.now_at, "window_from_at") >= 0
    ended = seconds_between(facts.window_to_at, facts.now_at, "window_to_at") >= 0
    problem = "" if begun and not ended else "now is not in the window"
    return _say("within_window", looked_at, problem)


def window_plannable(facts: Facts, policy: Policy) -> InterlockVerdict:
    """A notice that is served from now on can still be in time for the window."""
    rule = policy.notice_rule(facts.category)
    looked_at = f"{facts.category or 'no category'}: window from {facts.window_from_at or '?'} "
    looked_at += f"to {facts.window_to_at or '?'}, now {facts.now_at}"
    if rule is None:
        return _say("window_plannable", looked_at, f"no notice period for {facts.category!r}")
    ahead_s = seconds_between(facts.now_at, facts.window_from_at, "window_from_at")
    length_s = seconds_between(facts.window_from_at, facts.window_to_at, "window_to_at")
    problem = ""
    if not 0 < length_s <= policy.window_s_most:
        problem = f"the window must be longer than 0 and at most {policy.window_s_most} s"
    elif ahead_s < rule.least_s:
        problem = f"it must begin at least {_days(rule.least_s)} days from now"
    elif ahead_s > policy.plan_ahead_s_most:
        problem = f"it must begin at most {_days(policy.plan_ahead_s_most)} days from now"
    return _say("window_plannable", looked_at, problem)


def permitted_hour(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The whole window lies in permitted hours of one permitted day."""
    looked_at = f"window {facts.window_from_at or '?'} to {facts.window_to_at or '?'}"
    if not facts.window_from_at or not facts.window_to_at:
        return _say("permitted_hour", looked_at, "no window")
    start = local_time(facts.window_from_at, policy.utc_offset_minutes, "window_from_at")
    end = local_time(facts.window_to_at, policy.utc_offset_minutes, "window_to_at")
    looked_at += f", local {start:%Y-%m-%d %H:%M} to {end:%H:%M}"
    problem = ""
    if start.date() != end.date() or start.isoweekday() not in policy.weekdays:
        problem = f"it must lie in one day, a weekday of {_list(map(str, policy.weekdays))}"
    elif start.date().isoformat() in policy.no_cut_on:
        problem = "nobody is cut on that day"
    elif _second_of(start) < policy.hours_from * 60 or _second_of(end) > policy.hours_to * 60:
        problem = f"it must lie from {_clock(policy.hours_from)} to {_clock(policy.hours_to)}"
    return _say("permitted_hour", looked_at, problem)


# -- the customer and the people ------------------------------------------------------------------


def not_protected(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The customer is not protected from cuts, and the terms in force are known."""
    looked_at = f"protected {facts.protected!r}, category {facts.category!r}"
    problem = f"protected: {facts.protected}" if facts.protected else ""
    if not facts.category:
        problem = "no terms are in force"
    return _say("not_protected", looked_at, problem)


def approvals_by_three_different_people(facts: Facts, policy: Policy) -> InterlockVerdict:
    """Requester, reviewer and head of the unit are three people (Art. 67; DESIGN 5)."""
    people = (facts.requester, facts.reviewer, facts.unit_head)
    looked_at = "requester {}, reviewer {}, unit head {}".format(
        *(person or "nobody" for person in people)
    )
    different = {identity(person) for person in people} - {""}
    problem = "" if len(different) == 3 else "not three different people"
    return _say("approvals_by_three_different_people", looked_at, problem)


# -- the point ------------------------------------------------------------------------------------


def point_matches(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The point is the account's under the present agreement, with the meter the case was for."""
    point = facts.point
    if point is None:
        return _say("point_matches", "no such point", "the account has no such point")
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
    return _say("point_matches", looked_at, problem)


def switching_method_remote(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The installation may be switched from afar at its voltage (DESIGN 5: data)."""
    point = facts.point
    if point is None:
        return _say("switching_method_remote", "no such point", "the account has no such point")
    allowed = policy.methods_of(point.voltage_class)
    looked_at = f"{point.switching_method} at {point.voltage_class}, allowed {_list(allowed)}"
    problem = "" if point.switching_method in allowed else "no remote method"
    return _say("switching_method_remote", looked_at, problem)


def not_cut_already(facts: Facts, policy: Policy) -> InterlockVerdict:
    """The point is not off or to be off for another reason."""
    looked_at = f"holds {_list(facts.holds)}, cut {str(facts.cut).lower()}"
    problem = "it is off already, or to be off" if facts.holds or facts.cut else ""
    return _say("not_cut_already", looked_at, problem)


def no_case_unknown(facts: Facts, policy: Policy) -> InterlockVerdict:
    """No command of the point is under way: an unknown outcome is read, never repeated."""
    looked_at = f"command under way: {facts.under_way or 'none'}"
    problem = "its outcome is still to come" if facts.under_way else ""
    return _say("no_case_unknown", looked_at, problem)


def no_other_case(facts: Facts, policy: Policy) -> InterlockVerdict:
    """One case at a time for a point."""
    looked_at = f"case {facts.other_case}" if facts.other_case else "no other case"
    return _say("no_other_case", looked_at, "another case is open" if facts.other_case else "")


def clearance_fresh(facts: Facts, policy: Policy) -> InterlockVerdict:
    """Payments granted clearance for this very debt, by a fence, and it still holds."""
    clearance = facts.clearance
    if clearance is None:
        return _say("clearance_fresh", "none asked", "no clearance was asked")
    looked_at = (
        f"{clearance.clearance_id} {clearance.answer or 'unanswered'}, fence "
        f"{clearance.fence_offset}, valid until {clearance.valid_until_at or '?'}"
    )
    problem = ""
    if clearance.answer != "granted":
        problem = "it is not granted"
    elif clearance.fence_offset < 0:
        problem = "it names no fence"
    elif set(clearance.invoice_nos) != set(facts.invoice_nos):
        problem = "it is about another debt"
    elif seconds_between(facts.now_at, clearance.valid_until_at, "valid_until_at") <= 0:
        problem = "it is not valid any more"
    return _say("clearance_fresh", looked_at, problem)


# -- reconnection ---------------------------------------------------------------------------------


def no_hold_left(facts: Facts, policy: Policy) -> InterlockVerdict:
    """A close is sent only for an empty set of holds (DESIGN 5)."""
    looked_at = f"holds {_list(facts.holds)}"
    return _say("no_hold_left", looked_at, "holds are in force" if facts.holds else "")


def nobody_locked(facts: Facts, policy: Policy) -> InterlockVerdict:
    """While somebody has locked the point nothing closes it (DESIGN 5)."""
    looked_at = f"locked by {_list(facts.locks)}"
    return _say("nobody_locked", looked_at, "the point is locked" if facts.locks else "")


# -- stages ---------------------------------------------------------------------------------------

REQUEST: tuple[Interlock, ...] = (
    debt_still_open,
    debt_old_enough,
    not_protected,
    point_matches,
    not_cut_already,
    no_case_unknown,
    no_other_case,
    window_plannable,
    permitted_hour,
)
NOTICE: tuple[Interlock, ...] = (notice_served, notice_period)
BEFORE_CLEARANCE: tuple[Interlock, ...] = (
    debt_still_open,
    debt_old_enough,
    debt_is_the_noticed_one,
    notice_served,
    notice_period,
    notice_not_expired,
    final_notice,
    within_window,
    permitted_hour,
    not_protected,
    approvals_by_three_different_people,
    point_matches,
    not_cut_already,
    no_case_unknown,
)
BEFORE_COMMAND: tuple[Interlock, ...] = (
    *BEFORE_CLEARANCE,
    clearance_fresh,
    switching_method_remote,
)
RECONNECT: tuple[Interlock, ...] = (
    no_hold_left,
    nobody_locked,
    no_case_unknown,
    point_matches,
    switching_method_remote,
)
STAGES: dict[str, tuple[Interlock, ...]] = {
    "request": REQUEST,
    "notice": NOTICE,
    "before_clearance": BEFORE_CLEARANCE,
    "before_command": BEFORE_COMMAND,
    "reconnect": RECONNECT,
}
"""Which interlocks are judged when. Nothing is switched on any other list."""


def judge(
    interlocks: tuple[Interlock, ...], facts: Facts, policy: Policy
) -> tuple[InterlockVerdict, ...]:
    """The verdict of every interlock; what cannot be read denies."""
    return tuple(_judge_one(interlock, facts, policy) for interlock in interlocks)


def allows(verdicts: tuple[InterlockVerdict, ...], interlocks: tuple[Interlock, ...]) -> bool:
    """Whether these are all verdicts of the stage, and every one allows."""
    names = [interlock.__name__ for interlock in interlocks]
    return [verdict.name for verdict in verdicts] == names and all(
        verdict.allows for verdict in verdicts
    )


def _judge_one(interlock: Interlock, facts: Facts, policy: Policy) -> InterlockVerdict:
    try:
        return interlock(facts, policy)
    except BadInput as unreadable:
        return _say(interlock.__name__, "unreadable", str(unreadable))


def _list(parts: Iterable[str]) -> str:
    return ", ".join(parts) or "none"


def _days(seconds: int) -> int:
    return seconds // DAY_S


def _second_of(local: datetime) -> int:
    return local.hour * 3600 + local.minute * 60 + local.second


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02d}:{minutes % 60:02d}"

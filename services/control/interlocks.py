"""The interlocks by stage: whether a relay may be switched, and why not.

Default deny: what is not known, not parseable or not positively right does not allow. Each verdict
names what it looked at, so that the record proves itself. All interlocks of a stage are judged even
when one denies, and a stage allows only when every one of them does. The interlocks stand by their
subject in interlocks_debt, _disputes, _payments, _notice, _time, _people, _point, _safety and
_prepaid; what they look at is in facts.py.

    judge(BEFORE_COMMAND, facts, policy)    (InterlockVerdict(name="debt_still_open", ...), ...)
"""

from __future__ import annotations

from services.control.events import InterlockVerdict
from services.control.facts import Facts, Interlock
from services.control.interlocks_debt import (
    clearance_fresh,
    debt_is_the_noticed_one,
    debt_old_enough,
    debt_still_open,
)
from services.control.interlocks_disputes import no_correction_open, no_open_dispute
from services.control.interlocks_notice import (
    final_notice,
    final_notice_in_form,
    notice_in_form,
    notice_not_expired,
    notice_period,
    notice_served,
)
from services.control.interlocks_payments import no_payment_in_flight
from services.control.interlocks_people import (
    approvals_by_three_different_people,
    no_protection_in_force,
    not_protected,
)
from services.control.interlocks_point import (
    no_case_unknown,
    no_hold_left,
    no_other_case,
    nobody_locked,
    not_cut_already,
    not_kept_supplied,
    permit_reserved,
    point_matches,
    switching_method_remote,
)
from services.control.interlocks_prepaid import (
    agreement_signed,
    below_credit_limit,
    category_known,
    estimate_fresh,
    estimate_was_read,
    warnings_served,
    window_to_come,
)
from services.control.interlocks_safety import (
    data_fresh,
    match_verified,
    meter_reachable,
    no_weather_alarm,
)
from services.control.interlocks_time import permitted_hour, window_plannable, within_window
from services.control.policy import Policy
from services.control.state import ARREARS, PREPAID, Case

REQUEST: tuple[Interlock, ...] = (
    debt_still_open,
    debt_old_enough,
    no_correction_open,
    no_open_dispute,
    not_protected,
    no_protection_in_force,
    point_matches,
    not_kept_supplied,
    not_cut_already,
    no_case_unknown,
    no_other_case,
    window_plannable,
    permitted_hour,
)
NOTICE: tuple[Interlock, ...] = (notice_served, notice_period, notice_in_form)
BEFORE_CLEARANCE: tuple[Interlock, ...] = (
    debt_still_open,
    debt_old_enough,
    debt_is_the_noticed_one,
    no_correction_open,
    no_payment_in_flight,
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
    no_open_dispute,
    no_protection_in_force,
    notice_in_form,
    final_notice_in_form,
    no_weather_alarm,
    data_fresh,
    meter_reachable,
    match_verified,
    not_kept_supplied,
)
BEFORE_COMMAND: tuple[Interlock, ...] = (
    *BEFORE_CLEARANCE,
    permit_reserved,
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
SUPPLY: tuple[Interlock, ...] = (no_case_unknown, point_matches, switching_method_remote)
OF_ARREARS = (
    debt_still_open,
    debt_old_enough,
    debt_is_the_noticed_one,
    notice_served,
    notice_period,
    notice_in_form,
    notice_not_expired,
    final_notice,
    final_notice_in_form,
    window_plannable,
)
"""What asks for a debt and its notices; all other interlocks hold for prepaid cases as well."""
OF_PREPAID: tuple[Interlock, ...] = (
    agreement_signed,
    below_credit_limit,
    warnings_served,
    estimate_fresh,
    estimate_was_read,
    category_known,
)
"""What takes their place in cases of kind prepaid_balance."""


def _prepaid(interlocks: tuple[Interlock, ...], *own: Interlock) -> tuple[Interlock, ...]:
    return (*OF_PREPAID, *own, *(each for each in interlocks if each not in OF_ARREARS))


PREPAID_REQUEST = _prepaid(REQUEST, window_to_come)
PREPAID_BEFORE_CLEARANCE = _prepaid(BEFORE_CLEARANCE)
PREPAID_BEFORE_COMMAND = _prepaid(BEFORE_COMMAND)
STAGES: dict[str, tuple[Interlock, ...]] = {
    "request": REQUEST,
    "notice": NOTICE,
    "before_clearance": BEFORE_CLEARANCE,
    "before_command": BEFORE_COMMAND,
    "reconnect": RECONNECT,
    "supply": SUPPLY,
    "prepaid_request": PREPAID_REQUEST,
    "prepaid_before_clearance": PREPAID_BEFORE_CLEARANCE,
    "prepaid_before_command": PREPAID_BEFORE_COMMAND,
}
"""Which interlocks are judged when. Nothing is switched on any other list."""

CHANGING: tuple[Interlock, ...] = (
    not_protected,
    point_matches,
    no_correction_open,
    no_payment_in_flight,
    no_open_dispute,
    no_protection_in_force,
    no_weather_alarm,
)
AFTER_A_CHANGE = {ARREARS: CHANGING, PREPAID: (*CHANGING, agreement_signed)}
"""By kind of case: what is judged once more when these facts change while a command is under
way."""


def stage_of(case: Case, stage: str) -> str:
    """The stage of a case's own kind."""
    return f"prepaid_{stage}" if case.kind == PREPAID else stage


def judge(
    interlocks: tuple[Interlock, ...], facts: Facts, policy: Policy
) -> tuple[InterlockVerdict, ...]:
    """The verdict of every interlock; what cannot be read denies."""
    return tuple(interlock.verdict(facts, policy) for interlock in interlocks)


def allows(verdicts: tuple[InterlockVerdict, ...], interlocks: tuple[Interlock, ...]) -> bool:
    """Whether these are all verdicts of the stage, and every one allows."""
    names = [interlock.name for interlock in interlocks]
    return [verdict.name for verdict in verdicts] == names and all(
        verdict.allows for verdict in verdicts
    )

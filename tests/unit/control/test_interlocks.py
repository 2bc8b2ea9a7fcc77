"""Every interlock at its border, by hand, and what it does when it knows nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.control.events import PointNoted
from services.control.facts import Facts, Interlock
from services.control.interlocks import STAGES, allows, judge
from services.control.policy import DEFAULT_POLICY, Policy
from services.control.prepaid_state import Available, BalanceWarning, PrepaidAgreement
from services.control.safety_facts import Contact, Match, Protection, Service, Weather
from services.control.state import Clearance, Debt, Permit

NOW = "2026-03-12T02:10:00Z"  # Thursday 10:10 in Shanghai
DEBT = Debt(invoice_no="INV1", open_fen=12_000, due_on="2026-01-15")
PLACE = PointNoted(
    usage_point="P1",
    meter_no="M1",
    address="42",
    switching_method="meter_relay",
    voltage_class="lt1kv",
    agreement_version=3,
    installed_from_at="2025-01-01T00:00:00Z",
    from_on="2025-01-01",
    area="A1",
)
GRANT = Clearance(
    clearance_id="c1",
    asked_at=NOW,
    invoice_nos=("INV1",),
    answer="granted",
    fence_offset=0,
    valid_until_at="2026-03-12T02:11:00Z",
)
PERMIT = Permit(
    permit_id="c1.permit1", area="A1", answer="reserved", hour_at="2026-03-12T02:00:00Z"
)
FINE = Weather(area="", alarm="", from_at="2026-03-11T16:00:00Z", until_at="2026-03-12T16:00:00Z")
ANSWERS = Contact(
    meter_no="M1", is_reachable=True, data_to_on="2026-03-11", told_at="2026-03-12T00:00:00Z"
)
SEEN = Match(meter_no="M1", verified_on="2026-03-03", person="chen")
FORM = Service(channel="in person", recipient="the customer", evidence="photo 17")
SCHOOL = Protection(
    kind="school", until_on="2026-03-11", approved_by="zhao", legal_basis="term until 11 March"
)
SIGNED = PrepaidAgreement(agreement_no="Y-1", signed_on="2026-01-01", credit_limit_fen=1_000)
LEFT = Available(available_fen=-1_001, estimate_until_on="2026-03-11")
WARNED = (
    BalanceWarning(stage="warn1", due_at="2026-03-08T04:00:00Z", served_at="2026-03-09T02:00:00Z"),
    BalanceWarning(stage="warn2", due_at="2026-03-10T04:00:00Z", served_at="2026-03-11T02:10:00Z"),
)
GOOD = Facts(
    now_at=NOW,
    category="residential",
    protected="",
    version=3,
    arrears_known=True,
    debts=(DEBT,),
    invoice_nos=("INV1",),
    noticed=("INV1",),
    noticed_fen=12_000,
    window_from_at="2026-03-12T02:00:00Z",
    window_to_at="2026-03-12T06:00:00Z",
    expires_at="2026-03-12T06:00:00Z",
    served_at="2026-03-03T01:00:00Z",
    final_served_at="2026-03-12T01:00:00Z",
    requester="wang",
    reviewer="li",
    unit_head="zhao",
    point=PLACE,
    case_meter_no="M1",
    case_installed_at="2025-01-01T00:00:00Z",
    other_case="",
    cut=False,
    holds=(),
    locks=(),
    under_way="",
    clearance=GRANT,
    permit=PERMIT,
    corrections=(),
    open_orders=(),
    disputes=(),
    protections=(),
    weather=(FINE,),
    contact=ANSWERS,
    matched=SEEN,
    notice_form=FORM,
    final_form=FORM,
    kept="",
    prepaid=SIGNED,
    available=LEFT,
    warnings=WARNED,
)
NAMED: dict[str, Interlock] = {each.name: each for stage in STAGES.values() for each in stage}
ALL = sorted(NAMED)
SHOP = {"category": "non_residential", "served_at": "2026-03-09T02:00:00Z"}


def verdict(name: str, policy: Policy = DEFAULT_POLICY, **changes: Any) -> tuple[bool, str]:
    (said,) = judge((NAMED[name],), replace(GOOD, **changes), policy)
    assert (said.name, said.source) == (name, NAMED[name].source)
    assert said.looked_at, "a verdict names what it looked at"
    assert bool(said.reason) != said.allows
    return said.allows, said.reason


@pytest.mark.parametrize("name", ALL)
def test_nothing_known_denies(name: str) -> None:
    (said,) = judge((NAMED[name],), Facts(now_at=NOW), DEFAULT_POLICY)
    assert not said.allows


@pytest.mark.parametrize("name", sorted({*ALL} - {"window_plannable", "window_to_come"}))
def test_what_is_right_allows(name: str) -> None:
    assert verdict(name) == (True, "")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("debt_still_open", {"debts": (replace(DEBT, open_fen=1),)}),
        # 2026-03-12 in Shanghai is 31 days after 2026-02-09
        ("debt_old_enough", {"debts": (replace(DEBT, due_on="2026-02-09"),)}),
        # a settled part of the noticed debt does not make the rest younger
        ("debt_old_enough", {"invoice_nos": ("INV0", "INV1"), "noticed": ("INV0", "INV1")}),
        ("debt_is_the_noticed_one", {"debts": (replace(DEBT, open_fen=11_999),)}),
        ("notice_served", {"served_at": "2026-03-12T02:15:00Z"}),
        ("notice_period", {"served_at": "2026-03-05T02:00:00Z"}),  # 7 days to the second
        ("notice_period", {"served_at": "2026-02-25T02:10:00Z"}),  # 15 days before now
        ("notice_period", SHOP),  # 3 days to the second
        ("notice_period", SHOP | {"served_at": "2026-03-05T02:10:00Z"}),  # 7 days before now
        ("final_notice", {"final_served_at": "2026-03-12T01:40:00Z"}),  # 30 minutes
        ("final_notice", SHOP | {"final_served_at": "2026-03-12T01:10:00Z"}),  # 1 hour
        ("final_notice", {"final_served_at": "2026-03-11T02:10:00Z"}),  # a day
        ("notice_not_expired", {"expires_at": "2026-03-12T02:10:01Z"}),
        ("within_window", {"window_from_at": NOW}),
        ("within_window", {"window_to_at": "2026-03-12T02:10:01Z"}),
        ("permitted_hour", {"window_from_at": "2026-03-12T00:00:00Z"}),  # 08:00
        ("permitted_hour", {"window_to_at": "2026-03-12T09:00:00Z"}),  # 17:00
        ("point_matches", {"point": replace(PLACE, to_on="2026-03-13")}),
        ("point_matches", {"moved_out_on": "2026-03-13"}),
        ("point_matches", {"case_meter_no": "", "case_installed_at": ""}),
        ("clearance_fresh", {"clearance": replace(GRANT, valid_until_at="2026-03-12T02:10:01Z")}),
        ("permit_reserved", {"now_at": "2026-03-12T02:00:00Z"}),
        ("permit_reserved", {"now_at": "2026-03-12T02:59:59Z"}),
        # planned exactly 7 (3) days ahead, and 60
        ("window_plannable", {"now_at": "2026-03-05T02:00:00Z"}),
        ("window_plannable", SHOP | {"now_at": "2026-03-09T02:00:00Z"}),
        ("window_plannable", {"now_at": "2026-01-11T02:00:00Z"}),
        (
            "window_plannable",
            {"now_at": "2026-03-05T02:00:00Z", "window_to_at": "2026-03-12T10:00:00Z"},
        ),
    ],
)
def test_the_border_allows(name: str, changes: dict[str, Any]) -> None:
    assert verdict(name, **changes) == (True, "")


@pytest.mark.parametrize(
    ("name", "changes", "reason"),
    [
        ("debt_still_open", {"debts": (replace(DEBT, open_fen=0),)}, "no more than 0 fen"),
        ("debt_still_open", {"debts": ()}, "no more than 0 fen"),
        ("debt_still_open", {"invoice_nos": ("INV9",)}, "no more than 0 fen"),
        ("debt_still_open", {"arrears_known": False}, "never told"),
        # 30 days are not more than 30
        ("debt_old_enough", {"debts": (replace(DEBT, due_on="2026-02-10"),)}, "INV1 not overdue"),
        ("debt_old_enough", {"invoice_nos": ()}, "no debt is named"),
        ("debt_old_enough", {"invoice_nos": ("INV1", "INV9")}, "INV9 is no open debt"),
        ("debt_old_enough", {"debts": (replace(DEBT, due_on="?"),)}, "due_on of INV1"),
        ("debt_is_the_noticed_one", {"noticed": ()}, "another debt"),
        ("debt_is_the_noticed_one", {"noticed": ("INV0",)}, "another debt"),
        ("debt_is_the_noticed_one", {"noticed": ("INV0", "INV1")}, "another debt"),
        ("debt_is_the_noticed_one", {"noticed_fen": 11_999}, "more is open"),
        ("notice_served", {"served_at": ""}, "nobody reported"),
        ("notice_served", {"served_at": "2026-03-12T02:15:01Z"}, "in the future"),
        ("notice_served", {"served_at": "yesterday"}, "served_at"),
        ("notice_period", {"served_at": "2026-03-05T02:00:01Z"}, "less than 7 days"),
        ("notice_period", {"served_at": "2026-02-25T02:09:59Z"}, "more than 15 days"),
        ("notice_period", SHOP | {"served_at": "2026-03-09T02:00:01Z"}, "less than 3 days"),
        ("notice_period", SHOP | {"served_at": "2026-03-05T02:09:59Z"}, "more than 7 days"),
        ("notice_period", {"category": ""}, "no notice period"),
        ("notice_period", {"served_at": ""}, "not served"),
        ("notice_period", {"window_from_at": ""}, "not served, or no window"),
        ("final_notice", {"final_served_at": "2026-03-12T01:40:01Z"}, "less than 30 minutes"),
        (
            "final_notice",
            SHOP | {"final_served_at": "2026-03-12T01:10:01Z"},
            "less than 60 minutes",
        ),
        ("final_notice", {"final_served_at": "2026-03-11T02:09:59Z"}, "more than 1440 minutes"),
        ("final_notice", {"final_served_at": ""}, "no final notice"),
        ("final_notice", {"category": "spaceport"}, "no rule"),
        ("notice_not_expired", {"expires_at": NOW}, "expired"),
        ("notice_not_expired", {"expires_at": ""}, "expired"),
        ("within_window", {"window_from_at": "2026-03-12T02:10:01Z"}, "not in the window"),
        ("within_window", {"window_to_at": NOW}, "not in the window"),
        ("within_window", {"window_to_at": ""}, "no window"),
        ("within_window", {"window_from_at": ""}, "no window"),
        ("permitted_hour", {"window_from_at": "2026-03-11T23:59:59Z"}, "from 08:00 to 17:00"),
        ("permitted_hour", {"window_to_at": "2026-03-12T09:00:01Z"}, "from 08:00 to 17:00"),
        ("permitted_hour", {"window_to_at": "2026-03-13T03:00:00Z"}, "one day"),
        (
            "permitted_hour",  # a Saturday
            {"window_from_at": "2026-03-14T02:00:00Z", "window_to_at": "2026-03-14T06:00:00Z"},
            "a weekday of 1, 2, 3, 4, 5",
        ),
        ("permitted_hour", {"window_to_at": ""}, "no window"),
        ("permitted_hour", {"window_from_at": ""}, "no window"),
        ("window_plannable", {"now_at": "2026-03-05T02:00:01Z"}, "at least 7 days"),
        ("window_plannable", SHOP | {"now_at": "2026-03-09T02:00:01Z"}, "at least 3 days"),
        ("window_plannable", {"now_at": "2026-01-11T01:59:59Z"}, "at most 60 days"),
        ("window_plannable", {"category": ""}, "no notice period"),
        ("window_plannable", {"window_to_at": "2026-03-12T02:00:00Z"}, "longer than 0"),
        ("window_plannable", {"window_to_at": "2026-03-12T10:00:01Z"}, "longer than 0"),
        ("not_protected", {"protected": "life_support"}, "protected: life_support"),
        ("not_protected", {"category": ""}, "no terms"),
        ("approvals_by_three_different_people", {"reviewer": "Wang "}, "not three"),
        ("approvals_by_three_different_people", {"unit_head": "li"}, "not three"),
        ("approvals_by_three_different_people", {"unit_head": "WANG"}, "not three"),
        ("approvals_by_three_different_people", {"requester": ""}, "not three"),
        ("point_matches", {"point": None}, "no such point"),
        ("point_matches", {"point": replace(PLACE, meter_no="")}, "no meter"),
        ("point_matches", {"point": replace(PLACE, address="")}, "no meter"),
        ("point_matches", {"point": replace(PLACE, installed_from_at="")}, "no meter"),
        ("point_matches", {"version": 4}, "another version"),
        ("point_matches", {"version": 0, "point": replace(PLACE, agreement_version=0)}, "version"),
        ("point_matches", {"point": replace(PLACE, to_on="2026-03-12")}, "does not belong"),
        ("point_matches", {"point": replace(PLACE, from_on="2026-03-13")}, "does not belong"),
        ("point_matches", {"moved_out_on": "2026-03-12"}, "moved out on 2026-03-12"),
        ("point_matches", {"case_meter_no": "M0"}, "opened for meter M0"),
        ("point_matches", {"case_installed_at": "2024-01-01T00:00:00Z"}, "opened for meter M1"),
        ("switching_method_remote", {"point": None}, "no such point"),
        (
            "switching_method_remote",
            {"point": replace(PLACE, voltage_class="10kv")},
            "no remote method",
        ),
        (
            "switching_method_remote",
            {"point": replace(PLACE, switching_method="none")},
            "no remote method",
        ),
        ("not_cut_already", {"cut": True}, "off already"),
        ("not_cut_already", {"holds": ("works",)}, "off already"),
        ("no_case_unknown", {"under_way": "c.1"}, "still to come"),
        ("no_other_case", {"other_case": "c"}, "another case"),
        ("clearance_fresh", {"clearance": None}, "no clearance"),
        ("clearance_fresh", {"clearance": replace(GRANT, answer="")}, "not granted"),
        ("clearance_fresh", {"clearance": replace(GRANT, answer="withdrawn")}, "not granted"),
        ("clearance_fresh", {"clearance": replace(GRANT, fence_offset=-1)}, "no fence"),
        ("clearance_fresh", {"clearance": replace(GRANT, invoice_nos=())}, "another debt"),
        ("clearance_fresh", {"clearance": replace(GRANT, valid_until_at=NOW)}, "not valid"),
        ("clearance_fresh", {"clearance": replace(GRANT, valid_until_at="")}, "valid_until_at"),
        ("permit_reserved", {"permit": None}, "no permit was asked"),
        ("permit_reserved", {"permit": replace(PERMIT, answer="")}, "not reserved: no answer"),
        (
            "permit_reserved",
            {"permit": replace(PERMIT, answer="refused", reason="cap")},
            "not reserved: cap",
        ),
        ("permit_reserved", {"permit": replace(PERMIT, answer="used")}, "not reserved: used"),
        ("permit_reserved", {"permit": replace(PERMIT, area="A2")}, "not of the area"),
        (
            "permit_reserved",
            {"permit": replace(PERMIT, area=""), "point": replace(PLACE, area="")},
            "not of the area",
        ),
        ("permit_reserved", {"point": None}, "not of the area"),
        ("permit_reserved", {"now_at": "2026-03-12T03:00:00Z"}, "not for this hour"),
        ("permit_reserved", {"now_at": "2026-03-12T01:59:59Z"}, "not for this hour"),
        ("no_correction_open", {"corrections": ("r1/P1",)}, "not decided"),
        ("no_payment_in_flight", {"open_orders": ("10000000421A7",)}, "may still be paid"),
        ("no_hold_left", {"holds": ("works",)}, "holds are in force"),
        ("nobody_locked", {"locks": ("wu",)}, "locked"),
    ],
)
def test_beyond_the_border_denies(name: str, changes: dict[str, Any], reason: str) -> None:
    allowed, said = verdict(name, **changes)
    assert not allowed
    assert reason in said


def test_the_policy_decides() -> None:
    stricter = Policy(threshold_fen=500, overdue_days=60, no_cut_on=("2026-03-12",))
    low = {"debts": (replace(DEBT, open_fen=500),)}
    assert verdict("debt_still_open", stricter, **low)[0] is False
    assert verdict("debt_still_open", **low)[0] is True
    assert verdict("debt_old_enough", stricter)[1].endswith("more than 60 days")
    assert verdict("permitted_hour", stricter) == (False, "nobody is cut on that day")
    wired = Policy(remote_methods=(("10kv", ("terminal_output",)),))
    place = replace(PLACE, voltage_class="10kv", switching_method="terminal_output")
    assert verdict("switching_method_remote", wired, point=place)[0] is True


def test_a_stage_allows_only_with_every_verdict_it_needs() -> None:
    stage = STAGES["before_command"]
    said = judge(stage, GOOD, DEFAULT_POLICY)
    assert allows(said, stage)
    assert not allows(said[:-1], stage)
    assert not allows((), stage)
    assert not allows((replace(said[0], allows=False), *said[1:]), stage)
    assert not allows(said, STAGES["before_clearance"])


def test_all_interlocks_of_a_stage_are_judged() -> None:
    said = judge(STAGES["before_command"], Facts(now_at=NOW), DEFAULT_POLICY)
    assert len(said) == 28
    assert len({each.name for each in said}) == 28

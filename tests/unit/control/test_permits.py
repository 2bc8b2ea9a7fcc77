"""The permit of a case: when it is asked for, what its answers lead to, and where it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.control.decide import due
from services.control.draft import Draft
from services.control.events import CaseClosed, InterlocksJudged, RequestRejected, RequestTaken
from services.control.permit_events import (
    OverCapApproved,
    PermitAsked,
    PermitEnded,
    PermitNoted,
)
from services.control.policy import DEFAULT_POLICY
from services.control.switching import issue_open
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    WINDOW_FROM,
    WINDOW_TO,
    Desk,
    agreement,
    balance,
    capped,
    captured,
    granted,
    names,
    refused,
    reserved,
)

CASE = f"{ACCOUNT}.r1"
FIRST, SECOND = f"{CASE}.permit1", f"{CASE}.permit2"
TEN, ELEVEN = "2026-03-12T02:00:00Z", "2026-03-12T03:00:00Z"
AT_ELEVEN = "2026-03-12T03:00:30Z"


def waiting(**changes: Any) -> Desk:
    """A case that has asked for its permit and waits; nobody answers by themselves."""
    desk = Desk(cap=False)
    desk.know(**changes)
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.serve_final()
    desk.tick(IN_WINDOW)
    return desk


def asked(desk: Desk) -> list[str]:
    return [body.permit_id for body in desk.permits if isinstance(body, PermitAsked)]


def ended(desk: Desk) -> list[tuple[str, str]]:
    return [(body.permit_id, body.how) for body in desk.permits if isinstance(body, PermitEnded)]


def clearances(desk: Desk) -> int:
    return sum(topic == "control.clearances" for topic, _, _ in desk.outgoing)


def test_the_limit_stage_is_asked_before_payments_are() -> None:
    desk = waiting()
    assert desk.permits == [
        PermitAsked(
            permit_id=FIRST,
            area="A1",
            account_no=ACCOUNT,
            case_id=CASE,
            usage_point="P1",
            over_cap_by="",
            asked_at=IN_WINDOW,
        )
    ]
    assert clearances(desk) == 0
    assert due(desk.account) == WINDOW_TO, "the answer is awaited"
    assert desk.tick("2026-03-12T02:20:00Z") == []
    noted = desk.give(reserved(FIRST, TEN))
    assert noted[0] == PermitNoted(
        permit_id=FIRST,
        account_no=ACCOUNT,
        case_id=CASE,
        answer="reserved",
        hour_at=TEN,
        cap=3,
        count=1,
        reason="",
    )
    assert names(noted) == ["InterlocksJudged", "ClearanceAsked"]
    assert noted[1].stage == "before_clearance"


def test_a_command_uses_the_permit_and_says_so_in_its_verdicts() -> None:
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z"))
    assert ended(desk) == [(FIRST, "used")]
    (last,) = desk.noted(PermitEnded)
    assert last.command_id == desk.command.command_id
    verdict = {each.name: each for each in desk.command.verdicts}["permit_reserved"]
    assert f"permit {FIRST} of A1, reserved, hour {TEN}" in verdict.looked_at
    desk.report("unknown")
    desk.tick("2026-03-12T05:00:00Z")
    assert ended(desk) == [(FIRST, "used")], "an unknown outcome keeps it"
    desk.report("refused")
    assert ended(desk) == [(FIRST, "used")], "and so does every other"


def test_a_refused_case_asks_again_in_the_next_hour() -> None:
    desk = waiting()
    noted = desk.give(capped(FIRST, TEN))
    assert [(event.answer, event.reason, event.cap) for event in noted] == [("refused", "cap", 3)]
    assert due(desk.account) == ELEVEN
    assert desk.tick("2026-03-12T02:59:59Z") == []
    desk.tick(AT_ELEVEN)
    assert asked(desk) == [FIRST, SECOND]
    assert ended(desk) == []


def test_a_refused_case_whose_window_ends_before_the_next_hour_expires() -> None:
    desk = waiting()
    desk.give(capped(FIRST, "2026-03-12T05:00:00Z"))
    desk.tick(WINDOW_TO)
    assert [event.outcome for event in desk.noted(CaseClosed)] == ["expired"]
    assert ended(desk) == []


def test_a_permit_that_is_not_used_in_its_hour_is_returned_and_asked_for_anew() -> None:
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.tick(AT_ELEVEN)
    assert ended(desk) == [(FIRST, "returned")]
    assert asked(desk) == [FIRST, SECOND]
    assert clearances(desk) == 1
    assert desk.give(granted(f"{CASE}.clearance1", "2026-03-12T03:01:00Z")) != []
    assert desk.commands == [], "the grant is there, the permit is not"
    (denied,) = [each for each in desk.noted(InterlocksJudged) if each.stage == "before_command"]
    reasons = {each.name: each.reason for each in denied.verdicts if not each.allows}
    assert reasons == {"permit_reserved": "the permit is not reserved: no answer"}


def test_a_permit_of_an_hour_that_is_not_here_yet_is_waited_for() -> None:
    desk = waiting()
    assert names(desk.give(reserved(FIRST, ELEVEN))) == []
    assert due(desk.account) == ELEVEN
    assert names(desk.tick(AT_ELEVEN)) == ["InterlocksJudged", "ClearanceAsked"]
    assert asked(desk) == [FIRST]


def test_an_answer_of_an_hour_that_is_over_is_returned_at_the_next_tick() -> None:
    desk = waiting()
    desk.tick(AT_ELEVEN)
    noted = desk.give(reserved(FIRST, TEN))
    assert (names(noted), ended(desk)) == ([], [(FIRST, "returned")])
    assert asked(desk) == [FIRST, SECOND]


def test_one_permit_serves_a_second_clearance_of_its_hour() -> None:
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.give(refused(desk.clearance_id, 12_000))
    desk.tick("2026-03-12T02:15:00Z")
    assert (clearances(desk), asked(desk)) == (2, [FIRST])


def test_a_case_that_goes_on_after_its_command_needs_another_permit() -> None:
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z"))
    desk.give(captured())
    desk.report("refused")
    desk.tick("2026-03-12T02:15:00Z")
    assert asked(desk) == [FIRST, SECOND]
    assert ended(desk) == [(FIRST, "used")]


@pytest.mark.parametrize("answered", [False, True])
def test_a_case_that_ends_gives_its_permit_back(answered: bool) -> None:
    desk = waiting()
    if answered:
        desk.give(reserved(FIRST, TEN))
    desk.give(balance())
    assert [event.outcome for event in desk.noted(CaseClosed)] == ["cancelled_paid"]
    assert ended(desk) == [(FIRST, "returned")]
    assert desk.give(reserved(FIRST, TEN)) == [], "it is back already"
    assert ended(desk) == [(FIRST, "returned")]


def test_a_crew_needs_no_permit() -> None:
    desk = waiting(method="field_ticket")
    desk.give(reserved(FIRST, TEN))
    desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z"))
    assert [event.outcome for event in desk.noted(CaseClosed)] == ["field_ticket"]
    assert ended(desk) == [(FIRST, "returned")]


def test_answers_to_other_permits_change_nothing() -> None:
    desk = waiting()
    desk.give(capped(FIRST, TEN))
    assert desk.give(reserved(FIRST, TEN)) == [], "it was answered"
    assert desk.give(reserved(f"{CASE}.permit9", TEN)) == []
    assert Desk().give(reserved(FIRST, TEN)) == []
    early = Desk()
    early.know()
    early.open_case()
    assert early.give(reserved(FIRST, TEN)) == [], "nobody asked"


def test_a_point_without_an_area_is_refused_and_nobody_is_asked() -> None:
    desk = waiting(area="")
    assert desk.permits == []
    assert [(event.answer, event.reason) for event in desk.noted(PermitNoted)] == [
        ("refused", "no_area")
    ]
    assert due(desk.account) == ELEVEN
    desk.ask("approve_over_cap", "unit_head", person="sun", reason="now")
    assert desk.noted(RequestRejected)[-1].problem.startswith("case_id: no cap stands")
    desk.give(agreement(version=2, area="A2"))
    desk.tick(AT_ELEVEN)
    assert [body.area for body in desk.permits] == ["A2"]


def test_a_permit_of_an_area_that_the_point_left_is_returned() -> None:
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.give(agreement(version=2, area="A2"))
    desk.tick("2026-03-12T02:15:00Z")
    assert ended(desk) == [(FIRST, "returned")]
    assert [body.area for body in desk.permits] == ["A1", "A1", "A2"]


# -- above the cap --------------------------------------------------------------------------------


def test_somebody_with_no_part_in_the_case_lets_it_be_cut_above_the_cap() -> None:
    desk = waiting()
    desk.give(capped(FIRST, TEN))
    noted = desk.ask("approve_over_cap", "unit_head", person="sun", reason="a dangerous line")
    assert names(noted) == ["OverCapApproved", "RequestTaken"]
    assert desk.noted(OverCapApproved) == [
        OverCapApproved(
            case_id=CASE,
            account_no=ACCOUNT,
            area="A1",
            person="sun",
            reason="a dangerous line",
            approved_at=IN_WINDOW,
        )
    ]
    desk.tick("2026-03-12T02:11:00Z")
    assert isinstance(desk.permits[-1], PermitAsked)
    assert desk.permits[-1].over_cap_by == "sun"
    desk.give(reserved(SECOND, TEN))
    desk.give(granted(desk.clearance_id, "2026-03-12T02:12:00Z"))
    assert ended(desk) == [(SECOND, "used")]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"person": "wang"}, "person: wang acts in this case already"),
        ({"person": "Li"}, "person: Li acts in this case already"),
        ({"person": " zhao"}, "person:  zhao acts in this case already"),
        ({"reason": " "}, "reason: it is missing"),
        ({"role": "reviewer"}, "role: 'reviewer' may not approve_over_cap"),
        ({"case_id": "x"}, f"case_id: account {ACCOUNT} has no open case"),
    ],
)
def test_who_may_not_approve_above_the_cap(changes: dict[str, str], problem: str) -> None:
    desk = waiting()
    desk.give(capped(FIRST, TEN))
    wanted = {"person": "sun", "reason": "now", "role": "unit_head"} | changes
    role = wanted.pop("role")
    (rejected,) = desk.ask("approve_over_cap", role, **wanted)
    assert rejected.problem.startswith(problem)
    desk.tick("2026-03-12T02:11:00Z")
    assert asked(desk) == [FIRST]


def test_nothing_is_approved_above_a_cap_that_nobody_reached_or_twice() -> None:
    desk = waiting()
    sun = {"person": "sun", "reason": "now"}
    desk.ask("approve_over_cap", "unit_head", **sun)
    desk.give(capped(FIRST, TEN))
    desk.ask("approve_over_cap", "unit_head", **sun)
    desk.ask("approve_over_cap", "unit_head", **sun)
    problems = [event.problem for event in desk.noted(RequestRejected)]
    assert [problem.split(" (")[0] for problem in problems] == [
        "case_id: no cap stands against it now",
        "case_id: sun approved it",
    ]
    assert len([e for e in desk.noted(RequestTaken) if e.action == "approve_over_cap"]) == 1


def test_no_command_goes_out_on_a_permit_that_is_none() -> None:
    """The chain is asserted once more where commands come from, whatever the interlocks said."""
    desk = waiting()
    desk.give(reserved(FIRST, TEN))
    desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z"))
    judged = [each for each in desk.noted(InterlocksJudged) if each.stage == "before_command"][-1]
    case = desk.account.cases[CASE]
    draft = Draft(desk.account, ACCOUNT, IN_WINDOW, DEFAULT_POLICY)
    for permit in (None, case.permit):
        with pytest.raises(AssertionError):
            issue_open(draft, replace(case, permit=permit), judged)


def test_the_window_begins_before_its_permit_is_asked_for() -> None:
    desk = Desk(cap=False)
    desk.know()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.serve_final()
    assert desk.tick("2026-03-12T01:59:59Z") == []
    desk.tick(WINDOW_FROM)
    assert asked(desk) == [FIRST]

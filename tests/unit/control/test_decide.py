"""The chain of a case, step by step: what leads on, what is refused, what is repeated."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.core import Item
from services.control.decide import decide, due
from services.control.events import (
    CaseClosed,
    CaseOpened,
    FieldTicketOpened,
    HoldPlaced,
    NoticeIssued,
    NoticeServed,
    RequestRejected,
    RequestTaken,
)
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    INV1,
    PAID_LATER,
    POINT,
    SERVED,
    START,
    WINDOW_FROM,
    WINDOW_TO,
    Desk,
    agreement,
    balance,
    granted,
    names,
    overdue,
    refused,
    service,
    withdrawn,
)

CASE = f"{ACCOUNT}.r1"


def closed(desk: Desk) -> list[str]:
    return [event.outcome for event in desk.noted(CaseClosed)]


# -- the chain ------------------------------------------------------------------------------------


def test_the_whole_chain_cuts_and_comes_back() -> None:
    desk = Desk()
    command = desk.up_to_command()
    assert desk.noted(CaseOpened)[0].amount_fen == 12_000
    notice = desk.noted(NoticeIssued)[0]
    assert notice.invoice_nos == ("INV1",)
    assert (notice.window_from_at, notice.window_to_at) == (WINDOW_FROM, WINDOW_TO)
    assert notice.expires_at == WINDOW_TO
    assert command.action == "open"
    assert command.case_id == CASE
    assert command.command_id == f"{CASE}.1773281400"
    assert command.seq == 1_773_281_400  # 2026-03-12T02:10:00Z in seconds since 1970
    assert command.valid_until_at == "2026-03-12T02:11:00Z"
    assert command.fence_offset == 7
    assert command.approvals == ("requester:wang", "reviewer:li", "unit_head:zhao")
    assert len(command.verdicts) == 28
    assert desk.outgoing[-1] == ("control.commands", POINT, command)
    (hold,) = desk.noted(HoldPlaced)
    assert (hold.reason, hold.owner, hold.invoice_nos) == ("arrears", "collection", ("INV1",))

    assert names(desk.report("confirmed", "open")) == ["SwitchingNoted", "CaseClosed"]
    assert closed(desk) == ["disconnected"]

    desk.tick(PAID_LATER)
    noted = desk.give(balance())
    assert names(noted) == ["ArrearsNoted", "HoldReleased", "InterlocksJudged", "CommandIssued"]
    assert noted[1].released_by == "payments"
    assert noted[2].stage == "reconnect"
    assert [verdict.name for verdict in noted[2].verdicts] == [
        "no_hold_left",
        "nobody_locked",
        "no_case_unknown",
        "point_matches",
        "switching_method_remote",
    ]
    back = desk.command
    assert back.action == "permit_close"
    assert back.priority > command.priority
    assert back.seq > command.seq
    assert back.valid_until_at == "2026-03-13T03:30:00Z"
    assert names(desk.report("confirmed", "closed")) == ["SwitchingNoted", "CaseClosed"]
    assert closed(desk) == ["disconnected", "reconnected"]
    assert desk.account.point(POINT).relay == "closed"


def test_a_grant_longer_than_a_command_may_live() -> None:
    desk = Desk()
    desk.give(granted(desk.up_to_clearance(), "2026-03-12T05:00:00Z"))
    assert desk.command.valid_until_at == "2026-03-12T02:15:00Z"


def test_residential_at_the_point_is_enough_for_the_longer_notice() -> None:
    desk = Desk()
    desk.know(category="industrial", point_category="residential")
    desk.open_case()
    desk.serve("2026-03-05T02:00:01Z")  # a second less than seven days
    assert closed(desk) == ["refused"]
    assert "notice_period" in desk.noted(CaseClosed)[0].reason


def test_a_shop_needs_three_days_and_an_hour() -> None:
    desk = Desk()
    desk.know(category="non_residential")
    desk.open_case()
    desk.serve("2026-03-09T02:00:00Z")
    desk.approve()
    desk.serve_final("2026-03-12T01:15:00Z")
    assert due(desk.account) == "2026-03-12T02:15:00Z"
    assert desk.tick("2026-03-12T02:14:00Z") == []
    assert names(desk.tick("2026-03-12T02:15:00Z")) == ["InterlocksJudged", "ClearanceAsked"]


def test_the_longer_window_and_the_named_invoices() -> None:
    desk = Desk()
    desk.give(agreement())
    desk.give(overdue(INV1, ("INV2", 5_000, "2026-01-20"), ("INV3", 7_000, "2026-02-20")))
    desk.open_case(invoices=" INV2,INV1 ,", window_to_at="2026-03-12T04:00:00Z")
    notice = desk.noted(NoticeIssued)[0]
    assert notice.invoice_nos == ("INV1", "INV2")
    assert notice.amount_fen == 17_000
    assert notice.window_to_at == "2026-03-12T04:00:00Z"


def test_without_names_every_debt_that_is_old_enough() -> None:
    desk = Desk()
    desk.give(agreement())
    desk.give(overdue(INV1, ("INV3", 7_000, "2026-02-20")))
    desk.open_case()
    assert desk.noted(NoticeIssued)[0].invoice_nos == ("INV1",)


# -- what is refused ------------------------------------------------------------------------------


def rejection(desk: Desk) -> str:
    return desk.noted(RequestRejected)[-1].problem


@pytest.mark.parametrize(
    ("changes", "denied"),
    [
        ({"protected": "hospital"}, "not_protected"),
        ({"category": "spaceport"}, "window_plannable"),
        ({"moved_out_on": "2026-02-01"}, "point_matches"),
        ({"to_on": "2026-02-01"}, "point_matches"),
        ({"usage_points": ("P2",)}, "point_matches"),
        ({"meter_no": ""}, "point_matches"),
    ],
)
def test_a_request_that_an_interlock_denies(changes: dict[str, object], denied: str) -> None:
    desk = Desk()
    desk.know(**changes)
    noted = desk.open_case()
    assert names(noted) == ["InterlocksJudged", "RequestRejected"]
    assert not noted[0].allowed
    assert denied in rejection(desk)
    assert desk.account.cases == {}


@pytest.mark.parametrize(
    ("details", "problem"),
    [
        ({"window_from_at": "2026-03-08T02:00:00Z"}, "at least 7 days"),
        ({"window_from_at": "2026-03-15T02:00:00Z"}, "weekday"),
        ({"window_from_at": "tomorrow"}, "window_from_at: 'tomorrow' is no instant"),
        ({"window_from_at": "9999-12-31T23:00:00Z"}, "window_from_at: '9999-12-31T23:00:00Z' is"),
        ({"window_from_at": " "}, "window_from_at: it is missing"),
        ({"window_to_at": "late"}, "window_to_at: 'late' is no instant"),
        ({"invoices": "INV9"}, "debt_still_open"),
    ],
)
def test_a_request_that_names_the_wrong_thing(details: dict[str, str], problem: str) -> None:
    desk = Desk()
    desk.know()
    desk.open_case(**details)
    assert problem in rejection(desk)


def test_before_payments_said_anything_there_is_no_debt() -> None:
    desk = Desk()
    desk.give(agreement())
    desk.open_case()
    assert "payments never told" in rejection(desk)


def test_one_case_at_a_time() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.open_case()
    assert "no_other_case" in rejection(desk)


@pytest.mark.parametrize("action", ["serve_notice", "approve", "serve_final_notice", "cancel"])
def test_a_case_that_is_not_there(action: str) -> None:
    role = {"serve_notice": "server", "serve_final_notice": "server"}.get(action, "unit_head")
    desk = Desk()
    desk.know()
    desk.ask(action, role, case_id="nonsense")
    assert "has no open case 'nonsense'" in rejection(desk)


def test_the_core_checks_roles_accounts_and_people_again() -> None:
    desk = Desk()
    desk.know()
    desk.ask("request_disconnect", "viewer", window_from_at=WINDOW_FROM)
    assert "role: 'viewer' may not request_disconnect" in rejection(desk)
    desk.ask("blow_up", "requester")
    assert "action: 'blow_up' is unknown" in rejection(desk)
    desk.open_case(account_no="1000000043")
    assert "account_no: '1000000043' is not '1000000042'" in rejection(desk)
    desk.open_case(person=" ")
    assert "person: nobody" in rejection(desk)
    assert desk.account.cases == {}


def test_no_approval_before_the_notice_was_served() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.approve()
    assert "not served yet" in rejection(desk)
    assert desk.account.cases[CASE].reviewer == ""


def test_three_different_people() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.ask("approve", "reviewer", person="Wang")
    assert "person: Wang acts in this case already" in rejection(desk)
    desk.ask("approve", "reviewer")
    desk.ask("approve", "unit_head", person="LI")
    assert "person: LI acts in this case already" in rejection(desk)
    desk.ask("approve", "reviewer", person="sun")
    assert "li approved as reviewer" in rejection(desk)


def test_a_notice_is_served_once_and_with_evidence() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    for name in ("channel", "recipient", "evidence", "served_at"):
        details = service(SERVED) | {name: " "}
        desk.tick(SERVED)
        desk.ask("serve_notice", "server", **details)
        assert f"{name}: it is missing" in rejection(desk)
    desk.ask("serve_notice", "server", **service("2026-03-03T01:05:01Z"))
    assert "is in the future" in rejection(desk)
    desk.ask("serve_notice", "server", **service("2026-03-02T00:59:59Z"))
    assert "is before 2026-03-02T01:00:00Z" in rejection(desk)
    desk.ask("serve_notice", "server", **service("at noon"))
    assert "served_at: 'at noon' is no instant" in rejection(desk)
    assert desk.noted(NoticeServed) == []
    desk.serve()
    desk.serve()
    assert "the notice was served at" in rejection(desk)
    assert len(desk.noted(NoticeServed)) == 1


def test_a_notice_served_too_late_ends_the_case_at_once() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    noted = desk.serve("2026-03-05T02:00:01Z")
    assert names(noted) == ["NoticeServed", "InterlocksJudged", "CaseClosed", "RequestTaken"]
    assert noted[1].stage == "notice"
    assert closed(desk) == ["refused"]


def test_the_final_notice_comes_after_the_approvals() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.ask("approve", "reviewer")
    desk.serve_final()
    assert "not approved yet" in rejection(desk)
    desk.ask("approve", "unit_head")
    desk.ask("serve_final_notice", "server", **service("2026-03-12T00:59:59Z"))
    assert "is before 2026-03-12T01:00:00Z" in rejection(desk)
    desk.serve_final("2026-03-12T01:00:00Z")
    desk.serve_final("2026-03-12T01:50:00Z")  # a later one replaces it
    assert desk.account.cases[CASE].final_counts_at == "2026-03-12T02:20:00Z"
    assert desk.tick("2026-03-12T02:19:59Z") == []
    assert names(desk.tick("2026-03-12T02:20:00Z")) == ["InterlocksJudged", "ClearanceAsked"]


def test_a_final_notice_while_the_terms_are_gone_never_counts() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.give(replace(agreement(version=2), terms=()))
    desk.serve_final()
    noted = desk.tick(IN_WINDOW)
    assert names(noted) == ["InterlocksJudged"]
    assert {verdict.name for verdict in noted[0].verdicts if not verdict.allows} == {
        "final_notice",
        "notice_period",
        "not_protected",
    }


@pytest.mark.parametrize(("action", "role"), [("refuse", "reviewer"), ("cancel", "requester")])
def test_people_end_a_case(action: str, role: str) -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.ask(action, role)
    assert "reason: it is missing" in rejection(desk)
    desk.ask(action, role, reason="paid at the counter")
    assert closed(desk) == [{"refuse": "refused", "cancel": "cancelled"}[action]]
    taken = desk.noted(RequestTaken)[-1]
    assert (taken.person, taken.role, taken.reason) == (
        {"refuse": "li", "cancel": "wang"}[action],
        role,
        "paid at the counter",
    )


@pytest.mark.parametrize(("action", "role"), [("refuse", "unit_head"), ("cancel", "requester")])
def test_people_stop_a_command_that_is_under_way(action: str, role: str) -> None:
    desk = Desk()
    desk.up_to_command()
    noted = desk.ask(action, role, reason="wrong house")
    assert names(noted) == ["CommandCancelled", "HoldReleased", "RequestTaken"]
    assert closed(desk) == []
    desk.ask("cancel", "requester", reason="once more")
    assert "cancelled already" in rejection(desk)
    desk.report("refused")
    assert closed(desk) == [{"refuse": "refused", "cancel": "cancelled"}[action]]
    assert desk.noted(FieldTicketOpened) == []


# -- repeated inputs ------------------------------------------------------------------------------


def test_the_same_request_again_does_nothing() -> None:
    desk = Desk()
    desk.know()
    desk.open_case(request_id="same")
    assert desk.open_case(request_id="same") == []
    desk.ask("cancel", "requester", request_id="other", reason="why not")
    assert desk.open_case(request_id="same") == []
    desk.ask("approve", "reviewer", request_id="bad")
    assert desk.ask("approve", "reviewer", request_id="bad") == []


def test_only_so_many_requests_are_remembered() -> None:
    desk = Desk()
    desk.know()
    for number in range(70):
        desk.ask("approve", "reviewer", request_id=f"old{number}")
    assert len(desk.account.requests) == 64
    assert desk.account.requests[0] == "old6"


def test_facts_told_again_are_silent() -> None:
    desk = Desk()
    desk.know()
    assert desk.give(agreement()) == []
    assert desk.give(agreement(version=0)) == []
    assert desk.give(overdue()) == []
    assert desk.give(balance(INV1)) == []
    assert names(desk.give(balance(INV1, prepayment_fen=5))) == ["ArrearsNoted"]
    assert desk.give(overdue()) == [], "an overdue notice says nothing of prepayment"
    assert desk.account.prepayment_fen == 5


def test_answers_told_again_or_too_late_are_silent() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    assert desk.give(granted("another", "2026-03-12T02:11:00Z")) == []
    assert desk.give(refused("another", 0)) == []
    assert desk.give(withdrawn(clearance_id)) == [], "withdrawn before it was granted"
    desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert desk.give(granted(clearance_id, "2026-03-12T02:11:00Z")) == []
    assert desk.give(refused(clearance_id, 0)) == []
    assert len(desk.commands) == 1
    desk.report("confirmed", "open")
    assert desk.report("confirmed", "open") == []
    assert desk.report("unknown") == []


def test_what_control_does_not_take_is_silent() -> None:
    desk = Desk()
    item = Item("control.requests", 0, ACCOUNT, "", desk, START)
    assert list(decide(desk.fold, ACCOUNT, item)) == []

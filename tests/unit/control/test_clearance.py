"""Time and clearance: when payments are asked, and what their answers lead to."""

from __future__ import annotations

import pytest

from services.control.decide import due
from services.control.events import (
    CaseClosed,
    ClearanceNoted,
)
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    POINT,
    WINDOW_FROM,
    Desk,
    agreement,
    balance,
    granted,
    names,
    refused,
    service,
)

CASE = f"{ACCOUNT}.r1"


def closed(desk: Desk) -> list[str]:
    return [event.outcome for event in desk.noted(CaseClosed)]


# -- time and clearance ---------------------------------------------------------------------------


def test_nothing_is_asked_before_the_window() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.serve_final()
    assert due(desk.account) == WINDOW_FROM
    assert desk.tick("2026-03-12T01:59:59Z") == []
    assert names(desk.tick(WINDOW_FROM)) == ["InterlocksJudged", "ClearanceAsked"]
    asked = desk.outgoing[-1]
    assert (asked[0], asked[1]) == ("control.clearances", ACCOUNT)
    assert asked[2].invoice_nos == ("INV1",)
    assert asked[2].threshold_fen == 0
    assert asked[2].clearance_id == f"{CASE}.clearance1"


@pytest.mark.parametrize("steps", [0, 1, 2, 3, 4])
def test_a_window_that_passes_ends_the_case(steps: int) -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    for step in (desk.serve, desk.approve, desk.serve_final, lambda: desk.tick(IN_WINDOW))[:steps]:
        step()
    assert desk.tick("2026-03-20T00:00:00Z") != [], "a tick may jump"
    assert closed(desk) == ["expired"]
    assert desk.commands == []
    assert due(desk.account) == ""


def test_payments_are_asked_again_after_a_while() -> None:
    desk = Desk()
    desk.up_to_clearance()
    assert due(desk.account) == "2026-03-12T02:15:00Z"
    assert desk.tick("2026-03-12T02:14:59Z") == []
    desk.tick("2026-03-12T02:15:00Z")
    assert desk.clearance_id == f"{CASE}.clearance2"
    assert desk.give(granted(f"{CASE}.clearance1", "2026-03-12T02:16:00Z")) == []
    desk.give(granted(f"{CASE}.clearance2", "2026-03-12T02:16:00Z"))
    assert desk.command.clearance_id == f"{CASE}.clearance2"


def test_a_grant_that_comes_too_late_commands_nothing_and_is_asked_again() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    noted = desk.give(granted(clearance_id, IN_WINDOW))
    assert names(noted) == ["ClearanceNoted", "InterlocksJudged"]
    assert [v.name for v in noted[1].verdicts if not v.allows] == ["clearance_fresh"]
    assert desk.commands == []
    desk.tick("2026-03-12T02:15:00Z")
    assert desk.clearance_id == f"{CASE}.clearance2"


def test_a_refusal_because_the_debt_is_settled_ends_the_case() -> None:
    desk = Desk()
    desk.give(refused(desk.up_to_clearance(), 0))
    assert closed(desk) == ["cancelled_paid"]
    assert desk.noted(ClearanceNoted)[0].answer == "refused"


def test_a_refusal_for_another_reason_is_asked_again() -> None:
    desk = Desk()
    desk.give(refused(desk.up_to_clearance(), 12_000))
    assert closed(desk) == []
    desk.tick("2026-03-12T02:15:00Z")
    desk.give(granted(desk.clearance_id, "2026-03-12T02:16:00Z"))
    assert desk.command.action == "open"


def test_the_same_denial_is_recorded_once() -> None:
    desk = Desk()
    desk.up_to_clearance()
    desk.give(agreement(version=2, protected="life_support"))
    assert names(desk.tick("2026-03-12T02:16:00Z")) == ["InterlocksJudged"]
    assert desk.tick("2026-03-12T02:17:00Z") == []
    desk.give(agreement(version=3, meter_no="M2", protected="life_support"))
    assert names(desk.tick("2026-03-12T02:18:00Z")) == ["InterlocksJudged"]
    desk.give(agreement(version=4))
    assert names(desk.tick("2026-03-12T02:19:00Z")) == ["InterlocksJudged", "ClearanceAsked"]


def test_a_debt_that_grew_needs_a_new_notice() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    desk.give(balance(("INV1", 12_001, "2026-01-15")))
    noted = desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert [v.name for v in noted[-1].verdicts if not v.allows] == ["debt_is_the_noticed_one"]
    assert desk.commands == []


def test_a_case_whose_hour_has_not_come_waits_while_another_one_goes_on() -> None:
    desk = Desk()
    desk.know(usage_points=(POINT, "P2"))
    desk.open_case()
    desk.open_case(usage_point="P2", window_from_at="2026-03-13T02:00:00Z")
    desk.tick("2026-03-04T01:00:00Z")
    for number, point in (("r1", POINT), ("r2", "P2")):
        case = {"case_id": f"{ACCOUNT}.{number}", "usage_point": point}
        desk.ask("serve_notice", "server", **service("2026-03-04T01:00:00Z"), **case)
        desk.ask("approve", "reviewer", **case)
        desk.ask("approve", "unit_head", **case)
    desk.tick("2026-03-12T02:00:00Z")
    desk.ask("serve_final_notice", "server", **service("2026-03-12T02:00:00Z"), case_id=CASE)
    assert names(desk.tick("2026-03-12T02:30:00Z")) == ["InterlocksJudged", "ClearanceAsked"]
    assert desk.tick("2026-03-12T02:35:00Z")[1].case_id == CASE
    desk.tick("2026-03-12T06:00:00Z")
    assert [event.case_id for event in desk.noted(CaseClosed)] == [CASE]


def test_confirmed_without_a_state_read_back_is_unknown() -> None:
    desk = Desk()
    desk.up_to_command()
    assert desk.report("confirmed", "")[0].outcome == "unknown"
    assert closed(desk) == []
    desk.give(balance())
    desk.report("confirmed", "open")
    assert desk.command.action == "permit_close"
    assert desk.report("confirmed", "")[0].outcome == "unknown"
    assert names(desk.report("confirmed", "open")) == ["SwitchingNoted", "FieldTicketOpened"]

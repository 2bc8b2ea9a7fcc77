"""Keep-supply and load limits: judged, commanded, read back; and what they stop."""

from __future__ import annotations

import pytest

from services.control.events import (
    CommandIssued,
    FieldTicketOpened,
    InterlocksJudged,
    RequestRejected,
    SwitchingNoted,
)
from services.control.supply_reports import supply_outcome
from tests.unit.control.samples import IN_WINDOW, POINT, Desk, names

WHY = {"reason": "life support at home"}


def kept() -> Desk:
    """A point whose meter keeps the supply."""
    desk = Desk()
    desk.know()
    desk.ask("keep_supply", "server", **WHY)
    desk.report("confirmed", "kept")
    return desk


def test_keep_supply_is_judged_commanded_and_read_back() -> None:
    desk = Desk()
    desk.know()
    assert names(desk.ask("keep_supply", "server", **WHY)) == [
        "InterlocksJudged",
        "CommandIssued",
        "RequestTaken",
    ]
    topic, key, command = desk.outgoing[-1]
    assert (topic, key) == ("control.commands", POINT)
    assert (command.action, command.approvals) == ("keep_supply", ("server:chen",))
    assert command.valid_until_at == "2026-03-02T01:30:00Z"
    assert [v.name for v in command.verdicts] == [
        "no_case_unknown",
        "point_matches",
        "switching_method_remote",
    ]
    assert names(desk.report("confirmed", "kept")) == ["SwitchingNoted"]
    point = desk.account.points[POINT]
    assert (point.kept, point.relay, point.cut, point.tried) == (
        command.command_id,
        "",
        False,
        False,
    )


def test_nobody_cuts_a_point_that_is_kept_supplied() -> None:
    desk = kept()
    desk.open_case()
    (rejected,) = desk.noted(RequestRejected)
    assert rejected.problem == "not_kept_supplied: the point is kept supplied"


def test_a_point_that_is_kept_later_is_not_cut_in_its_window() -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.ask("keep_supply", "requester", **WHY)
    desk.report("confirmed", "kept")
    desk.serve_final()
    desk.tick(IN_WINDOW)
    verdicts = desk.noted(InterlocksJudged)[-1].verdicts
    assert [each.name for each in verdicts if not each.allows] == ["not_kept_supplied"]


def test_when_it_is_ended_the_point_may_be_cut_again() -> None:
    desk = kept()
    desk.ask("end_keep_supply", "unit_head", reason="moved to a hospital")
    assert desk.command.action == "keep_supply_off"
    desk.report("confirmed", "not_kept")
    assert desk.account.points[POINT].kept == ""
    desk.open_case()
    assert desk.noted(RequestRejected) == []


def test_while_the_outcome_is_unknown_nothing_else_is_commanded() -> None:
    desk = Desk()
    desk.know()
    desk.ask("keep_supply", "server", **WHY)
    desk.report("unknown")
    desk.report("unknown")
    assert [each.outcome for each in desk.noted(SwitchingNoted)] == ["unknown"]
    desk.ask("keep_supply", "server", **WHY)
    desk.open_case()
    told = [each.problem for each in desk.noted(RequestRejected)]
    assert told == ["no_case_unknown: its outcome is still to come"] * 2
    desk.report("confirmed", "kept")
    desk.report("not_confirmed", "not_kept")  # older news
    assert desk.account.points[POINT].kept == desk.command.command_id


def test_a_command_without_an_outcome_sends_somebody_to_look() -> None:
    desk = Desk()
    desk.know()
    desk.ask("keep_supply", "server", **WHY)
    assert names(desk.tick("2026-03-03T01:30:00Z")) == ["FieldTicketOpened"]
    assert desk.noted(FieldTicketOpened)[0].task == "read_relay"


def test_a_meter_that_does_not_obey_needs_somebody() -> None:
    desk = Desk()
    desk.know()
    desk.ask("keep_supply", "server", **WHY)
    desk.report("not_confirmed", "not_kept")
    (ticket,) = desk.noted(FieldTicketOpened)
    assert (ticket.task, ticket.reason) == ("keep_supply", "not_confirmed: ")
    assert desk.account.points[POINT].kept == ""


def test_a_load_limit_goes_to_a_crew_when_the_executor_has_no_frame() -> None:
    desk = Desk()
    desk.know()
    desk.ask("limit_load", "unit_head", limit_w="2000", **WHY)
    assert (desk.command.action, desk.command.limit_w) == ("limit_load", 2000)
    why = "action: no frame of DL/T 645 that limits a load is confirmed"
    desk.report("refused", reason=why)
    (ticket,) = desk.noted(FieldTicketOpened)
    assert (ticket.task, ticket.reason) == ("limit_load", f"refused: {why}")
    assert desk.account.points[POINT].under_way is None


def test_a_reconnection_waits_for_the_outcome_and_follows_it() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.ask("keep_supply", "server", **WHY)
    desk.ask("release_hold", "unit_head", reason="arrears", unit="collection")
    assert desk.command.action == "keep_supply"
    desk.report("confirmed", "kept")
    assert desk.command.action == "permit_close"
    assert desk.account.points[POINT].kept


def test_a_hold_lets_keep_supply_be() -> None:
    desk = Desk()
    desk.know()
    desk.ask("keep_supply", "server", **WHY)
    noted = desk.ask("place_hold", "server", reason="works")
    assert names(noted) == ["HoldPlaced", "FieldTicketOpened", "RequestTaken"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"limit_w": "2 kW"}, "limit_w: '2 kW' is no load"),
        ({"limit_w": "0"}, "limit_w: '0' is no load"),
        ({"limit_w": "10000001"}, "limit_w: '10000001' is no load"),
        ({"limit_w": "9" * 40}, "limit_w: '999"),
        ({"limit_w": ""}, "limit_w: it is missing"),
        ({"reason": ""}, "reason: it is missing"),
        ({"usage_point": "P9"}, "point_matches: the account has no such point"),
        ({"role": "server"}, "role: 'server' may not limit_load"),
    ],
)
def test_a_limit_that_is_none(changes: dict[str, str], problem: str) -> None:
    desk = Desk()
    desk.know()
    given = {"role": "reviewer", "limit_w": "2000", **WHY, **changes}
    desk.ask("limit_load", given.pop("role"), **given)
    assert desk.noted(RequestRejected)[0].problem.startswith(problem)
    assert desk.noted(CommandIssued) == []


@pytest.mark.parametrize(
    ("action", "outcome", "state", "proves"),
    [
        ("keep_supply", "confirmed", "kept", "confirmed"),
        ("keep_supply", "unknown", "kept", "confirmed"),
        ("keep_supply", "confirmed", "not_kept", "not_confirmed"),
        ("keep_supply_off", "confirmed", "not_kept", "confirmed"),
        ("keep_supply", "confirmed", "", "unknown"),
        ("keep_supply", "not_confirmed", "", "not_confirmed"),
        ("keep_supply", "refused", "", "refused"),
        ("limit_load", "confirmed", "", "unknown"),
        ("limit_load", "refused", "", "refused"),
    ],
)
def test_what_a_report_proves(action: str, outcome: str, state: str, proves: str) -> None:
    assert supply_outcome(action, outcome, state) == proves

"""Cases of accounts that pay ahead: from the first warning to the cut, and back by a top-up.

The account has a credit of 10.00; both warnings are due on 9 March and served on the 10th.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.control.events import (
    ArrearsNoted,
    CaseClosed,
    CaseOpened,
    ClearanceAsked,
    CommandCancelled,
    HoldPlaced,
    HoldReleased,
    InterlocksJudged,
    NoticeIssued,
    RequestRejected,
)
from services.control.prepaid import AvailableChanged, BalanceLow
from services.control.prepaid_events import AvailableNoted, WarningDue, WarningServed
from services.control.reactions import SignedTerms
from tests.unit.control.relay_law import RelayLaw
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    POINT,
    WINDOW_FROM,
    Desk,
    agreement,
    balance,
    captured,
    contact,
    granted,
    names,
    overdue,
    refused,
    service,
    weather,
    withdrawn,
)

SIGNED = SignedTerms(agreement_no="Y-1", signed_on="2026-01-01", credit_limit_fen=1_000)
DUE = "2026-03-09T04:00:00Z"
SERVED_AT = "2026-03-10T01:00:00Z"
BEFORE = "2026-03-11T08:00:00Z"
PREPAID = {"mode": "prepaid_remote", "prepaid": SIGNED}


def left(available_fen: int, until_on: str = "2026-03-11", **changes: Any) -> AvailableChanged:
    values: dict[str, Any] = {
        "account_no": ACCOUNT,
        "available_fen": available_fen,
        "estimate_until_on": until_on,
        "missing_days": 0,
        "estimated_days": 0,
        "warned": ("warn1", "warn2"),
        **changes,
    }
    return AvailableChanged(**values)


def low(stage: str, at: str = DUE) -> BalanceLow:
    return BalanceLow(
        account_no=ACCOUNT, stage=stage, available_fen=500, threshold_fen=2_000, as_of=at
    )


class PrepaidDesk(Desk):
    """A desk whose account pays ahead."""

    def warn(self, **changes: Any) -> None:
        """The agreement is known, and the account is warned twice."""
        self.give(agreement(**{**PREPAID, **changes}))
        self.give(balance())
        self.know_more()
        self.tick(DUE)
        self.give(left(500, "2026-03-09", warned=()))
        for stage in ("warn1", "warn2"):
            self.give(low(stage))
        self.tick(SERVED_AT)
        for stage in ("warn1", "warn2"):
            self.ask("serve_warning", "server", stage=stage, **service(SERVED_AT))
        self.tick(BEFORE)
        self.give(left(-1_001))

    def open_prepaid(self, **details: str) -> list[Any]:
        wanted = {"window_from_at": WINDOW_FROM, **details}
        return self.ask("request_prepaid_disconnect", "requester", **wanted)

    def to_clearance(self, **changes: Any) -> str:
        self.warn(**changes)
        self.open_prepaid()
        self.approve()
        self.tick(IN_WINDOW)
        return self.clearance_id

    def to_command(self) -> None:
        self.give(granted(self.to_clearance(), "2026-03-12T02:11:00Z"))

    def to_cut(self) -> None:
        self.to_command()
        self.report("confirmed", "open")


@pytest.fixture
def desk() -> PrepaidDesk:
    return PrepaidDesk()


def problem(events: list[Any]) -> str:
    (rejected,) = [each for each in events if isinstance(each, RequestRejected)]
    return rejected.problem


def outcomes(desk: Desk) -> list[str]:
    return [each.outcome for each in desk.noted(CaseClosed)]


def test_warnings_are_noted_and_served(desk: PrepaidDesk) -> None:
    desk.warn()
    assert [each.stage for each in desk.noted(WarningDue)] == ["warn1", "warn2"]
    served = desk.noted(WarningServed)
    assert {(each.stage, each.served_by) for each in served} == {
        ("warn1", "chen"),
        ("warn2", "chen"),
    }
    assert desk.give(low("zero")) == []
    assert desk.noted(AvailableNoted)[-1].available_fen == -1_001


@pytest.mark.parametrize(
    ("details", "text"),
    [
        ({"stage": "zero", **service(SERVED_AT)}, "no 'zero' is due"),
        ({"stage": "warn1", **service(SERVED_AT)}, "warn1 was served at"),
        ({"stage": "warn2", **service("2026-03-13T01:00:00Z")}, "is in the future"),
        ({"stage": "warn2", **service("2026-03-09T03:59:59Z")}, "when it became due"),
        ({"stage": "warn2", "served_at": SERVED_AT}, "channel: it is missing"),
        (service(SERVED_AT), "stage: it is missing"),
    ],
)
def test_a_warning_that_was_not_served_is_none(
    desk: PrepaidDesk, details: dict[str, str], text: str
) -> None:
    desk.warn()
    desk.give(low("warn2", "2026-03-09T04:00:00Z"))
    assert text in problem(desk.ask("serve_warning", "server", **details))


def test_the_whole_chain_to_the_cut_and_back(desk: PrepaidDesk) -> None:
    desk.to_clearance()
    (opened,) = desk.noted(CaseOpened)
    assert (opened.kind, opened.invoice_nos, opened.amount_fen) == ("prepaid_balance", (), 1)
    (issued,) = desk.noted(NoticeIssued)
    assert (issued.window_from_at, issued.amount_fen) == (WINDOW_FROM, 1)
    (asked,) = desk.noted(ClearanceAsked)
    assert (asked.kind, asked.invoice_nos) == ("prepaid_balance", ())
    desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z"))
    assert desk.command.action == "open"
    stages = [each.stage for each in desk.noted(InterlocksJudged)]
    assert stages == ["prepaid_request", "prepaid_before_clearance", "prepaid_before_command"]
    (hold,) = desk.noted(HoldPlaced)
    assert (hold.reason, hold.owner) == ("prepaid_balance", "collection")
    desk.report("confirmed", "open")
    assert outcomes(desk) == ["disconnected"]
    # 10.01 come: nothing is left, and the hold stays; then 0.01 more.
    desk.give(captured())
    desk.give(balance(prepayment_fen=5_000))
    desk.give(left(0, warned=("warn1", "warn2")))
    assert not desk.noted(HoldReleased)
    found = desk.give(left(1))
    assert "HoldReleased" in names(found)
    assert desk.command.action == "permit_close"
    law = RelayLaw()
    for event in desk.own:
        law.feed(event)
    assert law.opened_count == 1


def test_a_top_up_before_the_cut_ends_the_case(desk: PrepaidDesk) -> None:
    desk.warn()
    desk.open_prepaid()
    desk.approve()
    desk.give(left(-1_000))
    assert outcomes(desk) == ["cancelled_paid"]
    assert desk.tick(IN_WINDOW) == []


def test_money_while_the_command_is_under_way_stops_it(desk: PrepaidDesk) -> None:
    desk.to_command()
    desk.give(captured())
    desk.give(left(4_000, warned=()))
    (cancelled,) = desk.noted(CommandCancelled)
    assert cancelled.reason == "money_came"
    desk.report("refused")
    assert outcomes(desk) == ["cancelled_paid"]
    assert desk.account.points[POINT].holds == ()


def test_an_estimate_that_falls_stops_it_too(desk: PrepaidDesk) -> None:
    desk.to_command()
    desk.give(withdrawn(desk.clearance_id))
    desk.give(left(-900))
    desk.report("confirmed", "open")
    assert outcomes(desk)[0] == "crossed"
    assert desk.command.action == "permit_close"


def test_what_is_settled_at_the_fence_is_not_cut(desk: PrepaidDesk) -> None:
    desk.give(refused(desk.to_clearance(), 0))
    assert outcomes(desk) == ["cancelled_paid"]


def test_a_case_whose_terms_are_gone_is_not_paid(desk: PrepaidDesk) -> None:
    desk.to_command()
    found = desk.give(agreement(version=2))
    (cancelled,) = [each for each in found if isinstance(each, CommandCancelled)]
    assert cancelled.reason == "agreement_signed"
    desk.give(left(9_000))
    desk.report("refused")
    assert outcomes(desk) == ["cancelled"]


@pytest.mark.parametrize(
    ("change", "denied"),
    [
        ({"prepaid": None}, "agreement_signed"),
        ({"mode": "prepaid_local"}, "agreement_signed"),
        ({"protected": "life_support"}, "not_protected"),
        ({"category": "spaceport"}, "category_known"),
    ],
)
def test_who_may_not_be_cut(desk: PrepaidDesk, change: dict[str, Any], denied: str) -> None:
    desk.warn(**change)
    assert denied in problem(desk.open_prepaid())


def test_what_must_be_known(desk: PrepaidDesk) -> None:
    desk.warn()
    for told, denied in (
        (left(-1_000), "below_credit_limit"),
        (left(-1_001, missing_days=1, estimated_days=2), "estimate_was_read"),
        (left(-1_001, "2026-03-09"), "estimate_fresh"),
        (left(-1_001, ""), "estimate_fresh"),
        (left(-1_001, warned=("warn1",)), "warnings_served"),
    ):
        desk.give(told)
        assert denied in problem(desk.open_prepaid())


def test_a_second_fall_needs_warnings_of_its_own(desk: PrepaidDesk) -> None:
    desk.warn()
    desk.give(left(9_000, warned=()))
    desk.give(left(-1_500, warned=()))
    assert "warnings_served" in problem(desk.open_prepaid())
    desk.give(low("warn1", BEFORE))
    assert "nobody reported that warn1 was served" in problem(desk.open_prepaid())


def test_an_estimate_grown_old_denies_at_the_window(desk: PrepaidDesk) -> None:
    desk.warn()
    desk.give(left(-1_001, "2026-03-10"))
    desk.open_prepaid()
    desk.approve()
    desk.tick(IN_WINDOW)
    judged = desk.noted(InterlocksJudged)[-1]
    assert [each.name for each in judged.verdicts if not each.allows] == ["estimate_fresh"]
    assert not desk.noted(ClearanceAsked)
    desk.give(left(-1_001, "2026-03-12"))
    desk.tick("2026-03-12T02:20:00Z")
    assert desk.noted(ClearanceAsked)


def test_the_window_and_the_notices_of_others(desk: PrepaidDesk) -> None:
    desk.warn()
    assert "window_to_come" in problem(desk.open_prepaid(window_from_at="2026-03-11T02:00:00Z"))
    late = desk.open_prepaid(window_from_at=WINDOW_FROM, window_to_at="2026-03-12T20:00:00Z")
    assert "window_to_come" in problem(late)
    desk.open_prepaid()
    assert "no_other_case" in problem(desk.open_prepaid())
    assert "no notices" in problem(desk.ask("serve_notice", "server", **service(BEFORE)))
    assert "not approved" in problem(desk.ask("serve_final_notice", "server", **service(BEFORE)))


def test_without_a_balance_nothing_is_asked() -> None:
    desk = PrepaidDesk()
    desk.give(agreement(**PREPAID))
    found = problem(desk.open_prepaid())
    assert "below_credit_limit" in found
    assert "warnings_served" in found


def test_a_hold_that_came_along_ends_by_what_is_left(desk: PrepaidDesk) -> None:
    """Before payments said what is left, a prepayment without debts ends it (as ever)."""
    desk.to_cut()
    desk.give(balance(prepayment_fen=9_000))
    assert not desk.noted(HoldReleased), "estimates may have used it up"


def test_an_arrears_case_of_the_same_account_goes_its_own_way(desk: PrepaidDesk) -> None:
    desk.warn()
    desk.give(overdue())
    desk.open_case(window_from_at="2026-03-19T02:00:00Z")
    (opened,) = desk.noted(CaseOpened)
    assert (opened.kind, opened.invoice_nos) == ("arrears", ("INV1",))
    desk.give(left(90_000))
    assert outcomes(desk) == []
    assert desk.noted(ArrearsNoted)


def test_terms_of_another_day_are_not_in_force() -> None:
    desk = PrepaidDesk()
    late = replace(SIGNED, signed_on="2026-04-01")
    desk.warn(prepaid=late)
    assert "signed in the future" in problem(desk.open_prepaid())


def test_what_stops_any_cut_stops_this_one(desk: PrepaidDesk) -> None:
    desk.warn()
    desk.open_prepaid()
    desk.approve()
    desk.give(weather("storm"))
    desk.give(contact(reachable=False, told_at=BEFORE))
    desk.tick(IN_WINDOW)
    judged = desk.noted(InterlocksJudged)[-1]
    denied = {verdict.name for verdict in judged.verdicts if not verdict.allows}
    assert judged.stage == "prepaid_before_clearance"
    assert denied == {"no_weather_alarm", "meter_reachable"}


def test_a_storm_while_the_command_is_under_way_stops_it(desk: PrepaidDesk) -> None:
    desk.to_command()
    desk.give(weather("storm"))
    assert [each.reason for each in desk.noted(CommandCancelled)] == ["no_weather_alarm"]

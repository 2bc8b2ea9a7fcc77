"""Holds, locks, and the way back: closed once, for an empty set, when nobody locked the point."""

from __future__ import annotations

from itertools import permutations

import pytest

from services.control.events import (
    CaseClosed,
    FieldTicketOpened,
    HoldPlaced,
    HoldReleased,
    OpeningNoted,
    PointLocked,
    RequestRejected,
    SwitchingNoted,
)
from services.control.reactions import (
    AccountOpened,
    Opening,
    OpeningHold,
    OpeningReceivable,
    SwitchingReported,
)
from tests.unit.control.samples import (
    ACCOUNT,
    INV1,
    PAID_LATER,
    POINT,
    Desk,
    agreement,
    balance,
    granted,
    names,
    overdue,
)


def rejection(desk: Desk) -> str:
    return desk.noted(RequestRejected)[-1].problem


def tasks(desk: Desk) -> list[str]:
    return [ticket.task for ticket in desk.noted(FieldTicketOpened)]


def hold(desk: Desk, reason: str = "works", unit: str = "works") -> list[object]:
    return desk.ask("place_hold", "server", unit=unit, reason=reason, note="new cable")


def release(desk: Desk, reason: str = "works", unit: str = "works") -> list[object]:
    return desk.ask("release_hold", "server", unit=unit, reason=reason)


# -- holds of others ------------------------------------------------------------------------------


def test_works_are_isolated_on_site_and_closed_when_released() -> None:
    desk = Desk()
    desk.know()
    assert names(hold(desk)) == ["HoldPlaced", "FieldTicketOpened", "RequestTaken"]
    assert tasks(desk) == ["isolate"]
    assert desk.commands == []
    release(desk)
    assert desk.command.action == "permit_close"
    assert desk.command.command_id == f"{POINT}.{desk.command.seq}"
    desk.report("confirmed", "closed")
    assert desk.noted(CaseClosed) == [], "no case is behind it"


def test_a_payment_does_not_reclose_a_point_isolated_for_works() -> None:
    desk = Desk()
    desk.up_to_cut()
    hold(desk)
    assert tasks(desk) == [], "it is off already"
    desk.tick(PAID_LATER)
    assert names(desk.give(balance())) == ["ArrearsNoted", "HoldReleased"]
    assert len(desk.commands) == 1
    release(desk)
    assert desk.command.action == "permit_close"
    assert desk.command.case_id == f"{ACCOUNT}.r1"


def test_only_the_owner_releases() -> None:
    desk = Desk()
    desk.know()
    hold(desk)
    release(desk, unit="safety")
    assert "held by works, not by safety" in rejection(desk)
    release(desk, reason="vacated")
    assert "no hold 'vacated' is in force" in rejection(desk)
    hold(desk)
    assert "works holds the point for works already" in rejection(desk)
    hold(desk, unit="grid")
    release(desk)
    assert desk.commands == [], "the other works are not done"
    release(desk, unit="grid")
    assert len(desk.commands) == 1


def test_without_a_unit_the_person_owns_the_hold() -> None:
    desk = Desk()
    desk.know()
    hold(desk, unit="")
    assert desk.noted(HoldPlaced)[0].owner == "chen"


@pytest.mark.parametrize("reason", ["arrears", "prepaid_balance", "witchcraft", ""])
def test_people_do_not_place_the_holds_of_money(reason: str) -> None:
    desk = Desk()
    desk.know()
    hold(desk, reason=reason)
    assert "cannot be placed by a person" in rejection(desk)


def test_points_that_the_account_does_not_have() -> None:
    desk = Desk()
    desk.know()
    for action in ("place_hold", "release_hold", "lock_point", "unlock_point"):
        desk.ask(action, "server", usage_point="P9", reason="works")
        assert "has no point 'P9'" in rejection(desk)


def test_the_head_of_the_unit_releases_an_arrears_hold() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.ask("release_hold", "reviewer", unit="collection", reason="arrears")
    assert "arrears ends when the debt is settled" in rejection(desk)
    desk.ask("release_hold", "unit_head", unit="collection", reason="arrears")
    assert desk.command.action == "permit_close"


def test_releasing_the_hold_of_a_command_under_way_cancels_it() -> None:
    desk = Desk()
    desk.up_to_command()
    noted = desk.ask("release_hold", "unit_head", unit="collection", reason="arrears")
    assert names(noted) == ["HoldReleased", "CommandCancelled", "RequestTaken"]
    desk.report("refused")
    assert desk.noted(CaseClosed)[-1].outcome == "cancelled"


def test_a_point_under_another_hold_is_not_cut_for_arrears() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    hold(desk)
    noted = desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert [v.name for v in noted[-1].verdicts if not v.allows] == ["not_cut_already"]
    assert desk.commands == []


def test_works_that_came_and_went_while_an_open_command_was_under_way() -> None:
    desk = Desk()
    desk.up_to_command()
    hold(desk)
    release(desk)
    assert len(desk.commands) == 1
    desk.report("refused")
    assert desk.command.action == "permit_close", "what was isolated on site comes back"


# -- locks ----------------------------------------------------------------------------------------


def test_while_somebody_has_locked_the_point_nothing_closes_it() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.ask("lock_point", "server", person="wu")
    desk.ask("lock_point", "server", person="wu")
    assert "wu locked it already" in rejection(desk)
    desk.tick(PAID_LATER)
    desk.give(balance())
    assert len(desk.commands) == 1
    desk.ask("unlock_point", "server", person="sun")
    assert "sun has not locked it" in rejection(desk)
    desk.ask("unlock_point", "server", person="sun", locked_by="wu")
    assert "only wu removes this lock" in rejection(desk)
    desk.ask("unlock_point", "server", person="wu")
    assert desk.command.action == "permit_close"


def test_a_head_of_a_unit_removes_somebody_elses_lock() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.ask("lock_point", "server", person="wu")
    desk.ask("lock_point", "server", person="sun")
    desk.tick(PAID_LATER)
    desk.give(balance())
    desk.ask("unlock_point", "server", person="sun")
    assert len(desk.commands) == 1
    desk.ask("unlock_point", "unit_head", locked_by="wu")
    assert len(desk.commands) == 2
    lock = desk.noted(PointLocked)[-1]
    assert (lock.locked, lock.person, lock.asked_by) == (False, "wu", "zhao")


# -- closing --------------------------------------------------------------------------------------


def paid(desk: Desk) -> None:
    desk.up_to_cut()
    desk.tick(PAID_LATER)
    desk.give(balance())


def test_waiting_for_the_button_is_final() -> None:
    desk = Desk()
    paid(desk)
    noted = desk.report("waiting_for_button", "open")
    # the relay is read back open while the customer has not pressed the button
    assert [type(event).__name__ for event in noted] == ["SwitchingNoted", "CaseClosed"]
    assert desk.noted(CaseClosed)[-1].outcome == "reconnected"
    assert desk.report("waiting_for_button", "open") == []
    assert names(desk.report("confirmed", "closed")) == ["SwitchingNoted"]
    assert desk.report("waiting_for_button", "open") == []
    assert len(desk.commands) == 2
    assert desk.account.point(POINT).cut is False


@pytest.mark.parametrize("outcome", ["not_confirmed", "refused"])
def test_still_open_is_a_ticket_and_no_second_command(outcome: str) -> None:
    desk = Desk()
    paid(desk)
    state = "open" if outcome == "not_confirmed" else ""
    assert names(desk.report(outcome, state)) == ["SwitchingNoted", "FieldTicketOpened"]
    assert tasks(desk) == ["reconnect"]
    desk.give(balance(prepayment_fen=10))
    desk.tick("2026-03-20T00:00:00Z")
    assert len(desk.commands) == 2
    desk.ask("lock_point", "server")  # somebody works there, then gives it free again
    desk.ask("unlock_point", "server")
    assert len(desk.commands) == 3


def test_a_close_that_worked_late_after_all() -> None:
    desk = Desk()
    paid(desk)
    desk.report("not_confirmed", "open")
    assert names(desk.report("confirmed", "closed")) == ["SwitchingNoted", "CaseClosed"]
    noted = desk.report("not_confirmed", "open")
    assert noted[0].outcome == "found", "closed is over: this is a relay found open"
    assert desk.report("unknown") == []


def test_the_outcome_of_a_close_stays_unknown_and_is_not_repeated() -> None:
    desk = Desk()
    paid(desk)
    assert names(desk.report("unknown")) == ["SwitchingNoted"]
    assert desk.report("unknown") == []
    assert names(desk.tick("2026-03-14T03:30:00Z")) == ["FieldTicketOpened"]
    assert tasks(desk) == ["read_relay"]
    assert len(desk.commands) == 2


def test_a_hold_stops_a_close_that_is_under_way() -> None:
    desk = Desk()
    paid(desk)
    noted = hold(desk)
    assert names(noted) == ["HoldPlaced", "CommandCancelled", "RequestTaken"]
    assert noted[1].reason == "hold works"  # type: ignore[attr-defined]
    assert names(desk.report("refused")) == ["SwitchingNoted"]
    assert tasks(desk) == []
    release(desk)
    assert [command.action for command in desk.commands] == ["open", "permit_close", "permit_close"]


def test_a_lock_stops_a_close_that_is_under_way() -> None:
    desk = Desk()
    paid(desk)
    assert names(desk.ask("lock_point", "server")) == [
        "PointLocked",
        "CommandCancelled",
        "RequestTaken",
    ]
    desk.ask("unlock_point", "server")
    assert len(desk.commands) == 2, "the outcome of the cancelled one is still to come"
    desk.report("refused")
    assert len(desk.commands) == 3


def test_a_cancelled_close_that_closed_all_the_same_is_crossed() -> None:
    desk = Desk()
    paid(desk)
    hold(desk)
    noted = desk.report("confirmed", "closed")
    assert names(noted) == ["SwitchingNoted", "FieldTicketOpened"]
    assert noted[0].outcome == "crossed"
    assert tasks(desk) == ["isolate"]
    assert desk.report("confirmed", "closed") == []
    assert desk.report("waiting_for_button", "open") == []
    release(desk)
    assert len(desk.commands) == 2, "it is closed already"


def test_a_close_that_happened_under_a_lock_is_crossed() -> None:
    desk = Desk()
    paid(desk)
    desk.ask("lock_point", "server")
    desk.report("confirmed", "closed")
    assert desk.noted(SwitchingNoted)[-1].outcome == "crossed"
    assert tasks(desk) == ["isolate"]


def test_a_cancelled_close_whose_hold_is_gone_is_simply_closed() -> None:
    desk = Desk()
    paid(desk)
    hold(desk)
    release(desk)
    desk.report("confirmed", "closed")
    assert desk.noted(SwitchingNoted)[-1].outcome == "confirmed"
    assert len(desk.commands) == 2


def test_a_cancelled_close_that_stays_open_under_its_hold() -> None:
    desk = Desk()
    paid(desk)
    hold(desk)
    desk.report("not_confirmed", "open")
    assert tasks(desk) == ["reconnect"]


def test_a_point_that_is_no_longer_the_accounts_gets_a_ticket() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.give(agreement(version=2, usage_points=("P2",)))
    desk.tick(PAID_LATER)
    desk.give(balance())
    assert tasks(desk) == ["reconnect"]
    assert "no such point" in desk.noted(FieldTicketOpened)[0].reason
    assert len(desk.commands) == 1


# -- found ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_relay_found_otherwise_is_an_event_and_a_ticket(state: str) -> None:
    desk = Desk()
    desk.up_to_cut()
    found = {"command_id": "", "seq": 0, "action": ""}
    noted = desk.report("found", state, **found)
    assert names(noted) == ["SwitchingNoted", "FieldTicketOpened"]
    assert (noted[0].outcome, noted[0].state) == ("found", state)
    assert tasks(desk) == ["inspect_relay"]
    assert desk.report("found", state, **found) == [], "told again"
    desk.tick(PAID_LATER)
    desk.give(balance())
    assert len(desk.commands) == (2 if state == "open" else 1)


def test_a_relay_found_open_where_nothing_holds_it_is_not_closed_by_us() -> None:
    desk = Desk()
    desk.up_to_command()
    desk.report("refused")
    found = {"command_id": "", "seq": 0, "action": "", "reported_at": "2026-03-12T09:00:00Z"}
    desk.report("found", "open", **found)
    desk.give(balance())
    assert len(desk.commands) == 1
    assert desk.report("found", "", **found) == []


def test_reports_of_commands_that_are_not_ours_or_older() -> None:
    desk = Desk()
    paid(desk)
    first = desk.commands[0]
    assert desk.report("refused", command_id=first.command_id, seq=first.seq) == []
    noted = desk.report("confirmed", "open", command_id="forged", seq=desk.command.seq + 1)
    assert (noted[0].outcome, noted[0].reason) == ("found", "no command of ours: ")
    fresh = Desk()
    fresh.know()
    report = SwitchingReported(
        command_id="x",
        seq=1,
        account_no=ACCOUNT,
        usage_point="P7",
        action="open",
        outcome="confirmed",
        state="open",
        reason="",
        reported_at=PAID_LATER,
    )
    assert fresh.give(report)[0].outcome == "found"


def test_a_relay_that_opens_after_its_case_was_over_is_crossed() -> None:
    desk = Desk()
    desk.up_to_command()
    desk.report("not_confirmed", "closed")
    noted = desk.report("confirmed", "open")
    assert names(noted) == ["SwitchingNoted", "CaseClosed", "InterlocksJudged", "CommandIssued"]
    assert noted[0].outcome == "crossed"
    assert desk.command.action == "permit_close"


def test_a_relay_reported_closed_after_it_was_read_back_open() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.tick("2026-03-12T02:12:00Z")
    noted = desk.report("not_confirmed", "closed")
    assert [event.outcome for event in noted if isinstance(event, SwitchingNoted)] == ["found"]


# -- the opening ----------------------------------------------------------------------------------


def opening(*holds: tuple[str, str], debts: tuple[str, ...] = ("INV1",)) -> AccountOpened:
    return AccountOpened(
        opening=Opening(
            opening_id="o1",
            account_no=ACCOUNT,
            receivables=tuple(OpeningReceivable(invoice_no=number) for number in debts),
            holds=tuple(
                OpeningHold(usage_point=point, reason=reason, since_on="2025-12-01")
                for point, reason in holds
            ),
        )
    )


def test_holds_that_the_utility_brought_along() -> None:
    desk = Desk()
    noted = desk.give(opening((POINT, "arrears"), (POINT, "works")))
    assert names(noted) == ["OpeningNoted", "HoldPlaced", "HoldPlaced"]
    assert [event.owner for event in noted[1:]] == ["collection", "works"]
    assert desk.give(opening((POINT, "arrears"))) == [], "the same opening again"
    assert desk.noted(OpeningNoted)[0].hold_count == 2
    desk.give(agreement())
    # payments have not told of INV1 yet: this is no settlement
    desk.give(balance(("INV0", 5, "2025-12-01")))
    assert desk.noted(HoldReleased) == []
    desk.give(overdue(("INV0", 5, "2025-12-01"), INV1))
    desk.give(balance(INV1))
    assert desk.noted(HoldReleased) == []
    desk.give(balance())
    assert [event.reason for event in desk.noted(HoldReleased)] == ["arrears"]
    assert desk.commands == []
    release(desk)
    assert desk.command.action == "permit_close"


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_the_order_of_agreement_debts_and_opening_does_not_matter(order: tuple[int, ...]) -> None:
    inputs = (agreement(), overdue(), opening((POINT, "arrears")))
    desk, usual = Desk(), Desk()
    for index in order:
        desk.give(inputs[index])
    for body in inputs:
        usual.give(body)
    assert desk.account == usual.account
    desk.give(balance())
    assert desk.command.action == "permit_close"


def test_an_opening_without_holds_is_silent() -> None:
    assert Desk().give(opening()) == []


def test_arrears_without_debts_are_not_released_by_money() -> None:
    desk = Desk()
    desk.give(opening((POINT, "arrears"), debts=()))
    desk.give(agreement())
    desk.give(balance())
    assert desk.noted(HoldReleased) == []


def test_a_prepaid_hold_ends_with_credit() -> None:
    desk = Desk()
    desk.give(opening((POINT, "prepaid_balance")))
    desk.give(agreement())
    desk.give(balance(INV1, prepayment_fen=1))
    desk.give(balance())
    assert desk.noted(HoldReleased) == []
    desk.give(balance(prepayment_fen=1))
    assert desk.noted(HoldReleased)[0].released_by == "payments"
    assert desk.command.action == "permit_close"


def test_a_hold_for_an_unknown_reason_is_kept() -> None:
    desk = Desk()
    desk.give(opening((POINT, "witchcraft")))
    assert desk.noted(HoldPlaced)[0].owner == "unknown"
    desk.give(agreement())
    desk.give(balance(prepayment_fen=99))
    assert desk.commands == []


def test_a_payment_takes_the_hold_of_the_command_and_leaves_the_works() -> None:
    desk = Desk()
    desk.up_to_command()
    hold(desk)
    desk.give(balance())
    assert [held.reason for held in desk.account.point(POINT).holds] == ["works"]
    desk.report("confirmed", "open")
    assert desk.noted(CaseClosed)[-1].outcome == "crossed"
    assert len(desk.commands) == 1, "the works hold it off"
    release(desk)
    assert desk.command.action == "permit_close"

"""Payment at every step of a case; changed agreements; what no bug may let through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from services.control.core import PURE_MODULES, WRITTEN, make_core
from services.control.decide import due
from services.control.draft import Draft
from services.control.events import (
    AccountNoted,
    CaseClosed,
    CommandCancelled,
    FieldTicketOpened,
    HoldPlaced,
    InterlocksJudged,
)
from services.control.policy import DEFAULT_POLICY, Policy
from services.control.reactions import PointTerms
from services.control.state import Account
from services.control.switching import issue_open
from services.customers.events import catalogue as customers
from services.ingest.events import catalogue as ingest
from services.payments.core import catalogue as payments
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    PAID_LATER,
    POINT,
    Desk,
    agreement,
    balance,
    captured,
    granted,
    names,
    overdue,
    withdrawn,
)

CASE = f"{ACCOUNT}.r1"


def closed(desk: Desk) -> list[str]:
    return [event.outcome for event in desk.noted(CaseClosed)]


# -- payment at every step ------------------------------------------------------------------------


def after(step: int) -> Desk:
    """The chain up to a step; the last one is the grant that was just answered."""
    desk = Desk()
    steps: tuple[Callable[[], object], ...] = (
        desk.know,
        desk.open_case,
        desk.serve,
        lambda: desk.ask("approve", "reviewer"),
        lambda: desk.ask("approve", "unit_head"),
        desk.serve_final,
        lambda: desk.tick(IN_WINDOW),
    )
    for each in steps[: step + 1]:
        each()
    return desk


@pytest.mark.parametrize("step", range(1, 7))
def test_payment_before_the_command_ends_the_case(step: int) -> None:
    desk = after(step)
    assert closed(desk) == []
    desk.give(captured())
    desk.give(balance())
    assert closed(desk) == ["cancelled_paid"]
    if step == 6:
        assert desk.give(granted(desk.clearance_id, "2026-03-12T02:11:00Z")) == []
    desk.tick("2026-03-12T03:00:00Z")
    assert desk.commands == []
    assert desk.noted(HoldPlaced) == []


def test_a_part_of_the_debt_changes_nothing_before_the_command() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance()
    desk.give(captured())
    desk.give(balance(("INV1", 11_900, "2026-01-15")))
    desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert desk.command.action == "open"


def test_the_threshold_is_data() -> None:
    desk = Desk(make_core(policy=Policy(threshold_fen=100)))
    desk.up_to_clearance()
    desk.give(balance(("INV1", 100, "2026-01-15")))
    assert closed(desk) == ["cancelled_paid"]


@pytest.mark.parametrize("outcome", ["refused", "not_confirmed"])
def test_payment_after_the_command_cancels_it(outcome: str) -> None:
    desk = Desk()
    command = desk.up_to_command()
    noted = desk.give(balance())
    assert names(noted) == ["ArrearsNoted", "CommandCancelled", "HoldReleased"]
    cancelled = desk.outgoing[-1]
    assert cancelled[:2] == ("control.commands", POINT)
    assert cancelled[2] == CommandCancelled(
        command_id=command.command_id,
        seq=command.seq,
        account_no=ACCOUNT,
        usage_point=POINT,
        reason="paid",
    )
    assert closed(desk) == []
    desk.report(outcome, "closed")
    assert closed(desk) == ["cancelled_paid"]
    assert len(desk.commands) == 1
    tickets = [ticket.task for ticket in desk.noted(FieldTicketOpened)]
    assert tickets == ([] if outcome == "refused" else ["inspect_relay"])


@pytest.mark.parametrize("message", ["paid", "withdrawn", "captured"])
def test_a_relay_that_opens_all_the_same_is_crossed_and_closed_at_once(message: str) -> None:
    desk = Desk()
    desk.up_to_command()
    desk.report("unknown")
    desk.give(
        {"paid": balance(), "withdrawn": withdrawn(desk.clearance_id), "captured": captured()}[
            message
        ]
    )
    noted = desk.report("confirmed", "open")
    assert names(noted) == ["SwitchingNoted", "CaseClosed", "InterlocksJudged", "CommandIssued"]
    assert noted[0].outcome == "crossed"
    assert closed(desk) == ["crossed"]
    assert desk.command.action == "permit_close"
    desk.report("waiting_for_button", "open")
    assert closed(desk) == ["crossed", "reconnected"]


def test_money_that_does_not_settle_the_debt_lets_the_case_go_on() -> None:
    desk = Desk()
    desk.up_to_command()
    noted = desk.give(withdrawn(desk.clearance_id))
    assert names(noted) == ["ClearanceNoted", "CommandCancelled", "HoldReleased"]
    assert desk.give(captured()) == []
    desk.give(balance(("INV1", 500, "2026-01-15")))
    desk.report("refused")
    assert closed(desk) == []
    desk.tick("2026-03-12T02:20:00Z")
    assert desk.clearance_id == f"{CASE}.clearance2"
    desk.give(granted(desk.clearance_id, "2026-03-12T02:21:00Z"))
    assert [command.action for command in desk.commands] == ["open", "open"]
    assert desk.commands[1].seq > desk.commands[0].seq


def test_a_payment_then_the_withdrawal_of_the_same() -> None:
    desk = Desk()
    desk.up_to_command()
    desk.give(captured())
    assert names(desk.give(withdrawn(desk.clearance_id))) == ["ClearanceNoted"]
    assert len(desk.noted(CommandCancelled)) == 1


@pytest.mark.parametrize(
    ("at", "outcomes"),
    [
        ("2026-03-12T02:26:00Z", ["disconnected", "crossed"]),
        ("2026-03-12T02:26:01Z", ["disconnected"]),
    ],
)
def test_a_withdrawal_after_the_relay_was_read_back(at: str, outcomes: list[str]) -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.tick(at)
    desk.give(withdrawn(desk.clearance_id))
    assert closed(desk) == outcomes
    assert desk.give(withdrawn(desk.clearance_id)) == []
    assert len(desk.commands) == len(outcomes)


def test_withdrawal_and_confirmation_lead_to_the_same_in_either_order() -> None:
    first, second = Desk(), Desk()
    for desk in (first, second):
        desk.up_to_command()
    first.give(withdrawn(first.clearance_id))
    first.report("confirmed", "open")
    second.report("confirmed", "open")
    second.give(withdrawn(second.clearance_id))
    assert first.account.point(POINT) == second.account.point(POINT)
    assert first.command == second.command
    assert closed(first)[-1] == closed(second)[-1] == "crossed"


def test_part_payment_does_not_reconnect() -> None:
    desk = Desk()
    desk.up_to_cut()
    desk.tick(PAID_LATER)
    assert names(desk.give(balance(("INV1", 1, "2026-01-15")))) == ["ArrearsNoted"]
    assert names(desk.give(captured())) == []
    desk.give(balance(("INV2", 9_000, "2026-03-01")))  # another debt is another notice
    assert desk.command.action == "permit_close"


# -- the agreement changes ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"protected": "hospital"}, "not_protected"), ({"meter_no": "M2"}, "point_matches")],
)
def test_a_command_that_would_not_be_issued_now_is_not_sent(
    changes: dict[str, str], reason: str
) -> None:
    desk = Desk()
    desk.up_to_command()
    noted = desk.give(agreement(version=2, **changes))
    assert names(noted) == ["AccountNoted", "CommandCancelled", "HoldReleased"]
    assert noted[1].reason == reason
    assert names(desk.give(agreement(version=3, **changes))) == ["AccountNoted"]
    desk.report("refused")
    assert closed(desk) == ["cancelled"]


def test_a_harmless_change_lets_the_command_be() -> None:
    desk = Desk()
    desk.up_to_command()
    assert names(desk.give(agreement(version=2))) == ["AccountNoted"]


def test_points_that_are_gone_are_forgotten_unless_something_holds_them() -> None:
    desk = Desk()
    desk.give(agreement(usage_points=(POINT, "P2", "P3")))
    desk.ask("lock_point", "server", usage_point="P3")
    desk.give(agreement(version=2))
    assert sorted(desk.account.points) == [POINT, "P3"]
    assert desk.account.points["P3"].noted is None


def test_terms_take_effect_on_their_day() -> None:
    desk = Desk()
    published = agreement()
    later = replace(published.terms[0], valid_from_on="2026-03-11", protected="life_support")
    desk.give(replace(published, terms=(later, *published.terms)))
    desk.give(overdue())
    desk.know_more()
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.serve_final()
    noted = desk.tick(IN_WINDOW)
    assert [v.name for v in noted[0].verdicts if not v.allows] == ["not_protected"]


# -- the assertion --------------------------------------------------------------------------------


def broken(desk: Desk) -> list[tuple[str, object, object]]:
    """A case and a verdict with one thing wrong each."""
    case = desk.account.cases[CASE]
    judged = desk.noted(InterlocksJudged)[-1]
    clearance = case.clearance
    assert clearance is not None
    return [
        ("denied", case, replace(judged, allowed=False)),
        ("stage", case, replace(judged, stage="before_clearance")),
        ("case", case, replace(judged, case_id="other")),
        ("verdicts", case, replace(judged, verdicts=judged.verdicts[1:])),
        ("people", replace(case, unit_head="Wang"), judged),
        ("served", replace(case, served_at=""), judged),
        ("final", replace(case, final_served_at=""), judged),
        ("clearance", replace(case, clearance=None), judged),
        ("withdrawn", replace(case, clearance=replace(clearance, answer="withdrawn")), judged),
    ]


@pytest.mark.parametrize("index", range(9))
def test_no_open_command_leaves_without_the_whole_chain(index: int) -> None:
    desk = Desk()
    desk.up_to_command()
    _, case, judged = broken(desk)[index]
    draft = Draft(desk.account, ACCOUNT, IN_WINDOW, DEFAULT_POLICY)
    with pytest.raises(AssertionError):
        issue_open(draft, case, judged)  # type: ignore[arg-type]
    assert draft.emits == []


# -- no remote method, the unresolved, the core ---------------------------------------------------


def test_a_point_without_a_remote_method_gets_a_crew_after_the_same_chain() -> None:
    desk = Desk()
    clearance_id = desk.up_to_clearance(voltage="10kv", method="terminal_output")
    desk.give(granted(clearance_id, "2026-03-12T02:11:00Z"))
    assert desk.commands == []
    ticket = desk.noted(FieldTicketOpened)[0]
    assert (ticket.task, ticket.case_id) == ("disconnect", CASE)
    assert closed(desk) == ["field_ticket"]
    desk.tick(PAID_LATER)
    assert names(desk.give(balance())) == [
        "ArrearsNoted",
        "HoldReleased",
        "InterlocksJudged",
        "FieldTicketOpened",
    ]
    assert desk.noted(FieldTicketOpened)[1].task == "reconnect"
    assert desk.commands == []


def test_somebody_looks_when_the_outcome_stays_unknown() -> None:
    desk = Desk()
    command = desk.up_to_command()
    assert names(desk.report("unknown")) == ["SwitchingNoted"]
    assert desk.report("unknown") == []
    assert due(desk.account) == "2026-03-13T02:11:00Z"
    assert desk.tick("2026-03-13T02:10:59Z") == []
    assert names(desk.tick("2026-03-13T02:11:00Z")) == ["FieldTicketOpened"]
    assert due(desk.account) == ""
    assert desk.tick("2026-03-20T02:11:00Z") == []
    assert desk.noted(FieldTicketOpened)[0].task == "read_relay"
    assert desk.commands == [command], "never repeated"
    desk.report("confirmed", "open")
    assert closed(desk) == ["disconnected"]


@pytest.mark.parametrize("outcome", ["refused", "not_confirmed", "waiting_for_button"])
def test_a_relay_that_does_not_move_is_a_ticket_and_ends_the_case(outcome: str) -> None:
    desk = Desk()
    desk.up_to_command()
    noted = desk.report(outcome, "" if outcome == "refused" else "closed")
    assert names(noted) == ["SwitchingNoted", "HoldReleased", "FieldTicketOpened", "CaseClosed"]
    wanted = "refused" if outcome == "refused" else "not_confirmed"
    assert closed(desk) == [wanted]
    assert noted[0].outcome == wanted
    assert desk.report(outcome, "closed") == []


def test_the_core_names_its_modules_and_topics() -> None:
    core = make_core("hash")
    assert core.decider == "hash"
    assert WRITTEN == (
        "control.clearances",
        "control.commands",
        "control.permit_requests",
        "control.reconnections",
    )
    assert "services.control.interlocks" in PURE_MODULES
    assert core.inputs[0] == "control.requests"
    assert due(Account()) == ""


def test_foreign_types_are_what_their_owners_write() -> None:
    owners = {"customers": customers, "ingest": ingest, "payments": payments}
    for kind in make_core().catalogue.by_name.values():
        owner = owners.get(kind.name.split(".")[0])
        if kind.foreign and owner is not None:
            theirs = {field.name for field in fields(owner.by_name[kind.name].body)}
            ours = {field.name for field in fields(kind.body)}
            assert ours <= theirs, kind.name


# -- what customers publish -----------------------------------------------------------------------


def row(from_on: str, to_on: str, category: str = "industrial") -> PointTerms:
    return PointTerms(usage_point=POINT, category=category, from_on=from_on, to_on=to_on)


@pytest.mark.parametrize(
    ("rows", "from_on", "to_on", "category"),
    [
        ((row("2025-01-01", ""),), "2025-01-01", "", "industrial"),
        # a change of prices splits the rows, not the stay
        ((row("2026-04-01", ""), row("2025-01-01", "2026-04-01")), "2025-01-01", "", "industrial"),
        # residential from next month on: the longer notice counts now
        (
            (row("2025-01-01", "2026-04-01"), row("2026-04-01", "", "residential")),
            "2025-01-01",
            "",
            "residential",
        ),
        # residential until last month
        (
            (row("2025-01-01", "2026-02-01", "residential"), row("2026-02-01", "")),
            "2025-01-01",
            "",
            "industrial",
        ),
        # two stays: today's, else the last that began, else the next one
        (
            (row("2024-01-01", "2024-02-01"), row("2025-01-01", "2026-05-01")),
            "2025-01-01",
            "2026-05-01",
            "industrial",
        ),
        (
            (row("2024-01-01", "2024-02-01"), row("2027-01-01", "")),
            "2024-01-01",
            "2024-02-01",
            "industrial",
        ),
        ((row("2027-01-01", ""),), "2027-01-01", "", "industrial"),
        ((), "9999-12-31", "", ""),
    ],
)
def test_the_stay_of_a_point(
    rows: tuple[PointTerms, ...], from_on: str, to_on: str, category: str
) -> None:
    desk = Desk()
    desk.give(replace(agreement(), points=rows))
    point = desk.noted(AccountNoted)[0].points[0]
    assert point.area == "A1"
    assert (point.from_on, point.to_on, point.category) == (from_on, to_on, category)


def test_what_payments_never_told_of_is_not_settled() -> None:
    assert not Draft(Account(), ACCOUNT, IN_WINDOW, DEFAULT_POLICY).is_settled(("INV1",))
    told = Account(arrears_known=True)
    assert Draft(told, ACCOUNT, IN_WINDOW, DEFAULT_POLICY).is_settled(("INV1",))
    assert not Draft(told, ACCOUNT, IN_WINDOW, DEFAULT_POLICY).is_settled(())

"""Weather, contact, matches, disputes and protections: what is noted, and what it stops."""

from __future__ import annotations

import pytest

from services.control.events import (
    CaseClosed,
    CommandCancelled,
    CommandIssued,
    InterlocksJudged,
    RequestRejected,
)
from services.control.safety_events import (
    ContactNoted,
    DisputeNoted,
    MatchNoted,
    ProtectionNoted,
    WeatherNoted,
)
from services.control.safety_state import DISPUTES_MOST
from tests.unit.control.samples import (
    IN_WINDOW,
    START,
    Desk,
    agreement,
    contact,
    names,
    seen,
    weather,
)

DECISION = {"dispute_id": "d1", "decision": "dismissed", "reason": "the bill is right"}


def ready(**changes: object) -> Desk:
    """The whole chain but for the window."""
    desk = Desk()
    desk.know(**changes)
    desk.open_case()
    desk.serve()
    desk.approve()
    desk.serve_final()
    return desk


def denied(desk: Desk) -> list[str]:
    """What the last judgement was denied by."""
    verdicts = desk.noted(InterlocksJudged)[-1].verdicts
    return [verdict.name for verdict in verdicts if not verdict.allows]


# -- weather --------------------------------------------------------------------------------------


def test_an_alarm_holds_the_cut_up_until_it_is_over() -> None:
    desk = ready()
    desk.give(weather("storm", "A1", until_at="2026-03-12T02:20:00Z"))
    desk.tick(IN_WINDOW)
    assert denied(desk) == ["no_weather_alarm"]
    assert names(desk.tick("2026-03-12T02:15:00Z")) == []
    assert names(desk.tick("2026-03-12T02:20:00Z"))[-1] == "ClearanceAsked"


def test_an_alarm_of_another_area_stops_nobody() -> None:
    desk = ready()
    desk.give(weather("storm", "A2"))
    desk.tick(IN_WINDOW)
    assert denied(desk) == []


def test_a_later_statement_replaces_the_one_of_its_area() -> None:
    desk = ready()
    for alarm in ("storm", ""):
        desk.give(weather(alarm, "A1"))
    desk.tick(IN_WINDOW)
    assert denied(desk) == []
    assert [each.area for each in desk.fold.shared.weather] == ["", "A1"]


def test_what_is_over_is_forgotten_and_a_repetition_is_nothing() -> None:
    desk = Desk()
    desk.give(weather("fog", "A2", until_at=START))
    assert names(desk.give(weather("fog", "A2", until_at=START))) == []
    desk.give(weather())
    assert [each.area for each in desk.fold.shared.weather] == [""]
    assert len(desk.noted(WeatherNoted)) == 2


def test_an_alarm_stops_a_command_and_not_its_case() -> None:
    desk = Desk()
    desk.up_to_command()
    assert names(desk.give(weather("storm"))) == [
        "WeatherNoted",
        "CommandCancelled",
        "HoldReleased",
    ]
    assert desk.noted(CommandCancelled)[0].reason == "no_weather_alarm"
    desk.report("refused")
    assert desk.noted(CaseClosed) == []
    desk.give(weather())
    desk.tick("2026-03-12T02:20:00Z")
    assert len(desk.permits) == 3  # the second is asked for, the first was used


def test_the_weather_says_nothing_of_commands_that_it_does_not_stop() -> None:
    desk = Desk()
    desk.up_to_command()
    assert names(desk.give(weather("storm", "A2"))) == ["WeatherNoted"]


# -- the meter ------------------------------------------------------------------------------------


def test_a_silent_meter_is_not_cut() -> None:
    desk = ready()
    desk.give(contact(reachable=False, told_at="2026-03-11T00:00:00Z"))
    desk.tick(IN_WINDOW)
    assert denied(desk) == ["meter_reachable"]
    desk.give(contact(data_to_on="2026-03-11", told_at="2026-03-12T02:11:00Z"))
    assert names(desk.tick("2026-03-12T02:12:00Z"))[-1] == "ClearanceAsked"


def test_an_older_word_of_the_meter_is_none() -> None:
    desk = Desk()
    desk.give(contact(told_at="2026-03-03T00:00:00Z"))
    assert desk.give(contact(reachable=False)) == []
    assert desk.noted(ContactNoted)[0].reachable
    assert desk.account.points["P1"].contact is not None


def test_another_meter_is_neither_told_of_nor_seen() -> None:
    desk = ready()
    desk.give(contact(meter_no="M2", told_at="2026-03-11T00:00:00Z"))
    desk.tick(IN_WINDOW)
    assert denied(desk) == ["meter_reachable"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"verified_on": "2026-03-03"}, "verified_on: 2026-03-03 is in the future"),
        ({"verified_on": "soon"}, "verified_on: 'soon' is no date"),
        ({"verified_on": ""}, "verified_on: it is missing"),
        ({"meter_no": "M9"}, "meter_no: M9 is seen, M1 is installed as far as we know"),
        ({"meter_no": " "}, "meter_no: it is missing"),
        ({"evidence": ""}, "evidence: it is missing"),
        ({"usage_point": "P9"}, "meter_no: M1 is seen, nothing is installed as far as we know"),
    ],
)
def test_a_match_that_is_none(changes: dict[str, str], problem: str) -> None:
    desk = Desk()
    desk.give(agreement())
    (noted,) = desk.ask("verify_match", "server", **{**seen(), **changes})
    assert noted.problem.startswith(problem)
    assert desk.noted(MatchNoted) == []


# -- disputes -------------------------------------------------------------------------------------


def test_a_dispute_stops_the_cut_until_another_person_decides() -> None:
    desk = ready()
    desk.ask("raise_dispute", "server", reason="paid at the counter", request_id="d1")
    desk.tick(IN_WINDOW)
    assert denied(desk) == ["no_open_dispute"]
    desk.ask("decide_dispute", "reviewer", **DECISION)
    assert [each.state for each in desk.noted(DisputeNoted)] == ["raised", "dismissed"]
    assert names(desk.tick("2026-03-12T02:12:00Z"))[-1] == "ClearanceAsked"


def test_a_dispute_that_is_upheld_ends_the_case() -> None:
    desk = ready()
    desk.ask("raise_dispute", "server", reason="paid", request_id="d1")
    desk.ask("decide_dispute", "reviewer", **DECISION | {"decision": "upheld"})
    (closed,) = desk.noted(CaseClosed)
    assert (closed.outcome, closed.reason) == ("cancelled", "dispute d1 upheld")


def test_a_dispute_stops_a_command_whose_outcome_ends_the_case() -> None:
    desk = Desk()
    desk.up_to_command()
    desk.ask("raise_dispute", "server", reason="paid", request_id="d1")
    assert desk.noted(CommandCancelled)[0].reason == "no_open_dispute"
    desk.ask("decide_dispute", "reviewer", **DECISION | {"decision": "upheld"})
    assert desk.noted(CaseClosed) == []
    desk.report("refused")
    assert [each.outcome for each in desk.noted(CaseClosed)] == ["cancelled"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"dispute_id": "d2"}, "dispute_id: no dispute 'd2' is open"),
        ({"decision": "perhaps"}, "decision: 'perhaps' is none"),
        ({"person": " Chen"}, "person: raised the dispute"),
        ({"reason": ""}, "reason: it is missing"),
        ({"role": "server"}, "role: 'server' may not decide_dispute"),
    ],
)
def test_a_decision_that_is_none(changes: dict[str, str], problem: str) -> None:
    desk = Desk()
    desk.know()
    desk.ask("raise_dispute", "server", reason="paid", request_id="d1")
    given = {"role": "reviewer", **DECISION, **changes}
    (noted,) = desk.ask("decide_dispute", given.pop("role"), **given)
    assert noted.problem.startswith(problem)
    assert [each.dispute_id for each in desk.account.disputes] == ["d1"]


def test_disputes_are_bounded() -> None:
    desk = Desk()
    desk.know()
    for _ in range(DISPUTES_MOST + 1):
        desk.ask("raise_dispute", "server", reason="paid")
    (rejected,) = desk.noted(RequestRejected)
    assert rejected.problem.startswith("account_no: 8 disputes are open")


# -- protections ----------------------------------------------------------------------------------

SCHOOL = {"kind": "school", "until_on": "2026-03-12", "legal_basis": "in session"}


def test_a_protection_holds_to_the_end_of_its_last_day() -> None:
    desk = ready()
    desk.ask("protect", "unit_head", **SCHOOL)
    desk.tick(IN_WINDOW)
    assert denied(desk) == ["no_protection_in_force"]
    (noted,) = desk.noted(ProtectionNoted)
    assert (noted.approved_by, noted.legal_basis) == ("zhao", "in session")
    desk.ask("protect", "unit_head", **SCHOOL | {"until_on": "2026-03-11"})
    assert len(desk.account.protections) == 1
    assert names(desk.tick("2026-03-12T02:12:00Z"))[-1] == "ClearanceAsked"


def test_protections_of_two_kinds_stand_side_by_side_and_stop_a_command() -> None:
    desk = Desk()
    desk.up_to_command()
    desk.ask("protect", "reviewer", **SCHOOL | {"kind": "hardship", "until_on": "2026-03-01"})
    assert desk.noted(CommandCancelled) == []
    desk.ask("protect", "reviewer", **SCHOOL)
    assert [each.kind for each in desk.account.protections] == ["hardship", "school"]
    assert desk.noted(CommandCancelled)[0].reason == "no_protection_in_force"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"kind": "friend"}, "kind: 'friend' is none"),
        ({"until_on": "summer"}, "until_on: 'summer' is no date"),
        ({"legal_basis": " "}, "legal_basis: it is missing"),
    ],
)
def test_a_protection_that_is_none(changes: dict[str, str], problem: str) -> None:
    desk = Desk()
    desk.know()
    (noted,) = desk.ask("protect", "unit_head", **SCHOOL | changes)
    assert noted.problem.startswith(problem)


# -- the form of a notice -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"channel": "hearsay"}, "the channel is none of in_person, handed_over, registered_mail"),
        ({"evidence": "my word"}, "the evidence begins with none of photo, receipt, signature"),
    ],
)
def test_a_notice_without_its_form_ends_the_case(changes: dict[str, str], why: str) -> None:
    desk = Desk()
    desk.know()
    desk.open_case()
    desk.tick("2026-03-03T01:00:00Z")
    details = {"channel": "in person", "recipient": "the customer", "evidence": "photo 1"}
    details |= {"served_at": "2026-03-03T01:00:00Z", **changes}
    desk.ask("serve_notice", "server", **details)
    (closed,) = desk.noted(CaseClosed)
    assert closed.outcome == "refused"
    assert closed.reason.startswith(f"notice_in_form: {why}")


def test_what_is_told_before_the_agreement_counts_after_it() -> None:
    told = [contact(), weather()]
    early, late = Desk(), Desk()
    for body in (*told, agreement()):
        early.give(body)
    for body in (agreement(), *told):
        late.give(body)
    assert early.account == late.account
    assert early.fold.shared == late.fold.shared


def test_a_command_carries_what_was_judged() -> None:
    desk = Desk()
    desk.up_to_command()
    verdicts = {each.name: each.looked_at for each in desk.noted(CommandIssued)[0].verdicts}
    assert verdicts["meter_reachable"] == f"meter M1: M1 answers, told {START}"
    assert verdicts["match_verified"] == "meter M1: M1 verified on 2026-03-01 by chen"
    assert verdicts["no_weather_alarm"].startswith("weather: everywhere no alarm 2026-03-11")

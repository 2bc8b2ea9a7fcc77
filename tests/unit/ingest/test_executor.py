"""Whether a command is sent and what its outcome is: every check by name, every answer by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.core import Tick
from libs.events.effects import TooLate
from libs.events.errors import BadInput
from services.ingest.effect.core import PURE_MODULES, make_core
from services.ingest.effect.decide import (
    CHECKS,
    ReadBack,
    SendCommand,
    due,
    last_word,
)
from services.ingest.effect.policy import DEFAULT_POLICY, ExecutorPolicy
from services.ingest.effect.reactions import CommandCancelled
from services.ingest.effect.state import Place, evolve
from services.ingest.events import AttemptEnded, AttemptStarted, CommandRefused, PlaceNoted
from tests.unit.ingest.desk import POINT, at, meter, supply
from tests.unit.ingest.executor_desk import (
    FINAL_AT,
    ISSUED_AT,
    VALID_UNTIL,
    Executor,
    answer,
    command,
    not_sent,
)

# -- the checks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "changes", "detail"),
    [
        ("seq", {"seq": 0}, "seq 0 is not above 0"),
        ("action", {"action": "explode"}, "'explode' is no relay action"),
        ("clearance", {"clearance_id": ""}, "a disconnection without a clearance"),
        ("expired", {"valid_until_at": ISSUED_AT}, f"valid until {ISSUED_AT}, now {ISSUED_AT}"),
        ("supply", {"account_no": "A2"}, "account is A1 now, the command says A2"),
        ("supply", {"meter_no": "M2"}, "meter is M1 now, the command says M2"),
        ("supply", {"address": "9"}, "address is 000000000001 now, the command says 9"),
        (
            "supply",
            {"installed_from_at": at(1)},
            f"installation is {at(0)} now, the command says {at(1)}",
        ),
        ("supply", {"agreement_version": 2}, "agreement is 1 now, the command says 2"),
    ],
)
def test_every_check_refuses_by_its_name(check: str, changes: dict[str, Any], detail: str) -> None:
    assert check in CHECKS
    executor = Executor()
    own, request = executor.take(command(**changes))
    assert request is None
    assert own == [
        CommandRefused(
            command_id="C1",
            seq=changes.get("seq", 1),
            account_no=changes.get("account_no", "A1"),
            usage_point=POINT,
            meter_no=changes.get("meter_no", "M1"),
            action=changes.get("action", "open"),
            check=check,
            detail=detail,
        )
    ]
    assert executor.state.attempt is None


@pytest.mark.parametrize("method", ["field_ticket", "none", ""])
def test_a_point_without_a_remote_relay_is_refused(method: str) -> None:
    own, request = Executor(supply(switching_method=method)).take(command())
    assert request is None
    assert own[0].check == "switching_method"
    assert own[0].detail == f"switching method is {method or 'unknown'}"


def test_a_point_without_a_meter_is_refused() -> None:
    own, _ = Executor(supply(meter(to_at=at(5)))).take(command())
    assert (own[0].check, own[0].detail) == ("supply", "no meter is known at this point")
    executor = Executor()
    executor.state = None
    own, _ = executor.take(command())
    assert own[0].detail == "no meter is known at this point"


def test_a_reconnection_needs_no_clearance() -> None:
    own, request = Executor().take(command(action="permit_close", clearance_id=""), answer("open"))
    assert [type(event).__name__ for event in own] == ["AttemptStarted", "AttemptEnded"]
    assert isinstance(request, SendCommand)


def test_the_meter_that_stands_there_at_the_moment_of_sending_counts() -> None:
    """An exchange that is planned for later does not count yet; one that has happened does."""
    planned = supply(
        meter(to_at=at(10, 10)), meter("M2", from_at=at(10, 10), address="000000000002")
    )
    executor = Executor(planned)
    own, _ = executor.take(command(), answer("open"))
    assert isinstance(own[0], AttemptStarted)
    executor = Executor(planned)
    executor.as_of = at(10, 10)
    own, _ = executor.take(command(valid_until_at=at(10, 11)))
    assert own[0].detail == "meter is M2 now, the command says M1"


def test_an_older_supply_changes_nothing() -> None:
    executor = Executor(supply(version=5))
    assert executor.take(supply(version=5)) == ([], None)
    assert executor.take(supply(version=4, account_no="A0")) == ([], None)
    own, _ = executor.take(supply(version=6, agreement_version=2))
    assert isinstance(own[0], PlaceNoted)
    assert executor.state.noted.agreement_version == 2


# -- sending --------------------------------------------------------------------------------------


def test_a_fresh_command_is_written_then_sent_then_concluded() -> None:
    executor = Executor()
    own, request = executor.take(command(), answer("open"))
    assert request == SendCommand(
        command_id="C1",
        action="open",
        usage_point=POINT,
        meter_no="M1",
        protocol="dlt645_2007",
        line="tcp:127.0.0.1:6001",
        address="000000000001",
        valid_until_at=VALID_UNTIL,
        now_at=ISSUED_AT,
        policy=DEFAULT_POLICY,
    )
    assert own == [
        AttemptStarted(
            command_id="C1",
            seq=1,
            account_no="A1",
            usage_point=POINT,
            meter_no="M1",
            action="open",
            valid_until_at=VALID_UNTIL,
            protocol="dlt645_2007",
            line="tcp:127.0.0.1:6001",
            address="000000000001",
        ),
        AttemptEnded(
            command_id="C1",
            seq=1,
            account_no="A1",
            usage_point=POINT,
            meter_no="M1",
            action="open",
            outcome="confirmed",
            state="open",
            detail="seen",
            final=True,
            read_back_at="",
            frames=(">68", "<68"),
        ),
    ]
    assert executor.state.attempt is None
    assert executor.state.seq_max == 1


def test_after_a_crash_it_is_only_looked_at() -> None:
    executor = Executor()
    own, request = executor.take(command())
    assert isinstance(own[0], AttemptStarted)
    assert isinstance(request, SendCommand)
    own, request = executor.take(command(), answer("closed", accepted=None))
    assert request == ReadBack(
        usage_point=POINT,
        protocol="dlt645_2007",
        line="tcp:127.0.0.1:6001",
        address="000000000001",
        action="open",
    )
    assert [event.outcome for event in own] == ["unknown"]


@pytest.mark.parametrize(
    ("action", "state"), [("keep_supply", "kept"), ("keep_supply_off", "not_kept")]
)
def test_keep_supply_is_what_the_status_word_says(action: str, state: str) -> None:
    executor = Executor()
    own, request = executor.take(command(action=action, clearance_id=""), answer(state))
    assert (request.action, own[-1].outcome, own[-1].state) == (action, "confirmed", state)
    other = {"kept": "not_kept", "not_kept": "kept"}[state]
    executor = Executor()
    executor.take(command(action=action, clearance_id=""), answer(other))
    own, request = executor.tick(FINAL_AT, answer(other))
    assert (request.action, own[-1].outcome, own[-1].final) == (action, "not_confirmed", True)


def test_keep_supply_is_never_sent_after_its_time_or_beside_another() -> None:
    executor = Executor()
    executor.as_of = VALID_UNTIL
    own, request = executor.take(command(action="keep_supply"))
    assert (own[0].check, request) == ("expired", None)
    executor = Executor()
    executor.take(command(action="keep_supply"), answer(""))
    own, request = executor.take(command(command_id="C2", seq=2))
    assert (own[0].check, request) == ("attempt_open", None)


def test_a_load_limit_is_refused_by_name() -> None:
    own, request = Executor().take(command(action="limit_load"))
    assert (own[0].check, request) == ("action", None)
    assert own[0].detail == "no frame of DL/T 645 that limits a load is confirmed"


@pytest.mark.parametrize(
    ("wanted", "state", "outcome", "told"),
    [
        ("open", "open", "confirmed", "open"),
        ("close", "closed", "confirmed", "closed"),
        ("permit_close", "closed", "confirmed", "closed"),
        ("permit_close", "close_permitted", "waiting_for_button", "open"),
    ],
)
def test_a_relay_that_stands_as_asked_ends_the_command(
    wanted: str, state: str, outcome: str, told: str
) -> None:
    own, _ = Executor().take(command(action=wanted), answer(state))
    ended = own[1]
    assert (ended.outcome, ended.state, ended.final, ended.read_back_at) == (
        outcome,
        told,
        True,
        "",
    )


@pytest.mark.parametrize(
    ("wanted", "state"),
    [
        ("open", "closed"),
        ("open", "close_permitted"),
        ("open", ""),
        ("close", "open"),
        ("close", "close_permitted"),
        ("permit_close", "open"),
    ],
)
def test_any_other_state_is_unknown_until_the_frame_can_be_taken_no_more(
    wanted: str, state: str
) -> None:
    executor = Executor()
    own, _ = executor.take(command(action=wanted), answer(state))
    assert (own[1].outcome, own[1].final, own[1].read_back_at) == ("unknown", False, FINAL_AT)
    assert executor.tick(at(10, 9, 2)) == ([], None)
    own, request = executor.tick(FINAL_AT, answer(state, accepted=None))
    assert isinstance(request, ReadBack)
    if state:
        assert (own[0].outcome, own[0].final) == ("not_confirmed", True)
        assert executor.state.attempt is None
        assert due(executor.state) == ""
    else:
        assert (own[0].outcome, own[0].final) == ("unknown", False)


def test_a_meter_that_does_not_answer_is_looked_at_every_half_hour_until_it_does() -> None:
    executor = Executor()
    executor.take(command(), answer("", accepted=None))
    executor.tick(FINAL_AT, answer(""))
    assert due(executor.state) == at(10, 9, 3 + DEFAULT_POLICY.look_again_min)
    executor.tick(at(10, 9, 33), answer(""))
    own, _ = executor.tick(at(10, 10, 3), answer("open", accepted=None))
    assert (own[0].outcome, own[0].state, own[0].final) == ("confirmed", "open", True)
    looks = [event for event in executor.events if isinstance(event, AttemptEnded)]
    assert [event.outcome for event in looks] == ["unknown", "unknown", "unknown", "confirmed"]
    assert executor.state.attempt is None


def test_before_its_time_nobody_looks() -> None:
    executor = Executor()
    executor.take(command(), answer("closed"))
    assert executor.take(Tick(at=at(10, 9, 2))) == ([], None)


def test_a_look_after_the_frames_time_is_final_at_once() -> None:
    executor = Executor()
    executor.take(command())
    executor.as_of = at(10, 12)
    own, _ = executor.take(command(), answer("closed", accepted=None))
    assert (own[0].outcome, own[0].final) == ("not_confirmed", True)


@pytest.mark.parametrize("check", ["cancelled", "meter_clock", "meter_unreachable", "line_down"])
def test_what_was_not_sent_is_refused_and_over(check: str) -> None:
    executor = Executor()
    own, _ = executor.take(command(), not_sent(check))
    assert isinstance(own[1], CommandRefused)
    assert (own[1].check, own[1].detail, own[1].seq) == (check, "no", 1)
    assert executor.state.attempt is None
    own, _ = executor.take(command(command_id="C2", seq=2), answer("open"))
    assert own[1].outcome == "confirmed"


def test_too_long_between_the_written_attempt_and_the_wire_is_refused() -> None:
    executor = Executor()
    own, _ = executor.take(command(), TooLate(7.25))
    assert (own[1].check, own[1].detail) == (
        "too_late",
        "7.2 s passed between the written attempt and the wire",
    )
    assert executor.state.attempt is None


# -- one after another ----------------------------------------------------------------------------


def test_a_second_command_is_refused_while_one_is_unknown() -> None:
    executor = Executor()
    executor.take(command(), answer("closed"))
    own, request = executor.take(command(command_id="C2", seq=2, action="close"))
    assert request is None
    assert (own[0].check, own[0].detail) == (
        "attempt_open",
        "the outcome of C1 is not known yet",
    )
    assert executor.state.attempt.command_id == "C1"
    executor.tick(FINAL_AT, answer("closed"))
    own, _ = executor.take(command(command_id="C3", seq=3, valid_until_at=at(11)), answer("open"))
    assert own[1].outcome == "confirmed"


def test_a_seq_that_is_not_above_the_highest_known_is_refused() -> None:
    executor = Executor()
    executor.take(command(seq=7), answer("open"))
    own, _ = executor.take(command(command_id="C2", seq=7))
    assert (own[0].check, own[0].detail) == ("seq", "seq 7 is not above 7")
    own, _ = executor.take(command(command_id="C0", seq=3))
    assert own[0].check == "seq"
    assert executor.state.seq_max == 7
    executor.take(command(command_id="C8", seq=8, clearance_id=""))
    assert executor.state.seq_max == 8


def test_the_same_command_once_more_is_silent() -> None:
    executor = Executor()
    executor.take(command(), answer("open"))
    assert executor.take(command()) == ([], None)
    executor.take(command(command_id="C2", seq=2, clearance_id=""))
    assert executor.take(command(command_id="C2", seq=2, clearance_id="")) == ([], None)


def test_the_same_command_while_its_outcome_is_unknown_is_not_sent_again() -> None:
    executor = Executor()
    executor.take(command(), answer("closed"))
    assert executor.take(command()) == ([], None)


def test_a_cancellation_that_comes_in_its_turn_is_silent() -> None:
    executor = Executor()
    cancelled = CommandCancelled(command_id="C1", seq=1, usage_point=POINT, reason="paid")
    assert executor.take(cancelled) == ([], None)


# -- the meter goes -------------------------------------------------------------------------------


def test_a_meter_that_was_taken_away_ends_its_attempt_unconfirmed() -> None:
    executor = Executor()
    executor.take(command(), answer(""))
    executor.take(supply(meter(to_at=at(10, 9, 2)), meter("M2", from_at=at(10, 9, 2)), version=2))
    own, request = executor.tick(FINAL_AT)
    assert request is None
    assert (own[0].outcome, own[0].state, own[0].final) == ("not_confirmed", "", True)
    assert own[0].detail == "the meter was taken away"
    assert due(executor.state) == ""


def test_the_attempts_own_meter_is_looked_at_wherever_the_supply_points_now() -> None:
    executor = Executor()
    executor.take(command(), answer(""))
    executor.take(supply(meter(line="tcp:127.0.0.1:7000", address="000000000007"), version=2))
    _, request = executor.tick(FINAL_AT, answer("open"))
    assert (request.line, request.address) == ("tcp:127.0.0.1:6001", "000000000001")


def test_a_place_that_lost_all_its_meters_ends_its_attempt() -> None:
    executor = Executor()
    executor.take(command(), answer(""))
    executor.take(supply(meter(to_at=at(10, 9, 2)), version=2))
    own, _ = executor.tick(FINAL_AT)
    assert own[0].outcome == "not_confirmed"


# -- the last word --------------------------------------------------------------------------------


def told(commands: Any = (), supplies: Any = (), ticks: Any = ()) -> tuple[str, str]:
    return last_word("C1", VALID_UNTIL, commands, supplies, ticks)


def test_what_is_committed_and_not_decided_has_the_last_word() -> None:
    cancelled = CommandCancelled(command_id="C1", seq=1, usage_point=POINT, reason="money came")
    other = replace(cancelled, command_id="C0")
    assert told((command(), other), (), (Tick(at=ISSUED_AT),)) == ("", "")
    assert told((command(), cancelled)) == ("cancelled", "control cancelled it: money came")
    assert told((), (supply(version=2),))[0] == "supply"
    assert told((), (command(),)) == ("", "")
    assert told((), (), (Tick(at=ISSUED_AT), Tick(at=VALID_UNTIL))) == (
        "expired",
        f"valid until {VALID_UNTIL}, now {VALID_UNTIL}",
    )
    assert told((), (), (command(),)) == ("", "")


# -- the fold and the core ------------------------------------------------------------------------


def test_an_outcome_of_no_open_attempt_changes_nothing() -> None:
    executor = Executor()
    executor.take(command(), answer("closed"))
    unknown = executor.events[-1]
    assert isinstance(unknown, AttemptEnded)
    place = executor.state
    assert evolve(place, replace(unknown, command_id="C9")) is place
    executor.tick(FINAL_AT, answer("open"))
    assert evolve(executor.state, unknown) is executor.state


def test_a_refusal_of_another_command_leaves_the_attempt() -> None:
    executor = Executor()
    executor.take(command(), answer("closed"))
    executor.take(command(command_id="C2", seq=2))
    assert executor.state.attempt.command_id == "C1"


def test_what_is_not_ours_is_not_folded() -> None:
    place = Place()
    assert evolve(place, object()) is place


def test_the_core_is_put_together() -> None:
    core = make_core("hash")
    assert (core.own_topic, core.decider) == ("ingest.results", "hash")
    assert core.precedence == ("customers.supply", "calendar", "control.reconnections")
    assert set(core.inputs) == {*core.precedence, "control.commands"}
    assert "services.ingest.effect.decide" in PURE_MODULES
    assert core.due(Place()) == ""


def test_when_an_outcome_is_looked_at_is_policy() -> None:
    policy = ExecutorPolicy(clock_margin_min=5, look_again_min=10)
    executor = Executor(policy=policy)
    own, request = executor.take(command(), answer("", accepted=None))
    assert request.policy is policy
    assert own[1].read_back_at == at(10, 9, 6)
    assert executor.tick(at(10, 9, 5)) == ([], None)
    own, _ = executor.tick(at(10, 9, 6), answer(""))
    assert own[0].read_back_at == at(10, 9, 16)
    assert make_core("d", policy).decider.startswith("d+")
    with pytest.raises(BadInput, match="looks: 0 is out of range"):
        ExecutorPolicy(looks=0)

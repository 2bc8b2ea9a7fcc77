"""Random histories of everything: a relay never opens outside the allowed chain.

A state machine gives control's core any input in any order: right and wrong requests by anybody,
debts, payments, clearances (fresh, late, withdrawn), reports (right, late, contradictory), changed
agreements, jumps in time. What it records is checked by relay_law.py, which knows nothing of the
code that decides. Histories begin with some right steps, so that they get far.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from libs.events.core import Tick
from services.control.decide import due
from services.control.events import CommandIssued
from services.control.instant import hour_of, plus
from services.control.permit_events import PermitAsked
from services.control.safety_events import WeatherNoted
from services.control.state import Account, evolve_account
from tests.unit.control.relay_law import RelayLaw
from tests.unit.control.samples import (
    ACCOUNT,
    IN_WINDOW,
    PAID_LATER,
    POINT,
    SERVED,
    WINDOW_FROM,
    Desk,
    agreement,
    balance,
    capped,
    captured,
    contact,
    corrected,
    granted,
    overdue,
    refused,
    reserved,
    service,
    weather,
    withdrawn,
)

PERSONS = st.sampled_from(["wang", "li", "zhao", "chen", "Wang", ""])
ROLES = st.sampled_from(["requester", "reviewer", "unit_head", "server", "viewer"])
UNITS = st.sampled_from(["", "works", "collection"])
OUTCOMES = st.sampled_from(
    ["confirmed", "not_confirmed", "refused", "unknown", "waiting_for_button", "nonsense"]
)
STATES = st.sampled_from(["open", "closed", "", "kept", "not_kept"])
REACHED: Counter[str] = Counter()
"""How often each type of event occurred in all histories."""
MINUTES = st.sampled_from([0, 1, 5, 30, 60, 600, 1440, 3 * 1440, 9 * 1440])


class RelayMachine(RuleBasedStateMachine):
    """One account under everything that can happen to it."""

    def __init__(self) -> None:
        super().__init__()
        self.desk = Desk()
        self.law = RelayLaw()
        self.version = 1
        self.debts: dict[str, tuple[int, str]] = {}

    def give(self, body: Any) -> list[Any]:
        """One input, and everything that follows checked."""
        noted = self.desk.give(body)
        self.check(noted)
        return noted

    def check(self, noted: list[Any]) -> None:
        """What the last input led to obeys the law; the same input again has no effect."""
        for event in noted:
            self.law.feed(event)
            REACHED[type(event).__name__] += 1
        assert self.desk.give(self.desk.last) == [], "the same input again had an effect"

    def ask(self, action: str, role: str, **details: str) -> None:
        self.check(self.desk.ask(action, role, **details))

    def tell_balance(self) -> None:
        self.give(balance(*((name, fen, due_on) for name, (fen, due_on) in self.debts.items())))

    # -- time and facts ---------------------------------------------------------------------

    @rule(minutes=MINUTES)
    def time_passes(self, minutes: int) -> None:
        self.give(Tick(at=plus(self.desk.fold.as_of, minutes * 60)))

    @rule()
    def time_passes_to_the_next_deadline(self) -> None:
        at = due(self.desk.account)
        if at and at > self.desk.fold.as_of:
            self.give(Tick(at=at))

    @rule(
        protected=st.sampled_from(["", "", "", "hospital"]),
        category=st.sampled_from(["residential", "residential", "industrial", ""]),
        meter_no=st.sampled_from(["M1", "M1", "M2"]),
        voltage=st.sampled_from(["lt1kv", "lt1kv", "lt1kv", "10kv"]),
        points=st.sampled_from([(POINT,), (POINT, "P2"), (POINT, "P2"), ()]),
    )
    def the_agreement_changes(
        self, protected: str, category: str, meter_no: str, voltage: str, points: tuple[str, ...]
    ) -> None:
        self.version += 1
        self.give(
            agreement(
                version=self.version,
                protected=protected,
                category=category,
                meter_no=meter_no,
                voltage=voltage,
                usage_points=points,
            )
        )

    @rule(
        number=st.sampled_from(["INV1", "INV2"]), age=st.sampled_from(["2026-01-15", "2026-03-01"])
    )
    def a_debt_falls_due(self, number: str, age: str) -> None:
        self.debts[number] = (self.debts.get(number, (0, ""))[0] + 12_000, age)
        self.give(overdue(*((name, fen, due_on) for name, (fen, due_on) in self.debts.items())))

    @rule(part=st.sampled_from([1, 6_000, 10**9]))
    def money_comes(self, part: int) -> None:
        self.give(captured())
        for name, (fen, due_on) in sorted(self.debts.items()):
            taken = min(fen, part)
            part -= taken
            self.debts[name] = (fen - taken, due_on)
        self.debts = {name: row for name, row in self.debts.items() if row[0]}
        self.tell_balance()

    @rule(cap=st.booleans())
    def the_limit_stage_is_quick_or_slow(self, cap: bool) -> None:
        self.desk.cap = cap

    @precondition(lambda self: self.desk.permits)
    @rule(back=st.integers(min_value=0, max_value=2), hours=st.sampled_from([-1, 0, 0, 1]))
    def the_limit_stage_answers(self, back: int, hours: int) -> None:
        asked = [body for body in self.desk.permits if isinstance(body, PermitAsked)]
        permit_id = asked[-1 - min(back, len(asked) - 1)].permit_id
        hour_at = hour_of(plus(self.desk.fold.as_of, hours * 3600))
        answer = reserved if self.desk.cap else capped
        self.give(answer(permit_id, hour_at))

    @rule(decision=st.sampled_from(["", "approved", "approved", "refused"]))
    def metrology_finds(self, decision: str) -> None:
        self.give(corrected(decision))

    @rule(
        action=st.sampled_from(["keep_supply", "end_keep_supply", "limit_load"]),
        role=ROLES,
        person=PERSONS,
    )
    def anybody_keeps_the_supply(self, action: str, role: str, person: str) -> None:
        self.ask(action, role, person=person, reason="why not", limit_w="2000")

    @rule(alarm=st.sampled_from(["", "", "storm"]), area=st.sampled_from(["", "A1", "A2"]))
    def somebody_states_the_weather(self, alarm: str, area: str) -> None:
        now = self.desk.fold.as_of
        self.give(weather(alarm, area, from_at=plus(now, -60), until_at=plus(now, 80_000)))

    @rule(reachable=st.booleans(), meter_no=st.sampled_from(["M1", "M1", "M2"]))
    def ingest_tells_of_the_meter(self, reachable: bool, meter_no: str) -> None:
        now = self.desk.fold.as_of
        told = contact(reachable=reachable, meter_no=meter_no, data_to_on=now[:10], told_at=now)
        self.give(told)

    # -- people -----------------------------------------------------------------------------

    @rule(
        action=st.sampled_from(["raise_dispute", "decide_dispute", "protect", "verify_match"]),
        role=ROLES,
        person=PERSONS,
        days=st.integers(min_value=-1, max_value=1),
    )
    def anybody_doubts(self, action: str, role: str, person: str, days: int) -> None:
        disputes = [each.dispute_id for each in self.desk.account.disputes]
        day_on = plus(self.desk.fold.as_of, days * 86_400)[:10]
        details = {
            "reason": "why not",
            "dispute_id": disputes[0] if disputes else "none",
            "decision": "upheld" if days else "dismissed",
            "kind": "school",
            "until_on": day_on,
            "legal_basis": "term",
            "meter_no": "M1",
            "verified_on": day_on,
            "evidence": "photo",
        }
        self.ask(action, role, person=person, **details)

    @rule(
        action=st.sampled_from(
            ["approve", "approve_over_cap", "refuse", "cancel", "serve_final_notice"]
        ),
        role=ROLES,
        person=PERSONS,
        unit=UNITS,
    )
    def anybody_acts(self, action: str, role: str, person: str, unit: str) -> None:
        details = service(self.desk.fold.as_of) | {"reason": "why not"}
        self.ask(action, role, person=person, unit=unit, **details)

    @rule(role=ROLES, person=PERSONS, days=st.integers(min_value=0, max_value=40))
    def anybody_requests(self, role: str, person: str, days: int) -> None:
        day = plus(self.desk.fold.as_of, days * 86_400)[:10]
        self.ask("request_disconnect", role, person=person, window_from_at=f"{day}T02:00:00Z")

    @rule(role=ROLES, person=PERSONS, days=st.integers(min_value=-1, max_value=9))
    def anybody_serves(self, role: str, person: str, days: int) -> None:
        served_at = plus(self.desk.fold.as_of, -days * 86_400)
        self.ask("serve_notice", role, person=person, **service(served_at))

    @rule(
        action=st.sampled_from(["place_hold", "release_hold", "lock_point", "unlock_point"]),
        reason=st.sampled_from(["works", "safety_defect", "arrears"]),
        role=ROLES,
        person=PERSONS,
        unit=UNITS,
        point=st.sampled_from([POINT, "P2"]),
    )
    def anybody_holds(
        self, action: str, reason: str, role: str, person: str, unit: str, point: str
    ) -> None:
        self.ask(action, role, reason=reason, person=person, unit=unit, usage_point=point)

    # -- payments and ingest answer ---------------------------------------------------------

    def asked(self) -> list[str]:
        return [
            body.clearance_id
            for topic, _, body in self.desk.outgoing
            if topic == "control.clearances"
        ]

    @precondition(lambda self: self.asked())
    @rule(back=st.integers(min_value=0, max_value=2), seconds=st.sampled_from([-60, 0, 60, 4000]))
    def payments_grant(self, back: int, seconds: int) -> None:
        clearance_id = self.asked()[-1 - min(back, len(self.asked()) - 1)]
        self.give(granted(clearance_id, plus(self.desk.fold.as_of, seconds)))

    @precondition(lambda self: self.asked())
    @rule(back=st.integers(min_value=0, max_value=2), open_fen=st.sampled_from([0, 12_000]))
    def payments_say_no(self, back: int, open_fen: int) -> None:
        clearance_id = self.asked()[-1 - min(back, len(self.asked()) - 1)]
        self.give(refused(clearance_id, open_fen))

    @precondition(lambda self: self.asked())
    @rule(back=st.integers(min_value=0, max_value=2))
    def payments_withdraw(self, back: int) -> None:
        clearance_id = self.asked()[-1 - min(back, len(self.asked()) - 1)]
        self.give(withdrawn(clearance_id))

    @precondition(lambda self: self.desk.commands)
    @rule(back=st.integers(min_value=0, max_value=2), outcome=OUTCOMES, state=STATES)
    def ingest_reports(self, back: int, outcome: str, state: str) -> None:
        commands = self.desk.commands
        command = commands[-1 - min(back, len(commands) - 1)]
        changes = {"command_id": command.command_id, "seq": command.seq}
        self.check(
            self.desk.report(
                outcome, state, usage_point=command.usage_point, action=command.action, **changes
            )
        )

    @precondition(lambda self: self.desk.commands)
    @rule(state=STATES, point=st.sampled_from([POINT, "P2"]))
    def a_relay_is_found(self, state: str, point: str) -> None:
        self.check(self.desk.report("found", state, command_id="", seq=0, usage_point=point))

    # -- the right way ----------------------------------------------------------------------

    @initialize(steps=st.sampled_from([0, 2, 4, 6, 8, 8, 9, 9, 9, 10, 10]))
    def begin_well(self, steps: int) -> None:
        self.debts["INV1"] = (12_000, "2026-01-15")
        self.tell_balance()
        self.give(agreement())
        self.check(self.desk.know_more())
        desk = self.desk
        way = (
            lambda: self.ask("request_disconnect", "requester", window_from_at=WINDOW_FROM),
            lambda: self.give(Tick(at=SERVED)),
            lambda: self.ask("serve_notice", "server", **service(SERVED)),
            lambda: self.ask("approve", "reviewer"),
            lambda: self.ask("approve", "unit_head"),
            lambda: self.give(Tick(at="2026-03-12T01:00:00Z")),
            lambda: self.ask("serve_final_notice", "server", **service("2026-03-12T01:00:00Z")),
            lambda: self.give(Tick(at=IN_WINDOW)),
            lambda: self.give(granted(self.asked()[-1], plus(desk.fold.as_of, 60))),
            lambda: self.check(desk.report("confirmed", "open")),
        )
        for step in way[:steps]:
            step()

    # -- laws -------------------------------------------------------------------------------

    @invariant()
    def what_went_out_is_on_record(self) -> None:
        own = [event for event in self.desk.own if isinstance(event, CommandIssued)]
        assert own == self.desk.commands

    @invariant()
    def a_fold_of_the_record_gives_the_state(self) -> None:
        state = Account()
        for event in self.desk.own:
            if not isinstance(event, WeatherNoted):
                state = evolve_account(state, event)
        assert state == self.desk.fold.get(ACCOUNT)

    def teardown(self) -> None:
        """When everything is paid, released and unlocked, whatever was cut is on its way back."""
        self.give(Tick(at=max(self.desk.fold.as_of, PAID_LATER)))
        self.version += 1
        self.give(agreement(version=self.version, usage_points=(POINT, "P2")))
        self.debts = {}
        self.tell_balance()
        for name, point in sorted(self.desk.account.points.items()):
            for lock in point.locks:
                self.ask("unlock_point", "unit_head", usage_point=name, locked_by=lock)
            for hold in point.holds:
                self.ask(
                    "release_hold",
                    "unit_head",
                    unit=hold.owner,
                    usage_point=name,
                    reason=hold.reason,
                )
        for name, point in sorted(self.desk.account.points.items()):
            command = point.under_way
            if command is not None:
                report = {"command_id": command.command_id, "seq": command.seq}
                self.check(
                    self.desk.report(
                        "refused", "", usage_point=name, action=command.action, **report
                    )
                )
        account = self.desk.account
        assert account.cases == {}
        for point in account.points.values():
            assert point.holds == ()
            assert point.tried or not point.cut, "cut, and nobody is on the way"


TestRelay = RelayMachine.TestCase
TestRelay.settings = settings(
    max_examples=120,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


def test_the_histories_got_far() -> None:
    if not REACHED:  # run alone
        TestRelay("runTest").runTest()
    assert min(REACHED[kind] for kind in ("CommandIssued", "CommandCancelled", "HoldReleased")) > 9


# -- the law itself can fail ----------------------------------------------------------------------


def history() -> list[Any]:
    desk = Desk()
    desk.up_to_cut()
    desk.tick(PAID_LATER)
    desk.give(balance())
    desk.report("confirmed", "closed")
    return desk.own


def obeys(events: list[Any]) -> bool:
    law = RelayLaw()
    try:
        for event in events:
            law.feed(event)
    except (AssertionError, KeyError, TypeError, IndexError, AttributeError):
        return False
    return True


def test_the_law_is_kept_by_a_good_history() -> None:
    law = RelayLaw()
    for event in history():
        law.feed(event)
    assert (law.opened_count, law.closed_count) == (1, 1)


NEEDED = (
    "AccountNoted",
    "ArrearsNoted",
    "CaseOpened",
    "NoticeIssued",
    "NoticeServed",
    "ApprovalGiven",
    "PermitAsked",
    "PermitNoted",
    "ClearanceAsked",
    "ClearanceNoted",
    "HoldPlaced",
)


@pytest.mark.parametrize("kind", NEEDED)
def test_the_law_misses_every_step_that_is_left_out(kind: str) -> None:
    events = history()
    places = [index for index, event in enumerate(events) if type(event).__name__ == kind]
    command = next(i for i, event in enumerate(events) if isinstance(event, CommandIssued))
    for place in places:
        if place < command:
            assert not obeys(events[:place] + events[place + 1 :]), (kind, place)


CHANGES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("CaseOpened", {"requested_by": "LI"}),
    ("ArrearsNoted", {"open_fen": (0,)}),
    ("ArrearsNoted", {"open_fen": (12_001,)}),
    ("ArrearsNoted", {"due_on": ("2026-02-10",)}),
    ("NoticeIssued", {"window_from_at": "2026-03-12T02:10:01Z"}),
    ("NoticeIssued", {"window_to_at": IN_WINDOW}),
    ("NoticeIssued", {"expires_at": IN_WINDOW}),
    ("NoticeServed", {"served_at": "2026-03-05T02:00:01Z"}),
    ("NoticeServed", {"served_at": "2026-02-25T02:09:59Z"}),
    ("NoticeServed", {"evidence": ""}),
    ("ApprovalGiven", {"person": "wang"}),
    ("ClearanceNoted", {"answer": "refused"}),
    ("ClearanceNoted", {"valid_until_at": "2026-03-12T02:10:59Z"}),
    ("PermitNoted", {"answer": "refused"}),
    ("PermitNoted", {"hour_at": "2026-03-12T01:00:00Z"}),
    ("PermitEnded", {"command_id": ""}),
    ("CommandIssued", {"seq": 0}),
    ("CommandIssued", {"meter_no": "M2"}),
    ("CommandIssued", {"agreement_version": 9}),
    ("CommandIssued", {"fence_offset": 8}),
    ("CommandIssued", {"verdicts": ()}),
    ("CommandIssued", {"approvals": ()}),
    ("CommandIssued", {"switching_method": "field_ticket"}),
)


@pytest.mark.parametrize(("kind", "changes"), CHANGES)
def test_the_law_sees_every_altered_fact(kind: str, changes: dict[str, Any]) -> None:
    events = history()
    place = next(i for i, event in enumerate(events) if type(event).__name__ == kind)
    events[place] = replace(events[place], **changes)
    assert not obeys(events)


def test_the_law_sees_a_close_under_a_hold() -> None:
    events = history()
    released = next(i for i, e in enumerate(events) if type(e).__name__ == "HoldReleased")
    assert not obeys(events[:released] + events[released + 1 :])

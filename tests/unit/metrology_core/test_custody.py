"""Devices and seals: moved or refused with the reason, by people, the register and verdicts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.metrology.events import (
    CaseRejected,
    CorrectionProposed,
    DeviceMoved,
    MeterJudged,
    MoveRejected,
    SealBrokenFound,
    SealCaseClosed,
    SealMoved,
    SealRejected,
)
from services.metrology.state import Entry
from tests.unit.metrology_core.lab import (
    Lab,
    decision,
    fast,
    meter,
    move,
    run,
    seal,
    use,
)

DELIVERY = {"accuracy_class": "1", "connection": "direct"}
STORED = (move("receive", "2026-01-01", **DELIVERY), move("accept", "2026-01-02"))


def where(made: Lab) -> tuple[str, str, str]:
    device = made.meter.device
    assert device is not None
    return device.state, device.place, device.since_at


def moves(made: Lab) -> list[tuple[str, str, str, str]]:
    """What moved it, from which state, how, and to which."""
    return [
        (each.source, each.before, each.move.action, each.device.state)
        for each in made.of(DeviceMoved)
    ]


# -- requests -------------------------------------------------------------------------------------


def test_a_device_goes_through_the_store() -> None:
    made = Lab()
    found = made.feed(
        *STORED,
        move("reserve", "2026-01-03", place="order 7"),
        move("install", "2026-01-04", place="P1"),
        move("remove", "2026-01-05", place="van 3"),
        move("scrap", "2026-01-06", place="yard"),
    )
    assert [type(body) for body in found] == [DeviceMoved] * 6
    assert where(made) == ("scrapped", "yard", "2026-01-06T02:00:00Z")
    assert made.meter.device is not None
    assert made.meter.device.moves == 6
    made.check_folds()


@pytest.mark.parametrize(
    ("given_one", "field", "problem"),
    [
        (move("scrap", "2026-01-03"), "action", "'scrap' of a device that is stock since"),
        (move("paint", "2026-01-03"), "action", "'paint' is unknown"),
        (move("reserve", "2026-01-01"), "at", "2026-01-01T02:00:00Z is before"),
        (move("reserve", "2026-01-03", by=""), "by", "is empty"),
        (move("reserve", "2026-01-03", device_no="M2"), "device_no", "'M2' is not 'M1'"),
        (move("reserve", "2026-01-03", accuracy_class="1"), "accuracy_class", "stands without"),
        (move("reserve", "2026-01-03", **DELIVERY), "accuracy_class", "comes with a delivery"),
        (
            move("receive", "2026-01-03", accuracy_class="one", connection="ct"),
            "reference_class",
            "'one' is no",
        ),
        (
            move("receive", "2026-01-03", accuracy_class="1", connection="odd"),
            "connection",
            "'odd' is unknown (use direct or ct)",
        ),
    ],
)
def test_a_move_that_cannot_be_is_rejected(given_one: Any, field: str, problem: str) -> None:
    made = Lab()
    made.feed(*STORED)
    before = made.meter
    (rejected,) = made.feed(given_one)
    assert isinstance(rejected, MoveRejected)
    assert (rejected.state, rejected.field) == ("stock", field)
    assert rejected.problem.startswith(problem), rejected.problem
    assert made.meter == before


def test_a_device_that_nobody_received_moves_nowhere() -> None:
    made = Lab()
    (rejected,) = made.feed(move("reserve"))
    assert (rejected.state, rejected.field) == ("", "action")


def test_a_repeated_request_is_silent_and_another_of_the_same_kind_is_not() -> None:
    made = Lab()
    made.feed(*STORED)
    again = move("relocate", "2026-01-03", place="shelf 2")
    assert len(made.feed(again, again)) == 1
    assert len(made.feed(move("relocate", "2026-01-04", place="shelf 3"), again)) == 1
    assert where(made)[1] == "shelf 3"


# -- verdicts -------------------------------------------------------------------------------------


def test_a_delivered_meter_that_fails_is_rejected_without_a_case() -> None:
    """Nobody installed it: it is judged by the class of its delivery."""
    made = Lab()
    made.feed(STORED[0], fast())
    assert moves(made) == [
        ("request", "", "receive", "new"),
        ("verdict", "new", "reject", "rejected"),
    ]
    assert made.of(DeviceMoved)[-1].move.reason == "run B1-0001: fail"
    assert made.of(CorrectionProposed) == []
    assert where(made) == ("rejected", "B1", "2026-03-01T02:00:00Z")
    made.check_folds()


def test_a_delivered_meter_that_passes_goes_to_stock_and_waits_for_its_delivery() -> None:
    made = Lab()
    made.feed(run())
    assert made.meter.device is None
    made.feed(STORED[0])
    assert len(made.of(MeterJudged)) == 1
    assert where(made)[0] == "stock"


def test_a_verdict_before_the_last_move_moves_nothing() -> None:
    made = Lab()
    made.feed(STORED[0], move("accept", "2026-03-05"), fast())
    assert where(made)[0] == "stock"


def test_what_was_not_judged_moves_nothing() -> None:
    made = Lab()
    made.feed(STORED[0], fast(accuracy_class="2"))
    assert where(made)[0] == "new"


def test_a_removed_meter_that_fails_is_rejected_and_its_place_gets_a_case() -> None:
    made = Lab()
    made.feed(meter(use(to_on="2026-02-20", removed_on="2026-02-20")), fast())
    assert moves(made) == [
        ("register", "", "install", "installed"),
        ("register", "installed", "remove", "removed"),
        ("verdict", "removed", "reject", "rejected"),
    ]
    assert [each.account_no for each in made.of(CorrectionProposed)] == ["A1"]


def test_an_installed_meter_that_fails_stays_where_it_is_until_it_is_removed() -> None:
    made = Lab()
    made.feed(meter(), fast())
    assert where(made)[:2] == ("installed", "P1")
    made.feed(move("remove", "2026-03-04"))
    assert where(made)[0] == "removed"


# -- the register of meters -----------------------------------------------------------------------


def test_the_register_installs_what_was_reserved() -> None:
    made = Lab()
    made.feed(*STORED, move("reserve", "2026-01-03"), meter(use(from_on="2026-02-01")))
    assert moves(made)[-1] == ("register", "reserved", "install", "installed")
    assert where(made) == ("installed", "P1", "2026-01-31T16:00:00Z")


def test_what_the_register_says_is_so_though_nobody_reserved_it() -> None:
    made = Lab()
    made.feed(*STORED, meter(use(from_on="2026-02-01")))
    assert moves(made)[-1] == ("register", "stock", "install", "installed")


def test_a_meter_stays_when_the_account_moves_out_or_the_ratio_changes() -> None:
    made = Lab()
    made.feed(meter(use(to_on="2025-01-01")))
    made.feed(meter(use("P1", "A2", "2025-02-01", "2025-06-01", "2025-06-01"), account="A2"))
    # Another ratio: taken away and put back at one instant.
    made.feed(
        meter(
            use("P1", "A2", "2025-02-01", "2025-03-01", "2025-03-01"),
            use("P1", "A2", "2025-03-01"),
            account="A2",
            version=2,
        )
    )
    assert moves(made) == [
        ("register", "", "install", "installed"),
        ("register", "installed", "remove", "removed"),
    ]


def test_what_the_store_knew_already_is_no_news() -> None:
    """The crew told it was taken away an hour before the register did."""
    made = Lab()
    made.feed(meter(), move("remove", "2026-01-01", at="2026-01-01T01:00:00Z"))
    told = len(made.of(DeviceMoved))
    made.feed(meter(use(to_on="2026-01-02", removed_on="2026-01-02"), version=2))
    assert len(made.of(DeviceMoved)) == told
    assert where(made) == ("removed", "shelf 1", "2026-01-01T01:00:00Z")


def test_a_meter_that_appears_elsewhere_was_taken_away_before() -> None:
    made = Lab()
    made.feed(meter(use(to_on="2025-01-01"), use("P2", from_on="2025-03-01")))
    assert [(each[2], each[3]) for each in moves(made)] == [
        ("install", "installed"),
        ("remove", "removed"),
        ("install", "installed"),
    ]
    assert made.of(DeviceMoved)[1].move.at == "2025-02-28T16:00:00Z"


NOTES = (
    meter(use("P1", "A1", "2024-01-01", "2024-06-01", "2024-06-01")),
    meter(use("P2", "A2", "2024-06-01", "2025-01-01", "2025-03-01"), account="A2"),
    meter(use("P2", "A3", "2025-01-01", "2025-03-01", "2025-03-01"), account="A3"),
    meter(use("P3", "A4", "2025-04-01"), account="A4"),
    move("receive", "2023-12-01", **DELIVERY),
    fast(measured_at="2025-03-15T02:00:00Z"),
)


@settings(max_examples=80, deadline=None)
@given(st.permutations([*NOTES, NOTES[1], NOTES[5]]))
def test_where_a_meter_is_in_the_end_does_not_depend_on_the_order(order: list[Any]) -> None:
    made = Lab()
    made.feed(*order)
    made.check_folds()
    # A delivery that is entered after an installation is told that it cannot be.
    assert where(made) == ("installed", "P3", "2025-03-31T16:00:00Z")


# -- seals ----------------------------------------------------------------------------------------


def trail(made: Lab, key: str = "S1") -> Any:
    entry = made.fold.get(key)
    assert isinstance(entry, Entry)
    assert entry.trail is not None
    return entry.trail


APPLIED = (seal("issue", "2025-01-01"), seal("apply", "2025-01-02"))


def test_a_seal_is_applied_once_and_never_again() -> None:
    made = Lab()
    found = made.feed(*APPLIED, seal("remove", "2025-02-01"), key="S1")
    assert [type(body) for body in found] == [SealMoved] * 3
    (rejected,) = made.feed(seal("apply", "2025-03-01", device_no="M2"), key="S1")
    assert (rejected.rule, rejected.problem) == (
        "used_again",
        "apply of a seal that is removed since 2025-02-01T02:00:00Z on M1",
    )
    assert trail(made).seal.applications == 1
    made.check_folds()


@pytest.mark.parametrize(
    ("given_one", "rule"),
    [
        (seal("issue", "2025-03-01"), "used_again"),
        (seal("hand_over", "2025-03-01"), "used_again"),
        (seal("remove", "2025-03-01", device_no="M9"), "other_device"),
        (seal("remove", "2024-03-01"), "before_last"),
        (seal("remove", "2025-03-01", reason=""), "wrong_entry"),
        (seal("remove", "2025-03-01", seal_no="S9"), "wrong_entry"),
    ],
)
def test_an_entry_that_cannot_be_is_rejected(given_one: Any, rule: str) -> None:
    made = Lab()
    made.feed(*APPLIED, key="S1")
    before = trail(made)
    (rejected,) = made.feed(given_one, key="S1")
    assert isinstance(rejected, SealRejected)
    assert rejected.rule == rule
    assert trail(made) == before


def test_a_seal_that_nobody_issued_is_rejected_and_leaves_nothing() -> None:
    made = Lab()
    (rejected,) = made.feed(seal("apply"), key="S7")
    assert rejected.rule == "wrong_entry"
    (rejected,) = made.feed(seal("apply", seal_no="S7"), key="S7")
    assert rejected.rule == "never_issued"
    assert made.fold.get("S7") is None


def test_a_repeated_entry_is_silent() -> None:
    made = Lab()
    assert len(made.feed(*APPLIED, *APPLIED, key="S1")) == 2


def test_a_seal_and_a_meter_may_bear_one_number() -> None:
    made = Lab()
    made.feed(meter(), seal("issue", seal_no="M1"))
    assert trail(made, "M1").seal.state == "held"
    assert made.meter.notes


# -- broken seals ---------------------------------------------------------------------------------


def test_a_broken_seal_is_a_case_of_its_meter_and_account() -> None:
    made = Lab()
    made.feed(meter(use(to_on="2025-06-01"), use("P2", from_on="2025-06-01")))
    made.feed(*APPLIED, seal("break", "2026-02-01"), key="S1")
    (found,) = made.of(SealBrokenFound)
    assert (found.case_id, found.usage_point, found.account_no) == ("seal/S1", "P2", "A1")
    assert (found.broken.device_no, found.broken.location, found.broken.found_by) == (
        "M1",
        "terminal cover",
        "li",
    )
    assert made.log[-1][0] == "M1"  # in the stream of the meter
    # The correction that the meter proposes afterwards names it.
    made.feed(fast())
    assert {each.broken_seals for each in made.of(CorrectionProposed)} == {("S1",)}
    made.check_folds()


def test_a_case_is_told_again_when_the_account_becomes_known_and_closed_once() -> None:
    made = Lab()
    made.feed(*APPLIED, seal("break", "2026-02-01"), key="S1")
    made.feed(meter())
    assert [each.account_no for each in made.of(SealBrokenFound)] == ["", "A1"]
    for word, by, problem in (
        ("approved", "head", "'approved' is no decision: closed"),
        ("closed", " ", "nobody is named who decided"),
    ):
        (rejected,) = made.feed(decision("seal/S1", word, by))
        assert isinstance(rejected, CaseRejected)
        assert rejected.problem == problem
    (closed,) = made.feed(decision("seal/S1", "closed"))
    assert closed == SealCaseClosed(
        case_id="seal/S1", meter_no="M1", account_no="A1", closed_by="head", reason="certificate"
    )
    assert made.feed(decision("seal/S1", "closed"))[0].problem == "it was closed already"
    # Closed, it is not told again whosever meter it turns out to be.
    made.feed(meter(use("P9", from_on="2024-01-01"), version=2))
    assert len(made.of(SealBrokenFound)) == 2
    made.check_folds()


def test_a_break_that_is_told_twice_is_one_case() -> None:
    made = Lab()
    made.feed(*APPLIED, seal("break", "2026-02-01"), key="S1")
    broken = made.of(SealBrokenFound)[0].broken
    assert made.feed(broken) == []


@settings(max_examples=60, deadline=None)
@given(st.permutations([("M1", meter()), ("M1", fast()), ("S1", None)]))
def test_a_broken_seal_reaches_case_and_correction_in_any_order(order: list[Any]) -> None:
    made = Lab()
    for key, body in order:
        made.feed(*((body,) if body else (*APPLIED, seal("break", "2026-02-01"))), key=key)
    (case,) = made.meter.broken.values()
    assert case.account_no == "A1"
    assert [each.broken_seals for each in made.meter.cases.values()] == [("S1",)]

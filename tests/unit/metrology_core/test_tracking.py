"""What is due is told once for each day it is due by; what nobody tracks is told as well."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.metrology.events import (
    VerificationDue,
    VerificationOverdue,
    VerificationUntracked,
)
from services.metrology.policy import DEFAULT_POLICY, Policy
from services.metrology.representative_error import DEFAULT_RULE
from services.metrology.state import Entry, Meter
from services.metrology.tracking import category_of, deadline, installed_on, tracked
from tests.unit.metrology_core.lab import Lab, meter, move, run, use

TOLD = (VerificationDue, VerificationOverdue, VerificationUntracked)
VERIFIED = "2018-05-01"
"""Class 1: 96 months, so due by 2026-05-01; the notice begins on 2026-04-01."""


def lab(*uses: Any, policy: Policy = DEFAULT_POLICY, **changes: Any) -> Lab:
    made = Lab(policy)
    made.feed(meter(*uses, **{"verified_on": VERIFIED, **changes}))
    return made


def told(made: Lab) -> list[tuple[str, str, str]]:
    return [
        (type(body).__name__.removeprefix("Verification"), body.duty, getattr(body, "due_on", ""))
        for body in made.of(TOLD)  # type: ignore[arg-type]
    ]


def instants(first: str, last: str) -> list[str]:
    """Ticks at the beginning of every local day."""
    day, end = date.fromisoformat(first), date.fromisoformat(last)
    count = (end - day).days
    return [f"{day + timedelta(days=number - 1)}T16:00:00Z" for number in range(count)]


def test_a_verification_is_announced_and_then_overdue_each_once() -> None:
    made = lab()
    assert made.ticks(*instants("2026-03-01", "2026-04-01")) == []
    (due,) = made.ticks(*instants("2026-04-01", "2026-05-02"))
    assert due == VerificationDue(
        meter_no="M1",
        duty="verification",
        last_on=VERIFIED,
        due_on="2026-05-01",
        category="",
        rule="jjg-596-cycles: 96 months for class 1",
    )
    (late,) = made.ticks(*instants("2026-05-02", "2026-07-01"))
    assert (type(late), late.due_on) == (VerificationOverdue, "2026-05-01")
    made.check_folds()


def test_a_judgement_begins_another_cycle() -> None:
    made = lab()
    made.ticks(*instants("2026-04-01", "2026-04-03"))
    made.feed(run(measured_at="2026-04-10T02:00:00Z"))
    assert made.ticks(*instants("2026-04-11", "2026-07-01")) == []
    assert made.ticks("2034-03-10T16:00:00Z")[0].due_on == "2034-04-10"


def test_a_tick_that_comes_late_tells_only_what_is_so_now() -> None:
    made = lab()
    made.ticks("2026-08-01T00:00:00Z")
    assert told(made) == [("Overdue", "verification", "2026-05-01")]


def test_a_meter_without_a_day_is_told_once_as_untracked() -> None:
    made = lab(verified_on="")
    made.ticks("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z")
    assert told(made) == [("Untracked", "verification", "")]
    # It becomes known, and is tracked.
    made.feed(meter(verified_on=VERIFIED, version=2))
    made.ticks("2026-04-02T00:00:00Z")
    assert told(made)[1:] == [("Due", "verification", "2026-05-01")]


def test_a_class_without_a_cycle_is_untracked() -> None:
    made = lab(accuracy_class="7")
    made.ticks("2026-03-01T00:00:00Z")
    (found,) = made.of(VerificationUntracked)
    assert found.rule.startswith("accuracy_class: '7' has no cycle")
    assert made.ticks("2026-03-02T00:00:00Z") == []


def test_a_large_customers_meter_is_rotated() -> None:
    """400 kVA at 10 kV: category III, 48 months from the installation."""
    made = lab(use(from_on="2022-04-20"), capacity_va=400_000, voltage_class="10kv")
    made.ticks("2026-03-25T00:00:00Z", "2026-04-02T00:00:00Z")
    assert told(made) == [
        ("Due", "rotation", "2026-04-20"),
        ("Due", "verification", "2026-05-01"),
    ]
    assert {body.category for body in made.of(VerificationDue)} == {"III"}


@pytest.mark.parametrize(
    "uses",
    [
        (use(to_on="2026-02-01", removed_on="2026-02-01"),),  # taken away
        (use(from_on="2027-01-01"),),  # not there yet
    ],
)
def test_only_an_installed_meter_has_duties(uses: Any) -> None:
    made = lab(*uses)
    assert made.ticks("2026-08-01T00:00:00Z") == []


def test_what_the_store_says_counts_as_well() -> None:
    made = lab()
    made.feed(move("remove", "2026-04-20"))
    assert made.ticks("2026-08-01T00:00:00Z") == []
    assert installed_on(made.meter) == ""


def test_a_meter_of_an_older_log_has_no_device_yet() -> None:
    made = lab()
    old = replace(made.meter, device=None)
    assert installed_on(old) == "2024-01-01"
    assert installed_on(replace(old, notes={})) == ""
    assert tracked(Meter(), "M1", "2026-03-01") is None
    assert deadline(Entry(), DEFAULT_POLICY) == ""


def test_days_that_cannot_be_do_not_stop_a_tick() -> None:
    made = lab(verified_on="0001-01-01", policy=Policy(notice_days=3_660))
    made.ticks("2026-03-01T00:00:00Z")
    assert told(made) == [("Overdue", "verification", "0009-01-01")]
    # Before the first day there is: told at once.
    assert deadline(Entry(meter=replace(made.meter, told={})), Policy(notice_days=3_660)) == (
        "0001-01-01T00:00:00Z"
    )


def test_a_category_needs_a_capacity() -> None:
    made = lab()
    (noted,) = made.meter.notes.values()
    found = [category_of(replace(noted, capacity_va=kva * 1_000)) for kva in (0, 100, 315, 12_000)]
    assert found == ["", "IV", "III", "I"]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 200), max_size=12).map(sorted),
    st.permutations([0, 1, 2]),
)
def test_nothing_is_told_twice_whenever_ticks_come(days: list[int], order: list[int]) -> None:
    facts = [
        meter(verified_on=VERIFIED),
        meter(use(account="A2", from_on="2025-01-01"), account="A2", verified_on="2017-09-01"),
        run(measured_at="2026-02-01T02:00:00Z", accuracy_class="2"),  # judges nothing
    ]
    made = Lab()
    made.feed(*(facts[index] for index in order))
    at = [f"{date(2026, 3, 1) + timedelta(days=number)}T00:00:00Z" for number in days]
    made.ticks(*at)
    found = told(made)
    assert len(found) == len(set(found))
    last = days[-1] if days else -1
    wanted = {("Overdue", "verification", "2026-05-01")} if last >= 62 else set()
    assert {each for each in found if each[0] == "Overdue"} == wanted


# -- policy ---------------------------------------------------------------------------------------


def test_the_policy_says_when() -> None:
    made = lab(policy=Policy(notice_days=0, cycle_months={"1": 72}))
    made.ticks("2024-05-01T00:00:00Z")
    assert told(made) == [("Due", "verification", "2024-05-01")]


def test_the_policy_weights_the_error() -> None:
    assert DEFAULT_POLICY.representative_rule == DEFAULT_RULE
    made = Lab(Policy(error_weights={"Imax": 1, "1": 1, "0.2": 2}))
    made.feed(meter())
    judged = made.feed(run())[0]
    # (1 x -1000 + 1 x 2000 + 2 x 3000) / 4
    assert (judged.representative_e4_pct, judged.representative_rule) == (
        1_750,
        "weights-of-the-policy v1",
    )


def test_a_period_out_of_range_is_refused() -> None:
    with pytest.raises(BadInput, match=r"notice_days: -1 is out of range \(give 0 to 3660\)"):
        Policy(notice_days=-1)

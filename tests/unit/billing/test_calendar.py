"""Days, day shares and time-of-use periods."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from libs.tou_calendar import (
    DayPattern,
    SlotRange,
    TouCalendar,
    day_periods,
    day_type_of,
    period_of,
    slot_of,
    slots_of,
)
from services.billing.calendar import (
    day_shares,
    days_between,
    overlap,
    periods_of_months,
)
from tests.unit.billing.builders import calendar, example

NO_HOLIDAYS: frozenset[str] = frozenset()


def test_a_whole_day_has_the_period_of_each_half_hour() -> None:
    found = day_periods(calendar(), "2026-07-01")
    assert len(found) == 48
    assert list(found) == [period_of(calendar(), "2026-07-01", n, NO_HOLIDAYS) for n in range(48)]


def test_days_between_counts_the_first_day_and_not_the_last() -> None:
    assert days_between("2024-02-01", "2024-03-01") == 29
    assert days_between("2026-01-31", "2026-01-31") == 0


@pytest.mark.parametrize(
    ("validity", "days"),
    [
        (("", ""), ("2026-01-01", "2026-02-01")),
        (("2025-01-01", "2026-01-11"), ("2026-01-01", "2026-01-11")),
        (("2026-01-11", ""), ("2026-01-11", "2026-02-01")),
        (("2026-02-01", ""), None),
        (("", "2026-01-01"), None),
    ],
)
def test_overlap_of_a_month_with_a_validity(
    validity: tuple[str, str], days: tuple[str, str] | None
) -> None:
    assert overlap("2026-01-01", "2026-02-01", *validity) == days


MARCH = ("2026-03-01", "2026-04-01")


@pytest.mark.parametrize(
    ("cuts", "basis", "shares"),
    [
        (("2026-03-01", "2026-04-01"), "thirty", [(30, 30)]),
        (("2026-03-01", "2026-04-01"), "actual", [(31, 31)]),
        (("2026-03-01", "2026-03-19", "2026-04-01"), "thirty", [(18, 30), (12, 30)]),
        (("2026-03-01", "2026-03-19", "2026-04-01"), "actual", [(18, 31), (13, 31)]),
        (("2026-03-01", "2026-03-31", "2026-04-01"), "thirty", [(30, 30), (0, 30)]),
        (("2026-03-11", "2026-04-01"), "thirty", [(21, 30)]),
        (("2026-03-01", "2026-03-11"), "thirty", [(10, 30)]),
        (("2026-03-11", "2026-04-01"), "actual", [(21, 31)]),
    ],
)
def test_shares_of_a_month_of_31_days(
    cuts: tuple[str, ...], basis: str, shares: list[tuple[int, int]]
) -> None:
    spans = list(pairwise(cuts))
    assert day_shares(spans, *MARCH, basis) == shares


def test_a_whole_february_is_thirty_thirtieths() -> None:
    spans = [("2026-02-01", "2026-02-11"), ("2026-02-11", "2026-03-01")]
    assert day_shares(spans, "2026-02-01", "2026-03-01", "thirty") == [(10, 30), (20, 30)]


@given(st.lists(st.integers(2, 30), max_size=5, unique=True), st.sampled_from(["thirty", "actual"]))
def test_the_shares_of_a_whole_cycle_are_one_month(days: list[int], basis: str) -> None:
    cuts = ["2026-03-01", *(f"2026-03-{day:02d}" for day in sorted(days)), "2026-04-01"]
    shares = day_shares(list(pairwise(cuts)), *MARCH, basis)
    assert sum(share for share, _ in shares) == shares[0][1]


def test_an_unknown_day_basis_is_a_bug() -> None:
    with pytest.raises(AssertionError, match="no day basis"):
        day_shares([MARCH], *MARCH, "lunar")


@pytest.mark.parametrize(("text", "slot"), [("00:00", 0), ("07:30", 15), ("24:00", 48)])
def test_half_hours(text: str, slot: int) -> None:
    assert slot_of(text, "start") == slot


@pytest.mark.parametrize("text", ["7:30", "07:15", "24:30", "ab:00", "0730", "07:3", ""])
def test_what_is_no_half_hour_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match=r"start: .*no half hour.*write it like 07:30"):
        slot_of(text, "start")


def test_a_range_may_run_over_midnight() -> None:
    night = SlotRange(start="23:00", end="01:00", period="valley")
    assert slots_of(night, "x") == (46, 47, 0, 1)
    assert slots_of(SlotRange(start="22:00", end="24:00", period="valley"), "x") == (44, 45, 46, 47)
    assert slots_of(SlotRange(start="24:00", end="00:30", period="valley"), "x") == (0,)


def test_day_types() -> None:
    assert day_type_of("2026-01-02", NO_HOLIDAYS) == "workday"
    assert day_type_of("2026-01-03", NO_HOLIDAYS) == "weekend"
    assert day_type_of("2026-01-03", {"2026-01-03"}) == "holiday"


@pytest.mark.parametrize(
    ("on", "clock", "period"),
    [
        ("2026-07-01", "12:00", "sharp"),
        ("2026-07-01", "11:30", "peak"),
        ("2026-07-01", "14:00", "peak"),
        ("2026-03-01", "12:00", "peak"),
        ("2026-03-01", "10:30", "flat"),
        ("2026-03-01", "20:00", "peak"),
        ("2026-03-01", "22:00", "flat"),
        ("2026-03-01", "23:00", "valley"),
        ("2026-03-01", "06:30", "valley"),
        ("2026-03-01", "07:00", "flat"),
        ("2026-03-01", "17:00", "flat"),
    ],
)
def test_the_chongqing_calendar(on: str, clock: str, period: str) -> None:
    times = example("cq_commercial").calendars["commercial_industrial"]
    assert period_of(times, on, slot_of(clock, "clock"), NO_HOLIDAYS) == period


def test_a_hole_in_a_calendar_is_named() -> None:
    morning = SlotRange(start="00:00", end="12:00", period="flat")
    pattern = DayPattern(name="half", months=(1,), day_types=("workday",), slots=(morning,))
    half = TouCalendar(patterns=(pattern,))
    assert period_of(half, "2026-01-02", 0, NO_HOLIDAYS) == "flat"
    with pytest.raises(BadInput, match=r"half hour 24 of 2026-01-02 \(workday\) has 0 periods"):
        period_of(half, "2026-01-02", 24, NO_HOLIDAYS)
    with pytest.raises(BadInput, match="has 0 periods"):
        period_of(half, "2026-01-03", 0, NO_HOLIDAYS)
    with pytest.raises(BadInput, match="has 2 periods"):
        period_of(TouCalendar(patterns=(pattern, pattern)), "2026-01-02", 0, NO_HOLIDAYS)


@pytest.mark.parametrize(
    ("days", "has_sharp"),
    [
        (("2026-06-01", "2026-07-01"), False),
        (("2026-07-01", "2026-08-01"), True),
        (("2026-06-24", "2026-07-24"), True),
        (("2025-12-15", "2026-01-15"), False),
    ],
)
def test_the_periods_of_a_cycle_are_those_of_its_months(
    days: tuple[str, str], has_sharp: bool
) -> None:
    periods = periods_of_months(calendar(), *days)
    assert ("sharp" in periods) == has_sharp
    assert {"peak", "valley"} <= periods

"""Estimation keeps the register: whatever the history, the days add up to the delta exactly."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.estimation import (
    Actual,
    DayUsage,
    estimate_gap,
    estimate_open,
    split,
    supersede,
)
from tests.unit.validation.samples import IMPORT, actual_day, day_on

RATE1, RATE2 = "1-0:1.8.1", "1-0:1.8.2"
REACTIVE = "1-0:5.8.0"


def gap(opening: int, closing: int, **energy: int) -> Actual:
    registers = {"total": IMPORT, "rate1": RATE1, "rate2": RATE2, "reactive": REACTIVE}
    return Actual(
        opening_on=day_on(opening),
        closing_on=day_on(closing),
        energy={registers[name]: value for name, value in energy.items()},
    )


@pytest.mark.parametrize(
    ("total", "weights", "parts"),
    [
        (24, (9, 12, 15), (6, 8, 10)),
        (10, (1, 1, 1), (3, 3, 4)),
        (10, (0, 0, 0), (3, 3, 4)),
        (11, (1, 2, 0), (3, 8, 0)),
        (0, (5, 1), (0, 0)),
        (7, (1,), (7,)),
    ],
)
def test_split_rounds_down_and_puts_the_residual_last(
    total: int, weights: tuple[int, ...], parts: tuple[int, ...]
) -> None:
    assert split(total, weights) == parts


@pytest.mark.parametrize(
    ("total", "weights", "field"),
    [(-1, (1,), "usage"), (1, (), "weights"), (1, (2, -1), "weights")],
)
def test_split_refuses_what_has_no_answer(total: int, weights: tuple[int, ...], field: str) -> None:
    with pytest.raises(BadInput) as error:
        split(total, weights)
    assert error.value.field == field


@given(
    st.integers(0, 10**15),
    st.lists(st.integers(0, 10**9), min_size=1, max_size=40).map(tuple),
)
def test_split_is_exact_and_within_a_unit_per_slot(total: int, weights: tuple[int, ...]) -> None:
    parts = split(total, weights)
    assert sum(parts) == total
    assert len(parts) == len(weights)
    whole = sum(weights) or len(weights)
    for part, weight in zip(parts, weights if any(weights) else (1,) * len(weights), strict=True):
        assert 0 <= part - total * weight // whole < len(weights)


def test_a_gap_of_one_day_is_actual() -> None:
    (day,) = estimate_gap(gap(3, 4, total=5_000), (), 3)
    assert day == DayUsage(day_on=day_on(4), energy={IMPORT: 5_000}, quality="actual")


def test_without_history_the_days_are_even() -> None:
    days = estimate_gap(gap(3, 6, total=10), (), 3)
    assert [day.energy[IMPORT] for day in days] == [3, 3, 4]
    assert {(day.quality, day.method, day.scaled, day.references) for day in days} == {
        ("estimated", "even", True, ())
    }
    assert [day.day_on for day in days] == [day_on(4), day_on(5), day_on(6)]


def test_the_nearest_same_weekdays_before_the_gap_shape_it() -> None:
    history = (
        actual_day(0, total=999_999),  # a fourth Thursday: too far back
        actual_day(7, total=1_000),
        actual_day(14, total=2_000),
        actual_day(21, total=3_000),
        actual_day(15, total=8_000),
        replace(actual_day(22, total=500_000), quality="estimated"),
        actual_day(42, total=700_000),  # after the gap
    )
    days = estimate_gap(gap(27, 29, total=5_000), history, 3)
    # Thursdays 7, 14, 21 average 2000; Friday 15 says 8000: 1 to 4.
    assert [day.energy[IMPORT] for day in days] == [1_000, 4_000]
    assert days[0].references == (day_on(7), day_on(14), day_on(21))
    assert days[1].references == (day_on(15),)
    assert days[0].method == "same_weekday"


def test_a_weekday_without_history_gets_the_average_day() -> None:
    history = (actual_day(7, total=1_000), actual_day(14, total=3_000))  # Thursdays
    days = estimate_gap(gap(20, 22, total=6_000), history, 3)  # Thursday, Friday
    assert [(day.energy[IMPORT], day.method) for day in days] == [
        (3_000, "same_weekday"),
        (3_000, "average_day"),
    ]
    assert days[1].references == (day_on(7), day_on(14))


def test_a_register_that_the_history_lacks_is_filled_from_what_is_known() -> None:
    history = (actual_day(7, total=900), actual_day(8, total=100, rate1=40, rate2=60))
    days = estimate_gap(gap(13, 15, rate1=10, rate2=20, total=30), history, 3)
    # Thursday 7 has no rates: it gets the average of the other days, so the rates are even.
    assert [day.energy for day in days] == [
        {RATE1: 5, RATE2: 10, IMPORT: 15},
        {RATE1: 5, RATE2: 10, IMPORT: 15},
    ]


def test_rates_follow_their_own_history_and_the_total_their_sum() -> None:
    history = (
        actual_day(7, total=100, rate1=100, rate2=0),
        actual_day(8, total=50, rate1=0, rate2=50),
    )
    days = estimate_gap(gap(13, 15, total=3_000, rate1=1_000, rate2=2_000), history, 3)
    assert [day.energy for day in days] == [
        {RATE1: 1_000, RATE2: 0, IMPORT: 1_000},
        {RATE1: 0, RATE2: 2_000, IMPORT: 2_000},
    ]


def test_registers_that_disagree_are_each_kept() -> None:
    # The dial cut off 10 Wh of a rate: rates 2990, total 3000.
    days = estimate_gap(gap(3, 6, total=3_000, rate1=1_000, rate2=1_990, reactive=7), (), 3)
    for register, delta in ((IMPORT, 3_000), (RATE1, 1_000), (RATE2, 1_990), (REACTIVE, 7)):
        assert sum(day.energy[register] for day in days) == delta
    assert all(
        abs(day.energy[IMPORT] - day.energy[RATE1] - day.energy[RATE2]) <= 10 for day in days
    )


def test_a_total_without_usage_in_its_rates_follows_its_own_history() -> None:
    history = (actual_day(7, total=100), actual_day(8, total=300))
    days = estimate_gap(gap(13, 15, total=8, rate1=0), history, 3)
    assert [day.energy[IMPORT] for day in days] == [2, 6]


energies = st.fixed_dictionaries(
    {},
    optional={
        "total": st.integers(0, 10**7),
        "rate1": st.integers(0, 10**6),
        "rate2": st.integers(0, 10**6),
    },
)
histories = st.lists(
    st.tuples(st.integers(0, 60), energies), max_size=30, unique_by=lambda pair: pair[0]
).map(lambda rows: tuple(actual_day(index, **energy) for index, energy in rows))


@given(
    st.integers(20, 60),
    st.integers(2, 12),
    st.integers(0, 10**9),
    st.integers(0, 10**9),
    st.integers(0, 200),
    histories,
)
def test_estimation_keeps_every_register_delta_exactly(
    opening: int, length: int, rate1: int, rate2: int, residue: int, history: tuple[DayUsage, ...]
) -> None:
    actual = gap(opening, opening + length, rate2=rate2, total=rate1 + rate2, rate1=rate1)
    days = estimate_gap(actual, history, 3)
    assert len(days) == length
    for register, delta in actual.energy.items():
        assert sum(day.energy[register] for day in days) == delta
        assert min(day.energy[register] for day in days) >= 0
    for day in days:
        assert day.energy[RATE1] + day.energy[RATE2] == day.energy[IMPORT]
    other = gap(opening, opening + length, total=rate1 + rate2 + residue, rate1=rate1, rate2=rate2)
    for register, delta in other.energy.items():
        kept = estimate_gap(other, history, 3)
        assert sum(day.energy[register] for day in kept) == delta


def test_an_open_gap_gets_the_average_day_unscaled() -> None:
    history = (
        actual_day(0, total=900_000, rate1=1, rate2=899_999),  # out of the last two days
        actual_day(1, total=101, rate1=50, rate2=51),
        actual_day(2, total=200, rate1=99, rate2=100),
        actual_day(9, total=900_000, rate1=1, rate2=1),  # after the gap began
    )
    days = estimate_open(day_on(2), day_on(4), history, 2)
    assert [day.day_on for day in days] == [day_on(3), day_on(4)]
    for day in days:
        # 74.5 and 75.5 are rounded half up; the total is their sum, not 150.5.
        assert day.energy == {IMPORT: 151, RATE1: 75, RATE2: 76}
        assert (day.quality, day.method, day.scaled) == ("estimated", "open_average", False)
        assert day.references == (day_on(1), day_on(2))


def test_an_average_counts_only_days_that_have_the_register() -> None:
    history = (actual_day(0, total=100), actual_day(1, total=100, rate1=60, rate2=40))
    (day,) = estimate_open(day_on(1), day_on(2), history, 28)
    assert day.energy == {IMPORT: 100, RATE1: 60, RATE2: 40}


def test_nothing_is_estimated_from_nothing() -> None:
    estimated = replace(actual_day(1, total=5), quality="estimated")
    with pytest.raises(BadInput, match="history: has no actual day before"):
        estimate_open(day_on(2), day_on(3), (estimated, actual_day(3, total=5)), 28)


@pytest.mark.parametrize(("opening", "closing"), [(4, 4), (4, 3)])
def test_a_gap_needs_a_later_closing(opening: int, closing: int) -> None:
    with pytest.raises(BadInput, match=r"closing_on: .* is not after"):
        estimate_gap(gap(opening, closing, total=1), (), 3)


def test_a_late_actual_supersedes_the_estimates_of_its_days() -> None:
    history = tuple(actual_day(index, total=100) for index in range(3))
    estimates = estimate_open(day_on(2), day_on(5), history, 28)
    result = supersede(estimates, gap(2, 4, total=260), history, 3)
    assert [(day.day_on, day.energy[IMPORT]) for day in result.final] == [
        (day_on(3), 130),
        (day_on(4), 130),
    ]
    assert [(each.day_on, each.difference) for each in result.superseded] == [
        (day_on(3), {IMPORT: 30}),
        (day_on(4), {IMPORT: 30}),
    ]
    assert result.superseded[0].before == estimates[0]
    assert result.superseded[0].after == result.final[0]


def test_an_exact_estimate_is_still_superseded_by_scale() -> None:
    history = (actual_day(0, total=100),)
    estimates = estimate_open(day_on(0), day_on(2), history, 28)
    result = supersede(estimates, gap(0, 2, total=200), history, 3)
    assert [each.difference for each in result.superseded] == [{IMPORT: 0}, {IMPORT: 0}]
    assert all(day.scaled for day in result.final)


def test_a_register_that_only_the_actual_has_counts_whole() -> None:
    before = DayUsage(
        day_on=day_on(1), energy={IMPORT: 7, RATE1: 7}, quality="estimated", method="even"
    )
    result = supersede((before,), gap(0, 1, total=9, rate2=9), (), 3)
    assert result.superseded[0].difference == {IMPORT: 2, RATE1: -7, RATE2: 9}


def test_days_without_an_estimate_are_final_but_supersede_nothing() -> None:
    result = supersede((), gap(0, 2, total=9), (), 3)
    assert result.superseded == ()
    assert len(result.final) == 2


def test_an_actual_is_not_superseded_by_an_estimate() -> None:
    with pytest.raises(BadInput, match=r"estimates: 2026-01-02 is actual"):
        supersede((actual_day(1, total=5),), gap(0, 1, total=6), (), 3)


@given(st.integers(1, 10), st.integers(0, 10**6), histories)
def test_superseding_is_idempotent(length: int, total: int, history: tuple[DayUsage, ...]) -> None:
    actual = gap(40, 40 + length, total=total)
    once = supersede((), actual, history, 3)
    assert supersede(once.final, actual, history, 3).superseded == ()
    assert sum(day.energy[IMPORT] for day in once.final) == total


@given(st.integers(2, 10), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_second_reading_inside_a_gap_keeps_both_deltas(
    length: int, first: int, second: int
) -> None:
    """A gap closed at its end, then a late reading in the middle: both halves stay exact."""
    middle = length // 2
    estimates = estimate_gap(gap(0, length, total=first + second), (), 3)
    left = supersede(estimates, gap(0, middle, total=first), (), 3)
    right = supersede(estimates, gap(middle, length, total=second), (), 3)
    merged = {day.day_on: day for day in (*estimates, *left.final, *right.final)}
    assert sum(day.energy[IMPORT] for day in merged.values()) == first + second
    assert len(merged) == length

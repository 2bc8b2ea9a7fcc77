"""Each method of estimation alone: its references, its numbers, and when it finds nothing."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.validation.estimation_plan import DEFAULT_PLAN, LARGEST_REMAINDER, LAST, PlanStep
from services.validation.interval_estimation import FilledSlot, SeriesEstimate
from services.validation.interval_scaling import apportion, scale_to
from services.validation.interval_series import FAILED, MISSING, Slot
from tests.unit.validation.interval_samples import OUT, estimated, plan_with, slots_of
from tests.unit.validation.samples import at, day_on


def step(method: str, **parameters: int) -> PlanStep:
    return PlanStep(method=method, parameters=parameters)


def same(samples: int = 3, samples_min: int = 1, window_days: int = 35) -> PlanStep:
    return step("same_weekday", samples=samples, samples_min=samples_min, window_days=window_days)


def on_day(found: SeriesEstimate, day: int) -> list[FilledSlot]:
    return [slot for slot in found.filled if at(day) < slot.end_at <= at(day + 1)]


def whole(day: int, value: int) -> list[Slot]:
    return slots_of(day, [value] * 24)


def empty(day: int) -> list[Slot]:
    return slots_of(day, [None] * 24)


def only(found: SeriesEstimate, day: int) -> tuple[int, tuple[str, ...]]:
    """The one energy and the references of all 24 slots of a day."""
    slots = on_day(found, day)
    assert len(slots) == 24
    (energy,) = {slot.energy for slot in slots}
    (references,) = {slot.references for slot in slots}
    return energy, references


# -- (b) -------------------------------------------------------------------------------------------


def test_a_check_meter_stands_in_when_it_has_every_slot() -> None:
    slots = slots_of(0, [100, None, None, 400])
    check = slots_of(0, [7, 8, 9, 7])
    plan = plan_with(step("check_meter"))
    found = estimated(slots, plan=plan, check=check)
    assert [slot.energy for slot in found.slots] == [100, 8, 9, 400]
    assert found.filled[0].references == ("check_meter",)
    assert estimated(slots, plan=plan, check=check[:2]).filled == ()
    failed = [*check[:2], Slot(end_at=check[2].end_at, energy=9, quality=FAILED), check[3]]
    assert estimated(slots, plan=plan, check=failed).filled == ()
    lost = [*check[:2], Slot(end_at=check[2].end_at, energy=None, quality=MISSING), check[3]]
    assert estimated(slots, plan=plan, check=lost).filled == ()


# -- (c) -------------------------------------------------------------------------------------------


def test_the_three_nearest_days_of_the_weekday_on_either_side() -> None:
    slots = [*whole(0, 999), *whole(7, 10), *whole(14, 20), *empty(21), *whole(28, 60)]
    energy, references = only(estimated(slots, plan=plan_with(same())), 21)
    assert (energy, references) == (30, (day_on(7), day_on(14), day_on(28)))


def test_of_two_equally_near_days_the_earlier_counts_first() -> None:
    slots = [*whole(0, 10), *empty(7), *whole(14, 90)]
    energy, references = only(estimated(slots, plan=plan_with(same(samples=1))), 7)
    assert (energy, references) == (10, (day_on(0),))


def test_days_with_an_outage_or_a_hole_are_no_references() -> None:
    outage = slots_of(7, [10] * 23 + [OUT])
    hole = slots_of(14, [20] * 23 + [None])
    slots = [*whole(0, 40), *outage, *hole, *empty(21)]
    energy, references = only(estimated(slots, plan=plan_with(same())), 21)
    assert (energy, references) == (40, (day_on(0),))


def test_too_few_days_or_days_too_far_away_are_not_enough() -> None:
    slots = [*whole(0, 40), *empty(7)]
    assert on_day(estimated(slots, plan=plan_with(same(samples_min=2))), 7) == []
    assert on_day(estimated(slots, plan=plan_with(same(window_days=6))), 7) == []
    assert len(on_day(estimated(slots, plan=plan_with(same(window_days=7))), 7)) == 24


def test_a_holiday_is_like_a_holiday_and_like_no_weekday() -> None:
    slots = [*whole(0, 10), *whole(4, 70), *empty(7), *empty(14)]
    holidays = frozenset({day_on(4), day_on(14)})
    found = estimated(slots, plan=plan_with(same()), holidays=holidays)
    assert only(found, 7) == (10, (day_on(0),))
    assert only(found, 14) == (70, (day_on(4),))


# -- (d) -------------------------------------------------------------------------------------------


def test_tuesday_to_thursday_may_stand_for_each_other() -> None:
    """2026-01-01 is a Thursday: days 5, 6 and 7 are Tuesday, Wednesday and Thursday."""
    plan = plan_with(step("like_day", window_days=14))
    slots = [*whole(0, 11), *whole(1, 22), *whole(2, 33), *empty(5), *empty(8), *empty(10)]
    found = estimated(slots, plan=plan)
    assert only(found, 5) == (11, (day_on(0),))  # Tuesday by Thursday
    assert only(found, 8) == (22, (day_on(1),))  # Friday by Friday only
    assert on_day(found, 10) == []  # Sunday: there is no Sunday


def test_its_own_weekday_comes_before_a_nearer_like_day() -> None:
    plan = plan_with(step("like_day", window_days=14))
    slots = [*whole(0, 11), *whole(6, 22), *empty(7)]
    assert only(estimated(slots, plan=plan), 7) == (11, (day_on(0),))
    near = plan_with(step("like_day", window_days=6))
    assert only(estimated(slots, plan=near), 7) == (22, (day_on(6),))


def test_the_table_of_like_days_is_data() -> None:
    like_days = {**DEFAULT_PLAN.like_days, "holiday": ("holiday", "sunday")}
    plan = plan_with(step("like_day", window_days=14), like_days=like_days)
    slots = [*whole(3, 55), *empty(7)]  # day 3 is a Sunday
    assert only(estimated(slots, plan=plan, holidays=frozenset({day_on(7)})), 7)[0] == 55


# -- (e) (f) (g) -----------------------------------------------------------------------------------


def test_the_average_of_weeks_takes_times_from_days_with_holes() -> None:
    plan = plan_with(step("weeks_average", window_days=28))
    slots = [
        *slots_of(0, [10] * 12 + [None] * 12),
        *slots_of(7, [20] * 24),
        *slots_of(14, [None] * 11 + [OUT] + [40] * 12),
        *empty(21),
    ]
    found = on_day(estimated(slots, plan=plan), 21)
    assert [slot.energy for slot in found] == [15] * 12 + [30] * 12
    assert found[0].references == (day_on(0), day_on(7), day_on(14))
    far = plan_with(step("weeks_average", window_days=13))
    assert [slot.energy for slot in on_day(estimated(slots, plan=far), 21)] == []


def test_the_class_profile_by_hours_and_kind_of_day() -> None:
    profile = {
        "workday": tuple(range(0, 2400, 100)),
        "restday": tuple([60] * 24),
    }
    plan = plan_with(step("class_profile"), class_profiles={"home": profile})
    found = estimated(empty(0), plan=plan, profile_class="home", holidays=frozenset({day_on(4)}))
    assert [slot.energy for slot in found.filled] == list(range(0, 2400, 100))
    assert found.filled[0].references == ("home/workday",)
    for day in (2, 3, 4):  # Saturday, Sunday, and a Monday that is a holiday
        rest = estimated(
            empty(day), plan=plan, profile_class="home", holidays=frozenset({day_on(4)})
        )
        assert only(rest, day) == (60, ("home/restday",))
    quarters = slots_of(0, [None] * 5, minutes=15, first=3)
    found = estimated(quarters, plan=plan, profile_class="home", minutes=15)
    assert [slot.energy for slot in found.filled] == [0, 25, 25, 25, 25]
    thirds = estimated(
        slots_of(0, [None] * 3, minutes=480), plan=plan, profile_class="home", minutes=480
    )
    assert [slot.energy for slot in thirds.filled] == [2800, 9200, 15600]
    assert estimated(empty(0), plan=plan, profile_class="shop").filled == ()


def test_the_flat_average_of_whole_days() -> None:
    plan = plan_with(step("flat_average", window_days=28))
    slots = [*slots_of(0, [0] * 12 + [100] * 12), *whole(1, 100), *empty(2)]
    assert only(estimated(slots, plan=plan), 2) == (75, (day_on(0), day_on(1)))
    assert estimated([*slots_of(0, [5] * 23), *empty(1)], plan=plan).filled == ()


def test_the_default_plan_goes_from_the_best_to_the_last_resort() -> None:
    slots = [
        *whole(0, 10),
        *slots_of(1, [10, None, *[10] * 22]),
        *empty(5),
        *whole(7, 20),
        *whole(14, 30),
        *empty(21),
        *slots_of(22, [5, 5, *[None] * 22]),
        *empty(25),
    ]
    found = estimated(slots)
    assert [slot.method for slot in on_day(found, 1)] == ["linear"]
    assert {slot.method for slot in on_day(found, 21)} == {"same_weekday"}
    assert {slot.method for slot in on_day(found, 5)} == {"like_day"}
    assert {slot.method for slot in on_day(found, 22)} == {"weeks_average"}
    assert {slot.method for slot in on_day(found, 25)} == {"flat_average"}


# -- whole numbers ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("total", "shapes", "residual", "energies", "scale", "shift"),
    [
        (24, (3, 4, 5), LAST, (6, 8, 10), 2, None),
        (10, (1, 1, 1), LARGEST_REMAINDER, (4, 3, 3), Fraction(10, 3), None),
        (10, (1, 1, 1), LAST, (3, 3, 4), Fraction(10, 3), None),
        (11, (1, 5, 1), LARGEST_REMAINDER, (2, 8, 1), Fraction(11, 7), None),
        (0, (3, 4), LAST, (0, 0), 0, None),
        (5, (0, 0), LARGEST_REMAINDER, (3, 2), None, Fraction(5, 2)),
        # -3.5 and -2.5, rounded down to -4 and -3: the last gets one back.
        (-6, (1, 2), LAST, (-4, -2), None, Fraction(-9, 2)),
        (-6, (-1, -2), LAST, (-2, -4), 2, None),
        (4, (5, -3), LAST, (6, -2), None, 1),
    ],
)
def test_shapes_become_whole_numbers_that_add_up(
    total: int,
    shapes: tuple[int, ...],
    residual: str,
    energies: tuple[int, ...],
    scale: Fraction | None,
    shift: Fraction | None,
) -> None:
    found = scale_to(total, [Fraction(shape) for shape in shapes], residual)
    assert found == (energies, scale, shift)


FRACTIONS = st.lists(
    st.fractions(min_value=-1000, max_value=1000, max_denominator=60), min_size=1, max_size=50
)


@given(st.integers(-(10**9), 10**9), FRACTIONS, st.sampled_from([LARGEST_REMAINDER, LAST]))
def test_laws_of_scaling(total: int, shapes: list[Fraction], residual: str) -> None:
    found = scale_to(total, shapes, residual)
    assert sum(found.energies) == total
    assert (found.scale is None) != (found.shift is None)
    if total >= 0 and min(shapes) >= 0:
        assert min(found.energies) >= 0
    if residual == LARGEST_REMAINDER:
        for energy, shape in zip(found.energies, shapes, strict=True):
            exact = shape * found.scale if found.scale is not None else shape + (found.shift or 0)
            assert abs(energy - exact) < 1


def test_numbers_that_are_whole_stay() -> None:
    assert apportion([Fraction(2), Fraction(-3)], LAST) == (2, -3)
    assert apportion([Fraction(2), Fraction(-3)], LARGEST_REMAINDER) == (2, -3)

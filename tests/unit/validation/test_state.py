"""What is kept of a point, and for how long."""

from __future__ import annotations

from libs.events.codec import encode_state, state_decoder
from services.validation.events import ReadingRejected, UsageEstablished
from services.validation.state import (
    KEEP_DAYS,
    OPEN_DAYS,
    PROFILE_DAYS,
    Point,
    Shared,
    evolve,
    open_profiles,
)
from tests.unit.validation.desk import CORE, Desk, meter, only, opened, profile, reading, supply
from tests.unit.validation.samples import at, day_on


def test_a_point_read_every_day_keeps_one_reading_and_four_weeks_of_history() -> None:
    desk = opened()
    for day in range(100):
        desk.take(reading(day, 10_000 * (day + 1)))
    point = desk.point
    assert list(point.readings) == [day_on(99)]
    assert point.usage == {}
    assert [day.day_on for day in point.history] == [day_on(day) for day in range(72, 100)]
    assert point.anchor_on == day_on(99)
    assert len(encode_state(point)) < 5_000


def test_a_gap_keeps_all_days_since_and_is_closed_by_its_reading() -> None:
    desk = opened()
    for day in (0, 1, 3, 4, 5):
        desk.take(reading(day, 10_000 * (day + 1)))
    assert sorted(desk.point.readings) == [day_on(day) for day in (1, 3, 4, 5)]
    assert sorted(desk.point.usage) == [day_on(day) for day in (2, 3, 4, 5)]
    desk.take(reading(2, 30_000))
    assert list(desk.point.readings) == [day_on(5)]


def test_a_gap_too_old_to_be_read_is_left_as_it_was_estimated() -> None:
    desk = opened()
    desk.take(reading(0, 10_000))
    for day in range(2, KEEP_DAYS + 2):
        desk.take(reading(day, 10_000 * (day + 1)))
    assert len(desk.point.readings) == KEEP_DAYS + 1
    desk.take(reading(KEEP_DAYS + 2, 10_000 * (KEEP_DAYS + 3)))
    assert desk.point.anchor_on == day_on(KEEP_DAYS + 2)
    assert desk.take(reading(1, 20_000))[0].day_on == day_on(1)  # told as a duplicate
    assert desk.quality()[day_on(1)] == "estimated"


def test_history_before_a_gap_is_kept_while_the_gap_is_open() -> None:
    """An estimate must not change because later days pushed its references out."""
    desk = opened()
    for day in range(28):
        desk.take(reading(day, 10_000 * (day + 1) + (day % 7) * 10))
    for day in range(30, 62):
        desk.take(reading(day, 10_000 * (day + 1)))
    assert desk.usage()[day_on(28)].revision == 1
    assert desk.usage()[day_on(29)].revision == 1
    assert desk.usage()[day_on(28)].method == "same_weekday"
    assert len([day for day in desk.point.history if day.day_on < day_on(28)]) == 28


def test_without_initial_registers_the_days_before_the_first_reading_may_still_come() -> None:
    desk = opened(meter(initial={}))
    desk.take(reading(5, 60_000))
    desk.take(reading(6, 70_000))
    assert desk.point.anchor_on == ""
    desk.take(reading(4, 50_000))
    assert desk.energy() == {day_on(5): 10_000, day_on(6): 10_000}
    desk.take(reading(0, 10_000))
    assert sum(desk.energy().values()) == 60_000


def test_a_meter_put_there_within_the_supply_opens_with_the_first_reading_of_its_day() -> None:
    desk = opened(meter(initial={}, from_at=at(3, 10)))
    desk.take(reading(3, 4_000))
    desk.take(reading(4, 14_000))
    assert desk.energy() == {day_on(4): 10_000}
    assert desk.point.anchor_on == day_on(4)


def test_the_intervals_of_the_last_days_are_kept_and_the_snapshots_of_the_open_ones() -> None:
    desk = opened()
    for day in range(PROFILE_DAYS + 4):
        first = 96_000 * day
        desk.take(profile(day, tuple(first + 1_000 * index for index in range(97))))
        desk.take(reading(day, first + 96_000))
    days = desk.point.profiles
    assert sorted(days) == [day_on(day) for day in range(4, PROFILE_DAYS + 4)]
    assert {day.energies for day in days.values()} == {(1_000,) * 96}
    assert {day.qualities for day in days.values()} == {"a" * 96}
    assert [len(day.snapshots) for day in days.values()] == [0] * 20 + [97] * (OPEN_DAYS + 1)
    assert list(open_profiles(days)) == [day_on(day) for day in range(25, 35)]
    assert len(encode_state(desk.point)) < 40_000


def test_an_estimate_is_no_history() -> None:
    desk = opened()
    desk.take(reading(0, 10_000))
    desk.tick(at(3, 8))
    assert [day.day_on for day in desk.point.history] == [day_on(0)]


def test_a_rejected_reading_changes_nothing_but_doubt() -> None:
    desk = opened()
    for day in range(3):
        desk.take(reading(day, 10_000 * (day + 1)))
    before = desk.point
    rejected = only(desk.take(reading(3, 29_000)), ReadingRejected)
    assert desk.point == before
    doubted = only(desk.take(reading(3, 900_000)), ReadingRejected)
    assert (rejected.doubted, doubted.doubted.reading_id) == (None, "r3")
    after = evolve(desk.point, rejected)
    assert after.doubted is not None
    desk.take(reading(2, 30_000, reading_id="late"))
    assert desk.point.doubted is not None


def test_a_late_reading_before_the_doubted_one_leaves_the_doubt() -> None:
    desk = opened()
    for day in (0, 1, 2, 4):
        desk.take(reading(day, 10_000 * (day + 1)))
    desk.take(reading(5, 900_000))
    desk.take(reading(3, 40_000))
    assert desk.point.doubted is not None
    desk.take(reading(6, 70_000))
    assert desk.point.doubted is None


def test_marks_that_a_corrected_supply_takes_away() -> None:
    desk = opened()
    desk.take(reading(0, 10_000))
    desk.take(supply(meter("M7", initial={}), version=2))
    own = desk.tick(at(2, 8))
    assert [event.day_on for event in own if isinstance(event, UsageEstablished)] == [day_on(1)]


def test_what_is_nobodys_is_not_folded() -> None:
    assert evolve(None, object()) is None
    assert Desk().state is None


def test_a_checkpoint_gives_the_same_state() -> None:
    desk = opened()
    desk.take(reading(0, 10_000))
    desk.take(reading(3, 40_000))
    desk.take(reading(9, 50_000, meter_no="M9"))
    desk.take(profile(1, (*range(96), None)))
    shared, key = CORE.state_types
    assert (shared, key) == (Shared, Point)
    assert state_decoder(Point)(encode_state(desk.point)) == desk.point

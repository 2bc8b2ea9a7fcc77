"""Whether a meter answers: told when it changes, when it is another, and now and then."""

from __future__ import annotations

from tests.unit.ingest.desk import (
    Desk,
    at,
    day_on,
    failure,
    manual,
    meter,
    opened,
    orders,
    reading,
    supply,
)


def told(desk: Desk) -> list[tuple[str, str, bool, str]]:
    """What control was told: account, meter, reachable, data up to."""
    return [
        (each.account_no, each.meter_no, each.reachable, each.data_to_on) for each in desk.contacts
    ]


def read(desk: Desk, day: int, **changes: object) -> None:
    """A day ends, its freeze is asked for and comes."""
    desk.tick(at(day + 1, 1))
    desk.take(reading(day, at(day + 1, 1), **changes))


def fail(desk: Desk, times: int) -> None:
    """The last order fails, and what is asked for again."""
    for _ in range(times):
        order = orders(desk.events)[-1]
        desk.take(failure(order))
        desk.tick(desk.point.open_days[0].retry_at)


def test_the_first_reading_tells_and_the_next_ones_are_silent_for_a_week() -> None:
    desk = opened()
    for day in range(10):
        read(desk, day)
    assert told(desk) == [
        ("A1", "M1", True, day_on(0)),
        ("A1", "M1", True, day_on(7)),
    ]
    assert desk.contacts[0].told_at == at(1, 1)
    assert desk.point.contact == desk.contacts[-1]


def test_three_failures_in_a_row_tell_once_and_a_reading_tells_again() -> None:
    desk = opened()
    read(desk, 0)
    desk.tick(at(2, 1))
    fail(desk, 2)
    assert len(desk.contacts) == 1
    fail(desk, 2)
    desk.take(reading(1, at(2, 12)))
    assert told(desk) == [
        ("A1", "M1", True, day_on(0)),
        ("A1", "M1", False, day_on(0)),
        ("A1", "M1", True, day_on(1)),
    ]


def test_a_meter_that_never_answered_is_told_of() -> None:
    desk = opened()
    desk.tick(at(1, 1))
    fail(desk, 3)
    assert told(desk) == [("A1", "M1", False, "")]
    desk.take(manual(0))
    assert told(desk)[1:] == [("A1", "M1", False, day_on(0))]


def test_a_reading_by_hand_says_nothing_of_the_line() -> None:
    desk = opened()
    desk.take(manual(0))
    assert told(desk) == [("A1", "M1", False, day_on(0))]
    read(desk, 1)
    desk.take(manual(9))
    assert told(desk)[1:] == [("A1", "M1", True, day_on(1)), ("A1", "M1", True, day_on(9))]


def test_another_meter_and_another_account_are_told_at_once() -> None:
    desk = opened()
    read(desk, 0)
    changed = (meter(to_at=at(2, 10)), meter("M2", from_at=at(2, 10)))
    desk.take(supply(*changed, version=2))
    read(desk, 2, meter_no="M2")
    desk.take(supply(*changed, version=3, account_no="A2", supplied_from_on=day_on(3)))
    read(desk, 3, meter_no="M2")
    assert told(desk)[1:] == [("A1", "M2", True, day_on(2)), ("A2", "M2", True, day_on(3))]


def test_late_words_of_the_meter_that_was_there_before_tell_nothing() -> None:
    desk = opened()
    desk.tick(at(1, 1))
    late = orders(desk.events)[-1]
    desk.take(supply(meter(to_at=at(1, 10)), meter("M2", from_at=at(1, 10)), version=2))
    read(desk, 1, meter_no="M2")
    fail_of_before(desk, late)
    desk.take(reading(0, at(3)))
    assert told(desk) == [("A1", "M2", True, day_on(1))]


def fail_of_before(desk: Desk, order: object) -> None:
    """The order for the removed meter's day fails, again and again."""
    for _ in range(4):
        days = [day for day in desk.point.open_days if day.day_on == day_on(0)]
        found = [each for each in orders(desk.events) if each.day_on == day_on(0)]
        desk.take(failure(found[-1]))
        if days and days[0].retry_at:
            desk.tick(days[0].retry_at)

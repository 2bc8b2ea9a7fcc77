"""Which readings are asked for, asked again, missed; whom to send; what a relay says. By hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.ingest.events import (
    AttemptStarted,
    FieldReadingClosed,
    FieldReadingOrdered,
    PlaceNoted,
    ReadingCollected,
    ReadingFailed,
    ReadingMissing,
    ReadingOrdered,
    RelayFound,
    SwitchingReported,
)
from services.ingest.policy import DEFAULT_POLICY
from services.ingest.state import Point, evolve
from tests.unit.ingest.desk import (
    IMPORT,
    POINT,
    Desk,
    at,
    day_on,
    ended,
    failure,
    manual,
    meter,
    names,
    only,
    opened,
    orders,
    profile,
    reading,
    refused,
    supply,
)

# -- orders ---------------------------------------------------------------------------------------


def test_the_freeze_of_a_day_is_asked_for_ten_minutes_after_its_end() -> None:
    desk = opened()
    assert desk.tick(at(1, 0, 9)) == []
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    assert order == ReadingOrdered(
        order_id="P1/2026-01-01/daily_freeze/1",
        usage_point="P1",
        meter_no="M1",
        protocol="dlt645_2007",
        line="tcp:127.0.0.1:6001",
        address="000000000001",
        kind="daily_freeze",
        day_on="2026-01-01",
        attempt=1,
        registers=(IMPORT,),
        retry_at=at(1, 1, 10),
    )
    assert desk.tick(at(1, 0, 11)) == []


def test_a_tick_that_jumps_orders_every_day_passed() -> None:
    desk = opened()
    own = desk.tick(at(4, 12))
    assert [order.day_on for order in orders(own)] == [day_on(day) for day in range(4)]
    assert orders(desk.tick(at(5, 1)))[0].day_on == day_on(4)


def test_a_point_with_intervals_is_asked_for_its_load_profile_too() -> None:
    desk = opened(intervals=True)
    assert [order.kind for order in orders(desk.tick(at(1, 1)))] == ["daily_freeze", "profile"]


def test_a_meter_that_stood_there_before_is_asked_for_the_day_before_the_supply() -> None:
    desk = opened(meter(from_at=at(-20)), intervals=True)
    own = orders(desk.tick(at(0, 0, 10)))
    assert [(order.day_on, order.kind) for order in own] == [(day_on(-1), "daily_freeze")]


def test_only_days_with_a_meter_at_their_end_are_expected() -> None:
    first = meter(to_at=at(1, 10))
    second = meter("M2", from_at=at(3, 10), to_at=at(5))
    desk = opened(first, second)
    found = orders(desk.tick(at(9)))
    assert [(order.day_on, order.meter_no) for order in found] == [
        (day_on(0), "M1"),
        (day_on(3), "M2"),
    ]
    assert desk.point.ordered_to_on == day_on(3)


def test_nothing_is_due_for_a_point_without_a_meter() -> None:
    desk = opened(meter(to_at=at(0, 5)))
    assert desk.keys_due(at(999)) == ()
    assert desk.tick(at(50)) == []


def test_the_supply_ends_the_orders() -> None:
    desk = opened(supplied_to_on=day_on(1))
    assert [order.day_on for order in orders(desk.tick(at(9)))] == [day_on(0), day_on(1)]


def test_an_exchange_told_late_is_still_read() -> None:
    desk = opened(meter(to_at=at(1, 10)))
    desk.tick(at(4, 1))
    desk.take(supply(meter(to_at=at(1, 10)), meter("M2", from_at=at(1, 10)), version=2))
    found = orders(desk.tick(at(4, 2)))
    new = [order for order in found if order.attempt == 1]
    assert [(order.day_on, order.meter_no) for order in new] == [
        (day_on(1), "M2"),
        (day_on(2), "M2"),
        (day_on(3), "M2"),
    ]


def test_what_the_meter_forgot_long_ago_is_missing_and_never_asked_for() -> None:
    desk = opened()
    own = desk.tick(at(100, 1))
    missing = only(own, ReadingMissing)
    assert (missing.day_on, missing.attempts, missing.last_cause) == (day_on(39), 0, "gave_up")
    assert orders(own)[0].day_on == day_on(40)
    assert len(orders(own)) == 60


def test_a_supply_that_ended_long_ago_is_told_once() -> None:
    desk = opened(supplied_to_on=day_on(3))
    assert names(desk.tick(at(100, 1))) == ["ReadingMissing"]
    assert desk.keys_due(at(999)) == ()


def test_who_moves_in_is_asked_for_without_a_gap() -> None:
    """The last day of the one who left is ordered although the next supply is known already."""
    desk = opened(supplied_to_on=day_on(2), version=10)
    desk.tick(at(2, 1))
    desk.take(supply(account_no="A2", supplied_from_on=day_on(3), version=20))
    own = desk.tick(at(4, 8))
    assert [order.day_on for order in orders(own) if order.attempt == 1] == [day_on(2), day_on(3)]
    missing = [event for event in own if isinstance(event, ReadingMissing)]
    assert [(event.day_on, event.account_no) for event in missing] == [
        (day_on(0), "A1"),
        (day_on(1), "A1"),
    ]
    missing = [event for event in desk.tick(at(4, 9)) if isinstance(event, ReadingMissing)]
    assert [(event.day_on, event.account_no) for event in missing] == [
        (day_on(2), "A1"),
        (day_on(3), "A2"),
    ]


def test_only_the_last_accounts_are_kept_and_each_by_its_version() -> None:
    desk = opened()
    assert desk.take(supply(version=1)) == []
    for number in range(2, 7):
        desk.take(supply(account_no=f"A{number}", version=number * 10))
    assert [known.account_no for known in desk.point.supplies] == ["A3", "A4", "A5", "A6"]
    assert desk.take(supply(account_no="A4", version=39)) == []
    assert names(desk.take(supply(account_no="A4", version=41))) == ["SupplyNoted"]
    assert len(desk.point.supplies) == 4


# -- retries --------------------------------------------------------------------------------------


def test_a_silent_meter_is_asked_again_with_back_off() -> None:
    """1, 2, 4, 8 hours and then every day after the failure was noted."""
    desk = opened(supplied_to_on=day_on(0))
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    waits = []
    moment = 24 * 60 + 10
    for _ in range(7):
        failed = only(desk.take(failure(order)), ReadingFailed)
        assert (failed.attempt, failed.cause) == (order.attempt, "no_reply")
        retry = next(
            minute
            for minute in (60, 120, 240, 480, 1440)
            if at(0, 0, moment + minute) == failed.retry_at
        )
        waits.append(retry)
        desk.tick(at(0, 0, moment + retry - 1))
        moment += retry
        order = only(desk.tick(at(0, 0, moment)), ReadingOrdered)
        assert order.attempt == len(waits) + 1
        assert order.order_id == f"P1/2026-01-01/daily_freeze/{order.attempt}"
    assert waits == [60, 120, 240, 480, 1440, 1440, 1440]


def test_an_order_nobody_answers_is_given_again_and_counts_as_no_failure() -> None:
    desk = opened(supplied_to_on=day_on(0))
    desk.tick(at(1, 0, 10))
    order = only(desk.tick(at(1, 1, 10)), ReadingOrdered)
    assert (order.attempt, order.retry_at) == (2, at(1, 3, 10))
    assert desk.point.failures == 0


def test_a_failure_told_twice_or_of_an_older_attempt_counts_once() -> None:
    desk = opened()
    first = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    assert names(desk.take(failure(first))) == ["ReadingFailed"]
    assert desk.take(failure(first)) == []
    assert desk.point.failures == 1
    second = only(desk.tick(at(1, 1, 10)), ReadingOrdered)
    assert desk.take(failure(first)) == []
    assert names(desk.take(failure(second))) == ["ReadingFailed"]
    assert desk.point.failures == 2


def test_a_failure_of_a_day_that_is_not_waited_for_is_silent() -> None:
    desk = opened()
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    desk.take(reading(0, at(1, 0, 11)))
    assert desk.take(failure(order)) == []


def test_a_reading_without_a_value_is_a_failure() -> None:
    desk = opened()
    desk.tick(at(1, 0, 10))
    empty = reading(0, at(1, 0, 11), registers={}, flaws={IMPORT: "non_bcd"})
    failed = only(desk.take(empty), ReadingFailed)
    assert (failed.cause, failed.retry_at) == ("no_value", at(1, 1, 10))
    assert desk.take(empty) == []
    assert desk.take(reading(5, at(6), registers={})) == []


def test_the_meter_gives_up_a_day_after_sixty_days() -> None:
    desk = opened(supplied_to_on=day_on(0))
    desk.tick(at(1, 0, 10))
    desk.tick(at(1, 8))
    own = desk.tick(at(60, 23))
    assert [order.attempt for order in orders(own)] == [3]
    own = desk.tick(at(62, 0))
    failed = only(own, ReadingFailed)
    assert (failed.cause, failed.retry_at) == ("gave_up", "")
    assert desk.point.open_days == ()
    assert desk.keys_due(at(999)) == ()


def test_a_jump_over_everything_misses_the_day_before_it_is_given_up() -> None:
    desk = opened(supplied_to_on=day_on(0))
    desk.tick(at(1, 1))
    assert names(desk.tick(at(90))) == ["ReadingMissing", "ReadingFailed"]


def test_a_day_whose_meter_went_is_given_up() -> None:
    desk = opened()
    desk.tick(at(1, 0, 10))
    desk.take(supply(meter(to_at=at(0, 20)), version=2))
    own = desk.tick(at(1, 1, 10))
    assert only(own, ReadingFailed).cause == "gave_up"


def test_a_day_the_meter_does_not_hold_is_missing_and_not_asked_for_again() -> None:
    desk = opened(meter(protocol="modbus_sdm630"), supplied_to_on=day_on(0))
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    failed = only(desk.take(failure(order, "not_held")), ReadingFailed)
    assert failed.retry_at == at(1, 8)
    assert desk.tick(at(1, 7, 59)) == []
    own = desk.tick(at(1, 8))
    assert names(own) == ["ReadingMissing", "ReadingFailed"]
    assert own[0].last_cause == "not_held"
    assert own[1].cause == "gave_up"
    assert desk.point.failures == 0
    assert desk.point.open_days == ()


def test_a_day_not_held_any_more_when_its_grace_is_over() -> None:
    desk = opened(supplied_to_on=day_on(0))
    order = only(desk.tick(at(1, 9)), ReadingOrdered)
    assert only(desk.take(failure(order, "not_held")), ReadingFailed).retry_at == at(1, 9)
    assert names(desk.tick(at(1, 9, 1))) == ["ReadingMissing", "ReadingFailed"]


# -- load profiles --------------------------------------------------------------------------------


def test_a_load_profile_is_asked_for_three_times_and_calls_nobody() -> None:
    desk = opened(intervals=True, supplied_to_on=day_on(0))
    order = orders(desk.tick(at(1, 0, 10)))[1]
    desk.take(reading(0, at(1, 0, 11)))
    desk.take(failure(order))
    order = only(desk.tick(at(1, 1, 10)), ReadingOrdered)
    desk.take(failure(order))
    order = only(desk.tick(at(1, 3, 10)), ReadingOrdered)
    assert (order.kind, order.attempt) == ("profile", 3)
    assert only(desk.take(failure(order)), ReadingFailed).retry_at == ""
    assert desk.point.open_days == ()
    assert desk.point.failures == 0


def test_a_third_order_for_a_profile_that_nobody_answers_is_given_up() -> None:
    desk = opened(intervals=True, supplied_to_on=day_on(0))
    desk.tick(at(1, 0, 10))
    desk.take(reading(0, at(1, 0, 11)))
    desk.tick(at(1, 1, 10))
    desk.tick(at(1, 3, 10))
    assert only(desk.tick(at(1, 7, 10)), ReadingFailed).cause == "gave_up"


def test_a_profile_the_meter_does_not_keep_is_not_asked_for_again() -> None:
    desk = opened(intervals=True, supplied_to_on=day_on(0))
    order = orders(desk.tick(at(1, 0, 10)))[1]
    assert only(desk.take(failure(order, "not_held")), ReadingFailed).retry_at == ""
    assert [day.kind for day in desk.point.open_days] == ["daily_freeze"]


def test_a_profile_is_collected_once() -> None:
    desk = opened(intervals=True)
    desk.tick(at(1, 0, 10))
    collected = only(desk.take(profile(0)), ReadingCollected)
    assert (collected.kind, collected.attempts) == ("profile", 1)
    assert desk.take(profile(0)) == []


# -- missing --------------------------------------------------------------------------------------


def test_a_day_is_missing_eight_hours_after_its_end_and_once() -> None:
    desk = opened()
    order = only(desk.tick(at(1, 0, 10)), ReadingOrdered)
    desk.take(failure(order, "bad_reply"))
    desk.tick(at(1, 1, 10))
    assert not [e for e in desk.tick(at(1, 7, 59)) if isinstance(e, ReadingMissing)]
    missing = only(desk.tick(at(1, 8)), ReadingMissing)
    assert missing == ReadingMissing(
        usage_point="P1",
        account_no="A1",
        day_on=day_on(0),
        attempts=3,
        last_cause="bad_reply",
    )
    assert not [e for e in desk.tick(at(1, 9)) if isinstance(e, ReadingMissing)]


def test_a_late_reading_is_collected_all_the_same() -> None:
    desk = opened(supplied_to_on=day_on(0))
    desk.tick(at(1, 0, 10))
    desk.tick(at(1, 8))
    collected = only(desk.take(reading(0, at(1, 9))), ReadingCollected)
    assert (collected.day_on, collected.reading_id, collected.attempts) == (day_on(0), "r0", 2)
    assert desk.keys_due(at(999)) == ()


def test_a_reading_counts_once_and_a_current_one_not_at_all() -> None:
    desk = opened()
    desk.tick(at(1, 0, 10))
    assert desk.take(reading(0, at(1, 0, 11), kind="current")) == []
    assert names(desk.take(reading(0, at(1, 0, 11)))) == ["ReadingCollected"]
    assert desk.take(reading(0, at(1, 0, 11))) == []
    assert desk.take(reading(0, at(1, 0, 12), reading_id="other")) == []


def test_readings_of_a_point_nobody_ordered_are_silent() -> None:
    desk = Desk()
    assert desk.take(reading(0, at(1))) == []
    assert desk.take(profile(0)) == []
    assert desk.take(object()) == []
    assert opened().take(object()) == []


# -- somebody goes there --------------------------------------------------------------------------


def failing(desk: Desk, count: int, hour: int = 1) -> list[object]:
    """So many failures of what is ordered, a day after the other; the last one's events."""
    own: list[object] = []
    for number in range(count):
        for order in orders(desk.tick(at(40 + number, hour))):
            own = desk.take(failure(order))
    return own


def test_after_five_failures_in_a_row_somebody_is_sent_at_once() -> None:
    desk = opened(meter(from_at=at(39)), supplied_to_on=day_on(39))
    assert names(failing(desk, 4)) == ["ReadingFailed"]
    order = only(desk.tick(at(44, 2)), ReadingOrdered)
    own = desk.take(failure(order))
    assert names(own) == ["ReadingFailed", "FieldReadingOrdered"]
    assert own[1] == FieldReadingOrdered(
        field_order_id=f"P1/field/{day_on(44)}",
        usage_point="P1",
        account_no="A1",
        meter_no="M1",
        since_on=day_on(39),
        failures=5,
    )
    assert names(failing(desk, 9, 3)) == ["ReadingFailed"]


def test_a_good_reading_in_between_starts_the_count_again() -> None:
    desk = opened(meter(from_at=at(38)), supplied_to_on=day_on(40))
    failing(desk, 1)
    desk.tick(at(41, 1))
    desk.take(reading(40, at(41, 2)))
    assert desk.point.failures == 0


def test_the_meters_own_voice_closes_the_field_order() -> None:
    desk = opened(meter(from_at=at(39)), supplied_to_on=day_on(39))
    failing(desk, 5)
    own = desk.take(reading(39, at(45, 2)))
    assert names(own) == ["ReadingCollected", "FieldReadingClosed"]
    assert own[1].closed_by == "remote reading"
    assert own[1].next_at == ""
    assert desk.point.field_order_id == ""
    assert desk.point.failures == 0


def test_a_manual_reading_closes_it_and_nobody_is_sent_again_for_a_week() -> None:
    desk = opened(meter(from_at=at(39)))
    failing(desk, 3)
    assert desk.point.field_order_id
    first = desk.point.field_order_id
    desk.as_of = at(43, 10)
    own = desk.take(manual(42))
    assert names(own) == ["ReadingCollected", "FieldReadingClosed"]
    closed = only(own, FieldReadingClosed)
    assert (closed.field_order_id, closed.closed_by) == (first, "zhou")
    assert closed.next_at == at(50, 10)
    assert closed.day_on == ""
    assert desk.take(manual(42)) == []
    sent = []
    for day in range(44, 54):
        for order in orders(desk.tick(at(day, 9))):
            sent += [e for e in desk.take(failure(order)) if isinstance(e, FieldReadingOrdered)]
    assert [event.field_order_id for event in sent] == [f"P1/field/{day_on(51)}"]


def test_a_manual_reading_of_any_day_is_collected() -> None:
    desk = opened()
    collected = only(desk.take(manual(3)), ReadingCollected)
    assert (collected.day_on, collected.attempts) == (day_on(3), 0)


def test_nobody_is_sent_where_no_meter_is() -> None:
    desk = opened(meter(from_at=at(38), to_at=at(40)), supplied_to_on=day_on(38))
    own = failing(desk, 6)
    assert names(own) == ["ReadingFailed"]
    assert desk.point.failures >= DEFAULT_POLICY.field_after_failures


def test_a_meter_only_people_can_read_is_wanted_at_the_end_of_the_month() -> None:
    desk = opened(meter(protocol="manual", line="", address=""))
    assert desk.tick(at(31, 0, 9)) == []
    order = only(desk.tick(at(31, 0, 10)), FieldReadingOrdered)
    assert (order.since_on, order.failures) == ("2026-01-31", 0)
    assert order.field_order_id == "P1/field/2026-01-31"
    assert desk.keys_due(at(400)) == ()
    desk.as_of = at(33)
    closed = only(desk.take(manual(32)), FieldReadingClosed)
    assert closed.day_on == day_on(32)
    assert desk.tick(at(58, 23)) == []
    assert only(desk.tick(at(59, 1)), FieldReadingOrdered).since_on == "2026-02-28"
    desk.as_of = at(95)
    desk.take(manual(94))  # 5 April, past 31 March
    assert only(desk.tick(at(120, 1)), FieldReadingOrdered).since_on == "2026-04-30"


def test_a_meter_only_people_can_read_is_wanted_when_its_account_leaves() -> None:
    desk = opened(meter(protocol="manual"), supplied_to_on=day_on(10))
    assert only(desk.tick(at(90)), FieldReadingOrdered).since_on == day_on(10)
    assert desk.keys_due(at(999)) == ()


def test_one_field_order_for_several_months_that_passed() -> None:
    desk = opened(meter(protocol="manual", from_at=at(50)))
    own = desk.tick(at(100))
    assert only(own, FieldReadingOrdered).since_on == "2026-02-28"


# -- the relay ------------------------------------------------------------------------------------


def seen(desk: Desk, day: int, relay: str, hour: int = 1, **changes: object) -> list[object]:
    """A reading that says how the relay stands."""
    desk.tick(at(day + 1, hour))
    values = {"relay": relay, "reading_id": f"r{day}/{hour}", **changes}
    return desk.take(reading(day, at(day + 1, hour), **values))


def test_a_relay_that_nobody_of_us_moved_is_told_to_control() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    seen(desk, 1, "open")
    assert desk.tick(at(2, 1, 4)) == []
    own = desk.tick(at(2, 1, 5))
    found = only(own, RelayFound)
    assert (found.expected, found.found, found.reading_id) == ("closed", "open", "r1/1")
    assert desk.told == [
        SwitchingReported(
            command_id="",
            seq=0,
            account_no="A1",
            usage_point=POINT,
            meter_no="M1",
            action="",
            outcome="found",
            state="open",
            reason="found open, left closed",
            reported_at=at(2, 1, 5),
        )
    ]
    seen(desk, 2, "open")
    assert len(desk.told) == 1
    seen(desk, 3, "closed", 1)
    desk.take(supply(meter(to_at=at(4, 1, 30)), version=2))
    desk.tick(at(4, 2))
    assert desk.told[1].meter_no == ""


def test_a_reading_that_is_ahead_of_the_outcome_raises_no_alarm() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    seen(desk, 1, "open")
    desk.take(ended("confirmed", "open"))
    desk.tick(at(2, 2))
    assert [told.outcome for told in desk.told] == ["confirmed"]
    assert desk.point.relay_expected == desk.point.relay_seen == "open"


def test_a_reading_taken_before_the_switching_and_told_after_raises_no_alarm() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    desk.tick(at(2, 1))
    late = reading(1, at(2, 1), relay="closed")
    desk.as_of = at(2, 3)
    desk.take(ended("confirmed", "open"))
    desk.take(late)
    for hour in (4, 5, 6):
        desk.tick(at(2, hour))
    assert [told.outcome for told in desk.told] == ["confirmed"]
    seen(desk, 2, "closed")
    desk.tick(at(3, 2))
    assert [told.outcome for told in desk.told] == ["confirmed", "found"]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("unknown", ""), ("unknown", "open"), ("waiting_for_button", "open"), ("not_confirmed", "")],
)
@pytest.mark.parametrize("relay", ["open", "closed"])
def test_while_the_outcome_is_open_either_state_is_ours(
    outcome: str, state: str, relay: str
) -> None:
    desk = opened()
    seen(desk, 0, "closed")
    desk.take(ended(outcome, state))
    seen(desk, 1, relay)
    desk.tick(at(2, 2))
    assert [told.outcome for told in desk.told] == [outcome]
    assert desk.point.relay_expected == relay


def test_a_refused_command_moves_nothing() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    before = desk.point
    desk.take(refused())
    assert desk.point == before
    assert desk.told[0].reason == "supply: no"
    seen(desk, 1, "open")
    desk.tick(at(2, 2))
    assert desk.told[1].outcome == "found"


def test_a_relay_that_waits_for_the_button_or_says_nothing_is_no_news() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    seen(desk, 1, "button")
    seen(desk, 2, "")
    assert desk.point.relay_seen == "closed"
    desk.tick(at(3, 3))
    assert desk.told == []


def test_a_second_look_at_the_relay_of_a_day_already_collected_is_news() -> None:
    desk = opened()
    seen(desk, 0, "closed")
    own = desk.take(reading(0, at(1, 5), relay="open", reading_id="again"))
    assert names(own) == ["ReadingCollected"]
    assert desk.point.relay_seen == "open"


# -- results of commands --------------------------------------------------------------------------


def test_every_outcome_is_told_to_control_by_account() -> None:
    desk = opened()
    desk.as_of = at(1, 5)
    own = desk.take(ended("not_confirmed", "closed", detail="status word 3 is 0000H"))
    assert own == desk.told
    assert own[0] == SwitchingReported(
        command_id="C1",
        seq=1,
        account_no="A1",
        usage_point=POINT,
        meter_no="M1",
        action="open",
        outcome="not_confirmed",
        state="closed",
        reason="status word 3 is 0000H",
        reported_at=at(1, 5),
    )


def test_an_outcome_of_a_point_without_supply_is_told_all_the_same() -> None:
    desk = Desk()
    assert desk.take(ended("confirmed", "open")) == []
    assert [told.outcome for told in desk.told] == ["confirmed"]


def test_what_the_executor_notes_for_itself_is_silent() -> None:
    desk = opened()
    place = PlaceNoted(
        usage_point=POINT,
        account_no="A1",
        agreement_version=1,
        switching_method="meter_relay",
        supply_version=1,
        installations=(),
    )
    started = AttemptStarted(
        command_id="C1",
        seq=1,
        account_no="A1",
        usage_point=POINT,
        meter_no="M1",
        action="open",
        valid_until_at=at(1),
        protocol="dlt645_2007",
        line="",
        address="",
    )
    assert desk.take(place) == []
    assert desk.take(started) == []


# -- the fold -------------------------------------------------------------------------------------


def test_nothing_is_folded_before_a_supply() -> None:
    with pytest.raises(AssertionError, match="before any supply"):
        evolve(None, only(opened().tick(at(1, 1)), ReadingOrdered))


def test_what_is_not_ours_is_not_folded() -> None:
    point = opened().point
    assert evolve(point, object()) is point


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_history_ends_with_every_expected_day_collected_or_given_up(
    data: st.DataObject,
) -> None:
    """Whatever meters answer and however ticks jump: each day is ordered once per attempt, missed
    at most once, and closed exactly once; a repeated input changes nothing."""
    days = data.draw(st.integers(1, 12))
    desk = opened(supplied_to_on=day_on(days - 1), intervals=data.draw(st.booleans()))
    minute = 0
    while minute < 24 * 60 * (days + 70):
        minute += data.draw(st.sampled_from((300, 1440, 4000)))
        for order in orders(desk.tick(at(0, 0, minute))):
            answer = data.draw(st.sampled_from(("reading", "failure", "silence", "twice")))
            moment = at(0, 0, minute)
            good = (
                profile((order.day_on > "2026-01-31") * 31 + int(order.day_on[8:]) - 1)
                if order.kind == "profile"
                else reading((order.day_on > "2026-01-31") * 31 + int(order.day_on[8:]) - 1, moment)
            )
            if answer == "reading":
                desk.take(good)
            elif answer == "failure":
                desk.take(failure(order))
            elif answer == "twice":
                desk.take(failure(order))
                assert desk.take(failure(order)) == []
                desk.take(good)
                assert desk.take(good) == []
    desk.check()
    assert desk.point.open_days == ()
    assert desk.keys_due(at(9999)) == ()
    for kind in ("daily_freeze", "profile"):
        ordered = [e for e in desk.events if isinstance(e, ReadingOrdered) and e.kind == kind]
        assert len({order.order_id for order in ordered}) == len(ordered)
        closed = [
            event.day_on
            for event in desk.events
            if (isinstance(event, ReadingCollected) and event.kind == kind)
            or (isinstance(event, ReadingFailed) and event.kind == kind and not event.retry_at)
        ]
        assert sorted(closed) == sorted({order.day_on for order in ordered})
    missed = [event.day_on for event in desk.events if isinstance(event, ReadingMissing)]
    assert len(set(missed)) == len(missed)


def test_the_state_of_a_silent_point_is_bounded() -> None:
    desk = opened()
    for day in range(1, 130):
        desk.tick(at(day, 12))
    assert len(desk.point.open_days) <= DEFAULT_POLICY.give_up_days + 2
    assert isinstance(desk.point, Point)

"""Rate registers or load profile: the meter's slot table against the book, and what follows."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.tou_basis import (
    DaySlot,
    SlotDifference,
    SlotTable,
    YearZone,
    differences,
    judge_basis,
    meter_slots,
)

RATES = {1: "sharp", 2: "peak", 3: "flat", 4: "valley"}
WORKDAY = (DaySlot(0, 4), DaySlot(480, 2), DaySlot(660, 3), DaySlot(1380, 4))
TABLE = SlotTable(
    zones=(YearZone(1, 1, 1), YearZone(7, 1, 2)),
    day_tables={1: WORKDAY, 2: (DaySlot(420, 1), DaySlot(1320, 4)), 3: (DaySlot(0, 3),)},
)
BOOK_DAY = ("valley",) * 16 + ("peak",) * 6 + ("flat",) * 24 + ("valley",) * 2
DAY = "2026-03-10"


def test_an_equal_table_has_no_difference_whatever_the_size_of_the_book_slots() -> None:
    assert differences(TABLE, {DAY: BOOK_DAY}, RATES) == ()
    quarters = tuple(period for period in BOOK_DAY for _ in range(2))
    assert differences(TABLE, {DAY: quarters}, RATES) == ()


def test_the_differing_slots_are_named_and_joined() -> None:
    book = {DAY: ("valley",) * 17 + ("peak",) * 5 + ("flat",) * 23 + ("valley",) * 3}
    assert differences(TABLE, book, RATES) == (
        SlotDifference(
            day_on=DAY,
            from_minute=480,
            to_minute=510,
            meter_rate=2,
            meter_period="peak",
            book_period="valley",
        ),
        SlotDifference(
            day_on=DAY,
            from_minute=1350,
            to_minute=1380,
            meter_rate=3,
            meter_period="flat",
            book_period="valley",
        ),
    )
    whole = differences(TABLE, {DAY: ("flat",) * 48, "2026-01-01": BOOK_DAY}, RATES)
    assert [(part.from_minute, part.to_minute) for part in whole] == [
        (0, 480),
        (480, 660),
        (1380, 1440),
    ]


def test_a_meter_slot_inside_a_half_hour_and_a_rate_without_period() -> None:
    table = SlotTable(zones=(YearZone(1, 1, 1),), day_tables={1: (DaySlot(0, 4), DaySlot(490, 2))})
    found = differences(table, {DAY: ("valley",) * 16 + ("peak",) * 32}, RATES)
    assert [(part.from_minute, part.to_minute) for part in found] == [(480, 490)]
    foreign = differences(table, {DAY: ("valley",) * 48}, {4: "valley"})
    assert [(part.from_minute, part.meter_rate, part.meter_period) for part in foreign] == [
        (490, 2, "")
    ]


def test_zones_wrap_over_the_year_and_slots_over_the_day() -> None:
    late = SlotTable(zones=(YearZone(3, 1, 1), YearZone(10, 1, 3)), day_tables=TABLE.day_tables)
    assert meter_slots(late, "2026-02-28") == (DaySlot(0, 3),)
    assert meter_slots(late, "2026-03-01") == WORKDAY
    assert meter_slots(TABLE, "2026-07-01") == (DaySlot(0, 4), DaySlot(420, 1), DaySlot(1320, 4))
    assert meter_slots(TABLE, "2026-06-30") == WORKDAY


def test_special_days_come_before_rest_days_and_both_before_zones() -> None:
    table = SlotTable(
        zones=TABLE.zones,
        day_tables=TABLE.day_tables,
        special_days={"2026-03-14": 2},
        rest_weekdays=frozenset({5, 6}),
        rest_table=3,
    )
    assert meter_slots(table, "2026-03-14")[1] == DaySlot(420, 1)
    assert meter_slots(table, "2026-03-15") == (DaySlot(0, 3),)
    assert meter_slots(table, "2026-03-16") == WORKDAY


def test_places_that_repeat_the_last_slot_say_nothing_new() -> None:
    table = SlotTable(zones=TABLE.zones, day_tables={1: (*WORKDAY, WORKDAY[-1], WORKDAY[-1])})
    assert meter_slots(table, DAY) == WORKDAY


@pytest.mark.parametrize(
    ("table", "field", "problem"),
    [
        (SlotTable(zones=(), day_tables={}), "zones", "there are none"),
        (SlotTable(zones=(YearZone(1, 1, 9),), day_tables={}), "day_tables", "day table 9"),
        (
            SlotTable(zones=(YearZone(1, 1, 1),), day_tables={1: (DaySlot(1440, 1),)}),
            "day_tables.1",
            "has a slot at minute 1440",
        ),
        (
            SlotTable(zones=(YearZone(1, 1, 1),), day_tables={1: (DaySlot(0, 1), DaySlot(0, 2))}),
            "day_tables.1",
            "has two rates at one time",
        ),
    ],
)
def test_tables_that_say_nothing_are_refused(table: SlotTable, field: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        meter_slots(table, DAY)
    assert refused.value.field == field
    assert problem in refused.value.problem


@pytest.mark.parametrize("count", [0, 7])
def test_a_book_day_of_unequal_slots_is_refused(count: int) -> None:
    with pytest.raises(BadInput, match=f"book: has {count} slots on {DAY}"):
        differences(TABLE, {DAY: ("flat",) * count}, RATES)


def judged(stated: str = "rate_registers", **changes: Any) -> Any:
    values: dict[str, Any] = {
        "table": TABLE,
        "book": {DAY: BOOK_DAY},
        "rates": RATES,
        "clock_offset_s": 300,
        "clock_limit_s": 300,
        "profile_expected": 96,
        "profile_found": 96,
        **changes,
    }
    return judge_basis(stated, **values)


OTHER_BOOK = {DAY: ("flat",) * 48}


def test_equal_tables_and_a_good_clock_leave_the_rate_registers() -> None:
    verdict = judged()
    assert (verdict.stated, verdict.used) == ("rate_registers", "rate_registers")
    assert not verdict.release_blocked
    assert (verdict.differences, verdict.findings) == ((), ())


def test_a_mismatch_blocks_the_bill_and_switches_to_a_complete_profile() -> None:
    verdict = judged(book=OTHER_BOOK)
    assert (verdict.used, verdict.release_blocked) == ("load_profile", True)
    (finding,) = verdict.findings
    assert (finding.rule, finding.severity) == ("tou_slot_table", "fail")
    assert finding.numbers == {"difference_count": "3", "difference_min": "720"}
    assert finding.text == f"{DAY} 00:00-08:00: the meter counts valley, the book flat"
    assert finding.slots == (DAY,)
    assert len(verdict.differences) == 3
    unknown = judged(book=OTHER_BOOK, rates={})
    assert "the meter counts rate 4, the book flat" in unknown.findings[0].text


@pytest.mark.parametrize(("expected", "found"), [(96, 95), (0, 0)])
def test_without_a_complete_profile_nothing_may_be_used(expected: int, found: int) -> None:
    verdict = judged(book=OTHER_BOOK, profile_expected=expected, profile_found=found)
    assert (verdict.used, verdict.release_blocked) == ("", True)
    assert [finding.rule for finding in verdict.findings] == ["tou_slot_table", "tou_profile"]
    assert verdict.findings[1].numbers == {
        "expected_count": str(expected),
        "found_count": str(found),
    }


def test_a_table_that_was_not_read_back_is_no_equal_table() -> None:
    verdict = judged(table=None)
    assert (verdict.used, verdict.release_blocked) == ("load_profile", True)
    assert verdict.findings[0].text == "the meter's slot table was not read back"


@pytest.mark.parametrize("offset_s", [301, -301])
def test_a_clock_beyond_the_limit_blocks_and_switches(offset_s: int) -> None:
    verdict = judged(clock_offset_s=offset_s)
    assert (verdict.used, verdict.release_blocked) == ("load_profile", True)
    (finding,) = verdict.findings
    assert finding.numbers == {"clock_offset_s": str(offset_s), "limit_s": "300"}
    assert judged("load_profile", clock_offset_s=offset_s).release_blocked


def test_a_clock_that_was_not_read_is_a_warning() -> None:
    verdict = judged(clock_offset_s=None)
    assert (verdict.used, verdict.release_blocked) == ("rate_registers", False)
    assert [finding.severity for finding in verdict.findings] == ["warn"]


def test_a_stated_profile_needs_no_table_and_must_be_complete() -> None:
    verdict = judged("load_profile", table=None)
    assert (verdict.used, verdict.release_blocked, verdict.findings) == (
        "load_profile",
        False,
        (),
    )
    assert not judged("load_profile", book=OTHER_BOOK).release_blocked
    short = judged("load_profile", profile_found=1)
    assert (short.used, short.release_blocked) == ("", True)
    with pytest.raises(BadInput, match="basis: 'both' is unknown"):
        judged("both")

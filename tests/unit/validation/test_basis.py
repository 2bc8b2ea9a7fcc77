"""The time-of-use basis of a day: what it rests on, and that no order of arrival changes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.codec import encode_state, state_decoder
from libs.events.core import Tick
from libs.tou_calendar import TouCalendar
from services.validation.basis import energy_by_period, table_on
from services.validation.basis_facts import BASIS_DAYS, TABLES_KEPT, DayProfile
from services.validation.events import (
    CalendarsAdopted,
    CalendarsRejected,
    QualityFound,
    SlotTableNoted,
    UsageBasis,
    UsageEstablished,
)
from services.validation.reactions import PublishedList
from services.validation.state import Point
from tests.unit.validation.basis_desk import (
    HOUR_WH,
    PEAK,
    RIGHT,
    VALLEY,
    WRONG,
    BasisDesk,
    book,
    calendar,
    desk,
    even_profile,
    fails,
    rated,
    rates_of,
    shown,
    table,
    tariff,
)
from tests.unit.validation.desk import CORE, meter, names, only
from tests.unit.validation.samples import IMPORT, at, day_on

SOUND = UsageBasis(stated="rate_registers", used="rate_registers", blocked=False)
BY_REGISTERS = {IMPORT: 1_440, PEAK: 900, VALLEY: 540}
BY_PROFILE = {IMPORT: 1_440, PEAK: 840, VALLEY: 600}


def first(made: BasisDesk) -> UsageEstablished:
    """The first day as it stands."""
    return made.usage()[day_on(0)]


# -- sound, in doubt, replaced --------------------------------------------------------------------


def test_registers_count_while_the_meter_says_what_the_book_says() -> None:
    made = desk(book(), rated(), table(), rates_of(0))
    assert (first(made).energy, first(made).basis) == (shown(1), SOUND)
    assert first(made).findings == ()
    assert first(made).revision == 1


def test_a_table_that_nobody_read_blocks_and_the_table_releases() -> None:
    made = desk(book(), rated(), rates_of(0))
    assert first(made).basis == UsageBasis(stated="rate_registers", used="", blocked=True)
    assert fails(first(made)) == {
        "tou_slot_table": "the meter's slot table was not read back",
        "tou_profile": "the load profile is not complete for the period",
    }
    own = made.take(table())
    assert names(own) == ["SlotTableNoted", "UsageEstablished"]
    assert (first(made).revision, first(made).basis) == (2, SOUND)
    assert set(first(made).change.values()) == {0}
    assert made.take(table()) == [], "the same table twice"
    made.check_sums()


def test_another_table_blocks_and_the_profile_stands_in() -> None:
    """15 hours counted as peak, where the book has 14: 60 Wh too many."""
    made = desk(book(), rated(), table(WRONG), rates_of(0, 15), even_profile(0))
    body = first(made)
    assert body.energy == BY_PROFILE
    assert body.basis == UsageBasis(
        stated="rate_registers", used="load_profile", blocked=True, measured=BY_REGISTERS
    )
    assert fails(body) == {
        "tou_slot_table": f"{day_on(0)} 07:00-08:00: the meter counts peak, the book valley"
    }
    made.check_sums()


def test_without_a_complete_profile_the_registers_stand_and_the_bill_waits() -> None:
    holes = even_profile(0)
    holes = replace(holes, snapshots={IMPORT: (*holes.snapshots[IMPORT][:50], None) + (0,) * 46})
    for profile in ((), (holes,)):
        made = desk(book(), rated(), table(WRONG), rates_of(0, 15), *profile)
        assert first(made).energy == BY_REGISTERS
        assert first(made).basis == UsageBasis(stated="rate_registers", used="", blocked=True)
        assert set(fails(first(made))) == {"tou_slot_table", "tou_profile"}


def test_the_fuller_profile_of_a_day_counts() -> None:
    full = even_profile(0)
    holed = replace(
        full, reading_id="p0/zz", snapshots={IMPORT: (None, *full.snapshots[IMPORT][1:])}
    )
    for profiles in ((full, holed), (holed, full)):
        made = desk(book(), rated(), table(WRONG), rates_of(0, 15), *profiles)
        assert first(made).energy == BY_PROFILE


def test_a_clock_beyond_the_limit_blocks_even_with_the_right_table() -> None:
    made = desk(book(), rated(), table(), rates_of(0, clock_offset_s=301), even_profile(0))
    assert first(made).basis == UsageBasis(
        stated="rate_registers", used="load_profile", blocked=True
    )
    assert fails(first(made)) == {
        "tou_clock": "the meter's clock is off, so its rates are of other times"
    }
    right = desk(book(), rated(), table(), rates_of(0, clock_offset_s=-300))
    assert first(right).basis == SOUND


def test_a_clock_that_was_not_read_is_a_warning() -> None:
    made = desk(book(), rated(), table(), rates_of(0, clock_offset_s=None))
    assert first(made).basis == SOUND
    assert [(each.rule, each.severity) for each in first(made).findings] == [("tou_clock", "warn")]


def test_a_point_may_state_its_profile_as_the_basis() -> None:
    stated = tariff(tou_basis="load_profile")
    made = desk(book(), rated(stated), rates_of(0, 15))
    assert first(made).basis == UsageBasis(stated="load_profile", used="", blocked=True)
    made.take(even_profile(0))
    assert first(made).energy == BY_PROFILE
    assert first(made).basis == UsageBasis(
        stated="load_profile", used="load_profile", blocked=False, measured=BY_REGISTERS
    )
    made.check_sums()


def test_a_table_that_says_nothing_is_as_good_as_none() -> None:
    broken = table(day_tables={"2": RIGHT})
    made = desk(book(), rated(), broken, rates_of(0))
    assert fails(first(made))["tou_slot_table"].startswith("the slot table says nothing: day_table")
    assert first(made).basis == UsageBasis(stated="rate_registers", used="", blocked=True)


def test_a_table_of_no_time_is_told() -> None:
    made = desk(rated())
    remark = only(made.take(table(read_at="yesterday")), QualityFound)
    assert "yesterday" in remark.findings[0].text


# -- what changes nothing -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bodies",
    [
        (rated(), table(WRONG)),  # no book
        (book(), rated(tariff(rate_periods={})), table(WRONG)),  # no periods
        (book(), rated(tariff(price_list="plain")), table(WRONG)),  # a list without periods
        (book(), rated(tariff(region="S")), table(WRONG)),  # a book of another region
        (book(), rated(tariff(from_on=day_on(1))), table(WRONG)),  # not priced yet
        (book(until_on="2021-01-01"), rated(), table(WRONG)),  # a book that is over
    ],
)
def test_without_periods_or_book_a_day_is_what_the_registers_say(bodies: tuple[Any, ...]) -> None:
    made = desk(*bodies, rates_of(0, 15))
    assert (first(made).energy, first(made).basis) == (BY_REGISTERS, None)


def test_a_point_without_rates_keeps_nothing() -> None:
    made = desk(book(), rated(tariff(rate_periods={})), rates_of(0), even_profile(0))
    assert made.state.basis.days == {}
    assert made.state.basis.clocks == {}


# -- later knowledge ------------------------------------------------------------------------------


def test_a_later_book_table_and_profile_revise_what_is_kept() -> None:
    made = desk(rated(), rates_of(0, 15), rates_of(1, 15))
    assert first(made).basis is None
    assert names(made.take(book())) == ["CalendarsAdopted", *["UsageEstablished"] * 2]
    assert fails(first(made)).keys() == {"tou_slot_table", "tou_profile"}
    assert names(made.take(table(WRONG))) == ["SlotTableNoted", *["UsageEstablished"] * 2]
    assert names(made.take(even_profile(0))) == ["IntervalsEstablished", "UsageEstablished"]
    assert (first(made).energy, first(made).revision) == (BY_PROFILE, 4)
    assert made.usage()[day_on(1)].energy == BY_REGISTERS
    made.check_sums()


def test_a_sound_day_gets_no_revision_from_a_book_that_comes_late() -> None:
    made = desk(rated(), table(), rates_of(0))
    assert names(made.take(book())) == ["CalendarsAdopted"]
    assert first(made).basis is None


def test_a_reprogrammed_meter_counts_from_the_day_it_was_read() -> None:
    made = desk(book(), rated(), table(WRONG), table(RIGHT, 1))
    made.take(rates_of(0, 15), rates_of(1, registers={**shown(2), PEAK: 1_740, VALLEY: 1_140}))
    assert set(fails(first(made))) == {"tou_slot_table", "tou_profile"}
    assert made.usage()[day_on(1)].basis == SOUND


def test_another_meter_has_its_own_table() -> None:
    tables = (
        SlotTableNoted(
            usage_point="P1", meter_no=meter_no, reading_id=meter_no, from_on=on, read_at=at(3),
            zones=(), day_tables={}, special_days=(), rest_weekdays=(), rest_table=0,
        )
        for meter_no, on in (("M1", "2026-01-03"), ("M2", "2026-01-02"), ("M1", "2026-01-05"))
    )  # fmt: skip
    known = tuple(tables)
    assert table_on(known, "M1", "2026-01-01") is known[0], "the first one that was read"
    assert table_on(known, "M1", "2026-01-04") is known[0]
    assert table_on(known, "M1", "2026-01-05") is known[2]
    assert table_on(known, "M3", "2026-01-05") is None


def test_a_new_version_of_the_book_judges_the_days_again() -> None:
    made = desk(book(), rated(), table(WRONG), rates_of(0, 15))
    later = book(2, calendars={"cal": calendar("07:00")})
    assert names(made.take(later)) == ["CalendarsAdopted", "UsageEstablished"]
    assert (first(made).energy, first(made).basis) == (BY_REGISTERS, SOUND)


def test_a_supply_that_states_another_list_judges_the_days_again() -> None:
    made = desk(book(), rated(), rates_of(0))
    made.take(rated(tariff(price_list="plain"), version=2))
    assert (first(made).basis, first(made).findings) == (None, ())
    made.check_sums()


def test_a_late_reading_after_the_profile_keeps_the_sum_of_changes() -> None:
    """Two days estimated in a gap and replaced by the profile, then actual."""
    made = desk(book(), rated(), table(WRONG), even_profile(0), even_profile(1), rates_of(1, 15))
    assert made.usage()[day_on(0)].energy == BY_PROFILE
    assert first(made).quality == "estimated"
    made.take(rates_of(0, 15))
    assert (first(made).quality, first(made).energy) == ("actual", BY_PROFILE)
    made.check_sums()


def test_a_day_without_usage_is_not_revised_and_a_tick_goes_to_who_is_due() -> None:
    made = desk(book(), rated(), table(), rates_of(0))
    assert names(made.take(even_profile(1))) == ["IntervalsEstablished"]
    made.as_of = at(2, 9)
    (estimated,) = made.take(Tick(at=made.as_of))
    assert (estimated.day_on, estimated.quality, estimated.basis) == (
        day_on(1),
        "estimated",
        SOUND,
    )


# -- books ----------------------------------------------------------------------------------------


def test_the_first_book_of_an_id_and_version_stands() -> None:
    made = desk(book())
    assert made.take(book()) == []
    other = only(made.take(book(region="S")), CalendarsRejected)
    assert other.problem == "another book has this id and version"
    assert list(made.shared.books) == ["b@1"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"calendars": {}}, "price list tou: there is no calendar cal"),
        (
            {"calendars": {"cal": TouCalendar(patterns=())}},
            "calendar cal: half hour 0 of 2024-01-01 (holiday) has 0 periods, not one",
        ),
    ],
)
def test_a_book_that_leaves_a_half_hour_open_is_rejected(
    changes: dict[str, Any], problem: str
) -> None:
    made = desk(rated(), rates_of(0))
    assert only(made.take(book(**changes)), CalendarsRejected).problem == problem


def test_a_book_of_lists_without_periods_is_adopted() -> None:
    plain = book(price_lists={"plain": PublishedList()}, calendars={})
    assert isinstance(only(desk().take(plain), CalendarsAdopted), CalendarsAdopted)


# -- energy by period -----------------------------------------------------------------------------

HALVES = ("valley",) * 16 + ("peak",) * 28 + ("valley",) * 4


def by_period(
    slots: tuple[int, ...], measured: dict[str, int] | None = None, **rates: str
) -> dict[str, int] | None:
    periods = {name.removeprefix("r"): period for name, period in rates.items()}
    given = DayProfile(reading_id="p", expected=48, found=48, slots=slots)
    energy = {IMPORT: 1_000, PEAK: 999, VALLEY: 1} if measured is None else measured
    return energy_by_period(energy, periods or {"1": "peak", "2": "valley"}, HALVES, given)


def test_rates_add_up_to_the_register_and_the_residual_goes_to_the_last_rate() -> None:
    """28 of 48 parts of 1,000 Wh are 583.3; the rest is valley, the higher rate."""
    assert by_period((1,) * 48) == {IMPORT: 1_000, PEAK: 583, VALLEY: 417}


def test_an_hour_of_one_period_is_enough_and_of_two_is_not() -> None:
    assert by_period((2,) * 24) == {IMPORT: 1_000, PEAK: 583, VALLEY: 417}
    assert by_period((6,) * 8) is None, "three hours from 06:00 have both"
    assert by_period((1,) * 36) is None, "40 minutes are no whole half hours"
    assert by_period((1,) * 72) is None, "nor are 20"


def test_what_a_profile_cannot_say() -> None:
    assert by_period(()) is None, "it has a hole"
    assert by_period((1,) * 48, r1="peak") is None, "nobody knows the rate of the valley"
    assert by_period((0,) * 48) is None, "it counted nothing"
    assert by_period((0,) * 48, {IMPORT: 0, PEAK: 0}) == {IMPORT: 0, PEAK: 0}


def test_the_lowest_rate_of_a_period_takes_it_and_the_others_get_none() -> None:
    measured = {IMPORT: 480, "1-0:1.8.3": 7, PEAK: 473, "1-0:2.8.1": 5}
    found = by_period((10,) * 48, measured, r1="peak", r3="valley", r2="valley")
    assert found == {IMPORT: 480, PEAK: 280, VALLEY: 200, "1-0:1.8.3": 0, "1-0:2.8.1": 5}


def test_without_a_total_the_rates_keep_their_sum() -> None:
    assert by_period((1,) * 48, {PEAK: 40, VALLEY: 56}) == {PEAK: 56, VALLEY: 40}


@given(
    st.lists(st.integers(0, 10_000), min_size=48, max_size=48),
    st.integers(0, 1_000_000),
)
def test_rates_by_the_profile_add_up_to_the_total_always(slots: list[int], total_wh: int) -> None:
    found = by_period(tuple(slots), {IMPORT: total_wh, PEAK: total_wh, VALLEY: 0})
    if total_wh and not any(slots):
        assert found is None
        return
    assert found is not None
    assert found[PEAK] + found[VALLEY] == found[IMPORT] == total_wh
    share = sum(wh for wh, period in zip(slots, HALVES, strict=True) if period == "peak")
    if any(slots):
        assert abs(found[PEAK] - total_wh * share / sum(slots)) <= 1


# -- what is kept ---------------------------------------------------------------------------------


@pytest.mark.wide
def test_what_is_kept_of_a_point_does_not_grow_with_time() -> None:
    made = desk(book(), rated(), *(table(day=day) for day in range(0, 360, 30)))
    for day in range(100):
        made.take(rates_of(day), even_profile(day))
    facts = made.state.basis
    assert list(facts.days) == [day_on(day) for day in range(100 - BASIS_DAYS, 100)]
    assert len(facts.clocks) == BASIS_DAYS
    assert len(facts.tables) == TABLES_KEPT
    assert len(encode_state(made.state)) < 80_000
    assert state_decoder(Point)(encode_state(made.state)) == made.state
    state = None
    for event in made.events:
        if not isinstance(event, CalendarsAdopted):
            state = CORE.evolve(state, event)
    assert state == made.state
    assert state_decoder(CORE.state_types[0])(encode_state(made.shared)) == made.shared
    made.check_sums()


# -- the law --------------------------------------------------------------------------------------

DAYS = 4
INPUTS: tuple[Any, ...] = (
    book(),
    book(2, from_on=day_on(2), calendars={"cal": calendar("07:00")}),
    table(WRONG),
    table(RIGHT, 1),
    table(WRONG, 2),
    *(rates_of(day, 15, clock_offset_s=400 if day == 1 else 0) for day in range(DAYS)),
    *(even_profile(day) for day in (0, 1, 3)),
    replace(even_profile(3), reading_id="p3/holed", snapshots={IMPORT: (None,) * 97}),
)


def settled(order: tuple[int, ...]) -> BasisDesk:
    made = desk(rated())
    made.take(*(INPUTS[place] for place in order))
    return made


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(len(INPUTS))))
def test_no_order_of_arrival_changes_what_stands(order: list[int]) -> None:
    made, expected = settled(tuple(order)), settled(tuple(range(len(INPUTS))))
    made.check_sums()
    assert made.standing() == expected.standing()
    assert expected.standing()[day_on(0)] == (BY_PROFILE, "actual", True, ["tou_slot_table"])
    assert [blocked for _, _, blocked, _ in expected.standing().values()] == [
        True,  # the wrong table
        True,  # the right one, the clock is wrong
        False,  # the other calendar, for which the table is right
        False,
    ]


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(len(INPUTS))), st.integers(0, len(INPUTS)))
def test_the_supply_may_come_last_too(order: list[int], place: int) -> None:
    """Readings and profiles are held, tables and books are noted."""
    made = BasisDesk()
    made.take(*(INPUTS[at] for at in order[:place]), rated())
    made.take(*(INPUTS[at] for at in order[place:]))
    assert made.standing() == settled(tuple(range(len(INPUTS)))).standing()


def test_an_exchange_takes_the_table_of_the_meter_that_stands_at_the_end() -> None:
    old = meter(to_at=at(0, 12), initial=shown(0), final={IMPORT: 720, PEAK: 240, VALLEY: 480})
    new = meter("M2", from_at=at(0, 12), initial=shown(0))
    supplied = replace(rated(), installations=(old, new))
    made = desk(book(), supplied, table(WRONG), table(RIGHT, meter_no="M2", reading_id="t/M2"))
    after = {IMPORT: 12 * HOUR_WH, PEAK: 10 * HOUR_WH, VALLEY: 2 * HOUR_WH}
    made.take(rates_of(0, registers=after, meter_no="M2"))
    assert first(made).after_exchange
    assert first(made).basis == SOUND

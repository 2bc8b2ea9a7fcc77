"""Gaps of load profiles: methods, scale, registers, zones, and the laws that always hold.

Goal: estimated + known is the register's delta, to the watt-hour, whatever happened to meter and
clock. Method: examples worked out by hand, then the laws with hypothesis on random holes.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from services.validation.estimation_plan import DEFAULT_PLAN, LAST, PlanStep
from services.validation.finding import FAIL, WARN
from services.validation.interval_estimation import SeriesEstimate, estimate_series
from services.validation.interval_series import (
    EDITED,
    ESTIMATED,
    FAILED,
    MANUAL,
    OUTAGE,
    Slot,
    interval_series,
)
from services.validation.register_bracket import Bracket, RegisterRow
from services.validation.slot_time import at_of, day_bounds, minute_of
from tests.unit.validation.interval_samples import (
    OUT,
    estimated,
    plan_with,
    register_row,
    slots_from,
    slots_of,
)
from tests.unit.validation.samples import at, day_on

EVEN = PlanStep(method="register_even")
LINEAR = PlanStep(method="linear", gap_max_min=60)
SAME = PlanStep(
    method="same_weekday", parameters={"samples": 3, "samples_min": 1, "window_days": 35}
)
BERLIN = ZoneInfo("Europe/Berlin")


def row_at(minute: int, value: int) -> RegisterRow:
    return replace(register_row(0, value), taken_at=at_of(minute))


def energies(found: SeriesEstimate) -> list[int | None]:
    return [slot.energy for slot in found.slots]


def methods(found: SeriesEstimate) -> list[str]:
    return [slot.method for slot in found.filled]


# -- scale -----------------------------------------------------------------------------------------


def test_without_a_register_the_shape_stands_and_is_scaled_when_it_arrives() -> None:
    slots = slots_of(0, [100, None, 201], minutes=60)
    open_end = estimated(slots)
    assert energies(open_end) == [100, 151, 201]  # 150.5, half up
    (filled,) = open_end.filled
    assert (filled.method, filled.scale, filled.shift) == ("linear", None, None)
    assert filled.shape == Fraction(301, 2)
    assert filled.references == (at(0, 1), at(0, 3))
    closed = estimated(open_end.slots, (register_row(0, 0), register_row(0, 500, hour=3)))
    assert energies(closed) == [100, 199, 201]
    assert closed.filled[0].scale == Fraction(199 * 2, 301)
    (balance,) = closed.balances
    assert (balance.delta, balance.known, balance.estimated) == (500, 301, 199)
    assert balance.kept
    assert balance.outcome == "good"
    assert closed.findings == ()


def test_an_estimate_above_the_register_is_scaled_down() -> None:
    rows = (register_row(0, 0), register_row(0, 310, hour=3))
    found = estimated(slots_of(0, [100, None, 200]), rows)
    assert energies(found) == [100, 10, 200]
    assert found.filled[0].scale == Fraction(10, 150)


def test_known_above_the_register_is_a_finding_and_nothing_negative_is_estimated() -> None:
    rows = (register_row(0, 0), register_row(0, 290, hour=3))
    slots = slots_of(0, [100, None, 200])
    found = estimated(slots, rows)
    assert energies(found) == [100, None, 200]
    assert found.unfilled == (at(0, 2),)
    (finding,) = found.findings
    assert (finding.rule, finding.severity) == ("above_register", FAIL)
    assert finding.numbers == {"register": "290", "left": "-10"}
    assert finding.slots == (at(0, 2),)
    assert not found.balances[0].kept
    net = estimated(slots, rows, signed=True)
    assert energies(net) == [100, -10, 200]
    assert net.filled[0].shift == -160
    assert net.findings == ()
    assert net.balances[0].kept


@pytest.mark.parametrize(
    ("residual", "expected"), [("largest_remainder", [4, 3, 3]), (LAST, [3, 3, 4])]
)
def test_the_residual_goes_to_a_documented_slot(residual: str, expected: list[int]) -> None:
    rows = (register_row(0, 0), register_row(0, 10, hour=3))
    plan = plan_with(EVEN, residual=residual)
    assert energies(estimated(slots_of(0, [None] * 3), rows, plan)) == expected


def test_a_shape_of_zeros_is_shifted_and_an_outage_stays_zero() -> None:
    week = slots_of(0, [0] * 24)
    gap = slots_of(7, [None] * 20 + [OUT] * 3 + [None])
    rows = (register_row(7, 0), register_row(8, 42_000))
    found = estimated(week + gap, rows, plan_with(SAME))
    day = [slot for slot in found.slots if slot.end_at > at(7)]
    assert [slot.energy for slot in day] == [2000] * 20 + [0] * 3 + [2000]
    assert [slot.quality for slot in day] == [ESTIMATED] * 20 + [OUTAGE] * 3 + [ESTIMATED]
    assert {slot.shift for slot in found.filled if slot.end_at > at(7)} == {Fraction(2000)}
    assert found.balances[0].kept


def test_a_bracket_without_a_gap_says_whether_the_register_agrees() -> None:
    rows = (register_row(0, 0), register_row(0, 300, hour=2), register_row(0, 700, hour=3))
    found = estimated(slots_of(0, [100, 200, 300]), rows)
    (finding,) = found.findings
    assert (finding.rule, finding.severity) == ("register_differs", WARN)
    assert finding.numbers == {"register": "400", "left": "100"}
    assert [balance.kept for balance in found.balances] == [True, False]


# -- registers -------------------------------------------------------------------------------------


def test_a_meter_exchange_with_another_ratio_inside_a_gap() -> None:
    rows = (
        register_row(0, 1000, ratio="10"),
        register_row(0, 1030, hour=2, kind="final", ratio="10"),
        register_row(0, 500, hour=2, kind="initial", meter_no="M2", ratio="20"),
        register_row(0, 520, hour=4, meter_no="M2", ratio="20"),
    )
    found = estimated(slots_of(0, [None] * 4), rows)
    # The exchange was at the end of a slot, so both halves are known: 30 x 10 and 20 x 20.
    assert energies(found) == [150, 150, 200, 200]
    assert [balance.delta for balance in found.balances] == [300, 400]
    inside_at = "2025-12-31T17:20:30Z"
    exchange = [replace(row, taken_at=inside_at) for row in rows[1:3]]
    between = (rows[0], *exchange, rows[3])
    inside = estimated(slots_of(0, [None] * 4), between)
    assert energies(inside) == [175] * 4
    assert [balance.delta for balance in inside.balances] == [700]


def test_a_ratio_change_of_the_same_meter_that_was_set_to_zero() -> None:
    rows = (
        register_row(0, 1000),
        register_row(0, 1100, hour=2, kind="final"),
        register_row(0, 0, hour=2, kind="initial", ratio="2"),
        register_row(0, 0, hour=2, ratio="2"),
        register_row(0, 50, hour=4, ratio="2"),
    )
    found = estimated(slots_of(0, [None] * 4), rows)
    assert energies(found) == [50, 50, 50, 50]


def test_a_rollover_is_a_delta_and_an_implausible_one_is_not() -> None:
    slots = slots_of(0, [4000, None, None, 4000])
    rows = (register_row(0, 999_998_500), register_row(0, 12_300, hour=4))
    found = estimated(slots, rows, plan_with(EVEN))
    assert energies(found) == [4000, 2900, 2900, 4000]
    assert found.balances[0].outcome == "rollover"
    small = (register_row(0, 999_998_500, capacity_w=1), rows[1])
    fallen = estimated(slots, small, plan_with(EVEN))
    assert energies(fallen) == [4000, None, None, 4000]
    assert [finding.rule for finding in fallen.findings] == ["register_unknown", "no_method"]
    assert "negative" in fallen.findings[0].text
    assert (fallen.balances[0].delta, fallen.balances[0].kept) == (None, False)
    shaped = estimated(slots_of(0, [4000, None, 4000]), (small[0], register_row(0, 5, hour=3)))
    assert energies(shaped) == [4000, 4000, 4000]
    assert shaped.filled[0].scale is None
    assert [finding.severity for finding in shaped.findings] == [FAIL]


def test_an_exchange_that_nobody_wrote_down_leaves_the_shape_unscaled() -> None:
    rows = (register_row(0, 1000), register_row(0, 70, hour=3, meter_no="M2"))
    found = estimated(slots_of(0, [100, None, 200]), rows)
    assert energies(found) == [100, 150, 200]
    assert found.balances[0].outcome == "no_exchange_reading"


def test_registers_make_the_series_longer_at_both_ends() -> None:
    rows = (register_row(0, 0), register_row(0, 1000, hour=5))
    found = estimated(slots_of(0, [200, 200], first=2), rows)
    assert energies(found) == [200] * 5
    assert methods(found) == ["register_even"] * 3


def test_a_gap_cut_by_two_registers_keeps_both() -> None:
    rows = (register_row(0, 0), register_row(1, 2400), register_row(2, 7200))
    found = estimated(slots_of(0, [None] * 48), rows)
    assert energies(found) == [100] * 24 + [200] * 24
    assert all(balance.kept for balance in found.balances)


def test_a_manual_reading_of_the_register_is_told() -> None:
    rows = (register_row(0, 0), register_row(0, 300, hour=3, source="manual"))
    found = estimated(slots_of(0, [None] * 3), rows)
    assert found.balances[0].source == "manual"


# -- the choice ------------------------------------------------------------------------------------


def test_no_history_at_all_is_told_and_nothing_is_guessed() -> None:
    found = estimated(slots_of(0, [None] * 3))
    assert energies(found) == [None] * 3
    (finding,) = found.findings
    assert (finding.rule, finding.severity) == ("no_method", FAIL)
    assert found.unfilled == (at(0, 1), at(0, 2), at(0, 3))


def test_one_slot_without_a_method_leaves_its_neighbours_unscaled() -> None:
    rows = (register_row(0, 0), register_row(0, 1000, hour=6))
    slots = slots_of(0, [100, None, 200, None, None, 300])
    found = estimated(slots, rows, plan_with(LINEAR))
    assert energies(found) == [100, 150, 200, None, None, 300]
    assert found.filled[0].scale is None
    assert not found.balances[0].kept


def test_a_hole_longer_than_the_condition_or_beside_an_outage_is_not_linear() -> None:
    one_hour, longer = [100, None, 200], [100, None, None, 200]
    assert methods(estimated(slots_of(0, one_hour), plan=plan_with(LINEAR))) == ["linear"]
    assert methods(estimated(slots_of(0, longer), plan=plan_with(LINEAR))) == []
    for values in ([OUT, None, 200], [100, None, OUT], [None, 200], [100, None]):
        assert methods(estimated(slots_of(0, values), plan=plan_with(LINEAR))) == []


def test_a_linear_hole_over_midnight_is_one_line() -> None:
    slots = slots_of(0, [100, None, None, 400], minutes=30, first=46)
    assert energies(estimated(slots, minutes=30)) == [100, 200, 300, 400]


def test_estimates_and_refused_values_feed_nothing() -> None:
    history = slots_of(0, [10] * 24)
    estimates = [Slot(end_at=slot.end_at, energy=10, quality=ESTIMATED) for slot in history]
    refused = [Slot(end_at=slot.end_at, energy=10, quality=FAILED) for slot in history]
    gap = slots_of(7, [None] * 24)
    for bad in (estimates, refused):
        assert len(estimated(bad + gap, plan=plan_with(SAME)).filled) == 0
    kinds = (EDITED, MANUAL)
    for kind in kinds:
        good = [Slot(end_at=slot.end_at, energy=10, quality=kind) for slot in history]
        filled = estimated(good + gap, plan=plan_with(SAME)).filled
        assert [slot.energy for slot in filled if slot.end_at > at(7)] == [10] * 24


def test_registers_of_another_time_are_refused() -> None:
    series = interval_series(slots_of(0, [1, 2, 3]), interval_minutes=60)
    start = minute_of(at(0))

    def bracket(first: int, last: int) -> Bracket:
        return Bracket(from_minute=start + first, to_minute=start + last, energy=1, outcome="good")

    for wrong in (bracket(-60, 60), bracket(0, 240), bracket(30, 60), bracket(0, 90)):
        with pytest.raises(BadInput, match="is not of the series"):
            estimate_series(series, (wrong,), DEFAULT_PLAN)
    with pytest.raises(BadInput, match="two periods overlap"):
        estimate_series(series, (bracket(0, 120), bracket(60, 180)), DEFAULT_PLAN)


# -- calendars -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25)])
@pytest.mark.parametrize("minutes", [1, 15, 30, 60])
def test_days_of_23_and_25_hours_follow_the_wall_clock(day: str, hours: int, minutes: int) -> None:
    """Two Sundays before have 100 h Wh in hour h; the day of the change has the same hours."""
    count = 60 // minutes
    before = datetime.fromisoformat(day) - timedelta(days=7)
    history = [hour * 100 for hour in range(24) for _ in range(count)]
    begin, end = day_bounds(day, BERLIN)
    assert end - begin == hours * 60
    slots = slots_from(day_bounds(before.date().isoformat(), BERLIN)[0], history, minutes)
    gap = slots_from(begin, [None] * (hours * count), minutes)
    found = estimated(slots + gap, plan=plan_with(SAME), minutes=minutes, zone=BERLIN)
    on_day = [slot.energy for slot in found.slots if minute_of(slot.end_at) > begin]
    clock = [0, 1, *range(3, 24)] if hours == 23 else [0, 1, 2, 2, *range(3, 24)]
    assert on_day == [hour * 100 for hour in clock for _ in range(count)]


def test_a_day_that_left_an_hour_out_is_no_reference_for_that_hour() -> None:
    begin = day_bounds("2026-03-29", BERLIN)[0]
    history = slots_from(begin, [100] * 23, 60)
    gap_begin = day_bounds("2026-04-05", BERLIN)[0]
    slots = history + slots_from(gap_begin, [None] * 24, 60)
    found = estimated(slots, plan=plan_with(SAME), zone=BERLIN)
    assert [slot for slot in found.filled if minute_of(slot.end_at) > gap_begin] == []
    without = slots_from(gap_begin, [7, 7, 7, *[None] * 21], 60)
    found = estimated(history + without, plan=plan_with(SAME), zone=BERLIN)
    late = [slot for slot in found.filled if minute_of(slot.end_at) > gap_begin]
    assert [slot.energy for slot in late] == [100] * 21


def test_the_register_is_kept_over_a_change_of_the_clock() -> None:
    begin, end = day_bounds("2026-10-25", BERLIN)
    rows = (row_at(begin, 0), row_at(end, 26_000))
    slots = slots_from(begin, [1000, *[None] * 23, 1000], 60)
    found = estimated(slots, rows, minutes=60, zone=BERLIN)
    assert sum(slot.energy or 0 for slot in found.slots) == 26_000
    assert found.balances[0].kept
    assert len(found.filled) == 23


@pytest.mark.parametrize(
    ("first_on", "days"),
    [("2024-02-28", 3), ("2026-02-27", 3), ("2025-12-30", 3)],
)
def test_leap_days_month_ends_and_year_ends(first_on: str, days: int) -> None:
    first = datetime.fromisoformat(first_on)
    begin = day_bounds(first_on, UTC)[0]
    rows = (row_at(begin, 0), row_at(begin + days * 1440, days * 2400))
    found = estimated(slots_from(begin, [None] * 24, 60), rows, zone=UTC)
    assert len(found.filled) == days * 24
    last = first + timedelta(days=days)
    assert found.slots[-1].end_at == last.strftime("%Y-%m-%dT00:00:00Z")
    assert {slot.energy for slot in found.slots} == {100}


def test_a_leap_day_finds_its_weekday() -> None:
    history = slots_from(day_bounds("2024-02-22", UTC)[0], [50] * 24, 60)
    gap = slots_from(day_bounds("2024-02-29", UTC)[0], [None] * 24, 60)
    found = estimated(history + gap, plan=plan_with(SAME), zone=UTC)
    on_day = [slot for slot in found.filled if slot.end_at > "2024-02-29T00:00:00Z"]
    assert {slot.references for slot in on_day} == {("2024-02-22",)}
    assert len(on_day) == 24


# -- laws ------------------------------------------------------------------------------------------

VALUES = st.lists(
    st.one_of(st.integers(0, 5000), st.none(), st.just(OUT)), min_size=48, max_size=48
)


@settings(deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=5), st.integers(0, 500_000), st.data())
def test_laws_of_estimation(
    days: list[list[int | str | None]], extra: int, data: st.DataObject
) -> None:
    values = [value for day in days for value in day]
    slots = slots_of(0, values, minutes=30)
    known = sum(value for value in values if isinstance(value, int))
    rows = (
        register_row(0, 1_000_000, capacity_w=10**9),
        register_row(len(days), 1_000_000 + known + extra),
    )
    found = estimated(slots, rows, minutes=30)
    gaps = sum(value is None for value in values)
    # The register is kept exactly wherever there was a slot to estimate.
    if gaps:
        assert sum(slot.energy or 0 for slot in found.slots) == known + extra
        assert found.balances[0].kept
        assert len(found.filled) == gaps
    # What is known stays, outages are zero, nothing is negative.
    for before, after in zip(slots, found.slots, strict=True):
        if before.energy is not None:
            assert after == before
        if before.quality == OUTAGE:
            assert (after.energy, after.quality) == (0, OUTAGE)
        assert after.energy is None or after.energy >= 0
    # The order of inputs says nothing, and estimating again changes nothing.
    shuffled = data.draw(st.permutations(slots))
    assert estimated(shuffled, rows[::-1], minutes=30) == found
    assert estimated(found.slots, rows, minutes=30) == found
    # No reference is a day with an estimate or an outage, for the methods of whole days.
    holes = {
        day_on(index) for index, day in enumerate(days) if any(not isinstance(v, int) for v in day)
    }
    for slot in found.filled:
        if slot.method in {"same_weekday", "like_day", "flat_average"}:
            assert holes.isdisjoint(slot.references)


@given(VALUES, st.integers(0, 3))
def test_changing_an_estimate_changes_no_other(values: list[int | str | None], shift: int) -> None:
    first = estimated(slots_of(0, values, minutes=30), minutes=30)
    wrong = [
        Slot(end_at=slot.end_at, energy=(slot.energy or 0) + shift * 1000, quality=ESTIMATED)
        if slot.quality == ESTIMATED
        else slot
        for slot in first.slots
    ]
    assert estimated(wrong, minutes=30) == first

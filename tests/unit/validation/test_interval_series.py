"""Series of intervals and the registers around them: what is taken, filled in, and refused."""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from libs.events.errors import BadInput
from services.validation import interval_series as module
from services.validation.interval_series import Slot, interval_series
from services.validation.register_bracket import brackets_of, installations_of
from services.validation.slot_time import (
    DEFAULT_ZONE,
    SlotLabel,
    at_of,
    day_bounds,
    is_slot_end,
    minute_of,
    slot_label,
)
from tests import tidy
from tests.test_imports import PURE_LIBS, PURE_STDLIB, imports_of
from tests.unit.validation.interval_samples import register_row, slots_of
from tests.unit.validation.samples import IMPORT, at

PURE = (
    "estimation_methods",
    "estimation_plan",
    "interval_editing",
    "interval_estimation",
    "interval_scaling",
    "interval_series",
    "register_bracket",
    "slot_time",
    "tou_basis",
)


@pytest.mark.parametrize("name", PURE)
def test_the_calculation_is_pure_and_has_no_float(name: str) -> None:
    path = Path(module.__file__).with_name(f"{name}.py")
    assert ast.parse(path.read_text("utf-8")).body
    assert [str(found) for found in tidy.purity_findings(path, no_float=True)] == []
    for imported, _ in imports_of(f"services.validation.{name}"):
        ours = imported.startswith("services.validation")
        assert ours or imported in PURE_LIBS or imported.split(".")[0] in PURE_STDLIB, imported


# -- time ------------------------------------------------------------------------------------------


def test_minutes_and_the_wall_clock() -> None:
    assert minute_of("1970-01-01T01:00:00Z") == 60
    assert at_of(60) == "1970-01-01T01:00:00Z"
    assert slot_label(60, DEFAULT_ZONE) == SlotLabel("1970-01-01", 540, 0)
    assert day_bounds("1970-01-02", DEFAULT_ZONE) == (960, 2400)
    berlin = ZoneInfo("Europe/Berlin")
    second = minute_of("2026-10-25T01:00:00Z")
    assert slot_label(second - 60, berlin) == SlotLabel("2026-10-25", 120, 0)
    assert slot_label(second, berlin) == SlotLabel("2026-10-25", 120, 1)
    assert not is_slot_end(day_bounds("2026-10-25", berlin)[0], 480, berlin)
    assert is_slot_end(day_bounds("2026-10-25", berlin)[0], 60, berlin)
    for wrong, problem in (
        ("2026-01-01T00:00:30Z", "is no whole minute"),
        ("2026-01-01", "is no instant"),
        ("2026-01-01T00:00:xxZ", "is no instant"),
    ):
        with pytest.raises(BadInput, match=problem):
            minute_of(wrong)


# -- series ----------------------------------------------------------------------------------------


def test_slots_in_any_order_with_holes_and_repeats() -> None:
    one, two, three = slots_of(0, [5, 6, 7])
    series = interval_series([three, one, one], interval_minutes=60)
    assert series.energies == (5, None, 7)
    assert series.qualities == ("actual", "missing", "actual")
    assert [series.end_at(index) for index in range(3)] == [one.end_at, two.end_at, three.end_at]
    assert (series.known(-1), series.known(0), series.known(1), series.known(3)) == (
        None,
        5,
        None,
        None,
    )
    assert interval_series((), interval_minutes=60, bounds=(0, 120)).energies == (None, None)


GOOD = Slot(end_at=at(0, 1), energy=5)


@pytest.mark.parametrize(
    ("slots", "size", "field", "problem"),
    [
        ([], 60, "slots", "there are none"),
        ([GOOD], 7, "interval_minutes", "is 7"),
        ([GOOD], 0, "interval_minutes", "is 0"),
        ([GOOD], 2880, "interval_minutes", "is 2880"),
        ([GOOD, replace(GOOD, energy=6)], 60, "end_at", "is there twice"),
        ([GOOD, replace(GOOD, end_at=at(999))], 1, "end_at", "intervals"),
        ([replace(GOOD, end_at="2025-12-31T17:07:00Z")], 60, "end_at", "is no end of an interval"),
        ([replace(GOOD, energy=-1)], 60, "energy_wh", "is -1"),
        ([replace(GOOD, energy=None)], 60, "energy_wh", "is empty"),
        ([replace(GOOD, quality="outage")], 60, "energy_wh", "is 5 in an outage"),
        ([replace(GOOD, quality="good")], 60, "quality", "'good' is unknown"),
    ],
)
def test_slots_that_cannot_be(slots: list[Slot], size: int, field: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        interval_series(slots, interval_minutes=size)
    assert refused.value.field == field
    assert problem in refused.value.problem


def test_a_signed_series_may_be_negative() -> None:
    slots = [replace(GOOD, energy=-1)]
    assert interval_series(slots, interval_minutes=60, signed=True).energies == (-1,)


# -- registers -------------------------------------------------------------------------------------


def test_stays_of_meters_are_read_from_rows() -> None:
    rows = (
        register_row(0, 100, kind="initial"),
        register_row(0, 150, hour=1),
        register_row(0, 200, hour=2, kind="final"),
        register_row(0, 7, hour=2, kind="initial", meter_no="M2"),
        register_row(0, 9, hour=3, meter_no="M3"),
        register_row(0, 11, hour=4, kind="initial", meter_no="M4"),
    )
    stays = installations_of(rows[::-1], IMPORT)
    assert [(stay.meter_no, stay.from_at, stay.to_at) for stay in stays] == [
        ("M1", at(0), at(0, 2)),
        ("M2", at(0, 2), at(0, 3)),
        ("M3", at(0, 3), at(0, 4)),
        ("M4", at(0, 4), ""),
    ]
    assert [stay.initial for stay in stays] == [{IMPORT: 100}, {IMPORT: 7}, {}, {IMPORT: 11}]
    assert [stay.final for stay in stays] == [{IMPORT: 200}, {}, {}, {}]
    found = brackets_of(rows, IMPORT, interval_minutes=60)
    assert [bracket.energy for bracket in found] == [50, 50, None, None]
    assert [bracket.outcome for bracket in found][2:] == ["no_exchange_reading"] * 2


def test_readings_between_intervals_bracket_nothing() -> None:
    rows = [
        register_row(0, 0),
        replace(register_row(0, 5), taken_at="2025-12-31T16:30:00Z"),
        replace(register_row(0, 6), taken_at="2025-12-31T16:59:59Z"),
        register_row(0, 9, hour=1),
    ]
    (found,) = brackets_of(rows, IMPORT, interval_minutes=60)
    assert (found.energy, found.to_minute - found.from_minute) == (9, 60)
    assert brackets_of(rows[:1], IMPORT, interval_minutes=60) == ()


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"kind": "guess"}, "kind", "'guess' is unknown"),
        ({"source": "phone"}, "source", "'phone' is unknown"),
        ({"value": -1}, "value_wh", "is -1"),
        ({"value": 10**9}, "value_wh", "is 1000000000"),
        ({"digits": 3}, "digits", "is 3"),
        ({"ratio": "0"}, "ratio", "is 0"),
        ({"capacity_w": -1}, "capacity_w", "is -1"),
    ],
)
def test_rows_that_cannot_be(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        brackets_of([replace(register_row(0, 5), **changes)], IMPORT, interval_minutes=60)
    assert refused.value.field == field
    assert problem in refused.value.problem


def test_contradictions_and_other_registers_are_refused() -> None:
    rows = (register_row(0, 5, kind="final"), register_row(0, 6))
    with pytest.raises(BadInput, match="M1 showed 5 and 6"):
        brackets_of(rows, IMPORT, interval_minutes=60)
    with pytest.raises(BadInput, match=r"1-0:1\.6\.0 is no cumulative register"):
        brackets_of(rows, "1-0:1.6.0", interval_minutes=60)

"""What the area stage is told: places by date, energies with their facts, moves; gates unbilled."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.core import Emit
from services.validation.area_places import area_places, place_on, units_on
from services.validation.events import AreaPlace, EnergyPublished, PlacesPublished
from services.validation.reactions import SuppliedPlace
from services.validation.state import Point
from tests.unit.validation.desk import POINT, Desk, meter, opened, reading, supply
from tests.unit.validation.samples import IMPORT, at, day_on

EXPORT = "1-0:2.8.0"


def place(area: str = "A1", from_day: int = 0, to_day: int = 0, **more: str) -> SuppliedPlace:
    """A place of the point; `to_day`: the first day elsewhere, 0 for none."""
    values = {"feeder": "F1", "role": "member", **more}
    to_on = day_on(to_day) if to_day else ""
    return SuppliedPlace(area=area, from_on=day_on(from_day), to_on=to_on, **values)


def stay(area: str = "A1", from_day: int = 0, to_day: int = -1, **more: Any) -> AreaPlace:
    """A stay as it is told; `to_day`: the last day, -1 while it is there."""
    values = {"feeder": "F1", "role": "member", "ratio": "1", "has_pv": False, **more}
    to_on = day_on(to_day) if to_day >= 0 else ""
    return AreaPlace(area=area, from_on=day_on(from_day), to_on=to_on, **values)


def told(desk: Desk, kind: type) -> list[tuple[str, Any]]:
    """Units and bodies of one kind, in order."""
    return [(emit.key, emit.body) for emit in desk.areas if isinstance(emit.body, kind)]


def energies(desk: Desk) -> list[tuple[str, str, int, str]]:
    """Unit, day, import and quality of everything told."""
    return [
        (unit, body.day_on, body.import_wh, body.quality)
        for unit, body in told(desk, EnergyPublished)
    ]


def places_of(desk: Desk) -> tuple[AreaPlace, ...]:
    assert isinstance(desk.state, Point)
    return area_places(desk.state.supplies)


# -- where a point counts -------------------------------------------------------------------------


def test_a_point_is_told_to_its_feeder_with_what_the_archive_says() -> None:
    desk = opened(meter(ratio="40"), places=(place(),), registers=(IMPORT, EXPORT))
    body = PlacesPublished(usage_point=POINT, places=(stay(ratio="40", has_pv=True),))
    assert desk.areas == [Emit(body, topic="validation.area_usage", key="F1")]


def test_an_area_without_a_feeder_is_a_unit_of_its_own() -> None:
    desk = opened(places=(place(feeder=""),))
    assert [unit for unit, _ in told(desk, PlacesPublished)] == ["A1"]


def test_a_supply_written_before_places_says_its_area() -> None:
    desk = opened()
    assert told(desk, PlacesPublished) == [
        ("T1", PlacesPublished(usage_point=POINT, places=(stay("T1", feeder=""),)))
    ]


def test_who_has_no_part_in_losses_is_not_told() -> None:
    assert opened(places=(place(role="none"),)).areas == []
    assert opened(places=(place(area="", feeder=""),)).areas == []
    assert opened(area="").areas == []
    assert opened(places=(place(from_day=500),), supplied_to_on=day_on(9)).areas == []


def test_a_place_begins_with_the_supply_and_its_meter_and_ends_with_them() -> None:
    late = meter(from_at=at(3, 9), to_at=at(8), final={IMPORT: 9_000})
    desk = opened(late, places=(place(),), supplied_from_on=day_on(2))
    assert places_of(desk) == (stay(from_day=3, to_day=7),)
    assert place_on(places_of(desk), day_on(7)) == stay(from_day=3, to_day=7)
    assert place_on(places_of(desk), day_on(8)) is None
    desk.take(supply(late, version=2, places=(place(),), supplied_to_on=day_on(5)))
    assert places_of(desk) == (stay(from_day=3, to_day=5),)


def test_an_exchange_splits_a_place_only_when_the_ratio_changes() -> None:
    for ratio in ("1", "40"):
        old = meter(to_at=at(4, 10), final={IMPORT: 40_000})
        new = meter("M2", from_at=at(4, 10), ratio=ratio, initial={IMPORT: 0})
        desk = opened(old, new, places=(place(),))
        split = (stay(to_day=3), stay(from_day=4, ratio="40"))
        assert places_of(desk) == ((stay(),) if ratio == "1" else split)


def test_a_ratio_that_is_no_number_says_nothing() -> None:
    assert places_of(opened(meter(ratio="many"), places=(place(),))) == (stay(ratio=""),)


def test_two_accounts_one_after_the_other_are_one_stay() -> None:
    desk = opened(places=(place(),), supplied_to_on=day_on(4))
    later = {"account_no": "A2", "version": 9, "supplied_from_on": day_on(5)}
    desk.take(supply(**later, places=(place(from_day=5),)))
    assert places_of(desk) == (stay(),)
    desk.take(supply(**{**later, "version": 10, "supplied_from_on": day_on(7)}, places=(place(),)))
    assert places_of(desk) == (stay(to_day=4), stay(from_day=7))


# -- what it measured -----------------------------------------------------------------------------


def test_a_day_is_told_whenever_its_usage_is_established_or_revised() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    desk.take(reading(0, 9_000))
    desk.take(reading(2, 27_000))
    desk.take(reading(1, 20_000, clock_offset_s=400))
    assert energies(desk) == [
        ("F1", day_on(0), 9_000, "actual"),
        ("F1", day_on(1), 9_000, "estimated"),
        ("F1", day_on(2), 9_000, "estimated"),
        ("F1", day_on(1), 11_000, "actual"),
        ("F1", day_on(2), 7_000, "actual"),
    ]
    clocks = [body.clock_offset_s for _, body in told(desk, EnergyPublished)]
    assert clocks == [None, None, None, 400, None]


def test_export_ratio_and_exchange_are_told() -> None:
    old = meter(ratio="2", to_at=at(1, 10), initial={IMPORT: 0, EXPORT: 0},
                final={IMPORT: 14_000, EXPORT: 1_000})  # fmt: skip
    new = meter("M2", ratio="3", from_at=at(1, 10), initial={IMPORT: 500, EXPORT: 0})
    desk = opened(old, new, places=(place(),), registers=(IMPORT, EXPORT))
    desk.take(reading(0, 9_000, registers={IMPORT: 9_000, EXPORT: 700}))
    desk.take(reading(1, 0, meter_no="M2", registers={IMPORT: 1_500, EXPORT: 10}))
    first, second = (body for _, body in told(desk, EnergyPublished))
    assert (first.import_wh, first.export_wh, first.ratio) == (18_000, 1_400, "2")
    assert (second.import_wh, second.export_wh, second.ratio) == (13_000, 630, "3")
    assert (first.after_exchange, second.after_exchange) == (False, True)
    assert (first.rolled_over, second.rolled_over) == (False, False)


def test_a_register_that_went_over_its_last_digit_is_told_in_either_order() -> None:
    for days in ((0, 1), (1, 0)):
        desk = opened(meter(initial={IMPORT: 999_980_000}), places=(place(),))
        values = {0: 999_990_000, 1: 4_000}
        for day in days:
            desk.take(reading(day, values[day]))
        last = {body.day_on: body for _, body in told(desk, EnergyPublished)}
        assert (last[day_on(0)].rolled_over, last[day_on(1)].rolled_over) == (False, True)
        assert last[day_on(1)].import_wh == 14_000


def test_a_clock_is_told_of_readings_that_waited() -> None:
    desk = Desk()
    desk.take(reading(0, 9_000, clock_offset_s=-301))
    desk.take(supply(meter(initial={IMPORT: 0}), places=(place(),)))
    assert [body.clock_offset_s for _, body in told(desk, EnergyPublished)] == [-301]


def test_a_doubted_reading_that_is_confirmed_tells_its_clock() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    for day in range(10):
        desk.take(reading(day, 9_000 * (day + 1)))
    desk.take(reading(10, 190_000, clock_offset_s=7))
    assert desk.point.doubted is not None
    desk.take(reading(11, 290_000, clock_offset_s=8))
    clocks = {body.day_on: body.clock_offset_s for _, body in told(desk, EnergyPublished)}
    assert (clocks[day_on(10)], clocks[day_on(11)]) == (7, 8)


def test_an_energy_below_zero_is_no_reading_of_the_day() -> None:
    from services.validation.area_usage import _told

    body = EnergyPublished(
        usage_point=POINT,
        day_on=day_on(0),
        quality="actual",
        import_wh=-1,
        export_wh=None,
        ratio="1",
        after_exchange=False,
        rolled_over=False,
        clock_offset_s=None,
    )
    assert list(_told(("F1",), body)) == []


# -- gates ----------------------------------------------------------------------------------------


def test_a_gate_meter_is_measured_and_never_billed() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(role="gate"),))
    for day in range(3):
        desk.take(reading(day, 9_000 * (day + 1)))
    desk.tick(at(20))
    assert len(energies(desk)) == len(desk.point.usage) + 3 == 19
    assert desk.told == []


def test_only_the_days_as_a_gate_are_not_billed() -> None:
    both = (place(to_day=1), place(from_day=1, role="gate"))
    desk = opened(meter(initial={IMPORT: 0}), places=both)
    for day in range(3):
        desk.take(reading(day, 9_000 * (day + 1)))
    assert [body.day_on for _, body in desk.told] == [day_on(0)]
    assert len(energies(desk)) == 3


# -- moves ----------------------------------------------------------------------------------------


def moved(desk: Desk, to: SuppliedPlace, from_day: int) -> None:
    """The point is elsewhere from a day on, by a second version of its supply."""
    desk.areas.clear()
    desk.take(supply(meter(initial={IMPORT: 0}), version=2, places=(place(to_day=from_day), to)))


def test_both_feeders_are_told_of_a_move_and_the_new_one_gets_the_days_since() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    for day in range(4):
        desk.take(reading(day, 9_000 * (day + 1)))
    desk.tick(at(5, 12))
    moved(desk, place("B1", 2, feeder="F2"), 2)
    stays = (stay(to_day=1), stay("B1", 2, feeder="F2"))
    assert told(desk, PlacesPublished) == [
        ("F1", PlacesPublished(usage_point=POINT, places=stays)),
        ("F2", PlacesPublished(usage_point=POINT, places=stays)),
    ]
    assert energies(desk) == [
        ("F2", day_on(2), 9_000, "actual"),
        ("F2", day_on(3), 9_000, "actual"),
        ("F2", day_on(4), 9_000, "estimated"),
    ]


def test_the_feeder_it_left_is_told_for_a_month_what_it_measures_elsewhere() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    moved(desk, place("B1", 2, feeder="F2"), 2)
    desk.take(reading(1, 18_000))
    desk.take(reading(2, 27_000))
    assert [found[:2] for found in energies(desk)] == [
        ("F1", day_on(0)),
        ("F1", day_on(1)),
        ("F1", day_on(2)),
        ("F2", day_on(2)),
    ]
    stays = (stay(to_day=1), stay("B1", 2, feeder="F2"))
    assert units_on(stays, day_on(31)) == ("F1", "F2")
    assert units_on(stays, day_on(32)) == ("F2",)


def test_a_move_within_a_feeder_is_told_once_and_takes_nothing_along() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    desk.take(reading(0, 9_000))
    desk.take(reading(1, 18_000))
    moved(desk, place("A2", 1), 1)
    assert [unit for unit, _ in told(desk, PlacesPublished)] == ["F1"]
    assert energies(desk) == []


def test_an_exchange_day_that_moves_is_still_one() -> None:
    old = meter(to_at=at(1, 10), initial={IMPORT: 0}, final={IMPORT: 14_000})
    new = meter("M2", from_at=at(1, 10), initial={IMPORT: 0})
    desk = opened(old, new, places=(place(),))
    desk.take(reading(0, 9_000))
    desk.take(reading(1, 4_000, meter_no="M2"))
    desk.areas.clear()
    desk.take(supply(old, new, version=2, places=(place("B1", feeder="F2"),)))
    found = [(unit, body.day_on, body.after_exchange) for unit, body in told(desk, EnergyPublished)]
    assert found == [("F2", day_on(0), False), ("F2", day_on(1), True)]


def test_who_counts_nowhere_any_more_is_told_so() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
    desk.take(reading(0, 9_000))
    desk.areas.clear()
    desk.take(supply(meter(initial={IMPORT: 0}), version=2, places=(place(role="none"),)))
    assert desk.areas == [
        Emit(PlacesPublished(usage_point=POINT, places=()), "validation.area_usage", "F1")
    ]


def test_who_counts_from_now_on_brings_the_days_since_along() -> None:
    desk = opened(meter(initial={IMPORT: 0}), places=(place(role="none"),))
    desk.take(reading(0, 9_000))
    desk.take(reading(1, 18_000))
    assert (desk.areas, len(desk.told)) == ([], 2)
    both = (place(role="none", to_day=1), place(from_day=1))
    desk.take(supply(meter(initial={IMPORT: 0}), version=2, places=both))
    assert energies(desk) == [("F1", day_on(1), 9_000, "actual")]


def test_a_supply_that_says_nothing_new_of_places_is_silent_here() -> None:
    desk = opened(places=(place(),))
    desk.areas.clear()
    desk.take(supply(version=2, voltage_class="10kv", places=(place(),)))
    assert desk.areas == []


@settings(deadline=None, max_examples=40)
@given(st.permutations(range(6)), st.integers(0, 6), st.integers(1, 5))
def test_what_a_unit_knows_in_the_end_does_not_depend_on_the_order(
    order: list[int], move_at: int, from_day: int
) -> None:
    """Readings in any order and the move at any time: the same energies stand in both feeders."""

    def known(steps: list[int], at_step: int) -> dict[tuple[str, str], tuple[int, str]]:
        desk = opened(meter(initial={IMPORT: 0}), places=(place(),))
        found: dict[tuple[str, str], tuple[int, str]] = {}
        for number, day in enumerate([*steps, -1]):
            if number == at_step:
                there = place("B1", from_day, feeder="F2")
                desk.take(
                    supply(
                        meter(initial={IMPORT: 0}),
                        version=2,
                        places=(place(to_day=from_day), there),
                    )
                )
            if day >= 0:
                desk.take(reading(day, 9_000 * (day + 1) + day * day))
        for unit, day, energy_wh, quality in energies(desk):
            found[unit, day] = (energy_wh, quality)
        return found

    assert known(order, move_at) == known(sorted(order), 0)

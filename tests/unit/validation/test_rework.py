"""A supply that comes between readings: what it leaves alone; all values worked out by hand."""

from __future__ import annotations

from services.validation.events import EstimateSuperseded, QualityFound
from tests.unit.validation.desk import Desk, meter, names, only, opened, reading, rules_of, supply
from tests.unit.validation.samples import IMPORT, at, day_on


def with_gap() -> Desk:
    """10,000 Wh on the first two days; three days are split over a reading of the fifth."""
    desk = opened()
    for day, value in ((0, 10_000), (1, 20_000), (4, 50_000)):
        desk.take(reading(day, value))
    assert desk.point.anchor_on == day_on(1), "the gap may still be closed"
    return desk


def test_a_gap_between_readings_stays_as_it_was_split() -> None:
    desk = with_gap()
    split = dict(desk.usage())
    assert desk.energy() == {day_on(day): 10_000 for day in range(5)}
    assert names(desk.take(supply(version=2, area="T2"))) == ["SupplyNoted"]
    assert desk.usage() == split
    own = desk.take(reading(2, 33_000))
    assert only(own, EstimateSuperseded).days_on == (day_on(2), day_on(3), day_on(4))
    assert desk.energy()[day_on(2)] == 13_000


def test_a_reading_that_was_accepted_is_not_judged_again() -> None:
    """The register rolled over in the gap; a meter of 100 W could not have done that."""
    desk = opened(meter(initial={IMPORT: 999_900_000}))
    for day, value in ((0, 999_950_000), (1, 999_990_000), (4, 30_000)):
        desk.take(reading(day, value))
    known = {0: 50_000, 1: 40_000, 2: 13_333, 3: 13_333, 4: 13_334}  # 10,000 + 30,000 in 3 days
    assert desk.energy() == {day_on(day): wh for day, wh in known.items()}
    small = meter(initial={IMPORT: 999_900_000}, capacity_w=100)
    own = desk.take(supply(small, version=2))
    assert names(own) == ["SupplyNoted", "QualityFound"]
    assert list(rules_of(own[1])) == ["late_supply"]
    assert desk.energy() == {day_on(day): wh for day, wh in known.items()}


def test_only_the_final_registers_are_told_when_a_gap_lies_before_them() -> None:
    desk = with_gap()
    own = desk.take(supply(meter(to_at=at(5, 6), final={IMPORT: 49_000}), version=2))
    remark = only(own, QualityFound)
    assert (remark.reading_id, remark.day_on) == ("final/M1", day_on(5))
    assert "negative" in rules_of(remark)
    assert desk.energy() == {day_on(day): 10_000 for day in range(5)}

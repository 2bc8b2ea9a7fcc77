"""Edits, the time-of-use basis, gate meters, areas and waiting readings at one point together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.validation.edit_events import EditHeld, EditTaken
from services.validation.events import (
    EnergyPublished,
    QualityFound,
    ReadingAccepted,
    UsageEstablished,
)
from services.validation.reactions import SuppliedPlace
from tests.unit.validation.basis_desk import (
    HOUR_WH,
    PEAK,
    VALLEY,
    WRONG,
    BasisDesk,
    book,
    desk,
    even_profile,
    rated,
    rates_of,
    table,
    tariff,
)
from tests.unit.validation.desk import Desk, meter, names, only, opened, reading, supply
from tests.unit.validation.samples import IMPORT, day_on
from tests.unit.validation.test_edits import decision, request, settled

BY_METER = {IMPORT: 24 * HOUR_WH, PEAK: 15 * HOUR_WH, VALLEY: 9 * HOUR_WH}
BY_PROFILE = {IMPORT: 24 * HOUR_WH, PEAK: 14 * HOUR_WH, VALLEY: 10 * HOUR_WH}
GATE = SuppliedPlace(area="T1", feeder="F1", role="gate", from_on=day_on(0), to_on="")
EPOCH = "1970-01-01T00:00:00Z"


def given_by_profile(days: int = 2) -> BasisDesk:
    """Settled days whose meter counts an hour of the valley as peak: the profile stands in."""
    made = desk(book(), rated(), table(WRONG))
    for day in range(days):
        made.take(rates_of(day, 15), even_profile(day))
    assert [body.energy for body in made.usage().values()] == [BY_PROFILE] * days
    return made


def edited(made: BasisDesk, after: dict[str, int], **changes: Any) -> list[Any]:
    """Li edits the first day as it stands, and Zhao approves."""
    seen = made.usage()[day_on(0)]
    values = {"after": after, "reason_code": "wrong_register", **changes}
    edit = request(0, 0, based_on=seen.revision, **values)
    held = only(made.take(edit), EditHeld)
    return made.take(decision(held.edit))


def test_an_edit_of_a_settled_day_changes_what_was_given_by_no_more_than_it_says() -> None:
    made = given_by_profile()
    seen = made.usage()[day_on(0)]
    wanted = {IMPORT: 1_400, PEAK: 800, VALLEY: 600}
    own = edited(made, wanted)
    body = only(own, UsageEstablished)
    assert (body.energy, body.revision) == (wanted, seen.revision + 1)
    assert body.change == {IMPORT: -40, PEAK: -40, VALLEY: 0}
    made.check_sums()


def test_an_edit_names_what_the_person_saw_and_leaves_the_other_registers_as_they_were() -> None:
    made = given_by_profile()
    own = edited(made, {IMPORT: 1_460, PEAK: 860})
    taken = only(own, EditTaken)
    assert {e.register: (e.energy_before, e.energy_after) for e in taken.entries} == {
        IMPORT: (1_440, 1_460),
        PEAK: (840, 860),
    }
    assert made.usage()[day_on(0)].energy == {IMPORT: 1_460, PEAK: 860, VALLEY: 600}
    made.check_sums()


def test_rates_given_by_the_profile_stay_in_an_edit_of_a_day_between_readings() -> None:
    made = desk(book(), rated(), table(WRONG))
    made.take(rates_of(1, 15), even_profile(0), even_profile(1))
    seen = made.usage()[day_on(0)]
    assert (seen.quality, seen.energy) == ("estimated", BY_PROFILE)
    edit = request(0, 0, based_on=seen.revision, after={IMPORT: 1_460, PEAK: 860})
    own = made.take(edit)
    assert only(own, EditTaken).energy == {IMPORT: 1_460, PEAK: 860, VALLEY: 600}
    assert made.usage()[day_on(0)].energy == {IMPORT: 1_460, PEAK: 860, VALLEY: 600}
    assert made.usage()[day_on(1)].energy[IMPORT] == 2 * 24 * HOUR_WH - 1_460
    made.check_sums()


def test_a_basis_revision_of_a_gate_meter_is_never_told_to_an_account() -> None:
    made = desk(book(), rated(places=(GATE,)))
    made.take(rates_of(0, 15), even_profile(0))
    assert made.told == []
    own = made.take(table(WRONG))
    assert only(own, UsageEstablished).energy == BY_PROFILE
    assert made.told == []


def test_a_gate_stays_a_gate_on_days_that_lost_their_supply() -> None:
    made = opened(places=(GATE,))
    made.take(reading(1, 20_000))
    own = made.take(supply(places=(GATE,), supplied_to_on=day_on(0), version=2))
    own += made.take(reading(0, 12_000))
    assert only([e for e in own if getattr(e, "day_on", "") == day_on(1)], UsageEstablished)
    assert made.told == []


def test_an_edited_day_that_is_settled_goes_along_to_another_area() -> None:
    made = settled()
    edit = request(1, 13_000, reason_code="meter_fault")
    made.take(edit)
    made.take(decision(edit))
    made.areas.clear()
    made.take(supply(area="T2", version=2))
    told = {
        emit.body.day_on: (emit.body.quality, emit.body.import_wh)
        for emit in made.areas
        if isinstance(emit.body, EnergyPublished) and emit.key == "T2"
    }
    assert told[day_on(1)] == ("edited", 13_000)
    assert told[day_on(2)] == ("actual", 10_000)


def test_a_reading_before_the_first_tick_waits_whatever_supply_comes() -> None:
    made = Desk(as_of=EPOCH)
    assert names(made.take(reading(0, 10_000))) == ["SupplyAwaited"]
    assert names(made.take(supply())) == ["SupplyNoted"]
    assert names(made.take(supply(version=2, registers=()))) == ["SupplyNoted"]
    assert len(made.point.held) == 1
    own = made.tick("2026-01-02T01:00:00Z")
    assert only(own, ReadingAccepted).reading_id == "r0"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"supplied_from_on": "soon"}, "supplied_from_on"),
        ({"supplied_from_on": "0001-01-01"}, "supplied_from_on: 0001-01-01 is out of range"),
        ({"supplied_to_on": "2026-02-30"}, "supplied_to_on"),
        ({"places": (replace(GATE, from_on="x"),)}, "places.from_on"),
        ({"places": (replace(GATE, to_on="x"),)}, "places.to_on"),
        ({"registers": ("a/b",)}, "register"),
        ({"tariffs": (tariff(tou_basis="guess"),)}, "tou_basis: 'guess' is unknown"),
        ({"tariffs": (tariff(rate_periods={"one": "peak"}),)}, "rate_periods: 'one' is no rate"),
        ({"installations": (meter(from_at="2026-01-01"),)}, "installations.from_at"),
        ({"installations": (meter(to_at="9999-12-31T00:00:00Z"),)}, "installations.to_at"),
    ],
)
def test_a_supply_that_nobody_can_reason_with_is_told_and_not_taken(
    changes: dict[str, Any], text: str
) -> None:
    made = Desk()
    own = made.take(replace(supply(), **changes))
    assert only(own, QualityFound).findings[0].text.startswith(text)
    assert made.point.supplies == {}
    assert names(made.take(supply(meter(to_at="2026-03-01T16:00:00Z")))) == ["SupplyNoted"]


@pytest.mark.parametrize("read_at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon"])
def test_a_slot_table_of_no_time_is_told_and_not_taken(read_at: str) -> None:
    made = desk(book(), rated())
    own = made.take(table(read_at=read_at))
    assert only(own, QualityFound).findings[0].text.startswith("read_at")
    assert made.state.basis.tables == ()

"""Edits, the time-of-use basis, gate meters, areas and waiting readings at one point together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.validation.edit_events import EditHeld, EditRejected, EditTaken
from services.validation.events import EnergyPublished, ReadingAccepted, UsageEstablished
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
)
from tests.unit.validation.desk import Desk, meter, names, only, opened, reading, supply
from tests.unit.validation.samples import IMPORT, day_on
from tests.unit.validation.test_edits import decision, request, settled

BY_METER = {IMPORT: 24 * HOUR_WH, PEAK: 15 * HOUR_WH, VALLEY: 9 * HOUR_WH}
BY_PROFILE = {IMPORT: 24 * HOUR_WH, PEAK: 14 * HOUR_WH, VALLEY: 10 * HOUR_WH}
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


def gate_place(role: str = "gate") -> tuple[SuppliedPlace, ...]:
    return (SuppliedPlace(area="T1", feeder="F1", role=role, from_on=day_on(0), to_on=""),)


def test_a_basis_revision_of_a_gate_meter_is_never_told_to_an_account() -> None:
    made = desk(book(), rated(places=gate_place()))
    made.take(rates_of(0, 15), even_profile(0))
    assert made.told == []
    own = made.take(table(WRONG))
    assert only(own, UsageEstablished).energy == BY_PROFILE
    assert made.told == []


def test_a_gate_stays_a_gate_on_days_that_lost_their_supply() -> None:
    made = opened(places=gate_place())
    made.take(reading(1, 20_000))
    own = made.take(supply(places=gate_place(), supplied_to_on=day_on(0), version=2))
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


def test_an_edit_at_a_point_that_cannot_be_calculated_with_is_rejected() -> None:
    made = opened()
    made.take(reading(0, 10_000))
    made.take(reading(2, 30_000))
    wrong = supply(meter(), meter("M2", from_at="2026-01-10T16:00:00Z", ratio="none"), version=2)
    made.take(wrong)
    bad = replace(request(1, 12_000), based_on=1)
    assert names(made.take(bad))[-1:] != ["EditRejected"] or isinstance(
        made.events[-1], EditRejected
    )
    made.tick("2026-01-20T00:00:00Z")

"""Edits of days with several registers, and what a point keeps of its edits."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.codec import encode_state
from libs.events.errors import BadInput
from services.validation.edit_events import EditHeld, EditTaken
from services.validation.edit_rules import EditRules
from services.validation.state import HISTORY_DAYS
from tests.unit.validation.desk import RATES, Desk, meter, only, opened, peak, reading, supply
from tests.unit.validation.samples import IMPORT, at, day_on
from tests.unit.validation.test_edits import decision, request, settled, why


def with_rates(**changes: int) -> Desk:
    """Three days over one reading: 12,000 peak and 18,000 valley."""
    zero = {IMPORT: 0, RATES[0]: 0, RATES[1]: 0}
    desk = opened(meter(initial=zero))
    shown = {IMPORT: 30_000, RATES[0]: 12_000, RATES[1]: 18_000}
    desk.take(reading(2, 0, registers=shown, **changes))
    return desk


def test_a_total_is_edited_with_its_rates() -> None:
    desk = with_rates()
    own = desk.take(request(0, 9_000))
    assert why(own) == (
        "after",
        "1-0:1.8.0 is 9000, its rates add up to 10000",
        "give the total and its rates together",
    )
    edit = request(0, 9_000, after={IMPORT: 9_000, RATES[0]: 3_000})
    taken = only(desk.take(edit), EditTaken)
    assert [entry.register for entry in taken.entries] == [IMPORT, RATES[0]]
    days = [desk.usage()[day_on(day)].energy for day in range(3)]
    assert days == [
        {IMPORT: 9_000, RATES[0]: 3_000, RATES[1]: 6_000},
        {IMPORT: 10_500, RATES[0]: 4_500, RATES[1]: 6_000},
        {IMPORT: 10_500, RATES[0]: 4_500, RATES[1]: 6_000},
    ]


def test_a_second_edit_of_a_day_adds_to_the_first_while_that_stands() -> None:
    zero = {IMPORT: 0, "1-0:5.8.0": 0}
    desk = opened(meter(initial=zero))
    desk.take(reading(2, 0, registers={IMPORT: 30_000, "1-0:5.8.0": 3_000}))
    desk.take(request(0, 16_000))
    taken = only(desk.take(request(0, 0, 2, after={"1-0:5.8.0": 500, IMPORT: 16_000})), EditTaken)
    assert [entry.register for entry in taken.entries] == ["1-0:5.8.0"]
    assert taken.energy == {IMPORT: 16_000, "1-0:5.8.0": 500}
    desk.take(reading(0, 0, registers={IMPORT: 12_000, "1-0:5.8.0": 500}))
    assert desk.quality()[day_on(0)] == "actual", "the register overrules both values"
    own = desk.take(request(0, 0, 4, after={"1-0:5.8.0": 500}))
    assert only(own, EditHeld).because == "settled"


def test_an_edit_keeps_the_demand_of_its_day() -> None:
    desk = opened()
    desk.take(reading(0, 10_000, demands=(peak(2_000, 0),)))
    edit = request(0, 9_000, reason_code="meter_fault")
    desk.take(edit)
    desk.take(decision(edit))
    assert [found.demand_w for found in desk.usage()[day_on(0)].demands] == [2_000]


# -- what is kept ---------------------------------------------------------------------------------


def test_a_point_with_edits_keeps_no_more_than_its_days() -> None:
    desk = opened()
    for day in range(100):
        desk.take(reading(day, 10_000 * (day + 1)))
        edit = request(day, 9_000, reason_code="meter_fault")
        desk.take(edit)
        desk.take(decision(edit))
    edits = desk.point.edits
    assert list(edits.settled) == [day_on(day) for day in range(100 - HISTORY_DAYS, 100)]
    assert (edits.days, edits.waiting) == ({}, ())
    assert len(encode_state(desk.point)) < 6_000
    assert why(desk.take(request(10, 8_000, 2)))[2] == "have billing correct it"


def test_settled_days_stay_with_the_account_they_were_given_to() -> None:
    desk = settled()
    desk.take(supply(version=2, account_no="A2", supplied_from_on=day_on(0)))
    edit = request(1, 9_000, reason_code="meter_fault")
    desk.take(edit)
    desk.take(decision(edit))
    assert desk.usage("A1")[day_on(1)].energy == {IMPORT: 9_000}


def test_an_approval_counts_only_for_the_edit_it_names() -> None:
    desk = settled()
    one = request(0, 9_000, reason_code="meter_fault")
    two = request(1, 9_000, reason_code="meter_fault")
    desk.take(one)
    desk.take(two)
    desk.take(decision(two))
    assert [desk.quality()[day_on(day)] for day in (0, 1)] == ["actual", "edited"]
    assert [held.edit for held in desk.point.edits.waiting] == [one]


def test_an_edit_of_days_that_the_registers_do_not_tell_stands_by_itself() -> None:
    """Final registers below the last reading: nobody can tell the days between."""
    desk = settled()
    desk.tick(at(5, 8))
    assert desk.quality()[day_on(3)] == "estimated"
    desk.take(supply(meter(to_at=at(4, 6), final={IMPORT: 29_000}), version=2))
    own = desk.take(request(3, 4_000))
    assert [type(event).__name__ for event in own] == ["EditTaken", "UsageEstablished"]
    assert (desk.quality()[day_on(3)], desk.energy()[day_on(3)]) == ("edited", 4_000)
    assert desk.summed() == desk.energy()


@pytest.mark.parametrize(
    ("rules", "field"),
    [({"outranking": ("mood",)}, "outranking"), ({"second_person": "never"}, "second_person")],
)
def test_rules_that_contradict_themselves_are_refused(rules: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as wrong:
        EditRules(**rules)
    assert wrong.value.field == field

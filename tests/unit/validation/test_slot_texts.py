"""Slot tables as texts: what they mean, and the text that means nothing."""

from __future__ import annotations

from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.slot_texts import slot_table
from services.validation.tou_basis import DaySlot, SlotTable, YearZone, meter_slots


def test_the_texts_of_a_table() -> None:
    found = slot_table(
        ("01-01=1", "07-16=2", "00-00=2"),
        {"1": ("00:00=4", "07:30=3"), "2": ()},
        ("2026-05-01=2",),
        (5, 6),
        2,
    )
    assert found == SlotTable(
        zones=(YearZone(1, 1, 1), YearZone(7, 16, 2)),
        day_tables={1: (DaySlot(0, 4), DaySlot(450, 3)), 2: ()},
        special_days={"2026-05-01": 2},
        rest_weekdays=frozenset({5, 6}),
        rest_table=2,
    )
    assert meter_slots(found, "2026-01-05") == (DaySlot(0, 4), DaySlot(450, 3))


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"zones": ("13-01=1",)}, "zones"),
        ({"zones": ("12-32=1",)}, "zones"),
        ({"zones": ("1-1=1",)}, "zones"),
        ({"day_tables": {"x": ()}}, "day_tables.x"),
        ({"day_tables": {"0": ()}}, "day_tables.0"),
        ({"day_tables": {"1": ("24:00=1",)}}, "day_tables.1"),
        ({"day_tables": {"1": ("10:60=1",)}}, "day_tables.1"),
        ({"day_tables": {"1": ("10:00",)}}, "day_tables.1"),
        ({"special_days": ("2026-02-30=1",)}, "special_days"),
        ({"special_days": ("02-28=1",)}, "special_days"),
        ({"rest_weekdays": (7,)}, "rest_weekdays"),
    ],
)
def test_a_text_that_means_nothing_is_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        slot_table(**{"zones": ("01-01=1",), "day_tables": {"1": ("00:00=1",)}, **changes})
    assert caught.value.field == field
    assert caught.value.fix

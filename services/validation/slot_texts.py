"""A meter's slot table as it is written down: `MM-DD=table`, `hh:mm=rate`, `2026-05-01=table`.

    slot_table(("01-01=1",), {"1": ("00:00=4", "07:00=3")})
    SlotTable(zones=(YearZone(month=1, day=1, table=1),),
              day_tables={1: (DaySlot(0, 4), DaySlot(420, 3))})

DL/T 645-2007 fills places of a zone table that are not needed with the last zone, or with zeros
(UNCONFIRMED): a zone of month 00 says nothing and is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from libs.events.errors import BadInput
from services.validation.instant import parse_day
from services.validation.tou_basis import DaySlot, SlotTable, YearZone

_ZONE = re.compile(r"([0-9]{2})-([0-9]{2})=([0-9]{1,3})")
_SLOT = re.compile(r"([0-9]{2}):([0-9]{2})=([0-9]{1,3})")
_DATE = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})=([0-9]{1,3})")


def slot_table(
    zones: Iterable[str],
    day_tables: Mapping[str, Iterable[str]],
    special_days: Iterable[str] = (),
    rest_weekdays: Iterable[int] = (),
    rest_table: int = 0,
) -> SlotTable:
    """The table in the terms of tou_basis.py; BadInput names the text that is none."""
    numbered = {}
    for number, slots in day_tables.items():
        field = f"day_tables.{number}"
        if not number.isdecimal() or not 1 <= int(number) <= 99:
            raise BadInput(field, f"{number!r} is no number of a day table", "use 1 to 99")
        numbered[int(number)] = tuple(_slot(text, field) for text in slots)
    days = dict(_special(text) for text in special_days)
    found = [_zone(text) for text in zones]
    weekdays = frozenset(rest_weekdays)
    if not weekdays <= set(range(7)):
        raise BadInput("rest_weekdays", f"{sorted(weekdays)} are no weekdays", "Monday is 0")
    return SlotTable(
        zones=tuple(zone for zone in found if zone.month),
        day_tables=numbered,
        special_days=days,
        rest_weekdays=weekdays,
        rest_table=rest_table,
    )


def _zone(text: str) -> YearZone:
    found = _ZONE.fullmatch(text)
    if found is None or int(found[1]) > 12 or int(found[2]) > 31:
        raise BadInput("zones", f"{text!r} is no zone", "write it like 02-28=1, day=table")
    return YearZone(int(found[1]), int(found[2]), int(found[3]))


def _slot(text: str, field: str) -> DaySlot:
    found = _SLOT.fullmatch(text)
    if found is None or int(found[2]) > 59 or int(found[1]) > 23:
        raise BadInput(field, f"{text!r} is no slot", "write it like 07:30=3: time=rate")
    return DaySlot(int(found[1]) * 60 + int(found[2]), int(found[3]))


def _special(text: str) -> tuple[str, int]:
    found = _DATE.fullmatch(text)
    if found is None:
        problem = f"{text!r} is no day with its table"
        raise BadInput("special_days", problem, "write it like 2026-05-01=2: day=day table")
    return parse_day(found[1], "special_days").isoformat(), int(found[2])

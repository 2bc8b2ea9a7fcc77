"""Published load shapes: the BDEW profiles of 2025 that `demandlib` ships, as exact integers.

    shape = load_shape("H25")
    shape.weights(2026)[0]      # the first quarter of an hour of the year

A weight is energy per quarter of an hour in 1e-9 kWh of a customer of 1 GWh a year; only ratios of
weights are used. The CSV files are read as they are, in decimal, without pandas: a simulator starts
in a tenth of a second and two machines get the same registers to the last digit. The dynamic
profiles (households) follow the published polynomial of the day of the year.
"""

from __future__ import annotations

import csv
import importlib.util
from array import array
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path

from libs.events.errors import BadInput, Refused

SHAPES = {
    "H25": "household",
    "G25": "commercial and industrial",
    "L25": "agriculture",
    "P25": "household with photovoltaics",
    "S25": "household with photovoltaics and battery",
}
_DYNAMIC = frozenset({"H25", "P25", "S25"})
SLOTS_PER_DAY = 96
SLOT_S = 900
_MONTHS = (
    "Januar", "Februar", "März", "April", "Mai", "Juni",
    "Juli", "August", "September", "Oktober", "November", "Dezember",
)  # fmt: skip
_WORKDAY, _SATURDAY, _SUNDAY = "WT", "SA", "FT"
_DAY_KINDS = (_WORKDAY,) * 5 + (_SATURDAY, _SUNDAY)
_FACTOR_SCALE = 10**12
_WEIGHT_DIVISOR = 10**6


def dynamic_factor_e12(day_of_year: int) -> int:
    """BDEW's factor for a day of the year (1..366), times 1e12, exact.

    -3.92e-10 d^4 + 3.2e-7 d^3 - 7.02e-5 d^2 + 2.1e-3 d + 1.24
    """
    d = day_of_year
    return -392 * d**4 + 320_000 * d**3 - 70_200_000 * d**2 + 2_100_000_000 * d + 1_240 * 10**9


@dataclass(frozen=True, slots=True)
class LoadShape:
    """One profile: thousandths of a kWh per quarter of an hour, by month (1..12) and day kind."""

    name: str
    table: dict[tuple[int, str], tuple[int, ...]]

    def weights(self, year: int, holidays: Collection[date] = ()) -> array[int]:
        """The weight of every quarter of an hour of a year; holidays are as Sundays."""
        found = array("q")
        day = date(year, 1, 1)
        while day.year == year:
            kind = _SUNDAY if day in holidays else _DAY_KINDS[day.weekday()]
            factor = _FACTOR_SCALE
            if self.name in _DYNAMIC:
                factor = dynamic_factor_e12(day.timetuple().tm_yday)
            row = self.table[day.month, kind]
            found.extend(value * factor // _WEIGHT_DIVISOR for value in row)
            day += timedelta(days=1)
        return found


@lru_cache(maxsize=len(SHAPES))
def load_shape(name: str) -> LoadShape:
    """The profile of that name; BadInput when there is none, Refused without `demandlib`."""
    if name not in SHAPES:
        raise BadInput("shape", f"{name!r} is no load shape", f"use one of {', '.join(SHAPES)}")
    found = importlib.util.find_spec("demandlib")
    if found is None or not found.submodule_search_locations:
        raise Refused("load shapes need the package demandlib: pip install 'gridledger[demo]'")
    folder = Path(found.submodule_search_locations[0]) / "bdew" / "bdew_data"
    with (folder / f"{name.lower()}.csv").open(encoding="utf-8", newline="") as lines:
        return LoadShape(name, _parse(csv.reader(lines)))


def _parse(rows: csv.reader) -> dict[tuple[int, str], tuple[int, ...]]:  # type: ignore[valid-type]
    months, kinds, *slots = [row for row in rows if row]  # type: ignore[attr-defined]
    assert len(slots) == SLOTS_PER_DAY, f"{len(slots)} rows in a profile of 96"
    table = {}
    for column in range(1, len(months)):
        month = _MONTHS.index(months[column]) + 1
        table[month, kinds[column]] = tuple(_milli(row[column]) for row in slots)
    return table


def _milli(text: str) -> int:
    """A decimal with at most three places, times 1000."""
    whole, _, places = text.partition(".")
    assert len(places) <= 3, f"{text} has more than three places"
    return int(whole) * 1000 + int(places.ljust(3, "0"))

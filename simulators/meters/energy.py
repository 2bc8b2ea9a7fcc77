"""Cumulative energy as an exact function of time: load shape, rates by a day table, dark hours.

    load = Load(shape, annual_wh, rate_of_slot, zone_minutes, holidays)
    load.energy_wh(rate, from_s, until_s)

Everything is integer arithmetic over the weights of a shape; the same instants give the same
energies on every machine, and a register computed twice is the same register.
"""

from __future__ import annotations

import calendar
from array import array
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from itertools import accumulate

from libs.events.errors import BadInput
from simulators.load_shapes import SLOT_S, SLOTS_PER_DAY, load_shape

DAY_S = 86_400
TOTAL = 0


@dataclass(frozen=True, slots=True)
class YearTable:
    """One year of one shape: cumulative weights by rate (0 = all), and the running monthly peak.

    peaks[rate][k] is the slot of the highest weight from the month's first slot to slot k.
    """

    year: int
    first_s: int
    total: int
    cumulative: dict[int, array[int]]
    peaks: dict[int, array[int]]

    def until(self, rate: int, local_s: int) -> int:
        """Weight from the year's beginning to a local second, linear within a slot."""
        sums = self.cumulative.get(rate)
        if sums is None:
            return 0
        slot, rest = divmod(local_s - self.first_s, SLOT_S)
        found = sums[slot]
        return found + (sums[slot + 1] - found) * rest // SLOT_S if rest else found


def parse_day_table(rows: Sequence[tuple[str, int]]) -> tuple[int, ...]:
    """The rate of each of the 96 slots; rows are (hh:mm, rate) in order, the first at 00:00."""
    rates = [1] * SLOTS_PER_DAY
    before = -1
    for text, rate in rows or [("00:00", 1)]:
        try:
            moment = datetime.strptime(text, "%H:%M")  # noqa: DTZ007 (a time of day)
        except ValueError:
            raise BadInput("day_tables", f"{text!r} is no time", "write it like 08:30") from None
        slot, rest = divmod(moment.hour * 60 + moment.minute, 15)
        if rest or slot <= before or (before < 0 and slot):
            raise BadInput("day_tables", f"{text} is out of place", "begin at 00:00, by quarters")
        if rate < 1:
            raise BadInput("day_tables", f"{rate} is no rate", "count rates from 1")
        rates[slot:] = [rate] * (SLOTS_PER_DAY - slot)
        before = slot
    return tuple(rates)


@lru_cache(maxsize=64)
def year_table(
    shape: str, year: int, rate_of_slot: tuple[int, ...], holidays: frozenset[date]
) -> YearTable:
    """The table of a year; meters of the same shape and day table share it."""
    weights = load_shape(shape).weights(year, holidays)
    first_s = int(datetime(year, 1, 1, tzinfo=UTC).timestamp())
    cumulative, peaks = {}, {}
    for rate in (TOTAL, *sorted(set(rate_of_slot))):
        own = weights
        if rate != TOTAL:
            mask = [rate == of_slot for of_slot in rate_of_slot]
            own = array("q", (w if mask[k % SLOTS_PER_DAY] else 0 for k, w in enumerate(weights)))
        cumulative[rate] = array("q", accumulate(own, initial=0))
        peaks[rate] = _running_peaks(own, year)
    return YearTable(year, first_s, cumulative[TOTAL][-1], cumulative, peaks)


def _running_peaks(weights: array[int], year: int) -> array[int]:
    peaks = array("l")
    slot = 0
    for month in range(1, 13):
        best = slot
        for _ in range(calendar.monthrange(year, month)[1] * SLOTS_PER_DAY):
            if weights[slot] > weights[best]:
                best = slot
            peaks.append(best)
            slot += 1
    return peaks


class Load:
    """The energy one customer would take, were the relay never open."""

    def __init__(
        self,
        shape: str,
        annual_wh: int,
        rate_of_slot: tuple[int, ...],
        zone_minutes: int,
        holidays: Collection[date] = (),
    ) -> None:
        self.shape = shape
        self.annual_wh = annual_wh
        self.rate_of_slot = rate_of_slot
        self.rates = tuple(sorted(set(rate_of_slot)))
        self._zone_s = zone_minutes * 60
        self._holidays = frozenset(holidays)

    def table(self, year: int) -> YearTable:
        """The weights of a year."""
        return year_table(self.shape, year, self.rate_of_slot, self._holidays)

    def energy_wh(self, rate: int, from_s: int, until_s: int) -> int:
        """Energy of one rate between two instants (seconds since 1970); rate 0 is their sum."""
        if until_s <= from_s:
            return 0
        if rate == TOTAL:
            return sum(self.energy_wh(each, from_s, until_s) for each in self.rates)
        return self._since(rate, from_s, until_s) - self._since(rate, from_s, from_s)

    def _since(self, rate: int, from_s: int, at_s: int) -> int:
        """Energy from the first second of `from_s`'s year to an instant; grows, never falls."""
        local_s = at_s + self._zone_s
        year = datetime.fromtimestamp(local_s, UTC).year
        found = 0
        for past in range(datetime.fromtimestamp(from_s + self._zone_s, UTC).year, year):
            table = self.table(past)
            found += self.annual_wh * table.cumulative.get(rate, (0,))[-1] // table.total
        table = self.table(year)
        return found + self.annual_wh * table.until(rate, local_s) // table.total

    def power_dw(self, at_s: int, rate: int = TOTAL) -> int:
        """Power at an instant in tenths of a watt: that of its slot, 0 out of its rate's hours."""
        local_s = at_s + self._zone_s
        table = self.table(datetime.fromtimestamp(local_s, UTC).year)
        slot = (local_s - table.first_s) // SLOT_S
        sums = table.cumulative[rate]
        return self._slot_dw(table, sums[slot + 1] - sums[slot])

    def peak(self, rate: int, until_s: int) -> tuple[int, int]:
        """The highest 15-minute demand (0.1 W) of the month in which `until_s` lies or ends.

        With the instant at which that quarter of an hour ended; (0, 0) before the first ended.
        """
        local_s = until_s + self._zone_s
        inside = datetime.fromtimestamp(local_s - 1, UTC)
        table = self.table(inside.year)
        last = (local_s - table.first_s) // SLOT_S - 1
        month_s = datetime(inside.year, inside.month, 1, tzinfo=UTC).timestamp()
        first = (int(month_s) - table.first_s) // SLOT_S
        if last < first or rate not in table.peaks:
            return 0, 0
        best = table.peaks[rate][last]
        sums = table.cumulative[rate]
        demand = self._slot_dw(table, sums[best + 1] - sums[best])
        return demand, table.first_s + (best + 1) * SLOT_S - self._zone_s if demand else 0

    def _slot_dw(self, table: YearTable, weight: int) -> int:
        return self.annual_wh * weight * (10 * 3600 // SLOT_S) // table.total

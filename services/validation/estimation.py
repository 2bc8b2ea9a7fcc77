"""Estimation of missing days, by register, that keeps every register delta exact.

**Between two good readings** (`estimate_gap`): the delta of each register is split over the days in
proportion to what the same weekdays used before (domain.md §2, estimation (c)), or evenly when
there is no history. Each day gets its share rounded down to the unit; the residual, less than one
unit per day, goes to the last day with a share. A total is split in proportion to the sum of its
rates, so that where the rates add up to the total over the gap they do so on every day.

**With an open end** (`estimate_open`): the average daily usage of the days before, not `scaled`,
until a reading arrives. Then `supersede` splits the true delta over the days it covers and says,
day by day, what was superseded.

    split(24, (9, 12, 15)) == (6, 8, 10)                   # three like days that average 3, 4, 5
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

from libs.events.errors import BadInput
from libs.events.quantities import half_up_div
from services.validation.instant import days_after, parse_day
from services.validation.register_usage import parse_register

ACTUAL = "actual"
ESTIMATED = "estimated"

SAME_WEEKDAY = "same_weekday"
AVERAGE_DAY = "average_day"
EVEN = "even"
OPEN_AVERAGE = "open_average"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUsage:
    """The usage of one day, `energy` by register (Wh or varh by OBIS code, primary side).

    `quality` is actual or estimated. `method` is same_weekday, average_day or even for an estimate
    between two readings, open_average for one with no closing reading yet, which is not `scaled` to
    any register; "" for an actual. `references` are the days of history behind an estimate.
    """

    day_on: str
    energy: dict[str, int]
    quality: str
    method: str = ""
    scaled: bool = True
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actual:
    """What two good readings say: the energy by register from 24:00 of `opening_on` to 24:00 of
    `closing_on`."""

    opening_on: str
    closing_on: str
    energy: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Superseded:
    """An estimate that no longer holds, what holds now, and the difference by register."""

    day_on: str
    before: DayUsage
    after: DayUsage
    difference: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Supersession:
    """The usage of every day that an actual covers, and the estimates that it replaces."""

    superseded: tuple[Superseded, ...]
    final: tuple[DayUsage, ...]


def split(total: int, weights: tuple[int, ...]) -> tuple[int, ...]:
    """Split a whole number in proportion to weights, exactly; evenly when all weights are zero.

    Each part is rounded down; the residual goes to the last part with a weight. BadInput for a
    negative total or weight, or no weights at all.
    """
    if total < 0:
        raise BadInput("usage", f"is {total}", "only a usage of zero or more can be split")
    if not weights or min(weights) < 0:
        raise BadInput("weights", f"are {weights}", "give one weight of zero or more per slot")
    if not any(weights):
        weights = (1,) * len(weights)
    whole = sum(weights)
    parts = [total * weight // whole for weight in weights]
    last = max(index for index, weight in enumerate(weights) if weight > 0)
    parts[last] += total - sum(parts)
    return tuple(parts)


def estimate_gap(
    actual: Actual, history: tuple[DayUsage, ...], weekday_samples: int
) -> tuple[DayUsage, ...]:
    """The days between two good readings; a gap of one day is simply what the register says.

    `history` may hold any days; only actual ones before the gap count, the nearest
    `weekday_samples` of each weekday.
    """
    days = days_after(actual.opening_on, actual.closing_on)
    if len(days) == 1:
        return (DayUsage(day_on=days[0], energy=dict(actual.energy), quality=ACTUAL),)
    shapes = tuple(_references(day, days[0], history, weekday_samples) for day in days)
    parts = _split_registers(actual.energy, tuple(rows for _, rows in shapes))
    return tuple(
        DayUsage(
            day_on=day,
            energy={register: parts[register][index] for register in actual.energy},
            quality=ESTIMATED,
            method=shapes[index][0],
            references=tuple(row.day_on for row in shapes[index][1]),
        )
        for index, day in enumerate(days)
    )


def estimate_open(
    opening_on: str, closing_on: str, history: tuple[DayUsage, ...], average_days: int
) -> tuple[DayUsage, ...]:
    """The days after the last good reading, each the average of the actual days before.

    A rate is rounded half up to the unit, a total with rates is their sum. BadInput when there is
    no actual day before: nothing is guessed from nothing.
    """
    days = days_after(opening_on, closing_on)
    rows = _actual_before(history, days[0])[-average_days:]
    if not rows:
        fix = "wait for a second reading, or have the point read by a person"
        raise BadInput("history", f"has no actual day before {days[0]}", fix)
    energy = _average(rows)
    references = tuple(row.day_on for row in rows)
    return tuple(
        DayUsage(
            day_on=day,
            energy=dict(energy),
            quality=ESTIMATED,
            method=OPEN_AVERAGE,
            scaled=False,
            references=references,
        )
        for day in days
    )


def supersede(
    estimates: tuple[DayUsage, ...],
    actual: Actual,
    history: tuple[DayUsage, ...],
    weekday_samples: int,
) -> Supersession:
    """What an actual that arrived late makes of the estimates of its days.

    Estimates of other days stay as they are. An estimate that the actual leaves equal in usage and
    scale is not superseded, so the same actual twice supersedes nothing. BadInput when a day of
    the actual is already actual with another usage: that is a contradiction, not an estimate.
    """
    final = estimate_gap(actual, history, weekday_samples)
    before = {day.day_on: day for day in estimates}
    superseded: list[Superseded] = []
    for after in final:
        estimate = before.get(after.day_on)
        if estimate is None or _equal(estimate, after):
            continue
        if estimate.quality == ACTUAL:
            problem = f"{after.day_on} is actual, no estimate"
            raise BadInput("estimates", problem, "correct an actual by an edit")
        difference = {
            register: after.energy.get(register, 0) - estimate.energy.get(register, 0)
            for register in {**estimate.energy, **after.energy}
        }
        superseded.append(
            Superseded(day_on=after.day_on, before=estimate, after=after, difference=difference)
        )
    return Supersession(superseded=tuple(superseded), final=final)


def _equal(one: DayUsage, other: DayUsage) -> bool:
    return (one.energy, one.quality, one.scaled) == (other.energy, other.quality, other.scaled)


def _actual_before(history: tuple[DayUsage, ...], day_on: str) -> tuple[DayUsage, ...]:
    """The actual days before a day, in order: estimates never feed estimates (domain.md §2)."""
    kept = (day for day in history if day.quality == ACTUAL and day.day_on < day_on)
    return tuple(sorted(kept, key=lambda day: day.day_on))


def _references(
    day_on: str, first_on: str, history: tuple[DayUsage, ...], samples: int
) -> tuple[str, tuple[DayUsage, ...]]:
    """The method and the days of history for one day of a gap that begins on `first_on`."""
    rows = _actual_before(history, first_on)
    weekday = parse_day(day_on).weekday()
    same = tuple(row for row in rows if parse_day(row.day_on).weekday() == weekday)
    if same:
        return SAME_WEEKDAY, same[-samples:]
    return (AVERAGE_DAY, rows) if rows else (EVEN, ())


def _split_registers(
    energy: dict[str, int], rows_by_day: tuple[tuple[DayUsage, ...], ...]
) -> dict[str, tuple[int, ...]]:
    """Rates by their own history, totals by the sum of their rates, the rest by their own."""
    parts: dict[str, tuple[int, ...]] = {}
    rates: dict[str, list[str]] = {}
    by_rate_first = sorted(energy.items(), key=lambda item: parse_register(item[0]).rate == 0)
    for register, value in by_rate_first:
        name = parse_register(register)
        weights = _weights(register, rows_by_day)
        if name.rate:
            rates.setdefault(name.total, []).append(register)
        elif register in rates:
            of_rates = _added(tuple(parts[rate] for rate in rates[register]))
            weights = of_rates if any(of_rates) else weights
        parts[register] = split(value, weights)
    return parts


def _added(rows: tuple[tuple[int, ...], ...]) -> tuple[int, ...]:
    return tuple(sum(column) for column in zip(*rows, strict=True))


def _weights(register: str, rows_by_day: tuple[tuple[DayUsage, ...], ...]) -> tuple[int, ...]:
    """The average of a register over each day's references, as whole numbers of one scale.

    References without the register (a meter that had no rates yet) do not count; a day whose
    references all lack it gets the average of the other days.
    """
    averages = [
        _mean(row.energy[register] for row in rows if register in row.energy)
        for rows in rows_by_day
    ]
    fallback = _mean(average for average in averages if average is not None) or Fraction(0)
    filled = [fallback if average is None else average for average in averages]
    scale = lcm(*(average.denominator for average in filled))
    return tuple(int(average * scale) for average in filled)


def _mean(values: Iterable[int | Fraction]) -> Fraction | None:
    kept = tuple(values)
    return Fraction(sum(kept)) / len(kept) if kept else None


def _average(rows: tuple[DayUsage, ...]) -> dict[str, int]:
    """The average day by register, over the days that have it; a total with rates is their sum."""
    values: dict[str, list[int]] = {}
    for row in rows:
        for register, value in row.energy.items():
            values.setdefault(register, []).append(value)
    average = {register: half_up_div(sum(kept), len(kept)) for register, kept in values.items()}
    of_rates: dict[str, int] = {}
    for register, value in average.items():
        name = parse_register(register)
        if name.rate:
            of_rates[name.total] = of_rates.get(name.total, 0) + value
    return {register: of_rates.get(register, value) for register, value in average.items()}

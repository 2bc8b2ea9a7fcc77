"""The timeline of a usage point: where its registers are known, by which meter, for whom.

A `Mark` is what the registers showed at a moment that ends a day: an accepted reading, the initial
registers of a meter that was put there, the final registers of one that was taken away. A `Run` is
a chain of meters each of which took over from the one before within a day. Usage follows from two
neighbouring marks of one run, a `Span`; between runs nothing was measured and nothing is guessed.

    M1 with initial registers from 1 January 00:00, read at the end of 3 January:
    spans(...) == [Span(first=initial/M1 at the end of 31 December, last=the reading)]
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from itertools import pairwise

from libs.events.memory import once_per
from services.validation.events import SupplyNoted, UsageDemand
from services.validation.instant import UTC_OFFSET_MINUTES, parse_day, parse_instant
from services.validation.register_usage import Installation, Snapshot

_SECOND = timedelta(seconds=1)
_KEPT = 4096  # a decision asks for the same few days over and over


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """Registers (and demands) as the meter shows them, at the end of a day or, for initial and
    final registers, at the instant they were read; then `day_on` is the day they close."""

    day_on: str
    meter_no: str
    taken_at: str
    reading_id: str
    registers: dict[str, int]
    demands: tuple[UsageDemand, ...] = ()

    def snapshot(self) -> Snapshot:
        """As the register arithmetic takes it."""
        return Snapshot(meter_no=self.meter_no, taken_at=self.taken_at, registers=self.registers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Meters one after another. first_on and last_on: the days in which it begins and ends, the
    latter "" while it lasts."""

    meters: tuple[Installation, ...]
    first_on: str
    last_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Two neighbouring marks of a run: the days after the first up to and with the last."""

    run: Run
    first: Mark
    last: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenEnd:
    """The days of a run after `opening_on`, which no mark closes; the last mark, if any."""

    run: Run
    opening_on: str
    mark: Mark | None


# -- days ------------------------------------------------------------------------------------------


@lru_cache(maxsize=_KEPT)
def day_of(at: str) -> str:
    """The day in the utility's zone in which an instant lies."""
    return (parse_instant(at) + timedelta(minutes=UTC_OFFSET_MINUTES)).date().isoformat()


@lru_cache(maxsize=_KEPT)
def day_closed_by(at: str) -> str:
    """The day that an end at an instant closes: 00:00 is still 24:00 of the day before."""
    moment = parse_instant(at) + timedelta(minutes=UTC_OFFSET_MINUTES) - _SECOND
    return moment.date().isoformat()


@lru_cache(maxsize=_KEPT)
def add_days(day_on: str, days: int) -> str:
    """The day some days later (or earlier)."""
    return (parse_day(day_on) + timedelta(days=days)).isoformat()


def days_between(first_on: str, end_on: str) -> tuple[str, ...]:
    """Every day from one on and before another, in order; none when that is not later."""
    count = (parse_day(end_on) - parse_day(first_on)).days
    return tuple(add_days(first_on, index) for index in range(count))


# -- for whom --------------------------------------------------------------------------------------


def is_supplied(supply: SupplyNoted, day_on: str) -> bool:
    """Whether a supply covers a day."""
    return supply.supplied_from_on <= day_on and (
        not supply.supplied_to_on or day_on <= supply.supplied_to_on
    )


def supply_on(supplies: Mapping[str, SupplyNoted], day_on: str) -> SupplyNoted | None:
    """The supply of a day; of two that claim it, the later version. None: nobody is supplied."""
    return max(
        (supply for supply in supplies.values() if is_supplied(supply, day_on)),
        key=lambda supply: supply.version,
        default=None,
    )


def latest_supply(supplies: Mapping[str, SupplyNoted]) -> SupplyNoted:
    """The supply of the account that has or had the point last."""
    return max(supplies.values(), key=lambda supply: supply.version)


def next_supplied(supplies: Mapping[str, SupplyNoted], after_on: str) -> str:
    """The first supplied day after a day, "" when there is none."""
    following = add_days(after_on, 1)
    if supply_on(supplies, following) is not None:
        return following
    later = (each.supplied_from_on for each in supplies.values())
    return min((day for day in later if day > after_on), default="")


# -- by which meter --------------------------------------------------------------------------------


@once_per(_KEPT)
def meters_of(supplies: Mapping[str, SupplyNoted]) -> tuple[Installation, ...]:
    """All stays of meters at a point, in order of time. Each supply has those of its own days; a
    stay that two of them know is taken from the later version."""
    stays: dict[tuple[str, str], Installation] = {}
    for supply in sorted(supplies.values(), key=lambda supply: supply.version):
        for noted in supply.installations:
            stays[noted.from_at, noted.meter_no] = Installation(
                meter_no=noted.meter_no,
                from_at=noted.from_at,
                to_at=noted.to_at,
                ratio=noted.ratio,
                digits=noted.digits,
                capacity_w=noted.capacity_w,
                initial=noted.initial,
                final=noted.final,
            )
    return tuple(stays[key] for key in sorted(stays))


@once_per(_KEPT)
def chain_of(supplies: Mapping[str, SupplyNoted]) -> tuple[Run, ...]:
    """The meters of a point as runs: one begins where there was none before, where nobody wrote
    down the registers of an exchange, and on the day after the last meter ended."""
    chains: list[list[Installation]] = []
    for meter in meters_of(supplies):
        if chains and _takes_over(chains[-1][-1], meter):
            chains[-1].append(meter)
        else:
            chains.append([meter])
    found = []
    for index, chain in enumerate(chains):
        # An older account's supply may not know yet that its last meter was taken away.
        begins = chains[index + 1][0].from_at if index + 1 < len(chains) else ""
        ends = min((end for end in (chain[-1].to_at, begins) if end), default="")
        found.append(
            Run(
                meters=tuple(chain),
                first_on=day_of(chain[0].from_at),
                last_on=day_closed_by(ends) if ends else "",
            )
        )
    return tuple(found)


def _takes_over(old: Installation, new: Installation) -> bool:
    if not old.to_at or not old.final or not new.initial:
        return False
    return old.to_at <= new.from_at and day_closed_by(old.to_at) == day_of(new.from_at)


def run_of(chain: tuple[Run, ...], meter_no: str, taken_at: str) -> Run | None:
    """The run with this meter at this instant (its last one there), None when it was elsewhere."""
    for run in reversed(chain):
        if _has(run, meter_no, taken_at):
            return run
    return None


def _has(run: Run, meter_no: str, taken_at: str) -> bool:
    for meter in run.meters:
        is_this = meter.meter_no == meter_no and meter.from_at <= taken_at
        if is_this and (not meter.to_at or taken_at <= meter.to_at):
            return True
    return False


# -- marks and spans -------------------------------------------------------------------------------


def marks(run: Run, readings: Mapping[str, Mark], anchor_on: str) -> tuple[Mark, ...]:
    """The marks of a run from a day on, in order; a reading outranks an initial or final value."""
    known = {
        mark.day_on: mark for mark in readings.values() if _has(run, mark.meter_no, mark.taken_at)
    }
    first, last = run.meters[0], run.meters[-1]
    if first.initial:
        begins_on = add_days(run.first_on, -1)
        known.setdefault(begins_on, _mark("initial", begins_on, first, first.from_at))
    if last.to_at and last.final:
        known.setdefault(run.last_on, _mark("final", run.last_on, last, last.to_at))
    return tuple(known[day_on] for day_on in sorted(known) if day_on >= anchor_on)


def _mark(end: str, day_on: str, meter: Installation, taken_at: str) -> Mark:
    return Mark(
        day_on=day_on,
        meter_no=meter.meter_no,
        taken_at=taken_at,
        reading_id=f"{end}/{meter.meter_no}",
        registers=meter.initial if end == "initial" else meter.final,
    )


def spans(chain: tuple[Run, ...], readings: Mapping[str, Mark], anchor_on: str) -> Iterator[Span]:
    """Every two neighbouring marks of every run from a day on, in order of time."""
    for run in chain:
        for first, last in pairwise(marks(run, readings, anchor_on)):
            yield Span(run=run, first=first, last=last)


def neighbours(known: tuple[Mark, ...], day_on: str) -> tuple[Mark | None, Mark | None]:
    """The marks before and after a day."""
    before = [mark for mark in known if mark.day_on < day_on]
    after = [mark for mark in known if mark.day_on > day_on]
    return before[-1] if before else None, after[0] if after else None


def open_ends(
    chain: tuple[Run, ...], readings: Mapping[str, Mark], anchor_on: str
) -> Iterator[OpenEnd]:
    """The days behind the last mark of each run that has not come to its end yet."""
    for run in chain:
        known = marks(run, readings, anchor_on)
        opening_on = known[-1].day_on if known else add_days(run.first_on, -1)
        opening_on = max(opening_on, anchor_on)
        if not run.last_on or opening_on < run.last_on:
            yield OpenEnd(run=run, opening_on=opening_on, mark=known[-1] if known else None)

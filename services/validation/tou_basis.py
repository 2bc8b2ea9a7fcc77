"""What a point's time-of-use energy is taken from: its rate registers, or its load profile.

Rate registers count by the meter's own slot table, so they may be used only while that table, read
back (DL/T 645 0401...), says the same as the book's calendar. A difference, a table that nobody
read, or a clock that is off by more than the limit is a finding that blocks the release of the
bill; the profile takes over where it is complete for the period. Both sides come as plain data:

    book = {"2026-01-01": 48 * ("flat",), ...}      what the book says, in equal slots a day
    rates = {1: "sharp", 2: "peak", 3: "flat", 4: "valley"}     data of the usage point
    differences(table, book, rates)     () or (SlotDifference(day_on=..., from_minute=480, ...),)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import NamedTuple

from libs.events.errors import BadInput
from services.validation.finding import FAIL, WARN, Finding, worst
from services.validation.instant import parse_day
from services.validation.slot_time import MINUTES_PER_DAY

RATE_REGISTERS = "rate_registers"
LOAD_PROFILE = "load_profile"
BASES = (RATE_REGISTERS, LOAD_PROFILE)

SLOT_TABLE = "tou_slot_table"
CLOCK = "tou_clock"
PROFILE = "tou_profile"


class DaySlot(NamedTuple):
    """From this minute of the day on, the meter counts in this rate register."""

    minute: int
    rate: int


class YearZone(NamedTuple):
    """From this day of the year on (month, day), the meter uses this day table."""

    month: int
    day: int
    table: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTable:
    """The meter's tables as they were read: year zones (0401 0000), day tables by number from 1
    (0401 0001...), tables of single days (0403 00NN) and of the weekly rest days.

    Before the first zone of a year the last one of the year before holds, before the first slot of
    a day the last one of the table. `rest_weekdays` counts Monday as 0.
    """

    zones: tuple[YearZone, ...]
    day_tables: Mapping[int, tuple[DaySlot, ...]]
    special_days: Mapping[str, int] = field(default_factory=dict)
    rest_weekdays: frozenset[int] = frozenset()
    rest_table: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotDifference:
    """A part of a day (minutes since local midnight) in which meter and book disagree.
    `meter_period` is "" for a rate that the point has no period for."""

    day_on: str
    from_minute: int
    to_minute: int
    meter_rate: int
    meter_period: str
    book_period: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BasisVerdict:
    """What the energy of a period may be taken from (`used`, "" for nothing), and whether the bill
    must wait for a person."""

    stated: str
    used: str
    release_blocked: bool
    differences: tuple[SlotDifference, ...]
    findings: tuple[Finding, ...]


def meter_slots(table: SlotTable, day_on: str) -> tuple[DaySlot, ...]:
    """The slots by which a meter counts on a day, from minute 0 on. BadInput when the tables do not
    say: no zone, an unknown day table, an impossible time."""
    day = parse_day(day_on, "day_on")
    number = table.special_days.get(day_on, 0)
    if not number and day.weekday() in table.rest_weekdays:
        number = table.rest_table
    if not number:
        zones = sorted(table.zones)
        if not zones:
            raise BadInput("zones", "there are none", "read 04010000 from the meter")
        begun = [zone for zone in zones if (zone.month, zone.day) <= (day.month, day.day)]
        number = (begun or zones)[-1].table
    slots = table.day_tables.get(number, ())
    if not slots:
        problem = f"day table {number} of {day_on} is not there"
        raise BadInput("day_tables", problem, "read it from the meter")
    wrong = [slot for slot in slots if not 0 <= slot.minute < MINUTES_PER_DAY]
    if wrong:
        problem = f"has a slot at minute {wrong[0].minute}"
        raise BadInput(f"day_tables.{number}", problem, "a day has 1440 minutes")
    # A meter fills the places it does not need with its last slot: once more says nothing new.
    ordered = sorted({*slots})
    if any(one.minute == other.minute for one, other in pairwise(ordered)):
        problem = "has two rates at one time"
        raise BadInput(f"day_tables.{number}", problem, "read it from the meter again")
    if ordered[0].minute:
        ordered.insert(0, DaySlot(0, ordered[-1].rate))
    return tuple(ordered)


def differences(
    table: SlotTable, book: Mapping[str, Sequence[str]], rates: Mapping[int, str]
) -> tuple[SlotDifference, ...]:
    """Where the meter's table and the book's calendar disagree, neighbours joined; () when they are
    equal on every day of `book`."""
    return tuple(
        found
        for day_on, periods in sorted(book.items())
        for found in _joined(_of_day(meter_slots(table, day_on), day_on, periods, rates))
    )


def _of_day(
    slots: Sequence[DaySlot], day_on: str, periods: Sequence[str], rates: Mapping[int, str]
) -> Iterator[SlotDifference]:
    if not periods or MINUTES_PER_DAY % len(periods):
        problem = f"has {len(periods)} slots on {day_on}"
        raise BadInput("book", problem, "give slots of equal whole minutes, like 48")
    size = MINUTES_PER_DAY // len(periods)
    cuts = sorted({slot.minute for slot in slots} | {*range(0, MINUTES_PER_DAY, size)})
    for begin, end in zip(cuts, [*cuts[1:], MINUTES_PER_DAY], strict=True):
        rate = [slot.rate for slot in slots if slot.minute <= begin][-1]
        of_meter, of_book = rates.get(rate, ""), periods[begin // size]
        if of_meter != of_book:
            yield SlotDifference(
                day_on=day_on,
                from_minute=begin,
                to_minute=end,
                meter_rate=rate,
                meter_period=of_meter,
                book_period=of_book,
            )


def _joined(found: Iterator[SlotDifference]) -> list[SlotDifference]:
    joined: list[SlotDifference] = []
    for part in found:
        last = joined[-1] if joined else None
        if last is not None and (last.to_minute, last.meter_rate, last.book_period) == (
            part.from_minute,
            part.meter_rate,
            part.book_period,
        ):
            joined[-1] = replace(last, to_minute=part.to_minute)
        else:
            joined.append(part)
    return joined


def judge_basis(
    stated: str,
    *,
    table: SlotTable | None,
    book: Mapping[str, Sequence[str]],
    rates: Mapping[int, str],
    clock_offset_s: int | None,
    clock_limit_s: int,
    profile_expected: int,
    profile_found: int,
) -> BasisVerdict:
    """What the period's time-of-use energy may be taken from.

    `table` is None when it was not read back, `clock_offset_s` (meter minus us) None when the clock
    was not read: then nobody knows that it is wrong, which is a warning. The limit is a parameter:
    validation's `clock_drift.fail_s`, 300 s by default, UNCONFIRMED. `profile_expected` and
    `profile_found` count the period's intervals with a usable value; in the service, measured ones.
    """
    if stated not in BASES:
        raise BadInput("basis", f"{stated!r} is unknown", f"use {', '.join(BASES)}")
    found: tuple[SlotDifference, ...] = ()
    findings: list[Finding] = []
    if stated == RATE_REGISTERS:
        found = () if table is None else differences(table, book, rates)
        findings += _table_findings(table, found)
    findings += _clock_findings(clock_offset_s, clock_limit_s)
    complete = 0 < profile_expected <= profile_found
    is_blocked = worst(findings) == FAIL
    used = LOAD_PROFILE if is_blocked or stated == LOAD_PROFILE else RATE_REGISTERS
    if used == LOAD_PROFILE and not complete:
        used = ""
        findings.append(_profile_finding(profile_expected, profile_found))
    return BasisVerdict(
        stated=stated,
        used=used,
        release_blocked=is_blocked or not used,
        differences=found,
        findings=tuple(findings),
    )


def _table_findings(
    table: SlotTable | None, found: tuple[SlotDifference, ...]
) -> Iterator[Finding]:
    if table is None:
        text = "the meter's slot table was not read back"
        yield Finding(rule=SLOT_TABLE, severity=FAIL, text=text)
    elif found:
        first = found[0]
        minutes = sum(part.to_minute - part.from_minute for part in found)
        text = (
            f"{first.day_on} {_clock(first.from_minute)}-{_clock(first.to_minute)}: the meter"
            f" counts {first.meter_period or f'rate {first.meter_rate}'}, the book"
            f" {first.book_period}"
        )
        yield Finding(
            rule=SLOT_TABLE,
            severity=FAIL,
            numbers={"difference_count": str(len(found)), "difference_min": str(minutes)},
            text=text,
            slots=tuple(dict.fromkeys(part.day_on for part in found)),
        )


def _clock_findings(offset_s: int | None, limit_s: int) -> Iterator[Finding]:
    if offset_s is None:
        yield Finding(rule=CLOCK, severity=WARN, text="the meter's clock was not read")
    elif abs(offset_s) > limit_s:
        numbers = {"clock_offset_s": str(offset_s), "limit_s": str(limit_s)}
        text = "the meter's clock is off, so its rates are of other times"
        yield Finding(rule=CLOCK, severity=FAIL, numbers=numbers, text=text)


def _profile_finding(expected: int, found: int) -> Finding:
    numbers = {"expected_count": str(expected), "found_count": str(found)}
    text = "the load profile is not complete for the period"
    return Finding(rule=PROFILE, severity=FAIL, numbers=numbers, text=text)


def _clock(minute: int) -> str:
    return f"{minute // 60:02d}:{minute % 60:02d}"

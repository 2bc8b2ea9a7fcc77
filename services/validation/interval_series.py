"""The intervals of one register at one usage point, with everything that estimation may look at.

A slot has an end, an energy (Wh or varh, primary side) and a quality. What counts as known is
`actual`, `edited` and `manual` (a person's field reading); `missing`, `failed` (a rule refused it)
and `estimated` are gaps, so an estimate is always made anew and never feeds another. `outage` is a
true zero with a flag: not a gap, never filled, and its day is no reference.

    series = interval_series(slots, interval_minutes=15)     sorted, checked, holes made `missing`
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import tzinfo

from libs.events.errors import BadInput
from services.validation.slot_time import (
    DEFAULT_ZONE,
    MINUTES_PER_DAY,
    SlotLabel,
    at_of,
    is_slot_end,
    minute_of,
    slot_label,
)

ACTUAL = "actual"
EDITED = "edited"
MANUAL = "manual"
MISSING = "missing"
FAILED = "failed"
ESTIMATED = "estimated"
OUTAGE = "outage"

KNOWN = frozenset({ACTUAL, EDITED, MANUAL})
LETTERS = {ACTUAL: "a", ESTIMATED: "e", FAILED: "f", MISSING: "m", OUTAGE: "o"}
"""A letter for the quality of an interval; a day in the log has a text of them."""

QUALITIES = (ACTUAL, EDITED, MANUAL, MISSING, FAILED, ESTIMATED, OUTAGE)

SLOTS_MAX = 1_100_000
"""Two years of minutes. More is a slip in a date, not a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """One interval, labelled by its end. `energy` is None where there is none."""

    end_at: str
    energy: int | None
    quality: str = ACTUAL


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Gapless slots in order of time: parallel tuples from `first_minute` on, which is the begin of
    the first slot. `check` has the energies of a check meter or SCADA by end minute, `signed` says
    whether energies may be negative (a net of import and export)."""

    interval_minutes: int
    first_minute: int
    energies: tuple[int | None, ...]
    qualities: tuple[str, ...]
    labels: tuple[SlotLabel, ...]
    check: Mapping[int, int] = field(default_factory=dict)
    profile_class: str = ""
    signed: bool = False

    def start(self, index: int) -> int:
        """The minute in which a slot begins."""
        return self.first_minute + index * self.interval_minutes

    def end_at(self, index: int) -> str:
        """The end of a slot, which is its name."""
        return at_of(self.start(index + 1))

    def is_gap(self, index: int) -> bool:
        """Whether a slot is to be estimated."""
        return self.qualities[index] not in KNOWN and self.qualities[index] != OUTAGE

    def known(self, index: int) -> int | None:
        """The energy of a slot that others may be estimated from; None for all others."""
        if 0 <= index < len(self.energies) and self.qualities[index] in KNOWN:
            return self.energies[index]
        return None


def interval_series(
    slots: Iterable[Slot],
    *,
    interval_minutes: int,
    zone: tzinfo = DEFAULT_ZONE,
    bounds: tuple[int, int] | None = None,
    check: Iterable[Slot] = (),
    profile_class: str = "",
    signed: bool = False,
) -> Series:
    """Slots in any order as a series, holes filled with `missing`; `bounds` (begin and end minute
    of what the registers cover) make it longer. BadInput: no slot, an end that is no boundary of
    the interval, two slots that contradict each other, an impossible energy."""
    check_interval(interval_minutes)
    by_end = _by_end(slots, interval_minutes, zone, signed)
    ends = [*by_end]
    if bounds is not None:
        ends += [bounds[0] + interval_minutes, bounds[1]]
    if not ends:
        raise BadInput("slots", "there are none", "give at least one interval or two registers")
    first_end, last_end = min(ends), max(ends)
    count = (last_end - first_end) // interval_minutes + 1
    if count > SLOTS_MAX:
        problem = f"{at_of(first_end)} to {at_of(last_end)} are {count} intervals"
        raise BadInput("end_at", problem, f"give at most {SLOTS_MAX} at a time")
    minutes = range(first_end, last_end + 1, interval_minutes)
    hole = Slot(end_at="", energy=None, quality=MISSING)
    rows = [by_end.get(minute, hole) for minute in minutes]
    checked = _by_end(check, interval_minutes, zone, signed)
    return Series(
        interval_minutes=interval_minutes,
        first_minute=first_end - interval_minutes,
        energies=tuple(0 if row.quality == OUTAGE else row.energy for row in rows),
        qualities=tuple(row.quality for row in rows),
        labels=tuple(slot_label(minute - interval_minutes, zone) for minute in minutes),
        check={
            end: row.energy
            for end, row in checked.items()
            if row.quality in KNOWN and row.energy is not None
        },
        profile_class=profile_class,
        signed=signed,
    )


def check_interval(interval_minutes: int) -> None:
    """BadInput unless a day of 24 hours is made of such intervals."""
    if not 1 <= interval_minutes <= MINUTES_PER_DAY or MINUTES_PER_DAY % interval_minutes:
        raise BadInput("interval_minutes", f"is {interval_minutes}", "use a part of a day, like 15")


def _by_end(
    slots: Iterable[Slot], interval_minutes: int, zone: tzinfo, signed: bool
) -> dict[int, Slot]:
    found: dict[int, Slot] = {}
    for slot in slots:
        end = slot_end(slot, interval_minutes, zone, signed=signed)
        if found.setdefault(end, slot) != slot:
            problem = f"{slot.end_at} is there twice, with different values"
            raise BadInput("end_at", problem, "keep the one that is true")
    return found


def slot_end(slot: Slot, interval_minutes: int, zone: tzinfo, *, signed: bool = False) -> int:
    """The minute in which a slot ends; BadInput names the field of a slot that cannot be."""
    end = minute_of(slot.end_at, "end_at")
    if not is_slot_end(end, interval_minutes, zone):
        problem = f"{slot.end_at} is no end of an interval of {interval_minutes} minutes"
        raise BadInput("end_at", problem, "intervals count from local midnight")
    if slot.quality not in QUALITIES:
        raise BadInput("quality", f"{slot.quality!r} is unknown", f"use {', '.join(QUALITIES)}")
    if slot.quality == OUTAGE and slot.energy:
        problem = f"is {slot.energy} in an outage"
        raise BadInput("energy_wh", problem, "an outage is a true zero")
    if slot.quality in KNOWN:
        if slot.energy is None:
            problem = f"is empty, and the interval is {slot.quality}"
            raise BadInput("energy_wh", problem, "give it, or call the interval missing")
        if slot.energy < 0 and not signed:
            raise BadInput("energy_wh", f"is {slot.energy}", "only a signed series may be negative")
    return end

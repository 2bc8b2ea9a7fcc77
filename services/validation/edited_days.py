"""Days that a person edited, between two readings: the register's delta stays whole.

The edited registers of a day stand (rank: edited above actual and estimated, domain.md §2 rule 18),
and the days without an edit share what is left, in proportion to what was estimated for them:

    30,000 Wh over three days, estimated 10,000 each, the first edited to 16,000
        -> 16,000 edited, 7,000 and 7,000 estimated

An edit that leaves the others less than nothing, or that no other day makes up for, contradicts the
register. It stands only if its reason says that the register is wrong; then the others share what
is left, at least zero. Which edits stand is a function of the registers and the edits, and not
of the order in which they came: one that does not stand now may stand again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.validation.edit_state import DayEdit
from services.validation.estimation import DayUsage, split
from services.validation.interval_series import EDITED
from services.validation.register_usage import parse_register


def standing(
    days_on: Sequence[str], energy: Mapping[str, int], edits: Mapping[str, DayEdit]
) -> dict[str, DayEdit]:
    """The edits of days between two readings that stand against what the registers say."""
    inside = {day_on: edits[day_on] for day_on in days_on if day_on in edits}
    fallen: set[str] = set()
    for register, usage in energy.items():
        pinned = {
            day_on: edit.energy[register]
            for day_on, edit in inside.items()
            if register in edit.energy
        }
        rest = usage - sum(pinned.values())
        if pinned and (rest < 0 or (rest > 0 and len(pinned) == len(days_on))):
            fallen.update(day_on for day_on in pinned if not inside[day_on].outranks_register)
    return {day_on: edit for day_on, edit in inside.items() if day_on not in fallen}


def with_edits(
    days: tuple[DayUsage, ...], energy: Mapping[str, int], edits: Mapping[str, DayEdit]
) -> tuple[DayUsage, ...]:
    """The days between two readings, as estimated without edits, with those edits that stand.

    `energy`: what the registers moved by over all of them.
    """
    stand = standing([day.day_on for day in days], energy, edits)
    if not stand:
        return days
    parts: dict[str, tuple[int, ...]] = {}
    by_rate_first = sorted(energy, key=lambda register: parse_register(register).rate == 0)
    for register in by_rate_first:
        pins = [_pin(stand, day.day_on, register) for day in days]
        weights = _weights(days, register, parts)
        parts[register] = _shared(energy[register], pins, weights)
    return tuple(
        _day(day, {register: parts[register][index] for register in energy}, stand)
        for index, day in enumerate(days)
    )


def _day(day: DayUsage, energy: dict[str, int], stand: Mapping[str, DayEdit]) -> DayUsage:
    if day.day_on not in stand:
        return replace(day, energy=energy)
    method = method_of(stand[day.day_on].edit_id)
    return replace(day, energy=energy, quality=EDITED, method=method, references=())


def method_of(edit_id: str) -> str:
    """The method of a day's usage that names the edit."""
    return f"edit {edit_id}"


def _pin(stand: Mapping[str, DayEdit], day_on: str, register: str) -> int | None:
    edit = stand.get(day_on)
    return None if edit is None else edit.energy.get(register)


def _weights(
    days: tuple[DayUsage, ...], register: str, parts: Mapping[str, tuple[int, ...]]
) -> list[int]:
    """A total by the sum of its rates, so that they add up on every day; the rest as estimated."""
    rates = [
        parts[name] for name in parts if name != register and parse_register(name).total == register
    ]
    of_rates = [sum(column) for column in zip(*rates, strict=True)]
    return of_rates or [day.energy[register] for day in days]


def _shared(usage: int, pins: list[int | None], weights: list[int]) -> tuple[int, ...]:
    """What is pinned, and what is left split over the others."""
    free = tuple(weight for weight, pin in zip(weights, pins, strict=True) if pin is None)
    rest = max(usage - sum(pin for pin in pins if pin is not None), 0)
    shares = iter(split(rest, free) if free else ())
    return tuple(next(shares) if pin is None else pin for pin in pins)

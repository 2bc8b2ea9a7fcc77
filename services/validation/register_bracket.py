"""Registers around intervals: what was used between two readings, whatever happened to the meter.

A register file has readings, and where a meter was exchanged or its ratio changed the final and
the initial value. `installations_of` makes stays of meters out of them, `brackets_of` the usage
between neighbouring readings (register_usage.py: exchange, rollover and ratio change included).

    rows = (RegisterRow(meter_no="M1", taken_at="2026-01-30T16:00:00Z", value=1_000_000), ...)
    brackets_of(rows, "1-0:1.8.0", interval_minutes=15)
    -> (Bracket(from_minute=..., to_minute=..., energy=24_000, outcome="good"), ...)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import tzinfo
from itertools import pairwise

from libs.events.errors import BadInput
from services.validation.register_usage import (
    PERMILLE,
    Installation,
    Snapshot,
    parse_ratio,
    parse_register,
    register_range,
    usages_between,
)
from services.validation.slot_time import DEFAULT_ZONE, is_slot_end, minute_of

READ = "read"
FINAL = "final"
INITIAL = "initial"
KINDS = (READ, FINAL, INITIAL)
REMOTE = "remote"
MANUAL = "manual"
READ_BY = (REMOTE, MANUAL)
_ORDER = {FINAL: 0, INITIAL: 1, READ: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterRow:
    """What one register showed (Wh or varh, before the ratio) at an instant.

    `kind`: read, or final and initial where a meter ends and the next begins (the same meter when
    only its ratio changes). `capacity_w` bounds what a rollover may stand for: with 0 nothing rolls
    over. `source`: remote, or manual for a person's field reading.
    """

    meter_no: str
    taken_at: str
    value: int
    kind: str = READ
    ratio: str = "1"
    digits: int = 6
    capacity_w: int = 0
    source: str = REMOTE


@dataclass(frozen=True, slots=True, kw_only=True)
class Bracket:
    """What the register says was used (Wh or varh, primary side) between two instants; `energy` is
    None when it cannot be told, `outcome` and `text` say why. `source` is manual when a person read
    one of its ends."""

    from_minute: int
    to_minute: int
    energy: int | None
    outcome: str
    text: str = ""
    source: str = REMOTE


def installations_of(rows: Iterable[RegisterRow], register: str) -> tuple[Installation, ...]:
    """The stays of meters that the rows of one register tell. A reading of a meter, or of a ratio,
    that nobody wrote an initial value for begins a stay without one: usage across it is not known.
    """
    stays: list[Installation] = []
    is_open = False
    for row in _ordered(rows):
        new = Installation(
            meter_no=row.meter_no,
            from_at=row.taken_at,
            ratio=row.ratio,
            digits=row.digits,
            capacity_w=row.capacity_w,
            initial={register: row.value} if row.kind == INITIAL else {},
        )
        if not (is_open and row.kind != INITIAL and _is_same(stays[-1], new)):
            if is_open:
                stays[-1] = replace(stays[-1], to_at=row.taken_at)
            stays.append(new)
            is_open = True
        if row.kind == FINAL:
            stays[-1] = replace(stays[-1], to_at=row.taken_at, final={register: row.value})
            is_open = False
    return tuple(stays)


def _is_same(stay: Installation, new: Installation) -> bool:
    return (stay.meter_no, parse_ratio(stay.ratio)) == (new.meter_no, parse_ratio(new.ratio))


def brackets_of(
    rows: Iterable[RegisterRow],
    register: str,
    *,
    interval_minutes: int,
    zone: tzinfo = DEFAULT_ZONE,
    capacity_margin_permille: int = PERMILLE,
) -> tuple[Bracket, ...]:
    """The usage between neighbouring readings that were taken at an end of an interval (others
    bracket no whole intervals and are left out). BadInput: an impossible row, or two readings of
    one meter at one instant with different values."""
    if not parse_register(register).cumulative:
        fix = "only cumulative registers (x.8.y) bracket intervals"
        raise BadInput("register", f"{register} is no cumulative register", fix)
    ordered = _ordered(rows)
    stays = installations_of(ordered, register)
    marks = _marks(row for row in ordered if _is_boundary(row, interval_minutes, zone))
    found = []
    for before, after in pairwise(marks):
        usage = usages_between(
            _snapshot(before, register), _snapshot(after, register), stays, capacity_margin_permille
        )[register]
        bracket = Bracket(
            from_minute=minute_of(before.taken_at),
            to_minute=minute_of(after.taken_at),
            energy=usage.usage,
            outcome=usage.outcome,
            text=usage.text,
            source=MANUAL if MANUAL in (before.source, after.source) else REMOTE,
        )
        found.append(bracket)
    return tuple(found)


def _ordered(rows: Iterable[RegisterRow]) -> list[RegisterRow]:
    """Rows in order of time, without readings that only repeat a final or initial value."""
    ordered = sorted(
        rows, key=lambda row: (row.taken_at, _ORDER.get(row.kind, 0), row.meter_no, row.value)
    )
    kept: list[RegisterRow] = []
    values: dict[tuple[str, str], set[int]] = {}
    for row in ordered:
        check_row(row)
        known = values.setdefault((row.taken_at, row.meter_no), set())
        if row.kind == READ and known:
            if row.value not in known:
                problem = f"{row.meter_no} showed {min(known)} and {row.value} at {row.taken_at}"
                raise BadInput("value_wh", problem, "keep the one that is true")
            continue
        known.add(row.value)
        kept.append(row)
    return kept


def _marks(rows: Iterable[RegisterRow]) -> tuple[RegisterRow, ...]:
    """One row for each instant. Where a meter takes over it is the initial value, which is of the
    stay that begins there, as usages_between takes it."""
    marks: dict[str, RegisterRow] = {}
    for row in rows:
        if row.kind == INITIAL:
            marks[row.taken_at] = row
        else:
            marks.setdefault(row.taken_at, row)
    return tuple(marks.values())


def check_row(row: RegisterRow) -> None:
    """BadInput names the field of a row that cannot be."""
    if row.kind not in KINDS:
        raise BadInput("kind", f"{row.kind!r} is unknown", f"use {', '.join(KINDS)}")
    parse_ratio(row.ratio)
    if not 0 <= row.value < register_range(row.digits):
        problem = f"is {row.value}, which a register of {row.digits} digits cannot show"
        raise BadInput("value_wh", problem, "give what the meter showed, in Wh or varh")
    if row.source not in READ_BY:
        raise BadInput("source", f"{row.source!r} is unknown", f"use {', '.join(READ_BY)}")
    if row.capacity_w < 0:
        raise BadInput("capacity_w", f"is {row.capacity_w}", "give 0 or more")


def _is_boundary(row: RegisterRow, interval_minutes: int, zone: tzinfo) -> bool:
    if row.taken_at[17:19] != "00":
        return False
    return is_slot_end(minute_of(row.taken_at, "taken_at"), interval_minutes, zone)


def _snapshot(row: RegisterRow, register: str) -> Snapshot:
    return Snapshot(meter_no=row.meter_no, taken_at=row.taken_at, registers={register: row.value})

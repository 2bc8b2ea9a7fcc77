"""Which meter was at a usage point, one after another: a chain of installations and exchanges.

A point begins without a meter. An installation puts one there, an exchange ends that stay with the
old meter's final registers and begins the next with the new one's initial registers, at one
instant. Anything else is a contradiction that names the column and the row it collides with.

    installed M1, exchanged M1 -> M2     ->  M1 up to the instant, M2 from it on
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH
from services.customers.cells import is_energy
from services.customers.days import day_start_at
from services.customers.events import Installation
from services.customers.rows import (
    ExchangeRow,
    Happening,
    InstallationRow,
    PointRow,
    check_reach,
)
from services.customers.state import Account, in_force, supplied_span, timeline


class SuppliedStay(NamedTuple):
    """A stay with its physical ends, and the part of it in the days supplied."""

    stay: Installation
    from_at: str
    to_at: str


def meter_chain(state: Account, points: Sequence[PointRow]) -> tuple[Installation, ...]:
    """Every stay of a meter at the point whose rows are given, in order of time.

    BadInput names the column when installations and exchanges contradict each other, when a
    register of the point has no value, or when a value has more digits than the meter.
    """
    usage_point = points[0].usage_point
    happened: list[Happening] = [
        *timeline(state.installations, usage_point),
        *timeline(state.exchanges, usage_point),
    ]
    happened.sort(key=lambda row: (row.happened_at, isinstance(row, ExchangeRow)))
    supplied_from_at = day_start_at(supplied_span(state, points)[0])
    stays: list[Installation] = []
    there: Installation | None = None
    for row in happened:
        _check_registers(row, points, supplied_from_at)
        if isinstance(row, InstallationRow):
            there = _installed(state, row, there)
        else:
            ended, there = _exchanged(state, row, there)
            stays.append(ended)
    if there is not None:
        stays.append(there)
    return tuple(stay for stay in stays if stay.to_at != stay.from_at)


def supplied_stays(state: Account, points: Sequence[PointRow]) -> Iterator[SuppliedStay]:
    """The stays of meters in the days in which the account is supplied at the point."""
    from_on, to_on = supplied_span(state, points)
    start_at, end_at = day_start_at(from_on), day_start_at(to_on) if to_on else ""
    for stay in meter_chain(state, points):
        from_at = max(stay.from_at, start_at)
        to_at = min((end for end in (stay.to_at, end_at) if end), default="")
        if not to_at or from_at < to_at:
            yield SuppliedStay(stay, from_at, to_at)


def check_meter_once(state: Account, column: str, meter_no: str) -> None:
    """BadInput (naming the column) when a meter is at two usage points of the account at once."""
    stays = sorted(
        (from_at, to_at, points[0].usage_point)
        for points in points_with(state, meter_no)
        for stay, from_at, to_at in supplied_stays(state, points)
        if stay.meter_no == meter_no
    )
    for (_, to_at, there), (from_at, _, here) in pairwise(stays):
        if not to_at or from_at < to_at:
            problem = f"{meter_no} is at {there} until {to_at or 'further notice'}"
            fix = f"take it away there before {from_at}, when it is to be at {here}"
            raise BadInput(column, problem, fix)


def points_with(state: Account, meter_no: str) -> list[list[PointRow]]:
    """The rows of the usage points at which a meter ever was, by point."""
    named = {row.usage_point for row in state.installations if row.meter_no == meter_no}
    for row in state.exchanges:
        if meter_no in (row.old_meter_no, row.new_meter_no):
            named.add(row.usage_point)
    return [points for points in points_of(state) if points[0].usage_point in named]


def points_of(state: Account) -> list[list[PointRow]]:
    """The rows of each usage point of the account, by point."""
    by_point: dict[str, list[PointRow]] = {}
    for row in state.points:
        by_point.setdefault(row.usage_point, []).append(row)
    return [by_point[usage_point] for usage_point in sorted(by_point)]


def _installed(state: Account, row: InstallationRow, there: Installation | None) -> Installation:
    if there is not None:
        problem = f"{row.usage_point} has meter {there.meter_no} since {there.from_at}"
        raise BadInput("meter_no", problem, "give a row in exchanges.csv instead")
    stay = Installation(
        meter_no=row.meter_no,
        from_at=row.happened_at,
        to_at="",
        ratio=row.ratio,
        protocol=row.protocol,
        line=row.line,
        address=row.address,
        digits=_digits(state, "meter_no", row.meter_no, row.valid_from_on),
        capacity_w=row.capacity_w,
        initial=row.initial,
        final={},
    )
    _check_dial("initial", row.initial, stay)
    return stay


def _exchanged(
    state: Account, row: ExchangeRow, old: Installation | None
) -> tuple[Installation, Installation | None]:
    if old is None or old.meter_no != row.old_meter_no:
        there = f"meter {old.meter_no}" if old else "no meter"
        problem = f"{row.usage_point} has {there} at {row.exchanged_at}"
        fix = f"put {row.old_meter_no} there first, in installations.csv or exchanges.csv"
        raise BadInput("old_meter_no", problem, fix)
    if old.ratio != row.old_ratio:
        problem = f"is {row.old_ratio}; {old.meter_no} was installed with ratio {old.ratio}"
        raise BadInput("old_ratio", problem, "correct the one that is wrong")
    _check_dial("old_final", row.old_final, old)
    ended = replace(old, to_at=row.exchanged_at, final=row.old_final)
    if not row.new_meter_no:
        return ended, None
    begun = Installation(
        meter_no=row.new_meter_no,
        from_at=row.exchanged_at,
        to_at="",
        ratio=row.new_ratio,
        protocol=row.protocol or old.protocol,
        line=row.line or old.line,
        address=row.address or (old.address if row.new_meter_no == row.old_meter_no else ""),
        digits=_digits(state, "new_meter_no", row.new_meter_no, row.valid_from_on),
        capacity_w=row.capacity_w or old.capacity_w,
        initial=row.new_initial,
        final={},
    )
    if begun.protocol != "manual" and not (begun.line and begun.address):
        column = "address" if begun.line else "line"
        raise BadInput(column, "is missing", f"protocol {begun.protocol} needs it")
    check_reach(begun.protocol, begun.line, begun.address)
    _check_dial("new_initial", row.new_initial, begun)
    return ended, begun


def _digits(state: Account, column: str, meter_no: str, day_on: str) -> int:
    rows = timeline(state.meters, meter_no)
    if not rows:
        raise BadInput(column, f"meter {meter_no} is not known", "give its row in meters.csv")
    digits: int = in_force(rows, day_on).digits
    return digits


def _check_dial(column: str, registers: dict[str, int], stay: Installation) -> None:
    for register, value_wh in registers.items():
        if value_wh >= 10**stay.digits * WH_PER_KWH:
            problem = f"{register} has more than the {stay.digits} digits of {stay.meter_no}"
            raise BadInput(column, problem, "correct the value, or digits in meters.csv")


def _check_registers(row: Happening, points: Sequence[PointRow], supplied_from_at: str) -> None:
    """Every energy register of the point has a value where usage is counted from or up to it."""
    if row.happened_at < supplied_from_at:
        return
    needed = [each for each in in_force(points, row.valid_from_on).registers if is_energy(each)]
    given = {"initial": row.initial} if isinstance(row, InstallationRow) else _both_ends(row)
    for column, registers in given.items():
        if column == "initial" and not registers:
            continue
        for register in needed:
            if register not in registers:
                problem = f"{register} is missing, which is read at {row.usage_point}"
                raise BadInput(column, problem, "give a value for every register of the point")


def _both_ends(row: ExchangeRow) -> dict[str, dict[str, int]]:
    ends = {"old_final": row.old_final}
    return ends | {"new_initial": row.new_initial} if row.new_meter_no else ends

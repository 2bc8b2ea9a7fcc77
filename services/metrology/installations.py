"""Where a meter was installed, as the register of meters tells it: moves that already happened.

    uses: P1 of A1 from 2024-01-01 to 2025-01-01, P1 of A2 from 2025-02-01, removed on 2026-03-01
    moves: install at P1 on 2024-01-01, remove on 2026-03-01       (A1 moved out, the meter stayed)

What the register says is so, whether or not the store expected it: `following` gives the moves that
the store does not know yet, by the table of `device_store` where it allows them and as taken over
where it does not. Only what is newer than the last move of a device moves it, so the end is the
same in whatever order the accounts' notes arrive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from services.metrology.device_store import (
    INSTALLED,
    REMOVED,
    DeviceMove,
    StoredDevice,
    follow_register,
)
from services.metrology.events import MeterNoted

REGISTER = "customers.meters"


def register_moves(meter_no: str, notes: Iterable[MeterNoted]) -> tuple[DeviceMove, ...]:
    """The moves that all notes of a meter together tell, in order of time."""
    uses = [use for noted in notes for use in noted.uses]
    moves: list[DeviceMove] = []
    point, removed_at = "", ""
    for use in sorted(uses, key=lambda use: (use.from_at, use.usage_point, use.account_no)):
        if use.usage_point == point and (not removed_at or use.from_at <= removed_at):
            removed_at = use.removed_at  # it stayed: another account, or another ratio
            continue
        if point:  # it cannot be at two points
            moves.append(
                _move(meter_no, "remove", min(removed_at or use.from_at, use.from_at), point)
            )
        moves.append(_move(meter_no, "install", use.from_at, use.usage_point))
        point, removed_at = use.usage_point, use.removed_at
    if removed_at:
        moves.append(_move(meter_no, "remove", removed_at, point))
    return tuple(moves)


def _move(meter_no: str, action: str, at: str, place: str) -> DeviceMove:
    return DeviceMove(device_no=meter_no, action=action, by=REGISTER, at=at, place=place)


def following(
    device: StoredDevice | None, moves: tuple[DeviceMove, ...]
) -> Iterator[tuple[DeviceMove, StoredDevice]]:
    """The register's moves that are news to the store, each with the device after it."""
    for move in _newer(device, moves):
        state = INSTALLED if move.action == "install" else REMOVED
        is_there = state == REMOVED or (device is not None and device.place == move.place)
        if device is not None and device.state == state and is_there:
            continue
        device = follow_register(device, move)
        yield move, device


def _newer(device: StoredDevice | None, moves: tuple[DeviceMove, ...]) -> tuple[DeviceMove, ...]:
    """The moves after the one that the device is at, which need not be one of the register's."""
    if device is None:
        return moves
    newer = [move for move in moves if move.at >= device.since_at]
    for index, move in enumerate(newer):
        state = INSTALLED if move.action == "install" else REMOVED
        if (move.at, state, move.place) == (device.since_at, device.state, device.place):
            return tuple(newer[index + 1 :])
    return tuple(newer)

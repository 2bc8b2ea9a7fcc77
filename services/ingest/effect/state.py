"""What the executor remembers of a usage point: its place, the highest seq, the open attempt.

A key costs about 0.6 KB and does not grow with time: only the last command is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from services.ingest.events import AttemptEnded, AttemptStarted, CommandRefused, PlaceNoted


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all points of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A command whose frame was (or may have been) sent, and the meter it went to. read_back_at: ""
    until it was tried."""

    command_id: str
    seq: int
    account_no: str
    meter_no: str
    action: str
    valid_until_at: str
    protocol: str
    line: str
    address: str
    read_back_at: str = ""
    look_count: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A usage point as the executor sees it. seq_max: the highest seq that was concluded or
    started; nothing at or below it is ever sent; last_command_id: whose seq that is."""

    noted: PlaceNoted | None = None
    seq_max: int = 0
    last_command_id: str = ""
    attempt: Attempt | None = None


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its point."""
    place = state or Place()
    match event:
        case PlaceNoted():
            return replace(place, noted=event)
        case CommandRefused():
            attempt = place.attempt
            if attempt is not None and attempt.command_id == event.command_id:
                attempt = None
            return replace(_above(place, event), attempt=attempt)
        case AttemptStarted():
            attempt = Attempt(
                command_id=event.command_id,
                seq=event.seq,
                account_no=event.account_no,
                meter_no=event.meter_no,
                action=event.action,
                valid_until_at=event.valid_until_at,
                protocol=event.protocol,
                line=event.line,
                address=event.address,
            )
            return replace(_above(place, event), attempt=attempt)
        case AttemptEnded():
            return _ended(place, event)
    return state


def _above(place: Place, event: AttemptStarted | CommandRefused) -> Place:
    if event.seq <= place.seq_max:
        return place
    return replace(place, seq_max=event.seq, last_command_id=event.command_id)


def _ended(place: Place, event: AttemptEnded) -> Place:
    attempt = place.attempt
    if attempt is None or attempt.command_id != event.command_id:
        return place  # cannot be: only the open attempt is concluded
    if event.final:
        return replace(place, attempt=None)
    looked = replace(attempt, read_back_at=event.read_back_at, look_count=attempt.look_count + 1)
    return replace(place, attempt=looked)

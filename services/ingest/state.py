"""What ingest knows of a usage point: its supply, the days it still waits for, its relay.

A key costs about 1.5 KB (measured with one installation and two open days) and does not grow with
time: collected days leave no trace here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from libs.events.core import SHARED
from services.ingest.events import (
    FieldReadingClosed,
    FieldReadingOrdered,
    ReadingCollected,
    ReadingFailed,
    ReadingMissing,
    ReadingOrdered,
    RelayFound,
    SupplyNoted,
    SwitchingReported,
)

__all__ = ["SHARED", "OpenDay", "Point", "Shared", "evolve"]


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all points of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDay:
    """A day whose reading (kind daily_freeze or profile) is not there yet."""

    day_on: str
    kind: str
    attempts: int
    retry_at: str
    cause: str = ""
    missing: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One usage point. ordered_to_on: the last day that was ordered; failures: in a row;
    relay_expected and relay_seen: open, closed, or "" while unknown."""

    supply: SupplyNoted
    ordered_to_on: str = ""
    open_days: tuple[OpenDay, ...] = ()
    failures: int = 0
    field_order_id: str = ""
    relay_expected: str = ""
    relay_seen: str = ""


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its point."""
    if isinstance(event, SupplyNoted):
        return Point(supply=event) if state is None else replace(state, supply=event)
    assert isinstance(state, Point), f"{type(event).__name__} before any supply"
    match event:
        case ReadingOrdered():
            return _ordered(state, event)
        case ReadingCollected():
            return _collected(state, event)
        case ReadingFailed():
            return _failed(state, event)
        case ReadingMissing():
            return _with_day(state, event.day_on, "daily_freeze", missing=True)
        case FieldReadingOrdered():
            return replace(state, field_order_id=event.field_order_id)
        case FieldReadingClosed():
            return replace(state, field_order_id="", failures=0)
        case SwitchingReported():
            return _switched(state, event)
        case RelayFound():
            return replace(state, relay_expected=event.found)
    return state


def _ordered(state: Point, event: ReadingOrdered) -> Point:
    rest = _without(state, event.day_on, event.kind)
    known = find_day(state, event.day_on, event.kind)
    day = OpenDay(
        day_on=event.day_on,
        kind=event.kind,
        attempts=event.attempt,
        retry_at=event.retry_at,
        cause=known.cause if known else "",
        missing=known.missing if known else False,
    )
    days = tuple(sorted((*rest, day), key=lambda found: (found.day_on, found.kind)))
    ordered_to_on = max(state.ordered_to_on, event.day_on)
    return replace(state, open_days=days, ordered_to_on=ordered_to_on)


def _collected(state: Point, event: ReadingCollected) -> Point:
    seen = event.relay if event.relay in ("open", "closed") else state.relay_seen
    return replace(
        state,
        open_days=_without(state, event.day_on, event.kind),
        failures=0 if event.kind == "daily_freeze" else state.failures,
        relay_seen=seen,
        relay_expected=state.relay_expected or seen,
    )


def _failed(state: Point, event: ReadingFailed) -> Point:
    failures = state.failures + (event.cause != "gave_up")
    if not event.retry_at:
        days = _without(state, event.day_on, event.kind)
        return replace(state, open_days=days, failures=failures)
    changed = _with_day(state, event.day_on, event.kind, retry_at=event.retry_at, cause=event.cause)
    return replace(changed, failures=failures)


def _switched(state: Point, event: SwitchingReported) -> Point:
    if event.outcome in ("confirmed", "not_confirmed") and event.state in ("open", "closed"):
        return replace(state, relay_expected=event.state, relay_seen=event.state)
    if event.outcome == "waiting_for_button":
        # Whoever presses the button closes it; both states are ours from here on.
        return replace(state, relay_expected="", relay_seen="")
    return state


def find_day(state: Point, day_on: str, kind: str) -> OpenDay | None:
    """The open day of a kind, None when it is not waited for."""
    for day in state.open_days:
        if day.day_on == day_on and day.kind == kind:
            return day
    return None


def _without(state: Point, day_on: str, kind: str) -> tuple[OpenDay, ...]:
    return tuple(day for day in state.open_days if (day.day_on, day.kind) != (day_on, kind))


def _with_day(state: Point, day_on: str, kind: str, **changes: Any) -> Point:
    days = tuple(
        replace(day, **changes) if (day.day_on, day.kind) == (day_on, kind) else day
        for day in state.open_days
    )
    return replace(state, open_days=days)

"""What ingest knows of a usage point: its supply, the days it still waits for, its relay.

A key costs about 1.6 KB (one account, one installation, two open days), 0.5 KB more for each of the
last `SUPPLIES_KEPT` accounts of the point, and does not grow with time: collected days leave no
trace here. A meter that does not answer costs 0.1 KB a day, up to the days it holds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from libs.events.core import SHARED
from services.ingest.events import (
    ContactChanged,
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

SUPPLIES_KEPT = 4
STATES = ("open", "closed")
KEEP_ACTIONS = ("keep_supply", "keep_supply_off")
SLOT_TABLE = "slot_table"


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all points of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenDay:
    """A day whose reading (kind daily_freeze, profile or slot_table) is not there yet.

    attempts: how often it was ordered; failed: the attempt whose failure was noted last.
    """

    day_on: str
    kind: str
    attempts: int
    retry_at: str
    cause: str = ""
    missing: bool = False
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One usage point. supplies: of its last accounts, by version; ordered_to_on: the last day that
    was ordered; failures: in a row; field_next_at: nobody is sent before; last_reading_id:
    the freeze collected last; relay_expected and relay_seen: open, closed, or "" while unknown;
    relay_known_at: when we last switched; relay_seen_at, relay_reading_id: when, and in which
    reading, the meter last said how it stands; slot_table: the meter whose slot table was ordered
    last, and on which day; contact: what was last told of whether its meter answers."""

    supplies: tuple[SupplyNoted, ...]
    ordered_to_on: str = ""
    open_days: tuple[OpenDay, ...] = ()
    failures: int = 0
    field_order_id: str = ""
    field_next_at: str = ""
    last_reading_id: str = ""
    relay_expected: str = ""
    relay_known_at: str = ""
    relay_seen: str = ""
    relay_seen_at: str = ""
    relay_reading_id: str = ""
    slot_table: tuple[str, str] = ("", "")
    contact: ContactChanged | None = None


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its point."""
    if isinstance(event, SupplyNoted):
        return _supplied(state, event)
    assert isinstance(state, Point), f"{type(event).__name__} before any supply"
    match event:
        case ReadingOrdered():
            return _ordered(state, event)
        case ReadingCollected():
            return _collected(state, event)
        case ReadingFailed():
            return _failed(state, event)
        case ReadingMissing():
            return _missed(state, event)
        case FieldReadingOrdered():
            wanted_on = event.since_on if not event.failures else ""
            ordered_to_on = max(state.ordered_to_on, wanted_on)
            return replace(state, field_order_id=event.field_order_id, ordered_to_on=ordered_to_on)
        case FieldReadingClosed():
            return replace(
                state,
                field_order_id="",
                field_next_at=event.next_at,
                failures=0,
                ordered_to_on=max(state.ordered_to_on, event.day_on),
            )
        case SwitchingReported():
            return _switched(state, event)
        case ContactChanged():
            return replace(state, contact=event)
        case RelayFound():
            return replace(state, relay_expected=event.found)
    return state


def _supplied(state: Point | None, event: SupplyNoted) -> Point:
    if state is None:
        return Point(supplies=(event,))
    others = (known for known in state.supplies if known.account_no != event.account_no)
    supplies = sorted((*others, event), key=lambda known: known.version)
    return replace(state, supplies=tuple(supplies[-SUPPLIES_KEPT:]))


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
        failed=known.failed if known else 0,
    )
    days = tuple(sorted((*rest, day), key=lambda found: (found.day_on, found.kind)))
    ordered_to_on = max(state.ordered_to_on, event.day_on)
    if event.kind == SLOT_TABLE and event.attempt == 1:
        state = replace(state, slot_table=(event.meter_no, event.day_on))
    return replace(state, open_days=days, ordered_to_on=ordered_to_on)


def _collected(state: Point, event: ReadingCollected) -> Point:
    state = replace(state, open_days=_without(state, event.day_on, event.kind))
    if event.kind != "daily_freeze":
        return state
    state = replace(state, failures=0, last_reading_id=event.reading_id)
    if event.relay not in STATES or not is_news(state, event.read_at):
        return state
    return replace(
        state,
        relay_seen=event.relay,
        relay_seen_at=event.read_at,
        relay_reading_id=event.reading_id,
        relay_expected=state.relay_expected or event.relay,
    )


def is_news(state: Point, read_at: str) -> bool:
    """Whether a reading says how the relay stands now: it was ordered after our last command ended
    (in the same minute nobody can tell), and after the last reading that said so."""
    return read_at > state.relay_known_at and read_at > state.relay_seen_at


def _failed(state: Point, event: ReadingFailed) -> Point:
    counts = event.kind == "daily_freeze" and event.cause not in ("gave_up", "not_held")
    failures = state.failures + counts
    if not event.retry_at:
        days = _without(state, event.day_on, event.kind)
        return replace(state, open_days=days, failures=failures)
    changed = _with_day(
        state,
        event.day_on,
        event.kind,
        retry_at=event.retry_at,
        cause=event.cause,
        failed=event.attempt,
    )
    return replace(changed, failures=failures)


def _missed(state: Point, event: ReadingMissing) -> Point:
    if not event.attempts:
        return replace(state, ordered_to_on=max(state.ordered_to_on, event.day_on))
    return _with_day(state, event.day_on, "daily_freeze", missing=True)


def _switched(state: Point, event: SwitchingReported) -> Point:
    if event.outcome == "refused" or event.action in KEEP_ACTIONS:
        return state  # nothing was sent, or nothing that moves a relay
    # With the button, or without an outcome, either state is ours: the next reading tells which.
    is_certain = event.outcome in ("confirmed", "not_confirmed") and event.state in STATES
    known = event.state if is_certain else ""
    return replace(state, relay_expected=known, relay_seen=known, relay_known_at=event.reported_at)


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

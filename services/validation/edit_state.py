"""What validation remembers of edits: those that hold, those that wait, and settled days.

An edit is kept while registers may still come that the other days must make up for; a settled day
for as long as it is history, in some 40 bytes: account and revision, so that a person can still
edit it. Both are bounded by the days that a point keeps, and `WAITING_MOST` edits wait at a point.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.validation.edit_events import EditHeld, EditRefused, EditRejected, EditTaken
from services.validation.events import UsageDemand

WAITING_MOST = 8
"""More edits than that wait at no point: decide them first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayEdit:
    """People's values of a day, by register, and the last edit that they are of."""

    edit_id: str
    energy: dict[str, int]
    outranks_register: bool
    is_approved: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """A day that no register changes any more. energy: {} as history has it, else as edited; given:
    as in state.Established."""

    account_no: str
    revision: int
    demands: tuple[UsageDemand, ...] = ()
    energy: dict[str, int] = field(default_factory=dict)
    edit_id: str = ""
    given: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edits:
    """days: the last edit of each day that is not settled; waiting: what waits for a second person;
    settled: the days before the anchor that may still be edited."""

    days: dict[str, DayEdit] = field(default_factory=dict)
    waiting: tuple[EditHeld, ...] = ()
    settled: dict[str, Settled] = field(default_factory=dict)


def noted(edits: Edits, event: EditHeld | EditTaken | EditRejected | EditRefused) -> Edits:
    """Fold one own event."""
    if isinstance(event, EditHeld):
        return replace(edits, waiting=(*edits.waiting, event))
    waiting = tuple(held for held in edits.waiting if held.edit.edit_id != event.edit_id)
    if not isinstance(event, EditTaken):
        return replace(edits, waiting=waiting)
    edit = DayEdit(
        edit_id=event.edit_id,
        energy=event.energy,
        outranks_register=event.outranks_register,
        is_approved=bool(event.approved_by),
    )
    return replace(edits, waiting=waiting, days={**edits.days, event.day_on: edit})


def settle(edits: Edits, leaving: Mapping[str, Settled], anchor_on: str, keep: int) -> Edits:
    """The days up to the anchor are settled, `leaving` are new; the last `keep` of them stay."""
    settled = sorted({**edits.settled, **leaving}.items())[-keep:]
    days = {day_on: edit for day_on, edit in edits.days.items() if day_on > anchor_on}
    return replace(edits, days=days, settled=dict(settled))

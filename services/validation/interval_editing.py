"""Editing of intervals by a person: a new version beside the old one, and an audit entry.

    edited = edit_slot(slot, Edit(after=12_000, reason="field reading", edited_by="li", ...))
    edited.old       version 1, superseded; nothing of it changes
    edited.new       version 2, quality edited
    edited.entry     who, when, why, before and after

An edit names what it saw before: an edit of something else in the meantime is refused. What was
approved as final needs a second, different person (domain.md §2, status model; "two versions kept"
and "a second person" are the issue's rules). A person's field reading is a source of its own, with
the quality `manual`.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, replace

from libs.events.errors import BadInput
from services.validation.instant import parse_instant
from services.validation.interval_series import EDITED, MANUAL

EDIT = "edit"
FIELD_READING = "field_reading"
SOURCES = {EDIT: EDITED, FIELD_READING: MANUAL}
"""Where an edit comes from, and the quality that it gives."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotVersion:
    """One version of an interval: energy in Wh or varh (None: missing). `is_final`: approved for
    billing. `superseded_by` is the number of the version that took its place, 0 while it stands."""

    usage_point: str
    register: str
    end_at: str
    version: int
    energy: int | None
    quality: str
    is_final: bool = False
    superseded_by: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a person wants: `before` is what they saw (None: nothing), `after` what is to stand."""

    usage_point: str
    register: str
    end_at: str
    before: int | None
    after: int
    reason: str
    edited_by: str
    edited_at: str
    source: str = EDIT
    approved_by: str = ""
    approved_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One line of the audit trail: everything about an edit, readable without the versions."""

    usage_point: str
    register: str
    end_at: str
    version_before: int
    version_after: int
    energy_before: int | None
    energy_after: int
    quality_before: str
    quality_after: str
    reason: str
    source: str
    edited_by: str
    edited_at: str
    approved_by: str
    approved_at: str
    was_final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class EditedSlot:
    """Both versions, and the entry that explains the step from one to the other."""

    old: SlotVersion
    new: SlotVersion
    entry: AuditEntry


def edit_slot(slot: SlotVersion, edit: Edit, *, signed: bool = False) -> EditedSlot:
    """The next version of an interval; BadInput names the field of the edit that is wrong."""
    check_edit(edit, signed=signed)
    seen = (edit.usage_point, edit.register, edit.end_at)
    assert seen == (slot.usage_point, slot.register, slot.end_at), "an edit of another interval"
    if slot.superseded_by:
        problem = f"version {slot.version} was superseded by {slot.superseded_by}"
        raise BadInput("end_at", problem, "edit the version that stands")
    if edit.before != slot.energy:
        problem = f"is {_shown(edit.before)}, the interval has {_shown(slot.energy)}"
        raise BadInput("before_wh", problem, "look at it again, then edit")
    if slot.is_final and not edit.approved_by.strip():
        problem = "is empty, and the interval is final-approved"
        raise BadInput("approved_by", problem, "have a second person approve the edit")
    quality = SOURCES[edit.source]
    if (edit.after, quality) == (slot.energy, slot.quality):
        raise BadInput(
            "after_wh", f"is {edit.after} already", "leave out edits that change nothing"
        )
    new = replace(slot, version=slot.version + 1, energy=edit.after, quality=quality)
    entry = AuditEntry(
        usage_point=slot.usage_point,
        register=slot.register,
        end_at=slot.end_at,
        version_before=slot.version,
        version_after=new.version,
        energy_before=slot.energy,
        energy_after=edit.after,
        quality_before=slot.quality,
        quality_after=quality,
        reason=edit.reason.strip(),
        source=edit.source,
        edited_by=edit.edited_by.strip(),
        edited_at=edit.edited_at,
        approved_by=edit.approved_by.strip(),
        approved_at=edit.approved_at,
        was_final=slot.is_final,
    )
    return EditedSlot(old=replace(slot, superseded_by=new.version), new=new, entry=entry)


def check_edit(edit: Edit, *, signed: bool = False) -> None:
    """Refuse an edit that is wrong whatever it is about; BadInput names the field."""
    if not edit.reason.strip():
        raise BadInput("reason", "is empty", "say why, in words that an auditor understands")
    if not edit.edited_by.strip():
        raise BadInput("edited_by", "is empty", "say who edits")
    if edit.source not in SOURCES:
        raise BadInput("source", f"{edit.source!r} is unknown", f"use {', '.join(SOURCES)}")
    if edit.after < 0 and not signed:
        raise BadInput("after_wh", f"is {edit.after}", "only a signed series may be negative")
    parse_instant(edit.end_at, "end_at")
    edited = parse_instant(edit.edited_at, "edited_at")
    if bool(edit.approved_by.strip()) != bool(edit.approved_at):
        missing = "approved_at" if edit.approved_by.strip() else "approved_by"
        raise BadInput(missing, "is empty", "give who approved and when, or neither")
    if not edit.approved_at:
        return
    if is_same_person(edit.edited_by, edit.approved_by):
        problem = f"is {edit.approved_by.strip()}, who edits"
        raise BadInput("approved_by", problem, "have another person approve")
    if parse_instant(edit.approved_at, "approved_at") < edited:
        problem = f"{edit.approved_at} is before the edit"
        raise BadInput("approved_at", problem, "approve what was edited")


def is_same_person(one: str, other: str) -> bool:
    """Whether two names are of one person, however they are typed (case, width, blanks)."""
    return _plain(one) == _plain(other)


def _plain(name: str) -> str:
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def _shown(energy: int | None) -> str:
    return "nothing" if energy is None else str(energy)

"""What people ask to change of a day's usage, and what became of it.

Names here are the storage format. The edge writes the first two to `validation.requests`, by usage
point; the others are own events. An edit is of the revision that its author saw: of anything else
it is rejected, never applied. Both versions stay in the log, and `EditTaken` names both.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.registry import Catalogue
from services.validation.events import catalogue

edge_catalogue = Catalogue("validation.edge")


@edge_catalogue.event("validation.edit_requested")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditRequested:
    """A person wants other values for a day. based_on: the revision they saw; after: OBIS -> Wh or
    varh after ratio, other registers stay; reason_code: one of the policy's, reason: in words;
    person and role as the edge has authenticated them; requested_at: by the edge's clock."""

    edit_id: str
    usage_point: str
    day_on: str
    based_on: int
    after: dict[str, int]
    reason_code: str
    reason: str
    person: str
    role: str
    requested_at: str


@edge_catalogue.event("validation.edit_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditDecided:
    """What a second person says of an edit that waits for one: decision is approved or refused."""

    edit_id: str
    usage_point: str
    decision: str
    reason: str
    person: str
    role: str
    requested_at: str


catalogue.reads("validation.edit_requested")(EditRequested)
catalogue.reads("validation.edit_decided")(EditDecided)


@catalogue.event("validation.edit_held")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditHeld:
    """A good edit that waits for a second person. because: settled (all is measured and nothing can
    come any more), approved (two people have edited the day before), always (the policy's rule);
    held_at: business time, which counts as the instant of the edit."""

    usage_point: str
    edit: EditRequested
    held_at: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditEntry:
    """One register of an edit: both versions."""

    register: str
    version_before: int
    version_after: int
    energy_before: int
    energy_after: int
    quality_before: str
    quality_after: str


@catalogue.event("validation.edit_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditTaken:
    """The audit entry of an edit that holds; the day's next revision follows. outranks_register:
    its reason says that the register is wrong, so the edit holds against it; approved_by and
    approved_at: "" without a second person; was_final: a second person was needed; energy: all
    values of the day that people gave, with those of earlier edits that hold."""

    edit_id: str
    usage_point: str
    day_on: str
    reason_code: str
    reason: str
    edited_by: str
    edited_at: str
    approved_by: str
    approved_at: str
    was_final: bool
    outranks_register: bool
    energy: dict[str, int]
    entries: tuple[EditEntry, ...]


@catalogue.event("validation.edit_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditRejected:
    """An edit that changes nothing, because of what is wrong with it: the field, the problem and
    the fix. One that waited waits no more."""

    edit_id: str
    usage_point: str
    day_on: str
    person: str
    field: str
    problem: str
    fix: str


@catalogue.event("validation.edit_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditRefused:
    """A person refused an edit that waited, or its author took it back."""

    edit_id: str
    usage_point: str
    day_on: str
    refused_by: str
    reason: str


@catalogue.event("validation.edit_decision_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditDecisionRejected:
    """A decision that does not count (its author's own edit, say), and why; the edit still waits
    if it did."""

    edit_id: str
    usage_point: str
    person: str
    field: str
    problem: str
    fix: str


@catalogue.event("validation.edit_overruled")
@dataclass(frozen=True, slots=True, kw_only=True)
class EditOverruled:
    """Registers that came later contradict an edit whose reason does not outrank them: the day's
    next revision is what they say. because: the reading (or edit) that led to it."""

    edit_id: str
    usage_point: str
    day_on: str
    because: str

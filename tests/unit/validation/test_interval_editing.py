"""Edits by a person: two versions, an audit entry, and a second person for what is final."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.validation.interval_editing import (
    Edit,
    SlotVersion,
    edit_slot,
    is_same_person,
)

SLOT = SlotVersion(
    usage_point="P-1",
    register="1-0:1.8.0",
    end_at="2026-01-31T16:00:00Z",
    version=1,
    energy=100,
    quality="failed",
)
EDIT = Edit(
    usage_point="P-1",
    register="1-0:1.8.0",
    end_at="2026-01-31T16:00:00Z",
    before=100,
    after=120,
    reason=" photo of the display ",
    edited_by="li",
    edited_at="2026-02-01T08:00:00Z",
)
APPROVED: dict[str, Any] = {"approved_by": "wang", "approved_at": "2026-02-01T09:00:00Z"}


def test_both_versions_are_kept_and_the_entry_says_all() -> None:
    done = edit_slot(SLOT, EDIT)
    assert done.old == replace(SLOT, superseded_by=2)
    assert done.new == replace(SLOT, version=2, energy=120, quality="edited")
    entry = done.entry
    assert (entry.version_before, entry.version_after) == (1, 2)
    assert (entry.energy_before, entry.energy_after) == (100, 120)
    assert (entry.quality_before, entry.quality_after) == ("failed", "edited")
    assert (entry.reason, entry.source, entry.edited_by) == ("photo of the display", "edit", "li")
    assert (entry.edited_at, entry.approved_by, entry.was_final) == (EDIT.edited_at, "", False)
    again = edit_slot(done.new, replace(EDIT, before=120, after=90))
    assert again.new.version == 3
    assert again.old.superseded_by == 3


def test_a_field_reading_is_a_source_of_its_own() -> None:
    done = edit_slot(SLOT, replace(EDIT, after=100, source="field_reading"))
    assert (done.new.quality, done.new.energy) == ("manual", 100)
    assert done.entry.source == "field_reading"


def test_what_is_final_needs_a_second_person() -> None:
    final = replace(SLOT, is_final=True)
    with pytest.raises(BadInput, match="approved_by: is empty, and the interval is final-approved"):
        edit_slot(final, EDIT)
    done = edit_slot(final, replace(EDIT, **APPROVED))
    assert done.new.is_final
    assert (done.entry.approved_by, done.entry.was_final) == ("wang", True)
    assert done.entry.approved_at == APPROVED["approved_at"]


@pytest.mark.parametrize("approver", ["li", "LI", " L i ", "\uff2c\uff29"])  # fullwidth LI
def test_the_same_person_twice_is_one_person(approver: str) -> None:
    change = replace(EDIT, **{**APPROVED, "approved_by": approver})
    for slot in (SLOT, replace(SLOT, is_final=True)):
        with pytest.raises(BadInput) as refused:
            edit_slot(slot, change)
        assert refused.value.field == "approved_by"
    assert not is_same_person("李明", "李铭")


@pytest.mark.parametrize(
    ("changes", "field", "problem"),
    [
        ({"reason": "  "}, "reason", "is empty"),
        ({"edited_by": " "}, "edited_by", "is empty"),
        ({"source": "guess"}, "source", "'guess' is unknown"),
        ({"after": -1}, "after_wh", "is -1"),
        ({"after": 100, "before": 101}, "before_wh", "is 101, the interval has 100"),
        ({"before": None}, "before_wh", "is nothing, the interval has 100"),
        ({"edited_at": "today"}, "edited_at", "is no instant"),
        ({"approved_by": "wang"}, "approved_at", "is empty"),
        ({"approved_at": "2026-02-01T09:00:00Z"}, "approved_by", "is empty"),
        ({**APPROVED, "approved_at": "now"}, "approved_at", "is no instant"),
        ({**APPROVED, "approved_at": "2026-02-01T07:59:59Z"}, "approved_at", "before the edit"),
    ],
)
def test_a_wrong_edit_names_its_field(changes: dict[str, Any], field: str, problem: str) -> None:
    with pytest.raises(BadInput) as refused:
        edit_slot(SLOT, replace(EDIT, **changes))
    assert refused.value.field == field
    assert problem in refused.value.problem


def test_an_instant_that_is_none_and_what_was_superseded_are_refused() -> None:
    slot, change = replace(SLOT, end_at="x"), replace(EDIT, end_at="x")
    with pytest.raises(BadInput, match="end_at: 'x' is no instant"):
        edit_slot(slot, change)
    with pytest.raises(BadInput, match="version 1 was superseded by 2"):
        edit_slot(replace(SLOT, superseded_by=2), EDIT)
    with pytest.raises(AssertionError):
        edit_slot(replace(SLOT, usage_point="P-2"), EDIT)


def test_an_edit_that_changes_nothing_is_refused_and_nothing_can_be_edited() -> None:
    edited = replace(SLOT, quality="edited")
    with pytest.raises(BadInput, match="after_wh: is 100 already"):
        edit_slot(edited, replace(EDIT, after=100))
    assert edit_slot(SLOT, replace(EDIT, after=100)).new.quality == "edited"
    missing = replace(SLOT, energy=None, quality="missing")
    assert edit_slot(missing, replace(EDIT, before=None)).new.energy == 120
    assert edit_slot(SLOT, replace(EDIT, after=-1), signed=True).new.energy == -1

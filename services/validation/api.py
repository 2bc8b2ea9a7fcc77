"""Edits by people: what an authenticated person asks for becomes a record of validation.requests.

    edit_id = submit_edit(producer, Staff("li", "editor"), EditWanted(usage_point="P1", ...))
    decide_edit(producer, Staff("zhao", "approver"), edit_id, "approved", "seen on site")

The id of an edit begins with its usage point, which is the key, and is made of what it says: sent
twice it is one edit.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from libs.events.edge import EdgeProducer, utc_now
from libs.events.errors import BadInput
from services.validation.edit_events import EditDecided, EditRequested

REQUESTS = "validation.requests"
_EDIT_ID = re.compile(r"(?P<point>[^/\s]+)/[0-9]{4}-[0-9]{2}-[0-9]{2}/edit/[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Staff:
    """An authenticated person, with the role of the operators file."""

    person: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditWanted:
    """What is to stand: see EditRequested."""

    usage_point: str
    day_on: str
    based_on: int
    after: dict[str, int]
    reason_code: str
    reason: str

    def edit_id(self, person: str) -> str:
        """Point, day and a digest of the rest and of who asks."""
        rest = (self.based_on, sorted(self.after.items()), self.reason_code, self.reason, person)
        digest = hashlib.sha256(repr(rest).encode()).hexdigest()[:12]
        return f"{self.usage_point}/{self.day_on}/edit/{digest}"


def point_of(edit_id: str) -> str:
    """The usage point of an edit; BadInput when this is no id of one."""
    found = _EDIT_ID.fullmatch(edit_id)
    if found is None:
        fix = "copy it from `gridledger vee history`"
        raise BadInput("EDIT", f"{edit_id!r} is no id of an edit", fix)
    return found["point"]


def submit_edit(producer: EdgeProducer, staff: Staff, wanted: EditWanted) -> str:
    """Write an edit; its id, after the broker has it."""
    body = EditRequested(
        edit_id=wanted.edit_id(staff.person),
        usage_point=wanted.usage_point,
        day_on=wanted.day_on,
        based_on=wanted.based_on,
        after=dict(wanted.after),
        reason_code=wanted.reason_code,
        reason=wanted.reason,
        person=staff.person,
        role=staff.role,
        requested_at=utc_now(),
    )
    producer.append(REQUESTS, wanted.usage_point, body)
    return body.edit_id


def decide_edit(
    producer: EdgeProducer, staff: Staff, edit_id: str, decision: str, reason: str
) -> None:
    """Write what a person says of an edit that waits: approved or refused."""
    usage_point = point_of(edit_id)
    body = EditDecided(
        edit_id=edit_id,
        usage_point=usage_point,
        decision=decision,
        reason=reason,
        person=staff.person,
        role=staff.role,
        requested_at=utc_now(),
    )
    producer.append(REQUESTS, usage_point, body)

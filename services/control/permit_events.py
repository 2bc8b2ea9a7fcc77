"""What the core of control says of permits: asked for, answered, ended, approved above the cap.

The answers of the limit stage become own `permit_noted` events here; see `limits.events`.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import catalogue


@catalogue.event("control.permit_asked")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitAsked:
    """Everything allows a cut but the limit of the area (own, and on control.permit_requests).

    over_cap_by: who approved this case above the cap, "" for nobody. With an area "" nobody is
    asked: the refusal follows at once.
    """

    permit_id: str
    area: str
    account_no: str
    case_id: str
    usage_point: str
    over_cap_by: str
    asked_at: str


@catalogue.event("control.permit_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitNoted:
    """answer: reserved, refused; hour_at: from when on the hour is that it is about; cap, count:
    how many the area may have in it, and has; reason: of a refusal, cap or no_area."""

    permit_id: str
    account_no: str
    case_id: str
    answer: str
    hour_at: str
    cap: int
    count: int
    reason: str


@catalogue.event("control.permit_ended")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitEnded:
    """how: used (command_id went out on it), returned (none did, and none will). Own, and on
    control.permit_requests; each permit that was asked for and not refused ends once."""

    permit_id: str
    area: str
    account_no: str
    case_id: str
    how: str
    command_id: str
    ended_at: str


@catalogue.event("control.over_cap_approved")
@dataclass(frozen=True, slots=True, kw_only=True)
class OverCapApproved:
    """Somebody who is none of the case's people lets it be cut above the cap of its area."""

    case_id: str
    account_no: str
    area: str
    person: str
    reason: str
    approved_at: str


@catalogue.reads("control.permit_reserved")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitReserved:
    """The limit stage lets one relay of the area be told to open in the hour from hour_at on."""

    permit_id: str
    account_no: str
    case_id: str
    hour_at: str
    cap: int
    count: int


@catalogue.reads("control.permit_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitRefused:
    """The area has as many permits in the hour as its cap."""

    permit_id: str
    account_no: str
    case_id: str
    hour_at: str
    cap: int
    count: int

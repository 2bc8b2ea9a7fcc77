"""What the limit stage takes from the core of control: permits asked for, and their ends."""

from __future__ import annotations

from dataclasses import dataclass

from services.control.limits.events import catalogue


@catalogue.reads("control.permit_asked")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitAsked:
    """A case is ready to be cut. over_cap_by: who approved it above the cap, "" for nobody."""

    permit_id: str
    area: str
    account_no: str
    case_id: str
    over_cap_by: str


@catalogue.reads("control.permit_ended")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitEnded:
    """A permit is not needed any more. how: used (for command_id), returned."""

    permit_id: str
    area: str
    how: str
    command_id: str

"""What the limit stage of control decides: permits to cut off, by transformer area and hour.

Names here are the storage format; the own topic is `control.permits`, by area. The answers go to
the accounts that asked, too (`control.permit_answers`).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue

catalogue = Catalogue("control.limits")
catalogue.reads("clock.ticked")(Tick)


@catalogue.event("control.permit_reserved")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitReserved:
    """One relay of the area may be told to open within the hour that begins at hour_at (UTC).

    count: permits of the hour with this one, `cap` at most; over_cap_by: who approved this one
    above the cap, "" when it is none of these (they are not counted).
    """

    permit_id: str
    area: str
    account_no: str
    case_id: str
    hour_at: str
    cap: int
    count: int
    over_cap_by: str


@catalogue.event("control.permit_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitRefused:
    """The area has as many permits in this hour as its cap; the next hour may have some."""

    permit_id: str
    area: str
    account_no: str
    case_id: str
    hour_at: str
    cap: int
    count: int


@catalogue.event("control.permit_used")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitUsed:
    """The command went out: the permit counts in its hour, whatever becomes of the command."""

    permit_id: str
    area: str
    hour_at: str
    command_id: str


@catalogue.event("control.permit_returned")
@dataclass(frozen=True, slots=True, kw_only=True)
class PermitReturned:
    """No command went out on the permit and none will: another one may have its place."""

    permit_id: str
    area: str
    hour_at: str

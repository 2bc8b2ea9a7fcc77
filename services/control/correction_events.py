"""What control notes of correction cases of metrology."""

from __future__ import annotations

from dataclasses import dataclass

from services.control.events import catalogue

PROPOSED = "proposed"


@catalogue.event("control.correction_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionNoted:
    """A correction case of the account. state: proposed, or what a person decided (approved,
    refused), which ends it."""

    case_id: str
    account_no: str
    usage_point: str
    state: str

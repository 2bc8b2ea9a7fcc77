"""Correction cases of metrology: while one is open, what the account owes is in doubt.

    metrology.correction_proposed -> control.correction_noted proposed
    metrology.correction_decided  -> control.correction_noted approved, refused

A case is proposed again when its days change, which is nothing new here.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.control import cases
from services.control.correction_events import PROPOSED, CorrectionNoted
from services.control.draft import Draft
from services.control.events import catalogue


@catalogue.reads("metrology.correction_proposed")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionProposed:
    """A failed meter was installed at a point of the account."""

    case_id: str
    account_no: str
    usage_point: str


@catalogue.reads("metrology.correction_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionDecided:
    """A person approved or refused the case."""

    case_id: str
    account_no: str
    usage_point: str
    decision: str


def on_correction(draft: Draft, told: CorrectionProposed | CorrectionDecided) -> None:
    """A case opens, and a command under way is cancelled; or it is decided."""
    is_open = told.case_id in draft.account.corrections
    is_proposed = isinstance(told, CorrectionProposed)
    if is_open == is_proposed:
        return
    draft.note(
        CorrectionNoted(
            case_id=told.case_id,
            account_no=draft.key,
            usage_point=told.usage_point,
            state=told.decision if isinstance(told, CorrectionDecided) else PROPOSED,
        )
    )
    if is_proposed:
        cases.recheck(draft)

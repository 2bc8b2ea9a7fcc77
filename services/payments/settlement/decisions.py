"""What people decide about cases: who looks after one, and how it is settled."""

from __future__ import annotations

from collections.abc import Sequence

from libs.events.core import Emit
from services.payments import journal
from services.payments.bookings import place_of
from services.payments.journal import JournalEntry
from services.payments.settlement.events import (
    DecisionRejected,
    DiscrepancySettled,
    DiscrepancyTakenUp,
)
from services.payments.settlement.requests import (
    CLAIM,
    DECISIONS,
    TAKE_UP,
    WRITE_OFF,
    DiscrepancyDecided,
)
from services.payments.settlement.state import Book

ROLES = {WRITE_OFF: "write_off", CLAIM: "channel_claim"}
"""The account of the chart that takes what is left."""


def on_decision(book: Book, key: str, given: DiscrepancyDecided) -> Sequence[Emit]:
    """A person takes a case up or settles it; otherwise the reason why not."""
    case = book.cases.get(given.case_id)
    problem = ""
    if given.action not in DECISIONS:
        problem = f"{given.action!r} is no decision"
    elif case is None:
        problem = "there is no such case (any more)"
    elif case.settled:
        problem = f"was settled already: {case.settled}"
    elif given.action in ROLES and not case.found.left_fen:
        problem = f"leaves nothing to {given.action}"
    if problem or case is None:
        rejected = DecisionRejected(
            request_id=given.request_id, case_id=given.case_id, problem=problem
        )
        return [Emit(rejected)]
    if given.action == TAKE_UP:
        taken = DiscrepancyTakenUp(case_id=given.case_id, owner=given.by, reason=given.reason)
        return [Emit(taken)]
    settled = DiscrepancySettled(
        case_id=given.case_id,
        action=given.action,
        by=given.by,
        reason=given.reason,
        evidence=given.evidence,
        left_fen=case.found.left_fen if given.action in ROLES else {},
        journal=_entry(key, given.action, case.found.left_fen),
    )
    return [Emit(settled)]


def _entry(key: str, action: str, left_fen: dict[str, int]) -> JournalEntry | None:
    if action not in ROLES:
        return None
    channel, merchant, _ = place_of(f"{key}:")
    parts = {
        journal.clearing_of(channel, merchant, day_on): amount_fen
        for day_on, amount_fen in left_fen.items()
    }
    return journal.difference_settled(role=ROLES[action], parts=parts)

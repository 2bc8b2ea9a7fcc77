"""Money that nobody claims goes back to its payer: by bank transfer, by two people, once.

Only what is in suspense and bound to nobody can go; what was bound goes back from its account
(refunds.py). The suspense remembers it as money that went back: should an account claim the
payment after all, the account has given it (page_returns.py), and no fen is given twice.

Example: of a card sale of 100.00 nobody knows 100.00 go back; Dr suspense / Cr bank.
"""

from __future__ import annotations

from datetime import date

from services.payments import journal
from services.payments.draft import Draft
from services.payments.entries import Page
from services.payments.events import BindingRejected
from services.payments.seen import find
from services.payments.suspense_refund_events import SuspenseRefunded, SuspenseRefundRequested


def on_suspense_refund(draft: Draft, request: SuspenseRefundRequested, record_key: str) -> None:
    """Book the transfer, once for each request; otherwise the reason why not."""
    if find(draft.page.seen, "request", request.request_id) is not None:
        return
    problem = _problem(draft.page, request, record_key)
    if problem:
        draft.note(
            BindingRejected(
                request_id=request.request_id,
                suspense_key=request.suspense_key,
                problem=problem,
                rejected_at=draft.at,
            )
        )
        return
    draft.note(
        SuspenseRefunded(
            suspense_key=request.suspense_key,
            payment_id=draft.page.suspenses[request.suspense_key].payment_id,
            request_id=request.request_id,
            amount_fen=request.amount_fen,
            bank=request.bank,
            bank_ref=request.bank_ref,
            paid_on=request.paid_on,
            evidence=request.evidence,
            requested_by=request.requested_by,
            approved_by=request.approved_by,
            reason=request.reason,
            journal=journal.suspense_refunded(
                suspense_key=request.suspense_key,
                bank=request.bank,
                amount_fen=request.amount_fen,
            ),
            refunded_at=draft.at,
        )
    )


def _problem(page: Page, request: SuspenseRefundRequested, record_key: str) -> str:
    """Why a refund of a suspense is not possible; "" when it is."""
    key = request.suspense_key
    suspense = page.suspenses.get(key)
    if key != record_key:
        return f"{key} was asked under {record_key}"
    if request.approved_by.strip().casefold() == request.requested_by.strip().casefold():
        return "a second person must approve it"
    if not request.bank.strip() or not request.bank_ref.strip() or not _is_day(request.paid_on):
        return "the bank, the number and the day of the transfer must be named"
    if suspense is None:
        return f"no money is in suspense under {key}"
    if suspense.parts:
        return f"{key} was bound by request {suspense.request_id}: refund it from its account"
    if not 0 < request.amount_fen <= suspense.left_fen:
        return f"{request.amount_fen} fen cannot go, {suspense.left_fen} are in suspense"
    return ""


def _is_day(text: str) -> bool:
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False

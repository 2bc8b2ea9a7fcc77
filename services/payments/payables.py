"""What the utility owes an account for feed-in: statements, corrections, payouts, offsets.

The mirror of receivables: a statement takes what was overpaid at once, a correction downwards
lowers the oldest payable first. Money of the account never settles a payable, and a payable settles
no debt unless a person asks for it and the price book allows it (`offset`).
"""

from __future__ import annotations

from services.payments import journal
from services.payments.allocation import Allocation, OpenDebt, spread
from services.payments.draft import Draft
from services.payments.payable_events import (
    OFFSET,
    TRANSFER,
    PayableLowered,
    PayableOpened,
    PayableSettled,
    PayoutRecorded,
    PayoutRejected,
)
from services.payments.state import OpenPayable


def on_stated(draft: Draft, number: str, amount_fen: int, due_on: str, netting: str) -> None:
    """A statement or a correction of one: a payable above zero, less of them below; once."""
    if draft.taken("statement", number) is not None:
        return
    if amount_fen > 0:
        draft.note(
            PayableOpened(
                statement_no=number,
                account_no=draft.key,
                amount_fen=amount_fen,
                recovered_fen=min(draft.account.overpaid_fen, amount_fen),
                due_on=due_on,
                netting=netting,
                journal=journal.feed_in_stated(account_no=draft.key, amount_fen=amount_fen),
                opened_at=draft.at,
            )
        )
        draft.moved("payable_opened")
    elif amount_fen < 0:
        parts = spread(-amount_fen, _as_debts(draft.account.payables))
        draft.note(
            PayableLowered(
                correction_no=number,
                account_no=draft.key,
                amount_fen=-amount_fen,
                allocations=parts.allocations,
                overpaid_fen=parts.prepayment_fen,
                journal=journal.feed_in_lowered(account_no=draft.key, amount_fen=-amount_fen),
                lowered_at=draft.at,
            )
        )
        draft.moved("payable_lowered", number)


def on_payout(draft: Draft, request: PayoutRecorded) -> None:
    """A person paid a payable out or sets it off; the same request again changes nothing."""
    if draft.taken("payout", request.request_id) is not None:
        return
    payable = next(
        (each for each in draft.account.payables if each.statement_no == request.statement_no), None
    )
    problem = _problem(draft, request, payable)
    if problem or payable is None:
        draft.note(
            PayoutRejected(
                request_id=request.request_id,
                account_no=draft.key,
                statement_no=request.statement_no,
                problem=problem,
                rejected_at=draft.at,
            )
        )
        return
    own_fen = min(request.amount_fen, payable.open_fen)
    others = [each for each in draft.account.payables if each is not payable]
    rest = spread(request.amount_fen - own_fen, _as_debts(others))
    is_offset = request.kind == OFFSET
    draft.note(
        PayableSettled(
            request_id=request.request_id,
            statement_no=request.statement_no,
            account_no=draft.key,
            kind=request.kind,
            amount_fen=request.amount_fen,
            allocations=(
                Allocation(invoice_no=payable.statement_no, amount_fen=own_fen),
                *rest.allocations,
            ),
            overpaid_fen=rest.prepayment_fen,
            debts=draft.spread(request.amount_fen).allocations if is_offset else (),
            bank=request.bank,
            bank_ref=request.bank_ref,
            paid_on=request.paid_on,
            evidence=request.evidence,
            recorded_by=request.recorded_by,
            reason=request.reason,
            journal=_entry(draft, request),
            settled_at=draft.at,
        )
    )
    draft.moved("payable_settled", request.request_id)


def _entry(draft: Draft, request: PayoutRecorded) -> journal.JournalEntry:
    if request.kind == OFFSET:
        return journal.feed_in_offset(account_no=draft.key, amount_fen=request.amount_fen)
    return journal.feed_in_paid(
        account_no=draft.key, bank=request.bank, amount_fen=request.amount_fen
    )


def _problem(draft: Draft, request: PayoutRecorded, payable: OpenPayable | None) -> str:
    """Why it cannot be settled so; "" when it can."""
    if request.account_no != draft.key:
        return f"{request.account_no} was asked under {draft.key}"
    if payable is None:
        return f"nothing is to be paid for {request.statement_no!r}"
    if request.amount_fen <= 0:
        return f"{request.amount_fen} fen is no amount above zero"
    if request.kind == TRANSFER:
        return _transfer_problem(request, payable)
    if request.kind == OFFSET:
        return _offset_problem(draft, request, payable)
    return f"{request.kind!r} is no way to settle it: {TRANSFER} or {OFFSET}"


def _transfer_problem(request: PayoutRecorded, payable: OpenPayable) -> str:
    """A transfer has happened: what a correction took from the payable meanwhile is no reason to
    refuse it, more than was ever to be paid is."""
    for name in ("bank", "bank_ref", "paid_on", "evidence", "recorded_by"):
        if not getattr(request, name):
            return f"a transfer needs its {name}"
    if request.amount_fen > payable.unpaid_fen:
        return f"{request.amount_fen} fen is more than the {payable.unpaid_fen} to be paid"
    return ""


def _offset_problem(draft: Draft, request: PayoutRecorded, payable: OpenPayable) -> str:
    if payable.netting != OFFSET:
        return "its price book lets it settle no debts"
    most_fen = min(payable.open_fen, draft.account.receivable_fen)
    if request.amount_fen > most_fen:
        return f"{request.amount_fen} fen is more than the {most_fen} that can be set off"
    return ""


def _as_debts(payables: list[OpenPayable] | tuple[OpenPayable, ...]) -> list[OpenDebt]:
    return [
        OpenDebt(invoice_no=each.statement_no, open_fen=each.open_fen, due_on=each.due_on)
        for each in payables
    ]

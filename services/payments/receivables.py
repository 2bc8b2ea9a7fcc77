"""What an account owes and has in hand: invoices, corrections, opening positions, overdue debts.

A receivable takes what is prepaid at once; money and credits settle the oldest debt first. Nothing
of 0 fen is booked: an invoice over nothing owes nothing.
"""

from __future__ import annotations

from services.payments import journal
from services.payments.draft import Draft
from services.payments.events import (
    AccountOverdue,
    CreditTaken,
    PrepaymentOpened,
    ReceivableOpened,
)
from services.payments.reactions import Opening


def on_billed(
    draft: Draft, number: str, amount_fen: int, due_on: str, income: str = "revenue"
) -> None:
    """An invoice, a correction or a late fee: a debt above zero, a credit below; once per number.

    `income` is the account of the chart that it is earned on.
    """
    if draft.taken("invoice", number) is not None:
        return
    if amount_fen > 0:
        prepaid_fen = min(draft.account.prepayment_fen, amount_fen)
        draft.note(
            ReceivableOpened(
                invoice_no=number,
                account_no=draft.key,
                amount_fen=amount_fen,
                prepayment_fen=prepaid_fen,
                due_on=due_on,
                journal=journal.invoice_issued(
                    account_no=draft.key,
                    amount_fen=amount_fen,
                    prepaid_fen=prepaid_fen,
                    income=income,
                ),
                opened_at=draft.at,
            )
        )
        draft.moved("receivable_opened")
    elif amount_fen < 0:
        parts = draft.spread(-amount_fen)
        draft.note(
            CreditTaken(
                correction_no=number,
                account_no=draft.key,
                amount_fen=-amount_fen,
                allocations=parts.allocations,
                prepayment_fen=parts.prepayment_fen,
                journal=journal.credit_note(account_no=draft.key, parts=parts, income=income),
                taken_at=draft.at,
            )
        )
        draft.moved("credit_taken", number)


def on_opening(draft: Draft, opening: Opening) -> None:
    """The debts and the prepayment of a running utility, once per opening."""
    if opening.opening_id in draft.account.opening_ids:
        return
    for debt in sorted(opening.receivables, key=lambda debt: (debt.due_on, debt.invoice_no)):
        prepaid_fen = min(draft.account.prepayment_fen, debt.amount_fen)
        is_new = draft.taken("invoice", debt.invoice_no) is None
        draft.note(
            ReceivableOpened(
                # An old number that we used ourselves meanwhile is another debt all the same.
                invoice_no=debt.invoice_no if is_new else f"{opening.opening_id}/{debt.invoice_no}",
                account_no=draft.key,
                amount_fen=debt.amount_fen,
                prepayment_fen=prepaid_fen,
                due_on=debt.due_on,
                journal=journal.opening_debt(
                    account_no=draft.key, amount_fen=debt.amount_fen, prepaid_fen=prepaid_fen
                ),
                opening_id=opening.opening_id,
                opened_at=draft.at,
            )
        )
    if opening.prepayment_fen:
        parts = draft.spread(opening.prepayment_fen)
        draft.note(
            PrepaymentOpened(
                opening_id=opening.opening_id,
                account_no=draft.key,
                amount_fen=opening.prepayment_fen,
                journal=journal.opening_prepayment(
                    account_no=draft.key,
                    amount_fen=opening.prepayment_fen,
                    settled_fen=parts.settled_fen,
                ),
                allocations=parts.allocations,
                prepayment_fen=parts.prepayment_fen,
            )
        )
    if draft.emits:
        draft.moved("account_opened", opening.opening_id)


def on_tick(draft: Draft) -> None:
    """Tell the debts that are overdue and were not told yet: from the day after their due date."""
    account = draft.account
    overdue = account.overdue(draft.today_on)
    new = tuple(debt.invoice_no for debt in overdue if debt.invoice_no not in account.told)
    if new:
        draft.note(
            AccountOverdue(
                account_no=draft.key,
                overdue_fen=sum(debt.open_fen for debt in overdue),
                oldest_due_on=overdue[0].due_on,
                debts=account.debts,
                as_of=draft.at,
                invoice_nos=new,
            )
        )

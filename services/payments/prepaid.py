"""Accounts that pay ahead: estimates come every day, an invoice ends those of its month.

Nothing is booked for an estimate: it only lowers what is available. The invoice becomes a debt like
any other and is settled out of the prepayment in the same decision.
"""

from __future__ import annotations

from dataclasses import replace

from services.payments import receivables
from services.payments.draft import Draft
from services.payments.prepaid_balance import POSTPAID
from services.payments.prepaid_events import EstimateNoted, PrepaidNoted, PrepaidTerms
from services.payments.reactions import AgreementPublished, ChargeEstimated, InvoiceIssued


def on_told(draft: Draft, body: InvoiceIssued | ChargeEstimated | AgreementPublished) -> None:
    """What of an input concerns how much is left."""
    match body:
        case InvoiceIssued():
            on_invoiced(draft, body)
        case ChargeEstimated():
            on_estimated(draft, body)
        case published:
            on_agreement(draft, published)


def on_agreement(draft: Draft, published: AgreementPublished) -> None:
    """Note how the account pays, when it pays ahead on some day or did."""
    known = draft.account.prepaid
    terms = tuple(
        PrepaidTerms(
            from_on=row.valid_from_on,
            mode=row.payment_mode,
            credit_limit_fen=row.prepaid.credit_limit_fen if row.prepaid else 0,
            warn1_fen=row.prepaid.warn1_fen if row.prepaid else 0,
            warn2_fen=row.prepaid.warn2_fen if row.prepaid else 0,
        )
        for row in sorted(published.terms, key=lambda row: row.valid_from_on)
    )
    if not known.terms and all(each.mode == POSTPAID for each in terms):
        return
    if published.version <= known.version or terms == known.terms:
        return
    draft.note(PrepaidNoted(account_no=draft.key, version=published.version, terms=terms))
    draft.tell_available("agreement_published")


def on_estimated(draft: Draft, estimate: ChargeEstimated) -> None:
    """The last estimate of a month takes the place of the one before; what billing could not
    estimate leaves the one before, which grows old."""
    if estimate.reasons:
        return
    draft.note(
        EstimateNoted(
            account_no=draft.key,
            month=estimate.month,
            until_on=estimate.until_on,
            amount_fen=estimate.amount_fen,
            missing_days=estimate.missing_days,
            estimated_days=estimate.estimated_days,
        )
    )
    draft.withdraw_settled("")
    draft.tell_available("charge_estimated")


def on_invoiced(draft: Draft, invoice: InvoiceIssued) -> None:
    """The estimate of the month ends in the decision that books its invoice: never both count."""
    known = draft.account.prepaid.estimates.get(invoice.month)
    if known is not None:
        draft.note(replace(known, is_closed=True))
    before = len(draft.emits)
    receivables.on_billed(draft, invoice.invoice_no, invoice.total_fen, invoice.due_on)
    if known is not None and len(draft.emits) == before:
        draft.tell_available("invoice_issued")

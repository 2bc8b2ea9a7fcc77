"""What payments reads of other services, in the fields it needs."""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import catalogue

# -- billing.events -------------------------------------------------------------------------------


@catalogue.reads("billing.invoice_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceIssued:
    """A bill as the customer gets it; its total may be zero or below."""

    invoice_no: str
    account_no: str
    total_fen: int
    due_on: str
    month: str = ""


@catalogue.reads("billing.charge_estimated")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeEstimated:
    """What a prepaid account used of a month without an invoice; reasons: why that is not known."""

    account_no: str
    month: str
    until_on: str
    amount_fen: int
    missing_days: int
    estimated_days: int
    reasons: tuple[str, ...] = ()


@catalogue.reads("billing.correction_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionIssued:
    """A numbered correction: to be paid (positive) or given back (negative)."""

    correction_no: str
    account_no: str
    difference_fen: int
    due_on: str


@catalogue.reads("billing.feed_in_stated")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInStated:
    """What an account fed in during a month, to be paid to it; netting: may it be set off?"""

    statement_no: str
    account_no: str
    amount_fen: int
    netting: str
    due_on: str


@catalogue.reads("billing.feed_in_corrected")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInCorrected:
    """A numbered difference of a statement: to be paid in addition, or too much was stated."""

    correction_no: str
    account_no: str
    difference_fen: int
    netting: str
    due_on: str


@catalogue.reads("billing.late_fee_charged")
@dataclass(frozen=True, slots=True, kw_only=True)
class LateFeeCharged:
    """A late fee: to be paid (positive) or given back (negative)."""

    fee_no: str
    account_no: str
    amount_fen: int
    due_on: str


# -- customers.agreements -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedTerms:
    """The signed agreement of a prepaid account."""

    credit_limit_fen: int
    warn1_fen: int
    warn2_fen: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How the account pays, from a day on."""

    valid_from_on: str
    payment_mode: str
    prepaid: SignedTerms | None = None


@catalogue.reads("customers.agreement_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementPublished:
    """The whole agreement timeline of an account, as far as money is concerned."""

    account_no: str
    version: int
    terms: tuple[Terms, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningReceivable:
    """A debt that a running utility brings along; its amount is above zero."""

    invoice_no: str
    amount_fen: int
    due_on: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """The money of an opening position."""

    opening_id: str
    account_no: str
    receivables: tuple[OpeningReceivable, ...]
    prepayment_fen: int


@catalogue.reads("customers.account_opened")
@dataclass(frozen=True, slots=True, kw_only=True)
class AccountOpened:
    """The opening position of an account."""

    opening: Opening


# -- control.clearances ---------------------------------------------------------------------------


@catalogue.reads("control.clearance_asked")
@dataclass(frozen=True, slots=True, kw_only=True)
class ClearanceAsked:
    """ "May we cut for these invoices?" Settled means: no more than the threshold is open.

    kind: arrears, or prepaid_balance, which names no invoices.
    """

    clearance_id: str
    account_no: str
    invoice_nos: tuple[str, ...]
    threshold_fen: int
    kind: str = "arrears"

"""What happened to bills: usage noted, bills calculated, checked, released, issued, corrected.

Names here are the storage format. Before issue a bill is calculated freely; after it there are only
numbered corrections. Money in fen, energy in Wh; days in the utility's zone.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.billing.bill import BillLine
from services.billing.price_book import PriceBook

edge_catalogue = Catalogue("billing.edge")
catalogue = Catalogue("billing")
catalogue.reads("clock.ticked")(Tick)


@edge_catalogue.event("billing.book_published")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookPublished:
    """A price book, written to every partition of `tariffs` in one transaction."""

    book: PriceBook
    content_hash: str
    published_by: str


@edge_catalogue.event("billing.release_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDecided:
    """A person releases or refuses a held bill (billing.requests, by account)."""

    request_id: str
    account_no: str
    bill_id: str
    decision: str
    decided_by: str
    reason: str


catalogue.reads("billing.book_published")(BookPublished)
catalogue.reads("billing.release_decided")(ReleaseDecided)


@catalogue.event("billing.book_adopted")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookAdopted:
    """A price book became part of what this partition decides with."""

    book: PriceBook
    content_hash: str


@catalogue.event("billing.book_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookRejected:
    """A book whose content does not have the hash it claims, or whose id has another content."""

    book_id: str
    content_hash: str
    problem: str


@catalogue.event("billing.usage_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageNoted:
    """A day's usage of a point as far as billing needs it; see validation.usage_established."""

    usage_point: str
    day_on: str
    revision: int
    quality: str
    change: dict[str, int]
    demand_w: int
    demand_at: str
    after_exchange: bool
    readings: tuple[str, ...]


@catalogue.event("billing.price_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class PriceAwaited:
    """The month's usage is there, its price book is not: the bill waits."""

    account_no: str
    month: str
    price_list: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckHit:
    """A check that wants a person to look: its name and the numbers."""

    check: str
    text: str
    numbers: dict[str, str]


@catalogue.event("billing.bill_calculated")
@dataclass(frozen=True, slots=True, kw_only=True)
class BillCalculated:
    """A bill before issue; a later calculation of the same month replaces it.

    usage_revision counts what was noted for the month; tier_before_wh and tier_after_wh are the
    tier year's energy around it; book_ids: every book it used; hits: what a person must look at;
    not_yet_rated: parts that are accepted and not billed (prepaid modes, fixed ratios, ...).
    """

    bill_id: str
    account_no: str
    month: str
    calculation: int
    usage_revision: int
    lines: tuple[BillLine, ...]
    total_fen: int
    tier_before_wh: int
    tier_after_wh: int
    book_ids: tuple[str, ...]
    quality: str
    hits: tuple[CheckHit, ...]
    not_yet_rated: tuple[str, ...] = ()


@catalogue.event("billing.bill_withheld")
@dataclass(frozen=True, slots=True, kw_only=True)
class BillWithheld:
    """A bill that must not be made as things are: a finding, with its reasons."""

    account_no: str
    month: str
    reasons: tuple[str, ...]


@catalogue.event("billing.bill_released")
@dataclass(frozen=True, slots=True, kw_only=True)
class BillReleased:
    """Nothing (or nobody) holds the bill any more. released_by: automatic, or a person."""

    bill_id: str
    account_no: str
    month: str
    released_by: str
    reason: str


@catalogue.event("billing.release_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRejected:
    """A decision about a bill that is not held, or not known."""

    request_id: str
    account_no: str
    bill_id: str
    problem: str


@catalogue.event("billing.invoice_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceIssued:
    """A bill as the customer gets it, for ever. Its lines explain it down to the readings."""

    invoice_no: str
    bill_id: str
    account_no: str
    month: str
    lines: tuple[BillLine, ...]
    total_fen: int
    tier_before_wh: int
    tier_after_wh: int
    book_ids: tuple[str, ...]
    quality: str
    issued_on: str
    due_on: str
    language: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectedInvoice:
    """One invoice in a correction round: what it is now, and the difference to what it was."""

    invoice_no: str
    month: str
    before_fen: int
    after_fen: int
    lines: tuple[BillLine, ...]


@catalogue.event("billing.correction_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionIssued:
    """A numbered round: a cause and the difference it makes to this and every later invoice.

    cause: late_actual, metrology, book_superseded, rebinding, wrong_agreement; reference: the id
    of what caused it; difference_fen: to be paid (positive) or given back (negative).
    """

    correction_no: str
    round_no: int
    account_no: str
    cause: str
    reference: str
    invoices: tuple[CorrectedInvoice, ...]
    difference_fen: int
    issued_on: str
    due_on: str
    energy_change_wh: dict[str, int] = field(default_factory=dict)


@catalogue.event("billing.case_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNoted:
    """A metrology case about the account: proposed, approved or refused."""

    case_id: str
    account_no: str
    usage_point: str
    status: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str

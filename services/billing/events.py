"""What happened to bills: usage noted, bills calculated, checked, released, issued, corrected.

Names here are the storage format. Before issue a bill is calculated freely; after it there are only
numbered corrections. Money in fen, energy in Wh; days in the utility's zone.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.billing.agreement import AgreementTerms, ExternalLine, HouseholdSize
from services.billing.bill import Bill
from services.billing.bill_checks import CheckHit
from services.billing.correction import CorrectionLine, CorrectionRound, RatingInput
from services.billing.feed_in import Statement
from services.billing.late_fee import LateFeeShare
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
    """A person releases or refuses a held bill (billing.requests, by account).

    decision: release or hold; calculation: the one the person saw, 0 for whichever stands.
    """

    request_id: str
    account_no: str
    bill_id: str
    decision: str
    decided_by: str
    reason: str
    calculation: int = 0


@edge_catalogue.event("billing.tariff_class_accepted")
@dataclass(frozen=True, slots=True, kw_only=True)
class TariffClassAccepted:
    """A person accepts the class that a question of the audit is about (billing.requests)."""

    request_id: str
    account_no: str
    audit_id: str
    decided_by: str
    reason: str


catalogue.reads("billing.book_published")(BookPublished)
catalogue.reads("billing.release_decided")(ReleaseDecided)
catalogue.reads("billing.tariff_class_accepted")(TariffClassAccepted)


@catalogue.event("billing.book_adopted")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookAdopted:
    """A price book became part of what this partition decides with.

    offset: of its record on `tariffs`; the same book published again is another record.
    """

    book: PriceBook
    content_hash: str
    offset: int = -1


@catalogue.event("billing.book_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookRejected:
    """A book with a defect, with another hash than it claims, or under an id and version that has
    another content already."""

    book_id: str
    content_hash: str
    problem: str


@catalogue.event("billing.usage_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageNoted:
    """A day's usage of a point as far as billing needs it; see validation.usage_established.

    energy: OBIS -> Wh or varh of the day; a higher revision of the day takes its place.
    basis_blocked: what its energy by period rests on must be looked at by a person.
    """

    usage_point: str
    day_on: str
    revision: int
    quality: str
    energy: dict[str, int]
    demand_w: int
    demand_at: str
    after_exchange: bool
    readings: tuple[str, ...]
    basis_blocked: bool = False


@catalogue.event("billing.price_awaited")
@dataclass(frozen=True, slots=True, kw_only=True)
class PriceAwaited:
    """The month's usage is there, its price book is not: the bill waits."""

    account_no: str
    month: str
    price_list: str


@catalogue.event("billing.bill_calculated")
@dataclass(frozen=True, slots=True, kw_only=True)
class BillCalculated:
    """A bill before issue; a later calculation of the same month replaces it.

    calculation counts from 1; inputs: what it was rated from; hits: what a person must look at,
    empty when nothing holds it; bill.not_yet_rated: parts that are accepted and not billed.
    """

    bill_id: str
    account_no: str
    month: str
    calculation: int
    inputs: tuple[RatingInput, ...]
    bill: Bill
    total_fen: int
    hits: tuple[CheckHit, ...]


@catalogue.event("billing.bill_withheld")
@dataclass(frozen=True, slots=True, kw_only=True)
class BillWithheld:
    """A bill that cannot be made as things are, with its reasons; a draft of it is withdrawn.

    Days without usage, usage without an agreement, what is not rated yet, findings of the rating.
    It is looked at again when something new comes that concerns the month.
    """

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
    inputs: tuple[RatingInput, ...]
    bill: Bill
    total_fen: int
    issued_on: str
    due_on: str
    language: str


@catalogue.event("billing.correction_issued")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionIssued:
    """A numbered round: a cause and the difference it makes to this and every later invoice.

    reference: what caused it (point/day/revision of usage, a case, a book, an agreement's version),
    comma-separated where several did; difference_fen: to be paid (positive) or given back
    (negative); correction: every invoice of the round with its lines and what it is now.
    """

    correction_no: str
    round_no: int
    account_no: str
    cause: str
    reference: str
    correction: CorrectionRound
    difference_fen: int
    issued_on: str
    due_on: str


@catalogue.event("billing.correction_withheld")
@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionWithheld:
    """No correction of these months, with the reasons.

    is_needless: what came makes no difference to any invoice; else the correction cannot be rated
    as things are and is looked at again when something new comes.
    """

    account_no: str
    cause: str
    months: tuple[str, ...]
    reasons: tuple[str, ...]
    is_needless: bool = False


@catalogue.event("billing.feed_in_stated")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInStated:
    """What an account fed in during a month and what the utility owes for it, for ever.

    In a series of its own: it is no invoice and nothing of one. netting: `offset` where the book
    lets the amount settle debts of the account, else `none`. due_on: until when it is to be paid.
    """

    statement_no: str
    account_no: str
    month: str
    inputs: tuple[RatingInput, ...]
    statement: Statement
    energy_wh: int
    amount_fen: int
    netting: str
    issued_on: str
    due_on: str


@catalogue.event("billing.feed_in_corrected")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInCorrected:
    """A numbered difference to a statement: a cause, the lines, and what the statement is now.

    difference_fen: to be paid in addition (positive), or too much was stated (negative).
    """

    correction_no: str
    statement_no: str
    account_no: str
    month: str
    round_no: int
    cause: str
    reference: str
    inputs: tuple[RatingInput, ...]
    statement: Statement
    lines: tuple[CorrectionLine, ...]
    energy_difference_wh: int
    difference_fen: int
    netting: str
    issued_on: str
    due_on: str


@catalogue.event("billing.feed_in_withheld")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeedInWithheld:
    """No statement of the month, or no correction of it, with the reasons.

    is_needless: what came makes no difference; else it is looked at again when something new comes.
    """

    account_no: str
    month: str
    reasons: tuple[str, ...]
    is_needless: bool = False


@catalogue.event("billing.late_fee_charged")
@dataclass(frozen=True, slots=True, kw_only=True)
class LateFeeCharged:
    """What a debt that was paid late bears; below zero: given back with the payment.

    cause: paid_late or payment_reversed; payment: the capture, or transfer, that settled `debt_fen`
    of it; piece_fen: the fee of this payment alone, before the minimum that holds for the debt as a
    whole; rule, book: the reading of the rules that counts, and where it stands; due_on: of the
    fee.
    """

    fee_no: str
    account_no: str
    invoice_no: str
    payment: str
    cause: str
    debt_due_on: str
    rule: str
    book: str
    piece_fen: int
    amount_fen: int
    issued_on: str
    due_on: str
    debt_fen: int = 0
    paid_on: str = ""
    shares: tuple[LateFeeShare, ...] = ()


@catalogue.event("billing.charge_estimated")
@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeEstimated:
    """What a prepaid account has used of a month that has no invoice yet, from its first day until
    (before) `until_on`. No debt and no posting; a later one takes its place, the invoice ends it.

    estimate_no: counts from 1 in the month; missing_days: days not read at some point, no energy in
    it; estimated_days: others with an estimated reading; reasons: why it has no amount.
    """

    account_no: str
    month: str
    estimate_no: int
    until_on: str
    amount_fen: int
    energy_wh: int
    missing_days: int
    estimated_days: int
    books: tuple[str, ...]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedTerms:
    """The agreement as the tariff functions take it, from a day on."""

    from_on: str
    terms: AgreementTerms


@catalogue.event("billing.agreement_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class AgreementNoted:
    """The agreement timeline of an account (content of customers.agreements).

    household: its sizes in the order of their days, of which a book makes allowances; events of
    before it have the allowances in their terms. external_lines: of all months, each in the terms
    of its own when a bill is rated.
    """

    account_no: str
    version: int
    timeline: tuple[DatedTerms, ...]
    moved_out_on: str
    household: tuple[HouseholdSize, ...] = ()
    external_lines: tuple[ExternalLine, ...] = ()


@catalogue.event("billing.opening_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class OpeningNoted:
    """Where a running account enters: billed up to a day, with its tier year so far."""

    account_no: str
    opening_id: str
    billed_to_on: str
    tier_year_to_date_wh: int


@catalogue.event("billing.book_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookNoted:
    """A book came that concerns this account: a month waits or is held, or was billed without it.

    from_on, until_on: the days in which the book is in force.
    """

    account_no: str
    book: str
    from_on: str = ""
    until_on: str = ""


@catalogue.event("billing.usage_adjusted")
@dataclass(frozen=True, slots=True, kw_only=True)
class UsageAdjusted:
    """An approved case changes the energy of a month: OBIS -> Wh or varh to be added.

    Later usage of days of the case adds to it: the sum over all of them is what counts.
    """

    account_no: str
    case_id: str
    usage_point: str
    month: str
    change: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseEstimate:
    """What approving a case would change, by what was known when it was proposed.

    energy_wh: of import; amount_fen: on issued bills, None when they cannot be rated; months: whose
    energy changes; problem: what billing could not correct by itself, "" when nothing.
    """

    energy_wh: int
    amount_fen: int | None
    months: tuple[str, ...]
    problem: str = ""


@catalogue.event("billing.case_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class CaseNoted:
    """A metrology case about the account: proposed, approved or refused.

    problem: what of an approved case billing cannot correct, "" when nothing; estimate: of a
    proposed one, for the person who decides; kind: error, wiring or ratio, the latter two with the
    factor from recorded to true energy.
    """

    case_id: str
    account_no: str
    usage_point: str
    status: str
    error_e4_pct: int
    rule: str
    from_on: str
    to_on: str
    problem: str = ""
    estimate: CaseEstimate | None = None
    kind: str = "error"
    factor_num: int = 1
    factor_den: int = 1


@catalogue.event("billing.tariff_class_questioned")
@dataclass(frozen=True, slots=True, kw_only=True)
class TariffClassQuestioned:
    """A point is billed on a class that its agreement contradicts; asked again under the same id
    when the figures are others.

    stands, expected: `fact: value` (audit_rules.py); months: the issued ones that were rated anew,
    at_stake_fen: under what is expected minus as billed; problem: why there is no amount of some;
    rules_version: the id of the set of rules; unconfirmed: no confirmed source has the rule.
    """

    account_no: str
    audit_id: str
    rule: str
    point: str
    stands: str
    expected: str
    months: tuple[str, ...]
    at_stake_fen: int
    rules_version: str
    problem: str = ""
    unconfirmed: bool = False


@catalogue.event("billing.tariff_class_settled")
@dataclass(frozen=True, slots=True, kw_only=True)
class TariffClassSettled:
    """A question is none any more.

    reason: agreement_changed; not_found (by other books or rules); accepted, by whom and why
    (note): the class stays, and is asked about again only when another one stands.
    """

    account_no: str
    audit_id: str
    rule: str
    point: str
    reason: str
    decided_by: str = ""
    note: str = ""


@catalogue.event("billing.tariff_acceptance_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class TariffAcceptanceRejected:
    """An acceptance of a class about which no question stands."""

    request_id: str
    account_no: str
    audit_id: str
    problem: str

"""What the settlement stage takes, finds and books, by channel and merchant.

Names here are the storage format; the own topic is `payments.settlement`. Every event that moves
money carries its balanced journal entry, as in payments.events.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.core import Tick
from libs.events.registry import Catalogue
from services.payments.journal import JournalEntry
from services.payments.settlement.rows import SettlementRow

NOTICES = "payments.notices"
"""Where rows go that only a channel has."""

catalogue = Catalogue("payments.settlement")
catalogue.reads("clock.ticked")(Tick)


@catalogue.event("payments.row_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowFound:
    """A row that only the channel has, for payments to decide (payments.notices, by account of its
    order number, else by channel and transaction). Once for each case."""

    row: SettlementRow
    case_id: str
    evidence_id: str


@catalogue.event("payments.booking_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookingTaken:
    """A booking on the clearing account of a day, or that it is undone; as BookingNoted."""

    booking_id: str
    row: SettlementRow
    is_taken_back: bool


@catalogue.event("payments.settlement_rows_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowsTaken:
    """A part of a sheet that is not complete yet; as RowsSubmitted."""

    sheet_id: str
    kind: str
    day_on: str
    part: int
    parts: int
    rows: tuple[SettlementRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowChange:
    """A row that a later version has otherwise; fen are None where a version lacks it."""

    what: str
    kind: str
    transaction: str
    refund_no: str
    before_fen: int | None
    after_fen: int | None
    before_fee_fen: int | None
    after_fee_fen: int | None


@catalogue.event("payments.settlement_file_taken")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileTaken:
    """A sheet is whole and stands: version 1, or a new version with what differs from the one
    before. `changes` are the first of them, `change_count` is how many there are."""

    sheet_id: str
    kind: str
    day_on: str
    version: int
    previous_id: str
    row_count: int
    change_count: int
    changes: tuple[RowChange, ...]
    file_sha256: str
    name: str
    submitted_at: str


@catalogue.event("payments.settlement_file_passed_over")
@dataclass(frozen=True, slots=True, kw_only=True)
class FilePassedOver:
    """Nothing to take. reason: identical (was taken before), older (a later sheet stands)."""

    sheet_id: str
    kind: str
    day_on: str
    name: str
    reason: str


@catalogue.event("payments.settlement_file_quarantined")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileQuarantined:
    """A file or sheet of which nothing is taken, with line and reason: somebody must fetch it
    again. cause: channels/causes.py; or malformed_sheet, day_closed (its day is closed)."""

    file_sha256: str
    name: str
    channel: str
    merchant: str
    cause: str
    line: int
    field: str
    problem: str
    submitted_by: str


@catalogue.event("payments.discrepancy_found")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyFound:
    """A case: a line, a payout or a closed day that differs; the highest revision stands.

    outcome, cause, action: of matching.py and payouts.py; owner: who must act; opened_on: the day
    from which it is open; left_fen: what it leaves on the clearing account, by day.
    """

    case_id: str
    revision: int
    outcome: str
    cause: str
    action: str
    owner: str
    opened_on: str
    day_on: str
    days: tuple[str, ...]
    transaction: str
    order_no: str
    refund_no: str
    account_no: str
    ours_fen: int
    channel_fen: int
    left_fen: dict[str, int]


@catalogue.event("payments.discrepancy_taken_up")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyTakenUp:
    """Somebody looks after a case from now on."""

    case_id: str
    owner: str
    reason: str


@catalogue.event("payments.discrepancy_forwarded")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyForwarded:
    """The row of a case went to payments (row_found), which captures or notes it."""

    case_id: str
    evidence_id: str


@catalogue.event("payments.discrepancy_settled")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancySettled:
    """A person settled a case: write_off and claim book what is left, accept books nothing."""

    case_id: str
    action: str
    by: str
    reason: str
    evidence: str
    left_fen: dict[str, int]
    journal: JournalEntry | None


@catalogue.event("payments.discrepancy_gone")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyGone:
    """A case that is none any more. how: agrees; captured_from_file, after its row was forwarded;
    differs (it is another case now). journal: takes back what a person had settled."""

    case_id: str
    how: str
    left_fen: dict[str, int]
    journal: JournalEntry | None


@catalogue.event("payments.decision_rejected")
@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRejected:
    """A decision that is not possible: no such case, settled already, an unknown action."""

    request_id: str
    case_id: str
    problem: str


@catalogue.event("payments.fees_booked")
@dataclass(frozen=True, slots=True, kw_only=True)
class FeesBooked:
    """The channel's fees of a day changed by `fee_fen`, as its file has them."""

    day_on: str
    fee_fen: int
    journal: JournalEntry


@catalogue.event("payments.payout_booked")
@dataclass(frozen=True, slots=True, kw_only=True)
class PayoutBooked:
    """What the bank got for a day changed by `paid_fen`. outcome: of the payout (payouts.py)."""

    day_on: str
    paid_fen: int
    paid_on: str
    outcome: str
    journal: JournalEntry


@catalogue.event("payments.day_stated")
@dataclass(frozen=True, slots=True, kw_only=True)
class DayStated:
    """The clearing account of a day: what is left on it is the sum of its causes, to the fen. The
    latest of a day stands."""

    day_on: str
    ours_fen: int
    channel_fen: int
    fee_fen: int
    paid_fen: int
    clearing_fen: int
    causes: dict[str, int]


@catalogue.event("payments.day_closed")
@dataclass(frozen=True, slots=True, kw_only=True)
class DayClosed:
    """Nobody must do anything about a day any more: its lines are forgotten.

    clearing_fen: what is left, explained by causes; owed_fen: what the channel owed, paid on
    `paid_on`; sheet_id: of its file.
    """

    day_on: str
    clearing_fen: int
    causes: dict[str, int]
    owed_fen: int
    paid_fen: int
    paid_on: str
    sheet_id: str


@catalogue.event("payments.settlement_judged")
@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """Everything that is open was matched as of a day."""

    as_of: str
    keep_from_on: str

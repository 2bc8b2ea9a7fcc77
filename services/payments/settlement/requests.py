"""What people and fetchers give the settlement stage: sheets of files, bad files, decisions.

A sheet is what a file says of one channel, merchant and day (or the bank's statement of it): the
unit that is taken whole, compared with its older version, and known again. It travels in parts.
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.registry import Catalogue
from services.payments.settlement.rows import SettlementRow

TRADE, BANK = "trade", "bank"
SHEET_KINDS = (TRADE, BANK)
"""The channel's own file of its day; the statement of the bank that the channel pays to."""

TAKE_UP, ACCEPT, WRITE_OFF, CLAIM = "take_up", "accept", "write_off", "claim"
DECISIONS = (TAKE_UP, ACCEPT, WRITE_OFF, CLAIM)
"""See `services/payments/settlement/cases.py`."""

files_catalogue = Catalogue("payments.files")


@files_catalogue.event("payments.settlement_rows_submitted")
@dataclass(frozen=True, slots=True, kw_only=True)
class RowsSubmitted:
    """Part `part` (from 0) of the `parts` of a sheet. A sheet without rows has one empty part.

    sheet_id: SHA-256 of the sheet's rows; file_sha256, name: of the file it was in. Of two sheets
    of one day the one with the later `submitted_at` stands, in whatever order they come.
    """

    sheet_id: str
    kind: str
    channel: str
    merchant: str
    day_on: str
    part: int
    parts: int
    rows: tuple[SettlementRow, ...]
    file_sha256: str
    name: str
    submitted_at: str
    submitted_by: str


@files_catalogue.event("payments.settlement_file_refused")
@dataclass(frozen=True, slots=True, kw_only=True)
class FileRefused:
    """A file that is not what its channel writes: none of it was taken. cause: channels/causes.py;
    line: 0 where it is the whole file."""

    file_sha256: str
    name: str
    channel: str
    merchant: str
    cause: str
    line: int
    field: str
    problem: str
    submitted_at: str
    submitted_by: str


@files_catalogue.event("payments.discrepancy_decided")
@dataclass(frozen=True, slots=True, kw_only=True)
class DiscrepancyDecided:
    """A person decides a case. action: one of DECISIONS; evidence: what it rests on (a slip)."""

    request_id: str
    channel: str
    merchant: str
    case_id: str
    action: str
    by: str
    reason: str
    evidence: str

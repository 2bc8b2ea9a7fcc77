"""What the settlement stage decides of one channel and merchant.

    payments.postings -> bookings taken; sheets taken, passed over, quarantined; decisions of people
    calendar          -> matched: cases, found rows, fees and payouts booked, days stated, closed

Everything is matched at ticks only, when a file or a decision came or a day went by. What stands in
the end follows from bookings, sheets and decisions, not from the order in which they came.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from libs.events.core import Emit, Item, Tick, View
from services.payments.bookings import BookingNoted, settlement_key
from services.payments.days import day_end, day_of
from services.payments.settlement.decisions import on_decision
from services.payments.settlement.events import (
    FilePassedOver,
    FileQuarantined,
    FileTaken,
    RowChange,
    RowsTaken,
)
from services.payments.settlement.judging import judge
from services.payments.settlement.policy import SettlementPolicy, is_day
from services.payments.settlement.reactions import booking_taken, quarantined
from services.payments.settlement.requests import (
    SHEET_KINDS,
    TRADE,
    DiscrepancyDecided,
    FileRefused,
    RowsSubmitted,
)
from services.payments.settlement.state import Book, evolve, pending_key
from services.payments.settlement.versions import Change, changes

NEXT_TICK = "0001-01-01T00:00:00Z"
CHANGES_MOST = 100
"""So many changes of a version are told one by one."""


def decide(view: View, key: str, item: Item, policy: SettlementPolicy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    book: Book = view.get(key) or Book()
    match item.body:
        case Tick():
            return judge(book, key, day_of(item.body.at), policy)
        case BookingNoted():
            return [Emit(booking_taken(item.body))]
        case RowsSubmitted():
            return _on_rows(book, key, item.body)
        case FileRefused():
            return [Emit(quarantined(item.body))]
        case decided:
            assert isinstance(decided, DiscrepancyDecided), item.type
            return on_decision(book, key, decided)


def due(state: Any) -> str:
    """The next tick when something changed, else when the next day begins, else never."""
    book: Book = state
    if book.is_open:
        return NEXT_TICK
    return day_end(book.judged_on) if book.judged_on and book.is_waiting else ""


def _on_rows(book: Book, key: str, given: RowsSubmitted) -> Sequence[Emit]:
    """A part of a sheet; with the last one the sheet is whole."""
    problem = _problem(key, given)
    if problem:
        return [Emit(_sheet_quarantined(given, "malformed_sheet", problem))]
    closed = book.closed.get(given.day_on) if given.kind == TRADE else None
    standing = book.sheet(given.kind, given.day_on)
    known = (closed.sheet_id,) if closed else standing.known if standing else ()
    if given.sheet_id in known:
        return [Emit(_passed_over(given, "identical"))] if given.part == 0 else []
    if closed is not None:
        problem = f"{given.day_on} is closed; what differs must be settled by a person"
        return [Emit(_sheet_quarantined(given, "day_closed", problem))] if given.part == 0 else []
    pending = book.pending.get(pending_key(given.kind, given.day_on, given.sheet_id), {})
    if given.part in pending:
        return []
    taken = RowsTaken(
        sheet_id=given.sheet_id,
        kind=given.kind,
        day_on=given.day_on,
        part=given.part,
        parts=given.parts,
        rows=given.rows,
    )
    emits = [Emit(taken)]
    if len(pending) + 1 == given.parts:
        emits.append(Emit(_whole(evolve(book, taken), given)))
    return emits


def _whole(book: Book, given: RowsSubmitted) -> FileTaken | FilePassedOver:
    """A whole sheet: it stands, unless a later one does."""
    standing = book.sheet(given.kind, given.day_on)
    order = (given.submitted_at, given.sheet_id)
    if standing is not None and order < (standing.submitted_at, standing.sheet_id):
        return _passed_over(given, "older")
    parts = book.pending[pending_key(given.kind, given.day_on, given.sheet_id)]
    rows = [row for part in sorted(parts) for row in parts[part]]
    found = list(changes(standing.rows, rows)) if standing is not None else []
    return FileTaken(
        sheet_id=given.sheet_id,
        kind=given.kind,
        day_on=given.day_on,
        version=standing.version + 1 if standing is not None else 1,
        previous_id=standing.sheet_id if standing is not None else "",
        row_count=len(rows),
        change_count=len(found),
        changes=tuple(_change(each) for each in islice(found, CHANGES_MOST)),
        file_sha256=given.file_sha256,
        name=given.name,
        submitted_at=given.submitted_at,
    )


def _change(change: Change) -> RowChange:
    row = change.after or change.before
    assert row is not None
    return RowChange(
        what=change.what,
        kind=row.kind,
        transaction=row.transaction,
        refund_no=row.refund_no,
        before_fen=change.before.amount_fen if change.before else None,
        after_fen=change.after.amount_fen if change.after else None,
        before_fee_fen=change.before.fee_fen if change.before else None,
        after_fee_fen=change.after.fee_fen if change.after else None,
    )


def _problem(key: str, given: RowsSubmitted) -> str:
    """Why a part cannot be taken; "" when it can."""
    if settlement_key(given.channel, given.merchant) != key:
        return f"{given.channel} {given.merchant} came under {key}"
    if given.kind not in SHEET_KINDS:
        return f"{given.kind!r} is no kind of sheet"
    if not is_day(given.day_on):
        return f"{given.day_on!r} is no day"
    if not 0 <= given.part < given.parts:
        return f"part {given.part} of {given.parts}"
    place = (given.channel, given.merchant, given.day_on)
    if any((row.channel, row.merchant, row.day_on) != place for row in given.rows):
        return "a row is of another channel, merchant or day"
    return ""


def _passed_over(given: RowsSubmitted, reason: str) -> FilePassedOver:
    return FilePassedOver(
        sheet_id=given.sheet_id,
        kind=given.kind,
        day_on=given.day_on,
        name=given.name,
        reason=reason,
    )


def _sheet_quarantined(given: RowsSubmitted, cause: str, problem: str) -> FileQuarantined:
    return FileQuarantined(
        file_sha256=given.file_sha256,
        name=given.name,
        channel=given.channel,
        merchant=given.merchant,
        cause=cause,
        line=0,
        field="sheet",
        problem=problem,
        submitted_by=given.submitted_by,
    )

"""What the settlement stage knows of one channel and merchant: books, files, cases, days.

A day holds its lines until it is closed: about 700 bytes a line and side, so 20,000 payments a day
cost 28 MB a day, and as many days as a payout takes (10 over the longest holiday). A closed day is
100 bytes and stays `keep_days` after its payout, as the bank's statements do; an open case is 1 KB.
What grows for ever is only what nobody decides, and payouts of nobody on days without trade.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from services.payments.journal import JournalEntry
from services.payments.settlement.events import (
    BookingTaken,
    DayClosed,
    DayStated,
    DiscrepancyForwarded,
    DiscrepancyFound,
    DiscrepancyGone,
    DiscrepancySettled,
    DiscrepancyTakenUp,
    FeesBooked,
    FilePassedOver,
    FileTaken,
    Judged,
    PayoutBooked,
    RowsTaken,
)
from services.payments.settlement.requests import BANK, TRADE
from services.payments.settlement.rows import SettlementRow


@dataclass(frozen=True, slots=True)
class Shared:
    """Nothing is true for all keys of a partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The sheet that stands for a kind and day. known: ids of all that came."""

    sheet_id: str
    version: int
    submitted_at: str
    rows: tuple[SettlementRow, ...]
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case as it was last found. settled: the action of a person, "" while it is open;
    journal: what that booked."""

    found: DiscrepancyFound
    owner: str
    is_forwarded: bool = False
    settled: str = ""
    journal: JournalEntry | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """An open day: what is booked of fees and payouts, and its latest statement."""

    fee_fen: int = 0
    paid_fen: int = 0
    stated: DayStated | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """A closed day. late: fen by booking, of what came afterwards; paid_fen: all that is booked."""

    owed_fen: int
    closed_paid_fen: int
    paid_fen: int
    paid_on: str
    sheet_id: str
    late: dict[str, int] = field(default_factory=dict)

    @property
    def late_fen(self) -> int:
        """What came onto the clearing account after the day was closed."""
        return sum(self.late.values()) - (self.paid_fen - self.closed_paid_fen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """One channel and merchant.

    bookings: rows by booking, by day; undone: bookings that were taken back before they came;
    pending: parts of sheets by slot and sheet id; sheets: by slot (`slot_of`); is_open: something
    changed since `judged_on`.
    """

    bookings: dict[str, dict[str, SettlementRow]] = field(default_factory=dict)
    undone: tuple[str, ...] = ()
    pending: dict[str, dict[int, tuple[SettlementRow, ...]]] = field(default_factory=dict)
    sheets: dict[str, Sheet] = field(default_factory=dict)
    cases: dict[str, Case] = field(default_factory=dict)
    days: dict[str, Day] = field(default_factory=dict)
    closed: dict[str, Closed] = field(default_factory=dict)
    is_open: bool = False
    judged_on: str = ""

    def rows_of(self, kind: str) -> Iterator[SettlementRow]:
        """The rows of all sheets of a kind that stand."""
        for slot, sheet in self.sheets.items():
            if slot.startswith(f"{kind}/"):
                yield from sheet.rows

    def sheet(self, kind: str, day_on: str) -> Sheet | None:
        """The sheet that stands for a day."""
        return self.sheets.get(slot_of(kind, day_on))

    @property
    def trade_days(self) -> list[str]:
        """The days of which the channel's file is here."""
        return sorted(
            slot.partition("/")[2] for slot in self.sheets if slot.startswith(f"{TRADE}/")
        )

    @property
    def is_waiting(self) -> bool:
        """Whether a day that is not closed must be looked at again when days go by."""
        late = any(day.late_fen for day in self.closed.values())
        return bool(self.days or self.cases or self.trade_days or late)


def slot_of(kind: str, day_on: str) -> str:
    """What a sheet is of: `trade/2026-01-31`."""
    return f"{kind}/{day_on}"


def pending_key(kind: str, day_on: str, sheet_id: str) -> str:
    """Parts of one sheet."""
    return f"{slot_of(kind, day_on)}/{sheet_id}"


def evolve(state: Any, event: Any) -> Any:
    """Fold one own event into the state of its key."""
    fold = FOLDS.get(type(event))
    return fold(state or Book(), event) if fold is not None else state


def _without(known: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in known.items() if key != name}


def _booked(book: Book, event: BookingTaken) -> Book:
    day_on, name = event.row.day_on, event.booking_id
    closed = book.closed.get(day_on)
    if closed is not None:
        amount_fen = -event.row.net_fen if event.is_taken_back else event.row.net_fen
        late = {**closed.late, f"{name}/{event.is_taken_back}": amount_fen}
        kept = replace(closed, late=late)
        return replace(book, closed={**book.closed, day_on: kept}, is_open=True)
    rows = book.bookings.get(day_on, {})
    is_open = book.is_open or slot_of(TRADE, day_on) in book.sheets
    if event.is_taken_back and name in rows:
        rest = _without(rows, name)
        bookings = {**book.bookings, day_on: rest} if rest else _without(book.bookings, day_on)
        return replace(book, bookings=bookings, is_open=is_open)
    if event.is_taken_back:
        return replace(book, undone=(*book.undone, name))
    if name in book.undone:
        return replace(book, undone=tuple(each for each in book.undone if each != name))
    bookings = {**book.bookings, day_on: {**rows, name: event.row}}
    return replace(book, bookings=bookings, is_open=is_open)


def _rows_taken(book: Book, event: RowsTaken) -> Book:
    key = pending_key(event.kind, event.day_on, event.sheet_id)
    parts = {**book.pending.get(key, {}), event.part: event.rows}
    return replace(book, pending={**book.pending, key: parts})


def _file_taken(book: Book, event: FileTaken) -> Book:
    slot = slot_of(event.kind, event.day_on)
    key = pending_key(event.kind, event.day_on, event.sheet_id)
    parts, before = book.pending[key], book.sheets.get(slot)
    sheet = Sheet(
        sheet_id=event.sheet_id,
        version=event.version,
        submitted_at=event.submitted_at,
        rows=tuple(row for part in sorted(parts) for row in parts[part]),
        known=(*(before.known if before else ()), event.sheet_id),
    )
    return replace(
        book,
        pending=_without(book.pending, key),
        sheets={**book.sheets, slot: sheet},
        is_open=True,
    )


def _passed_over(book: Book, event: FilePassedOver) -> Book:
    slot = slot_of(event.kind, event.day_on)
    key = pending_key(event.kind, event.day_on, event.sheet_id)
    changed = replace(book, pending=_without(book.pending, key))
    sheet = book.sheets.get(slot)
    if sheet is None or event.sheet_id in sheet.known:
        return changed
    known = replace(sheet, known=(*sheet.known, event.sheet_id))
    return replace(changed, sheets={**book.sheets, slot: known})


def _found(book: Book, event: DiscrepancyFound) -> Book:
    before = book.cases.get(event.case_id)
    case = Case(
        found=event,
        owner=before.owner if before else event.owner,
        is_forwarded=before.is_forwarded if before else False,
    )
    return replace(book, cases={**book.cases, event.case_id: case})


def _taken_up(book: Book, event: DiscrepancyTakenUp) -> Book:
    case = replace(book.cases[event.case_id], owner=event.owner)
    return replace(book, cases={**book.cases, event.case_id: case})


def _forwarded(book: Book, event: DiscrepancyForwarded) -> Book:
    case = replace(book.cases[event.case_id], is_forwarded=True)
    return replace(book, cases={**book.cases, event.case_id: case})


def _settled(book: Book, event: DiscrepancySettled) -> Book:
    case = replace(book.cases[event.case_id], settled=event.action, journal=event.journal)
    return replace(book, cases={**book.cases, event.case_id: case}, is_open=True)


def _gone(book: Book, event: DiscrepancyGone) -> Book:
    return replace(book, cases=_without(book.cases, event.case_id))


def _fees(book: Book, event: FeesBooked) -> Book:
    day = book.days.get(event.day_on, Day())
    changed = replace(day, fee_fen=day.fee_fen + event.fee_fen)
    return replace(book, days={**book.days, event.day_on: changed})


def _payout(book: Book, event: PayoutBooked) -> Book:
    closed = book.closed.get(event.day_on)
    if closed is not None:
        kept = replace(closed, paid_fen=closed.paid_fen + event.paid_fen)
        return replace(book, closed={**book.closed, event.day_on: kept}, is_open=True)
    day = book.days.get(event.day_on, Day())
    changed = replace(day, paid_fen=day.paid_fen + event.paid_fen)
    return replace(book, days={**book.days, event.day_on: changed})


def _stated(book: Book, event: DayStated) -> Book:
    day = replace(book.days.get(event.day_on, Day()), stated=event)
    if not day.paid_fen and slot_of(TRADE, event.day_on) not in book.sheets:
        return replace(book, days=_without(book.days, event.day_on))  # a payout found its days
    return replace(book, days={**book.days, event.day_on: day})


def _day_closed(book: Book, event: DayClosed) -> Book:
    """The day's lines go, and the cases that concern closed days only."""
    day_on = event.day_on
    closed = {
        **book.closed,
        day_on: Closed(
            owed_fen=event.owed_fen,
            closed_paid_fen=event.paid_fen,
            paid_fen=event.paid_fen,
            paid_on=event.paid_on,
            sheet_id=event.sheet_id,
        ),
    }
    slot = slot_of(TRADE, day_on)
    return replace(
        book,
        bookings=_without(book.bookings, day_on),
        sheets=_without(book.sheets, slot),
        pending={key: parts for key, parts in book.pending.items() if not key.startswith(slot)},
        cases={
            name: case
            for name, case in book.cases.items()
            if not case.settled or not closed.keys() >= set(case.found.days)
        },
        days=_without(book.days, day_on),
        closed=closed,
    )


def _judged(book: Book, event: Judged) -> Book:
    """What was paid long ago is forgotten, with the statements that say so."""
    cased = {day_on for case in book.cases.values() for day_on in case.found.days}
    first_on = event.keep_from_on
    return replace(
        book,
        is_open=False,
        judged_on=event.as_of,
        closed={
            day_on: day
            for day_on, day in book.closed.items()
            if day.paid_on >= first_on or day_on in cased
        },
        sheets={
            slot: sheet
            for slot, sheet in book.sheets.items()
            if not slot.startswith(f"{BANK}/")
            or slot.partition("/")[2] >= first_on
            or slot.partition("/")[2] in cased
        },
    )


FOLDS: dict[type, Callable[[Book, Any], Book]] = {
    BookingTaken: _booked,
    RowsTaken: _rows_taken,
    FileTaken: _file_taken,
    FilePassedOver: _passed_over,
    DiscrepancyFound: _found,
    DiscrepancyTakenUp: _taken_up,
    DiscrepancyForwarded: _forwarded,
    DiscrepancySettled: _settled,
    DiscrepancyGone: _gone,
    FeesBooked: _fees,
    PayoutBooked: _payout,
    DayStated: _stated,
    DayClosed: _day_closed,
    Judged: _judged,
}

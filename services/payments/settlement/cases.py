"""Which cases a settlement has: what differs, what it leaves on the clearing account, who acts.

A case is known by what it is about (the payment, the refund, the payout), so that it is the same
case however often it is found. It is open until both sides agree, or a person settles it:

    open -> taken_up       somebody looks after it
    open -> gone           both sides agree (a callback came, the file was corrected, ...)
    open -> settled        accept: explained, nothing to book; write_off: a loss; claim: the
                           channel owes it
    settled -> gone        what it rested on changed: what was booked is taken back, and what
                           differs now is open again

Example: a row that only the channel has, of 80.00: `left_fen == {"2026-01-31": -8000}`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from services.payments.settlement import matching, payouts
from services.payments.settlement.clearing import Settlement
from services.payments.settlement.events import DiscrepancyFound
from services.payments.settlement.matching import Match
from services.payments.settlement.payouts import Payout
from services.payments.settlement.rows import REFUND, SettlementRow
from services.payments.settlement.state import Book, Closed

AFTER_CLOSE = "after_close"
AFTER_CLOSE_ACTION = "look at what was booked after its day was closed; settle it"
FORWARDED = ("lost_callback", "no_order", "refund_elsewhere")
"""Causes of rows that payments does not know of: it decides what they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A case as it is now, and the row to forward (None for none)."""

    found: DiscrepancyFound
    row: SettlementRow | None = None


def findings_of(
    settlement: Settlement, book: Book, owner: str, opened_on: str
) -> dict[str, Finding]:
    """The cases of a settlement by id."""
    made = [
        *_of_lines(settlement.matches, book, owner, opened_on),
        *_of_payouts((payout for _, payout in settlement.payouts), book, owner, opened_on),
        *_of_closed(book.closed, owner, opened_on),
    ]
    found: dict[str, Finding] = {}
    for each in made:
        name, number = each.found.case_id, 1
        while name in found:
            number += 1
            name = f"{each.found.case_id}-{number}"
        found[name] = replace(each, found=replace(each.found, case_id=name))
    return found


def _of_lines(
    matches: Iterable[Match], book: Book, owner: str, opened_on: str
) -> Iterator[Finding]:
    for match in matches:
        if not match.is_open or _waits_for_file(match, book):
            continue
        row, left = match.row, left_of(match)
        yield Finding(
            found=DiscrepancyFound(
                case_id=case_id_of("line", *_identity(row)),
                revision=1,
                outcome=match.outcome,
                cause=match.cause,
                action=matching.ACTIONS[match.cause],
                owner=owner,
                opened_on=opened_on,
                day_on=row.day_on,
                days=tuple(sorted({each.day_on for each in (match.ours, match.channel) if each})),
                transaction=row.transaction,
                order_no=row.order_no,
                refund_no=row.refund_no,
                account_no=match.ours.account_no if match.ours else "",
                ours_fen=match.ours_fen,
                channel_fen=match.channel_fen,
                left_fen=left,
            ),
            row=match.channel if _is_forwarded(match) else None,
        )


def _is_forwarded(match: Match) -> bool:
    """Also a second payment of one order: its money came, too. A line that is in the file twice is
    not money twice."""
    return match.ours is None and (
        match.cause in FORWARDED or (match.outcome, match.cause) == ("channel_only", "duplicate")
    )


def _waits_for_file(match: Match, book: Book) -> bool:
    """Ours of a day whose file is not here yet."""
    return match.channel is None and book.sheet("trade", match.row.day_on) is None


def _of_payouts(
    found: Iterable[Payout], book: Book, owner: str, opened_on: str
) -> Iterator[Finding]:
    for payout in found:
        owed_days = tuple(day.day_on for day in payout.days)
        days = owed_days or (payout.due_on,)
        if not payout.is_open or book.closed.keys() >= set(days):
            continue
        parts = payout.paid_by_day()
        left = {day.day_on: day.owed_fen - parts.get(day.day_on, 0) for day in payout.days}
        if not owed_days:
            left = {payout.due_on: -payout.paid_fen}
        yield Finding(
            found=DiscrepancyFound(
                case_id=case_id_of("payout", payout.due_on, 0 if owed_days else payout.paid_fen),
                revision=1,
                outcome=payout.outcome,
                cause=payout.outcome,
                action=payouts.ACTIONS[payout.outcome],
                owner=owner,
                opened_on=opened_on,
                day_on=payout.due_on,
                days=days,
                transaction="",
                order_no="",
                refund_no="",
                account_no="",
                ours_fen=payout.owed_fen,
                channel_fen=payout.paid_fen,
                left_fen={day_on: left_fen for day_on, left_fen in left.items() if left_fen},
            )
        )


def _of_closed(closed: dict[str, Closed], owner: str, opened_on: str) -> Iterator[Finding]:
    for day_on, day in closed.items():
        if not day.late_fen:
            continue
        yield Finding(
            found=DiscrepancyFound(
                case_id=case_id_of("closed", day_on),
                revision=1,
                outcome=AFTER_CLOSE,
                cause=AFTER_CLOSE,
                action=AFTER_CLOSE_ACTION,
                owner=owner,
                opened_on=opened_on,
                day_on=day_on,
                days=(day_on,),
                transaction="",
                order_no="",
                refund_no="",
                account_no="",
                ours_fen=day.late_fen,
                channel_fen=0,
                left_fen={day_on: day.late_fen},
            )
        )


def left_of(match: Match) -> dict[str, int]:
    """What a line leaves on the clearing accounts, by day: ours less the channel's."""
    left: dict[str, int] = {}
    if match.ours:
        left[match.ours.day_on] = match.ours_fen
    if match.channel:
        left[match.channel.day_on] = left.get(match.channel.day_on, 0) - match.channel_fen
    return {day_on: left_fen for day_on, left_fen in left.items() if left_fen}


def case_id_of(*parts: str | int) -> str:
    """16 hex digits over what a case is about."""
    return hashlib.sha256("\n".join(map(str, parts)).encode()).hexdigest()[:16]


def _identity(row: SettlementRow) -> tuple[str | int, ...]:
    refund = (row.refund_no or row.refund_id) if row.kind == REFUND else ""
    if row.transaction:
        return row.channel, row.merchant, row.kind, row.transaction, refund
    return row.channel, row.merchant, row.kind, row.order_no, row.rrn, row.amount_fen, row.at

"""Which days of a channel and merchant are done, so that their lines can be forgotten.

A day is done when its file is here, its payout came (or a person settled that it did not), no case
of it is open and nothing of ours waits for the next file. Days that share a payment or a payout are
done together.

Example: a payment of 23:59 that the channel has on the next day holds both days until the next
day's payout came.
"""

from __future__ import annotations

from collections.abc import Iterable

from services.payments.settlement.clearing import Settlement
from services.payments.settlement.matching import REVERSED
from services.payments.settlement.payouts import Payout
from services.payments.settlement.state import Book

AWAITED = "payout_awaited"
NOT_YET = "not_in_file_yet"


def days_done(book: Book, settlement: Settlement, as_of: str) -> list[str]:
    """The days that can be closed on a day, in their order; none before its payout is due."""
    blocked = {day for case in book.cases.values() if not case.settled for day in case.found.days}
    links: list[set[str]] = []
    reversed_on: dict[str, set[str]] = {}
    for match in settlement.matches:
        days = {row.day_on for row in (match.ours, match.channel) if row}
        if match.cause == NOT_YET:
            blocked |= days
        if match.cause == REVERSED:
            reversed_on.setdefault(match.row.transaction, set()).update(days)
        if len(days) > 1:
            links.append(days)
    links += reversed_on.values()
    for _, payout in settlement.payouts:
        days = {day.day_on for day in payout.days}
        if payout.outcome == AWAITED or payout.due_on > as_of:
            blocked |= days
        links.append(days)
    done = {day_on for day_on in book.trade_days if day_on not in blocked}
    return sorted(_closed_under(done, links, book.closed))


def payouts_by_day(settlement: Settlement) -> dict[str, Payout]:
    """The payout that each day belongs to."""
    return {day.day_on: payout for _, payout in settlement.payouts for day in payout.days}


def _closed_under(done: set[str], links: Iterable[set[str]], closed: Iterable[str]) -> set[str]:
    """The days of which every linked day is done or closed already."""
    known, shared = set(closed), tuple(links)
    while True:
        fine = done | known
        left = {day_on for day_on in done if all(days <= fine for days in shared if day_on in days)}
        if left == done:
            return done
        done = left

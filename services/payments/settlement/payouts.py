"""What the bank got against what the channel owes for its days: T+1, over holidays, late, merged.

A channel pays the days whose payout falls on the same working day together, net of its fees:
Friday to Sunday on Monday, the days of a long holiday on the first working day after it. A payout
belongs to the days that were due on its day; else, when the amount says so, to days that were due
before (late), or to several of them at once. What does not fit is a difference, with its cause.

Example: 2026-02-13 is due on 2026-02-24 with the whole spring holiday; what came on 2026-02-25 with
the same amount is `payout_late`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from services.payments.settlement.matching import MatchRules
from services.payments.settlement.rows import PAYOUT, SettlementRow

PAID = "paid"
OUTCOMES = (PAID, "payout_late", "fee", "payout_amount", "payout_awaited", "payout_missing")
"""Of days that are due together; `fee`: the difference is exactly the fees of these days."""
UNKNOWN = "payout_unknown"
"""Of a payout that belongs to no days."""
ACTIONS = {
    PAID: "none",
    "payout_late": "none; claim interest where it is agreed",
    "fee": "the channel charges its fees apart: book its fee note",
    "payout_amount": "ask the channel for the lines of this payout",
    "payout_awaited": "wait",
    "payout_missing": "ask the channel where the money is",
    UNKNOWN: "ask the channel which days it paid",
}
CLOSED = (PAID, "payout_late", "payout_awaited")


@dataclass(frozen=True, slots=True, kw_only=True)
class OwedDay:
    """What a channel owes for one of its days: settled amounts net of refunds, and its fees."""

    day_on: str
    settled_fen: int
    fee_fen: int

    @property
    def owed_fen(self) -> int:
        """What it must pay out."""
        return self.settled_fen - self.fee_fen


@dataclass(frozen=True, slots=True, kw_only=True)
class Payout:
    """Days that are due together, and what the bank got for them.

    Without days it is money on the bank that belongs to none (`payout_unknown`), on `due_on`.
    """

    due_on: str
    days: tuple[OwedDay, ...]
    outcome: str
    paid_on: str = ""
    paid_fen: int = 0

    @property
    def owed_fen(self) -> int:
        """What the days owe together."""
        return sum(day.owed_fen for day in self.days)

    @property
    def difference_fen(self) -> int:
        """Owed but not paid; below 0: paid but not owed."""
        return self.owed_fen - self.paid_fen

    @property
    def is_open(self) -> bool:
        """Whether a person must look at it."""
        return self.outcome not in CLOSED

    def paid_by_day(self) -> dict[str, int]:
        """What was paid of each day; a difference lies on the last."""
        if not self.days:
            return {self.due_on: self.paid_fen}
        if not self.paid_on:
            return {}
        parts = {day.day_on: day.owed_fen for day in self.days}
        parts[self.days[-1].day_on] -= self.difference_fen
        return parts


@dataclass(slots=True)
class _Bank:
    """The payouts of one channel and merchant that belong to no days yet, by day."""

    rows: dict[str, list[int]] = field(default_factory=dict)

    def total(self, day_on: str) -> int | None:
        found = self.rows.get(day_on)
        return sum(found) if found else None

    def take(self, day_on: str, amount_fen: int) -> bool:
        """One payout, or all of a day, of exactly this amount."""
        found = self.rows.get(day_on, [])
        if amount_fen in found:
            found.remove(amount_fen)
            return True
        if found and sum(found) == amount_fen:
            found.clear()
            return True
        return False


def assign_payouts(
    owed: Iterable[OwedDay], bank: Iterable[SettlementRow], rules: MatchRules, as_of: str
) -> tuple[Payout, ...]:
    """The payouts of one channel and merchant, by the day they were due; `as_of` is a day.

    What fits exactly goes first, then what fits late, then what pays several at once; a payout that
    is left goes to the days due on its day with a difference, or to none.
    """
    due: dict[str, list[OwedDay]] = {}
    for day in sorted(owed, key=lambda each: each.day_on):
        due.setdefault(rules.calendar.after(day.day_on, rules.payout_workdays), []).append(day)
    money = _Bank()
    for row in sorted(bank, key=lambda each: (each.day_on, each.amount_fen)):
        if row.kind == PAYOUT:
            money.rows.setdefault(row.day_on, []).append(row.amount_fen)
    found = _paid_exactly(due, money, rules)
    found |= _paid_at_once(due, money, found, rules)
    for due_on, days in due.items():
        if due_on not in found:
            found[due_on] = _with_difference(due_on, tuple(days), money, rules, as_of)
    rest = [
        Payout(due_on=day_on, days=(), outcome=UNKNOWN, paid_on=day_on, paid_fen=amount_fen)
        for day_on, amounts in money.rows.items()
        for amount_fen in amounts
    ]
    return tuple(sorted((*found.values(), *rest), key=lambda each: (each.due_on, each.paid_fen)))


def _payout(due_on: str, days: Iterable[OwedDay], outcome: str, paid_on: str) -> Payout:
    """Paid to the fen."""
    whole = tuple(days)
    paid_fen = sum(day.owed_fen for day in whole)
    return Payout(due_on=due_on, days=whole, outcome=outcome, paid_on=paid_on, paid_fen=paid_fen)


def _paid_exactly(
    due: Mapping[str, list[OwedDay]], money: _Bank, rules: MatchRules
) -> dict[str, Payout]:
    """On the day it was due first, for all days; then late."""
    found: dict[str, Payout] = {}
    for due_on, days in due.items():
        owed_fen = sum(day.owed_fen for day in days)
        if owed_fen == 0 or money.take(due_on, owed_fen):
            found[due_on] = _payout(due_on, days, PAID, due_on)
    for due_on, days in due.items():
        owed_fen = sum(day.owed_fen for day in days)
        last_on = rules.calendar.after(due_on, rules.late_workdays)
        for paid_on in () if due_on in found else sorted(money.rows):
            if due_on < paid_on <= last_on and money.take(paid_on, owed_fen):
                found[due_on] = _payout(due_on, days, "payout_late", paid_on)
                break
    return found


def _paid_at_once(
    due: Mapping[str, list[OwedDay]],
    money: _Bank,
    found: Mapping[str, Payout],
    rules: MatchRules,
) -> dict[str, Payout]:
    """Several days that were due, paid by one payout on the day the last of them was due or late:
    a holiday that the calendar does not have."""
    merged: dict[str, Payout] = {}
    for paid_on in sorted(money.rows):
        pending = [
            due_on
            for due_on in due
            if due_on not in found
            and due_on not in merged
            and due_on <= paid_on <= rules.calendar.after(due_on, rules.late_workdays)
        ]
        owed_fen = sum(day.owed_fen for due_on in pending for day in due[due_on])
        if len(pending) > 1 and money.take(paid_on, owed_fen):
            for due_on in pending:
                outcome = PAID if due_on == paid_on else "payout_late"
                merged[due_on] = _payout(due_on, due[due_on], outcome, paid_on)
    return merged


def _with_difference(
    due_on: str, days: tuple[OwedDay, ...], money: _Bank, rules: MatchRules, as_of: str
) -> Payout:
    paid_fen = money.total(due_on)
    if paid_fen is None:
        last_on = rules.calendar.after(due_on, rules.late_workdays)
        outcome = "payout_missing" if last_on < as_of else "payout_awaited"
        return Payout(due_on=due_on, days=days, outcome=outcome)
    money.rows.pop(due_on)
    fee_fen = sum(day.fee_fen for day in days)
    more_fen = paid_fen - sum(day.owed_fen for day in days)
    outcome = "fee" if more_fen == fee_fen else "payout_amount"
    return Payout(due_on=due_on, days=days, outcome=outcome, paid_on=due_on, paid_fen=paid_fen)

"""Everything that is open of one channel and merchant, matched as of a day.

The calculations are those of `payments match` (clearing.settle); here their result is compared with
what was told before, and only what changed is told. Fees and payouts are booked as differences, so
that a corrected file or a late statement corrects the books.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from libs.events.core import Emit
from services.payments import journal
from services.payments.bookings import place_of
from services.payments.days import add_days
from services.payments.order_number import account_of
from services.payments.settlement.cases import Finding, findings_of
from services.payments.settlement.clearing import ClearingDay, Settlement, settle
from services.payments.settlement.closing import days_done, payouts_by_day
from services.payments.settlement.events import (
    NOTICES,
    DayClosed,
    DayStated,
    DiscrepancyForwarded,
    DiscrepancyGone,
    FeesBooked,
    Judged,
    PayoutBooked,
    RowFound,
)
from services.payments.settlement.policy import SettlementPolicy
from services.payments.settlement.requests import BANK, TRADE
from services.payments.settlement.rows import FEE, SettlementRow
from services.payments.settlement.state import Book, Case, Day, evolve


class Judging:
    """One judgement. Not shared, not kept: it lives as long as the decision."""

    def __init__(self, book: Book, key: str, as_of: str, policy: SettlementPolicy) -> None:
        self.book = book
        self.channel, self.merchant, _ = place_of(f"{key}:")
        self.as_of = as_of
        self.policy = policy
        self.emits: list[Emit] = []

    def note(self, event: Any) -> None:
        """An own event; the book follows it."""
        self.emits.append(Emit(event))
        self.book = evolve(self.book, event)

    def clearing(self, day_on: str) -> str:
        """The sub-account of a day."""
        return journal.clearing_of(self.channel, self.merchant, day_on)


def judge(book: Book, key: str, as_of: str, policy: SettlementPolicy) -> Sequence[Emit]:
    """What follows from all bookings and sheets: cases, bookings, statements, closed days."""
    draft = Judging(book, key, as_of, policy)
    settlement = _settled(draft)
    findings = findings_of(settlement, book, policy.owner, as_of)
    _drop_cases(draft, findings)
    _tell_cases(draft, findings)
    days = _days(draft, settlement)
    for day in days:
        _book_fees(draft, day)
        _book_payout(draft, day, settlement)
    for day in days:
        _state(draft, day)
    for day_on in days_done(draft.book, settlement, as_of):
        _close(draft, day_on, settlement)
    draft.note(Judged(as_of=as_of, keep_from_on=add_days(as_of, -policy.keep_days)))
    return draft.emits


def _settled(draft: Judging) -> Settlement:
    """All three sides; a closed day is what it owed, a day without trade is a day all the same."""
    book = draft.book
    ours = [row for rows in book.bookings.values() for row in rows.values()]
    theirs = [
        *book.rows_of(TRADE),
        *(_summary(draft, day_on, -day.owed_fen) for day_on, day in book.closed.items()),
        *(_summary(draft, day_on, 0) for day_on in book.trade_days),
    ]
    return settle(ours, theirs, tuple(book.rows_of(BANK)), draft.policy.rules, draft.as_of)


def _days(draft: Judging, settlement: Settlement) -> list[ClearingDay]:
    """The days of the settlement, and those that it had before and has no more: nothing of them is
    left, and what was booked must go."""
    found = {day.day_on: day for day in settlement.days}
    for day_on in draft.book.days.keys() - found.keys():
        found[day_on] = ClearingDay(
            channel=draft.channel,
            merchant=draft.merchant,
            day_on=day_on,
            ours_fen=0,
            channel_fen=0,
            fee_fen=0,
            paid_fen=0,
            causes={},
        )
    return [found[day_on] for day_on in sorted(found)]


def _summary(draft: Judging, day_on: str, fee_fen: int) -> SettlementRow:
    """A row that makes a day owe so much less."""
    return SettlementRow(
        channel=draft.channel,
        merchant=draft.merchant,
        day_on=day_on,
        kind=FEE,
        transaction="",
        amount_fen=fee_fen,
        settled_fen=fee_fen,
        at="",
    )


# -- cases ----------------------------------------------------------------------------------------


def _drop_cases(draft: Judging, findings: dict[str, Finding]) -> None:
    """Cases that are none any more; what a person settled of another content is taken back."""
    for name, case in sorted(draft.book.cases.items()):
        finding = findings.get(name)
        if finding is None:
            how = "captured_from_file" if case.is_forwarded else "agrees"
            draft.note(_gone(case, how))
        elif case.settled and not _is_same(case, finding):
            draft.note(_gone(case, "differs"))


def _gone(case: Case, how: str) -> DiscrepancyGone:
    return DiscrepancyGone(
        case_id=case.found.case_id,
        how=how,
        left_fen=case.found.left_fen if case.journal else {},
        journal=journal.reversal(case.journal) if case.journal else None,
    )


def _tell_cases(draft: Judging, findings: dict[str, Finding]) -> None:
    """Cases that are new or have another content; a row that only the channel has goes on, once."""
    for name, finding in sorted(findings.items()):
        case = draft.book.cases.get(name)
        if case is None:
            draft.note(finding.found)
        elif not _is_same(case, finding):
            before = case.found
            again = replace(finding.found, revision=before.revision + 1, opened_on=before.opened_on)
            draft.note(again)
        if finding.row is not None and not draft.book.cases[name].is_forwarded:
            _forward(draft, name, finding.row)


def _is_same(case: Case, finding: Finding) -> bool:
    before = case.found
    return finding.found == replace(
        before,
        revision=finding.found.revision,
        opened_on=finding.found.opened_on,
        owner=finding.found.owner,
    )


def _forward(draft: Judging, case_id: str, row: SettlementRow) -> None:
    evidence_id = f"file:{case_id}"
    key = account_of(row.order_no) or f"{row.channel}:{row.transaction or evidence_id}"
    found = RowFound(row=row, case_id=case_id, evidence_id=evidence_id)
    draft.emits.append(Emit(found, topic=NOTICES, key=key))
    draft.note(DiscrepancyForwarded(case_id=case_id, evidence_id=evidence_id))


# -- fees, payouts --------------------------------------------------------------------------------


def _book_fees(draft: Judging, day: ClearingDay) -> None:
    """What the fees of a day changed by; those of a closed day are final."""
    if day.day_on in draft.book.closed:
        return
    fee_fen = day.fee_fen - draft.book.days.get(day.day_on, Day()).fee_fen
    if fee_fen:
        entry = journal.channel_fee(clearing=draft.clearing(day.day_on), fee_fen=fee_fen)
        draft.note(FeesBooked(day_on=day.day_on, fee_fen=fee_fen, journal=entry))


def _book_payout(draft: Judging, day: ClearingDay, settlement: Settlement) -> None:
    """What the bank got for a day, as a difference to what is booked."""
    known = draft.book.closed.get(day.day_on) or draft.book.days.get(day.day_on, Day())
    paid_fen = day.paid_fen - known.paid_fen
    if not paid_fen:
        return
    payout = payouts_by_day(settlement).get(day.day_on)
    entry = journal.payout(
        clearing=draft.clearing(day.day_on),
        bank=draft.policy.bank,
        net_fen=paid_fen,
        fee_fen=0,
    )
    booked = PayoutBooked(
        day_on=day.day_on,
        paid_fen=paid_fen,
        paid_on=payout.paid_on if payout else day.day_on,
        outcome=payout.outcome if payout else "payout_unknown",
        journal=entry,
    )
    draft.note(booked)


# -- statements -----------------------------------------------------------------------------------


def _state(draft: Judging, day: ClearingDay) -> None:
    """A day with a file or money: what is left of it and why, when that changed."""
    is_there = day.day_on in draft.book.days or draft.book.sheet(TRADE, day.day_on) is not None
    if day.day_on in draft.book.closed or not is_there:
        return
    causes = dict(_causes(draft.book, day))
    stated = DayStated(
        day_on=day.day_on,
        ours_fen=day.ours_fen,
        channel_fen=day.channel_fen,
        fee_fen=day.fee_fen,
        paid_fen=day.paid_fen,
        clearing_fen=sum(causes.values()),
        causes=causes,
    )
    if stated != draft.book.days.get(day.day_on, Day()).stated:
        draft.note(stated)


def _causes(book: Book, day: ClearingDay) -> Iterator[tuple[str, int]]:
    """Why something is left, with what people settled (below 0: it was taken off the account)."""
    yield from sorted(day.causes.items())
    settled: dict[str, int] = {}
    for case in book.cases.values():
        if case.journal is not None:
            left_fen = case.found.left_fen.get(day.day_on, 0)
            settled[case.settled] = settled.get(case.settled, 0) - left_fen
    yield from ((name, amount_fen) for name, amount_fen in sorted(settled.items()) if amount_fen)


def _close(draft: Judging, day_on: str, settlement: Settlement) -> None:
    stated = draft.book.days[day_on].stated
    sheet = draft.book.sheet(TRADE, day_on)
    payout = payouts_by_day(settlement)[day_on]
    assert stated is not None, f"{day_on} is closed without a statement"
    assert sheet is not None, f"{day_on} is closed without a file"
    owed_fen = next(day.owed_fen for day in payout.days if day.day_on == day_on)
    draft.note(
        DayClosed(
            day_on=day_on,
            clearing_fen=stated.clearing_fen,
            causes=stated.causes,
            owed_fen=owed_fen,
            paid_fen=stated.paid_fen,
            paid_on=payout.paid_on or payout.due_on,
            sheet_id=sheet.sheet_id,
        )
    )

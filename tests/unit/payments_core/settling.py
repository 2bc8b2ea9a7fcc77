"""The settlement stage without a log: every input is decided at once, and what follows is kept.

desk = Desk()
desk.book("T1", 10000, order=ORDER)          a booking of the core
desk.bill("2026-01-31", row("T1", 10000))    a channel's file of a day
desk.bank("2026-02-02", 9940)                what the bank got
desk.tick("2026-02-02")                      everything that is due
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, TypeVar

from libs.events.core import Emit, Item, Tick
from services.payments.bookings import BookingNoted
from services.payments.days import day_end
from services.payments.journal import JournalEntry, sub_balances
from services.payments.settlement import decide as decisions
from services.payments.settlement.policy import DEFAULT_POLICY, SettlementPolicy
from services.payments.settlement.requests import BANK, TRADE, DiscrepancyDecided
from services.payments.settlement.rows import CAPTURE, PAYOUT, SettlementRow
from services.payments.settlement.sheets import FileFacts, parts_of
from services.payments.settlement.state import Book, evolve
from tests.unit.payments_core.world import A, order_of

T = TypeVar("T")
MERCHANT = "1900000001"
KEY = f"wechat:{MERCHANT}"
DAY = "2026-01-30"  # a Friday
ORDER = order_of(A)


def row(
    txn: str, amount_fen: int, *, day_on: str = DAY, order: str = "", fee_fen: int = 0, **more: Any
) -> SettlementRow:
    """A line of the channel's file, or of our books."""
    return SettlementRow(
        **{
            "channel": "wechat",
            "merchant": MERCHANT,
            "day_on": day_on,
            "kind": CAPTURE,
            "transaction": txn,
            "amount_fen": amount_fen,
            "settled_fen": amount_fen,
            "at": f"{day_on}T02:00:00Z",
            "order_no": order,
            "fee_fen": fee_fen,
            **more,
        }
    )


class Desk:
    """One key of the stage."""

    def __init__(self, policy: SettlementPolicy = DEFAULT_POLICY) -> None:
        self.policy = policy
        self.state: Book | None = None
        self.told_all: list[Any] = []
        self.sent: list[Emit] = []
        self.booked: list[JournalEntry] = []
        self.number = 0

    def get(self, key: str) -> Any:
        return self.state

    def take(self, body: Any, key: str = KEY) -> list[Any]:
        """Decide one input; the own events that follow."""
        emits = decisions.decide(self, key, Item("in", 0, key, "", body, ""), self.policy)
        for emit in emits:
            if emit.topic:
                self.sent.append(emit)
            else:
                self.state = evolve(self.state, emit.body)
                self.told_all.append(emit.body)
        return [emit.body for emit in emits if not emit.topic]

    def book(
        self, txn: str, amount_fen: int, *, name: str = "", back: bool = False, **more: Any
    ) -> None:
        """A booking of the core, as it reaches the stage and stands in the journal."""
        line = row(txn, amount_fen, **more)
        booking = BookingNoted(
            booking_id=name or f"wechat:{txn}", row=line, source="callback", is_taken_back=back
        )
        self.take(booking)

    def bill(self, day_on: str, *rows: SettlementRow, at: str = "", kind: str = TRADE) -> None:
        """A channel's file of a day; a later one is a new version."""
        self.number += 1
        facts = FileFacts(
            kind=kind,
            file_sha256=f"{self.number}",
            name=f"{day_on}.csv",
            submitted_at=at or f"2026-03-01T00:00:{self.number:02d}Z",
            submitted_by="wang",
        )
        place = None if rows else ("wechat", MERCHANT, day_on)
        for part in parts_of(rows, facts, place):
            self.take(part)

    def bank(self, day_on: str, *amounts: int) -> None:
        """What the bank got on a day."""
        rows = (row("", amount, day_on=day_on, kind=PAYOUT) for amount in amounts)
        self.bill(day_on, *rows, kind=BANK)

    def decide(self, case_id: str, action: str, **changes: Any) -> list[Any]:
        """A person decides."""
        request = DiscrepancyDecided(
            request_id="r1",
            channel="wechat",
            merchant=MERCHANT,
            case_id=case_id,
            action=action,
            by="wang",
            reason="asked",
            evidence="slip 7",
        )
        return self.take(replace(request, **changes))

    def tick(self, day_on: str) -> list[Any]:
        """24:00 of a day, when something is due by then."""
        due = decisions.due(self.state or Book())
        at = day_end(day_on)
        return self.take(Tick(at=at)) if due and due <= at else []

    def told(self, kind: type[T]) -> list[T]:
        return [body for body in self.told_all if isinstance(body, kind)]

    def own_clearing(self) -> dict[str, int]:
        """What the stage itself booked onto clearing accounts, by day."""
        entries = [each.journal for each in self.told_all if getattr(each, "journal", None)]
        found = sub_balances(entries, "channel_clearing")
        return {name.rpartition(":")[2]: amount for name, amount in found.items()}

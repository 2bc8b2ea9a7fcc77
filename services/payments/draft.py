"""The events of one decision as they are decided, with the state they lead to.

draft = Draft(entry, "1000000042", "2026-03-02T02:00:00Z", policy)
draft.note(PaymentCaptured(...))     an own event; draft.account follows it
draft.send(claim, NOTICES, key)      an event for another key
draft.moved("payment_captured")      tells how the account stands now
draft.emits                          what the decision yields
"""

from __future__ import annotations

from typing import Any

from libs.events.core import Emit
from services.payments.allocation import Spread, spread
from services.payments.bookings import POSTINGS, BookingNoted, place_of, settlement_key
from services.payments.days import day_of
from services.payments.events import BalanceChanged, ClearanceWithdrawn
from services.payments.money_back import MoneyBack
from services.payments.policy import Policy
from services.payments.prepaid_balance import available, open_fen, warnings
from services.payments.seen import Seen, find
from services.payments.settlement.rows import CAPTURE, REFUND, SettlementRow
from services.payments.state import Account, Entry, Page, evolve

NOTICES = "payments.notices"
TRANSFERS = "payments.transfers"
ALLOCATIONS = "payments.allocations"


class Draft:
    """One decision about one key. Not shared, not kept: it lives as long as the decision."""

    def __init__(self, entry: Entry | None, key: str, at: str, policy: Policy) -> None:
        self.entry = entry
        self.key = key
        self.at = at
        self.policy = policy
        self.emits: list[Emit] = []

    @property
    def account(self) -> Account:
        """The account as it stands after the events so far."""
        return (self.entry.account if self.entry else None) or Account()

    @property
    def page(self) -> Page:
        """The page as it stands after the events so far."""
        return (self.entry.page if self.entry else None) or Page()

    @property
    def today_on(self) -> str:
        """The day of the decision in the utility's zone."""
        return day_of(self.at)

    def note(self, event: Any) -> None:
        """An own event."""
        self.emits.append(Emit(event))
        self.entry = evolve(self.entry, event)

    def send(self, event: Any, topic: str, key: str) -> None:
        """An event for another key."""
        self.emits.append(Emit(event, topic=topic, key=key))

    def booked(
        self,
        booking_id: str,
        clearing: str,
        amount_fen: int,
        *,
        payment_id: str,
        kind: str = CAPTURE,
        at: str = "",
        source: str = "",
        is_taken_back: bool = False,
        order_no: str = "",
        refund_no: str = "",
        refund_id: str = "",
        rrn: str = "",
        account_no: str = "",
    ) -> None:
        """A booking on a clearing account, told to the settlement stage; without one, nothing.

        payment_id: `channel:transaction`; at: the channel's time; the rest is what else the row
        has, "" for what it has not.
        """
        if not clearing:
            return
        channel, merchant, day_on = place_of(clearing)
        row = SettlementRow(
            channel=channel,
            merchant=merchant,
            day_on=day_on,
            kind=kind,
            transaction=payment_id.partition(":")[2],
            amount_fen=amount_fen,
            settled_fen=amount_fen,
            at=at,
            order_no=order_no,
            refund_no=refund_no,
            refund_id=refund_id,
            rrn=rrn,
            account_no=account_no,
        )
        booking = BookingNoted(
            booking_id=booking_id, row=row, source=source, is_taken_back=is_taken_back
        )
        self.send(booking, POSTINGS, settlement_key(channel, merchant))

    def booked_back(
        self, back: MoneyBack, amount_fen: int, *, place: str, is_taken_back: bool = False
    ) -> None:
        """What the channel took back, told to the settlement stage.

        place: who gave it, the account or the suspense: when an account takes over what a suspense
        gave, the one is taken back and the other told, and a closed day is not touched by it.
        """
        self.booked(
            f"{back.payment_id}/back/{back.back_id}/{place}",
            back.clearing,
            amount_fen,
            payment_id=back.booked_as,
            kind=REFUND,
            refund_no=back.refund_no,
            is_taken_back=is_taken_back,
        )

    def taken(self, kind: str, name: str) -> Seen | None:
        """What the account took already under this id."""
        return find(self.account.seen, kind, name)

    def spread(self, amount_fen: int) -> Spread:
        """Where money that comes now goes: oldest debt first, the rest is prepaid."""
        return spread(amount_fen, self.account.debts)

    def moved(self, reason: str, payment_id: str = "") -> None:
        """Money moved: take back what may not stand any more, and tell how the account stands.

        A clearance that is granted and still valid is withdrawn in the decision that settles its
        debt, so no later input can come between the money and the withdrawal. The balance follows:
        who reads it first brings the point back, and cannot tell any more that it was crossed.
        """
        self.withdraw_settled(payment_id)
        account = self.account
        self.note(
            BalanceChanged(
                account_no=self.key,
                prepayment_fen=account.prepayment_fen,
                receivable_fen=account.receivable_fen,
                overdue_fen=sum(debt.open_fen for debt in account.overdue(self.today_on)),
                debts=account.debts,
                reason=reason,
                as_of=self.at,
                payable_fen=account.payable_fen,
            )
        )
        self.tell_available(reason)

    def withdraw_settled(self, payment_id: str) -> None:
        """Take back the clearances whose debt is settled now and that are still valid."""
        account = self.account
        for clearance in account.clearances:
            is_settled = open_fen(account, clearance, self.today_on) <= clearance.threshold_fen
            if is_settled and self.at <= clearance.valid_until_at:
                self.note(
                    ClearanceWithdrawn(
                        clearance_id=clearance.clearance_id,
                        account_no=self.key,
                        payment_id=payment_id,
                    )
                )

    def tell_available(self, reason: str) -> None:
        """What an account that pays ahead has left now, and whether it is low; else nothing."""
        told = available(self.account, self.key, reason, self.at, self.today_on)
        if told is None:
            return
        self.note(told)
        for low in list(warnings(self.account, told, self.today_on)):
            self.note(low)

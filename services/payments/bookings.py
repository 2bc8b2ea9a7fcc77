"""Every movement on a channel's clearing account, told to the settlement stage as it is booked.

A capture, money in suspense, a refund and what takes one of them back is one `booking_noted` in
payments.postings, by channel and merchant, with the row that the channel's file should have too.

Example: the capture of `wechat:4200...` for 1000000042 is booked as `wechat:4200.../1000000042`.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.payments.events import catalogue
from services.payments.settlement.rows import SettlementRow

POSTINGS = "payments.postings"


@catalogue.event("payments.booking_noted")
@dataclass(frozen=True, slots=True, kw_only=True)
class BookingNoted:
    """A booking on a clearing account, or (`is_taken_back`) that the booking of this id is undone.

    row: as the channel should state it; `account_no` is "" for suspense. source: how we heard of it
    (callback, file, ...).
    """

    booking_id: str
    row: SettlementRow
    source: str
    is_taken_back: bool = False


def settlement_key(channel: str, merchant: str) -> str:
    """The key of the settlement stage: `wechat:1900000001`."""
    return f"{channel}:{merchant}"


def place_of(clearing: str) -> tuple[str, str, str]:
    """Channel, merchant and bill day of a clearing sub-account (journal.clearing_of)."""
    channel, _, rest = clearing.partition(":")
    merchant, _, day_on = rest.rpartition(":")
    return channel, merchant, day_on

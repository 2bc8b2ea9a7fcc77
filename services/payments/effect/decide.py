"""Whether a command is sent to a channel, only asked about, and what the answer is.

    payments.commands -> channel_attempted, then channel_answered

A command that moves money or closes an order is sent once. After a crash between the written
attempt and its answer the channel is only asked what became of it, and a refund that was sent once
is never sent under another command either. When to ask again is decided by payments.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from libs.events.core import Emit, Item, View
from libs.events.effects import TooLate
from services.payments.effect.events import ChannelAttempted
from services.payments.effect.reactions import ChannelAsked
from services.payments.effect.state import Desk
from services.payments.notices import NoticeReceived
from services.payments.order_events import NOT_SENT, REFUND, ChannelAnswered
from services.payments.seen import find


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What to do in the world: the command, or only a look at what became of it."""

    asked: ChannelAsked
    is_look: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the channel said, as in `ChannelAnswered`. looked: nothing was sent but a question."""

    outcome: str
    code: str = ""
    cause: str = ""
    detail: str = ""
    received: NoticeReceived | None = None
    looked: bool = False


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """What is written before the channel is called."""
    asked = item.body
    if not isinstance(asked, ChannelAsked):
        return []
    desk: Desk = view.get(key) or Desk()
    attempt = desk.attempt
    if attempt is not None:
        assert attempt.command_id == asked.command_id, "one command is in hand at a time"
        return []  # taken up again after a crash: it is only asked about
    was_sent = asked.kind == REFUND and find(desk.sent, REFUND, asked.refund_no) is not None
    return [
        Emit(
            ChannelAttempted(
                command_id=asked.command_id,
                kind=asked.kind,
                account_no=asked.account_no,
                out_trade_no=asked.out_trade_no,
                refund_no=asked.refund_no,
                is_look=was_sent,
                attempted_at=item.at or asked.asked_at,
            )
        )
    ]


def action(view: View, key: str, item: Item, fresh: bool) -> Call | None:
    """Send a fresh command; ask about one that may have been sent before."""
    desk: Desk = view.get(key) or Desk()
    if desk.attempt is None:
        return None
    return Call(asked=item.body, is_look=desk.attempt.is_look or not fresh)


def conclude(view: View, key: str, item: Item, result: object) -> Sequence[Emit]:
    """The answer as an event; a command that came too late to the wire was not sent."""
    if isinstance(result, TooLate):
        detail = f"{result.waited_s:.1f} s passed between the written attempt and the wire"
        result = Outcome(outcome=NOT_SENT, detail=detail)
    assert isinstance(result, Outcome)
    asked: ChannelAsked = item.body
    return [
        Emit(
            ChannelAnswered(
                command_id=asked.command_id,
                kind=asked.kind,
                account_no=asked.account_no,
                out_trade_no=asked.out_trade_no,
                refund_no=asked.refund_no,
                outcome=result.outcome,
                code=result.code,
                cause=result.cause,
                detail=result.detail,
                looked=result.looked,
                received=result.received,
            )
        )
    ]

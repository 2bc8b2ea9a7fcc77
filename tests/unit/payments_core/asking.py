"""Orders in the world of payments, and channels that answer as a test wants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.payments.order_events import ANSWERED, ChannelAnswered, ChannelAsked, OrderOpened
from tests.unit.payments_core.world import A, World, order_of, received

ORDER = order_of(A, "26030007")
MERCHANT = "1900000001"


def opened(order: str = ORDER, amount_fen: int = 10000, **changes: Any) -> OrderOpened:
    """What the edge writes of a new order."""
    values: dict[str, Any] = {
        "out_trade_no": order,
        "account_no": order[:10],
        "channel": "wechat",
        "merchant": MERCHANT,
        "amount_fen": amount_fen,
        "opened_by": "app",
        **changes,
    }
    return OrderOpened(**values)


def open_order(world: World, order: str = ORDER, amount_fen: int = 10000, **changes: Any) -> None:
    """Open an order and decide it."""
    body = opened(order, amount_fen, **changes)
    world.feed("payments.notices", order[:10], body)
    world.run()


def answer_to(asked: ChannelAsked, outcome: str, **changes: Any) -> ChannelAnswered:
    """An answer without a statement."""
    values: dict[str, Any] = {
        "command_id": asked.command_id,
        "kind": asked.kind,
        "account_no": asked.account_no,
        "out_trade_no": asked.out_trade_no,
        "refund_no": asked.refund_no,
        "outcome": outcome,
        "code": "",
        "cause": "",
        "detail": "",
        "looked": False,
        "received": None,
        **changes,
    }
    return ChannelAnswered(**values)


def states(asked: ChannelAsked, txn: str, amount_fen: int, **changes: Any) -> ChannelAnswered:
    """An answer that states something: money by default."""
    code = changes.pop("code", "SUCCESS")
    cause = changes.pop("cause", "")
    said = received(
        txn, amount_fen, asked.out_trade_no, evidence_id=f"q/{asked.command_id}", **changes
    )
    assert said.notice is not None
    said = replace(said, source="query", notice=replace(said.notice, state=code))
    return answer_to(asked, ANSWERED, code=code, cause=cause, received=said)


def asked_of(world: World) -> list[ChannelAsked]:
    """All that channels were asked so far."""
    return world.told(ChannelAsked)


def give(world: World, answer: ChannelAnswered) -> list[Any]:
    """Let an answer arrive; the own events it led to."""
    world.feed("payments.results", answer.account_no, answer)
    return world.run()


def at(world: World, instant: str) -> list[Any]:
    """Let time pass; the own events of it."""
    world.tick(instant)
    return world.run()

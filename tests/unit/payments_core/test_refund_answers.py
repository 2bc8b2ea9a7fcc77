"""Refunds at a channel: told once, asked about until they end, a work item where it says no."""

from __future__ import annotations

from typing import Any

import pytest

from services.payments.order_events import ChannelAsked
from services.payments.refund_events import (
    RefundDecided,
    RefundFactRefused,
    RefundNoted,
    RefundOpened,
    RefundRequested,
    RefundSucceeded,
)
from tests.unit.payments_core.asking import (
    MERCHANT,
    answer_to,
    asked_of,
    at,
    give,
    open_order,
    states,
)
from tests.unit.payments_core.world import A, World, order_of, received

ORDER = order_of(A)


def refunded(channel: str = "wechat", **changes: Any) -> World:
    """100.00 were paid; 6.00 of it are to go back, approved at 02:00."""
    world = World()
    world.take(received("T1", 10000, ORDER, channel=channel))
    world.run()
    values: dict[str, Any] = {
        "refund_no": "RF1",
        "account_no": A,
        "payment_id": f"{channel}:T1",
        "out_trade_no": ORDER,
        "merchant": MERCHANT,
        "refund_fen": 600,
        "kind": "channel",
        "requested_by": "wang",
        "reason": "paid twice",
        **changes,
    }
    world.feed("payments.notices", A, RefundRequested(**values))
    decided = RefundDecided(
        refund_no="RF1", account_no=A, decision="approved", person="li", reason="seen"
    )
    world.feed("payments.notices", A, decided)
    world.run()
    return world


def says(asked: ChannelAsked, outcome: str, refund_fen: int = 600) -> Any:
    return states(
        asked,
        "T1",
        0,
        kind="refund",
        code=outcome.upper() or "PROCESSING",
        refund_no="RF1",
        refund_fen=refund_fen,
        refund_outcome=outcome,
        original_txn_id="T1",
    )


def test_an_approved_refund_is_told_to_its_channel_and_asked_about_until_it_ends() -> None:
    world = refunded()
    [sent] = asked_of(world)
    assert (sent.kind, sent.command_id, sent.attempt) == ("refund", "RF1/1", 1)
    assert (sent.total_fen, sent.refund_fen, sent.reason) == (10000, 600, "paid twice")
    assert sent.next_at == "2026-03-02T02:01:00Z"
    assert [(topic, key) for topic, key, _ in world.sent if topic.endswith("commands")] == [
        ("payments.commands", A)
    ]
    give(world, says(sent, ""))
    assert [each.state for each in world.told(RefundNoted)] == ["processing"]
    [first] = at(world, "2026-03-02T02:01:00Z")
    assert (first.kind, first.attempt, first.next_at) == (
        "refund_query",
        2,
        "2026-03-02T02:03:00Z",
    )
    assert give(world, answer_to(first, "unanswered")) == []
    [second] = at(world, "2026-03-02T02:03:00Z")
    give(world, says(second, "succeeded"))
    assert len(world.told(RefundSucceeded)) == 1
    assert world.account(A).refunds == ()
    assert at(world, "2026-03-09T00:00:00Z") == []
    # What is said of it later changes nothing.
    assert give(world, answer_to(second, "not_found")) == []
    world.check()


def test_an_order_is_asked_about_when_a_refund_is_not_yet() -> None:
    world = refunded()
    at(world, "2026-03-02T02:01:00Z")  # the refund's next question is at 02:03
    open_order(world)
    [asked] = at(world, "2026-03-02T02:02:00Z")
    assert (asked.kind, asked.refund_no) == ("query", "")


@pytest.mark.parametrize(
    ("outcome", "code", "words"),
    [("refused", "NOT_ENOUGH", "says NOT_ENOUGH"), ("not_found", "", "says not_found")],
)
def test_a_no_is_work_for_a_person_and_nothing_is_sent_again(
    outcome: str, code: str, words: str
) -> None:
    world = refunded()
    [sent] = asked_of(world)
    [refused] = give(world, answer_to(sent, outcome, code=code))
    assert isinstance(refused, RefundFactRefused)
    assert (refused.state, refused.fact, refused.by) == ("approved", outcome, "channel")
    assert words in refused.problem
    assert [each.kind for each in asked_of(world)] == ["refund"]
    assert world.account(A).refunds[0].state == "approved"


def test_what_was_certainly_not_sent_is_sent_now() -> None:
    world = refunded()
    [sent] = asked_of(world)
    [again] = give(world, answer_to(sent, "not_sent"))
    assert (again.kind, again.command_id) == ("refund", "RF1/2")
    # A question that was not sent waits for its time.
    [question] = at(world, again.next_at)
    assert give(world, answer_to(question, "not_sent")) == []


def test_a_refund_that_nobody_knows_of_is_asked_about_as_often_as_the_schedule_says() -> None:
    world = refunded()
    while asked_of(world)[-1].next_at:
        give(world, answer_to(asked_of(world)[-1], "unanswered"))
        assert at(world, asked_of(world)[-1].next_at)
    assert [each.attempt for each in asked_of(world)] == list(range(1, 11))


@pytest.mark.parametrize(
    ("channel", "changes"),
    [
        ("pos_http", {}),
        ("wechat", {"kind": "bank"}),
        ("wechat", {"payment_id": "", "kind": "bank"}),
    ],
)
def test_a_refund_that_no_channel_can_be_told_of_is_for_people(
    channel: str, changes: dict[str, str]
) -> None:
    world = refunded(channel, **changes)
    assert len(world.told(RefundOpened)) == 1
    assert asked_of(world) == []

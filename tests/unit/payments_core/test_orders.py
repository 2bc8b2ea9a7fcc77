"""Orders: asked about by the schedule, closed when they expire, paid late, twice, or otherwise."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.payments.events import (
    ClearanceGranted,
    ClearanceRefused,
    NoticeRepeated,
)
from services.payments.order_events import (
    ChannelAsked,
    OrderEnded,
    OrderNoted,
    OrderPaid,
    OrderRejected,
    OrdersChanged,
    PaymentFailed,
    PaymentPending,
    PaymentUnknown,
)
from services.payments.policy import Policy
from tests.unit.payments_core.asking import (
    MERCHANT,
    ORDER,
    answer_to,
    asked_of,
    at,
    give,
    open_order,
    opened,
    states,
)
from tests.unit.payments_core.world import A, B, World, order_of, received

DAY = "2026-03-02T"
NEVER_PAID = ("02:01", "02:02", "02:05", "02:10", "02:30", "03:00")


def kinds(events: list[Any]) -> list[str]:
    return [type(each).__name__ for each in events]


def test_an_open_order_is_asked_about_by_the_schedule_and_closed_when_it_expires() -> None:
    world = World()
    open_order(world)
    [noted] = world.told(OrderNoted)
    assert (noted.expires_at, noted.next_at) == (f"{DAY}04:00:00Z", f"{DAY}02:01:00Z")
    assert world.told(OrdersChanged)[0].open_orders == (ORDER,)
    assert at(world, f"{DAY}02:00:30Z") == []
    for number, hhmm in enumerate(NEVER_PAID):
        [asked] = at(world, f"{DAY}{hhmm}:00Z")
        assert (asked.kind, asked.attempt) == ("query", number + 1)
        pending = states(asked, "", 0, kind="pending", code="NOTPAY")
        assert kinds(give(world, pending)) == (["PaymentPending"] if number == 0 else [])
    # The next would be at 04:00, which is its end: a last question, then it is closed.
    assert asked.next_at == f"{DAY}04:00:00Z"
    [last] = at(world, f"{DAY}04:00:00Z")
    assert (last.kind, last.is_closing, last.next_at) == ("query", True, f"{DAY}04:01:00Z")
    [close] = give(world, states(last, "", 0, kind="pending", code="NOTPAY"))
    assert (close.kind, close.command_id) == ("close", f"{ORDER}/8")
    ended, changed = give(world, answer_to(close, "closed"))
    assert (ended.state, ended.failure_cause) == ("closed", "user_cancelled")
    assert changed.open_orders == ()
    assert at(world, "2026-03-09T00:00:00Z") == []
    sent = [(topic, key) for topic, key, _ in world.sent]
    assert sent == [("payments.commands", A)] * 8


def test_a_payment_found_by_a_question_is_captured_like_a_callback() -> None:
    world = World()
    world.invoice(A, "I1", 9000, "2026-03-20")
    open_order(world)
    [asked] = at(world, f"{DAY}02:01:00Z")
    events = give(world, states(asked, "T1", 10000))
    assert kinds(events) == [
        "PaymentCaptured",
        "OrderPaid",
        "OrdersChanged",
        "BalanceChanged",
        "PaymentClaimed",
    ]
    assert events[0].source == "query"
    paid = events[1]
    assert (paid.payment_id, paid.paid_fen, paid.source) == ("wechat:T1", 10000, "query")
    assert (paid.is_late, paid.duplicate_of) == (False, "")
    # The callback comes after all: a copy. So does a second answer.
    world.take(received("T1", 10000, ORDER, evidence_id="late callback"))
    assert kinds(world.run()) == ["NoticeRepeated"]
    assert kinds(give(world, states(asked, "T1", 10000))) == ["NoticeRepeated"]
    assert at(world, "2026-03-03T00:00:00Z") == []
    world.check()


def test_a_payment_after_the_end_is_late_and_counts() -> None:
    world = World()
    open_order(world)
    at(world, f"{DAY}04:00:00Z")
    give(world, answer_to(asked_of(world)[-1], "not_found", code="ORDER_NOT_EXIST"))
    assert [each.state for each in world.told(OrderEnded)] == ["expired"]
    world.take(received("T1", 10000, ORDER))
    world.run()
    [paid] = world.told(OrderPaid)
    assert paid.is_late
    assert world.account(A).prepayment_fen == 10000


def test_a_second_payment_of_an_order_is_a_duplicate_and_another_amount_is_seen() -> None:
    world = World()
    open_order(world, amount_fen=9000)
    for txn in ("T1", "T2"):
        world.take(received(txn, 10000, ORDER, evidence_id=txn))
    world.run()
    first, second = world.told(OrderPaid)
    assert (first.amount_fen, first.paid_fen, first.duplicate_of) == (9000, 10000, "")
    assert (second.duplicate_of, second.is_late) == ("wechat:T1", False)
    assert world.account(A).prepayment_fen == 20000
    assert world.account(A).orders[0].payment_id == "wechat:T1"


def test_an_order_opened_after_its_payment_ends_when_it_is_asked_about() -> None:
    world = World()
    world.take(received("T1", 10000, ORDER))
    open_order(world)
    [asked] = at(world, f"{DAY}02:01:00Z")
    events = give(world, states(asked, "T1", 10000))
    assert kinds(events) == ["NoticeRepeated", "OrderPaid", "OrdersChanged"]


def test_what_nobody_answered_is_unknown_and_asked_again() -> None:
    world = World()
    open_order(world)
    [asked] = at(world, f"{DAY}02:01:00Z")
    [unknown] = give(world, answer_to(asked, "unanswered", code="HTTP_429"))
    assert isinstance(unknown, PaymentUnknown)
    assert (unknown.cause, unknown.channel_code) == ("timeout_unknown", "HTTP_429")
    assert (unknown.attempts, unknown.next_query_at) == (1, f"{DAY}02:02:00Z")
    assert world.account(A).orders[0].state == "unknown"
    [again] = at(world, f"{DAY}02:02:00Z")
    [pending] = give(world, answer_to(again, "not_found", code="ORDER_NOT_EXIST"))
    assert isinstance(pending, PaymentPending)
    assert world.account(A).orders[0].state == "pending"
    [refused] = give(world, answer_to(again, "refused", code="NO_AUTH", cause="channel_declined"))
    assert (refused.cause, refused.channel_code) == ("channel_declined", "NO_AUTH")


def test_a_failed_payment_has_a_cause_and_a_bank() -> None:
    world = World()
    open_order(world)
    [asked] = at(world, f"{DAY}02:01:00Z")
    said = states(
        asked,
        "",
        0,
        kind="failed",
        code="PAYERROR",
        cause="channel_declined",
        references={"bank_type": "ICBC_DEBIT"},
    )
    failed, changed = give(world, said)
    assert isinstance(failed, PaymentFailed)
    assert (failed.failure_cause, failed.channel_code) == ("channel_declined", "PAYERROR")
    assert (failed.bank, changed.open_orders) == ("ICBC_DEBIT", ())
    assert give(world, said) == []  # once
    # A failure told without a statement has no bank.
    other = order_of(B)
    open_order(world, other)
    [asked] = at(world, f"{DAY}02:05:00Z")
    [failed, _] = give(world, answer_to(asked, "failed", cause="channel_declined"))
    assert failed.bank == ""


def test_a_channel_that_closed_the_order_ends_it() -> None:
    world = World()
    open_order(world)
    [asked] = at(world, f"{DAY}02:01:00Z")
    said = states(asked, "", 0, kind="closed", code="REVOKED", cause="user_cancelled")
    ended, _ = give(world, said)
    assert (ended.state, ended.channel_code) == ("closed", "REVOKED")


def test_an_order_whose_payer_is_typing_is_not_closed() -> None:
    world = World()
    open_order(world)
    [asked] = at(world, f"{DAY}04:00:00Z")
    assert give(world, states(asked, "", 0, kind="pending", code="USERPAYING")) == []
    [again] = at(world, f"{DAY}04:01:00Z")
    [close] = give(world, states(again, "", 0, kind="pending", code="NOTPAY"))
    # It was just paid, so the channel does not close it: the next question tells.
    [unknown] = give(world, answer_to(close, "unanswered", code="ORDER_PAID"))
    assert unknown.next_query_at == f"{DAY}04:02:00Z"
    [third] = at(world, f"{DAY}04:02:00Z")
    give(world, states(third, "T1", 10000))
    assert not world.told(OrderPaid)[0].is_late


def test_a_channel_that_never_answers_ends_an_expired_order() -> None:
    world = World(policy=Policy(query_after_min=(1, 2), order_life_min=10))
    open_order(world)
    for hhmm in ("02:01", "02:02", "02:10", "02:11", "02:12"):
        [asked] = at(world, f"{DAY}{hhmm}:00Z")
        events = give(world, answer_to(asked, "unanswered"))
    assert kinds(events) == ["OrderEnded", "OrdersChanged"]
    assert (events[0].state, events[0].failure_cause) == ("expired", "timeout_unknown")
    assert at(world, "2026-03-09T00:00:00Z") == []


def test_a_schedule_that_was_slept_through_is_not_caught_up() -> None:
    world = World()
    open_order(world, life_min=3000)
    [asked] = at(world, f"{DAY}02:40:00Z")
    assert (asked.attempt, asked.next_at) == (5, f"{DAY}03:00:00Z")
    [asked] = at(world, "2026-03-04T01:00:00Z")
    assert asked.attempt == 9
    assert asked.next_at == "2026-03-04T04:00:00Z"  # its end


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount_fen": 0}, "no amount above zero"),
        ({"channel": "pos_http"}, "no channel that can be asked"),
        ({"account_no": B}, f"none of account {A}"),
        ({"out_trade_no": order_of(B)}, f"none of account {A}"),
        ({"life_min": -1}, "no life"),
        ({"life_min": 43_201}, "no life"),
    ],
)
def test_an_order_that_cannot_be_is_rejected(changes: dict[str, Any], problem: str) -> None:
    world = World()
    values = {"order": ORDER, **changes}
    body = opened(**{k: v for k, v in values.items() if k != "out_trade_no"})
    if "out_trade_no" in changes:
        body = opened(changes["out_trade_no"], account_no=A)
    world.feed("payments.notices", A, body)
    [rejected] = world.run()
    assert isinstance(rejected, OrderRejected)
    assert problem in rejected.problem


def test_an_order_opened_again_is_silent_and_another_one_is_rejected() -> None:
    world = World()
    open_order(world)
    open_order(world)
    assert len(world.told(OrderNoted)) == 1
    open_order(world, amount_fen=1)
    assert "another order" in world.told(OrderRejected)[0].problem


def test_an_order_lives_long_enough_to_be_closed() -> None:
    world = World()
    open_order(world, life_min=1)
    assert world.told(OrderNoted)[0].expires_at == f"{DAY}02:05:00Z"


def test_what_ended_is_forgotten_and_what_is_open_is_not() -> None:
    world = World(policy=Policy(order_life_min=30 * 1440))
    open_order(world)
    give(world, answer_to(at(world, f"{DAY}02:01:00Z")[0], "closed"))
    open_order(world, order_of(A, "open"))
    at(world, "2026-03-30T00:00:00Z")
    open_order(world, order_of(A, "third"))
    assert len(world.account(A).orders) == 3
    at(world, "2026-06-10T00:00:00Z")  # 100 days; the second begins to close
    open_order(world, order_of(A, "fourth"))
    left = [order.out_trade_no for order in world.account(A).orders]
    assert left == [order_of(A, "open"), order_of(A, "third"), order_of(A, "fourth")]
    # Of one that was forgotten an answer moves nothing, but money counts.
    stale = ChannelAsked(
        command_id="x",
        kind="query",
        account_no=A,
        channel="wechat",
        merchant=MERCHANT,
        out_trade_no=ORDER,
        attempt=1,
        next_at="",
        asked_at="",
    )
    assert give(world, answer_to(stale, "unanswered")) == []
    assert "PaymentCaptured" in kinds(give(world, states(stale, "T9", 10000)))


# -- clearance ----------------------------------------------------------------------------------


def test_an_account_with_an_open_order_is_asked_about_first_and_not_cleared() -> None:
    world = World()
    world.invoice(A, "I1", 10000, "2026-01-20")
    open_order(world)
    world.ask(A, "I1")
    world.run()
    [refused] = world.told(ClearanceRefused)
    assert (refused.reason, refused.open_fen) == ("payment_in_flight", 10000)
    [asked] = asked_of(world)
    assert (asked.kind, asked.attempt, asked.next_at) == ("query", 0, f"{DAY}02:01:00Z")
    # It was paid: asked once more, payments say so.
    give(world, states(asked, "T1", 10000))
    world.ask(A, "I1", name="c2")
    world.run()
    assert world.told(ClearanceRefused)[-1].reason == "settled"


def test_an_account_whose_order_has_ended_is_cleared() -> None:
    world = World()
    world.invoice(A, "I1", 10000, "2026-01-20")
    open_order(world)
    world.ask(A, "I1")
    world.run()
    give(world, answer_to(asked_of(world)[-1], "closed"))
    world.ask(A, "I1", name="c2")
    world.run()
    assert len(world.told(ClearanceGranted)) == 1
    assert len(asked_of(world)) == 1, "only open orders are asked about"


# -- order of arrival ---------------------------------------------------------------------------


def test_callback_copy_query_row_close_and_time_lead_to_one_ledger_in_any_order() -> None:
    """Whoever says it first, and whatever the order did meanwhile: the same books."""

    def play(sequence: tuple[str, ...], race: random.Random | None) -> object:
        world = World(partitions=3)
        world.invoice(A, "I1", 4000, "2026-03-20")
        open_order(world)
        [asked] = at(world, f"{DAY}02:01:00Z")
        for number, each in enumerate(sequence):
            name = f"ev-{number}"
            match each:
                case "callback":
                    world.take(received("T1", 10000, ORDER, evidence_id=name))
                case "row":
                    world.take(received("T1", 10000, "", evidence_id=name))
                case "query":
                    world.feed("payments.results", A, states(asked, "T1", 10000))
                case "closed":
                    world.feed("payments.results", A, answer_to(asked, "closed"))
                case "unknown":
                    world.feed("payments.results", A, answer_to(asked, "unanswered"))
                case "time":
                    world.tick(f"{DAY}05:00:00Z")
            if race is None:
                world.run()
        world.run(race)
        world.check()
        [order] = world.account(A).orders
        assert (order.state, order.payment_id) == ("captured", "wechat:T1")
        account = world.account(A)
        return world.ledger(), account.debts, account.prepayment_fen

    facts = ("callback", "query", "row", "closed", "unknown", "time")
    known = play(facts, None)
    orders = list(itertools.permutations(facts))
    for number, sequence in enumerate(orders[:: len(orders) // 60]):
        assert play(sequence, None) == known, sequence
        assert play(sequence, random.Random(number)) == known, sequence


def test_a_schedule_rises() -> None:
    for wrong in ((), (2, 1), (1, 1)):
        with pytest.raises(BadInput, match="does not rise"):
            Policy(query_after_min=wrong)


def test_a_repeated_callback_of_a_paid_order_tells_nothing_of_it() -> None:
    world = World()
    open_order(world)
    for name in ("one", "two"):
        world.take(received("T1", 10000, ORDER, evidence_id=name))
    world.run()
    assert len(world.told(OrderPaid)) == len(world.told(NoticeRepeated)) == 1

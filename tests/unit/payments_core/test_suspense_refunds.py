"""Money that nobody claims goes back by bank: two people, never more than is there, once."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.payments.events import BindingRejected, SuspenseCancelled
from services.payments.money_back import MoneyReturned
from services.payments.suspense_refund_events import SuspenseRefunded, SuspenseRefundRequested
from tests.unit.payments_core.test_bookings import standing
from tests.unit.payments_core.world import CLEARING, A, World, order_of, received

T = "wechat:T1"
REQUEST = SuspenseRefundRequested(
    request_id="r1",
    suspense_key=T,
    amount_fen=10000,
    bank="icbc-1",
    bank_ref="4711",
    paid_on="2026-03-20",
    evidence="letter 7",
    requested_by="wang",
    approved_by="li",
    reason="nobody claimed it",
)


@pytest.fixture
def world() -> World:
    """100.00 without an order."""
    world = World()
    world.take(received("T1", 10000))
    world.run()
    return world


def send_back(world: World, **changes: Any) -> None:
    world.feed("payments.notices", T, replace(REQUEST, **changes))
    world.run()


def test_all_of_it_goes_once(world: World) -> None:
    send_back(world)
    send_back(world)
    (refunded,) = world.told(SuspenseRefunded)
    assert (refunded.requested_by, refunded.approved_by) == ("wang", "li")
    assert (refunded.bank_ref, refunded.paid_on, refunded.evidence) == (
        *("4711", "2026-03-20"),
        "letter 7",
    )
    assert world.ledger() == {"channel_clearing": {CLEARING: 10000}, "bank": {"icbc-1": -10000}}
    assert world.page(T).suspenses[T].left_fen == 0
    assert standing(world) == [(CLEARING, 10000)]
    send_back(world, request_id="r2", amount_fen=1)
    world.bind(T, {A: 1}, request_id="r3")
    world.run()
    assert [each.problem for each in world.told(BindingRejected)] == [
        "1 fen cannot go, 0 are in suspense",
        "the parts are 1 fen, in suspense are 0",
    ]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"amount_fen": 10001}, "10001 fen cannot go, 10000 are in suspense"),
        ({"amount_fen": 0}, "0 fen cannot go, 10000 are in suspense"),
        ({"approved_by": " WANG"}, "a second person must approve it"),
        ({"suspense_key": "wechat:T9"}, "wechat:T9 was asked under wechat:T1"),
        ({"bank": " "}, "the bank, the number and the day of the transfer must be named"),
        ({"bank_ref": ""}, "the bank, the number and the day of the transfer must be named"),
        ({"paid_on": "soon"}, "the bank, the number and the day of the transfer must be named"),
        ({"paid_on": "20260320"}, "the bank, the number and the day of the transfer must be named"),
    ],
)
def test_what_cannot_go(world: World, changes: dict[str, Any], problem: str) -> None:
    send_back(world, **changes)
    (rejected,) = world.told(BindingRejected)
    assert (rejected.request_id, rejected.problem) == ("r1", problem)
    send_back(world)
    assert len(world.told(BindingRejected)) == 1, "a decided request stays decided"
    assert world.told(SuspenseRefunded) == []


def test_what_is_bound_or_unknown_does_not_go() -> None:
    world = World()
    send_back(world)
    world.take(received("T1", 10000))
    world.run()
    world.bind(T, {A: 10000}, request_id="b1")
    world.run()
    send_back(world, request_id="r2")
    assert [each.problem for each in world.told(BindingRejected)] == [
        "no money is in suspense under wechat:T1",
        "wechat:T1 was bound by request b1: refund it from its account",
    ]


def test_a_part_goes_and_the_rest_is_bound(world: World) -> None:
    send_back(world, amount_fen=4000)
    world.bind(T, {A: 6000}, request_id="b1")
    world.run()
    assert world.ledger() == {
        "channel_clearing": {CLEARING: 10000},
        "bank": {"icbc-1": -4000},
        "prepayment": {A: 6000},
    }


@pytest.mark.parametrize("debt_fen", [0, 10000])
def test_claimed_after_all_the_account_has_given_it(world: World, debt_fen: int) -> None:
    """The callback names an account: it is its payment, and its refund."""
    if debt_fen:
        world.invoice(A, "I1", debt_fen, "2026-03-20")
    send_back(world, amount_fen=4000)
    world.take(received("T1", 10000, order_of(A), evidence_id="e2"))
    world.run()
    (cancelled,) = world.told(SuspenseCancelled)
    (returned,) = world.told(MoneyReturned)
    assert (cancelled.returned_fen, returned.amount_fen, returned.account_no) == (4000, 4000, A)
    ledger = world.ledger()
    assert ledger["bank"] == {"icbc-1": -4000}
    assert "transit" not in ledger
    assert "suspense" not in ledger
    assert ledger.get("receivable") == ({A: 4000} if debt_fen else None)
    assert standing(world) == [(CLEARING, 10000)]
    world.check()


def test_what_the_channel_gives_back_besides_is_no_part_of_it(world: World) -> None:
    """Alipay tells the sum of its own refunds: the bank transfer is none of them."""
    send_back(world, amount_fen=4000)
    total = received(
        "T1",
        10000,
        kind="refund",
        refund_no="R1",
        refund_fen=1000,
        refund_total=True,
        refund_outcome="succeeded",
        evidence_id="e2",
    )
    world.take(total)
    world.run()
    assert [each.amount_fen for each in world.told(MoneyReturned)] == [1000]
    assert world.ledger()["suspense"] == {T: 5000}

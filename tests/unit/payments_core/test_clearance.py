"""Clearance by fence: what was acknowledged before is decided before, money after it withdraws."""

from __future__ import annotations

import pytest

from services.payments.events import (
    ClearanceGranted,
    ClearanceOpened,
    ClearanceRefused,
    ClearanceWithdrawn,
    FenceSet,
    PaymentCaptured,
)
from services.payments.policy import Policy
from tests.unit.payments_core.world import START, A, World, order_of, received


@pytest.fixture
def world() -> World:
    """A owes 1000 of I1 and 500 of I2."""
    made = World(partitions=1)
    made.invoice(A, "I1", 1000, "2026-01-20")
    made.invoice(A, "I2", 500, "2026-02-20")
    made.run()
    return made


def advance(world: World, at: str) -> None:
    world.tick(at)
    world.run()


def test_granted_behind_the_fence(world: World) -> None:
    world.take(received(kind="pending", order=order_of(A)))
    world.run()
    world.ask(A, "I1")
    opened, granted = world.run()
    assert opened == ClearanceOpened(
        clearance_id="c1",
        account_no=A,
        invoice_nos=("I1",),
        threshold_fen=0,
        opened_at=START,
    )
    fence = [(topic, key, body) for topic, key, body in world.sent if isinstance(body, FenceSet)]
    assert fence == [("payments.notices", A, FenceSet(account_no=A, clearance_id="c1"))]
    assert granted == ClearanceGranted(
        clearance_id="c1",
        account_no=A,
        fence_offset=1,  # behind the one notice
        open_fen=1000,
        granted_at=START,
        valid_until_at="2026-03-02T02:05:00Z",
    )


def test_a_notice_acknowledged_before_the_fence_counts(world: World) -> None:
    world.take(received("T1", 1000, order_of(A)))  # acknowledged, not decided yet
    world.ask(A, "I1")
    world.step(("control.clearances", 0))
    assert world.told(PaymentCaptured) == []
    world.run()
    (refused,) = world.told(ClearanceRefused)
    assert (refused.open_fen, refused.reason) == (0, "settled")
    assert world.told(ClearanceGranted) == []
    assert world.account(A).clearances == ()


def test_money_behind_the_fence_withdraws_at_once(world: World) -> None:
    world.ask(A, "I1")
    world.step(("control.clearances", 0))
    world.take(received("T1", 1000, order_of(A)))
    world.run()
    kinds = [type(body) for _, body in world.events][-5:]
    assert kinds.index(ClearanceGranted) < kinds.index(PaymentCaptured)
    (withdrawn,) = world.told(ClearanceWithdrawn)
    assert withdrawn == ClearanceWithdrawn(clearance_id="c1", account_no=A, payment_id="wechat:T1")
    assert world.account(A).clearances == ()


def test_the_withdrawal_is_in_the_decision_of_the_capture(world: World) -> None:
    world.ask(A, "I1")
    world.run()
    world.take(received("T1", 1000, order_of(A)))
    world.step(("payments.notices", 0))
    kinds = [type(body).__name__ for body in world.last]
    assert kinds == [
        "PaymentCaptured",
        "PaymentCaptured",  # its copy for billing, on payments.allocations
        *("ClearanceWithdrawn", "BalanceChanged"),
        *("PaymentClaimed", "BookingNoted"),
    ]


def test_too_little_money_leaves_the_grant(world: World) -> None:
    world.ask(A, "I1")
    world.run()
    world.take(received("T1", 999, order_of(A)))
    world.run()
    assert world.told(ClearanceWithdrawn) == []
    world.correction(A, "K1", -1, "2026-03-20")
    world.run()
    assert [each.payment_id for each in world.told(ClearanceWithdrawn)] == ["K1"]


@pytest.mark.parametrize(
    ("paid_fen", "granted", "reason"),
    [(700, True, ""), (800, False, "below_threshold"), (1000, False, "settled")],
)
def test_the_threshold_is_what_may_stay_open(
    world: World, paid_fen: int, granted: bool, reason: str
) -> None:
    world.take(received("T1", paid_fen, order_of(A)))
    world.run()
    world.ask(A, "I1", threshold=200)
    world.run()
    assert bool(world.told(ClearanceGranted)) is granted
    assert [each.reason for each in world.told(ClearanceRefused)] == ([reason] if reason else [])


def test_only_the_debt_named_counts(world: World) -> None:
    world.ask(A, "I9")
    world.ask(A, name="c2")
    world.ask(A, "I1", "I2", name="c3")
    world.run()
    assert {each.clearance_id: each.open_fen for each in world.told(ClearanceRefused)} == {
        "c1": 0,
        "c2": 0,
    }
    (granted,) = world.told(ClearanceGranted)
    assert (granted.clearance_id, granted.open_fen) == ("c3", 1500)


def test_asked_twice_is_silent(world: World) -> None:
    world.ask(A, "I1")
    world.run()
    world.ask(A, "I1")
    assert world.run() == []
    fence = FenceSet(account_no=A, clearance_id="c1")
    world.feed("payments.notices", A, fence)
    world.feed("payments.notices", A, FenceSet(account_no=A, clearance_id="never asked"))
    assert world.run() == []


@pytest.mark.parametrize(("at", "withdrawn"), [("02:05:00", True), ("02:05:01", False)])
def test_the_grant_ends_with_its_validity(world: World, at: str, withdrawn: bool) -> None:
    world.ask(A, "I1")
    world.run()
    advance(world, f"2026-03-02T{at}Z")
    world.take(received("T1", 1000, order_of(A)))
    world.run()
    assert bool(world.told(ClearanceWithdrawn)) is withdrawn


def test_a_new_question_drops_grants_that_ended(world: World) -> None:
    world.ask(A, "I1")
    world.run()
    world.ask(A, "I2", name="c2")
    world.run()
    assert [each.clearance_id for each in world.account(A).clearances] == ["c1", "c2"]
    advance(world, "2026-03-02T02:06:00Z")
    world.ask(A, "I2", name="c3")
    world.run()
    assert [each.clearance_id for each in world.account(A).clearances] == ["c3"]
    world.check()


def test_one_payment_withdraws_every_grant_it_settles(world: World) -> None:
    world.ask(A, "I1", name="c1")
    world.ask(A, "I1", "I2", name="c2")
    world.run()
    world.take(received("T1", 1500, order_of(A)))
    world.run()
    assert [each.clearance_id for each in world.told(ClearanceWithdrawn)] == ["c1", "c2"]


def test_the_validity_is_policy() -> None:
    world = World(policy=Policy(clearance_min=1))
    world.invoice(A, "I1", 1000, "2026-01-20")
    world.run()
    world.ask(A, "I1")
    world.run()
    (granted,) = world.told(ClearanceGranted)
    assert granted.valid_until_at == "2026-03-02T02:01:00Z"

"""Money bound to the wrong account and bound again; a transfer for 37 accounts."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import pytest

from services.payments.events import (
    BindingPart,
    BindingRejected,
    PaymentCaptured,
    PaymentReversed,
    TransferMade,
)
from services.payments.money_back import MoneyReturned
from services.payments.rebinding_events import RebindingMade, RebindingRequested
from tests.unit.payments_core.world import CLEARING, A, B, C, World, order_of, received

T = "wechat:T1"


def rebind(world: World, old: str, shares: dict[str, int], **changes: Any) -> None:
    request = RebindingRequested(
        request_id="again-1",
        payment_id=T,
        from_account=old,
        parts=tuple(
            BindingPart(account_no=account_no, amount_fen=amount_fen)
            for account_no, amount_fen in shares.items()
        ),
        requested_by="wang",
        approved_by="li",
        reason="the slip names another account",
    )
    world.feed("payments.notices", T, replace(request, **changes))


@pytest.fixture
def world() -> World:
    """100.00 without an order, bound to A (60.00) and B (40.00)."""
    world = World(partitions=3)
    world.invoice(A, "I1", 5000, "2026-03-20")
    world.take(received("T1", 10000))
    world.run()
    world.bind(T, {A: 6000, B: 4000})
    world.run()
    return world


def held(world: World) -> dict[str, int]:
    return {no: each.prepayment_fen - each.receivable_fen for no, each in world.accounts().items()}


def test_bound_again_once_and_the_debt_is_open_again(world: World) -> None:
    assert held(world) == {A: 1000, B: 4000}
    rebind(world, A, {C: 6000})
    rebind(world, A, {C: 6000})
    world.run(random.Random(3))
    (made,) = world.told(RebindingMade)
    assert (made.round, made.left) == (2, ())
    assert held(world) == {A: -5000, B: 4000, C: 6000}
    assert [debt.invoice_no for debt in world.account(A).debts] == ["I1"]
    assert "transit" not in world.ledger()
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000}
    world.check()


def test_bound_back_and_forth_every_transfer_has_its_own_id(world: World) -> None:
    rebind(world, A, {B: 6000})
    world.run()
    rebind(world, B, {A: 10000}, request_id="again-2")
    world.run()
    rebind(world, A, {B: 2500, C: 500}, request_id="again-3")
    world.run()
    assert held(world) == {A: 2000, B: 2500, C: 500}
    ids = [body.transfer_id for _, _, body in world.sent if isinstance(body, TransferMade)]
    assert len(set(ids)) == len(ids) == 6
    assert f"{T}/3/{A}" in ids
    assert "transit" not in world.ledger()
    world.check()


def test_its_callback_comes_after_all(world: World) -> None:
    """The order number outweighs every binding, the first and the second."""
    rebind(world, A, {C: 6000})
    world.run()
    world.take(received("T1", 10000, order_of(C), evidence_id="ev-2"))
    world.run(random.Random(1))
    assert held(world) == {A: -5000, B: 0, C: 10000}
    assert "transit" not in world.ledger()
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000}
    world.check()


def test_what_went_back_of_bound_money_is_taken_from_who_has_it(world: World) -> None:
    world.take(received("X9", 7000, kind="reversed", original_txn_id="T1", evidence_id="ev-v"))
    world.run()
    (back,) = world.told(MoneyReturned)
    assert back.parts == {A: 6000, B: 1000}
    assert held(world) == {A: -5000, B: 3000}
    rebind(world, A, {C: 6000})
    rebind(world, B, {C: 3000}, request_id="again-2")
    world.run()
    assert "nothing of" in world.told(BindingRejected)[0].problem
    assert held(world) == {A: -5000, B: 0, C: 3000}
    world.take(received("X10", 3500, kind="chargeback", original_txn_id="T1", evidence_id="ev-c"))
    world.run()
    assert world.told(MoneyReturned)[-1].claim_fen == 500
    assert held(world) == {A: -5000, B: 0, C: 0}
    world.bind(T, {}, "r-empty")
    world.run()
    assert world.told(BindingRejected)[-1].problem == "all of it went back to the payer"
    assert "transit" not in world.ledger()
    world.check()


@pytest.mark.parametrize("refund_first", [False, True])
def test_captured_by_a_strangers_order_number(refund_first: bool) -> None:
    """A typed B's number on the slip. 30.00 were refunded: who has the payment now bears it."""
    world = World(partitions=3)
    world.take(received("T1", 10000, order_of(B)))
    world.run()

    def refund() -> None:
        world.take(
            received(
                "T1",
                10000,
                order_of(B),
                kind="refund",
                evidence_id="ev-r",
                refund_no="R-else",
                refund_fen=3000,
                refund_outcome="succeeded",
            )
        )
        world.run()

    if refund_first:
        refund()
    rebind(world, B, {A: 4000}, request_id="part")
    rebind(world, B, {A: 8000, C: 2000})
    world.run()
    assert "as a whole" in world.told(BindingRejected)[0].problem
    if not refund_first:
        refund()
    assert held(world) == {A: 5000, B: 0, C: 2000}
    assert world.ledger()["channel_clearing"] == {CLEARING: 7000}
    assert "transit" not in world.ledger()
    world.take(received("T1", 10000, order_of(B), evidence_id="ev-copy"))
    world.take(received("T1", 10000, evidence_id="ev-row"))
    world.run()
    assert held(world) == {A: 5000, B: 0, C: 2000}
    world.check()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"approved_by": " WANG"}, "a second person must approve it"),
        ({"payment_id": "wechat:T2"}, "wechat:T2 was asked under wechat:T1"),
        ({"from_account": C}, f"nothing of {T} stands at {C}"),
        ({"parts": ()}, f"the parts are 0 fen, 6000 stand at {A}"),
        (
            {"parts": (BindingPart(account_no=C, amount_fen=6001),)},
            f"the parts are 6001 fen, 6000 stand at {A}",
        ),
        ({"parts": (BindingPart(account_no=A, amount_fen=1),)}, f"{A} has it already"),
        ({"parts": (BindingPart(account_no="x", amount_fen=1),)}, "'x' is no account number"),
    ],
)
def test_what_cannot_be_bound_again(world: World, changes: dict[str, Any], problem: str) -> None:
    rebind(world, A, {C: 6000}, **changes)
    world.run()
    (rejected,) = world.told(BindingRejected)
    assert rejected.problem == problem
    assert held(world) == {A: 1000, B: 4000}


def test_nothing_known_and_money_in_suspense_cannot_be_bound_again() -> None:
    world = World()
    rebind(world, A, {B: 1})
    world.take(received("T1", 10000))
    rebind(world, A, {B: 1}, request_id="again-2")
    world.run()
    assert len(world.told(BindingRejected)) == 2


def test_one_transfer_for_37_accounts_one_of_them_wrong() -> None:
    world = World(partitions=4)
    accounts = [f"{2000000000 + number:010d}" for number in range(37)]
    world.take(received("T1", 37 * 1000 + 666))
    world.run()
    parts = {account_no: 1000 + number for number, account_no in enumerate(accounts)}
    assert sum(parts.values()) == 37 * 1000 + 666
    world.bind(T, parts)
    world.run(random.Random(37))
    assert held(world) == parts
    assert len(world.told(PaymentCaptured)) == 37
    rebind(world, accounts[5], {accounts[6]: 1000, A: 5})
    world.run(random.Random(37))
    assert held(world) == {**parts, accounts[5]: 0, accounts[6]: 2006, A: 5}
    (reversed_,) = world.told(PaymentReversed)
    assert (reversed_.account_no, reversed_.amount_fen) == (accounts[5], 1005)
    assert "transit" not in world.ledger()
    assert "suspense" not in world.ledger()
    world.check()

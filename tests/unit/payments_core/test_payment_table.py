"""The tables of payments and refunds: no gaps, and no order of arrival that matters.

Goal: whatever the order of {callback, repeat, query, file row, close, refund, reversal,
chargeback}, a payment ends in one state with one ledger. Method: all 40,320 orders through the pure
table with a ledger of five lines; a sample of them, shuffled and raced, through the core.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from services.payments.events import NoticeConflicted
from services.payments.money_back import MoneyReturned
from services.payments.notices import NoticeReceived
from services.payments.payment_table import (
    ACTIONS,
    FACTS,
    MONEY,
    NO_MONEY,
    PAYMENT,
    STATES,
    Step,
    fact_of,
    state_of,
)
from services.payments.refund_table import ACTIONS as REFUND_ACTIONS
from services.payments.refund_table import ENDED, OPEN, REFUND, UNDER_WAY
from services.payments.refund_table import FACTS as REFUND_FACTS
from services.payments.refund_table import STATES as REFUND_STATES
from tests.unit.payments_core.world import A, B, World, order_of, received

CAPTURED_FEN = 10000
EIGHT = ("callback", "repeat", "query", "row", "close", "refund", "reversal", "chargeback")
TAKEN_FEN = {"refund": 3000, "reversal": 10000, "chargeback": 2500}
BILL_ON = {"refund": "2026-03-02", "reversal": "2026-03-03", "chargeback": "2026-03-09"}
KIND = {"refund": "refund", "reversal": "reversed", "chargeback": "chargeback"}


class Payment:
    """One payment by the table alone: its state and its ledger."""

    def __init__(self) -> None:
        self.state = "created"
        self.captured_fen: int | None = None
        self.gone_fen = 0
        self.held_fen = 0
        self.awaited: list[str] = []
        self.ledger = dict.fromkeys(("clearing", "account", "claim"), 0)

    def take(self, name: str) -> None:
        if name == "close":
            step = PAYMENT[self.state, "closed"]
            assert step.action == "note"
        elif name in TAKEN_FEN:
            step = self._back(name)
        else:
            step = PAYMENT[self.state, "captured"]
            if step.action == "capture":
                self.captured_fen = CAPTURED_FEN
                self._post("clearing", "account", CAPTURED_FEN)
                self.state = step.state
                for each in self.awaited:
                    self.state = self._back(each).state
                return
            assert step.action == "repeat"
        self.state = step.state

    def _back(self, name: str) -> Step:
        amount_fen = TAKEN_FEN[name]
        step = PAYMENT[
            self.state, fact_of(KIND[name], self.captured_fen, self.gone_fen, amount_fen)
        ]
        if step.action == "await":
            self.awaited.append(name)
            return step
        assert step.action == "return"
        assert self.captured_fen is not None
        before_fen = min(self.captured_fen, self.gone_fen)
        self.gone_fen += amount_fen
        ours_fen = min(self.captured_fen, self.gone_fen) - before_fen
        self._post("account", "clearing", ours_fen)
        self._post("claim", "clearing", amount_fen - ours_fen)
        return step

    def _post(self, debit: str, credit: str, amount_fen: int) -> None:
        self.ledger[debit] += amount_fen
        self.ledger[credit] -= amount_fen


def test_all_orders_of_eight_facts_on_the_table() -> None:
    ends = set()
    for order in permutations(EIGHT):
        payment = Payment()
        for name in order:
            payment.take(name)
        ends.add((payment.state, payment.gone_fen, tuple(payment.ledger.items())))
    assert ends == {("reversed", 15500, (("clearing", -5500), ("account", 0), ("claim", 5500)))}


def test_the_table_of_payments_has_no_gap_and_money_never_leaves_it() -> None:
    assert set(PAYMENT) == {(state, fact) for state in STATES for fact in FACTS}
    assert {step.action for step in PAYMENT.values()} == set(ACTIONS)
    for (state, fact), step in PAYMENT.items():
        assert step.state in STATES
        if state in MONEY:
            assert MONEY.index(step.state) >= MONEY.index(state), (state, fact)
            assert step.action in ("repeat", "note", "return")
        else:
            assert (step.state in MONEY) == (fact == "captured")
    assert all(PAYMENT[state, "captured"] == Step("captured", "capture") for state in NO_MONEY)


@pytest.mark.parametrize(
    ("state", "fact", "step"),
    [
        ("created", "pending", Step("pending", "note")),
        ("pending", "unknown", Step("unknown", "note")),
        ("unknown", "pending", Step("pending", "note")),
        ("unknown", "failed", Step("failed", "note")),
        ("pending", "closing", Step("closing", "note")),
        ("closing", "pending", Step("closing", "note")),
        ("closing", "closed", Step("closed", "note")),
        ("closed", "pending", Step("closed", "note")),
        ("closed", "captured", Step("captured", "capture")),
        ("captured", "closed", Step("captured", "note")),
        ("created", "reversed", Step("created", "await")),
        ("captured", "refund_part", Step("partially_refunded", "return")),
        ("partially_refunded", "refund_rest", Step("refunded", "return")),
        ("refunded", "refund_part", Step("refunded", "return")),
        ("refunded", "chargeback", Step("reversed", "return")),
        ("reversed", "refund_rest", Step("reversed", "return")),
    ],
)
def test_ways_of_a_payment(state: str, fact: str, step: Step) -> None:
    assert PAYMENT[state, fact] == step


def test_the_state_by_the_money() -> None:
    assert [state_of(*each) for each in ((None, 5, False), (9, 0, False), (9, 5, False))] == [
        "created",
        "captured",
        "partially_refunded",
    ]
    assert [state_of(*each) for each in ((9, 9, False), (9, 2, True))] == ["refunded", "reversed"]


def test_the_table_of_refunds_has_no_gap_and_one_success() -> None:
    assert set(REFUND) == {(state, fact) for state in REFUND_STATES for fact in REFUND_FACTS}
    assert {step.action for step in REFUND.values()} == set(REFUND_ACTIONS)
    for (state, fact), step in REFUND.items():
        if step.action in ("pay", "pay_bank"):
            assert (state in UNDER_WAY, step.state) == (True, "succeeded"), fact
        if step.action == "give_up":
            assert (state in UNDER_WAY, step.state) == (True, "closed"), fact
        if state in ENDED:
            assert step.state == state
        if step.action in ("repeat", "work_item"):
            assert step.state == state
    assert {step.state for step in REFUND.values()} == {*OPEN, *ENDED}


# -- through the core -------------------------------------------------------------------------


def fact(name: str, number: int) -> NoticeReceived:
    """One of the eight, as the edge writes it; the channel's day of each is another one."""
    if name in TAKEN_FEN:
        body = received(
            "T1",
            TAKEN_FEN[name],
            order_of(A),
            kind=KIND[name],
            evidence_id=f"ev-{number}",
            refund_fen=TAKEN_FEN[name] if name == "refund" else 0,
            refund_no="R-elsewhere" if name == "refund" else "",
            refund_outcome="succeeded" if name == "refund" else "",
        )
        assert body.notice is not None
        return replace(body, notice=replace(body.notice, bill_on=BILL_ON[name]))
    kind = "closed" if name == "close" else "captured"
    return received("T1", CAPTURED_FEN, order_of(A), kind=kind, evidence_id=f"ev-{number}")


def played(order: tuple[str, ...], seed: int) -> tuple[list[Any], str]:
    """The ledger and its hash, with the account, after the facts in this order."""
    world = World(partitions=2)
    world.invoice(A, "I1", 6000, "2026-03-20")
    world.invoice(A, "I2", 1000, "2026-04-20")
    world.run()
    for number, name in enumerate(order):
        world.take(fact(name, number))
        if seed % 2:
            world.run()
    world.run(random.Random(seed))
    world.check()
    assert not world.told(NoticeConflicted)
    account = world.account(A)
    assert account.awaited == ()
    claims = sum(each.claim_fen for each in world.told(MoneyReturned))
    end = [world.ledger(), [(d.invoice_no, d.open_fen) for d in account.debts], claims]
    text = json.dumps(end, sort_keys=True)
    return end, hashlib.sha256(text.encode()).hexdigest()


def test_a_sample_of_all_orders_through_the_core() -> None:
    orders = random.Random(7).sample(list(permutations(EIGHT)), 250)
    ends = {played(order, seed)[1] for seed, order in enumerate(orders)}
    assert len(ends) == 1
    (ledger, debts, claim_fen), _ = played(EIGHT, 1)
    assert debts == [("I1", 6000), ("I2", 1000)]
    assert claim_fen == 5500
    assert ledger["channel_claim"] == {"wechat:T1": 5500}
    assert "prepayment" not in ledger
    assert ledger["channel_clearing"] == {
        "wechat:1900000001:2026-03-01": 10000,
        "wechat:1900000001:2026-03-02": -3000,
        "wechat:1900000001:2026-03-03": -10000,
        "wechat:1900000001:2026-03-09": -2500,
    }


ORDERLESS = ("sale", "copy", "refund", "reversal", "claim")


def test_orders_without_an_order_number_through_the_core() -> None:
    """The suspense gives money back, the account claims it: every day's clearing is the same."""
    ends = set()
    for order in permutations(ORDERLESS):
        for seed in (None, 5):
            world = World(partitions=3)
            for number, name in enumerate(order):
                back_fen = TAKEN_FEN.get(name, 0)
                body = received(
                    f"X-{name}" if back_fen else "T1",
                    back_fen or CAPTURED_FEN,
                    order_of(B) if name == "claim" else "",
                    kind=KIND.get(name, "captured"),
                    evidence_id=f"ev-{number}",
                    original_txn_id="T1" if back_fen else "",
                    refund_fen=back_fen if name == "refund" else 0,
                    refund_outcome="succeeded" if name == "refund" else "",
                )
                assert body.notice is not None
                bill_on = BILL_ON.get(name, body.notice.bill_on)
                world.take(replace(body, notice=replace(body.notice, bill_on=bill_on)))
                if seed is None:
                    world.run()
            world.run(random.Random(seed) if seed else None)
            world.check()
            assert not world.told(NoticeConflicted)
            ends.add(json.dumps(world.ledger(), sort_keys=True))
    (end,) = ends
    assert json.loads(end) == {
        "channel_claim": {"wechat:T1": 3000},
        "channel_clearing": {
            "wechat:1900000001:2026-03-01": 10000,
            "wechat:1900000001:2026-03-02": -3000,
            "wechat:1900000001:2026-03-03": -10000,
        },
    }

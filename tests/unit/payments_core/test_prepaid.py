"""Accounts that pay ahead: what is left, warnings once, clearance beyond the credit.

A is warned below 60.00 and below 20.00, and has a credit of 10.00.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from typing import Any

import pytest

from services.payments.events import (
    BalanceChanged,
    ClearanceGranted,
    ClearanceRefused,
    ClearanceWithdrawn,
    ReceivableOpened,
)
from services.payments.prepaid_events import AvailableChanged, BalanceLow, PrepaidNoted
from services.payments.reactions import (
    AgreementPublished,
    ChargeEstimated,
    ClearanceAsked,
    InvoiceIssued,
    SignedTerms,
    Terms,
)
from tests.unit.payments_core.world import A, World, order_of, received

SIGNED = SignedTerms(credit_limit_fen=1_000, warn1_fen=6_000, warn2_fen=2_000)


def agreed(
    version: int = 1, mode: str = "prepaid_remote", signed: SignedTerms | None = SIGNED
) -> AgreementPublished:
    rows = (
        Terms(valid_from_on="2026-02-01", payment_mode=mode, prepaid=signed),
        Terms(valid_from_on="2026-01-01", payment_mode="postpaid"),
    )
    return AgreementPublished(account_no=A, version=version, terms=rows)


def estimated(amount_fen: int, until_on: str = "2026-03-02", **changes: Any) -> ChargeEstimated:
    values: dict[str, Any] = {
        "account_no": A,
        "month": "2026-03",
        "until_on": until_on,
        "amount_fen": amount_fen,
        "missing_days": 0,
        "estimated_days": 0,
        "reasons": (),
        **changes,
    }
    return ChargeEstimated(**values)


def invoice(total_fen: int, month: str = "2026-03") -> InvoiceIssued:
    return InvoiceIssued(
        invoice_no=f"{A}-{month}",
        account_no=A,
        total_fen=total_fen,
        due_on="2026-04-18",
        month=month,
    )


def give(world: World, *bodies: Any) -> list[Any]:
    for body in bodies:
        topic = "billing.events"
        if isinstance(body, AgreementPublished):
            topic = "customers.agreements"
        if isinstance(body, ClearanceAsked):
            topic = "control.clearances"
        world.feed(topic, A, body)
    return world.run()


def pay(world: World, amount_fen: int, txn: str) -> list[Any]:
    world.take(received(txn, amount_fen, order_of(A), evidence_id=f"ev-{txn}"))
    return world.run()


def asked(name: str = "c1") -> ClearanceAsked:
    return ClearanceAsked(
        clearance_id=name,
        account_no=A,
        invoice_nos=(),
        threshold_fen=0,
        kind="prepaid_balance",
    )


def lows(events: list[Any]) -> list[tuple[str, int, int]]:
    return [
        (each.stage, each.available_fen, each.threshold_fen)
        for each in events
        if isinstance(each, BalanceLow)
    ]


def left(events: list[Any]) -> list[int]:
    return [each.available_fen for each in events if isinstance(each, AvailableChanged)]


@pytest.fixture
def world() -> World:
    """A has 100.00 prepaid."""
    made = World(partitions=1)
    give(made, agreed())
    pay(made, 10_000, "T0")
    return made


def test_what_is_left_is_the_prepayment_less_debts_and_estimates(world: World) -> None:
    noted, told = world.told(PrepaidNoted)[0], world.told(AvailableChanged)
    assert [row.mode for row in noted.terms] == ["postpaid", "prepaid_remote"]
    assert [(each.available_fen, each.reason) for each in told] == [
        (0, "agreement_published"),
        (10_000, "payment_captured"),
    ]
    found = give(
        world,
        estimated(3_000, "2026-03-01", month="2026-02", missing_days=1),
        estimated(500, missing_days=2, estimated_days=1),
    )
    assert left(found) == [7_000, 6_500]
    last = world.told(AvailableChanged)[-1]
    assert (last.prepayment_fen, last.receivable_fen, last.estimate_fen) == (10_000, 0, 3_500)
    assert (last.estimate_until_on, last.missing_days, last.estimated_days) == ("2026-03-02", 3, 1)
    assert world.told(BalanceChanged)[-1].prepayment_fen == 10_000, "nothing is booked for it"
    assert not world.told(ReceivableOpened)


def test_each_stage_is_told_once_until_money_comes(world: World) -> None:
    world.events.clear()
    assert lows(give(world, estimated(4_000))) == []
    assert lows(give(world, estimated(4_001))) == [("warn1", 5_999, 6_000)]
    assert lows(give(world, estimated(3_000), estimated(4_500))) == [], "no money came"
    assert lows(give(world, estimated(11_000))) == [
        ("warn2", -1_000, 2_000),
        ("zero", -1_000, 1),
    ]
    assert lows(give(world, estimated(11_001))) == [("credit_limit", -1_001, -1_000)]
    assert lows(give(world, estimated(12_000))) == []
    # 30.00 more: above the second warning, below the first, which is not told again.
    assert lows(pay(world, 5_000, "T1")) == []
    assert world.account(A).prepaid.warned == ("warn1",)
    assert lows(give(world, estimated(14_000))) == [("warn2", 1_000, 2_000)]


def test_the_invoice_ends_the_estimate_of_its_month(world: World) -> None:
    give(world, estimated(4_000), estimated(100, "2026-04-02", month="2026-04"))
    found = give(world, invoice(4_200))
    assert left(found) == [5_700]
    assert world.account(A).prepayment_fen == 5_800
    assert world.account(A).receivable_fen == 0, "paid out of the prepayment"
    assert list(world.account(A).prepaid.estimates) == ["2026-04"]
    assert give(world, invoice(4_200)) == []


def test_an_invoice_over_nothing_ends_it_too(world: World) -> None:
    give(world, estimated(4_000))
    assert left(give(world, invoice(0))) == [10_000]
    assert give(world, invoice(0)) == []


def test_an_invoice_above_the_prepayment_is_a_debt(world: World) -> None:
    give(world, estimated(12_000))
    assert left(give(world, invoice(12_500))) == [-2_500]
    assert world.account(A).receivable_fen == 2_500


def test_what_billing_could_not_estimate_leaves_the_last_one(world: World) -> None:
    give(world, estimated(4_000))
    assert give(world, estimated(0, "2026-03-03", reasons=("price_awaited home",))) == []
    assert world.account(A).prepaid.estimates["2026-03"].until_on == "2026-03-02"


def test_clearance_is_granted_beyond_the_credit_only(world: World) -> None:
    give(world, estimated(11_000), asked())
    (refused,) = world.told(ClearanceRefused)
    assert (refused.open_fen, refused.reason) == (0, "settled")
    give(world, estimated(11_001), asked("c2"))
    (granted,) = world.told(ClearanceGranted)
    assert (granted.clearance_id, granted.open_fen) == ("c2", 1)


def test_money_withdraws_it_and_so_does_an_estimate_that_falls(world: World) -> None:
    give(world, estimated(13_000), asked())
    pay(world, 1_999, "T1")
    assert not world.told(ClearanceWithdrawn)
    found = pay(world, 1, "T2")
    names = [type(each).__name__ for each in found]
    assert names.index("ClearanceWithdrawn") < names.index("BalanceChanged")
    give(world, estimated(13_500), asked("c2"))
    give(world, estimated(12_000))
    withdrawn = world.told(ClearanceWithdrawn)
    assert [each.payment_id for each in withdrawn] == ["wechat:T2", ""]


def test_a_meter_that_holds_the_balance_warns_by_itself_and_is_never_cleared() -> None:
    world = World(partitions=1)
    give(world, agreed(mode="prepaid_local"), estimated(50_000), asked())
    assert left(world.told(AvailableChanged)) == [0, -50_000]
    assert not world.told(BalanceLow)
    assert [each.open_fen for each in world.told(ClearanceRefused)] == [0]


def test_who_pays_afterwards_is_told_nothing() -> None:
    world = World(partitions=1)
    found = give(world, agreed(mode="postpaid", signed=None), estimated(50_000), asked())
    assert not [each for each in found if isinstance(each, PrepaidNoted | AvailableChanged)]
    assert [each.open_fen for each in world.told(ClearanceRefused)] == [0]


def test_terms_change_and_end(world: World) -> None:
    give(world, estimated(5_000))
    assert give(world, agreed(1), agreed(2)) == [], "nothing new"
    higher = replace(SIGNED, warn1_fen=7_000)
    assert lows(give(world, agreed(3, signed=higher))) == []
    assert world.told(BalanceLow)[-1].stage == "warn1", "told before, at 50.00"
    assert give(world, agreed(2)) == [], "older"
    give(world, agreed(4, mode="postpaid", signed=None))
    assert left(give(world, estimated(6_000))) == []


def test_an_account_without_thresholds_is_warned_at_zero() -> None:
    world = World(partitions=1)
    give(world, agreed(signed=None))
    assert lows(world.told(BalanceLow)) == [("zero", 0, 1)]
    assert lows(give(world, estimated(1))) == [
        ("warn1", -1, 0),
        ("warn2", -1, 0),
        ("credit_limit", -1, 0),
    ]


def test_the_order_of_arrival_leads_to_one_end() -> None:
    """Money, agreement and billing come on topics of their own, in any order."""
    billed = [estimated(4_000), estimated(9_000), invoice(9_500), estimated(300, month="2026-04")]
    ends = set()
    for order, seed in itertools.product(itertools.permutations((0, 1, 2)), range(3)):
        world = World(partitions=1)
        for what in order:
            if what == 0:
                world.feed("customers.agreements", A, agreed())
            elif what == 1:
                world.take(received("T1", 10_000, order_of(A)))
            else:
                for body in billed:
                    world.feed("billing.events", A, body)
        world.run(random.Random(seed))
        account = world.account(A)
        estimates = tuple(sorted(account.prepaid.estimates))
        ends.add((left(world.told(AvailableChanged))[-1], account.receivable_fen, estimates))
        world.check()
    assert ends == {(200, 0, ("2026-04",))}

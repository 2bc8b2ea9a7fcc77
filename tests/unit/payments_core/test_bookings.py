"""What the core tells the settlement stage, and what it makes of rows that only a file has."""

from __future__ import annotations

import random
from typing import Any

import pytest

from services.payments.bookings import BookingNoted, place_of, settlement_key
from services.payments.draft import Draft
from services.payments.events import (
    NoticeNoted,
    NoticeRepeated,
    PaymentCaptured,
    PaymentSuspended,
)
from services.payments.found_rows import RowFound
from services.payments.journal import clearing_of, sub_balances
from services.payments.policy import DEFAULT_POLICY
from services.payments.settlement.rows import REFUND, SettlementRow
from tests.unit.payments_core.settling import ORDER, row
from tests.unit.payments_core.world import CLEARING, START, A, B, World, order_of, received

DAY = "2026-03-01"


def bookings(world: World) -> list[BookingNoted]:
    found = [body for topic, _, body in world.sent if topic == "payments.postings"]
    assert all(isinstance(body, BookingNoted) for body in found)
    return found


def standing(world: World) -> list[tuple[str, int]]:
    """The bookings that are not undone, by clearing account."""
    kept: dict[str, SettlementRow] = {}
    for body in sorted(bookings(world), key=lambda each: each.is_taken_back):
        if body.is_taken_back:
            del kept[body.booking_id]
        else:
            assert body.booking_id not in kept
            kept[body.booking_id] = body.row
    return [(clearing_of(r.channel, r.merchant, r.day_on), r.net_fen) for r in kept.values()]


def found(line: SettlementRow, key: str) -> tuple[str, RowFound]:
    return key, RowFound(row=line, case_id="c1", evidence_id="file:c1")


def take(world: World, key: str, body: Any) -> None:
    world.feed("payments.notices", key, body)
    world.run()


def test_a_clearing_account_says_its_place() -> None:
    assert place_of(CLEARING) == ("wechat", "1900000001", DAY)
    assert settlement_key("wechat", "1900000001") == "wechat:1900000001"


def test_a_capture_is_told_with_the_row_that_the_file_should_have() -> None:
    world = World()
    world.take(received("T1", 10000, ORDER, references={"rrn": "77"}))
    world.run()
    (told,) = bookings(world)
    assert (told.booking_id, told.source) == (f"wechat:T1/{A}", "callback")
    assert told.row == SettlementRow(
        channel="wechat",
        merchant="1900000001",
        day_on=DAY,
        kind="capture",
        transaction="T1",
        amount_fen=10000,
        settled_fen=10000,
        at="2026-03-01T02:00:00Z",
        order_no=ORDER,
        rrn="77",
        account_no=A,
    )
    assert [key for topic, key, _ in world.sent if topic == "payments.postings"] == [
        "wechat:1900000001"
    ]


@pytest.mark.parametrize("seed", range(12))
def test_what_is_told_is_what_is_on_the_clearing_accounts(seed: int) -> None:
    """Captures, rows without an order, bindings and claims of two accounts, in any order."""
    draw = random.Random(seed)
    world = World()
    inputs = [
        received("T1", 500, order_of(A), evidence_id="e1"),
        received("T1", 500, "", evidence_id="e2"),
        received("T1", 500, order_of(B), evidence_id="e3"),
        received("T2", 300, "", evidence_id="e4"),
        received("T3", 200, "", evidence_id="e5"),
    ]
    draw.shuffle(inputs)
    for each in inputs:
        world.take(each)
        if draw.random() < 0.5:
            world.bind("wechat:T1", {A: 400, B: 100})
        world.run(draw)
    world.bind("wechat:T3", {A: 200})
    world.run(draw)
    (clearing, amount_fen), *rest = standing(world)
    total = amount_fen + sum(fen for _, fen in rest)
    assert {clearing} | {name for name, _ in rest} == {CLEARING}
    assert sub_balances(world.entries(), "channel_clearing") == {CLEARING: total}
    assert total == 1000


@pytest.mark.parametrize("file_first", [True, False])
def test_a_found_row_and_its_late_callback_are_one_payment(file_first: bool) -> None:
    world = World()
    line = row("T1", 8000, day_on=DAY, order=ORDER)
    steps = [lambda: take(world, *found(line, A)), lambda: world.take(received("T1", 8000, ORDER))]
    for step in steps if file_first else reversed(steps):
        step()
        world.run()
    (captured,) = world.told(PaymentCaptured)
    assert (captured.source, captured.amount_fen) == ("file" if file_first else "callback", 8000)
    assert len(world.told(NoticeRepeated)) == len(standing(world)) == 1


def test_a_found_row_without_an_order_is_suspense_and_a_refund_is_noted() -> None:
    world = World()
    take(world, *found(row("T1", 8000, day_on=DAY, rrn="77"), "wechat:T1"))
    (suspended,) = world.told(PaymentSuspended)
    assert (suspended.source, suspended.clearing) == ("file", CLEARING)
    refund = row("T1", 500, day_on=DAY, kind=REFUND, refund_no="R1", refund_id="50")
    take(world, *found(refund, "wechat:T1"))
    (noted,) = world.told(NoticeNoted)
    assert (noted.kind, noted.refund_fen, noted.refund_no, noted.source) == (
        "refund",
        500,
        "R1",
        "file",
    )
    assert noted.refund_outcome == "succeeded"


def test_what_stands_on_no_clearing_account_is_not_told() -> None:
    draft = Draft(None, A, START, DEFAULT_POLICY)
    draft.booked("wechat:T1/suspense", "", 500, payment_id="wechat:T1", is_taken_back=True)
    assert draft.emits == []

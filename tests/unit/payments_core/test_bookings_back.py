"""What goes back to payers, as the settlement stage is told: once, under the channel's number."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.payments.refund_events import RefundDecided, RefundReported, RefundRequested
from tests.unit.payments_core.test_bookings import bookings, standing
from tests.unit.payments_core.world import CLEARING, A, World, order_of, received

DAY_2 = "wechat:1900000001:2026-03-02"


def ask(world: World, refund_no: str, refund_fen: int, payment_id: str = "wechat:T1") -> None:
    """Two people want money back from a payment of the account."""
    request = RefundRequested(
        refund_no=refund_no,
        account_no=A,
        payment_id=payment_id,
        out_trade_no=order_of(A),
        merchant="1900000001",
        refund_fen=refund_fen,
        kind="channel",
        requested_by="wang",
        reason="paid twice",
    )
    world.feed("payments.notices", A, request)
    decided = RefundDecided(
        refund_no=refund_no, account_no=A, decision="approved", person="li", reason="seen"
    )
    world.feed("payments.notices", A, decided)
    world.run()


def back(refund_no: str, refund_fen: int, **changes: Any) -> Any:
    """The channel paid a refund, on the second day."""
    fields = {"refund_no": refund_no, "refund_fen": refund_fen, "evidence_id": f"ev-{refund_no}"}
    more = {"kind": "refund", "refund_outcome": "succeeded", **fields, **changes}
    body = received("T1", 10000, more.pop("order", order_of(A)), **more)
    assert body.notice is not None
    return replace(body, notice=replace(body.notice, bill_on="2026-03-02"))


def test_refunds_of_ours_are_told_with_their_number_whoever_says_it() -> None:
    world = World()
    world.take(received("T1", 10000, order_of(A)))
    world.run()
    ask(world, "R1", 4000)
    ask(world, "R2", 1000)
    world.take(back("R1", 4000))
    said = RefundReported(
        refund_no="R2",
        account_no=A,
        fact="succeeded",
        person="wang",
        evidence="slip 4711",
        bill_on="2026-03-02",
    )
    world.feed("payments.notices", A, said)
    world.run()
    _, first, second = bookings(world)
    assert first.booking_id == "wechat:T1/refund/R1"
    assert (first.row.kind, first.row.transaction, first.row.refund_no) == ("refund", "T1", "R1")
    assert (first.row.order_no, first.row.account_no) == (order_of(A), A)
    assert (second.booking_id, second.row.amount_fen) == ("wechat:T1/refund/R2", 1000)
    assert standing(world) == [(CLEARING, 10000), (DAY_2, -4000), (DAY_2, -1000)]
    assert world.ledger()["channel_clearing"] == {CLEARING: 10000, DAY_2: -5000}


def test_a_refund_by_bank_stands_on_no_clearing_account() -> None:
    world = World()
    world.take(received("T1", 10000, order_of(A)))
    world.run()
    ask(world, "R1", 4000)
    for fact, bank in (("abnormal", ""), ("rerouted", ""), ("paid", "icbc-1")):
        said = RefundReported(
            refund_no="R1", account_no=A, fact=fact, person="wang", evidence="slip", bank=bank
        )
        world.feed("payments.notices", A, said)
        world.run()
    assert world.ledger()["bank"] == {"icbc-1": -4000}
    assert standing(world) == [(CLEARING, 10000)]


def test_an_account_takes_over_what_a_suspense_gave_back() -> None:
    """The one is taken back before the other is told, each under an id of its own."""
    world = World()
    world.take(received("T1", 10000, "", evidence_id="e1"))
    world.take(back("R1", 4000, order=""))
    world.run()
    assert standing(world) == [(CLEARING, 10000), (DAY_2, -4000)]
    world.take(received("T1", 10000, order_of(A), evidence_id="e2"))
    world.run()
    of_refund = [each for each in bookings(world) if "/back/" in each.booking_id]
    assert [(each.booking_id.rpartition("/")[2], each.is_taken_back) for each in of_refund] == [
        ("suspense", False),
        ("suspense", True),
        (A, False),
    ]
    assert sorted(standing(world)) == [(CLEARING, 10000), (DAY_2, -4000)]
    world.check()


def test_a_cards_refund_is_told_under_the_number_that_it_has_in_the_file() -> None:
    world = World()
    world.take(received("S1", 10000, order_of(A), channel="pos_http"))
    refund = received(
        "S9",
        4000,
        order_of(A),
        channel="pos_http",
        kind="refund",
        refund_fen=4000,
        refund_outcome="succeeded",
        original_txn_id="S1",
        evidence_id="e2",
    )
    world.take(refund)
    world.run()
    assert [(each.row.kind, each.row.transaction) for each in bookings(world)] == [
        ("capture", "S1"),
        ("refund", "S9"),
    ]


def test_a_reversal_of_our_own_terminals_is_told_under_its_sale() -> None:
    """It has no number that a file could have; the two cancel each other out."""
    world = World()
    world.take(received("S1", 10000, order_of(A), channel="pos_8583"))
    reversal = received(
        "S1-0400",
        10000,
        order_of(A),
        channel="pos_8583",
        kind="reversed",
        original_txn_id="S1",
        evidence_id="e2",
    )
    world.take(reversal)
    world.run()
    assert [(each.row.kind, each.row.transaction) for each in bookings(world)] == [
        ("capture", "S1"),
        ("refund", "S1"),
    ]

"""A payment whose callback is lost: the gateway is asked about its order, and says it was paid.

A home wants 50 yuan more on its account. Its order is open, it pays, and nobody is told; one minute
later payments asks WeChat Pay, and captures what it states.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from simulators.city.facts import Check, Expectation, Facts, expect

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "bad_frames"
ORDERED_ON = date(2026, 2, 18)
PAID_AT = "2026-02-18T12:00:30+08:00"
ASKED_AT = "2026-02-18T04:01:00Z"
AMOUNT_FEN = 5000


def on_day(plan: Plan, day: date) -> None:
    """The day on which it pays."""
    if day != ORDERED_ON:
        return
    account_no = plan.point(ROLE).account_no
    plan.tick("2026-02-18T04:00:00Z")
    order = plan.acts.open_order(account_no, AMOUNT_FEN)
    plan.rest()
    plan.acts.gateways.ask(
        "pay",
        order=order,
        amount_fen=AMOUNT_FEN,
        channel="wechat",
        at=PAID_AT,
        faults={"silent": True},
    )
    plan.tick(ASKED_AT)


def lost_callback(facts: Facts) -> Expectation:
    """No callback, one question, one capture: found by a query within two minutes."""
    noted = facts.of("payments.order_noted", ROLE)
    asked = facts.of("payments.channel_asked", ROLE)
    paid = facts.of("payments.order_paid", ROLE, source="query")
    captured = facts.of("payments.payment_captured", ROLE, source="query")
    amounts = [body["amount_fen"] for body in captured]
    found = f"{len(asked)} question, {len(captured)} capture of {amounts} fen by query"
    holds = (len(noted), len(asked), len(paid), amounts) == (1, 1, 1, [AMOUNT_FEN])
    holds = holds and paid[0]["payment_id"] == captured[0]["payment_id"] and not paid[0]["is_late"]
    return expect("lost callback", "asked, and captured by the answer", found, holds)


CHECKS: tuple[Check, ...] = (lost_callback,)

"""A callback that never came, and one transfer for five homes of which one was taken for another.

On 12 February a home pays in advance, and WeChat's callback is lost; nobody asks WeChat. The next
day's file has the payment: the case says why the accounts differ, the row is captured, the case is
gone. On 5 March somebody pays the bills of five homes at a card terminal, without an order number.
A clerk binds the money by the payer's list, one part to a neighbour; the next day two clerks bind
that part again.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import MONTHS, City

if TYPE_CHECKING:
    from simulators.city.plan import Plan

SILENT_ON = date(2026, 2, 12)
ADVANCE_FEN = 10_000
ADVANCE = "advance"
GROUP_ON, AGAIN_ON = date(2026, 3, 5), date(2026, 3, 6)
GROUP = tuple(f"group_{number}" for number in range(1, 6))
WRONG = "group_neighbour"
FIRST_HOME = 20
"""The homes before this one have stories of their own."""


def cast(city: City) -> None:
    """Who plays: homes that live there already."""
    for number, role in enumerate((ADVANCE, *GROUP, WRONG), FIRST_HOME):
        city.cast[role] = city.accounts[number].account_no


def on_day(plan: Plan, day: date) -> None:
    """What happens on three days."""
    if day == SILENT_ON:
        at = f"{day}T10:00:00+08:00"
        plan.acts.pay(plan.city.cast[ADVANCE], ADVANCE_FEN, "wechat", at, {"silent": True})
        plan.rest()
    elif day == GROUP_ON:
        _pay_for_all(plan, day)
    elif day == AGAIN_ON:
        _bind_again(plan)


def _pay_for_all(plan: Plan, day: date) -> None:
    """One sum at a terminal; a clerk binds it, with one mistake."""
    bills = _bills(plan)
    plan.paid.update(body["invoice_no"] for body in bills)
    amounts = [body["total_fen"] for body in bills]
    at = f"{day}T15:00:00+08:00"
    plan.acts.pay(plan.city.cast[GROUP[0]], sum(amounts), "pos", at, orderless=True)
    plan.rest()
    plan.memory.follow()
    suspended = plan.memory.of("payments.payment_suspended", amount_fen=sum(amounts))
    to = [plan.city.cast[role] for role in (*GROUP[:-1], WRONG)]
    plan.acts.bind(suspended[-1]["suspense_key"], dict(zip(to, amounts, strict=True)))
    plan.rest()


def _bind_again(plan: Plan) -> None:
    plan.memory.follow()
    wrong, right = plan.city.cast[WRONG], plan.city.cast[GROUP[-1]]
    (captured,) = plan.memory.of("payments.payment_captured", source="transfer", account_no=wrong)
    plan.acts.rebind(captured["payment_id"], wrong, {right: captured["amount_fen"]})
    plan.rest()


def _bills(plan: Plan) -> list[dict[str, Any]]:
    """The first month's invoices of the five, in their order."""
    return [
        body
        for role in GROUP
        for body in plan.memory.of(
            "billing.invoice_issued", account_no=plan.city.cast[role], month=MONTHS[0]
        )
    ]


def lost_callback(facts: Facts) -> Expectation:
    """The difference is named by its cause, the money is captured from the file, the case is
    gone, and what was prepaid settles the next bill."""
    memory, account_no = facts.memory, facts.city.cast[ADVANCE]
    cases = memory.of("payments.discrepancy_found", cause="lost_callback")
    gone = {body["case_id"]: body["how"] for body in memory.of("payments.discrepancy_gone")}
    captured = facts.of("payments.payment_captured", ADVANCE, source="file")
    ends = [gone.get(case["case_id"], "open") for case in cases]
    paid_fen = captured[0]["amount_fen"] if captured else 0
    found = (
        f"{len(cases)} case of {sum(case['channel_fen'] for case in cases)} fen, "
        f"captured {paid_fen}, case {', '.join(ends) or '-'}"
    )
    holds = len(cases) == len(captured) == 1 and ends == ["captured_from_file"]
    holds = holds and paid_fen == ADVANCE_FEN == cases[0]["channel_fen"]
    holds = holds and cases[0]["order_no"].startswith(account_no)
    return expect("difference by file", "named, captured from file", found, holds)


def group_transfer(facts: Facts) -> Expectation:
    """One sum for five, one part bound twice: each has what it owes, the neighbour has nothing, and
    nothing is left on the way."""
    memory, cast = facts.memory, facts.city.cast
    homes = {cast[role] for role in GROUP}
    bound = [
        body
        for body in memory.of("payments.suspense_bound")
        if cast[WRONG] in {part["account_no"] for part in body["parts"]}
    ]
    again = memory.of("payments.rebinding_made", from_account=cast[WRONG])
    payment_id = bound[0]["payment_id"] if bound else ""
    held: dict[str, int] = {}
    for body in memory.of("payments.payment_captured", payment_id=payment_id):
        held[body["account_no"]] = held.get(body["account_no"], 0) + body["amount_fen"]
    for body in memory.of("payments.payment_reversed", payment_id=payment_id):
        held[body["account_no"]] -= body["amount_fen"]
    owed = {
        body["account_no"]: body["total_fen"]
        for body in memory.of("billing.invoice_issued", month=MONTHS[0])
        if body["account_no"] in homes
    }
    parts = len(bound[0]["parts"]) if bound else 0
    settled = sum(held.get(name) == fen for name, fen in owed.items())
    found = f"bound to {parts}, {len(again)} again, {settled} bills paid, neighbour has "
    found += str(held.get(cast[WRONG], 0))
    holds = (parts, len(again), settled, len(owed)) == (5, 1, 5, 5) and not held.get(cast[WRONG])
    suspense = memory.of("payments.payment_suspended", payment_id=payment_id)
    holds = holds and [body["amount_fen"] for body in suspense] == [sum(owed.values())]
    return expect("group transfer", "5 bills, one bound again", found, holds)


CHECKS: tuple[Check, ...] = (lost_callback, group_transfer)

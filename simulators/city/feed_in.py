"""A home with panels: what it feeds in is stated month by month and paid out to it.

It is billed for what it draws as if nothing had been fed in. The cashier pays each statement by
bank transfer on the morning on which it came.
"""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import MONTHS

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "panels"
PRICE_LIST = "feed_in_surplus"
BOOK = "zj_feed_in"
EXPORT = "1-0:2.8.0"
PRICE = Decimal("0.4153")


def on_day(plan: Plan, day: date) -> None:
    """The cashier pays what became payable, and records the transfer."""
    for body in plan.memory.of("payments.payable_opened"):
        to_pay_fen = body["amount_fen"] - body["recovered_fen"]
        number = body["statement_no"]
        if to_pay_fen > 0 and number not in plan.paid:
            plan.paid.add(number)
            plan.acts.pay_out(body["account_no"], number, to_pay_fen, day)
            plan.rest()


def feed_in(facts: Facts) -> Expectation:
    """Every month stated to the Wh of its meter, and paid in full; nothing is left open."""
    exported: dict[str, int] = {}
    for body in facts.of("validation.usage_established", ROLE):
        exported[body["day_on"]] = body["energy"][EXPORT]
    stated_wh = dict.fromkeys(MONTHS, 0)
    for body in facts.of("billing.feed_in_stated", ROLE):
        stated_wh[body["month"]] += body["energy_wh"]
    for body in facts.of("billing.feed_in_corrected", ROLE):
        stated_wh[body["month"]] += body["energy_difference_wh"]
    by_hand = {month: _sum_wh(exported, month) for month in MONTHS}
    owed_fen = sum(_amount_fen(wh) for wh in by_hand.values())
    opened = facts.of("payments.payable_opened", ROLE)
    lowered = facts.of("payments.payable_lowered", ROLE)
    settled = facts.of("payments.payable_settled", ROLE, kind="transfer")
    paid_fen = sum(body["amount_fen"] for body in settled)
    open_fen = sum(body["amount_fen"] for body in opened)
    open_fen -= sum(body["amount_fen"] for body in lowered)
    lines = [line for body in (*opened, *lowered, *settled) for line in body["journal"]["lines"]]
    found = f"{', '.join(str(wh) for wh in stated_wh.values())} Wh, paid {paid_fen} fen"
    holds = stated_wh == by_hand and min(by_hand.values()) > 0
    holds = holds and (open_fen, paid_fen) == (owed_fen, owed_fen)
    holds = holds and _balance_fen(lines, "bank") == -owed_fen
    holds = holds and _balance_fen(lines, "payable_feed_in") == 0
    holds = holds and not facts.of("payments.payout_rejected", ROLE)
    return expect("feed-in", f"to the Wh at {PRICE}, {owed_fen} fen paid out", found, holds)


def _sum_wh(exported: dict[str, int], month: str) -> int:
    return sum(wh for day_on, wh in exported.items() if day_on.startswith(month))


def _balance_fen(lines: list[dict[str, Any]], ledger_account: str) -> int:
    """Debits less credits of an account of the journal."""
    return sum(
        line["debit_fen"] - line["credit_fen"]
        for line in lines
        if line["ledger_account"] == ledger_account
    )


def _amount_fen(energy_wh: int) -> int:
    """Fen at the price of a kWh, half up."""
    return int((energy_wh * PRICE / 10).quantize(Decimal(1), ROUND_HALF_UP))


CHECKS: tuple[Check, ...] = (feed_in,)

"""Late fees in the demo: who pays late is charged one, and pays it the day after it came.

late_payment pays February's bill on the 24th day after its issue, nine days late
"""

from __future__ import annotations

from datetime import date
from typing import Any

from simulators.city.facts import Expectation, Facts, expect

ROLE = "late_payment"


def as_bill(fee: dict[str, Any]) -> dict[str, Any]:
    """A fee as the payers take bills: of no month."""
    return {**fee, "invoice_no": fee["fee_no"], "total_fen": fee["amount_fen"], "month": ""}


def late_fee(facts: Facts) -> Expectation:
    """One fee by days and rate, at least the minimum, booked as a debt."""
    charged = facts.of("billing.late_fee_charged", ROLE)
    booked = {body["invoice_no"] for body in facts.of("payments.receivable_opened", ROLE)}
    found = ", ".join(f"{body['amount_fen']} fen on {body['debt_fen']}" for body in charged)
    holds = len(charged) == 1 and charged[0]["fee_no"] in booked
    for fee in charged:
        late = date.fromisoformat(fee["paid_on"]) - date.fromisoformat(fee["debt_due_on"])
        (share,) = fee["shares"]
        exact_fen = (fee["debt_fen"] * late.days * share["permille"] + 500) // 1000
        holds = holds and late.days > 0 and fee["amount_fen"] == max(100, exact_fen)
    return expect("late fee", "one, by days and rate, a debt", found or "none", holds)


CHECKS = (late_fee,)

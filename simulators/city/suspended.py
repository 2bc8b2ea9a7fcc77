"""A factory lets one of its two transformers rest from 11 March: two-part bills, by hand.

By the thirty-day rule of its book March has ten days with both and twenty with one:

    945 kVA x 16 x 10/30 = 5,040.00, and 630 kVA x 16 x 20/30 = 6,720.00, together 11,760.00

Its meter counts 0.36 kvarh a kWh: the factor is 0.94, which is four steps above its standard of
0.90, and worth -0.60 % of energy and basic charge, without the funds.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.files import write_account
from simulators.city.people import MONTHS

if TYPE_CHECKING:
    from simulators.city.plan import Plan

ROLE = "two_part"
TOLD_ON, RESTS_ON = date(2026, 3, 9), date(2026, 3, 11)
CAPACITY_FEN = dict(zip(MONTHS, (1_512_000, 1_176_000, 1_008_000), strict=True))
"""945 kVA x 16 yuan, the two parts above, 630 kVA x 16 yuan."""
FACTOR, PERCENT = Decimal("0.94"), Decimal("-0.60")
FUNDS = "fund."


def on_day(plan: Plan, day: date) -> None:
    """The customer service writes down which transformer rests, and from when."""
    if day != TOLD_ON:
        return
    account_no = plan.city.cast[ROLE]
    rows = [row for row in plan.city.rows["transformers"] if row["account_no"] == account_no]
    rests = {**rows[-1], "valid_from": RESTS_ON.isoformat(), "kind": "change", "state": "suspended"}
    directory = plan.files / "suspended"
    write_account(plan.city, account_no, directory, {"transformers": [*rows, rests]})
    _, bad = plan.acts.import_customers(directory, "customer service")
    assert not bad, f"{bad} rows of the suspended transformer were refused"
    plan.rest()


def suspended_transformer(facts: Facts) -> Expectation:
    """The basic charge of each month by hand, and the power factor from the registers."""
    bills = {body["month"]: body["bill"] for body in facts.of("billing.invoice_issued", ROLE)}
    capacity = {month: _sum(bill["lines"], "capacity") for month, bill in bills.items()}
    adjusted = {month: _sum(bill["lines"], "power_factor") for month, bill in bills.items()}
    march = MONTHS[1]
    found = f"{march}: capacity {_yuan(capacity.get(march))}, "
    found += f"factor {_factor(facts, march)}: {_yuan(adjusted.get(march))}"
    holds = capacity == CAPACITY_FEN
    for month in MONTHS:
        holds = holds and _factor(facts, month) == FACTOR
        holds = holds and adjusted.get(month) == _adjustment(bills.get(month, {"lines": ()}))
    expected = f"{_yuan(CAPACITY_FEN[march])}, factor {FACTOR}: {PERCENT} %"
    return expect("suspended transformer", expected, found, holds)


def _sum(lines: Iterable[dict[str, Any]], code: str) -> int:
    return sum(line["amount_fen"] for line in lines if line["code"] == code)


def _adjustment(bill: dict[str, Any]) -> int:
    """The percentage of everything that is no fund and no adjustment, half up."""
    base = sum(
        line["amount_fen"]
        for line in bill["lines"]
        if line["code"] != "power_factor" and not line["code"].startswith(FUNDS)
    )
    return int((base * PERCENT / 100).quantize(Decimal(1), ROUND_HALF_UP))


def _factor(facts: Facts, month: str) -> Decimal:
    """P / sqrt(P² + Q²) of the latest revisions of the month's days, to two decimals."""
    latest = {body["day_on"]: body for body in facts.of("validation.usage_established", ROLE)}
    days = [body["energy"] for day_on, body in latest.items() if day_on.startswith(month)]
    active = Decimal(sum(energy["1-0:1.8.0"] for energy in days))
    reactive = Decimal(sum(energy["1-0:5.8.0"] + energy["1-0:8.8.0"] for energy in days))
    if not active:
        return Decimal(0)
    factor = active / (active * active + reactive * reactive).sqrt()
    return factor.quantize(Decimal("0.01"), ROUND_HALF_UP)


def _yuan(fen: int | None) -> str:
    return "-" if fen is None else f"{Decimal(fen) / 100:,.2f}"


CHECKS: tuple[Check, ...] = (suspended_transformer,)

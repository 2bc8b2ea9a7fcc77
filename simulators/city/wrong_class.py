"""A hotel on the wrong price list: 400 kVA at 10 kV, billed single-part below 1 kV.

Nobody asks about it but the tariff audit: each month's bill is held by its warning and released by
the clerk, and the money at stake grows by what the two-part list would have charged otherwise.
The audit finds nobody else but the household at the Modbus meter: its list has the same name in the
book for 10 kV, which is taken since it comes last.
"""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from libs.events.quantities import format_yuan
from services.billing.price_book import PriceBook
from services.billing.price_book_file import BOOKS, load_book
from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import (
    FIRST_ON,
    IMPORT_RATES,
    TOU_RATES,
    Account,
    City,
    Point,
    next_number,
)

ROLE, RULE = "wrong_class", "two_part_from_315"
KVA = 400
LINES_MOST = 12
"""Each line of a bill is rounded to a fen, which the check is not."""


def settle(city: City, rng: random.Random, _index: int) -> None:
    """The hotel."""
    number = next_number(city)
    account_no = f"1{number:09d}"
    city.cast[ROLE] = account_no
    city.accounts.append(
        Account(
            account_no=account_no,
            category="non_residential",
            price_list="commercial_tou",
            voltage_class="10kv",
            metering_side="high",
            pf_standard="0.85",
        )
    )
    city.rows.setdefault("transformers", []).append(
        {
            "account_no": account_no,
            "transformer_no": f"T-{number}-1",
            "valid_from": FIRST_ON,
            "kva": KVA,
            "model": f"S11-M-{KVA}/10",
            "state": "in_use",
        }
    )
    city.points.append(
        Point(
            usage_point=f"P-{number:04d}",
            account_no=account_no,
            meter_no=f"M-{number:04d}",
            address=f"{number:012d}",
            line="feeder-1",
            area="F-01",
            annual_kwh=rng.randrange(500_000, 900_000),
            shape="G25",
            phases=3,
            ratio=2000,
            accuracy_class="0.5S",
            registers=(*IMPORT_RATES, "1-0:5.8.0", "1-0:8.8.0"),
            rate_periods=TOU_RATES,
            day_table="commercial",
            initial_kwh=rng.randrange(0, 300),
            capacity_kw=KVA,
            switching_method="none",
            voltage_v="57.7",
        )
    )


def wrong_class(facts: Facts) -> Expectation:
    """One question, about every month billed, with the money reckoned by hand from the prices."""
    asked = facts.of("billing.tariff_class_questioned", ROLE)
    everybody = {body["account_no"] for body in facts.memory.of("billing.tariff_class_questioned")}
    bills = facts.of("billing.invoice_issued", ROLE)
    months: list[str] = asked[-1]["months"] if asked else []
    at_stake_fen: int = asked[-1]["at_stake_fen"] if asked else 0
    by_hand_fen = sum(_two_part_fen(body) - body["total_fen"] for body in bills)
    # The book of the shops is superseded: what was corrected by it is as billed, too.
    by_hand_fen -= sum(
        body["difference_fen"] for body in facts.of("billing.correction_issued", ROLE)
    )
    holds = (
        bool(bills)
        and everybody <= {facts.city.cast[ROLE], facts.city.cast["modbus"]}
        and {(body["audit_id"][-5:], body["rule"]) for body in asked} == {("-T001", RULE)}
        and months == sorted(body["month"] for body in bills)
        and abs(at_stake_fen - by_hand_fen) <= LINES_MOST * len(bills)
    )
    yuan = f"{format_yuan(at_stake_fen)}, by hand {format_yuan(by_hand_fen)} yuan"
    found = f"{len(asked)} x {RULE}, {len(months)} months, {yuan}"
    return expect("wrong tariff class", "one question, money at stake", found, holds)


def _two_part_fen(invoice: dict[str, Any]) -> int:
    """What the two-part list charges for the billed energy: its prices, the funds, the capacity,
    and the adjustment of the invoice in per cent on all of it but the funds."""
    book = load_book(BOOKS / "cq_industry_10kv.yaml")
    base_e6 = funds_e6 = 0
    adjustment_e1 = 0
    for line in invoice["bill"]["lines"]:
        if line["code"] == "power_factor":
            adjustment_e1 = int(Decimal(line["price"]) * 10)
            continue
        period = line["code"].rpartition(".")[2]
        base, funds = _prices_e6(book, period)
        base_e6 += line["quantity"] * base // 1000
        funds_e6 += line["quantity"] * funds // 1000
    base_e6 += KVA * _capacity_e6(book)
    return (base_e6 + base_e6 * adjustment_e1 // 1000 + funds_e6 + 5_000) // 10_000


def _prices_e6(book: PriceBook, period: str) -> tuple[int, int]:
    base = funds = 0
    for each in book.price_lists["large_industry"].components:
        if each.unit == "kWh" and each.pf_base:
            base += _e6(each.period_prices[period] if each.tou_applies else each.price)
        elif each.unit == "kWh":
            funds += _e6(each.price)
    return base, funds


def _capacity_e6(book: PriceBook) -> int:
    components = book.price_lists["large_industry"].components
    return next(_e6(each.price) for each in components if each.unit == "kVA")


def _e6(price: str) -> int:
    whole, _, rest = price.partition(".")
    return int(whole) * 1_000_000 + int(f"{rest:0<6}")


CHECKS: tuple[Check, ...] = (wrong_class,)

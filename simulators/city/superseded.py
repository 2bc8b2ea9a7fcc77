"""A price book that comes too late: the commercial prices of March are published on 11 April.

March is issued by then at the old prices, so every shop gets one numbered correction of it. What a
flat behind a shop's meter pays did not change, and whoever has only that price gets no correction.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any

from services.billing.price_book import PriceBook
from services.billing.price_book_file import BOOKS, load_book
from simulators.city.facts import Check, Expectation, Facts, expect
from simulators.city.people import MONTHS

if TYPE_CHECKING:
    from simulators.city.plan import Plan

OLD_BOOK = "cq_commercial"
PRICE_LIST = "commercial_tou"
VERSION = 2
FROM_ON = "2026-03-01"
PUBLISHED_ON = date(2026, 4, 11)
PRICES = {"sharp": "1.07364", "peak": "0.8947", "flat": "0.5592", "valley": "0.3404"}
"""2.89 % dearer; the old ones are in the shipped book."""


def dearer_book() -> PriceBook:
    """The next version of the commercial book."""
    old = load_book(BOOKS / f"{OLD_BOOK}.yaml")
    listed = old.price_lists[PRICE_LIST]
    (energy,) = listed.components
    dearer = replace(listed, components=(replace(energy, period_prices=PRICES),))
    lists = {**old.price_lists, PRICE_LIST: dearer}
    return replace(old, version=VERSION, from_on=FROM_ON, price_lists=lists)


def on_day(plan: Plan, day: date) -> None:
    """The tariff desk publishes it."""
    if day == PUBLISHED_ON:
        plan.acts.publish_book(dearer_book())
        plan.rest()


def superseded_book(facts: Facts) -> Expectation:
    """One correction a shop, of March alone, by the difference of its invoice at both prices; those
    with a power factor are left out, which is more than these lines."""
    dearer = [each for each in facts.city.accounts if each.price_list == PRICE_LIST]
    assessed = {each.account_no for each in dearer if each.pf_standard}
    shops = {each.account_no for each in dearer} - assessed
    rounds = [
        body
        for body in facts.memory.of("billing.correction_issued", cause="book_superseded")
        if f"{OLD_BOOK.replace('_', '-')}@{VERSION}" in body["reference"]
        and body["account_no"] not in assessed
    ]
    corrected: dict[str, int] = defaultdict(int)
    for body in rounds:
        corrected[body["account_no"]] += body["difference_fen"]
    by_hand = {
        body["account_no"]: _difference_fen(body["bill"]["lines"])
        for body in facts.memory.of("billing.invoice_issued", month=MONTHS[1])
        if body["account_no"] in shops
    }
    months = {each["bill_id"][-7:] for body in rounds for each in body["correction"]["bills"]}
    found = f"{len(rounds)} corrections of {', '.join(sorted(months)) or '-'}, "
    found += f"{sum(corrected.values())} fen"
    holds = len(rounds) == len(shops) == len(by_hand) and dict(corrected) == by_hand
    holds = holds and months == {MONTHS[1]} and min(by_hand.values(), default=0) > 0
    expected = f"{len(shops)} corrections of {MONTHS[1]}, {sum(by_hand.values())} fen"
    return expect("superseded book", expected, found, holds)


def _difference_fen(lines: list[dict[str, Any]]) -> int:
    """Each line of the shop's own price at the new price, half up, minus what it was."""
    difference = 0
    for line in lines:
        period = line["code"].removeprefix("energy.")
        if period in PRICES:
            dearer = Decimal(line["quantity"]) / 1000 * Decimal(PRICES[period]) * 100
            new_fen = int(dearer.quantize(Decimal(1), ROUND_HALF_UP))
            difference += new_fen - line["amount_fen"]
    return difference


CHECKS: tuple[Check, ...] = (superseded_book,)

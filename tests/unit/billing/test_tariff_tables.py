"""Every row of the tariff tables is a price a book can hold, and rates to what it says.

Where an example book covers the row, its own price is compared; the other rows (other provinces,
the historic exam table) go into a book of one price.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from libs.events.quantities import parse_price
from services.billing.agreement import Transformer
from services.billing.price_book import PriceBook
from services.billing.rating import rate
from tests.unit.billing.builders import (
    book,
    component,
    example,
    point_usage,
    price_list,
    terms,
    two_part,
    usage,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "tariff_tables.csv"
with GOLDEN.open() as lines:
    ROWS = list(csv.DictReader(lines))

ZHEJIANG_FLAT = ("zj_residential", "residential", "")
ZHEJIANG_PEAK = ("zj_residential", "residential_tou", "peak")
ZHEJIANG_VALLEY = ("zj_residential", "residential_tou", "valley")
CHONGQING = ("cq_residential", "residential", "")
COVERED: dict[int, tuple[str, str, str, str]] = {
    0: (*ZHEJIANG_FLAT, ""),
    1: (*ZHEJIANG_PEAK, ""),
    2: (*ZHEJIANG_VALLEY, ""),
    3: (*ZHEJIANG_FLAT, "tier.2"),
    4: (*ZHEJIANG_PEAK, "tier.2"),
    5: (*ZHEJIANG_VALLEY, "tier.2"),
    6: (*ZHEJIANG_FLAT, "tier.3"),
    7: (*ZHEJIANG_PEAK, "tier.3"),
    8: (*ZHEJIANG_VALLEY, "tier.3"),
    9: ("zj_residential", "residential_shared", "", ""),
    10: ("zj_residential", "residential_shared_1_10kv", "", ""),
    11: ("zj_residential", "residential_shared_rural", "", ""),
    12: (*CHONGQING, ""),
    13: (*CHONGQING, "tier.2"),
    14: (*CHONGQING, "tier.3"),
    15: ("cq_residential", "residential_shared", "", ""),
    16: ("cq_commercial", "commercial_tou", "peak", ""),
    17: ("cq_commercial", "commercial_tou", "flat", ""),
    18: ("cq_commercial", "commercial_tou", "valley", ""),
    28: ("cq_industry_10kv", "residential_shared", "", ""),
    31: ("cq_industry_10kv", "large_industry", "flat", ""),
}
"""Row of the table: file, price list, period and tier step of the example book."""


def energy_price_e6(tariff: PriceBook, code: str, period: str, step: str) -> int:
    listed = tariff.price_lists[code]
    energy = listed.components[0]
    price = parse_price(energy.period_prices[period] if period else energy.price)
    for each in listed.tiers.steps if listed.tiers else ():
        if each.code == step:
            price += parse_price(each.adder)
    return price


@pytest.mark.parametrize("number", sorted(COVERED))
def test_the_example_books_have_the_prices_of_the_tables(number: int) -> None:
    name, code, period, step = COVERED[number]
    expected = parse_price(ROWS[number]["price_yuan_per_kWh"])
    assert energy_price_e6(example(name), code, period, step) == expected


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_every_row_rates_to_its_price(number: int) -> None:
    """1,000 kWh (or 1,000 kVA or kW for a month) cost 1,000 times the price, to the fen."""
    row = ROWS[number]
    price = row["price_yuan_per_kWh"]
    expected_fen = parse_price(price) // 10
    agreed, month = terms(), usage(point_usage(import_wh=1_000_000))
    tariff = book(price_list(component(price=price)))
    if row["unit_note"].startswith("yuan/k"):
        unit = row["unit_note"].split("/")[1]
        month = usage(point_usage(import_wh=0, demand_w=1_000_000))
        mode = "capacity" if unit == "kVA" else "measured_demand"
        transformers = (Transformer(id="T1", capacity_va=1_000_000),)
        agreed = terms(basic_charge=mode, transformers=transformers)
        priced = component("basic", price, unit=unit)
        tariff = book(price_list(component(), priced, two_part=two_part()))
    assert rate(month, tariff, agreed).total_fen == expected_fen


def test_the_two_part_book_has_the_capacity_and_demand_prices() -> None:
    prices = {
        each.code: each.price
        for each in example("cq_industry_10kv").price_lists["large_industry"].components
    }
    assert (prices["demand"], prices["capacity"]) == ("24", "16")
    assert (ROWS[35]["price_yuan_per_kWh"], ROWS[36]["price_yuan_per_kWh"]) == ("24", "16")


def test_the_sharp_price_is_the_peak_price_and_a_fifth() -> None:
    prices = example("cq_commercial").price_lists["commercial_tou"].components[0].period_prices
    assert parse_price(prices["sharp"]) * 10 == parse_price(prices["peak"]) * 12


def test_what_is_unconfirmed_says_so() -> None:
    """The bound of tier 2 in Chongqing is contradictory; every price of the book is marked."""
    listed = example("cq_residential").price_lists["residential"]
    assert listed.tiers is not None
    assert all(each.unconfirmed for each in (*listed.components, *listed.tiers.steps))
    assert "400" in listed.tiers.steps[1].source
    listed = example("zj_residential").price_lists["residential"]
    assert not listed.components[0].unconfirmed

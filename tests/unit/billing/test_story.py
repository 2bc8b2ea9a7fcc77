"""The story of a bill: every amount, why it is so, and what would change it, in both languages."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from libs.events.quantities import format_yuan
from services.billing.agreement import HouseholdAllowance, PointRelation, Transformer
from services.billing.bill import Bill, RatingPart
from services.billing.price_book import PriceBook
from services.billing.rating import rate_parts
from services.billing.story import story
from services.billing.tiers import TierPosition
from services.billing.usage import split_usage
from tests.unit.billing.builders import (
    book,
    calendar,
    component,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

CHINESE = re.compile(r"[\u4e00-\u9fff]")
YEARLY = tiers("year", (2760, 4800), ("0.05", "0.30"), allowances={"large": (100_000, 100_000)})


def told(tariff: PriceBook, used: Any, agreed: Any, before: Any = None) -> list[str]:
    """The story in English, after both languages were looked at."""
    parts = (RatingPart(used, tariff, agreed),)
    return checked(rate_parts(parts, before), parts)


def checked(bill: Bill, parts: Any) -> list[str]:
    sentences = story(bill, parts)
    for line in bill.lines:
        amount = format_yuan(abs(line.amount_fen))
        assert any(amount in each.zh for each in sentences), line
        assert any(amount in each.en for each in sentences), line
    assert all(CHINESE.search(each.zh) for each in sentences)
    assert all(each.zh.endswith("。") and each.en.endswith(".") for each in sentences)
    return [each.en for each in sentences]


def test_a_flat_bill() -> None:
    assert told(book(), usage(point_usage(import_wh=523_000)), terms()) == [
        "Account A1, 2026-01 (31 days from 2026-01-01, price book test@1): 523 kWh were used and "
        "cost 261.50 CNY, 0.50 CNY per kWh on average.",
        "Energy of point P1: 523 kWh at 0.5 CNY/kWh are 261.50 CNY.",
    ]


def test_nothing_was_used() -> None:
    assert told(book(), usage(point_usage(import_wh=0)), terms()) == [
        "Account A1, 2026-01 (31 days from 2026-01-01, price book test@1): 0 kWh were used and "
        "cost 0.00 CNY."
    ]


def test_the_tiers_so_far_and_until_the_next_one() -> None:
    tariff = book(price_list(component(price="0.538"), tiers=YEARLY))
    used = usage(point_usage(import_wh=100_000))
    before = {"P1": TierPosition(key="2026", used_wh=2_700_000)}
    assert told(tariff, used, terms(), before)[2:] == [
        "Tiers of point P1: 2700 kWh were used this year before, 2800 kWh by the end of this bill.",
        "Tier 2 adder: 40 kWh above 2760 kWh cost 0.05 CNY/kWh more, 2.00 CNY.",
        "After another 2000 kWh this year, at 4800 kWh, each kWh costs 0.30 CNY more than the "
        "base price.",
        "The largest part is Energy, 96 % of the total.",
    ]
    large = terms(allowances=(HouseholdAllowance(rule="large", from_on="2026-01-01"),))
    assert "at 3960 kWh, each kWh costs 0.05" in told(tariff, used, large, before)[3]
    high = {"P1": TierPosition(key="2026", used_wh=9_000_000)}
    assert not any("After another" in each for each in told(tariff, used, terms(), high))
    monthly = book(price_list(tiers=tiers("month", (200,), ("0.05",))))
    assert "0 kWh were used this month before" in told(monthly, used, terms())[2]


def test_tiers_that_end_within_the_bill() -> None:
    with_tiers = book(price_list(tiers=YEARLY))
    first, rest = split_usage(usage(point_usage(import_wh=310_000)), "2026-01-11")
    parts = (
        RatingPart(first, with_tiers, terms()),
        RatingPart(rest, book(version=2), terms()),
    )
    found = checked(rate_parts(parts), parts)
    assert not any("After another" in each for each in found)
    assert any("shared by days" in each for each in found)


def test_a_tiered_point_that_is_gone_at_the_end() -> None:
    tariff = book(price_list(tiers=YEARLY))
    both = usage(point_usage(import_wh=310_000), point_usage("P2", 31_000))
    first, rest = split_usage(both, "2026-01-11")
    parts = (
        RatingPart(first, tariff, terms(point_terms(), point_terms("P2"))),
        RatingPart(replace(rest, points=rest.points[:1]), tariff, terms()),
    )
    found = checked(rate_parts(parts), parts)
    assert sum("Tiers of point" in each for each in found) == 2
    assert sum("After another" in each for each in found) == 1


def test_periods_say_what_a_shift_saves() -> None:
    prices = {"sharp": "1", "peak": "0.8", "flat": "0.5", "valley": "0.3"}
    energy = component(price="", tou_applies=True, period_prices=prices)
    tariff = book(price_list(energy, calendar="times"), calendars={"times": calendar()})
    rates = {"2": "peak", "4": "valley"}
    agreed = terms(point_terms(rate_periods=rates))
    both = usage(point_usage(import_wh=100_000, import_wh_by_rate={"2": 60_000, "4": 40_000}))
    found = told(tariff, both, agreed)
    assert (
        "Point P1: each kWh used in a valley period and not in a peak one costs 0.5 CNY less."
        in (found)
    )
    one = usage(point_usage(import_wh=100_000, import_wh_by_rate={"2": 100_000, "4": 0}))
    assert not any("costs 0" in each for each in told(tariff, one, agreed))


def test_sub_meters_funds_and_fees() -> None:
    listed = price_list(
        component(), component("fund.a", "0.01"), component("fee", "6", unit="month")
    )
    agreed = terms(
        point_terms(),
        point_terms("P2"),
        relations=(PointRelation(point="P2", kind="deducted", of="P1"),),
    )
    used = usage(point_usage(import_wh=1_000_000), point_usage("P2", 300_000))
    found = told(book(listed), used, agreed)
    assert found[1:] == [
        "The meter of P1 counted 1000 kWh, of which sub-meters are billed 300 kWh; 700 kWh are "
        "left.",
        "Energy of point P1: 700 kWh at 0.5 CNY/kWh are 350.00 CNY.",
        "Energy of point P2: 300 kWh at 0.5 CNY/kWh are 150.00 CNY.",
        "Funds collected for the state are 10.00 CNY: Fund.a 7.00, Fund.a 3.00.",
        "Fee of point P1: 6.00 CNY.",
        "Fee of point P2: 6.00 CNY.",
        "The largest part is Energy, 67 % of the total.",
    ]


def two_part_book(**changes: Any) -> PriceBook:
    prices = (component("capacity", "16", unit="kVA"), component("demand", "40", unit="kW"))
    listed = price_list(
        component(price="0.1"), *prices, two_part=two_part(), power_factor_applies=True
    )
    return book(listed, power_factor=power_factor(), **changes)


def test_the_basic_charge_by_capacity_and_a_low_power_factor() -> None:
    agreed = terms(
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=315_000),),
        power_factor_standard="0.90",
    )
    used = usage(point_usage(import_wh=40_000_000, reactive_varh={"1": 39_670_000, "4": 0}))
    found = told(two_part_book(), used, agreed)
    assert found[2:4] == [
        "Capacity: 315 kVA of transformers at 16 CNY/kVA/month for 30/30 of a month are 5040.00 "
        "CNY, whatever was used.",
        "The power factor was 0.71, the standard is 0.90: it is lower, so 9.5 % of 9040.00 CNY are "
        "added, 858.80 CNY; compensating reactive energy up to the standard saves them.",
    ]
    assert "The largest part" in found[4]
    high = usage(point_usage(import_wh=40_000_000, reactive_varh={"1": 0, "4": 0}))
    assert (
        "it is higher, so 0.75 % of 9040.00 CNY are taken off, 67.80 CNY."
        in (told(two_part_book(), high, agreed)[3])
    )
    standard = usage(point_usage(import_wh=40_000_000, reactive_varh={"1": 19_373_000, "4": 0}))
    assert "nothing is added or taken off (0.00 CNY)" in told(two_part_book(), standard, agreed)[3]


def test_the_basic_charge_by_demand() -> None:
    agreed = terms(basic_charge="contract_demand", contract_demand_w=1_000_000)
    used = usage(point_usage(import_wh=0, demand_w=1_100_000))
    found = told(two_part_book(), used, agreed)
    assert found[1] == (
        "Demand: the highest demand was 1100 kW, the contract says 1000 kW; 1000 kW at 40 "
        "CNY/kW/month for 30/30 of a month are 40000.00 CNY."
    )
    assert "50 kW at 80" in found[2]
    measured = told(two_part_book(), used, terms(basic_charge="measured_demand"))
    assert "the contract" not in measured[1]


def test_what_may_still_change_is_said() -> None:
    tariff = book(price_list(component(unconfirmed=True), component("b", "1", unconfirmed=True)))
    odd = point_terms(category="residential")
    used = usage(point_usage(quality="estimated", exchanged=True))
    found = told(tariff, used, terms(odd))
    assert [each.split()[0] for each in found[-5:]] == [
        "The",
        "Some",
        "The",
        "Please",
        "Unconfirmed",
    ]
    assert found[-1] == "Unconfirmed in the price book: Energy, B."
    credit = book(price_list(component(price="-0.5"), component("b", "0.1")))
    assert not any("largest" in each for each in told(credit, usage(), terms()))
    even = book(price_list(*(component(code, "0.1") for code in "abc")))
    assert not any("largest" in each for each in told(even, usage(), terms()))


def test_a_withheld_bill_says_why() -> None:
    agreed = terms(payment_mode="barter")
    assert told(book(), usage(), agreed)[1:] == [
        "Not priced yet: nobody knows how the account pays."
    ]
    unknown = terms(point_terms("P2"))
    found = told(book(), usage(point_usage("P2"), point_usage("P3")), unknown)
    assert found[1] == "The reason: P3 the agreement has no such point in these days."
    other = replace(terms(), price_book="other")
    assert "The reason: the agreement names the book other" in told(book(), usage(), other)[1]


def test_a_line_of_another_kind_is_told_by_its_name() -> None:
    parts = (RatingPart(usage(), book(), terms()),)
    bill = rate_parts(parts)
    line = replace(bill.lines[0], code="x", name_zh="其他", name_en="Other", unit="fen", basis={})
    assert "Other of point P1: 50.00 CNY." in checked(replace(bill, lines=(line,)), parts)
    for unit in ("VA", "W"):
        other = replace(line, unit=unit, point="")
        assert "Other: 50.00 CNY." in checked(replace(bill, lines=(other,)), parts)

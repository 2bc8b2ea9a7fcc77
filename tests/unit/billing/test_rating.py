"""Whole bills: an industry bill by hand, months in parts, warnings, and what is a bug."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.billing.agreement import Transformer
from services.billing.bill import RatingPart
from services.billing.price_book import BookReference
from services.billing.rating import rate, rate_parts
from services.billing.tiers import TierPosition
from services.billing.usage import split_usage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    example,
    month_usage,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

INDUSTRY = terms(
    point_terms(
        price_list="large_industry",
        category="large_industry",
        voltage_class="1_10kv",
        metering_side="high",
        rate_periods=FOUR_RATES,
    ),
    price_book="cq-industry-10kv",
    basic_charge="capacity",
    transformers=(Transformer(id="T1", capacity_va=2_650_000),),
    power_factor_standard="0.90",
)


def test_a_two_part_bill_at_ten_kilovolts_by_hand() -> None:
    """March 2026, 2,650 kVA: 100,000 kWh (0 + 40,000 + 35,000 + 25,000), 48,432 kvarh: 0.90.

    40,000 x 0.544 = 21,760; 35,000 x 0.34 = 11,900; 25,000 x 0.2071 = 5,177.50;
    funds 400 + 2,000 + 200; capacity 2,650 x 16 = 42,400; at factor 0.90 no adjustment.
    """
    taken = point_usage(
        import_wh=100_000_000,
        import_wh_by_rate={"1": 0, "2": 40_000_000, "3": 35_000_000, "4": 25_000_000},
        reactive_varh={"1": 48_000_000, "4": 432_000},
    )
    bill = rate(month_usage("2026-03", "2026-04", taken), example("cq_industry_10kv"), INDUSTRY)
    assert [(line.code, line.amount_fen) for line in bill.lines] == [
        ("energy.peak", 2_176_000),
        ("energy.flat", 1_190_000),
        ("energy.valley", 517_750),
        ("fund.major_hydro", 40_000),
        ("fund.rural_grid_loan", 200_000),
        ("fund.reservoir", 20_000),
        ("capacity", 4_240_000),
        ("power_factor", 0),
    ]
    assert bill.total_fen == 8_383_750
    assert bill.lines[0].rule == "cq-industry-10kv@1/large_industry/energy"
    assert bill.lines[0].name_zh == "电度电费（峰）"
    assert bill.lines[0].price_unit == "CNY/kWh"
    adjustment = bill.lines[-1]
    assert adjustment.quantity == 2_176_000 + 1_190_000 + 517_750 + 4_240_000
    assert (adjustment.basis["power_factor"], adjustment.price) == ("0.90", "0")
    assert bill.warnings == ()
    assert bill.books == (
        BookReference(
            id="cq-industry-10kv", version=1, content_hash=example("cq_industry_10kv").content_hash
        ),
    )


def test_energy_in_a_period_the_month_does_not_have_is_billed_with_a_warning() -> None:
    taken = point_usage(
        import_wh=3_000,
        import_wh_by_rate={"1": 1_000, "2": 0, "3": 1_000, "4": 1_000},
        reactive_varh={"1": 0, "4": 0},
    )
    tariff = example("cq_industry_10kv")
    bill = rate(month_usage("2026-03", "2026-04", taken), tariff, INDUSTRY)
    assert [(each.rule, each.numbers) for each in bill.warnings] == [
        ("unusual_period", {"energy_wh": 1_000})
    ]
    assert bill.lines[0].code == "energy.sharp"
    bill = rate(month_usage("2026-07", "2026-08", taken), tariff, INDUSTRY)
    assert bill.warnings == ()


def test_the_order_of_points_and_usages_does_not_matter() -> None:
    points = (point_terms("P1"), point_terms("P2"))
    usages = (point_usage("P1"), point_usage("P2", import_wh=7_000))
    one = rate(usage(*usages), book(), terms(*points))
    two = rate(usage(*reversed(usages)), book(), terms(*reversed(points)))
    assert one == two


def test_estimated_and_exchanged_usage_marks_the_bill() -> None:
    assert not rate(usage(), book(), terms()).estimated
    marked = usage(point_usage(quality="estimated", exchanged=True))
    bill = rate(marked, book(), terms())
    assert (bill.estimated, bill.exchanged) == (True, True)
    withheld = rate(marked, book(), terms(payment_mode="barter"))
    assert (withheld.estimated, withheld.exchanged, withheld.withheld) == (True, True, True)


NEW = "2026-01-11"
CHEAP = book(price_list(component(price="0.5")), until_on=NEW)
DEAR = book(price_list(component(price="0.6")), version=2, from_on=NEW)


def test_a_change_of_book_within_the_month_is_rated_in_parts() -> None:
    """310 kWh of 31 days: 100 at 0.50 and 210 at 0.60; each line says its days and book."""
    before, after = split_usage(usage(point_usage(import_wh=310_000)), NEW)
    bill = rate_parts((RatingPart(before, CHEAP, terms()), RatingPart(after, DEAR, terms())))
    lines = [(line.from_on, line.until_on, line.quantity, line.amount_fen) for line in bill.lines]
    assert lines == [
        ("2026-01-01", NEW, 100_000, 5_000),
        (NEW, "2026-02-01", 210_000, 12_600),
    ]
    assert [line.rule for line in bill.lines] == ["test@1/list/energy", "test@2/list/energy"]
    assert [line.basis for line in bill.lines] == [{"prorated": "by_days"}] * 2
    assert [each.version for each in bill.books] == [1, 2]
    assert (bill.from_on, bill.until_on, bill.energy_wh) == ("2026-01-01", "2026-02-01", 310_000)


def test_tiers_run_on_from_part_to_part() -> None:
    """200 kWh are free of adder in the month: 100 of the first part, then 110 of 210 are above."""
    rule = tiers("month", (200,), ("0.1",))
    listed = price_list(component(), tiers=rule)
    parts = split_usage(usage(point_usage(import_wh=310_000)), NEW)
    books = (book(listed, until_on=NEW), book(listed, version=2, from_on=NEW))
    bill = rate_parts(
        tuple(RatingPart(part, each, terms()) for part, each in zip(parts, books, strict=True))
    )
    assert [line.quantity for line in bill.lines if line.code == "tier.2"] == [110_000]
    assert bill.tiers_before == {"P1": TierPosition(key="2026-01", used_wh=0)}
    assert bill.tiers_after == {"P1": TierPosition(key="2026-01", used_wh=310_000)}


TWO_PART = price_list(
    component(price="0.5"),
    component("capacity", "10", unit="kVA"),
    component("demand", "40", unit="kW"),
    two_part=two_part(),
    power_factor_applies=True,
)


def test_basic_charge_and_power_factor_of_a_month_in_parts() -> None:
    """10 and 21 days of 31: 10/30 and 20/30; one factor over the month, each part its own base."""
    taken = point_usage(import_wh=310_000, reactive_varh={"1": 232_500, "4": 0})
    before, after = split_usage(usage(taken), NEW)
    table = power_factor()
    agreed = terms(
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=300_000),),
        power_factor_standard="0.90",
    )
    bill = rate_parts(
        (
            RatingPart(before, book(TWO_PART, until_on=NEW, power_factor=table), agreed),
            RatingPart(after, book(TWO_PART, version=2, from_on=NEW, power_factor=table), agreed),
        )
    )
    # 232.5 / 310 = 0.75: factor 0.80, +5 %.
    assert [(line.code, line.quantity, line.amount_fen) for line in bill.lines] == [
        ("energy", 100_000, 5_000),
        ("capacity", 300_000, 100_000),
        ("power_factor", 105_000, 5_250),
        ("energy", 210_000, 10_500),
        ("capacity", 300_000, 200_000),
        ("power_factor", 210_500, 10_525),
    ]


def test_the_maximum_demand_is_that_of_the_cycle_in_every_part() -> None:
    taken = point_usage(import_wh=0, demand_w=600_000)
    before, after = split_usage(usage(taken), NEW)
    low = replace(before, points=(replace(before.points[0], demand_w=1_000),))
    agreed = terms(basic_charge="measured_demand")
    first = book(TWO_PART, until_on=NEW)
    second = book(TWO_PART, version=2, from_on=NEW)
    bill = rate_parts((RatingPart(low, first, agreed), RatingPart(after, second, agreed)))
    assert [(line.quantity, line.basis["days"]) for line in bill.lines] == [
        (600_000, "10/30"),
        (600_000, "20/30"),
    ]
    assert bill.total_fen == 2_400_000


def test_a_class_that_changes_within_the_month() -> None:
    """From two-part with power factor to single-part without: each part by its own terms."""
    taken = point_usage(import_wh=310_000, reactive_varh={"1": 0, "4": 0})
    before, after = split_usage(usage(taken), NEW)
    single = price_list(component(price="0.8"), code="single")
    tariff = book(TWO_PART, single, power_factor=power_factor())
    two = terms(
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=300_000),),
        power_factor_standard="0.90",
    )
    one = terms(point_terms(price_list="single"))
    bill = rate_parts((RatingPart(before, tariff, two), RatingPart(after, tariff, one)))
    assert [(line.code, line.amount_fen) for line in bill.lines] == [
        ("energy", 5_000),
        ("capacity", 100_000),
        ("power_factor", -788),
        ("energy", 16_800),
    ]
    bill = rate_parts(
        (
            RatingPart(before, tariff, one),
            RatingPart(after, replace(tariff, power_factor=power_factor()), two),
        )
    )
    assert [(line.code, line.amount_fen) for line in bill.lines] == [
        ("energy", 8_000),
        ("energy", 10_500),
        ("capacity", 200_000),
        ("power_factor", -1_579),
    ]


def test_one_withheld_part_withholds_the_bill_and_a_gap_is_listed_once() -> None:
    before, after = split_usage(usage(), NEW)
    stranger = replace(after, points=())
    parts = (RatingPart(before, book(), terms()), RatingPart(stranger, book(), terms()))
    bill = rate_parts(parts)
    assert (bill.withheld, [each.rule for each in bill.findings]) == (True, ["usage_missing"])
    barter = terms(payment_mode="barter")
    bill = rate_parts((RatingPart(before, book(), barter), RatingPart(after, book(), barter)))
    assert len(bill.not_yet_rated) == 1


def test_parts_that_do_not_belong_together_are_a_bug() -> None:
    before, after = split_usage(usage(), NEW)
    agreed, tariff = terms(), book()
    first, second = RatingPart(before, tariff, agreed), RatingPart(after, tariff, agreed)
    wrong = [
        ((), "at least one part"),
        ((second, first), "do not adjoin"),
        ((first._replace(terms=replace(agreed, account="A2")),), "other terms"),
        ((first, second._replace(usage=replace(after, period="2026-02"))), "another bill's"),
        (
            (first, second._replace(usage=replace(after, cycle_until_on="2026-02-02"))),
            "another cycle's",
        ),
        ((first._replace(usage=replace(before, until_on="2026-02-02")),), "outside the cycle"),
    ]
    for parts, message in wrong:
        with pytest.raises(AssertionError, match=message):
            rate_parts(parts)


def test_the_calendar_of_a_list_without_energy_does_not_matter() -> None:
    listed = price_list(
        component(tou_applies=True, period_prices={"peak": "1", "valley": "1"}), calendar="times"
    )
    tariff = book(listed, calendars={"times": calendar()})
    point = point_terms(rate_periods={"1": "peak", "2": "valley"})
    zero = usage(point_usage(import_wh=0, import_wh_by_rate={"1": 0, "2": 0}))
    bill = rate(zero, tariff, terms(point))
    assert (bill.lines, bill.total_fen, bill.warnings) == ((), 0, ())

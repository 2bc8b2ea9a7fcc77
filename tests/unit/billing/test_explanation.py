"""A bill explains itself: every line with quantity, price, rule and readings, in two languages."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import PointRelation, Transformer
from services.billing.bill import Bill, RatingPart
from services.billing.correction import CAUSES
from services.billing.explanation import CAUSE_NAMES, explain, explain_correction, explain_line
from services.billing.rating import rate, rate_parts
from services.billing.tiers import TierPosition
from services.billing.usage import split_usage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    component,
    example,
    month_usage,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    two_part,
    usage,
)


def household_bill(used_wh: int = 523_000) -> Bill:
    agreed = terms(
        point_terms(price_list="residential", category="residential"), price_book="zj-residential"
    )
    taken = point_usage(import_wh=used_wh, reading_ids=("r1", "r2"))
    start = {"P1": TierPosition(key="2026", used_wh=2_700_000)}
    return rate(month_usage("2026-10", "2026-11", taken), example("zj_residential"), agreed, start)


def test_a_household_bill_in_chinese() -> None:
    assert explain(household_bill(), ["zh"]) == [
        "户号 A1，2026-10 电费（2026-10-01 至 2026-11-01 前），价目表 zj-residential@1",
        "电度电费（计量点 P1）：523 千瓦时 × 0.538 元/千瓦时 = 281.37 元；"
        "规则 zj-residential@1/residential/energy；读数 r1、r2",
        "第二档加价（计量点 P1）：463 千瓦时 × 0.05 元/千瓦时 = 23.15 元；"
        "超过 2760 千瓦时的部分；此前已用 2700 千瓦时；"
        "规则 zj-residential@1/residential/tier.2；读数 r1、r2",
        "合计 304.52 元",
    ]


def test_the_same_bill_in_english() -> None:
    assert explain(household_bill(), ["en"]) == [
        "Account A1, bill of 2026-10 (2026-10-01 to before 2026-11-01), "
        "price book zj-residential@1",
        "Energy (point P1): 523 kWh x 0.538 CNY/kWh = 281.37 CNY; "
        "rule zj-residential@1/residential/energy; readings r1, r2",
        "Tier 2 adder (point P1): 463 kWh x 0.05 CNY/kWh = 23.15 CNY; "
        "the part above 2760 kWh; 2700 kWh used before; "
        "rule zj-residential@1/residential/tier.2; readings r1, r2",
        "Total 304.52 CNY",
    ]


def test_both_languages_alternate_and_one_line_can_be_asked_for() -> None:
    bill = household_bill()
    both = explain(bill)
    assert both[0::2] == explain(bill, ["zh"])
    assert both[1::2] == explain(bill, ["en"])
    assert explain_line(bill.lines[0], "en") == both[3]


def industry_bill() -> Bill:
    listed = price_list(
        component(price="0.5", unconfirmed=True),
        component("demand", "40", unit="kW", name_zh="基本电费（需量）"),
        component("fee", "6", unit="month", name_zh="服务费"),
        two_part=two_part(),
        power_factor_applies=True,
    )
    home = price_list(component(price="0.54"), code="home")
    agreed = terms(
        point_terms("P1"),
        point_terms("P2", price_list="home"),
        relations=(PointRelation(point="P2", kind="deducted", of="P1"),),
        basic_charge="contract_demand",
        contract_demand_w=1_000_000,
        transformers=(Transformer(id="T1", capacity_va=1_600_000),),
        power_factor_standard="0.90",
    )
    main = point_usage("P1", reactive_varh={"1": 75_000, "4": 0}, demand_w=1_100_000)
    month = usage(main, point_usage("P2", import_wh=20_500, quality="estimated"))
    return rate(month, book(listed, home, power_factor=power_factor()), agreed)


def test_everything_that_entered_an_industry_bill_is_said() -> None:
    text = explain(industry_bill(), ["en"])
    assert text[1] == (
        "Energy (point P1): 79 kWh x 0.5 CNY/kWh = 39.50 CNY; metered 100 kWh; "
        "deducted sub-meters 21 kWh; rule test@1/list/energy; readings r-P1, r-P2; "
        "price or rule unconfirmed"
    )
    assert text[2] == (
        "Fee (point P1): 1 month x 6 CNY/month = 6.00 CNY; days charged 30/30; rule test@1/list/fee"
    )
    assert text[4].startswith("Demand: 1000 kW x 40 CNY/kW/month = 40000.00 CNY; measured maximum ")
    assert "demand 1100 kW; contract demand 1000 kW; demand rule sgcc_2016;" in text[4]
    assert text[5].startswith("Demand (above the limit, 2-fold): 50 kW x 80 CNY/kW/month = 4000.00")
    assert text[6] == (
        "Power-factor adjustment: 44045.50 CNY x 5 % = 2202.28 CNY; power factor 0.80; "
        "standard 0.90; active 100 kWh; reactive 75 kvarh; base of rounded_lines; "
        "rule test@1/power_factor/0.90; readings r-P1; price or rule unconfirmed"
    )
    assert text[7] == "Total 46259.12 CNY, with estimated energy"
    chinese = explain(industry_bill(), ["zh"])
    assert chinese[4].startswith("基本电费（需量）：1000 千瓦 × 40 元/千瓦/月 = 40000.00 元；")
    assert chinese[5].startswith("基本电费（需量）（超限，2 倍）：50 千瓦 × 80 元/千瓦/月")
    assert chinese[7] == "合计 46259.12 元，含估算电量"


def test_split_days_are_said() -> None:
    parts = split_usage(usage(), "2026-01-11")
    bill = rate_parts([RatingPart(part, book(), terms()) for part in parts])
    assert "energy shared by days" in explain(bill, ["en"])[1]
    assert "按天数分摊电量" in explain(bill, ["zh"])[1]


def test_findings_warnings_and_gaps_are_said() -> None:
    taken = point_usage("P2", import_wh=5, import_wh_by_rate={"1": 3, "9": 2})
    rates = {rate: period for rate, period in FOUR_RATES.items() if rate != "3"}
    agreed = terms(point_terms("P2", rate_periods=rates), payment_mode="barter")
    text = explain(rate(usage(taken), book(), agreed))
    assert text[2:4] == ["本期账单暂不出具", "No bill is made of this period yet"]
    assert text[-4:] == [
        "不能出账：P2 rate_without_period: rate 9 has energy and no period [energy_wh=2]",
        "Withheld: P2 rate_without_period: rate 9 has energy and no period [energy_wh=2]",
        "尚未计价：barter（nobody knows how the account pays）",
        "Not yet rated: barter (nobody knows how the account pays)",
    ]
    odd = terms(point_terms("P1", category="residential"))
    text = explain(rate(usage(point_usage(export_wh=5)), book(), odd), ["en"])
    assert text[-2].startswith("Please check: P1 class_mismatch: price list list is for")
    assert text[-1] == "Not yet rated: feed_in P1 (no price list of feed-in is agreed)"


@given(st.integers(0, 10**10))
def test_every_line_says_its_amount_rule_and_readings(used_wh: int) -> None:
    bill = household_bill(used_wh)
    text = explain(bill, ["en"])
    assert len(text) == len(bill.lines) + 2
    for line, sentence in zip(bill.lines, text[1:-1], strict=True):
        yuan, fen = divmod(line.amount_fen, 100)
        assert f"= {yuan}.{fen:02d} CNY" in sentence
        assert f"rule {line.rule}" in sentence
        assert "readings r1, r2" in sentence


def test_a_currency_or_unit_without_a_word_is_shown_as_it_is() -> None:
    line = replace(household_bill().lines[0], price_unit="HKD/kWh")
    assert "0.538 HKD/千瓦时" in explain_line(line, "zh")


def test_a_correction_names_its_cause_and_what_it_changes() -> None:
    assert explain_correction("A1-K001", "late_actual", -57, "zh") == (
        "更正 A1-K001（实抄读数迟到）：-0.57 元"
    )
    assert explain_correction("A1-K002", "metrology", 1_200, "en") == (
        "Correction A1-K002 (the meter failed its verification): 12.00 CNY"
    )
    assert CAUSE_NAMES.keys() == set(CAUSES)

"""The tariff audit: which rule says what, and what is at stake, by hand from the shipped books."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from libs.events.errors import BadInput
from services.billing.agreement import AgreementTerms, PointRelation, Transformer
from services.billing.audit_rules import DEFAULT_AUDIT, AuditRule, AuditRules
from services.billing.bill import RatingPart
from services.billing.policy import DEFAULT_POLICY, BillingPolicy, terms_of
from services.billing.price_book import LossRow, LossTable, PriceBook
from services.billing.rating import rate_parts
from services.billing.tariff_audit import AtStake, contradictions, month_at_stake
from tests.unit.billing.builders import (
    JANUARY,
    book,
    component,
    example,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    two_part,
    usage,
)

COMMERCIAL, INDUSTRY = example("cq_commercial"), example("cq_industry_10kv")
HOUSEHOLD = example("cq_residential")
BOOKS = (COMMERCIAL, INDUSTRY, HOUSEHOLD)
RATES = {"2": "peak", "3": "flat", "4": "valley"}
ENERGY = {"2": 36_000_000, "3": 26_000_000, "4": 20_000_000}
SINGLE = price_list(component(price="1"), code="single", voltage_class="1_10kv")
DOUBLE = price_list(
    component(price="0.6"),
    component("capacity", "20", unit="kVA"),
    code="double",
    voltage_class="1_10kv",
    category="large_industry",
    two_part=two_part(),
)


def transformer(kva: int = 400, **changes: Any) -> Transformer:
    return Transformer(**{"id": f"T{kva}", "capacity_va": kva * 1000, **changes})


def hotel(**changes: Any) -> AgreementTerms:
    point = point_terms("HOTEL", price_list="commercial_tou", voltage_class="1_10kv",
                        metering_side="high", rate_periods=RATES)  # fmt: skip
    agreed: dict[str, Any] = {"price_book": "cq-commercial", "transformers": (transformer(),)}
    return terms(point, **agreed | {"power_factor_standard": "0.85", **changes})


def hotel_part(**changes: Any) -> RatingPart:
    reactive = {"1": 34_932_000, "4": 0}
    used = point_usage("HOTEL", 82_000_000, import_wh_by_rate=ENERGY, reactive_varh=reactive)
    return RatingPart(usage(used), COMMERCIAL, hotel(**changes))


def high(**changes: Any) -> dict[str, Any]:
    return {"price_list": "double", "category": "large_industry", "voltage_class": "1_10kv",
            "metering_side": "high", **changes}  # fmt: skip


def said(
    agreed: AgreementTerms, found: PriceBook | None, audit: AuditRules = DEFAULT_AUDIT
) -> list[str]:
    return [each.rule for each in contradictions(agreed, found, JANUARY, audit)]


def test_a_hotel_of_400_kva_is_not_on_a_single_part_list() -> None:
    """Peak 36 MWh at 0.544, flat 26 at 0.34, valley 20 at 0.2071: 32,566.00; 400 kVA at 16:
    6,400.00; less 0.8 % of both: 311.73; funds 82 MWh at 0.026: 2,132.00. Billed: 51,636.18."""
    part = hotel_part()
    (found,) = contradictions(part.terms, part.book, JANUARY, DEFAULT_AUDIT)
    assert (found.rule, found.point) == ("two_part_from_315", "HOTEL")
    assert (found.stands, found.expected) == ("system: single_part", "system: two_part")
    bill = rate_parts([part])
    assert bill.total_fen == 5_163_618
    at_stake = month_at_stake([part], bill, found.key, DEFAULT_AUDIT, BOOKS)
    expected_fen = 3_256_600 + 640_000 - 31_173 + 213_200
    assert at_stake == AtStake("2026-01", expected_fen - 5_163_618)


def test_a_month_that_does_not_contradict_the_rule_has_nothing_at_stake() -> None:
    part = hotel_part(transformers=(transformer(314),))
    bill = rate_parts([part])
    assert month_at_stake([part], bill, "two_part_from_315/HOTEL", DEFAULT_AUDIT, BOOKS) is None
    assert said(part.terms, part.book) == ["voltage_of_list"]


def test_only_the_part_of_a_month_that_contradicts_is_rated_otherwise() -> None:
    """A second transformer came on 16 April: 150 kWh at 1 yuan stay; of the other 150 kWh it is 0.6
    instead, and 400 kVA at 20 for 15 of 30 days."""
    published = book(SINGLE, DOUBLE)
    point = point_terms(**high(price_list="single", category="commercial_industrial"))
    parts = []
    for from_on, until_on, kva in (("04-01", "04-16", 200), ("04-16", "05-01", 400)):
        days = {"from_on": f"2026-{from_on}", "until_on": f"2026-{until_on}"}
        agreed = terms(point, transformers=(transformer(kva, **days),))
        cycle = {"cycle_from_on": "2026-04-01", "cycle_until_on": "2026-05-01"}
        used = point_usage(import_wh=150_000, **days)
        part = usage(used, period="2026-04", **cycle, **days)
        parts.append(RatingPart(part, published, agreed))
    bill = rate_parts(parts)
    assert bill.total_fen == 30_000
    found = month_at_stake(parts, bill, "two_part_from_315/P1", DEFAULT_AUDIT, [published])
    assert found == AtStake("2026-04", 9_000 + 400_000 - 15_000)


@pytest.mark.parametrize(
    ("kva", "rules"),
    [(50, ["single_part_below_100"]), (99, ["single_part_below_100"]), (100, []), (160, []),
     (161, ["power_factor_090"]), (500, ["power_factor_090"])],
)  # fmt: skip
def test_the_bounds_of_a_two_part_account(kva: int, rules: list[str]) -> None:
    published = book(replace(DOUBLE, power_factor_applies=True), power_factor=power_factor())
    agreed = terms(point_terms(**high()), transformers=(transformer(kva),),
                   basic_charge="capacity", power_factor_standard="0.85")  # fmt: skip
    assert said(agreed, published) == rules


@pytest.mark.parametrize(
    ("category", "standard", "rules"),
    [
        ("commercial_industrial", "", ["power_factor_085"]),
        ("commercial_industrial", "0.80", ["power_factor_085"]),
        ("commercial_industrial", "0.85", []),
        ("commercial_industrial", "0.90", []),
        ("agricultural", "0.85", ["power_factor_080"]),
        ("agricultural", "0.80", []),
        ("residential", "", []),
    ],
)
def test_the_standard_of_a_class(category: str, standard: str, rules: list[str]) -> None:
    listed = replace(SINGLE, category=category, power_factor_applies=True)
    agreed = terms(point_terms(**high(price_list="single", category=category)),
                   transformers=(transformer(200),), power_factor_standard=standard)  # fmt: skip
    expected = ["household_on_dedicated_line"] if category == "residential" else rules
    assert said(agreed, book(listed)) == expected
    unassessed = book(replace(listed, power_factor_applies=False))
    assert said(agreed, unassessed) == [rule for rule in expected if rule[:5] != "power"]


def test_another_standard_is_reckoned_by_its_table() -> None:
    """0.86 against 0.90 instead of 0.85: +2.0 % instead of -0.1 %, of 68,004.00."""
    factory = point_terms("MILL", **high(price_list="large_industry", rate_periods=RATES))
    agreed = terms(factory, price_book="cq-industry-10kv", transformers=(transformer(630),),
                   basic_charge="capacity", power_factor_standard="0.85")  # fmt: skip
    energy = {"2": 60_000_000, "3": 50_000_000, "4": 40_000_000}
    reactive = {"1": 89_005_000, "4": 0}
    used = point_usage("MILL", 150_000_000, import_wh_by_rate=energy, reactive_varh=reactive)
    part = RatingPart(usage(used), INDUSTRY, agreed)
    found = month_at_stake(
        [part], rate_parts([part]), "power_factor_090/MILL", DEFAULT_AUDIT, BOOKS
    )
    assert found == AtStake("2026-01", 136_008 + 6_800)
    none = AuditRule(expected="pf_standard", one_of=("none",))
    audit = AuditRules(id="x", rules={"no_standard": none})
    found = month_at_stake([part], rate_parts([part]), "no_standard/MILL", audit, BOOKS)
    assert found == AtStake("2026-01", 6_800)


def test_a_household_price_at_high_voltage() -> None:
    """1,000 kWh: 0.52 and the tiers above 200 and 320 kWh a month, against the shared price at
    1 to 10 kV of the industry book."""
    point = point_terms(price_list="residential", category="residential",
                        voltage_class="1_10kv", metering_side="high")  # fmt: skip
    agreed = terms(point, price_book="cq-residential")
    part = RatingPart(usage(point_usage(import_wh=1_000_000)), HOUSEHOLD, agreed)
    bill = rate_parts([part])
    assert bill.total_fen == 52_000 + 600 + 20_400
    (found,) = contradictions(agreed, HOUSEHOLD, JANUARY, DEFAULT_AUDIT)
    assert found.rule == "household_on_dedicated_line"
    at_stake = month_at_stake([part], bill, found.key, DEFAULT_AUDIT, BOOKS)
    (shared,) = INDUSTRY.price_lists["residential_shared"].components
    assert shared.price == "0.4"
    assert at_stake == AtStake("2026-01", 40_000 - 73_000)


def test_class_and_voltage_of_the_list_are_those_of_the_point() -> None:
    cheap = (component(price="0.3"),)
    farms = replace(SINGLE, code="farm", category="agricultural", components=cheap)
    published = book(SINGLE, replace(SINGLE, code="low", voltage_class="lt1kv"), farms)
    low = terms(point_terms(price_list="low", voltage_class="1_10kv", metering_side="high"))
    farm = terms(point_terms(price_list="single", voltage_class="1_10kv", category="agricultural"))
    assert said(low, published) == ["voltage_of_list"]
    assert said(farm, published) == ["category_of_list"]
    key, part = "category_of_list/P1", RatingPart(usage(), published, farm)
    found = month_at_stake([part], rate_parts([part]), key, DEFAULT_AUDIT, [published])
    assert found is not None
    assert "transformer_missing" in found.problem  # metered at the low side, and no transformer
    point = replace(part.terms.points[0], metering_side="high")
    part = part._replace(terms=replace(part.terms, points=(point,)))
    found = month_at_stake([part], rate_parts([part]), key, DEFAULT_AUDIT, [published])
    assert found == AtStake("2026-01", 3_000 - 10_000)


def test_the_loss_of_who_is_metered_behind_the_transformer() -> None:
    """30 kWh by its table are added to 100; where neither table nor plate says it, nobody knows."""
    tables = {"S11": LossTable(rows=(LossRow(above_wh=0, loss_wh=30_000),))}
    published = book(SINGLE, replace(SINGLE, code="low", voltage_class="lt1kv"), loss_tables=tables)
    known, unknown = transformer(80, model="S11"), transformer(80)
    low = terms(point_terms(price_list="low"), transformers=(known,))
    assert said(low, published) == ["loss_of_low_side"]
    part = RatingPart(usage(), published, low)
    key = "loss_of_low_side/P1"
    found = month_at_stake([part], rate_parts([part]), key, DEFAULT_AUDIT, [published])
    assert found == AtStake("2026-01", 3_000)
    at_110 = point_terms(price_list="single", voltage_class="110kv")
    behind = terms(at_110, transformers=(unknown,))
    assert said(behind, published) == ["voltage_of_list", "loss_of_low_side"]
    part = RatingPart(usage(), published, behind)
    found = month_at_stake([part], rate_parts([part]), key, DEFAULT_AUDIT, [published])
    assert found is not None
    assert found.problem.startswith("loss_table_missing: ")
    for certain in (
        replace(behind, transformers=(replace(unknown, iron_loss_w=100),)),
        replace(behind, points=(replace(at_110, loss_table="S11"),)),
    ):
        assert said(certain, published) == ["voltage_of_list"]
    assert said(behind, None) == ["loss_of_low_side"]


def test_a_rule_may_expect_that_no_loss_is_borne() -> None:
    tables = {"S11": LossTable(rows=(LossRow(above_wh=0, loss_wh=30_000),))}
    published = book(SINGLE, loss_tables=tables)
    agreed = terms(point_terms(price_list="single", voltage_class="1_10kv"),
                   transformers=(transformer(80, model="S11"),))  # fmt: skip
    rule = AuditRule(expected="transformer_loss", one_of=("none",))
    part = RatingPart(usage(), published, agreed)
    audit = AuditRules(id="x", rules={"no_loss": rule})
    found = month_at_stake([part], rate_parts([part]), "no_loss/P1", audit, [published])
    assert found == AtStake("2026-01", -3_000)


def test_points_that_are_not_priced_or_not_in_force_are_left_alone() -> None:
    check = point_terms("C", price_list="none", category="residential", voltage_class="1_10kv")
    gone = point_terms("G", until_on="2026-01-01", voltage_class="1_10kv")
    agreed = terms(check, gone, relations=(PointRelation(point="C", kind="check", of="P1"),))
    assert said(agreed, book()) == []
    without_list = terms(point_terms(price_list="nobody knows"))
    assert said(without_list, book()) == []


def test_a_share_of_a_transformer_counts_as_a_share() -> None:
    half = hotel(transformers=(transformer(600, share="0.5"),))
    assert said(half, COMMERCIAL) == ["voltage_of_list"]
    wrong = hotel(transformers=(transformer(600, share="many"),))
    assert said(wrong, COMMERCIAL) == ["two_part_from_315"]


def test_without_such_a_list_there_is_no_amount() -> None:
    part = hotel_part()
    key = "two_part_from_315/HOTEL"
    for published in (
        [COMMERCIAL],
        [COMMERCIAL, replace(INDUSTRY, region="Sichuan")],
        [COMMERCIAL, replace(INDUSTRY, from_on="2026-02-01")],
    ):
        found = month_at_stake([part], rate_parts([part]), key, DEFAULT_AUDIT, published)
        problem = "no price list of the region for 1_10kv, system: two_part"
        assert found == AtStake("2026-01", 0, problem)


def test_the_book_must_have_the_lists_of_the_other_points_too() -> None:
    """Of two versions the higher one counts."""
    canteen = point_terms("CANTEEN", price_list="residential_shared", category="residential_shared")
    relation = PointRelation(point="CANTEEN", kind="deducted", of="HOTEL")
    part = hotel_part()
    agreed = replace(part.terms, points=(*part.terms.points, canteen), relations=(relation,))
    used = replace(part.usage, points=(*part.usage.points, point_usage("CANTEEN", 0)))
    part = RatingPart(used, COMMERCIAL, agreed)
    key, bill = "two_part_from_315/HOTEL", rate_parts([part])
    assert not bill.withheld
    lacks = replace(
        INDUSTRY, price_lists={"large_industry": INDUSTRY.price_lists["large_industry"]}
    )
    found = month_at_stake([part], bill, key, DEFAULT_AUDIT, [COMMERCIAL, lacks])
    assert found is not None
    assert found.problem
    newer = replace(lacks, version=2)
    for published in ([COMMERCIAL, newer, INDUSTRY], [COMMERCIAL, INDUSTRY, newer]):
        assert month_at_stake([part], bill, key, DEFAULT_AUDIT, published) == found
    found = month_at_stake([part], bill, key, DEFAULT_AUDIT, BOOKS)
    assert found == AtStake("2026-01", -1_084_991)


def test_a_bill_that_cannot_be_rated_otherwise_says_why() -> None:
    part = hotel_part(payment_mode="barter")
    bill = rate_parts([hotel_part()])
    found = month_at_stake([part], bill, "two_part_from_315/HOTEL", DEFAULT_AUDIT, BOOKS)
    assert found == AtStake("2026-01", 0, "barter: nobody knows how the account pays")


def test_from_two_parts_to_one_the_basic_charge_goes() -> None:
    """50 kVA at 20 and 100 kWh at 0.6, against 1 yuan."""
    published = book(replace(SINGLE, category="large_industry"), DOUBLE)
    agreed = terms(point_terms(**high()), transformers=(transformer(50),), basic_charge="capacity")
    part = RatingPart(usage(), published, agreed)
    found = month_at_stake(
        [part], rate_parts([part]), "single_part_below_100/P1", DEFAULT_AUDIT, [published]
    )
    assert found == AtStake("2026-01", 10_000 - 6_000 - 100_000)


def test_a_demand_that_is_agreed_stays() -> None:
    """From one two-part list to the other the demand is charged as it was: 50 kW at 30."""
    demand = component("demand", "30", unit="kW")
    old = replace(DOUBLE, components=(*DOUBLE.components, demand), voltage_class="lt1kv")
    new = replace(
        old, code="high", voltage_class="1_10kv", components=(component(price="0.5"), demand)
    )
    published = book(old, new)
    agreed = terms(point_terms(**high()), transformers=(transformer(150),),
                   basic_charge="contract_demand", contract_demand_w=50_000)  # fmt: skip
    part = RatingPart(usage(point_usage(demand_w=40_000)), published, agreed)
    assert said(agreed, published) == ["voltage_of_list"]
    for one_of in (("agreed",), ("1_10kv",)):
        rule = replace(DEFAULT_AUDIT.rules["voltage_of_list"], one_of=one_of)
        audit = AuditRules(id="x", rules={"voltage_of_list": rule})
        found = month_at_stake([part], rate_parts([part]), "voltage_of_list/P1", audit, [published])
        assert found == AtStake("2026-01", 5_000 - 6_000)


@pytest.mark.parametrize(
    ("rule", "problem"),
    [
        (AuditRule(expected="weather", one_of=("x",)), r"rules.r.expected: 'weather' is no fact"),
        (AuditRule(expected="system"), r"rules.r.one_of: is empty"),
        (AuditRule(expected="system", one_of=("agreed",)), r"rules.r.one_of: system is not agreed"),
    ],
)
def test_a_rule_that_says_nothing_is_refused(rule: AuditRule, problem: str) -> None:
    with pytest.raises(BadInput, match=rf"audit\.{problem}"):
        BillingPolicy(audit=AuditRules(id="x", rules={"r": rule}))


def test_other_rules_have_another_name() -> None:
    with pytest.raises(BadInput, match=r"audit.id: these are other rules than the default"):
        BillingPolicy(audit=replace(DEFAULT_AUDIT, months=3))
    with pytest.raises(BadInput, match=r"audit.months: 0 is out of range \(give 1 to 25\)"):
        BillingPolicy(audit=AuditRules(id="x", months=0))


def test_every_value_says_where_it_comes_from() -> None:
    known = terms_of(DEFAULT_POLICY)
    assert "UNCONFIRMED" in known["audit.rules.power_factor_090.meaning"].source
    assert not DEFAULT_AUDIT.rules["voltage_of_list"].is_unconfirmed
    own = AuditRules(id="x", rules={"r": AuditRule(expected="system", one_of=("two_part",))})
    added = terms_of(BillingPolicy(audit=own))
    assert added["audit.rules.r.meaning"].source == "UNCONFIRMED: not said"

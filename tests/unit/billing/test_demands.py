"""Measured demand by feeder, transferred supply, the demand price by energy per kVA."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, PointRelation, Transformer
from services.billing.bill import Bill, RatingPart
from services.billing.explanation import explain
from services.billing.load_hours import price_percent
from services.billing.rating import rate, rate_parts
from services.billing.usage import AccountUsage, split_usage
from tests.unit.billing.builders import (
    book,
    component,
    demand_rule,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    two_part,
    usage,
)

KW = KVA = 1_000
HOME = price_list(component(price="0.5"), code="home")


def tariff(**rule: Any) -> Any:
    listed = price_list(
        component(), component("demand", "40", unit="kW"), two_part=two_part(40, **rule)
    )
    return book(listed, HOME)


def contract(kw: int, *points: Any, **changes: Any) -> AgreementTerms:
    fields: dict[str, Any] = {
        "basic_charge": "contract_demand",
        "contract_demand_w": kw * KW,
        "transformers": (Transformer(id="T1", capacity_va=1000 * KVA),),
    }
    return terms(*points, **{**fields, **changes})


def demands(*kw: int) -> AccountUsage:
    points = (
        point_usage(f"P{place}", import_wh=0, demand_w=each * KW)
        for place, each in enumerate(kw, start=1)
    )
    return usage(*points)


def billed(month: AccountUsage, prices: Any, agreed: AgreementTerms) -> Bill:
    bill = rate(month, prices, agreed)
    assert not bill.withheld, bill.findings
    return bill


def test_the_demands_of_separate_feeders_are_summed() -> None:
    for feeders in (("F1", "F2"), ("F1", ""), ("", "")):
        points = (
            point_terms(f"P{place}", feeder=feeder) for place, feeder in enumerate(feeders, start=1)
        )
        bill = billed(demands(500, 600), tariff(), contract(1000, *points))
        assert bill.lines[0].basis["measured_w"] == "1100000"
        assert bill.total_fen == 4_400_000
        assert bill.lines[0].reading_ids == ("r-P1", "r-P2")


@pytest.mark.parametrize(("rule", "kw"), [("sum", 1100 + 70), ("highest", 600 + 70)])
def test_the_maxima_of_one_feeder_are_taken_as_the_book_says(rule: str, kw: int) -> None:
    points = (
        point_terms("P1", feeder="F1"),
        point_terms("P2", feeder="F1"),
        point_terms("P3", feeder="F2"),
    )
    agreed = contract(0, *points, basic_charge="measured_demand")
    bill = billed(demands(500, 600, 70), tariff(within_feeder=rule), agreed)
    assert [line.quantity for line in bill.lines] == [kw * KW]


TRANSFERRED = PointRelation(point="P2", kind="transferred", of="P1")


def passing_on(*more: PointRelation, **changes: Any) -> AgreementTerms:
    home = point_terms("P2", price_list="home", category="residential")
    others = (point_terms(each.point, price_list="home") for each in more)
    return contract(
        1000, point_terms("P1"), home, *others, relations=(TRANSFERRED, *more), **changes
    )


def test_energy_and_demand_of_transferred_supply_are_deducted() -> None:
    """1,000 kW and 1,000 kWh, of which 150 kW and 300 kWh are another's: 850 kW and 700 kWh."""
    month = usage(
        point_usage("P1", import_wh=1_000_000, demand_w=1000 * KW),
        point_usage("P2", import_wh=300_000, demand_w=150 * KW),
    )
    bill = billed(month, tariff(), passing_on(basic_charge="measured_demand"))
    assert [(line.point, line.code, line.quantity) for line in bill.lines] == [
        ("P1", "energy", 700_000),
        ("P2", "energy", 300_000),
        ("", "demand", 850 * KW),
    ]
    assert bill.lines[2].basis == {
        "measured_w": "850000",
        "transferred_w": "150000",
        "days": "30/30",
    }
    assert bill.lines[2].reading_ids == ("r-P1", "r-P2")
    assert "less transferred demand 150 kW" in explain(bill, ("en",))[3]


def test_without_a_demand_register_its_energy_stands_for_a_demand() -> None:
    """36,000 kWh at 180 kWh per kW are 200 kW; without the figure the bill is withheld."""
    month = usage(
        point_usage("P1", import_wh=90_000_000, demand_w=1000 * KW),
        point_usage("P2", import_wh=36_000_000),
    )
    agreed = passing_on(basic_charge="measured_demand")
    rule = tariff(transferred_kwh_per_kw={"residential": 180})
    assert billed(month, rule, agreed).lines[2].quantity == 800 * KW
    for rule in (tariff(), tariff(transferred_kwh_per_kw={"agricultural": 270})):
        bill = rate(month, rule, agreed)
        assert [(each.rule, each.point) for each in bill.findings] == [("demand_missing", "P2")]


def test_more_demand_transferred_than_measured_is_a_finding() -> None:
    agreed = passing_on()
    bill = rate(demands(100, 101), tariff(), agreed)
    assert [(each.rule, each.point) for each in bill.findings] == [("negative_demand", "P1")]
    assert bill.findings[0].numbers == {"demand_w": 100_000, "remainder_w": -1000}
    taken = demands(100, 101)
    parts = [RatingPart(each, tariff(), agreed) for each in split_usage(taken, "2026-01-11")]
    assert len(rate_parts(parts).findings) == 1


def test_supply_behind_a_sub_meter_or_behind_other_transferred_supply() -> None:
    """P3 of P2 of P1: P2's demand has P3's in it. P4 is behind the sub-meter P5."""
    inner = PointRelation(point="P3", kind="transferred", of="P2")
    behind = PointRelation(point="P4", kind="transferred", of="P5")
    sub = PointRelation(point="P5", kind="deducted", of="P1")
    agreed = passing_on(inner, behind, sub, basic_charge="measured_demand")
    bill = billed(demands(1000, 200, 90, 30, 40), tariff(), agreed)
    assert bill.lines[0].quantity == (1000 - 200 - 30) * KW


def test_the_power_factor_is_the_customers_own() -> None:
    """400 kWh and 300 kvarh less 100 kWh and 75 kvarh: 0.80; without its reactive energy none."""
    listed = price_list(component(), power_factor_applies=True)
    prices = book(listed, HOME, power_factor=power_factor())
    points = point_terms("P1"), point_terms("P2", price_list="home")
    agreed = terms(*points, relations=(TRANSFERRED,), power_factor_standard="0.90")
    main = point_usage("P1", import_wh=400_000, reactive_varh={"1": 300_000, "4": 0})
    for varh, factor, left in ((75_000, "0.80", 225_000), (400_000, "1.00", 0)):
        sub = point_usage("P2", import_wh=100_000, reactive_varh={"1": varh, "4": 0})
        line = billed(usage(main, sub), prices, agreed).lines[-1]
        assert line.basis["power_factor"] == factor
        assert (line.basis["active_wh"], line.basis["reactive_varh"]) == ("300000", str(left))
        assert line.reading_ids == ("r-P1", "r-P2")
    bill = rate(usage(main, point_usage("P2", import_wh=100_000)), prices, agreed)
    assert [(each.rule, each.point) for each in bill.findings] == [("reactive_missing", "P2")]


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10**8), st.integers(0, 100), st.integers(0, 10**7), st.integers(0, 100))
def test_what_is_transferred_and_what_is_left_are_the_whole(
    wh: int, percent: int, watts: int, demand_percent: int
) -> None:
    month = usage(
        point_usage("P1", import_wh=wh, demand_w=watts * KW),
        point_usage("P2", import_wh=wh * percent // 100, demand_w=watts * demand_percent * 10),
    )
    bill = billed(month, tariff(), passing_on(basic_charge="measured_demand"))
    assert bill.energy_wh == (wh + 500) // 1000 * 1000
    (line,) = [each for each in bill.lines if each.code == "demand"]
    taken_w = int(line.basis.get("transferred_w", "0"))
    assert abs(line.quantity + taken_w - watts * KW) <= 500


# -- the 2023 rule --------------------------------------------------------------------------------

RULE_2023 = {"load_hours_kwh_per_kva": 260, "price_percent_above": 90}


@pytest.mark.parametrize(
    ("kwh", "kva", "percent"),
    [(260_000, 1000, 90), (259_999, 1000, 100), (260_001, 1000, 90), (0, 0, 100), (0, 1, 100)],
)
def test_the_boundary_is_in_the_rule(kwh: int, kva: int, percent: int) -> None:
    rule = demand_rule(**RULE_2023)
    assert price_percent(rule, kwh * 1000, kva * KVA) == percent
    assert price_percent(demand_rule(), kwh * 1000, kva * KVA) == 100


@pytest.mark.parametrize(("kwh", "amounts"), [(260_000, [3_600_000, 360_000]),
                                              (259_999, [4_000_000, 400_000])])  # fmt: skip
def test_who_uses_260_kwh_per_kva_pays_ninety_percent(kwh: int, amounts: list[int]) -> None:
    """1,100 kW on a contract of 1,000: 1,000 x 40 and 50 x 80 yuan, both at 90 %."""
    month = usage(point_usage(import_wh=kwh * 1000, demand_w=1100 * KW))
    bill = billed(month, tariff(**RULE_2023, unconfirmed=True), contract(1000, point_terms()))
    lines = [line for line in bill.lines if line.code.startswith("demand")]
    assert [line.amount_fen for line in lines] == amounts
    assert [line.price for line in lines] == ["40", "80"]
    reduced = amounts[0] == 3_600_000
    assert [line.unconfirmed for line in lines] == [reduced, True]
    expected = {"price_percent": "90", "month_wh": "260000000", "capacity_va": "1000000"}
    assert (expected.items() <= lines[0].basis.items()) == reduced
    assert ("at 90 % of the demand price" in explain(bill, ("en",))[2]) == reduced


def test_all_points_count_but_for_transferred_supply() -> None:
    """260,000 kWh on the main meter: one behind a sub-meter counts, one transferred does not."""
    for kind, code in (("deducted", 90), ("transferred", 100)):
        sub = PointRelation(point="P2", kind=kind, of="P1")
        points = point_terms("P1"), point_terms("P2", price_list="home")
        agreed = contract(1000, *points, relations=(sub,))
        month = usage(
            point_usage("P1", import_wh=260_000_000, demand_w=900 * KW),
            point_usage("P2", import_wh=1_000, demand_w=0),
        )
        (line,) = [
            each
            for each in billed(month, tariff(**RULE_2023), agreed).lines
            if each.code == "demand"
        ]
        assert line.basis.get("price_percent", "100") == str(code)


def test_the_rule_needs_a_transformer() -> None:
    agreed = contract(0, point_terms(), basic_charge="measured_demand", transformers=())
    bill = rate(demands(10), tariff(**RULE_2023), agreed)
    assert [each.rule for each in bill.findings] == ["capacity_missing"]


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 31))
def test_the_energy_of_the_month_counts_in_each_of_its_parts(day: int) -> None:
    """Cut anywhere: a part's energy is below the boundary, the month's is not."""
    month = usage(point_usage(import_wh=270_000_000, demand_w=900 * KW))
    agreed = contract(900, point_terms())
    prices = tariff(**RULE_2023)
    parts = [RatingPart(each, prices, agreed) for each in split_usage(month, f"2026-01-{day:02d}")]
    split = [line for line in rate_parts(parts).lines if line.code == "demand"]
    assert all(line.basis["price_percent"] == "90" for line in split)
    (whole,) = [line for line in rate(month, prices, agreed).lines if line.code == "demand"]
    assert abs(sum(line.amount_fen for line in split) - whole.amount_fen) <= 1


def test_what_a_feed_in_point_drew_is_no_load_of_the_transformers() -> None:
    """One kWh below the boundary, and the panels drew ten of another connection."""
    agreed = contract(
        1000,
        point_terms("P1"),
        point_terms("P2", price_list="home"),
        relations=(PointRelation(point="P2", kind="feed_in"),),
    )
    main = point_usage("P1", import_wh=259_999_000, demand_w=1000 * KW)
    month = usage(main, point_usage("P2", import_wh=10_000))
    bill = billed(month, tariff(**RULE_2023), agreed)
    amounts = [line.amount_fen for line in bill.lines if line.code.startswith("demand")]
    assert amounts == [4_000_000]

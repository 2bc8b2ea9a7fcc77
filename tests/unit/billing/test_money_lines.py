"""Lines of one account alone, amounts settled elsewhere, free energy and minimum charges."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import (
    AccountComponent,
    AgreementTerms,
    ExternalLine,
    PointRelation,
    Transformer,
)
from services.billing.bill import Bill, RatingPart
from services.billing.explanation import explain
from services.billing.price_book import PriceBook
from services.billing.rating import rate, rate_parts
from tests.unit.billing.builders import (
    book,
    component,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    two_part,
    usage,
)

TARIFF = book(price_list())
SPREAD = AccountComponent(
    code="spread", name_zh="市场化电量", name_en="Market energy", unit="kWh", price="0.0123",
    source="contract 17",
)  # fmt: skip
SETTLED = ExternalLine(
    document_no="T-1", month="2026-01", code="market", name_zh="市场化结算",
    name_en="Market settlement", amount_fen=-12_345, settled_by="trading centre",
)  # fmt: skip
T1 = Transformer(id="T1", capacity_va=1_000_000)


def amounts(bill: Bill) -> list[tuple[str, str, int]]:
    assert not bill.withheld, (bill.findings, bill.not_yet_rated)
    assert bill.total_fen == sum(line.amount_fen for line in bill.lines)
    return [(line.code, line.point, line.amount_fen) for line in bill.lines]


def problems(bill: Bill) -> list[tuple[str, str]]:
    assert bill.withheld
    assert not bill.lines
    return [(each.rule, each.point) for each in bill.findings]


def halves(agreed: AgreementTerms, second: AgreementTerms | None = None, **changes: Any) -> Bill:
    """January in two parts, cut on the 11th, 50 kWh in each unless told."""
    tariff, parts = changes.pop("tariff", TARIFF), []
    for on, until, given_terms in (
        ("2026-01-01", "2026-01-11", agreed),
        ("2026-01-11", "2026-02-01", second or agreed),
    ):
        point = point_usage(**{"import_wh": 50_000, "from_on": on, "until_on": until, **changes})
        parts.append(RatingPart(usage(point, from_on=on, until_on=until), tariff, given_terms))
    return rate_parts(parts)


# -- components of the account --------------------------------------------------------------------


def test_a_component_of_the_account_is_charged_on_its_point_or_on_all() -> None:
    points = point_usage(import_wh=10_000_000), point_usage("P2", 1_000_000)
    agreed = terms(
        point_terms(), point_terms("P2"), components=(SPREAD, replace(SPREAD, point="P2"))
    )
    bill = rate(usage(*points), TARIFF, agreed)
    assert amounts(bill)[2:] == [("account.spread", "", 13_530), ("account.spread", "P2", 1_230)]
    line = bill.lines[2]
    assert (line.quantity, line.price_unit, line.rule) == (
        11_000_000, "CNY/kWh", "agreement/component/spread",
    )  # fmt: skip
    assert line.reading_ids == ("r-P1", "r-P2")
    assert (
        "Market energy: 11000 kWh x 0.0123 CNY/kWh = 135.30 CNY; settled by contract 17; "
        "rule agreement/component/spread; readings r-P1, r-P2"
    ) in explain(bill, ("en",))


def test_components_per_month_kva_and_kw_are_shared_by_days() -> None:
    fee = replace(SPREAD, code="fee", unit="month", price="30", source="")
    kva = replace(SPREAD, code="kva", unit="kVA", price="1")
    kw = replace(SPREAD, code="kw", unit="kW", price="2")
    resting = replace(T1, id="T2", capacity_va=500_000, from_on="2026-01-16")
    agreed = terms(components=(fee, kva, kw), transformers=(T1, resting))
    bill = rate(usage(point_usage(demand_w=100_400)), TARIFF, agreed)
    assert amounts(bill)[1:] == [
        ("account.fee", "", 3_000),
        ("account.kva", "", 50_000),
        ("account.kva", "", 75_000),
        ("account.kw", "", 20_000),
    ]
    assert [line.basis.get("days") for line in bill.lines[1:]] == [
        "30/30", "15/30", "15/30", "30/30",
    ]  # fmt: skip
    assert [bill.lines[place].reading_ids for place in (1, 4)] == [(), ("r-P1",)]
    ten_days = halves(replace(agreed, components=(fee,)), terms())
    assert amounts(ten_days)[1] == ("account.fee", "", 1_000)


def test_a_components_demand_is_the_highest_of_the_cycle() -> None:
    kw = replace(SPREAD, code="kw", unit="kW", price="2")
    sub = replace(kw, code="sub", point="P2")
    agreed = terms(
        point_terms(),
        point_terms("P2"),
        relations=(PointRelation(point="P2", kind="deducted", of="P1"),),
        components=(kw, sub),
    )
    month = usage(point_usage(demand_w=9_000), point_usage("P2", 50_000, demand_w=4_000))
    assert amounts(rate(month, TARIFF, agreed))[2:] == [
        ("account.kw", "", 1_800),
        ("account.sub", "P2", 800),
    ]
    nothing = usage(point_usage(import_wh=0))
    assert amounts(rate(nothing, TARIFF, terms(components=(kw, SPREAD)))) == []


def test_a_component_is_no_base_of_the_power_factor() -> None:
    tariff = book(price_list(power_factor_applies=True), power_factor=power_factor())
    agreed = terms(power_factor_standard="0.90", components=(replace(SPREAD, price="1"),))
    month = usage(point_usage(reactive_varh={"1": 75_000, "4": 0}))  # 0.80: +5 %
    assert amounts(rate(month, tariff, agreed)) == [
        ("energy", "P1", 5_000),
        ("account.spread", "", 10_000),
        ("power_factor", "", 250),
    ]


@pytest.mark.parametrize(
    ("components", "point"),
    [
        ((replace(SPREAD, from_on="2026-01-11"),), ""),
        ((replace(SPREAD, until_on="2026-01-11"),), ""),
        ((replace(SPREAD, unit="day"),), ""),
        ((replace(SPREAD, point="P9"),), "P9"),
        ((SPREAD, SPREAD), ""),
    ],
)
def test_a_component_that_cannot_be_charged_withholds(
    components: tuple[AccountComponent, ...], point: str
) -> None:
    bill = rate(usage(), TARIFF, terms(components=components))
    assert problems(bill) == [("account_component", point)]


def test_a_component_of_other_days_does_not_matter() -> None:
    later = replace(SPREAD, from_on="2026-02-01")
    assert len(rate(usage(), TARIFF, terms(components=(later,))).lines) == 1


# -- amounts that others settled ------------------------------------------------------------------


def test_an_amount_that_another_settled_is_charged_once_in_whatever_parts() -> None:
    agreed = terms(external_lines=(SETTLED, replace(SETTLED, month="2026-02")))
    for bill in (rate(usage(), TARIFF, agreed), halves(agreed)):
        (line,) = [each for each in bill.lines if each.code == "external.T-1.market"]
        assert (line.amount_fen, line.quantity, line.unit) == (-12_345, -12_345, "fen")
        assert (line.from_on, line.until_on) == ("2026-01-01", "2026-02-01")
        assert bill.total_fen == 5_000 - 12_345
    assert (
        "Market settlement: -123.45 CNY x 100 % = -123.45 CNY; settled by trading centre; "
        "rule external/T-1"
    ) in explain(bill, ("en",))


def test_two_amounts_of_one_document_are_a_finding() -> None:
    two = (SETTLED, replace(SETTLED, amount_fen=1))
    assert problems(rate(usage(), TARIFF, terms(external_lines=two))) == [
        ("external_line_twice", "")
    ]
    other = replace(SETTLED, code="deviation", amount_fen=5)
    bill = rate(usage(), TARIFF, terms(external_lines=(SETTLED, other)))
    assert bill.total_fen == 5_000 - 12_345 + 5


# -- free energy ----------------------------------------------------------------------------------

FREE = book(price_list(component(price="0.52"), free_allowance_wh=10_000))
LOW = terms(free_allowance=True)


def test_the_first_energy_of_a_low_income_household_is_free() -> None:
    """Chongqing: 10 kWh a month (domain.md 3.2)."""
    bill = rate(usage(), FREE, LOW)
    assert amounts(bill) == [("energy", "P1", 5_200), ("energy.free", "P1", -520)]
    assert (
        "Energy (free energy) (point P1): -10 kWh x 0.52 CNY/kWh = -5.20 CNY; 10 kWh a month are "
        "free; rule test@1/list/energy.free; readings r-P1"
    ) in explain(bill, ("en",))
    assert amounts(rate(usage(), FREE, terms())) == [("energy", "P1", 5_200)]
    assert amounts(rate(usage(), TARIFF, LOW)) == [("energy", "P1", 5_000)]
    little = rate(usage(point_usage(import_wh=4_000)), FREE, LOW)
    assert little.total_fen == 0


def test_the_free_energy_is_once_for_the_account_and_the_month() -> None:
    two = replace(LOW, points=(point_terms(), point_terms("P2")))
    month = usage(point_usage(import_wh=4_000), point_usage("P2", 50_000))
    credits = [each for each in amounts(rate(month, FREE, two)) if each[0] == "energy.free"]
    assert credits == [("energy.free", "P1", -208), ("energy.free", "P2", -312)]
    in_parts = halves(LOW, tariff=FREE, import_wh=6_000)
    assert [each[2] for each in amounts(in_parts)] == [312, -312, 312, -208]
    ended = halves(LOW, terms(), tariff=FREE, import_wh=6_000)
    assert [each[2] for each in amounts(ended)] == [312, -312, 312]


def test_free_energy_is_taken_off_the_periods_in_proportion() -> None:
    prices = {"peak": "1", "flat": "0.5", "valley": "0.25"}
    tariff = book(
        price_list(
            component(tou_applies=True, period_prices=prices),
            component("fee", "3", unit="month"),
            free_allowance_wh=10_000,
        )
    )
    agreed = terms(
        point_terms(rate_periods={"2": "peak", "3": "flat", "4": "valley"}), free_allowance=True
    )
    for rates, expected in (
        ({"2": 50_000, "3": 30_000, "4": 20_000}, [-500, -150, -50]),
        ({"2": 67_000, "3": 0, "4": 33_000}, [-670, -83]),
    ):
        bill = rate(usage(point_usage(import_wh_by_rate=rates)), tariff, agreed)
        free = [line for line in bill.lines if ".free" in line.code]
        assert [line.amount_fen for line in free] == expected
        assert sum(line.quantity for line in free) == -10_000
    assert free[0].code == "energy.free.peak"


# -- minimum charges ------------------------------------------------------------------------------


def small(minimum: str, per: str = "month", **changes: Any) -> PriceBook:
    return book(price_list(minimum_charge=minimum, minimum_per=per, **changes))


def test_what_lacks_to_the_minimum_is_charged() -> None:
    month = usage(point_usage(import_wh=25_000))
    bill = rate(usage(point_usage(import_wh=25_000)), small("20"), terms())
    assert amounts(bill) == [("energy", "P1", 1_250), ("minimum.list", "", 750)]
    assert (
        "Up to the minimum charge: 7.50 CNY x 100 % = 7.50 CNY; at least 20.00 CNY; minimum of "
        "20 CNY/month; charged 12.50 CNY; days charged 30/30; rule test@1/list/minimum_charge"
    ) in explain(bill, ("en",))
    assert amounts(rate(month, small("12.50"), terms())) == [("energy", "P1", 1_250)]
    assert rate(usage(point_usage(import_wh=0)), small("20"), terms()).total_fen == 2_000


def test_the_minimum_is_shared_by_days() -> None:
    """10 of 30 days: 10.00 of 30.00, of which 5.00 were charged."""
    bill = halves(terms(), tariff=small("30"), import_wh=10_000)
    assert amounts(bill) == [
        ("energy", "P1", 500), ("minimum.list", "", 500),
        ("energy", "P1", 500), ("minimum.list", "", 1_500),
    ]  # fmt: skip


def test_a_minimum_per_kva_or_kw_needs_a_capacity_or_a_contract() -> None:
    half = replace(T1, id="T2", from_on="2026-01-16")
    agreed = terms(transformers=(T1, half), contract_demand_w=200_000)
    per_kva = rate(usage(), small("1", "kVA"), agreed)
    assert per_kva.total_fen == 150_000  # 1,000 kVA x 30/30 + 1,000 kVA x 15/30
    assert rate(usage(), small("2", "kW"), agreed).total_fen == 40_000
    for per in ("kVA", "kW"):
        assert problems(rate(usage(), small("1", per), terms())) == [("minimum_without_base", "")]


def test_what_counts_towards_a_minimum() -> None:
    """The basic charge and the adjustment of its list do, lines of the account do not."""
    listed = price_list(
        component(),
        component("capacity", "10", unit="kVA"),
        two_part=two_part(),
        power_factor_applies=True,
        minimum_charge="20000",
    )
    tariff = book(listed, power_factor=power_factor())
    agreed = terms(
        basic_charge="capacity",
        transformers=(T1,),
        power_factor_standard="0.90",
        components=(replace(SPREAD, unit="month", price="500"),),
        external_lines=(SETTLED,),
    )
    month = usage(point_usage(reactive_varh={"1": 75_000, "4": 0}))
    assert amounts(rate(month, tariff, agreed)) == [
        ("energy", "P1", 5_000),
        ("capacity", "", 1_000_000),
        ("account.spread", "", 50_000),
        ("power_factor", "", 50_250),
        ("minimum.list", "", 2_000_000 - 1_055_250),
        ("external.T-1.market", "", -12_345),
    ]
    plain = price_list(code="plain", minimum_charge="60")
    two = replace(
        agreed, points=(point_terms(), point_terms("P2", price_list="plain")), components=()
    )
    both = usage(*month.points, point_usage("P2", 100_000))
    bill = rate(both, book(listed, plain, power_factor=power_factor()), two)
    assert amounts(bill)[-2] == ("minimum.plain", "", 1_000)


# -- laws -----------------------------------------------------------------------------------------


@given(
    energy=st.lists(st.integers(0, 400_000), min_size=2, max_size=2),
    minimum=st.integers(0, 300),
    external=st.lists(st.integers(-50_000, 50_000), max_size=3),
    is_low=st.booleans(),
)
def test_a_bill_is_the_sum_of_its_lines_and_never_below_its_minimum(
    energy: list[int], minimum: int, external: list[int], is_low: bool
) -> None:
    listed = price_list(free_allowance_wh=10_000, minimum_charge=str(minimum) if minimum else "")
    tariff = book(listed)
    lines = tuple(
        replace(SETTLED, document_no=f"D{number}", amount_fen=fen)
        for number, fen in enumerate(external)
    )
    agreed = terms(point_terms(), point_terms("P2"), free_allowance=is_low, external_lines=lines)
    month = usage(point_usage(import_wh=energy[0]), point_usage("P2", energy[1]))
    bill = rate(month, tariff, agreed)
    again = rate(
        replace(month, points=month.points[::-1]),
        tariff,
        replace(agreed, external_lines=lines[::-1], points=agreed.points[::-1]),
    )
    assert bill == again
    assert bill.total_fen == sum(line.amount_fen for line in bill.lines)
    assert bill.total_fen - sum(external) >= minimum * 100
    identities = {(line.code, line.point, line.from_on, line.price) for line in bill.lines}
    assert len(identities) == len(bill.lines)

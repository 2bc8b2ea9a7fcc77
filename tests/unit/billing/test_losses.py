"""What the meter does not see: transformer loss of low-side metering, line loss, both conserved."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.agreement import AgreementTerms, LineLoss, PointRelation, Transformer
from services.billing.bill import Bill, RatingPart
from services.billing.explanation import explain
from services.billing.losses import square_of_load
from services.billing.price_book import LossRow, LossRule, LossTable
from services.billing.rating import rate, rate_parts
from services.billing.transformer_loss import plate_loss_wh, table_row
from services.billing.usage import AccountUsage, split_usage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    month_usage,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
)

S7 = LossTable(rows=(LossRow(above_wh=0, loss_wh=304_000, loss_varh=2_100_000),))
S11 = LossTable(
    rows=(
        LossRow(above_wh=0, loss_wh=300_000),
        LossRow(above_wh=10_000_000, loss_wh=450_000),
        LossRow(above_wh=50_000_000, loss_wh=900_000),
    ),
    unconfirmed=True,
)
SHOP = price_list(
    component(price="", tou_applies=True, period_prices=dict.fromkeys(
        ("sharp", "peak", "flat", "valley"), "0.5")),
    code="shop", calendar="times",
)  # fmt: skip
TARIFF = book(
    price_list(power_factor_applies=True),
    SHOP,
    calendars={"times": calendar()},
    loss_tables={"S7-50": S7, "S11-400": S11},
    power_factor=power_factor(),
)
T50 = Transformer(id="T1", capacity_va=50_000, model="S7-50")
T400 = Transformer(id="T1", capacity_va=400_000, model="S11-400")
PLATE = Transformer(id="T1", capacity_va=400_000, iron_loss_w=500, copper_loss_w=5_000)


def low_side(*transformers: Transformer, **changes: Any) -> AgreementTerms:
    agreed = {name: changes.pop(name) for name in ("relations", "power_factor_standard")
              if name in changes}  # fmt: skip
    fields = {"voltage_class": "1_10kv", "metering_side": "low", **changes}
    return terms(point_terms(**fields), transformers=transformers, **agreed)


def april(wh: int, **changes: Any) -> AccountUsage:
    """A month of thirty days."""
    return month_usage("2026-04", "2026-05", point_usage(import_wh=wh, **changes))


def billed(month: AccountUsage, agreed: AgreementTerms, tariff: Any = TARIFF) -> Bill:
    bill = rate(month, tariff, agreed)
    assert not bill.withheld, bill.findings
    return bill


def loss_kwh(month: AccountUsage, agreed: AgreementTerms, tariff: Any = TARIFF) -> int:
    (line,) = billed(month, agreed, tariff).lines
    assert line.quantity == int(line.basis["metered_wh"]) + int(line.basis["transformer_loss_wh"])
    return int(line.basis["transformer_loss_wh"]) // 1000


def test_a_table_by_the_days_in_use() -> None:
    """50 kVA, 304 kWh a month: in use for 20 of 30 days it lost 202.67, that is 203 kWh."""
    started = replace(T50, from_on="2026-04-11")
    bill = billed(april(5_000_000), low_side(started))
    assert [(line.quantity, line.amount_fen) for line in bill.lines] == [(5_203_000, 260_150)]
    assert bill.energy_wh == 5_203_000
    assert "transformer loss 203 kWh" in explain(bill, ("en",))[1]
    assert "变损 203 千瓦时" in explain(bill, ("zh",))[1]
    assert loss_kwh(april(5_000_000), low_side(T50)) == 304


@pytest.mark.parametrize(
    ("load_wh", "loss_wh"),
    [(0, 300), (10_000_000, 300), (10_001_000, 450), (50_000_000, 450), (50_001_000, 900)],
)
def test_the_row_of_a_load_begins_above_it(load_wh: int, loss_wh: int) -> None:
    assert table_row(S11, Fraction(load_wh)).loss_wh == loss_wh * 1000
    assert loss_kwh(april(load_wh), low_side(T400)) == loss_wh


def test_the_load_of_some_days_stands_for_that_of_a_month() -> None:
    """9,000 kWh in ten days are 27,000 a month: 450 kWh, of which ten days have 150."""
    short = april(9_000_000, until_on="2026-04-11")
    ten = replace(short, until_on="2026-04-11", points=(replace(short.points[0],
                  until_on="2026-04-11"),))  # fmt: skip
    assert loss_kwh(ten, low_side(T400)) == 150


def test_two_transformers_share_the_load_by_their_capacity() -> None:
    """18,000 kWh on 400 and 200 kVA: 12,000 and 6,000, so 450 and 300 kWh; suspended ones none."""
    second = replace(T400, id="T2", capacity_va=200_000)
    assert loss_kwh(april(18_000_000), low_side(T400, second)) == 750
    for state, kwh in (("suspended", 450), ("cold_sealed", 450), ("hot_standby", 750)):
        resting = replace(second, state=state)
        assert loss_kwh(april(18_000_000), low_side(T400, resting)) == kwh


def test_a_shared_transformer_is_lost_in_by_share() -> None:
    """Half of it: the load of both is taken for 24,000 kWh, and half of 450 kWh is borne."""
    half = replace(T400, share="0.5", shared_with="1000000009")
    assert loss_kwh(april(12_000_000), low_side(half)) == 225
    assert loss_kwh(april(4_000_000), low_side(half)) == 150


def test_a_model_without_a_table_is_calculated_from_its_plate() -> None:
    """0.5 kW x 720 h + 5 kW x 144,000^2 / (400^2 x 720): 360 + 900 = 1,260 kWh."""
    rule = LossRule(name="active_squared")
    assert plate_loss_wh(PLATE, rule, 720, Fraction(144_000_000), Fraction()) == 1_260_000
    bill = billed(april(144_000_000), low_side(PLATE))
    assert (bill.energy_wh, bill.lines[0].unconfirmed) == (145_260_000, True)
    uneven = replace(TARIFF, loss_rule=replace(rule, copper_factor="1.2", unconfirmed=False))
    assert loss_kwh(april(144_000_000), low_side(PLATE), uneven) == 360 + 1_080
    assert not billed(april(144_000_000), low_side(PLATE), uneven).lines[0].unconfirmed


def test_reactive_energy_loads_a_transformer_by_the_name_of_the_rule() -> None:
    """Q of 3/4 of P: P^2 + Q^2 is 25/16 of P^2, so 360 + 1,406.25 kWh."""
    load = {"reactive_varh": {"1": 108_000_000, "4": 0}}
    assert loss_kwh(april(144_000_000, **load), low_side(PLATE)) == 1_766
    active = replace(TARIFF, loss_rule=LossRule(name="active_squared"))
    assert loss_kwh(april(144_000_000, **load), low_side(PLATE), active) == 1_260
    assert square_of_load(LossRule(), Fraction(3), Fraction(4)) == 25


@pytest.mark.parametrize(
    "changes",
    [{"metering_side": "high"}, {"voltage_class": "lt1kv"},
     {"voltage_class": "110kv", "metering_side": "high"}],
)  # fmt: skip
def test_who_is_metered_at_the_high_side_bears_none(changes: dict[str, str]) -> None:
    bill = billed(april(5_000_000), low_side(T50, **changes))
    assert (bill.energy_wh, bill.lines[0].basis) == (5_000_000, {})


def test_a_table_of_the_point_itself_counts_whatever_its_voltage() -> None:
    agreed = low_side(voltage_class="lt1kv", loss_table="S7-50")
    assert loss_kwh(april(5_000_000), agreed) == 304
    with_model = low_side(T400, loss_table="S7-50")
    assert loss_kwh(april(5_000_000), with_model) == 304
    assert billed(april(1), low_side(loss_table="S11-400")).lines[0].unconfirmed


def test_the_loss_is_spread_over_the_periods_as_metered() -> None:
    """304 kWh over 500 : 300 : 200 are 152, 91 and 61, by the largest remainder."""
    rates = {"1": 0, "2": 500_000, "3": 300_000, "4": 200_000}
    agreed = low_side(T50, price_list="shop", rate_periods=FOUR_RATES)
    bill = billed(april(1_000_000, import_wh_by_rate=rates), agreed)
    assert [(line.code, line.quantity) for line in bill.lines] == [
        ("energy.peak", 652_000),
        ("energy.flat", 391_000),
        ("energy.valley", 261_000),
    ]
    assert bill.lines[1].basis == {"metered_wh": "300000", "transformer_loss_wh": "91000"}


def test_the_loss_comes_after_deduction_and_fixed_parts() -> None:
    """1,000 kWh less a sub-meter's 100, of which 0.2 are another's: 720 and 304 of loss."""
    sub = PointRelation(point="P2", kind="deducted", of="P1")
    part = PointRelation(point="P3", kind="fixed_ratio", of="P1", ratio="0.2")
    main = low_side(T50).points[0]
    agreed = terms(
        main, point_terms("P2"), point_terms("P3"), relations=(sub, part), transformers=(T50,)
    )
    month = month_usage("2026-04", "2026-05", point_usage(), point_usage("P2", import_wh=100_000))
    month = replace(month, points=(replace(month.points[0], import_wh=1_000_000), month.points[1]))
    lines = {line.point: line for line in billed(month, agreed).lines}
    assert {name: line.quantity for name, line in lines.items()} == {
        "P1": 1_024_000,
        "P2": 100_000,
        "P3": 180_000,
    }
    assert lines["P1"].basis == {
        "metered_wh": "1000000",
        "deducted_wh": "100000",
        "fixed_wh": "180000",
        "transformer_loss_wh": "304000",
    }


@pytest.mark.parametrize("active", ["metered", "billed"])
def test_losses_enter_the_power_factor(active: str) -> None:
    """5,000 + 304 kWh and 1,000 + 2,100 kvarh."""
    tariff = replace(TARIFF, power_factor=power_factor(active=active))
    month = april(5_000_000, reactive_varh={"1": 1_000_000, "4": 0})
    line = billed(month, low_side(T50, power_factor_standard="0.90"), tariff).lines[-1]
    assert (line.basis["active_wh"], line.basis["reactive_varh"]) == ("5304000", "3100000")
    assert line.basis["power_factor"] == "0.86"


SUB = (PointRelation(point="P2", kind="deducted", of="P1"),)


@pytest.mark.parametrize(
    ("agreed", "rules"),
    [
        (low_side(), ["transformer_missing"]),
        (low_side(replace(T50, until_on="2026-04-01")), ["transformer_missing"]),
        (low_side(replace(T50, state="suspended")), ["transformer_missing"]),
        (low_side(replace(T50, model="X")), ["loss_table_missing"]),
        (low_side(loss_table="X"), ["loss_table_missing"]),
        (low_side(replace(T50, share="2")), ["share_invalid"]),
        (low_side(replace(PLATE, capacity_va=0)), ["share_invalid"]),
        (
            terms(point_terms(), point_terms("P2", loss_table="S7-50"), relations=SUB),
            ["loss_of_sub_meter"],
        ),
        (
            terms(point_terms(), point_terms("P2", line_loss=LineLoss(kind="percent", percent="1")),
                  relations=SUB),
            ["loss_of_sub_meter"],
        ),
        (
            terms(*(point_terms(name, voltage_class="1_10kv") for name in ("P1", "P2")),
                  transformers=(T50,)),
            ["transformer_ambiguous"],
        ),
        (
            terms(point_terms("P1", voltage_class="1_10kv"),
                  point_terms("P2", voltage_class="1_10kv", loss_table="S7-50"),
                  transformers=(T50,)),
            [],
        ),
    ],
)  # fmt: skip
def test_what_a_transformer_loss_needs(agreed: AgreementTerms, rules: list[str]) -> None:
    used = (point_usage(each.point, import_wh=1_000_000) for each in agreed.points)
    bill = rate(month_usage("2026-04", "2026-05", *used), TARIFF, agreed)
    assert [each.rule for each in bill.findings] == rules


def test_nothing_used_and_nothing_in_use_is_no_loss() -> None:
    bill = billed(april(0), low_side(replace(T50, state="suspended")))
    assert (bill.lines, bill.energy_wh) == ((), 0)


def with_line(line: LineLoss, **changes: Any) -> AgreementTerms:
    return terms(point_terms(line_loss=line, voltage_class="1_10kv", metering_side="high"),
                 **changes)  # fmt: skip


def test_a_percentage_of_the_energy_is_lost() -> None:
    """1.5 % of 10,000 kWh."""
    bill = billed(april(10_000_000), with_line(LineLoss(kind="percent", percent="1.5")))
    assert bill.lines[0].basis == {"metered_wh": "10000000", "line_loss_wh": "150000"}
    assert (bill.energy_wh, bill.lines[0].unconfirmed) == (10_150_000, False)


def test_the_transformer_behind_a_line_loads_it_too() -> None:
    """10 % of 5,000 + 304 kWh."""
    agreed = low_side(T50, line_loss=LineLoss(kind="percent", percent="10"))
    assert billed(april(5_000_000), agreed).lines[0].basis == {
        "metered_wh": "5000000",
        "transformer_loss_wh": "304000",
        "line_loss_wh": "530000",
    }


def test_a_resistance_loses_by_the_square_of_the_current() -> None:
    """250 mOhm at 10 kV, 100,000 kWh in 720 h: 34.72 kWh; with as much reactive energy twice."""
    line = LineLoss(kind="resistance", resistance_mohm=250)
    bill = billed(april(100_000_000), with_line(line))
    assert (bill.lines[0].basis["line_loss_wh"], bill.lines[0].unconfirmed) == ("35000", True)
    assert "line loss 35 kWh" in explain(bill, ("en",))[1]
    load = april(100_000_000, reactive_varh={"1": 100_000_000})
    assert billed(load, with_line(line)).lines[0].basis["line_loss_wh"] == "69000"


@pytest.mark.parametrize(
    ("line", "rules"),
    [
        (LineLoss(kind="percent", percent="x"), ["line_loss_invalid"]),
        (LineLoss(kind="percent", percent="0"), ["line_loss_invalid"]),
        (LineLoss(kind="percent", percent="100"), ["line_loss_invalid"]),
        (LineLoss(kind="percent", percent="99.9"), []),
        (LineLoss(kind="resistance"), ["line_loss_invalid"]),
        (LineLoss(kind="guess"), ["line_loss_invalid"]),
    ],
)
def test_what_a_line_loss_needs(line: LineLoss, rules: list[str]) -> None:
    bill = rate(april(1_000_000), TARIFF, with_line(line))
    assert [each.rule for each in bill.findings] == rules


def test_a_voltage_without_a_figure_is_a_finding() -> None:
    line = LineLoss(kind="resistance", resistance_mohm=250)
    agreed = terms(point_terms(line_loss=line, voltage_class="6kv", metering_side="high"))
    bill = rate(april(1_000_000), TARIFF, agreed)
    assert [each.rule for each in bill.findings] == ["line_loss_invalid"]
    told = replace(TARIFF, loss_rule=LossRule(nominal_v={"6kv": 6_000}))
    assert not rate(april(1_000_000), told, agreed).withheld


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**9),
    st.lists(st.integers(2, 30), min_size=1, max_size=3, unique=True),
    st.sampled_from(
        [
            low_side(T50),
            low_side(replace(T400, until_on="2026-04-16"), PLATE),
            low_side(PLATE, line_loss=LineLoss(kind="percent", percent="2.5")),
            with_line(LineLoss(kind="resistance", resistance_mohm=900)),
        ]
    ),
)
def test_losses_of_parts_add_up_to_those_of_the_month(
    wh: int, days: list[int], agreed: AgreementTerms
) -> None:
    """Split anywhere, the days bear what the month bears; rounding alone is not lost twice."""
    tariff = replace(TARIFF, rounding=replace(TARIFF.rounding, energy_unit_wh=1))
    rest = april(wh)
    parts = []
    for day in sorted(days):
        before, rest = split_usage(rest, f"2026-04-{day:02d}")
        parts.append(RatingPart(before, tariff, agreed))
    split = rate_parts([*parts, RatingPart(rest, tariff, agreed)])
    whole = rate(april(wh), tariff, agreed)
    assert not split.findings
    assert abs(split.energy_wh - whole.energy_wh) <= 1
    losses = sum(
        int(line.basis.get(name, "0"))
        for line in split.lines
        for name in ("transformer_loss_wh", "line_loss_wh")
    )
    assert split.energy_wh == wh + losses


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**7), min_size=4, max_size=4), st.sampled_from([1, 1000]))
def test_the_periods_losses_are_the_loss(energies: list[int], unit: int) -> None:
    rates = {str(place): wh for place, wh in enumerate(energies, start=1)}
    tariff = replace(TARIFF, rounding=replace(TARIFF.rounding, energy_unit_wh=unit))
    agreed = low_side(T50, price_list="shop", rate_periods=FOUR_RATES)
    bill = billed(april(sum(energies), import_wh_by_rate=rates), agreed, tariff)
    assert bill.energy_wh == sum(line.quantity for line in bill.lines)
    assert bill.energy_wh == (sum(energies) + unit // 2) // unit * unit + 304_000

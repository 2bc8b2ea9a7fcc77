"""The published billing examples, one by one, rated by the functions the service calls."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.quantities import energy_amount_fen, format_yuan, parse_price, parse_yuan
from services.billing.agreement import Transformer
from services.billing.bill import Bill
from services.billing.correction import Change, IssuedBill, RatingInput, correct
from services.billing.late_fee import late_fee
from services.billing.price_book import LateFeeRule, Rounding
from services.billing.rating import rate
from services.billing.tiers import TierPosition, energy_by_step
from tests.unit.billing.builders import (
    book,
    component,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "billing_examples.json"
EXAMPLES = {each["id"]: each for each in json.loads(GOLDEN.read_text())["examples"]}

NOT_APPLICABLE: dict[str, str] = {}
"""Examples of the file that are not rated yet, with the reason; none at present."""

NOT_IN_THE_FILE = {
    "b02": "transformer loss of low-side metering: not yet rated, withheld (see test_admission)",
    "b04": "reversed current transformer: the changed usage is metrology's, billing corrects by it",
    "b08": "household allowance from within the year: see test_tiers",
    "b16": "supplier invoice: its rounding of the adjustment is a parameter, see test_power_factor",
}
"""Examples that the reference text names without giving their numbers."""


def amounts(bill: Bill) -> dict[str, str]:
    assert not bill.withheld, (bill.findings, bill.not_yet_rated)
    assert bill.total_fen == sum(line.amount_fen for line in bill.lines)
    return {line.code: format_yuan(line.amount_fen) for line in bill.lines}


def flat_bill(kwh: int, price: str) -> Bill:
    tariff = book(price_list(component(price=price)))
    return rate(usage(point_usage(import_wh=kwh * 1000)), tariff, terms())


def b01(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """Under-read reactive energy: 12,600 yuan were billed at 0.80, and 540 are owed at 0.71."""
    two_part_list = price_list(
        component(price="0.05"),
        component("capacity", "10", unit="kVA"),
        two_part=two_part(),
        power_factor_applies=True,
    )
    tariff = book(two_part_list, power_factor=power_factor())
    agreed = terms(
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=given["capacity_kVA"] * 1000),),
        power_factor_standard=given["pf_standard"],
    )

    def read(kvarh: int) -> Any:
        active_wh = given["P_kWh"] * 1000
        reactive = {"1": kvarh * 1000, "4": 0}
        return usage(point_usage(import_wh=active_wh, reactive_varh=reactive))

    billed, missed = given["Q_kvarh_billed"], given["Q_kvarh_missed"]
    first = rate(read(billed), tariff, agreed)
    assert format_yuan(first.total_fen) == given["billed_total_excl_surcharge"]
    assert first.lines[-1].basis["power_factor"] == expected["pf_billed"]
    assert first.lines[-1].price == expected["adj_billed_pct"]
    inputs = RatingInput(usage=read(billed), terms=agreed, book="test@1")
    changed = RatingInput(usage=read(billed + missed), terms=agreed, book="test@1")
    done = correct(
        (IssuedBill(bill_id="I1", inputs=(inputs,), bill=first),),
        (Change(bill_id="I1", inputs=(changed,)),),
        {"test@1": tariff},
        number=1,
        cause="metrology",
    )
    assert done is not None
    after = done.bills[0].corrected.bill
    assert after.lines[-1].basis["power_factor"] == expected["pf_true"]
    assert after.lines[-1].price == expected["adj_true_pct"]
    assert format_yuan(after.total_fen) == expected["true_total"]
    assert format_yuan(done.total_fen) == expected["supplement"] == total


def b03(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """A transformer is exchanged: 18 days of 315 kVA and 12 days of 400 kVA."""
    capacity = component("capacity", given["price_per_kVA_month"], unit="kVA")
    tariff = book(price_list(component(), capacity, two_part=two_part()))
    days = {"from_on": "2026-03-24", "until_on": "2026-04-23"}
    change_on = "2026-04-11"
    before_va, after_va = given["cap_before_kVA"] * 1000, given["cap_after_kVA"] * 1000
    agreed = terms(
        basic_charge="capacity",
        transformers=(
            Transformer(id="T1", capacity_va=before_va, until_on=change_on),
            Transformer(id="T2", capacity_va=after_va, from_on=change_on),
        ),
    )
    month = usage(
        point_usage(import_wh=0, **days),
        cycle_from_on=days["from_on"],
        cycle_until_on=days["until_on"],
        **days,
    )
    bill = rate(month, tariff, agreed)
    shares = [line.basis["days"] for line in bill.lines]
    assert shares == [f"{given['days_before']}/30", f"{given['days_after']}/30"]
    assert [format_yuan(line.amount_fen) for line in bill.lines] == [
        expected["before"],
        expected["after"],
    ]
    assert format_yuan(bill.total_fen) == total


def b05(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """Each component is rounded to fen, then summed."""
    funds = [component(code, price) for code, price in given["funds"].items()]
    tariff = book(price_list(component(price=given["price"]), *funds))
    bill = rate(usage(point_usage(import_wh=given["kWh"] * 1000)), tariff, terms())
    assert amounts(bill) == expected
    assert format_yuan(bill.total_fen) == total


def b06(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """Monthly tiers: the same money as a price per tier, and as adders on the base price."""
    rule = tiers("month", tuple(given["tiers"]), tuple(given["adders"]))
    tariff = book(price_list(component(price=given["base"]), tiers=rule))
    used_wh = given["kWh"] * 1000
    bill = rate(usage(point_usage(import_wh=used_wh)), tariff, terms())
    assert amounts(bill) == {"energy": "416.00", "tier.2": "17.00", "tier.3": "15.00"}
    assert format_yuan(bill.total_fen) == total
    bounds_wh = tuple(step.above_wh for step in rule.steps)
    second, third = energy_by_step(0, used_wh, bounds_wh)
    base_e6 = parse_price(given["base"])
    by_tier = [(used_wh - second - third, base_e6)] + [
        (energy, base_e6 + parse_price(adder))
        for energy, adder in zip((second, third), given["adders"], strict=True)
    ]
    parts = [format_yuan(energy_amount_fen(*each)) for each in by_tier]
    assert parts == [expected["t1"], expected["t2"], expected["t3"]]


def b07(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """Annual tiers crossing tier 1; the adder of tier 3 is a line that is not there."""
    rule = tiers("year", tuple(given["annual_tiers"]), tuple(given["adders"]))
    tariff = book(price_list(component(price=given["base"]), tiers=rule))
    start = {"P1": TierPosition(key="2026", used_wh=given["used_before"] * 1000)}
    bill = rate(usage(point_usage(import_wh=given["kWh"] * 1000)), tariff, terms(), start)
    assert amounts(bill) == {"energy": expected["base"], "tier.2": expected["add2"]}
    assert parse_yuan(expected["add3"]) == 0
    assert format_yuan(bill.total_fen) == total
    assert bill.tiers_after == {"P1": TierPosition(key="2026", used_wh=given["kWh"] * 1000)}


def fee_yuan(debt: str, due_on: str, paid_on: str, rule: str) -> tuple[str, list[str]]:
    fee = late_fee(parse_yuan(debt), due_on, paid_on, LateFeeRule(name=rule), residential=False)
    assert fee.rule == rule
    return format_yuan(fee.amount_fen), [format_yuan(each.amount_fen) for each in fee.shares]


def b09(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    december = fee_yuan(given["dec_bill"], "2000-12-15", given["paid"], "whole_debt_by_age")
    january = fee_yuan(given["jan_bill"], "2001-01-15", given["paid"], "whole_debt_by_age")
    assert (december[0], january[0]) == (expected["dec"], expected["jan"])
    assert parse_yuan(december[0]) + parse_yuan(january[0]) == parse_yuan(total)


def b10(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    december = fee_yuan(given["dec_bill"], "2021-12-15", given["paid"], "split_at_year_end")
    january = fee_yuan(given["jan_bill"], "2022-01-15", given["paid"], "split_at_year_end")
    assert december[1] == [expected["dec_old_year_days16"], expected["dec_new_year_days18"]]
    assert january[0] == expected["jan"]
    assert parse_yuan(december[0]) + parse_yuan(january[0]) == parse_yuan(total)


def b11(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    """10 days of December and 15 of January, with the source's slip corrected."""
    assert (given["days_in_dec"], given["days_in_jan"]) == (10, 15)
    fee = fee_yuan(given["dec_bill"], "2021-12-21", "2022-01-15", "split_at_year_end")
    assert fee == (total, [expected["dec"], expected["jan"]])


def b13(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    debt_fen = flat_bill(given["kWh"], given["price"]).total_fen
    assert given["days"] == 20
    fee = late_fee(debt_fen, "2026-03-01", "2026-03-21", LateFeeRule(), residential=True)
    assert format_yuan(fee.amount_fen) == expected["fee"] == total


def b15(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    listed = price_list(component(price=given["price"]), power_factor_applies=True)
    tariff = book(listed, power_factor=power_factor())
    active_wh = given["P_kWh"] * 1000
    reactive = {"1": 16_000_000, "4": 434_000}  # 0.32868 of active: factor 0.95
    month = usage(point_usage(import_wh=active_wh, reactive_varh=reactive))
    bill = rate(month, tariff, terms(power_factor_standard=given["pf_standard"]))
    adjustment = bill.lines[-1]
    assert adjustment.basis["power_factor"] == given["pf"]
    assert adjustment.price == expected["adj_pct"]
    assert format_yuan(adjustment.amount_fen) == expected["pf_adjust"] == total


def b17(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    two_part_list = price_list(
        component(price=given["price"]),
        component("capacity", given["basic_price"], unit="kVA"),
        two_part=two_part(),
        power_factor_applies=True,
    )
    tariff = book(two_part_list, power_factor=power_factor())
    agreed = terms(
        basic_charge="capacity",
        transformers=(Transformer(id="T1", capacity_va=given["capacity_kVA"] * 1000),),
        power_factor_standard=given["pf_standard"],
    )
    reactive = {"1": 4_353_000, "4": 0}  # 1.6426 of active: factor 0.52
    month = usage(point_usage(import_wh=given["P_kWh"] * 1000, reactive_varh=reactive))
    bill = rate(month, tariff, agreed)
    assert amounts(bill) == {
        "energy": expected["energy"],
        "capacity": expected["basic"],
        "power_factor": expected["pf_adjust"],
    }
    assert bill.lines[-1].basis["power_factor"] == given["pf"]
    assert bill.lines[-1].price == expected["adj_pct"]
    assert format_yuan(bill.total_fen) == total


def b18(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    listed = price_list(
        component(price=given["price"]),
        component("capacity", given["basic_price"], unit="kVA"),
        two_part=two_part(),
    )
    capacity_va = given["capacity_kVA"] * 1000
    agreed = terms(
        basic_charge="capacity", transformers=(Transformer(id="T1", capacity_va=capacity_va),)
    )
    month = usage(point_usage(import_wh=given["kWh"] * 1000))
    bill = rate(month, book(listed), agreed)
    assert amounts(bill) == {"energy": expected["energy"], "capacity": expected["basic"]}
    assert format_yuan(bill.total_fen) == total
    assert bill.total_fen * 1000 == parse_yuan(expected["avg_price"]) * bill.energy_wh
    # At 133,333.333 kWh the average is 0.35 yuan; the book then has to rate single Wh.
    exact = Rounding(energy_unit_wh=1)
    used_wh = int(expected["kWh_for_avg_0.35"].replace(".", ""))
    bill = rate(usage(point_usage(import_wh=used_wh)), book(listed, rounding=exact), agreed)
    assert energy_amount_fen(used_wh, parse_price("0.35")) == bill.total_fen


def b19(given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    bill = flat_bill(given["kWh"], given["price"])
    assert amounts(bill) == expected
    assert format_yuan(bill.total_fen) == total


def b22(given: dict[str, Any], expected: dict[str, Any], total: None) -> None:
    assert total is None
    listed = price_list(
        component(),
        component("demand", given["price_per_kW"], unit="kW"),
        two_part=two_part(name="sgcc_2016", within="contract"),
    )
    agreed = terms(basic_charge="contract_demand", contract_demand_w=given["contract_kW"] * 1000)
    for measured_kw in given["measured_kW"]:
        month = usage(point_usage(import_wh=0, demand_w=measured_kw * 1000))
        bill = rate(month, book(listed), agreed)
        assert format_yuan(bill.total_fen) == expected[str(measured_kw)]


CASES: dict[str, Callable[[dict[str, Any], dict[str, Any], Any], None]] = {
    case.__name__: case
    for case in (b01, b03, b05, b06, b07, b09, b10, b11, b13, b15, b17, b18, b19, b22)
}


def test_every_example_of_the_file_is_rated_or_listed_with_a_reason() -> None:
    assert CASES.keys() | NOT_APPLICABLE.keys() == EXAMPLES.keys()
    assert not CASES.keys() & NOT_APPLICABLE.keys()
    assert not NOT_IN_THE_FILE.keys() & EXAMPLES.keys()


@pytest.mark.parametrize("name", sorted(CASES))
def test_published_example(name: str) -> None:
    example = EXAMPLES[name]
    CASES[name](example["inputs"], example["components"], example["total"])

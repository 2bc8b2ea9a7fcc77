"""The published bills and price tables through `gridledger rate`: files in, JSON out.

What the rating functions make of them is tested in tests/unit/billing/test_golden.py; here each
goes the way of a person who has files. Late fees are no bills (see NOT_A_BILL).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from libs.events.quantities import format_yuan, parse_price
from services.billing.price_book_file import BOOKS
from tests.unit.cli.rate_files import (
    ROUNDING,
    TWO_PART,
    Files,
    book,
    component,
    contract,
    files,
    power_factor,
    price_list,
    tiers,
    usage,
)

__all__ = ["files"]

GOLDEN = Path(__file__).parents[2] / "golden"
EXAMPLES = {
    each["id"]: each
    for each in json.loads((GOLDEN / "billing_examples.json").read_text("utf-8"))["examples"]
}
NOT_A_BILL = ("b09", "b10", "b11", "b13")
"""Late fees: of a debt and its days, without usage (services/billing/late_fee.py)."""

with (GOLDEN / "tariff_tables.csv").open(encoding="utf-8") as lines:
    ROWS = list(csv.DictReader(lines))

Case = Callable[[Files, dict[str, Any], dict[str, Any], Any], None]
MODE_OF = {"kVA": "capacity", "kW": "measured_demand"}


def yuan(bill: Any) -> str:
    assert bill["total_fen"] == sum(line["amount_fen"] for line in bill["lines"])
    return format_yuan(bill["total_fen"])


def by_code(bill: Any) -> dict[str, str]:
    return {line["code"]: format_yuan(line["amount_fen"]) for line in bill["lines"]}


def two_part(*components: Any, **more: Any) -> Any:
    return price_list(*components, two_part=TWO_PART, **more)


def capacity(kva: int, **more: Any) -> Any:
    transformer = {"id": "T1", "capacity_kva": str(kva)}
    return contract(basic_charge="capacity", transformers=[transformer], **more)


def b01(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    listed = two_part(
        component(price="0.05"), component("capacity", "10", "kVA"), power_factor_applies=True
    )
    tariff = book(listed, power_factor=power_factor())
    agreed = capacity(given["capacity_kVA"], power_factor_standard=given["pf_standard"])
    billed_kvarh = given["Q_kvarh_billed"]
    bills = [
        files.rate(tariff, agreed, usage(import_kwh=given["P_kWh"], reactive_kvarh=kvarh))[0]
        for kvarh in (billed_kvarh, billed_kvarh + given["Q_kvarh_missed"])
    ]
    factors = [bill["lines"][-1]["basis"]["power_factor"] for bill in bills]
    assert factors == [expected["pf_billed"], expected["pf_true"]]
    assert [yuan(bill) for bill in bills] == [
        given["billed_total_excl_surcharge"],
        expected["true_total"],
    ]
    assert format_yuan(bills[1]["total_fen"] - bills[0]["total_fen"]) == total


def b03(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    prices = two_part(component(), component("capacity", given["price_per_kVA_month"], "kVA"))
    agreed = contract(
        basic_charge="capacity",
        transformers=[
            {"id": "T1", "capacity_kva": given["cap_before_kVA"], "until_on": "2026-04-11"},
            {"id": "T2", "capacity_kva": given["cap_after_kVA"], "from_on": "2026-04-11"},
        ],
    )
    cycle = {"cycle_from_on": "2026-03-24", "cycle_until_on": "2026-04-23"}
    (bill,) = files.rate(book(prices), agreed, usage(period="2026-03", import_kwh=0) | cycle)
    shares = [line["basis"]["days"] for line in bill["lines"]]
    assert shares == [f"{given['days_before']}/30", f"{given['days_after']}/30"]
    amounts = [format_yuan(line["amount_fen"]) for line in bill["lines"]]
    assert amounts == [expected["before"], expected["after"]]
    assert yuan(bill) == total


def b05(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    funds = [component(code, price) for code, price in given["funds"].items()]
    tariff = book(price_list(component(price=given["price"]), *funds))
    (bill,) = files.rate(tariff, contract(), usage(import_kwh=given["kWh"]))
    assert (by_code(bill), yuan(bill)) == (expected, total)


def b06(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    rule = tiers("month", [str(each) for each in given["tiers"]], given["adders"])
    tariff = book(price_list(component(price=given["base"]), tiers=rule))
    (bill,) = files.rate(tariff, contract(), usage(import_kwh=given["kWh"]))
    assert yuan(bill) == total
    assert by_code(bill) == {"energy": "416.00", "tier.2": "17.00", "tier.3": "15.00"}


def b07(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    rule = tiers("year", [str(each) for each in given["annual_tiers"]], given["adders"])
    tariff = book(price_list(component(price=given["base"]), tiers=rule))
    used = usage(import_kwh=given["kWh"], used_before_kwh=given["used_before"])
    (bill,) = files.rate(tariff, contract(), used)
    assert by_code(bill) == {"energy": expected["base"], "tier.2": expected["add2"]}
    assert yuan(bill) == total


def b15(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    listed = price_list(component(price=given["price"]), power_factor_applies=True)
    agreed = contract(power_factor_standard=given["pf_standard"])
    used = usage(import_kwh=given["P_kWh"], power_factor=given["pf"])
    (bill,) = files.rate(book(listed, power_factor=power_factor()), agreed, used)
    assert bill["lines"][-1]["price"] == expected["adj_pct"]
    assert by_code(bill)["power_factor"] == expected["pf_adjust"] == total


def b17(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    prices = (component(price=given["price"]), component("capacity", given["basic_price"], "kVA"))
    tariff = book(two_part(*prices, power_factor_applies=True), power_factor=power_factor())
    agreed = capacity(given["capacity_kVA"], power_factor_standard=given["pf_standard"])
    used = usage(import_kwh=given["P_kWh"], power_factor=given["pf"])
    (bill,) = files.rate(tariff, agreed, used)
    assert bill["lines"][-1]["price"] == expected["adj_pct"]
    assert by_code(bill) == {
        "energy": expected["energy"],
        "capacity": expected["basic"],
        "power_factor": expected["pf_adjust"],
    }
    assert yuan(bill) == total


def b18(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    prices = (component(price=given["price"]), component("capacity", given["basic_price"], "kVA"))
    agreed = capacity(given["capacity_kVA"])
    (bill,) = files.rate(book(two_part(*prices)), agreed, usage(import_kwh=given["kWh"]))
    assert by_code(bill) == {"energy": expected["energy"], "capacity": expected["basic"]}
    assert yuan(bill) == total
    exact = ROUNDING | {"energy_unit_wh": 1}
    used = usage(import_kwh=expected["kWh_for_avg_0.35"])
    (bill,) = files.rate(book(two_part(*prices), rounding=exact), agreed, used)
    assert format_yuan(bill["total_fen"]) == "46666.67"  # 0.35 yuan for each of these kWh


def b19(files: Files, given: dict[str, Any], expected: dict[str, Any], total: str) -> None:
    tariff = book(price_list(component(price=given["price"])))
    (bill,) = files.rate(tariff, contract(), usage(import_kwh=given["kWh"]))
    assert (by_code(bill), yuan(bill)) == (expected, total)


def b22(files: Files, given: dict[str, Any], expected: dict[str, Any], total: None) -> None:
    rule = TWO_PART | {"contract_floor_percent": 0}
    prices = [component(), component("demand", given["price_per_kW"], "kW")]
    tariff = book(price_list(*prices, two_part=rule))
    agreed = contract(basic_charge="contract_demand", contract_demand_kw=given["contract_kW"])
    for measured in given["measured_kW"]:
        (bill,) = files.rate(tariff, agreed, usage(import_kwh=0, demand_kw=measured))
        assert yuan(bill) == expected[str(measured)]


CASES: dict[str, Case] = {
    case.__name__: case for case in (b01, b03, b05, b06, b07, b15, b17, b18, b19, b22)
}


def test_every_bill_of_the_file_is_rated() -> None:
    assert CASES.keys() | set(NOT_A_BILL) == EXAMPLES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_published_bill(name: str, files: Files) -> None:
    example = EXAMPLES[name]
    CASES[name](files, example["inputs"], example["components"], example["total"])


@pytest.mark.parametrize("number", range(len(ROWS)))
def test_a_row_of_the_price_tables(number: int, files: Files) -> None:
    """1,000 kWh (or 1,000 kVA or kW for a month) cost 1,000 times the price."""
    row = ROWS[number]
    price = row["price_yuan_per_kWh"]
    tariff, agreed = book(price_list(component(price=price))), contract()
    used = usage(import_kwh=1000)
    if row["unit_note"].startswith("yuan/k"):
        unit = row["unit_note"].split("/")[1]
        tariff = book(two_part(component(), component("basic", price, unit)))
        agreed = capacity(1000) | {"basic_charge": MODE_OF[unit]}
        used = usage(import_kwh=0, demand_kw=1000)
    (bill,) = files.rate(tariff, agreed, used)
    assert bill["total_fen"] == parse_price(price) // 10


# -- kinds that the text of the sources names without a vector ------------------------------------


def test_a_household_becomes_large_within_the_year(files: Files) -> None:
    """b08: 100 kWh a month from July on raise the year's boundary of 2,760 kWh by 600."""
    gains = {"large_household": ["100", "100"]}
    rule = tiers("year", ["2760", "4800"], ["0.05", "0.30"], allowances_kwh_per_month=gains)
    tariff = book(price_list(component(price="0.538"), tiers=rule, category="residential"))
    used = usage(period="2026-07", import_kwh=700, used_before_kwh=2700)
    sizes = [{"from_on": "2026-01-01", "people": 3}, {"from_on": "2026-07-01", "people": 5}]
    (bill,) = files.rate(tariff, contract(household=sizes), used)
    assert by_code(bill)["tier.2"] == "2.00"  # 3,400 - 3,360 = 40 kWh
    assert bill["lines"][-1]["basis"]["above_wh"] == "3360000"
    allowed = [{"rule": "large_household", "from_on": "2026-07-01"}]
    (same,) = files.rate(tariff, contract(allowances=allowed), used)
    assert same["lines"] == bill["lines"]


@pytest.mark.parametrize(
    ("rounding", "expected"), [("half_up", "-2311.68"), ("truncate", "-2311.67")]
)
def test_the_rounding_of_an_adjustment_is_the_books(
    rounding: str, expected: str, files: Files
) -> None:
    """b16: -0.75 % of 308,223.40 yuan."""
    listed = price_list(component(price="1"), power_factor_applies=True)
    rounded = ROUNDING | {"amount": rounding, "energy_unit_wh": 100}
    tariff = book(listed, power_factor=power_factor(), rounding=rounded)
    agreed = contract(power_factor_standard="0.90")
    used = usage(import_kwh="308223.4", reactive_kvarh={"1": 90_000, "4": 10_000})
    (bill,) = files.rate(tariff, agreed, used)
    assert by_code(bill) == {"energy": "308223.40", "power_factor": expected}


def test_the_contract_demand_is_not_under_its_floor(files: Files) -> None:
    """300 kW on 1,000 kVA bill 400 kW."""
    tariff = book(two_part(component(), component("demand", "24", "kW")))
    agreed = capacity(1000) | {"basic_charge": "contract_demand", "contract_demand_kw": "300"}
    (bill,) = files.rate(tariff, agreed, usage(import_kwh=0, demand_kw="310"))
    assert by_code(bill) == {"demand": "9600.00"}


@pytest.mark.parametrize(("measured", "expected"), [(900, "950"), (980, "980"), (1100, "1200")])
def test_the_old_rule_of_demand(measured: int, expected: str, files: Files) -> None:
    rule = {
        "name": "old",
        "within": "measured",
        "lower_percent": 95,
        "excess_over": "contract",
        "source": "test",
    }
    parts = {"contract_floor_percent": 0, "demand_rule": rule}
    tariff = book(price_list(component(), component("demand", "1", "kW"), two_part=parts))
    agreed = contract(basic_charge="contract_demand", contract_demand_kw=1000)
    (bill,) = files.rate(tariff, agreed, usage(import_kwh=0, demand_kw=measured))
    assert yuan(bill) == f"{expected}.00"


def test_flat_energy_is_what_the_other_periods_leave(files: Files) -> None:
    """By the meter's rate numbers, or named by period: 500 kWh are neither peak nor valley."""
    tariff = BOOKS / "cq_commercial.yaml"
    point = {"point": "P1", "price_list": "commercial_tou"}
    periods = {"1": "sharp", "2": "peak", "3": "flat", "4": "valley"}
    numbered = contract(points=[point | {"rate_periods": periods}])
    rates = {"1": 0, "2": 200, "4": 300}
    named = {"peak": 200, "valley": 300}
    totals = []
    for agreed, by_rate in ((numbered, rates), (contract(points=[point]), named)):
        used = usage(import_kwh=1000, import_kwh_by_rate=by_rate)
        status, printed = files.run(
            *("rate", "--json", "--book", str(tariff)),
            *("--contract", files.write("c.json", agreed)),
            *("--usage", files.write("u.json", used)),
        )
        bill = json.loads(printed)
        assert (status, by_code(bill)) == (
            0,
            {"energy.peak": "173.92", "energy.flat": "271.75", "energy.valley": "99.24"},
        )
        totals.append(yuan(bill))
    assert totals == ["544.91", "544.91"]


def test_the_loss_of_a_transformer_for_some_of_the_month(files: Files) -> None:
    """b02: 50 kVA lose 304 kWh a month; in use for 20 of 30 days it is 202.67, that is 203 kWh."""
    table = {"source": "test", "rows": [{"above_kwh": "0", "loss_kwh": "304"}]}
    listed = price_list(component(price="1"), voltage_class="1_10kv")
    tariff = book(listed, loss_tables={"S7-50": table})
    transformer = {"id": "T1", "capacity_kva": "50", "model": "S7-50", "from_on": "2026-04-11"}
    point = {"point": "P1", "price_list": "list", "metering_side": "low"}
    used = usage(period="2026-04", import_kwh=5000)
    (bill,) = files.rate(tariff, contract(points=[point], transformers=[transformer]), used)
    assert yuan(bill) == "5203.00"
    assert bill["lines"][0]["basis"]["transformer_loss_wh"] == "203000"
    behind = [point | {"metering_side": "high"}]
    (bill,) = files.rate(tariff, contract(points=behind, transformers=[transformer]), used)
    assert yuan(bill) == "5000.00"


@pytest.mark.parametrize(
    ("standard", "factor", "percent", "adjusted"),
    [
        ("0.90", "0.86", "2", "200.00"),
        ("0.90", "0.69", "11", "1100.00"),  # 20 steps of 0.5, then 1 of 1
        ("0.90", "0.64", "17", "1700.00"),  # 20 of 0.5, 5 of 1, 1 of 2
        ("0.85", "0.94", "-1.1", "-110.00"),
        ("0.80", "0.92", "-1.3", "-130.00"),
        ("0.80", "0.80", "0", "0.00"),
    ],
)
def test_penalty_and_reward_by_standard(
    standard: str, factor: str, percent: str, adjusted: str, files: Files
) -> None:
    """The steps of domain.md 3.4 on 10,000 yuan, by the factor instead of its kvarh."""
    listed = price_list(component(price="1"), power_factor_applies=True)
    tariff = book(listed, power_factor=power_factor())
    used = usage(import_kwh=10_000, power_factor=factor)
    (bill,) = files.rate(tariff, contract(power_factor_standard=standard), used)
    assert (bill["lines"][-1]["price"], by_code(bill)["power_factor"]) == (percent, adjusted)

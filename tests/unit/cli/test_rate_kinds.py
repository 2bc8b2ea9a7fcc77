"""Every kind of charge of domain.md 3 through `gridledger rate`: figures worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.cli.rate_files import (
    TWO_PART,
    Files,
    book,
    component,
    contract,
    files,
    power_factor,
    price_list,
)

__all__ = ["files"]

POINT = {"point": "P1", "price_list": "list"}


def by_point(bill: Any) -> dict[str, int]:
    """The kWh of each point."""
    return {line["point"]: line["quantity"] // 1000 for line in bill["lines"]}


def amounts(bill: Any) -> dict[str, int]:
    """The fen of each charge, lines of one code together."""
    found: dict[str, int] = {}
    for line in bill["lines"]:
        found[line["code"]] = found.get(line["code"], 0) + line["amount_fen"]
    return found


def april(*points: Any) -> dict[str, Any]:
    return {"account": "A1", "period": "2026-04", "points": list(points)}


@pytest.mark.parametrize(
    ("relation", "kwh"),
    [
        ({"kind": "fixed_ratio", "ratio": "0.2"}, (800, 200)),
        ({"kind": "fixed_quantity", "quantity_kwh": "300"}, (700, 300)),
    ],
)
def test_a_point_without_a_meter(relation: Any, kwh: tuple[int, int], files: Files) -> None:
    points = [POINT, POINT | {"point": "P2"}]
    agreed = contract(points=points, relations=[{"point": "P2", "of": "P1", **relation}])
    used = april({"point": "P1", "import_kwh": "1000"})
    (bill,) = files.rate(book(), agreed, used)
    assert by_point(bill) == {"P1": kwh[0], "P2": kwh[1]}
    assert bill["total_fen"] == 50_000


def test_transferred_supply_takes_energy_and_demand_off(files: Files) -> None:
    """1,000 kWh and 500 kW, of which 400 kWh and 120 kW are another customer's."""
    listed = price_list(component(), component("demand", "40", "kW"), two_part=TWO_PART)
    points = [POINT, POINT | {"point": "P2"}]
    relations = [{"point": "P2", "kind": "transferred", "of": "P1"}]
    agreed = contract(points=points, relations=relations, basic_charge="measured_demand")
    at = {"demand_at": "2026-04-07T02:00:00Z"}
    used = april(
        {"point": "P1", "import_kwh": "1000", "demand_kw": "500", **at},
        {"point": "P2", "import_kwh": "400", "demand_kw": "120", **at},
    )
    (bill,) = files.rate(book(listed), agreed, used)
    assert amounts(bill)["demand"] == 380 * 4_000
    kwh = {line["point"]: line["quantity"] for line in bill["lines"] if line["code"] == "energy"}
    assert kwh == {"P1": 600_000, "P2": 400_000}


def test_demands_of_feeders_are_summed(files: Files) -> None:
    listed = price_list(component(), component("demand", "40", "kW"), two_part=TWO_PART)
    points = [POINT | {"feeder": "F1"}, POINT | {"point": "P2", "feeder": "F2"}]
    agreed = contract(points=points, basic_charge="measured_demand")
    used = april(
        {"point": "P1", "import_kwh": "0", "demand_kw": "300"},
        {"point": "P2", "import_kwh": "0", "demand_kw": "250"},
    )
    (bill,) = files.rate(book(listed), agreed, used)
    assert amounts(bill) == {"demand": 550 * 4_000}


@pytest.mark.parametrize(
    ("rests", "fen"),
    [
        ({"state": "suspended"}, 504_000 + 672_000),
        ({"state": "cold_sealed"}, 504_000 + 672_000),
        ({"state": "hot_standby"}, 1_512_000),
        ({"share": "0.4", "shared_with": "A2"}, 504_000 + 806_400),  # 630 + 126 kVA
    ],
)
def test_a_transformer_rests_or_is_shared_from_some_day_on(
    rests: Any, fen: int, files: Files
) -> None:
    """945 kVA x 16 for 10 of 30 days = 5,040.00, and 630 x 16 for 20 of 30 = 6,720.00."""
    listed = price_list(component(), component("capacity", "16", "kVA"), two_part=TWO_PART)
    second = {"id": "T2", "capacity_kva": "315"}
    transformers = [
        {"id": "T1", "capacity_kva": "630"},
        second | {"until_on": "2026-04-11"},
        second | {"from_on": "2026-04-11"} | rests,
    ]
    agreed = contract(basic_charge="capacity", transformers=transformers)
    (bill,) = files.rate(book(listed), agreed, april({"point": "P1", "import_kwh": "0"}))
    assert amounts(bill) == {"capacity": fen}


def test_a_loss_by_the_plate(files: Files) -> None:
    """P0 0.5 kW over 720 h are 360 kWh; Pk 5 kW at half of 400 kVA over 720 h are 900."""
    rule = {"name": "apparent_squared", "copper_factor": "1", "source": "test"}
    plate = {"capacity_kva": "400", "iron_loss_w": 500, "copper_loss_w": 5000}
    points = [POINT | {"metering_side": "low"}]
    agreed = contract(points=points, transformers=[{"id": "T1", **plate}])
    tariff = book(price_list(voltage_class="1_10kv"), loss_rule=rule)
    used = april({"point": "P1", "import_kwh": "144000"})
    (bill,) = files.rate(tariff, agreed, used)
    assert bill["energy_wh"] == 145_260_000


def test_a_line_loss_by_percent(files: Files) -> None:
    loss = {"kind": "percent", "percent": "1.5"}
    agreed = contract(points=[POINT | {"line_loss": loss}])
    (bill,) = files.rate(book(), agreed, april({"point": "P1", "import_kwh": "1000"}))
    assert bill["energy_wh"] == 1_015_000


@pytest.mark.parametrize(("kwh", "percent"), [("259999", 100), ("260000", 90)])
def test_the_rule_of_load_hours(kwh: str, percent: int, files: Files) -> None:
    """2023: at 260 kWh per kVA and month and above, the demand price is 90 %."""
    rule = TWO_PART["demand_rule"] | {"load_hours_kwh_per_kva": 260, "price_percent_above": 90}
    parts = TWO_PART | {"demand_rule": rule}
    listed = price_list(component(), component("demand", "40", "kW"), two_part=parts)
    transformers = [{"id": "T1", "capacity_kva": "1000"}]
    agreed = contract(basic_charge="measured_demand", transformers=transformers)
    used = april({"point": "P1", "import_kwh": kwh, "demand_kw": "500"})
    (bill,) = files.rate(book(listed), agreed, used)
    assert amounts(bill)["demand"] == 500 * 40 * percent


def test_free_energy_and_a_minimum(files: Files) -> None:
    """10 of 30 kWh are free: 10.00 yuan are left, and 2.50 to the minimum."""
    listed = price_list(free_allowance_kwh="10", minimum_charge="12.5", minimum_per="month")
    used = april({"point": "P1", "import_kwh": "30"})
    (bill,) = files.rate(book(listed), contract(free_allowance=True), used)
    assert amounts(bill) == {"energy": 1_500, "energy.free": -500, "minimum.list": 250}
    (bill,) = files.rate(book(listed), contract(), used)
    assert bill["total_fen"] == 1_500


def test_own_prices_and_amounts_of_others(files: Files) -> None:
    names = {"name_zh": "附加", "name_en": "extra"}
    own = {"code": "market", "unit": "kWh", "price": "-0.02", "point": "P1", **names}
    line = {"document_no": "TC-1", "code": "settled", "amount_yuan": "-12.34", **names}
    line |= {"month": "2026-04", "settled_by": "trading centre"}
    agreed = contract(components=[own], external_lines=[line])
    (bill,) = files.rate(book(), agreed, april({"point": "P1", "import_kwh": "1000"}))
    assert bill["total_fen"] == 50_000 - 2_000 - 1_234


@pytest.mark.parametrize(("quadrants", "factor"), [(["1", "4"], "0.96"), (["1"], "1.00")])
def test_which_quadrants_of_a_producer_count(
    quadrants: list[str], factor: str, files: Files
) -> None:
    rule = power_factor() | {"producer_quadrants": quadrants}
    tariff = book(price_list(power_factor_applies=True), power_factor=rule)
    point = {"point": "P1", "import_kwh": "1000", "export_kwh": "10"}
    used = april(point | {"reactive_kvarh": {"1": "0", "2": "0", "3": "0", "4": "300"}})
    (bill,) = files.rate(tariff, contract(power_factor_standard="0.90"), used)
    assert bill["lines"][-1]["basis"]["power_factor"] == factor

"""Further bills worked out by hand, at the edges of the rules, through `gridledger rate`.

The published bills are in test_rate_vectors.py. Here each rule is met on its boundary and one step
beside it; the sums stand beside the numbers.
"""

from __future__ import annotations

from decimal import Decimal
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
    tiers,
    usage,
)
from tests.unit.cli.test_rate_vectors import by_code, capacity, two_part, yuan

__all__ = ["files"]

YEAR = tiers("year", ["2760", "4800"], ["0.05", "0.30"])
HOME = book(price_list(component(price="0.538"), tiers=YEAR))


def rated(files: Files, tariff: Any, agreed: Any, **point: Any) -> Any:
    (bill,) = files.rate(tariff, agreed, usage(**point))
    return bill


@pytest.mark.parametrize(
    ("kvarh", "factor", "adjusted"),
    [
        # 40,000 / 0.895 = 44,692.74 kVAh: the edge lies at 19,935.9 kvarh
        (19_935, "0.90", None),
        (19_936, "0.89", "100.00"),  # 0.5 % of 20,000.00
    ],
)
def test_a_factor_on_the_edge_of_its_band(
    kvarh: int, factor: str, adjusted: str | None, files: Files
) -> None:
    tariff = book(price_list(power_factor_applies=True), power_factor=power_factor())
    agreed = contract(power_factor_standard="0.90")
    bill = rated(files, tariff, agreed, import_kwh=40_000, reactive_kvarh=kvarh)
    assert by_code(bill).get("power_factor") in (adjusted, adjusted or "0.00")
    assert bill["total_fen"] == 2_000_000 + (10_000 if adjusted else 0)
    told = [line["basis"]["power_factor"] for line in bill["lines"] if line["code"] != "energy"]
    assert told in ([], [factor])


@pytest.mark.parametrize(
    ("standard", "factor", "percent"),
    [
        ("0.90", "0.70", "10"), ("0.90", "0.69", "11"), ("0.90", "0.65", "15"),
        ("0.90", "0.64", "17"), ("0.90", "0.94", "-0.60"), ("0.90", "0.96", "-0.75"),
        ("0.85", "0.65", "10"), ("0.85", "0.64", "11"), ("0.85", "0.60", "15"),
        ("0.85", "0.59", "17"), ("0.85", "0.90", "-0.50"), ("0.85", "0.91", "-0.65"),
        ("0.85", "0.94", "-1.10"), ("0.85", "1.00", "-1.10"),
        ("0.80", "0.60", "10"), ("0.80", "0.55", "15"), ("0.80", "0.54", "17"),
        ("0.80", "0.90", "-1.00"), ("0.80", "0.91", "-1.15"), ("0.80", "0.93", "-1.30"),
    ],
)  # fmt: skip
def test_where_the_steps_of_an_adjustment_change(
    standard: str, factor: str, percent: str, files: Files
) -> None:
    tariff = book(price_list(power_factor_applies=True), power_factor=power_factor())
    agreed = contract(power_factor_standard=standard)
    bill = rated(files, tariff, agreed, import_kwh=20_000, power_factor=factor)
    (line,) = (each for each in bill["lines"] if each["code"] == "power_factor")
    assert Decimal(line["price"]) == Decimal(percent)
    assert line["amount_fen"] == Decimal(percent) * 10_000  # of 10,000.00 yuan


@pytest.mark.parametrize(
    ("before", "kwh", "expected"),
    [
        (2460, 300, {"energy": "161.40"}),  # ends on the boundary
        (2460, 301, {"energy": "161.94", "tier.2": "0.05"}),
        (2760, 0, {"energy": "0.00"}),
        (4700, 300, {"energy": "161.40", "tier.2": "5.00", "tier.3": "60.00"}),
        (4800, 1, {"energy": "0.54", "tier.3": "0.30"}),
    ],
)
def test_a_tier_ends_on_its_boundary(
    before: int, kwh: int, expected: dict[str, str], files: Files
) -> None:
    bill = rated(files, HOME, contract(), import_kwh=kwh, used_before_kwh=before)
    assert {code: fee for code, fee in by_code(bill).items() if fee != "0.00"} == {
        code: fee for code, fee in expected.items() if fee != "0.00"
    }


def test_the_year_of_the_tiers_begins_again_in_january(files: Files) -> None:
    december = usage(period="2025-12", import_kwh=300, used_before_kwh=4700)
    bills = files.rate(HOME, contract(), december, usage(period="2026-01", import_kwh=300))
    assert [yuan(bill) for bill in bills] == ["226.40", "161.40"]
    assert [bill["tiers_after"]["P1"]["used_wh"] for bill in bills] == [5_000_000, 300_000]


OLD = {"name": "old", "within": "measured", "lower_percent": 95, "excess_over": "contract"}


@pytest.mark.parametrize(
    ("rule", "measured", "kw"),
    [
        (TWO_PART["demand_rule"], 840, 800),  # exactly 105 %
        (TWO_PART["demand_rule"], 841, 802),  # 800 + 2 x (841 - 840)
        (TWO_PART["demand_rule"], 0, 800),
        (OLD | {"source": "test"}, 840, 840),
        (OLD | {"source": "test"}, 841, 882),  # 800 + 2 x (841 - 800)
        (OLD | {"source": "test"}, 760, 760),  # exactly 95 %
        (OLD | {"source": "test"}, 759, 760),
    ],
)
def test_demand_on_the_limits_of_its_rule(rule: Any, measured: int, kw: int, files: Files) -> None:
    parts = {"contract_floor_percent": 0, "demand_rule": rule}
    listed = price_list(component(), component("demand", "42", "kW"), two_part=parts)
    agreed = contract(basic_charge="contract_demand", contract_demand_kw=800)
    bill = rated(files, book(listed), agreed, import_kwh=0, demand_kw=measured)
    assert bill["total_fen"] == kw * 4_200


@pytest.mark.parametrize(("demand", "billed"), [(499, 500), (500, 500), (501, 501)])
def test_a_contract_on_the_floor_of_its_capacity(demand: int, billed: int, files: Files) -> None:
    """40 % of 1,250 kVA is 500 kW."""
    tariff = book(two_part(component(), component("demand", "40", "kW")))
    agreed = capacity(1250) | {"basic_charge": "contract_demand", "contract_demand_kw": demand}
    bill = rated(files, tariff, agreed, import_kwh=0, demand_kw="400")
    assert bill["total_fen"] == billed * 4_000


def test_capacity_by_thirtieths_rounds_each_share(files: Files) -> None:
    """630 kVA x 26 x 13/30 = 7,098.00; 1,000 x 26 x 17/30 = 14,733.33."""
    prices = two_part(component(), component("capacity", "26", "kVA"))
    transformers = [
        {"id": "T1", "capacity_kva": 630, "until_on": "2026-04-14"},
        {"id": "T2", "capacity_kva": 1000, "from_on": "2026-04-14"},
    ]
    agreed = contract(basic_charge="capacity", transformers=transformers)
    (bill,) = files.rate(book(prices), agreed, usage(period="2026-04", import_kwh=0))
    assert [line["amount_fen"] for line in bill["lines"] if line["unit"] == "VA"] == [
        709_800,
        1_473_333,
    ]


def test_a_transformer_that_was_there_for_a_part_of_the_month(files: Files) -> None:
    """b02: a table says 304 kWh a month; of 20 days in 30 it is 202.67, that is 203 kWh."""
    tables = {"s7-50": {"rows": [{"above_kwh": "0", "loss_kwh": "304"}], "source": "test"}}
    tariff = book(price_list(voltage_class="10kv"), loss_tables=tables)
    points = [{"point": "P1", "price_list": "list", "loss_table": "s7-50"}]
    agreed = contract(points=points, from_on="2026-04-11")
    used = usage(period="2026-04", import_kwh=1000) | {"from_on": "2026-04-11"}
    (bill,) = files.rate(tariff, agreed, used)
    assert bill["energy_wh"] == 1_203_000
    assert yuan(bill) == "601.50"


def test_a_fixed_share_is_taken_before_it_is_priced(files: Files) -> None:
    """20 % of 1,003 kWh are 200.6, that is 201 at 0.57; the rest, 802, at 0.5."""
    tariff = book(price_list())
    tariff["price_lists"]["home"] = price_list(component(price="0.57"))
    points = [{"point": "P1", "price_list": "list"}, {"point": "P2", "price_list": "home"}]
    relations = [{"point": "P2", "kind": "fixed_ratio", "of": "P1", "ratio": "0.2"}]
    bill = rated(files, tariff, contract(points=points, relations=relations), import_kwh=1003)
    amounts = {line["point"]: line["amount_fen"] for line in bill["lines"]}
    assert amounts == {"P1": 40_100, "P2": 11_457}


def test_a_sub_meter_above_its_main_meter_withholds_the_bill(files: Files) -> None:
    points = [{"point": "P1", "price_list": "list"}, {"point": "P2", "price_list": "list"}]
    relations = [{"point": "P2", "kind": "deducted", "of": "P1"}]
    used = usage(import_kwh=100)
    used["points"].append({"point": "P2", "import_kwh": 101})
    status, printed = files.run(
        *("rate", "--json", "--book", files.write("book.yaml", book())),
        *("--contract", files.write("c.json", contract(points=points, relations=relations))),
        *("--usage", files.write("u.json", used)),
    )
    assert status == 1
    assert '"withheld": true' in printed


def test_free_energy_and_a_minimum(files: Files) -> None:
    """10 of 25 kWh are free: 15 x 0.52; and with 9 nothing is left but the minimum of 3 yuan."""
    listed = price_list(component(price="0.52"), free_allowance_kwh="10", category="residential")
    agreed = contract(free_allowance=True)
    assert yuan(rated(files, book(listed), agreed, import_kwh=25)) == "7.80"
    least = book(listed | {"minimum_charge": "3"})
    assert yuan(rated(files, least, agreed, import_kwh=9)) == "3.00"


@pytest.mark.parametrize(
    ("case", "recorded", "true_kwh", "said"),
    [
        # b04: one of three current transformers reversed, so that +200 % are added
        ({"kind": "wiring", "factor": "3"}, 1000, 3000, "factor 3"),
        ({"kind": "wiring", "factor": "3/2"}, 1001, 1502, "factor 3/2"),  # 1,501.5
        ({"kind": "ratio", "factor": "0.8"}, 1000, 800, "factor 0.8"),
        ({"kind": "error", "error_percent": "3.0"}, 120_000, 116_505, "error 3.0 %"),
        ({"kind": "error", "error_percent": "-20"}, 1000, 1250, "error -20 %"),
    ],
)
def test_a_wrong_measurement_is_put_right(
    case: Any, recorded: int, true_kwh: int, said: str, files: Files
) -> None:
    bill = rated(files, book(), contract(), import_kwh=recorded, measured_wrongly=case)
    assert (bill["energy_wh"], yuan(bill)) == (true_kwh * 1000, f"{true_kwh / 2:.2f}")
    (note,) = bill["notes"]
    assert note.startswith(f"P1: {recorded}")
    assert note.endswith(f"({case['kind']}, {said})")


def test_all_registers_of_a_wrong_measurement_change_alike(files: Files) -> None:
    """The power factor stays: 0.80 on 10,000 kWh recorded, on 15,000 kWh true."""
    tariff = book(price_list(power_factor_applies=True), power_factor=power_factor())
    agreed = contract(power_factor_standard="0.90")
    case = {"kind": "ratio", "factor": "1.5"}
    used = {"import_kwh": 10_000, "reactive_kvarh": 7_500, "measured_wrongly": case}
    bill = rated(files, tariff, agreed, **used)
    assert by_code(bill) == {"energy": "7500.00", "power_factor": "375.00"}  # 5 %


@pytest.mark.parametrize(
    ("case", "said"),
    [
        ({"kind": "wiring"}, "points.0.measured_wrongly.factor: is missing"),
        ({"kind": "wiring", "factor": "3", "error_percent": "1"}, "is of no case of wiring"),
        *(
            ({"kind": "ratio", "factor": text}, f"{text!r} is no factor (write true by recorded")
            for text in ("0", "-1", "3/0", "x", "1e400", "NaN", "10001", "3/2/1")
        ),
        ({"kind": "error", "error_percent": "x"}, "error_percent: 'x' is no decimal number"),
        ({"kind": "error", "error_percent": "-100"}, "the meter stood still"),
        ({"kind": "theft", "factor": "3"}, "measured_wrongly.kind"),
    ],
)
def test_a_wrong_case_is_refused(case: Any, said: str, files: Files) -> None:
    status, error = files.run(
        *("rate", "--book", files.write("book.yaml", book())),
        *("--contract", files.write("c.json", contract())),
        *("--usage", files.write("u.json", usage(import_kwh=5, measured_wrongly=case))),
    )
    assert (status, said in error) == (2, True), error

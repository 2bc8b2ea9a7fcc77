"""Over- and under-sized metering, with the numbers worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from libs.events.errors import BadInput
from services.metrology.capacity_match import MeteringSet, is_coarser, load_current_ma, match

HIGH = MeteringSet(
    usage_point="P1",
    account_no="A1",
    phases=3,
    voltage_v=10_000,
    capacity_va=315_000,
    load_va=0,
    connection="ct",
    meter_class="0.5S",
    base_ma=1_500,
    imax_ma=6_000,
    ct_primary_ma=30_000,
    ct_secondary_ma=5_000,
    ct_class="0.2S",
    vt_primary_v=10_000,
    vt_secondary_v=100,
    vt_class="0.2",
    category="III",
)
HOME = MeteringSet(
    usage_point="P2",
    phases=1,
    voltage_v=220,
    capacity_va=0,
    load_va=8_000,
    connection="direct",
    meter_class="2",
    base_ma=5_000,
    imax_ma=60_000,
)


def found(metering: MeteringSet) -> list[tuple[str, int | None, int | None]]:
    return [(each.rule, each.found_e2_pct, each.bound_e2_pct) for each in match(metering).findings]


def ct(primary_a: int) -> MeteringSet:
    return replace(HIGH, ct_primary_ma=primary_a * 1_000)


def test_currents_are_exact_and_rounded_down() -> None:
    # 315 kVA / (sqrt 3 x 10 kV) = 18.1865 A; 110 kV, 63 MVA: 330.66 A; 8 kVA / 220 V = 36.3636 A
    assert load_current_ma(315_000, 10_000, 3) == 18_186
    assert load_current_ma(63_000_000, 110_000, 3) == 330_664
    assert load_current_ma(8_000, 220, 1) == 36_363
    assert load_current_ma(0, 220, 1) == 0


def test_sets_that_fit() -> None:
    matched = match(HIGH)
    assert (matched.findings, matched.load_current_ma, matched.ratio) == ((), 18_186, "600")
    assert matched.rules == "dlt-448-2000-match v1"
    home = match(HOME)
    assert (home.findings, home.ratio, home.account_no) == ((), "1", "")


def test_the_ct() -> None:
    assert found(ct(10)) == [("ct_undersized", 18_186, 10_000)]
    assert found(ct(150)) == [("ct_oversized", 1_212, 3_000)]
    assert match(ct(150)).findings[0].text == (
        "18.186 A are 12.12 % of the CT 150/5 A, at least 30 %"
    )
    # Right at the bounds: 18.186 A of 18.186 A, and of 60.62 A.
    assert found(replace(HIGH, ct_primary_ma=18_186)) == []
    assert found(replace(HIGH, ct_primary_ma=18_184)) == [("ct_undersized", 10_001, 10_000)]
    assert found(replace(HIGH, ct_primary_ma=60_620)) == []
    assert found(replace(HIGH, ct_primary_ma=60_640)) == [("ct_oversized", 2_999, 3_000)]


def test_the_meter_behind_a_ct() -> None:
    assert found(replace(HIGH, imax_ma=5_900)) == [("meter_undersized", 11_800, 12_000)]
    assert found(replace(HIGH, base_ma=5_000, imax_ma=20_100)) == [
        ("meter_oversized", 40_200, 40_000)
    ]
    assert found(replace(HIGH, vt_primary_v=6_000)) == [("vt_mismatch", None, None)]
    assert found(replace(HIGH, vt_primary_v=0, vt_secondary_v=0)) == []


def test_the_direct_meter() -> None:
    assert found(replace(HOME, load_va=13_200)) == []  # 60 A of 60 A
    assert found(replace(HOME, load_va=14_000)) == [
        ("meter_undersized", 10_606, 10_000),
        ("ct_missing", None, None),
    ]
    assert found(replace(HOME, load_va=600)) == [("meter_oversized", 454, 500)]
    assert found(replace(HOME, load_va=14_000, imax_ma=100_000)) == [("ct_missing", None, None)]


def test_the_transformer() -> None:
    assert found(replace(HIGH, load_va=200_000)) == []
    assert found(replace(ct(50), load_va=330_750))[0] == ("transformer_undersized", 10_500, 10_000)
    small = replace(ct(5), load_va=63_000)
    assert found(small) == [("transformer_oversized", 2_000, 3_000)]
    assert match(small).findings[0].text == (
        "a load of 63 kVA is 20 % of the capacity of 315 kVA, at least 30 %"
    )


def test_classes_by_category() -> None:
    poor = replace(HIGH, category="I", meter_class="1", ct_class="0.2", vt_class="0.5")
    assert [rule for rule, *_ in found(poor)] == [
        "meter_class_too_coarse",
        "ct_class_too_coarse",
        "vt_class_too_coarse",
    ]
    assert found(replace(poor, category="")) == []
    assert found(replace(HIGH, category="I", ct_class="")) == []


@pytest.mark.parametrize(
    ("one", "other", "coarser"),
    [("0.2", "0.2S", True), ("0.2S", "0.2S", False), ("0.2S", "0.2", False), ("0.5", "0.2S", True),
     ("0.1", "0.2S", False), ("1", "1", False)],
)  # fmt: skip
def test_a_class_without_s_is_coarser(one: str, other: str, coarser: bool) -> None:
    assert is_coarser(one, other) is coarser


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"phases": 2}, "phases"),
        ({"connection": "radio"}, "connection"),
        ({"category": "VI"}, "category"),
        ({"voltage_v": 0}, "voltage_v"),
        ({"voltage_v": 10_000_000}, "voltage_v"),
        ({"imax_ma": -1}, "imax_ma"),
        ({"imax_ma": 1_000}, "imax_ma"),
        ({"capacity_va": -1}, "capacity_va"),
        ({"capacity_va": 0}, "capacity_va"),
        ({"ct_secondary_ma": 0}, "ct_primary_ma"),
        ({"vt_primary_v": 0}, "vt_primary_v"),
        ({"vt_primary_v": -1, "vt_secondary_v": -1}, "vt_primary_v"),
        ({"connection": "direct"}, "ct_primary_ma"),
        ({"ct_primary_ma": 0, "ct_secondary_ma": 0}, "ct_primary_ma"),
    ],
)
def test_impossible_sets_are_named(changes: dict[str, object], field: str) -> None:
    with pytest.raises(BadInput) as caught:
        match(replace(HIGH, **changes))  # type: ignore[arg-type]
    assert caught.value.field == field

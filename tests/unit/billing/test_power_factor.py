"""The power factor in integers, its table row by row, its boundaries, and the adjusted base."""

from __future__ import annotations

import csv
from decimal import Decimal, localcontext
from math import isqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import PointRelation
from services.billing.power_factor import percent_hundredths, power_factor_hundredths
from services.billing.price_book import Rounding
from services.billing.rating import rate
from tests.unit.billing.builders import (
    book,
    component,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    usage,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "pf_adjustment.csv"
with GOLDEN.open() as lines:
    ROWS = list(csv.DictReader(lines))
STANDARDS = ("0.90", "0.85", "0.80")
ACTIVE = 10**12


def hundredths(text: str) -> int:
    return int(Decimal(text) * 100)


def reactive_at_lower_edge(factor: int) -> int:
    """The most reactive energy with which ACTIVE still rounds to the factor: 200 P/S >= 2n-1."""
    odd = 2 * factor - 1
    return isqrt(ACTIVE * ACTIVE * (40_000 - odd * odd) // (odd * odd))


def test_the_golden_table_has_81_rows_from_one_downwards() -> None:
    assert [hundredths(row["pf"]) for row in ROWS] == list(range(100, 19, -1))


@pytest.mark.parametrize("standard", STANDARDS)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["pf"])
def test_every_row_of_every_standard(row: dict[str, str], standard: str) -> None:
    percent = percent_hundredths(power_factor(), standard, hundredths(row["pf"]))
    assert Decimal(percent) / 100 == Decimal(row[f"adj_pct_std_{standard}"])


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["pf"])
def test_the_boundaries_of_every_row(row: dict[str, str]) -> None:
    """At the edge the factor is the row's, one step further the next row's; the edge is Q/P."""
    factor = hundredths(row["pf"])
    edge = reactive_at_lower_edge(factor)
    assert power_factor_hundredths(ACTIVE, edge) == factor
    assert power_factor_hundredths(ACTIVE, edge + 1) == factor - 1
    published = Decimal(row["ratio_q_over_p_max"])
    assert abs(Decimal(edge) / ACTIVE - published) <= Decimal("0.0001")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["pf"])
def test_the_middle_of_every_published_band(row: dict[str, str]) -> None:
    low, high = Decimal(row["ratio_q_over_p_min"]), Decimal(row["ratio_q_over_p_max"])
    middle = int((low + high) / 2 * ACTIVE)
    assert power_factor_hundredths(ACTIVE, middle) == hundredths(row["pf"])


@pytest.mark.parametrize(
    ("active", "reactive", "factor"),
    [(1, 0, 100), (0, 1, 0), (3, 4, 60), (4, 3, 80), (5, 12, 38), (40_000, 39_670, 71)],
)
def test_known_triangles(active: int, reactive: int, factor: int) -> None:
    assert power_factor_hundredths(active, reactive) == factor


@given(st.integers(0, 10**12), st.integers(0, 10**12))
def test_equal_to_an_exact_decimal_calculation(active: int, reactive: int) -> None:
    if not active and not reactive:
        active = 1
    with localcontext() as context:
        context.prec = 60
        apparent = Decimal(active * active + reactive * reactive).sqrt()
        exact = (Decimal(active) / apparent).quantize(Decimal("0.01"), rounding="ROUND_HALF_UP")
    assert power_factor_hundredths(active, reactive) == int(exact * 100)


def test_no_energy_has_no_factor() -> None:
    with pytest.raises(AssertionError, match="no energy"):
        power_factor_hundredths(0, 0)


def test_below_the_table_each_hundredth_adds_the_step() -> None:
    rule = power_factor()
    assert percent_hundredths(rule, "0.90", 20) == 10_500
    assert percent_hundredths(rule, "0.90", 19) == 10_700
    assert percent_hundredths(rule, "0.90", 0) == 14_500
    assert percent_hundredths(rule, "0.80", 0) == 12_500


FUNDED = price_list(
    component("energy", "0.5"),
    component("fund", "0.02", pf_base=False),
    power_factor_applies=True,
)


def test_funds_are_in_the_base_or_not_as_the_book_says() -> None:
    """100 kWh, factor 0.80 at standard 0.90: +5 % on 50.00, or on 52.00 yuan."""
    month = usage(point_usage(reactive_varh={"1": 75_000, "4": 0}))
    agreed = terms(power_factor_standard="0.90")
    without = rate(month, book(FUNDED, power_factor=power_factor()), agreed)
    assert (without.lines[-1].quantity, without.lines[-1].amount_fen) == (5_000, 250)
    listed = price_list(component("energy", "0.5"), component("fund", "0.02"))
    funded = price_list(*listed.components, power_factor_applies=True)
    included = rate(month, book(funded, power_factor=power_factor()), agreed)
    assert (included.lines[-1].quantity, included.lines[-1].amount_fen) == (5_200, 260)


@pytest.mark.parametrize(("order", "amount_fen"), [("rounded_lines", 0), ("exact", 1)])
def test_the_rounding_order_is_the_books(order: str, amount_fen: int) -> None:
    """Three lines of 3.45 fen at +5 %: 9 fen give 0.45, the exact 10.35 fen give 0.5175."""
    components = [component(f"energy{place}", "0.008625") for place in range(3)]
    listed = price_list(*components, power_factor_applies=True)
    rounding = Rounding(power_factor_base=order)
    tariff = book(listed, power_factor=power_factor(), rounding=rounding)
    month = usage(point_usage(import_wh=4_000, reactive_varh={"1": 3_000, "4": 0}))
    bill = rate(month, tariff, terms(power_factor_standard="0.90"))
    assert bill.lines[-1].price == "5"
    assert [line.amount_fen for line in bill.lines] == [3, 3, 3, amount_fen]


def test_truncation_gives_the_published_amount_of_b16_where_half_up_does_not() -> None:
    """-0.75 % of 308,223.40 yuan is -2,311.6755 yuan: -2,311.68 or, cut off, -2,311.67."""
    listed = price_list(component(price="1"), power_factor_applies=True)
    month = usage(point_usage(import_wh=308_223_400, reactive_varh={"1": 0, "4": 0}))
    agreed = terms(power_factor_standard="0.90")
    amounts = {}
    for amount in ("half_up", "truncate"):
        rounding = Rounding(amount=amount, energy_unit_wh=1)
        tariff = book(listed, power_factor=power_factor(), rounding=rounding)
        amounts[amount] = rate(month, tariff, agreed).lines[-1].amount_fen
    assert amounts == {"half_up": -231_168, "truncate": -231_167}


def test_metered_or_billed_energy_enters_the_factor_as_the_book_says() -> None:
    """Main 100 kWh and 75 kvarh, sub-meter 20 kWh: 0.80 of metered, 80/sqrt(80^2+75^2) = 0.73."""
    points = (point_terms("P1"), point_terms("P2", price_list="home"))
    homes = price_list(component(), code="home")
    assessed = price_list(component(), power_factor_applies=True)
    sub = PointRelation(point="P2", kind="deducted", of="P1")
    agreed = terms(*points, relations=(sub,), power_factor_standard="0.90")
    month = usage(
        point_usage("P1", reactive_varh={"1": 75_000, "4": 0}), point_usage("P2", import_wh=20_000)
    )
    factors = {}
    for active in ("metered", "billed"):
        tariff = book(assessed, homes, power_factor=power_factor(active=active))
        adjustment = rate(month, tariff, agreed).lines[-1]
        factors[active] = adjustment.basis["power_factor"]
        # Only the main point's 80 kWh are adjusted: the sub-meter's list is not.
        assert adjustment.quantity == 4_000
        assert adjustment.reading_ids == ("r-P1",)
    assert factors == {"metered": "0.80", "billed": "0.73"}


def test_the_quadrants_of_the_book_count_by_their_absolute_energy() -> None:
    tariff = book(FUNDED, power_factor=power_factor())
    reactive = {"1": 40_000, "2": 99_000, "3": 99_000, "4": -35_000}
    month = usage(point_usage(reactive_varh=reactive))
    bill = rate(month, tariff, terms(power_factor_standard="0.90"))
    assert bill.lines[-1].basis["reactive_varh"] == "75000"


def test_without_any_energy_there_is_no_adjustment_and_a_warning() -> None:
    tariff = book(FUNDED, power_factor=power_factor())
    month = usage(point_usage(import_wh=0, reactive_varh={"1": 0, "4": 0}))
    bill = rate(month, tariff, terms(power_factor_standard="0.90"))
    assert bill.lines == ()
    assert [each.rule for each in bill.warnings] == ["power_factor_undefined"]

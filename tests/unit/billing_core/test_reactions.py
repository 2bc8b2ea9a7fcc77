"""What others say, in billing's own terms."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.agreement import HouseholdAllowance
from services.billing.reactions import agreement_noted, book_category, usage_noted
from tests.unit.billing_core.office import agreement, demand, point, terms, usage


def test_the_highest_import_demand_is_noted_and_its_first_instant() -> None:
    demands = (
        demand(500, "2026-01-03T02:00:00Z"),
        demand(900, "2026-01-03T09:00:00Z"),
        demand(900, "2026-01-03T08:00:00Z"),
        demand(5000, "2026-01-03T04:00:00Z", "1-0:2.6.0"),
    )
    noted = usage_noted(usage("2026-01-03", demands=demands))
    assert (noted.demand_w, noted.demand_at) == (900, "2026-01-03T08:00:00Z")
    none = usage_noted(usage("2026-01-03", demands=demands[3:]))
    assert (none.demand_w, none.demand_at) == (0, "")


def test_terms_stand_in_the_order_of_their_days() -> None:
    rows = [terms("2026-03-01", moved_out_on="2026-05-01"), terms(moved_out_on="2026-05-01")]
    noted = agreement_noted(agreement(rows=rows))
    assert [dated.from_on for dated in noted.timeline] == ["2026-01-01", "2026-03-01"]
    assert noted.moved_out_on == "2026-05-01"
    assert agreement_noted(agreement(terms=())).moved_out_on == ""


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("none", "none"),
        ("capacity", "capacity"),
        ("contract", "contract_demand"),
        ("measured", "measured_demand"),
        ("unheard_of", "unheard_of"),
    ],
)
def test_the_demand_mode_is_the_basic_charge(mode: str, expected: str) -> None:
    noted = agreement_noted(agreement(rows=[terms(demand_mode=mode, contract_demand_w=300_000)]))
    assert noted.timeline[0].terms.basic_charge == expected
    assert noted.timeline[0].terms.contract_demand_w == 300_000
    zero = agreement_noted(agreement(rows=[terms(demand_mode=mode)]))
    assert zero.timeline[0].terms.contract_demand_w is None


def test_what_a_point_leaves_empty_is_the_agreements() -> None:
    row = terms(voltage_class="10kv", metering_side="high", category="industrial")
    plain = point(voltage_class="", metering_side="", category="", price_list="")
    own = point("P2", voltage_class="35kv", category="agricultural", price_list="farm")
    first, second = agreement_noted(agreement(plain, own, rows=[row])).timeline[0].terms.points
    assert (first.voltage_class, first.metering_side, first.price_list, first.category) == (
        "1_10kv",
        "high",
        "home",
        "commercial_industrial",
    )
    assert (second.voltage_class, second.category, second.price_list) == (
        "35kv",
        "agricultural",
        "farm",
    )


def test_a_relation_is_that_of_all_points_that_are_not_main() -> None:
    points = (
        point(),
        point("P2", relation="deducted", parent_point="P1"),
        point("P3", relation="fixed_ratio", parent_point="P1", share="0.3", quantity_wh=7),
    )
    found = agreement_noted(agreement(*points)).timeline[0].terms.relations
    assert [(each.point, each.kind, each.of, each.ratio, each.quantity_wh) for each in found] == [
        ("P2", "deducted", "P1", "", 0),
        ("P3", "fixed_ratio", "P1", "0.3", 7),
    ]


def allowances(*rows: Any) -> list[tuple[HouseholdAllowance, ...]]:
    noted = agreement_noted(agreement(rows=rows))
    return [dated.terms.allowances for dated in noted.timeline]


def large(from_on: str, until_on: str = "") -> HouseholdAllowance:
    return HouseholdAllowance(rule="large_household", from_on=from_on, until_on=until_on)


def test_a_large_household_is_one_from_its_first_day_on_whatever_else_changes() -> None:
    big, still = terms(household_size=5), terms("2026-07-01", household_size=6, language="en")
    assert allowances(big, still) == [(large("2026-01-01"),)] * 2
    assert allowances(terms(household_size=4)) == [()]
    assert allowances(terms(household_size=5, category="industrial")) == [()]


def test_a_household_that_shrinks_keeps_the_months_it_had() -> None:
    rows = (
        terms(household_size=5),
        terms("2026-05-01", household_size=4),
        terms("2026-06-01", household_size=4, language="en"),
        terms("2026-10-01", household_size=5),
    )
    expected = (large("2026-01-01", "2026-05-01"), large("2026-10-01"))
    assert allowances(*rows) == [expected] * 4


@pytest.mark.parametrize(
    ("category", "mode", "price_list", "expected"),
    [
        ("residential", "none", "residential", "residential"),
        ("residential", "none", "residential_shared", "residential_shared"),
        ("industrial", "none", "x", "commercial_industrial"),
        ("industrial", "capacity", "x", "large_industry"),
        ("non_residential", "capacity", "x", "commercial_industrial"),
        ("agricultural", "none", "x", "agricultural"),
    ],
)
def test_a_class_of_use_as_books_name_it(
    category: str, mode: str, price_list: str, expected: str
) -> None:
    assert book_category(category, mode, price_list) == expected

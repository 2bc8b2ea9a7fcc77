"""What others say, in billing's own terms."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.agreement import HouseholdAllowance, HouseholdSize, LineLoss, PrepaidTerms
from services.billing.household import allowances_of
from services.billing.price_book import LARGE_HOUSEHOLD
from services.billing.reactions import (
    ForeignPrepaid,
    ForeignTransformer,
    agreement_noted,
    book_category,
    usage_noted,
)
from tests.unit.billing_core.office import (
    agreement,
    component,
    demand,
    external_line,
    point,
    terms,
    usage,
)


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


def allowances(*rows: Any) -> tuple[HouseholdAllowance, ...]:
    noted = agreement_noted(agreement(rows=rows))
    assert all(dated.terms.allowances == () for dated in noted.timeline)
    return allowances_of(noted.household, (LARGE_HOUSEHOLD,), "9999-12-31")


def large(from_on: str, until_on: str = "") -> HouseholdAllowance:
    return HouseholdAllowance(rule="large_household", from_on=from_on, until_on=until_on)


def test_a_large_household_is_one_from_its_first_day_on_whatever_else_changes() -> None:
    big, still = terms(household_size=5), terms("2026-07-01", household_size=6, language="en")
    assert allowances(big, still) == (large("2026-01-01"),)
    assert allowances(terms(household_size=4)) == ()
    assert allowances(terms(household_size=5, category="industrial")) == ()


def test_a_household_is_told_where_its_size_changes() -> None:
    rows = (
        terms(household_size=3),
        terms("2026-02-01", household_size=3, language="en"),
        terms("2026-03-01", household_size=4),
        terms("2026-04-01", household_size=4, category="non_residential"),
    )
    assert agreement_noted(agreement(rows=rows)).household == (
        HouseholdSize(from_on="2026-01-01", people=3, category="residential"),
        HouseholdSize(from_on="2026-03-01", people=4, category="residential"),
        HouseholdSize(from_on="2026-04-01", people=4, category="non_residential"),
    )


def test_a_household_that_shrinks_keeps_the_months_it_had() -> None:
    rows = (
        terms(household_size=5),
        terms("2026-05-01", household_size=4),
        terms("2026-06-01", household_size=4, language="en"),
        terms("2026-10-01", household_size=5),
    )
    assert allowances(*rows) == (large("2026-01-01", "2026-05-01"), large("2026-10-01"))


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


def test_what_only_this_account_has_is_noted() -> None:
    signed = ForeignPrepaid(
        agreement_no="Y-1", signed_on="2026-01-01", credit_limit_fen=1, warn1_fen=3, warn2_fen=2
    )
    row = terms(
        low_income=True,
        feed_in_price_list="sold",
        payment_mode="prepaid_remote",
        prepaid=signed,
    )
    shared = ForeignTransformer(
        transformer_no="T1",
        kva=630,
        model="S11",
        state="in_use",
        from_on="2026-01-01",
        to_on="",
        share="0.5",
        shared_with="1000000009",
        iron_loss_w=810,
        copper_loss_w=6_200,
    )
    noted = agreement_noted(
        agreement(
            point(feeder="F1", loss_table="S11", line_loss_percent="1.5"),
            point("P2", line_resistance_mohm=250),
            rows=[row],
            transformers=(shared,),
            components=(component(),),
            external_lines=(external_line(),),
        )
    )
    found = noted.timeline[0].terms
    assert (found.free_allowance, found.feed_in_price_list) == (True, "sold")
    assert found.prepaid == PrepaidTerms(
        agreement_no="Y-1", signed_on="2026-01-01", credit_limit_fen=1, warn1_fen=3, warn2_fen=2
    )
    (first, second) = found.points
    assert (first.feeder, first.loss_table) == ("F1", "S11")
    assert first.line_loss == LineLoss(kind="percent", percent="1.5")
    assert second.line_loss == LineLoss(kind="resistance", resistance_mohm=250)
    (transformer,) = found.transformers
    assert (transformer.share, transformer.shared_with) == ("0.5", "1000000009")
    assert (transformer.iron_loss_w, transformer.copper_loss_w) == (810, 6_200)
    (extra,) = found.components
    assert (extra.code, extra.price, extra.point, extra.source) == ("x", "0.01", "P1", "contract 7")
    assert found.external_lines == ()
    assert [(each.month, each.amount_fen) for each in noted.external_lines] == [("2026-01", -500)]

"""What withholds a bill, what is listed as not yet rated, what only warns: a test per rule."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.billing.agreement import (
    AgreementTerms,
    HouseholdAllowance,
    PointRelation,
    Transformer,
)
from services.billing.bill import Bill
from services.billing.price_book import PriceBook
from services.billing.rating import rate
from services.billing.usage import AccountUsage
from tests.unit.billing.builders import (
    FOUR_RATES,
    book,
    calendar,
    component,
    point_terms,
    point_usage,
    power_factor,
    price_list,
    terms,
    tiers,
    two_part,
    usage,
)

TWO_PART = price_list(
    component(),
    component("capacity", "10", unit="kVA"),
    component("demand", "40", unit="kW"),
    code="industry",
    two_part=two_part(floor_percent=40),
    power_factor_applies=True,
)
TOU = price_list(
    component(tou_applies=True, period_prices={"peak": "1", "valley": "0.5"}),
    code="tou",
    calendar="times",
)
TIERED = price_list(code="home", tiers=tiers("month", (200,), ("0.05",)))
TARIFF = book(
    price_list(),
    TWO_PART,
    TOU,
    TIERED,
    calendars={"times": calendar()},
    power_factor=power_factor(),
)
HALF = {"from_on": "2026-01-01", "until_on": "2026-01-16"}
T1 = Transformer(id="T1", capacity_va=1_000_000)


def bill_of(agreed: AgreementTerms, month: AccountUsage | None = None) -> Bill:
    return rate(month or usage(), TARIFF, agreed)


def industry(**changes: Any) -> AgreementTerms:
    fields: dict[str, Any] = {"basic_charge": "capacity", "transformers": (T1,)}
    points = changes.pop("points", (point_terms(price_list="industry"),))
    return terms(*points, **{**fields, **changes})


def gaps(bill: Bill) -> list[tuple[str, str, bool]]:
    return [(each.what, each.point, each.withheld) for each in bill.not_yet_rated]


def is_withheld_by(bill: Bill, *rules: str) -> bool:
    assert bill.withheld == bool(rules)
    assert bool(bill.lines) != bill.withheld
    if bill.withheld:
        assert (bill.total_fen, bill.tiers_before, bill.tiers_after) == (0, {}, {})
    return tuple(each.rule for each in bill.findings) == rules


def test_a_plain_account_is_billed() -> None:
    bill = bill_of(terms())
    assert is_withheld_by(bill)
    assert (bill.total_fen, bill.not_yet_rated, bill.warnings) == (5_000, (), ())


@pytest.mark.parametrize("mode", ["prepaid_remote", "prepaid_local"])
def test_who_pays_ahead_is_billed_alike(mode: str) -> None:
    assert bill_of(terms(payment_mode=mode)).lines == bill_of(terms()).lines


def test_an_unknown_way_of_paying_is_not_billed() -> None:
    bill = bill_of(terms(payment_mode="barter"))
    assert (bill.withheld, gaps(bill)) == (True, [("barter", "", True)])


def test_a_relation_that_is_not_known_withholds_the_bill() -> None:
    relation = PointRelation(point="P2", kind="other", of="P1")
    bill = bill_of(terms(point_terms(), point_terms("P2"), relations=(relation,)))
    assert (bill.withheld, gaps(bill)) == (True, [("other", "P2", True)])


def test_a_relation_that_ended_before_does_not_matter() -> None:
    relation = PointRelation(point="P1", kind="fixed_ratio", until_on="2026-01-01")
    assert is_withheld_by(bill_of(terms(relations=(relation,))))


def test_a_check_meter_is_never_priced() -> None:
    relation = PointRelation(point="P2", kind="check")
    agreed = terms(point_terms(), point_terms("P2"), relations=(relation,))
    for month in (usage(), usage(point_usage(), point_usage("P2", import_wh=99_000))):
        bill = bill_of(agreed, month)
        assert is_withheld_by(bill)
        assert [line.point for line in bill.lines] == ["P1"]


def test_feed_in_without_a_price_list_is_listed_and_the_import_is_billed() -> None:
    relation = PointRelation(point="P2", kind="feed_in")
    agreed = terms(point_terms(), point_terms("P2"), relations=(relation,))
    month = usage(point_usage(), point_usage("P2", import_wh=0, export_wh=70_000))
    bill = bill_of(agreed, month)
    assert is_withheld_by(bill)
    assert gaps(bill) == [("feed_in", "P2", False)]
    assert (bill.total_fen, bill.energy_wh) == (5_000, 100_000)


def test_what_a_feed_in_point_drew_is_billed_by_its_own_list() -> None:
    relation = PointRelation(point="P2", kind="feed_in")
    agreed = terms(point_terms(), point_terms("P2"), relations=(relation,))
    agreed = replace(agreed, feed_in_price_list="sold")
    fed = point_usage("P2", import_wh=3_000, export_wh=90_000)
    bill = bill_of(agreed, usage(fed, point_usage()))
    assert is_withheld_by(bill)
    assert gaps(bill) == []
    assert (bill.total_fen, bill.energy_wh) == (5_150, 103_000)


def test_the_export_of_a_main_point_is_listed_and_never_netted() -> None:
    bill = bill_of(terms(), usage(point_usage(export_wh=70_000)))
    assert gaps(bill) == [("feed_in", "P1", False)]
    assert (bill.total_fen, bill.energy_wh) == (5_000, 100_000)


def test_a_cycle_of_two_months_is_not_rated() -> None:
    days = {"from_on": "2026-01-01", "until_on": "2026-03-01"}
    month = usage(point_usage(**days), cycle_until_on="2026-03-01", **days)
    bill = bill_of(terms(), month)
    assert (bill.withheld, gaps(bill)) == (True, [("long_cycle", "", True)])


def test_the_book_must_be_the_agreements_and_in_force() -> None:
    assert is_withheld_by(bill_of(terms(price_book="other")), "other_book")
    for dates in ({"from_on": "2026-01-02"}, {"until_on": "2026-01-31"}):
        later: PriceBook = replace(TARIFF, **dates)
        assert is_withheld_by(rate(usage(), later, terms()), "book_not_in_force")
    bill = bill_of(terms(point_terms(price_list="none")))
    assert is_withheld_by(bill, "price_list_missing")


def test_every_billed_point_needs_one_usage_of_its_days() -> None:
    two = terms(point_terms(), point_terms("P2"))
    assert is_withheld_by(bill_of(two), "usage_missing")
    twice = usage(point_usage(), point_usage())
    assert is_withheld_by(bill_of(terms(), twice), "usage_twice")
    stranger = usage(point_usage(), point_usage("P9"))
    assert is_withheld_by(bill_of(terms(), stranger), "point_unknown")
    instead = usage(point_usage("P9"))
    assert is_withheld_by(bill_of(terms(), instead), "usage_missing", "point_unknown")
    doubled = terms(point_terms(), point_terms())
    assert is_withheld_by(bill_of(doubled), "point_twice")
    assert is_withheld_by(bill_of(terms(), usage(point_usage(**HALF))), "usage_of_other_days")


def test_a_point_that_moved_in_has_usage_from_its_first_day() -> None:
    agreed = terms(point_terms(), point_terms("P2", from_on="2026-01-11"))
    month = usage(point_usage(), point_usage("P2", from_on="2026-01-11"))
    assert is_withheld_by(bill_of(agreed, month))
    gone = terms(point_terms(), point_terms("P2", until_on="2026-01-01"))
    assert is_withheld_by(bill_of(gone))


def test_an_account_without_points_has_a_bill_of_nothing() -> None:
    bill = rate(replace(usage(), points=()), TARIFF, replace(terms(), points=()))
    assert (bill.withheld, bill.lines, bill.total_fen) == (False, (), 0)


@pytest.mark.parametrize(
    ("relations", "rules"),
    [
        (
            (
                PointRelation(point="P2", kind="deducted", of="P1"),
                PointRelation(point="P2", kind="deducted", of="P3"),
            ),
            ("relation_twice",),
        ),
        ((PointRelation(point="P2", kind="deducted", of="P9"),), ("relation_unknown",)),
        ((PointRelation(point="P9", kind="deducted", of="P1"),), ("relation_unknown",)),
        ((PointRelation(point="P9", kind="main"),), ("relation_unknown",)),
        (
            (
                PointRelation(point="P2", kind="deducted", of="P3"),
                PointRelation(point="P3", kind="check"),
            ),
            ("relation_unknown",),
        ),
        ((PointRelation(point="P2", kind="deducted", of="P2"),), ("relation_circle",)),
        (
            (
                PointRelation(point="P2", kind="deducted", of="P3"),
                PointRelation(point="P3", kind="deducted", of="P2"),
            ),
            ("relation_circle", "relation_circle"),
        ),
        (
            (
                PointRelation(point="P1", kind="deducted", of="P2"),
                PointRelation(point="P2", kind="deducted", of="P3"),
                PointRelation(point="P3", kind="deducted", of="P2"),
            ),
            ("relation_circle", "relation_circle"),
        ),
    ],
)
def test_relations_must_make_sense(
    relations: tuple[PointRelation, ...], rules: tuple[str, ...]
) -> None:
    agreed = terms(*(point_terms(name) for name in ("P1", "P2", "P3")), relations=relations)
    month = usage(*(point_usage(name) for name in ("P1", "P2", "P3")))
    assert is_withheld_by(bill_of(agreed, month), *rules)


def test_an_allowance_must_be_one_of_the_book() -> None:
    allowances = (HouseholdAllowance(rule="large", from_on="2026-01-01"),)
    home = terms(point_terms(price_list="home"), allowances=allowances)
    assert is_withheld_by(bill_of(home), "allowance_missing")
    assert is_withheld_by(bill_of(terms(allowances=allowances)))


def tou_bill(rates: dict[str, str], **energies: int) -> Bill:
    by_rate = {rate.removeprefix("r"): energy for rate, energy in energies.items()}
    agreed = terms(point_terms(price_list="tou", rate_periods=rates))
    return bill_of(agreed, usage(point_usage(import_wh=9_000, import_wh_by_rate=by_rate)))


PEAK_VALLEY = {"1": "peak", "2": "valley"}


def test_time_of_use_needs_a_period_for_every_rate_and_energy_for_every_period() -> None:
    assert is_withheld_by(tou_bill(PEAK_VALLEY, r1=4_000, r2=5_000))
    assert is_withheld_by(tou_bill(PEAK_VALLEY, r2=5_000))  # peak is the rest
    assert is_withheld_by(tou_bill({}), "periods_missing")
    assert is_withheld_by(tou_bill(PEAK_VALLEY, r1=4_000), "rate_missing")
    bill = tou_bill(PEAK_VALLEY, r1=4_000, r2=4_000, r3=1_000)
    assert is_withheld_by(bill, "rate_without_period")
    assert bill.findings[0].numbers == {"energy_wh": 1_000}
    assert is_withheld_by(tou_bill(PEAK_VALLEY, r1=4_000, r2=5_000, r3=0))
    assert is_withheld_by(tou_bill({"1": "peak", "2": "dusk"}, r1=1, r2=1), "period_unknown")


def test_energy_in_a_period_without_a_price_withholds_the_bill() -> None:
    bill = tou_bill(FOUR_RATES, r1=0, r2=4_000, r3=2_000, r4=3_000)
    assert is_withheld_by(bill, "price_missing")
    assert bill.findings[0].numbers == {"energy_wh": 2_000}
    assert is_withheld_by(tou_bill(FOUR_RATES, r1=0, r2=4_000, r3=0, r4=5_000))


def test_rates_of_a_flat_price_list_need_no_periods() -> None:
    month = usage(point_usage(import_wh_by_rate={"1": 40_000, "2": 60_000}))
    assert is_withheld_by(bill_of(terms(), month))


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, ()),
        ({"basic_charge": "none"}, ("basic_charge_missing",)),
        ({"basic_charge": "by_the_window"}, ("basic_charge_unknown",)),
        ({"transformers": ()}, ("capacity_missing",)),
        ({"transformers": (replace(T1, until_on="2026-01-01"),)}, ("capacity_missing",)),
        ({"transformers": (replace(T1, state="suspended"),)}, ()),
        ({"transformers": (replace(T1, state="lent"),)}, ("transformer_state_unknown",)),
        ({"transformers": (replace(T1, share="1.5"),)}, ("share_invalid",)),
        ({"transformers": (T1, replace(T1, state="lent", until_on="2026-01-01"))}, ()),
        ({"transformers": (T1, replace(T1, from_on="2026-01-31"))}, ("transformer_twice",)),
        (
            {
                "transformers": (
                    replace(T1, until_on="2026-01-11"),
                    replace(T1, from_on="2026-01-11"),
                )
            },
            (),
        ),
        ({"basic_charge": "contract_demand"}, ("contract_demand_missing",)),
        ({"basic_charge": "contract_demand", "contract_demand_w": 500_000}, ()),
        (
            {"basic_charge": "contract_demand", "contract_demand_w": 1, "transformers": ()},
            ("capacity_missing",),
        ),
        ({"basic_charge": "measured_demand", "transformers": ()}, ()),
    ],
)
def test_what_a_basic_charge_needs(changes: dict[str, Any], rules: tuple[str, ...]) -> None:
    month = usage(point_usage(demand_w=500_000))
    assert is_withheld_by(bill_of(industry(**changes), month), *rules)


def test_a_demand_charge_needs_the_maximum_demand_of_every_main_point() -> None:
    sub = PointRelation(point="P2", kind="deducted", of="P1")
    points = tuple(point_terms(name, price_list="industry") for name in ("P1", "P2"))
    agreed = industry(basic_charge="measured_demand", points=points, relations=(sub,))
    month = usage(point_usage(demand_w=0), point_usage("P2", import_wh=1_000))
    assert is_withheld_by(bill_of(agreed, month))
    month = usage(point_usage(), point_usage("P2", import_wh=1_000, demand_w=1))
    assert is_withheld_by(bill_of(agreed, month), "demand_missing")


def test_a_basic_charge_needs_one_two_part_list_with_its_price() -> None:
    assert is_withheld_by(bill_of(terms(basic_charge="capacity")), "two_part_list_ambiguous")
    other = replace(TWO_PART, code="other")
    energy_only = replace(TWO_PART, code="energy", components=(component(),))
    tariff = book(TWO_PART, other, energy_only)
    two = industry(
        points=(point_terms(price_list="industry"), point_terms("P2", price_list="other"))
    )
    month = usage(point_usage(), point_usage("P2"))
    assert is_withheld_by(rate(month, tariff, two), "two_part_list_ambiguous")
    for mode in ("capacity", "measured_demand"):
        agreed = industry(points=(point_terms(price_list="energy"),), basic_charge=mode)
        month = usage(point_usage(demand_w=0))
        assert is_withheld_by(rate(month, tariff, agreed), "price_missing")


def test_a_power_factor_standard_needs_its_table_and_reactive_energy() -> None:
    agreed = industry(power_factor_standard="0.90")
    whole = usage(point_usage(reactive_varh={"1": 0, "4": 0}))
    assert is_withheld_by(bill_of(agreed, whole))
    for quadrants in ({}, {"1": 0}, {"4": 0, "2": 0}):
        month = usage(point_usage(reactive_varh=quadrants))
        assert is_withheld_by(bill_of(agreed, month), "reactive_missing")
    bill = bill_of(industry(power_factor_standard="0.95"), whole)
    assert is_withheld_by(bill, "power_factor_table_missing")
    bill = rate(whole, replace(TARIFF, power_factor=None), agreed)
    assert is_withheld_by(bill, "power_factor_table_missing")


def test_a_standard_that_no_price_list_applies_is_a_warning() -> None:
    bill = bill_of(terms(power_factor_standard="0.90"))
    assert is_withheld_by(bill)
    rules = [each.rule for each in bill.warnings]
    assert rules == ["power_factor_without_effect", "power_factor_undefined"]


@pytest.mark.parametrize(
    "changes", [{"category": "residential"}, {"voltage_class": "35kv", "metering_side": "high"}]
)
def test_a_price_list_of_another_class_is_a_warning(changes: dict[str, str]) -> None:
    bill = bill_of(terms(point_terms(**changes)))
    assert is_withheld_by(bill)
    assert [(each.rule, each.point) for each in bill.warnings] == [("class_mismatch", "P1")]

"""The power factor of an account that also feeds in."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.agreement import PointRelation
from services.billing.bill import Bill
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

ASSESSED = price_list(component(), power_factor_applies=True)


def bill_of(export_wh: int, varh: dict[str, int], *, feed_in: str = "", **rule: Any) -> Bill:
    relations = (PointRelation(point="P2", kind="feed_in", until_on=feed_in),) if feed_in else ()
    points = (point_terms("P1"), *(point_terms(each.point) for each in relations))
    agreed = terms(*points, relations=relations, power_factor_standard="0.90")
    used = [point_usage("P1", export_wh=export_wh, reactive_varh=varh)]
    if relations:
        used.append(point_usage("P2", import_wh=0))
    tariff = book(ASSESSED, power_factor=power_factor(**rule))
    return rate(usage(*used), tariff, agreed)


def basis(bill: Bill) -> dict[str, str]:
    assert not bill.withheld, bill.findings
    return bill.lines[-1].basis


PUSHED = {"1": 75_000, "2": 30_000, "3": 5_000, "4": 0}


@pytest.mark.parametrize(
    ("export_wh", "feed_in", "quadrants", "varh"),
    [
        (0, "", ("1", "2"), 75_000),
        (1, "", ("1", "4"), 75_000),
        (1, "", ("1", "2"), 105_000),
        (0, "2026-02-01", ("1", "2"), 105_000),
        (1, "", ("1", "2", "3", "4"), 110_000),
    ],
)
def test_a_producer_has_quadrants_of_its_own(
    export_wh: int, feed_in: str, quadrants: tuple[str, ...], varh: int
) -> None:
    bill = bill_of(export_wh, PUSHED, feed_in=feed_in, producer_quadrants=quadrants)
    assert basis(bill)["reactive_varh"] == str(varh)
    assert [each.withheld for each in bill.not_yet_rated] == [False] * len(bill.not_yet_rated)


@pytest.mark.parametrize(
    ("active_of", "active", "active_wh", "factor"),
    [
        ("import", "metered", 100_000, "0.80"),
        ("import_and_export", "metered", 180_000, "0.92"),
        ("import_and_export", "billed", 180_000, "0.92"),
    ],
)
def test_what_it_exported_counts_as_the_book_says(
    active_of: str, active: str, active_wh: int, factor: str
) -> None:
    """100 kWh drawn and 75 kvarh are 0.80; with 80 kWh fed in 180/sqrt(180^2+75^2) = 0.92."""
    found = basis(bill_of(80_400, PUSHED, active_of=active_of, active=active))
    assert (found["active_wh"], found["power_factor"]) == (str(active_wh), factor)


def test_who_feeds_nothing_in_is_no_producer() -> None:
    found = basis(bill_of(0, PUSHED, active_of="import_and_export"))
    assert (found["active_wh"], found["reactive_varh"]) == ("100000", "75000")


def test_the_quadrants_that_count_must_have_been_read() -> None:
    bill = bill_of(1, {"1": 0, "4": 0}, producer_quadrants=("1", "2"))
    assert [(each.rule, each.point) for each in bill.findings] == [("reactive_missing", "P1")]
    assert not bill_of(0, {"1": 0, "4": 0}, producer_quadrants=("1", "2")).withheld


def test_a_feed_in_point_is_billed_for_what_it_drew_and_assessed_by_nothing() -> None:
    """75 kvarh and 100 kWh of the main point are 0.80; what the panels drew has its own line."""
    relations = (PointRelation(point="P2", kind="feed_in"),)
    agreed = terms(
        point_terms("P1"), point_terms("P2"), relations=relations,
        power_factor_standard="0.90", feed_in_price_list="sold",
    )  # fmt: skip
    main = point_usage("P1", reactive_varh=PUSHED)
    panels = point_usage("P2", import_wh=7_000, export_wh=900_000)
    tariff = book(ASSESSED, power_factor=power_factor(producer_quadrants=("1", "4")))
    bill = rate(usage(main, panels), tariff, agreed)
    assert [(each.code, each.point, each.quantity) for each in bill.lines[:2]] == [
        ("energy", "P1", 100_000),
        ("energy", "P2", 7_000),
    ]
    found = basis(bill)
    assert (found["active_wh"], found["power_factor"]) == ("100000", "0.80")
    assert bill.not_yet_rated == ()
    without = rate(usage(main), tariff, agreed)
    assert [(each.rule, each.point) for each in without.findings] == [("usage_missing", "P2")]

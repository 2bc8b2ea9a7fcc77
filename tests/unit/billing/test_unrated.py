"""What is given and not rated yet is listed, and withholds the bill where it would change a line.

The rules that are older than these have their tests in test_admission.py.
"""

from __future__ import annotations

from dataclasses import replace

from services.billing.agreement import AgreementTerms, PointRelation, PrepaidTerms
from services.billing.bill import Bill
from services.billing.rating import rate
from services.billing.unrated import UNRATED
from tests.unit.billing.builders import (
    book,
    point_terms,
    point_usage,
    price_list,
    terms,
    usage,
)

TARIFF = book(price_list())
SIGNED = PrepaidTerms(agreement_no="Y-1", signed_on="2026-01-01")


def bill_of(agreed: AgreementTerms) -> Bill:
    points = (point_usage(each.point, demand_w=1_000) for each in agreed.points)
    return rate(usage(*points), TARIFF, agreed)


def gaps(bill: Bill) -> list[tuple[str, str, bool]]:
    assert bill.withheld == any(each.withheld for each in bill.not_yet_rated), bill.findings
    return [(each.what, each.point, each.withheld) for each in bill.not_yet_rated]


def test_terms_of_a_prepaid_account_are_for_one() -> None:
    assert gaps(bill_of(terms(prepaid=SIGNED))) == [("prepaid_terms", "", True)]
    assert gaps(bill_of(terms(prepaid=SIGNED, payment_mode="prepaid_remote"))) == []


def test_a_relation_of_other_days_is_no_gap() -> None:
    gone = PointRelation(point="P1", kind="other", of="", until_on="2020-01-01")
    assert gaps(bill_of(terms(relations=(gone,)))) == []


def test_an_unknown_relation_counts_on_its_days_only() -> None:
    over = PointRelation(point="P1", kind="borrowed", of="P2", until_on="2026-01-01")
    assert gaps(bill_of(terms(relations=(over,)))) == []
    holds = replace(over, until_on="2026-01-02")
    assert ("borrowed", "P1", True) in gaps(bill_of(terms(relations=(holds,))))


def test_a_list_that_is_not_there_is_a_finding_and_not_unrated() -> None:
    bill = bill_of(terms(point_terms(price_list="none")))
    assert ([each.rule for each in bill.findings], bill.not_yet_rated) == (
        ["price_list_missing"],
        (),
    )


def test_every_rule_is_there_once() -> None:
    assert len({rule.__name__ for rule in UNRATED}) == len(UNRATED)

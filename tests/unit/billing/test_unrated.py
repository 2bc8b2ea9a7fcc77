"""What is given and not rated yet is listed, and withholds the bill where it would change a line.

The rules that are older than these have their tests in test_admission.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.billing.agreement import (
    AccountComponent,
    AgreementTerms,
    ExternalLine,
    LineLoss,
    PrepaidTerms,
    Transformer,
)
from services.billing.bill import Bill
from services.billing.rating import rate
from services.billing.unrated import UNRATED
from tests.unit.billing.builders import (
    book,
    component,
    point_terms,
    point_usage,
    price_list,
    terms,
    two_part,
    usage,
)

INDUSTRY = price_list(
    component(), component("demand", "40", unit="kW"), component("capacity", "10", unit="kVA"),
    code="industry", two_part=two_part(load_hours_kwh_per_kva=0),
)  # fmt: skip
LOADED = replace(
    INDUSTRY,
    code="loaded",
    two_part=two_part(load_hours_kwh_per_kva=260, price_percent_above=90),
)
TARIFF = book(price_list(), INDUSTRY, LOADED)
SHARED = Transformer(id="T1", capacity_va=1_000_000, share="0.5", shared_with="1000000009")
EXTRA = AccountComponent(code="x", name_zh="x", name_en="x", unit="kWh", price="0.1", point="P1")
SETTLED = ExternalLine(
    document_no="D1", month="2026-01", code="market", name_zh="x", name_en="x", amount_fen=5,
    settled_by="trading centre",
)  # fmt: skip
SIGNED = PrepaidTerms(agreement_no="Y-1", signed_on="2026-01-01")


def bill_of(agreed: AgreementTerms) -> Bill:
    points = (point_usage(each.point, demand_w=1_000) for each in agreed.points)
    return rate(usage(*points), TARIFF, agreed)


def gaps(bill: Bill) -> list[tuple[str, str, bool]]:
    assert bill.withheld == any(each.withheld for each in bill.not_yet_rated), bill.findings
    return [(each.what, each.point, each.withheld) for each in bill.not_yet_rated]


@pytest.mark.parametrize(
    ("agreed", "expected"),
    [
        (terms(prepaid=SIGNED), ("prepaid_terms", "", True)),
        (terms(prepaid=SIGNED, payment_mode="prepaid_remote"), ("prepaid_remote", "", True)),
        (terms(point_terms(loss_table="S11")), ("transformer_loss", "P1", True)),
        (
            terms(point_terms(line_loss=LineLoss(kind="percent", percent="1.5"))),
            ("line_loss", "P1", True),
        ),
        (terms(components=(EXTRA,)), ("account_component", "P1", True)),
        (terms(external_lines=(SETTLED,)), ("external_line", "", True)),
        (terms(transformers=(SHARED,)), ("transformer_share", "", False)),
        (terms(transformers=(replace(SHARED, share="1"),)), ("transformer_share", "", False)),
    ],
)
def test_what_is_given_is_never_passed_over(
    agreed: AgreementTerms, expected: tuple[str, str, bool]
) -> None:
    assert gaps(bill_of(agreed)) == [expected]


def test_what_is_of_other_days_does_not_matter() -> None:
    agreed = terms(
        components=(replace(EXTRA, from_on="2026-02-01"),),
        external_lines=(replace(SETTLED, month="2026-02"),),
        transformers=(replace(SHARED, until_on="2026-01-01"),),
    )
    assert gaps(bill_of(agreed)) == []


def industry(*points: Any, **changes: Any) -> AgreementTerms:
    return terms(*points, **{"basic_charge": "measured_demand", **changes})


def test_a_shared_transformer_withholds_a_basic_charge() -> None:
    point = point_terms(price_list="industry")
    agreed = industry(point, basic_charge="capacity", transformers=(SHARED,))
    assert gaps(bill_of(agreed)) == [("transformer_share", "", True)]
    whole = Transformer(id="T1", capacity_va=1_000_000, iron_loss_w=500, copper_loss_w=5_000)
    assert gaps(bill_of(replace(agreed, transformers=(whole,)))) == []


def test_demands_of_one_feeder_are_not_summed() -> None:
    one = point_terms(price_list="industry", feeder="F1")
    lights = point_terms("P3", feeder="F1")
    for feeder, expected in (("F1", [("feeder_demand", "", True)]), ("F2", []), ("", [])):
        two = point_terms("P2", price_list="industry", feeder=feeder)
        assert gaps(bill_of(industry(one, two, lights))) == expected
    unknown = (replace(one, feeder=""), point_terms("P2", price_list="industry"))
    assert gaps(bill_of(industry(*unknown))) == []
    by_capacity = industry(
        one,
        replace(one, point="P2"),
        basic_charge="capacity",
        transformers=(replace(SHARED, share="1", shared_with=""),),
    )
    assert gaps(bill_of(by_capacity)) == []


def test_a_demand_price_by_energy_per_kva_is_not_rated() -> None:
    agreed = industry(point_terms(price_list="loaded"))
    assert gaps(bill_of(agreed)) == [("load_hours", "P1", True)]
    whole = replace(SHARED, share="1", shared_with="")
    capacity = replace(agreed, basic_charge="capacity", transformers=(whole,))
    assert gaps(bill_of(capacity)) == []


def test_a_list_that_is_not_there_is_a_finding_and_not_unrated() -> None:
    bill = bill_of(industry(point_terms(price_list="none")))
    assert ([each.rule for each in bill.findings], bill.not_yet_rated) == (
        ["price_list_missing"],
        (),
    )


def test_every_rule_is_there_once() -> None:
    assert len({rule.__name__ for rule in UNRATED}) == len(UNRATED)

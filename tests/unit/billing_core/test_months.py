"""Months: days supplied, which month is next, parts of one set of terms, usage day by day."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.agreement import HouseholdAllowance
from services.billing.months import (
    PointMonth,
    day_bits,
    days_of,
    demand_in,
    energy_in,
    months_with,
    next_to_bill,
    noted,
    revision_of,
    supplied,
    terms_parts,
)
from services.billing.reactions import ForeignTransformer, agreement_noted, usage_noted
from tests.unit.billing_core.office import (
    IMPORT,
    agreement,
    component,
    demand,
    external_line,
    point,
    terms,
    usage,
)


def agreed(*points: Any, **changes: Any) -> Any:
    return agreement_noted(agreement(*points, **changes))


def test_supply_begins_with_the_agreement_the_point_and_after_the_opening() -> None:
    assert supplied(agreed(), "") == ("2026-01-01", "")
    assert supplied(agreed(point(from_on="2026-02-10")), "") == ("2026-02-10", "")
    assert supplied(agreed(), "2026-01-15") == ("2026-01-16", "")
    assert supplied(agreed(), "2025-12-31") == ("2026-01-01", "")
    assert supplied(agreed(), "2025-06-30") == ("2026-01-01", "")


def test_supply_ends_with_the_last_point_or_the_customer() -> None:
    gone = terms(moved_out_on="2026-03-16")
    assert supplied(agreed(rows=[gone]), "") == ("2026-01-01", "2026-03-16")
    ended = point(to_on="2026-04-01"), point("P2", to_on="2026-05-01")
    assert supplied(agreed(*ended), "") == ("2026-01-01", "2026-05-01")
    assert supplied(agreed(*ended, rows=[gone]), "") == ("2026-01-01", "2026-03-16")
    assert supplied(agreed(ended[0], point("P2")), "") == ("2026-01-01", "")


def test_nothing_is_supplied_without_agreement_terms_points_or_days() -> None:
    assert supplied(None, "") is None
    assert supplied(agreed(terms=()), "") is None
    no_points = agreement_noted(agreement(points=()))
    assert supplied(no_points, "") is None
    assert supplied(agreed(rows=[terms(moved_out_on="2026-01-10")]), "2026-01-31") is None
    assert supplied(agreed(rows=[terms(moved_out_on="2026-01-01")]), "") is None


def test_days_of_a_month() -> None:
    assert days_of(("2026-01-10", "2026-03-05"), "2026-01") == ("2026-01-10", "2026-02-01")
    assert days_of(("2026-01-10", "2026-03-05"), "2026-02") == ("2026-02-01", "2026-03-01")
    assert days_of(("2026-01-10", "2026-03-05"), "2026-03") == ("2026-03-01", "2026-03-05")
    assert days_of(("2026-01-10", "2026-03-01"), "2026-03") is None
    assert days_of(None, "2026-03") is None


@pytest.mark.parametrize(
    ("billed", "expected"),
    [
        ((), "2025-11"),
        ((("2025-11", "2026-01"),), "2026-02"),
        ((("2025-12", "2026-01"),), "2025-11"),
        ((("2025-10", "2025-11"), ("2026-01", "2026-01")), "2025-12"),
        ((("2025-10", "2026-03"),), ""),
        ((("2024-01", "2024-05"),), "2025-11"),
    ],
)
def test_the_next_month_is_the_first_without_an_invoice(billed: Any, expected: str) -> None:
    assert next_to_bill(("2025-11-20", "2026-04-01"), billed) == expected


def test_no_month_is_next_without_supply() -> None:
    assert next_to_bill(None, ()) == ""


def test_ranges_of_months_grow_together() -> None:
    assert months_with((), "2026-01") == (("2026-01", "2026-01"),)
    assert months_with((("2025-11", "2025-12"),), "2026-01") == (("2025-11", "2026-01"),)
    apart = months_with((("2025-11", "2025-12"),), "2026-03")
    assert apart == (("2025-11", "2025-12"), ("2026-03", "2026-03"))
    assert months_with(apart, "2026-01") == (("2025-11", "2026-01"), ("2026-03", "2026-03"))
    assert months_with(months_with(apart, "2026-01"), "2026-02") == (("2025-11", "2026-03"),)
    assert months_with(apart, "2025-11") == apart


@given(st.permutations([f"2026-{number:02d}" for number in range(1, 13)]))
def test_ranges_do_not_depend_on_the_order(months: list[str]) -> None:
    found: tuple[tuple[str, str], ...] = ()
    for month in months:
        found = months_with(found, month)
    assert found == (("2026-01", "2026-12"),)


# -- terms ----------------------------------------------------------------------------------------


def spans(noted_agreement: Any) -> list[tuple[str, str]]:
    parts = terms_parts(noted_agreement, "2026-01-01", "2026-02-01")
    return [(part.from_on, part.until_on) for part in parts]


def test_a_month_is_one_part_when_nothing_changes() -> None:
    assert spans(agreed()) == [("2026-01-01", "2026-02-01")]


def test_a_change_of_terms_or_of_a_point_cuts_the_month() -> None:
    rows = [terms(), terms("2026-01-20", pf_standard="0.90")]
    assert spans(agreed(rows=rows)) == [("2026-01-01", "2026-01-20"), ("2026-01-20", "2026-02-01")]
    changed = point(to_on="2026-01-11"), point(from_on="2026-01-11", price_list="shop")
    found = terms_parts(agreed(*changed), "2026-01-01", "2026-02-01")
    assert [(part.from_on, part.terms.points[0].price_list) for part in found] == [
        ("2026-01-01", "home"),
        ("2026-01-11", "shop"),
    ]
    assert all(len(part.terms.points) == 1 for part in found)


def test_the_language_and_what_comes_later_cut_nothing() -> None:
    rows = [terms(), terms("2026-01-20", language="en"), terms("2026-02-01", pf_standard="0.90")]
    assert spans(agreed(rows=rows)) == [("2026-01-01", "2026-02-01")]
    later = terms_parts(
        agreed(point(to_on="2026-06-01"), point("P2", "2026-03-01")), "2026-01-01", "2026-02-01"
    )
    assert later == terms_parts(agreed(), "2026-01-01", "2026-02-01")


def test_an_allowance_of_an_older_log_begins_not_before_its_month() -> None:
    """Before books had rules of households, agreements were noted with their allowances."""
    noted = agreed()
    grown = HouseholdAllowance(rule="large_household", from_on="2026-02-01")
    dated = noted.timeline[0]
    dated = replace(dated, terms=replace(dated.terms, allowances=(grown,)))
    old = replace(noted, timeline=(dated,))
    (january,) = terms_parts(old, "2026-01-01", "2026-02-01")
    (february,) = terms_parts(old, "2026-02-01", "2026-03-01")
    assert (january.terms.allowances, february.terms.allowances) == ((), (grown,))


def test_a_relation_holds_on_its_days_only() -> None:
    points = (
        point(),
        point("P2", to_on="2026-01-16"),
        point("P2", "2026-01-16", relation="deducted", parent_point="P1"),
    )
    first, second = terms_parts(agreed(*points), "2026-01-01", "2026-02-01")
    assert (first.until_on, first.terms.relations) == ("2026-01-16", ())
    assert [(each.point, each.of) for each in second.terms.relations] == [("P2", "P1")]
    assert len(second.terms.points) == 2


def test_transformers_are_cut_to_the_month() -> None:
    def transformer(name: str, from_on: str, to_on: str) -> ForeignTransformer:
        return ForeignTransformer(
            transformer_no=name, kva=315, model="S11", state="in_use", from_on=from_on, to_on=to_on
        )

    given_ones = (
        transformer("T1", "2024-01-01", ""),
        transformer("T2", "2026-01-10", "2026-05-01"),
        transformer("T3", "2024-01-01", "2026-01-01"),
    )
    (part,) = terms_parts(agreed(transformers=given_ones), "2026-01-01", "2026-02-01")
    assert [
        (each.id, each.capacity_va, each.from_on, each.until_on) for each in part.terms.transformers
    ] == [
        ("T1", 315_000, "2026-01-01", "2026-02-01"),
        ("T2", 315_000, "2026-01-10", "2026-02-01"),
    ]


def test_components_are_cut_to_the_month_and_settled_lines_are_of_theirs() -> None:
    components = (
        component("a", "2026-01-10", "2026-05-01"),
        component("b", "2024-01-01", "2026-01-01"),
    )
    lines = (external_line("D1", "2026-01"), external_line("D2", "2026-02"))
    noted = agreed(components=components, external_lines=lines)
    before, part = terms_parts(noted, "2026-01-01", "2026-02-01")
    assert (before.until_on, before.terms.components) == ("2026-01-10", ())
    assert [(each.code, each.from_on, each.until_on) for each in part.terms.components] == [
        ("a", "2026-01-10", "2026-02-01")
    ]
    assert [each.document_no for each in part.terms.external_lines] == ["D1"]
    both = agreed(external_lines=lines, rows=[terms(), terms("2026-01-16", pf_standard="0.90")])
    parts = terms_parts(both, "2026-01-01", "2026-02-01")
    assert [len(each.terms.external_lines) for each in parts] == [1, 1]


# -- usage ----------------------------------------------------------------------------------------


def a_month(*bodies: Any) -> PointMonth:
    known = PointMonth()
    for body in bodies:
        known = noted(known, usage_noted(body))
    return known


def test_days_are_kept_one_by_one() -> None:
    known = a_month(usage("2026-01-02", 20), usage("2026-01-04", 40, quality="estimated"))
    assert (known.days, known.estimated) == (0b1010, 0b1000)
    assert known.energy == {IMPORT: (0, 20, 0, 40)}
    assert energy_in(known, "2026-01-01", "2026-02-01") == {IMPORT: 60}
    assert energy_in(known, "2026-01-02", "2026-01-04") == {IMPORT: 20}
    assert energy_in(known, "2026-01-03", "2026-01-04") == {IMPORT: 0}


def test_a_revision_takes_the_place_of_the_one_before() -> None:
    first = usage("2026-01-02", 20, quality="estimated", after_exchange=True)
    known = a_month(first, usage("2026-01-02", 25, revision=2))
    assert known.energy == {IMPORT: (0, 25)}
    assert (known.days, known.estimated, known.exchanged) == (0b10, 0, 0)
    assert (revision_of(known, "2026-01-02"), revision_of(known, "2026-01-03")) == (2, 0)
    assert revision_of(a_month(first), "2026-01-02") == 1
    assert a_month(first).exchanged == 0b10


def test_a_register_that_comes_or_goes_counts_on_its_days() -> None:
    peak = "1-0:1.8.2"
    known = a_month(
        usage("2026-01-01", energy={IMPORT: 10}),
        usage("2026-01-02", energy={IMPORT: 20, peak: 5}),
        usage("2026-01-03", energy={IMPORT: 30}),
    )
    assert energy_in(known, "2026-01-01", "2026-02-01") == {IMPORT: 60, peak: 5}
    revised = noted(known, usage_noted(usage("2026-01-02", energy={IMPORT: 20}, revision=2)))
    assert energy_in(revised, "2026-01-01", "2026-02-01") == {IMPORT: 50 + 10, peak: 0}


@given(st.permutations(range(1, 32)))
def test_the_readings_are_those_around_the_month_in_any_order(order: list[int]) -> None:
    known = a_month(*(usage(f"2026-01-{day:02d}") for day in order))
    assert (known.first_reading, known.last_reading) == ("P1@2025-12-31", "P1@2026-01-31")
    assert known.days == (1 << 31) - 1


def test_a_revision_of_the_first_and_the_last_day_brings_its_readings() -> None:
    known = a_month(
        usage("2026-01-05", readings=("a", "b")),
        usage("2026-01-09", readings=("c", "d")),
        usage("2026-01-05", readings=("e", "f"), revision=2),
        usage("2026-01-09", readings=("g", "h"), revision=2),
        usage("2026-01-07", readings=("x", "y")),
    )
    assert (known.first_reading, known.last_reading) == ("e", "h")
    assert a_month(usage("2026-01-05", readings=())).last_reading == ""


def test_the_highest_demand_counts_and_a_revision_may_lower_it() -> None:
    known = a_month(
        usage("2026-01-03", demands=(demand(900, "2026-01-03T02:00:00Z"),)),
        usage("2026-01-05", demands=(demand(700, "2026-01-05T02:00:00Z"),)),
        usage("2026-01-06", demands=(demand(700, "2026-01-06T02:00:00Z"),)),
    )
    whole = ("2026-01-01", "2026-02-01")
    assert demand_in(known, *whole) == (900, "2026-01-03T02:00:00Z")
    assert demand_in(known, "2026-01-04", "2026-02-01") == (700, "2026-01-05T02:00:00Z")
    assert demand_in(known, "2026-01-04", "2026-01-05") is None
    revised = noted(known, usage_noted(usage("2026-01-03", revision=2)))
    assert demand_in(revised, *whole) == (700, "2026-01-05T02:00:00Z")
    assert demand_in(PointMonth(), *whole) is None


def test_bits_of_days() -> None:
    assert day_bits("2026-01-01", "2026-01-03") == 0b11
    assert day_bits("2026-01-03", "2026-01-05") == 0b1100
    assert day_bits("2026-02-01", "2026-03-01") == (1 << 28) - 1

"""What the parts of a month are rated from: every part has what belongs to its own days."""

from __future__ import annotations

from typing import Any

from services.billing.month_input import Lacking, NoBook, month_inputs
from services.billing.state import Account
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    IMPORT,
    Office,
    agreement,
    demand,
    home_book,
    month_of_usage,
    office,
    point,
    published,
    usage,
)

CUT = point(to_on="2026-01-11"), point(from_on="2026-01-11", **AS_SHOP)


def parts(made: Office, month: str = "2026-01") -> Any:
    return month_inputs(made.account, month, made.fold.shared.books)


def test_every_part_has_the_usage_and_the_quality_of_its_days() -> None:
    made = Office()
    peak = demand(900, "2026-01-05T02:00:00Z"), demand(700, "2026-01-25T02:00:00Z")
    made.feed(published(HOME), agreement(*CUT), *month_of_usage("2026-01"))
    made.feed(
        usage("2026-01-05", 20_000, revision=2, demands=peak[:1]),
        usage("2026-01-25", revision=2, demands=peak[1:], quality="estimated"),
        usage("2026-01-26", revision=2, after_exchange=True),
    )
    first, second = (part.usage.points[0] for part in parts(made))
    assert (first.from_on, first.until_on, first.import_wh) == (
        "2026-01-01",
        "2026-01-11",
        110_000,
    )
    assert (second.from_on, second.until_on, second.import_wh) == (
        "2026-01-11",
        "2026-02-01",
        210_000,
    )
    assert (first.quality, second.quality) == ("actual", "estimated")
    assert (first.exchanged, second.exchanged) == (False, True)
    # The maximum demand is that of the month, in both parts.
    assert {(each.demand_w, each.demand_at) for each in (first, second)} == {
        (900, "2026-01-05T02:00:00Z")
    }
    assert not first.prorated
    assert not second.prorated


def test_registers_become_rates_quadrants_and_export() -> None:
    energy = {
        IMPORT: 10,
        "1-0:1.8.1": 1,
        "1-0:1.8.4": 4,
        "1-0:2.8.0": 20,
        "1-0:2.8.2": 2,
        "1-0:5.8.0": 5,
        "1-0:8.8.0": 8,
    }
    made = office(*month_of_usage("2026-01", energy=energy))
    (part,) = parts(made)
    (found,) = part.usage.points
    assert (found.import_wh, found.import_wh_by_rate) == (310, {"1": 31, "4": 124})
    assert (found.export_wh, found.export_wh_by_rate) == (620, {"2": 62})
    assert found.reactive_varh == {"1": 155, "4": 248}
    assert found.demand_w is None
    assert found.reading_ids == ("P1@2025-12-31", "P1@2026-01-31")


def test_readings_without_names_are_left_out() -> None:
    made = office(*month_of_usage("2026-01", readings=()))
    assert parts(made)[0].usage.points[0].reading_ids == ()


def test_what_is_lacking_is_told_for_every_point() -> None:
    made = office(agreement(point(), point("P2"), version=2), *month_of_usage("2026-01")[1:])
    made.feed(usage("2026-01-05", 7, point="P9"))
    found = parts(made)
    assert isinstance(found, Lacking)
    assert found.reasons == (
        "usage_missing P1: 1 days of 2026-01 have no usage",
        "usage_missing P2: 31 days of 2026-01 have no usage",
        "usage_without_agreement P9: 1 days of 2026-01 have no such point",
    )


def test_a_point_of_some_days_must_be_there_on_those() -> None:
    made = office(
        agreement(point(), point("P2", to_on="2026-01-04"), version=2),
        *month_of_usage("2026-01"),
        *month_of_usage("2026-01", point="P2")[:3],
    )
    first, second = parts(made)
    assert [len(part.usage.points) for part in (first, second)] == [2, 1]


def test_a_book_that_is_missing_is_named_by_its_lists() -> None:
    made = Office()
    shop = point("P2", relation="deducted", parent_point="P1", **AS_SHOP)
    made.feed(agreement(point(), shop))
    made.feed(*month_of_usage("2026-01"), *month_of_usage("2026-01", 10, point="P2"))
    assert parts(made) == NoBook("home, shop")
    only_checking = Office()
    only_checking.feed(agreement(point(relation="check")), *month_of_usage("2026-01"))
    assert parts(only_checking) == NoBook("Test")


def test_a_month_that_is_not_ours_has_no_parts() -> None:
    made = office()
    assert parts(made, "2025-12") == ()
    assert month_inputs(Account(), "2025-12", {}) == ()


def test_two_versions_and_two_terms_make_three_parts() -> None:
    made = Office()
    version = home_book("0.60", version=2, from_on="2026-01-21")
    made.feed(published(HOME), published(version), key="")
    made.feed(agreement(*CUT), *month_of_usage("2026-01"))
    assert [(part.usage.from_on, part.book) for part in parts(made)] == [
        ("2026-01-01", "test@1"),
        ("2026-01-11", "test@1"),
        ("2026-01-21", "test@2"),
    ]
    assert all(part.terms.price_book == "test" for part in parts(made))

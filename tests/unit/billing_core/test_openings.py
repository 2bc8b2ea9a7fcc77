"""Openings: where billing begins, and the tier year so far, however late it is told."""

from __future__ import annotations

from dataclasses import replace

from services.billing.events import (
    BillCalculated,
    CorrectionIssued,
    InvoiceIssued,
)
from tests.unit.billing.builders import book, tiers
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    SHOP,
    Office,
    agreement,
    differences,
    first_bill,
    month_of_usage,
    office,
    only,
    opening,
    point,
    published,
    release,
    sides,
    terms,
    three_months,
    usage,
)


def test_an_opening_says_where_billing_begins_and_the_tier_year_so_far() -> None:
    """900 kWh were used by the end of May; June has 300 kWh: 200 of them above 1,000."""
    begun = terms("2026-01-01")
    made = Office()
    made.feed(published(HOME), agreement(rows=[begun]), opening("2026-05-31", 900_000))
    made.feed(*month_of_usage("2026-06"), *month_of_usage("2026-07"))
    bill = first_bill(made, "2026-08-10").bill
    assert bill.period == "2026-06"
    assert [(line.code, line.quantity, line.amount_fen) for line in bill.lines] == [
        ("energy", 300_000, 15_000),
        ("tier.2", 200_000, 2_000),
    ]
    made.feed(release("A1-2026-06"))
    july = only(made.tick("2026-08-11"), InvoiceIssued).bill
    # 1,200 kWh before it: the opening counts once
    assert july.tiers_before["P1"].used_wh == 1_200_000
    assert july.total_fen == 15_500 + 3_100
    made.check_folds()


def test_an_opening_of_an_earlier_year_leaves_the_tiers_alone() -> None:
    made = office(opening("2025-12-31", 900_000), *month_of_usage("2026-01"))
    assert first_bill(made).total_fen == 15_500


def test_the_opening_goes_to_the_main_point_with_tiers() -> None:
    made = Office()
    made.feed(
        published(HOME),
        agreement(
            point("P0", **AS_SHOP),
            point("P1"),
            point("P2", relation="deducted", parent_point="P1"),
        ),
        opening("2026-01-31", 900_000),
        *month_of_usage("2026-02", point="P0"),
        *month_of_usage("2026-02"),
        *month_of_usage("2026-02", 1_000, point="P2"),
    )
    bill = only(made.tick("2026-03-02"), BillCalculated).bill
    assert {name: position.used_wh for name, position in bill.tiers_before.items()} == {
        "P1": 900_000,
        "P2": 0,
    }


def test_an_opening_of_a_shop_has_no_tiers_to_move() -> None:
    made = Office()
    made.feed(published(HOME), agreement(point(**AS_SHOP)), opening("2025-12-31", 5))
    made.feed(*month_of_usage("2026-01"))
    assert only(made.tick("2026-02-02"), BillCalculated).total_fen == 24_800


def test_an_opening_within_a_month_leaves_its_other_days() -> None:
    made = office(opening("2026-01-15", 900_000), *month_of_usage("2026-01"))
    bill = first_bill(made).bill
    # 16 days: 160 kWh, of which 60 are above 1,000
    assert (bill.from_on, bill.total_fen) == ("2026-01-16", 8_000 + 600)


def test_an_opening_within_a_month_knows_nothing_of_a_tier_month() -> None:
    monthly = replace(HOME.price_lists["home"], tiers=tiers("month", (100,), ("0.10",)))
    made = Office()
    made.feed(published(book(monthly, SHOP)), agreement(), opening("2026-01-15", 900_000))
    made.feed(*month_of_usage("2026-01"))
    assert first_bill(made).bill.total_fen == 8_000 + 600  # 60 of 160 kWh above 100


def test_an_opening_counts_once() -> None:
    made = office(opening("2025-12-31"))
    assert made.feed(opening("2026-06-30", opening_id="o2")) == []


def test_an_opening_that_comes_late_moves_the_tiers() -> None:
    """February and March were issued; 900 kWh had been used in January elsewhere."""
    made = Office()
    rows = [terms("2026-02-01")]
    made.feed(published(HOME), agreement(point(from_on="2026-02-01"), rows=rows))
    made.feed(*month_of_usage("2026-02"), *month_of_usage("2026-03"))
    made.tick("2026-04-02")
    made.feed(release("A1-2026-02"))
    made.tick("2026-04-02")
    made.feed(opening("2026-01-31", 900_000))
    (found,) = made.tick("2026-04-05")
    assert (found.cause, found.reference) == ("wrong_agreement", "o1")
    # February: 180 above; March: all 310
    assert sides(found) == [
        ("A1-2026-02", "debit", "tier.2", 180_000, 1_800),
        ("A1-2026-03", "debit", "tier.2", 310_000, 3_100),
    ]
    assert made.tick("2026-04-06") == []
    made.check_folds()


def test_a_late_opening_and_a_late_actual_are_one_round() -> None:
    made = Office()
    rows = [terms("2026-02-01")]
    made.feed(published(HOME), agreement(point(from_on="2026-02-01"), rows=rows))
    made.feed(*month_of_usage("2026-02"))
    made.tick("2026-03-02")
    made.feed(release("A1-2026-02"))
    made.feed(opening("2026-01-31", 900_000), usage("2026-02-10", 30_000, revision=2))
    (found,) = made.tick("2026-03-05")
    # 300 kWh instead of 280, and 200 of them above 1,000
    assert differences(found) == [("A1-2026-02", 1_000 + 2_000)]
    made.check_folds()


def test_months_that_an_opening_says_were_billed_elsewhere_are_given_back() -> None:
    made = three_months()
    made.feed(opening("2026-01-31", 800_000))
    (found,) = made.tick("2026-04-05")
    # December and January back; 80 kWh of February and all of March above 1,000
    assert differences(found) == [
        ("A1-2025-12", -15_500),
        ("A1-2026-01", -15_500),
        ("A1-2026-02", 800),
        ("A1-2026-03", 3_100),
    ]
    assert made.tick("2026-04-06") == []
    made.feed(usage("2026-02-10", 11_000, revision=2))
    (again,) = made.tick("2026-04-07")
    assert differences(again) == [("A1-2026-02", 60), ("A1-2026-03", 0)]
    made.check_folds()


def test_an_opening_that_moves_nothing_makes_no_round() -> None:
    made = three_months()
    made.feed(opening("2025-11-30"))
    (found,) = made.tick("2026-04-05")
    assert (found.cause, found.months, found.is_needless) == ("wrong_agreement", ("2025-12",), True)


def test_an_opening_within_an_issued_month_gives_back_its_first_days() -> None:
    """January was issued whole; its first 15 days, and 900 kWh, were billed elsewhere."""
    made = three_months()
    made.feed(opening("2026-01-15", 900_000))
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    # 160 kWh of January, of which 60 above 1,000, instead of 310; then all of 280 and 310 above
    assert differences(found) == [
        ("A1-2025-12", -15_500),
        ("A1-2026-01", 8_000 + 600 - 15_500),
        ("A1-2026-02", 2_800),
        ("A1-2026-03", 3_100),
    ]
    made.check_folds()

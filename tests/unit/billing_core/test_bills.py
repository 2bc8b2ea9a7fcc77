"""From usage, agreement and book to an invoice: when, how much, who holds it, who releases it."""

from __future__ import annotations

from dataclasses import replace

from services.billing.events import (
    BillCalculated,
    BillReleased,
    BillWithheld,
    BookNoted,
    InvoiceIssued,
    PriceAwaited,
    UsageNoted,
)
from tests.unit.billing.builders import FOUR_RATES, book, component
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    IMPORT,
    SHOP,
    Office,
    agreement,
    billed_office,
    first_bill,
    home_book,
    lines,
    month_of_usage,
    names,
    office,
    only,
    point,
    published,
    release,
    terms,
    usage,
)

# -- the plain way --------------------------------------------------------------------------------


def test_a_month_is_billed_two_days_after_its_end() -> None:
    made = billed_office(*month_of_usage("2026-01"))
    assert made.tick("2026-02-02T15:59:00Z") == []
    found = made.tick("2026-02-02T16:00:00Z")
    assert names(found) == ["BillCalculated", "BillReleased", "InvoiceIssued"]
    calculated, released, invoice = found
    assert (calculated.bill_id, calculated.month, calculated.calculation, calculated.hits) == (
        "A1-2026-01",
        "2026-01",
        1,
        (),
    )
    assert (released.bill_id, released.released_by) == ("A1-2026-01", "automatic")
    assert (invoice.invoice_no, invoice.total_fen) == ("A1-2026-01", 15_500)
    assert (invoice.issued_on, invoice.due_on, invoice.language) == (
        "2026-02-03",
        "2026-02-18",
        "zh",
    )
    assert lines(invoice.bill) == [("energy", "2026-01-01", 310_000, 15_500)]
    assert invoice.bill.lines[0].reading_ids == ("P1@2025-12-31", "P1@2026-01-31")
    assert made.tick("2026-02-02T16:01:00Z") == []
    made.check_folds()


def test_months_follow_one_another_in_one_late_tick() -> None:
    made = billed_office(*month_of_usage("2026-01"), *month_of_usage("2026-02"))
    made.feed(*month_of_usage("2026-03"))
    found = made.tick("2026-05-20")
    assert [(body.month, body.total_fen) for body in found if isinstance(body, InvoiceIssued)] == [
        ("2026-01", 15_500),
        ("2026-02", 14_000),
        ("2026-03", 15_500),
    ]
    assert names(found)[-1] == "BillWithheld"  # April has no usage
    assert found[-1].month == "2026-04"
    made.check_folds()


def test_an_account_moves_in_and_out_within_months() -> None:
    """From the 10th of January to the 4th of February: 22 and 4 days."""
    row = terms("2026-01-10", moved_out_on="2026-02-05")
    made = Office()
    made.feed(published(HOME), agreement(point(from_on="2026-01-10"), rows=[row]))
    made.feed(*month_of_usage("2026-01")[9:], *month_of_usage("2026-02")[:4])
    bill = first_bill(made).bill
    assert (bill.from_on, bill.until_on, bill.total_fen) == ("2026-01-10", "2026-02-01", 11_000)
    made.feed(release())
    found = only(made.tick("2026-03-02"), InvoiceIssued)
    assert (found.bill.from_on, found.bill.until_on, found.total_fen) == (
        "2026-02-01",
        "2026-02-05",
        2_000,
    )
    assert made.tick("2026-05-01") == []
    assert made.due() == ""
    made.check_folds()


def test_energy_of_days_outside_the_supply_is_not_billed() -> None:
    """The supply begins on the 10th, and the meter was read before."""
    made = Office()
    made.feed(published(HOME), agreement(rows=[terms("2026-01-10")]), *month_of_usage("2026-01"))
    assert first_bill(made).bill.total_fen == 11_000


def test_a_day_with_half_a_unit_rounds_once_for_the_month() -> None:
    made = billed_office(*month_of_usage("2026-01", 16))  # 31 x 16 Wh = 496 Wh: 0 kWh
    found = only(made.tick("2026-02-02"), BillCalculated)
    assert (found.total_fen, {hit.check for hit in found.hits}) == (0, {"zero", "jump"})


# -- what is missing ------------------------------------------------------------------------------


def test_a_missing_day_holds_the_month_and_heals() -> None:
    days = month_of_usage("2026-01")
    made = billed_office(*days[:4], *days[5:])
    (withheld,) = made.tick("2026-02-02")
    assert withheld == BillWithheld(
        account_no="A1",
        month="2026-01",
        reasons=("usage_missing P1: 1 days of 2026-01 have no usage",),
    )
    assert made.due() == ""
    assert made.tick("2026-02-03") == []
    made.feed(usage("2026-01-05", 0))  # nothing was used on it: it is there all the same
    assert only(made.tick("2026-02-04"), InvoiceIssued).total_fen == 15_000
    made.check_folds()


def test_usage_of_later_months_is_no_news_for_a_month_that_waits() -> None:
    made = billed_office(*month_of_usage("2026-01")[:30])
    assert names(made.tick("2026-02-02")) == ["BillWithheld"]
    made.feed(*month_of_usage("2026-02"))
    assert made.due() == ""
    assert made.tick("2026-02-20") == []


def test_every_metered_point_must_be_there() -> None:
    made = billed_office()
    made.feed(
        agreement(
            point(from_on="2025-12-01"),
            point("P2", relation="check", parent_point="P1"),
            point("P3", relation="fixed_ratio", parent_point="P1", share="0.2"),
            rows=[terms("2025-12-01")],
            version=2,
        ),
        *month_of_usage("2026-01"),
    )
    found = only(made.tick("2026-02-02"), BillWithheld)
    assert found.reasons == ("usage_missing P2: 31 days of 2026-01 have no usage",)
    made.feed(*month_of_usage("2026-01", point="P2"))
    bill = only(made.tick("2026-02-03"), BillCalculated).bill
    assert [(line.point, line.quantity) for line in bill.lines] == [("P1", 248_000), ("P3", 62_000)]


def test_usage_of_a_point_that_the_agreement_does_not_have_is_never_dropped() -> None:
    made = billed_office(*month_of_usage("2026-01"), usage("2026-01-07", 300, point="P9"))
    made.feed(usage("2026-01-08", 0, point="P8"))  # a point that used nothing disturbs nobody
    found = only(made.tick("2026-02-02"), BillWithheld)
    assert found.reasons == ("usage_without_agreement P9: 1 days of 2026-01 have no such point",)
    both = point(from_on="2025-12-01"), point("P9", "2026-01-07", to_on="2026-01-08")
    made.feed(agreement(*both, rows=[terms("2025-12-01")], version=2))
    # Three parts of the month, each rounded to kWh; 0.3 kWh of P9 is none.
    assert only(made.tick("2026-02-03"), InvoiceIssued).total_fen == 15_500


def test_usage_before_the_agreement_waits_for_it() -> None:
    made = Office()
    made.feed(published(HOME), *month_of_usage("2026-01"))
    assert made.tick("2026-02-02") == []
    assert made.due() == ""
    made.feed(agreement())
    assert first_bill(made, "2026-02-03").total_fen == 15_500


def test_an_agreement_without_points_is_not_billed() -> None:
    made = Office()
    made.feed(published(HOME), agreement(points=()))
    assert made.tick("2026-06-02") == []


# -- price books ----------------------------------------------------------------------------------


def test_a_month_waits_for_its_price_book() -> None:
    made = Office()
    made.feed(agreement(), *month_of_usage("2026-01"))
    (awaited,) = made.tick("2026-02-02")
    assert awaited == PriceAwaited(account_no="A1", month="2026-01", price_list="home")
    assert made.due() == ""
    (adopted, noted) = made.feed(published(HOME), key="")
    assert isinstance(noted, BookNoted)
    assert noted.book == "test@1"
    assert adopted.offset == made.offset
    assert first_bill(made, "2026-02-03").total_fen == 15_500
    made.check_folds()


def test_a_book_that_is_there_already_is_not_awaited() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    assert made.of(PriceAwaited) == []


def test_a_book_that_ends_within_the_month_is_awaited_for_the_rest() -> None:
    made = Office()
    made.feed(published(home_book(until_on="2026-01-16")), agreement(), *month_of_usage("2026-01"))
    assert names(made.tick("2026-02-02")) == ["PriceAwaited"]
    made.feed(published(home_book("0.40", version=2, from_on="2026-01-16")), key="")
    bill = first_bill(made, "2026-02-03").bill
    assert lines(bill) == [
        ("energy", "2026-01-01", 150_000, 7_500),
        ("energy", "2026-01-16", 160_000, 6_400),
    ]


def test_news_while_a_price_is_awaited_is_answered_once() -> None:
    made = Office()
    made.feed(agreement(), *month_of_usage("2026-01"))
    made.tick("2026-02-02")
    made.feed(usage("2026-01-09", 20_000, revision=2))
    assert names(made.tick("2026-02-03")) == ["PriceAwaited"]
    assert made.tick("2026-02-04") == []
    made.feed(published(HOME), key="")
    assert first_bill(made, "2026-02-05").total_fen == 16_000


def test_a_change_of_book_and_of_terms_within_a_month_bills_every_day_by_its_own() -> None:
    """Ten days of 10 kWh at 0.50, ten of 20 kWh at the shop's 0.80, eleven of 20 kWh at 0.90."""
    dear_shop = replace(SHOP, components=(component(price="0.90"),))
    dearer = book(HOME.price_lists["home"], dear_shop, version=2, from_on="2026-01-21")
    made = Office()
    made.feed(published(HOME), published(dearer), key="")
    made.feed(
        agreement(point(to_on="2026-01-11"), point(from_on="2026-01-11", **AS_SHOP)),
        *month_of_usage("2026-01")[:10],
        *month_of_usage("2026-01", 20_000)[10:],
    )
    bill = only(made.tick("2026-02-02"), BillCalculated).bill
    assert lines(bill) == [
        ("energy", "2026-01-01", 100_000, 5_000),
        ("energy", "2026-01-11", 200_000, 16_000),
        ("energy", "2026-01-21", 220_000, 19_800),
    ]
    assert all("prorated" not in line.basis for line in bill.lines)


# -- not rated, or not right ----------------------------------------------------------------------


def test_a_withheld_account_is_looked_at_when_something_is_new() -> None:
    barter = terms(payment_mode="barter")
    made = Office()
    made.feed(published(HOME), agreement(rows=[barter]), *month_of_usage("2026-01"))
    (withheld,) = made.tick("2026-02-02")
    assert withheld.reasons == ("not_yet_rated barter: nobody knows how the account pays",)
    assert made.due() == ""
    made.feed(usage("2026-01-09", 20_000, revision=2))
    assert names(made.tick("2026-02-03")) == ["BillWithheld"]
    assert made.of(BillCalculated) == []
    made.feed(agreement(version=2))
    assert first_bill(made, "2026-02-04").total_fen == 16_000


def test_feed_in_without_a_price_list_is_listed_and_the_import_billed() -> None:
    made = Office()
    made.feed(
        published(HOME),
        agreement(point(), point("P2", relation="feed_in", **AS_SHOP)),
        *month_of_usage("2026-01"),
        *month_of_usage("2026-01", point="P2", energy={"1-0:2.8.0": 5_000}),
    )
    bill = first_bill(made).bill
    assert (bill.total_fen, [gap.what for gap in bill.not_yet_rated]) == (15_500, ["feed_in"])


def test_a_negative_remainder_is_withheld_and_healed_by_a_later_reading() -> None:
    made = Office()
    made.feed(
        published(HOME),
        agreement(
            point(),
            point("P2", relation="deducted", parent_point="P1", **AS_SHOP),
        ),
        *month_of_usage("2026-01"),
        *month_of_usage("2026-01", 11_000, point="P2"),
    )
    (withheld,) = made.tick("2026-02-02")
    assert withheld.reasons == (
        "negative_remainder P1: the deducted sub-meters used more than the main meter",
    )
    made.feed(usage("2026-01-31", 1_000, point="P2", revision=2))
    # P1: 310 - 331 + 0 still negative; the main meter's reading was the wrong one.
    made.feed(usage("2026-01-31", 131_000, revision=2))
    bill = first_bill(made, "2026-02-03").bill
    # main 431 kWh, sub 331 kWh: 100 at 0.50 and 331 at 0.80
    assert [(line.point, line.quantity, line.amount_fen) for line in bill.lines] == [
        ("P1", 100_000, 5_000),
        ("P2", 331_000, 26_480),
    ]


def test_periods_that_do_not_fit_are_withheld() -> None:
    rates = {"rate_periods": FOUR_RATES}
    made = Office()
    made.feed(published(HOME), agreement(point(**rates)), *month_of_usage("2026-01"))
    (withheld,) = made.tick("2026-02-02")
    assert withheld.reasons[0].startswith("rate_missing P1: the usage has no energy of rate 1")


# -- repeated inputs ------------------------------------------------------------------------------


def test_a_known_revision_is_silent() -> None:
    made = office(usage("2026-01-05"))
    assert made.feed(usage("2026-01-05")) == []
    assert names(made.feed(usage("2026-01-05", 5, revision=3))) == ["UsageNoted"]
    assert made.feed(usage("2026-01-05", 7, revision=2)) == []
    assert made.account.months["2026-01"]["P1"].energy[IMPORT] == (0, 0, 0, 0, 5)
    assert len(made.of(UsageNoted)) == 2


def test_a_known_agreement_is_silent() -> None:
    made = office()
    assert made.feed(agreement(), agreement(version=2)) == []
    changed = agreement(version=3, rows=[terms(household_size=5)])
    assert names(made.feed(changed)) == ["AgreementNoted"]
    assert made.feed(agreement(version=2)) == []


def test_what_no_account_is_meant_by_changes_nothing() -> None:
    made = office()
    assert made.of(BillReleased) == []
    assert made.tick("2026-01-05") == []

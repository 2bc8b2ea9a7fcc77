"""Estimates of prepaid accounts: 0.50 yuan per kWh, 10 kWh a day; 0.60 above 1,000 kWh a year.

A tick at half past midnight estimates until the day before: noon of the day has not come.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from services.billing.events import BillWithheld, ChargeEstimated, InvoiceIssued
from tests.unit.billing_core.office import (
    HOME,
    Office,
    agreement,
    billed_office,
    days,
    home_book,
    month_of_usage,
    names,
    only,
    opening,
    point,
    published,
    release,
    since_december,
    terms,
    usage,
)

REMOTE = {"payment_mode": "prepaid_remote"}


def prepaid(*bodies: Any, **changes: Any) -> Office:
    """An account that pays ahead since January; December is billed."""
    rows = [terms("2025-12-01"), terms(**{**REMOTE, **changes})]
    return billed_office(since_december(rows=rows), *bodies)


def estimates(made: Office, at: str) -> list[Any]:
    return [each for each in made.tick(at) if isinstance(each, ChargeEstimated)]


def january(until_on: str = "2026-02-01", **changes: Any) -> list[Any]:
    return [usage(day, **changes) for day in days("2026-01-01", until_on)]


def told(found: Any) -> tuple[str, int, str, int, int, int]:
    read = (found.amount_fen, found.energy_wh, found.missing_days)
    return (found.month, found.estimate_no, found.until_on, *read)


def test_every_day_is_estimated_until_the_invoice() -> None:
    made = prepaid(*month_of_usage("2026-01"), *month_of_usage("2026-02"))
    assert made.due() == "2026-01-02T04:00:00Z"
    found = made.tick("2026-01-10T04:00:00Z")
    assert [told(each) for each in found] == [("2026-01", 1, "2026-01-10", 4_500, 90_000, 0)]
    assert found[0].books == ("test@1",)
    assert made.tick("2026-01-11T03:59:00Z") == []
    assert made.due() == "2026-01-11T04:00:00Z"
    later = made.tick("2026-01-11T04:00:00Z")
    assert told(only(later, ChargeEstimated)) == ("2026-01", 2, "2026-01-11", 5_000, 100_000, 0)
    invoice = only(made.tick("2026-02-04T04:00:00Z"), InvoiceIssued)
    assert invoice.total_fen == 15_500
    last = made.of(ChargeEstimated)[-1]
    assert told(last) == ("2026-02", 1, "2026-02-04", 1_500, 30_000, 0)
    assert list(made.account.estimates) == ["2026-02"]
    made.check_folds()


def test_two_open_months_are_estimated_and_the_tiers_go_on() -> None:
    january_wh, february_wh = 30_000, 40_000
    made = prepaid(*month_of_usage("2026-01", january_wh), *month_of_usage("2026-02", february_wh))
    found = made.tick("2026-02-02T04:00:00Z")
    # 930 kWh; then 40 kWh of one day in the first tier.
    assert [told(each)[:4] for each in found] == [
        ("2026-01", 1, "2026-02-01", 46_500),
        ("2026-02", 1, "2026-02-02", 2_000),
    ]
    # 70 kWh are left of the first tier; 10 of the second day cost 0.10 more. January stays.
    found = [
        each for each in made.tick("2026-02-03T02:00:00Z") if isinstance(each, ChargeEstimated)
    ]
    assert found == []
    found = [
        each for each in made.tick("2026-02-03T04:00:00Z") if isinstance(each, ChargeEstimated)
    ]
    assert [told(each)[:4] for each in found] == [("2026-02", 2, "2026-02-03", 4_100)]


def test_a_day_that_nobody_read_has_no_energy_and_is_counted() -> None:
    read = [usage("2026-01-01"), usage("2026-01-02", quality="estimated"), usage("2026-01-04")]
    made = prepaid(*read)
    found = only(made.tick("2026-01-05T04:00:00Z"), ChargeEstimated)
    assert (found.amount_fen, found.missing_days, found.estimated_days) == (1_500, 1, 1)
    made.feed(usage("2026-01-03"), usage("2026-01-02", revision=2))
    found = only(made.tick("2026-01-06T04:00:00Z"), ChargeEstimated)
    assert (found.amount_fen, found.missing_days, found.estimated_days) == (2_000, 1, 0)


def test_nothing_was_read_at_all() -> None:
    found = only(prepaid().tick("2026-01-03T04:00:00Z"), ChargeEstimated)
    assert told(found) == ("2026-01", 1, "2026-01-03", 0, 0, 2)
    assert found.reasons == ()


def test_a_late_reading_of_an_older_open_month_is_estimated_again() -> None:
    made = prepaid(*january("2026-01-31"), *days_of_february())
    first = made.tick("2026-02-05T04:00:00Z")
    assert "BillWithheld" in names(first)
    months = [told(each)[:4] for each in first if isinstance(each, ChargeEstimated)]
    assert months == [("2026-01", 1, "2026-02-01", 15_000), ("2026-02", 1, "2026-02-05", 2_000)]
    made.feed(usage("2026-01-31"))
    again = made.tick("2026-02-05T05:00:00Z")
    assert only(again, InvoiceIssued).total_fen == 15_500
    assert not made.account.estimates.keys() & {"2026-01"}


def days_of_february() -> list[Any]:
    return [usage(day) for day in days("2026-02-01", "2026-02-10")]


def test_why_nothing_can_be_said() -> None:
    made = Office()
    made.feed(agreement(rows=[terms(**REMOTE)]), *january("2026-01-03"))
    found = only(made.tick("2026-01-03T04:00:00Z"), ChargeEstimated)
    assert (found.reasons, found.amount_fen, found.books) == (("price_awaited home",), 0, ())
    made.feed(usage("2026-01-03", point="P9"))
    found = only(made.tick("2026-01-04T04:00:00Z"), ChargeEstimated)
    (reason,) = found.reasons
    assert reason.startswith("usage_without_agreement P9")


def test_a_bill_that_would_be_withheld_is_no_estimate() -> None:
    rows = [terms(demand_mode="measured", **REMOTE)]
    made = Office()
    made.feed(published(HOME), agreement(rows=rows), *january("2026-01-03"))
    found = only(made.tick("2026-01-03T04:00:00Z"), ChargeEstimated)
    assert found.reasons
    assert found.amount_fen == 0


def test_only_prepaid_days_are_estimated() -> None:
    rows = [terms(), terms("2026-01-20", **REMOTE), terms("2026-02-10")]
    made = Office()
    made.feed(published(HOME), agreement(rows=rows), opening("2026-01-04"), *january())
    assert made.due() == "2026-01-21T04:00:00Z"
    assert made.tick("2026-01-20T04:00:00Z") == []
    # The month has one bill, so the whole of it is estimated, from the 5th.
    found = only(made.tick("2026-01-21T04:00:00Z"), ChargeEstimated)
    assert (found.amount_fen, found.until_on) == (8_000, "2026-01-21")
    made.tick("2026-03-01T04:00:00Z")
    last = made.of(ChargeEstimated)[-1]
    assert (last.month, last.until_on) == ("2026-02", "2026-02-10")
    made.feed(release())
    assert made.due() == "" or made.due() > "2026-03-01"


def test_a_postpaid_month_before_the_prepaid_one_is_no_estimate() -> None:
    rows = [terms(), terms("2026-02-01", **REMOTE)]
    made = Office()
    made.feed(published(HOME), agreement(rows=rows), *january("2026-01-20"), *days_of_february())
    found = [
        each for each in made.tick("2026-02-03T06:00:00Z") if isinstance(each, ChargeEstimated)
    ]
    assert [told(each)[:4] for each in found] == [("2026-02", 1, "2026-02-03", 1_000)]


def test_who_pays_afterwards_is_not_estimated() -> None:
    made = billed_office(*january())
    assert made.tick("2026-01-20T04:00:00Z") == []
    assert only(made.live("2026-01-20", "2026-02-04"), InvoiceIssued).total_fen == 15_500
    assert not made.of(ChargeEstimated)


def test_the_meter_of_a_local_prepaid_account_is_billed_and_estimated_too() -> None:
    made = prepaid(*january(), payment_mode="prepaid_local")
    found = made.live("2026-01-01", "2026-02-04")
    assert only(found, InvoiceIssued).total_fen == 15_500
    assert not made.of(BillWithheld)
    assert len(made.of(ChargeEstimated)) >= 31


def test_arrival_order_gives_the_same_estimate() -> None:
    ends = []
    bodies = [*january("2026-01-08"), usage("2026-01-03", 4_000, revision=2)]
    for arrived in (bodies, bodies[::-1], bodies[3:] + bodies[:3]):
        made = prepaid(*arrived)
        ends.append(told(only(made.tick("2026-01-09T04:00:00Z"), ChargeEstimated)))
    assert ends == [("2026-01", 1, "2026-01-09", 3_200, 64_000, 1)] * 3


def test_a_book_that_comes_late_changes_the_next_estimate() -> None:
    made = prepaid(*january("2026-01-10"))
    assert only(made.tick("2026-01-03T04:00:00Z"), ChargeEstimated).amount_fen == 1_000
    made.feed(published(home_book("0.60", version=2, from_on="2026-01-02")))
    assert only(made.tick("2026-01-04T04:00:00Z"), ChargeEstimated).amount_fen == 1_700


def test_the_estimate_of_a_whole_month_is_its_invoice() -> None:
    made = prepaid(*january(), *days_of_february())
    found = made.tick("2026-02-01T04:00:00Z")
    estimate = only(found, ChargeEstimated)
    invoice = only(made.live("2026-02-01", "2026-02-04"), InvoiceIssued)
    assert (estimate.amount_fen, estimate.energy_wh) == (invoice.total_fen, invoice.bill.energy_wh)


def test_points_that_are_gone_need_no_reading() -> None:
    gone = point("P2", from_on="2025-12-01", to_on="2026-01-02")
    made = prepaid(*january("2026-01-04"))
    rows = [terms("2025-12-01"), terms(**REMOTE)]
    made.feed(since_december(point(from_on="2025-12-01"), gone, version=3, rows=rows))
    found = only(made.tick("2026-01-04T04:00:00Z"), ChargeEstimated)
    assert (found.missing_days, found.reasons) == (1, ())


def test_a_month_that_is_billed_already_is_left_out() -> None:
    """The agreement turns out to begin in December: its bill comes after January's."""
    made = Office()
    made.feed(published(HOME), agreement(rows=[terms(**REMOTE)]), *january())
    made.tick("2026-02-04")
    made.feed(release())
    made.feed(since_december(**REMOTE), *days_of_february())
    months = [each.month for each in estimates(made, "2026-02-06T04:00:00Z")]
    assert months == ["2025-12", "2026-02"]


def test_the_estimate_of_days_that_were_not_prepaid_is_taken_back() -> None:
    """Gone in December already, told in January: no invoice will come for the estimated days."""
    made = prepaid(*january("2026-01-10"))
    assert only(made.tick("2026-01-10T04:00:00Z"), ChargeEstimated).amount_fen == 4_500
    rows = [terms("2025-12-01"), terms(moved_out_on="2026-01-01", **REMOTE)]
    rows = [replace(row, moved_out_on="2026-01-01") for row in rows]
    made.feed(since_december(version=3, rows=rows))
    assert made.due() == "0001-01-01T00:00:00Z"
    (found,) = estimates(made, "2026-01-10T05:00:00Z")
    assert (found.month, found.estimate_no, found.amount_fen, found.books) == ("2026-01", 2, 0, ())
    assert estimates(made, "2026-01-12T05:00:00Z") == []
    assert made.due() == ""
    made.check_folds()

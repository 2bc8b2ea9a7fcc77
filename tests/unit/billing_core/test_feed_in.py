"""Statements of feed-in in the core: their own series, beside the bills and never netted.

Account A1 draws 10 kWh a day as always and feeds in 4.001 kWh a day, worth 0.40 yuan per kWh:
January is 124.031 kWh, 49.61 yuan.
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from services.billing.events import (
    CorrectionIssued,
    FeedInCorrected,
    FeedInStated,
    FeedInWithheld,
    InvoiceIssued,
)
from services.billing.months import month_span
from tests.unit.billing.builders import book, component, price_list
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    IMPORT,
    Office,
    agreement,
    days,
    decided,
    month_of_usage,
    only,
    opening,
    point,
    published,
    release,
    terms,
    usage,
)

EXPORT = "1-0:2.8.0"
FED_WH = 4_001
BOTH = {IMPORT: 10_000, EXPORT: FED_WH}


def sold_book(price: str = "0.40", **changes: Any) -> Any:
    sold = price_list(component("sold", price), code="sold", kind="feed_in")
    return book(sold, **{"id": "sold", **changes})


def producer(*points: Any, **changes: Any) -> Any:
    return agreement(*points, rows=[terms(feed_in_price_list="sold")], **changes)


def fed(month: str, wh: int = FED_WH, **changes: Any) -> list[Any]:
    return [
        usage(day, energy={IMPORT: 10_000, EXPORT: wh}, **changes)
        for day in days(*month_span(month))
    ]


def producing(*bodies: Any) -> Office:
    made = Office()
    made.feed(published(HOME), published(sold_book()), producer(), *bodies)
    return made


def january() -> Office:
    """January is stated; its bill is the first one and held."""
    made = producing(*fed("2026-01"))
    made.tick("2026-02-03")
    return made


def release_all(made: Office) -> None:
    """A person releases the bills that are held, one after the other."""
    for _ in range(30):
        if made.account.draft is None:
            return
        made.feed(release(made.account.draft.bill_id))
        made.tick("2028-04-03")
    raise AssertionError("a bill stays held")


def of_statements(made: Office) -> list[Any]:
    return [
        body for kind in (FeedInStated, FeedInCorrected, FeedInWithheld) for body in made.of(kind)
    ]


def test_a_month_is_stated_while_its_bill_is_held() -> None:
    made = january()
    (found,) = made.of(FeedInStated)
    assert (found.statement_no, found.month, found.energy_wh) == ("A1-F2026-01", "2026-01", 124_031)
    assert (found.amount_fen, found.netting) == (4_961, "none")
    assert (found.issued_on, found.due_on) == ("2026-02-04", "2026-03-06")
    assert made.of(InvoiceIssued) == []
    (line,) = found.statement.lines
    assert line.reading_ids == ("P1@2025-12-31", "P1@2026-01-31")
    made.feed(release())
    assert only(made.of(InvoiceIssued), InvoiceIssued).total_fen == 15_500
    assert only(made.of(InvoiceIssued), InvoiceIssued).bill.not_yet_rated == ()
    made.check_folds()


def test_it_is_not_stated_before_its_time_and_once() -> None:
    made = producing(*fed("2026-01"))
    assert made.due() == "2026-02-02T16:00:00Z"
    assert made.tick("2026-02-01") == []
    made.tick("2026-02-02")
    made.live("2026-02-03", "2026-02-28")
    assert len(made.of(FeedInStated)) == 1
    assert made.due() == "2026-03-02T16:00:00Z"


def test_a_late_revision_is_one_numbered_difference() -> None:
    made = january()
    late = usage("2026-01-07", energy={IMPORT: 10_000, EXPORT: 4_501}, revision=2)
    made.feed(late)
    assert made.due() == "0001-01-01T00:00:00Z"
    made.live("2026-02-10", "2026-02-14")
    (found,) = made.of(FeedInCorrected)
    assert (found.correction_no, found.statement_no, found.round_no) == (
        "A1-FK001", "A1-F2026-01", 1,
    )  # fmt: skip
    assert (found.energy_difference_wh, found.difference_fen) == (500, 20)
    assert (found.cause, found.reference) == ("late_actual", "P1/2026-01-07/2")
    assert [(each.side, each.line.quantity, each.line.amount_fen) for each in found.lines] == [
        ("debit", 500, 20)
    ]
    assert found.statement.amount_fen == 4_981
    made.feed(usage("2026-01-07", energy=BOTH, revision=3, quality="edited"))
    made.tick("2026-02-15")
    back = made.of(FeedInCorrected)[-1]
    assert (back.round_no, back.cause, back.difference_fen) == (2, "usage_edited", -20)
    made.check_folds()


def test_another_import_changes_no_statement() -> None:
    made = january()
    made.feed(usage("2026-01-07", energy={IMPORT: 11_000, EXPORT: FED_WH}, revision=2))
    made.tick("2026-02-10")
    assert made.of(FeedInCorrected) == []
    assert [each.is_needless for each in made.of(FeedInWithheld)] == [True]
    assert made.account.feed_in.to_correct == made.account.feed_in.stuck == {}


def test_it_waits_for_its_book_and_its_usage() -> None:
    made = Office()
    made.feed(published(HOME), producer(), *fed("2026-01")[:-1])
    made.tick("2026-02-03")
    made.feed(fed("2026-01")[-1])
    made.tick("2026-02-04")
    reasons = [each.reasons for each in made.of(FeedInWithheld)]
    assert reasons == [
        ("usage_missing P1: 1 days of 2026-01 have no usage",),
        ("price_awaited 2026-01: sold",),
    ]
    assert made.account.feed_in.waiting == "2026-01"
    made.feed(published(book(price_list(code="other"), id="other")))
    assert made.tick("2026-02-05") == []
    made.feed(published(sold_book()))
    made.tick("2026-02-06")
    assert only(made.of(FeedInStated), FeedInStated).amount_fen == 4_961


def test_a_newer_book_corrects_what_was_stated() -> None:
    made = january()
    made.feed(published(sold_book("0.50", version=2, from_on="2026-01-16")))
    made.tick("2026-02-10")
    (found,) = made.of(FeedInCorrected)
    # 60.015 kWh at 0.40 and 64.016 kWh at 0.50
    assert (found.cause, found.statement.amount_fen) == ("book_superseded", 2_401 + 3_201)
    assert (found.difference_fen, found.energy_difference_wh) == (2_401 + 3_201 - 4_961, 0)
    made.feed(published(sold_book("0.10", version=3, from_on="2026-02-01")))
    assert made.tick("2026-02-11") == []


def test_a_book_that_loses_the_list_leaves_the_statement_until_another_has_it() -> None:
    made = january()
    made.feed(published(book(price_list(code="other"), id="sold", version=2)))
    made.tick("2026-02-10")
    assert made.of(FeedInWithheld)[-1].reasons == ("price_awaited 2026-01: sold",)
    assert list(made.account.feed_in.stuck) == ["2026-01"]
    made.feed(published(sold_book("0.50", version=3)))
    made.tick("2026-02-11")
    (found,) = made.of(FeedInCorrected)
    assert found.statement.amount_fen == 6_202
    assert made.account.feed_in.stuck == {}


def test_a_list_of_another_kind_values_nothing() -> None:
    made = Office()
    rows = [terms(feed_in_price_list="shop")]
    made.feed(published(HOME), agreement(rows=rows), *fed("2026-01"))
    made.tick("2026-02-03")
    (found,) = made.of(FeedInWithheld)
    assert found.reasons == ("price_list_kind: the price list shop is not one of feed-in",)


def test_a_list_that_is_agreed_too_late_leads_to_a_correction_that_waits() -> None:
    made = january()
    made.feed(agreement(rows=[terms(feed_in_price_list="shop")], version=2))
    made.tick("2026-02-10")
    assert made.of(FeedInWithheld)[-1].reasons[0].startswith("price_list_kind")
    made.feed(producer(version=3))
    made.tick("2026-02-11")
    assert made.of(FeedInWithheld)[-1].is_needless


def test_feed_in_from_a_day_on_is_stated_from_that_day() -> None:
    made = Office()
    rows = [terms(), terms("2026-02-11", feed_in_price_list="sold")]
    made.feed(published(HOME), published(sold_book()), agreement(rows=rows))
    made.feed(*fed("2026-01"), *fed("2026-02"))
    made.tick("2026-03-03")
    (found,) = made.of(FeedInStated)
    assert (found.month, found.energy_wh) == ("2026-02", 18 * FED_WH)
    assert found.statement.from_on == "2026-02-11"


def test_months_are_stated_one_after_the_other() -> None:
    made = producing(*fed("2026-01")[1:], *fed("2026-02"))
    made.tick("2026-03-03")
    assert made.of(FeedInStated) == []
    made.feed(fed("2026-01")[0])
    made.tick("2026-03-04")
    assert [each.month for each in made.of(FeedInStated)] == ["2026-01", "2026-02"]


def test_a_point_of_its_own_is_stated_and_billed_for_what_it_drew() -> None:
    own = point("P2", relation="feed_in", **AS_SHOP)
    drew = {IMPORT: 1_000, EXPORT: 7_001}
    made = Office()
    made.feed(published(HOME), published(sold_book()), producer(point(), own))
    made.feed(*month_of_usage("2026-01"), *month_of_usage("2026-01", point="P2", energy=drew))
    made.tick("2026-02-03")
    made.feed(release())
    assert only(made.of(FeedInStated), FeedInStated).energy_wh == 31 * 7_001
    invoice = only(made.of(InvoiceIssued), InvoiceIssued)
    assert [(line.point, line.amount_fen) for line in invoice.bill.lines] == [
        ("P1", 15_500), ("P2", 31 * 80),
    ]  # fmt: skip


def test_terms_that_change_something_else_cut_nothing() -> None:
    made = Office()
    rows = [
        terms(feed_in_price_list="sold"),
        terms("2026-01-11", feed_in_price_list="sold", language="en", low_income=True),
    ]
    made.feed(published(HOME), published(sold_book()), agreement(rows=rows), *fed("2026-01"))
    made.tick("2026-02-03")
    (found,) = made.of(FeedInStated)
    assert len(found.inputs) == 1


def test_days_that_are_not_ours_after_all_are_taken_back() -> None:
    made = january()
    made.feed(opening("2026-01-10"))
    made.tick("2026-02-10")
    (found,) = made.of(FeedInCorrected)
    assert (found.cause, found.energy_difference_wh) == ("wrong_agreement", -10 * FED_WH)
    gone = [terms(feed_in_price_list="sold", moved_out_on="2026-01-05")]
    made.feed(agreement(rows=gone, version=2))
    made.tick("2026-02-11")
    found = made.of(FeedInCorrected)[-1]
    assert (found.statement.amount_fen, found.inputs) == (0, ())
    assert [each.side for each in found.lines] == ["credit"]
    made.check_folds()


def test_an_approved_case_corrects_what_the_meter_exported() -> None:
    made = january()
    made.feed(decided())
    made.tick("2026-02-10")
    (found,) = made.of(FeedInCorrected)
    # 124.031 kWh * 3 / 103 were recorded too much
    assert (found.cause, found.energy_difference_wh) == ("metrology", -3_613)


def test_energy_of_a_point_that_is_not_agreed_withholds_the_statement() -> None:
    made = producing(*fed("2026-01"), usage("2026-01-03", point="P9", energy={EXPORT: 5}))
    made.tick("2026-02-03")
    assert "usage_without_agreement P9" in made.of(FeedInWithheld)[0].reasons[0]


def test_usage_of_a_closed_month_is_stated_no_more() -> None:
    made = producing()
    months = [f"{2026 + n // 12}-{n % 12 + 1:02d}" for n in range(27)]
    for month in months:
        made.feed(*fed(month))
    made.tick("2028-04-03")
    release_all(made)
    assert len(made.of(FeedInStated)) == len(made.of(InvoiceIssued)) == 27
    assert len(made.account.feed_in.statements) == 25
    before = terms("2025-01-01", feed_in_price_list="sold")
    made.feed(agreement(point(from_on="2025-12-01"), rows=[before], version=2))
    made.tick("2028-04-05")
    assert made.of(FeedInWithheld)[-1].month == "2025-12"


def test_what_is_closed_before_it_was_stated_is_passed_over() -> None:
    made = Office()
    made.feed(published(HOME), producer())
    months = [f"{2026 + n // 12}-{n % 12 + 1:02d}" for n in range(27)]
    for month in months:
        made.feed(*fed(month))
    made.tick("2028-04-03")
    release_all(made)
    made.feed(published(sold_book()))
    made.tick("2028-04-04")
    assert made.of(FeedInStated)[0].month == "2026-03"
    assert len(made.of(FeedInStated)) == 25


def test_who_is_gone_is_stated_no_more() -> None:
    made = Office()
    rows = [terms(feed_in_price_list="sold", moved_out_on="2026-01-11")]
    made.feed(published(HOME), published(sold_book()), agreement(rows=rows), *fed("2026-01")[:10])
    made.live("2026-02-02", "2026-02-05")
    assert [each.energy_wh for each in made.of(FeedInStated)] == [10 * FED_WH]
    never = [terms(feed_in_price_list="sold", moved_out_on="2026-01-01")]
    made.feed(agreement(rows=never, version=2), key="A1")
    made.tick("2026-02-06")
    assert made.of(FeedInCorrected)[-1].statement.energy_wh == 0


def test_a_newer_book_corrects_the_months_in_which_it_is_in_force() -> None:
    made = producing(*fed("2026-01"), *fed("2026-02"))
    made.tick("2026-03-03")
    made.feed(published(sold_book("0.50", version=2, from_on="2026-02-01")))
    made.tick("2026-03-04")
    assert [each.month for each in made.of(FeedInCorrected)] == ["2026-02"]


def test_another_book_of_the_region_cuts_no_statement() -> None:
    made = producing(*fed("2026-01"))
    other = book(price_list(code="other"), id="other", from_on="2026-01-16")
    made.feed(published(other))
    made.tick("2026-02-03")
    assert len(only(made.of(FeedInStated), FeedInStated).inputs) == 1


def test_who_never_fed_in_has_no_series() -> None:
    made = Office()
    made.feed(published(HOME), published(sold_book()), agreement(), *fed("2026-01"))
    made.tick("2026-02-03")
    assert of_statements(made) == []
    assert made.of(CorrectionIssued) == []


# -- laws ------------------------------------------------------------------------------------------


def told(random: Random) -> tuple[list[Any], int]:
    """All that is told of two months in any order, and the energy that stands in the end."""
    bodies: list[Any] = [producer(), published(HOME), published(sold_book())]
    total_wh = 0
    for day in days("2026-01-01", "2026-03-01"):
        wh = random.randrange(10_000)
        bodies.append(usage(day, energy={IMPORT: 10_000, EXPORT: wh}))
        if random.random() < 0.1:
            wh = random.randrange(100_000)
            bodies.append(usage(day, energy={IMPORT: 10_000, EXPORT: wh}, revision=2))
        total_wh += wh
    random.shuffle(bodies)
    late = [each for each in bodies if getattr(each, "revision", 1) == 2 and random.random() < 0.7]
    return [each for each in bodies if each not in late] + late, total_wh


@pytest.mark.parametrize("seed", range(12))
def test_what_was_exported_is_stated_in_any_order(seed: int) -> None:
    random = Random(seed)
    bodies, total_wh = told(random)
    ticks = {*random.sample(range(60), 3), *range(59, len(bodies), 2)}
    made = Office()
    for number, body in enumerate(bodies):
        made.feed(body)
        if number in ticks:
            made.tick("2026-03-04")
    made.tick("2026-03-05")
    stated = made.of(FeedInStated)
    rounds = made.of(FeedInCorrected)
    assert [each.month for each in stated] == ["2026-01", "2026-02"]
    assert rounds, "nothing came late"
    energy_wh = sum(each.energy_wh for each in stated)
    assert energy_wh + sum(each.energy_difference_wh for each in rounds) == total_wh
    now = made.account.feed_in.statements
    amount_fen = sum(each.amount_fen for each in stated) + sum(
        each.difference_fen for each in rounds
    )
    assert amount_fen == sum(each.statement.amount_fen for each in now)
    assert [each.round_no for each in rounds] == list(range(1, len(rounds) + 1))
    plain = Office()
    plain.feed(*sorted(bodies, key=lambda body: getattr(body, "revision", 0)))
    plain.tick("2026-03-05")
    assert [each.statement for each in plain.account.feed_in.statements] == [
        each.statement for each in now
    ]

"""After issue there are only numbered rounds: what causes them, and what they come to."""

from __future__ import annotations

from dataclasses import replace

from services.billing.events import (
    BillCalculated,
    BillWithheld,
    BookNoted,
    CorrectionIssued,
    CorrectionWithheld,
    InvoiceIssued,
)
from services.billing.state import MONTHS_KEPT
from tests.unit.billing.builders import book
from tests.unit.billing_core.office import (
    AS_SHOP,
    HOME,
    MONTHS,
    SHOP,
    Office,
    agreement,
    billed_office,
    days,
    differences,
    home_book,
    home_list,
    month_of_usage,
    names,
    only,
    opening,
    point,
    published,
    release,
    sides,
    since_december,
    terms,
    three_months,
    usage,
)

# -- late actuals ---------------------------------------------------------------------------------


def test_a_late_actual_is_a_numbered_round() -> None:
    made = three_months()
    made.feed(usage("2026-02-10", 4_000, revision=2))
    assert made.due() == "0001-01-01T00:00:00Z"
    (found,) = made.tick("2026-04-05")
    assert (found.correction_no, found.round_no, found.cause, found.reference) == (
        "A1-K001",
        1,
        "late_actual",
        "P1/2026-02-10/2",
    )
    assert (found.difference_fen, found.issued_on, found.due_on) == (
        -300,
        "2026-04-06",
        "2026-04-21",
    )
    # March's tier position moved without a difference: it is in the round with no lines.
    assert differences(found) == [("A1-2026-02", -300), ("A1-2026-03", 0)]
    assert sides(found) == [("A1-2026-02", "credit", "energy", -6_000, -300)]
    assert made.tick("2026-04-06") == []
    assert len(made.of(InvoiceIssued)) == 4
    made.check_folds()


def test_a_round_cascades_through_the_tier_year() -> None:
    """200 kWh more in January: 100 kWh of March are above 1,000 then."""
    made = three_months()
    made.feed(usage("2026-01-10", 210_000, revision=2))
    (found,) = made.tick("2026-04-05")
    assert sides(found) == [
        ("A1-2026-01", "debit", "energy", 200_000, 10_000),
        ("A1-2026-03", "debit", "tier.2", 100_000, 1_000),
    ]
    assert found.difference_fen == 11_000
    # The next bill goes on from the corrected position: 1,100 kWh, so all of April is above.
    made.feed(*month_of_usage("2026-04"))
    april = only(made.tick("2026-05-02"), InvoiceIssued)
    assert april.total_fen == 15_000 + 3_000
    made.check_folds()


def test_a_round_does_not_touch_another_tier_year() -> None:
    made = three_months()
    made.feed(usage("2025-12-10", 999_000, revision=2))
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert [name for name, _ in differences(found)] == ["A1-2025-12"]


def test_several_late_days_are_one_round_at_the_next_tick() -> None:
    made = three_months()
    made.feed(
        usage("2026-03-10", 11_000, revision=2),
        usage("2026-01-10", 12_000, revision=2),
        usage("2026-01-11", 13_000, revision=2),
    )
    (found,) = made.tick("2026-04-05")
    assert differences(found) == [("A1-2026-01", 250), ("A1-2026-02", 0), ("A1-2026-03", 50)]
    assert found.reference == "P1/2026-01-10/2,P1/2026-03-10/2"


def test_a_correction_of_a_correction_adds_up() -> None:
    made = three_months()
    made.feed(usage("2026-01-10", 30_000, revision=2))
    made.tick("2026-04-05")
    made.feed(usage("2026-01-10", 25_000, revision=3))
    (found,) = made.tick("2026-04-06")
    assert (found.correction_no, found.difference_fen) == ("A1-K002", -250)
    rounds = made.of(CorrectionIssued)
    assert sum(each.difference_fen for each in rounds) == 750
    assert made.account.issued[1].bill.total_fen == 15_500 + 750


def test_what_makes_no_difference_is_said_once() -> None:
    made = three_months()
    made.feed(usage("2026-01-10", 10_100, revision=2))  # 310.1 kWh are 310
    (found,) = made.tick("2026-04-05")
    assert found == CorrectionWithheld(
        account_no="A1",
        cause="late_actual",
        months=("2026-01",),
        reasons=("no difference",),
        is_needless=True,
    )
    assert (made.account.to_correct, made.account.stuck) == ({}, {})
    assert made.tick("2026-04-06") == []
    # The small change is not lost: 310.1 + 0.4 kWh are 311.
    made.feed(usage("2026-01-11", 10_400, revision=2))
    (found,) = made.tick("2026-04-07")
    assert found.difference_fen == 50
    made.check_folds()


def test_an_actual_that_confirms_its_estimate_corrects_nothing() -> None:
    made = billed_office(*month_of_usage("2026-01")[:30])
    made.feed(usage("2026-01-31", quality="estimated"))
    made.tick("2026-02-02")
    made.feed(release())
    made.feed(usage("2026-01-31", revision=2))
    assert made.tick("2026-02-10") == []
    # The next round of that month stores that it is actual now.
    made.feed(usage("2026-01-30", 20_000, revision=2))
    made.tick("2026-02-11")
    assert made.account.issued[1].inputs[0].usage.points[0].quality == "actual"


def test_a_correction_comes_before_the_bill_that_rests_on_it() -> None:
    made = three_months()
    made.feed(*month_of_usage("2026-04"), usage("2026-01-10", 110_000, revision=2))
    found = made.tick("2026-05-02")
    assert names(found)[0] == "CorrectionIssued"
    # 1,000 kWh until March, so the whole of April is above
    assert only(found, InvoiceIssued).total_fen == 15_000 + 3_000


def test_a_held_bill_is_calculated_anew_after_a_correction() -> None:
    made = three_months()
    made.feed(*month_of_usage("2026-04", 40_000))
    held = only(made.tick("2026-05-02"), BillCalculated)
    assert held.total_fen == 60_000 + 11_000  # 900 kWh before it: 1,100 are above
    made.feed(usage("2026-01-10", 110_000, revision=2))
    assert names(made.feed(release("A1-2026-04"))) == ["ReleaseRejected"]
    found = made.tick("2026-05-03")
    assert names(found) == ["CorrectionIssued", "BillCalculated"]
    assert (found[1].total_fen, found[1].calculation) == (60_000 + 12_000, 2)
    assert names(made.feed(release("A1-2026-04"))) == ["BillReleased", "InvoiceIssued"]


# -- price books ----------------------------------------------------------------------------------


def test_a_superseded_book_corrects_the_months_it_covers() -> None:
    made = three_months()
    made.feed(published(home_book("0.60", version=2, from_on="2026-02-01")), key="")
    (found,) = made.tick("2026-04-05")
    assert (found.cause, found.reference) == ("book_superseded", "test@2")
    assert differences(found) == [("A1-2026-02", 2_800), ("A1-2026-03", 3_100)]
    assert [side for _, side, *_ in sides(found)] == ["credit", "debit", "credit", "debit"]
    made.check_folds()


def test_the_same_book_again_is_silent() -> None:
    made = three_months()
    before = made.account
    assert made.feed(published(HOME), key="") == []
    assert made.account == before


def test_a_book_for_others_is_silent_for_the_account() -> None:
    made = three_months()
    elsewhere = book(home_list(), id="other", region="Elsewhere")
    other_list = book(SHOP, id="shops")
    later = home_book("0.60", version=2, from_on="2027-01-01")
    for each in (elsewhere, other_list, later):
        made.feed(published(each), key="")
    assert made.of(BookNoted) == []
    assert made.tick("2026-04-05") == []


def test_a_book_that_makes_no_difference_makes_no_round() -> None:
    made = three_months()
    made.feed(published(home_book(version=2, from_on="2026-02-01")), key="")
    (found,) = made.tick("2026-04-05")
    assert (found.is_needless, found.months) == (True, ("2026-02", "2026-03"))


def test_a_book_that_prices_nothing_leaves_the_cause_to_what_changed() -> None:
    made = three_months()
    made.feed(usage("2026-03-10", 20_000, revision=2))
    made.feed(published(book(home_list("0.90"), id="aa-unused")), key="")
    assert names(made.of(BookNoted)) == ["BookNoted"]
    (found,) = made.tick("2026-04-05")
    assert (found.cause, found.reference) == ("late_actual", "P1/2026-03-10/2")
    assert differences(found) == [("A1-2026-03", 500)]


def test_a_book_that_drops_the_list_leaves_the_months_waiting_for_one() -> None:
    made = three_months()
    made.feed(published(book(SHOP, version=2, from_on="2026-03-01")), key="")
    (found,) = made.tick("2026-04-05")
    assert (found.is_needless, found.months, found.reasons) == (
        False,
        ("2026-03",),
        ("price_awaited 2026-03: home",),
    )
    assert made.tick("2026-04-06") == []
    made.feed(published(home_book("0.60", version=3, from_on="2026-03-01")), key="")
    assert only(made.tick("2026-04-07"), CorrectionIssued).difference_fen == 3_100


# -- agreements -----------------------------------------------------------------------------------


def test_a_wrong_agreement_is_corrected_from_its_day_on() -> None:
    made = three_months()
    made.feed(
        since_december(
            point(from_on="2025-12-01", to_on="2026-02-11"), point(from_on="2026-02-11", **AS_SHOP)
        )
    )
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert (found.cause, found.reference) == ("wrong_agreement", "agreement@2")
    # February: 180 kWh, March: 310 kWh, at 0.80 instead of 0.50
    assert differences(found) == [("A1-2026-02", 5_400), ("A1-2026-03", 9_300)]
    made.check_folds()


def test_an_agreement_that_changes_later_corrects_nothing() -> None:
    made = three_months()
    rows = [terms("2025-12-01"), terms("2026-04-15", payment_mode="prepaid_remote")]
    made.feed(since_december(point(from_on="2025-12-01"), rows=rows))
    assert made.tick("2026-04-05") == []


def test_a_customer_who_had_left_gets_the_months_back() -> None:
    """Gone on 11 February, told in April: February is billed to the 10th, March is nothing."""
    made = three_months()
    made.feed(since_december(moved_out_on="2026-02-11"))
    found = only(made.tick("2026-04-05"), CorrectionIssued)
    assert differences(found) == [("A1-2026-02", -9_000), ("A1-2026-03", -15_500)]
    march = made.account.issued[-1]
    assert (march.inputs, march.bill.total_fen, march.bill.lines) == ((), 0, ())
    # And it was a mistake: all comes back.
    made.feed(since_december(version=3))
    again = only(made.tick("2026-04-06"), CorrectionIssued)
    assert differences(again) == [("A1-2026-02", 9_000), ("A1-2026-03", 15_500)]
    made.check_folds()


def test_a_correction_waits_for_the_usage_it_needs() -> None:
    made = three_months()
    made.feed(since_december(point(from_on="2025-12-01"), point("P2", "2026-03-01", **AS_SHOP)))
    (found,) = made.tick("2026-04-05")
    assert (found.cause, found.months, found.is_needless) == (
        "wrong_agreement",
        ("2026-03",),
        False,
    )
    assert found.reasons == ("usage_missing P2: 31 days of 2026-03 have no usage",)
    assert made.tick("2026-04-06") == []
    made.feed(*month_of_usage("2026-03", 0, point="P2")[:30])
    assert names(made.tick("2026-04-07")) == ["CorrectionWithheld"]
    made.feed(usage("2026-03-31", 1_000, point="P2"))
    found = only(made.tick("2026-04-08"), CorrectionIssued)
    assert (found.cause, found.reference, found.difference_fen) == (
        "wrong_agreement",
        "agreement@2",
        80,
    )
    assert made.account.stuck == {}
    made.check_folds()


def test_a_day_without_energy_completes_a_correction() -> None:
    made = three_months()
    made.feed(since_december(point(from_on="2025-12-01"), point("P2", "2026-03-01", **AS_SHOP)))
    late = month_of_usage("2026-03", 1_000, point="P2")
    made.feed(*late[:4], *late[5:])
    assert names(made.tick("2026-04-05")) == ["CorrectionWithheld"]
    made.feed(usage("2026-03-05", 0, point="P2"))
    assert only(made.tick("2026-04-06"), CorrectionIssued).difference_fen == 30 * 80


def test_what_can_be_corrected_does_not_wait_for_what_cannot() -> None:
    made = three_months()
    made.feed(
        since_december(point(from_on="2025-12-01"), point("P2", "2026-03-01", **AS_SHOP)),
        usage("2026-01-10", 12_000, revision=2),
    )
    found = made.tick("2026-04-05")
    assert names(found) == ["CorrectionWithheld", "CorrectionIssued"]
    assert (found[0].months, found[1].reference) == (("2026-03",), "P1/2026-01-10/2")
    # What was stuck is looked at with the next change of an issued month.
    made.feed(usage("2026-01-10", 13_000, revision=3))
    assert names(made.tick("2026-04-06")) == ["CorrectionWithheld", "CorrectionIssued"]


def test_a_correction_that_is_not_rated_is_withheld() -> None:
    made = three_months()
    rows = [terms("2025-12-01"), terms("2026-03-01", payment_mode="barter")]
    made.feed(since_december(point(from_on="2025-12-01"), rows=rows))
    (found,) = made.tick("2026-04-05")
    assert (found.months, found.is_needless) == (("2026-03",), False)
    assert found.reasons == ("not_yet_rated barter: nobody knows how the account pays",)
    assert made.tick("2026-04-06") == []
    made.feed(since_december(version=3))
    assert names(made.tick("2026-04-07")) == ["CorrectionWithheld"]
    assert made.of(CorrectionWithheld)[-1].is_needless
    made.check_folds()


def test_a_supply_that_began_earlier_is_billed_and_moves_the_tiers() -> None:
    """February and March were issued; it turns out that the supply began in January."""
    made = Office()
    made.feed(published(HOME), agreement(rows=[terms("2026-02-01")]))
    made.feed(*month_of_usage("2026-02", 20_000), *month_of_usage("2026-03", 20_000))
    made.tick("2026-04-02")
    made.feed(release("A1-2026-02"))
    made.tick("2026-04-02")
    assert [body.total_fen for body in made.of(InvoiceIssued)] == [28_000, 31_000 + 1_800]
    made.feed(agreement(version=2), *month_of_usage("2026-01", 20_000))
    looked, *found = made.tick("2026-04-03")
    assert (names([looked]), looked.is_needless) == (["CorrectionWithheld"], True)  # household
    assert names(found) == ["BillCalculated", "BillReleased", "InvoiceIssued", "CorrectionIssued"]
    assert (found[2].month, found[2].total_fen) == ("2026-01", 31_000)
    assert (found[3].cause, found[3].reference) == ("wrong_agreement", "A1-2026-01")
    # February: 620 before it, so 180 above 1,000; March: all 620 instead of 180
    assert sides(found[3]) == [
        ("A1-2026-02", "debit", "tier.2", 180_000, 1_800),
        ("A1-2026-03", "debit", "tier.2", 440_000, 4_400),
    ]
    assert made.account.billed == (("2026-01", "2026-03"),)
    assert [each.bill.period for each in made.account.issued] == MONTHS[:3]
    assert made.tick("2026-04-04") == []
    made.check_folds()


# -- what is put away -----------------------------------------------------------------------------


def test_usage_of_a_month_that_was_put_away_is_told_and_changes_nothing() -> None:
    made = Office()
    first = "2024-01-01"
    made.feed(published(HOME), agreement(point(from_on=first), rows=[terms(first)]))
    months = [f"{2024 + n // 12}-{n % 12 + 1:02d}" for n in range(MONTHS_KEPT + 1)]
    for month in months:
        made.feed(*month_of_usage(month))
    made.tick("2026-03-15")
    made.feed(release("A1-2024-01"))
    made.tick("2026-03-15")
    assert [each.bill.period for each in made.account.issued] == months[1:]
    assert sorted(made.account.months) == months[1:]
    (told,) = made.feed(usage("2024-01-10", 99_000, revision=2))
    assert told.months == ("2024-01",)
    assert told.reasons == ("closed: P1 2024-01-10 came after the month was put away",)
    assert made.tick("2026-03-16") == []
    # The first month that is kept begins where the one put away ended, and is corrected like any.
    made.feed(usage("2024-02-10", 20_000, revision=2))
    found = only(made.tick("2026-03-17"), CorrectionIssued)
    # 10 kWh more, and 10 more of that year above 1,000
    assert differences(found)[0] == ("A1-2024-02", 500)
    assert found.difference_fen == 600
    made.check_folds()


def test_a_withheld_account_keeps_its_usage() -> None:
    made = Office()
    barter = terms("2025-12-01", payment_mode="barter")
    made.feed(published(HOME), agreement(point(from_on="2025-12-01"), rows=[barter]))
    for day in days("2025-12-01", "2026-05-01"):
        made.feed(usage(day))
        made.tick(day)
    assert len(made.of(BillWithheld)) == 1
    made.feed(since_december())
    made.tick("2026-05-05")
    made.feed(release("A1-2025-12"))
    made.tick("2026-05-06")
    assert [body.month for body in made.of(InvoiceIssued)] == ["2025-12", *MONTHS[:4]]


def test_invoices_of_the_same_months_are_never_issued_again() -> None:
    made = three_months()
    made.feed(
        since_december(moved_out_on="2026-01-05"),
        since_december(version=3),
        opening("2025-12-31"),
        published(replace(HOME, version=2)),
    )
    made.live("2026-04-05", "2026-04-20")
    invoices = [body.invoice_no for body in made.of(InvoiceIssued)]
    assert len(set(invoices)) == len(invoices) == 4

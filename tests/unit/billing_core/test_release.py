"""Held bills: what holds them, who releases them, and what comes in between."""

from __future__ import annotations

from typing import Any

import pytest

from services.billing.events import (
    BillCalculated,
    InvoiceIssued,
    ReleaseRejected,
)
from services.billing.reactions import UsageBasis
from tests.unit.billing_core.office import (
    Office,
    agreement,
    billed_office,
    first_bill,
    home_book,
    month_of_usage,
    names,
    office,
    only,
    opening,
    point,
    published,
    release,
    terms,
    usage,
)


def test_the_first_bill_waits_for_a_person() -> None:
    made = office(*month_of_usage("2026-01"))
    assert names(made.tick("2026-02-02")) == ["BillCalculated"]
    assert made.tick("2026-02-03") == []
    assert made.due() == ""
    released, invoice = made.feed(release())
    assert (released.released_by, released.reason) == ("li", "looked at")
    assert (invoice.total_fen, invoice.issued_on) == (15_500, "2026-02-04")
    made.check_folds()


def test_an_estimate_holds_until_the_actual_comes() -> None:
    made = billed_office(*month_of_usage("2026-01")[:30])
    made.feed(usage("2026-01-31", 12_000, quality="estimated"))
    held = only(made.tick("2026-02-02"), BillCalculated)
    assert ([hit.check for hit in held.hits], held.total_fen) == (["estimated"], 15_600)
    made.feed(usage("2026-01-31", 12_000, revision=2))  # the same energy, now measured
    found = made.tick("2026-02-03")
    assert names(found) == ["BillCalculated", "BillReleased", "InvoiceIssued"]
    assert (found[0].calculation, found[2].total_fen) == (2, 15_600)


def test_an_edited_day_counts_as_estimated() -> None:
    made = billed_office(*month_of_usage("2026-01")[:30], usage("2026-01-31", quality="edited"))
    assert [hit.check for hit in only(made.tick("2026-02-02"), BillCalculated).hits] == [
        "estimated"
    ]


def test_a_jump_and_an_exchange_hold() -> None:
    made = billed_office(*month_of_usage("2026-01", 40_000)[:30])
    made.feed(usage("2026-01-31", 40_000, after_exchange=True))
    held = only(made.tick("2026-02-02"), BillCalculated)
    assert [hit.check for hit in held.hits] == ["after_exchange", "jump"]


def test_a_time_of_use_basis_in_doubt_holds_the_bill() -> None:
    made = billed_office(*month_of_usage("2026-01")[:29])
    for day_on in ("2026-01-30", "2026-01-31"):
        made.feed(usage(day_on, basis=UsageBasis(blocked=True)))
    held = only(made.tick("2026-02-02"), BillCalculated)
    assert [(hit.check, hit.observed) for hit in held.hits] == [("tou_basis", 2)]
    made.feed(usage("2026-01-30", revision=2, basis=UsageBasis(blocked=False)))
    again = only(made.tick("2026-02-03"), BillCalculated)
    assert [(hit.check, hit.observed) for hit in again.hits] == [("tou_basis", 1)]
    assert only(made.feed(release()), InvoiceIssued).total_fen == again.total_fen
    made.check_folds()


def test_a_late_actual_before_issue_recalculates_the_held_bill() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    made.feed(usage("2026-01-09", 30_000, revision=2))
    (rejected,) = made.feed(release())
    assert isinstance(rejected, ReleaseRejected)
    assert rejected.problem.startswith("something new came for it")
    again = first_bill(made, "2026-02-03")
    assert (again.calculation, again.total_fen) == (2, 16_500)
    invoice = only(made.feed(release()), InvoiceIssued)
    assert invoice.total_fen == 16_500
    made.check_folds()


def test_news_without_effect_is_looked_at_once() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    made.feed(agreement(version=2, rows=[terms(language="en")]))
    assert names(made.tick("2026-02-03")) == ["BillCalculated"]
    assert made.tick("2026-02-04") == []
    assert only(made.feed(release()), InvoiceIssued).language == "en"


@pytest.mark.parametrize(
    ("request_body", "problem"),
    [
        (release("A1-2026-02"), "no such bill is held"),
        (release("A2-2026-01"), "no such bill is held"),
        (release(decision="burn"), "'burn' is no decision: release or hold"),
        (release(calculation=2), "it was calculated anew: look at calculation 1"),
    ],
)
def test_a_release_that_does_not_fit_is_rejected(request_body: Any, problem: str) -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    (rejected,) = made.feed(request_body)
    assert rejected == ReleaseRejected(
        request_id="r1", account_no="A1", bill_id=request_body.bill_id, problem=problem
    )
    assert made.of(InvoiceIssued) == []


def test_a_bill_is_released_once() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    assert names(made.feed(release(calculation=1))) == ["BillReleased", "InvoiceIssued"]
    assert names(made.feed(release(), release(decided_by="wu"))) == ["ReleaseRejected"] * 2
    assert len(made.of(InvoiceIssued)) == 1


def test_a_release_of_nothing_is_rejected() -> None:
    made = office(*month_of_usage("2026-01"))
    assert names(made.feed(release())) == ["ReleaseRejected"]
    made = Office()
    assert names(made.feed(release())) == ["ReleaseRejected"]


def test_to_hold_a_bill_on_changes_nothing() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    before = made.account
    assert made.feed(release(decision="hold")) == []
    assert made.account == before


def test_a_new_version_of_the_book_recalculates_a_held_bill() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    made.feed(published(home_book("0.60", version=2)), key="")
    assert names(made.feed(release())) == ["ReleaseRejected"]
    assert first_bill(made, "2026-02-03").total_fen == 18_600


def test_a_draft_is_withdrawn_when_its_month_lacks_usage_again() -> None:
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    made.feed(agreement(point(), point("P2"), version=2))
    assert names(made.tick("2026-02-03")) == ["BillWithheld"]
    assert names(made.feed(release())) == ["ReleaseRejected"]
    made.feed(*month_of_usage("2026-01", 1_000, point="P2"))
    assert first_bill(made, "2026-02-04").total_fen == 15_500 + 1_550


def test_a_draft_is_withdrawn_when_its_month_is_not_supplied_after_all() -> None:
    made = office(*month_of_usage("2026-01"), *month_of_usage("2026-02"))
    first_bill(made)
    made.feed(opening("2026-01-31"))  # January was billed elsewhere
    found = made.tick("2026-03-02")
    assert names(found) == ["BillWithheld", "BillCalculated"]
    assert (found[0].month, found[0].reasons[0][:12]) == ("2026-01", "not_supplied")
    assert (found[1].month, found[1].total_fen) == ("2026-02", 14_000)
    made = office(*month_of_usage("2026-01"))
    first_bill(made)
    made.feed(agreement(rows=[terms(moved_out_on="2026-01-01")], version=2))
    assert names(made.tick("2026-03-02")) == ["BillWithheld"]
    assert made.due() == ""
    assert made.account.draft is None

"""Rounds at the prices of the correction month: both usages by the book of the day of the round."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.billing.correction import Change, CorrectionRound, IssuedBill, apply_round, correct
from services.billing.explanation import explain_line
from services.billing.price_book import book_key
from services.billing.tiers import TierPosition
from tests.unit.billing.builders import book, component, price_list, tiers
from tests.unit.billing.test_correction import MONTHS, inputs, rated, summary

ANNUAL = tiers("year", (1000,), ("0.10",))


def home(price: str, **changes: Any) -> Any:
    listed = price_list(component(price=price), code="home", tiers=ANNUAL)
    return book(listed, correction_price_basis="correction_month", **changes)


OLD = home("0.50", until_on="2027-01-01")
NEW = home("0.60", version=2, from_on="2027-01-01", until_on="2028-01-01")
SUPERSEDED = home("0.40", version=3, until_on="2027-01-01")
BOOKS = {book_key(each): each for each in (OLD, NEW, SUPERSEDED)}
APRIL = "2027-04-05"


def issue(*kwh: int) -> tuple[IssuedBill, ...]:
    positions = {"P1": TierPosition(key="2026", used_wh=0)}
    return tuple(
        rated(inputs(month, each), positions, BOOKS)
        for month, each in zip(MONTHS, kwh, strict=False)
    )


def run(
    issued: tuple[IssuedBill, ...], month: str, kwh: int, on: str = APRIL, **changes: Any
) -> CorrectionRound | None:
    changed = Change(bill_id=f"I-{month}", inputs=inputs(month, kwh, **changes))
    number = 1 + max(each.round for each in issued)
    return correct(issued, [changed], BOOKS, number=number, cause="late_actual", corrected_on=on)


def test_the_difference_is_priced_as_on_the_day_of_the_round() -> None:
    """40 kWh less at 0.60, billed at 0.50; the bill that is kept has its own prices."""
    issued = issue(300)
    done = run(issued, "2026-10", 260)
    assert summary(done) == [("I-2026-10", [("credit", "energy", -40_000, -2_400)])]
    assert done is not None
    line = done.bills[0].lines[0].line
    assert (line.price, line.basis, line.rule) == (
        "0.60", {"price_month": "2027-04"}, "test@2/home/energy",
    )  # fmt: skip
    assert "at the prices of 2027-04" in explain_line(line, "en")
    assert done.bills[0].corrected.bill.total_fen == 13_000
    before = run(issued, "2026-10", 260, on="2026-11-05")  # the third version at 0.40
    assert summary(before) == [("I-2026-10", [("credit", "energy", -40_000, -1_600)])]


def test_the_cascade_of_tiers_goes_by_the_same_prices() -> None:
    """600 and 500 kWh: 100 above the 1,000. With 700, 200 are: 100 kWh more at 0.60 and 0.10."""
    done = run(issue(600, 500), "2026-10", 700)
    assert summary(done) == [
        ("I-2026-10", [("debit", "energy", 100_000, 6_000)]),
        ("I-2026-11", [("debit", "tier.2", 100_000, 1_000)]),
    ]


def test_another_book_goes_by_its_own_prices() -> None:
    done = run(issue(300), "2026-10", 300, used="test@3")
    assert summary(done) == [
        (
            "I-2026-10",
            [("credit", "energy", -300_000, -15_000), ("debit", "energy", 300_000, 12_000)],
        )
    ]


def test_a_round_waits_for_the_book_of_its_day_and_for_what_that_can_rate() -> None:
    issued = issue(300)
    done = run(issued, "2026-10", 260, on="2028-04-05")
    assert done is not None
    assert (done.withheld, [each.rule for each in done.findings]) == (True, ["price_awaited"])
    assert apply_round(issued, done) == issued
    unpriced = replace(NEW, price_lists={"home": replace(NEW.price_lists["home"], calendar="x")})
    changed = Change(bill_id="I-2026-10", inputs=inputs("2026-10", 260))
    done = correct(
        issued, [changed], {**BOOKS, "test@2": unpriced},
        number=1, cause="late_actual", corrected_on=APRIL,
    )  # fmt: skip
    assert done is not None
    assert (done.withheld, [each.rule for each in done.findings]) == (True, ["periods_missing"])


@settings(max_examples=40)
@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=4), st.integers(0, 2_000))
def test_corrections_of_corrections_add_up_to_the_one_that_knew_the_end(
    steps: list[int], last: int
) -> None:
    """As long as the prices of their days are the same."""
    once = issue(600, 500, 300)
    direct = run(once, "2026-10", last)
    issued, total_fen = once, 0
    for kwh in (*steps, last):
        done = run(issued, "2026-10", kwh)
        if done is not None:
            total_fen += done.total_fen
            issued = apply_round(issued, done)
    assert total_fen == (direct.total_fen if direct is not None else 0)
    expected = apply_round(once, direct) if direct is not None else once
    assert [each.bill for each in issued] == [each.bill for each in expected]

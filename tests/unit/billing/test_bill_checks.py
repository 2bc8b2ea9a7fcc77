"""Checks before release: each hit with its numbers, and who must release."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.billing.bill import Finding
from services.billing.bill_checks import (
    AUTOMATIC,
    ONE_PERSON,
    TWO_PEOPLE,
    CheckHit,
    CheckRules,
    PastBill,
    RunTotal,
    check_bill,
    check_run,
    past_bill,
    release_of,
)
from services.billing.rating import rate
from tests.unit.billing.builders import book, point_usage, terms, usage

RULES = CheckRules()
BILL = rate(usage(), book(), terms())
PAST = past_bill(BILL)


def hits(energy_wh: int, *history: PastBill, rules: CheckRules = RULES) -> list[CheckHit]:
    bill = rate(usage(point_usage(import_wh=energy_wh)), book(), terms())
    return list(check_bill(bill, history or (PAST,), rules))


def test_history_keeps_days_energy_and_amount() -> None:
    assert PastBill(period="2026-01", days=31, energy_wh=100_000, total_fen=5_000) == PAST


def test_a_usual_bill_has_no_hit_and_is_released_by_itself() -> None:
    assert hits(100_000) == []
    assert release_of(hits(100_000)) == AUTOMATIC


def test_zero_is_a_hit() -> None:
    small = replace(PAST, energy_wh=1_000)
    assert hits(0, small) == [CheckHit(check="zero", observed=0, limit=0, unit="Wh")]
    assert release_of(hits(0, small)) == ONE_PERSON
    assert hits(0, small, rules=replace(RULES, zero=False)) == []


def test_a_negative_total_is_a_hit() -> None:
    bill = replace(BILL, total_fen=-7)
    expected = CheckHit(check="negative", observed=-7, limit=0, unit="fen")
    assert check_bill(bill, (PAST,), RULES) == (expected,)
    assert check_bill(bill, (PAST,), replace(RULES, negative=False)) == ()


def test_estimated_first_and_exchanged_are_hits() -> None:
    marked = replace(BILL, estimated=True, exchanged=True)
    found = check_bill(marked, (), RULES)
    assert [(each.check, each.observed, each.limit, each.unit) for each in found] == [
        ("estimated", 1, 0, "count"),
        ("first", 0, 1, "count"),
        ("after_exchange", 1, 0, "count"),
    ]
    off = replace(RULES, estimated=False, first=False, after_exchange=False)
    assert check_bill(marked, (), off) == ()


def test_days_whose_time_of_use_basis_is_in_doubt_are_a_hit() -> None:
    expected = CheckHit(check="tou_basis", observed=3, limit=0, unit="day")
    doubtful = replace(BILL, blocked_days=3)
    assert check_bill(doubtful, (PAST,), RULES) == (expected,)
    assert release_of((expected,)) == ONE_PERSON
    assert check_bill(doubtful, (PAST,), replace(RULES, tou_basis=False)) == ()


def test_every_warning_is_a_hit_with_its_text() -> None:
    warnings = (
        Finding(rule="class_mismatch", point="P1", text="wrong class"),
        Finding(rule="power_factor_undefined", point="", text="no energy"),
    )
    found = check_bill(replace(BILL, warnings=warnings), (PAST,), RULES)
    text = "P1: class_mismatch: wrong class"
    assert found[0] == CheckHit(check="warning", observed=1, limit=0, unit="count", text=text)
    assert found[1].text == "power_factor_undefined: no energy"
    assert (
        check_bill(replace(BILL, warnings=warnings), (PAST,), replace(RULES, warning=False)) == ()
    )


@pytest.mark.parametrize(
    ("energy_kwh", "is_hit"),
    [(200, False), (201, True), (50, False), (8, False), (7, True), (0, True)],
)
def test_a_jump_is_twice_or_half_the_daily_average_beyond_a_floor(
    energy_kwh: int, is_hit: bool
) -> None:
    """100 kWh in 31 days; the floor of 3 kWh a day is 93 kWh, so 8 kWh are no jump yet, 7 are."""
    found = [each.check for each in hits(energy_kwh * 1000)]
    assert ("jump" in found) == is_hit


def test_a_jump_names_its_numbers_per_day() -> None:
    """300 kWh in 31 days against 100: 9,677 Wh a day, limit 2 x 3,225.8 = 6,451."""
    expected = CheckHit(check="jump", observed=9_677, limit=6_451, unit="Wh/day")
    assert hits(300_000) == [expected]
    low = hits(400_000, replace(PAST, energy_wh=1_000_000))
    assert low == [CheckHit(check="jump", observed=12_903, limit=16_129, unit="Wh/day")]


def test_history_of_other_lengths_is_compared_by_the_day() -> None:
    year = [PastBill(period="", days=30, energy_wh=90_000, total_fen=0)] * 3
    assert hits(180_000, *year) == []
    assert [each.check for each in hits(190_000, *year)] == ["jump"]


def test_a_withheld_bill_is_not_checked() -> None:
    with pytest.raises(AssertionError, match="withheld"):
        check_bill(replace(BILL, withheld=True), (), RULES)


LAST = RunTotal(period="2025-12", bills=1_000, total_fen=1_000_000)


@pytest.mark.parametrize(
    ("total_fen", "limit_fen"),
    [(799_999, 800_000), (800_000, None), (1_250_000, None), (1_250_001, 1_250_000)],
)
def test_the_total_of_a_run_has_a_band(total_fen: int, limit_fen: int | None) -> None:
    run = RunTotal(period="2026-01", bills=1_000, total_fen=total_fen)
    found = check_run(run, LAST, RULES)
    if limit_fen is None:
        assert found == ()
    else:
        expected = CheckHit(check="run_total", observed=total_fen, limit=limit_fen, unit="fen")
        assert found == (expected,)
        assert release_of((), found) == release_of(hits(0), found) == TWO_PEOPLE


def test_a_first_run_is_released_by_people() -> None:
    run = RunTotal(period="2026-01", bills=1, total_fen=5)
    expected = CheckHit(check="run_first", observed=5, limit=0, unit="fen")
    assert check_run(run, None, RULES) == (expected,)

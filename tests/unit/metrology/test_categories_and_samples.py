"""Categories of both editions at their bounds; sample plans at theirs."""

from __future__ import annotations

import pytest

from libs.events.errors import BadInput
from services.metrology.metering_category import (
    EDITION_2000,
    EDITION_2016,
    MeteringPoint,
    classify,
)
from services.metrology.sample_plan import SamplePlan, accept, plan_for


@pytest.mark.parametrize(
    ("energy_wh", "capacity_va", "category"),
    [
        (5_000_000_000, None, "I"),
        (4_999_999_999, None, "II"),
        (1_000_000_000, None, "II"),
        (999_999_999, None, "III"),
        (100_000_000, None, "III"),
        (99_999_999, None, "IV"),
        (None, 10_000_000, "I"),
        (None, 9_999_999, "II"),
        (None, 2_000_000, "II"),
        (None, 1_999_999, "III"),
        (None, 315_000, "III"),
        (None, 314_999, "IV"),
        (0, 2_000_000, "II"),  # the higher one counts
        (5_000_000_000, 100_000, "I"),
    ],
)
def test_the_edition_of_2000(energy_wh: int | None, capacity_va: int | None, category: str) -> None:
    point = MeteringPoint(phases=3, monthly_energy_wh=energy_wh, capacity_va=capacity_va)
    assert classify(point) == category
    one = MeteringPoint(phases=1, monthly_energy_wh=energy_wh, capacity_va=capacity_va)
    assert classify(one, EDITION_2000) == "V"


@pytest.mark.parametrize(
    ("voltage_v", "category"),
    [
        (500_000, "I"),
        (220_000, "I"),
        (110_000, "II"),
        (66_000, "II"),
        (35_000, "III"),
        (10_000, "III"),
        (380, "IV"),
        (220, "V"),
    ],
)
def test_the_edition_of_2016_goes_by_voltage(voltage_v: int, category: str) -> None:
    assert classify(MeteringPoint(phases=3, voltage_v=voltage_v), EDITION_2016) == category


@pytest.mark.parametrize(
    ("point", "field"),
    [
        (MeteringPoint(phases=2, capacity_va=1), "phases"),
        (MeteringPoint(phases=3), "monthly_energy_wh"),
        (MeteringPoint(phases=3, capacity_va=-1), "capacity_va"),
    ],
)
def test_what_cannot_be_classified_is_named(point: MeteringPoint, field: str) -> None:
    with pytest.raises(BadInput) as caught:
        classify(point)
    assert caught.value.field == field
    with pytest.raises(BadInput, match="dlt-448-2016 needs voltage_v"):
        classify(MeteringPoint(phases=3, capacity_va=1), EDITION_2016)


@pytest.mark.parametrize(
    ("batch", "n", "c"),
    [
        (1, 1, 0),
        (13, 13, 0),
        (150, 13, 0),
        (151, 50, 1),
        (500, 50, 1),
        (600, 80, 2),
        (1_201, 125, 3),
        (10_000, 200, 5),
        (150_000, 500, 10),
    ],
)
def test_the_plan_of_a_batch(batch: int, n: int, c: int) -> None:
    assert plan_for(batch) == SamplePlan(batch=batch, n=n, c=c)


@pytest.mark.parametrize(
    ("verified", "failed", "verdict", "reason"),
    [
        (80, 2, "accepted", "2 failed of 80, at most 2 may"),
        (80, 3, "rejected", "3 failed, at most 2 may"),
        (79, 2, "incomplete", "79 of 80 are verified"),
        (3, 3, "rejected", "3 failed, at most 2 may"),
    ],
)
def test_acceptance(verified: int, failed: int, verdict: str, reason: str) -> None:
    found = accept(plan_for(600), verified, failed)
    assert (found.verdict, found.reason) == (verdict, reason)


def test_impossible_batches_and_counts_are_named() -> None:
    for call, field in (
        (lambda: plan_for(0), "batch"),
        (lambda: plan_for(150_001), "batch"),
        (lambda: accept(plan_for(10), 5, 6), "failed"),
        (lambda: accept(plan_for(10), 5, -1), "failed"),
        (lambda: accept(plan_for(10), 11, 0), "verified"),
    ):
        with pytest.raises(BadInput) as caught:
            call()
        assert caught.value.field == field

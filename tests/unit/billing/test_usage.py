"""Splitting a usage by days loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.billing.usage import split_usage
from tests.unit.billing.builders import point_usage, usage

ENERGY = st.integers(0, 10**9)


def test_a_split_is_by_days() -> None:
    """10 of 31 days of 310 kWh are 100; of 31 kvarh 10; the demand is the month's in both."""
    taken = point_usage(
        import_wh=310_000,
        import_wh_by_rate={"1": 31_000, "2": 279_000},
        export_wh=31,
        export_wh_by_rate={"1": 31},
        reactive_varh={"1": 31_000},
        demand_w=7_000,
        blocked_days=12,
    )
    before, after = split_usage(usage(taken), "2026-01-11")
    assert (before.from_on, before.until_on) == ("2026-01-01", "2026-01-11")
    assert (after.from_on, after.until_on) == ("2026-01-11", "2026-02-01")
    assert (before.cycle_from_on, after.cycle_until_on) == ("2026-01-01", "2026-02-01")
    first, rest = before.points[0], after.points[0]
    assert (first.import_wh, first.import_wh_by_rate) == (100_000, {"1": 10_000, "2": 90_000})
    assert (rest.import_wh, rest.import_wh_by_rate) == (210_000, {"1": 21_000, "2": 189_000})
    assert (first.export_wh, first.export_wh_by_rate, rest.export_wh) == (10, {"1": 10}, 21)
    assert (first.reactive_varh, rest.reactive_varh) == ({"1": 10_000}, {"1": 21_000})
    assert first.demand_w == rest.demand_w == 7_000
    assert (first.blocked_days, rest.blocked_days) == (10, 2)
    assert first.prorated
    assert rest.prorated


def test_points_that_lie_on_one_side_are_not_split() -> None:
    early = point_usage("P1", until_on="2026-01-11")
    late = point_usage("P2", from_on="2026-01-11")
    before, after = split_usage(usage(early, late), "2026-01-11")
    assert (before.points, after.points) == ((early,), (late,))
    assert not early.prorated


@pytest.mark.parametrize("on", ["2026-01-01", "2026-02-01", "2025-12-31"])
def test_a_day_outside_is_a_bug(on: str) -> None:
    with pytest.raises(AssertionError, match="not between"):
        split_usage(usage(), on)


@given(st.integers(2, 31), ENERGY, st.dictionaries(st.sampled_from("1234"), ENERGY))
def test_nothing_is_lost(day: int, total: int, rates: dict[str, int]) -> None:
    taken = point_usage(
        import_wh=total, import_wh_by_rate=rates, export_wh=total, reactive_varh=rates
    )
    parts = split_usage(usage(taken), f"2026-01-{day:02d}")
    first, rest = (part.points[0] for part in parts)
    assert first.import_wh + rest.import_wh == first.export_wh + rest.export_wh == total
    for rate, energy in rates.items():
        assert first.import_wh_by_rate[rate] + rest.import_wh_by_rate[rate] == energy
        assert first.reactive_varh[rate] + rest.reactive_varh[rate] == energy
    assert min(first.import_wh, rest.import_wh) >= 0

"""The benchmark compares two paths that say the same, on days of which some are wrong."""

from __future__ import annotations

from bench.vee_check import check_both, sample_days


def test_the_days_are_drawn_alike_and_have_faults() -> None:
    assert sample_days(100, 7) == sample_days(100, 7)
    assert sample_days(100, 7) != sample_days(100, 8)


def test_both_paths_find_the_same_and_something() -> None:
    screened, plain = check_both(sample_days(300, 1))
    assert screened() == plain()
    assert any(plain())

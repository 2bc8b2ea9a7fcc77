"""The benchmark of the screen runs, and both paths agree on its days."""

from __future__ import annotations

import pytest

from bench.vee_check import main, sample_days
from services.validation.interval_day import interval_hits
from services.validation.rule_book_file import default_rule_book


def test_the_benchmark_compares_both_paths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["vee_check", "--days", "200", "--rounds", "1"])
    assert main() == 0
    lines = capsys.readouterr().out.splitlines()
    # In each of two hundreds of days a gap, and a spike that is a step and a new peak too.
    assert lines[-1].split() == ["hits", "8,", "the", "same"]
    assert "19200 values" in lines[1]


def test_the_days_of_the_benchmark_are_mostly_good() -> None:
    days = sample_days(100, 1)
    rules = default_rule_book().rules
    assert sum(bool(interval_hits(day, rules)) for day in days) == 2

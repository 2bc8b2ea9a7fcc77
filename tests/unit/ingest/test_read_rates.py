"""Remote-read KPIs: deadlines, groups, who stands out, and laws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.events.errors import BadInput
from libs.read_success import ReadRate, add_rates
from services.ingest.read_rates import (
    DEFAULT_KPI_RULES,
    ExpectedRead,
    KpiRules,
    Outlier,
    below_target,
    outcome,
    outliers,
    read_rates,
)

DAY = "2026-01-31"
RULES = DEFAULT_KPI_RULES


def expected(number: int, collected_at: str = "", **more: object) -> ExpectedRead:
    values = {"attempts": 1 if collected_at else 0} | more
    return ExpectedRead(
        usage_point=f"P{number}",
        day_on=DAY,
        collected_at=collected_at,
        **values,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("collected_at", "attempts", "expected_outcome"),
    [
        ("", 0, (False, False, False)),
        ("2026-01-31T16:00:00Z", 1, (True, True, True)),
        ("2026-01-31T16:30:00Z", 1, (True, True, True)),
        ("2026-01-31T16:30:01Z", 1, (False, True, True)),
        ("2026-01-31T16:05:00Z", 2, (False, True, True)),
        ("2026-02-01T00:00:00Z", 3, (False, True, True)),
        ("2026-02-01T00:00:01Z", 3, (False, False, True)),
        ("2026-02-01T16:00:00Z", 9, (False, False, True)),
        ("2026-02-01T16:00:01Z", 9, (False, False, False)),
        ("2026-02-05T00:00:00Z", 9, (False, False, False)),
    ],
)
def test_a_deadline_itself_is_in_time(
    collected_at: str, attempts: int, expected_outcome: tuple[bool, bool, bool]
) -> None:
    assert outcome(expected(1, collected_at, attempts=attempts), RULES) == expected_outcome


def test_rates_are_rounded_down_by_day_and_group() -> None:
    early, late = "2026-01-31T16:10:00Z", "2026-01-31T20:00:00Z"
    reads = [
        expected(1, early, concentrator="C1"),
        expected(2, late, concentrator="C1"),
        expected(3, "", concentrator="C1"),
        expected(4, early, concentrator="C2"),
    ]
    (whole,) = read_rates(reads, "", RULES)
    assert (whole.expected, whole.once, whole.on_time, whole.freeze, whole.missing) == (
        4,
        2,
        3,
        3,
        1,
    )
    first, second = read_rates(reads, "concentrator", RULES)
    assert (first.key, first.rate_e2_pct("once"), first.rate_e2_pct("freeze")) == ("C1", 3333, 6666)
    assert (second.key, second.rate_e2_pct("on_time")) == ("C2", 10_000)
    assert first.shown() == {
        "expected": 3,
        "once": 1,
        "on_time": 2,
        "freeze": 2,
        "missing": 1,
        "once_pct": "33.33",
        "on_time_pct": "66.66",
        "freeze_pct": "66.66",
    }
    assert below_target(whole, RULES) == ("freeze",)
    assert below_target(second, RULES) == ()
    assert below_target(whole, KpiRules(once_least_e2_pct=5_000, freeze_least_e2_pct=7_500)) == ()


def rate(key: str, count: int, freeze: int) -> ReadRate:
    return ReadRate(day_on=DAY, key=key, expected=count, once=0, on_time=0, freeze=freeze)


def test_a_bad_radio_is_visible() -> None:
    rates = [rate("C1", 300, 299), rate("C2", 300, 250), rate("C3", 400, 397)]
    assert outliers([*rates, rate("C2", 300, 260)], RULES) == (
        Outlier(
            key="C2",
            expected=600,
            missing=90,
            missing_e2_pct=1_500,
            peers_expected=700,
            peers_missing=4,
            peers_missing_e2_pct=57,
            share_of_missing_e2_pct=9_574,
        ),
    )


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ([rate("A", 100, 0)], []),  # no peers
        ([rate("A", 100, 97), rate("B", 100, 99)], []),  # exactly three times as many
        ([rate("A", 100, 96), rate("B", 100, 99)], ["A"]),
        ([rate("A", 10, 8), rate("B", 10, 10)], []),  # two missing are too few
        ([rate("A", 10, 7), rate("B", 10, 10)], ["A"]),  # peers miss nothing
        ([rate("A", 10, 7), rate("B", 10, 5), rate("C", 1000, 1000)], ["B", "A"]),
        ([rate("A", 10, 5), rate("B", 10, 5), rate("C", 1000, 1000)], ["A", "B"]),
    ],
)
def test_who_stands_out(rates: list[ReadRate], found: list[str]) -> None:
    assert [each.key for each in outliers(rates, RULES)] == found


def test_what_is_wrong_is_refused() -> None:
    with pytest.raises(BadInput, match="count from 1"):
        expected(1, "2026-02-01T00:00:00Z", attempts=0)
    with pytest.raises(BadInput, match="before the end of"):
        expected(1, "2026-01-31T15:59:59Z")
    with pytest.raises(BadInput, match="'city' is not known"):
        read_rates([], "city", RULES)
    with pytest.raises(BadInput, match="out of range"):
        KpiRules(freeze_least_e2_pct=10_001)


READS = st.lists(
    st.builds(
        expected,
        st.integers(1, 10**6),
        st.sampled_from(
            ("", "2026-01-31T16:10:00Z", "2026-01-31T20:00:00Z", "2026-02-03T16:00:00Z")
        ),
        model=st.sampled_from("ABC"),
    ),
    min_size=1,
)


@given(READS)
def test_rates_lie_between_0_and_100_and_groups_add_up(reads: list[ExpectedRead]) -> None:
    groups = read_rates(reads, "model", RULES)
    (whole,) = read_rates(reads, "", RULES)
    for name in ("expected", "once", "on_time", "freeze"):
        assert sum(getattr(group, name) for group in groups) == getattr(whole, name)
    for found in (whole, *groups):
        rates = [found.rate_e2_pct(name) for name in ("once", "on_time", "freeze")]
        assert 0 <= rates[0] <= rates[1] <= rates[2] <= 10_000
    assert read_rates(reversed(reads), "model", RULES) == groups
    twice = add_rates(add_rates({}, groups), groups)
    assert sum(each.expected for each in twice.values()) == 2 * len(reads)

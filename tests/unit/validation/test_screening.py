"""The vectorised screen against the plain rules: the same findings, and no rule called in vain.

Goal: `screened_hits` equals `interval_hits` of every day, and `suspects` names exactly the pairs
that hit. Method: examples at each threshold, and days made by hypothesis of values around the
thresholds, gaps, outages, inactive times, several block lengths in one batch, and huge numbers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.interval_day import (
    INTERVAL_RULES,
    IntervalDay,
    interval_findings,
    interval_hits,
)
from services.validation.rule_book import rule_set_for
from services.validation.rule_set import RuleSettings
from services.validation.screening import screened_hits, suspects

RULES = rule_set_for(DEFAULT_RULE_BOOK, "residential", "remote_profile").rules


def day(*energies_wh: int | None, **changes: Any) -> IntervalDay:
    """A day of 15-minute intervals."""
    ends = tuple(f"{index:04}" for index in range(len(energies_wh)))
    return IntervalDay(ends_at=ends, energies_wh=energies_wh, **changes)


def names(given: IntervalDay, rules: dict[str, RuleSettings] = RULES) -> tuple[str, ...]:
    """What the screen names of a day, after checking that the plain rules find just that."""
    plain = interval_hits(given, rules)
    assert screened_hits((given,), rules) == (plain,)
    found = tuple(rule for _, rule in suspects((given,), rules))
    assert found == tuple(each.rule for each in plain)
    return found


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (day(1, 2, 3), ()),
        (day(1, None, 3), ("missing",)),
        (day(1, None, 3, outage=frozenset({1})), ()),
        (day(None, None), ("missing",)),
        # spike: 180 % above 500 is 1400; the floor is 1000
        (day(1400, 500, 500), ()),
        (day(1401, 500, 500), ("spike",)),
        (day(1000, 0, 0, before_wh=100), ("spike",)),
        (day(5000, 0, 0, before_wh=100), ("spike", "demand_step")),
        (day(999, 0, 0, before_wh=100), ()),
        (day(90_000, None, 0, capacity_w=0, before_wh=80_000), ("missing",)),
        (day(90_000, 1), ()),
        # step: 1000 % above 100 is 1100; the floor is 1000
        (day(100, 1100), ()),
        (day(100, 1101), ("demand_step",)),
        (day(99, 1098), ()),
        (day(1101, before_wh=100), ("demand_step",)),
        (day(1101, before_wh=100, outage=frozenset({0})), ()),
        (day(-100, 1001), ("demand_step", "negative_interval")),
        # peak: 300 % above 500 is 2000
        (day(1, 2000, 2000, 2000, before_peak_wh=500, before_wh=1), ("demand_step",)),
        (day(2000, 2000, 2000, before_peak_wh=500), ()),
        (day(2001, 2001, 2001, before_peak_wh=500), ("historical_peak",)),
        (day(2001, 2001, before_peak_wh=500, outage=frozenset({0, 1})), ()),
        (day(1000, before_peak_wh=0), ("historical_peak",)),
        (day(999, before_peak_wh=0), ()),
        # zeros: a day of 1440 minutes
        (day(0, 5, zero_minutes_before=1425), ("zero_run",)),
        (day(0, 5, zero_minutes_before=1424), ()),
        (day(5, 0, zero_minutes_before=9999), ()),
        (day(*[0] * 96), ("zero_run",)),
        (day(*[0] * 95, 1), ()),
        (day(*[0] * 48, minutes=30), ("zero_run",)),
        (day(*[0] * 96, outage=frozenset({40})), ()),
        (day(0), ()),
        (day(5, -1, 5), ("negative_interval",)),
        (day(5, 1, 5, inactive=frozenset({1})), ("inactive_usage",)),
        (day(5, 0, 5, inactive=frozenset({1})), ()),
        (day(5, None, 5, inactive=frozenset({1})), ("missing",)),
        # capacity: 4 kW x 1.5 x 15 minutes = 1500 Wh
        (day(1500, 1500, capacity_w=4000), ()),
        (day(1501, 1500, capacity_w=4000), ("capacity",)),
        (day(None, 1500, capacity_w=4000), ("missing",)),
        (day(10**9, 10**9, capacity_w=10**15), ()),
        (day(10**9, 10**9, capacity_w=10**30), ()),
        (day(), ()),
        (day(10**30, 10**30, 10**30), ()),
        (day(10**30, 5, 5), ("spike",)),
        (day(5, -(10**30), 5), ("demand_step", "negative_interval")),
        (day(5, 5, before_peak_wh=10**40), ()),
        (day(0, 0, zero_minutes_before=10**40), ("zero_run",)),
    ],
)
def test_examples_at_the_thresholds(given: IntervalDay, found: tuple[str, ...]) -> None:
    plain = interval_hits(given, RULES)
    assert tuple(each.rule for each in plain) == found
    assert screened_hits((given,), RULES) == (plain,)
    named = tuple(rule for _, rule in suspects((given,), RULES))
    is_huge = not given.energies_wh or "0" * 30 in str(given)
    assert named == (tuple(INTERVAL_RULES) if is_huge and given.capacity_w == 0 else found)


def test_rules_that_are_off_are_not_screened() -> None:
    off = {rule: replace(settings, severity="off") for rule, settings in RULES.items()}
    bad = day(None, -5, 90_000, 0)
    assert interval_findings(bad, off) == ()
    assert tuple(suspects((bad,), off)) == ()
    only = off | {"negative_interval": RULES["negative_interval"]}
    assert names(bad, only) == ("negative_interval",)


def test_a_batch_of_several_block_lengths_keeps_its_order() -> None:
    batch = (
        day(*[5] * 96),
        day(*[-1] * 24, minutes=60),
        day(*[5] * 95, None),
        day(*[5] * 23, None, minutes=60),
        day(*[5] * 92),
    )
    assert tuple(suspects(batch, RULES)) == (
        (1, "negative_interval"),
        (2, "missing"),
        (3, "missing"),
    )
    assert screened_hits(batch, RULES) == tuple(interval_hits(each, RULES) for each in batch)
    assert screened_hits((), RULES) == ()


def test_thresholds_that_no_number_reaches() -> None:
    huge = {
        rule: replace(settings, parameters=dict.fromkeys(settings.parameters, 10**15))
        for rule, settings in RULES.items()
    }
    beyond = day(1, 0, 90_000, before_peak_wh=1, zero_minutes_before=5)
    # Products with such a tolerance could leave int64: the plain rules look at everything.
    assert tuple(suspects((beyond,), huge)) == tuple((0, rule) for rule in INTERVAL_RULES)
    assert screened_hits((beyond,), huge) == ((),)
    assert names(day(1, 0, 900, before_peak_wh=1, zero_minutes_before=5), huge) == ()


NEAR = st.sampled_from((0, 1, 99, 100, 357, 999, 1000, 1001, 1099, 1100, 1101, 2800, 2801, 4000))
VALUES = st.one_of(
    NEAR, st.integers(-50, 5000), st.none(), st.sampled_from((-1, 2**62, -(2**63), 2**70))
)


@st.composite
def interval_days(draw: st.DrawFn) -> IntervalDay:
    """A short day; its length need not be that of a day."""
    energies = draw(st.lists(st.one_of(NEAR, NEAR, NEAR, VALUES), max_size=12))
    indices = st.frozensets(st.sampled_from(range(len(energies))) if energies else st.nothing())
    return day(
        *energies,
        minutes=draw(st.sampled_from((1, 15, 30, 60))),
        outage=draw(indices),
        inactive=draw(indices),
        before_wh=draw(VALUES),
        before_peak_wh=draw(VALUES),
        zero_minutes_before=draw(st.sampled_from((0, 1, 30, 1380, 1395, 1425, 1440))),
        capacity_w=draw(st.sampled_from((0, 1, 2666, 2667, 4000, 10**12))),
    )


@given(st.lists(interval_days(), max_size=8))
def test_the_screen_finds_what_the_plain_rules_find(batch: list[IntervalDay]) -> None:
    assert screened_hits(batch, RULES) == tuple(interval_hits(each, RULES) for each in batch)


@given(
    st.lists(interval_days(), max_size=4),
    st.integers(0, 400),
    st.sampled_from((0, 1, 1000, 1001)),
    st.integers(0, 60),
)
def test_with_other_thresholds_too(
    batch: list[IntervalDay], tolerance: int, floor: int, minutes: int
) -> None:
    changed = {"tolerance_pct": tolerance, "floor_wh": floor, "run_minutes": minutes}
    rules = {
        rule: replace(
            settings, parameters=settings.parameters | {
                name: value for name, value in changed.items() if name in settings.parameters
            },
        )
        for rule, settings in RULES.items()
    }  # fmt: skip
    assert screened_hits(batch, rules) == tuple(interval_hits(each, rules) for each in batch)

"""How many interval values one core puts through the interval rules of the default rule set.

Both paths judge the same days in the same run: the plain functions on every day, and the vectorised
screen with the plain functions on what it names. The days are plain tuples, as a decoder gives
them, so the conversion into a matrix is part of the time. One day in a hundred has a gap, one in a
hundred a spike.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence

from bench.figures import Figure
from services.validation.default_rules import DEFAULT_RULE_BOOK
from services.validation.finding import Finding
from services.validation.interval_day import IntervalDay, interval_hits
from services.validation.profile import interval_ends
from services.validation.rule_book import REMOTE_PROFILE, rule_set_for
from services.validation.screening import screened_hits

BATCH_DAYS = 1000
"""Days of one pass: their matrix stays in the cache."""

DAYS, SEED, AIM = 10_000, 1, 1_000_000
Hits = tuple[tuple[Finding, ...], ...]
Check = Callable[[], Hits]


def sample_days(count: int, seed: int) -> list[IntervalDay]:
    """Days of 96 intervals of a household, some of them wrong."""
    draw = random.Random(seed)
    ends_at = interval_ends("2026-03-01", 15)
    days = []
    for number in range(count):
        energies: list[int | None] = [draw.randrange(100, 300) for _ in ends_at]
        if number % 100 == 1:
            energies[draw.randrange(96)] = None
        if number % 100 == 2:
            energies[draw.randrange(96)] = 9_000
        days.append(
            IntervalDay(
                ends_at=ends_at,
                energies_wh=tuple(energies),
                before_wh=200,
                before_peak_wh=300,
                capacity_w=60_000,
            )
        )
    return days


def check_both(days: Sequence[IntervalDay]) -> tuple[Check, Check]:
    """The screened and the plain way to judge the same days."""
    rules = rule_set_for(DEFAULT_RULE_BOOK, "residential", REMOTE_PROFILE).rules
    batches = [days[first : first + BATCH_DAYS] for first in range(0, len(days), BATCH_DAYS)]

    def screened() -> Hits:
        return tuple(hits for batch in batches for hits in screened_hits(batch, rules))

    def plain() -> Hits:
        return tuple(interval_hits(day, rules) for day in days)

    return screened, plain


def figures() -> Iterator[Figure]:
    """Both paths, after a look that their answers are the same."""
    days = sample_days(DAYS, SEED)
    screened, plain = check_both(days)
    assert screened() == plain(), "the screen found something else"
    count = sum(len(day.energies_wh) for day in days)
    yield Figure("screened", "values/s", count, screened, "the plain functions", plain, AIM)

"""How many interval values one core puts through the interval rules of the default rule set.

python -m bench.vee_check [--days 10000] [--rounds 7]

Both paths judge the same days in the same run: the plain functions on every day, and the vectorised
screen with the plain functions on what it names. The days are plain tuples, as a decoder gives
them, so the conversion into a matrix is part of the time. One day in a hundred has a gap, one in a
hundred a spike. Printed are the medians of the rounds; both answers are compared.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import Callable

from services.validation.finding import Finding
from services.validation.interval_day import IntervalDay, interval_hits
from services.validation.profile import interval_ends
from services.validation.rule_book import REMOTE_PROFILE, rule_set_for
from services.validation.rule_book_file import default_rule_book
from services.validation.screening import screened_hits

BATCH_DAYS = 1000
"""Days of one pass: their matrix stays in the cache."""

Hits = tuple[tuple[Finding, ...], ...]


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


def seconds(check: Callable[[], Hits], rounds: int) -> tuple[float, Hits]:
    """The median of the processor seconds of some rounds, and the answer."""
    times: list[float] = []
    answer: Hits = ()
    for _ in range(rounds):
        begin = time.process_time()
        answer = check()
        times.append(time.process_time() - begin)
    return statistics.median(times), answer


def processor() -> str:
    """The name of the processor, where the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((x.partition(":")[2].strip() for x in lines if "model name" in x), "")
    except OSError:
        return platform.processor()


def main() -> int:
    """Measure both paths; status 1 when their answers differ."""
    options = argparse.ArgumentParser(description="Interval values through the default rules.")
    options.add_argument("--days", type=int, default=10_000)
    options.add_argument("--rounds", type=int, default=7)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    days = sample_days(given.days, given.seed)
    rules = rule_set_for(default_rule_book(), "residential", REMOTE_PROFILE).rules
    batches = [days[first : first + BATCH_DAYS] for first in range(0, len(days), BATCH_DAYS)]
    plain_s, plain = seconds(lambda: tuple(interval_hits(day, rules) for day in days), given.rounds)
    fast_s, fast = seconds(
        lambda: tuple(hits for batch in batches for hits in screened_hits(batch, rules)),
        given.rounds,
    )
    values = sum(len(day.energies_wh) for day in days)
    print(f"{platform.system()} {platform.machine()}, {os.cpu_count()} x {processor()}")
    print(f"Python {platform.python_version()}, {values} values, median of {given.rounds} rounds")
    print(f"plain     {round(values / plain_s):>12,} values/s/core")
    print(f"screened  {round(values / fast_s):>12,} values/s/core, {plain_s / fast_s:.1f} x plain")
    print(f"hits      {sum(map(len, fast))}, {'the same' if fast == plain else 'DIFFERENT'}")
    return 0 if fast == plain else 1


if __name__ == "__main__":
    sys.exit(main())

"""Remote-read KPIs: once-read, on-time and day-freeze success, and who pulls them down.

    once     the first attempt brought the reading, not later than the first deadline
    on_time  the reading was there by the second deadline
    freeze   the day's freeze came at all before the day counts as closed

Each is a number of readings out of those expected (ingest.reading_ordered with attempt 1; collected
with its `attempts` and `read_at`; missing otherwise). A rate is rounded down: 100.00 means all.
The definitions are UNCONFIRMED (domain.md 5), therefore data with these defaults.

    rates = read_rates(reads, "concentrator", DEFAULT_KPI_RULES)
    outliers(rates, DEFAULT_KPI_RULES)[0].key       the concentrator with the bad radio
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.policy import UNCONFIRMED, Term, check_ranges
from libs.events.quantities import ceil_div, floor_div
from libs.read_success import (
    DAY_MIN,
    DEADLINE_TERMS,
    GROUPS,
    PERCENT_E2,
    RATES,
    ReadDeadlines,
    ReadRate,
    add_rates,
)
from services.ingest.days import day_end, parse_instant

MINUTE_S = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class KpiRules(ReadDeadlines):
    """What the KPIs are counted and judged by. KPI_TERMS says what each value means."""

    once_least_e2_pct: int = 0
    on_time_least_e2_pct: int = 0
    freeze_least_e2_pct: int = 9_900
    outlier_missing_least: int = 3
    outlier_factor: int = 3

    def __post_init__(self) -> None:
        check_ranges(self, KPI_TERMS)


_TARGET = f"{UNCONFIRMED}: domain.md 5 says 99 to 99.5 %"
KPI_TERMS: dict[str, Term] = {
    **DEADLINE_TERMS,
    "once_least_e2_pct": Term(
        "a day's once-read rate below this fails, 1/100 %; 0 judges nothing",
        f"{UNCONFIRMED}: no target is named",
        0,
        PERCENT_E2,
    ),
    "on_time_least_e2_pct": Term(
        "a day's on-time rate below this fails, 1/100 %; 0 judges nothing",
        f"{UNCONFIRMED}: no target is named",
        0,
        PERCENT_E2,
    ),
    "freeze_least_e2_pct": Term(
        "a day's freeze rate below this fails, 1/100 %", _TARGET, 0, PERCENT_E2
    ),
    "outlier_missing_least": Term(
        "fewer missing readings than this make nobody an outlier", f"{UNCONFIRMED}", 1, 10**9
    ),
    "outlier_factor": Term(
        "an outlier misses this many times the share that its peers miss",
        f"{UNCONFIRMED}",
        1,
        10**6,
    ),
}
"""What each number means and where it comes from."""

DEFAULT_KPI_RULES = KpiRules()


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedRead:
    """A day's reading that was expected, and whether it came: collected_at is "" when it did not;
    attempts: the one that brought it."""

    usage_point: str
    day_on: str
    concentrator: str = ""
    area: str = ""
    model: str = ""
    collected_at: str = ""
    attempts: int = 0

    def __post_init__(self) -> None:
        if self.collected_at and self.attempts < 1:
            raise BadInput("attempts", f"is {self.attempts}", "count from 1")
        if self.collected_at and parse_instant(self.collected_at) < parse_instant(
            day_end(self.day_on)
        ):
            problem = f"{self.collected_at} is before the end of {self.day_on}"
            raise BadInput("collected_at", problem, "give an instant in UTC after 24:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlier:
    """A group far below its peers: its share of the readings missing against that of all others,
    and how many of all missing readings are its own; 1/100 per cent, rounded down."""

    key: str
    expected: int
    missing: int
    missing_e2_pct: int
    peers_expected: int
    peers_missing: int
    peers_missing_e2_pct: int
    share_of_missing_e2_pct: int


def outcome(read: ExpectedRead, rules: KpiRules) -> tuple[bool, bool, bool]:
    """Whether a reading counts for once, on_time and freeze; a deadline itself is in time."""
    if not read.collected_at:
        return False, False, False
    late = parse_instant(read.collected_at) - parse_instant(day_end(read.day_on))
    minutes = ceil_div(late.days * DAY_MIN * MINUTE_S + late.seconds, MINUTE_S)
    freeze = minutes <= rules.freeze_until_min
    once = minutes <= rules.once_until_min and read.attempts <= rules.once_attempts_most
    return once, minutes <= rules.on_time_until_min, freeze


def read_rates(reads: Iterable[ExpectedRead], by: str, rules: KpiRules) -> tuple[ReadRate, ...]:
    """The rates of each day and group, sorted; `by` is one of GROUPS, or "" for all together."""
    if by and by not in GROUPS:
        raise BadInput("by", f"{by!r} is not known", f"one of {', '.join(GROUPS)}")
    counts: dict[tuple[str, str], list[int]] = {}
    for read in reads:
        key = (read.day_on, getattr(read, by) if by else "")
        found = counts.setdefault(key, [0, 0, 0, 0])
        for index, counted in enumerate((True, *outcome(read, rules))):
            found[index] += counted
    return tuple(ReadRate(day_on, key, *counts[day_on, key]) for day_on, key in sorted(counts))


def below_target(rate: ReadRate, rules: KpiRules) -> tuple[str, ...]:
    """The rates that are below their targets."""
    return tuple(
        name
        for name in RATES
        if getattr(rate, name) * PERCENT_E2 < getattr(rules, f"{name}_least_e2_pct") * rate.expected
    )


def outliers(rates: Iterable[ReadRate], rules: KpiRules) -> tuple[Outlier, ...]:
    """The groups that miss `outlier_factor` times the share their peers miss, the worst first.

    m of e readings missing against M of E among all others: m/e > factor x M/E, decided by
    cross-multiplication. One group alone has no peers and is never an outlier.
    """
    totals = add_rates({}, rates)
    expected = sum(rate.expected for rate in totals.values())
    missing = sum(rate.missing for rate in totals.values())
    found = []
    for rate in totals.values():
        peers, peers_missing = expected - rate.expected, missing - rate.missing
        if (
            not peers
            or rate.missing < rules.outlier_missing_least
            or rate.missing * peers <= rules.outlier_factor * peers_missing * rate.expected
        ):
            continue
        found.append(
            Outlier(
                key=rate.key,
                expected=rate.expected,
                missing=rate.missing,
                missing_e2_pct=floor_div(rate.missing * PERCENT_E2, rate.expected),
                peers_expected=peers,
                peers_missing=peers_missing,
                peers_missing_e2_pct=floor_div(peers_missing * PERCENT_E2, peers),
                share_of_missing_e2_pct=floor_div(rate.missing * PERCENT_E2, missing),
            )
        )
    return tuple(sorted(found, key=lambda each: (-each.missing_e2_pct, -each.missing, each.key)))

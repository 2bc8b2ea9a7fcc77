"""When a day's reading counts as read, and the rates counted by it, wherever they are counted.

`gridledger kpi` and the console's page must not differ by a reading (docs/adr/0011). Three rates of
the readings expected of a day, all UNCONFIRMED (domain.md 5), therefore data with these defaults:

    once     the first attempt brought the reading, not later than the first deadline
    on_time  the reading was there by the second deadline
    freeze   the day's freeze came at all before the day counts as closed

    ReadRate("2026-01-31", "0200-0001", 300, 240, 299, 299).rate_e2_pct("once")     8000
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from libs.events.policy import UNCONFIRMED, Term
from libs.events.quantities import floor_div

PERCENT_E2 = 10_000
DAY_MIN = 24 * 60
RATES = ("once", "on_time", "freeze")
GROUPS = ("concentrator", "area", "model")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadDeadlines:
    """When a reading counts. DEADLINE_TERMS says what each value means; who has more values checks
    them with its own."""

    once_attempts_most: int = 1
    once_until_min: int = 30
    on_time_until_min: int = 480
    freeze_until_min: int = 1_440


DEADLINE_TERMS: dict[str, Term] = {
    "once_attempts_most": Term(
        "a reading counts as read at once up to this attempt", f"{UNCONFIRMED}: the first", 1, 1_000
    ),
    "once_until_min": Term(
        "minutes after 24:00 until a reading counts as read at once",
        f"{UNCONFIRMED}: domain.md 5, 00:30",
        1,
        62 * DAY_MIN,
    ),
    "on_time_until_min": Term(
        "minutes after 24:00 until a reading counts as on time",
        f"{UNCONFIRMED}: domain.md 5, 08:00",
        1,
        62 * DAY_MIN,
    ),
    "freeze_until_min": Term(
        "minutes after 24:00 until a day's freeze counts as read",
        f"{UNCONFIRMED}: within a day",
        1,
        62 * DAY_MIN,
    ),
}


@dataclass(frozen=True, slots=True)
class ReadRate:
    """Counts of one group (key "" is all) on one day, or over several (day_on "")."""

    day_on: str
    key: str
    expected: int
    once: int
    on_time: int
    freeze: int

    @property
    def missing(self) -> int:
        """Readings that did not come in time to count as read."""
        return self.expected - self.freeze

    def rate_e2_pct(self, name: str) -> int:
        """One of RATES in 1/100 per cent, rounded down: 10000 means all."""
        return floor_div(getattr(self, name) * PERCENT_E2, self.expected)

    def shown(self) -> dict[str, int | str]:
        """The counts, and the rates in per cent with two decimals, as JSON has them."""
        names = ("expected", *RATES, "missing")
        counts: dict[str, int | str] = {name: getattr(self, name) for name in names}
        for name in RATES:
            whole, rest = divmod(self.rate_e2_pct(name), 100)
            counts[f"{name}_pct"] = f"{whole}.{rest:02}"
        return counts


def add_rates(totals: Mapping[str, ReadRate], rates: Iterable[ReadRate]) -> dict[str, ReadRate]:
    """The totals of each key with the rates of further days: memory grows with the keys only."""
    summed = dict(totals)
    for rate in rates:
        known = summed.get(rate.key) or ReadRate("", rate.key, 0, 0, 0, 0)
        summed[rate.key] = ReadRate(
            "",
            rate.key,
            known.expected + rate.expected,
            known.once + rate.once,
            known.on_time + rate.on_time,
            known.freeze + rate.freeze,
        )
    return summed

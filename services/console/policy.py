"""By what the console counts remote reading, and how far back it looks.

Its definitions are those of `gridledger kpi`, which take a file of their own (services never import
each other); all are configuration, none is a statute.

    DEFAULT_POLICY.once_until_min    30
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.policy import UNCONFIRMED, Term, check_ranges

DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """When a reading counts. TERMS says what each value means and where it comes from."""

    once_attempts_most: int = 1
    once_until_min: int = 30
    on_time_until_min: int = 480
    freeze_until_min: int = 1_440
    shown_days: int = 31
    shown_groups: int = 50

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
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
    "shown_days": Term("days that the page looks back", "a month, and its first day", 1, 62),
    "shown_groups": Term(
        "groups of each kind on the page, those that miss the largest share first",
        "what a person reads",
        1,
        10_000,
    ),
}

DEFAULT_POLICY = ReadRules()

"""By what the console counts remote reading, and how far back it looks.

Its definitions are those of `gridledger kpi`, which takes a file of its own; all are configuration,
none is a statute.

    DEFAULT_POLICY.once_until_min    30
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.policy import Term, check_ranges
from libs.read_success import DEADLINE_TERMS, ReadDeadlines


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules(ReadDeadlines):
    """When a reading counts. TERMS says what each value means and where it comes from."""

    shown_days: int = 31
    shown_groups: int = 50

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)


TERMS: dict[str, Term] = {
    **DEADLINE_TERMS,
    "shown_days": Term("days that the page looks back", "a month, and its first day", 1, 62),
    "shown_groups": Term(
        "groups of each kind on the page, those that miss the largest share first",
        "what a person reads",
        1,
        10_000,
    ),
}

DEFAULT_POLICY = ReadRules()

"""When a meter is due for its next verification, by accuracy class.

    next_due_on("2026-02-28", "0.2S", DEFAULT_CYCLES) == "2032-02-28"       # 72 months

The cycles are configuration (domain.md §4.1): 6 years for classes 0.2S and 0.5S, 8 years for 1 and
2; one source gives 6 years for class 1.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass, field
from datetime import date

from libs.events.errors import BadInput

MONTHS_PER_YEAR = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationCycles:
    """Months between verifications by accuracy class, with the source of each."""

    id: str
    version: int
    cycle_months: dict[str, int]
    sources: dict[str, str] = field(default_factory=dict)


DEFAULT_CYCLES = VerificationCycles(
    id="jjg-596-cycles",
    version=1,
    cycle_months={"0.2S": 72, "0.5S": 72, "1": 96, "2": 96},
    sources={
        "0.2S": "domain.md §4.1",
        "0.5S": "domain.md §4.1",
        "1": "UNCONFIRMED: 8 years; one source says 6",
        "2": "domain.md §4.1",
    },
)


def parse_day(text: str, field_name: str) -> date:
    """A day of the wire such as 2026-01-31; BadInput names the field."""
    if len(text) == len("2026-01-31"):
        try:
            return date.fromisoformat(text)
        except ValueError:
            pass
    raise BadInput(field_name, f"{text!r} is no date", "write it like 2026-01-31")


def next_due_on(verified_on: str, accuracy_class: str, cycles: VerificationCycles) -> str:
    """The last day on which a verification is still in time.

    The same day of the month after the cycle, or the last day of a shorter month. BadInput for a
    class without a cycle.
    """
    months = cycles.cycle_months.get(accuracy_class)
    if months is None:
        known = ", ".join(cycles.cycle_months)
        raise BadInput("accuracy_class", f"{accuracy_class!r} has no cycle", f"known are {known}")
    return later_by_months(verified_on, months, "verified_on")


def later_by_months(day: str, months: int, field_name: str = "day") -> str:
    """The same day of the month some months later, or the last day of a shorter month."""
    since = parse_day(day, field_name)
    year, month = divmod(since.year * MONTHS_PER_YEAR + since.month - 1 + months, 12)
    try:
        return date(year, month + 1, min(since.day, monthrange(year, month + 1)[1])).isoformat()
    except ValueError:
        raise BadInput(field_name, f"{day} is too late to count from", "correct the year") from None


def is_overdue(due_on: str, on: str) -> bool:
    """Whether a due date has passed; the due date itself is still in time."""
    return parse_day(on, "on") > parse_day(due_on, "due_on")

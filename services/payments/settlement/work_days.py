"""Days on which banks pay: Monday to Friday, but holidays, and the Saturdays worked for them.

China moves working days around its holidays by a yearly notice of the State Council; which days
those are is data (`holidays`, `workdays`), never known here.

Example: with 2026-02-16 to 2026-02-23 as holidays, the first working day after 2026-02-13 (Friday)
is 2026-02-24.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date, timedelta

SATURDAY = 5
STRETCH_DAYS_MOST = 60
"""More days off in a row are a slip of the pen in the data."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkCalendar:
    """`holidays` are off whatever day of the week they are, `workdays` are worked at weekends."""

    holidays: Collection[str] = field(default_factory=frozenset)
    workdays: Collection[str] = field(default_factory=frozenset)

    def is_worked(self, day_on: str) -> bool:
        """Whether banks pay on a day."""
        if day_on in self.workdays:
            return True
        return day_on not in self.holidays and date.fromisoformat(day_on).weekday() < SATURDAY

    def after(self, day_on: str, count: int) -> str:
        """The day `count` working days after a day."""
        day = date.fromisoformat(day_on)
        for _ in range(count):
            day = self._next(day)
        return day.isoformat()

    def _next(self, day: date) -> date:
        for ahead in range(1, STRETCH_DAYS_MOST + 1):
            later = day + timedelta(days=ahead)
            if self.is_worked(later.isoformat()):
                return later
        raise AssertionError(f"{STRETCH_DAYS_MOST} days off in a row after {day}")

"""What customers makes of others' facts. There is one: the clock's tick, which is a business day.

Everything that is published stands as of a day in the utility's zone, never as of an instant.
"""

from __future__ import annotations

from services.customers.days import day_of


def business_day(at: str) -> str:
    """The day in the utility's zone on which an input is decided."""
    return day_of(at)

"""When readings are asked for, asked again, judged missing, and when somebody must go.

All values are configuration with these defaults; none is a statute (domain.md §5 marks the targets
of reading success as unconfirmed).

    DEFAULT_POLICY.wait_min(1)    60
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.policy import Term, check_ranges

DAY_MIN = 24 * 60


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """When readings are asked for. TERMS says what each value means and where it comes from."""

    order_after_min: int = 10
    grace_min: int = 8 * 60
    retry_min: tuple[int, ...] = (60, 120, 240, 480, 1440)
    field_after_failures: int = 5
    field_again_days: int = 7
    give_up_days: int = 60
    profile_attempts: int = 3
    relay_settle_min: int = 5
    slot_table_days: int = 30
    unreachable_after_failures: int = 3
    contact_again_days: int = 7

    def __post_init__(self) -> None:
        check_ranges(self, TERMS)
        if not self.retry_min:
            raise BadInput("retry_min", "is empty", "give the minutes after the first attempt")

    def wait_min(self, attempt: int) -> int:
        """Minutes until the next attempt after attempt number `attempt` (from 1)."""
        return self.retry_min[min(attempt, len(self.retry_min)) - 1]


TERMS: dict[str, Term] = {
    "order_after_min": Term(
        "minutes after 24:00 until the day's freeze is asked for",
        "UNCONFIRMED: meters freeze at 24:00 by their own clocks",
        0,
        DAY_MIN,
    ),
    "grace_min": Term(
        "minutes after 24:00 until a day's reading counts as missing",
        "UNCONFIRMED: domain.md 5, the targets of reading success",
        1,
        7 * DAY_MIN,
    ),
    "retry_min": Term(
        "minutes to wait after the first, second, ... attempt; the last one is repeated",
        "UNCONFIRMED: longer and longer, so that a silent line is not flooded",
        1,
        30 * DAY_MIN,
    ),
    "field_after_failures": Term(
        "failed attempts in a row until a person is sent",
        "UNCONFIRMED: about two days of attempts",
        1,
        1_000,
    ),
    "field_again_days": Term(
        "days until somebody is sent again to a meter that a person has read",
        "UNCONFIRMED: a week",
        0,
        366,
    ),
    "give_up_days": Term(
        "so many days a meter holds its daily freezes; older ones are not asked for",
        "UNCONFIRMED: about two months, by what meters hold",
        1,
        62,
    ),
    "profile_attempts": Term(
        "how often a load profile is asked for", "UNCONFIRMED: bills do not need it", 1, 100
    ),
    "relay_settle_min": Term(
        "minutes until a relay that stands otherwise than we left it is told",
        "UNCONFIRMED: the outcome of a command may be on its way",
        0,
        DAY_MIN,
    ),
    "unreachable_after_failures": Term(
        "failed attempts in a row until control is told that a meter does not answer",
        "UNCONFIRMED: some hours of attempts, so that one lost frame tells nothing",
        1,
        1_000,
    ),
    "contact_again_days": Term(
        "after so many days of readings control is told again up to when they are in",
        "UNCONFIRMED: once a week; less than control lets readings be old",
        1,
        62,
    ),
    "slot_table_days": Term(
        "so often the slot table of a meter with rates is read again; days",
        "UNCONFIRMED: once a month, and at once when a meter is new",
        1,
        366,
    ),
}
"""What each value means and where it comes from."""

DEFAULT_POLICY = ReadingPolicy()

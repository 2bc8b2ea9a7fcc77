"""When readings are asked for, asked again, judged missing, and when somebody must go.

All values are configuration with these defaults; none is a statute (domain.md §5 marks the targets
of reading success as unconfirmed).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadingPolicy:
    """order_after_min: minutes after 24:00 until the day's freeze is asked for; grace_min: minutes
    after 24:00 until it counts as missing; retry_min: minutes to wait after the n-th attempt, the
    last one repeated; field_after_failures: failed attempts in a row until a person is sent;
    field_again_days: for so long nobody is sent again to a meter that a person has read;
    give_up_days: how long a meter holds its daily freezes; profile_attempts: how often a load
    profile is asked for; relay_settle_min: minutes until a relay that stands otherwise than we
    left it is told: the outcome of a command may be on its way."""

    order_after_min: int = 10
    grace_min: int = 8 * 60
    retry_min: tuple[int, ...] = (60, 120, 240, 480, 1440)
    field_after_failures: int = 5
    field_again_days: int = 7
    give_up_days: int = 60
    profile_attempts: int = 3
    relay_settle_min: int = 5

    def wait_min(self, attempt: int) -> int:
        """Minutes until the next attempt after attempt number `attempt` (from 1)."""
        return self.retry_min[min(attempt, len(self.retry_min)) - 1]


DEFAULT = ReadingPolicy()

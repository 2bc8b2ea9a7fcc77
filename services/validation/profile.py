"""A load profile: 97 snapshots of one register make 96 interval energies, labelled by their ends.

The snapshots are the truth; an interval is a difference of two of them, so the intervals add up to
the register delta by construction. A missing snapshot spoils the two intervals around it; what was
used across such a gap is still known from its ends and is kept as the gap's usage. Which interval
falls into which tariff period is decided elsewhere, by the usage point's calendar.

    block = interval_block(profile, installed)
    sum of block.usages + sum of the gaps' usages == block.register_delta
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from libs.events.errors import BadInput
from services.validation.instant import UTC_OFFSET_MINUTES, day_start, format_instant
from services.validation.register_usage import Installation, plausible_usage, segment

MINUTES_PER_DAY = 1440
MISSING = "missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The snapshots of one register of one meter over a day: 97 for 15 minutes, the first at 00:00
    and the last at 24:00; None where the meter or the concentrator had none."""

    day_on: str
    register: str
    meter_no: str
    snapshots: tuple[int | None, ...]
    interval_minutes: int = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Consecutive intervals (indices, both included) whose single energies are not known.

    `usage` is what was used over all of them, None when the gap has an open end or the register
    fell across it.
    """

    first: int
    last: int
    usage: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalBlock:
    """The interval energies (Wh or varh, primary side) of a day, in columns.

    `flags` has one of good, rollover, missing, negative, out_of_range per interval; `usages` is
    None for the last three. `register_delta` is None when the first or last snapshot is missing.
    """

    day_on: str
    register: str
    meter_no: str
    interval_minutes: int
    ends_at: tuple[str, ...]
    usages: tuple[int | None, ...]
    flags: tuple[str, ...]
    gaps: tuple[Gap, ...]
    register_delta: int | None


@lru_cache(maxsize=256)
def interval_ends(
    day_on: str, interval_minutes: int, utc_offset_minutes: int = UTC_OFFSET_MINUTES
) -> tuple[str, ...]:
    """The instants at which the intervals of a day end, the last at 24:00 of that day."""
    if interval_minutes <= 0 or MINUTES_PER_DAY % interval_minutes:
        raise BadInput("interval_minutes", f"is {interval_minutes}", "use 1, 5, 15, 30 or 60")
    start = day_start(day_on, utc_offset_minutes)
    return tuple(
        format_instant(start + timedelta(minutes=minute))
        for minute in range(interval_minutes, MINUTES_PER_DAY + 1, interval_minutes)
    )


def interval_block(
    profile: Profile, installed: Installation, utc_offset_minutes: int = UTC_OFFSET_MINUTES
) -> IntervalBlock:
    """The interval energies of a profile; BadInput when it has the wrong number of snapshots or is
    of another meter than the installation."""
    ends_at = interval_ends(profile.day_on, profile.interval_minutes, utc_offset_minutes)
    count = len(ends_at)
    if len(profile.snapshots) != count + 1:
        problem = f"has {len(profile.snapshots)} snapshots"
        raise BadInput("snapshots", problem, f"give {count + 1}, from 00:00 to 24:00")
    if profile.meter_no != installed.meter_no:
        problem = f"is {profile.meter_no}, not {installed.meter_no}"
        raise BadInput("meter_no", problem, "give the installation of this meter")
    taken_at = (format_instant(day_start(profile.day_on, utc_offset_minutes)), *ends_at)

    def used(first: int, last: int) -> tuple[int | None, str]:
        """Usage and outcome from snapshot `first` to snapshot `last`."""
        before, after = profile.snapshots[first], profile.snapshots[last]
        if before is None or after is None:
            return None, MISSING
        limit = plausible_usage(installed.capacity_w, taken_at[first], taken_at[last])
        part = segment(installed, before, after, limit)
        return part.usage, part.outcome

    intervals = [used(index, index + 1) for index in range(count)]
    flags = tuple(flag for _, flag in intervals)
    return IntervalBlock(
        day_on=profile.day_on,
        register=profile.register,
        meter_no=profile.meter_no,
        interval_minutes=profile.interval_minutes,
        ends_at=ends_at,
        usages=tuple(usage for usage, _ in intervals),
        flags=flags,
        gaps=tuple(
            Gap(first=first, last=last, usage=used(first, last + 1)[0])
            for first, last in _runs(flags)
        ),
        register_delta=used(0, count)[0],
    )


def _runs(flags: tuple[str, ...]) -> list[tuple[int, int]]:
    """First and last index of every run of missing intervals."""
    runs: list[tuple[int, int]] = []
    for index, flag in enumerate(flags):
        if flag != MISSING:
            continue
        if runs and runs[-1][1] == index - 1:
            runs[-1] = (runs[-1][0], index)
        else:
            runs.append((index, index))
    return runs


def recorded_usage(block: IntervalBlock) -> int:
    """What the block accounts for: the known intervals and the gaps with known ends."""
    known = sum(usage for usage in block.usages if usage is not None)
    return known + sum(gap.usage for gap in block.gaps if gap.usage is not None)

"""The intervals of a usage point on one day: which row counts for each, and what the rules say.

    told_findings, memory, chosen = check_intervals(facts, day, register, rows, None, rules_of)

Nothing is expected where no meter was: such an interval without a row is as explained as one in an
outage.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.validation.finding import Finding
from services.validation.interval_day import IntervalDay, interval_hits, interval_views
from services.validation.interval_rules import MINUTE_S, interval_size, zero_minutes_after
from services.validation.point_facts import (
    IntervalMemory,
    PointDay,
    PointFacts,
    PointRow,
    Rules,
    Told,
    active,
    covered,
    not_installed,
    overlapped,
    told,
)
from services.validation.reading_rules import Version, outranks, replacement
from services.validation.rule_book import REMOTE_PROFILE
from services.validation.rule_set import RuleSet
from services.validation.rules import bad_value, duplicate


def chosen_values(
    rows: Sequence[PointRow], rules: RuleSet
) -> tuple[dict[str, PointRow], list[Finding]]:
    """One row for each interval end, and what duplicates and replacements there were.

    Rows of one condition for one end are duplicates: the first stands. A row of another condition
    replaces it only with a higher rank; without the rule of ranks, the first stands too.
    """
    chosen: dict[str, PointRow] = {}
    repeats: dict[tuple[str, str], list[PointRow]] = {}
    findings: list[Finding] = []
    ranked = active(rules, "replacement")
    for row in rows:
        same = repeats.setdefault((row.at, row.condition), [])
        same.append(row)
        old = chosen.setdefault(row.at, row)
        if len(same) > 1 or old is row or ranked is None:
            continue
        versions = _version(old), _version(row)
        findings.append(replacement(row.at, *versions, ranked))
        if outranks(*versions, ranked):
            chosen[row.at] = row
    settings = active(rules, "duplicate")
    doubled = [row for same in repeats.values() if len(same) > 1 for row in same]
    if doubled and settings is not None:
        readings = tuple(
            (row.at, {} if row.energy_wh is None else {row.register: row.energy_wh})
            for row in doubled
        )
        findings.append(duplicate(readings, settings))
    return chosen, findings


def _version(row: PointRow) -> Version:
    return Version(value=row.energy_wh, condition=row.condition, received_at=row.received_at)


def check_intervals(
    facts: PointFacts,
    day: PointDay,
    register: str,
    rows: Sequence[PointRow],
    memory: IntervalMemory | None,
    rules_of: Rules,
) -> tuple[list[Told], IntervalMemory, dict[str, PointRow]]:
    """The interval rules on one register of a day; what it leaves to the next day, and the row that
    counts for each interval end. A day without any row is one in which all are missing."""
    source = rows[0].source if rows else memory.source if memory else REMOTE_PROFILE
    rules = rules_of(source)
    chosen, findings = chosen_values(rows, rules)
    minutes = facts.interval_minutes
    interval_day = _interval_day(facts, day, chosen, minutes, memory)
    size = active(rules, "interval_size")
    if size is not None:
        lengths = {end: row.minutes * MINUTE_S for end, row in chosen.items()}
        findings.append(interval_size(lengths, interval_day.ends_at, minutes, size))
    flaws = {end: row.flaw for end, row in chosen.items() if row.flaw}
    unusable = active(rules, "bad_value")
    if flaws and unusable is not None:
        findings.append(bad_value(flaws, unusable))
    findings += interval_hits(interval_day, rules.rules)
    supplied = interval_views(interval_day).supplied
    known = [value for value in supplied.values() if value is not None]
    remembered = IntervalMemory(
        source=source,
        end_at=day.to_at,
        minutes=minutes,
        last_wh=[None, *supplied.values()][-1],
        peak_wh=max(known, default=None),
        zero_minutes=zero_minutes_after(supplied, minutes, interval_day.zero_minutes_before),
        since_wh=memory.since_wh if memory else 0,
        since_s=memory.since_s if memory else 0,
    )
    return list(told(register, rules, findings)), remembered, chosen


def _interval_day(
    facts: PointFacts,
    day: PointDay,
    chosen: Mapping[str, PointRow],
    minutes: int,
    memory: IntervalMemory | None,
) -> IntervalDay:
    all_ends = day.ends_at[minutes]
    all_starts = (day.from_at, *all_ends[:-1])
    kept = [
        (start, end)
        for start, end in zip(all_starts, all_ends, strict=True)
        if start >= facts.from_at and (not facts.to_at or end <= facts.to_at)
    ]
    starts, ends = tuple(start for start, _ in kept), tuple(end for _, end in kept)
    joined = memory if memory is not None and memory.end_at == day.from_at else None
    uninstalled = covered(starts, ends, not_installed(facts.installations))
    explained = {index for index in uninstalled if ends[index] not in chosen}
    return IntervalDay(
        ends_at=ends,
        energies_wh=tuple(
            chosen[end].energy_wh if end in chosen and chosen[end].minutes == minutes else None
            for end in ends
        ),
        minutes=minutes,
        outage=frozenset(overlapped(starts, ends, facts.outages) | explained),
        inactive=frozenset(covered(starts, ends, facts.disconnected) | uninstalled),
        before_wh=joined.last_wh if joined else None,
        before_peak_wh=joined.peak_wh if joined else None,
        zero_minutes_before=joined.zero_minutes if joined else 0,
        capacity_w=facts.capacity_w,
    )


def sum_between(
    chosen: Mapping[str, PointRow], memory: IntervalMemory, after_at: str, until_at: str
) -> IntervalMemory:
    """The memory with the intervals that end in (after_at, until_at] added to its running sum."""
    energies = [
        (row.energy_wh, row.minutes * MINUTE_S)
        for end, row in chosen.items()
        if after_at < end <= until_at and row.energy_wh is not None
    ]
    return replace(
        memory,
        since_wh=memory.since_wh + sum(energy for energy, _ in energies),
        since_s=memory.since_s + sum(length for _, length in energies),
    )

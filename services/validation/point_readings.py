"""The register readings of a usage point on one day, each against the one before it.

    findings, history = check_readings(facts, day, rows, history, intervals, rules_of)

Readings of one meter at one instant belong together: their rates add up to their total. Without
installations in the master data, the meter that is read is taken as installed, with the ratio that
the row says, else 1; another meter than before is then a finding, for nobody told of an exchange.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from services.validation.finding import Finding
from services.validation.instant import seconds_between
from services.validation.point_facts import (
    HISTORY_DAYS,
    IntervalMemory,
    PointDay,
    PointFacts,
    PointHistory,
    PointRow,
    Rules,
    Told,
    active,
    outage_seconds,
    told,
)
from services.validation.point_intervals import sum_between
from services.validation.reading_rules import (
    SECONDS_PER_DAY,
    PeriodUsage,
    high_low,
    register_delta,
    reverse_flow,
)
from services.validation.register_usage import (
    OUT_OF_RANGE,
    Installation,
    RegisterUsage,
    Snapshot,
    highest_ratio,
    parse_register,
    usages_between,
)
from services.validation.rule_set import RuleSet, RuleSettings
from services.validation.rules import (
    bad_value,
    duplicate,
    interval_sum,
    meter_exchange,
    missing,
    negative,
    rate_sum,
    rollover,
    spike,
    usage_while_disconnected,
)

EXPORT = 2
"""The quantity of the register that counts what flows back (2.8.x)."""


def check_readings(
    facts: PointFacts,
    day: PointDay,
    rows: Sequence[PointRow],
    history: PointHistory,
    intervals: Mapping[str, Mapping[str, PointRow]],
    rules_of: Rules,
) -> tuple[list[Told], PointHistory]:
    """The register rules on the readings of a day, in order of time.

    `intervals` are the intervals that count, by register and end: their running sum since the
    reading before is kept in the history, and compared when it has no gap.
    """
    findings: list[Told] = []
    sums = dict(history.intervals)
    summed_at: dict[str, str] = {}
    moments: dict[tuple[str, str], list[PointRow]] = {}
    for row in rows:
        moments.setdefault((row.at, row.meter_no), []).append(row)
    for (at, _), together in moments.items():
        rules = rules_of(together[0].source)
        usages, ends = _usages(facts, together, history, rules)
        for register, memory in sums.items():
            if register in ends:
                chosen = intervals.get(register, {})
                sums[register] = sum_between(chosen, memory, summed_at.get(register, ""), at)
        findings += _moment_findings(facts, together, usages, sums, history, rules)
        for register, usage in usages.items():
            settings = active(rules, "spike")
            if settings is not None and _is_import_total(register):
                found = _day_spike(day, usage, history.days.get(register, {}), settings)
                findings += told(register, rules, found)
        history = _after(facts, day, ends, usages, history)
        for register in ends:
            summed_at[register] = at
            if register in sums:
                sums[register] = replace(sums[register], since_wh=0, since_s=0)
    for register, memory in sums.items():
        if register in history.readings:
            chosen = intervals.get(register, {})
            sums[register] = sum_between(chosen, memory, summed_at.get(register, ""), "~")
    return findings, replace(history, intervals=sums)


def _usages(
    facts: PointFacts, rows: Sequence[PointRow], history: PointHistory, rules: RuleSet
) -> tuple[dict[str, RegisterUsage], dict[str, Snapshot]]:
    """The usage of each register since its last reading, and what was read now, by register."""
    margin = rules.rules["rollover"].parameters["capacity_margin_permille"]
    usages: dict[str, RegisterUsage] = {}
    ends: dict[str, Snapshot] = {}
    for row in rows:
        if row.value is None or row.register in ends:
            continue
        now = Snapshot(meter_no=row.meter_no, taken_at=row.at, registers={row.register: row.value})
        ends[row.register] = now
        before = history.readings.get(row.register)
        if before is not None:
            chain = facts.installations or (_assumed(facts, before, row.ratio),)
            usages |= usages_between(before, now, chain, margin)
    return usages, ends


def _assumed(facts: PointFacts, before: Snapshot, ratio: str) -> Installation:
    """The meter that was read, as if it had been there since its first reading."""
    return Installation(
        meter_no=before.meter_no,
        from_at=before.taken_at,
        ratio=ratio or "1",
        capacity_w=facts.capacity_w,
    )


def _after(
    facts: PointFacts,
    day: PointDay,
    ends: Mapping[str, Snapshot],
    usages: Mapping[str, RegisterUsage],
    history: PointHistory,
) -> PointHistory:
    periods = {
        register: found
        for register, usage in usages.items()
        if (found := _period(facts, usage)) is not None
    }
    days = dict(history.days)
    for register, usage in usages.items():
        if usage.usage is not None and (usage.from_at, usage.to_at) == (day.from_at, day.to_at):
            known = {**days.get(register, {}), day.day_on: usage.usage}
            days[register] = dict(sorted(known.items())[-HISTORY_DAYS:])
    return replace(
        history,
        readings={**history.readings, **ends},
        usages={**history.usages, **periods},
        days=days,
    )


def _period(facts: PointFacts, usage: RegisterUsage) -> PeriodUsage | None:
    """A usage with its time; None when it cannot be told, or took no time."""
    length_s = seconds_between(usage.from_at, usage.to_at)
    if usage.usage is None or not length_s:
        return None
    outage_s = outage_seconds(facts.outages, usage.from_at, usage.to_at)
    return PeriodUsage(energy_wh=usage.usage, period_s=length_s, outage_s=outage_s)


def _moment_findings(
    facts: PointFacts,
    rows: Sequence[PointRow],
    usages: Mapping[str, RegisterUsage],
    sums: Mapping[str, IntervalMemory],
    history: PointHistory,
    rules: RuleSet,
) -> Iterator[Told]:
    """All findings about what was read at one moment."""
    at = rows[0].at
    found = tuple(dict.fromkeys(row.register for row in rows))
    complete = active(rules, "missing")
    if facts.registers and complete is not None:
        yield from told("", rules, (missing(facts.registers, found, complete),))
    yield from told("", rules, _unusable(facts, rows, usages, history, rules))
    repeated = active(rules, "duplicate")
    if len(found) < len(rows) and repeated is not None:
        readings = tuple((f"{row.register} {at}", {row.register: row.value or 0}) for row in rows)
        yield from told("", rules, (duplicate(readings, repeated),))
    for register, usage in usages.items():
        memory = sums.get(register)
        judged = (
            *_usage_findings(facts, usage, rules),
            *_period_findings(facts, usage, history, rules),
            *_sum_findings(usage, usages, memory, rules),
        )
        yield from told(register, rules, judged)


def _unusable(
    facts: PointFacts,
    rows: Sequence[PointRow],
    usages: Mapping[str, RegisterUsage],
    history: PointHistory,
    rules: RuleSet,
) -> Iterator[Finding]:
    """Registers without a usable value; and a first reading, which has no usage yet, of a meter
    that is not installed."""
    flaws = {row.register: row.flaw for row in rows if row.flaw}
    flaws |= {r: OUT_OF_RANGE for r, usage in usages.items() if usage.outcome == OUT_OF_RANGE}
    settings = active(rules, "bad_value")
    if flaws and settings is not None:
        yield bad_value(flaws, settings)
    settings = active(rules, "meter_exchange")
    if settings is None or not facts.installations:
        return
    for row in rows:
        if row.value is None or row.register in history.readings:
            continue
        now = Snapshot(meter_no=row.meter_no, taken_at=row.at, registers={row.register: row.value})
        for usage in usages_between(now, now, facts.installations).values():
            yield meter_exchange(usage, settings)


def _is_import_total(register: str) -> bool:
    name = parse_register(register)
    return (name.quantity, name.rate) == (1, 0)


def _day_spike(
    day: PointDay, usage: RegisterUsage, known: Mapping[str, int], settings: RuleSettings
) -> Iterator[Finding]:
    """The import against that of earlier days; after a gap, the average of its days. An earlier day
    that stands out was found in its own time and says nothing about this one."""
    if usage.usage is None:
        return
    days = max(1, seconds_between(usage.from_at, usage.to_at) // SECONDS_PER_DAY)
    earlier = sorted(each for each in known if each < day.day_on)
    kept = earlier[max(0, len(earlier) - settings.parameters["history_days"]) :]
    values = {each: known[each] for each in kept} | {day.day_on: usage.usage // days}
    found = spike(values, settings)
    if not found.slots or day.day_on in found.slots:
        yield found


def _usage_findings(facts: PointFacts, usage: RegisterUsage, rules: RuleSet) -> Iterator[Finding]:
    """What the register says on its own."""
    for rule in (negative, rollover, meter_exchange):
        settings = active(rules, rule.__name__)
        if settings is not None:
            yield rule(usage, settings)
    disconnected = active(rules, "usage_while_disconnected")
    if disconnected is not None:
        yield usage_while_disconnected(usage, facts.disconnected, disconnected)
    reverse = active(rules, "reverse_flow")
    if reverse is not None and parse_register(usage.register).quantity == EXPORT:
        yield reverse_flow(usage, facts.is_producer, reverse)


def _period_findings(
    facts: PointFacts, usage: RegisterUsage, history: PointHistory, rules: RuleSet
) -> Iterator[Finding]:
    """Usage against that of earlier periods."""
    period = _period(facts, usage)
    if period is None:
        return
    settings = active(rules, "high_low")
    if settings is not None:
        days = history.days.get(usage.register, {})
        earlier = facts.history.get(usage.register) or _usual(days, settings)
        if earlier is not None:
            yield high_low(period, earlier, settings)
    previous, settings = history.usages.get(usage.register), active(rules, "register_delta")
    if previous is not None and settings is not None:
        yield register_delta(period, previous, settings)


def _usual(days: Mapping[str, int], settings: RuleSettings) -> PeriodUsage | None:
    """The days that are remembered as one period; None when they are too few to judge by."""
    if len(days) < settings.parameters["least_days"]:
        return None
    return PeriodUsage(energy_wh=sum(days.values()), period_s=len(days) * SECONDS_PER_DAY)


def _sum_findings(
    usage: RegisterUsage,
    usages: Mapping[str, RegisterUsage],
    memory: IntervalMemory | None,
    rules: RuleSet,
) -> Iterator[Finding]:
    """The rates against their total, and the intervals against the register."""
    if usage.usage is None:
        return
    rates = [
        each
        for register, each in usages.items()
        if register != usage.register and parse_register(register).total == usage.register
    ]
    known = {rate.register: rate.usage for rate in rates if rate.usage is not None}
    settings = active(rules, "rate_sum")
    if settings is not None and known and len(known) == len(rates):
        yield rate_sum(usage.usage, known, highest_ratio(usage), settings)
    settings = active(rules, "interval_sum")
    length_s = seconds_between(usage.from_at, usage.to_at)
    if settings is not None and memory is not None and memory.since_s == length_s > 0:
        yield interval_sum(usage.usage, memory.since_wh, highest_ratio(usage), settings)

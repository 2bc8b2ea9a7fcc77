"""Everything that came of a usage point on one day through the rules of domain.md §2.

Rows are judged with the master data of the point and what is remembered of its earlier days (which
does not grow with them), by the rule set that its class and each row's source ask for.

    checked = check_day(facts, day, rows, PointHistory(), rules_of)
    checked.findings, checked.history        # the history is for the next day of the point
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from services.validation.electrical_rules import (
    ElectricalSample,
    apparent_power,
    lost_phase,
    phase_sum,
    power_factor,
    unbalance,
)
from services.validation.finding import Finding, worst
from services.validation.instant import seconds_between
from services.validation.point_facts import (
    PointDay,
    PointFacts,
    PointHistory,
    PointRow,
    Rules,
    Told,
    active,
    outage_seconds,
    statuses,
    told,
)
from services.validation.point_intervals import check_intervals
from services.validation.point_readings import check_readings
from services.validation.reading_rules import (
    PeriodUsage,
    device_match,
    high_low,
    meter_flags,
    prolonged_estimation,
)
from services.validation.register_usage import parse_register
from services.validation.rule_book import REMOTE_PROFILE
from services.validation.rule_set import RuleSet
from services.validation.rules import clock_drift
from services.validation.voltage_band import voltage_band, voltage_window

ACTUAL_CONDITIONS = frozenset({"actual", "manual", "edited"})
"""Values that somebody or something measured."""

ENERGY_QUANTITIES = frozenset({1, 2})
"""Import and export count watt-hours, the other quantities (3 to 8) varh."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCheck:
    """What was found on a day (no `pass`), and what is remembered of it.

    `status` is the worst of the findings; `slots` the status of every slot that a finding names.
    """

    day_on: str
    status: str
    slots: Mapping[str, str]
    findings: tuple[Told, ...]
    history: PointHistory


def check_day(
    facts: PointFacts,
    day: PointDay,
    rows: Sequence[PointRow],
    history: PointHistory,
    rules_of: Rules,
) -> DayCheck:
    """Judge one day of one point; `rows` are in order of time. A day without rows is one on which
    every register that had intervals before has none."""
    findings: list[Told] = []
    memories = dict(history.intervals)
    intervals: dict[str, Mapping[str, PointRow]] = {}
    by_register: dict[str, list[PointRow]] = {
        register: [] for register in (*memories, *facts.interval_registers)
    }
    for row in rows:
        if row.minutes:
            by_register.setdefault(row.register, []).append(row)
    for register, given in by_register.items():
        before = memories.get(register)
        told_now, memory, chosen = check_intervals(facts, day, register, given, before, rules_of)
        findings += told_now
        memories[register], intervals[register] = memory, chosen
        findings += _usual_day(facts, day, register, chosen, rules_of(memory.source))
    history = replace(history, intervals=memories)
    readings = tuple(row for row in rows if row.value is not None or (row.flaw and not row.minutes))
    told_now, history = check_readings(facts, day, readings, history, intervals, rules_of)
    findings += told_now
    for source in dict.fromkeys(row.source for row in rows):
        own = tuple(row for row in rows if row.source == source)
        findings += _meter_findings(facts, own, rules_of(source))
    told_now, history = _estimates(facts, day, rows, history, rules_of)
    findings += told_now
    return DayCheck(
        day_on=day.day_on,
        status=worst(each.finding for each in findings),
        slots=statuses(findings),
        findings=tuple(findings),
        history=history,
    )


def _usual_day(
    facts: PointFacts,
    day: PointDay,
    register: str,
    chosen: Mapping[str, PointRow],
    rules: RuleSet,
) -> Iterator[Told]:
    """A complete day of intervals against the history; a point with readings is judged by them."""
    settings, earlier = active(rules, "high_low"), facts.history.get(register)
    if settings is None or earlier is None or facts.registers:
        return
    ends_at = day.ends_at[facts.interval_minutes]
    energies = [chosen[end].energy_wh for end in ends_at if end in chosen]
    known = [energy for energy in energies if energy is not None]
    if len(known) == len(ends_at):
        current = PeriodUsage(
            energy_wh=sum(known),
            period_s=seconds_between(day.from_at, day.to_at),
            outage_s=outage_seconds(facts.outages, day.from_at, day.to_at),
        )
        yield from told(register, rules, (high_low(current, earlier, settings),))


def _meter_findings(facts: PointFacts, rows: Sequence[PointRow], rules: RuleSet) -> Iterator[Told]:
    """What the meter said of itself and its supply, and whether it is the right one."""
    flagged: dict[str, tuple[str, ...]] = {}
    for row in rows:
        if row.flags:
            flagged[row.at] = (*flagged.get(row.at, ()), *row.flags)
    settings = active(rules, "meter_flags")
    if flagged and settings is not None:
        yield from told("", rules, (meter_flags(flagged, settings),))
    drifts = [row.drift_s for row in rows if row.drift_s is not None]
    settings = active(rules, "clock_drift")
    if drifts and settings is not None:
        yield from told("", rules, (clock_drift(max(drifts, key=abs), settings),))
    seen: set[tuple[str, str, str, str]] = set()
    settings = active(rules, "device_match")
    for row in rows:
        said = (row.register, row.meter_no, row.unit, row.ratio)
        if settings is not None and said not in seen:
            seen.add(said)
            found = device_match(_said(row), _expected(facts, row), settings)
            yield from told(row.register, rules, (replace(found, slots=(row.at,)),))
    for row in rows:
        if row.sample is not None:
            judged = (
                replace(found, slots=(row.at,))
                for found in sample_findings(facts, row.sample, rules)
            )
            yield from told("", rules, judged)


def _said(row: PointRow) -> dict[str, str]:
    given = {"meter_no": row.meter_no, "unit": row.unit, "ratio": row.ratio}
    return {name: text for name, text in given.items() if text}


def _expected(facts: PointFacts, row: PointRow) -> dict[str, str]:
    """The unit that the register counts; meter and ratio of the installation at the row's instant.
    At the very instant of an exchange both meters are right."""
    name = parse_register(row.register)
    expected = {"unit": "Wh" if name.quantity in ENERGY_QUANTITIES else "varh"}
    there = [
        installed
        for installed in facts.installations
        if installed.from_at <= row.at and (not installed.to_at or row.at <= installed.to_at)
    ]
    own = [installed for installed in there if installed.meter_no == row.meter_no]
    for installed in own or there:
        expected |= {"meter_no": installed.meter_no, "ratio": installed.ratio}
        if not row.ratio or installed.ratio == row.ratio:
            break
    return expected


def sample_findings(
    facts: PointFacts, sample: ElectricalSample, rules: RuleSet
) -> Iterator[Finding]:
    """The electrical identities and the voltage band at one moment."""
    for rule in (apparent_power, power_factor, phase_sum, unbalance):
        settings = active(rules, rule.__name__)
        if settings is not None:
            yield rule(sample, settings)
    settings = active(rules, "lost_phase")
    if settings is not None and facts.nominal_dv:
        yield lost_phase(sample, facts.nominal_dv, settings)
    settings = active(rules, "voltage_band")
    if settings is not None and facts.voltage_class and facts.nominal_dv and sample.voltages_dv:
        window = voltage_window(facts.voltage_class, sample.voltages_dv, facts.nominal_dv)
        yield voltage_band(window, settings)


def _estimates(
    facts: PointFacts,
    day: PointDay,
    rows: Sequence[PointRow],
    history: PointHistory,
    rules_of: Rules,
) -> tuple[list[Told], PointHistory]:
    """How long nothing was measured, at the end of the day."""
    measured = [row.at for row in rows if _is_actual(row)]
    last_at = max([history.last_actual_at or facts.last_actual_at, *measured])
    history = replace(history, last_actual_at=last_at)
    rules = rules_of(rows[0].source if rows else REMOTE_PROFILE)
    settings = active(rules, "prolonged_estimation")
    if settings is None or not last_at:
        return [], history
    found = prolonged_estimation(last_at, day.to_at, settings)
    return list(told("", rules, (found,))), history


def _is_actual(row: PointRow) -> bool:
    has_value = row.energy_wh is not None or row.value is not None
    return has_value and row.condition in ACTUAL_CONDITIONS

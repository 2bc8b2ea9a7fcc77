"""One day of one usage point through all rules: what validation's core asks for each daily freeze.

The window is plain data (readings, installation, history, context); the verdict is the findings,
the usage per register, and the status: the worst of the findings (domain.md §2). Registers and load
profile have a status each, for a bill needs only the one it is made from. Rules that have no
subject (no voltage was read, no profile) or are `off` yield nothing; a rule that looked and found
nothing wrong yields a `pass` with its numbers.

    verdict = day_verdict(window, DEFAULT_RULE_SET)
    verdict.status == "pass" and verdict.usages["1-0:1.8.0"].usage == 12_340
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from services.validation.finding import PASS, Finding, worst
from services.validation.instant import seconds_between
from services.validation.profile import MISSING, IntervalBlock, recorded_usage
from services.validation.register_usage import (
    GOOD,
    OUT_OF_RANGE,
    ROLLOVER,
    Installation,
    RegisterUsage,
    Snapshot,
    highest_ratio,
    parse_register,
    usages_between,
)
from services.validation.rule_set import OFF, RuleSet, RuleSettings
from services.validation.rules import (
    bad_value,
    clock_drift,
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
from services.validation.voltage_band import VoltageWindow, voltage_band

SECONDS_PER_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class DayWindow:
    """What is known about a point's day when it is judged.

    `previous` is the last accepted reading (None for the first one), `current` the day's freeze
    (None when it is missing), `repeats` what else came for the same day. `registers` are the OBIS
    codes the point must deliver (empty: those of the previous reading). `history` is the import by
    earlier day. `clock_drift_s` is the meter's time minus ours. `disconnected` are periods
    (from_at, to_at), `to_at` empty while it lasts.
    """

    day_on: str
    previous: Snapshot | None
    current: Snapshot | None
    installations: tuple[Installation, ...]
    repeats: tuple[Snapshot, ...] = ()
    registers: tuple[str, ...] = ()
    history: dict[str, int] = field(default_factory=dict)
    profile: IntervalBlock | None = None
    voltage: VoltageWindow | None = None
    clock_drift_s: int | None = None
    disconnected: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DayVerdict:
    """Status and findings of the day's registers, and of its load profile, with the usage of every
    register since the previous reading."""

    day_on: str
    status: str
    findings: tuple[Finding, ...]
    profile_status: str
    profile_findings: tuple[Finding, ...]
    usages: dict[str, RegisterUsage]


def day_verdict(window: DayWindow, rule_set: RuleSet) -> DayVerdict:
    """Judge one day. The same window and rule set always give the same verdict."""
    settings = {
        rule: settings for rule, settings in rule_set.rules.items() if settings.severity != OFF
    }
    usages = _usages(window, rule_set)
    findings = (
        *_reading_findings(window, usages, settings),
        *_usage_findings(window, usages, settings),
        *_context_findings(window, usages, settings),
    )
    profile_findings = tuple(_profile_findings(window, usages, settings))
    return DayVerdict(
        day_on=window.day_on,
        status=worst(findings),
        findings=findings,
        profile_status=worst(profile_findings),
        profile_findings=profile_findings,
        usages=usages,
    )


def _usages(window: DayWindow, rule_set: RuleSet) -> dict[str, RegisterUsage]:
    if window.previous is None or window.current is None:
        return {}
    margin = rule_set.rules["rollover"].parameters["capacity_margin_permille"]
    return usages_between(window.previous, window.current, window.installations, margin)


def _reading_findings(
    window: DayWindow, usages: dict[str, RegisterUsage], settings: dict[str, RuleSettings]
) -> Iterator[Finding]:
    """Is it there, is it there once, are all its registers there and usable?"""
    current = window.current
    if current is None:
        if "missing" in settings:
            yield missing((window.day_on,), (), settings["missing"])
        return
    if "missing" in settings:
        found = (*current.registers, *current.flaws)
        yield missing(_expected_registers(window), found, settings["missing"])
    if "duplicate" in settings:
        readings = tuple((window.day_on, each.registers) for each in (current, *window.repeats))
        yield duplicate(readings, settings["duplicate"])
    if "bad_value" in settings:
        beyond = {
            usage.register: OUT_OF_RANGE
            for usage in usages.values()
            if usage.outcome == OUT_OF_RANGE
        }
        yield bad_value({**current.flaws, **beyond}, settings["bad_value"])
    if "meter_exchange" in settings and window.previous is None:
        # A first reading has no usage yet, but it too must be of the installed meter.
        for usage in usages_between(current, current, window.installations).values():
            yield meter_exchange(usage, settings["meter_exchange"])


def _expected_registers(window: DayWindow) -> tuple[str, ...]:
    if window.registers:
        return window.registers
    return tuple(window.previous.registers) if window.previous else ()


def _usage_findings(
    window: DayWindow, usages: dict[str, RegisterUsage], settings: dict[str, RuleSettings]
) -> Iterator[Finding]:
    """What each register says on its own, the rates against their total, the day against others."""
    for usage in usages.values():
        if "negative" in settings:
            yield negative(usage, settings["negative"])
        if "rollover" in settings:
            yield rollover(usage, settings["rollover"])
        if "meter_exchange" in settings:
            yield meter_exchange(usage, settings["meter_exchange"])
        if "usage_while_disconnected" in settings:
            disconnected = settings["usage_while_disconnected"]
            yield usage_while_disconnected(usage, window.disconnected, disconnected)
        if "rate_sum" in settings:
            yield from _rate_sum(usage, usages, settings["rate_sum"])
        if "spike" in settings and _is_import_total(usage.register):
            yield from _day_spike(window, usage, settings["spike"])


def _is_import_total(register: str) -> bool:
    name = parse_register(register)
    return (name.quantity, name.rate) == (1, 0)


def _rate_sum(
    total: RegisterUsage, usages: dict[str, RegisterUsage], settings: RuleSettings
) -> Iterator[Finding]:
    """Nothing when the register is no total, has no rates, or one of them cannot be told."""
    rates = [
        usage
        for register, usage in usages.items()
        if register != total.register and parse_register(register).total == total.register
    ]
    known = {rate.register: rate.usage for rate in rates if rate.usage is not None}
    if known and len(known) == len(rates) and total.usage is not None:
        yield rate_sum(total.usage, known, highest_ratio(total), settings)


def _day_spike(
    window: DayWindow, usage: RegisterUsage, settings: RuleSettings
) -> Iterator[Finding]:
    """The day's import against earlier days; after a gap, the average of its days. An earlier day
    that stands out was found in its own time and says nothing about this one."""
    if usage.usage is None:
        return
    days = max(1, seconds_between(usage.from_at, usage.to_at) // SECONDS_PER_DAY)
    earlier = sorted(day for day in window.history if day < window.day_on)
    kept = earlier[max(0, len(earlier) - settings.parameters["history_days"]) :]
    values = {day: window.history[day] for day in kept} | {window.day_on: usage.usage // days}
    found = spike(values, settings)
    if found.slots and window.day_on not in found.slots:
        found = replace(found, severity=PASS, slots=(), text="an earlier day stands out")
    yield found


def _context_findings(
    window: DayWindow, usages: dict[str, RegisterUsage], settings: dict[str, RuleSettings]
) -> Iterator[Finding]:
    """What the meter said about itself and its supply."""
    if "voltage_band" in settings and window.voltage is not None:
        yield voltage_band(window.voltage, settings["voltage_band"])
    if "clock_drift" in settings and window.clock_drift_s is not None:
        yield clock_drift(window.clock_drift_s, settings["clock_drift"])


def _profile_findings(
    window: DayWindow, usages: dict[str, RegisterUsage], settings: dict[str, RuleSettings]
) -> Iterator[Finding]:
    """The load profile: complete, usable, without spike, and equal to the register."""
    block = window.profile
    if block is None:
        return
    labelled = tuple(zip(block.ends_at, block.flags, block.usages, strict=True))
    if "missing" in settings:
        found = tuple(end for end, flag, _ in labelled if flag != MISSING)
        yield missing(block.ends_at, found, settings["missing"])
    if "bad_value" in settings:
        usable = {GOOD, ROLLOVER, MISSING}
        bad = {end: flag for end, flag, _ in labelled if flag not in usable}
        yield bad_value(bad, settings["bad_value"])
    if "spike" in settings:
        values = {end: usage for end, _, usage in labelled if usage is not None}
        yield spike(values, settings["spike"])
    used = usages.get(block.register)
    if "interval_sum" in settings and used is not None and used.usage is not None:
        whole_day = seconds_between(used.from_at, used.to_at) == SECONDS_PER_DAY
        if whole_day and block.register_delta is not None:
            ratio = highest_ratio(used)
            yield interval_sum(used.usage, recorded_usage(block), ratio, settings["interval_sum"])

"""The rules for readings in their context: device, history, estimates, flags, late data.

As in `rules.py`, every function is pure and returns one `Finding` with its numbers. Usage over
periods of different length is compared exactly, by cross-multiplication with their seconds.
Sources: domain.md §2, rule numbers in brackets.

    current = PeriodUsage(energy_wh=900_000, period_s=30 * 86_400)
    history = PeriodUsage(energy_wh=310_000, period_s=31 * 86_400)
    high_low(current, history, settings).numbers["ratio"] == "3"
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from libs.events.errors import BadInput
from libs.events.quantities import floor_div, format_scaled, half_up_div
from services.validation.finding import FAIL, PASS, WARN, Finding
from services.validation.instant import seconds_between
from services.validation.register_usage import PERMILLE, RegisterUsage, parse_ratio
from services.validation.rule_set import CONDITIONS, METER_FLAGS, RuleSettings
from services.validation.rules import PERCENT_E2

SECONDS_PER_DAY = 86_400

_LEVELS = (PASS, WARN, FAIL)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodUsage:
    """What was used in a period, and how much of it was without supply (seconds)."""

    energy_wh: int
    period_s: int
    outage_s: int = 0

    @property
    def supplied_s(self) -> int:
        """The time in which something could be used."""
        return self.period_s - self.outage_s

    @property
    def daily_wh(self) -> int:
        """The average daily usage, rounded down, for people."""
        return floor_div(self.energy_wh * SECONDS_PER_DAY, self.supplied_s)


def device_match(
    found: Mapping[str, str], expected: Mapping[str, str], settings: RuleSettings
) -> Finding:
    """[3] Meter number, unit and multiplier (`ratio`) equal the master data.

    Only what both sides say is compared. A ratio is a number ("40" equals "40.0"), the rest texts.
    """
    other = tuple(
        name
        for name in sorted(found)
        if name in expected and not _same(name, found[name], expected[name])
    )
    numbers = {f"{name}_{side}": values[name] for name in other for side, values in (
        ("found", found), ("expected", expected))}  # fmt: skip
    return Finding(
        rule="device_match",
        severity=settings.severity if other else PASS,
        numbers={"other_count": str(len(other)), **numbers},
        text=f"unlike the master data: {', '.join(other)}" if other else "as in the master data",
    )


def _same(name: str, found: str, expected: str) -> bool:
    if name == "ratio":
        return parse_ratio(found) == parse_ratio(expected)
    return found == expected


def high_low(current: PeriodUsage, history: PeriodUsage, settings: RuleSettings) -> Finding:
    """[4] The average daily usage against that of the history, outages taken out of both.

    High is above `high_permille` of the history's, low below `low_permille`; the higher one of both
    must be at least `floor_wh` a day. A period without any supply is not judged.
    """
    limits = settings.parameters
    if current.supplied_s <= 0 or history.supplied_s <= 0:
        return Finding(rule="high_low", severity=PASS, text="no time with supply: not judged")
    # Both sides times the seconds of both: average daily usages over one denominator.
    now, then = current.energy_wh * history.supplied_s, history.energy_wh * current.supplied_s
    floor = limits["floor_wh"] * current.supplied_s * history.supplied_s
    judged = max(now, then) * SECONDS_PER_DAY >= floor
    high = judged and now * PERMILLE > limits["high_permille"] * then
    low = judged and now * PERMILLE < limits["low_permille"] * then
    ratio = half_up_div(now * 100, then) if then > 0 else None
    text = "high usage" if high else "low usage"
    return Finding(
        rule="high_low",
        severity=settings.severity if high or low else PASS,
        numbers={
            "daily_wh": str(current.daily_wh),
            "history_daily_wh": str(history.daily_wh),
            "ratio": "" if ratio is None else format_scaled(ratio, 100),
            "high_permille": str(limits["high_permille"]),
            "low_permille": str(limits["low_permille"]),
            "floor_wh": str(limits["floor_wh"]),
        },
        text=f"{text} against the history" if high or low else "usage is as in the history",
    )


def register_delta(current: PeriodUsage, previous: PeriodUsage, settings: RuleSettings) -> Finding:
    """[12] 100 x |current - previous| / current, the previous usage adjusted to the same time.

    A hit is above `tolerance_pct`, with a difference of at least `floor_wh`; a current usage of
    zero makes any such difference one. A period without length is not judged.
    """
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    numbers = {"tolerance_pct": str(tolerance), "floor_wh": str(floor)}
    if current.period_s <= 0 or previous.period_s <= 0:
        text = "a period without length: not judged"
        return Finding(rule="register_delta", severity=PASS, numbers=numbers, text=text)
    # In watt-hours times the seconds of the previous period, so nothing is rounded.
    now = current.energy_wh * previous.period_s
    difference = abs(now - previous.energy_wh * current.period_s)
    hit = difference >= floor * previous.period_s and difference * 100 > tolerance * abs(now)
    percent = format_scaled(half_up_div(difference * PERCENT_E2, abs(now)), 100) if now else ""
    adjusted = half_up_div(previous.energy_wh * current.period_s, previous.period_s)
    return Finding(
        rule="register_delta",
        severity=settings.severity if hit else PASS,
        numbers={
            "usage_wh": str(current.energy_wh),
            "previous_adjusted_wh": str(adjusted),
            "difference_pct": percent,
            **numbers,
        },
        text="usage is unlike the period before" if hit else "usage is as in the period before",
    )


def reverse_flow(usage: RegisterUsage, is_producer: bool, settings: RuleSettings) -> Finding:
    """[10] The export register (2.8.x) of somebody who does not produce stands still: usage above
    `floor_wh` is a hit. A usage that is not known is not judged."""
    floor = settings.parameters["floor_wh"]
    hit = not is_producer and usage.usage is not None and usage.usage > floor
    return Finding(
        rule="reverse_flow",
        severity=settings.severity if hit else PASS,
        numbers={
            "register": usage.register,
            "usage": "" if usage.usage is None else str(usage.usage),
            "floor_wh": str(floor),
        },
        text="the reverse register moves, and nobody produces here" if hit else "no reverse flow",
        slots=(usage.register,) if hit else (),
    )


def prolonged_estimation(last_actual_at: str, at: str, settings: RuleSettings) -> Finding:
    """[16] Days since the last actual value: above `warn_days` told, above `fail_days` a hit."""
    warn_days, fail_days = settings.parameters["warn_days"], settings.parameters["fail_days"]
    days = floor_div(seconds_between(last_actual_at, at), SECONDS_PER_DAY)
    severity, text = PASS, "an actual value is near"
    if days > fail_days:
        severity, text = settings.severity, f"nothing but estimates for more than {fail_days} days"
    elif days > warn_days:
        severity, text = WARN, f"nothing but estimates for more than {warn_days} days"
    return Finding(
        rule="prolonged_estimation",
        severity=severity,
        numbers={
            "days": str(days),
            "last_actual_at": last_actual_at,
            "warn_days": str(warn_days),
            "fail_days": str(fail_days),
        },
        text=text,
    )


def meter_flags(flags: Mapping[str, Collection[str]], settings: RuleSettings) -> Finding:
    """[17] What the meter said about itself, flags by slot; each has a level in the rule set
    (`<flag>_level`: 0 is told to nobody, 1 a warning, 2 a hit). BadInput for a flag without one."""
    levels: dict[str, int] = {}
    for flag in sorted({flag for given in flags.values() for flag in given}):
        if flag not in METER_FLAGS:
            raise BadInput("flags", f"{flag!r} is unknown", f"use {', '.join(METER_FLAGS)}")
        levels[flag] = min(settings.parameters[f"{flag}_level"], 2)
    level = max(levels.values(), default=0)
    told = tuple(flag for flag, rank in levels.items() if rank)
    worst = tuple(
        slot for slot, given in flags.items() if level and level in map(levels.__getitem__, given)
    )
    return Finding(
        rule="meter_flags",
        severity=settings.severity if level == 2 else _LEVELS[level],
        numbers={f"{flag}_level": str(levels[flag]) for flag in told},
        text=f"the meter says {', '.join(told)}" if told else "the meter says nothing of itself",
        slots=worst,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version of a slot's value: where it comes from and when it came ("" not known)."""

    value: int | None
    condition: str
    received_at: str = ""


def replacement(slot: str, old: Version, new: Version, settings: RuleSettings) -> Finding:
    """[18] Newer data replaces older only with a higher rank of its condition (`rank_<condition>`).

    Otherwise, unless it says the same, the new value is a hit for the work list and the old one
    stands. A value that comes more than `late_after_s` after its slot is a warning when it wins.
    BadInput for a condition without a rank.
    """
    old_rank, new_rank = (_rank(version.condition, settings) for version in (old, new))
    late_s = seconds_between(slot, new.received_at) if new.received_at else 0
    late_after_s = settings.parameters["late_after_s"]
    severity, text = PASS, "replaces a value of lower rank"
    if new_rank <= old_rank and new.value == old.value:
        text = "says the same again"
    elif new_rank <= old_rank:
        severity, text = settings.severity, "does not outrank what is there: to the work list"
    elif late_s > late_after_s:
        severity, text = WARN, "replaces a value of lower rank, late"
    return Finding(
        rule="replacement",
        severity=severity,
        numbers={
            "old_wh": "" if old.value is None else str(old.value),
            "new_wh": "" if new.value is None else str(new.value),
            "old_rank": str(old_rank),
            "new_rank": str(new_rank),
            "late_s": str(late_s),
            "late_after_s": str(late_after_s),
        },
        text=f"{new.condition} after {old.condition}: {text}",
        slots=(slot,) if severity != PASS else (),
    )


def outranks(old: Version, new: Version, settings: RuleSettings) -> bool:
    """Whether the newer version is the one that counts."""
    return _rank(new.condition, settings) > _rank(old.condition, settings)


def _rank(condition: str, settings: RuleSettings) -> int:
    if condition not in CONDITIONS:
        problem = f"{condition!r} is unknown"
        raise BadInput("condition", problem, f"use {', '.join(CONDITIONS)}")
    return settings.parameters[f"rank_{condition}"]

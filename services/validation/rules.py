"""The rules that judge readings: each a named pure function that names the numbers it judged by.

Every function takes its subject and the settings of its rule and returns one `Finding`; a hit has
the severity that the rule set gives to the rule (two levels where its docstring says so). Sources:
domain.md §2, rule numbers in brackets. The voltage band [15] is in `voltage_band.py`; which rules a
day runs through is decided in `point_check.py`.

    spike({"00:15": 1000, "00:30": 9000, "00:45": 1100, "01:00": 1200}, settings)
    -> fail, {"highest_wh": "9000", "third_wh": "1100", "difference_pct": "718.18", ...}
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from libs.events.quantities import floor_div, format_scaled, half_up_div
from services.validation.finding import PASS, WARN, Finding
from services.validation.instant import seconds_between
from services.validation.register_usage import (
    FOREIGN_METER,
    NEGATIVE,
    NO_EXCHANGE_READING,
    PERMILLE,
    ROLLOVER,
    RegisterUsage,
    primary_value,
)
from services.validation.rule_set import RuleSettings

PERCENT_E2 = 10_000
"""Per cent with two decimals."""

SPIKE_RANK = 3
"""The highest value is compared with the third highest (Oracle MDM, Interval Spike Check)."""


def missing(expected: tuple[str, ...], found: tuple[str, ...], settings: RuleSettings) -> Finding:
    """[2] Every expected slot (day, interval end, register) is there."""
    present = set(found)
    absent = tuple(slot for slot in expected if slot not in present)
    numbers = {
        "expected_count": str(len(expected)),
        "found_count": str(len(expected) - len(absent)),
        "missing_count": str(len(absent)),
    }
    if not absent:
        return Finding(rule="missing", severity=PASS, numbers=numbers, text="nothing is missing")
    return Finding(
        rule="missing",
        severity=settings.severity,
        numbers=numbers,
        text=f"missing: {_listed(absent)}",
        slots=absent,
    )


def duplicate(
    readings: tuple[tuple[str, Mapping[str, int]], ...], settings: RuleSettings
) -> Finding:
    """[2] No slot was read twice. Repeats with equal values are a warning, a hit is a repeat with
    another value: then nobody knows which one is true."""
    counts = Counter(slot for slot, _ in readings)
    repeated = tuple(slot for slot, count in counts.items() if count > 1)
    first = dict(reversed(readings))
    contradicted = tuple(
        slot
        for slot in repeated
        if any(dict(values) != dict(first[slot]) for other, values in readings if other == slot)
    )
    numbers = {
        "reading_count": str(len(readings)),
        "repeated_count": str(len(repeated)),
        "contradicted_count": str(len(contradicted)),
    }
    if contradicted:
        severity, text = settings.severity, f"read with different values: {_listed(contradicted)}"
    elif repeated:
        severity, text = WARN, f"read again with the same values: {_listed(repeated)}"
    else:
        severity, text = PASS, "every slot was read once"
    slots = contradicted or repeated
    return Finding(rule="duplicate", severity=severity, numbers=numbers, text=text, slots=slots)


def bad_value(flaws: Mapping[str, str], settings: RuleSettings) -> Finding:
    """Every register has a value: no non-BCD nibble, no "no value" pattern (all FF or EE), nothing
    the register cannot show. `flaws` is reason by register; the frame itself may be sound."""
    if not flaws:
        return Finding(rule="bad_value", severity=PASS, numbers={"bad_count": "0"}, text="all good")
    return Finding(
        rule="bad_value",
        severity=settings.severity,
        numbers={"bad_count": str(len(flaws)), **dict(sorted(flaws.items()))},
        text=f"no usable value: {_listed(tuple(sorted(flaws)))}",
        slots=tuple(sorted(flaws)),
    )


def negative(usage: RegisterUsage, settings: RuleSettings) -> Finding:
    """[10] The register did not fall, except by a plausible rollover."""
    hit = usage.outcome == NEGATIVE
    fallen = [part for part in usage.segments if part.outcome == NEGATIVE]
    numbers = {"register": usage.register, "usage": _number(usage.usage)}
    if fallen:
        numbers |= {
            "previous": str(fallen[0].from_value),
            "current": str(fallen[0].to_value),
            "rollover_usage": _number(fallen[0].rollover_usage),
            "plausible_usage": str(fallen[0].plausible_usage),
        }
    return Finding(
        rule="negative",
        severity=settings.severity if hit else PASS,
        numbers=numbers,
        text="the register fell, and a rollover is not plausible" if hit else "did not fall",
        slots=(usage.register,) if hit else (),
    )


def rollover(usage: RegisterUsage, settings: RuleSettings) -> Finding:
    """[11] The register went over its last digit: said, with the usage that follows from it."""
    rolled = [part for part in usage.segments if part.outcome == ROLLOVER]
    numbers = {"register": usage.register, "rollover_count": str(len(rolled))}
    if not rolled:
        return Finding(rule="rollover", severity=PASS, numbers=numbers, text="did not roll over")
    numbers |= {
        "previous": str(rolled[0].from_value),
        "current": str(rolled[0].to_value),
        "rollover_usage": _number(rolled[0].rollover_usage),
        "plausible_usage": str(rolled[0].plausible_usage),
    }
    return Finding(
        rule="rollover",
        severity=settings.severity,
        numbers=numbers,
        text="the register rolled over",
        slots=(usage.register,),
    )


def meter_exchange(usage: RegisterUsage, settings: RuleSettings) -> Finding:
    """[3] The reading is of the installed meter. An exchange or ratio change with all its readings
    is a warning; a hit is a meter that no exchange explains, or an exchange without readings."""
    numbers = {"register": usage.register, "segment_count": str(len(usage.segments))}
    if usage.outcome in {FOREIGN_METER, NO_EXCHANGE_READING}:
        severity, text = settings.severity, usage.text
    elif len(usage.segments) > 1:
        severity, text = WARN, "usage is added up over an exchange or a ratio change"
        for index, part in enumerate(usage.segments):
            numbers[f"segment_{index}"] = (
                f"({part.to_value} - {part.from_value}) x {part.ratio} on {part.meter_no}"
            )
    else:
        return Finding(rule="meter_exchange", severity=PASS, numbers=numbers, text="same meter")
    slots = (usage.register,)
    return Finding(
        rule="meter_exchange", severity=severity, numbers=numbers, text=text, slots=slots
    )


def spike(values: Mapping[str, int], settings: RuleSettings) -> Finding:
    """[5] The highest value of a set is not far above the third highest.

    A hit is 100 x (highest - third) / third above `tolerance_pct`, for a highest value of at least
    `floor_wh`; its slots are all values that far above the third. A third value of zero makes any
    higher one a hit. Fewer than three values are not judged. The order of the values is no matter.
    """
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    ranked = sorted(values.values(), reverse=True)
    numbers = {"value_count": str(len(ranked)), "tolerance_pct": str(tolerance)}
    if len(ranked) < SPIKE_RANK:
        text = "fewer than three values: not judged"
        return Finding(rule="spike", severity=PASS, numbers=numbers, text=text)
    highest, third = ranked[0], ranked[SPIKE_RANK - 1]
    difference = half_up_div((highest - third) * PERCENT_E2, third) if third > 0 else None
    numbers |= {
        "highest_wh": str(highest),
        "third_wh": str(third),
        "difference_pct": "" if difference is None else format_scaled(difference, 100),
        "floor_wh": str(floor),
    }
    suspects = tuple(
        sorted(
            slot
            for slot, value in values.items()
            if value >= floor and (value - third) * 100 > tolerance * third
        )
    )
    if not suspects:
        return Finding(rule="spike", severity=PASS, numbers=numbers, text="no value stands out")
    return Finding(
        rule="spike",
        severity=settings.severity,
        numbers=numbers,
        text=f"far above the third highest value: {_listed(suspects)}",
        slots=suspects,
    )


def rate_sum(total: int, rates: Mapping[str, int], ratio: str, settings: RuleSettings) -> Finding:
    """[8] The rates add up to the total, within `tolerance_register_wh` on the meter x ratio: total
    and rates are cut off at the last digit of the meter one by one. `tolerance_permille` of the
    total is the other reading of the rule: the larger of both counts, 0 is none."""
    return _sum_check("rate_sum", total, sum(rates.values()), ratio, settings)


def interval_sum(
    register_delta: int, interval_total: int, ratio: str, settings: RuleSettings
) -> Finding:
    """[8] The intervals add up to the register delta, within `tolerance_register_wh` x ratio or
    `tolerance_permille` of the delta, the larger of both."""
    return _sum_check("interval_sum", register_delta, interval_total, ratio, settings)


def _sum_check(rule: str, whole: int, total: int, ratio: str, settings: RuleSettings) -> Finding:
    steps = primary_value(settings.parameters["tolerance_register_wh"], ratio)
    share = floor_div(abs(whole) * settings.parameters["tolerance_permille"], PERMILLE)
    tolerance = max(steps, share)
    difference = abs(total - whole)
    hit = difference > tolerance
    return Finding(
        rule=rule,
        severity=settings.severity if hit else PASS,
        numbers={
            "register_wh": str(whole),
            "sum_wh": str(total),
            "difference_wh": str(difference),
            "tolerance_wh": str(tolerance),
        },
        text="the parts do not add up to the register" if hit else "the parts add up",
    )


def clock_drift(drift_s: int, settings: RuleSettings) -> Finding:
    """[1] The meter's clock is right: above `warn_s` seconds off a warning, above `fail_s` a hit.

    `drift_s` is the meter's time minus the reader's at the same moment, positive when the meter is
    fast. Rates and freezes of a meter with a wrong clock belong to other hours than they say.
    """
    warn_s, fail_s = settings.parameters["warn_s"], settings.parameters["fail_s"]
    severity, text = PASS, "the clock is right"
    if abs(drift_s) > fail_s:
        severity, text = settings.severity, f"the clock is more than {fail_s} s off"
    elif abs(drift_s) > warn_s:
        severity, text = WARN, f"the clock is more than {warn_s} s off"
    numbers = {"drift_s": str(drift_s), "warn_s": str(warn_s), "fail_s": str(fail_s)}
    return Finding(rule="clock_drift", severity=severity, numbers=numbers, text=text)


def usage_while_disconnected(
    usage: RegisterUsage, disconnected: tuple[tuple[str, str], ...], settings: RuleSettings
) -> Finding:
    """[9] Nothing was used between two readings that both lie in one disconnection.

    `disconnected` are periods (from_at, to_at), `to_at` empty while it lasts. A period that covers
    the readings only in part proves nothing and is not judged; nor is a usage that is not known.
    """
    floor = settings.parameters["floor_wh"]
    covering = next((p for p in disconnected if _covers(p, usage.from_at, usage.to_at)), None)
    numbers = {"register": usage.register, "usage": _number(usage.usage), "floor_wh": str(floor)}
    if covering is None or usage.usage is None or usage.usage <= floor:
        text = "no usage behind an open relay" if covering else "not disconnected all the time"
        return Finding(rule="usage_while_disconnected", severity=PASS, numbers=numbers, text=text)
    return Finding(
        rule="usage_while_disconnected",
        severity=settings.severity,
        numbers=numbers | {"disconnected_from_at": covering[0]},
        text="the register moved while the point was disconnected",
        slots=(usage.register,),
    )


def _covers(period: tuple[str, str], from_at: str, to_at: str) -> bool:
    since, until = period
    if seconds_between(since, from_at) < 0:
        return False
    return not until or seconds_between(to_at, until) >= 0


def _number(value: int | None) -> str:
    """A number of a finding; empty when it cannot be told."""
    return "" if value is None else str(value)


def _listed(slots: tuple[str, ...], at_most: int = 4) -> str:
    """The first slots by name and the count of the rest: a text stays one line."""
    rest = f" and {len(slots) - at_most} more" if len(slots) > at_most else ""
    return ", ".join(slots[:at_most]) + rest

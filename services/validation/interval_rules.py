"""The rules for interval energies: size, step, peak, zeros, negative values, inactive, capacity.

Every function takes the energies of one register by the end of their interval, in order of time,
and returns one `Finding` with the numbers it judged by, as the rules of `rules.py` do (spike and
sums are there). Where the order matters a value is None when it is not known or supply was
interrupted: a power outage is a true zero and says nothing about the load. Everything is decided
by cross-multiplication of integers. Sources: domain.md §2, rule numbers in brackets.

    demand_step({"00:15": 1000, "00:30": 90000}, 1000, settings)
    -> warn, {"previous_wh": "1000", "current_wh": "90000", "step_pct": "8900", ...}
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from libs.events.quantities import floor_div, format_scaled, half_up_div
from services.validation.finding import PASS, Finding
from services.validation.register_usage import PERMILLE
from services.validation.rule_set import RuleSettings
from services.validation.rules import PERCENT_E2

MINUTES_PER_HOUR = 60
MINUTE_S = 60


def interval_size(
    found: Mapping[str, int], expected: Collection[str], minutes: int, settings: RuleSettings
) -> Finding:
    """[2] Every interval is exactly as long as it should be and ends where one should end.

    `found` is the length in seconds by interval end, `expected` the ends of the period's intervals
    of `minutes` each.
    """
    grid = frozenset(expected)
    wrong = tuple(
        slot
        for slot, length_s in found.items()
        if length_s != minutes * MINUTE_S or slot not in grid
    )
    numbers = {"expected_s": str(minutes * MINUTE_S), "wrong_count": str(len(wrong))}
    if not wrong:
        return Finding(
            rule="interval_size", severity=PASS, numbers=numbers, text="all are of the right size"
        )
    return Finding(
        rule="interval_size",
        severity=settings.severity,
        numbers=numbers | {"first_wrong_s": str(found[wrong[0]])},
        text="intervals of another length, or that end between two expected ends",
        slots=wrong,
    )


def demand_step(
    values: Mapping[str, int | None], before_wh: int | None, settings: RuleSettings
) -> Finding:
    """[6] Consecutive intervals: 100 x |current - previous| / previous, in per cent.

    A hit is above `tolerance_pct` and at least `floor_wh`; after a previous value of zero every
    step of that size is one. `before_wh` is the value just before the first, None when it is not
    known. The numbers are those of the largest step that hits.
    """
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    hits: list[tuple[str, int, int]] = []
    previous = before_wh
    for slot, value in values.items():
        if value is not None and previous is not None:
            step = abs(value - previous)
            if step >= floor and step * 100 > tolerance * abs(previous):
                hits.append((slot, previous, value))
        previous = value
    numbers = {
        "hit_count": str(len(hits)),
        "tolerance_pct": str(tolerance),
        "floor_wh": str(floor),
    }
    if not hits:
        return Finding(rule="demand_step", severity=PASS, numbers=numbers, text="no large step")
    slot, before, after = max(hits, key=lambda hit: abs(hit[2] - hit[1]))
    return Finding(
        rule="demand_step",
        severity=settings.severity,
        numbers={
            "previous_wh": str(before),
            "current_wh": str(after),
            "step_pct": _percent(abs(after - before), abs(before)),
            **numbers,
        },
        text=f"demand jumps from one interval to the next, the most at {slot}",
        slots=tuple(hit[0] for hit in hits),
    )


def historical_peak(
    values: Mapping[str, int | None], before_peak_wh: int | None, settings: RuleSettings
) -> Finding:
    """[7] The peak of the period against that of the period of the same length before it.

    A hit is 100 x |peak - earlier peak| / earlier peak above `tolerance_pct` and a difference of at
    least `floor_wh`. Not judged when either peak is not known (None).
    """
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    known = {slot: value for slot, value in values.items() if value is not None}
    numbers = {"tolerance_pct": str(tolerance), "floor_wh": str(floor)}
    if before_peak_wh is None or not known:
        text = "a peak is not known: not judged"
        return Finding(rule="historical_peak", severity=PASS, numbers=numbers, text=text)
    slot = max(known, key=known.__getitem__)
    difference = abs(known[slot] - before_peak_wh)
    hit = difference >= floor and difference * 100 > tolerance * abs(before_peak_wh)
    return Finding(
        rule="historical_peak",
        severity=settings.severity if hit else PASS,
        numbers={
            "peak_wh": str(known[slot]),
            "before_peak_wh": str(before_peak_wh),
            "difference_pct": _percent(difference, abs(before_peak_wh)),
            **numbers,
        },
        text="the peak is unlike that of the period before" if hit else "the peak is as before",
        slots=(slot,) if hit else (),
    )


def zero_run(
    values: Mapping[str, int | None], minutes: int, minutes_before: int, settings: RuleSettings
) -> Finding:
    """[9] No usage for `run_minutes` or longer without a break.

    `minutes_before` is how long usage had been zero when the first interval began. An interval
    that is not known, or in an outage (None), ends a run: an outage suppresses the rule.
    """
    limit = settings.parameters["run_minutes"]
    longest, slots = 0, []
    run, run_slots = minutes_before, list[str]()
    for slot, value in [*values.items(), ("", None)]:
        if value == 0:
            run += minutes
            run_slots.append(slot)
            continue
        if run_slots:
            longest = max(longest, run)
            slots += run_slots if run >= limit else []
        run, run_slots = 0, []
    return Finding(
        rule="zero_run",
        severity=settings.severity if slots else PASS,
        numbers={"longest_minutes": str(longest), "run_minutes": str(limit)},
        text=f"no usage for {longest} minutes" if slots else "no long run of zeros",
        slots=tuple(slots),
    )


def zero_minutes_after(values: Mapping[str, int | None], minutes: int, minutes_before: int) -> int:
    """How long usage has been zero when the last interval ends: the next `minutes_before`."""
    run = minutes_before
    for value in values.values():
        run = run + minutes if value == 0 else 0
    return run


def negative_interval(values: Mapping[str, int], settings: RuleSettings) -> Finding:
    """[10] No interval energy is below zero: each direction has a register of its own."""
    below = {slot: value for slot, value in values.items() if value < 0}
    return Finding(
        rule="negative_interval",
        severity=settings.severity if below else PASS,
        numbers={
            "negative_count": str(len(below)),
            "lowest_wh": str(min(below.values(), default=0)),
        },
        text="energies below zero" if below else "none is below zero",
        slots=tuple(below),
    )


def inactive_usage(
    values: Mapping[str, int], inactive: Collection[str], settings: RuleSettings
) -> Finding:
    """[9] Nothing above `floor_wh` is used in an interval that lies wholly in a time (`inactive`,
    by interval end) in which the point was disconnected or had no meter."""
    floor = settings.parameters["floor_wh"]
    used = {slot: values[slot] for slot in values if slot in inactive and values[slot] > floor}
    return Finding(
        rule="inactive_usage",
        severity=settings.severity if used else PASS,
        numbers={
            "inactive_count": str(len(inactive)),
            "used_count": str(len(used)),
            "used_wh": str(sum(used.values())),
            "floor_wh": str(floor),
        },
        text="usage while disconnected or not installed" if used else "no usage while inactive",
        slots=tuple(used),
    )


def capacity(
    values: Mapping[str, int], minutes: int, capacity_w: int, settings: RuleSettings
) -> Finding:
    """[13] No interval carries more than capacity x `margin_permille` x its length.

    `capacity_w` is what the connection can carry (kVA as kW); 0 is not known, and not judged.
    """
    limit = capacity_limit_wh(minutes, capacity_w, settings)
    above = {slot: value for slot, value in values.items() if capacity_w and value > limit}
    return Finding(
        rule="capacity",
        severity=settings.severity if above else PASS,
        numbers={
            "capacity_w": str(capacity_w),
            "limit_wh": str(limit) if capacity_w else "",
            "highest_wh": str(max(values.values(), default=0)),
            "above_count": str(len(above)),
        },
        text="more than the connection can carry" if above else "within the capacity",
        slots=tuple(above),
    )


def capacity_limit_wh(minutes: int, capacity_w: int, settings: RuleSettings) -> int:
    """What an interval may carry, rounded down: whole watt-hours above it are above the limit."""
    margin = settings.parameters["margin_permille"]
    return floor_div(capacity_w * margin * minutes, PERMILLE * MINUTES_PER_HOUR)


def _percent(part: int, whole: int) -> str:
    """A share for people, two decimals; empty of nothing."""
    return format_scaled(half_up_div(part * PERCENT_E2, whole), 100) if whole else ""

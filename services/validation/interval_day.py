"""The interval energies of one register over one day, through every rule that looks at them.

A day has as many intervals as fit between its two midnights, which are instants in UTC: 96 of 15
minutes, 92 or 100 where a zone changes to or from daylight-saving time. This is the plain path;
`screening.py` finds by one vectorised pass which of these rules would hit.

    findings = interval_findings(day, rule_set.rules)
    [found.rule for found in findings if found.severity != "pass"] == ["spike"]
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from services.validation.finding import PASS, Finding
from services.validation.interval_rules import (
    capacity,
    demand_step,
    historical_peak,
    inactive_usage,
    negative_interval,
    zero_run,
)
from services.validation.rule_set import OFF, RuleSettings
from services.validation.rules import missing, spike


@dataclass(frozen=True, slots=True, kw_only=True)
class IntervalDay:
    """The energies (Wh or varh, primary side) of a day, by interval, and what is known around it.

    `ends_at` are the ends of all intervals of the day, `energies_wh` is None where nothing came.
    `outage` and `inactive` are indices of intervals that an outage touches, and that lie wholly in
    a time without connection or meter. `before_wh` is the interval just before the first,
    `before_peak_wh` the peak of the day before (None: not known), `zero_minutes_before` how long
    usage had been zero by then, `capacity_w` what the connection can carry (0: not known).
    """

    ends_at: tuple[str, ...]
    energies_wh: tuple[int | None, ...]
    minutes: int = 15
    outage: frozenset[int] = frozenset()
    inactive: frozenset[int] = frozenset()
    before_wh: int | None = None
    before_peak_wh: int | None = None
    zero_minutes_before: int = 0
    capacity_w: int = 0


@dataclass(frozen=True, slots=True)
class IntervalViews:
    """A day as its rules want it: `known` values by interval end; `supplied` has every interval in
    order, None where nothing is known or supply was interrupted."""

    day: IntervalDay
    known: Mapping[str, int]
    supplied: Mapping[str, int | None]


def interval_views(day: IntervalDay) -> IntervalViews:
    """The views of a day."""
    known = {
        end: value
        for end, value in zip(day.ends_at, day.energies_wh, strict=True)
        if value is not None
    }
    supplied: dict[str, int | None] = dict(zip(day.ends_at, day.energies_wh, strict=True))
    for index in day.outage:
        supplied[day.ends_at[index]] = None
    return IntervalViews(day, known, supplied)


def _missing(views: IntervalViews, settings: RuleSettings) -> Finding:
    """An interval in an outage is a true zero, not a gap, whether or not the meter kept it."""
    ends_at = views.day.ends_at
    without_supply = (ends_at[index] for index in views.day.outage)
    return missing(ends_at, (*views.known, *without_supply), settings)


def _spike(views: IntervalViews, settings: RuleSettings) -> Finding:
    return spike(views.known, settings)


def _demand_step(views: IntervalViews, settings: RuleSettings) -> Finding:
    return demand_step(views.supplied, views.day.before_wh, settings)


def _historical_peak(views: IntervalViews, settings: RuleSettings) -> Finding:
    return historical_peak(views.supplied, views.day.before_peak_wh, settings)


def _zero_run(views: IntervalViews, settings: RuleSettings) -> Finding:
    day = views.day
    return zero_run(views.supplied, day.minutes, day.zero_minutes_before, settings)


def _negative_interval(views: IntervalViews, settings: RuleSettings) -> Finding:
    return negative_interval(views.known, settings)


def _inactive_usage(views: IntervalViews, settings: RuleSettings) -> Finding:
    ends_at = views.day.ends_at
    inactive = frozenset(ends_at[index] for index in views.day.inactive)
    return inactive_usage(views.known, inactive, settings)


def _capacity(views: IntervalViews, settings: RuleSettings) -> Finding:
    return capacity(views.known, views.day.minutes, views.day.capacity_w, settings)


INTERVAL_RULES: Mapping[str, Callable[[IntervalViews, RuleSettings], Finding]] = {
    "missing": _missing,
    "spike": _spike,
    "demand_step": _demand_step,
    "historical_peak": _historical_peak,
    "zero_run": _zero_run,
    "negative_interval": _negative_interval,
    "inactive_usage": _inactive_usage,
    "capacity": _capacity,
}
"""The rules that need nothing but a day of intervals, in the order in which they are told."""


def interval_findings(
    day: IntervalDay,
    rules: Mapping[str, RuleSettings],
    only: Collection[str] = tuple(INTERVAL_RULES),
) -> tuple[Finding, ...]:
    """One finding for each interval rule that is not off; with `only`, for those."""
    views = interval_views(day)
    return tuple(
        judge(views, rules[rule])
        for rule, judge in INTERVAL_RULES.items()
        if rule in only and rules[rule].severity != OFF
    )


def interval_hits(
    day: IntervalDay,
    rules: Mapping[str, RuleSettings],
    only: Collection[str] = tuple(INTERVAL_RULES),
) -> tuple[Finding, ...]:
    """The findings that are no `pass`."""
    return tuple(f for f in interval_findings(day, rules, only) if f.severity != PASS)

"""One vectorised pass over a batch of interval days: which rules of which days would hit.

An accelerator of `interval_day.py`, never a judge: what it names goes through the plain functions,
which make the findings and their numbers. It names exactly the (day, rule) pairs that hit, by the
same integer comparisons (int64, no float), and gives a day with numbers so large that int64 could
overflow to the plain functions whole. The only module that imports numpy.

    tuple(suspects(days, rule_set.rules)) == ((7, "spike"), (41, "missing"))
    screened_hits(days, rules) == tuple(interval_hits(day, rules) for day in days)
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from services.validation.finding import Finding
from services.validation.interval_day import INTERVAL_RULES, IntervalDay, interval_hits
from services.validation.interval_rules import capacity_limit_wh
from services.validation.rule_set import OFF, RuleSettings
from services.validation.rules import SPIKE_RANK

Whole = NDArray[np.int64]
Truth = NDArray[np.bool_]

PRODUCT_MAX = 2**62
"""No product or sum of two values below this over a factor can leave int64."""


@dataclass(frozen=True, slots=True)
class _Batch:
    """Days of as many intervals each, as matrices: a row is a day, a column an interval.

    Values that are not known are 0 in `values`; `supplied` are those known and without outage;
    `lowest` is below every value.
    """

    days: Sequence[IntervalDay]
    values: Whole
    known: Truth
    outage: Truth
    supplied: Truth
    lowest: int

    def column(self, of: Callable[[IntervalDay], int | None]) -> tuple[Whole, Truth]:
        """A number of each day as a column, and where it is known."""
        given = [of(day) for day in self.days]
        numbers = np.array([0 if each is None else each for each in given], dtype=np.int64)
        return numbers[:, None], np.array([each is not None for each in given])[:, None]


def suspects(
    days: Sequence[IntervalDay], rules: Mapping[str, RuleSettings]
) -> Iterator[tuple[int, str]]:
    """The (index of the day, rule) pairs that need the plain functions, by day."""
    judged = {rule: rules[rule] for rule in INTERVAL_RULES if rules[rule].severity != OFF}
    bound = _bound(judged)
    found: dict[int, list[str]] = defaultdict(list)
    sizes: dict[int, list[int]] = defaultdict(list)
    for index, day in enumerate(days):
        if _fits(day, bound):
            sizes[len(day.energies_wh)].append(index)
        else:
            found[index] = list(judged)
    for size, indices in sizes.items():
        batch = _batch([days[index] for index in indices], size, bound)
        for rule, settings in judged.items():
            for row in np.flatnonzero(_SCREENS[rule](batch, settings)).tolist():
                found[indices[row]].append(rule)
    for index in sorted(found):
        for rule in found[index]:
            yield index, rule


def screened_hits(
    days: Sequence[IntervalDay], rules: Mapping[str, RuleSettings]
) -> tuple[tuple[Finding, ...], ...]:
    """What `interval_hits` says of each day, with the plain functions called only where it may say
    anything."""
    wanted: dict[int, list[str]] = defaultdict(list)
    for index, rule in suspects(days, rules):
        wanted[index].append(rule)
    return tuple(
        interval_hits(day, rules, wanted[index]) if index in wanted else ()
        for index, day in enumerate(days)
    )


def _bound(rules: Mapping[str, RuleSettings]) -> int:
    """Up to here every product that a screen makes stays in int64."""
    tolerances = [
        number
        for settings in rules.values()
        for name, number in settings.parameters.items()
        if name == "tolerance_pct"
    ]
    return PRODUCT_MAX // (2 * max(100, *tolerances, 1))


def _fits(day: IntervalDay, bound: int) -> bool:
    """Whether a day has intervals, and every number that a screen works with is below the bound."""
    if not day.energies_wh:
        return False
    numbers = [value for value in day.energies_wh if value is not None]
    longest_run = day.zero_minutes_before + day.minutes * len(day.energies_wh)
    numbers += (day.before_wh or 0, day.before_peak_wh or 0, longest_run)
    return -bound < min(numbers) and max(numbers) < bound


def _batch(days: Sequence[IntervalDay], size: int, bound: int) -> _Batch:
    shape = len(days), size
    known, outage = np.ones(shape, dtype=np.bool_), np.zeros(shape, dtype=np.bool_)
    rows: list[tuple[int | None, ...]] = []
    for row, day in enumerate(days):
        energies = day.energies_wh
        if None in energies:
            known[row] = [value is not None for value in energies]
            energies = tuple(0 if value is None else value for value in energies)
        rows.append(energies)
        if day.outage:
            outage[row, list(day.outage)] = True
    flat = np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=len(days) * size)
    return _Batch(days, flat.reshape(shape), known, outage, known & ~outage, -bound)


# -- the screens: the same comparison as the plain rule, one truth for each day --------------------


def _any(hit: Truth) -> Truth:
    """Whether any interval of a day is one."""
    found: Truth = np.logical_or.reduce(hit, axis=1)
    return found


def _missing(batch: _Batch, _settings: RuleSettings) -> Truth:
    return _any(~(batch.known | batch.outage))


def _spike(batch: _Batch, settings: RuleSettings) -> Truth:
    """Of all values the highest is the farthest above the third: when it is none, none is."""
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    size = batch.values.shape[1]
    if size < SPIKE_RANK:
        return np.zeros(len(batch.days), dtype=np.bool_)
    ranked = np.where(batch.known, batch.values, batch.lowest)
    ranked.partition((size - SPIKE_RANK, size - 1), axis=1)
    third, highest = ranked[:, size - SPIKE_RANK], ranked[:, size - 1]
    enough = batch.known.sum(axis=1) >= SPIKE_RANK
    hit: Truth = enough & (highest >= floor) & ((highest - third) * 100 > tolerance * third)
    return hit


def _demand_step(batch: _Batch, settings: RuleSettings) -> Truth:
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    before, is_known = batch.column(lambda day: day.before_wh)
    values = np.hstack([before, batch.values])
    supplied = np.hstack([is_known, batch.supplied])
    step = np.abs(np.diff(values, axis=1))
    hit = (step >= floor) & (step * 100 > tolerance * np.abs(values[:, :-1]))
    return _any(hit & supplied[:, 1:] & supplied[:, :-1])


def _historical_peak(batch: _Batch, settings: RuleSettings) -> Truth:
    tolerance, floor = settings.parameters["tolerance_pct"], settings.parameters["floor_wh"]
    before, is_known = batch.column(lambda day: day.before_peak_wh)
    peak = np.where(batch.supplied, batch.values, batch.lowest).max(axis=1)
    difference = np.abs(peak - before[:, 0])
    hit = (difference >= floor) & (difference * 100 > tolerance * np.abs(before[:, 0]))
    found: Truth = hit & is_known[:, 0] & _any(batch.supplied)
    return found


def _zero_run(batch: _Batch, settings: RuleSettings) -> Truth:
    """The run that ends at an interval: its place less that of the last interval that breaks it."""
    minutes, _ = batch.column(lambda day: day.minutes)
    carried, _ = batch.column(lambda day: day.zero_minutes_before)
    zero = batch.supplied & (batch.values == 0)
    places = np.arange(1, batch.values.shape[1] + 1, dtype=np.int64)[None, :]
    broken_at = np.maximum.accumulate(np.where(zero, 0, places), axis=1)
    run = (places - broken_at) * minutes + np.where(broken_at == 0, carried, 0)
    return _any(zero & (run >= settings.parameters["run_minutes"]))


def _negative_interval(batch: _Batch, _settings: RuleSettings) -> Truth:
    return _any(batch.values < 0)


def _inactive_usage(batch: _Batch, settings: RuleSettings) -> Truth:
    hit = np.zeros(len(batch.days), dtype=np.bool_)
    floor = settings.parameters["floor_wh"]
    for row, day in enumerate(batch.days):
        if day.inactive:
            columns = list(day.inactive)
            used = batch.values[row, columns] > floor
            hit[row] = bool((used & batch.known[row, columns]).any())
    return hit


def _capacity(batch: _Batch, settings: RuleSettings) -> Truth:
    most = -batch.lowest
    limits, is_known = batch.column(
        lambda day: (
            max(-most, min(capacity_limit_wh(day.minutes, day.capacity_w, settings), most))
            if day.capacity_w
            else None
        )
    )
    return _any((batch.values > limits) & batch.known & is_known)


_SCREENS: Mapping[str, Callable[[_Batch, RuleSettings], Truth]] = {
    "missing": _missing,
    "spike": _spike,
    "demand_step": _demand_step,
    "historical_peak": _historical_peak,
    "zero_run": _zero_run,
    "negative_interval": _negative_interval,
    "inactive_usage": _inactive_usage,
    "capacity": _capacity,
}

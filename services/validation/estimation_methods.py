"""The methods that estimate intervals: each a named pure function from a gap to its shape.

A shape is one exact number (Wh or varh, a fraction) per slot of the gap, and what it came from;
None when the method finds no reference. Nothing is rounded or scaled here (interval_scaling.py),
and only known slots are looked at, so no estimate comes from an estimate. Letters: domain.md §2.

    linear              (a) on the line between the known slots on both sides
    check_meter         (b) what a check meter or SCADA measured
    same_weekday        (c) average of the nearest whole days of the same weekday (holiday: holiday)
    like_day            (d) the nearest whole day that is like it, by the plan's table
    weeks_average       (e) average of each time of day on this weekday, from days that have holes
    class_profile       (f) the profile of the customer's class
    flat_average        (g) average use of a whole day, the same in every slot
    register_even           what the register leaves, the same in every slot
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from services.validation import estimation_plan as names
from services.validation.estimation_plan import EstimationPlan, PlanStep
from services.validation.interval_series import KNOWN, Series
from services.validation.slot_time import (
    HOLIDAY,
    MINUTES_PER_DAY,
    WEEKDAYS,
    SlotLabel,
    day_kind,
    days_apart,
)

Time = tuple[int, int]
"""Minute of the wall clock, and fold."""


class Shape(NamedTuple):
    """One number per slot of a gap, and the days, slots or tables that it came from."""

    values: tuple[Fraction, ...]
    references: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Consecutive slots (indices, both included) to be estimated together: the part of a hole that
    lies in one local day and between two registers.

    `hole` are the ends of the whole hole, `left` what the register leaves for each slot of the
    bracket in which the gap lies, None where no register brackets it.
    """

    first: int
    last: int
    hole: tuple[int, int]
    left: Fraction | None = None

    @property
    def slots(self) -> range:
        """The indices of the slots."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """The days of a series: every slot of a day by time, and which days are whole and known."""

    days: Mapping[str, Mapping[Time, int]]
    whole: tuple[str, ...]
    kinds: Mapping[str, str]


def history_of(series: Series, holidays: frozenset[str], full: Callable[[str], int]) -> History:
    """The days of a series. `full` says how many slots a day has (23 or 25 hours on two days of
    some zones). A day with a gap or an outage is not whole."""
    days: dict[str, dict[Time, int]] = {}
    for label, quality, energy in zip(
        series.labels, series.qualities, series.energies, strict=True
    ):
        known = days.setdefault(label.day_on, {})
        if quality in KNOWN and energy is not None:
            known[label.minute, label.fold] = energy
    return History(
        days=days,
        whole=tuple(sorted(day for day, known in days.items() if len(known) == full(day))),
        kinds={day: day_kind(day, holidays) for day in days},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that a method may look at."""

    series: Series
    history: History
    plan: EstimationPlan
    gap: Gap

    @property
    def day_on(self) -> str:
        """The local day of the gap."""
        return self.series.labels[self.gap.first].day_on

    def labels(self) -> tuple[SlotLabel, ...]:
        """The wall clock of the gap's slots."""
        return self.series.labels[self.gap.first : self.gap.last + 1]


# -- the methods -----------------------------------------------------------------------------------


def linear(subject: Subject, _step: PlanStep) -> Shape | None:
    """(a) Point to point: each slot on the line between the two known slots around the hole. An
    outage, an end of the series or another gap is no such point."""
    series, (first, last) = subject.series, subject.gap.hole
    before, after = series.known(first - 1), series.known(last + 1)
    if before is None or after is None:
        return None
    steps = last - first + 2
    values = tuple(
        before + Fraction((after - before) * (index - first + 1), steps)
        for index in subject.gap.slots
    )
    return Shape(values, (series.end_at(first - 1), series.end_at(last + 1)))


def check_meter(subject: Subject, _step: PlanStep) -> Shape | None:
    """(b) The energies of the check meter or SCADA, when it has every slot of the gap."""
    series = subject.series
    found = [
        series.check.get(series.start(index) + series.interval_minutes)
        for index in subject.gap.slots
    ]
    values = tuple(Fraction(value) for value in found if value is not None)
    return Shape(values, (names.CHECK_METER,)) if len(values) == len(found) else None


def same_weekday(subject: Subject, step: PlanStep) -> Shape | None:
    """(c) The average of the `samples` nearest whole days of the same kind within `window_days`
    before or after; None when there are fewer than `samples_min`."""
    kind = subject.history.kinds[subject.day_on]
    days = _nearest(subject, (kind,), step.parameters["window_days"])
    days = days[: step.parameters["samples"]]
    if len(days) < step.parameters["samples_min"]:
        return None
    return _average(subject, days)


def like_day(subject: Subject, step: PlanStep) -> Shape | None:
    """(d) The nearest whole day within `window_days` of a kind that the plan calls like this one:
    its own kind first, then the others, of equally good days the nearest."""
    kinds = subject.plan.like_days[subject.history.kinds[subject.day_on]]
    days = _nearest(subject, kinds, step.parameters["window_days"])
    ranked = sorted(days, key=lambda day: kinds.index(subject.history.kinds[day]))
    return _average(subject, ranked[:1]) if ranked else None


def weeks_average(subject: Subject, step: PlanStep) -> Shape | None:
    """(e) For each time of day the average over all days of the same kind within `window_days` that
    know this time, whole or not; None when some time has no value at all."""
    history, window_days = subject.history, step.parameters["window_days"]
    kind = history.kinds[subject.day_on]
    days = [
        day
        for day in history.days
        if history.kinds[day] == kind and abs(days_apart(day, subject.day_on)) <= window_days
    ]
    values: list[Fraction] = []
    used: set[str] = set()
    for label in subject.labels():
        found = [(day, value) for day in days for value in [_at(history.days[day], label)]]
        known = [(day, value) for day, value in found if value is not None]
        if not known:
            return None
        values.append(_mean([value for _, value in known]))
        used.update(day for day, _ in known)
    return Shape(tuple(values), tuple(sorted(used)))


def class_profile(subject: Subject, _step: PlanStep) -> Shape | None:
    """(f) The class's Wh of the hours that each slot lies in; None when the class has no profile.
    A slot longer than an hour takes the hours of the wall clock from its begin on."""
    profile = subject.plan.class_profiles.get(subject.series.profile_class)
    if profile is None:
        return None
    kind = subject.history.kinds[subject.day_on]
    day = names.RESTDAY if kind in {*WEEKDAYS[5:], HOLIDAY} else names.WORKDAY
    minutes = subject.series.interval_minutes
    values = tuple(
        _profile_energy(profile[day], label.minute, minutes) for label in subject.labels()
    )
    return Shape(values, (f"{subject.series.profile_class}/{day}",))


def _profile_energy(hours: Sequence[int], begin: int, minutes: int) -> Fraction:
    total = Fraction(0)
    at, end = begin, begin + minutes
    while at < end:
        until = min(end, at - at % 60 + 60)
        total += Fraction(hours[at // 60 % names.HOURS] * (until - at), 60)
        at = until
    return total


def flat_average(subject: Subject, step: PlanStep) -> Shape | None:
    """(g) The average use of the whole days within `window_days`, spread evenly: a day of 24 hours
    has as much in each slot as a day of 23 or 25."""
    days = _nearest(subject, None, step.parameters["window_days"])
    if not days:
        return None
    daily = _mean([sum(subject.history.days[day].values()) for day in days])
    value = daily * Fraction(subject.series.interval_minutes, MINUTES_PER_DAY)
    return Shape((value,) * len(subject.gap.slots), tuple(sorted(days)))


def register_even(subject: Subject, _step: PlanStep) -> Shape | None:
    """What the register leaves for the slots between its readings, the same for each."""
    left = subject.gap.left
    if left is None:
        return None
    return Shape((left,) * len(subject.gap.slots), ("register",))


METHODS: Mapping[str, Callable[[Subject, PlanStep], Shape | None]] = {
    names.LINEAR: linear,
    names.CHECK_METER: check_meter,
    names.SAME_WEEKDAY: same_weekday,
    names.LIKE_DAY: like_day,
    names.WEEKS_AVERAGE: weeks_average,
    names.CLASS_PROFILE: class_profile,
    names.FLAT_AVERAGE: flat_average,
    names.REGISTER_EVEN: register_even,
}
"""Every method by the name that plans and results use."""


# -- references ------------------------------------------------------------------------------------


def _nearest(subject: Subject, kinds: tuple[str, ...] | None, window_days: int) -> list[str]:
    """The whole days of some kinds (None: any) that know every time of the gap, the nearest first,
    of two equally near the earlier."""
    history, day_on = subject.history, subject.day_on
    candidates = [
        (abs(days_apart(day, day_on)), day)
        for day in history.whole
        if kinds is None or history.kinds[day] in kinds
    ]
    near = sorted(pair for pair in candidates if pair[0] <= window_days)
    labels = subject.labels()
    if kinds is None:
        return [day for _, day in near]
    return [
        day for _, day in near if all(_at(history.days[day], label) is not None for label in labels)
    ]


def _at(known: Mapping[Time, int], label: SlotLabel) -> int | None:
    """A day's energy at a time of the wall clock. The hour that comes twice once a year is as the
    same hour of other days; the hour that is left out once a year is not on that day."""
    found = known.get((label.minute, label.fold))
    return known.get((label.minute, 0)) if found is None and label.fold else found


def _average(subject: Subject, days: Sequence[str]) -> Shape:
    known = [subject.history.days[day] for day in days]
    values = tuple(
        _mean([value for day in known for value in [_at(day, label)] if value is not None])
        for label in subject.labels()
    )
    return Shape(values, tuple(sorted(days)))


def _mean(values: Iterable[int]) -> Fraction:
    kept = tuple(values)
    return Fraction(sum(kept), len(kept))

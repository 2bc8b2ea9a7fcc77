"""Months of an account: the days it is supplied, its usage day by day, which month comes next.

supplied(agreement, "2026-01-15")      ("2026-01-16", ""): billed elsewhere to the 15th
next_to_bill(("2026-01-16", ""), (("2026-01", "2026-03"),))              "2026-04"
energy_in(noted(PointMonth(), event), "2026-01-01", "2026-02-01")        {"1-0:1.8.0": 14_400}
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import pairwise
from typing import NamedTuple

from services.billing.agreement import AgreementTerms
from services.billing.calendar import days_between, overlap
from services.billing.events import AgreementNoted, UsageNoted

Span = tuple[str, str]
"""The first day and the day after the last one, "" when it is open."""

MonthRange = tuple[str, str]
"""The first and the last of adjoining months."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointMonth:
    """A point's month, day by day; bit 0 and place 0 are the 1st.

    days, estimated, exchanged, blocked: which days are there, are no actual, have a meter exchange,
    have a time-of-use basis that a person must look at; energy: register -> Wh or varh of each day;
    demands: day -> W and when; revisions: day -> its revision where that is above 1; the readings
    before the first and after the last day that is there.
    """

    days: int = 0
    estimated: int = 0
    exchanged: int = 0
    energy: dict[str, tuple[int, ...]] = field(default_factory=dict)
    demands: dict[str, tuple[int, str]] = field(default_factory=dict)
    revisions: dict[str, int] = field(default_factory=dict)
    first_reading: str = ""
    last_reading: str = ""
    blocked: int = 0


# -- days and months ------------------------------------------------------------------------------


def next_month(month: str) -> str:
    """The month after `2026-12` is `2027-01`."""
    year, number = int(month[:4]), int(month[5:7])
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"


def first_day(month: str) -> str:
    """The first day of a month."""
    return f"{month}-01"


def month_span(month: str) -> Span:
    """All days of a month."""
    return first_day(month), first_day(next_month(month))


def add_days(on: str, days: int) -> str:
    """The day some days later."""
    return (date.fromisoformat(on) + timedelta(days=days)).isoformat()


def months_with(billed: Sequence[MonthRange], month: str) -> tuple[MonthRange, ...]:
    """The ranges of billed months with one more."""
    merged: list[MonthRange] = []
    for first, last in sorted((*billed, (month, month))):
        if merged and first <= next_month(merged[-1][1]):
            merged[-1] = (merged[-1][0], max(merged[-1][1], last))
        else:
            merged.append((first, last))
    return tuple(merged)


# -- what is supplied -----------------------------------------------------------------------------


def supplied(agreement: AgreementNoted | None, billed_to_on: str) -> Span | None:
    """The days that are ours to bill: under the agreement, with a point, after the opening.

    billed_to_on: the last day that was billed before the account came here, "" for none.
    """
    if agreement is None or not agreement.timeline:
        return None
    points = agreement.timeline[-1].terms.points
    if not points:
        return None
    starts = [agreement.timeline[0].from_on, min(point.from_on for point in points)]
    if billed_to_on:
        starts.append(add_days(billed_to_on, 1))
    ends = [point.until_on for point in points]
    until_on = "" if "" in ends else max(ends)
    until_on = min((end for end in (until_on, agreement.moved_out_on) if end), default="")
    from_on = max(starts)
    return None if until_on and until_on <= from_on else (from_on, until_on)


def days_of(days: Span | None, month: str) -> Span | None:
    """The days of a month within the days supplied."""
    return None if days is None else overlap(*month_span(month), *days)


def next_to_bill(days: Span | None, billed: Sequence[MonthRange]) -> str:
    """The first month with supply that is not billed, "" when there is none."""
    if days is None:
        return ""
    month = days[0][:7]
    for first, last in billed:
        if first <= month <= last:
            month = next_month(last)
    return month if days_of(days, month) is not None else ""


class TermsPart(NamedTuple):
    """Days with one set of terms, which has only what is in force then."""

    from_on: str
    until_on: str
    terms: AgreementTerms


def terms_parts(agreement: AgreementNoted, from_on: str, until_on: str) -> tuple[TermsPart, ...]:
    """Days of one month cut where anything in the agreement changes that counts for a bill."""
    timeline = agreement.timeline
    cuts = {from_on, until_on, *(dated.from_on for dated in timeline)}
    agreed = timeline[-1].terms
    cuts |= {on for each in agreed.points for on in (each.from_on, each.until_on)}
    cuts |= {on for each in agreed.relations for on in (each.from_on, each.until_on)}
    cuts |= {on for each in agreed.components for on in (each.from_on, each.until_on)}
    days = sorted(on for on in cuts if from_on <= on <= until_on)
    parts: list[TermsPart] = []
    for start, end in pairwise(days):
        terms = _in_force(agreement, start, end, (from_on, until_on))
        last = parts[-1] if parts else None
        if last is not None and replace(last.terms, language=terms.language) == terms:
            parts[-1] = last._replace(until_on=end)
        else:
            parts.append(TermsPart(start, end, terms))
    return tuple(parts)


def _in_force(
    agreement: AgreementNoted, from_on: str, until_on: str, month: Span
) -> AgreementTerms:
    """The terms of these days without what is over, or only comes after the days of the month.

    Points and relations hold on all of these days, so their dates are left out; those of
    transformers and components are cut to the month: what becomes of them later does not change the
    terms of a month that is past.
    """
    terms = [dated.terms for dated in agreement.timeline if dated.from_on <= from_on][-1]
    after = first_day(next_month(from_on[:7]))
    return replace(
        terms,
        points=tuple(
            replace(each, from_on="", until_on="")
            for each in terms.points
            if overlap(from_on, until_on, each.from_on, each.until_on)
        ),
        relations=tuple(
            replace(each, from_on="", until_on="")
            for each in terms.relations
            if overlap(from_on, until_on, each.from_on, each.until_on)
        ),
        transformers=tuple(
            replace(each, from_on=found[0], until_on=found[1])
            for each in terms.transformers
            if overlap(from_on, until_on, each.from_on, each.until_on)
            and (found := overlap(*month, each.from_on, each.until_on))
        ),
        allowances=tuple(each for each in terms.allowances if each.from_on < after),
        components=tuple(
            replace(each, from_on=found[0], until_on=found[1])
            for each in terms.components
            if overlap(from_on, until_on, each.from_on, each.until_on)
            and (found := overlap(*month, each.from_on, each.until_on))
        ),
        external_lines=tuple(
            each for each in agreement.external_lines if each.month == from_on[:7]
        ),
    )


# -- usage day by day -----------------------------------------------------------------------------


def revision_of(known: PointMonth, day_on: str) -> int:
    """The revision of a day that stands, 0 when the day is not there."""
    number = int(day_on[8:10])
    return known.revisions.get(str(number), known.days >> (number - 1) & 1)


def noted(known: PointMonth, event: UsageNoted) -> PointMonth:
    """The month with a day's usage, which takes the place of an earlier revision's."""
    number = int(event.day_on[8:10])
    day, bit = str(number), 1 << (number - 1)
    energy: dict[str, tuple[int, ...]] = {}
    for register in sorted({**known.energy, **event.energy}):
        values = known.energy.get(register, ())
        values += (0,) * (number - len(values))
        wh = event.energy.get(register, 0)
        energy[register] = (*values[: number - 1], wh, *values[number:])
    demands = {name: peak for name, peak in known.demands.items() if name != day}
    if event.demand_at:
        demands[day] = (event.demand_w, event.demand_at)
    revisions = dict(known.revisions)
    if event.revision > 1:
        revisions[day] = event.revision
    is_first = known.days & (bit - 1) == 0
    is_last = known.days < 2 * bit
    return PointMonth(
        days=known.days | bit,
        estimated=_with_bit(known.estimated, bit, event.quality != "actual"),
        exchanged=_with_bit(known.exchanged, bit, event.after_exchange),
        blocked=_with_bit(known.blocked, bit, event.basis_blocked),
        energy=energy,
        demands=demands,
        revisions=revisions,
        first_reading="".join(event.readings[:1]) if is_first else known.first_reading,
        last_reading="".join(event.readings[-1:]) if is_last else known.last_reading,
    )


def _with_bit(bits: int, bit: int, is_set: bool) -> int:
    return bits | bit if is_set else bits & ~bit


def day_bits(from_on: str, until_on: str) -> int:
    """The bits of days that lie in one month."""
    count = days_between(from_on, until_on)
    return ((1 << count) - 1) << (int(from_on[8:10]) - 1)


def energy_in(known: PointMonth, from_on: str, until_on: str) -> dict[str, int]:
    """The energy of days of the month by register."""
    first = int(from_on[8:10]) - 1
    last = first + days_between(from_on, until_on)
    return {register: sum(values[first:last]) for register, values in known.energy.items()}


def demand_in(known: PointMonth, from_on: str, until_on: str) -> tuple[int, str] | None:
    """The highest demand of days of the month and its instant, the earliest one; None for none."""
    bits = day_bits(from_on, until_on)
    found = [
        (-demand_w, at)
        for day, (demand_w, at) in known.demands.items()
        if bits >> (int(day) - 1) & 1
    ]
    if not found:
        return None
    demand_w, at = min(found)
    return -demand_w, at

"""Gaps of a load profile filled by the plan, and scaled so that the register is kept exactly.

    estimate = estimate_series(series, brackets, DEFAULT_PLAN)
    estimate.filled[0]    FilledSlot(end_at=..., energy=11_000, method="linear", references=(...),
                                     scale=Fraction(1), ...)
    estimate.balances[0]  delta == known + estimated, or why not

**Order.** Holes are cut at local midnights and at register readings; each part gets the first
method of the plan that can fill it. **Scale.** Between two readings the known slots stay, and what
the register leaves is split over all estimated slots in proportion to their shapes. Without a
register the shapes stand (`scale` None), rounded half up; when the register arrives, the same call
scales them, for an estimate is a gap like any other. **Never negative.** When known slots alone
exceed the register, nothing is estimated between these readings: a finding says so, and a person
decides. Outages are true zeros and stay.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from fractions import Fraction
from functools import partial
from itertools import groupby, pairwise

from libs.events.errors import BadInput
from libs.events.quantities import half_up_div
from services.validation.estimation_methods import (
    METHODS,
    Gap,
    History,
    Shape,
    Subject,
    history_of,
)
from services.validation.estimation_plan import EstimationPlan
from services.validation.finding import FAIL, WARN, Finding
from services.validation.interval_scaling import scale_to
from services.validation.interval_series import ESTIMATED, MISSING, Series, Slot
from services.validation.register_bracket import Bracket
from services.validation.slot_time import DEFAULT_ZONE, at_of, day_bounds

NO_METHOD = "no_method"
ABOVE_REGISTER = "above_register"
REGISTER_UNKNOWN = "register_unknown"
REGISTER_DIFFERS = "register_differs"
NO_BRACKET = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledSlot:
    """An estimated slot: its energy (Wh or varh, whole), how it came to be, and the exact factor
    (or, where no factor works, the shift) that brought the shape to the register."""

    end_at: str
    energy: int
    method: str
    references: tuple[str, ...]
    shape: Fraction
    scale: Fraction | None = None
    shift: Fraction | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What stands between two register readings. `delta` is None when the register says nothing;
    `kept` is whether known + estimated is the delta, and no slot is left empty."""

    from_at: str
    to_at: str
    delta: int | None
    outcome: str
    source: str
    known: int
    estimated: int
    kept: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesEstimate:
    """All slots of a series after estimation, those that were filled, those that could not be, and
    the balance of every bracket. `slots` go into the next estimation unchanged."""

    plan: str
    slots: tuple[Slot, ...]
    filled: tuple[FilledSlot, ...]
    unfilled: tuple[str, ...]
    balances: tuple[Balance, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Part:
    """A gap with the shape that some method gave it, None when none could."""

    gap: Gap
    method: str
    shape: Shape | None


def estimate_series(
    series: Series,
    brackets: Sequence[Bracket],
    plan: EstimationPlan,
    *,
    holidays: frozenset[str] = frozenset(),
    zone: tzinfo = DEFAULT_ZONE,
) -> SeriesEstimate:
    """Fill every gap of a series. The same series, brackets and plan always give the same result;
    estimating the result again changes nothing. BadInput when a bracket does not begin and end with
    slots of the series, or two brackets overlap."""
    spans = [_span(series, bracket) for bracket in brackets]
    if any(late.start < early.stop for early, late in pairwise(spans)):
        raise BadInput("registers", "two periods overlap", "give readings in order of time")
    full = partial(_slots_of_day, interval_minutes=series.interval_minutes, zone=zone)
    history = history_of(series, holidays, full)
    left = [_left(series, *pair) for pair in zip(spans, brackets, strict=True)]
    parts: dict[int, list[_Part]] = {}
    for gap, index in _gaps(series, spans, left):
        parts.setdefault(index, []).append(_shaped(series, history, plan, gap))
    filled: dict[int, FilledSlot] = {}
    balances, findings = [], []
    for index, (bracket, span) in enumerate(zip(brackets, spans, strict=True)):
        new, found = _fill_bracket(series, bracket, span, parts.get(index, []), plan)
        filled |= new
        findings += found
        balances.append(_balance(series, bracket, span, new))
    for part in parts.get(NO_BRACKET, []):
        filled |= _unscaled(series, part)
    return _result(series, plan, filled, balances, findings)


def _span(series: Series, bracket: Bracket) -> range:
    """The indices of the slots between two readings."""
    size = series.interval_minutes
    first, off = divmod(bracket.from_minute - series.first_minute, size)
    stop, off_end = divmod(bracket.to_minute - series.first_minute, size)
    if off or off_end or not 0 <= first < stop <= len(series.energies):
        problem = f"{at_of(bracket.from_minute)} to {at_of(bracket.to_minute)} is not of the series"
        raise BadInput("registers", problem, "give readings taken between its intervals")
    return range(first, stop)


def _slots_of_day(day_on: str, *, interval_minutes: int, zone: tzinfo) -> int:
    begins, ends = day_bounds(day_on, zone)
    return (ends - begins) // interval_minutes


def _gaps(
    series: Series, spans: Sequence[range], left: Sequence[Fraction | None]
) -> Iterator[tuple[Gap, int]]:
    """Every hole, cut at midnights and registers, with the index of its bracket."""
    of_slot = {slot: number for number, span in enumerate(spans) for slot in span}
    holes = groupby(range(len(series.energies)), key=series.is_gap)
    for _, slots in ((gap, list(slots)) for gap, slots in holes if gap):
        hole = (slots[0], slots[-1])
        cuts = groupby(
            slots, key=lambda at: (series.labels[at].day_on, of_slot.get(at, NO_BRACKET))
        )
        for (_, number), piece in cuts:
            cut = list(piece)
            share = None if number == NO_BRACKET else left[number]
            yield Gap(first=cut[0], last=cut[-1], hole=hole, left=share), number


def _left(series: Series, span: range, bracket: Bracket) -> Fraction | None:
    """What a register leaves for each of its empty slots, None when it says nothing."""
    empty = sum(series.is_gap(index) for index in span)
    if bracket.energy is None or not empty:
        return None
    return Fraction(bracket.energy - _known(series, span), empty)


def _known(series: Series, span: range) -> int:
    return sum(series.known(index) or 0 for index in span)


def _shaped(series: Series, history: History, plan: EstimationPlan, gap: Gap) -> _Part:
    """The first method of the plan whose condition holds and that finds its references."""
    subject = Subject(series=series, history=history, plan=plan, gap=gap)
    hole_min = (gap.hole[1] - gap.hole[0] + 1) * series.interval_minutes
    for step in plan.steps:
        if step.gap_max_min and hole_min > step.gap_max_min:
            continue
        shape = METHODS[step.method](subject, step)
        if shape is not None:
            return _Part(gap, step.method, shape)
    return _Part(gap, "", None)


def _fill_bracket(
    series: Series, bracket: Bracket, span: range, parts: list[_Part], plan: EstimationPlan
) -> tuple[dict[int, FilledSlot], list[Finding]]:
    """The slots between two readings, brought to the register; none when it leaves less than
    nothing, unscaled when it says nothing or a slot stays empty."""
    if bracket.energy is None:
        filled = {at: slot for part in parts for at, slot in _unscaled(series, part).items()}
        return filled, [_register_unknown(bracket)]
    left = bracket.energy - _known(series, span)
    if not parts:
        return {}, [_register_differs(bracket, left)] if left else []
    if left < 0 and not series.signed:
        return {}, [_above_register(series, bracket, parts, left)]
    shapes = [shape for part in parts for shape in (part.shape.values if part.shape else ())]
    if any(part.shape is None for part in parts):
        return {at: slot for part in parts for at, slot in _unscaled(series, part).items()}, []
    scaled = scale_to(left, shapes, plan.residual)
    energies = iter(scaled.energies)
    filled = {
        at: FilledSlot(
            end_at=series.end_at(at),
            energy=next(energies),
            method=part.method,
            references=part.shape.references,
            shape=exact,
            scale=scaled.scale,
            shift=scaled.shift,
        )
        for part in parts
        if part.shape is not None
        for at, exact in zip(part.gap.slots, part.shape.values, strict=True)
    }
    return filled, []


def _unscaled(series: Series, part: _Part) -> dict[int, FilledSlot]:
    if part.shape is None:
        return {}
    return {
        at: FilledSlot(
            end_at=series.end_at(at),
            energy=half_up_div(exact.numerator, exact.denominator),
            method=part.method,
            references=part.shape.references,
            shape=exact,
        )
        for at, exact in zip(part.gap.slots, part.shape.values, strict=True)
    }


def _balance(
    series: Series, bracket: Bracket, span: range, filled: dict[int, FilledSlot]
) -> Balance:
    known = _known(series, span)
    estimated = sum(slot.energy for slot in filled.values())
    complete = all(index in filled for index in span if series.is_gap(index))
    return Balance(
        from_at=at_of(bracket.from_minute),
        to_at=at_of(bracket.to_minute),
        delta=bracket.energy,
        outcome=bracket.outcome,
        source=bracket.source,
        known=known,
        estimated=estimated,
        kept=complete and bracket.energy == known + estimated,
    )


def _result(
    series: Series,
    plan: EstimationPlan,
    filled: dict[int, FilledSlot],
    balances: list[Balance],
    findings: list[Finding],
) -> SeriesEstimate:
    slots = []
    for index, quality in enumerate(series.qualities):
        slot = Slot(end_at=series.end_at(index), energy=series.energies[index], quality=quality)
        if index in filled:
            slot = replace(slot, energy=filled[index].energy, quality=ESTIMATED)
        elif series.is_gap(index):
            slot = replace(slot, energy=None, quality=MISSING)
        slots.append(slot)
    unfilled = [slot.end_at for slot in slots if slot.quality == MISSING]
    told = {slot for finding in findings for slot in finding.slots}
    alone = tuple(end_at for end_at in unfilled if end_at not in told)
    if alone:
        findings = [*findings, _no_method(alone)]
    return SeriesEstimate(
        plan=plan.name,
        slots=tuple(slots),
        filled=tuple(filled[index] for index in sorted(filled)),
        unfilled=tuple(unfilled),
        balances=tuple(balances),
        findings=tuple(findings),
    )


# -- findings --------------------------------------------------------------------------------------


def _period(bracket: Bracket) -> str:
    return f"{at_of(bracket.from_minute)} to {at_of(bracket.to_minute)}"


def _above_register(series: Series, bracket: Bracket, parts: list[_Part], left: int) -> Finding:
    numbers = {"register": str(bracket.energy), "left": str(left)}
    return Finding(
        rule=ABOVE_REGISTER,
        severity=FAIL,
        numbers=numbers,
        text=f"known intervals alone exceed the register, {_period(bracket)}",
        slots=tuple(series.end_at(at) for part in parts for at in part.gap.slots),
    )


def _register_unknown(bracket: Bracket) -> Finding:
    why = bracket.text or bracket.outcome
    text = f"the register says nothing, {_period(bracket)}: {why}"
    return Finding(rule=REGISTER_UNKNOWN, severity=FAIL, text=text)


def _register_differs(bracket: Bracket, left: int) -> Finding:
    numbers = {"register": str(bracket.energy), "left": str(left)}
    text = f"nothing is empty, and the register differs, {_period(bracket)}"
    return Finding(rule=REGISTER_DIFFERS, severity=WARN, numbers=numbers, text=text)


def _no_method(slots: tuple[str, ...]) -> Finding:
    return Finding(
        rule=NO_METHOD,
        severity=FAIL,
        numbers={"slot_count": str(len(slots))},
        text="no method of the plan finds a reference",
        slots=slots,
    )

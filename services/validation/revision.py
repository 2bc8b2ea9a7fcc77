"""The usage of days, revision by revision: worked out between marks, estimated behind them.

Whenever a reading is accepted (or a supply says otherwise), all spans that are still kept are
worked out anew in order of time, and the days that changed get a new revision. What stands in the
end is therefore a function of the readings, not of the order in which they arrived.

    readings of 2 and 4 January, then of 3 January: 3 and 4 January get revision 2, actual, and
    the changes of both add up to zero
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from libs.events.core import Emit
from services.validation.edit_events import EditOverruled
from services.validation.edit_state import DayEdit
from services.validation.edited_days import with_edits
from services.validation.estimation import (
    ACTUAL,
    Actual,
    DayUsage,
    estimate_gap,
    estimate_open,
)
from services.validation.events import (
    EstimateSuperseded,
    Finding,
    UsageDemand,
    UsageEstablished,
)
from services.validation.instant import day_end_at, day_start, format_instant, parse_instant
from services.validation.interval_series import EDITED
from services.validation.point_check import check_day
from services.validation.point_facts import HISTORY_DAYS, PointHistory
from services.validation.policy import Policy
from services.validation.register_usage import RegisterUsage, primary_value
from services.validation.register_usage import usages_between as usages_of
from services.validation.rules_in_force import (
    as_told,
    facts_of,
    point_day,
    point_rules,
    rules_for,
    supply_of_day,
)
from services.validation.state import Established, Point, evolve
from services.validation.timeline import (
    Mark,
    OpenEnd,
    Run,
    Span,
    add_days,
    chain_of,
    day_of,
    meters_of,
    next_supplied,
    open_ends,
    spans,
    supply_on,
)

USAGE = "validation.usage"


def runs_of(point: Point) -> tuple[Run, ...]:
    """The runs of meters at the point."""
    return chain_of(point.supplies)


def margin_of(point: Point, policy: Policy) -> int:
    """Up to which part of the capacity (1/1000) a falling register counts as rolled over: by the
    class of the point alone, so that usage does not depend on who read the registers."""
    rules = point_rules(policy.rule_book, point.supplies)
    return rules.rules["rollover"].parameters["capacity_margin_permille"]


def usages_between(run: Run, first: Mark, last: Mark, margin: int) -> dict[str, RegisterUsage]:
    """What every register says between two marks of a run; `margin` as in `margin_of`."""
    return usages_of(first.snapshot(), last.snapshot(), run.meters, margin)


# -- between marks --------------------------------------------------------------------------------


def work_out(
    point: Point,
    key: str,
    because: str,
    findings: dict[str, tuple[Finding, ...]],
    policy: Policy,
) -> Iterator[Emit]:
    """New revisions of all days between marks that changed; `because`: the id of what changed them;
    `findings`: by day, what was found about its reading."""
    estimates: list[str] = []
    bodies: list[UsageEstablished] = []
    before = point  # what is established: folding new revisions may forget days of later spans
    for span in spans(runs_of(before), before.readings, before.anchor_on):
        for day in _days_of(point, span, policy, before.edits.days):
            body = _revision(before, key, day, span, findings.get(day.day_on, ()), policy)
            if body is None:
                continue
            known = before.usage.get(day.day_on)
            if known is not None and known.quality != ACTUAL:
                estimates.append(day.day_on)
            bodies.append(body)
            point = evolve(point, body)
    if estimates:
        yield Emit(
            EstimateSuperseded(usage_point=key, days_on=tuple(estimates), reading_id=because)
        )
    for body in sorted(bodies, key=lambda body: body.quality != EDITED):  # why, before what for
        yield from _overruled(before, body, because)
        yield from _told(body)


def _told(body: UsageEstablished) -> Iterator[Emit]:
    """An own event, and the same for the account."""
    yield Emit(body)
    yield Emit(body, topic=USAGE, key=body.account_no)


def _overruled(before: Point, body: UsageEstablished, because: str) -> Iterator[Emit]:
    """A day that was as a person edited it, and is as the registers say now."""
    known = before.usage.get(body.day_on)
    if known is not None and known.quality == EDITED and body.quality != EDITED:
        yield Emit(
            EditOverruled(
                edit_id=before.edits.days[body.day_on].edit_id,
                usage_point=body.usage_point,
                day_on=body.day_on,
                because=because,
            )
        )


def _days_of(
    point: Point, span: Span, policy: Policy, edits: dict[str, DayEdit]
) -> tuple[DayUsage, ...]:
    """The usage of the days of a span; none when a register says nothing between its marks.

    History counts from before the span only, and not more of it than is always kept: so an estimate
    does not depend on what arrived later.
    """
    usages = usages_between(span.run, span.first, span.last, margin_of(point, policy))
    energy = {name: used.usage for name, used in usages.items() if used.usage is not None}
    if not usages or len(energy) < len(usages):
        return ()
    first_on = span.first.day_on
    history = tuple(day for day in point.history if day.day_on <= first_on)[-HISTORY_DAYS:]
    rules = point_rules(policy.rule_book, point.supplies).rules
    samples = rules["estimation"].parameters["weekday_samples"]
    actual = Actual(opening_on=first_on, closing_on=span.last.day_on, energy=energy)
    return with_edits(estimate_gap(actual, history, samples), energy, edits)


def _revision(
    point: Point,
    key: str,
    day: DayUsage,
    span: Span,
    findings: tuple[Finding, ...],
    policy: Policy,
) -> UsageEstablished | None:
    """The next revision of a day, None when nothing changed or nobody is supplied."""
    last = span.last
    demands = _primary(span.run, last) if day.day_on == last.day_on else ()
    readings = (span.first.reading_id, last.reading_id)
    known = point.usage.get(day.day_on)
    if known is not None and (known.energy, known.quality, known.demands, known.readings) == (
        day.energy,
        day.quality,
        demands,
        readings if day.quality == EDITED else (),
    ):
        return None
    return _next(
        point,
        key,
        day,
        policy,
        meter_no=last.meter_no,
        readings=readings,
        demands=demands,
        findings=findings,
    )


def _next(
    point: Point,
    key: str,
    day: DayUsage,
    policy: Policy,
    *,
    meter_no: str,
    readings: tuple[str, ...],
    demands: tuple[UsageDemand, ...] = (),
    findings: tuple[Finding, ...] = (),
) -> UsageEstablished | None:
    """A day's usage as an event, the next after what is known; None when nobody is supplied."""
    known = point.usage.get(day.day_on)
    account_no = _account_of(point, day.day_on, known)
    if not account_no:
        return None
    base = known.energy if known is not None else {}
    return UsageEstablished(
        usage_point=key,
        account_no=account_no,
        meter_no=meter_no,
        day_on=day.day_on,
        revision=known.revision + 1 if known is not None else 1,
        quality=day.quality,
        method=day.method,
        energy=day.energy,
        change={
            name: day.energy.get(name, 0) - base.get(name, 0)
            for name in sorted({**base, **day.energy})
        },
        demands=demands,
        after_exchange=_has_exchange(point, day.day_on),
        readings=readings,
        findings=findings,
        rule_set=point_rules(policy.rule_book, point.supplies).name,
    )


def _account_of(point: Point, day_on: str, known: Established | None) -> str:
    """A day stays with the account that it was first given to: sums of changes stay whole."""
    if known is not None:
        return known.account_no
    supply = supply_on(point.supplies, day_on)
    return supply.account_no if supply is not None else ""


def _primary(run: Run, mark: Mark) -> tuple[UsageDemand, ...]:
    """Demands after the ratio of the meter that measured them."""
    ratio = next(
        (
            meter.ratio
            for meter in reversed(run.meters)
            if meter.meter_no == mark.meter_no and meter.from_at <= mark.taken_at
        ),
        "1",
    )
    return tuple(
        UsageDemand(
            register=peak.register,
            demand_w=primary_value(peak.demand_w, ratio),
            occurred_at=peak.occurred_at,
        )
        for peak in mark.demands
    )


def _has_exchange(point: Point, day_on: str) -> bool:
    """Whether a meter took over within a day."""
    begin, end = format_instant(day_start(day_on)), day_end_at(day_on)
    meters = meters_of(point.supplies)
    return any(begin <= meter.from_at < end for meter in meters[1:])


def revise(
    point: Point, key: str, day: DayUsage, known: Established, because: str, policy: Policy
) -> Iterator[Emit]:
    """The next revision of a day that is not worked out between marks: settled, or behind them."""
    begun = [meter for meter in meters_of(point.supplies) if meter.from_at < day_end_at(day.day_on)]
    body = _next(
        replace(point, usage={**point.usage, day.day_on: known}),
        key,
        day,
        policy,
        meter_no=begun[-1].meter_no,
        readings=(because,),
        demands=known.demands,
    )
    assert body is not None, "a day stays with its account"
    yield from _told(body)


# -- behind the last mark -------------------------------------------------------------------------


def estimate_days(point: Point, key: str, now: str, policy: Policy) -> Iterator[Emit]:
    """Estimate the days that are over, past their grace time, and still without usage.

    Without history nothing is guessed from nothing: the first reading settles such days.
    """
    graced_at = format_instant(parse_instant(now) - timedelta(minutes=policy.grace_min))
    judged_to_on = add_days(day_of(graced_at), -1)
    rules = point_rules(policy.rule_book, point.supplies).rules
    average_days = rules["estimation"].parameters["average_days"]
    for end in open_ends(runs_of(point), point.readings, point.anchor_on):
        ends_on = min(judged_to_on, end.run.last_on or judged_to_on)
        if ends_on <= end.opening_on or not _has_history(point, end):
            continue
        readings = (end.mark.reading_id,) if end.mark is not None else ()
        for day in estimate_open(end.opening_on, ends_on, point.history, average_days):
            if day.day_on in point.usage:
                continue
            body = _next(
                point,
                key,
                day,
                policy,
                meter_no=_meter_on(end.run, day.day_on),
                readings=readings,
                findings=_of_estimate(point, key, end, day.day_on, policy),
            )
            if body is not None:
                yield from _told(body)


def _of_estimate(
    point: Point, key: str, end: OpenEnd, day_on: str, policy: Policy
) -> tuple[Finding, ...]:
    """What the rules say of a day on which nothing came: how long that has been so."""
    supply = supply_of_day(point.supplies, day_on)
    checked = check_day(
        facts_of(key, supply, end.run.meters),
        point_day(day_on),
        (),
        PointHistory(last_actual_at=end.mark.taken_at if end.mark is not None else ""),
        rules_for(policy.rule_book, supply),
    )
    return as_told(checked.findings)


def _has_history(point: Point, end: OpenEnd) -> bool:
    return any(day.day_on <= end.opening_on for day in point.history)


def _meter_on(run: Run, day_on: str) -> str:
    """The meter that stands at the end of a day, or did last."""
    begun = [meter for meter in run.meters if meter.from_at < day_end_at(day_on)]
    return begun[-1].meter_no


def next_estimate_at(point: Point, policy: Policy) -> str:
    """When the next day without a reading is estimated, "" for never."""
    moments = []
    for end in open_ends(runs_of(point), point.readings, point.anchor_on):
        last_on = end.run.last_on
        used = [day for day in point.usage if not last_on or day <= last_on]
        day_on = next_supplied(point.supplies, max([end.opening_on, *used]))
        if day_on and (not last_on or day_on <= last_on) and _has_history(point, end):
            moments.append(grace_end(day_on, policy))
    return min(moments, default="")


def grace_end(day_on: str, policy: Policy) -> str:
    """When the grace time of a day is over."""
    return format_instant(parse_instant(day_end_at(day_on)) + timedelta(minutes=policy.grace_min))

"""What validation decides: does a reading count, what was used on a day, what is estimated.

    customers.supply -> supply_noted, and what waited for it or follows from it
    ingest.readings  -> reading_accepted | reading_rejected | supply_awaited, quality_found,
                        usage_established, intervals_established
    calendar         -> usage_established (estimated), a grace time after the day

A day's usage follows from the two marks around it (timeline.py, revision.py); so the order in which
good readings arrive does not matter for what stands in the end. A reading that needs what is not
known yet is held, never rejected for it; and one that stands out is believed when the next one
does not fall back behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from libs.events.core import Emit, Item, Tick, View
from libs.events.errors import BadInput
from services.validation.area_usage import with_area_usage
from services.validation.day_verdict import DayWindow, day_verdict
from services.validation.events import (
    Finding,
    HeldReading,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    SupplyAwaited,
)
from services.validation.finding import FAIL, PASS, WARN, worst
from services.validation.finding import Finding as RuleFinding
from services.validation.instant import day_end_at, parse_day
from services.validation.policy import Policy
from services.validation.profile import MINUTES_PER_DAY, Profile, interval_block
from services.validation.reactions import (
    ProfileRead,
    RegistersRead,
    SupplyPublished,
    held_profile,
    held_reading,
    supply_noted,
)
from services.validation.reading import (
    contradictions,
    is_confirmed,
    is_unusable,
    mark_of,
    place_of,
    told,
    window_of,
)
from services.validation.register_usage import Installation
from services.validation.revision import (
    estimate_days,
    next_estimate_at,
    runs_of,
    work_out,
)
from services.validation.rules import duplicate
from services.validation.state import KEEP_DAYS, Point, evolve
from services.validation.timeline import (
    Mark,
    Span,
    add_days,
    day_of,
    installations,
    run_of,
    spans,
    supply_on,
)

NEVER_REJECT = frozenset({"voltage_band", "clock_drift", "usage_while_disconnected"})
"""Findings about the supply or the clock are told, but do not make the registers wrong."""

SPIKE = frozenset({"spike"})
PROFILE_REGISTER = "1-0:1.8.0"
FIRST_DAY_ON, LAST_DAY_ON = "1970-01-02", "2999-12-31"
NEXT_TICK = "0001-01-01T00:00:00Z"


def decide(view: View, key: str, item: Item, policy: Policy) -> Sequence[Emit]:
    """What follows from an input, and what the area stage must know of it."""
    point: Point = view.get(key) or Point()
    return with_area_usage(point, key, item.body, _decided(point, key, item, policy))


def _decided(point: Point, key: str, item: Item, policy: Policy) -> Sequence[Emit]:
    """Dispatch by what came in."""
    match item.body:
        case SupplyPublished():
            return list(_on_supply(point, key, item.body, item.at, policy))
        case RegistersRead():
            return list(_on_reading(point, key, held_reading(item.body), item.at, policy))
        case ProfileRead():
            return list(_on_reading(point, key, held_profile(item.body), item.at, policy))
        case Tick():
            return list(_on_tick(point, key, item.body.at, policy))
    return []


def due(state: Point, policy: Policy) -> str:
    """When the next day without a reading is estimated, or a held reading is looked at again."""
    moments = [next_estimate_at(state, policy)]
    for reading in state.held:
        is_late = _awaited(state, reading, day_end_at(reading.day_on)) != ""
        moments.append(_given_up_at(reading) if is_late else NEXT_TICK)
    return min((at for at in moments if at), default="")


def _after(point: Point, emits: Iterable[Emit]) -> Point:
    """The point as it stands after own events, for a decision that takes several readings."""
    for emit in emits:
        if not emit.topic:
            point = evolve(point, emit.body)
    return point


def _on_supply(
    point: Point, key: str, supply: SupplyPublished, now: str, policy: Policy
) -> Iterator[Emit]:
    """Each account's supply by itself: the highest version of every (point, account) stands."""
    known = point.supplies.get(supply.account_no)
    if known is not None and supply.version <= known.version:
        return
    noted = supply_noted(supply)
    yield Emit(noted)
    before, point = point, evolve(point, noted)
    yield from _tell_too_late(before, point, key, noted.version, policy)
    emits = list(_judge_held(point, key, now, policy))
    yield from emits
    yield from _rework(_after(point, emits), key, f"supply/{supply.version}", policy)


def _rework(point: Point, key: str, because: str, policy: Policy) -> Sequence[Emit]:
    """What a supply changes of days whose marks are known, or that it cannot be calculated with."""
    try:
        emits = list(work_out(point, key, because, {}, policy))
        for span in spans(runs_of(point), point.readings, point.anchor_on):
            if span.last.reading_id.startswith("final/"):
                emits += _tell_bad_end(key, span, policy)
    except BadInput as wrong:
        found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
        return [Emit(_remark(key, point.anchor_on, because, (found,), policy))]
    return emits


def _tell_too_late(
    before: Point, point: Point, key: str, version: int, policy: Policy
) -> Iterator[Emit]:
    """A supply that says otherwise of days that are settled changes them no more: somebody must
    know. (Their usage is forgotten here; it was right by what was known.)"""
    anchor_on = point.anchor_on
    if not anchor_on or _settled_facts(before) == _settled_facts(point):
        return
    text = f"who was supplied, or by which meter, until {anchor_on} was said too late"
    found = Finding(rule="late_supply", severity=WARN, text=text, numbers={})
    yield Emit(_remark(key, anchor_on, f"supply/{version}", (found,), policy))


def _settled_facts(point: Point) -> tuple[str, tuple[Installation, ...]]:
    """Who is supplied on the anchor's day, and the meters as they stood by its end."""
    end = day_end_at(point.anchor_on)
    supply = supply_on(point.supplies, point.anchor_on)
    meters = (meter for meter in installations(point.supplies.values()) if meter.from_at < end)
    stood = (
        meter if meter.to_at <= end else replace(meter, to_at="", final={}) for meter in meters
    )
    return supply.account_no if supply is not None else "", tuple(stood)


def _tell_bad_end(key: str, span: Span, policy: Policy) -> Iterator[Emit]:
    """Final registers that do not fit the last reading: nobody can tell the days between."""
    against = contradictions(span.run, span.first, span.last, policy)
    if against is not None:
        yield Emit(_remark(key, span.last.day_on, span.last.reading_id, told(against), policy))


def _on_tick(point: Point, key: str, now: str, policy: Policy) -> Iterator[Emit]:
    emits = list(_judge_held(point, key, now, policy))
    yield from emits
    yield from estimate_days(_after(point, emits), key, now, policy)


# -- readings that wait ---------------------------------------------------------------------------


def _awaited(point: Point, reading: HeldReading, now: str) -> str:
    """What a reading waits for: day, supply, installation; "" when it can be judged."""
    if reading.day_on > add_days(day_of(now), 1):
        return "day"  # business time may lag behind the edge's, but not by more
    supplies = point.supplies
    if not supplies:
        return "supply"
    begins_on = max(supply.supplied_from_on for supply in supplies.values())
    if supply_on(supplies, reading.day_on) is None and reading.day_on >= begins_on:
        return "supply"  # the last known account is gone: somebody may have moved in
    chain = runs_of(point)
    if run_of(chain, reading.meter_no, day_end_at(reading.day_on)) is None:
        return "installation"
    return ""


def _given_up_at(reading: HeldReading) -> str:
    return day_end_at(add_days(reading.day_on, KEEP_DAYS))


def _judge_held(point: Point, key: str, now: str, policy: Policy) -> Iterator[Emit]:
    """Judge what waited and need not wait any more; reject what waited for too long."""
    for reading in sorted(point.held, key=lambda held: (held.day_on, held.reading_id)):
        reason = _awaited(point, reading, now)
        is_far = reading.day_on > add_days(day_of(now), KEEP_DAYS)
        if reason and not is_far and now < _given_up_at(reading):
            continue
        emits: Sequence[Emit]
        if reason:
            emits = [Emit(_rejection(key, reading, (_not_known(reason),), policy))]
        else:
            emits = _judge(point, key, reading, policy)
        yield from emits
        point = _after(point, emits)


def _not_known(reason: str) -> Finding:
    text = f"its {reason} did not come within {KEEP_DAYS} days"
    return Finding(rule="awaited", severity=FAIL, text=text, numbers={"keep_days": str(KEEP_DAYS)})


# -- one reading ----------------------------------------------------------------------------------


def _on_reading(
    point: Point, key: str, reading: HeldReading, now: str, policy: Policy
) -> Iterator[Emit]:
    if reading.kind == "current":
        return
    is_profile = reading.kind == "profile"
    if is_profile and (
        PROFILE_REGISTER not in reading.snapshots or reading.reading_id in point.profiles
    ):
        return
    try:
        _check_day(reading.day_on)
    except BadInput as wrong:
        yield Emit(_unreadable(key, reading, wrong, policy))
        return
    reason = _awaited(point, reading, now)
    if not reason:
        yield from _judge(point, key, reading, policy)
    elif all(known.reading_id != reading.reading_id for known in point.held):
        yield Emit(SupplyAwaited(usage_point=key, reading=reading, reason=reason))


def _check_day(day_on: str) -> None:
    parse_day(day_on, "day_on")
    if not FIRST_DAY_ON <= day_on <= LAST_DAY_ON:
        problem = f"{day_on} is no day of a meter"
        raise BadInput("day_on", problem, f"{FIRST_DAY_ON} to {LAST_DAY_ON}")


def _judge(point: Point, key: str, reading: HeldReading, policy: Policy) -> Sequence[Emit]:
    """Accept or reject a reading; what cannot even be calculated with is rejected too."""
    judge = _judge_profile if reading.kind == "profile" else _judge_registers
    try:
        return list(judge(point, key, reading, policy))
    except BadInput as wrong:
        return [Emit(_unreadable(key, reading, wrong, policy))]


def _unreadable(key: str, reading: HeldReading, wrong: BadInput, policy: Policy) -> ReadingRejected:
    found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
    return _rejection(key, reading, (found,), policy)


def _judge_registers(
    point: Point, key: str, reading: HeldReading, policy: Policy
) -> Iterator[Emit]:
    """Accept or reject a reading of the end of a day, and work out the days around it."""
    known = point.readings.get(reading.day_on)
    if known is not None or reading.day_on <= point.anchor_on:
        yield from _judge_again(known, key, reading, policy)
        return
    run, before, after = place_of(point, reading)
    verdict = day_verdict(window_of(point, reading, run, before), policy.rule_set)
    hits = tuple(found for found in verdict.findings if found.severity != PASS)
    refusing = {f.rule for f in hits if f.severity == FAIL and f.rule not in NEVER_REJECT}
    against = contradictions(run, mark_of(reading), after, policy)
    if refusing - SPIKE or is_unusable(verdict) or against is not None:
        yield Emit(_rejection(key, reading, told((*hits, *(against or ()))), policy))
    elif refusing and not is_confirmed(point, run, reading, policy):
        yield Emit(replace(_rejection(key, reading, told(hits), policy), doubted=reading))
    elif refusing:
        yield from _accept_both(point, key, reading, hits, policy)
    else:
        yield from _accept(point, key, reading, told(hits), policy)


def _accept(
    point: Point,
    key: str,
    reading: HeldReading,
    findings: tuple[Finding, ...],
    policy: Policy,
) -> Iterator[Emit]:
    accepted = ReadingAccepted(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        source=reading.source,
        registers=reading.registers,
        findings=findings,
        rule_set=policy.rule_set_id,
        demands=reading.demands,
    )
    yield Emit(accepted)
    remarks = tuple(found for found in findings if found.rule in NEVER_REJECT)
    if remarks:
        yield Emit(_remark(key, reading.day_on, reading.reading_id, remarks, policy))
    point = evolve(point, accepted)
    yield from work_out(point, key, reading.reading_id, {reading.day_on: findings}, policy)


def _accept_both(
    point: Point,
    key: str,
    reading: HeldReading,
    hits: tuple[RuleFinding, ...],
    policy: Policy,
) -> Iterator[Emit]:
    """Two readings that agree that usage rose: the doubted one counts after all, then this one."""
    doubted = point.doubted
    assert doubted is not None
    if doubted.day_on != reading.day_on:
        text = f"stood out, and was confirmed by {reading.reading_id}"
        found = RuleFinding(rule="spike", severity=WARN, text=text, numbers={})
        emits = list(_accept(point, key, doubted, told((found,)), policy))
        yield from emits
        point = _after(point, emits)
    confirmed = tuple(
        replace(hit, severity=WARN, text=f"{hit.text}; confirms {doubted.reading_id}")
        if hit.rule in SPIKE
        else hit
        for hit in hits
    )
    yield from _accept(point, key, reading, told(confirmed), policy)


def _judge_again(
    known: Mark | None, key: str, reading: HeldReading, policy: Policy
) -> Iterator[Emit]:
    """A second reading of a day: told, and never counted."""
    first = known.registers if known is not None else reading.registers
    readings = ((reading.day_on, first), (reading.day_on, reading.registers))
    found = duplicate(readings, policy.rule_set.rules["duplicate"])
    findings = told((found,))
    if first == reading.registers:
        yield Emit(_remark(key, reading.day_on, reading.reading_id, findings, policy))
    else:
        yield Emit(_rejection(key, reading, findings, policy))


def _remark(
    key: str, day_on: str, reading_id: str, findings: tuple[Finding, ...], policy: Policy
) -> QualityFound:
    return QualityFound(
        usage_point=key,
        day_on=day_on,
        reading_id=reading_id,
        findings=findings,
        rule_set=policy.rule_set_id,
    )


def _rejection(
    key: str, reading: HeldReading, findings: tuple[Finding, ...], policy: Policy
) -> ReadingRejected:
    return ReadingRejected(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        findings=findings,
        rule_set=policy.rule_set_id,
    )


# -- load profile ---------------------------------------------------------------------------------


def _judge_profile(point: Point, key: str, reading: HeldReading, policy: Policy) -> Iterator[Emit]:
    """The interval energies of a day; they are told, never summed into the register's usage."""
    column = reading.snapshots[PROFILE_REGISTER]
    taken_at = day_end_at(reading.day_on)
    run = run_of(runs_of(point), reading.meter_no, taken_at)
    assert run is not None, "_awaited has seen that there is one"
    installed = next(
        meter
        for meter in reversed(run.meters)
        if meter.meter_no == reading.meter_no and meter.from_at <= taken_at
    )
    block = interval_block(
        Profile(
            day_on=reading.day_on,
            register=PROFILE_REGISTER,
            meter_no=reading.meter_no,
            snapshots=column,
            interval_minutes=MINUTES_PER_DAY // max(len(column) - 1, 1),
        ),
        installed,
    )
    window = DayWindow(
        day_on=reading.day_on,
        previous=None,
        current=None,
        installations=(installed,),
        profile=block,
    )
    findings = tuple(
        found
        for found in day_verdict(window, policy.rule_set).profile_findings
        if found.severity != PASS
    )
    yield Emit(
        IntervalsEstablished(
            usage_point=key,
            day_on=reading.day_on,
            register=PROFILE_REGISTER,
            interval_minutes=block.interval_minutes,
            energies=block.usages,
            flags=block.flags,
            status=worst(findings),
            findings=told(findings),
            reading_id=reading.reading_id,
        )
    )

"""What validation decides: does a reading count, what was used on a day, what is estimated.

    customers.supply -> supply_noted, and what waited for it or follows from it
    ingest.readings  -> reading_accepted | reading_rejected | supply_awaited, quality_found,
                        usage_established, intervals_established
    validation.requests -> edit_held | edit_taken | edit_rejected | edit_refused (edits.py)
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
from libs.events.step import EPOCH
from services.validation.area_usage import with_area_usage
from services.validation.edit_events import EditDecided, EditRequested
from services.validation.edits import on_edit_decided, on_edit_requested
from services.validation.events import (
    Finding,
    HeldReading,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    SupplyAwaited,
    SupplyNoted,
    UsageEstablished,
)
from services.validation.finding import FAIL, WARN
from services.validation.instant import day_end_at, parse_day
from services.validation.point_facts import Told
from services.validation.policy import Policy
from services.validation.profile_days import judge_profile, rework
from services.validation.reactions import (
    ProfileRead,
    RegistersRead,
    SupplyPublished,
    held_profile,
    held_reading,
    supply_noted,
)
from services.validation.reading import (
    DOUBTS,
    REFUSES,
    contradictions,
    is_confirmed,
    mark_of,
    place_of,
    verdict_of,
)
from services.validation.register_usage import Installation
from services.validation.revision import (
    estimate_days,
    next_estimate_at,
    runs_of,
    work_out,
)
from services.validation.rule_set import RuleSet
from services.validation.rules import duplicate
from services.validation.rules_in_force import (
    PROFILE_KIND,
    as_told,
    point_rules,
    rules_for,
    source_of,
    supply_of_day,
)
from services.validation.state import KEEP_DAYS, PROFILE_REGISTER, Point, evolve
from services.validation.supply_check import check_supply
from services.validation.timeline import (
    Mark,
    Span,
    add_days,
    day_of,
    meters_of,
    run_of,
    spans,
    supply_on,
)
from services.validation.voltage_months import next_close_at, with_voltages

FIRST_DAY_ON, LAST_DAY_ON = "1970-01-02", "2999-12-31"
NEXT_TICK = "0001-01-01T00:00:00Z"


def decide(view: View, key: str, item: Item, policy: Policy) -> Sequence[Emit]:
    """What follows from an input, what that changes of the days with a load profile, and what the
    area stage must know of it."""
    point: Point = view.get(key) or Point()
    emits = _decided(point, key, item, policy)
    first_on = _profiles_from(point, emits)
    if first_on:
        emits += rework(_after(point, emits), key, first_on, policy)
    told = with_voltages(point, key, item, emits, policy)
    return with_area_usage(point, key, item.body, told)


def _decided(point: Point, key: str, item: Item, policy: Policy) -> list[Emit]:
    """Dispatch by what came in."""
    match item.body:
        case SupplyPublished():
            return list(_on_supply(point, key, item.body, item.at, policy))
        case RegistersRead():
            return list(_on_reading(point, key, held_reading(item.body), item.at, policy))
        case ProfileRead():
            return list(_on_reading(point, key, held_profile(item.body), item.at, policy))
        case EditRequested():
            return list(on_edit_requested(point, key, item.body, item.at, policy))
        case EditDecided():
            return list(on_edit_decided(point, key, item.body, item.at, policy))
        case Tick():
            return list(_on_tick(point, key, item.body.at, policy))
    return []


def _profiles_from(point: Point, emits: Sequence[Emit]) -> str:
    """The first day whose intervals may stand otherwise now: after a supply any, else that of a
    usage or of a profile; "" for none."""
    own = [emit.body for emit in emits if not emit.topic]
    if not point.profiles and not any(isinstance(body, IntervalsEstablished) for body in own):
        return ""
    if any(isinstance(body, SupplyNoted) for body in own):
        return FIRST_DAY_ON
    days = [body.day_on for body in own if isinstance(body, UsageEstablished)]
    days += [add_days(body.day_on, 1) for body in own if isinstance(body, IntervalsEstablished)]
    return min(days, default="")


def due(state: Point, policy: Policy) -> str:
    """When the next day without a reading is estimated, a held reading is looked at again, or a
    month of voltages is closed."""
    moments = [next_estimate_at(state, policy), next_close_at(state, policy)]
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
    """Each account's supply by itself: the highest version of every (point, account) stands. One
    that nobody can reason with is told, and what it says is not known."""
    known = point.supplies.get(supply.account_no)
    if known is not None and supply.version <= known.version:
        return
    noted = supply_noted(supply)
    try:
        check_supply(noted)
    except BadInput as wrong:
        found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
        name = _rules_name(point, policy)
        yield Emit(_remark(key, "", f"supply/{noted.version}", (found,), name))
        return
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
                emits += _tell_bad_end(point, key, span, policy)
    except BadInput as wrong:
        found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
        return [Emit(_remark(key, point.anchor_on, because, (found,), _rules_name(point, policy)))]
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
    name = _rules_name(point, policy)
    yield Emit(_remark(key, anchor_on, f"supply/{version}", (found,), name))


def _settled_facts(point: Point) -> tuple[str, tuple[Installation, ...]]:
    """Who is supplied on the anchor's day, and the meters as they stood by its end."""
    end = day_end_at(point.anchor_on)
    supply = supply_on(point.supplies, point.anchor_on)
    meters = (meter for meter in meters_of(point.supplies) if meter.from_at < end)
    stood = (
        meter if meter.to_at <= end else replace(meter, to_at="", final={}) for meter in meters
    )
    return supply.account_no if supply is not None else "", tuple(stood)


def _tell_bad_end(point: Point, key: str, span: Span, policy: Policy) -> Iterator[Emit]:
    """Final registers that do not fit the last reading: nobody can tell the days between."""
    against = contradictions(point, key, span.run, span.first, span.last, policy)
    if against is not None:
        name = _rules_name(point, policy)
        yield Emit(_remark(key, span.last.day_on, span.last.reading_id, against, name))


def _rules_name(point: Point, policy: Policy) -> str:
    """The rules of what no reading led to."""
    return point_rules(policy.rule_book, point.supplies).name


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
    """Judge what waited and need not wait any more; reject what waited for too long. Before the
    first tick nobody knows how far ahead a day is."""
    for reading in sorted(point.held, key=lambda held: (held.day_on, held.reading_id)):
        reason = _awaited(point, reading, now)
        is_far = now != EPOCH and reading.day_on > add_days(day_of(now), KEEP_DAYS)
        if reason and not is_far and now < _given_up_at(reading):
            continue
        emits: Sequence[Emit]
        if reason:
            name = _rules_name(point, policy)
            emits = [Emit(_rejection(key, reading, (_not_known(reason),), name))]
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
    if reading.kind == PROFILE_KIND:
        known = point.profiles.get(reading.day_on)
        is_again = known is not None and reading.reading_id in known.reading_ids
        if PROFILE_REGISTER not in reading.snapshots or is_again:
            return
    try:
        _check_day(reading.day_on)
    except BadInput as wrong:
        yield Emit(_unreadable(point, key, reading, wrong, policy))
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
    judge = judge_profile if reading.kind == PROFILE_KIND else _judge_registers
    try:
        return list(judge(point, key, reading, policy))
    except BadInput as wrong:
        return [Emit(_unreadable(point, key, reading, wrong, policy))]


def _unreadable(
    point: Point, key: str, reading: HeldReading, wrong: BadInput, policy: Policy
) -> ReadingRejected:
    found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
    return _rejection(key, reading, (found,), _rules_name(point, policy))


def _judge_registers(
    point: Point, key: str, reading: HeldReading, policy: Policy
) -> Iterator[Emit]:
    """Accept or reject a reading of the end of a day, and work out the days around it."""
    known = point.readings.get(reading.day_on)
    if known is not None or reading.day_on <= point.anchor_on:
        yield from _judge_again(point, known, key, reading, policy)
        return
    run, before, after = place_of(point, reading)
    verdict = verdict_of(point, key, reading, run, before, policy)
    hits, refusing = verdict.findings, verdict.refusing
    against = contradictions(point, key, run, mark_of(reading), after, policy)
    if refusing - DOUBTS or verdict.is_unusable or against is not None:
        findings = (*hits, *(against or ()))
        yield Emit(_rejection(key, reading, findings, verdict.rule_set))
    elif refusing and not is_confirmed(point, run, reading, policy):
        yield Emit(replace(_rejection(key, reading, hits, verdict.rule_set), doubted=reading))
    elif refusing:
        yield from _accept_both(point, key, reading, hits, policy)
    else:
        yield from _accept(point, key, reading, hits, policy)


def _accept(
    point: Point,
    key: str,
    reading: HeldReading,
    findings: tuple[Finding, ...],
    policy: Policy,
) -> Iterator[Emit]:
    name = _rules_of(point, reading, policy).name
    accepted = ReadingAccepted(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        source=reading.source,
        registers=reading.registers,
        findings=findings,
        rule_set=name,
        demands=reading.demands,
        clock_offset_s=reading.clock_offset_s,
    )
    yield Emit(accepted)
    remarks = tuple(found for found in findings if found.rule not in REFUSES | DOUBTS)
    if remarks:
        yield Emit(_remark(key, reading.day_on, reading.reading_id, remarks, name))
    point = evolve(point, accepted)
    yield from work_out(point, key, reading.reading_id, {reading.day_on: findings}, policy)


def _rules_of(point: Point, reading: HeldReading, policy: Policy) -> RuleSet:
    """The rules of a reading: by the class of the point on its day, and its source."""
    supply = supply_of_day(point.supplies, reading.day_on)
    return rules_for(policy.rule_book, supply)(source_of(reading))


def _accept_both(
    point: Point,
    key: str,
    reading: HeldReading,
    hits: tuple[Finding, ...],
    policy: Policy,
) -> Iterator[Emit]:
    """Two readings that agree that usage changed: the doubted one counts after all, then this."""
    doubted = point.doubted
    assert doubted is not None
    if doubted.day_on != reading.day_on:
        text = f"stood out, and was confirmed by {reading.reading_id}"
        found = Finding(rule="spike", severity=WARN, text=text, numbers={})
        emits = list(_accept(point, key, doubted, (found,), policy))
        yield from emits
        point = _after(point, emits)
    confirmed = tuple(
        replace(hit, severity=WARN, text=f"{hit.text}; confirms {doubted.reading_id}")
        if hit.rule in DOUBTS
        else hit
        for hit in hits
    )
    yield from _accept(point, key, reading, confirmed, policy)


def _judge_again(
    point: Point, known: Mark | None, key: str, reading: HeldReading, policy: Policy
) -> Iterator[Emit]:
    """A second reading of a day: told, and never counted."""
    rules = _rules_of(point, reading, policy)
    first = known.registers if known is not None else reading.registers
    readings = ((reading.day_on, first), (reading.day_on, reading.registers))
    found = duplicate(readings, rules.rules["duplicate"])
    findings = as_told((Told(register="", rule_set=rules.name, finding=found),))
    if first == reading.registers:
        yield Emit(_remark(key, reading.day_on, reading.reading_id, findings, rules.name))
    else:
        yield Emit(_rejection(key, reading, findings, rules.name))


def _remark(
    key: str, day_on: str, reading_id: str, findings: tuple[Finding, ...], rule_set: str
) -> QualityFound:
    return QualityFound(
        usage_point=key,
        day_on=day_on,
        reading_id=reading_id,
        findings=findings,
        rule_set=rule_set,
    )


def _rejection(
    key: str, reading: HeldReading, findings: tuple[Finding, ...], rule_set: str
) -> ReadingRejected:
    return ReadingRejected(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        findings=findings,
        rule_set=rule_set,
    )

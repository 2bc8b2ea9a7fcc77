"""What validation decides: does a reading count, what was used on a day, what is estimated.

    customers.supply -> supply_noted, and the readings that waited for it
    ingest.readings  -> reading_accepted | reading_rejected, quality_found, usage_established
    calendar         -> usage_established (estimated), a grace time after the day

A day's usage follows from the two good readings around it. Whenever a reading is accepted, the days
between it and its neighbours are worked out anew, and those that changed get a new revision; so the
order in which readings arrive does not matter for what stands in the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

from libs.events.core import Emit, Item, Tick, View
from libs.events.errors import BadInput
from services.validation.day_verdict import DayVerdict, DayWindow, day_verdict
from services.validation.estimation import (
    Actual,
    DayUsage,
    estimate_gap,
    estimate_open,
)
from services.validation.events import (
    EstimateSuperseded,
    Finding,
    HeldReading,
    IntervalsEstablished,
    QualityFound,
    ReadingAccepted,
    ReadingRejected,
    SupplyAwaited,
    UsageDemand,
    UsageEstablished,
)
from services.validation.finding import FAIL, PASS, worst
from services.validation.finding import Finding as RuleFinding
from services.validation.instant import (
    day_end_at,
    day_start,
    format_instant,
    parse_instant,
)
from services.validation.profile import Profile, interval_block
from services.validation.reactions import (
    ProfileRead,
    RegistersRead,
    SupplyPublished,
    held_reading,
    supply_noted,
)
from services.validation.register_usage import (
    Installation,
    Snapshot,
    parse_register,
    primary_value,
    usages_between,
)
from services.validation.rule_set import DEFAULT_RULE_SET, RuleSet
from services.validation.rules import duplicate
from services.validation.state import Kept, Point, evolve
from services.validation.voltage_band import LEVEL_DV, PHASE_NOMINAL_DV, voltage_window

USAGE = "validation.usage"
RULES: RuleSet = DEFAULT_RULE_SET
RULE_SET_ID = f"{RULES.id}.v{RULES.version}"
GRACE_MIN = 8 * 60
"""Minutes after 24:00 until a day without a reading is estimated (configuration)."""

NEVER_REJECT = frozenset({"voltage_band", "clock_drift", "usage_while_disconnected"})
"""Findings about the supply or the clock are told, but do not make the registers wrong."""

PROFILE_REGISTER = "1-0:1.8.0"


def decide(view: View, key: str, item: Item) -> Sequence[Emit]:
    """Dispatch by what came in."""
    point: Point = view.get(key) or Point()
    match item.body:
        case SupplyPublished():
            return list(_on_supply(point, item.body))
        case RegistersRead():
            return list(_on_registers(point, key, item.body))
        case ProfileRead():
            return list(_on_profile(point, item.body))
        case Tick():
            return list(_on_tick(point, key, item.body.at))
    return []


def _on_supply(point: Point, supply: SupplyPublished) -> Iterator[Emit]:
    if point.supply is not None and supply.version <= point.supply.version:
        return
    noted = supply_noted(supply)
    yield Emit(noted)

    known = replace(point, supply=noted, held=())
    for reading in sorted(point.held, key=lambda held: (held.day_on, held.reading_id)):
        emits = list(_judge(known, supply.usage_point, reading))
        yield from emits
        known = _after(known, emits)


def _after(point: Point, emits: list[Emit]) -> Point:
    """The point as it stands after own events, for a decision that takes several readings."""

    for emit in emits:
        if not emit.topic:
            point = evolve(point, emit.body)
    return point


def _on_registers(point: Point, key: str, reading: RegistersRead) -> Iterator[Emit]:
    if reading.kind == "current":
        return
    held = held_reading(reading)
    if point.supply is None:
        if all(known.reading_id != held.reading_id for known in point.held):
            yield Emit(SupplyAwaited(usage_point=key, reading=held))
        return
    yield from _judge(point, key, held)


# -- one reading ----------------------------------------------------------------------------------


def _judge(point: Point, key: str, reading: HeldReading) -> Iterator[Emit]:
    """Accept or reject a reading of the end of a day, and work out the days around it."""
    known = point.readings.get(reading.day_on)
    if known is not None or _is_settled(point, reading.day_on):
        yield from _judge_again(known, key, reading)
        return
    before, after = neighbours(point, reading.day_on)
    verdict = day_verdict(_window(point, reading, before), RULES)
    hits = tuple(found for found in verdict.findings if found.severity != PASS)
    refusing = [f for f in hits if f.severity == FAIL and f.rule not in NEVER_REJECT]
    if refusing or _unusable(verdict):
        yield Emit(_rejection(key, reading, _told(hits)))
        return
    yield Emit(
        ReadingAccepted(
            usage_point=key,
            meter_no=reading.meter_no,
            day_on=reading.day_on,
            reading_id=reading.reading_id,
            source=reading.source,
            registers=reading.registers,
            findings=_told(hits),
            rule_set=RULE_SET_ID,
        )
    )
    told = _told(tuple(f for f in hits if f.rule in NEVER_REJECT))
    if told:
        yield Emit(_quality(key, reading, told))
    yield from _work_out(point, key, reading, before, after, _told(hits))


def _is_settled(point: Point, day_on: str) -> bool:
    """Whether the day lies before all that is still open: its usage is actual already."""
    return bool(point.readings) and day_on < min(point.readings)


def _judge_again(known: Kept | None, key: str, reading: HeldReading) -> Iterator[Emit]:
    """A second reading of a day: told, and never counted."""
    first = known.registers if known is not None else reading.registers
    found = duplicate(
        ((reading.day_on, first), (reading.day_on, reading.registers)), RULES.rules["duplicate"]
    )
    told = _told((found,))
    if first == reading.registers:
        yield Emit(_quality(key, reading, told))
    else:
        yield Emit(_rejection(key, reading, told))


def _quality(key: str, reading: HeldReading, findings: tuple[Finding, ...]) -> QualityFound:
    return QualityFound(
        usage_point=key,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        findings=findings,
        rule_set=RULE_SET_ID,
    )


def _rejection(key: str, reading: HeldReading, findings: tuple[Finding, ...]) -> ReadingRejected:
    return ReadingRejected(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        findings=findings,
        rule_set=RULE_SET_ID,
    )


def _window(point: Point, reading: HeldReading, before: Kept | None) -> DayWindow:
    supply = point.supply
    assert supply is not None
    voltage = None
    if reading.voltages and supply.voltage_class in LEVEL_DV:
        voltage = voltage_window(supply.voltage_class, reading.voltages, PHASE_NOMINAL_DV)
    return DayWindow(
        day_on=reading.day_on,
        previous=_snapshot(before) if before is not None else None,
        current=Snapshot(
            meter_no=reading.meter_no,
            taken_at=day_end_at(reading.day_on),
            registers=reading.registers,
            flaws=reading.flaws,
        ),
        installations=installations(point),
        registers=tuple(name for name in supply.registers if parse_register(name).cumulative),
        history={
            day.day_on: day.energy[PROFILE_REGISTER]
            for day in point.history
            if PROFILE_REGISTER in day.energy
        },
        voltage=voltage,
        clock_drift_s=reading.clock_offset_s,
    )


def _unusable(verdict: DayVerdict) -> bool:
    """A register whose usage cannot be told makes the reading no base for a bill."""
    return any(usage.usage is None for usage in verdict.usages.values())


def _snapshot(kept: Kept) -> Snapshot:
    return Snapshot(meter_no=kept.meter_no, taken_at=kept.taken_at, registers=kept.registers)


def neighbours(point: Point, day_on: str) -> tuple[Kept | None, Kept | None]:
    """The accepted readings before and after a day. Without one before, the beginning of the
    installation counts, with its initial registers."""
    earlier = [day for day in point.readings if day < day_on]
    later = [day for day in point.readings if day > day_on]
    before = point.readings[max(earlier)] if earlier else beginning(point, day_on)
    return before, point.readings[min(later)] if later else None


def beginning(point: Point, day_on: str) -> Kept | None:
    """The initial registers of the first installation that began before the end of a day."""
    chain = sorted(installations(point), key=lambda found: found.from_at)
    for found in chain:
        if found.initial and found.from_at < day_end_at(day_on):
            start = parse_instant(found.from_at)
            return Kept(
                day_on=_day_before(format_instant(start)),
                meter_no=found.meter_no,
                taken_at=found.from_at,
                reading_id=f"initial/{found.meter_no}",
                registers=found.initial,
            )
    return None


def _day_before(at: str) -> str:
    """The day whose 24:00 is at or before an instant: the last one that ended by then."""

    local = parse_instant(at) + timedelta(hours=8)
    return (local.date() - timedelta(days=1)).isoformat()


def installations(point: Point) -> tuple[Installation, ...]:
    """The installations of a point as the register arithmetic takes them."""
    assert point.supply is not None
    return tuple(
        Installation(
            meter_no=found.meter_no,
            from_at=found.from_at,
            to_at=found.to_at,
            ratio=found.ratio,
            digits=found.digits,
            capacity_w=found.capacity_w,
            initial=found.initial,
            final=found.final,
        )
        for found in point.supply.installations
    )


# -- usage of days --------------------------------------------------------------------------------


def _work_out(
    point: Point,
    key: str,
    reading: HeldReading,
    before: Kept | None,
    after: Kept | None,
    findings: tuple[Finding, ...],
) -> Iterator[Emit]:
    """The days on both sides of an accepted reading, and what they supersede."""
    here = Kept(
        day_on=reading.day_on,
        meter_no=reading.meter_no,
        taken_at=day_end_at(reading.day_on),
        reading_id=reading.reading_id,
        registers=reading.registers,
    )
    revised: list[str] = []
    established: list[Emit] = []
    for first, last in ((before, here), (here, after)):
        if first is None or last is None:
            continue
        for day in _days_between(point, first, last):
            told = findings if day.day_on == reading.day_on else ()
            demands = reading.demands if day.day_on == reading.day_on else ()
            body = _revision(point, key, day, (first, last), demands, told)
            if body is None:
                continue
            if body.revision > 1:
                revised.append(day.day_on)
            established.append(Emit(body))
            established.append(Emit(body, topic=USAGE, key=body.account_no))
    if revised:
        yield Emit(
            EstimateSuperseded(
                usage_point=key, days_on=tuple(revised), reading_id=reading.reading_id
            )
        )
    yield from established


def _days_between(point: Point, first: Kept, last: Kept) -> tuple[DayUsage, ...]:
    usages = usages_between(
        _snapshot(first),
        _snapshot(last),
        installations(point),
        RULES.rules["rollover"].parameters["capacity_margin_permille"],
    )
    energy = {name: used.usage for name, used in usages.items() if used.usage is not None}
    samples = RULES.rules["estimation"].parameters["weekday_samples"]
    actual = Actual(opening_on=first.day_on, closing_on=last.day_on, energy=energy)
    return estimate_gap(actual, point.history, samples)


def _revision(
    point: Point,
    key: str,
    day: DayUsage,
    readings: tuple[Kept, Kept],
    demands: tuple[UsageDemand, ...],
    findings: tuple[Finding, ...],
) -> UsageEstablished | None:
    """The next revision of a day, None when nothing changed."""
    supply = point.supply
    assert supply is not None
    known = point.usage.get(day.day_on)
    if known is not None and (known.energy, known.quality) == (day.energy, day.quality):
        return None
    base = known.energy if known is not None else {}
    change = {
        name: day.energy.get(name, 0) - base.get(name, 0) for name in sorted({**base, **day.energy})
    }
    return UsageEstablished(
        usage_point=key,
        account_no=supply.account_no,
        meter_no=readings[1].meter_no,
        day_on=day.day_on,
        revision=known.revision + 1 if known is not None else 1,
        quality=day.quality,
        method=day.method,
        energy=day.energy,
        change=change,
        demands=_primary(point, readings[1], demands),
        after_exchange=_has_exchange(point, day.day_on),
        readings=(readings[0].reading_id, readings[1].reading_id),
        findings=findings,
        rule_set=RULE_SET_ID,
    )


def _primary(
    point: Point, reading: Kept, demands: tuple[UsageDemand, ...]
) -> tuple[UsageDemand, ...]:
    """Demands after the ratio of the meter that measured them."""
    ratio = next(
        (f.ratio for f in reversed(installations(point)) if f.meter_no == reading.meter_no), "1"
    )
    return tuple(
        UsageDemand(
            register=peak.register,
            demand_w=primary_value(peak.demand_w, ratio),
            occurred_at=peak.occurred_at,
        )
        for peak in demands
    )


def _has_exchange(point: Point, day_on: str) -> bool:
    begin, end = format_instant(day_start(day_on)), day_end_at(day_on)
    first = min((f.from_at for f in installations(point)), default="")
    return any(begin <= f.from_at < end and f.from_at != first for f in installations(point))


# -- days without a reading -----------------------------------------------------------------------


def _on_tick(point: Point, key: str, now: str) -> Iterator[Emit]:
    """Estimate the days that are over, past their grace time, and still without usage."""
    opening_on, last_on = _open_days(point, now)
    if not last_on or last_on <= opening_on:
        return
    average_days = RULES.rules["estimation"].parameters["average_days"]
    try:
        days = estimate_open(opening_on, last_on, point.history, average_days)
    except BadInput:
        return  # no history: nothing is guessed from nothing; the first reading settles it
    kept = _last_kept(point, last_on)
    assert kept is not None
    for day in days:
        if day.day_on in point.usage:
            continue
        body = _revision(point, key, day, (kept, kept), (), ())
        assert body is not None
        yield Emit(body)
        yield Emit(body, topic=USAGE, key=body.account_no)


def _open_days(point: Point, now: str) -> tuple[str, str]:
    """The last day with a good reading, and the last day whose grace time is over."""
    supply = point.supply
    if supply is None:
        return "", ""
    last_on = _last_judged(now)
    if supply.supplied_to_on:
        last_on = min(last_on, supply.supplied_to_on)
    kept = _last_kept(point, last_on)
    return (kept.day_on, last_on) if kept is not None else ("", "")


def _last_judged(now: str) -> str:

    return _day_before(format_instant(parse_instant(now) - timedelta(minutes=GRACE_MIN)))


def _last_kept(point: Point, last_on: str) -> Kept | None:
    if point.readings:
        return point.readings[max(point.readings)]
    return beginning(point, last_on)


def due(state: Point) -> str:
    """When the next day without a reading is estimated."""
    supply = state.supply
    if supply is None or not state.history:
        return ""
    last = max([*state.readings, *state.usage], default="")
    if not last or (supply.supplied_to_on and last >= supply.supplied_to_on):
        return ""

    following = parse_instant(day_end_at(last)) + timedelta(days=1, minutes=GRACE_MIN)
    return format_instant(following)


# -- load profile ---------------------------------------------------------------------------------


def _on_profile(point: Point, profile: ProfileRead) -> Iterator[Emit]:
    """The interval energies of a day; they are told, never summed into the register's usage."""
    column = profile.snapshots.get(PROFILE_REGISTER)
    installed = _installed(point, profile)
    if column is None or installed is None:
        return
    block = interval_block(
        Profile(
            day_on=profile.day_on,
            register=PROFILE_REGISTER,
            meter_no=profile.meter_no,
            snapshots=column,
            interval_minutes=24 * 60 // (len(column) - 1),
        ),
        installed,
    )
    window = DayWindow(
        day_on=profile.day_on,
        previous=None,
        current=None,
        installations=installations(point),
        profile=block,
    )
    findings = tuple(
        found for found in day_verdict(window, RULES).profile_findings if found.severity != PASS
    )
    yield Emit(
        IntervalsEstablished(
            usage_point=profile.usage_point,
            day_on=profile.day_on,
            register=PROFILE_REGISTER,
            interval_minutes=block.interval_minutes,
            energies=block.usages,
            flags=block.flags,
            status=worst(findings),
            findings=_told(findings),
            reading_id=profile.reading_id,
        )
    )


def _installed(point: Point, profile: ProfileRead) -> Installation | None:
    if point.supply is None:
        return None
    for found in reversed(installations(point)):
        if found.meter_no == profile.meter_no:
            return found
    return None


def _told(findings: tuple[RuleFinding, ...]) -> tuple[Finding, ...]:
    """Findings as events carry them."""
    return tuple(
        Finding(
            rule=found.rule,
            severity=found.severity,
            text=found.text,
            numbers={**found.numbers, **({"slots": ",".join(found.slots)} if found.slots else {})},
        )
        for found in findings
    )

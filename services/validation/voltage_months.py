"""Voltage quality of what is read: events as they begin and end, and each month when it is over.

A meter shows its voltages as they are when it is read, so they are a sample of the interval in
which `read_at` lies, whatever day its registers are of. Every reading that counts brings one; what
they come to is `voltage_quality`, the function of `gridledger voltage`, over the samples kept.

    reading_accepted           -> the sample noted with it; voltage_found
    tick, grace after a month  -> voltage_month_closed, of points with a sample in it
    a late sample              -> voltage_found and another revision; 62 days after the month it
                                  changes nothing and is told (quality_found)

Judged is where the nominal voltage is known: at low voltage, 220 V a phase (380 V between phases).
Above that, and where nobody told the voltage class, a meter is behind a voltage transformer of a
ratio that no supply says: nothing is judged there, and nothing guessed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from libs.events.core import Emit, Item, Tick
from libs.events.errors import BadInput
from services.validation.events import (
    Finding,
    HeldReading,
    QualityFound,
    ReadingAccepted,
    SupplyNoted,
    VoltageCounted,
    VoltageFound,
    VoltageMonthClosed,
    VoltageNoted,
)
from services.validation.finding import WARN
from services.validation.instant import format_instant, parse_instant, seconds_between
from services.validation.point_facts import active
from services.validation.policy import Policy
from services.validation.reactions import RegistersRead, held_reading
from services.validation.reading import PHASES
from services.validation.rules_in_force import rules_for, source_of, supply_of_day
from services.validation.state import KEEP_DAYS, Point
from services.validation.timeline import add_days, day_of
from services.validation.voltage_band import LOW_VOLTAGE, PHASE_NOMINAL_DV, RULE
from services.validation.voltage_quality import (
    OVER,
    PERCENT_E2,
    UNDER,
    JudgedSample,
    MonthFold,
    QualityRules,
    SampleJudge,
    VoltageEvent,
    VoltageQuality,
    VoltageSupply,
    month_of,
    month_span,
    worst_of,
)
from services.validation.voltage_state import VoltageMonth, months_with, with_sample

LATE = "voltage_late"
WITHDRAWN = "withdrawn"


def with_voltages(
    before: Point, key: str, item: Item, emits: Sequence[Emit], policy: Policy
) -> Sequence[Emit]:
    """The events of a decision, readings that count with the sample that they bring, and then what
    that, or the time, changes of the months."""
    found: list[Emit] = []
    months = before.voltages
    for emit in emits:
        body = emit.body
        if isinstance(body, ReadingAccepted):
            for each in _accepted(before, body, item, emits, policy):
                months = months_with(months, each, KEEP_DAYS)
                found.append(Emit(each))
        else:
            found.append(emit)
    over = _over(months, item.body.at, policy) if isinstance(item.body, Tick) else set()
    for month, after in sorted(months.items()):
        known = before.voltages.get(month)
        if after is not known or month in over:
            found += map(Emit, _changes(key, month, known, after, month in over, policy.voltage))
    return found


def next_close_at(point: Point, policy: Policy) -> str:
    """When the next month is closed; "" for none."""
    return min(
        (_close_at(month, policy) for month, each in point.voltages.items() if not each.revision),
        default="",
    )


def _over(months: Mapping[str, VoltageMonth], now: str, policy: Policy) -> set[str]:
    """The months that are to be closed by now."""
    return {
        month
        for month, found in months.items()
        if not found.revision and _close_at(month, policy) <= now
    }


def _close_at(month: str, policy: Policy) -> str:
    end = parse_instant(month_span(month)[1])
    return format_instant(end + timedelta(minutes=policy.grace_min))


# -- the sample of a reading -----------------------------------------------------------------------


def _accepted(
    before: Point, accepted: ReadingAccepted, item: Item, emits: Sequence[Emit], policy: Policy
) -> Iterator[ReadingAccepted | QualityFound]:
    """A reading that counts with its sample, or without one that is too late, which is told."""
    known = {reading.reading_id: reading for reading in before.held}
    if before.doubted is not None:
        known[before.doubted.reading_id] = before.doubted
    if isinstance(item.body, RegistersRead):
        known[item.body.reading_id] = held_reading(item.body)
    noted = [emit.body for emit in emits if isinstance(emit.body, SupplyNoted)]
    supplies = {**before.supplies, **{supply.account_no: supply for supply in noted}}
    reading = known[accepted.reading_id]
    sample = _noted(reading, supply_of_day(supplies, accepted.day_on), policy)
    if sample is None:
        yield accepted
        return
    month = month_of(sample.at)
    settled = parse_instant(month_span(month)[1]) + timedelta(days=KEEP_DAYS)
    if parse_instant(item.at) <= settled:
        yield replace(accepted, voltage=sample)
        return
    text = f"its voltages came more than {KEEP_DAYS} days after {month}, which stays as it was"
    late = Finding(rule=LATE, severity=WARN, text=text, numbers={"keep_days": str(KEEP_DAYS)})
    yield accepted
    yield QualityFound(
        usage_point=accepted.usage_point,
        day_on=accepted.day_on,
        reading_id=accepted.reading_id,
        findings=(late,),
        rule_set=accepted.rule_set,
    )


def _noted(reading: HeldReading, supply: SupplyNoted, policy: Policy) -> VoltageNoted | None:
    """What the voltages of a reading count as; None when there are none, or none to be judged."""
    voltages_dv = {
        PHASES[name]: value
        for obis, value in reading.voltages.items()
        if (name := obis.rpartition(":")[2]) in PHASES
    }
    settings = active(rules_for(policy.rule_book, supply)(source_of(reading)), RULE)
    if not voltages_dv or supply.voltage_class != LOW_VOLTAGE or settings is None:
        return None
    if not _is_read_in_time(reading):
        return None
    rules = policy.voltage
    low = VoltageSupply(phases=1 if len(voltages_dv) == 1 else 3)
    judged = SampleJudge(low, rules, settings).judged(voltages_dv)
    return VoltageNoted(
        at=_slot_end_at(reading.read_at, rules.interval_s),
        counted=tuple(
            VoltageCounted(
                phase=phase,
                side=sample.side,
                extreme_dv=sample.extreme_dv,
                extreme_phase=sample.phase,
            )
            for phase, sample in sorted(judged.items())
        ),
    )


def _is_read_in_time(reading: HeldReading) -> bool:
    """Whether a reading says when it was read: on its day or before a meter forgets it. So nobody
    opens months far away."""
    try:
        read_on = day_of(reading.read_at)
    except BadInput:
        return False
    return reading.day_on <= read_on <= add_days(reading.day_on, KEEP_DAYS)


def _slot_end_at(at: str, interval_s: int) -> str:
    """The end of the interval in which an instant lies, counted from 00:00 of the month's first."""
    begin_at = month_span(month_of(at))[0]
    return _at(begin_at, _rounded_up(seconds_between(begin_at, at), interval_s))


def _rounded_up(seconds: int, interval_s: int) -> int:
    return -(-seconds // interval_s) * interval_s


def _at(begin_at: str, offset_s: int) -> str:
    return format_instant(parse_instant(begin_at) + timedelta(seconds=offset_s))


# -- what a month comes to -------------------------------------------------------------------------


def _changes(
    key: str,
    month: str,
    known: VoltageMonth | None,
    after: VoltageMonth,
    is_closing: bool,
    rules: QualityRules,
) -> Iterator[VoltageFound | VoltageMonthClosed]:
    """What must be told of a month now that was not told before."""
    is_over = is_closing or after.revision > 0
    if not is_over and not _has_outside(after):
        return
    was = _qualities(key, month, known or VoltageMonth(), rules, False)
    now = _qualities(key, month, after, rules, is_over)
    yield from _found(key, month, was, now)
    closed = worst_of(now)
    if is_over and (is_closing or closed != worst_of(was)):
        yield _closed(closed, after.revision + 1, rules)


def _has_outside(month: VoltageMonth) -> bool:
    return any(
        sample.side in (OVER, UNDER)
        for of_phase in month.samples.values()
        for _, sample in of_phase
    )


def _qualities(
    key: str, month: str, found: VoltageMonth, rules: QualityRules, is_over: bool
) -> tuple[VoltageQuality, ...]:
    """The month of each phase, as far as it is known. What was noted by another interval counts in
    that of today's rules, so that a change of them stops nobody."""
    begin_at = month_span(month)[0]
    folds: list[VoltageQuality] = []
    for phase, noted in found.samples.items():
        samples: dict[int, JudgedSample] = {}
        for offset_s, sample in noted:
            samples = with_sample(samples, _rounded_up(offset_s, rules.interval_s), sample)
        fold = MonthFold(key, month, PHASE_NOMINAL_DV, rules)
        for offset_s, sample in samples.items():
            fold.add(_at(begin_at, offset_s), {phase: sample})
        folds += fold.qualities(is_over=is_over or found.revision > 0)
    return tuple(folds)


def _found(
    key: str, month: str, was: Sequence[VoltageQuality], now: Sequence[VoltageQuality]
) -> Iterator[VoltageFound]:
    """Events that began, ended or became others; and those that are none any more."""
    before, after = _by_name(was), _by_name(now)
    for name in sorted(before.keys() - after.keys()):
        gone = replace(before[name], end_at=name[0], samples=0, ended_by=WITHDRAWN)
        yield _event(key, month, name, gone)
    for name, event in sorted(after.items()):
        known = before.get(name)
        is_settled = event.ended_by or (known is not None and known.ended_by)
        if known is None or (is_settled and event != known):
            yield _event(key, month, name, event)


def _by_name(qualities: Iterable[VoltageQuality]) -> dict[tuple[str, str, str], VoltageEvent]:
    return {
        (event.start_at, quality.phase, event.side): event
        for quality in qualities
        for event in quality.events
    }


def _event(key: str, month: str, name: tuple[str, str, str], event: VoltageEvent) -> VoltageFound:
    begun_at, phase, side = name
    return VoltageFound(
        usage_point=key,
        month=month,
        side=side,
        phase=phase,
        begun_at=begun_at,
        ended_at=event.end_at if event.ended_by else "",
        ended_by=event.ended_by,
        samples=event.samples,
        extreme_dv=event.extreme_dv,
        extreme_phase=event.extreme_phase,
        nominal_dv=PHASE_NOMINAL_DV,
        extreme_deviation_pct=event.extreme_deviation_pct,
    )


def _closed(found: VoltageQuality, revision: int, rules: QualityRules) -> VoltageMonthClosed:
    return VoltageMonthClosed(
        usage_point=found.usage_point,
        month=found.month,
        revision=revision,
        phase=found.phase,
        status=found.status,
        reason=found.reason,
        rate_e2_pct=found.rate_e2_pct,
        completeness_e2_pct=found.found_samples * PERCENT_E2 // found.expected_samples,
        interval_s=rules.interval_s,
        expected_samples=found.expected_samples,
        found_samples=found.found_samples,
        inside_samples=found.inside_s // rules.interval_s,
        over_samples=found.over_s // rules.interval_s,
        under_samples=found.under_s // rules.interval_s,
        outage_samples=found.outage_s // rules.interval_s,
    )

"""The load profile of a day: judged, its gaps estimated so that the register is kept, and told.

What stands of a day follows from its snapshots, the supply, the day's usage by its registers and
the known intervals of the `REFERENCE_DAYS` before it, and from nothing else. So whatever comes late
(snapshots, registers, an exchange) leads to the same block, as its next revision; only days that
are `OPEN_DAYS` behind the newest profile stay as they are.

    no snapshot at 10:00, 24,000 Wh by the registers of both midnights:
    the two intervals around 10:00 get what the other 94 leave of the 24,000 Wh

An interval that a rule refuses counts as failed, and is estimated, unless the registers confirm the
whole day. Known intervals alone above the register are a finding, and nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from libs.events.core import Emit
from libs.events.errors import BadInput
from services.validation.estimation_plan import DEFAULT_PLAN
from services.validation.events import (
    Finding,
    HeldReading,
    IntervalsEstablished,
    QualityFound,
    ReadingRejected,
)
from services.validation.finding import FAIL, PASS, worst
from services.validation.instant import day_end_at, day_start, format_instant
from services.validation.interval_estimation import SeriesEstimate, estimate_series
from services.validation.interval_series import (
    ACTUAL,
    ESTIMATED,
    FAILED,
    KNOWN,
    LETTERS,
    MISSING,
    OUTAGE,
    Series,
)
from services.validation.point_check import check_day
from services.validation.point_facts import (
    IntervalMemory,
    PointDay,
    PointFacts,
    PointHistory,
    PointRow,
    Rules,
    Told,
    active,
    covered,
    not_installed,
)
from services.validation.point_intervals import check_intervals
from services.validation.policy import Policy
from services.validation.profile import (
    MINUTES_PER_DAY,
    IntervalBlock,
    Profile,
    interval_block,
    interval_ends,
    recorded_usage,
)
from services.validation.register_bracket import Bracket
from services.validation.register_usage import GOOD, ROLLOVER, Installation
from services.validation.revision import runs_of
from services.validation.rule_book import REMOTE_PROFILE, REMOTE_REGISTER
from services.validation.rules import duplicate, interval_sum
from services.validation.rules_in_force import (
    as_told,
    facts_of,
    point_day,
    rules_for,
    supply_of_day,
)
from services.validation.slot_time import DEFAULT_ZONE, SlotLabel, day_bounds
from services.validation.state import (
    PROFILE_REGISTER,
    REFERENCE_DAYS,
    Point,
    ProfileDay,
    evolve,
    open_profiles,
)
from services.validation.timeline import add_days, days_between, meters_of, run_of

SLOT_RULES = frozenset({"bad_value", "capacity", "negative_interval", "spike"})
"""Rules whose `fail` makes an interval a failed one. The others are about the point or the day."""

WORDS = {letter: word for word, letter in LETTERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A day's intervals before estimation: the differences of its snapshots, a quality for each,
    and what the rules say. `register_wh` is the day's usage by its registers."""

    block: IntervalBlock
    energies: tuple[int | None, ...]
    qualities: tuple[str, ...]
    findings: tuple[Told, ...]
    rule_set: str
    register_wh: int | None


# -- a profile that came ---------------------------------------------------------------------------


def judge_profile(point: Point, key: str, reading: HeldReading, policy: Policy) -> Iterator[Emit]:
    """What a load profile says of its day, with what another one said of it before. BadInput: it is
    no load profile."""
    column = reading.snapshots[PROFILE_REGISTER]
    known = point.profiles.get(reading.day_on)
    merged: tuple[int | None, ...] | None = column
    if known is not None and known.meter_no == reading.meter_no:
        merged = _merged(known, column)
    if known is not None and (merged is None or merged == known.snapshots):
        yield Emit(_said_again(point, key, reading, known, policy, contradicts=merged is None))
        return
    assert merged is not None
    day = ProfileDay(
        reading_ids=(*(known.reading_ids if known is not None else ()), reading.reading_id),
        meter_no=reading.meter_no,
        revision=known.revision if known is not None else 0,
        interval_minutes=MINUTES_PER_DAY // max(len(merged) - 1, 1),
        snapshots=merged,
        register_wh=known.register_wh if known is not None else None,
    )
    yield Emit(_established(point, key, reading.day_on, day, policy))


def _merged(known: ProfileDay, column: tuple[int | None, ...]) -> tuple[int | None, ...] | None:
    """The snapshots of two profiles of one meter and day, which fill each other's holes; None when
    they contradict each other. Of two lengths the finer one stands; a settled day is left alone."""
    if not known.snapshots or len(column) < len(known.snapshots):
        return known.snapshots
    if len(column) > len(known.snapshots):
        return column
    both = tuple(zip(known.snapshots, column, strict=True))
    if any(one is not None and other is not None and one != other for one, other in both):
        return None
    return tuple(other if one is None else one for one, other in both)


def _said_again(
    point: Point,
    key: str,
    reading: HeldReading,
    known: ProfileDay,
    policy: Policy,
    *,
    contradicts: bool,
) -> QualityFound | ReadingRejected:
    """A second profile of a day: one that says nothing new is told, one that says otherwise is
    rejected."""
    rules = _rules_of(point, reading.day_on, policy)(REMOTE_PROFILE)
    values = ({PROFILE_REGISTER: 0}, {PROFILE_REGISTER: 1 if contradicts else 0})
    found = duplicate(tuple((reading.day_on, each) for each in values), rules.rules["duplicate"])
    found = replace(found, text=f"{found.text}; {known.reading_ids[-1]} came first")
    findings = as_told((Told(register=PROFILE_REGISTER, rule_set=rules.name, finding=found),))
    if not contradicts:
        return QualityFound(
            usage_point=key,
            day_on=reading.day_on,
            reading_id=reading.reading_id,
            findings=findings,
            rule_set=rules.name,
        )
    return ReadingRejected(
        usage_point=key,
        meter_no=reading.meter_no,
        day_on=reading.day_on,
        reading_id=reading.reading_id,
        findings=findings,
        rule_set=rules.name,
    )


# -- what else changes a day -----------------------------------------------------------------------


def rework(point: Point, key: str, first_on: str, policy: Policy) -> Iterator[Emit]:
    """New revisions of the open days from a day on, of those that changed."""
    for day_on in open_profiles(point.profiles):
        day = point.profiles[day_on]
        if day_on < first_on or _installed(point, day_on, day.meter_no) is None:
            continue
        try:
            body = _established(point, key, day_on, day, policy)
        except BadInput as wrong:
            found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
            yield Emit(
                QualityFound(
                    usage_point=key,
                    day_on=day_on,
                    reading_id=day.reading_ids[-1],
                    findings=(found,),
                    rule_set=_rules_of(point, day_on, policy)(REMOTE_PROFILE).name,
                )
            )
            continue
        if _says(body) != (day.energies, day.qualities, day.findings):
            yield Emit(body)
            point = evolve(point, body)


def _says(body: IntervalsEstablished) -> tuple[object, ...]:
    return body.energies, body.qualities, body.findings


def _rules_of(point: Point, day_on: str, policy: Policy) -> Rules:
    return rules_for(policy.rule_book, supply_of_day(point.supplies, day_on))


def _installed(point: Point, day_on: str, meter_no: str) -> Installation | None:
    """The installation of a meter at the end of a day; None when it is not there."""
    end_at = day_end_at(day_on)
    run = run_of(runs_of(point), meter_no, end_at)
    if run is None:
        return None
    stays = [each for each in run.meters if each.meter_no == meter_no and each.from_at <= end_at]
    return stays[-1]


# -- one day ---------------------------------------------------------------------------------------


def _established(
    point: Point, key: str, day_on: str, day: ProfileDay, policy: Policy
) -> IntervalsEstablished:
    judged = _judged(point, key, day_on, day, policy)
    energies, qualities = list(judged.energies), list(judged.qualities)
    methods: dict[str, tuple[int, ...]] = {}
    findings = list(judged.findings)
    if judged.register_wh is not None and {MISSING, FAILED} & set(qualities):
        estimate = _estimate(point, day_on, judged)
        index_of = {end: index for index, end in enumerate(judged.block.ends_at)}
        for slot in estimate.filled:
            index = index_of[slot.end_at]
            energies[index], qualities[index] = slot.energy, ESTIMATED
            methods[slot.method] = (*methods.get(slot.method, ()), index)
        findings += (
            Told(register=PROFILE_REGISTER, rule_set=judged.rule_set, finding=found)
            for found in estimate.findings
        )
    return IntervalsEstablished(
        usage_point=key,
        day_on=day_on,
        register=PROFILE_REGISTER,
        interval_minutes=day.interval_minutes,
        energies=tuple(energies),
        flags=judged.block.flags,
        status=worst(each.finding for each in findings),
        findings=as_told(findings),
        reading_id=day.reading_ids[-1],
        meter_no=day.meter_no,
        revision=day.revision + 1,
        qualities="".join(LETTERS[word] for word in qualities),
        methods=methods,
        plan=DEFAULT_PLAN.name if methods else "",
        rule_set=judged.rule_set,
        register_wh=judged.register_wh,
        snapshots=day.snapshots,
    )


def _judged(point: Point, key: str, day_on: str, day: ProfileDay, policy: Policy) -> _Judged:
    """The rules of files on the intervals of a day."""
    installed = _installed(point, day_on, day.meter_no)
    assert installed is not None, "somebody has seen that there is one"
    block = _block(day_on, day, installed)
    rules_of = _rules_of(point, day_on, policy)
    facts = _facts(point, key, day_on, installed, day.interval_minutes)
    memory = _memory(point, key, day_on, day.interval_minutes, policy)
    checked = check_day(
        facts,
        _day(day_on, day.interval_minutes),
        _rows(block),
        PointHistory(intervals={PROFILE_REGISTER: memory} if memory is not None else {}),
        rules_of,
    )
    register_wh = _register_wh(point, day_on, day)
    ends = block.ends_at
    starts = (format_instant(day_start(day_on)), *ends[:-1])
    absent = covered(starts, ends, not_installed(facts.installations))
    refused = {
        slot
        for each in checked.findings
        if each.finding.severity == FAIL and each.finding.rule in SLOT_RULES
        for slot in each.finding.slots
    }
    sums, is_confirmed = _against_register(block, register_wh, installed.ratio, rules_of)
    qualities, energies = [], list(block.usages)
    for index, end in enumerate(ends):
        if block.flags[index] == MISSING:
            qualities.append(OUTAGE if index in absent else MISSING)
            energies[index] = 0 if index in absent else None
        elif energies[index] is None or (end in refused and not is_confirmed):
            qualities.append(FAILED)
        else:
            qualities.append(ACTUAL)
    return _Judged(
        block=block,
        energies=tuple(energies),
        qualities=tuple(qualities),
        findings=(*checked.findings, *sums),
        rule_set=rules_of(REMOTE_PROFILE).name,
        register_wh=register_wh,
    )


def _block(day_on: str, day: ProfileDay, installed: Installation) -> IntervalBlock:
    profile = Profile(
        day_on=day_on,
        register=PROFILE_REGISTER,
        meter_no=day.meter_no,
        snapshots=day.snapshots,
        interval_minutes=day.interval_minutes,
    )
    return interval_block(profile, installed)


def _register_wh(point: Point, day_on: str, day: ProfileDay) -> int | None:
    """The day's usage by the registers of its both ends, None while one of them is not known."""
    for known in point.history:
        if known.day_on == day_on and PROFILE_REGISTER in known.energy:
            return known.energy[PROFILE_REGISTER]
    return day.register_wh


def _against_register(
    block: IntervalBlock, register_wh: int | None, ratio: str, rules_of: Rules
) -> tuple[tuple[Told, ...], bool]:
    """[8] Whether the intervals, and the gaps whose ends are known, add up to the register: the
    finding, for a whole block, and whether the registers confirm the day."""
    usable = all(flag in (GOOD, ROLLOVER, MISSING) for flag in block.flags)
    closed = all(gap.usage is not None for gap in block.gaps)
    if register_wh is None or not usable or not closed:
        return (), False
    rules = rules_of(REMOTE_REGISTER)
    found = interval_sum(register_wh, recorded_usage(block), ratio, rules.rules["interval_sum"])
    is_told = found.severity != PASS and not block.gaps
    is_told = is_told and active(rules, "interval_sum") is not None
    told = (Told(register=PROFILE_REGISTER, rule_set=rules.name, finding=found),)
    return told if is_told else (), found.severity == PASS


def _facts(
    point: Point, key: str, day_on: str, installed: Installation, minutes: int
) -> PointFacts:
    meters = meters_of(point.supplies)
    facts = facts_of(key, supply_of_day(point.supplies, day_on), meters)
    return replace(
        facts,
        interval_minutes=minutes,
        interval_registers=(PROFILE_REGISTER,),
        capacity_w=installed.capacity_w,
    )


def _day(day_on: str, minutes: int) -> PointDay:
    return point_day(day_on, {minutes: interval_ends(day_on, minutes)})


def _rows(block: IntervalBlock) -> tuple[PointRow, ...]:
    """A row for each interval of which something came."""
    labelled = zip(block.ends_at, block.usages, block.flags, strict=True)
    return tuple(
        PointRow(
            at=end,
            register=PROFILE_REGISTER,
            source=REMOTE_PROFILE,
            minutes=block.interval_minutes,
            energy_wh=usage,
            flaw=flag if usage is None else "",
            meter_no=block.meter_no,
        )
        for end, usage, flag in labelled
        if flag != MISSING
    )


def _memory(
    point: Point, key: str, day_on: str, minutes: int, policy: Policy
) -> IntervalMemory | None:
    """What `vee check` would remember of the day before, None when it is not known. Only a day
    without any usage needs those before it."""
    before_on = add_days(day_on, -1)
    before = point.profiles.get(before_on)
    if before is None or before.interval_minutes != minutes:
        return None
    installed = _installed(point, before_on, before.meter_no)
    if installed is None:
        return None
    is_idle = set(before.energies) == {0}
    memory = _memory(point, key, before_on, minutes, policy) if is_idle else None
    day = _day(before_on, minutes)
    rows = _kept_rows(day.ends_at[minutes], before)
    if LETTERS[ESTIMATED] in before.qualities and before.snapshots:
        rows = _rows(_block(before_on, before, installed))  # what was refused is judged by, too
    facts = _facts(point, key, before_on, installed, minutes)
    rules_of = _rules_of(point, before_on, policy)
    return check_intervals(facts, day, PROFILE_REGISTER, rows, memory, rules_of)[1]


def _kept_rows(ends_at: tuple[str, ...], day: ProfileDay) -> tuple[PointRow, ...]:
    """The intervals of a day of which something came."""
    return tuple(
        PointRow(
            at=end,
            register=PROFILE_REGISTER,
            source=REMOTE_PROFILE,
            minutes=day.interval_minutes,
            energy_wh=energy,
        )
        for end, energy, letter in zip(ends_at, day.energies, day.qualities, strict=True)
        if WORDS[letter] in (ACTUAL, FAILED)
    )


# -- estimation ------------------------------------------------------------------------------------


def _estimate(point: Point, day_on: str, judged: _Judged) -> SeriesEstimate:
    """The gaps of a day, by the plan of `gridledger vee estimate`."""
    block, register_wh = judged.block, judged.register_wh
    begin, end = day_bounds(day_on, DEFAULT_ZONE)
    minutes = block.interval_minutes
    by_gaps = (
        FAILED not in judged.qualities
        and OUTAGE not in judged.qualities
        and all(gap.usage is not None for gap in block.gaps)
        and recorded_usage(block) == register_wh
    )
    brackets = [Bracket(from_minute=begin, to_minute=end, energy=register_wh, outcome=GOOD)]
    if by_gaps:
        # Snapshots on both sides of every hole say what was used in each.
        brackets = [
            Bracket(
                from_minute=begin + gap.first * minutes,
                to_minute=begin + (gap.last + 1) * minutes,
                energy=gap.usage,
                outcome=GOOD,
            )
            for gap in block.gaps
        ]
    return estimate_series(_series(point, day_on, judged), brackets, DEFAULT_PLAN)


def _series(point: Point, day_on: str, judged: _Judged) -> Series:
    """The known intervals of the days before, as references, and those of the day itself.

    What is not known of an earlier day stands as an outage there: nothing is estimated for it, and
    nothing from it.
    """
    minutes = judged.block.interval_minutes
    count = MINUTES_PER_DAY // minutes
    first_on = min(
        (
            each
            for each, day in point.profiles.items()
            if add_days(day_on, -REFERENCE_DAYS) <= each < day_on
            and day.interval_minutes == minutes
        ),
        default=day_on,
    )
    energies: list[int | None] = []
    qualities: list[str] = []
    labels: list[SlotLabel] = []
    for each in (*days_between(first_on, day_on), day_on):
        labels += [SlotLabel(each, index * minutes, 0) for index in range(count)]
        day = point.profiles.get(each)
        if each == day_on:
            energies += judged.energies
            qualities += judged.qualities
        elif day is None or day.interval_minutes != minutes:
            energies += [0] * count
            qualities += [OUTAGE] * count
        else:
            known = [WORDS[letter] in KNOWN for letter in day.qualities]
            energies += [
                energy if is_known else 0
                for energy, is_known in zip(day.energies, known, strict=True)
            ]
            qualities += [ACTUAL if is_known else OUTAGE for is_known in known]
    return Series(
        interval_minutes=minutes,
        first_minute=day_bounds(first_on, DEFAULT_ZONE)[0],
        energies=tuple(energies),
        qualities=tuple(qualities),
        labels=tuple(labels),
    )

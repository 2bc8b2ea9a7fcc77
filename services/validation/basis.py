"""Each day's energy by period gets its time-of-use basis, and a new revision when that changes.

    tariffs          -> calendars_adopted | calendars_rejected, and usage_established where needed
    ingest.readings  -> slot_table_noted, and usage_established where it says otherwise
    everything else  as decide.py has it; what it establishes is judged on its way out

A day with rate registers rests on them only while the meter's slot table of that day says the same
as the book's calendar and the clock is right (tou_basis.py); else the load profile stands in where
it is complete: the day's total stays what the register says and is split by the energy of the
intervals in each period, rounded down, the residual to the last rate with a share
(estimation.split). What stands in the end follows from what is known, in whatever order it came: a
day that turns out sound after it was given gets no revision, since nothing in it changes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from libs.events.core import SHARED, Emit, Item, Tick, View
from libs.events.errors import BadInput
from libs.tou_calendar import DAY_TYPES, TouCalendar, book_on, day_periods, day_type_of
from services.validation import decide as decisions
from services.validation.area_places import is_gate_on
from services.validation.basis_facts import DayProfile, has_periods, measured_energy
from services.validation.estimation import split
from services.validation.events import (
    CalendarsAdopted,
    CalendarsRejected,
    Finding,
    IntervalsEstablished,
    QualityFound,
    SlotTableNoted,
    TariffBook,
    TariffNoted,
    UsageBasis,
    UsageEstablished,
)
from services.validation.finding import FAIL
from services.validation.finding import Finding as RuleFinding
from services.validation.interval_series import EDITED
from services.validation.policy import Policy
from services.validation.reactions import (
    BookPublished,
    SlotTableRead,
    SupplyPublished,
    slot_table_noted,
    tariff_book,
)
from services.validation.revision import USAGE
from services.validation.rules_in_force import finding_noted, point_rules
from services.validation.slot_texts import slot_table
from services.validation.state import Point, Shared, evolve
from services.validation.timeline import supply_on
from services.validation.tou_basis import (
    CLOCK,
    LOAD_PROFILE,
    PROFILE,
    SLOT_TABLE,
    BasisVerdict,
    SlotTable,
    judge_basis,
)

BASIS_RULES = frozenset({SLOT_TABLE, CLOCK, PROFILE})
IMPORT, IMPORT_TOTAL = "1-0:1.8.", "1-0:1.8.0"
INTERVALS_PER_DAY = 96
A_LEAP_YEAR = 2024


def concerned(view: View, item: Item) -> Iterable[str]:
    """A tick concerns who is due; a book the partition and every point that it may price."""
    if isinstance(item.body, Tick):
        return view.keys_due(item.body.at)
    if isinstance(item.body, BookPublished):
        return [SHARED, *view.keys()]
    return (item.key,)


def decide(view: View, key: str, item: Item, policy: Policy) -> Sequence[Emit]:
    """What decide.py says, with the basis of every day that it establishes or that changed."""
    body, shared = item.body, view.shared
    if key == SHARED:
        assert isinstance(body, BookPublished), "only books concern the partition"
        return _on_book(shared, body)
    point: Point = view.get(key) or Point()
    if isinstance(body, BookPublished):
        emits: Sequence[Emit] = []
    elif isinstance(body, SlotTableRead):
        emits = _on_slot_table(point, key, body, policy)
    else:
        emits = decisions.decide(view, key, item, policy)
    if not has_periods(point.supplies.values()) and not isinstance(body, SupplyPublished):
        return emits
    concerns_all = isinstance(body, (BookPublished, SlotTableRead, SupplyPublished))
    return list(_with_basis(point, emits, shared, policy, concerns_all=concerns_all))


# -- what is noted --------------------------------------------------------------------------------


def _on_book(shared: Shared, published: BookPublished) -> Sequence[Emit]:
    book = tariff_book(published.book)
    name = f"{book.id}@{book.version}"
    known = shared.books.get(name)
    if known == book:
        return []  # published again
    problem = "another book has this id and version" if known is not None else _problem(book)
    if problem:
        rejected = CalendarsRejected(
            book_id=name, content_hash=published.content_hash, problem=problem
        )
        return [Emit(rejected)]
    return [Emit(CalendarsAdopted(book=book, content_hash=published.content_hash))]


def _problem(book: TariffBook) -> str:
    """Why nobody can tell the period of every half hour; "" when one can."""
    for code, name in book.price_lists.items():
        if name and name not in book.calendars:
            return f"price list {code}: there is no calendar {name}"
    for name, calendar in book.calendars.items():
        try:
            for on, holidays in _typical_days():
                day_periods(calendar, on, holidays)
        except BadInput as wrong:
            return f"calendar {name}: {wrong.problem}"
    return ""


def _typical_days() -> Iterator[tuple[str, frozenset[str]]]:
    """A workday, a day of a weekend and a holiday of every month."""
    for month in range(1, 13):
        first = date(A_LEAP_YEAR, month, 1)
        yield first.isoformat(), frozenset({first.isoformat()})
        week = [(first + timedelta(days=number)).isoformat() for number in range(7)]
        for day_type in DAY_TYPES[:2]:
            yield next(on for on in week if day_type_of(on, ()) == day_type), frozenset()


def _on_slot_table(point: Point, key: str, read: SlotTableRead, policy: Policy) -> Sequence[Emit]:
    """Note a slot table once."""
    if any(known.reading_id == read.reading_id for known in point.basis.tables):
        return []
    try:
        return [Emit(slot_table_noted(read))]
    except BadInput as wrong:
        found = Finding(rule="bad_value", severity=FAIL, text=str(wrong), numbers={})
        remark = QualityFound(
            usage_point=key,
            day_on="",
            reading_id=read.reading_id,
            findings=(found,),
            rule_set=point_rules(policy.rule_book, point.supplies).name,
        )
        return [Emit(remark)]


# -- what is given --------------------------------------------------------------------------------


def _with_basis(
    point: Point, emits: Sequence[Emit], shared: Shared, policy: Policy, *, concerns_all: bool
) -> Iterator[Emit]:
    """The emits of a decision, each day's usage judged; then the days that stand otherwise now."""
    before, given = point, dict[str, dict[str, int]]()
    touched: set[str] = set()
    judged: UsageEstablished | None = None
    for emit in emits:
        body = emit.body
        if isinstance(body, UsageEstablished) and not emit.topic:
            old = given.get(body.day_on) or _given_before(before, body)
            judged = _given(body, _outcome(point, shared, body, policy), old)
            given[body.day_on] = judged.energy
            body = judged
        elif isinstance(body, UsageEstablished):
            assert judged is not None, "usage is told behind the own event"
            yield replace(emit, body=judged)
            continue
        elif isinstance(body, IntervalsEstablished):
            touched.add(body.day_on)
        yield replace(emit, body=body)
        point = evolve(point, body)
    for day_on in sorted(point.basis.days if concerns_all else touched):
        revised = _revised(point, shared, day_on, policy)
        if revised is not None:
            yield Emit(revised)
            if not is_gate_on(point.supplies, day_on):
                yield Emit(revised, topic=USAGE, key=revised.account_no)
            point = evolve(point, revised)


def _given_before(point: Point, body: UsageEstablished) -> dict[str, int]:
    """A day's energy in the revision before: as it was given, else what the change is from."""
    known = point.usage.get(body.day_on) or point.edits.settled.get(body.day_on)
    if known is not None and known.given:
        return known.given
    return {name: body.energy.get(name, 0) - change for name, change in body.change.items()}


def _revised(point: Point, shared: Shared, day_on: str, policy: Policy) -> UsageEstablished | None:
    """The next revision of a day that rests on something else now, None when nothing changed."""
    facts = point.basis.days.get(day_on)
    usage = facts.usage if facts is not None else None
    if usage is None:
        return None
    outcome = _outcome(point, shared, usage, policy)
    known = _Outcome(usage.energy, usage.findings, usage.basis)
    if outcome.what_counts() == known.what_counts():
        return None
    return _given(replace(usage, revision=usage.revision + 1), outcome, usage.energy)


def _given(body: UsageEstablished, outcome: _Outcome, old: Mapping[str, int]) -> UsageEstablished:
    energy = outcome.energy
    return replace(
        body,
        energy=energy,
        change={name: energy.get(name, 0) - old.get(name, 0) for name in sorted({**old, **energy})},
        findings=outcome.findings,
        basis=outcome.basis,
    )


# -- one day --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What a day's energy is, and on what it rests."""

    energy: dict[str, int]
    findings: tuple[Finding, ...]
    basis: UsageBasis | None

    def what_counts(self) -> tuple[dict[str, int], str, frozenset[str]]:
        """What a revision is made for: a basis that is sound says no more than none."""
        basis, used = self.basis, ""
        if basis is not None and (basis.blocked or basis.used != basis.stated):
            used = basis.used or "nothing"
        failed = (
            each.text
            for each in self.findings
            if each.rule in BASIS_RULES and each.severity == FAIL
        )
        return self.energy, used, frozenset(failed)


def _outcome(point: Point, shared: Shared, usage: UsageEstablished, policy: Policy) -> _Outcome:
    """What a day's usage is by all that is known now."""
    measured = measured_energy(usage)
    findings = tuple(each for each in usage.findings if each.rule not in BASIS_RULES)
    if usage.quality == EDITED:
        return _Outcome(measured, findings, None)  # a person said what stands
    tariff = _tariff_on(point, usage.day_on)
    calendar = _calendar_on(shared, tariff, usage.day_on) if tariff is not None else None
    if tariff is None or calendar is None:
        return _Outcome(measured, findings, None)
    periods = day_periods(calendar[0], usage.day_on, calendar[1])
    facts = point.basis.days.get(usage.day_on)
    profile = facts.profile if facts is not None else None
    by_profile = None
    if profile is not None:
        by_profile = energy_by_period(measured, tariff.rate_periods, periods, profile)
    verdict = _verdict(point, usage, tariff, periods, profile if by_profile else None, policy)
    is_replaced = verdict.used == LOAD_PROFILE and by_profile is not None
    basis = UsageBasis(
        stated=verdict.stated,
        used=verdict.used,
        blocked=verdict.release_blocked,
        measured=measured if is_replaced and by_profile != measured else {},
    )
    energy = by_profile if is_replaced and by_profile is not None else measured
    return _Outcome(energy, (*findings, *map(finding_noted, verdict.findings)), basis)


def _tariff_on(point: Point, day_on: str) -> TariffNoted | None:
    """By which list and periods a day is billed; None for a day or a point without periods."""
    supply = supply_on(point.supplies, day_on)
    begun = [each for each in supply.tariffs if each.from_on <= day_on] if supply else []
    return begun[-1] if begun and begun[-1].rate_periods else None


def _calendar_on(
    shared: Shared, tariff: TariffNoted, day_on: str
) -> tuple[TouCalendar, frozenset[str]] | None:
    """The calendar of the book in force and its holidays; None while no book with it is known."""
    near = [each for each in shared.books.values() if tariff.region in (each.region, each.id)]
    book = book_on(near, (tariff.price_list,), day_on)
    name = book.price_lists[tariff.price_list] if book is not None else ""
    if book is None or not name:
        return None
    return book.calendars[name], frozenset(book.holidays_on)


def _verdict(
    point: Point,
    usage: UsageEstablished,
    tariff: TariffNoted,
    periods: tuple[str, ...],
    profile: DayProfile | None,
    policy: Policy,
) -> BasisVerdict:
    """tou_basis.judge_basis for a day; a table that says nothing is as good as none."""
    seen = point.basis.clocks.get(usage.readings[-1]) if usage.readings else None
    rules = point_rules(policy.rule_book, point.supplies).rules
    limit_s = rules["clock_drift"].parameters["fail_s"]

    def judged(table: SlotTable | None) -> BasisVerdict:
        return judge_basis(
            tariff.tou_basis,
            table=table,
            book={usage.day_on: periods},
            rates={int(rate): period for rate, period in tariff.rate_periods.items()},
            clock_offset_s=seen.offset_s if seen is not None else None,
            clock_limit_s=limit_s,
            profile_expected=profile.expected if profile is not None else INTERVALS_PER_DAY,
            profile_found=profile.found if profile is not None else 0,
        )

    noted = table_on(point.basis.tables, usage.meter_no, usage.day_on)
    if noted is None:
        return judged(None)
    try:
        return judged(
            slot_table(
                noted.zones,
                noted.day_tables,
                noted.special_days,
                noted.rest_weekdays,
                noted.rest_table,
            )
        )
    except BadInput as wrong:
        return _with_text(judged(None), f"the slot table says nothing: {wrong}")


def _with_text(verdict: BasisVerdict, text: str) -> BasisVerdict:
    findings = tuple(
        RuleFinding(rule=each.rule, severity=each.severity, text=text)
        if each.rule == SLOT_TABLE
        else each
        for each in verdict.findings
    )
    return replace(verdict, findings=findings)


def table_on(
    tables: Collection[SlotTableNoted], meter_no: str, day_on: str
) -> SlotTableNoted | None:
    """The slot table of a meter on a day: the last one read by then, before the first one that."""
    own = [table for table in tables if table.meter_no == meter_no]
    begun = [table for table in own if table.from_on <= day_on]
    return begun[-1] if begun else next(iter(own), None)


def energy_by_period(
    measured: Mapping[str, int],
    rate_periods: Mapping[str, str],
    periods: Sequence[str],
    profile: DayProfile,
) -> dict[str, int] | None:
    """A day's energy with its import rates by the profile, adding up to the register's total.

    Each period's energy goes to the lowest rate that the point has for it, other rates get none.
    None when the profile cannot say it: an interval is missing or covers two periods, a period with
    energy has no rate, or it counted nothing on a day on which the register moved.
    """
    sums: dict[str, int] = {}
    size, rest = divmod(len(periods), len(profile.slots)) if profile.slots else (0, 0)
    if not size or rest:
        return None
    for number, wh in enumerate(profile.slots):
        covered = set(periods[number * size : (number + 1) * size])
        if len(covered) != 1:
            return None
        period = covered.pop()
        sums[period] = sums.get(period, 0) + wh
    rates: dict[str, str] = {}
    for rate in sorted(rate_periods, key=int, reverse=True):
        rates[rate_periods[rate]] = rate
    counted = {period: wh for period, wh in sums.items() if wh}
    own_rates = [name for name in measured if name.startswith(IMPORT) and name != IMPORT_TOTAL]
    total_wh = measured.get(IMPORT_TOTAL, sum(measured[name] for name in own_rates))
    if counted.keys() - rates.keys() or (total_wh and not counted):
        return None
    ordered = sorted(counted, key=lambda period: int(rates[period]))
    parts = split(total_wh, tuple(counted[period] for period in ordered)) if counted else ()
    by_rate = {f"{IMPORT}{rates[period]}": wh for period, wh in zip(ordered, parts, strict=True)}
    return {**measured, **dict.fromkeys(own_rates, 0), **by_rate}

"""The files of `gridledger vee check`: rows of readings and intervals, and master data of points.

Both are sorted by usage point, the rows also by time, and are read side by side: only one day of
one point is held at a time. What is wrong is a `BadInput` with file, line and column.

    for facts, day, rows in point_days(Points("points.jsonl", ""), "readings.csv", reading): ...
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import chain, groupby
from zoneinfo import ZoneInfo

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows
from services.cli.vee_points import (
    BLOCK_MINUTES,
    IMPORT,
    NUMBER_MAX,
    Points,
    amount,
    has,
    number,
    word,
)
from services.validation.electrical_rules import ElectricalSample
from services.validation.instant import format_instant, parse_instant
from services.validation.point_facts import PointDay, PointFacts, PointRow
from services.validation.register_usage import (
    parse_ratio,
    parse_register,
)
from services.validation.rule_book import (
    REMOTE_PROFILE,
    REMOTE_REGISTER,
    SOURCES,
)
from services.validation.rule_set import CONDITIONS, METER_FLAGS

DEFAULT_MINUTES = 15
UNITS = ("Wh", "varh")
FLAWS = ("non_bcd", "no_value", "negative", "out_of_range")
GAP_DAYS_MAX = 400
FIRST_AT = "1970-01-02T00:00:00Z"
PHASES = ("a", "b", "c")
SAMPLE_COLUMNS = ("active_w", "reactive_var", "apparent_va", "power_factor_permille")
PHASE_COLUMNS = tuple(
    column.format(phase)
    for column in ("voltage_{}_dv", "current_{}_ma", "active_{}_w")
    for phase in PHASES
)
ELECTRICAL_COLUMNS = frozenset((*SAMPLE_COLUMNS, *PHASE_COLUMNS))
NEEDED = ("usage_point", "at")
COLUMNS = (
    "register",
    "minutes",
    "energy_wh",
    "value_wh",
    "source",
    "condition",
    "received_at",
    "meter_no",
    "unit",
    "ratio",
    "flags",
    "flaw",
    "drift_s",
    *SAMPLE_COLUMNS,
    *PHASE_COLUMNS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How rows are read: the zone of days, the class of points without one, and the latest instant
    that is no slip of the pen."""

    zone: ZoneInfo
    usage_class: str = ""
    as_of: str


Judged = tuple[PointFacts, PointDay | None, tuple[PointRow, ...]]
"""A day of a point with its rows."""


# -- days -----------------------------------------------------------------------------------------


class IntervalEnds(dict[int, tuple[str, ...]]):
    """The ends of a day's intervals by their minutes, worked out when they are asked for."""

    def __init__(self, from_at: str, to_at: str) -> None:
        super().__init__()
        self._from_at, self._to_at = parse_instant(from_at), parse_instant(to_at)

    def __missing__(self, minutes: int) -> tuple[str, ...]:
        count = (self._to_at - self._from_at) // timedelta(minutes=minutes)
        ends = tuple(
            format_instant(self._from_at + timedelta(minutes=minutes * number))
            for number in range(1, count + 1)
        )
        self[minutes] = ends
        return ends


@lru_cache(maxsize=128)
def local_day(day: date, zone: ZoneInfo) -> PointDay:
    """A day of a zone, which may have 23 or 25 hours."""
    from_at, to_at = (
        format_instant(datetime(each.year, each.month, each.day, tzinfo=zone).astimezone(UTC))
        for each in (day, day + timedelta(days=1))
    )
    return PointDay(
        day_on=day.isoformat(), from_at=from_at, to_at=to_at, ends_at=IntervalEnds(from_at, to_at)
    )


def day_of(at: str, zone: ZoneInfo) -> date:
    """The day that an instant ends or lies in: midnight belongs to the day that it ends."""
    return (parse_instant(at) - timedelta(seconds=1)).astimezone(zone).date()


# -- rows -----------------------------------------------------------------------------------------


def point_row(row: Row, reading: Reading, minutes: int) -> PointRow:
    """A row as the rules take it; `minutes` is the block length of its point."""
    at = _instant(row, "at", reading.as_of)
    is_interval = has(row, "energy_wh") or has(row, "minutes")
    made = PointRow(
        at=at,
        register=_register(row),
        source=word(row, "source", SOURCES, REMOTE_PROFILE if is_interval else REMOTE_REGISTER),
        minutes=_minutes(row, minutes) if is_interval else 0,
        energy_wh=number(row, "energy_wh"),
        value=amount(row, "value_wh"),
        condition=word(row, "condition", CONDITIONS, "actual"),
        received_at=_instant(row, "received_at", reading.as_of) if has(row, "received_at") else "",
        meter_no=row.optional("meter_no"),
        unit=word(row, "unit", UNITS, ""),
        ratio=_ratio(row),
        flags=_flags(row),
        flaw=word(row, "flaw", FLAWS, ""),
        drift_s=number(row, "drift_s"),
        sample=_sample(row),
    )
    if made.value is not None and not made.meter_no:
        raise row.wrong("meter_no", "is empty", "a register reading names its meter")
    said = (made.value, made.sample, made.drift_s, made.flags or None, made.flaw or None)
    if not is_interval and all(each is None for each in said):
        fix = "give energy_wh, value_wh, flags, drift_s or a voltage, current or power"
        raise row.wrong("energy_wh", "is empty, and so is everything else", fix)
    return made


def _instant(row: Row, column: str, as_of: str) -> str:
    at = row.instant(column)
    if at > as_of:
        raise row.wrong(column, f"{at} is in the future", f"at most {as_of}; see --as-of")
    if at < FIRST_AT:
        raise row.wrong(column, f"{at} is before there were meters", f"at least {FIRST_AT}")
    return at


def _register(row: Row) -> str:
    if not has(row, "register"):
        return IMPORT
    register = row.text("register")
    try:
        name = parse_register(register)
    except BadInput as wrong:
        raise row.wrong("register", wrong.problem, wrong.fix) from None
    if not name.cumulative:
        raise row.wrong("register", f"{register!r} counts no energy", "1.8.x to 8.8.x do")
    return register


def _minutes(row: Row, default: int) -> int:
    return int(row.one_of("minutes", BLOCK_MINUTES)) if has(row, "minutes") else default


def _ratio(row: Row) -> str:
    ratio = row.optional("ratio")
    try:
        return ratio if not ratio or parse_ratio(ratio) else ""
    except BadInput as wrong:
        raise row.wrong("ratio", wrong.problem, wrong.fix) from None


def _flags(row: Row) -> tuple[str, ...]:
    flags = tuple(row.optional("flags").split())
    for flag in flags:
        if flag not in METER_FLAGS:
            raise row.wrong("flags", f"{flag!r} is not known", f"some of {' '.join(METER_FLAGS)}")
    return flags


def _sample(row: Row) -> ElectricalSample | None:
    if ELECTRICAL_COLUMNS.isdisjoint(row.cells):
        return None
    active_w, reactive_var, apparent_va, factor = (number(row, name) for name in SAMPLE_COLUMNS)
    if apparent_va is not None and apparent_va < 0:
        raise row.wrong("apparent_va", f"{apparent_va} is below zero", "give 0 or more")
    if factor is not None and abs(factor) > 1000:
        raise row.wrong("power_factor_permille", f"{factor} is impossible", "use -1000 to 1000")
    return ElectricalSample(
        voltages_dv=_phases(row, "voltage_{}_dv", least=0),
        currents_ma=_phases(row, "current_{}_ma"),
        phase_active_w=_phases(row, "active_{}_w"),
        active_w=active_w,
        reactive_var=reactive_var,
        apparent_va=apparent_va,
        power_factor_permille=factor,
    )


def _phases(row: Row, column: str, least: int = -NUMBER_MAX) -> dict[str, int]:
    found = {}
    for phase in PHASES:
        shown = number(row, column.format(phase))
        if shown is not None:
            if shown < least:
                raise row.wrong(column.format(phase), f"{shown} is impossible", f"at least {least}")
            found[phase] = shown
    return found


# -- both side by side ----------------------------------------------------------------------------


def point_days(points: Points, path: str, reading: Reading) -> Iterator[Judged]:
    """Each day of each point with its rows, days between without any too; a point of which nothing
    came has no day (None)."""
    before = ""
    rows = read_rows(path, NEEDED, COLUMNS)
    for usage_point, together in groupby(rows, key=lambda row: row.text("usage_point")):
        own = iter(together)
        first = next(own)
        if usage_point < before:
            problem = f"{usage_point!r} comes after {before!r}"
            raise first.wrong("usage_point", problem, "sort the file by usage_point and at")
        before, facts = usage_point, points.of(first)
        yield from ((passed, None, ()) for passed in points.take_passed())
        yield from _days_of(facts, chain((first,), own), reading)
    yield from ((passed, None, ()) for passed in points.take_passed(is_end=True))


def _days_of(facts: PointFacts, rows: Iterable[Row], reading: Reading) -> Iterator[Judged]:
    """The days of one point. Unless it is told, its block length is that of its first interval."""
    known_minutes = facts.interval_minutes
    facts = replace(facts, interval_minutes=known_minutes or DEFAULT_MINUTES)
    day: PointDay | None = None
    held: list[PointRow] = []
    for row in rows:
        made = point_row(row, reading, facts.interval_minutes)
        if made.minutes and not known_minutes:
            known_minutes = made.minutes
            facts = replace(facts, interval_minutes=known_minutes)
        if held and made.at < held[-1].at:
            problem = f"{made.at} comes after {held[-1].at}"
            raise row.wrong("at", problem, "sort the file by usage_point and at")
        if day is None or made.at > day.to_at:
            if day is not None:
                yield facts, day, tuple(held)
            for between in _days_before(row, facts, day, made.at, reading.zone):
                yield facts, between, ()
            day, held = local_day(day_of(made.at, reading.zone), reading.zone), []
        held.append(made)
    assert day is not None, "a point has a row"
    yield facts, day, tuple(held)
    if facts.to_at > day.to_at:
        next_at = format_instant(parse_instant(facts.to_at) + timedelta(days=1))
        for after in _days_before(row, facts, day, next_at, reading.zone):
            yield facts, after, ()


def _days_before(
    row: Row, facts: PointFacts, day: PointDay | None, at: str, zone: ZoneInfo
) -> Iterator[PointDay]:
    """The days without rows after a day, or since the point's period began, until an instant."""
    if day is not None:
        first = date.fromisoformat(day.day_on) + timedelta(days=1)
    elif facts.from_at:
        first = (parse_instant(facts.from_at) + timedelta(seconds=1)).astimezone(zone).date()
    else:
        return
    count = (day_of(at, zone) - first).days
    if count > GAP_DAYS_MAX:
        problem = f"nothing came for {count} days until {at}"
        raise row.wrong("at", problem, "correct it, or check the file in parts")
    for later in range(count):
        yield local_day(first + timedelta(days=later), zone)

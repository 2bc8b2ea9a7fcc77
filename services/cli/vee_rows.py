"""The files of `gridledger vee check`: rows of readings and intervals, and master data of points.

Both are sorted by usage point, the rows also by time, and are read side by side: only one day of
one point is held at a time. What is wrong is a `BadInput` with file, line and column.

    for facts, day, rows in point_days(Points("points.jsonl", ""), "readings.csv", reading): ...
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows
from services.validation.electrical_rules import ElectricalSample
from services.validation.instant import format_instant, parse_instant
from services.validation.point_facts import Period, PointDay, PointFacts, PointRow
from services.validation.reading_rules import CONDITIONS, METER_FLAGS, PeriodUsage
from services.validation.register_usage import (
    DIGITS_MAX,
    DIGITS_MIN,
    Installation,
    parse_ratio,
    parse_register,
)
from services.validation.rule_book import (
    REMOTE_PROFILE,
    REMOTE_REGISTER,
    SOURCES,
    USAGE_CLASSES,
)
from services.validation.voltage_band import LEVEL_DV

IMPORT = "1-0:1.8.0"
BLOCK_MINUTES = ("1", "5", "10", "15", "30", "60")
UNITS = ("Wh", "varh")
NUMBER_MAX = 10**15
"""More watt-hours than any register shows; more is a slip of the pen."""

GAP_DAYS_MAX = 400
FIRST_AT = "1970-01-02T00:00:00Z"
SECONDS_PER_DAY = 86_400

PHASES = ("a", "b", "c")
SAMPLE_COLUMNS = ("active_w", "reactive_var", "apparent_va", "power_factor_permille")
PHASE_COLUMNS = tuple(
    column.format(phase)
    for column in ("voltage_{}_dv", "current_{}_ma", "active_{}_w")
    for phase in PHASES
)
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
    "drift_s",
    *SAMPLE_COLUMNS,
    *PHASE_COLUMNS,
)
POINT_FIELDS = (
    "class",
    "interval_minutes",
    "capacity_w",
    "is_producer",
    "voltage_class",
    "nominal_dv",
    "installations",
    "registers",
    "interval_registers",
    "outages",
    "disconnected",
    "history",
    "last_actual_at",
    "from_at",
    "to_at",
)
INSTALLATION_FIELDS = ("from_at", "to_at", "ratio", "digits", "capacity_w", "initial", "final")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How rows are read: the zone of days, the class of points without one, and the latest instant
    that is no slip of the pen."""

    zone: ZoneInfo
    usage_class: str = ""
    as_of: str


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
    is_interval = bool(row.optional("energy_wh") or row.optional("minutes"))
    made = PointRow(
        at=at,
        register=_register(row),
        source=_word(row, "source", SOURCES, REMOTE_PROFILE if is_interval else REMOTE_REGISTER),
        minutes=_minutes(row, minutes) if is_interval else 0,
        energy_wh=_number(row, "energy_wh"),
        value=_amount(row, "value_wh"),
        condition=_word(row, "condition", CONDITIONS, "actual"),
        received_at=_instant(row, "received_at", reading.as_of) if _has(row, "received_at") else "",
        meter_no=row.optional("meter_no"),
        unit=_word(row, "unit", UNITS, ""),
        ratio=_ratio(row),
        flags=_flags(row),
        drift_s=_number(row, "drift_s"),
        sample=_sample(row),
    )
    if made.value is not None and not made.meter_no:
        raise row.wrong("meter_no", "is empty", "a register reading names its meter")
    said = (made.value, made.sample, made.drift_s, made.flags or None)
    if not is_interval and all(each is None for each in said):
        fix = "give energy_wh, value_wh, flags, drift_s or a voltage, current or power"
        raise row.wrong("energy_wh", "is empty, and so is everything else", fix)
    return made


def _has(row: Row, column: str) -> bool:
    return bool(row.optional(column))


def _word(row: Row, column: str, known: tuple[str, ...], default: str) -> str:
    return row.one_of(column, known) if _has(row, column) else default


def _instant(row: Row, column: str, as_of: str) -> str:
    at = row.instant(column)
    if at > as_of:
        raise row.wrong(column, f"{at} is in the future", f"at most {as_of}; see --as-of")
    if at < FIRST_AT:
        raise row.wrong(column, f"{at} is before there were meters", f"at least {FIRST_AT}")
    return at


def _register(row: Row) -> str:
    register = row.optional("register") or IMPORT
    try:
        name = parse_register(register)
    except BadInput as wrong:
        raise row.wrong("register", wrong.problem, wrong.fix) from None
    if not name.cumulative:
        raise row.wrong("register", f"{register!r} counts no energy", "1.8.x to 8.8.x do")
    return register


def _minutes(row: Row, default: int) -> int:
    return int(row.one_of("minutes", BLOCK_MINUTES)) if _has(row, "minutes") else default


def _number(row: Row, column: str) -> int | None:
    if not _has(row, column):
        return None
    number = row.whole(column)
    if abs(number) > NUMBER_MAX:
        raise row.wrong(column, f"{number} is impossible", f"at most {NUMBER_MAX}")
    return number


def _amount(row: Row, column: str) -> int | None:
    number = _number(row, column)
    if number is not None and number < 0:
        raise row.wrong(column, f"{number} is below zero", "give 0 or more")
    return number


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
    if not any(_has(row, column) for column in (*SAMPLE_COLUMNS, *PHASE_COLUMNS)):
        return None
    active_w, reactive_var, apparent_va, factor = (_number(row, name) for name in SAMPLE_COLUMNS)
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
        number = _number(row, column.format(phase))
        if number is not None:
            if number < least:
                raise row.wrong(
                    column.format(phase), f"{number} is impossible", f"at least {least}"
                )
            found[phase] = number
    return found


# -- master data ----------------------------------------------------------------------------------


def read_points(path: str, usage_class: str) -> Iterator[tuple[Row, PointFacts]]:
    """The points of a context file, one JSON object a line, sorted by `usage_point`."""
    last = ""
    for row in read_rows(path, ("usage_point",), POINT_FIELDS):
        facts = _facts(row, usage_class)
        if facts.usage_point <= last:
            problem = f"{facts.usage_point!r} comes after {last!r}"
            raise row.wrong("usage_point", problem, "sort the points, each once")
        last = facts.usage_point
        yield row, facts


def _facts(row: Row, usage_class: str) -> PointFacts:
    producer = _word(row, "is_producer", ("true", "false", "True", "False"), "false")
    return PointFacts(
        usage_point=row.text("usage_point"),
        usage_class=_word(row, "class", USAGE_CLASSES, usage_class),
        interval_minutes=int(_word(row, "interval_minutes", BLOCK_MINUTES, "15")),
        capacity_w=_amount(row, "capacity_w") or 0,
        is_producer=producer.lower() == "true",
        voltage_class=_word(row, "voltage_class", tuple(LEVEL_DV), ""),
        nominal_dv=_amount(row, "nominal_dv") or 0,
        installations=tuple(_installation(row, each) for each in _list(row, "installations")),
        registers=_codes(row, "registers"),
        interval_registers=_codes(row, "interval_registers"),
        outages=_periods(row, "outages"),
        disconnected=_periods(row, "disconnected"),
        history=_history(row),
        last_actual_at=row.instant("last_actual_at") if _has(row, "last_actual_at") else "",
        from_at=row.instant("from_at") if _has(row, "from_at") else "",
        to_at=row.instant("to_at") if _has(row, "to_at") else "",
    )


def _list(row: Row, column: str) -> list[Any]:
    found = row.cells.get(column, [])
    if not isinstance(found, list):
        raise row.wrong(column, "is no list", "write it in JSON as [..]")
    return found


def _codes(row: Row, column: str) -> tuple[str, ...]:
    codes = tuple(str(each) for each in _list(row, column))
    for code in codes:
        try:
            parse_register(code)
        except BadInput as wrong:
            raise row.wrong(column, wrong.problem, wrong.fix) from None
    return codes


def _inner(row: Row, column: str, given: Any, known: tuple[str, ...]) -> Row:
    """An object in a cell as a row of its own, so that its fields are named like columns."""
    if not isinstance(given, dict):
        raise row.wrong(column, "is no object", f"write it with {', '.join(known)}")
    for name in given:
        if name not in known:
            raise row.wrong(f"{column}.{name}", "is no field", f"known are {', '.join(known)}")
    cells = {f"{column}.{name}": value for name, value in given.items() if value not in (None, "")}
    return replace(row, cells=cells)


def _installation(row: Row, given: Any) -> Installation:
    place = "installations"
    inner = _inner(row, place, given, ("meter_no", *INSTALLATION_FIELDS))
    ratio = inner.optional(f"{place}.ratio") or "1"
    try:
        parse_ratio(ratio)
    except BadInput as wrong:
        raise inner.wrong(f"{place}.ratio", wrong.problem, wrong.fix) from None
    digits = _amount(inner, f"{place}.digits")
    if digits is not None and not DIGITS_MIN <= digits <= DIGITS_MAX:
        fix = f"use {DIGITS_MIN} to {DIGITS_MAX}"
        raise inner.wrong(f"{place}.digits", f"{digits} is impossible", fix)
    return Installation(
        meter_no=inner.text(f"{place}.meter_no"),
        from_at=inner.instant(f"{place}.from_at"),
        to_at=inner.instant(f"{place}.to_at") if _has(inner, f"{place}.to_at") else "",
        ratio=ratio,
        digits=6 if digits is None else digits,
        capacity_w=_amount(inner, f"{place}.capacity_w") or 0,
        initial=_registers(inner, f"{place}.initial"),
        final=_registers(inner, f"{place}.final"),
    )


def _registers(row: Row, place: str) -> dict[str, int]:
    given = row.cells.get(place, {})
    inner = _inner(row, place, given, tuple(given) if isinstance(given, dict) else (IMPORT,))
    return {name: _amount(inner, f"{place}.{name}") or 0 for name in given}


def _periods(row: Row, column: str) -> tuple[Period, ...]:
    periods = []
    for given in _list(row, column):
        inner = _inner(row, column, given, ("from_at", "to_at"))
        from_at = inner.instant(f"{column}.from_at")
        to_at = inner.instant(f"{column}.to_at") if _has(inner, f"{column}.to_at") else ""
        if to_at and to_at <= from_at:
            raise inner.wrong(f"{column}.to_at", f"{to_at} is not after {from_at}", "swap them")
        periods.append((from_at, to_at))
    return tuple(periods)


def _history(row: Row) -> Mapping[str, PeriodUsage]:
    given = row.cells.get("history", {})
    if not isinstance(given, dict):
        raise row.wrong("history", "is no object", "write it as {register: {energy_wh, days}}")
    history = {}
    for register, each in given.items():
        place = f"history.{register}"
        inner = _inner(row, place, each, ("energy_wh", "days", "outage_s"))
        inner.text(f"{place}.energy_wh"), inner.text(f"{place}.days")
        history[register] = PeriodUsage(
            energy_wh=_amount(inner, f"{place}.energy_wh") or 0,
            period_s=(_amount(inner, f"{place}.days") or 0) * SECONDS_PER_DAY,
            outage_s=_amount(inner, f"{place}.outage_s") or 0,
        )
    return history


# -- both side by side ----------------------------------------------------------------------------


class Points:
    """The master data beside the rows: `of` gives that of a row's point, in order of the file.

    Without a context file every point has the same facts. `passed` collects the points of which no
    row came, until `take_passed` takes them.
    """

    def __init__(self, path: str, usage_class: str) -> None:
        self._path, self._usage_class = path, usage_class
        self._rest = read_points(path, usage_class) if path else iter(())
        self._passed: list[PointFacts] = []

    def of(self, row: Row) -> PointFacts:
        """The facts of the row's point."""
        usage_point = row.text("usage_point")
        if not self._path:
            return PointFacts(usage_point=usage_point, usage_class=self._usage_class)
        for _, facts in self._rest:
            if facts.usage_point == usage_point:
                return facts
            if facts.usage_point > usage_point:
                break
            self._passed.append(facts)
        problem, fix = f"{usage_point!r} is not in {self._path}", "add it there, sorted"
        raise row.wrong("usage_point", problem, fix)

    def take_passed(self, *, is_end: bool = False) -> list[PointFacts]:
        """The points without rows that were passed; at the end all that are left."""
        if is_end:
            self._passed += (facts for _, facts in self._rest)
        passed, self._passed = self._passed, []
        return passed


def point_days(
    points: Points, path: str, reading: Reading
) -> Iterator[tuple[PointFacts, PointDay | None, tuple[PointRow, ...]]]:
    """Each day of each point with its rows, days between without any too; a point of which nothing
    came has no day (None)."""
    last: Row | None = None
    facts = PointFacts(usage_point="")
    day: PointDay | None = None
    held: list[PointRow] = []
    for row in read_rows(path, NEEDED, COLUMNS):
        usage_point = row.text("usage_point")
        if usage_point != facts.usage_point or last is None:
            if day is not None and last is not None:
                yield facts, day, tuple(held)
                yield from _empty_tail(last, facts, day, reading.zone)
            _check_order(row, facts.usage_point)
            facts, day, held = points.of(row), None, []
            yield from ((passed, None, ()) for passed in points.take_passed())
        made, last = point_row(row, reading, facts.interval_minutes), row
        if held and made.at < held[-1].at:
            problem = f"{made.at} comes after {held[-1].at}"
            raise row.wrong("at", problem, "sort the file by usage_point and at")
        if day is None:
            day = local_day(day_of(made.at, reading.zone), reading.zone)
            if facts.from_at:
                start = _first_day(facts.from_at, reading.zone)
                for between in _days_between(row, start, made.at, reading.zone):
                    yield facts, between, ()
        elif made.at > day.to_at:
            yield facts, day, tuple(held)
            for between in _days_between(row, _after(day), made.at, reading.zone):
                yield facts, between, ()
            day, held = local_day(day_of(made.at, reading.zone), reading.zone), []
        held.append(made)
    if day is not None and last is not None:
        yield facts, day, tuple(held)
        yield from _empty_tail(last, facts, day, reading.zone)
    yield from ((passed, None, ()) for passed in points.take_passed(is_end=True))


def _check_order(row: Row, before: str) -> None:
    if row.text("usage_point") < before:
        problem = f"{row.text('usage_point')!r} comes after {before!r}"
        raise row.wrong("usage_point", problem, "sort the file by usage_point and at")


def _first_day(from_at: str, zone: ZoneInfo) -> date:
    """The day in which something that begins at an instant first has an interval."""
    return (parse_instant(from_at) + timedelta(seconds=1)).astimezone(zone).date()


def _after(day: PointDay) -> date:
    return date.fromisoformat(day.day_on) + timedelta(days=1)


def _empty_tail(
    last: Row, facts: PointFacts, day: PointDay, zone: ZoneInfo
) -> Iterator[tuple[PointFacts, PointDay, tuple[PointRow, ...]]]:
    """The days up to the end of the period of which nothing came."""
    if facts.to_at > day.to_at:
        next_at = format_instant(parse_instant(facts.to_at) + timedelta(days=1))
        for empty in _days_between(last, _after(day), next_at, zone):
            yield facts, empty, ()


def _days_between(row: Row, first: date, at: str, zone: ZoneInfo) -> Iterator[PointDay]:
    """The days from one on, up to but without that of an instant."""
    count = (day_of(at, zone) - first).days
    if count > GAP_DAYS_MAX:
        problem = f"nothing came for {count} days until {at}"
        raise row.wrong("at", problem, "correct it, or check the file in parts")
    for number in range(count):
        yield local_day(first + timedelta(days=number), zone)

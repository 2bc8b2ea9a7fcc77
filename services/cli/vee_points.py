"""Master data for `gridledger vee check`: one JSON object a line, sorted by usage point.

    points = Points("points.jsonl", usage_class="residential")
    points.of(row)        # the facts of the point that a row of readings is of

The cells of rows are read here too: `word`, `number` and `amount` name file, line and column of
what is wrong. The fields are described in `services/cli/vee_check.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows
from services.validation.point_facts import Period, PointFacts
from services.validation.reading_rules import PeriodUsage
from services.validation.register_usage import (
    DIGITS_MAX,
    DIGITS_MIN,
    Installation,
    parse_ratio,
    parse_register,
)
from services.validation.rule_book import USAGE_CLASSES
from services.validation.voltage_band import LEVEL_DV

IMPORT = "1-0:1.8.0"
BLOCK_MINUTES = ("1", "5", "10", "15", "30", "60")
NUMBER_MAX = 10**15
"""More watt-hours than any register shows; more is a slip of the pen."""

SECONDS_PER_DAY = 86_400

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


# -- cells -----------------------------------------------------------------------------------------


def has(row: Row, column: str) -> bool:
    """Whether a cell has content."""
    return column in row.cells


def word(row: Row, column: str, known: tuple[str, ...], default: str) -> str:
    """A cell that is one of some words, or a default."""
    return row.one_of(column, known) if has(row, column) else default


def number(row: Row, column: str) -> int | None:
    """A whole number that something can measure; None when there is none."""
    if not has(row, column):
        return None
    found = row.whole(column)
    if abs(found) > NUMBER_MAX:
        raise row.wrong(column, f"{found} is impossible", f"at most {NUMBER_MAX}")
    return found


def amount(row: Row, column: str) -> int | None:
    """A number of 0 or more."""
    found = number(row, column)
    if found is not None and found < 0:
        raise row.wrong(column, f"{found} is below zero", "give 0 or more")
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
    producer = word(row, "is_producer", ("true", "false", "True", "False"), "false")
    return PointFacts(
        usage_point=row.text("usage_point"),
        usage_class=word(row, "class", USAGE_CLASSES, usage_class),
        interval_minutes=int(word(row, "interval_minutes", BLOCK_MINUTES, "0")),
        capacity_w=amount(row, "capacity_w") or 0,
        is_producer=producer.lower() == "true",
        voltage_class=word(row, "voltage_class", tuple(LEVEL_DV), ""),
        nominal_dv=amount(row, "nominal_dv") or 0,
        installations=tuple(_installation(row, each) for each in _list(row, "installations")),
        registers=_codes(row, "registers"),
        interval_registers=_codes(row, "interval_registers"),
        outages=_periods(row, "outages"),
        disconnected=_periods(row, "disconnected"),
        history=_history(row),
        last_actual_at=row.instant("last_actual_at") if has(row, "last_actual_at") else "",
        from_at=row.instant("from_at") if has(row, "from_at") else "",
        to_at=row.instant("to_at") if has(row, "to_at") else "",
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
    digits = amount(inner, f"{place}.digits")
    if digits is not None and not DIGITS_MIN <= digits <= DIGITS_MAX:
        fix = f"use {DIGITS_MIN} to {DIGITS_MAX}"
        raise inner.wrong(f"{place}.digits", f"{digits} is impossible", fix)
    return Installation(
        meter_no=inner.text(f"{place}.meter_no"),
        from_at=inner.instant(f"{place}.from_at"),
        to_at=inner.instant(f"{place}.to_at") if has(inner, f"{place}.to_at") else "",
        ratio=ratio,
        digits=6 if digits is None else digits,
        capacity_w=amount(inner, f"{place}.capacity_w") or 0,
        initial=_registers(inner, f"{place}.initial"),
        final=_registers(inner, f"{place}.final"),
    )


def _registers(row: Row, place: str) -> dict[str, int]:
    given = row.cells.get(place, {})
    inner = _inner(row, place, given, tuple(given) if isinstance(given, dict) else (IMPORT,))
    return {name: amount(inner, f"{place}.{name}") or 0 for name in given}


def _periods(row: Row, column: str) -> tuple[Period, ...]:
    periods = []
    for given in _list(row, column):
        inner = _inner(row, column, given, ("from_at", "to_at"))
        from_at = inner.instant(f"{column}.from_at")
        to_at = inner.instant(f"{column}.to_at") if has(inner, f"{column}.to_at") else ""
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
            energy_wh=amount(inner, f"{place}.energy_wh") or 0,
            period_s=(amount(inner, f"{place}.days") or 0) * SECONDS_PER_DAY,
            outage_s=amount(inner, f"{place}.outage_s") or 0,
        )
    return history


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
        """The facts of the row's point; `interval_minutes` is 0 when nothing says it."""
        usage_point = row.text("usage_point")
        if not self._path:
            return PointFacts(
                usage_point=usage_point, usage_class=self._usage_class, interval_minutes=0
            )
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

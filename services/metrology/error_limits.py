"""Limits of error of electricity meters as typed rows, and the row that a load point falls under.

    class,connection,load,i_from,i_to,cos_phi,limit_pct_plus_minus,kind,source
    1,direct,balanced,0.1Ib,Imax,1.0,1.0,basic,"JJG 596-2012 table ..."

Currents are multiples of the base current (Ib for a direct meter, In behind current transformers);
a row holds `i_from <= I < i_to`, or `I <= Imax` where it ends there. Errors and limits are integers
of 1e-4 per cent (`_e4_pct`): 1.5 % is 15000. What no row covers has no limit: the caller must say
"not judged", never "passed".

    find_limit(limits, meter, MeasuredPoint(current="0.05Ib", power_factor="1.0", ...))
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled

ERROR_SCALE = 10_000
"""An error of 1 % is 10,000 of 1e-4 per cent."""

CURRENT_SCALE = 10**6
BASES: Mapping[str, str] = {"direct": "Ib", "ct": "In"}
"""The base current by the connection of the meter."""

BALANCED = "balanced"
SINGLE_PHASE = "single_phase"
LOADS: Mapping[str, str] = {
    "balanced": BALANCED,
    "balanced (on request)": BALANCED,
    "single-phase load of 3-phase meter": SINGLE_PHASE,
}
"""The loads of the table; those on request differ by their power factors, not by the load."""

POWER_FACTORS = ("1.0", "0.5L", "0.8C", "0.25L", "0.5C", "sin1.0", "sin0.5", "sin0.25")
"""cos phi of active meters with its direction; sin phi (either direction) of reactive ones."""

COLUMNS = (
    "class",
    "connection",
    "load",
    "i_from",
    "i_to",
    "cos_phi",
    "limit_pct_plus_minus",
    "kind",
    "source",
)

_CURRENT = re.compile(r"(?P<below><?)(?P<multiple>\d+(?:\.\d+)?)?(?P<base>Ib|In|Imax)")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterRating:
    """What a meter is: accuracy class (0.2S, 0.5S, 1, 2), connection (direct, ct), and Imax as a
    multiple of its base current ("12" for 5(60) A; "" when not known)."""

    accuracy_class: str
    connection: str
    imax_multiple: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredPoint:
    """One load point measured on a bench.

    current: 0.05Ib, 1.0In, Imax; power_factor: 1.0, 0.5L, 0.8C; load: balanced, single_phase, or
    single_phase_a, _b, _c where the phase is named; the error in 1e-4 per cent.
    """

    current: str
    power_factor: str
    load: str
    error_e4_pct: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRow:
    """One row: a range of current (1e-6 of the base; `to_e6` None for "up to Imax") and its limit.

    `line` is its line in the file, so that a verdict can name it.
    """

    line: int
    accuracy_class: str
    connection: str
    load: str
    from_e6: int
    to_e6: int | None
    power_factors: tuple[str, ...]
    limit_e4_pct: int
    kind: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorLimits:
    """A table of limits with the id under which verdicts name it."""

    id: str
    rows: tuple[LimitRow, ...]


def parse_error_limits(table_id: str, lines: Iterable[Mapping[str, str]]) -> ErrorLimits:
    """The table of a file's lines (column name to text, the first is line 2).

    BadInput names line and column; so does a row that overlaps an earlier one, for a point must
    never have two limits.
    """
    rows: list[LimitRow] = []
    for line, texts in enumerate(lines, start=2):
        row = _parse_row(line, texts)
        for earlier in rows:
            if _overlap(earlier, row):
                problem = f"overlaps line {earlier.line}"
                raise BadInput(f"line {line}, column i_from", problem, "give each point one limit")
        rows.append(row)
    if not rows:
        raise BadInput("lines", "the table is empty", f"give rows of {', '.join(COLUMNS)}")
    return ErrorLimits(id=table_id, rows=tuple(rows))


def _parse_row(line: int, texts: Mapping[str, str]) -> LimitRow:
    absent = [name for name in COLUMNS if not texts.get(name)]
    if absent:
        raise BadInput(f"line {line}, column {absent[0]}", "is empty or missing", "fill it in")
    connection = _one_of(line, "connection", texts["connection"], tuple(BASES))
    power_factors = tuple(texts["cos_phi"].split(";"))
    for power_factor in power_factors:
        _one_of(line, "cos_phi", power_factor, POWER_FACTORS)
    base = BASES[connection]
    from_e6 = _bound(line, "i_from", texts["i_from"], base)
    to_e6 = None if texts["i_to"] == "Imax" else _bound(line, "i_to", texts["i_to"], base)
    if to_e6 is not None and to_e6 <= from_e6:
        raise BadInput(f"line {line}, column i_to", "is not above i_from", "swap them")
    limit = texts["limit_pct_plus_minus"]
    field = f"line {line}, column limit_pct_plus_minus"
    return LimitRow(
        line=line,
        accuracy_class=texts["class"],
        connection=connection,
        load=LOADS[_one_of(line, "load", texts["load"], tuple(LOADS))],
        from_e6=from_e6,
        to_e6=to_e6,
        power_factors=power_factors,
        limit_e4_pct=_positive(field, parse_scaled(limit, ERROR_SCALE, field)),
        kind=texts["kind"],
        source=texts["source"],
    )


def _one_of(line: int, column: str, text: str, allowed: tuple[str, ...]) -> str:
    if text not in allowed:
        fix = f"use {', '.join(allowed)}"
        raise BadInput(f"line {line}, column {column}", f"{text!r} is unknown", fix)
    return text


def _bound(line: int, column: str, text: str, base: str) -> int:
    """`0.1Ib` or `<0.1Ib` as 1e-6 of the base; the sign says that the bound itself is outside."""
    match = _CURRENT.fullmatch(text)
    wants_sign = column == "i_to"
    if (
        match is None
        or match["base"] != base
        or match["multiple"] is None
        or bool(match["below"]) != wants_sign
    ):
        example = f"<0.1{base} or Imax" if wants_sign else f"0.1{base}"
        field = f"line {line}, column {column}"
        raise BadInput(field, f"{text!r} is no current", f"write it like {example}")
    return parse_scaled(match["multiple"], CURRENT_SCALE, f"line {line}, column {column}")


def _positive(field: str, value: int) -> int:
    if value <= 0:
        raise BadInput(field, f"is {value}", "give a limit above zero")
    return value


def _overlap(one: LimitRow, other: LimitRow) -> bool:
    if (one.accuracy_class, one.connection, one.load, one.kind) != (
        other.accuracy_class,
        other.connection,
        other.load,
        other.kind,
    ) or not set(one.power_factors) & set(other.power_factors):
        return False
    starts_before_end = other.to_e6 is None or one.from_e6 < other.to_e6
    ends_after_start = one.to_e6 is None or one.to_e6 > other.from_e6
    return starts_before_end and ends_after_start


@lru_cache(maxsize=1024)
def parse_current(text: str, meter: MeterRating) -> Fraction | None:
    """The current of a load point as a multiple of the meter's base current, exactly.

    None is Imax of a meter whose Imax is not known. BadInput when it is no current, has the wrong
    base for the meter's connection, is above Imax, or needs an Imax that is not known.
    """
    match = _CURRENT.fullmatch(text)
    base = BASES.get(meter.connection)
    if base is None:
        fix = f"use {', '.join(BASES)}"
        raise BadInput("connection", f"{meter.connection!r} is unknown", fix)
    if match is None or match["below"]:
        raise BadInput("current", f"{text!r} is no current", f"write it like 0.1{base} or Imax")
    if match["base"] not in {base, "Imax"}:
        problem = f"{text!r} has not the base of a {meter.connection} meter"
        raise BadInput("current", problem, f"use {base} or Imax")
    multiple = Fraction(match["multiple"] or "1")
    imax = _imax_multiple(meter)
    of_imax = match["base"] == "Imax"
    highest = Fraction(1) if of_imax else imax
    if highest is not None and multiple > highest:
        raise BadInput("current", f"{text!r} is above Imax", "measure up to Imax")
    if imax is not None:
        return multiple * imax if of_imax else multiple
    if of_imax and multiple == 1:
        return None
    if of_imax or multiple > 1:
        raise BadInput("imax_multiple", "is not known", f"needed for the current {text}")
    return multiple


def comparable_current(text: str, meter: MeterRating) -> Fraction | str | None:
    """A current to compare load points by, so that 1Ib, 1.0Ib and Ib are one; a text that is no
    current of this meter is only equal to itself."""
    try:
        return parse_current(text, meter)
    except BadInput:
        return text


def _imax_multiple(meter: MeterRating) -> Fraction | None:
    """Imax as a multiple of the base; it is never below the base."""
    if not meter.imax_multiple:
        return None
    scaled = parse_scaled(meter.imax_multiple, CURRENT_SCALE, "imax_multiple")
    if scaled < CURRENT_SCALE:
        raise BadInput("imax_multiple", f"is {meter.imax_multiple}", "give Imax / base, 1 or more")
    return Fraction(scaled, CURRENT_SCALE)


def find_limit(limits: ErrorLimits, meter: MeterRating, point: MeasuredPoint) -> LimitRow:
    """The row that a load point falls under; BadInput says why there is none.

    The reasons are for people: they stand in the verdict of a point that was not judged.
    """
    current = parse_current(point.current, meter)
    load = SINGLE_PHASE if point.load.startswith(SINGLE_PHASE) else point.load
    rows = [
        row
        for row in limits.rows
        if (row.accuracy_class, row.connection, row.load)
        == (meter.accuracy_class, meter.connection, load)
    ]
    if not rows:
        what = f"class {meter.accuracy_class}, {meter.connection}, {load} load"
        raise BadInput("accuracy_class", f"the table has no rows for {what}", "extend the table")
    rows = [row for row in rows if point.power_factor in row.power_factors]
    if not rows:
        problem = f"the table has no rows for {point.power_factor} at {load} load"
        raise BadInput("power_factor", problem, "measure at a power factor of the table")
    found = next((row for row in rows if _holds(row, current)), None)
    if found is None:
        problem = f"the table has no row for {point.current} at {point.power_factor}, {load} load"
        raise BadInput("current", problem, "measure at a current of the table")
    return found


def _holds(row: LimitRow, current: Fraction | None) -> bool:
    if current is None:
        return row.to_e6 is None
    scaled = current * CURRENT_SCALE
    return row.from_e6 <= scaled and (row.to_e6 is None or scaled < row.to_e6)

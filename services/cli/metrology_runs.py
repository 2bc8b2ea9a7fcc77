"""Runs of benches in a file, as the judgement takes them: JSON lines, one run or message a line.

A meter's run is one object, in the shape in which it is kept with the judgement:

    {"run_id": "B1-0001", "meter_no": "M1", "accuracy_class": "1", "bench_no": "B1",
     "reference_meter_no": "R1", "reference_class": "0.05", "reference_due_on": "2026-12-31",
     "measured_at": "2026-03-01T02:00:00Z", "operator": "lab-3",
     "points": [{"current": "1Ib", "power_factor": "1.0", "load": "balanced",
                 "error_e4_pct": 2000}],
     "tests": {"start": "pass", "creep": "pass", "constant": "pass"}}

and may have `registered` (what the register of meters says: accuracy_class, connection,
imax_multiple, phases, quantity = active or reactive), `temperature_c`, `plate` and `observed` (what
was seen in the tests, judged here; see `OBSERVED`). Without `registered` the connection follows
from the base of the currents. The messages of a bench (`services/metrology/bench_protocol.py`) may
stand in the file as they came. A transformer's run has `device`:

    {"run_id": "T-1", "device": "CT", "device_no": "CT7", "accuracy_class": "0.2S",
     "standard_no": "S1", "standard_class": "0.02", "standard_due_on": "2027-01-31",
     "measured_at": "2026-03-01T02:00:00Z", "operator": "lab-3",
     "points": [{"pct": "5", "burden": "rated", "ratio_error_pct": "0.11", "phase_min": "3.5"}]}
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from libs.events.errors import BadInput
from libs.events.quantities import parse_scaled
from services.cli.row_file import Row, read_rows
from services.metrology.bench_protocol import (
    ERROR_E4_PCT_MAX,
    MESSAGES,
    BenchError,
    BenchParser,
    ReceivedRun,
)
from services.metrology.error_limits import ERROR_SCALE, MeasuredPoint, MeterRating
from services.metrology.function_tests import MeterPlate
from services.metrology.judgement import BenchRun
from services.metrology.transformer_judgement import (
    BURDENS,
    DEVICES,
    MINUTE_SCALE,
    PCT_SCALE,
    TransformerPoint,
    TransformerRun,
)

QUANTITIES = ("active", "reactive")
RESULTS = ("pass", "fail", "not_done")
PHASE_MIN_MAX = 5_400
PCT_MAX = 400
OBSERVED = {
    "start": ("current_a", "observed_s", "first_pulse_s"),
    "creep": ("voltage_v", "observed_s", "pulses"),
    "constant": ("pulses", "register_kwh", "resolution_kwh"),
    "clock": ("drift_ms", "observed_s"),
}
"""What is observed in each test."""

_RUN_TEXTS = ("run_id", "meter_no", "bench_no", "reference_meter_no", "operator")
_RUN = (
    *_RUN_TEXTS, "accuracy_class", "reference_class", "reference_due_on", "measured_at", "points",
    "tests",
)  # fmt: skip
_RUN_OPTIONAL = ("registered", "temperature_c", "plate", "observed")
_TRANSFORMER = (
    "run_id", "device", "device_no", "accuracy_class", "standard_no", "standard_class",
    "standard_due_on", "measured_at", "operator", "points",
)  # fmt: skip
_CLASS = re.compile(r"[0-9](\.[0-9]{1,4})?S?")


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterCase:
    """A meter's run with all that the file says besides it."""

    row: Row
    run: BenchRun
    rating: MeterRating
    phases: int
    quantity: str
    temperature_c: Decimal | None = None
    plate: MeterPlate | None = None
    observed: Row | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TransformerCase:
    """A transformer's run and what the register says it is."""

    row: Row
    run: TransformerRun
    device: str
    accuracy_class: str


Case = MeterCase | TransformerCase


def read_cases(path: str) -> Iterator[Case]:
    """The runs of a file, one at a time; BadInput names file, line and member."""
    parser = BenchParser()
    last: Row | None = None
    found = False
    for row in _rows(path):
        last = row
        if "type" in row.cells:
            for case in _fed(parser, row):
                found = True
                yield case
        else:
            found = True
            yield _transformer_case(row) if "device" in row.cells else _meter_case(row)
    for outcome in parser.close():
        assert last is not None, "a parser that was not fed has nothing to say"
        assert isinstance(outcome, BenchError), "the end completes no run"
        raise last.wrong(outcome.field, "is missing: the file ends within a run", outcome.fix)
    if not found:
        raise BadInput("standard input" if path == "-" else path, "has no run", "write one a line")


def _rows(path: str) -> Iterator[Row]:
    try:
        yield from read_rows(path, ())
    except BadInput as wrong:
        if wrong.problem == "is empty":
            raise BadInput(wrong.field, wrong.problem, "write one run a line, as JSON") from None
        raise


def _fed(parser: BenchParser, row: Row) -> Iterator[Case]:
    """The run that a message of a bench ends, if it does."""
    kinds = MESSAGES.get(str(row.cells["type"]), {})
    message: dict[str, Any] = {}
    for name, value in row.cells.items():
        message[name] = row.whole(name) if kinds.get(name) is int else value
    for outcome in parser.feed(json.dumps(message).encode() + b"\n"):
        if not isinstance(outcome, ReceivedRun):
            raise row.wrong(outcome.field, outcome.problem, outcome.fix)
        yield _case(row, outcome.run, {})


def inner(row: Row, column: str, value: Any, allowed: Collection[str]) -> Row:
    """An object within a row, its members under their full name (`points[0].current`)."""
    if not isinstance(value, dict):
        raise row.wrong(column, "is no JSON object", f"give {', '.join(allowed)}")
    _only(row, value, allowed, f"{column}.")
    cells = {f"{column}.{name}": each for name, each in value.items() if each not in (None, "")}
    for name, each in cells.items():
        if isinstance(each, dict | list):
            raise row.wrong(name, "is no single value", "give a text or a number")
    return Row(row.file, row.line, cells)


def _only(row: Row, found: Collection[str], allowed: Collection[str], prefix: str = "") -> None:
    other = [name for name in found if name not in allowed]
    if other:
        raise row.wrong(f"{prefix}{other[0]}", "is unknown", f"known are {', '.join(allowed)}")


def _meter_case(row: Row) -> MeterCase:
    _only(row, row.cells, (*_RUN, *_RUN_OPTIONAL))
    points = []
    for index, value in enumerate(_list(row, "points")):
        at = f"points[{index}]"
        point = inner(row, at, value, ("current", "power_factor", "load", "error_e4_pct"))
        error = point.whole(f"{at}.error_e4_pct")
        if abs(error) > ERROR_E4_PCT_MAX:
            fix = "give 1e-4 per cent: 1.5 % is 15000"
            raise row.wrong(f"{at}.error_e4_pct", f"is {error}, more than 100 %", fix)
        points.append(
            MeasuredPoint(
                current=point.text(f"{at}.current"),
                power_factor=point.text(f"{at}.power_factor"),
                load=point.text(f"{at}.load"),
                error_e4_pct=error,
            )
        )
    run = BenchRun(
        **{name: _plain(row, name) for name in _RUN_TEXTS},
        accuracy_class=class_of(row, "accuracy_class"),
        reference_class=class_of(row, "reference_class"),
        reference_due_on=row.day("reference_due_on"),
        measured_at=row.instant("measured_at"),
        points=tuple(points),
        tests=_tests(row),
    )
    return _case(row, run, row.cells)


def _tests(row: Row) -> dict[str, str]:
    value = row.cells.get("tests", {})
    if not isinstance(value, dict):
        raise row.wrong("tests", "is no JSON object", 'write it like {"start": "pass"}')
    tests = inner(row, "tests", value, tuple(value))
    return {name: tests.one_of(f"tests.{name}", RESULTS) for name in value}


def _case(row: Row, run: BenchRun, cells: Any) -> MeterCase:
    """The run with what the row says of the meter, its plate and its tests."""
    names = ("accuracy_class", "connection", "imax_multiple", "phases", "quantity")
    told = inner(row, "registered", cells.get("registered", {}), names)
    at = "registered."
    connection = "ct" if any(point.current.endswith("In") for point in run.points) else "direct"
    if f"{at}connection" in told.cells:
        connection = told.one_of(f"{at}connection", ("direct", "ct"))
    known = f"{at}accuracy_class" in told.cells
    multiple = told.optional(f"{at}imax_multiple")
    if multiple and told.decimal(f"{at}imax_multiple") < 1:
        raise row.wrong(f"{at}imax_multiple", f"is {multiple}", "give Imax / base, 1 or more")
    phases = told.one_of(f"{at}phases", ("1", "3")) if f"{at}phases" in told.cells else "1"
    quantity = told.optional(f"{at}quantity") or QUANTITIES[0]
    if quantity not in QUANTITIES:
        raise row.wrong(f"{at}quantity", f"{quantity!r} is not known", "one of active, reactive")
    plate = observed = None
    rating = MeterRating(
        accuracy_class=class_of(told, f"{at}accuracy_class") if known else run.accuracy_class,
        connection=connection,
        imax_multiple=multiple,
    )
    if "observed" in cells:
        observed = _observed(row, cells["observed"])
        plate = _plate(row, rating, int(phases))
    return MeterCase(
        row=row,
        run=run,
        rating=rating,
        phases=int(phases),
        quantity=quantity,
        temperature_c=row.decimal("temperature_c") if "temperature_c" in cells else None,
        plate=plate,
        observed=observed,
    )


def _observed(row: Row, value: Any) -> Row:
    """What was seen in the tests, as `observed.start.current_a` and so on."""
    if not isinstance(value, dict):
        raise row.wrong("observed", "is no JSON object", f"give {', '.join(OBSERVED)}")
    _only(row, value, OBSERVED, "observed.")
    cells: dict[str, Any] = {}
    for name, seen in value.items():
        cells |= inner(row, f"observed.{name}", seen, OBSERVED[name]).cells
        cells[f"observed.{name}"] = "given"
    return Row(row.file, row.line, cells)


def _plate(row: Row, rating: MeterRating, phases: int) -> MeterPlate:
    names = ("pulses_per_kwh", "voltage_v", "base_a", "imax_a")
    plate = inner(row, "plate", row.cells.get("plate", {}), names)
    return MeterPlate(
        accuracy_class=rating.accuracy_class,
        connection=rating.connection,
        pulses_per_kwh=plate.whole("plate.pulses_per_kwh"),
        phases=phases,
        voltage_mv=scaled(plate, "plate.voltage_v", 1_000),
        base_ma=scaled(plate, "plate.base_a", 1_000),
        imax_ma=scaled(plate, "plate.imax_a", 1_000),
    )


def _transformer_case(row: Row) -> TransformerCase:
    _only(row, row.cells, (*_TRANSFORMER, "registered"))
    points = []
    for index, value in enumerate(_list(row, "points")):
        at = f"points[{index}]"
        point = inner(row, at, value, ("pct", "burden", "ratio_error_pct", "phase_min"))
        ratio = scaled(point, f"{at}.ratio_error_pct", ERROR_SCALE)
        phase = scaled(point, f"{at}.phase_min", MINUTE_SCALE)
        pct = scaled(point, f"{at}.pct", PCT_SCALE)
        for name, size, most in (
            ("ratio_error_pct", abs(ratio), ERROR_E4_PCT_MAX),
            ("phase_min", abs(phase), PHASE_MIN_MAX * MINUTE_SCALE),
            ("pct", pct, PCT_MAX * PCT_SCALE),
        ):
            if not 0 <= size <= most:
                shown = point.text(f"{at}.{name}")
                raise row.wrong(f"{at}.{name}", f"is {shown}, impossible", "look at the unit")
        points.append(
            TransformerPoint(
                at_e3_pct=pct,
                burden=point.one_of(f"{at}.burden", BURDENS),
                ratio_e4_pct=ratio,
                phase_e3_min=phase,
            )
        )
    run = TransformerRun(
        run_id=_plain(row, "run_id"),
        device_no=_plain(row, "device_no"),
        device=row.one_of("device", DEVICES),
        accuracy_class=class_of(row, "accuracy_class"),
        standard_no=_plain(row, "standard_no"),
        standard_class=class_of(row, "standard_class"),
        standard_due_on=row.day("standard_due_on"),
        measured_at=row.instant("measured_at"),
        operator=_plain(row, "operator"),
        points=tuple(points),
    )
    value = row.cells.get("registered", {})
    told = inner(row, "registered", value, ("device", "accuracy_class"))
    device, accuracy_class = run.device, run.accuracy_class
    if "registered.device" in told.cells:
        device = told.one_of("registered.device", DEVICES)
    if "registered.accuracy_class" in told.cells:
        accuracy_class = class_of(told, "registered.accuracy_class")
    return TransformerCase(row=row, run=run, device=device, accuracy_class=accuracy_class)


def _list(row: Row, column: str) -> list[Any]:
    value = row.cells.get(column)
    if not isinstance(value, list) or not value:
        raise row.wrong(column, "is no list of points", "write one JSON object a run")
    return value


def _plain(row: Row, column: str) -> str:
    """A text that can be shown on one line."""
    text = row.text(column)
    if not isinstance(row.cells[column], str) or not text.isprintable():
        raise row.wrong(column, "is no printable text", "give a text")
    return text


def class_of(row: Row, column: str) -> str:
    """An accuracy class such as 0.2S."""
    text = row.text(column)
    if not _CLASS.fullmatch(text):
        raise row.wrong(column, f"{text!r} is no accuracy class", "write it like 0.2S, 1 or 2")
    return text


def scaled(row: Row, column: str, scale: int) -> int:
    """An exact decimal as an integer of 1/scale."""
    row.decimal(column)
    try:
        return parse_scaled(row.text(column), scale, column)
    except BadInput as wrong:
        raise row.wrong(column, wrong.problem, wrong.fix) from None

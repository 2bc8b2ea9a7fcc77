"""`gridledger voltage`: voltage quality per point and month from files (GB/T 12325).

FILE, sorted by usage_point and at (memory holds the events of one month of one point), one row an
interval:

    usage_point, at        the point, and the instant in UTC at which the interval ends
    l1_v, l2_v, l3_v       phase voltages, V with at most one decimal; one alone at low voltage is a
                           single-phase supply (by the point's first row)
    voltage_class          lt1kv (unless given), 10kv, 20kv, 35kv, 110kv, 220kv
    nominal_v              what a phase should show: 220 unless given, 57.7 behind a transformer

--rules FILE: a JSON object with those fields of QualityRules that differ from the defaults.

`--json` prints one object a line:

    {"usage_point", "month", "phase" ("" for all), "status" (qualified, unqualified,
     not_comparable), "rate_pct" (text or null), "expected_samples", "found_samples",
     "missing_samples", "inside_s", "over_s", "under_s", "outage_s", "reason",
     "events": [{"side" (over, under), "start_at", "end_at", "samples", "extreme_v",
                 "extreme_deviation_pct", "ended_by"}]}

Status 1 when the rate of a point and month is below the target.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled, parse_scaled
from services.cli.row_file import Row, read_rows
from services.cli.row_values import fixed_line, in_row, past_instant, per_cent, read_rules
from services.cli.watched import watched
from services.validation.voltage_band import LEVEL_DV, LOW_VOLTAGE, PHASE_NOMINAL_DV
from services.validation.voltage_quality import (
    UNQUALIFIED,
    QualityRules,
    VoltageEvent,
    VoltageQuality,
    VoltageSample,
    VoltageSupply,
    month_of,
    voltage_quality,
)

NEEDED = ("usage_point", "at")
PHASES = ("l1_v", "l2_v", "l3_v")
KNOWN = (*PHASES, "voltage_class", "nominal_v")
VOLTAGE_MOST_DV = 10_000_000
DV_PER_V = 10
WIDTHS = (16, 7, -8, -7, -8, -8, -6, 14)
HEADER = ("point", "month", "rate %", "missing", "over min", "under", "events", "status")

app = typer.Typer(help="Voltage quality per point and month, with every event.")


@app.command(epilog="Example: gridledger voltage samples.csv --json")
def voltage(
    file: Annotated[
        str, typer.Argument(help="Voltages by interval, CSV or JSON lines; -: standard input.")
    ],
    rules: Annotated[Path | None, typer.Option(help="Your definitions.", metavar="FILE")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Qualified rate, time over and under the band, and every event, per point and month.

    FILE must be sorted by usage_point and at: the events of one month of one
    point are held at a time. Its columns: usage_point, at, those of l1_v,
    l2_v, l3_v that were measured; voltage_class, nominal_v. Status 1 when a
    rate is below the target.
    """
    judged_by = read_rules(rules, QualityRules)
    is_failed = False
    is_first = True
    for quality in qualities(file, judged_by):
        is_failed |= quality.status == UNQUALIFIED
        if as_json:
            print(json.dumps(document(quality), ensure_ascii=False))
            continue
        if is_first:
            print(fixed_line(HEADER, WIDTHS))
            is_first = False
        show(quality)
    return int(is_failed)


def qualities(file: str, rules: QualityRules) -> Iterator[VoltageQuality]:
    """The quality of each point and month, as the rows come."""
    last = ("", "")
    rows = watched(read_rows(file, NEEDED, KNOWN), "rows")
    for key, of_month in groupby(rows, key=_point_and_month):
        yield _quality(key, of_month, last, rules)
        last = key
    if not last[0]:
        raise BadInput(file, "has no rows", f"give rows of {', '.join(NEEDED)}")


def _point_and_month(row: Row) -> tuple[str, str]:
    return row.text("usage_point"), month_of(past_instant(row, "at"))


def _quality(
    key: tuple[str, str], rows: Iterator[Row], last: tuple[str, str], rules: QualityRules
) -> VoltageQuality:
    """One month; whatever is wrong is told with the row that was read last."""
    current = first = next(rows)
    if key <= last:
        problem = f"{key[0]} {key[1]} comes after {last[0]} {last[1]}"
        raise first.wrong("usage_point", problem, "sort by usage_point and at")
    supply = supply_of(first)

    def samples() -> Iterator[VoltageSample]:
        nonlocal current
        yield sample_of(first)
        for row in rows:
            current = row
            if supply_of(row, supply.phases) != supply:
                problem = "is not that of the point's first row"
                raise row.wrong("voltage_class or nominal_v", problem, "give a point one of each")
            yield sample_of(row)

    try:
        return voltage_quality(*key, samples(), supply, rules)
    except BadInput as error:
        named = error.field.startswith(f"{current.file} line ")
        raise (error if named else in_row(current, error)) from None


def supply_of(row: Row, phases: int = 0) -> VoltageSupply:
    """What is measured at a point, of one row."""
    level = row.one_of("voltage_class", LEVEL_DV) if row.optional("voltage_class") else LOW_VOLTAGE
    nominal_dv = _voltage(row, "nominal_v") if row.optional("nominal_v") else PHASE_NOMINAL_DV
    if not nominal_dv:
        raise row.wrong("nominal_v", "is 0", "give what a phase should show")
    count = sum(bool(row.optional(phase)) for phase in PHASES)
    found = phases or (1 if level == LOW_VOLTAGE and count == 1 else 3)
    return VoltageSupply(voltage_class=level, nominal_dv=nominal_dv, phases=found)


def sample_of(row: Row) -> VoltageSample:
    """The voltages of one row."""
    found = {phase[:2]: _voltage(row, phase) for phase in PHASES if row.optional(phase)}
    if not found:
        fix = "give one of l1_v, l2_v, l3_v, or leave the row out"
        raise row.wrong("l1_v", "there is no voltage", fix)
    return VoltageSample(at=row.instant("at"), voltages_dv=found)


def _voltage(row: Row, column: str) -> int:
    row.decimal(column)
    try:
        found = parse_scaled(row.text(column), DV_PER_V, column)
    except BadInput as error:
        raise in_row(row, error) from None
    if not 0 <= found <= VOLTAGE_MOST_DV:
        raise row.wrong(column, f"{row.text(column)} V is impossible", "give 0 to 1000000")
    return found


def document(quality: VoltageQuality) -> dict[str, Any]:
    """A month as `--json` prints it."""
    return {
        "usage_point": quality.usage_point,
        "month": quality.month,
        "phase": quality.phase,
        "status": quality.status,
        "rate_pct": None if quality.rate_e2_pct is None else per_cent(quality.rate_e2_pct),
        "expected_samples": quality.expected_samples,
        "found_samples": quality.found_samples,
        "missing_samples": quality.missing_samples,
        "inside_s": quality.inside_s,
        "over_s": quality.over_s,
        "under_s": quality.under_s,
        "outage_s": quality.outage_s,
        "reason": quality.reason,
        "events": [
            {
                "side": event.side,
                "start_at": event.start_at,
                "end_at": event.end_at,
                "samples": event.samples,
                "extreme_v": format_scaled(event.extreme_dv, DV_PER_V),
                "extreme_deviation_pct": event.extreme_deviation_pct,
                "ended_by": event.ended_by,
            }
            for event in quality.events
        ],
    }


def show(quality: VoltageQuality) -> None:
    """A month as one line of the table, its events below."""
    cells = (
        quality.usage_point,
        quality.month,
        per_cent(quality.rate_e2_pct),
        str(quality.missing_samples),
        str(quality.over_s // 60),
        str(quality.under_s // 60),
        str(len(quality.events)),
        quality.status,
    )
    print(fixed_line(cells, WIDTHS))
    if quality.phase:
        print(f"  worst phase: {quality.phase}")
    if quality.reason:
        print(f"  not comparable: {quality.reason}")
    for event in quality.events:
        print(event_line(event))


def event_line(event: VoltageEvent) -> str:
    """One event: side, when, how far, and what ended it when the voltage did not come back."""
    extreme_v = format_scaled(event.extreme_dv, DV_PER_V)
    line = (
        f"  {event.side:5} {event.start_at} to {event.end_at}"
        f" {extreme_v} V {event.extreme_deviation_pct} %"
    )
    return line if event.ended_by == "inside" else f"{line}\n        ended by {event.ended_by}"

"""`gridledger losses`: line loss per area, feeder and day from files, with named causes.

FILE, sorted by day_on (memory holds one day and the areas), one row a point and day:

    day_on, usage_point  the day, 00:00 to 24:00 of the same clock; a point of the areas file
    energy_wh            what the import register moved, as the meter shows it; empty: missing
    export_wh            the same of the export register (PV); empty: not read
    ratio                what both are multiplied by; empty: 1, and not compared with the archive
    quality              actual, estimated, edited or missing
    usual_wh, usual_export_wh   a usual day of the point, after ratio
    after_exchange, rolled_over, current_seen   yes or no
    clock_offset_s       the meter's clock less ours

--areas FILE, one row a stay: usage_point, feeder, role (gate or member), from_on; and area (empty:
on the feeder itself), to_on (the last day), ratio (of the archive), has_pv (yes or no).

Without FILE it lists what the area stage of validation decided (its latest revisions), of the
running installation or of an export with --from-files DIR; nothing is calculated again.

--rules FILE: a JSON object with those fields of LossRules that differ from the defaults.

`--json` prints one object a line, a day's areas first, then its feeders:

    {"day_on", "feeder", "area" ("" for a feeder), "status" (ok, high, negative, not_comparable),
     "gate_wh", "pv_wh", "supplied_wh", "sold_wh", "loss_wh", "loss_pct" (text or null),
     "gate_difference_wh" (feeders, else null), "expected_points", "read_points", "read_pct",
     "excess_wh", "reason",
     "causes": [{"cause", "usage_point", "effect_wh" (or null), "explained_wh", "numbers": {}}]}

loss_wh and loss_pct are null on a day that is not comparable. Status 1 when any loss is an alarm.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.audit import Reader
from libs.events.codec import Codec
from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled
from services.cli.records import known_bodies, open_records
from services.cli.row_file import Row, read_rows
from services.cli.row_values import (
    ENERGY_MOST_WH,
    fixed_line,
    in_row,
    optional_between,
    past_day,
    per_cent,
    read_rules,
    yes_or_no,
)
from services.cli.watched import watched
from services.validation.areas.events import LossCalculated, catalogue
from services.validation.areas.line_loss import ALARMS, NOT_COMPARABLE, Loss, area_losses
from services.validation.areas.loss_causes import (
    CAUSES,
    UNEXPLAINED_CHINESE,
    Cause,
    causes_of,
)
from services.validation.areas.loss_rules import LossRules
from services.validation.areas.membership import (
    ACTUAL,
    MISSING,
    QUALITIES,
    ROLES,
    Membership,
    Places,
    PointDay,
    places_of,
)
from services.validation.register_usage import primary_value

NEEDED = ("day_on", "usage_point", "energy_wh")
KNOWN = (
    "export_wh",
    "ratio",
    "quality",
    "usual_wh",
    "usual_export_wh",
    "after_exchange",
    "rolled_over",
    "current_seen",
    "clock_offset_s",
)
AREA_NEEDED = ("usage_point", "feeder", "role", "from_on")
AREA_KNOWN = ("area", "to_on", "ratio", "has_pv")
WIDTHS = (10, 9, 9, -10, -10, -9, -7, 8)
HEADER = ("day", "feeder", "area", "supplied", "sold", "loss kWh", "loss %", "status")
LOSSES = "validation.losses"
CLOCK_MOST_S = 366 * 86_400

app = typer.Typer(help="Line loss per area, feeder and day, with named causes.")


@app.command(epilog="Example: gridledger losses days.csv --areas areas.csv --json")
def losses(
    file: Annotated[
        str,
        typer.Argument(
            help="Energies by day, CSV or JSON lines; -: standard input. Without it: what the "
            "services decided."
        ),
    ] = "",
    areas: Annotated[
        str, typer.Option(help="Which point is where, from and to.", metavar="FILE")
    ] = "",
    rules: Annotated[Path | None, typer.Option(help="Your thresholds.", metavar="FILE")] = None,
    from_files: Annotated[
        Path | None, typer.Option("--from-files", help="Read an export.", metavar="DIR")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Line loss of every area and feeder by day; alarms with the causes that evidence names.

    FILE must be sorted by day_on: one day is held at a time. Its columns:
    day_on, usage_point, energy_wh; if known export_wh, ratio, quality,
    usual_wh, usual_export_wh, after_exchange, rolled_over, current_seen,
    clock_offset_s. Columns of --areas: usage_point, feeder, role (gate or
    member), from_on; area, to_on, ratio, has_pv. Without FILE: what the
    services decided. Status 1 with an alarm.
    """
    is_alarmed = False
    is_first = True
    for loss, causes in _asked_for(file, areas, rules, from_files):
        is_alarmed |= loss.status in ALARMS
        if as_json:
            print(json.dumps(document(loss, causes), ensure_ascii=False))
            continue
        if is_first:
            print(fixed_line(HEADER, WIDTHS))
            is_first = False
        show(loss, causes)
    return int(is_alarmed)


def _asked_for(
    file: str, areas: str, rules: Path | None, from_files: Path | None
) -> Iterator[tuple[Loss, tuple[Cause, ...]]]:
    """Calculated from FILE, else read from the log; BadInput when the options do not fit."""
    if not file:
        for option, given in (("--areas", areas), ("--rules", rules)):
            if given:
                fix = "give FILE too, or leave it out: what the services decided is listed as it is"
                raise BadInput(option, "is for a FILE", fix)
        return decided_losses(*open_records(from_files))
    if from_files is not None:
        raise BadInput("--from-files", f"{file} is given too", "give one of them")
    if not areas:
        raise BadInput("--areas", "is missing", "name the file that says which point is where")
    return losses_by_day(file, read_places(areas), read_rules(rules, LossRules))


def decided_losses(reader: Reader, partitions: int) -> Iterator[tuple[Loss, tuple[Cause, ...]]]:
    """What was decided last of every area, feeder and day, in the order of the table."""
    latest: dict[tuple[str, bool, str, str], LossCalculated] = {}
    for partition in range(partitions):
        for body in known_bodies(reader, Codec(catalogue), LOSSES, partition):
            if isinstance(body, LossCalculated):
                latest[body.day_on, not body.area, body.feeder, body.area] = body
    for _, body in sorted(latest.items()):
        yield decided_loss(body), body.causes


def decided_loss(body: LossCalculated) -> Loss:
    """An event as the loss that it tells."""
    return Loss(
        day_on=body.day_on,
        feeder=body.feeder,
        area=body.area,
        gate_wh=body.gate_wh,
        pv_wh=body.pv_wh,
        sold_wh=body.sold_wh,
        expected_points=body.expected_points,
        read_points=body.read_points,
        status=body.status,
        loss_e2_pct=body.loss_e2_pct,
        least_wh=body.least_wh,
        most_wh=body.most_wh,
        reason=body.reason,
        gate_difference_wh=body.gate_difference_wh,
    )


def losses_by_day(
    file: str, places: Places, rules: LossRules
) -> Iterator[tuple[Loss, tuple[Cause, ...]]]:
    """Every loss with its causes, day by day, as the rows come."""
    last_on = ""
    rows = watched(read_rows(file, NEEDED, KNOWN), "rows")
    for day_on, of_day in groupby(rows, key=lambda row: past_day(row, "day_on")):
        points: dict[str, PointDay] = {}
        for row in of_day:
            if day_on < last_on:
                raise row.wrong("day_on", f"{day_on} comes after {last_on}", "sort by day_on")
            point = point_day(row)
            if point.usage_point not in places:
                fix = "add it to the areas, or take the row out"
                raise row.wrong("usage_point", f"{point.usage_point} is in no area", fix)
            if point.usage_point in points:
                problem = f"{point.usage_point} comes twice on {day_on}"
                raise row.wrong("usage_point", problem, "give one row for a point and day")
            points[point.usage_point] = point
        last_on = day_on
        day = area_losses(day_on, places, points.values(), rules)
        for loss in (*day.areas, *day.feeders):
            yield loss, causes_of(loss, day, places, rules)
    if not last_on:
        raise BadInput(file, "has no rows", f"give rows of {', '.join(NEEDED)}")


def read_places(file: str) -> Places:
    """The places of all points; BadInput names what contradicts itself."""
    found = []
    for row in read_rows(file, AREA_NEEDED, AREA_KNOWN):
        try:
            found.append(
                Membership(
                    usage_point=row.text("usage_point"),
                    feeder=row.text("feeder"),
                    area=row.optional("area"),
                    role=row.one_of("role", ROLES),
                    from_on=row.day("from_on"),
                    to_on=row.day("to_on") if row.optional("to_on") else "",
                    ratio=row.optional("ratio"),
                    has_pv=bool(yes_or_no(row, "has_pv")),
                )
            )
        except BadInput as error:
            raise _told(row, error) from None
    try:
        return places_of(found)
    except BadInput as error:
        raise BadInput(f"{file} {error.field}", error.problem, error.fix) from None


def point_day(row: Row) -> PointDay:
    """One row as a point's day, registers times ratio."""
    ratio = row.optional("ratio")
    import_wh, export_wh, usual_wh, usual_export_wh = (
        optional_between(row, column, 0, ENERGY_MOST_WH)
        for column in ("energy_wh", "export_wh", "usual_wh", "usual_export_wh")
    )
    quality = ACTUAL if import_wh is not None else MISSING
    if row.optional("quality"):
        quality = row.one_of("quality", QUALITIES)
    try:
        return PointDay(
            usage_point=row.text("usage_point"),
            import_wh=None if import_wh is None else primary_value(import_wh, ratio or "1"),
            export_wh=None if export_wh is None else primary_value(export_wh, ratio or "1"),
            quality=quality,
            ratio=ratio,
            usual_wh=usual_wh,
            usual_export_wh=usual_export_wh,
            after_exchange=bool(yes_or_no(row, "after_exchange")),
            rolled_over=bool(yes_or_no(row, "rolled_over")),
            clock_offset_s=optional_between(row, "clock_offset_s", -CLOCK_MOST_S, CLOCK_MOST_S),
            current_seen=yes_or_no(row, "current_seen"),
        )
    except BadInput as error:
        raise _told(row, error) from None


def _told(row: Row, error: BadInput) -> BadInput:
    """An error with its row, unless it names one already."""
    named = error.field.startswith(f"{row.file} line ")
    return error if named else in_row(row, error, {"import_wh": "energy_wh"})


def document(loss: Loss, causes: tuple[Cause, ...]) -> dict[str, Any]:
    """A loss as `--json` prints it."""
    is_comparable = loss.status != NOT_COMPARABLE
    return {
        "day_on": loss.day_on,
        "feeder": loss.feeder,
        "area": loss.area,
        "status": loss.status,
        "gate_wh": loss.gate_wh,
        "pv_wh": loss.pv_wh,
        "supplied_wh": loss.supplied_wh,
        "sold_wh": loss.sold_wh,
        "loss_wh": loss.loss_wh if is_comparable else None,
        "loss_pct": per_cent(loss.loss_e2_pct) if is_comparable else None,
        "gate_difference_wh": loss.gate_difference_wh,
        "expected_points": loss.expected_points,
        "read_points": loss.read_points,
        "read_pct": per_cent(loss.read_e2_pct),
        "excess_wh": loss.excess_wh,
        "reason": loss.reason,
        "causes": [
            {
                "cause": cause.name,
                "usage_point": cause.usage_point,
                "effect_wh": cause.effect_wh,
                "explained_wh": cause.explained_wh,
                "numbers": cause.numbers,
            }
            for cause in causes
        ],
    }


def show(loss: Loss, causes: tuple[Cause, ...]) -> None:
    """A loss as one line of the table, its causes below."""
    is_comparable = loss.status != NOT_COMPARABLE
    cells = (
        loss.day_on,
        loss.feeder,
        loss.area or "(all)",
        _kwh(loss.supplied_wh),
        _kwh(loss.sold_wh),
        _kwh(loss.loss_wh) if is_comparable else "-",
        per_cent(loss.loss_e2_pct),
        loss.status if is_comparable else "-",
    )
    print(fixed_line(cells, WIDTHS))
    if loss.reason:
        _print_wrapped(f"not comparable: {loss.reason}")
    for cause in causes:
        chinese = CAUSES[cause.name].chinese if cause.name in CAUSES else UNEXPLAINED_CHINESE
        place = f" at {cause.usage_point}" if cause.usage_point else ""
        size = f" explains {_kwh(cause.explained_wh)} kWh" if cause.explained_wh else ""
        numbers = ", ".join(f"{name} {value}" for name, value in cause.numbers.items())
        _print_wrapped(f"{cause.name} {chinese}{place}{size}" + (f": {numbers}" if numbers else ""))


def _print_wrapped(text: str) -> None:
    """Below 80 columns also with a few characters of two columns."""
    for line in textwrap.wrap(text, 72, initial_indent="  ", subsequent_indent="    "):
        print(line)


def _kwh(energy_wh: int) -> str:
    return format_scaled(energy_wh, WH_PER_KWH)

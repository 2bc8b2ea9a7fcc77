"""`gridledger metrology correction`: by how much wrong measurements are corrected, from a file.

Reads one wrong measurement a line: case_no, kind, recorded_kwh (of the days that count), and

    error     error_pct of the meter; recorded_kwh is what it recorded in half of the time since its
              last verification or installation, or with `whole` yes in all of that time
    wiring    factor (true by recorded energy: 3, 1.5, 3/2), or reversed: so many of the current
              transformers at balanced load, of `of` (3 unless told)
    ratio     billed_ratio and real_ratio

A correction is to be paid above zero and given back below. With --json one object a line:

    correction    case_no, kind, rule, recorded_wh, correction_wh, exact_wh (a fraction), true_wh,
                  factor (of wiring and ratio, else null), rounding, text (the sum written out)
    summary       corrections, correction_wh
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from fractions import Fraction
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, format_scaled, parse_scaled
from services.cli.metrology_case import read_factor
from services.cli.metrology_trails import AsJson, tell
from services.cli.row_file import Row, read_rows
from services.cli.row_values import (
    ENERGY_MOST_WH,
    in_row,
    optional_between,
    yes_or_no,
)
from services.cli.watched import watched
from services.metrology.correction_energy import (
    HALF,
    Correction,
    meter_error_correction,
    ratio_correction,
    wiring_correction,
)
from services.metrology.error_limits import ERROR_SCALE

NEEDED = ("case_no", "kind", "recorded_kwh")
KNOWN = ("error_pct", "whole", "factor", "reversed", "of", "billed_ratio", "real_ratio")
COLUMNS = {
    "error_e4_pct": "error_pct",
    "recorded_wh": "recorded_kwh",
    "reversed_count": "reversed",
    "--factor": "factor",
    "--reversed": "reversed",
}
"""Columns by the names that calculations have for them."""
PHASES, PHASES_MOST = 3, 3
ERROR_MOST_E4_PCT = 1000 * ERROR_SCALE
Found = tuple[Correction, Fraction | None]
"""The correction, and the factor that it rests on where there is one."""


def correction(
    file: Annotated[str, typer.Argument(help="Wrong measurements, - for standard input.")],
    as_json: AsJson = False,
) -> None:
    """Work out the energy by which wrong measurements are corrected.

    Meter errors, wrong wiring (factor K), wrong ratios; one line at a time.
    """
    count = total_wh = 0
    table = Table("case", "kind", "recorded", "by", "correction", "true, kWh")
    for row in watched(read_rows(file, NEEDED, KNOWN), "cases"):
        found, factor = _corrected(row)
        count += 1
        total_wh += found.correction_wh
        document = _document(row, found, factor)
        if as_json:
            tell({"type": "correction", **document})
        else:
            energies = (found.recorded_wh, found.correction_wh, document["true_wh"])
            recorded, changed, true = (format_scaled(wh, WH_PER_KWH) for wh in energies)
            by = f"{row.text('error_pct')} %" if factor is None else f"x {factor}"
            table.add_row(row.text("case_no"), document["kind"], recorded, by, changed, true)
    if not count:
        name = "standard input" if file == "-" else file
        raise BadInput(name, "has no case", "give one wrong measurement a line after the header")
    if as_json:
        tell({"type": "summary", "corrections": count, "correction_wh": total_wh})
    else:
        Console().print(table)
        print(f"{count} corrections, {format_scaled(total_wh, WH_PER_KWH)} kWh")


def _corrected(row: Row) -> Found:
    """The correction of a row, and its factor; BadInput names line and column."""
    kind = row.one_of("kind", KINDS)
    try:
        recorded_wh = parse_scaled(row.text("recorded_kwh"), WH_PER_KWH, "recorded_kwh")
        if abs(recorded_wh) > ENERGY_MOST_WH:
            raise BadInput("recorded_kwh", "is more than a meter records", "check its unit")
        return KINDS[kind](row, recorded_wh)
    except BadInput as wrong:
        if wrong.field.startswith(f"{row.file} line"):
            raise
        raise in_row(row, wrong, COLUMNS) from None


def _error(row: Row, recorded_wh: int) -> Found:
    error_e4_pct = parse_scaled(row.text("error_pct"), ERROR_SCALE, "error_pct")
    if error_e4_pct > ERROR_MOST_E4_PCT:
        raise BadInput("error_pct", "is more than 1000 %", "give per cent, 3.0")
    share = HALF if yes_or_no(row, "whole") else Fraction(1)
    return meter_error_correction(recorded_wh, error_e4_pct, share), None


def _wiring(row: Row, recorded_wh: int) -> Found:
    counts = [optional_between(row, column, 0, PHASES_MOST) for column in ("reversed", "of")]
    phases = PHASES if counts[1] is None else counts[1]
    factor = read_factor(row.optional("factor"), counts[0] or 0, phases, ("", ""))
    return wiring_correction(recorded_wh, factor), factor


def _ratio(row: Row, recorded_wh: int) -> Found:
    billed, real = row.text("billed_ratio"), row.text("real_ratio")
    found = ratio_correction(recorded_wh, billed, real)
    return found, read_factor("", 0, PHASES, (billed, real))


KINDS: dict[str, Callable[[Row, int], Found]] = {
    "error": _error,
    "wiring": _wiring,
    "ratio": _ratio,
}


def _document(row: Row, found: Correction, factor: Fraction | None) -> dict[str, Any]:
    return {
        "case_no": row.text("case_no"),
        "kind": row.text("kind"),
        "true_wh": found.recorded_wh + found.correction_wh,
        "factor": None if factor is None else str(factor),
        **asdict(found),
    }

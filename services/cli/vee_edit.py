"""`gridledger vee edit`: a person's edits of intervals, as new versions with an audit trail.

Files are CSV with a header or one JSON object a line, sorted by usage point:

    FILE     usage_point, end_at, energy_wh (empty: missing); optional register (1-0:1.8.0),
             interval_minutes, quality, version (1), is_final (yes, no: approved for billing),
             superseded_by (the version that took its place)
    EDITS    usage_point, end_at, before_wh (what the person saw, empty: nothing), after_wh, reason,
             edited_by, edited_at; optional register, source (edit, field_reading), approved_by,
             approved_at. Several edits of one interval follow each other in the file's order.

--output gets every version of every interval as CSV, the old one with the number of the new one;
--audit gets one JSON object a line for each edit:

    {"usage_point", "register", "end_at", "version_before", "version_after", "energy_before",
     "energy_after", "quality_before", "quality_after", "reason", "source", "edited_by",
     "edited_at", "approved_by", "approved_at", "was_final"}

--json prints the same lines and {"summary": {"points", "intervals", "edits"}}. All edits are taken
or none: a wrong one is status 2, and no file is written. An audit trail is never overwritten.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows
from services.cli.vee_files import (
    at_row,
    by_point,
    energy_of,
    past_of,
    read_now,
    refuse_same,
    register_of,
    side_by_side,
    written,
)
from services.cli.watched import watched
from services.validation.interval_editing import (
    EDIT,
    SOURCES,
    AuditEntry,
    Edit,
    SlotVersion,
    edit_slot,
)
from services.validation.interval_series import ACTUAL, MISSING, QUALITIES

YES, NO = "yes", "no"
INTERVAL_COLUMNS = ("usage_point", "end_at", "energy_wh")
INTERVAL_OPTIONAL = (
    "register",
    "interval_minutes",
    "quality",
    "version",
    "is_final",
    "superseded_by",
)
EDIT_COLUMNS = (
    "usage_point",
    "end_at",
    "before_wh",
    "after_wh",
    "reason",
    "edited_by",
    "edited_at",
)
EDIT_OPTIONAL = ("register", "source", "approved_by", "approved_at")
OUTPUT_COLUMNS = (
    "usage_point",
    "register",
    "interval_minutes",
    "end_at",
    "energy_wh",
    "quality",
    "version",
    "is_final",
    "superseded_by",
)
VERSION_MAX = 1_000_000


@dataclass(frozen=True, slots=True)
class Line:
    """One version of an interval, with the size that its row gave."""

    slot: SlotVersion
    interval_minutes: str


def edit(
    file: Annotated[str, typer.Argument(help="Intervals, or - for standard input.")],
    edits: Annotated[str, typer.Argument(help="The edits.")],
    output: Annotated[str, typer.Option(help="Where all versions go, CSV.", metavar="FILE")],
    audit: Annotated[str, typer.Option(help="Where the audit trail goes.", metavar="FILE")],
    signed: Annotated[bool, typer.Option("--signed", help="Energies may be negative.")] = False,
    as_of: Annotated[str, typer.Option(help="The instant that counts as now.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Edit intervals: who, why, before and after; a second person for what is final.

    FILE has usage_point, end_at, energy_wh (empty: missing), optionally register,
    quality, version, is_final (yes: a second person must approve). EDITS has
    usage_point, end_at, before_wh (as the person saw it), after_wh, reason,
    edited_by, edited_at, optionally register, source (edit, field_reading),
    approved_by, approved_at.

    Both are sorted by usage point; memory holds one point, and the list of edits.
    """
    refuse_same(file, edits, output, audit)
    if Path(audit).exists():
        raise BadInput(audit, "is there already", "name a new file: no audit trail is overwritten")
    now = read_now(as_of)
    intervals = by_point(read_rows(file, INTERVAL_COLUMNS, INTERVAL_OPTIONAL))
    wanted = by_point(read_rows(edits, EDIT_COLUMNS, EDIT_OPTIONAL))
    totals: Counter[str] = Counter()
    entries: list[AuditEntry] = []
    with written(output) as out, written(audit) as trail:
        writer = csv.writer(out)
        writer.writerow(OUTPUT_COLUMNS)
        for _, rows, changes in watched(side_by_side(intervals, wanted), "points", prints=True):
            lines, made = _edited(rows, changes, now, signed=signed)
            writer.writerows(_cells(line) for line in lines)
            for entry in made:
                trail.write(_json(entry) + "\n")
            entries += made
            totals["points"] += bool(rows)
            totals["intervals"] += len(rows)
    summary = {"points": totals["points"], "intervals": totals["intervals"], "edits": len(entries)}
    if as_json:
        for entry in entries:
            print(_json(entry))
        print(json.dumps({"summary": summary}))
    else:
        _show(entries, summary)


def _edited(
    rows: list[Row], changes: list[Row], now: str, *, signed: bool
) -> tuple[list[Line], list[AuditEntry]]:
    """All versions of a point's intervals after its edits, each new one behind its old one."""
    chains: dict[tuple[str, str], list[Line]] = {}
    for row in rows:
        line = _line(row, now)
        chain = chains.setdefault((line.slot.register, line.slot.end_at), [])
        if any(not other.slot.superseded_by for other in chain) and not line.slot.superseded_by:
            problem = f"{line.slot.end_at} has two versions that stand"
            raise row.wrong("end_at", problem, "give superseded_by to the older one")
        chain.append(line)
    entries = []
    for row in changes:
        change = _change(row, now)
        chain = chains.get((change.register, change.end_at), [])
        standing = [index for index, line in enumerate(chain) if not line.slot.superseded_by]
        if not standing:
            problem = f"{change.usage_point} has no interval {change.register} {change.end_at}"
            raise row.wrong("end_at", problem, "edit an interval of the other file")
        line = chain[standing[0]]
        done = at_row(row, edit_slot, line.slot, change, signed=signed)
        chain[standing[0]] = Line(done.old, line.interval_minutes)
        chain.insert(standing[0] + 1, Line(done.new, line.interval_minutes))
        entries.append(done.entry)
    return [line for chain in chains.values() for line in chain], entries


def _line(row: Row, now: str) -> Line:
    energy = energy_of(row, "energy_wh")
    quality = ACTUAL if energy is not None else MISSING
    if row.optional("quality"):
        quality = row.one_of("quality", QUALITIES)
    slot = SlotVersion(
        usage_point=row.text("usage_point"),
        register=register_of(row),
        end_at=past_of(row, "end_at", now),
        version=_number(row, "version", 1),
        energy=energy,
        quality=quality,
        is_final=bool(row.optional("is_final")) and row.one_of("is_final", (YES, NO)) == YES,
        superseded_by=_number(row, "superseded_by", 0),
    )
    return Line(slot, row.optional("interval_minutes"))


def _number(row: Row, column: str, default: int) -> int:
    """The number of a version."""
    if not row.optional(column):
        return default
    value = row.whole(column)
    if not default <= value <= VERSION_MAX:
        raise row.wrong(column, f"is {value}", f"versions count from 1 to {VERSION_MAX}")
    return value


def _change(row: Row, now: str) -> Edit:
    after = energy_of(row, "after_wh")
    if after is None:
        raise row.wrong("after_wh", "is empty", "say what is to stand, in Wh")
    return Edit(
        usage_point=row.text("usage_point"),
        register=register_of(row),
        end_at=row.instant("end_at"),
        before=energy_of(row, "before_wh"),
        after=after,
        reason=row.text("reason"),
        edited_by=row.text("edited_by"),
        edited_at=past_of(row, "edited_at", now),
        source=row.one_of("source", SOURCES) if row.optional("source") else EDIT,
        approved_by=row.optional("approved_by"),
        approved_at=past_of(row, "approved_at", now) if row.optional("approved_at") else "",
    )


def _cells(line: Line) -> tuple[Any, ...]:
    slot = line.slot
    return (
        slot.usage_point,
        slot.register,
        line.interval_minutes,
        slot.end_at,
        "" if slot.energy is None else slot.energy,
        slot.quality,
        slot.version,
        YES if slot.is_final else NO,
        slot.superseded_by or "",
    )


def _json(entry: AuditEntry) -> str:
    return json.dumps(asdict(entry), ensure_ascii=False)


def _show(entries: list[AuditEntry], summary: dict[str, int]) -> None:
    console = Console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("point", overflow="fold")
    table.add_column("end_at", min_width=20, no_wrap=True)
    for name in ("from_wh", "to_wh"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("by", "approved", "reason"):
        table.add_column(name, overflow="fold")
    for entry in entries:
        before = "" if entry.energy_before is None else str(entry.energy_before)
        cells = (
            entry.usage_point,
            entry.end_at,
            before,
            str(entry.energy_after),
            entry.edited_by,
            entry.approved_by,
            entry.reason,
        )
        table.add_row(*(Text(cell) for cell in cells))
    if entries:
        console.print(table)
    print(
        f"edits {summary['edits']}, intervals {summary['intervals']}, points {summary['points']};"
        " every old version is kept"
    )

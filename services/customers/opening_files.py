"""Reads the opening positions of a running utility: all of a directory, or nothing.

    found = read_opening(Path("services/customers/example"), submitted_by="wang")
    found.requests     one record for each account; empty when anything is wrong
    found.defects      every bad row, and every control total that does not match

The positions are those at 24:00 of `as_of`. `opening_totals.csv` states what the old system adds up
to; each total is compared, so that a lost line or a slipped digit stops the whole take-over.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from libs.events.errors import BadInput
from libs.events.quantities import FEN_PER_YUAN, WH_PER_KWH, format_scaled
from services.customers.cells import (
    one_of,
    read_account_no,
    read_code,
    read_kwh,
    read_register,
    read_text,
    read_yuan,
    scaled,
)
from services.customers.column_kinds import REQUIRED, Column, column
from services.customers.columns import read_cells
from services.customers.csv_files import Defect, defect_of, read_content, read_table
from services.customers.days import read_day
from services.customers.events import (
    OpeningHold,
    OpeningReading,
    OpeningReceivable,
    OpeningSubmitted,
)
from services.customers.openings import HOLD_REASONS, control_total_fen

TOTALS = "opening_totals"
TOTAL_SCALES = {
    "accounts": 1,
    "readings": 1,
    "readings_kwh": WH_PER_KWH,
    "tier_year_to_date_kwh": WH_PER_KWH,
    "receivables": 1,
    "receivables_yuan": FEN_PER_YUAN,
    "prepayments_yuan": FEN_PER_YUAN,
    "holds": 1,
}
"""The control totals, and in which part of a unit each is counted."""

_ACCOUNT = column("account_no", read_account_no, "account number, 10 digits", "1000000001")
_POINT = column("usage_point", read_code, "usage point of the account", "P-1001")

OPENING_FILES: dict[str, tuple[Column, ...]] = {
    "opening_accounts": (
        _ACCOUNT,
        column("as_of", read_day, "day at whose end the position holds", "2025-12-31"),
        column(
            "tier_year_to_date_kwh",
            read_kwh,
            "energy of the tier year so far; empty: 0",
            "1850",
            unit="kWh",
            empty=0,
        ),
        column(
            "prepayment_yuan", read_yuan, "money in hand; empty: 0", "50.00", unit="yuan", empty=0
        ),
    ),
    "opening_readings": (
        _ACCOUNT,
        _POINT,
        column("register", read_register, "OBIS code of an energy register", "1-0:1.8.0"),
        column(
            "reading_kwh",
            read_kwh,
            "last billed reading, as the meter shows",
            "8421.37",
            unit="kWh, kvarh",
        ),
        column("read_on", read_day, "day at whose end it was read", "2025-12-31"),
    ),
    "opening_receivables": (
        _ACCOUNT,
        column("invoice_no", read_code, "invoice of the old system", "OLD-2025-11-0001"),
        column("amount_yuan", scaled(FEN_PER_YUAN, 1), "what is still open", "123.45", unit="yuan"),
        column("issued_on", read_day, "day of issue", "2025-12-05"),
        column("due_on", read_day, "last day to pay", "2025-12-25"),
    ),
    "opening_holds": (
        _ACCOUNT,
        _POINT,
        column("reason", one_of(*HOLD_REASONS), f"one of {', '.join(HOLD_REASONS)}", "works"),
        column("since", read_day, "day from which it is in force", "2025-12-20"),
    ),
    TOTALS: (
        column("name", one_of(*TOTAL_SCALES), f"each of {', '.join(TOTAL_SCALES)}", "accounts"),
        column("value", read_text, "what the old system adds up to", "6"),
    ),
}
"""All five must be in the directory; one without rows has only its header."""


class StatedTotal(NamedTuple):
    """A control total as stated, None when the cell is no number."""

    line: int
    value: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What a directory of opening positions holds. `opening_id` is derived from its content.

    lines: where each account stands in opening_accounts.csv; totals: what the old system adds up
    to, by name.
    """

    opening_id: str
    requests: tuple[OpeningSubmitted, ...]
    defects: tuple[Defect, ...]
    lines: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, StatedTotal] = field(default_factory=dict)


class _Line(NamedTuple):
    """A row with good cells."""

    number: int
    cells: dict[str, Any]


@dataclass(slots=True)
class _Position:
    """What is found for one account."""

    as_of_on: str
    tier_wh: int
    prepayment_fen: int
    readings: list[OpeningReading] = field(default_factory=list)
    receivables: list[OpeningReceivable] = field(default_factory=list)
    holds: list[OpeningHold] = field(default_factory=list)


def read_opening(directory: Path, submitted_by: str) -> Opening:
    """Read and check all positions. BadInput when the directory or one of the files is missing."""
    if not directory.is_dir():
        raise BadInput("DIR", f"{directory} is no directory", "name the one with the CSV files")
    contents = {name: read_content(directory / f"{name}.csv") for name in OPENING_FILES}
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    opening_id = f"opening-{digest.hexdigest()[:16]}"
    defects: list[Defect] = []
    lines = {name: _read_lines(name, content, defects) for name, content in contents.items()}
    defects += _repeated(lines)
    positions = _positions(lines, defects)
    requests = tuple(
        _submitted(account_no, position, opening_id, submitted_by)
        for account_no, position in sorted(positions.items())
    )
    totals: dict[str, StatedTotal] = {}
    if not defects:
        totals = _stated(lines[TOTALS], defects)
        defects += differences(totals, requests, "the rows")
    return Opening(
        opening_id=opening_id,
        requests=() if defects else requests,
        defects=tuple(defects),
        lines={line.cells["account_no"]: line.number for line in lines["opening_accounts"]},
        totals=totals,
    )


def _read_lines(name: str, content: bytes, defects: list[Defect]) -> list[_Line]:
    columns = OPENING_FILES[name]
    needed = [each.name for each in columns if each.empty is REQUIRED]
    table = read_table(f"{name}.csv", content, [each.name for each in columns], needed)
    defects += table.defects
    lines = []
    for line in table.lines:
        cells, problems = read_cells(columns, line.cells)
        defects += [defect_of(f"{name}.csv", line.number, problem) for problem in problems]
        if not problems:
            lines.append(_Line(line.number, cells))
    return lines


_UNIQUE = {
    "opening_accounts": ("account_no",),
    "opening_readings": ("account_no", "usage_point", "register"),
    "opening_receivables": ("invoice_no",),
    "opening_holds": ("account_no", "usage_point", "reason"),
    TOTALS: ("name",),
}


def _repeated(lines: Mapping[str, list[_Line]]) -> list[Defect]:
    """Rows that say the same thing a second time."""
    defects = []
    for name, columns in _UNIQUE.items():
        seen: Counter[tuple[str, ...]] = Counter()
        for line in lines[name]:
            key = tuple(line.cells[each] for each in columns)
            seen[key] += 1
            if seen[key] > 1:
                problem = f"{' '.join(key)} is there already (give it once)"
                defects.append(_defect(name, line, columns[-1], problem))
    return defects


def _positions(lines: Mapping[str, list[_Line]], defects: list[Defect]) -> dict[str, _Position]:
    positions = {
        line.cells["account_no"]: _Position(
            as_of_on=line.cells["as_of"],
            tier_wh=line.cells["tier_year_to_date_kwh"],
            prepayment_fen=line.cells["prepayment_yuan"],
        )
        for line in lines["opening_accounts"]
    }
    for name in ("opening_readings", "opening_receivables", "opening_holds"):
        for line in lines[name]:
            position = positions.get(line.cells["account_no"])
            if position is None:
                problem = "has no good row in opening_accounts.csv (give or correct it)"
                defects.append(_defect(name, line, "account_no", problem))
            else:
                _add(position, name, line, defects)
    return positions


def _add(position: _Position, name: str, line: _Line, defects: list[Defect]) -> None:
    cells = line.cells
    for on in ("read_on", "issued_on", "since"):
        if on in cells and cells[on] > position.as_of_on:
            problem = f"{cells[on]} is after as_of {position.as_of_on} (correct one of them)"
            defects.append(_defect(name, line, on, problem))
    if name == "opening_readings":
        position.readings.append(
            OpeningReading(
                usage_point=cells["usage_point"],
                register=cells["register"],
                reading_wh=cells["reading_kwh"],
                read_on=cells["read_on"],
            )
        )
    elif name == "opening_holds":
        position.holds.append(
            OpeningHold(
                usage_point=cells["usage_point"], reason=cells["reason"], since_on=cells["since"]
            )
        )
    else:
        if cells["due_on"] < cells["issued_on"]:
            problem = f"{cells['due_on']} is before issued_on {cells['issued_on']}"
            defects.append(_defect(name, line, "due_on", f"{problem} (give a later day)"))
        position.receivables.append(
            OpeningReceivable(
                invoice_no=cells["invoice_no"],
                amount_fen=cells["amount_yuan"],
                issued_on=cells["issued_on"],
                due_on=cells["due_on"],
            )
        )


def sums(positions: Iterable[OpeningSubmitted]) -> Counter[str]:
    """What positions add up to, by the name of the control total."""
    found: Counter[str] = Counter()
    for each in positions:
        found["accounts"] += 1
        found["readings"] += len(each.readings)
        found["readings_kwh"] += sum(reading.reading_wh for reading in each.readings)
        found["tier_year_to_date_kwh"] += each.tier_year_to_date_wh
        found["receivables"] += len(each.receivables)
        found["receivables_yuan"] += sum(debt.amount_fen for debt in each.receivables)
        found["prepayments_yuan"] += each.prepayment_fen
        found["holds"] += len(each.holds)
    return found


def _stated(lines: list[_Line], defects: list[Defect]) -> dict[str, StatedTotal]:
    totals = {}
    for line in lines:
        name, value = line.cells["name"], None
        try:
            value = scaled(TOTAL_SCALES[name])(line.cells["value"], "value")
        except BadInput as problem:
            defects.append(defect_of(f"{TOTALS}.csv", line.number, problem))
        totals[name] = StatedTotal(line.number, value)
    return totals


def differences(
    totals: Mapping[str, StatedTotal], positions: Iterable[OpeningSubmitted], what: str
) -> list[Defect]:
    """Every control total that is missing or not what positions (`what` they are) add up to."""
    defects = []
    found = sums(positions)
    for name, scale in TOTAL_SCALES.items():
        stated = totals.get(name)
        text = format_scaled(found[name], scale)
        line, column_name = 1, "name"
        if stated is None:
            problem = f"{name} is missing (state it; {what} add up to {text})"
        elif stated.value is None or stated.value == found[name]:
            continue
        else:
            line, column_name = stated.line, "value"
            difference = format_scaled(found[name] - stated.value, scale)
            problem = f"{name} is {format_scaled(stated.value, scale)}, {what} add up to {text}"
            problem = f"{problem}: difference {difference}"
        defects.append(Defect(file=f"{TOTALS}.csv", line=line, column=column_name, problem=problem))
    return defects


def _defect(name: str, line: _Line, column_name: str, problem: str) -> Defect:
    return Defect(file=f"{name}.csv", line=line.number, column=column_name, problem=problem)


def _submitted(
    account_no: str, position: _Position, opening_id: str, submitted_by: str
) -> OpeningSubmitted:
    return OpeningSubmitted(
        opening_id=opening_id,
        account_no=account_no,
        as_of_on=position.as_of_on,
        readings=tuple(position.readings),
        tier_year_to_date_wh=position.tier_wh,
        receivables=tuple(position.receivables),
        prepayment_fen=position.prepayment_fen,
        holds=tuple(position.holds),
        control_total_fen=control_total_fen(position.receivables, position.prepayment_fen),
        submitted_by=submitted_by,
    )

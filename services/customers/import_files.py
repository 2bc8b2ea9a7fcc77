"""Reads a directory of import files: the good rows by account, the bad ones by name.

    found = read_import(Path("services/customers/example"), submitted_by="wang")
    found.requests     what to send, one record for each account (see api.submit)
    found.defects      every row that is not sent, with file, line, column and reason

A directory tells the whole story of what it names: the parents of a row (its account, its usage
point, its meter and what was installed there before) are in the same directory, whether they are
known already or not. So each row can be judged here, by the very functions of the core, against the
picture that the directory gives; what is new, a correction or a change against what was imported
before is decided by the core alone.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

from libs.events.errors import BadInput
from services.customers.admission import FILE_ORDER, judge_rows
from services.customers.column_kinds import REQUIRED
from services.customers.columns import (
    CHANGE,
    FILES,
    NEW,
    WAS,
    RowText,
    natural_key,
    read_row,
)
from services.customers.csv_files import Defect, Line, defect_of, read_content, read_table
from services.customers.events import Row, RowsSubmitted
from services.customers.meter_chain import points_of, supplied_stays
from services.customers.opening_files import OPENING_FILES
from services.customers.rows import (
    AccountRow,
    AnyRow,
    ExchangeRow,
    InstallationRow,
    MeterRow,
    PointRow,
)
from services.customers.state import Account

ROWS_PER_REQUEST = 400
"""More rows of an account go in several records, parents first, each of them below 1 MB."""

STANDING = ("valid_from", "kind", WAS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Import:
    """What a directory holds. `import_id` is derived from its content."""

    import_id: str
    requests: tuple[RowsSubmitted, ...]
    defects: tuple[Defect, ...]
    rows_good: int


class _Place(NamedTuple):
    """Where a row stands; its identity within a directory."""

    file: str
    line: int


class _Found(NamedTuple):
    """A row whose cells are good."""

    row: Row
    record: AnyRow

    @property
    def place(self) -> _Place:
        return _Place(self.row.file, self.row.line)


class _Span(NamedTuple):
    """From which day to before which ("" open) an account has a usage point."""

    from_on: str
    end_on: str
    account_no: str


def read_import(directory: Path, submitted_by: str) -> Import:
    """Read, check and group all rows. BadInput when there is no directory or no accounts.csv."""
    if not directory.is_dir():
        raise BadInput("DIR", f"{directory} is no directory", "name the one with the CSV files")
    contents = _contents(directory)
    defects = list(_strange_files(directory))
    found: list[_Found] = []
    for name, content in contents.items():
        lines, bad = _read_lines(name, content)
        defects += bad
        for line in lines:
            good = _read_line(name, line, defects)
            if good is not None:
                found.append(good)
    kept = _without(found, _repeated(found), defects)
    kept = _without(kept, _supplied_twice(kept), defects)
    groups = _Groups(kept)
    defects += groups.homeless
    by_account, refused = _judged(groups.by_account)
    defects += refused
    import_id = _import_id(contents)
    good_places = {_Place(row.file, row.line) for rows in by_account.values() for row in rows}
    return Import(
        import_id=import_id,
        requests=tuple(_requests(by_account, import_id, submitted_by)),
        defects=tuple(sorted(set(defects), key=_defect_order)),
        rows_good=len(good_places),
    )


# -- files and lines -------------------------------------------------------------------------------


def _contents(directory: Path) -> dict[str, bytes]:
    contents = {}
    for name in FILES:
        path = directory / f"{name}.csv"
        if name == "accounts" or path.exists():
            contents[name] = read_content(path)
    return contents


def _strange_files(directory: Path) -> Iterator[Defect]:
    """A misspelt file must not be passed over in silence."""
    known = {f"{name}.csv" for name in (*FILES, *OPENING_FILES)}
    for path in sorted(directory.glob("*.csv")):
        if path.name not in known:
            problem = f"is no import file (rename it: {', '.join(FILES)})"
            yield Defect(file=path.name, line=1, column="", problem=problem)


def _import_id(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in contents.items():
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return f"import-{digest.hexdigest()[:16]}"


def _read_lines(name: str, content: bytes) -> tuple[tuple[Line, ...], tuple[Defect, ...]]:
    spec = FILES[name]
    needed = [each.name for each in spec.columns if each.empty is REQUIRED]
    columns = [*STANDING, *(each.name for each in spec.columns)]
    table = read_table(f"{name}.csv", content, columns, ["valid_from", *needed])
    return table.lines, table.defects


def _read_line(name: str, line: Line, defects: list[Defect]) -> _Found | None:
    values = {cell: text for cell, text in line.cells.items() if cell not in ("valid_from", "kind")}
    valid_from_on = line.cells.get("valid_from", "")
    kind = line.cells.get("kind", NEW)
    read = read_row(RowText(name, valid_from_on, kind, values))
    if read.record is None:
        defects += [defect_of(f"{name}.csv", line.number, problem) for problem in read.problems]
        return None
    row = Row(
        file=name,
        line=line.number,
        natural_key=natural_key(name, read.record),
        kind=kind,
        valid_from_on=valid_from_on,
        values=values,
    )
    return _Found(row, read.record)


def _defect_order(defect: Defect) -> tuple[int, str, int, str, str]:
    order = FILE_ORDER.get(defect.file.removesuffix(".csv"), len(FILE_ORDER))
    return order, defect.file, defect.line, defect.column, defect.problem


def _defect(found: _Found, column: str, problem: str) -> Defect:
    return Defect(file=f"{found.row.file}.csv", line=found.row.line, column=column, problem=problem)


def _without(
    found: list[_Found], bad: Mapping[_Place, Defect], defects: list[Defect]
) -> list[_Found]:
    defects += bad.values()
    return [each for each in found if each.place not in bad]


# -- what the rows of a directory say together -----------------------------------------------------


def _repeated(found: Iterable[_Found]) -> dict[_Place, Defect]:
    """Rows that are there twice, and later rows of one thing that do not say what they are."""
    bad: dict[_Place, Defect] = {}
    timelines: dict[tuple[str, str], list[_Found]] = defaultdict(list)
    for each in found:
        timelines[each.row.file, each.record.entity].append(each)
    for rows in timelines.values():
        rows.sort(key=lambda each: (each.record.valid_from_on, each.row.line))
        first_line: dict[str, int] = {}
        wrong = {each.row.values[WAS]: each for each in rows if WAS in each.row.values}
        for number, each in enumerate(rows):
            on = each.record.valid_from_on
            if on in first_line:
                text = f"{each.record.entity} has a row from this day in line {first_line[on]}"
                bad[each.place] = _defect(each, "valid_from", f"{text} (give it once)")
            elif wrong.get(on, each) is not each:
                text = f"line {wrong[on].row.line} says that this day was wrong"
                bad[each.place] = _defect(each, "valid_from", f"{text} (give one of them)")
            elif number and each.row.kind == NEW and not FILES[each.row.file].happens:
                text = f"{each.record.entity} has an earlier row in line {rows[0].row.line}"
                bad[each.place] = _defect(each, "kind", f"{text} (state change or correction)")
            first_line.setdefault(on, each.row.line)
    return bad


def _spans(found: Iterable[_Found]) -> dict[str, list[_Span]]:
    """Which accounts have each usage point, and when, as the directory says."""
    closed: dict[str, tuple[str, str]] = {}
    points: dict[str, list[PointRow]] = defaultdict(list)
    for each in found:
        if isinstance(each.record, AccountRow):
            latest = (each.record.valid_from_on, each.record.moved_out_on)
            closed[each.record.account_no] = max(closed.get(each.record.account_no, latest), latest)
        elif isinstance(each.record, PointRow):
            points[each.record.entity].append(each.record)
    spans: dict[str, list[_Span]] = defaultdict(list)
    for rows in points.values():
        rows.sort(key=lambda row: row.valid_from_on)
        moved_out_on = closed.get(rows[0].account_no, ("", ""))[1]
        ends = [end for end in (rows[-1].valid_to_on, moved_out_on) if end]
        span = _Span(rows[0].valid_from_on, min(ends, default=""), rows[0].account_no)
        spans[rows[0].usage_point].append(span)
    return {usage_point: sorted(each) for usage_point, each in spans.items()}


def _supplied_twice(found: list[_Found]) -> dict[_Place, Defect]:
    """Points that two accounts have at one time: the rows of the one who came later."""
    later: dict[tuple[str, str], str] = {}
    for usage_point, spans in _spans(found).items():
        last = spans[0]
        for span in spans[1:]:
            if last.end_on and last.end_on <= span.from_on:
                last = span
                continue
            until = last.end_on or "further notice"
            text = f"{usage_point} is supplied to account {last.account_no} until {until}"
            fix = "give the day that account moved out, or valid_to of its point"
            later[usage_point, span.account_no] = f"{text} ({fix})"
    return {
        each.place: _defect(each, "usage_point", later[key])
        for each in found
        if isinstance(each.record, PointRow)
        and (key := (each.record.usage_point, each.record.account_no)) in later
    }


class _MeterStay(NamedTuple):
    """A meter at a point in the days supplied, and when it came there."""

    from_at: str
    to_at: str
    usage_point: str
    account_no: str
    installed_at: str


class _Groups:
    """The rows of each account. Shared rows (meters and what happened to them) go to every account
    that had the usage point then or later; those of nobody are `homeless`."""

    def __init__(self, found: list[_Found]) -> None:
        self.by_account: dict[str, list[Row]] = defaultdict(list)
        self.homeless: list[Defect] = []
        self._spans = _spans(found)
        self._meter_accounts: dict[str, dict[str, str]] = defaultdict(dict)
        meters = [each for each in found if isinstance(each.record, MeterRow)]
        for each in found:
            if isinstance(each.record, InstallationRow | ExchangeRow):
                self._add_happening(each, each.record)
            elif not isinstance(each.record, MeterRow):
                self.by_account[each.record.account_no].append(each.row)
        for each in meters:
            self._add_meter(each)

    def _add_happening(self, found: _Found, record: InstallationRow | ExchangeRow) -> None:
        spans = self._spans.get(record.usage_point, [])
        concerned = [
            span for span in spans if not span.end_on or record.valid_from_on < span.end_on
        ]
        for span in concerned:
            self.by_account[span.account_no].append(found.row)
            for meter_no in _meters_of(record):
                self._meter_accounts[meter_no][span.account_no] = span.end_on
        if not spans:
            text = f"there is no good row of {record.usage_point} in points.csv"
            self.homeless.append(_defect(found, "usage_point", f"{text} (give or correct it)"))
        elif not concerned:
            text = f"{record.usage_point} has no account from {spans[-1].end_on} on"
            self.homeless.append(_defect(found, "valid_from", f"{text} (give it in points.csv)"))

    def _add_meter(self, found: _Found) -> None:
        assert isinstance(found.record, MeterRow)
        accounts = self._meter_accounts.get(found.record.meter_no, {})
        concerned = [
            account_no
            for account_no, end_on in accounts.items()
            if not end_on or found.record.valid_from_on < end_on
        ]
        for account_no in concerned:
            self.by_account[account_no].append(found.row)
        if not concerned:
            text = f"{found.record.meter_no} is installed nowhere from this day on"
            fix = "name it in a good row of installations.csv or exchanges.csv"
            self.homeless.append(_defect(found, "meter_no", f"{text} ({fix})"))


def _meters_of(record: InstallationRow | ExchangeRow) -> tuple[str, ...]:
    if isinstance(record, InstallationRow):
        return (record.meter_no,)
    return tuple(each for each in (record.old_meter_no, record.new_meter_no) if each)


# -- each account as the core would see it, if it knew nothing -------------------------------------


def _judged(groups: Mapping[str, list[Row]]) -> tuple[dict[str, list[Row]], list[Defect]]:
    """The rows that hold together, by account, and the others with the reason."""
    kept = {account_no: list(rows) for account_no, rows in groups.items()}
    defects: dict[_Place, Defect] = {}
    states: dict[str, Account] = {}
    waiting = sorted(kept)
    while waiting:
        for account_no in waiting:
            states[account_no], refused = _preview(account_no, kept[account_no])
            kept[account_no] = [
                row for row in kept[account_no] if _Place(row.file, row.line) not in refused
            ]
            for place, defect in refused.items():
                defects.setdefault(place, defect)
        twice = _installed_twice(states, kept)
        defects |= twice
        waiting = []
        for account_no, rows in sorted(kept.items()):
            rest = [row for row in rows if _Place(row.file, row.line) not in twice]
            if len(rest) < len(rows):
                kept[account_no] = rest
                waiting.append(account_no)
    # A row of two accounts that one of them takes is a good row; what ails the other is named.
    good = {_Place(row.file, row.line) for rows in kept.values() for row in rows}
    named = [defect for place, defect in defects.items() if place not in good]
    return {account_no: rows for account_no, rows in kept.items() if rows}, named


def _preview(account_no: str, rows: list[Row]) -> tuple[Account, dict[_Place, Defect]]:
    """Judge rows against each other: the first of a thing is new, the others are changes."""
    seen: set[tuple[str, str]] = set()
    plain = []
    for row in sorted(rows, key=lambda row: row.valid_from_on):
        key = (row.file, row.natural_key)
        values = {name: cell for name, cell in row.values.items() if name != WAS}
        kind = CHANGE if key in seen else NEW
        plain.append(replace(row, kind=kind, values=values))
        seen.add(key)
    judged = judge_rows(Account(), account_no, plain)
    refused = {
        _Place(row.file, row.line): Defect(
            file=f"{row.file}.csv", line=row.line, column=refusal.field, problem=refusal.problem
        )
        for row, refusal in judged.refused
    }
    return judged.state, refused


def _installed_twice(
    states: Mapping[str, Account], kept: Mapping[str, list[Row]]
) -> dict[_Place, Defect]:
    """Meters that serve two accounts at two points at one time: the row that came later."""
    stays: dict[str, list[_MeterStay]] = defaultdict(list)
    for account_no, state in states.items():
        for points in points_of(state):
            for stay, from_at, to_at in supplied_stays(state, points):
                usage_point = points[0].usage_point
                begun = _MeterStay(from_at, to_at, usage_point, account_no, stay.from_at)
                stays[stay.meter_no].append(begun)
    bad: dict[_Place, Defect] = {}
    for meter_no, of_meter in stays.items():
        for last, each in pairwise(sorted(of_meter)):
            if last.usage_point != each.usage_point and (
                not last.to_at or each.from_at < last.to_at
            ):
                row = _row_of(states[each.account_no], kept[each.account_no], each)
                until = last.to_at or "further notice"
                text = f"{meter_no} is at {last.usage_point} until {until}"
                bad[_Place(row.file, row.line)] = Defect(
                    file=f"{row.file}.csv",
                    line=row.line,
                    column="meter_no" if row.file == "installations" else "new_meter_no",
                    problem=f"{text} (take it away there first, by a row in exchanges.csv)",
                )
    return bad


def _row_of(state: Account, rows: Iterable[Row], begun: _MeterStay) -> Row:
    """The row by which a meter came to a point."""
    keys = {
        (file, natural_key(file, record))
        for file, records in (
            ("installations", state.installations),
            ("exchanges", state.exchanges),
        )
        for record in records
        if (record.usage_point, record.happened_at) == (begun.usage_point, begun.installed_at)
    }
    return next(row for row in rows if (row.file, row.natural_key) in keys)


def _requests(
    by_account: Mapping[str, list[Row]], import_id: str, submitted_by: str
) -> Iterator[RowsSubmitted]:
    for account_no, rows in sorted(by_account.items()):
        ordered = sorted(rows, key=lambda row: (FILE_ORDER[row.file], row.valid_from_on, row.line))
        for start in range(0, len(ordered), ROWS_PER_REQUEST):
            yield RowsSubmitted(
                import_id=import_id,
                account_no=account_no,
                rows=tuple(ordered[start : start + ROWS_PER_REQUEST]),
                submitted_by=submitted_by,
            )

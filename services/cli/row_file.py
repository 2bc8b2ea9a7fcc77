"""Files of rows for commands that need no broker: CSV or JSON lines, streamed, `-` for stdin.

Rows come one at a time, so memory stays flat however long the file is. What is wrong is a
`BadInput` that names the file, the line and the column; commands end with status 2 then.

    for row in read_rows("readings.csv", needed=("usage_point", "end_at", "energy_wh")):
        row.text("usage_point"); row.whole("energy_wh"); row.line
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from libs.events.errors import BadInput

STANDARD_INPUT = "-"
LINE_BYTES_MAX = 10_000_000
_WHOLE = re.compile(r"-?[0-9]{1,18}")
_DECIMAL = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18})?")


@dataclass(frozen=True, slots=True)
class Row:
    """One row: trimmed cells by column, those without content left out."""

    file: str
    line: int
    cells: Mapping[str, Any]

    def wrong(self, column: str, problem: str, fix: str = "") -> BadInput:
        """The error that names this row and a column; to be raised."""
        return BadInput(f"{self.file} line {self.line} {column}", problem, fix)

    def optional(self, column: str) -> str:
        """A cell's text, "" when there is none."""
        found = self.cells.get(column, "")
        if isinstance(found, dict | list):
            raise self.wrong(column, "is no single value", "give a text or a number")
        return found if isinstance(found, str) else str(found)

    def text(self, column: str) -> str:
        """A cell that must not be empty."""
        found = self.optional(column)
        if not found:
            raise self.wrong(column, "is empty", "give it a value")
        return found

    def one_of(self, column: str, known: Collection[str]) -> str:
        """A cell that must be one of some words."""
        found = self.text(column)
        if found not in known:
            raise self.wrong(column, f"{found!r} is not known", f"one of {', '.join(known)}")
        return found

    def whole(self, column: str) -> int:
        """A whole number, as energies and amounts are."""
        found = self.text(column)
        if not _WHOLE.fullmatch(found):
            raise self.wrong(column, f"{found!r} is no whole number", "write digits only")
        return int(found)

    def decimal(self, column: str) -> Decimal:
        """An exact decimal, as prices, ratios and errors are."""
        found = self.text(column)
        if not _DECIMAL.fullmatch(found):
            raise self.wrong(column, f"{found!r} is no decimal number", "write it as 12.5")
        return Decimal(found)

    def day(self, column: str) -> str:
        """A day of the utility's zone, 2026-01-31."""
        found = self.text(column)
        try:
            same = date.fromisoformat(found).isoformat() == found
        except ValueError:
            same = False
        if not same:
            raise self.wrong(column, f"{found!r} is no day", "write it as 2026-01-31")
        return found

    def instant(self, column: str) -> str:
        """An instant in UTC, 2026-01-31T16:00:00Z."""
        found = self.text(column)
        try:
            same = datetime.fromisoformat(found).strftime("%Y-%m-%dT%H:%M:%SZ") == found
        except ValueError:
            same = False
        if not same:
            raise self.wrong(column, f"{found!r} is no instant", "write it as 2026-01-31T16:00:00Z")
        return found


def read_rows(path: str, needed: Collection[str], known: Collection[str] = ()) -> Iterator[Row]:
    """The rows of a CSV file with a header, or of a file with one JSON object a line.

    `needed` must be in the header (or object); with `known` given, nothing else but both may be.
    """
    name = "standard input" if path == STANDARD_INPUT else path
    lines = text_lines(path, name)
    first = next(lines, None)
    if first is None:
        raise BadInput(name, "is empty", f"give it a header with {', '.join(needed)}")
    if first.lstrip().startswith("{"):
        yield from _json_rows(first, lines, name, needed, known)
    else:
        yield from _csv_rows(first, lines, name, needed, known)


def text_lines(path: str, name: str) -> Iterator[str]:
    """The lines of a file, blank ones too, after those that lead it."""
    try:
        with (
            nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else open(path, "rb") as source
        ):
            is_first = True
            for number in range(1, sys.maxsize):
                raw = source.readline(LINE_BYTES_MAX)
                if not raw:
                    return
                if len(raw) == LINE_BYTES_MAX:
                    raise BadInput(f"{name} line {number}", "is too long", "break it into rows")
                if is_first and raw.startswith((b"\xff\xfe", b"\xfe\xff")):
                    raise BadInput(name, "is UTF-16", "save it as UTF-8")
                line = _decoded(raw, name, number)
                if is_first:
                    line = line.removeprefix("\N{ZERO WIDTH NO-BREAK SPACE}")
                if is_first and not line.strip():
                    raise BadInput(f"{name} line {number}", "is blank", "begin with the header")
                is_first = False
                yield line
    except OSError as error:
        fix = "name a file that you may read, or - for standard input"
        raise BadInput(name, error.strerror or "cannot be read", fix) from None


def _decoded(raw: bytes, name: str, number: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{name} line {number}", "is not UTF-8", "save it as UTF-8") from None


def _csv_rows(
    first: str, lines: Iterator[str], name: str, needed: Collection[str], known: Collection[str]
) -> Iterator[Row]:
    header = _header(first, name)
    _check_columns(header, f"{name} line 1", needed, known)
    twice = sorted({column for column in header if header.count(column) > 1})
    if twice:
        raise BadInput(f"{name} line 1", f"{twice[0]!r} is there twice", "name each column once")
    reader = csv.reader(lines, strict=True)
    try:
        for cells in reader:
            line = reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(header):
                problem = f"has {len(cells)} cells, the header {len(header)}"
                raise BadInput(f"{name} line {line}", problem, "write one cell a column")
            pairs = zip(header, (cell.strip() for cell in cells), strict=True)
            yield Row(name, line, {column: cell for column, cell in pairs if cell})
    except csv.Error as error:
        raise BadInput(f"{name} line {reader.line_num + 1}", str(error), "correct it") from None


def _header(first: str, name: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([first], strict=True))]
    except csv.Error as error:
        raise BadInput(f"{name} line 1", str(error), "correct it") from None


def _json_rows(
    first: str, lines: Iterator[str], name: str, needed: Collection[str], known: Collection[str]
) -> Iterator[Row]:
    yield _json_row(first, 1, name, needed, known)
    for number, line in enumerate(lines, 2):
        if line.strip():
            yield _json_row(line, number, name, needed, known)


def _json_row(
    line: str, number: int, name: str, needed: Collection[str], known: Collection[str]
) -> Row:
    try:
        # Numbers stay as written: no reading passes through a binary float.
        found = json.loads(line, parse_float=str, parse_int=str, object_pairs_hook=_members)
    except BadInput as twice:
        raise BadInput(f"{name} line {number}", twice.problem, twice.fix) from None
    except (ValueError, RecursionError):
        raise BadInput(f"{name} line {number}", "is no JSON", "write one object a line") from None
    if not isinstance(found, dict):
        raise BadInput(f"{name} line {number}", "is no JSON object", "write one object a line")
    _check_columns(found, f"{name} line {number}", needed, known)
    if "\\u" in line and not _is_text(line):
        problem = "has half of a character (a lone surrogate)"
        raise BadInput(f"{name} line {number}", problem, "write the whole character, in UTF-8")
    trimmed = {
        key: value.strip() if isinstance(value, str) else value for key, value in found.items()
    }
    cells = {key: value for key, value in trimmed.items() if value not in (None, "")}
    return Row(name, number, cells)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; BadInput when a name is there twice, for nobody knows which value is meant."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in found if names.count(name) > 1)
        raise BadInput("", f"{twice!r} is there twice", "name each column once")
    return found


def _is_text(line: str) -> bool:
    """Whether every escaped character of a line of JSON can be written as UTF-8."""
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_columns(
    found: Collection[str], place: str, needed: Collection[str], known: Collection[str]
) -> None:
    absent = [column for column in needed if column not in found]
    if absent:
        raise BadInput(place, f"has no column {absent[0]!r}", f"needed are {', '.join(needed)}")
    if known:
        other = [column for column in found if column not in needed and column not in known]
        if other:
            fix = f"known are {', '.join([*needed, *known])}"
            raise BadInput(place, f"{other[0]!r} is no column", fix)

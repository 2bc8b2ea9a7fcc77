"""Reads a CSV file into lines of named cells, and names everything that cannot be read.

Encodings: a byte-order mark of UTF-8 says UTF-8; without one a file is UTF-8 if all of it is, else
GBK if all of it is. A file that mixes both, or has the mark of UTF-16 (Excel's "Unicode text"), is
refused with the line, because a wrong guess would change names without anybody noticing.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from libs.events.errors import BadInput

_SAVE_AS = "save the whole file as UTF-8"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defect:
    """What is wrong in a file: the line (from 1, the header's) and the column, "" for all of it."""

    file: str
    line: int
    column: str
    problem: str

    def __str__(self) -> str:
        where = f"{self.file} line {self.line}"
        return (
            f"{where} {self.column}: {self.problem}" if self.column else f"{where}: {self.problem}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of a file: where it begins, and its trimmed cells that are not empty."""

    number: int
    cells: dict[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What could be read of a file, and what could not."""

    lines: tuple[Line, ...] = ()
    defects: tuple[Defect, ...] = ()


def defect_of(file: str, line: int, problem: BadInput) -> Defect:
    """A problem with a cell, with where it is."""
    fix = f" ({problem.fix})" if problem.fix else ""
    return Defect(file=file, line=line, column=problem.field, problem=problem.problem + fix)


def read_content(path: Path) -> bytes:
    """The bytes of a file; BadInput names it when it cannot be read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        fix = "give the file, with only its header if there is nothing to say"
        raise BadInput(path.name, f"is not in {path.parent}", fix) from None
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
        raise BadInput(str(path), problem, "give a readable file") from None


def read_table(
    file: str, content: bytes, columns: Collection[str], needed: Collection[str]
) -> Table:
    """The rows of a file; `columns` may be in its header, `needed` must be."""
    try:
        text = decode(file, content)
        return _parse(file, text, columns, needed)
    except _Unreadable as reason:
        return Table(defects=(reason.defect,))


def decode(file: str, content: bytes) -> str:
    """The text of a file; the first line that is in no known encoding ends the reading."""
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise _Unreadable(file, 1, "is UTF-16", _SAVE_AS)
    marked = content.startswith(codecs.BOM_UTF8)
    content = content.removeprefix(codecs.BOM_UTF8)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
    if marked:
        raise _Unreadable(file, line, "is not UTF-8, as the file's mark says", _SAVE_AS)
    other = _first_utf8_line(content)
    if other:
        problem = f"is not UTF-8, and line {other} is"
        raise _Unreadable(file, line, problem, _SAVE_AS)
    try:
        return content.decode("gbk")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _Unreadable(file, line, "is neither UTF-8 nor GBK", _SAVE_AS) from None


class _Unreadable(Exception):
    """From where on a file cannot be read."""

    def __init__(self, file: str, line: int, problem: str, fix: str) -> None:
        super().__init__(problem)
        self.defect = Defect(file=file, line=line, column="", problem=f"{problem} ({fix})")


def _first_utf8_line(content: bytes) -> int:
    """The first line with other than ASCII characters that is UTF-8; 0 when there is none."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            continue
        return number
    return 0


def _parse(file: str, text: str, columns: Collection[str], needed: Collection[str]) -> Table:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Line] = []
    defects: list[Defect] = []
    header: list[str] = []
    while True:
        number = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            break
        except csv.Error as error:
            problem = f"is no CSV: {error}; nothing was read from here on"
            defects.append(_Unreadable(file, number, problem, "check the quotes").defect)
            break
        if not any(cells):
            continue
        if not header:
            header = cells
            _check_header(file, number, header, columns, needed)
        elif len(cells) != len(header):
            problem = f"has {len(cells)} cells, the header has {len(header)}"
            fix = "quote a cell that contains a comma"
            defects.append(_Unreadable(file, number, problem, fix).defect)
        else:
            named = dict(zip(header, cells, strict=True))
            lines.append(
                Line(number=number, cells={name: cell for name, cell in named.items() if cell})
            )
    if not header and not defects:
        raise _Unreadable(file, 1, "the file is empty", f"begin with {','.join(needed)}")
    return Table(lines=tuple(lines), defects=tuple(defects))


def _check_header(
    file: str, number: int, header: list[str], columns: Collection[str], needed: Collection[str]
) -> None:
    for name in header:
        if name not in columns:
            fix = f"one of {', '.join(columns)}"
            raise _Unreadable(file, number, f"{name!r} is no column of this file", fix)
        if header.count(name) > 1:
            raise _Unreadable(file, number, f"column {name} is there twice", "give it once")
    for name in needed:
        if name not in header:
            raise _Unreadable(file, number, f"column {name} is missing", "add it to the header")

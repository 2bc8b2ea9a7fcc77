"""What `gridledger vee estimate` and `vee edit` read alike: files by usage point, zones, days.

Both read files sorted by usage point, one point at a time, so memory holds one point however long
the files are. What is wrong is a `BadInput` that names file, line and column.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, tzinfo
from itertools import groupby
from pathlib import Path
from typing import ParamSpec, TextIO, TypeVar
from zoneinfo import ZoneInfo

from libs.events.errors import BadInput
from services.cli.row_file import Row, read_rows
from services.validation.instant import format_instant, parse_instant
from services.validation.register_usage import DIGITS_MAX, parse_register, register_range
from services.validation.slot_time import DEFAULT_ZONE

T = TypeVar("T")
P = ParamSpec("P")
Group = tuple[str, list[Row]]

REGISTER = "1-0:1.8.0"
ENERGY_MAX_WH = register_range(DIGITS_MAX)
"""More than any register can show is a slip of the pen."""

_POINT = re.compile(r"[^\s\x00-\x1f]{1,64}")


def by_point(rows: Iterator[Row]) -> Iterator[Group]:
    """The rows of one usage point after the other; BadInput where a file is not sorted by it."""
    last = ""
    for point, group in groupby(rows, key=lambda row: row.text("usage_point")):
        found = list(group)
        if not _POINT.fullmatch(point):
            raise found[0].wrong("usage_point", f"{point[:40]!r} is no code", "write no blanks")
        if point <= last:
            problem = f"{point!r} comes after {last!r}"
            raise found[0].wrong("usage_point", problem, "sort the file by usage_point")
        last = point
        yield point, found


def side_by_side(
    main: Iterator[Group], other: Iterator[Group]
) -> Iterator[tuple[str, list[Row], list[Row]]]:
    """Two sorted files joined: each point with its rows of both, [] where a file has none."""
    one, two = next(main, None), next(other, None)
    while one is not None or two is not None:
        point = min(group[0] for group in (one, two) if group is not None)
        rows: list[Row] = []
        others: list[Row] = []
        if one is not None and one[0] == point:
            rows, one = one[1], next(main, None)
        if two is not None and two[0] == point:
            others, two = two[1], next(other, None)
        yield point, rows, others


def at_row(row: Row, call: Callable[P, T], *args: P.args, **named: P.kwargs) -> T:
    """The answer of a calculation; its BadInput gets the file and line of the row it is about."""
    try:
        return call(*args, **named)
    except BadInput as wrong:
        raise row.wrong(wrong.field, wrong.problem, wrong.fix) from None


def register_of(row: Row) -> str:
    """The OBIS code of a row, import energy where it has none."""
    register = row.optional("register") or REGISTER
    at_row(row, parse_register, register)
    return register


def energy_of(row: Row, column: str) -> int | None:
    """A whole number of Wh (or varh), None for an empty cell; no more than a register can show."""
    if not row.optional(column):
        return None
    value = row.whole(column)
    if abs(value) >= ENERGY_MAX_WH:
        raise row.wrong(column, f"{value} is more than a register can show", "give Wh")
    return value


def past_of(row: Row, column: str, now: str) -> str:
    """An instant that is not in the future."""
    found = row.instant(column)
    if found > now:
        fix = f"it is {now}; see --as-of"
        raise row.wrong(column, f"{found} is in the future", fix)
    return found


def read_now(text: str) -> str:
    """The instant that counts as now: `--as-of`, else the clock's."""
    if not text:
        return format_instant(datetime.now(UTC))
    parse_instant(text, "--as-of")
    return text


def read_zone(name: str) -> tzinfo:
    """The utility's zone; BadInput when there is no such zone."""
    if name == "Asia/Shanghai":
        return DEFAULT_ZONE
    try:
        return ZoneInfo(name)
    except (OSError, ValueError, KeyError):
        fix = "write it like Europe/Berlin"
        raise BadInput("--zone", f"there is no zone {name!r}", fix) from None


def read_days(path: str) -> frozenset[str]:
    """The days of a file with a column `day_on`."""
    return frozenset(row.day("day_on") for row in read_rows(path, ("day_on",), ("name",)))


def refuse_same(*paths: str) -> None:
    """BadInput when a file is named twice, such as an output that would destroy its input."""
    names = [path if path == "-" else str(Path(path).resolve()) for path in paths if path]
    twice = next((name for name in names if names.count(name) > 1), "")
    if twice:
        raise BadInput(twice, "is named twice", "give each file a name of its own")


@contextmanager
def written(path: str) -> Iterator[TextIO]:
    """A file that is there when everything went well, and not at all otherwise."""
    part = Path(f"{path}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)

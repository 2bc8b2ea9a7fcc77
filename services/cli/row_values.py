"""Cells that several commands read the same way, rules in a file, and tables of fixed columns.

past_day(row, "day_on"); yes_or_no(row, "has_pv"); between(row, "attempts", 1, 9)
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TypeVar, get_type_hints

from rich.cells import cell_len, set_cell_size

from libs.events.documents import read_json
from libs.events.errors import BadInput
from services.cli.row_file import Row
from services.validation.instant import UTC_OFFSET_MINUTES

ENERGY_MOST_WH = 10**15
"""A terawatt-hour: no point uses it in a day."""

FIRST_ON = "1970-01-02"
"""Nothing was read before; and no day or instant after it is so early that it cannot be written."""

R = TypeVar("R")


def now_at() -> str:
    """This instant in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def today_on() -> str:
    """The day that it is in the utility's zone."""
    return (datetime.now(UTC) + timedelta(minutes=UTC_OFFSET_MINUTES)).date().isoformat()


def past_day(row: Row, column: str) -> str:
    """A day that is over in the utility's zone: of today nobody can have all of it."""
    day_on = row.day(column)
    today = today_on()
    if day_on >= today:
        when = "not over" if day_on == today else "in the future"
        raise row.wrong(column, f"{day_on} is {when}", "give a day that is over")
    if day_on < FIRST_ON:
        raise row.wrong(column, f"{day_on} is before there were meters", f"at least {FIRST_ON}")
    return day_on


def past_instant(row: Row, column: str) -> str:
    """An instant that is not in the future."""
    at = row.instant(column)
    if at > now_at():
        raise row.wrong(column, f"{at} is in the future", "give an instant that has passed")
    if at < FIRST_ON:
        raise row.wrong(column, f"{at} is before there were meters", f"at least {FIRST_ON}")
    return at


def day_until_today(option: str, text: str) -> str:
    """The day of an option, of one that is not in the future; BadInput names the option."""
    try:
        is_day = date.fromisoformat(text).isoformat() == text
    except ValueError:
        is_day = False
    if not is_day:
        raise BadInput(option, f"{text!r} is no day", "write it as 2026-01-31")
    if text > today_on():
        raise BadInput(option, f"{text} is in the future", f"at most {today_on()}")
    if text < FIRST_ON:
        raise BadInput(option, f"{text} is before there were meters", f"at least {FIRST_ON}")
    return text


def yes_or_no(row: Row, column: str) -> bool | None:
    """yes, no, or None for an empty cell."""
    if not row.optional(column):
        return None
    return row.one_of(column, ("yes", "no")) == "yes"


def between(row: Row, column: str, least: int, most: int) -> int:
    """A whole number in a range."""
    found = row.whole(column)
    if not least <= found <= most:
        raise row.wrong(column, f"{found} is impossible", f"give {least} to {most}")
    return found


def optional_between(row: Row, column: str, least: int, most: int) -> int | None:
    """A whole number in a range, None for an empty cell."""
    return between(row, column, least, most) if row.optional(column) else None


def in_row(row: Row, error: BadInput, columns: dict[str, str] | None = None) -> BadInput:
    """An error of a calculation, told with the row it came from; to be raised."""
    return row.wrong((columns or {}).get(error.field, error.field), error.problem, error.fix)


def read_rules(path: Path | None, kind: type[R]) -> R:
    """Rules from a JSON object with the fields that differ from the defaults of `kind`."""
    if path is None:
        return kind()
    document = read_json(path)
    if not isinstance(document, dict):
        raise BadInput(str(path), "is no JSON object", 'write it like {"rounding": "half_up"}')
    known = get_type_hints(kind)
    for name, value in document.items():
        if name not in known:
            raise BadInput(f"{path} {name}", "is not known", f"one of {', '.join(known)}")
        if type(value) is not known[name]:
            what = "a whole number" if known[name] is int else "a text"
            raise BadInput(f"{path} {name}", f"{value!r} is wrong", f"write {what}")
    try:
        return kind(**document)
    except BadInput as error:
        raise BadInput(f"{path} {error.field}", error.problem, error.fix) from None


def fixed_line(cells: Sequence[str], widths: Sequence[int]) -> str:
    """One line of a table that is printed while it is read. A name is cut to its width (Chinese
    takes two columns a character; `--json` has all of it); a width below 0 is that of a number,
    which stands at the right and is never cut."""
    shown = [
        " " * (-width - cell_len(text)) + text if width < 0 else set_cell_size(text, width)
        for text, width in zip(cells, widths, strict=True)
    ]
    return " ".join(shown).rstrip()


def per_cent(value_e2: int | None) -> str:
    """1/100 per cent with two decimals, "-" for None."""
    if value_e2 is None:
        return "-"
    sign = "-" if value_e2 < 0 else ""
    return f"{sign}{abs(value_e2) // 100}.{abs(value_e2) % 100:02d}"

"""Cells of the import files: text to a value in our units, or BadInput that names the column.

Each reader takes the trimmed text of a cell that is not empty, and the name of its column.

    read_registers("1-0:1.8.0=1234.5;1-0:1.8.2=70", "initial")
        == {"1-0:1.8.0": 1_234_500, "1-0:1.8.2": 70_000}
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from libs.events.errors import BadInput
from libs.events.quantities import (
    FEN_PER_YUAN,
    PRICE_SCALE,
    WH_PER_KWH,
    format_scaled,
    parse_scaled,
)

CellReader = Callable[[str, str], Any]

TEXT_LENGTH_MAX = 80
RATIO_SCALE = 10**6
"""Ratios and shares have at most six decimals."""
NUMBER_MAX = 10**12
"""No figure of an account is larger: 10^12 kWh, kW or yuan is a slip of the pen."""

PERIODS = ("sharp", "peak", "flat", "valley")
RATE_MAX = 12

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,39}", re.ASCII)
_ACCOUNT = re.compile(r"[0-9]{10}", re.ASCII)
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,9})?", re.ASCII)  # exact in 28 decimal digits
_REGISTER = re.compile(r"[0-9]+-[0-9]+:(?P<quantity>[0-9]+)\.(?P<kind>[0-9]+)\.[0-9]+", re.ASCII)
_LINE = re.compile(r"(tcp|listen):[^\s:/]+:[0-9]{1,5}|serial:\S+", re.ASCII)
_ADDRESS = re.compile(r"[0-9]{1,12}", re.ASCII)
_BEHIND = re.compile(r"[0-9]{4}-([0-9A-Fa-f]{4})/([0-9]{1,4})/([0-9]{12})", re.ASCII)
POINT_MAX = 2040
"""Of a concentrator (Q/GDW 376.1: 255 groups of 8)."""


def read_text(text: str, column: str) -> str:
    """Any short text without control characters."""
    if len(text) > TEXT_LENGTH_MAX:
        raise BadInput(column, f"has {len(text)} characters", f"use at most {TEXT_LENGTH_MAX}")
    if not text.isprintable():
        raise BadInput(column, f"{text!r} has control characters", "take them out")
    return text


def read_code(text: str, column: str) -> str:
    """An identifier: letters, digits, `_`, `.` and `-`."""
    if not _CODE.fullmatch(text):
        fix = "use up to 40 letters, digits, _ . - and begin with a letter or digit"
        raise BadInput(column, f"{text!r} is no identifier", fix)
    return text


def read_account_no(text: str, column: str) -> str:
    """An account number: 10 digits, because payment orders begin with it (DESIGN 4)."""
    if not _ACCOUNT.fullmatch(text):
        raise BadInput(column, f"{text!r} is no account number", "give 10 digits")
    return text


def read_yes_no(text: str, column: str) -> bool:
    """`yes` or `no`."""
    if text not in ("yes", "no"):
        raise BadInput(column, f"{text!r} is neither yes nor no", "write yes or no")
    return text == "yes"


def one_of(*names: str) -> CellReader:
    """A reader of one of some names."""

    def read(text: str, column: str) -> str:
        if text not in names:
            raise BadInput(column, f"{text!r} is not known", f"one of {', '.join(names)}")
        return text

    return read


def named_or(names: tuple[str, ...], pattern: str, meaning: str) -> CellReader:
    """A reader of one of some names, or of a name that others may add; `meaning` tells them."""
    known = re.compile(pattern, re.ASCII)

    def read(text: str, column: str) -> str:
        if text not in names and not known.fullmatch(text):
            fix = f"one of {', '.join(names)}, or {meaning}"
            raise BadInput(column, f"{text!r} is not known", fix)
        return text

    return read


def whole(least: int, most: int) -> CellReader:
    """A reader of a whole number within bounds."""

    def read(text: str, column: str) -> int:
        value = _scaled(text, 1, column)
        if not least <= value <= most:
            raise BadInput(column, f"{text} is out of bounds", f"give {least} to {most}")
        return value

    return read


def scaled(scale: int, least: int = 0) -> CellReader:
    """A reader of a decimal number as an integer of 1/scale, `least` being in that unit."""

    def read(text: str, column: str) -> int:
        value = _scaled(text, scale, column)
        if value < least:
            raise BadInput(column, f"{text} is too small", f"give {format_scaled(least, scale)} up")
        return value

    return read


read_kwh = scaled(WH_PER_KWH)
read_kw = scaled(WH_PER_KWH)
read_yuan = scaled(FEN_PER_YUAN)


def read_signed_yuan(text: str, column: str) -> int:
    """An amount in fen that may be a credit, below zero."""
    return _scaled(text, FEN_PER_YUAN, column)


def read_price(text: str, column: str) -> str:
    """A price in yuan, of either sign, as its shortest exact decimal."""
    return format_scaled(_scaled(text, PRICE_SCALE, column), PRICE_SCALE)


def read_percent(text: str, column: str) -> str:
    """A percentage above 0 and below 100 as its shortest exact decimal."""
    value = _scaled(text, RATIO_SCALE, column)
    if not 0 < value < 100 * RATIO_SCALE:
        raise BadInput(column, f"{text} % is no part of an energy", "give more than 0, below 100")
    return format_scaled(value, RATIO_SCALE)


def read_ratio(text: str, column: str) -> str:
    """A ratio above zero as its shortest exact decimal: `100.0` is `100`."""
    value = _scaled(text, RATIO_SCALE, column)
    if value <= 0:
        raise BadInput(column, f"{text} is not above zero", "give CT ratio x VT ratio")
    return format_scaled(value, RATIO_SCALE)


def read_share(text: str, column: str) -> str:
    """A share above 0 and up to 1 as its shortest exact decimal."""
    share = read_ratio(text, column)
    if parse_scaled(share, RATIO_SCALE, column) > RATIO_SCALE:
        raise BadInput(column, f"{text} is more than the whole", "give a share up to 1")
    return share


def read_line(text: str, column: str) -> str:
    """How a meter is reached."""
    if not _LINE.fullmatch(text):
        fix = "write tcp:HOST:PORT, listen:HOST:PORT or serial:PATH"
        raise BadInput(column, f"{text!r} is no line", fix)
    return text


def read_address(text: str, column: str) -> str:
    """A meter's address on its line: digits, never a wildcard or broadcast address (DESIGN 4).

    Behind a concentrator: `0200-1234/17/000000000161`, that is AREA-TERMINAL, the measurement point
    Pn and the meter's own address.
    """
    if "/" in text:
        return _read_behind(text, column)
    if not _ADDRESS.fullmatch(text) or text == "9" * 12:
        fix = "give the meter's own address in digits, no wildcard, no broadcast"
        raise BadInput(column, f"{text!r} is no address", fix)
    return text


def _read_behind(text: str, column: str) -> str:
    found = _BEHIND.fullmatch(text)
    if found is None:
        problem = f"{text!r} is no place behind a concentrator"
        raise BadInput(column, problem, "write it like 0200-1234/17/000000000161")
    terminal, number, meter = found.groups()
    if terminal.upper() in ("0000", "FFFF"):
        raise BadInput(column, f"{text!r}: {terminal} names no one concentrator", "give its own")
    if not 1 <= int(number) <= POINT_MAX:
        raise BadInput(column, f"{text!r}: {number} is no point", f"give 1 to {POINT_MAX}")
    if meter == "9" * 12:
        raise BadInput(column, f"{text!r}: {meter} is no meter's address", "give its own")
    return text


def read_rate_periods(text: str, column: str) -> dict[str, str]:
    """Which period a rate number of the meter is: `1=sharp;2=peak;3=flat;4=valley`."""
    periods: dict[str, str] = {}
    for rate, period in _pairs(text, column, "1=sharp;2=peak;3=flat;4=valley"):
        if not rate.isascii() or not rate.isdigit() or not 1 <= int(rate) <= RATE_MAX:
            raise BadInput(column, f"{rate!r} is no rate", f"number rates 1 to {RATE_MAX}")
        if period not in PERIODS:
            raise BadInput(column, f"{period!r} is no period", f"one of {', '.join(PERIODS)}")
        periods[str(int(rate))] = period
    return dict(sorted(periods.items()))


def read_register_list(text: str, column: str) -> tuple[str, ...]:
    """OBIS codes to be read: `1-0:1.8.0;1-0:1.8.1`; energy 1-8.8.x and demand 1-8.6.x."""
    names = [name.strip() for name in text.split(";") if name.strip()]
    for name in names:
        _check_register(name, column, kinds=("6", "8"))
    if not names or len(set(names)) < len(names):
        raise BadInput(column, f"{text!r} names none or one twice", "1-0:1.8.0;1-0:1.8.1")
    return tuple(sorted(names))


def read_register(text: str, column: str) -> str:
    """One register of energy, such as 1-0:1.8.0."""
    _check_register(text, column, kinds=("8",))
    return text


def read_registers(text: str, column: str) -> dict[str, int]:
    """What energy registers showed, kWh or kvarh: `1-0:1.8.0=1234.5;1-0:1.8.1=400`, in Wh."""
    values: dict[str, int] = {}
    for register, shown in _pairs(text, column, "1-0:1.8.0=1234.5;1-0:1.8.1=400"):
        _check_register(register, column, kinds=("8",))
        values[register] = read_kwh(shown, column)
    return dict(sorted(values.items()))


def is_energy(register: str) -> bool:
    """Whether a register counts energy, so that usage is a difference of two of its readings."""
    return register.split(".")[1] == "8"


def _check_register(name: str, column: str, kinds: tuple[str, ...]) -> None:
    """A combined register (15.8.x) is refused: what it adds up is the meter's own (DESIGN 5)."""
    match = _REGISTER.fullmatch(name)
    if match is None:
        raise BadInput(column, f"{name!r} is no OBIS code", "write it like 1-0:1.8.0")
    if match["kind"] not in kinds or not 1 <= int(match["quantity"]) <= 8:
        fix = "import 1.8.x, export 2.8.x, reactive 5.8.0 to 8.8.0"
        fix += ", demand 1.6.x" if "6" in kinds else ""
        raise BadInput(column, f"{name} is no register that is billed", fix)


def _pairs(text: str, column: str, example: str) -> Iterator[tuple[str, str]]:
    """`a=1;b=2` as pairs; BadInput for a part without `=` and for a name that is there twice."""
    seen: set[str] = set()
    parts = [part.strip() for part in text.split(";") if part.strip()]
    if not parts:
        raise BadInput(column, f"{text!r} has no pair", f"write it like {example}")
    for part in parts:
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not equals:
            raise BadInput(column, f"{part!r} is no pair", f"write it like {example}")
        if name in seen:
            raise BadInput(column, f"{name} is there twice", "give it once")
        seen.add(name)
        yield name, value


def _scaled(text: str, scale: int, column: str) -> int:
    if not _NUMBER.fullmatch(text):
        raise BadInput(column, f"{text!r} is no number", "write it like 1234.5, without separators")
    value = parse_scaled(text, scale, column)
    if abs(value) > NUMBER_MAX * scale:
        raise BadInput(column, f"{text} is too large", "check the unit of the column")
    return value

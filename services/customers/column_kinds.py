"""How a column of an import file is declared: its name, its meaning, and how its cells are read.

column("share", read_share, "part of the parent", "0.15", empty="")
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from services.customers import rows
from services.customers.cells import (
    CellReader,
    named_or,
    one_of,
    read_account_no,
    read_address,
    read_code,
    read_kw,
    read_line,
    read_registers,
    read_text,
)
from services.customers.days import read_day
from services.customers.rows import AnyRow

REQUIRED = object()
"""What an empty cell of a column that must be filled stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `field` of the row's dataclass; `empty` is the value of an empty cell."""

    name: str
    field: str
    read: CellReader
    empty: Any
    unit: str
    meaning: str
    example: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    """One file: its row class, its columns, and whether its rows are happenings."""

    name: str
    record: type[AnyRow]
    columns: tuple[Column, ...]
    happens: bool = False


def column(
    name: str,
    read: CellReader,
    meaning: str,
    example: str,
    *,
    unit: str = "",
    field: str = "",
    empty: Any = REQUIRED,
) -> Column:
    """A column that must be filled unless `empty` says what an empty cell means."""
    return Column(
        name=name,
        field=field or name,
        read=read,
        empty=empty,
        unit=unit,
        meaning=meaning,
        example=example,
    )


def choices(
    name: str,
    names: tuple[str, ...],
    meaning: str,
    *,
    empty: Any = REQUIRED,
    when_empty: str = "",
) -> Column:
    """A column with one of some names."""
    words = f"{meaning}: {', '.join(names)}" + (f"; empty: {when_empty}" if when_empty else "")
    return column(name, one_of(*names), words, names[0], empty=empty)


def account_no() -> Column:
    """The account that a row is of."""
    return column("account_no", read_account_no, "account number, 10 digits", "1000000001")


def usage_point(meaning: str = "usage point 计量点") -> Column:
    """The usage point that a row is about."""
    return column("usage_point", read_code, meaning, "P-1001")


def until(meaning: str) -> Column:
    """The end of a row; empty while there is none."""
    return column("valid_to", read_day, meaning, "2026-07-01", field="valid_to_on", empty="")


def kilowatts(name: str, meaning: str, example: str, empty: Any) -> Column:
    """A power in kW, kept in W."""
    field = name.removesuffix("_kw") + "_w"
    return column(name, read_kw, meaning, example, unit="kW", field=field, empty=empty)


def yuan(name: str, read: CellReader, meaning: str, example: str, empty: Any = REQUIRED) -> Column:
    """An amount in yuan, kept in fen."""
    field = name.removesuffix("_yuan") + "_fen"
    return column(name, read, meaning, example, unit="yuan", field=field, empty=empty)


def names(chinese: str, english: str) -> tuple[Column, Column]:
    """How a charge is called on a bill."""
    return (
        column("name_zh", read_text, "its name on a bill, in Chinese", chinese),
        column("name_en", read_text, "its name on a bill, in English", english),
    )


def registers(name: str, meaning: str, empty: Any) -> Column:
    """What energy registers showed."""
    example = "1-0:1.8.0=1234.5;1-0:1.8.2=400"
    return column(name, read_registers, meaning, example, unit="kWh, kvarh", empty=empty)


def protocol(when_empty: str, empty: Any) -> Column:
    """Names of ours, and of register maps that an installation adds (docs/modbus-maps.md)."""
    more = "modbus_ and the name of a register map"
    words = f"how it is read: {', '.join(rows.PROTOCOLS)}, or {more}"
    words += f"; empty: {when_empty}" if when_empty else ""
    read = named_or(rows.PROTOCOLS, "modbus_[a-z0-9_]{1,32}", more)
    return column("protocol", read, words, rows.PROTOCOLS[0], empty=empty)


def access(when_empty: str, empty: Any) -> tuple[Column, ...]:
    """How a meter is reached, and what the connection can carry."""
    return (
        protocol(when_empty, empty),
        column(
            "line",
            read_line,
            "how it, or its concentrator, is reached; listen:HOST:PORT: that dials in to us there",
            "tcp:10.1.2.3:9600",
            empty="",
        ),
        column(
            "address",
            read_address,
            "its address on the line; qgdw376: 0200-1234/17/000000000161 (AREA-TERMINAL/Pn/meter)",
            "000000001001",
            empty="",
        ),
    )


OF_AGREEMENT = "the agreement's"


def own_terms(name: str, names: tuple[str, ...], meaning: str) -> Column:
    """Terms of a point, which are the agreement's when it has none of its own."""
    return choices(name, names, meaning, empty="", when_empty=OF_AGREEMENT)

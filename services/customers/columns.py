"""The columns of the import files: name, meaning, unit, example, and how a cell is read.

One source for the border (which names bad cells), for the core (which reads the rows again, whoever
sent them) and for the tables in README.md.

    row = read_row(RowText(file="accounts", valid_from_on="2026-01-01", kind="",
                           values={"account_no": "1000000001"}))
    row.record == AccountRow(account_no="1000000001", valid_from_on="2026-01-01", ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from libs.events.errors import BadInput
from services.customers import rows
from services.customers.cells import (
    CellReader,
    named_or,
    one_of,
    read_account_no,
    read_address,
    read_code,
    read_kw,
    read_kwh,
    read_line,
    read_rate_periods,
    read_ratio,
    read_register_list,
    read_registers,
    read_share,
    read_text,
    read_yes_no,
    whole,
)
from services.customers.days import read_day, read_instant
from services.customers.rows import AnyRow

REQUIRED = object()
"""What an empty cell of a column that must be filled stands for."""

NEW, CORRECTION, CHANGE = "", "correction", "change"
KINDS = (NEW, CORRECTION, CHANGE)
WAS = "valid_from_was"


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


class RowText(NamedTuple):
    """A row before it is read; `values` without valid_from and kind, empty cells left out."""

    file: str
    valid_from_on: str
    kind: str
    values: Mapping[str, str]


class RowRead(NamedTuple):
    """A row that was read: the record, or everything that is wrong with it."""

    record: AnyRow | None
    problems: tuple[BadInput, ...]


def read_cells(
    columns: tuple[Column, ...], values: Mapping[str, str]
) -> tuple[dict[str, Any], list[BadInput]]:
    """The fields that the cells of a row give, and what is wrong with the others."""
    fields: dict[str, Any] = {}
    problems: list[BadInput] = []
    for each in columns:
        try:
            fields[each.field] = _cell(each, values.get(each.name, ""))
        except BadInput as problem:
            problems.append(problem)
    return fields, problems


def read_row(text: RowText) -> RowRead:
    """Read all cells of a row; each problem names its column."""
    spec = FILES.get(text.file)
    if spec is None:
        problem = BadInput("file", f"{text.file!r} is no import file", f"one of {', '.join(FILES)}")
        return RowRead(None, (problem,))
    problems = list(_standing_problems(spec, text))
    fields, bad_cells = read_cells(spec.columns, text.values)
    problems += bad_cells
    strange = sorted(text.values.keys() - {each.name for each in spec.columns} - {WAS})
    problems += [BadInput(name, "is no column of this file", "see README.md") for name in strange]
    if problems:
        return RowRead(None, tuple(problems))
    record = spec.record(valid_from_on=text.valid_from_on, **fields)
    try:
        rows.check_row(record)
    except BadInput as problem:
        return RowRead(None, (problem,))
    return RowRead(record, ())


def natural_key(file: str, record: AnyRow) -> str:
    """What a row is about: its entity, and the day as well where each row is a happening."""
    if FILES[file].happens:
        return f"{record.entity}@{record.valid_from_on}"
    return record.entity


def _cell(each: Column, cell: str) -> Any:
    if cell:
        return each.read(cell, each.name)
    if each.empty is REQUIRED:
        raise BadInput(each.name, "is empty", f"{each.meaning}, such as {each.example}")
    return each.empty


def _standing_problems(spec: FileColumns, text: RowText) -> list[BadInput]:
    problems = []
    try:
        read_day(text.valid_from_on, "valid_from")
        if WAS in text.values:
            read_day(text.values[WAS], WAS)
    except BadInput as problem:
        problems.append(problem)
    if text.kind not in KINDS:
        fix = "leave it empty for a new row, or write correction or change"
        problems.append(BadInput("kind", f"{text.kind!r} is not known", fix))
    if WAS in text.values and text.kind != CORRECTION:
        fix = "only a correction says which day was wrong"
        problems.append(BadInput(WAS, "is given without kind correction", fix))
    if spec.happens and text.kind == CHANGE:
        fix = "leave it empty for another one on its day, or write correction"
        problems.append(BadInput("kind", "what happened once cannot change", fix))
    return problems


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


def _choices(
    name: str,
    names: tuple[str, ...],
    meaning: str,
    *,
    empty: Any = REQUIRED,
    when_empty: str = "",
) -> Column:
    words = f"{meaning}: {', '.join(names)}" + (f"; empty: {when_empty}" if when_empty else "")
    return column(name, one_of(*names), words, names[0], empty=empty)


def _account_no() -> Column:
    return column("account_no", read_account_no, "account number, 10 digits", "1000000001")


def _point(meaning: str = "usage point 计量点") -> Column:
    return column("usage_point", read_code, meaning, "P-1001")


def _until(meaning: str) -> Column:
    return column("valid_to", read_day, meaning, "2026-07-01", field="valid_to_on", empty="")


def _kw(name: str, meaning: str, example: str, empty: Any) -> Column:
    field = name.removesuffix("_kw") + "_w"
    return column(name, read_kw, meaning, example, unit="kW", field=field, empty=empty)


def _registers(name: str, meaning: str, empty: Any) -> Column:
    example = "1-0:1.8.0=1234.5;1-0:1.8.2=400"
    return column(name, read_registers, meaning, example, unit="kWh, kvarh", empty=empty)


def _protocol(when_empty: str, empty: Any) -> Column:
    """Names of ours, and of register maps that an installation adds (docs/modbus-maps.md)."""
    more = "modbus_ and the name of a register map"
    words = f"how it is read: {', '.join(rows.PROTOCOLS)}, or {more}"
    words += f"; empty: {when_empty}" if when_empty else ""
    read = named_or(rows.PROTOCOLS, "modbus_[a-z0-9_]{1,32}", more)
    return column("protocol", read, words, rows.PROTOCOLS[0], empty=empty)


def _access(when_empty: str, empty: Any) -> tuple[Column, ...]:
    """How a meter is reached, and what the connection can carry."""
    return (
        _protocol(when_empty, empty),
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


_OF_AGREEMENT = "the agreement's"


def _own_terms(name: str, names: tuple[str, ...], meaning: str) -> Column:
    return _choices(name, names, meaning, empty="", when_empty=_OF_AGREEMENT)


ACCOUNTS = FileColumns(
    name="accounts",
    record=rows.AccountRow,
    columns=(
        _account_no(),
        _choices("language", ("zh", "en"), "language of bills", empty="zh", when_empty="zh"),
        column("household_size", whole(0, 99), "people; empty: not known", "5", empty=0),
        _choices(
            "protected",
            rows.PROTECTIONS,
            "why the customer may not be cut",
            empty="",
            when_empty="may be cut",
        ),
        column(
            "moved_out_on",
            read_day,
            "first day on which the customer is gone; empty while there",
            "2026-03-16",
            empty="",
        ),
    ),
)

AGREEMENTS = FileColumns(
    name="agreements",
    record=rows.AgreementRow,
    columns=(
        _account_no(),
        _choices("category", rows.CATEGORIES, "class of use"),
        column("region", read_code, "region whose price book applies", "500000"),
        column("price_list", read_code, "price list in that book", "residential"),
        _choices("voltage_class", rows.VOLTAGE_CLASSES, "voltage of the supply"),
        _choices("metering_side", rows.METERING_SIDES, "side of the transformer that is metered"),
        _choices(
            "demand_mode",
            rows.DEMAND_MODES,
            "basic charge 基本电费",
            empty="none",
            when_empty="none",
        ),
        _kw("contract_demand_kw", "demand agreed, for demand_mode contract", "400", 0),
        _choices(
            "pf_standard",
            rows.PF_STANDARDS,
            "power-factor standard",
            empty="",
            when_empty="no adjustment",
        ),
        _choices(
            "payment_mode",
            rows.PAYMENT_MODES,
            "how it pays",
            empty="postpaid",
            when_empty="postpaid",
        ),
    ),
)

TRANSFORMERS = FileColumns(
    name="transformers",
    record=rows.TransformerRow,
    columns=(
        _account_no(),
        column("transformer_no", read_code, "transformer 变压器", "T-4001"),
        column("kva", whole(1, 1_000_000), "rated capacity", "630", unit="kVA"),
        column("model", read_text, "model, for the table of losses", "S11-M-630/10", empty=""),
        _choices("state", rows.TRANSFORMER_STATES, "state from that day on"),
        _until("first day on which it is no longer there; empty while it is"),
    ),
)

POINTS = FileColumns(
    name="points",
    record=rows.PointRow,
    columns=(
        _account_no(),
        _point(),
        column("price_list", read_code, f"empty: {_OF_AGREEMENT}", "residential", empty=""),
        _own_terms("category", rows.CATEGORIES, "class of use"),
        _own_terms("voltage_class", rows.VOLTAGE_CLASSES, "voltage at the point"),
        _own_terms("metering_side", rows.METERING_SIDES, "side that is metered"),
        column(
            "rate_periods",
            read_rate_periods,
            "which period each rate number of the meter is; empty: the meter has no rates",
            "1=sharp;2=peak;3=flat;4=valley",
            empty={},
        ),
        column("area", read_text, "transformer area 台区", "A-01"),
        _choices(
            "switching_method",
            rows.SWITCHING_METHODS,
            "how the point is cut",
            empty="none",
            when_empty="none",
        ),
        column(
            "registers",
            read_register_list,
            "OBIS codes to be read; empty: 1-0:1.8.0",
            "1-0:1.8.0;1-0:1.8.2;1-0:1.6.0",
            empty=("1-0:1.8.0",),
        ),
        column("intervals", read_yes_no, "read the load profile; empty: no", "yes", empty=False),
        _choices(
            "tou_basis",
            rows.TOU_BASES,
            "where the energy by period comes from",
            empty="rate_registers",
            when_empty="rate_registers",
        ),
        column(
            "feeder",
            read_text,
            "feeder of the area; as the area: the point is on the feeder itself; empty: not told",
            "10kV-01",
            empty="",
        ),
        _choices(
            "loss_role",
            rows.LOSS_ROLES,
            "part in the line loss of its area: its gate meter 台区总表, a member, or neither",
            empty="",
            when_empty="member, none for a point that another one measures too",
        ),
        _until("first day on which it is no longer this account's; empty while it is"),
    ),
)

POINT_RELATIONS = FileColumns(
    name="point_relations",
    record=rows.RelationRow,
    columns=(
        _account_no(),
        _point(),
        _choices("relation", rows.RELATIONS, "what it is to the parent"),
        column(
            "parent_point",
            read_code,
            "the point it is a part of",
            "P-1001",
            empty="",
        ),
        column("share", read_share, "part of the parent, for fixed_ratio", "0.15", empty=""),
        column(
            "quantity_kwh",
            read_kwh,
            "energy per month, for fixed_quantity",
            "300",
            unit="kWh",
            field="quantity_wh",
            empty=0,
        ),
    ),
)

METERS = FileColumns(
    name="meters",
    record=rows.MeterRow,
    columns=(
        column("meter_no", read_code, "meter 电能表", "M-1001"),
        column("model", read_text, "model", "DDZY102", empty=""),
        _choices("accuracy_class", rows.ACCURACY_CLASSES, "accuracy class of active energy"),
        _choices("connection", rows.CONNECTIONS, "direct, or through transformers"),
        column(
            "verified_on", read_day, "last verification; empty: not known", "2024-05-20", empty=""
        ),
        column("digits", whole(4, 12), "integer digits of its registers; empty: 6", "6", empty=6),
    ),
)

INSTALLATIONS = FileColumns(
    name="installations",
    record=rows.InstallationRow,
    happens=True,
    columns=(
        _point(),
        column("meter_no", read_code, "meter that was put there", "M-1001"),
        column(
            "installed_at",
            read_instant,
            "exact time, on the day valid_from; empty: 00:00",
            "2026-01-10 14:30",
            empty="",
        ),
        column("ratio", read_ratio, "CT ratio x VT ratio", "1"),
        *_access("", REQUIRED),
        _kw("capacity_kw", "what the connection can carry, for plausibility", "8", REQUIRED),
        _registers("initial", "what its registers showed; needed for a new connection", {}),
    ),
)

EXCHANGES = FileColumns(
    name="exchanges",
    record=rows.ExchangeRow,
    happens=True,
    columns=(
        _point(),
        column(
            "exchanged_at", read_instant, "exact time, on the day valid_from", "2026-02-10 10:30"
        ),
        column("old_meter_no", read_code, "meter that was there", "M-1001"),
        column("old_ratio", read_ratio, "ratio it had", "1"),
        _registers("old_final", "last reading of every register of the point", REQUIRED),
        column(
            "new_meter_no",
            read_code,
            "meter that is there now; the same for another ratio; empty: taken away",
            "M-2001",
            empty="",
        ),
        column("new_ratio", read_ratio, "ratio it has", "1", empty=""),
        _registers("new_initial", "first reading of every register of the point", {}),
        *_access("as before", ""),
        _kw("capacity_kw", "what the connection can carry; empty: as before", "8", 0),
    ),
)

FILES: dict[str, FileColumns] = {
    spec.name: spec
    for spec in (
        ACCOUNTS,
        AGREEMENTS,
        TRANSFORMERS,
        POINTS,
        POINT_RELATIONS,
        METERS,
        INSTALLATIONS,
        EXCHANGES,
    )
}
"""The files, parents before children."""

"""The columns of the import files: name, meaning, unit, example, and how a cell is read.

One source for the border (which names bad cells), for the core (which reads the rows again, whoever
sent them) and for the tables in README.md.

    row = read_row(RowText(file="accounts", valid_from_on="2026-01-01", kind="",
                           values={"account_no": "1000000001"}))
    row.record == AccountRow(account_no="1000000001", valid_from_on="2026-01-01", ...)
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from libs.events.errors import BadInput
from services.customers import rows
from services.customers.cells import (
    read_account_no,
    read_code,
    read_kwh,
    read_percent,
    read_rate_periods,
    read_ratio,
    read_register_list,
    read_share,
    read_text,
    read_yes_no,
    read_yuan,
    whole,
)
from services.customers.charge_columns import ACCOUNT_COMPONENTS, EXTERNAL_LINES
from services.customers.column_kinds import (
    OF_AGREEMENT,
    REQUIRED,
    Column,
    FileColumns,
    access,
    account_no,
    choices,
    column,
    kilowatts,
    own_terms,
    registers,
    until,
    usage_point,
    yuan,
)
from services.customers.days import read_day, read_instant
from services.customers.rows import AnyRow

NEW, CORRECTION, CHANGE = "", "correction", "change"
KINDS = (NEW, CORRECTION, CHANGE)
WAS = "valid_from_was"


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


ACCOUNTS = FileColumns(
    name="accounts",
    record=rows.AccountRow,
    columns=(
        account_no(),
        choices("language", ("zh", "en"), "language of bills", empty="zh", when_empty="zh"),
        column("household_size", whole(0, 99), "people; empty: not known", "5", empty=0),
        choices(
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
        account_no(),
        choices("category", rows.CATEGORIES, "class of use"),
        column("region", read_code, "region whose price book applies", "500000"),
        column("price_list", read_code, "price list in that book", "residential"),
        choices("voltage_class", rows.VOLTAGE_CLASSES, "voltage of the supply"),
        choices("metering_side", rows.METERING_SIDES, "side of the transformer that is metered"),
        choices(
            "demand_mode",
            rows.DEMAND_MODES,
            "basic charge 基本电费",
            empty="none",
            when_empty="none",
        ),
        kilowatts("contract_demand_kw", "demand agreed, for demand_mode contract", "400", 0),
        choices(
            "pf_standard",
            rows.PF_STANDARDS,
            "power-factor standard",
            empty="",
            when_empty="no adjustment",
        ),
        choices(
            "payment_mode",
            rows.PAYMENT_MODES,
            "how it pays",
            empty="postpaid",
            when_empty="postpaid",
        ),
        column(
            "low_income",
            read_yes_no,
            "has the free energy of its price list 低保; empty: no",
            "yes",
            empty=False,
        ),
        column(
            "feed_in_price_list",
            read_code,
            "price list by which exported energy is valued 上网; empty: none",
            "feed_in",
            empty="",
        ),
        column(
            "prepaid_agreement_no",
            read_code,
            "signed agreement of a prepaid account; empty: none",
            "Y-2026-001",
            empty="",
        ),
        column(
            "prepaid_signed_on",
            read_day,
            "day on which that was signed",
            "2026-01-01",
            empty="",
        ),
        yuan(
            "prepaid_credit_limit_yuan",
            read_yuan,
            "how far the balance may go below zero; empty: 0",
            "20.00",
            empty=0,
        ),
        yuan("prepaid_warn1_yuan", read_yuan, "first warning below; empty: 0", "50.00", empty=0),
        yuan("prepaid_warn2_yuan", read_yuan, "second warning below; empty: 0", "20.00", empty=0),
    ),
)

TRANSFORMERS = FileColumns(
    name="transformers",
    record=rows.TransformerRow,
    columns=(
        account_no(),
        column("transformer_no", read_code, "transformer 变压器", "T-4001"),
        column("kva", whole(1, 1_000_000), "rated capacity", "630", unit="kVA"),
        column("model", read_text, "model, for the table of losses", "S11-M-630/10", empty=""),
        choices("state", rows.TRANSFORMER_STATES, "state from that day on"),
        until("first day on which it is no longer there; empty while it is"),
        column(
            "share",
            read_share,
            "part of it that this account bears; empty: all of it",
            "0.4",
            empty="1",
        ),
        column(
            "shared_with",
            read_account_no,
            "account that bears the rest; empty: none",
            "1000000008",
            empty="",
        ),
        kilowatts("iron_loss_kw", "loss without load, as on its plate; empty: not told", "0.81", 0),
        kilowatts("copper_loss_kw", "loss at rated load, as on its plate", "6.2", 0),
    ),
)

POINTS = FileColumns(
    name="points",
    record=rows.PointRow,
    columns=(
        account_no(),
        usage_point(),
        column("price_list", read_code, f"empty: {OF_AGREEMENT}", "residential", empty=""),
        own_terms("category", rows.CATEGORIES, "class of use"),
        own_terms("voltage_class", rows.VOLTAGE_CLASSES, "voltage at the point"),
        own_terms("metering_side", rows.METERING_SIDES, "side that is metered"),
        column(
            "rate_periods",
            read_rate_periods,
            "which period each rate number of the meter is; empty: the meter has no rates",
            "1=sharp;2=peak;3=flat;4=valley",
            empty={},
        ),
        column("area", read_text, "transformer area 台区", "A-01"),
        choices(
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
        choices(
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
        choices(
            "loss_role",
            rows.LOSS_ROLES,
            "part in the line loss of its area: its gate meter 台区总表, a member, or neither",
            empty="",
            when_empty="member, none for a point that another one measures too",
        ),
        column(
            "loss_table",
            read_code,
            "table of the book for its transformer loss 变损; empty: that of the model",
            "S11-M-630",
            empty="",
        ),
        column(
            "line_loss_percent",
            read_percent,
            "loss of the line behind the property boundary 线损; empty: none",
            "1.5",
            unit="%",
            empty="",
        ),
        column(
            "line_resistance_mohm",
            whole(1, 1_000_000),
            "resistance of that line, where the loss is calculated by it; empty: not",
            "250",
            unit="mΩ",
            empty=0,
        ),
        until("first day on which it is no longer this account's; empty while it is"),
    ),
)

POINT_RELATIONS = FileColumns(
    name="point_relations",
    record=rows.RelationRow,
    columns=(
        account_no(),
        usage_point(),
        choices("relation", rows.RELATIONS, "what it is to the parent"),
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
        choices("accuracy_class", rows.ACCURACY_CLASSES, "accuracy class of active energy"),
        choices("connection", rows.CONNECTIONS, "direct, or through transformers"),
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
        usage_point(),
        column("meter_no", read_code, "meter that was put there", "M-1001"),
        column(
            "installed_at",
            read_instant,
            "exact time, on the day valid_from; empty: 00:00",
            "2026-01-10 14:30",
            empty="",
        ),
        column("ratio", read_ratio, "CT ratio x VT ratio", "1"),
        *access("", REQUIRED),
        kilowatts("capacity_kw", "what the connection can carry, for plausibility", "8", REQUIRED),
        registers("initial", "what its registers showed; needed for a new connection", {}),
    ),
)

EXCHANGES = FileColumns(
    name="exchanges",
    record=rows.ExchangeRow,
    happens=True,
    columns=(
        usage_point(),
        column(
            "exchanged_at", read_instant, "exact time, on the day valid_from", "2026-02-10 10:30"
        ),
        column("old_meter_no", read_code, "meter that was there", "M-1001"),
        column("old_ratio", read_ratio, "ratio it had", "1"),
        registers("old_final", "last reading of every register of the point", REQUIRED),
        column(
            "new_meter_no",
            read_code,
            "meter that is there now; the same for another ratio; empty: taken away",
            "M-2001",
            empty="",
        ),
        column("new_ratio", read_ratio, "ratio it has", "1", empty=""),
        registers("new_initial", "first reading of every register of the point", {}),
        *access("as before", ""),
        kilowatts("capacity_kw", "what the connection can carry; empty: as before", "8", 0),
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
        ACCOUNT_COMPONENTS,
        EXTERNAL_LINES,
        METERS,
        INSTALLATIONS,
        EXCHANGES,
    )
}
"""The files, parents before children."""

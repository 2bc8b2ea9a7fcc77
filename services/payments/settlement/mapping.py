"""Files of acquirers and banks: what their columns mean is data, a mapping that a person writes.

An acquirer's day file, a bank's statement: CSV with a header, other words in each. A mapping says
which column is what, in which unit, encoding and sign, and which words mean which kind; no code is
needed for another one. `MAPPING_FIELDS` and `COLUMNS` are its whole vocabulary; examples lie in
docs/examples/payments.

Example: {"channel": "pos_http", "columns": {"at": "交易时间", "amount": "交易金额", ...},
          "kinds": {"消费": "capture", "退货": "refund"}}
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any

from libs.events.errors import BadInput
from services.payments.settlement.rows import (
    CHANNELS,
    FEE,
    KINDS,
    OTHER,
    PAYOUT,
    REFUND,
    Cells,
    SettlementRow,
    cells_of,
    day_of_text,
    header_of,
    instant_of,
    malformed,
    require,
)

MAPPING_FIELDS = {
    "name": "whose file it is, for people",
    "channel": "pos_http, wechat, alipay, or bank",
    "merchant": "of rows without a column for it",
    "encoding": "utf-8 (default), gbk or gb18030",
    "delimiter": ", (default), ; or | or a tab",
    "unit": "yuan (default) or fen",
    "sign": "as_is (default: above zero, the kind says which way) or refunds_negative",
    "time_format": "of strptime, %Y-%m-%d %H:%M:%S by default; a zone is not read, it is China's",
    "date_format": "of strptime, %Y-%m-%d by default",
    "columns": "our name of a column: the file's",
    "kinds": "a word of the kind column: capture, refund, fee, payout or other",
    "kind": "of all rows, where there is no column for it",
    "skip": "a column of the file: words whose rows are not taken",
    "footer": "a text with which a line begins that ends the list",
    "payers": "of a bank: [{contains, channel, merchant}], by the text of payer and purpose",
}
COLUMNS = {
    "transaction": "the channel's number of the payment; without it, of the five of a terminal",
    "merchant": "merchant (field 42)",
    "terminal": "terminal (field 41)",
    "batch": "batch (field 60.2)",
    "stan": "system trace number (field 11)",
    "rrn": "retrieval reference number (field 37)",
    "order_no": "our order number",
    "refund_no": "our number of the refund",
    "refund_id": "the channel's number of the refund",
    "kind": "what it is, see kinds",
    "amount": "the amount",
    "credit": "of a bank: money in, where in and out have columns of their own",
    "debit": "of a bank: money out",
    "settled": "what is settled before the fee, the amount by default",
    "fee": "the fee, 0 by default",
    "at": "time of the transaction",
    "day_on": "settlement day, the day of `at` by default",
    "payer": "of a bank: who paid",
    "purpose": "of a bank: what for",
}
BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_TERMINAL = ("merchant", "terminal", "batch", "stan")
DELIMITERS = (",", ";", "|", "\t")
_SAMPLE = datetime(2026, 1, 31, tzinfo=UTC)
UNITS = {"yuan": 100, "fen": 1}
ENCODINGS = ("utf-8", "gbk", "gb18030")
SIGNS = ("as_is", "refunds_negative")
_NAME = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Payer:
    """Who pays on a bank statement: the channel and merchant whose payout it is."""

    contains: str
    channel: str
    merchant: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FileMapping:
    """What the columns and words of a file mean; see MAPPING_FIELDS."""

    channel: str
    columns: Mapping[str, str]
    name: str = ""
    merchant: str = ""
    encoding: str = "utf-8"
    delimiter: str = ","
    unit: str = "yuan"
    sign: str = "as_is"
    time_format: str = "%Y-%m-%d %H:%M:%S"
    date_format: str = "%Y-%m-%d"
    kinds: Mapping[str, str] = field(default_factory=dict)
    kind: str = ""
    skip: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    footer: str = ""
    payers: tuple[Payer, ...] = ()


def mapping_of(document: Any) -> FileMapping:
    """The mapping in a document; BadInput names the field and the fix."""
    top = _object(document, "mapping")
    for name in top:
        if name not in MAPPING_FIELDS:
            raise BadInput(name, "is no field of a mapping", f"one of {', '.join(MAPPING_FIELDS)}")
    for name in ("channel", "columns"):
        if name not in top:
            raise BadInput(name, "is missing", MAPPING_FIELDS[name])
    texts = {
        each.name: _text(top[each.name], each.name)
        for each in fields(FileMapping)
        if each.name in top and each.name not in ("columns", "kinds", "skip", "payers")
    }
    columns = _texts(top["columns"], "columns")
    for name in columns:
        if name not in COLUMNS:
            raise BadInput(f"columns.{name}", "is not known", f"one of {', '.join(COLUMNS)}")
    mapping = FileMapping(
        **texts,
        columns=columns,
        kinds=_texts(top.get("kinds", {}), "kinds"),
        skip={
            column: _words(words, f"skip.{column}")
            for column, words in _object(top.get("skip", {}), "skip").items()
        },
        payers=tuple(
            _payer(each, f"payers[{number}]")
            for number, each in enumerate(_list(top.get("payers", []), "payers"))
        ),
    )
    _check(mapping)
    return mapping


def _check(mapping: FileMapping) -> None:
    for name, known in (
        ("channel", CHANNELS),
        ("encoding", ENCODINGS),
        ("unit", tuple(UNITS)),
        ("sign", SIGNS),
        ("kind", ("", *KINDS)),
    ):
        value = getattr(mapping, name)
        if value not in known:
            raise BadInput(
                name, f"{value!r} is not known", f"one of {', '.join(filter(None, known))}"
            )
    for word, kind in mapping.kinds.items():
        if kind not in KINDS:
            raise BadInput(f"kinds.{word}", f"{kind!r} is not known", f"one of {', '.join(KINDS)}")
    if mapping.delimiter not in DELIMITERS:
        raise BadInput("delimiter", f"{mapping.delimiter!r} is none", "write , or ; or | or a tab")
    for name, pattern in (
        ("time_format", mapping.time_format),
        ("date_format", mapping.date_format),
    ):
        if not _gives_the_day(pattern):
            raise BadInput(name, f"{pattern!r} gives no day", "write it like %Y-%m-%d")
    columns = mapping.columns
    if "amount" not in columns and not ("credit" in columns and "debit" in columns):
        raise BadInput("columns.amount", "is missing", "name amount, or credit and debit")
    if "at" not in columns and "day_on" not in columns:
        raise BadInput("columns.at", "is missing", "name at or day_on")
    if "transaction" not in columns and any(name not in columns for name in (*_TERMINAL, "day_on")):
        fix = f"name it, or {', '.join(_TERMINAL)} and day_on"
        raise BadInput("columns.transaction", "is missing", fix)
    if mapping.channel != "bank" and not (mapping.kind or ("kind" in columns and mapping.kinds)):
        raise BadInput("columns.kind", "is missing", "name it and kinds, or kind for all rows")
    if mapping.channel != "bank" and not (mapping.merchant or "merchant" in columns):
        raise BadInput("columns.merchant", "is missing", "name it, or merchant for all rows")


def _gives_the_day(pattern: str) -> bool:
    """Whether a pattern of strptime can be used, and has year, month and day."""
    try:
        found = datetime.strptime(_SAMPLE.strftime(pattern), pattern).replace(tzinfo=UTC)
    except (ValueError, re.error):  # %d twice is an error of its pattern
        return False
    return found.date() == _SAMPLE.date()


def mapped_rows(lines: Iterable[str], mapping: FileMapping) -> Iterator[SettlementRow]:
    """The rows of a file as a mapping says; lines before the header must not be there."""
    reader = csv.reader(lines, delimiter=mapping.delimiter, strict=True)
    header: tuple[str, ...] = ()
    try:
        for cells in reader:
            line = reader.line_num
            if not any(cell.strip() for cell in cells):
                continue
            if not header:
                header = header_of([cell.removeprefix(BOM) for cell in cells], line)
                require(header, [*mapping.columns.values(), *mapping.skip], line)
                continue
            if mapping.footer and cells[0].strip().startswith(mapping.footer):
                return
            found = cells_of(header, cells, line)
            if not _is_skipped(found, mapping):
                yield _row(found, mapping)
    except csv.Error as error:
        raise malformed(reader.line_num, "cells", str(error), "correct the file") from None
    if not header:
        raise malformed(1, "header", "is missing", "give the file as it was fetched")
    if mapping.footer:
        problem = f"no line begins with {mapping.footer!r}"
        raise malformed(0, "footer", problem, "the file was cut off: fetch it again")


def _is_skipped(cells: Cells, mapping: FileMapping) -> bool:
    return any(cells.by_name[column] in words for column, words in mapping.skip.items())


def _row(cells: Cells, mapping: FileMapping) -> SettlementRow:
    columns = mapping.columns

    def code(name: str) -> str:
        return cells.name(columns[name]) if name in columns else ""

    day_on, at = _times(cells, mapping)
    amount_fen = _amount(cells, mapping)
    channel, merchant, kind = mapping.channel, mapping.merchant or code("merchant"), mapping.kind
    if channel == "bank":
        channel, merchant, kind = _payer_of(cells, mapping)
    elif "kind" in columns:
        kind = cells.one_of(columns["kind"], mapping.kinds)
    if mapping.sign == "refunds_negative" and kind == REFUND:
        amount_fen = -amount_fen
    if amount_fen < 0 and kind not in (PAYOUT, OTHER, FEE):
        column = columns.get("amount", "amount")
        raise cells.wrong(column, f"a {kind} is below zero", 'see "sign" of the mapping')
    scale = UNITS[mapping.unit]
    settled_fen = amount_fen
    if "settled" in columns:
        settled_fen = abs(cells.scaled(columns["settled"], scale))
    return SettlementRow(
        channel=channel,
        merchant=merchant,
        day_on=day_on,
        kind=kind,
        transaction=code("transaction") or _terminal_transaction(cells, mapping, day_on),
        order_no=code("order_no"),
        refund_no=code("refund_no"),
        refund_id=code("refund_id"),
        rrn=code("rrn"),
        amount_fen=amount_fen,
        settled_fen=settled_fen,
        fee_fen=cells.scaled(columns["fee"], scale) if "fee" in columns else 0,
        at=at,
        state=cells.by_name[columns["kind"]] if "kind" in columns else "",
        line=cells.line,
    )


def _times(cells: Cells, mapping: FileMapping) -> tuple[str, str]:
    columns, line = mapping.columns, cells.line
    at = day_on = ""
    if "at" in columns:
        text = cells.by_name[columns["at"]]
        at = instant_of(text, mapping.time_format, line, columns["at"])
        day_on = day_of_text(text, mapping.time_format, line, columns["at"])
    if "day_on" in columns:
        text = cells.by_name[columns["day_on"]]
        day_on = day_of_text(text, mapping.date_format, line, columns["day_on"])
        at = at or instant_of(text, mapping.date_format, line, columns["day_on"])
    return day_on, at


def _amount(cells: Cells, mapping: FileMapping) -> int:
    columns, scale = mapping.columns, UNITS[mapping.unit]
    if "amount" in columns:
        return cells.scaled(columns["amount"], scale)
    given = [name for name in ("credit", "debit") if cells.by_name[columns[name]]]
    if not given:
        both = f"{columns['credit']}, {columns['debit']}"
        raise cells.wrong(both, "are empty", "money came in or went out: fetch the file again")
    credit, debit = (
        cells.scaled(columns[name], scale) if name in given else 0 for name in ("credit", "debit")
    )
    return credit - debit


def _payer_of(cells: Cells, mapping: FileMapping) -> tuple[str, str, str]:
    """Channel, merchant and kind of a line of a bank statement."""
    text = " ".join(
        cells.by_name[mapping.columns[name]]
        for name in ("payer", "purpose")
        if name in mapping.columns
    )
    for payer in mapping.payers:
        if payer.contains in text:
            return payer.channel, payer.merchant, PAYOUT
    return "bank", mapping.merchant, OTHER


def _terminal_transaction(cells: Cells, mapping: FileMapping, day_on: str) -> str:
    """As `channels.pos.transaction_id` names a sale: the row and its callback must be one.

    A terminal of ours (`pos_8583`) names no day (docs/adr/0016), so neither does its row.
    """
    if "transaction" in mapping.columns:
        column = mapping.columns["transaction"]
        raise cells.wrong(column, "is empty", "the file is not whole: fetch it again")
    parts = [cells.needed(mapping.columns[name]) for name in _TERMINAL]
    day = () if mapping.channel == "pos_8583" else (day_on.replace("-", ""),)
    return "-".join((*parts, *day))


def _object(value: Any, field_name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise BadInput(field_name, "is no object of names", "write it like the example")
    return value


def _list(value: Any, field_name: str) -> list[Any]:
    if not isinstance(value, list):
        raise BadInput(field_name, "is no list", "write it like the example")
    return value


def _text(value: Any, field_name: str) -> str:
    if not isinstance(value, str) or not value:
        raise BadInput(field_name, "is empty or no text", 'write a text, numbers in quotes: "42"')
    return value


def _texts(value: Any, field_name: str) -> dict[str, str]:
    return {
        name: _text(text, f"{field_name}.{name}")
        for name, text in _object(value, field_name).items()
    }


def _words(value: Any, field_name: str) -> tuple[str, ...]:
    return tuple(_text(word, field_name) for word in _list(value, field_name))


def _payer(value: Any, field_name: str) -> Payer:
    found = _texts(value, field_name)
    if set(found) != {"contains", "channel", "merchant"}:
        raise BadInput(field_name, "is no payer", "give contains, channel and merchant")
    if found["channel"] not in CHANNELS:
        raise BadInput(f"{field_name}.channel", "is not known", f"one of {', '.join(CHANNELS)}")
    if not _NAME.fullmatch(found["merchant"]):
        raise BadInput(f"{field_name}.merchant", "is no name", "use 0-9 A-Z a-z _ -")
    return Payer(**found)

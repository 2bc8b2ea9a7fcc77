"""`gridledger payments import`: a settlement file, checked whole, given to the settlement stage.

FILE and the options are those of `payments parse`. What is taken is told apart by channel, merchant
and day: the same rows again change nothing, other rows are a new version. A file that is refused is
told, too: it stands in quarantine with its line and reason (status 2). A fund-flow bill is not
taken: the trade bill has its lines, and the bank's statement says what was paid out.

`--json` prints {"file", "sha256", "rows", "passed_over": rows of a bank that are no payout of a
channel, "sheets": [{"kind", "channel", "merchant", "day_on", "rows", "sheet_id"}]}.
"""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.errors import BadInput
from services.cli.payments_parse import (
    ENCODINGS,
    Reading,
    RefusedFile,
    declared_hash,
    reading_of,
    require_hash,
)
from services.cli.records import named
from services.cli.row_values import fixed_line, now_at
from services.cli.watched import watched
from services.payments.bookings import POSTINGS, settlement_key
from services.payments.settlement.requests import (
    BANK,
    TRADE,
    FileRefused,
    RowsSubmitted,
    files_catalogue,
)
from services.payments.settlement.rows import PAYOUT, SettlementRow
from services.payments.settlement.sheets import FileFacts, Place, parts_of
from services.payments.settlement.source import SourceFile, opened
from services.payments.settlement.wechat_bills import BOM, FUNDS_FIRST

SHEET_WIDTHS = (8, 8, 18, 10, -6)
SHEET_HEADER = ("kind", "channel", "merchant", "day", "rows")


def import_file(
    file: Annotated[str, typer.Argument(help="What was fetched; -: standard input.")],
    channel: Annotated[str, typer.Option(help="wechat, alipay, pos or bank.")],
    by: Annotated[str, typer.Option(help="Who imports it.")],
    mapping: Annotated[
        Path | None, typer.Option(help="What the columns mean (pos, bank).", metavar="FILE")
    ] = None,
    merchant: Annotated[str, typer.Option(help="Where the file does not name it.")] = "",
    day: Annotated[str, typer.Option(help="The bill's day, where it is known.")] = "",
    sha1: Annotated[str, typer.Option(help="The hash_value that the channel declared.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="JSON instead of text.")] = False,
) -> None:
    """Give a settlement file to payments: whole, or not at all.

    The same file again changes nothing; a changed one is a new version, with
    what differs. A file without rows needs --merchant and --day: a day
    without trade. See `payments cases` for what comes of it.
    """
    show(give_file(file, channel, by, mapping, merchant, day, sha1), as_json)


def give_file(
    file: str,
    channel: str,
    by: str,
    mapping: Path | None = None,
    merchant: str = "",
    day: str = "",
    sha1: str = "",
) -> dict[str, Any]:
    """Give a file to payments; what was given, as `--json` prints it. RefusedFile when nothing of
    it is taken, which payments is told, too."""
    by = named("--by", by, "people must be able to ask back")
    reading, declared = reading_of(channel, mapping, merchant, day), declared_hash(sha1)
    from services.settings import load_settings
    from services.wiring import open_producer

    with opened(file) as source:
        sha256, found_sha1 = source.hashes()
        refused: RefusedFile | None = None
        rows: tuple[SettlementRow, ...] = ()
        try:
            require_hash(source, declared, found_sha1)
            require_trade(source, reading)
            rows = tuple(watched(reading.rows(source), "rows"))
        except RefusedFile as wrong:
            refused = wrong
        facts = FileFacts(
            kind=BANK if channel == BANK else TRADE,
            file_sha256=sha256,
            name=Path(source.name).name,
            submitted_at=now_at(),
            submitted_by=by,
        )
    records: list[tuple[str, RowsSubmitted | FileRefused]]
    if refused is not None:
        told = refused_file(refused, facts, channel, merchant)
        records = [(settlement_key(told.channel, told.merchant), told)]
    else:
        parts = parts_of(rows, facts, empty_place(channel, merchant, day, rows))
        records = [(settlement_key(each.channel, each.merchant), each) for each in parts]
    producer = open_producer(load_settings().settings, "payments.files", files_catalogue)
    with closing(producer):
        producer.append_many([producer.outgoing(POSTINGS, key, body) for key, body in records])
    if refused is not None:
        raise refused
    return document(facts, rows, [body for _, body in records])


def require_trade(source: SourceFile, reading: Reading) -> None:
    """RefusedFile for a fund-flow bill."""
    if reading.channel != "wechat":
        return
    first = next(source.lines(ENCODINGS["wechat"]), "")
    if first.removeprefix(BOM).startswith(FUNDS_FIRST):
        raise RefusedFile(
            *(source.name, "is a fund-flow bill [file_columns_unknown]", "import the trade bill"),
            cause="file_columns_unknown",
            line=1,
            column="header",
            reason="is a fund-flow bill",
        )


def empty_place(
    channel: str, merchant: str, day: str, rows: tuple[SettlementRow, ...]
) -> Place | None:
    """Where a file without rows belongs; BadInput when nobody says it."""
    if rows or channel == BANK:
        return None
    if not merchant or not day:
        option = "--day" if merchant else "--merchant"
        raise BadInput(option, "is missing, the file has no rows", "say whose day had no trade")
    return ("pos_http" if channel == "pos" else channel, merchant, day)


def refused_file(
    refused: RefusedFile, facts: FileFacts, channel: str, merchant: str
) -> FileRefused:
    """What is told of a file that is wrong."""
    return FileRefused(
        file_sha256=facts.file_sha256,
        name=facts.name,
        channel="pos_http" if channel == "pos" else channel,
        merchant=merchant,
        cause=refused.cause,
        line=refused.line,
        field=refused.column,
        problem=refused.reason,
        submitted_at=facts.submitted_at,
        submitted_by=facts.submitted_by,
    )


def document(facts: FileFacts, rows: tuple[SettlementRow, ...], parts: list[Any]) -> dict[str, Any]:
    """What was given, as `--json` prints it."""
    sheets: dict[tuple[str, ...], dict[str, Any]] = {}
    for part in parts:
        place = (part.kind, part.channel, part.merchant, part.day_on)
        names = ("kind", "channel", "merchant", "day_on")
        sheet = sheets.setdefault(
            place, {**dict(zip(names, place, strict=True)), "rows": 0, "sheet_id": part.sheet_id}
        )
        sheet["rows"] += len(part.rows)
    passed_over = sum(row.kind != PAYOUT for row in rows) if facts.kind == BANK else 0
    return {
        "file": facts.name,
        "sha256": facts.file_sha256,
        "rows": len(rows),
        "passed_over": passed_over,
        "sheets": list(sheets.values()),
    }


def show(found: dict[str, Any], as_json: bool) -> None:
    """What was given to payments."""
    if as_json:
        print(json.dumps(found, ensure_ascii=False))
        return
    print(f"{found['file']}: {found['rows']} rows given; payments decides")
    if found["passed_over"]:
        print(f"{found['passed_over']} rows of the bank are no payout of a channel")
    print(fixed_line(SHEET_HEADER, SHEET_WIDTHS))
    for sheet in found["sheets"]:
        cells = (sheet["kind"], sheet["channel"], sheet["merchant"], sheet["day_on"])
        print(fixed_line((*cells, str(sheet["rows"])), SHEET_WIDTHS))

"""`gridledger payments parse`: a settlement file, checked whole, as rows of one kind.

FILE is what was fetched: a WeChat trade bill or fund-flow bill (CSV or gzip), an Alipay zip or the
detail in it, an acquirer's day file or a bank statement (CSV, with --mapping). It is read twice:
first to its end, with every check (cells, summary, SHA-1), then for what is shown; a file that is
wrong anywhere gives no row at all. One line is held at a time. With --previous the rows of the
older version are held (about 300 bytes each).

--mapping FILE: what the columns mean, YAML or JSON; fields and words stand in
services/payments/settlement/mapping.py, examples in docs/examples/payments.

`--json` prints one object about the file, then one a row:

    {"file", "channel", "sha256", "sha1", "sha1_checked", "summary_checked", "rows",
     "totals": [{"day_on", "channel", "merchant", "kind", "rows", "amount_fen", "settled_fen",
                 "fee_fen"}],
     "previous": {"file", "identical", "changes": [{"what": added | removed | changed, "kind",
                  "transaction", "refund_no", "before_fen", "after_fen", "before_fee_fen",
                  "after_fee_fen"}]} or null}
    {"channel", "merchant", "day_on", "kind": capture | refund | fee | payout | other,
     "transaction", "order_no", "refund_no", "refund_id", "rrn", "account_no", "amount_fen",
     "settled_fen", "fee_fen", "at", "state", "line"}

A file that is identical to --previous has nothing to take: no rows are printed. Status 0, or 2 for
a file that is refused, with line, column and reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import typer

from libs.events.documents import parse_yaml, read_text
from libs.events.errors import BadInput
from libs.events.quantities import format_yuan
from services.cli.row_values import day_until_today, fixed_line, now_at
from services.cli.watched import watched
from services.payments.settlement import alipay_bill, wechat_bills
from services.payments.settlement.mapping import FileMapping, mapped_rows, mapping_of
from services.payments.settlement.rows import FileRefusedError, SettlementRow
from services.payments.settlement.source import SourceFile, opened
from services.payments.settlement.versions import Change, changes

CHANNELS = ("wechat", "alipay", "pos", "bank")
ENCODINGS = {"wechat": "utf-8", "alipay": "gb18030"}
_SHA1 = re.compile(r"[0-9a-f]{40}")
_MERCHANT = re.compile(r"[0-9A-Za-z_-]{1,64}", re.ASCII)
FIELDS = tuple(each.name for each in fields(SettlementRow))
TOTAL_WIDTHS = (10, 8, 18, 8, -6, -14, -9)
TOTAL_HEADER = ("day", "channel", "merchant", "kind", "rows", "yuan", "fee")
ROW_WIDTHS = (-6, 10, 8, 40, -12)
ROW_HEADER = ("line", "day", "kind", "transaction", "yuan")

Total = tuple[str, str, str, str]


class RefusedFile(BadInput):
    """A file of which nothing may be taken: where and why, apart from the line for people."""

    def __init__(
        self, place: str, problem: str, fix: str, *, cause: str, line: int, column: str, reason: str
    ) -> None:
        self.cause, self.line, self.column, self.reason = cause, line, column, reason
        super().__init__(place, problem, fix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a file is read."""

    channel: str
    mapping: FileMapping | None
    merchant: str
    day_on: str

    def rows(self, source: SourceFile) -> Iterator[SettlementRow]:
        """The rows of the file; BadInput names file, line and column of what refuses it."""
        encoding = self.mapping.encoding if self.mapping else ENCODINGS[self.channel]
        lines = source.lines(encoding)
        latest_at = now_at()
        try:
            if self.mapping is not None:
                found = mapped_rows(lines, self.mapping)
            elif self.channel == "wechat":
                found = wechat_bills.bill_rows(lines, self.merchant, self.day_on)
            else:
                found = alipay_bill.bill_rows(lines, self.merchant, self.day_on)
            for row in found:
                if row.at > latest_at:
                    reason = f"{row.at} is in the future"
                    raise RefusedFile(
                        *(f"{source.name} line {row.line}", reason, "fetch it again"),
                        cause="malformed",
                        line=row.line,
                        column="at",
                        reason=reason,
                    )
                yield row
        except FileRefusedError as refused:
            place = f"{source.name} line {refused.line}" if refused.line else source.name
            problem = f"{refused.problem} [{refused.cause}]"
            raise RefusedFile(
                *(f"{place} {refused.field}", problem, refused.fix),
                cause=refused.cause,
                line=refused.line,
                column=refused.field,
                reason=refused.problem,
            ) from None


def parse(
    file: Annotated[str, typer.Argument(help="What was fetched; -: standard input.")],
    channel: Annotated[str, typer.Option(help="wechat, alipay, pos or bank.")],
    mapping: Annotated[
        Path | None, typer.Option(help="What the columns mean (pos, bank).", metavar="FILE")
    ] = None,
    merchant: Annotated[str, typer.Option(help="Where the file does not name it.")] = "",
    day: Annotated[str, typer.Option(help="The bill's day, where it is known.")] = "",
    sha1: Annotated[str, typer.Option(help="The hash_value that the channel declared.")] = "",
    previous: Annotated[
        str, typer.Option(help="The version before: is it identical, what differs?", metavar="FILE")
    ] = "",
    rows: Annotated[bool, typer.Option("--rows", help="Show each row, too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> int:
    """Check a settlement file whole and show what is in it, in fen.

    Summary rows are compared with the rows, SHA-1 with what was declared.
    Nothing is taken of a file that is wrong anywhere: line, column and reason
    are named, status 2.
    """
    reading = reading_of(channel, mapping, merchant, day)
    with opened(file) as source:
        facts = facts_of(source, reading, declared_hash(sha1))
        same = False
        if previous:
            with opened(previous) as older:
                facts["previous"] = compared(older, source, reading, facts["sha256"])
                same = facts["previous"]["identical"]
        found = iter(()) if same else reading.rows(source)
        if as_json:
            print(json.dumps(facts, ensure_ascii=False))
            for row in found:
                print(json.dumps(asdict(row), ensure_ascii=False))
        else:
            show(facts)
            if rows:
                show_rows(found)
    return 0


def reading_of(channel: str, mapping: Path | None, merchant: str, day: str) -> Reading:
    """How the file is to be read; BadInput names the option that is wrong."""
    if channel not in CHANNELS:
        raise BadInput("--channel", f"{channel!r} is not known", f"one of {', '.join(CHANNELS)}")
    with_mapping = channel not in ENCODINGS
    if with_mapping and mapping is None:
        fix = "say what the columns mean: see docs/calculations.md"
        raise BadInput("--mapping", f"is missing, {channel} needs it", fix)
    if mapping is not None and not with_mapping:
        raise BadInput("--mapping", f"{channel} has columns of its own", "leave it out")
    if merchant and not _MERCHANT.fullmatch(merchant):
        raise BadInput("--merchant", f"{merchant!r} is no name", "use 0-9 A-Z a-z _ -")
    if day:
        day_until_today("--day", day)
    found = read_mapping(mapping) if mapping else None
    if found and (found.channel == "bank") != (channel == "bank"):
        raise BadInput(f"{mapping} channel", f"is {found.channel}", f"give one for {channel}")
    return Reading(channel=channel, mapping=found, merchant=merchant, day_on=day)


def read_mapping(path: Path) -> FileMapping:
    """The mapping in a YAML or JSON file."""
    document = parse_yaml(read_text(path), str(path), "write it like the example")
    try:
        return mapping_of(document)
    except BadInput as error:
        raise BadInput(f"{path} {error.field}", error.problem, error.fix) from None


def declared_hash(text: str) -> str:
    """The SHA-1 that a channel declared, in lower case."""
    found = text.lower()
    if found and not _SHA1.fullmatch(found):
        raise BadInput("--sha1", f"{text!r} is no SHA-1", "give 40 hex digits (hash_value)")
    return found


def facts_of(source: SourceFile, reading: Reading, sha1: str) -> dict[str, Any]:
    """The whole file read once, with every check: what `--json` prints about it."""
    sha256, found_sha1 = source.hashes()
    require_hash(source, sha1, found_sha1)
    totals: dict[Total, list[int]] = {}
    count = 0
    for row in watched(reading.rows(source), "rows"):
        count += 1
        key = (row.day_on, row.channel, row.merchant, row.kind)
        total = totals.setdefault(key, [0, 0, 0, 0])
        for at, number in enumerate((1, row.amount_fen, row.settled_fen, row.fee_fen)):
            total[at] += number
    names = (
        "day_on",
        "channel",
        "merchant",
        "kind",
        "rows",
        "amount_fen",
        "settled_fen",
        "fee_fen",
    )
    return {
        "file": source.name,
        "channel": reading.channel,
        "sha256": sha256,
        "sha1": found_sha1,
        "sha1_checked": bool(sha1),
        "summary_checked": reading.mapping is None,
        "rows": count,
        "totals": [
            dict(zip(names, (*key, *total), strict=True)) for key, total in sorted(totals.items())
        ],
        "previous": None,
    }


def require_hash(source: SourceFile, declared: str, found: str) -> None:
    """RefusedFile when the file is not what the channel declared; "" declares nothing."""
    if declared and declared != found:
        reason = f"SHA-1 is {found}, not {declared}"
        raise RefusedFile(
            *(source.name, f"{reason} [file_hash_mismatch]", "fetch it again; take none of it"),
            cause="file_hash_mismatch",
            line=0,
            column="sha1",
            reason=reason,
        )


def compared(
    older: SourceFile, source: SourceFile, reading: Reading, sha256: str
) -> dict[str, Any]:
    """Whether the file is the older one again, and what differs."""
    if older.hashes()[0] == sha256:
        return {"file": older.name, "identical": True, "changes": []}
    found = changes(reading.rows(older), reading.rows(source))
    return {
        "file": older.name,
        "identical": False,
        "changes": [change_document(each) for each in found],
    }


def change_document(change: Change) -> dict[str, Any]:
    """A row that differs, as `--json` prints it."""
    row = change.after or change.before
    assert row is not None
    return {
        "what": change.what,
        "kind": row.kind,
        "transaction": row.transaction,
        "refund_no": row.refund_no,
        "before_fen": change.before.amount_fen if change.before else None,
        "after_fen": change.after.amount_fen if change.after else None,
        "before_fee_fen": change.before.fee_fen if change.before else None,
        "after_fee_fen": change.after.fee_fen if change.after else None,
    }


def show(facts: dict[str, Any]) -> None:
    """What is known of the file, for people."""
    print(f"{facts['file']}: {facts['channel']}, {facts['rows']} rows, whole")
    print(f"  SHA-256  {facts['sha256']}")
    told = "as declared" if facts["sha1_checked"] else "not compared: give --sha1"
    print(f"  SHA-1    {facts['sha1']}, {told}")
    told = "agrees with the rows" if facts["summary_checked"] else "such a file has none"
    print(f"  summary  {told}")
    if facts["previous"]:
        show_changes(facts["previous"])
    print()
    print(fixed_line(TOTAL_HEADER, TOTAL_WIDTHS))
    for total in facts["totals"]:
        cells = (
            *(total[name] for name in ("day_on", "channel", "merchant", "kind")),
            str(total["rows"]),
            format_yuan(total["amount_fen"]),
            format_yuan(total["fee_fen"]),
        )
        print(fixed_line(cells, TOTAL_WIDTHS))


def show_changes(previous: dict[str, Any]) -> None:
    """How the file differs from the version before."""
    if previous["identical"]:
        print(f"  version  identical to {previous['file']}: nothing to take")
        return
    print(f"  version  new, {len(previous['changes'])} rows differ from {previous['file']}")
    for each in previous["changes"]:
        print(f"    {each['what']:8} {each['kind']:8} {each['transaction']}")
        for name in ("before", "after"):
            if each[f"{name}_fen"] is not None:
                amount, fee = each[f"{name}_fen"], each[f"{name}_fee_fen"]
                print(f"      {name:6} {format_yuan(amount)}, fee {format_yuan(fee)}")


def show_rows(found: Iterator[SettlementRow]) -> None:
    """The rows as a table."""
    print()
    print(fixed_line(ROW_HEADER, ROW_WIDTHS))
    for row in found:
        cells = (str(row.line), row.day_on, row.kind, row.transaction, format_yuan(row.amount_fen))
        print(fixed_line(cells, ROW_WIDTHS))

"""`gridledger dlq`: dead letters, one at a time and untouched, and the way back (docs/adr/0008)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from libs.events.audit import Reader
from libs.events.dead_letters import (
    DeadLetter,
    LetterRedriven,
    Position,
    find_letter,
    letters,
    parse_position,
    redrive,
    traces,
)
from libs.events.edge import utc_now
from libs.events.errors import BadInput
from libs.events.kafka import TransactionalWriter
from libs.events.topics import TopicTable, load_topics
from services.cli.records import named, open_cluster, open_records
from services.settings import load_settings

app = typer.Typer(help="Dead letters: what could not be decoded, why, and the way back.")
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
FromFiles = Annotated[
    Path | None,
    typer.Option("--from-files", help="Read an export instead of the broker.", metavar="DIR"),
]
Letter = Annotated[
    str, typer.Argument(help="Its position, TOPIC/PARTITION/OFFSET.", metavar="LETTER")
]
WRITER_ID = "gridledger-dlq"
"""One transactional id for all redrives of an installation: a second one fences the first."""

ROW_BYTES = 16


def _open(from_files: Path | None) -> tuple[Reader, TopicTable]:
    reader, partitions = open_records(from_files)
    return reader, load_topics(partitions)


def dead_letter_topics(table: TopicTable, core: str = "") -> list[str]:
    """All dead-letter topics, or that of one core; BadInput for a core that has none."""
    found = [name for name in table.topics if name.endswith(".dlq")]
    if not core:
        return found
    if f"{core}.dlq" not in found:
        known = ", ".join(name.removesuffix(".dlq") for name in found)
        raise BadInput("--core", f"{core!r} has no dead letters", f"one of {known}")
    return [f"{core}.dlq"]


@app.command("list", epilog="Example: gridledger dlq list --core payments --json")
def list_command(
    core: Annotated[str, typer.Option(help="Only those of one core.")] = "",
    from_files: FromFiles = None,
    as_json: AsJson = False,
) -> None:
    """List dead letters: where they lie, why, where they came from, and what became of them."""
    dead_letter_topics(load_topics(), core)  # a wrong name is told without a broker
    reader, table = _open(from_files)
    rows = []
    for topic in dead_letter_topics(table, core):
        for partition in range(table.count):
            redriven = traces(reader, topic, partition)
            rows += [
                _row(letter, redriven.get(str(letter.at)))
                for letter in letters(reader, topic, partition)
            ]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    shown = Table("letter", "came from", "since (UTC)", "what", "why", "redriven")
    for row in rows:
        done = f"{row['redriven_at']} {row['redriven_by']}" if row["redriven_at"] else ""
        since = row["dead_since"]
        shown.add_row(row["letter"], row["origin"], since, row["reason"], row["error"], done)
    console = Console()
    console.print(shown)
    left = sum(not row["redriven_at"] for row in rows)
    console.print(f"{len(rows)} dead letters, {left} of them not redriven", highlight=False)


def _row(letter: DeadLetter, done: LetterRedriven | None) -> dict[str, Any]:
    since = datetime.fromtimestamp(letter.dead_since_ms / 1000, UTC)
    return {
        "letter": str(letter.at),
        "topic": letter.at.topic,
        "partition": letter.at.partition,
        "offset": letter.at.offset,
        "core": letter.core,
        "origin": str(letter.origin),
        "dead_since": since.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "reason": letter.reason,
        "error": letter.error,
        "redriven_at": done.redriven_at if done else "",
        "redriven_by": done.redriven_by if done else "",
        "redriven_for": done.reason if done else "",
    }


@app.command("show", epilog="Example: gridledger dlq show payments.dlq/0/3")
def show_command(letter: Letter, from_files: FromFiles = None, as_json: AsJson = False) -> None:
    """Show one dead letter: every header and the untouched bytes, as numbers and as text."""
    at = parse_position(letter)
    reader, table = _open(from_files)
    found = find_letter(reader, _known(at, table))
    after = found.at.offset + 1
    done = traces(reader, found.at.topic, found.at.partition, after).get(str(found.at))
    document = _row(found, done) | {
        "key": _bytes_document(found.key),
        "headers": [
            {"name": name, **(_bytes_document(value) or {})} for name, value in found.headers
        ],
        "value": _bytes_document(found.value),
    }
    if as_json:
        print(json.dumps(document, ensure_ascii=False, indent=1))
        return
    for name in ("letter", "origin", "core", "dead_since", "reason", "error"):
        print(f"{name:<12}{document[name]}")
    if done is not None:
        print(f"{'redriven':<12}{done.redriven_at} by {done.redriven_by}: {done.reason}")
    print(f"{'key':<12}{'none' if found.key is None else _visible(found.key)}")
    for name, value in found.headers:
        print(f"{'header':<12}{name}: {_visible(value)}")
    print(f"{'value':<12}{len(found.value)} bytes")
    for line in hex_lines(found.value):
        print(line)


def _known(at: Position, table: TopicTable) -> Position:
    if at.topic not in dead_letter_topics(table):
        raise BadInput(
            "LETTER", f"{at.topic!r} is no dead-letter topic", "`gridledger dlq list` shows them"
        )
    if at.partition >= table.count:
        raise BadInput("LETTER", f"{at.topic} has {table.count} partitions", "a smaller number")
    return at


def _bytes_document(value: bytes | None) -> dict[str, str] | None:
    return None if value is None else {"hex": value.hex(), "text": _visible(value)}


def _visible(value: bytes) -> str:
    """Bytes as text for people: what is no UTF-8, and control characters, as escapes."""
    text = value.decode("utf-8", errors="backslashreplace")
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in text
    )


def hex_lines(value: bytes) -> list[str]:
    """Offset, numbers and text of bytes, sixteen a line."""
    lines = []
    for first in range(0, len(value), ROW_BYTES):
        row = value[first : first + ROW_BYTES]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{first:08x}  {row.hex(' '):<{ROW_BYTES * 3 - 1}}  |{text}|")
    return lines


@app.command(
    "redrive",
    epilog='Example: gridledger dlq redrive payments.dlq/0/3 --by li --reason "fixed in 1.3"',
)
def redrive_command(
    letter: Letter,
    by: Annotated[str, typer.Option(help="Who does it.")],
    reason: Annotated[str, typer.Option(help="Why it will be decoded this time.")],
    as_json: AsJson = False,
) -> None:
    """Write a dead letter back to the partition it came from, once, and leave a trace."""
    by = named("--by", by, "say who redrives the letter")
    reason = named("--reason", reason, "say why it will be decoded this time")
    settings = load_settings().settings
    table = load_topics(settings.partitions)
    at = _known(parse_position(letter), table)
    reader = open_cluster(settings)
    trace = redrive(
        find_letter(reader, at),
        table,
        reader,
        lambda: TransactionalWriter(settings.kafka(), WRITER_ID),
        by=by,
        reason=reason,
        at=utc_now(),
    )
    if as_json:
        print(
            json.dumps(
                {
                    "letter": trace.dead_letter,
                    "redriven_at": trace.redriven_at,
                    "to_topic": trace.to_topic,
                    "to_partition": trace.to_partition,
                }
            )
        )
        return
    print(f"{trace.dead_letter}: written back to {trace.to_topic}/{trace.to_partition}")

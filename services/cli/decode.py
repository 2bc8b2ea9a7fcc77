"""`gridledger decode`: the frames in a capture, with every byte explained.

    gridledger decode HEX|FILE|- --protocol dlt645-2007 [--json]

HEX is hex text (one argument or several), FILE holds bytes or text of hex digits (its content
decides, see `capture_file`), `-` is standard input. The capture is read piece by piece.

Exit 0: at least one frame, and nothing skipped but lead bytes and noise. 1: no frame, or a frame
was broken (checksum, end, length, address, incomplete). 2: bad input.

With --json every line is an object:

    {"kind": "frame", "protocol": "...", "offset": 4, "raw_hex": "...", "summary": "...",
     "parts": [{"offset": 0, "raw_hex": "68", "name": "start", "value": "", "unit": "", "obis": "",
                "reason": ""}, ...],
     "fields": {"address": "...", ...}, "inner": [frame, ...]}
    {"kind": "skipped", "offset": 0, "bytes": 4, "raw_hex": "...", "reason": "lead"}

Offsets of parts and of inner frames count from the first byte of their frame. `value` holds exact
decimal digits or a text; `reason` says why there is none (no_value, non_bcd, secret, unknown, ...).
Password bytes are `xx`, and so is what may be one in a broken frame. `fields` depends on the
protocol; its values are the quantities with OBIS.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import chain, zip_longest
from textwrap import wrap
from typing import Annotated

import typer

from services.cli.capture_file import read_capture
from services.cli.watched import watched
from services.ingest.protocols.catalogue import EXPLAINERS, open_explainer
from services.ingest.protocols.dlt645.masking import masked_noise
from services.ingest.protocols.explanation import Explained, Explainer, Part, Unexplained
from services.settings import load_settings

HARMLESS = frozenset({"lead", "noise"})
"""Skipped bytes that are no broken frame."""
_SKIPPED_HEX = 32
_WIDTHS = (6, 20, 26, 20)
_HEADINGS = ("offset", "bytes", "name", "value and unit")

app = typer.Typer(help="Find the frames in a capture and explain every byte.")


@app.command(epilog="Example: gridledger decode capture.bin --protocol dlt645-2007 --json")
def decode(
    capture: Annotated[
        list[str], typer.Argument(help="Hex text, a file (bytes or hex text), or -.")
    ],
    protocol: Annotated[
        str,
        typer.Option(help=f"One of {', '.join(EXPLAINERS)}, or a map (modbus_sdm630)."),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print one object a line.")] = False,
) -> None:
    """Find the frames in a capture and explain every byte.

    Exit 0: a frame, and nothing skipped but lead bytes and noise.
    Exit 1: no frame, or a broken one. Exit 2: bad input.
    Passwords are never shown.
    """
    explainer = open_explainer(protocol, load_settings().settings.modbus_maps_dir)
    frames = broken = 0
    for found in explain_capture(explainer, _shown_pieces(capture)):
        if isinstance(found, Explained):
            frames += 1
        elif found.reason not in HARMLESS:
            broken += 1
        shown = _without_passwords(found)
        print(json_line(shown) if as_json else "\n".join(lines_of(shown)))
    if not as_json:
        print(f"frames: {frames}, broken: {broken}")
    if broken or not frames:
        raise typer.Exit(1)


def _without_passwords(found: Explained | Unexplained) -> Explained | Unexplained:
    """A frame has them masked; what is no frame may be the rest of one that had a password."""
    if isinstance(found, Explained):
        return found
    return replace(found, raw_hex=masked_noise(bytes.fromhex(found.raw_hex)))


def explain_capture(
    explainer: Explainer, pieces: Iterator[bytes]
) -> Iterator[Explained | Unexplained]:
    """Everything in a capture, in order."""
    for piece in pieces:
        yield from explainer.feed(piece)
    yield from explainer.end()


def _shown_pieces(words: list[str]) -> Iterator[bytes]:
    """The capture, with progress on standard error when a person looks and the output is not there.

    The first piece is read at once, so that bad input is told before anything is printed.
    """
    pieces = read_capture(words)
    first = next(pieces, b"")
    yield from watched(chain((first,), pieces), "bytes read", len, prints=True)


def json_line(found: Explained | Unexplained) -> str:
    """One finding as an object of the documented schema."""
    if isinstance(found, Unexplained):
        row: dict[str, object] = {
            "kind": "skipped",
            "offset": found.offset,
            "bytes": len(found.raw_hex) // 2,
            "raw_hex": found.raw_hex,
            "reason": found.reason,
        }
    else:
        row = {"kind": "frame"} | asdict(found)
    return json.dumps(row, ensure_ascii=False)


def lines_of(found: Explained | Unexplained, base: int = 0) -> Iterator[str]:
    """One finding as lines of at most 80 columns."""
    if isinstance(found, Unexplained):
        shown = found.raw_hex[:_SKIPPED_HEX]
        more = "..." if len(found.raw_hex) > _SKIPPED_HEX else ""
        size = len(found.raw_hex) // 2
        yield f"skipped at {found.offset}: {size} bytes, {found.reason}: {shown}{more}"
        return
    size = len(found.raw_hex) // 2
    text = f"frame at {base + found.offset}, {size} bytes: {found.summary}"
    yield from wrap(text, 80, subsequent_indent="    ", break_on_hyphens=False)
    yield _columns(_HEADINGS)
    for part in found.parts:
        yield from _part_lines(part)
    for inner in found.inner:
        yield from (f"    {line}" for line in lines_of(inner))


def _part_lines(part: Part) -> Iterator[str]:
    value = f"{part.value} {part.unit}".strip() if part.value else part.reason
    if part.obis and part.value:
        value = f"{value} ({part.obis})"
    cells = (str(part.offset), part.raw_hex, part.name, value)
    columns = [wrap(cell, width) for cell, width in zip(cells, _WIDTHS, strict=True)]
    for row in zip_longest(*columns, fillvalue=""):
        yield _columns(row)


def _columns(cells: tuple[str, ...]) -> str:
    offset, raw, name, value = cells
    return f"  {offset:>6}  {raw:<20}  {name:<26}  {value}".rstrip()

"""`gridledger protocols archive`: what a concentrator has in its archive, against our register.

    gridledger protocols archive CAPTURE... --installed installations.csv [--json]

CAPTURE holds the concentrator's answers to 0AH F10 (hex text, a file, or -): ask for them with
`gridledger encode --protocol qgdw376 archive-query`. The register is the file of an import
(installations.csv, CSV or JSON lines): its rows with protocol qgdw376 count, and of each meter the
last one. Concentrators that answered nothing are not compared.

Exit 0: they agree. 1: meters are missing in the archive, foreign to the register, at another point,
or claimed twice. 2: bad input, also a capture without an archive, or with a broken frame.

--json: an array of {"concentrator", "entries", "missing": [{"address", "pn"}],
"foreign": [{"number", "pn", "address"}], "moved": [{"address", "pn", "registered_pn"}],
"twice": ["p4" or an address, ...]}, by concentrator.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from services.cli.capture_file import read_capture
from services.cli.row_file import read_rows
from services.ingest.behind import QGDW376, parse_behind
from services.ingest.protocols.failures import BadReply
from services.ingest.protocols.framing import Skipped
from services.ingest.protocols.qgdw376.archive import (
    ArchiveDifference,
    ArchiveEntry,
    compare_archive,
)
from services.ingest.protocols.qgdw376.frame import QUERY, Frame, FrameReader
from services.ingest.protocols.qgdw376.points import decode_identifier
from services.ingest.protocols.qgdw376.replies import decode_archive
from services.ingest.protocols.qgdw376.requests import ARCHIVE_FN

COLUMNS = ("usage_point", "protocol", "address")


def archive(
    capture: Annotated[
        list[str], typer.Argument(help="Answers to 0AH F10: hex text, a file, or -.")
    ],
    installed: Annotated[
        str, typer.Option("--installed", help="installations.csv of an import.", metavar="FILE")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare a concentrator's archive with the register: missing, foreign and moved meters."""
    archives = _archives(capture)
    register = _register(installed)
    found = {
        name: compare_archive(entries, register.get(name, {}))
        for name, entries in sorted(archives.items())
    }
    if as_json:
        rows = [_document(name, archives[name], each) for name, each in found.items()]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        for name, each in found.items():
            _show(name, archives[name], each)
    if not all(each.is_empty for each in found.values()):
        raise typer.Exit(1)


def _archives(capture: list[str]) -> dict[str, list[ArchiveEntry]]:
    """The entries in use, by concentrator; what else the capture holds does not matter here."""
    archives: dict[str, list[ArchiveEntry]] = {}
    for frame in _frames(capture):
        identifier = decode_identifier(frame.body)
        is_archive = identifier is not None and identifier.fns == (ARCHIVE_FN,)
        if frame.afn != QUERY or not frame.from_terminal or not is_archive:
            continue
        try:
            entries = decode_archive(frame)
        except BadReply as wrong:
            raise BadInput("capture", wrong.problem, "capture the answer again") from None
        archives.setdefault(str(frame.address), []).extend(each for each in entries if each.pn)
    if not archives:
        raise BadInput("capture", "has no archive", "give the answers to 0AH F10")
    return archives


def _frames(capture: list[str]) -> Iterator[Frame]:
    reader = FrameReader()
    found: list[Frame | Skipped] = []
    for piece in read_capture(capture):
        found += reader.feed(piece)
    for each in found + reader.finish():
        if isinstance(each, Frame):
            yield each
        elif each.reason not in ("noise", "lead"):
            problem = f"has a broken frame ({each.reason}), so the archive may not be whole"
            raise BadInput("capture", problem, "capture the answer again")


def _register(path: str) -> dict[str, dict[str, int]]:
    """Meter to point, by concentrator."""
    register: dict[str, dict[str, int]] = {}
    for row in read_rows(path, COLUMNS):
        if row.optional("protocol") != QGDW376:
            continue
        try:
            place = parse_behind(row.text("address"))
        except BadInput as wrong:
            raise row.wrong("address", wrong.problem, wrong.fix or "") from None
        for meters in register.values():
            meters.pop(place.meter, None)
        register.setdefault(place.concentrator, {})[place.meter] = place.pn
    return register


def _document(name: str, entries: list[ArchiveEntry], found: ArchiveDifference) -> dict[str, Any]:
    return {
        "concentrator": name,
        "entries": len(entries),
        "missing": [{"address": address, "pn": pn} for address, pn in found.missing],
        "foreign": [
            {"number": each.number, "pn": each.pn, "address": each.address}
            for each in found.foreign
        ],
        "moved": [
            {"address": each.address, "pn": each.pn, "registered_pn": each.registered_pn}
            for each in found.moved
        ],
        "twice": list(found.twice),
    }


def _show(name: str, entries: list[ArchiveEntry], found: ArchiveDifference) -> None:
    print(f"{name}: {len(entries)} entries" + (", as registered" if found.is_empty else ""))
    if found.is_empty:
        return
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in ("finding", "meter", "archive", "register"):
        table.add_column(heading, no_wrap=True)
    for address, pn in found.missing:
        table.add_row("missing", address, "", f"p{pn}")
    for entry in found.foreign:
        table.add_row("foreign", entry.address, f"p{entry.pn}", "")
    for moved in found.moved:
        table.add_row("moved", moved.address, f"p{moved.pn}", f"p{moved.registered_pn}")
    for text in found.twice:
        is_point = text.startswith("p")
        table.add_row("twice", "" if is_point else text, text if is_point else "", "")
    Console().print(table)

"""`gridledger protocols`: how meters are read, and register maps of Modbus meters as data.

A model of meter that speaks Modbus needs a file, no code: copy one (`show`), change it, `check` it,
and put it in the directory that GRIDLEDGER_MODBUS_MAPS_DIR names; docs/modbus-maps.md tells more.

`list --json` is an array of {"protocol", "kind", "name", "registers", "unconfirmed", "requests",
"needs"}; kind: built_in, register_map or optional; needs: the extra to install, "" when it is
there; registers, unconfirmed and requests are 0 where there is no map.
`check --json` is an array of {"file", "protocol", "name", "rounding", "requests": [{"function",
"address", "count"}], "registers": [{"address", "function", "type", "word_order", "obis", "name",
"unit", "scale", "decimals", "least", "most", "source", "confirmed"}]}; decimals as texts, least and
most "" when there is no limit.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled
from services.cli.concentrator_archive import archive
from services.cli.row_file import STANDARD_INPUT
from services.ingest.protocols.modbus_map_file import SHIPPED, load_map, load_maps, parse_map
from services.ingest.protocols.modbus_registers import Register, RegisterMap, plan_reads
from services.settings import load_settings

app = typer.Typer(
    no_args_is_help=True,
    help="Protocols of meters, Modbus register maps, archives of concentrators.",
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Files = Annotated[list[str], typer.Argument(help="Maps (YAML), or - .", metavar="FILE...")]
MapsDir = Annotated[
    Path | None,
    typer.Option("--maps", help="Directory with own maps; default: the setting.", metavar="DIR"),
]
app.command(epilog="Example: gridledger protocols archive answer.hex --installed inst.csv")(archive)
BUILT_IN = (
    ("dlt645_2007", "DL/T 645-2007"),
    ("qgdw376", "Q/GDW 376.1, through a concentrator"),
    ("manual", "read by a person"),
)
OPTIONAL = (
    ("dlt698", "DL/T 698.45", "dlt698"),
    ("dlms", "DLMS/COSEM, IEC 62056", "dlms_cosem"),
)


@app.command("list", epilog="Example: gridledger protocols list --maps our-maps --json")
def list_protocols(maps: MapsDir = None, as_json: AsJson = False) -> None:
    """List what meters can be read with: built in, register maps, and optional extras."""
    found = load_maps(maps or load_settings().settings.modbus_maps_dir)
    rows = [_row(name, "built_in", text) for name, text in BUILT_IN]
    rows += [_map_row(found[name]) for name in sorted(found)]
    for name, text, module in OPTIONAL:
        there = importlib.util.find_spec(module) is not None
        rows.append(_row(name, "optional", text, "" if there else f"gridledger[{name}]"))
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=1))
        return
    table = _table("protocol", "kind", "name", "registers", "needs")
    for row in rows:
        count = f"{row['registers']}, {row['unconfirmed']} unconfirmed" if row["registers"] else ""
        table.add_row(row["protocol"], row["kind"], row["name"], count, row["needs"])
    Console().print(table)


@app.command(epilog="Example: gridledger protocols check ours.yaml")
def check(files: Files, as_json: AsJson = False) -> None:
    """Read register maps, say what is wrong by line and field, and what a meter will be asked."""
    found = [(name, _read(name)) for name in files]
    if as_json:
        print(json.dumps([_document(*each) for each in found], ensure_ascii=False, indent=1))
        return
    for name, wanted in found:
        print(f"{name}: {wanted.protocol}, {wanted.name}, {len(wanted.registers)} registers")
        for read in plan_reads(wanted):
            print(
                f"asks {read.count} words from {read.address:04X}H, function {read.function:02X}H"
            )
        table = _table("at", "type", "obis", "name", "unit", "scale", "plausible", "")
        for row in wanted.registers:
            table.add_row(
                f"{row.address:04X}H",
                row.type,
                row.obis,
                row.name,
                row.unit or "1",
                format_scaled(row.factor, row.scale),
                _bounds(row),
                "" if row.confirmed else "?",
            )
        Console().print(table)
        if any(not row.confirmed for row in wanted.registers):
            print("? unconfirmed: compare it with the manual or the display of a meter")


@app.command(epilog="Example: gridledger protocols show modbus_sdm120 > ours.yaml")
def show(
    protocol: Annotated[str, typer.Argument(help="A shipped map, of `list`.", metavar="PROTOCOL")],
) -> None:
    """Print the file of a shipped register map: an example to change."""
    files = {load_map(path).protocol: path for path in sorted(SHIPPED.glob("*.yaml"))}
    if protocol not in files:
        raise BadInput(
            "PROTOCOL", f"{protocol!r} is not shipped", f"use {', '.join(sorted(files))}"
        )
    print(files[protocol].read_text(encoding="utf-8"), end="")


def _table(*names: str) -> Table:
    """A table whose codes are never cut: only names may take two lines."""
    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for name in names:
        table.add_column(name, no_wrap=name != "name", overflow="fold")
    return table


def _read(name: str) -> RegisterMap:
    if name != STANDARD_INPUT:
        return load_map(Path(name))
    try:
        return parse_map(sys.stdin.buffer.read().decode("utf-8-sig"), "standard input")
    except UnicodeDecodeError:
        raise BadInput("standard input", "is not UTF-8 text", "save it as UTF-8") from None


def _row(protocol: str, kind: str, name: str, needs: str = "") -> dict[str, Any]:
    return {
        "protocol": protocol,
        "kind": kind,
        "name": name,
        "registers": 0,
        "unconfirmed": 0,
        "requests": 0,
        "needs": needs,
    }


def _map_row(wanted: RegisterMap) -> dict[str, Any]:
    return _row(wanted.protocol, "register_map", wanted.name) | {
        "registers": len(wanted.registers),
        "unconfirmed": sum(1 for row in wanted.registers if not row.confirmed),
        "requests": len(plan_reads(wanted)),
    }


def _limit(value: int | None, scale: int) -> str:
    return "" if value is None else format_scaled(value, scale)


def _bounds(row: Register) -> str:
    if row.least is None and row.most is None:
        return ""
    return f"{_limit(row.least, row.scale)}..{_limit(row.most, row.scale)}"


def _document(name: str, wanted: RegisterMap) -> dict[str, Any]:
    return {
        "file": name,
        "protocol": wanted.protocol,
        "name": wanted.name,
        "rounding": wanted.rounding,
        "requests": [
            {"function": read.function, "address": read.address, "count": read.count}
            for read in plan_reads(wanted)
        ],
        "registers": [
            {
                "address": row.address,
                "function": wanted.function_of(row),
                "type": row.type,
                "word_order": row.word_order,
                "obis": row.obis,
                "name": row.name,
                "unit": row.unit or "1",
                "scale": format_scaled(row.factor, row.scale),
                "decimals": len(str(row.scale)) - 1,
                "least": _limit(row.least, row.scale),
                "most": _limit(row.most, row.scale),
                "source": row.source,
                "confirmed": row.confirmed,
            }
            for row in wanted.registers
        ],
    }

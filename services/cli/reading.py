"""`gridledger reading`: enter what a person read at a meter."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer

from libs.events.audit import Reader, scan
from libs.events.errors import BadInput
from libs.events.record import partition_of
from services.cli.records import named, open_cluster
from services.customers.cells import read_code, read_kwh, read_register
from services.customers.days import read_day
from services.ingest.api import enter_reading
from services.ingest.events import edge_catalogue
from services.settings import load_settings
from services.wiring import open_producer

SUPPLY = "customers.supply"

app = typer.Typer(help="Readings: enter what a person read at the meter.")


@app.callback()
def reading() -> None:
    """Readings: enter what a person read at the meter."""


@app.command(
    epilog="Example: gridledger reading enter P-0001 M-0001 2026-02-12 1-0:1.8.0=1234.56 --by zhou"
)
def enter(
    usage_point: Annotated[str, typer.Argument(help="The usage point.", metavar="POINT")],
    meter_no: Annotated[str, typer.Argument(help="The meter that was read.", metavar="METER")],
    day_on: Annotated[
        str, typer.Argument(help="The day at whose end it showed this.", metavar="DAY")
    ],
    registers: Annotated[
        list[str], typer.Argument(help="OBIS=kWh (or kvarh), repeatable.", metavar="REGISTER=VALUE")
    ],
    by: Annotated[str, typer.Option(help="Who read it.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Enter a manual reading; it closes an open field order and is a source of its own."""
    read_code(usage_point, "POINT")
    read_code(meter_no, "METER")
    read_day(day_on, "DAY")
    values = read_registers(registers)
    by = named("--by", by, "say who read the meter")
    settings = load_settings().settings
    require_point(open_cluster(settings), settings.partitions, usage_point)
    producer = open_producer(settings, "ingest.edge", edge_catalogue)
    reading_id = enter_reading(
        producer,
        usage_point=usage_point,
        meter_no=meter_no,
        day_on=day_on,
        registers=values,
        entered_by=by,
    )
    producer.close()
    print(json.dumps({"reading_id": reading_id}) if as_json else f"{reading_id} entered")


def read_registers(texts: Sequence[str]) -> dict[str, int]:
    """What each register showed, in Wh or varh; BadInput names the one that is wrong."""
    values: dict[str, int] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            fix = "write it like 1-0:1.8.0=1234.56"
            raise BadInput("REGISTER", f"{text!r} is no register", fix)
        read_register(name, "REGISTER")
        if name in values:
            raise BadInput("REGISTER", f"{name} is given twice", "give each once")
        values[name] = read_kwh(value, name)
    return values


def require_point(reader: Reader, partitions: int, usage_point: str) -> None:
    """BadInput when nobody has imported this usage point."""
    partition = partition_of(usage_point, partitions)
    key = usage_point.encode()
    if not any(record.key == key for record in scan(reader, SUPPLY, partition)):
        fix = "see `gridledger customers import`"
        raise BadInput("POINT", f"there is no usage point {usage_point!r}", fix)

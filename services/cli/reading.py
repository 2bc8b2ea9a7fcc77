"""`gridledger reading`: enter what a person read at a meter."""

from __future__ import annotations

import json
from datetime import date
from typing import Annotated

import typer

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH, parse_scaled
from services.ingest.api import enter_reading
from services.ingest.events import edge_catalogue
from services.settings import load_settings
from services.wiring import open_producer

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
    try:
        date.fromisoformat(day_on)
    except ValueError:
        raise BadInput("DAY", f"{day_on!r} is no date", "write it like 2026-01-31") from None
    values = dict(_register(text) for text in registers)
    producer = open_producer(load_settings().settings, "ingest.edge", edge_catalogue)
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


def _register(text: str) -> tuple[str, int]:
    name, equals, value = text.partition("=")
    if not equals or not name.startswith("1-0:"):
        raise BadInput("REGISTER", f"{text!r} is no register", "write it like 1-0:1.8.0=1234.56")
    return name, parse_scaled(value, WH_PER_KWH, name)

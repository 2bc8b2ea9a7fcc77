"""An order to read a DL/T 698.45 meter: the day freeze, then its clock and voltages.

The day freeze is an object with one row a day; of it the registers that the point is billed by are
asked, then, in one list, what the meter shows now. Load curves are not read.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

from services.ingest.days import parse_instant
from services.ingest.events import ReadingOrdered
from services.ingest.lines import Turn
from services.ingest.protocols.dlt645.values import NO_VALUE, Quantity
from services.ingest.protocols.dlt698 import civil_time_of, parse_oad, quantities
from services.ingest.protocols.dlt698_session import SERIAL_698, STANDARD_698, Dlt698Session
from services.ingest.reading_shown import Keep, Shown

CLOCK, VOLTAGES = "40000200", "20000200"
ENERGIES = {
    "1-0:1.8": "00100200",
    "1-0:2.8": "00200200",
    "1-0:5.8": "00500200",
    "1-0:6.8": "00600200",
    "1-0:7.8": "00700200",
    "1-0:8.8": "00800200",
}
"""Which object holds which registers, the total first and then the rates."""
ZONE = timedelta(minutes=480)
"""A meter's clock runs in China's zone."""


def read_dlt698(order: ReadingOrdered, turn: Turn, clock: Callable[[], str], keep: Keep) -> Shown:
    """Carry out one order; see `reading_shown.Reader`."""
    if order.kind == "profile":
        return Shown(cause="not_held", detail="load curves of DL/T 698.45 meters are not read")
    wanted = sorted({oad for group, oad in ENERGIES.items() if _asks(order, group)})
    profile = SERIAL_698 if order.line.startswith("serial:") else STANDARD_698
    session = Dlt698Session(turn.talk, order.address, profile)
    try:
        freeze = session.read_freeze(date.fromisoformat(order.day_on), wanted)
        if freeze.refused:
            return Shown(cause="refused", detail=f"day freeze: {freeze.refused}")
        if not freeze.held:
            return Shown(cause="not_held", detail=f"no day freeze of {order.day_on}")
        now = session.read((CLOCK, VOLTAGES))
    finally:
        keep(session.exchanges)
    looked_at = parse_instant(clock())
    civil = None if isinstance(now[CLOCK], int) else civil_time_of(now[CLOCK])
    offset_s = None if civil is None else int((civil - ZONE - looked_at).total_seconds())
    volts: tuple[Quantity, ...] = ()
    if not isinstance(now[VOLTAGES], int):
        volts = quantities(parse_oad(VOLTAGES), now[VOLTAGES])
    found = {each.obis: each for each in freeze.quantities}
    return Shown(
        registers=tuple(found.get(code, _absent(code)) for code in order.registers),
        present=volts,
        clock_offset_s=offset_s,
    )


def _asks(order: ReadingOrdered, group: str) -> bool:
    return any(register.rsplit(".", 1)[0] == group for register in order.registers)


def _absent(code: str) -> Quantity:
    """A register that the freeze does not have: told, never left out."""
    return Quantity(obis=code, name=code, unit="", scale=1, value=None, bad=NO_VALUE)

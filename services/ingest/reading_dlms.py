"""An order to read a DLMS/COSEM meter: its registers as those of 24:00, its voltages and its clock.

A meter's billing profiles differ by maker, so none is taken for granted: as with Modbus, what the
registers show soon after 24:00 counts for that day, and nothing later.
"""

from __future__ import annotations

from collections.abc import Callable

from libs.events.errors import BadInput
from services.ingest.days import day_end, parse_instant
from services.ingest.events import ReadingOrdered
from services.ingest.lines import Turn
from services.ingest.protocols.dlms_session import DlmsSession
from services.ingest.reading_shown import Keep, Shown

LATEST_MIN = 60
"""How late a register still counts for 24:00, as for a Modbus meter."""


def read_dlms(order: ReadingOrdered, turn: Turn, clock: Callable[[], str], keep: Keep) -> Shown:
    """Carry out one order; see `reading_shown.Reader`."""
    if order.kind == "profile":
        return Shown(cause="not_held", detail="load profiles of DLMS meters are not read")
    late_min = (parse_instant(clock()) - parse_instant(day_end(order.day_on))).total_seconds() / 60
    if late_min > LATEST_MIN:
        problem = f"no freeze is read of a DLMS meter, and 24:00 was {int(late_min)} min ago"
        return Shown(cause="not_held", detail=problem)
    if not order.line.startswith("tcp:"):
        raise BadInput("line", f"{order.line!r} for a DLMS meter", "tcp:HOST:PORT")
    session = DlmsSession(turn.talk, order.address)
    try:
        found = session.registers(order.registers)
        shown_at = session.clock()
    finally:
        keep(session.exchanges)
        turn.hang_up()
    if all(each.value is None for each in found):
        problem = f"the meter gives none of {', '.join(order.registers)}"
        return Shown(cause="refused", detail=problem)
    offset_s = None
    if shown_at is not None:
        offset_s = int((shown_at - parse_instant(clock())).total_seconds())
    return Shown(registers=found, clock_offset_s=offset_s)

"""Where a meter behind a concentrator is: the text in the address of its installation.

    protocol  qgdw376
    line      tcp:HOST:PORT (we dial the concentrator) or listen:HOST:PORT (it dials in to us there)
    address   0200-1234/17/000000000161: concentrator, measurement point Pn, the meter's own address

The concentrator is one line, however many meters are behind it: `tcp:HOST:PORT/0200-1234`. The
meter's own address is what a forwarded frame names and what the archive is compared with, so that
a value is never booked by the number of a point alone.

    reach("qgdw376", "tcp:192.0.2.9:5100", "0200-1234/17/000000000161")
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import is_meter_address
from services.ingest.protocols.qgdw376.frame import parse_address
from services.ingest.protocols.qgdw376.points import MAX_PN

QGDW376 = "qgdw376"
EXAMPLE = "0200-1234/17/000000000161"


@dataclass(frozen=True, slots=True)
class Behind:
    """A meter's place: its concentrator (AREA-TERMINAL), its point Pn, its own address."""

    concentrator: str
    pn: int
    meter: str


def parse_behind(address: str) -> Behind:
    """The place that an installation's address names; BadInput says what is wrong with it."""
    parts = address.split("/")
    if len(parts) != 3:
        problem = f"{address!r} names no meter behind a concentrator"
        raise BadInput("address", problem, f"write it like {EXAMPLE}")
    terminal = parse_address(parts[0])
    number = int(parts[1]) if parts[1].isascii() and parts[1].isdecimal() else 0
    if not terminal.names_one:
        raise BadInput("address", f"{parts[0]} names no one concentrator", "give 0001 to FFFE")
    if not 1 <= number <= MAX_PN:
        raise BadInput("address", f"{parts[1]!r} is no measurement point", f"give 1 to {MAX_PN}")
    if not is_meter_address(parts[2]):
        raise BadInput("address", f"{parts[2]!r} is no meter's address", "give its 12 digits")
    return Behind(str(terminal), number, parts[2])


def reach(protocol: str, line: str, address: str) -> tuple[str, str]:
    """The line that a meter is talked to on, and its own address there.

    BadInput when a meter behind a concentrator has another kind of address or line.
    """
    if protocol != QGDW376:
        return line, address
    place = parse_behind(address)
    if not line.startswith(("tcp:", "listen:")) or "/" in line:
        problem = f"{line!r} reaches no concentrator"
        raise BadInput("line", problem, "write tcp:HOST:PORT or listen:HOST:PORT")
    return f"{line}/{place.concentrator}", place.meter


def lane_name(protocol: str, line: str, address: str) -> str:
    """The line by which orders are put in a queue; one that means nothing queues by itself."""
    try:
        return reach(protocol, line, address)[0]
    except BadInput:
        return line

"""What a meter showed, whatever it speaks: the shape between a protocol's reader and `reading`.

A reader carries out the questions of one order on a line that is its turn, keeps every exchange as
evidence as it goes, and raises a ProtocolError like a session does.

    read_dlt698(order, turn, clock, keep) -> Shown
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from services.ingest.events import ReadingOrdered
from services.ingest.lines import Turn
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.failures import Exchange

Keep = Callable[[tuple[Exchange, ...]], None]
"""Takes exchanges as evidence, in the order they passed the wire."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """registers: of 24:00 of the day that was ordered; present: as they are now (voltages);
    clock_offset_s: how far the meter's clock is ahead, None when it was not told. cause: empty, or
    why there is no reading (a cause of `ReadFailed`), with `detail` for a person."""

    registers: tuple[Quantity, ...] = ()
    present: tuple[Quantity, ...] = ()
    clock_offset_s: int | None = None
    cause: str = ""
    detail: str = ""


Reader = Callable[[ReadingOrdered, Turn, Callable[[], str], Keep], Shown]

"""A meter's slot table: by which times of which days it counts in which rate (DL/T 645-2007).

    block = read_slot_table(session)
    block.zones, block.day_tables["1"]      ("01-01=1",), ("00:00=4", "07:00=3")

Year zones (0401 0000), the day tables that they name (0401 00NN), public holidays (0403 00NN, as
many as 0400 0205 says), and the weekly rest days with their table (0400 0801, 0400 0802). Only the
first set of tables is read: a meter that is to switch to its second set says so by what the first
one holds afterwards. A meter without holidays or rest days refuses those, which is no failure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.failures import Exchange, ProtocolError

if TYPE_CHECKING:
    from services.ingest.protocols.session import MeterSession

ZONES_DI, HOLIDAY_COUNT_DI = "04010000", "04000205"
REST_WORD_DI, REST_TABLE_DI = "04000801", "04000802"


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotTableBlock:
    """The tables as texts, numbers without leading zeros; refused: why the meter gave none."""

    zones: tuple[str, ...] = ()
    day_tables: dict[str, tuple[str, ...]]
    special_days: tuple[str, ...] = ()
    rest_weekdays: tuple[int, ...] = ()
    rest_table: int = 0
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


class _Reader:
    """Asks one DI after another and keeps the evidence."""

    def __init__(self, session: MeterSession) -> None:
        self.session = session
        self.exchanges: list[Exchange] = []
        self.refused: tuple[str, ...] = ()

    def ask(self, di: str) -> tuple[Quantity, ...]:
        """The values of a DI, () where the meter refuses it; BadReply for what is no value."""
        found = self.session.read(di)
        wrong = [each.bad for each in found.quantities if each.bad]
        if wrong:
            raise self.session.bad_reply(f"{di} has a value that is none: {wrong[0]}")
        self.exchanges += found.exchanges
        self.refused = found.refused
        return found.quantities

    def texts(self, di: str) -> tuple[str, ...]:
        """`08:00=03` as `08:00=3`, each once: a meter fills a table with its last line."""
        lines = (each.text.partition("=") for each in self.ask(di))
        return tuple(dict.fromkeys(f"{left}={int(number)}" for left, _, number in lines))

    def number(self, di: str) -> int:
        """A number, 0 where the meter refuses it."""
        return next((each.value or 0 for each in self.ask(di)), 0)


def read_slot_table(session: MeterSession) -> SlotTableBlock:
    """Everything that says which rate counts when; NoReply, BadReply or LineDown as any read."""
    reader = _Reader(session)
    try:
        return _read(reader, session.profile.rest_day_bit)
    except ProtocolError:
        session.keep_exchanges(reader.exchanges)
        raise


def _read(reader: _Reader, rest_day_bit: int) -> SlotTableBlock:
    zones = reader.texts(ZONES_DI)
    if reader.refused:
        return SlotTableBlock(
            day_tables={}, refused=reader.refused, exchanges=tuple(reader.exchanges)
        )
    holidays = range(1, reader.number(HOLIDAY_COUNT_DI) + 1)
    special = [text for number in holidays for text in reader.texts(f"040300{number:02X}")]
    weekdays = _rest_weekdays(reader, rest_day_bit)
    rest_table = reader.number(REST_TABLE_DI) if weekdays else 0
    named = {int(text.partition("=")[2]) for text in (*zones, *special)} | {rest_table}
    return SlotTableBlock(
        zones=zones,
        day_tables={
            str(number): reader.texts(f"040100{number:02X}") for number in sorted(named - {0})
        },
        special_days=tuple(special),
        rest_weekdays=weekdays if rest_table else (),
        rest_table=rest_table,
        exchanges=tuple(reader.exchanges),
    )


def _rest_weekdays(reader: _Reader, rest_day_bit: int) -> tuple[int, ...]:
    """The weekdays, Monday 0, whose bit says rest; bit 0 is Sunday, bit 1 Monday."""
    for found in reader.ask(REST_WORD_DI):
        word = int(found.text, 16)
        bits = [day for day in range(7) if word >> (day + 1) % 7 & 1 == rest_day_bit]
        return tuple(bits)
    return ()

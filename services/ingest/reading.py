"""One order to read, carried out on a line: what the meter said, or why it said nothing.

Raw frames come along with every result; whether a value is good is validation's business. Nothing
here knows Kafka. Times are business time: that of the order, or, live, the wall clock's, which is
finer and does not stand still while an order waits for its line.

    read_order(order, lines, "2026-02-01T16:10:00Z", utc_now)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from libs.events.errors import BadInput
from services.ingest.behind import QGDW376, reach
from services.ingest.days import day_end, day_of, parse_instant
from services.ingest.events import (
    DemandPeak,
    ProfileRead,
    ReadFailed,
    ReadingOrdered,
    RegistersRead,
    SlotTableRead,
)
from services.ingest.line_file import parse_line
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines, Turn
from services.ingest.protocols.dlt645.profile import STANDARD, Dlt645Profile
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.failures import (
    BadReply,
    Exchange,
    LineDown,
    NoReply,
    ProtocolError,
)
from services.ingest.protocols.modbus import RegisterMap, shipped_maps
from services.ingest.protocols.modbus_rtu import ModbusRtuSession
from services.ingest.protocols.modbus_tcp import ModbusSession
from services.ingest.protocols.session import ClockResult, MeterSession, RelayStatus
from services.ingest.protocols.slot_table import read_slot_table
from services.ingest.reading_dlms import read_dlms
from services.ingest.reading_dlt698 import read_dlt698
from services.ingest.reading_shown import Reader, Shown

VOLTAGES_DI = "0201FF00"
MODBUS = "modbus_"
"""How the protocols of installations begin that a register map reads."""

MODBUS_LATEST_MIN = 60
"""A Modbus meter keeps no freeze: its register counts for 24:00 only this soon after."""

FREEZE_PARTS = {
    "1-0:1.8": "01",
    "1-0:2.8": "02",
    "1-0:5.8": "05",
    "1-0:6.8": "06",
    "1-0:7.8": "07",
    "1-0:8.8": "08",
    "1-0:1.6": "09",
}
"""Which part of a daily freeze (DI1 of 0506xxnn) holds which registers."""

SOURCES = {"dlt645_2007": "dlt645_2007", QGDW376: "qgdw376_forwarded"}
"""What a DL/T 645 meter is asked with, and what is said of where its values come from."""

Wall = Callable[[], str]
EXTRA_READERS: dict[str, Reader] = {"dlt698": read_dlt698, "dlms": read_dlms}
"""Protocols whose packages are optional extras, by the names of installations."""
CAUSES = {NoReply: "no_reply", BadReply: "bad_reply", LineDown: "line_down"}
Outcome = RegistersRead | ProfileRead | SlotTableRead | ReadFailed
Sorted = tuple[dict[str, int], dict[str, str], tuple[DemandPeak, ...]]
"""What a reading has of its registers: energies, flaws, demands, as in RegistersRead."""


class Evidence:
    """The frames of one order, in the order they passed the wire; `before`: of earlier tries."""

    def __init__(self, before: Iterable[str] = ()) -> None:
        self.frames: list[str] = list(before)

    def add(self, exchanges: tuple[Exchange, ...]) -> None:
        """Keep what was sent (>), received (<) and no frame (?), password bytes masked already."""
        for exchange in exchanges:
            if exchange.sent_hex:
                self.frames.append(f">{exchange.sent_hex}")
            self.frames += [f"<{frame}" for frame in exchange.received_hex]
            self.frames += [f"?{noise}" for noise in exchange.noise_hex if noise]
            self.add(exchange.carried)


def read_order(
    order: ReadingOrdered,
    lines: Lines,
    ordered_at: str,
    wall: Wall | None = None,
    before: tuple[str, ...] = (),
    maps: Mapping[str, RegisterMap] | None = None,
) -> Outcome:
    """Carry out one order. `ordered_at`: the business time it was given; `wall`: the wall clock
    where business time is the wall clock's, None where it is simulated; `before`: the frames of
    the tries before this one, which are evidence too; `maps`: register maps of Modbus meters by
    protocol, the shipped ones when not given."""
    evidence = Evidence(before)
    clock: Wall = wall or (lambda: ordered_at)
    try:
        priority = Priority.RETRY if before else Priority.SCHEDULED
        if order.kind == "slot_table" and order.protocol not in SOURCES:
            return _failed(order, "not_held", "the meter says no slot table", ordered_at, [])
        if order.protocol.startswith(MODBUS):
            wanted = (shipped_maps() if maps is None else maps).get(order.protocol)
            if wanted is None:
                problem = f"there is no register map {order.protocol} (GRIDLEDGER_MODBUS_MAPS_DIR)"
                return _failed(order, "refused", problem, ordered_at, [])
            with lines.taken(order.line, priority) as turn:
                asked = _modbus_session(order, wanted, turn)
                return _read_modbus(order, asked, evidence, ordered_at, clock)
        extra = EXTRA_READERS.get(order.protocol)
        if extra is not None:
            with lines.taken(order.line, priority) as turn:
                shown = extra(order, turn, clock, evidence.add)
            return _shown_outcome(order, shown, evidence, ordered_at)
        if order.protocol not in SOURCES:
            problem = f"nobody reads {order.protocol} remotely"
            return _failed(order, "refused", problem, ordered_at, [])
        line, address = reach(order.protocol, order.line, order.address)
        with lines.taken(line, priority) as turn:
            session = MeterSession(turn, address, _profile_of(order))
            try:
                if order.kind == "profile":
                    return _read_profile(order, session, evidence, ordered_at)
                if order.kind == "slot_table":
                    return _read_slot_table(order, session, evidence, ordered_at, clock)
                return _read_freeze(order, session, evidence, ordered_at, clock)
            except ProtocolError:
                evidence.add(session.take_exchanges())
                raise
    except ProtocolError as error:
        cause = CAUSES.get(type(error), "bad_reply")
        return _failed(order, cause, error.problem, ordered_at, evidence.frames)
    except BadInput as error:
        return _failed(order, "refused", str(error), ordered_at, evidence.frames)


def _profile_of(order: ReadingOrdered) -> Dlt645Profile:
    """Only what the point is billed by is read: a residential meter has no reactive registers."""
    parts = {
        FREEZE_PARTS[register.rsplit(".", 1)[0]]
        for register in order.registers
        if register.rsplit(".", 1)[0] in FREEZE_PARTS
    }
    classes = (4, 5) if parts & {"05", "06", "07", "08"} else (4,)
    return replace(STANDARD, freeze_parts=tuple(sorted(parts or {"01"})), load_classes=classes)


def _read_freeze(
    order: ReadingOrdered, session: MeterSession, evidence: Evidence, now_at: str, clock: Wall
) -> Outcome:
    nth = (parse_instant(day_end(day_of(clock()))) - parse_instant(day_end(order.day_on))).days
    freeze = session.read_daily_freeze(max(nth, 1))
    evidence.add(freeze.exchanges)
    if freeze.refused:
        problem = f"freeze {nth}: {', '.join(freeze.refused)}"
        return _failed(order, "refused", problem, now_at, evidence.frames)
    if freeze.day_on != order.day_on:
        problem = f"freeze {nth} is of {freeze.day_on or 'no midnight'}, not {order.day_on}"
        return _failed(order, "bad_reply", problem, now_at, evidence.frames)
    status = session.read_relay_status()
    evidence.add(status.exchanges)
    shown = session.read_clock()
    looked_at = clock()
    evidence.add(shown.exchanges)
    volts = session.read(VOLTAGES_DI)
    evidence.add(volts.exchanges)
    return _freeze_read(
        order,
        SOURCES[order.protocol],
        _sort(freeze.quantities, order),
        evidence.frames,
        now_at,
        present=volts.quantities,
        clock_offset_s=_offset_s(shown, looked_at),
        relay=relay_word(status),
    )


def _freeze_read(
    order: ReadingOrdered,
    source: str,
    found: Sorted,
    frames: list[str],
    now_at: str,
    *,
    present: Iterable[Quantity] = (),
    clock_offset_s: int | None = None,
    relay: str = "",
) -> RegistersRead:
    """The reading of 24:00 that an order asked for; `present`: what was read of the moment, of
    which the voltages are kept."""
    registers, flaws, demands = found
    return RegistersRead(
        reading_id=_reading_id(order, frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        kind="daily_freeze",
        source=source,
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        registers=registers,
        flaws=flaws,
        demands=demands,
        voltages={
            each.obis: each.value * 10 // each.scale
            for each in present
            if each.unit == "V" and each.value is not None
        },
        clock_offset_s=clock_offset_s,
        relay=relay,
        frames=tuple(frames),
    )


def _offset_s(shown: ClockResult, looked_at: str) -> int | None:
    """How far a meter's clock is ahead of ours; None when it showed no time."""
    if not shown.meter_at:
        return None
    return int((parse_instant(shown.meter_at) - parse_instant(looked_at)).total_seconds())


def relay_word(status: RelayStatus) -> str:
    """How the relay stands: closed, open, button (open, and the customer may close it), "" unknown.

    Only the bit that was confirmed counts: a meter told to open that has not opened is closed.
    """
    if status.is_open is None:
        return ""
    if not status.is_open:
        return "closed"
    return "button" if status.state == "close_permitted" else "open"


def _sort(quantities: tuple[Quantity, ...], order: ReadingOrdered) -> Sorted:
    """Energy registers, the ones without a value, and demands.

    Of energy only the registers that were ordered, all when the order names none: a block brings
    rates that nobody bills, and of which no crew notes the final reading at an exchange.
    A demand has four decimals of a kW on the wire: tenths of a watt are cut off, as the meter cuts
    off what it does not show.
    """
    registers: dict[str, int] = {}
    flaws: dict[str, str] = {}
    demands: list[DemandPeak] = []
    for quantity in quantities:
        obis = quantity.obis.partition("*")[0]
        if quantity.unit != "W" and order.registers and obis not in order.registers:
            continue
        if quantity.value is None:
            flaws[obis] = quantity.bad or "no_value"
        elif quantity.unit == "W":
            demands.append(
                DemandPeak(
                    register=obis,
                    demand_w=quantity.value // quantity.scale,
                    occurred_at=quantity.at,
                )
            )
        else:
            registers[obis] = quantity.value // quantity.scale
    return registers, flaws, tuple(demands)


def _read_profile(
    order: ReadingOrdered, session: MeterSession, evidence: Evidence, now_at: str
) -> Outcome:
    block = session.read_profile(order.day_on)
    evidence.add(block.exchanges)
    if block.refused and not any(
        value is not None for column in block.registers.values() for value in column
    ):
        return _failed(order, "refused", ", ".join(block.refused), now_at, evidence.frames)
    source = SOURCES[order.protocol]
    return _profile_read(order, source, dict(block.registers), evidence.frames, now_at)


def _profile_read(
    order: ReadingOrdered,
    source: str,
    snapshots: dict[str, tuple[int | None, ...]],
    frames: list[str],
    now_at: str,
) -> ProfileRead:
    return ProfileRead(
        reading_id=_reading_id(order, frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        source=source,
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        snapshots=snapshots,
        frames=tuple(frames),
    )


def _read_slot_table(
    order: ReadingOrdered, session: MeterSession, evidence: Evidence, now_at: str, clock: Wall
) -> Outcome:
    block = read_slot_table(session)
    evidence.add(block.exchanges)
    if block.refused:
        problem = f"the meter gives no slot table: {', '.join(block.refused)}"
        return _failed(order, "not_held", problem, now_at, evidence.frames)
    shown = session.read_clock()
    looked_at = clock()
    evidence.add(shown.exchanges)
    return SlotTableRead(
        reading_id=_reading_id(order, evidence.frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        source=SOURCES[order.protocol],
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        zones=block.zones,
        day_tables=block.day_tables,
        special_days=block.special_days,
        rest_weekdays=block.rest_weekdays,
        rest_table=block.rest_table,
        clock_offset_s=_offset_s(shown, looked_at),
        frames=tuple(evidence.frames),
    )


def _modbus_session(
    order: ReadingOrdered, registers: RegisterMap, turn: Turn
) -> ModbusSession | ModbusRtuSession:
    line = parse_line(order.line)
    if not order.address.isdecimal():
        raise BadInput("address", f"{order.address!r} is no Modbus unit", "use 1 to 247")
    if line.kind == "tcp":
        return ModbusSession(line.place, line.port, int(order.address), registers, tries=2)
    return ModbusRtuSession(
        lambda reader, gap_s: turn.talk(reader, gap_s=gap_s),
        turn.baud,
        int(order.address),
        registers,
    )


def _read_modbus(
    order: ReadingOrdered,
    session: ModbusSession | ModbusRtuSession,
    evidence: Evidence,
    now_at: str,
    clock: Wall,
) -> Outcome:
    """What the meter shows now, as that of 24:00: it keeps no freeze and no profile."""
    if order.kind == "profile":
        return _failed(order, "not_held", "the meter keeps no profile", now_at, [])
    late_min = (parse_instant(clock()) - parse_instant(day_end(order.day_on))).total_seconds() / 60
    if late_min > MODBUS_LATEST_MIN:
        problem = f"the meter keeps no freeze, and 24:00 was {int(late_min)} min ago"
        return _failed(order, "not_held", problem, now_at, [])
    try:
        result = session.read()
    except ProtocolError as error:
        if error.exchange is not None:
            evidence.add((error.exchange,))
        raise
    finally:
        session.close()
    evidence.add(result.exchanges)
    if result.refused:
        return _failed(order, "refused", ", ".join(result.refused), now_at, evidence.frames)
    counted = tuple(q for q in result.quantities if q.obis in order.registers)
    found = _sort(counted, order)
    return _freeze_read(
        order, order.protocol, found, evidence.frames, now_at, present=result.quantities
    )


def _shown_outcome(order: ReadingOrdered, shown: Shown, evidence: Evidence, now_at: str) -> Outcome:
    """What a reader of an optional protocol brought, as the event that it is."""
    if shown.cause:
        return _failed(order, shown.cause, shown.detail, now_at, evidence.frames)
    return _freeze_read(
        order,
        order.protocol,
        _sort(shown.registers, order),
        evidence.frames,
        now_at,
        present=shown.present,
        clock_offset_s=shown.clock_offset_s,
    )


def _reading_id(order: ReadingOrdered, frames: list[str]) -> str:
    """The reading's id: its order and a digest of what passed the wire."""
    digest = hashlib.sha256("\n".join(frames).encode()).hexdigest()[:12]
    return f"{order.order_id}/{digest}"


def _failed(
    order: ReadingOrdered, cause: str, detail: str, now_at: str, frames: list[str]
) -> ReadFailed:
    return ReadFailed(
        order_id=order.order_id,
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        day_on=order.day_on,
        attempt=order.attempt,
        cause=cause,
        detail=detail,
        failed_at=now_at,
        frames=tuple(frames),
    )

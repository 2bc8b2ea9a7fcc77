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
)
from services.ingest.line_file import parse_line
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
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
from services.ingest.protocols.modbus_tcp import ModbusSession
from services.ingest.protocols.session import MeterSession, RelayStatus

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
CAUSES = {NoReply: "no_reply", BadReply: "bad_reply", LineDown: "line_down"}
Outcome = RegistersRead | ProfileRead | ReadFailed


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
        if order.protocol.startswith(MODBUS):
            wanted = (shipped_maps() if maps is None else maps).get(order.protocol)
            if wanted is None:
                problem = f"there is no register map {order.protocol} (GRIDLEDGER_MODBUS_MAPS_DIR)"
                return _failed(order, "refused", problem, ordered_at, [])
            with lines.taken(order.line, priority):
                return _read_modbus(order, wanted, evidence, ordered_at, clock)
        if order.protocol not in SOURCES:
            problem = f"nobody reads {order.protocol} remotely"
            return _failed(order, "refused", problem, ordered_at, [])
        line, address = reach(order.protocol, order.line, order.address)
        with lines.taken(line, priority) as turn:
            session = MeterSession(turn, address, _profile_of(order))
            try:
                if order.kind == "profile":
                    return _read_profile(order, session, evidence, ordered_at)
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
    offset_s = None
    if shown.meter_at:
        offset_s = int((parse_instant(shown.meter_at) - parse_instant(looked_at)).total_seconds())
    registers, flaws, demands = _sort(freeze.quantities)
    return RegistersRead(
        reading_id=_reading_id(order, evidence.frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        kind="daily_freeze",
        source=SOURCES[order.protocol],
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        registers=registers,
        flaws=flaws,
        demands=demands,
        voltages={
            found.obis: found.value * 10 // found.scale
            for found in volts.quantities
            if found.value is not None
        },
        clock_offset_s=offset_s,
        relay=relay_word(status),
        frames=tuple(evidence.frames),
    )


def relay_word(status: RelayStatus) -> str:
    """How the relay stands: closed, open, button (open, and the customer may close it), "" unknown.

    Only the bit that was confirmed counts: a meter told to open that has not opened is closed.
    """
    if status.is_open is None:
        return ""
    if not status.is_open:
        return "closed"
    return "button" if status.state == "close_permitted" else "open"


def _sort(
    quantities: tuple[Quantity, ...],
) -> tuple[dict[str, int], dict[str, str], tuple[DemandPeak, ...]]:
    """Energy registers, the ones without a value, and demands.

    A demand has four decimals of a kW on the wire: tenths of a watt are cut off, as the meter cuts
    off what it does not show.
    """
    registers: dict[str, int] = {}
    flaws: dict[str, str] = {}
    demands: list[DemandPeak] = []
    for quantity in quantities:
        obis = quantity.obis.partition("*")[0]
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
    return ProfileRead(
        reading_id=_reading_id(order, evidence.frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        source=SOURCES[order.protocol],
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        snapshots=dict(block.registers),
        frames=tuple(evidence.frames),
    )


def _read_modbus(
    order: ReadingOrdered, registers: RegisterMap, evidence: Evidence, now_at: str, clock: Wall
) -> Outcome:
    """What the meter shows now, as that of 24:00: it keeps no freeze and no profile."""
    if order.kind == "profile":
        return _failed(order, "not_held", "the meter keeps no profile", now_at, [])
    late_min = (parse_instant(clock()) - parse_instant(day_end(order.day_on))).total_seconds() / 60
    if late_min > MODBUS_LATEST_MIN:
        problem = f"the meter keeps no freeze, and 24:00 was {int(late_min)} min ago"
        return _failed(order, "not_held", problem, now_at, [])
    line = parse_line(order.line)
    if line.kind != "tcp" or not order.address.isdecimal():
        raise BadInput("line", f"{order.line!r} with unit {order.address!r}", "tcp:HOST:PORT")
    session = ModbusSession(line.place, line.port, int(order.address), registers, tries=2)
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
    wanted = [q for q in result.quantities if q.obis in order.registers]
    found, flaws, _ = _sort(tuple(wanted))
    return RegistersRead(
        reading_id=_reading_id(order, evidence.frames),
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        kind="daily_freeze",
        source=order.protocol,
        day_on=order.day_on,
        read_at=now_at,
        order_id=order.order_id,
        registers=found,
        flaws=flaws,
        voltages={
            q.obis: q.value * 10 // q.scale
            for q in result.quantities
            if q.unit == "V" and q.value is not None
        },
        frames=tuple(evidence.frames),
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

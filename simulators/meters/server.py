"""All lines of the simulator in one process and one thread: TCP ports, pseudo-terminals, control.

`Simulator(config).run()` goes on until it is told to stop (control port, SIGTERM, SIGINT). When all
lines are ready it writes the ready file:

    {"pid":1,"control":{"host":"127.0.0.1","port":40001},"lines":[
      {"name":"area-7","kind":"tcp","host":"127.0.0.1","port":40002,"meters":["000000000161"]},
      {"name":"shop","kind":"pty","path":"/dev/pts/3","meters":["000000000162"]}]}
"""

from __future__ import annotations

import asyncio
import os
import tty
from collections.abc import Mapping
from datetime import date
from typing import Any

from libs.events.errors import BadInput
from libs.events.quantities import WH_PER_KWH
from services.ingest.protocols.dlt645.values import epoch_s
from simulators.meters.bus import Bus, Clock, TimedReply
from simulators.meters.config import LineConfig, SimulatorConfig
from simulators.meters.control import Control
from simulators.meters.energy import Load, parse_day_table
from simulators.meters.gate import GateLoad
from simulators.meters.journal import Journal
from simulators.meters.meter import Meter
from simulators.meters.modbus_server import ModbusBus, ModbusRtuBus
from simulators.program import listening, stop_on_signals, write_ready

AnyBus = Bus | ModbusBus
MODBUS: dict[str, type[ModbusBus]] = {"modbus_tcp": ModbusBus, "modbus_rtu": ModbusRtuBus}
READ_BYTES = 4096
MAX_CONTROL_LINE_BYTES = 65_536


class _Connection(asyncio.Protocol):
    """One TCP connection to one line."""

    def __init__(self, bus: AnyBus) -> None:
        self._bus: Any = bus
        self._reader = bus.reader()
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        for reply in self._bus.feed(self._reader, data):
            _send_timed(self._transport.write, reply)


class _Terminal:
    """One pseudo-terminal; its slave side is what a driver opens.

    The slave stays open here too: a driver that goes away leaves the line as it is.
    """

    def __init__(self, bus: AnyBus) -> None:
        self._bus: Any = bus
        self._reader = bus.reader()
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self.path = os.ttyname(self._slave)

    def read(self) -> None:
        """What the driver wrote is there."""
        try:
            data = os.read(self._master, READ_BYTES)
        except BlockingIOError:
            return
        for reply in self._bus.feed(self._reader, data):
            _send_timed(self._write, reply)

    def _write(self, data: bytes) -> None:
        try:
            os.write(self._master, data)
        except BlockingIOError:
            return  # nobody reads: as on a real line, the bytes are gone

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Listen."""
        loop.add_reader(self._master, self.read)

    def close(self, loop: asyncio.AbstractEventLoop) -> None:
        """Give both ends back."""
        loop.remove_reader(self._master)
        os.close(self._master)
        os.close(self._slave)


class ControlConnection(asyncio.Protocol):
    """One connection to the control port."""

    def __init__(self, control: Control) -> None:
        self._control = control
        self._buffer = b""
        self._transport: Any = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line.strip():
                self._transport.write(self._control.answer(line))
        if len(self._buffer) > MAX_CONTROL_LINE_BYTES:
            self._transport.close()


def _send_timed(write: Any, reply: TimedReply) -> None:
    if reply.delay_s:
        asyncio.get_running_loop().call_later(reply.delay_s, write, reply.data)
    else:
        write(reply.data)


def make_meters(config: SimulatorConfig, line: LineConfig) -> list[Meter]:
    """The meters of one line."""
    start_s = epoch_s(config.clock.start_at)
    holidays = [_parse_day(text) for text in config.holidays_on]
    meters = []
    for meter in line.meters:
        rate_of_slot = parse_day_table(config.day_tables.get(meter.day_table, []))
        if meter.sum_of:
            gate = GateLoad(meter.loss_e2_pct(), meter.ratio, config.zone_minutes)
            meters.append(Meter(meter, gate, start_s, config.zone_minutes))
            continue
        annual_wh = meter.annual_kwh * WH_PER_KWH // meter.ratio
        load = Load(meter.shape, annual_wh, rate_of_slot, config.zone_minutes, holidays)
        meters.append(Meter(meter, load, start_s, config.zone_minutes))
    return meters


def connect_gates(meters: Mapping[str, Meter]) -> None:
    """Tell every gate whom it sums."""
    for meter in meters.values():
        if isinstance(meter.load, GateLoad):
            meter.load.members = [meters[name] for name in meter.config.sum_of]


def _parse_day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise BadInput("holidays_on", f"{text!r} is no date", "write 2026-01-31") from None


class Simulator:
    """Everything that runs; `run` returns when it was told to stop."""

    def __init__(self, config: SimulatorConfig) -> None:
        self._config = config
        self._clock = Clock(config.clock.mode, epoch_s(config.clock.start_at))
        self._journal = Journal(config.journal)
        self._servers: list[asyncio.Server] = []
        self._terminals: list[_Terminal] = []
        self._stopped = asyncio.Event()
        self._buses: list[tuple[LineConfig, AnyBus]] = []
        by_name: dict[str, Meter] = {}
        for line in config.lines:
            meters = make_meters(config, line)
            by_name.update({meter.config.name: meter for meter in meters})
            kind = MODBUS.get(line.kind, Bus)
            self._buses.append((line, kind(line.name, meters, self._clock, self._journal)))
        connect_gates(by_name)
        self._control = Control(by_name, self._clock, self._stopped.set)

    async def run(self) -> None:
        """Open all lines, tell where they are, serve until stopped, close in order."""
        loop = asyncio.get_running_loop()
        stop_on_signals(self._stopped)
        try:
            lines = [await self._open(line, bus) for line, bus in self._buses]
            config = self._config
            control = await self._listen(
                lambda: ControlConnection(self._control), config.control_host, config.control_port
            )
            told = {"pid": os.getpid(), "control": control, "lines": lines}
            write_ready(config.ready_file, told)
            await self._stopped.wait()
        finally:
            for server in self._servers:
                server.close()
            for terminal in self._terminals:
                terminal.close(loop)
            await asyncio.sleep(0)  # lets the answer to "stop" leave
            self._journal.close()

    async def _open(self, line: LineConfig, bus: AnyBus) -> dict[str, object]:
        told: dict[str, object] = {
            "name": line.name,
            "kind": line.kind,
            "meters": [meter.name for meter in line.meters],
        }
        if line.kind in ("pty", "modbus_rtu"):
            terminal = _Terminal(bus)
            terminal.start(asyncio.get_running_loop())
            self._terminals.append(terminal)
            return {**told, "path": terminal.path}
        return {**told, **await self._listen(lambda: _Connection(bus), line.host, line.port)}

    async def _listen(self, protocol: Any, host: str, port: int) -> dict[str, object]:
        opening = asyncio.get_running_loop().create_server(protocol, host, port)
        server, place = await listening(opening, host, port)
        self._servers.append(server)
        return place

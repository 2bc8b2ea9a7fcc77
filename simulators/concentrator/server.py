"""The concentrator as a process: one connection to its master, and a control port.

`Simulator(config).run()` goes on until it is told to stop (control port, SIGTERM, SIGINT). The
ready file:

    {"pid":1,"control":{"host":"127.0.0.1","port":40001},"address":"0200-1234",
     "listen":{"host":"127.0.0.1","port":40002},"meters":300}

The control port is that of the meters (simulators/meters/control.py) and knows besides:

    {"op":"misbehave","kind":"wrong_number","count":1}    (kinds: see `terminal`; "seconds" of slow)
    {"op":"calm"}
    {"op":"concentrator"}                                 -> logins, heartbeats, rounds, archive
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from contextlib import suppress

from services.ingest.protocols.dlt645.values import epoch_s
from services.ingest.protocols.qgdw376.frame import FrameReader
from simulators.concentrator.config import ConcentratorConfig
from simulators.concentrator.terminal import HangUp, Terminal
from simulators.meters.bus import Clock
from simulators.meters.control import Answer, Control, Request
from simulators.meters.journal import Journal
from simulators.meters.meter import Meter
from simulators.meters.server import ControlConnection, make_meters
from simulators.program import listening, stop_on_signals, write_ready

READ_BYTES = 16_384


class ConcentratorControl(Control):
    """The control port of the meters, with the concentrator's own operations."""

    def __init__(
        self,
        terminal: Terminal,
        meters: Mapping[str, Meter],
        clock: Clock,
        on_stop: Callable[[], None],
    ) -> None:
        super().__init__(meters, clock, on_stop)
        self._terminal = terminal
        self._operations |= {
            "misbehave": self._misbehave,
            "calm": self._calm,
            "concentrator": self._tell,
            "time": self._pass_time,
            "fault": self._changed,
            "clear": self._changed,
        }

    def _pass_time(self, request: Request) -> Answer:
        answer = super()._time(request)
        self._terminal.pass_time()
        return answer

    def _changed(self, request: Request) -> Answer:
        """What was frozen until now was so before the meter changed."""
        self._terminal.pass_time()
        return self._fault(request) if request["op"] == "fault" else self._clear(request)

    def _misbehave(self, request: Request) -> Answer:
        seconds = request.get("seconds", 0)
        kinds = self._terminal.misbehave(
            str(request.get("kind")), request.get("count"), float(seconds)
        )
        return {"misbehaviours": kinds}

    def _calm(self, request: Request) -> Answer:
        self._terminal.calm()
        return {}

    def _tell(self, request: Request) -> Answer:
        terminal = self._terminal
        return {
            "address": str(terminal.address),
            "logins": terminal.logins,
            "heartbeats": terminal.heartbeats,
            "acknowledged": terminal.acknowledged,
            "rounds": {str(number): state for number, state in terminal.rounds.items()},
            "archive": {str(entry.pn): entry.address for entry in terminal.archive.values()},
        }


class Simulator:
    """Everything that runs; `run` returns when it was told to stop."""

    def __init__(self, config: ConcentratorConfig) -> None:
        meters_config = config.as_meters()
        self._config = config
        self._clock = Clock(config.clock.mode, epoch_s(config.clock.start_at))
        self._journal = Journal(config.journal)
        self._stopped = asyncio.Event()
        meters = make_meters(meters_config, meters_config.lines[0])
        self._terminal = Terminal(config, meters, self._clock, self._journal)
        by_name = {meter.config.name: meter for meter in meters}
        self._control = ConcentratorControl(self._terminal, by_name, self._clock, self._stopped.set)
        self._busy: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Serve until stopped, close in order."""
        loop = asyncio.get_running_loop()
        stop_on_signals(self._stopped)
        config = self._config
        servers: list[asyncio.Server] = []
        told: dict[str, object] = {
            "pid": os.getpid(),
            "address": config.address,
            "meters": len(config.meters),
        }
        try:
            opening = loop.create_server(
                lambda: ControlConnection(self._control), config.control_host, config.control_port
            )
            server, told["control"] = await listening(
                opening, config.control_host, config.control_port
            )
            servers.append(server)
            if config.master_port:
                self._keep(asyncio.create_task(self._dial()))
            else:
                host, port = config.listen_host, config.listen_port
                server, told["listen"] = await listening(
                    asyncio.start_server(self._talk, host, port), host, port
                )
                servers.append(server)
            write_ready(config.ready_file, told)
            await self._stopped.wait()
        finally:
            for task in self._busy:
                task.cancel()
            for server in servers:
                server.close()
            await asyncio.sleep(0)  # lets the answer to "stop" leave
            self._journal.close()

    async def _dial(self) -> None:
        """Connect, log in, talk, and again when the connection ends."""
        config = self._config
        while not self._stopped.is_set():
            with suppress(OSError):
                reader, writer = await asyncio.open_connection(
                    config.master_host, config.master_port
                )
                await self._talk(reader, writer)
            await asyncio.sleep(config.reconnect_s)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either side ends it."""
        if self._config.master_port:
            writer.write(self._terminal.login())
        beating = asyncio.create_task(self._beat(writer))
        frames = FrameReader()
        try:
            while data := await reader.read(READ_BYTES):
                for reply in self._terminal.feed(frames, data):
                    self._send(writer, reply.data, reply.delay_s)
        except (OSError, HangUp):
            pass  # this connection is over, which is all there is to it
        finally:
            beating.cancel()
            writer.close()

    def _send(self, writer: asyncio.StreamWriter, data: bytes, delay_s: float) -> None:
        """Write, or hang up where there are no bytes."""

        def write() -> None:
            if writer.is_closing():
                return
            if data:
                writer.write(data)
            else:
                writer.close()

        if delay_s:
            asyncio.get_running_loop().call_later(delay_s, write)
        else:
            write()

    async def _beat(self, writer: asyncio.StreamWriter) -> None:
        while self._config.master_port:
            await asyncio.sleep(self._config.heartbeat_s)
            self._send(writer, self._terminal.heartbeat(), 0.0)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._busy.add(task)
        task.add_done_callback(self._busy.discard)

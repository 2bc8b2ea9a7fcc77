"""The clock: the one writer of business time.

Live, it writes a tick at every full minute. Simulated, it writes the tick it is asked for
(`POST /advance {"at": "2026-01-02T16:00:00Z"}`, requests.py) once the system is at rest, and
answers when it is at rest again; a kill of any service stretches wall time, never business time.

All business time hangs on it: a tick whose write never comes back ends the process, as in a loop.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer
from typing import Any

from prometheus_client import CollectorRegistry, Gauge

from libs.events.codec import decode_as
from libs.events.core import Tick
from libs.events.edge import WriterPort, broadcast
from libs.events.host import Pulse, Runtime, StatusFile, StopSignal, oldest, watched
from libs.events.kafka import KafkaReader, KafkaSettings, TransactionalWriter
from libs.events.step import EPOCH
from libs.events.telemetry import NO_TRACING, Tracing
from libs.events.topics import load_topics
from services.clock.barrier import Barrier
from services.clock.events import catalogue
from services.clock.requests import Resting, clock_requests
from services.settings import Settings
from services.wiring import runtime_of, tracing_of

TOPIC = "calendar"


def run(settings: Settings, ordinal: int) -> int:
    """The one clock of an installation; a second one fences the first."""
    runtime = runtime_of(settings, "clock")
    name = f"clock-{ordinal}"
    tracing = tracing_of(settings, "clock")
    stop, status = StopSignal(), StatusFile(runtime.run_dir, name)
    clock = open_clock(runtime.kafka, runtime.partitions, tracing)
    try:
        if settings.clock_mode == "live":
            return run_live(clock, runtime, stop, status)
        barrier = Barrier(runtime.kafka, load_topics(runtime.partitions))
        return run_simulated(clock, barrier, runtime, stop, status, settings.clock_port)
    finally:
        tracing.close()


class Clock:
    """Writes ticks, each later than the one before, to every partition in one transaction."""

    def __init__(
        self, writer: WriterPort, partitions: int, last_at: str, tracing: Tracing = NO_TRACING
    ) -> None:
        self.writer, self.partitions, self.tracing = writer, partitions, tracing
        self.last_at = last_at
        self.registry = CollectorRegistry()
        self._ticked = Gauge(
            "gridledger_business_time_seconds",
            "Business time, the last tick, as Unix time",
            registry=self.registry,
        )
        self._ticked.set(_unix_s(last_at))
        self._began_s: float | None = None

    def tick(self, at: str) -> bool:
        """Write a tick; False when business time is there already."""
        if at <= self.last_at:
            return False
        self._began_s = time.monotonic()
        try:
            broadcast(
                self.writer, "clock", catalogue, TOPIC, Tick(at=at), self.partitions, self.tracing
            )
        finally:
            self._began_s = None
        self.last_at = at
        self._ticked.set(_unix_s(at))
        return True

    def heartbeat(self) -> float:
        """When the tick under way began; now when there is none, for then nothing can hang."""
        began_s = self._began_s
        return time.monotonic() if began_s is None else began_s


def open_clock(settings: KafkaSettings, partitions: int, tracing: Tracing) -> Clock:
    """The clock of a cluster; whoever was it before is fenced from here on."""
    writer = TransactionalWriter(settings, "clock")
    return Clock(writer, partitions, last_tick(KafkaReader(settings)), tracing)


def _unix_s(at: str) -> float:
    return datetime.fromisoformat(at).timestamp()


def last_tick(reader: KafkaReader) -> str:
    """The latest business time on `calendar`, the epoch when there is none."""
    last, at = EPOCH, reader.bounds(TOPIC, 0).low
    while True:
        piece = reader.read(TOPIC, 0, at, 1000)
        for record in piece.records:
            last = max(last, decode_as(Tick, record.value, "clock.ticked").at)
        if not piece.records:
            return last
        at = piece.next_offset


def run_live(clock: Clock, runtime: Runtime, stop: StopSignal, status: StatusFile) -> int:
    """Tick at every full minute of the wall clock until told to stop."""
    with watched_clock(clock, runtime) as (pulse, report):
        while not stop.is_set:
            clock.tick(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z"))
            pulse.beat(is_ready=True)
            status.write(clock_status(clock) | report)
            stop.wait(0.2)
    return 0


def run_simulated(
    clock: Clock,
    barrier: Resting,
    runtime: Runtime,
    stop: StopSignal,
    status: StatusFile,
    port: int,
) -> int:
    """Serve `/advance`, `/rest` and `/now` until told to stop."""
    server = ThreadingHTTPServer((runtime.health_host, port), clock_requests(clock, barrier))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="clock", daemon=True).start()
    with watched_clock(clock, runtime) as (pulse, report):
        while not stop.is_set:
            pulse.beat(is_ready=True)
            status.write(clock_status(clock) | report)
            stop.wait(0.2)
        server.shutdown()
        server.server_close()
    return 0


@contextmanager
def watched_clock(clock: Clock, runtime: Runtime) -> Iterator[tuple[Pulse, dict[str, Any]]]:
    """Health port and watchdog: neither the turns nor a tick, in whatever thread, may hang."""
    pulse = Pulse()
    heartbeat = oldest(lambda: pulse.at, clock.heartbeat)
    with watched(runtime, clock.registry, heartbeat, lambda: pulse.is_ready) as report:
        yield pulse, report


def clock_status(clock: Clock) -> dict[str, Any]:
    """What `gridledger local status` shows of it."""
    return {"state": "ready", "partitions": [], "business_time": clock.last_at}

"""The clock: the one writer of business time.

Live, it writes a tick at every full minute. Simulated, it writes the tick it is asked for
(`POST /advance {"at": "2026-01-02T16:00:00Z"}`, requests.py) once the system is at rest, and
answers when it is at rest again; a kill of any service stretches wall time, never business time.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from http.server import ThreadingHTTPServer

from libs.events.codec import decode_as
from libs.events.core import Tick
from libs.events.edge import broadcast
from libs.events.host import Runtime, StatusFile, StopSignal
from libs.events.kafka import KafkaReader, KafkaSettings, TransactionalWriter
from libs.events.step import EPOCH
from libs.events.topics import load_topics
from services.clock.barrier import Barrier
from services.clock.events import catalogue
from services.clock.requests import clock_requests
from services.settings import Settings
from services.wiring import runtime_of

TOPIC = "calendar"


def run(settings: Settings, ordinal: int) -> int:
    """The one clock of an installation; a second one fences the first."""
    runtime = runtime_of(settings, "clock")
    name = f"clock-{ordinal}"
    if settings.clock_mode == "live":
        return run_live(runtime, name)
    return run_simulated(runtime, name, settings.clock_port)


class Clock:
    """Writes ticks, each later than the one before, to every partition in one transaction."""

    def __init__(self, settings: KafkaSettings, partitions: int) -> None:
        self.partitions = partitions
        self.writer = TransactionalWriter(settings, "clock")
        self.last_at = last_tick(KafkaReader(settings))

    def tick(self, at: str) -> bool:
        """Write a tick; False when business time is there already."""
        if at <= self.last_at:
            return False
        broadcast(self.writer, "clock", catalogue, TOPIC, Tick(at=at), self.partitions)
        self.last_at = at
        return True


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


def run_live(runtime: Runtime, name: str) -> int:
    """Tick at every full minute of the wall clock until told to stop."""
    stop, status = StopSignal(), StatusFile(runtime.run_dir, name)
    clock = Clock(runtime.kafka, runtime.partitions)
    while not stop.is_set:
        clock.tick(datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:00Z"))
        status.write({"state": "ready", "partitions": [], "business_time": clock.last_at})
        stop.wait(0.2)
    return 0


def run_simulated(runtime: Runtime, name: str, port: int) -> int:
    """Serve `/advance`, `/rest` and `/now` until told to stop."""
    stop, status = StopSignal(), StatusFile(runtime.run_dir, name)
    clock = Clock(runtime.kafka, runtime.partitions)
    barrier = Barrier(runtime.kafka, load_topics(runtime.partitions))
    server = ThreadingHTTPServer((runtime.health_host, port), clock_requests(clock, barrier))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="clock", daemon=True).start()
    while not stop.is_set:
        status.write({"state": "ready", "partitions": [], "business_time": clock.last_at})
        stop.wait(0.2)
    server.shutdown()
    return 0

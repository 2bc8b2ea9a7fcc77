"""The clock: the one writer of business time.

Live, it writes a tick at every full minute. Simulated, it writes the tick it is asked for
(`POST /advance {"at": "2026-01-02T16:00:00Z"}`) once the system is at rest, and answers when it is
at rest again; a kill of any service stretches wall time, never business time.
"""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from libs.events.codec import decode_as
from libs.events.core import Tick
from libs.events.edge import broadcast
from libs.events.errors import BadInput, GridLedgerError, Undecodable
from libs.events.host import Runtime, StatusFile, StopSignal
from libs.events.kafka import KafkaReader, KafkaSettings, TransactionalWriter
from libs.events.step import EPOCH
from libs.events.telemetry import logger
from libs.events.topics import load_topics
from services.clock.barrier import Barrier
from services.clock.events import catalogue
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


def check_instant(at: object) -> str:
    """An instant as ticks carry it; BadInput otherwise."""
    try:
        return datetime.strptime(str(at) + "+0000", "%Y-%m-%dT%H:%M:%SZ%z").strftime(
            "%Y-%m-%dT%H:%M:%SZ"
        )
    except ValueError:
        raise BadInput(
            "at", f"{at!r} is no instant", "write it like 2026-01-31T16:00:00Z"
        ) from None


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
    server = ThreadingHTTPServer((runtime.health_host, port), _handler(clock, barrier))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="clock", daemon=True).start()
    while not stop.is_set:
        status.write({"state": "ready", "partitions": [], "business_time": clock.last_at})
        stop.wait(0.2)
    server.shutdown()
    return 0


def _handler(clock: Clock, barrier: Barrier) -> type[BaseHTTPRequestHandler]:
    turn = threading.Lock()

    class ClockRequests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"at": clock.last_at})

        def do_POST(self) -> None:
            try:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length) or b"{}")
                if not isinstance(body, dict):
                    raise BadInput("body", "no JSON object", 'send {"at": "2026-01-31T16:00:00Z"}')
                with turn:
                    self._do(body)
            except (BadInput, Undecodable, ValueError) as error:
                self._answer(422, {"detail": str(error)})
            except GridLedgerError as error:
                logger("clock").warning("no tick", reason=str(error))
                self._answer(503, {"detail": str(error)})

        def _do(self, body: dict[str, object]) -> None:
            timeout_s = float(str(body.get("timeout_s", 60)))
            if self.path == "/rest":
                behind = barrier.wait(timeout_s)
            elif self.path == "/advance":
                at = check_instant(body.get("at"))
                behind = barrier.wait(timeout_s)
                if not behind:
                    clock.tick(at)
                    behind = barrier.wait(timeout_s)
            else:
                self._answer(404, {"detail": "POST /advance or /rest, GET /now"})
                return
            self._answer(200 if not behind else 503, {"at": clock.last_at, "behind": behind})

        def _answer(self, status: int, body: dict[str, object]) -> None:
            data = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """The answers say enough."""

    return ClockRequests

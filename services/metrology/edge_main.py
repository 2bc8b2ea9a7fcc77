"""The metrology edge: benches connect by TCP and are answered after the broker's ack."""

from __future__ import annotations

import socket
import socketserver
import threading

from libs.events.edge import EdgeProducer, utc_now
from libs.events.errors import Unavailable
from libs.events.host import Pulse, StatusFile, StopSignal, watched
from libs.events.telemetry import begin_trace, logger
from services.metrology.bench_protocol import (
    BenchError,
    BenchParser,
    ReceivedRun,
    encode_accepted,
    encode_refused,
)
from services.metrology.events import RunGarbled, RunMeasured, edge_catalogue
from services.settings import Settings
from services.wiring import open_producer, runtime_of

BENCH = "metrology.bench"
IDLE_S = 60.0
RECEIVE_BYTES = 65_536


class BenchConnection(socketserver.BaseRequestHandler):
    """One connection of a bench; a run that cannot be stored is not answered, so it comes again."""

    server: BenchServer

    def handle(self) -> None:
        """Read runs until the bench hangs up, sends what is none, or stays silent."""
        parser = BenchParser()
        connection: socket.socket = self.request
        connection.settimeout(IDLE_S)
        try:
            while not parser.failed:
                data = connection.recv(RECEIVE_BYTES)
                if not data:
                    break
                for outcome in parser.feed(data):
                    connection.sendall(self._store(outcome))
            for outcome in parser.close():
                self._store(outcome)
        except (OSError, Unavailable) as reason:
            logger("metrology.edge").warning("bench connection ended", reason=str(reason))

    def _store(self, outcome: ReceivedRun | BenchError) -> bytes:
        traceparent = begin_trace()
        if isinstance(outcome, ReceivedRun):
            run = outcome.run
            body = RunMeasured(run=run, lines=outcome.lines, received_at=utc_now())
            self.server.producer.append(BENCH, run.meter_no, body, traceparent)
            return encode_accepted(run.run_id)
        garbled = RunGarbled(
            run_id=outcome.run,
            meter_no=outcome.meter_no,
            line=outcome.line,
            problem=str(outcome),
            received_at=utc_now(),
        )
        self.server.producer.append(BENCH, outcome.meter_no or "unknown", garbled, traceparent)
        return encode_refused(outcome)


class BenchServer(socketserver.ThreadingTCPServer):
    """Listens for benches."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], producer: EdgeProducer) -> None:
        self.producer = producer
        super().__init__(address, BenchConnection)


def run(settings: Settings, ordinal: int) -> int:
    """Serve benches until told to stop."""
    runtime = runtime_of(settings, "metrology.edge")
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"metrology-edge-{ordinal}")
    producer = open_producer(settings, "metrology.edge", edge_catalogue)
    address = (settings.http_host, settings.port_of("metrology-edge", ordinal))
    pulse = Pulse()
    with (
        BenchServer(address, producer) as server,
        watched(
            runtime, producer.telemetry.registry, lambda: pulse.at, lambda: pulse.is_ready
        ) as report,
    ):
        thread = threading.Thread(target=server.serve_forever, name="benches", daemon=True)
        thread.start()
        port = server.server_address[1]
        while not stop.is_set:
            pulse.beat(is_ready=thread.is_alive())
            status.write({"state": "ready", "partitions": [], "port": port, **report})
            stop.wait(0.2)
        server.shutdown()
        producer.close()
    return 0

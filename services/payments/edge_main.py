"""One member of the payments edge as a process: HTTP in, records of `payments.notices` out.

It serves when the broker answers and the topic is there; until then gateways find no listener and
try again. SIGTERM lets requests under way finish, writes what waits for its ack, and leaves with 0.
The edge keeps nothing: any number of members serve the same channels.

Example: with GRIDLEDGER_PAYMENT_PROFILES_FILE set, `gridledger run payments-edge` answers
POST http://127.0.0.1:8110/notify/wechat/1900000001 (see webhooks.py).
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, Protocol

import uvicorn
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from libs.events.edge import EdgeProducer
from libs.events.errors import Refused, Unavailable, Unknown
from libs.events.host import Pulse, Runtime, StatusFile, StopSignal, watched
from libs.events.kafka import KafkaAdmin
from libs.events.telemetry import begin_trace, logger
from services.payments.channels.profile import Profiles
from services.payments.draft import NOTICES
from services.payments.events import edge_catalogue
from services.payments.notices import NoticeReceived
from services.payments.webhooks import Append, load_profiles, make_app
from services.settings import Settings
from services.wiring import open_producer, runtime_of

NAME = "payments-edge"
QUIET_OUTCOMES = frozenset({"accepted", "probe"})
GRACE_S = 5
CONCURRENT_REQUESTS_MAX = 2000
"""Above this uvicorn answers 503 at once, which every gateway takes as "send again"."""


class Stopping(Protocol):
    """What tells the edge to stop: a StopSignal, or a test."""

    is_set: bool


def run(settings: Settings, ordinal: int) -> int:
    """Serve callbacks until told to stop; the exit status."""
    profiles = _profiles(settings)
    runtime = runtime_of(settings, NAME)
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"{NAME}-{ordinal}")
    wait_for_topic(KafkaAdmin(settings.kafka()).partitions, settings, stop, status)
    # Not before the log is there: a connection that nobody accepts costs the gateway its time-out.
    listener = listen(settings.http_host, settings.port_of(NAME, ordinal))
    producer = open_producer(settings, "payments.edge", edge_catalogue)
    acks = producer.serve_acks()
    counts = OutcomeCounts()
    app = make_app(
        profiles,
        appender(producer),
        now=lambda: int(time.time()),
        nonce=lambda: os.urandom(12),
        observe=counts.observe,
    )
    try:
        serve(app, listener, stop, status, counts, acks, runtime)
    finally:
        producer.close()
    status.write({"state": "stopped", "partitions": []}, now=True)
    return 0


class OutcomeCounts:
    """Callbacks by channel and outcome: for Prometheus, the status file and the log."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.by_outcome: dict[str, int] = {}
        self._log = logger(NAME)
        self._counter = Counter(
            "gridledger_callbacks_total",
            "Callbacks answered",
            ["channel", "outcome"],
            registry=self.registry,
        )

    def observe(self, channel: str, outcome: str) -> None:
        """Count one answer; what was not accepted is worth a line, probes of WeChat are not."""
        self._counter.labels(channel, outcome).inc()
        self.by_outcome[outcome] = self.by_outcome.get(outcome, 0) + 1
        if outcome not in QUIET_OUTCOMES:
            self._log.warning("callback not accepted", channel=channel, outcome=outcome)


def appender(producer: EdgeProducer) -> Append:
    """`append(key, record)` of the application: returns after the broker's ack."""

    async def append(key: str, record: NoticeReceived) -> None:
        await producer.append_async(NOTICES, key, record, begin_trace())

    return append


def listen(host: str, port: int, setting: str = "GRIDLEDGER_PAYMENTS_PORT") -> socket.socket:
    """A listening socket; Refused when the port is taken. Port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=1024)
    except OSError as error:
        raise Refused(
            f"port {port} on {host}: {error.strerror}; end what listens there, or set {setting}"
        ) from None


def wait_for_topic(
    partitions: Callable[[], dict[str, int]],
    settings: Settings,
    stop: Stopping,
    status: StatusFile,
    wait_s: float = 0.5,
) -> None:
    """Return when the broker answers and has the topic as configured, or when told to stop.

    Raises Unavailable after GRIDLEDGER_KAFKA_START_TIMEOUT_MS without an answer, Refused when the
    topic is missing or has another partition count.
    """
    until = time.monotonic() + settings.kafka_start_timeout_ms / 1000
    while not stop.is_set:
        status.write({"state": "waiting for the broker", "partitions": []})
        try:
            count = partitions().get(NOTICES, 0)
        except Unavailable:
            if time.monotonic() > until:
                raise
            time.sleep(wait_s)
            continue
        if count != settings.partitions:
            raise Refused(
                f"topic {NOTICES} has {count} partitions, {settings.partitions} are set: "
                "`gridledger topics plan` shows the difference, `gridledger topics apply` "
                "creates what is missing"
            )
        return


def serve(
    app: FastAPI,
    listener: socket.socket,
    stop: Stopping,
    status: StatusFile,
    counts: OutcomeCounts,
    acks: threading.Thread,
    runtime: Runtime,
) -> None:
    """Serve until `stop` is set; Unknown when nobody receives acks any more."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        limit_concurrency=CONCURRENT_REQUESTS_MAX,
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    pulse = Pulse()

    async def tell(report: dict[str, Any]) -> None:
        while not stop.is_set and acks.is_alive():
            pulse.beat(is_ready=server.started)
            status.write(
                {
                    "state": "ready" if server.started else "starting",
                    "partitions": [],
                    "port": listener.getsockname()[1],
                    "counts": dict(sorted(counts.by_outcome.items())),
                    **report,
                }
            )
            await asyncio.sleep(0.1)
        server.should_exit = True

    async def both(report: dict[str, Any]) -> None:
        await asyncio.gather(server.serve(sockets=[listener]), tell(report))

    with watched(
        runtime, counts.registry, lambda: pulse.at, lambda: pulse.is_ready and acks.is_alive()
    ) as report:
        asyncio.run(both(report))
    if not stop.is_set:
        raise Unknown("the producer failed: start again")


class _Server(uvicorn.Server):
    """A server that leaves signals to the host: SIGTERM must end with status 0."""

    @contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _profiles(settings: Settings) -> Profiles:
    if settings.payment_profiles_file is None:
        raise Refused(
            "GRIDLEDGER_PAYMENT_PROFILES_FILE is not set: name the file with the payment channels "
            "(services/payments/channels/profile.py shows one)"
        )
    return load_profiles(settings.payment_profiles_file)

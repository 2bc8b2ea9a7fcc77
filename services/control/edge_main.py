"""One member of the control edge as a process: people's requests over HTTP, by local accounts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import uvicorn

from libs.events.codec import envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import Refused
from libs.events.host import Pulse, StatusFile, StopSignal, watched
from libs.events.record import envelope_headers
from libs.events.telemetry import begin_trace
from services.control.accounts import Accounts
from services.control.api import create_app
from services.control.events import RequestMade, edge_catalogue
from services.control.safety_events import WeatherTold
from services.settings import Settings
from services.wiring import open_producer, runtime_of

NAME = "control-edge"
REQUESTS, ALARMS = "control.requests", "control.alarms"


def run(settings: Settings, ordinal: int) -> int:
    """Serve until told to stop; the exit status."""
    if settings.operators_file is None:
        raise Refused(
            "GRIDLEDGER_OPERATORS_FILE is not set: nobody could sign in; "
            "make one with `gridledger operators add` and name it"
        )
    runtime = runtime_of(settings, NAME)
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"{NAME}-{ordinal}")
    producer = open_producer(settings, "control.edge", edge_catalogue)
    app = create_app(Accounts(settings.operators_file), _append(producer))
    port = settings.port_of(NAME, ordinal)
    config = uvicorn.Config(
        app, host=settings.http_host, port=port, log_config=None, lifespan="off", access_log=False
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=_serve, args=(server,), name="http", daemon=True)
    thread.start()
    pulse = Pulse()
    with watched(
        runtime, producer.telemetry.registry, lambda: pulse.at, lambda: pulse.is_ready
    ) as report:
        while not stop.is_set and thread.is_alive():
            pulse.beat(is_ready=server.started)
            state = "ready" if server.started else "starting"
            status.write({"state": state, "partitions": [], "port": port, **report})
            stop.wait(0.2)
        server.should_exit = True
        thread.join(10)
        producer.close()
    return 0 if stop.is_set else 1


def _serve(server: uvicorn.Server) -> None:
    """The server in a side thread: signals belong to the main one."""
    asyncio.run(server._serve())


def _append(producer: EdgeProducer) -> Callable[[str, RequestMade | WeatherTold], None]:
    def append(account_no: str, body: RequestMade | WeatherTold) -> None:
        if isinstance(body, WeatherTold):
            tell_everywhere(producer, body)
        else:
            producer.append(REQUESTS, account_no, body, begin_trace())

    return append


def tell_everywhere(producer: EdgeProducer, body: WeatherTold) -> None:
    """Write a statement to every partition. Without all acks it fails and is told again: the later
    statement of an area replaces the one before, so a part of the partitions does no harm."""
    record = producer.outgoing(ALARMS, "", body, begin_trace())
    envelope = envelope_of(record.headers)
    producer.append_many(
        [
            replace(
                record,
                partition=partition,
                key=None,
                headers=envelope_headers(envelope._replace(id=f"{envelope.id}/{partition}")),
            )
            for partition in range(producer.partitions(ALARMS))
        ]
    )

"""The console: a read-only status page and its JSON, folded from all topics."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import ThreadingHTTPServer
from importlib.resources import files
from typing import ClassVar

from prometheus_client import CollectorRegistry, Counter

from libs.events.errors import Unavailable
from libs.events.host import Pulse, StatusFile, StopSignal, watched
from libs.events.kafka import KafkaTail
from libs.events.plain_http import PlainRequests
from libs.events.record import Record
from libs.events.telemetry import logger
from libs.events.topics import load_topics
from services.console.field_view import FieldView
from services.console.policy import DEFAULT_POLICY
from services.console.views import StatusView
from services.policy_file import policy_of
from services.settings import Settings
from services.wiring import runtime_of


def run(settings: Settings, ordinal: int) -> int:
    """Follow the topics and serve the page until told to stop."""
    runtime = runtime_of(settings, "console")
    table = load_topics(settings.partitions)
    rules = policy_of(settings.policy_file, "console", DEFAULT_POLICY)
    view = StatusView(table, of_field=FieldView(rules))
    guard = threading.Lock()
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"console-{ordinal}")
    address = (settings.http_host, settings.port_of("console", ordinal))
    server = ThreadingHTTPServer(address, page_requests(view, guard))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="page", daemon=True).start()
    registry = CollectorRegistry()
    noted = Counter("gridledger_noted_total", "Records that the page shows", registry=registry)
    pulse = Pulse()
    tail = KafkaTail(runtime.kafka, table.places())
    with watched(runtime, registry, lambda: pulse.at, lambda: pulse.is_ready) as report:
        while not stop.is_set:
            records = _poll(tail)
            pulse.beat(is_ready=records is not None)
            if records is None:
                continue
            with guard:
                for record in records:
                    view.note(record)
            noted.inc(len(records))
            port = server.server_address[1]
            status.write({"state": "ready", "partitions": [], "port": port, **report})
        server.shutdown()
        server.server_close()
        tail.close()
    return 0


def _poll(tail: KafkaTail) -> list[Record] | None:
    """What is new, None when the broker does not answer; the page shows what it has."""
    try:
        return tail.poll(1000, 0.2)
    except Unavailable as reason:
        logger("console").warning("the broker does not answer", reason=str(reason))
        return None


def page_requests(view: StatusView, guard: threading.Lock) -> type[PlainRequests]:
    """What answers: the page, its data and a sign of life."""
    page = files("services.console").joinpath("page.html").read_bytes()
    documents = {"/status.json": view.document, "/field.json": view.of_field.document}

    class PageRequests(PlainRequests):
        always: ClassVar[Mapping[str, str]] = {
            "Content-Security-Policy": "default-src 'self' 'unsafe-inline'"
        }

        def do_GET(self) -> None:
            if self.place in ("/", "/index.html"):
                self.answer(200, page, "text/html; charset=utf-8")
            elif self.place in documents:
                with guard:
                    document = documents[self.place]()
                body = json.dumps(document, ensure_ascii=False).encode()
                self.answer(200, body, "application/json")
            elif self.place == "/healthz":
                self.answer(200, b"ok\n", "text/plain")
            else:
                self.refuse(404, "GET /, /status.json, /field.json or /healthz")

    return PageRequests

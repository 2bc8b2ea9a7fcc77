"""The console: a read-only status page and its JSON, folded from all topics."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files

from libs.events.errors import Unavailable
from libs.events.host import StatusFile, StopSignal
from libs.events.kafka import KafkaTail
from libs.events.telemetry import logger
from libs.events.topics import load_topics
from services.console.views import StatusView
from services.settings import Settings
from services.wiring import runtime_of


def run(settings: Settings, ordinal: int) -> int:
    """Follow the topics and serve the page until told to stop."""
    runtime = runtime_of(settings, "console")
    table = load_topics(settings.partitions)
    view = StatusView(table)
    guard = threading.Lock()
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, f"console-{ordinal}")
    address = (settings.http_host, settings.port_of("console", ordinal))
    server = ThreadingHTTPServer(address, page_requests(view, guard))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="page", daemon=True).start()
    tail = KafkaTail(runtime.kafka, table.places())
    while not stop.is_set:
        try:
            records = tail.poll(1000, 0.2)
        except Unavailable as reason:
            logger("console").warning("the broker does not answer", reason=str(reason))
            continue
        with guard:
            for record in records:
                view.note(record)
        status.write({"state": "ready", "partitions": [], "port": server.server_address[1]})
    server.shutdown()
    tail.close()
    return 0


def page_requests(view: StatusView, guard: threading.Lock) -> type[BaseHTTPRequestHandler]:
    """What answers: the page, its data and a sign of life."""
    page = files("services.console").joinpath("page.html").read_bytes()

    class PageRequests(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            if path in ("/", "/index.html"):
                self._answer(200, page, "text/html; charset=utf-8")
            elif path == "/status.json":
                with guard:
                    document = view.document()
                body = json.dumps(document, ensure_ascii=False).encode()
                self._answer(200, body, "application/json")
            elif path == "/healthz":
                self._answer(200, b"ok\n", "text/plain")
            else:
                self._answer(404, b"GET /, /status.json or /healthz\n", "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Content-Security-Policy", "default-src 'self' 'unsafe-inline'")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """A page that refreshes itself is not worth a log line."""

    return PageRequests

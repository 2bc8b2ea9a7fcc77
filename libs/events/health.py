"""Health over HTTP, from a side thread that only reads: /live, /ready, /metrics.

Liveness notices a loop that hangs (a blocked client call stops the heartbeat); it does not depend
on the broker. Readiness waits for recovery.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest


def serve_health(
    host: str,
    port: int,
    registry: CollectorRegistry,
    heartbeat: Callable[[], float],
    is_ready: Callable[[], bool],
    hung_after_s: float,
) -> ThreadingHTTPServer:
    """Start serving in a daemon thread; the server's port is the one bound (0 picks one)."""

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/metrics":
                self._answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif self.path == "/live":
                age_s = time.monotonic() - heartbeat()
                self._verdict(age_s < hung_after_s, f"last turn {age_s:.1f} s ago\n")
            elif self.path == "/ready":
                self._verdict(is_ready(), "ready\n" if is_ready() else "recovering or unassigned\n")
            else:
                self._answer(404, b"GET /live, /ready or /metrics\n", "text/plain")

        def _verdict(self, good: bool, text: str) -> None:
            self._answer(200 if good else 503, text.encode(), "text/plain")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Probes are not worth a log line."""

    server = ThreadingHTTPServer((host, port), Health)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()
    return server

"""Health over HTTP, from a side thread that only reads: /live, /ready, /metrics.

Liveness notices a loop that hangs (a blocked client call stops the heartbeat); it does not depend
on the broker. Readiness waits for the group's assignment and for recovery.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from libs.events.errors import Refused
from libs.events.plain_http import PlainRequests


def serve_health(
    host: str,
    port: int,
    registry: CollectorRegistry,
    heartbeat: Callable[[], float],
    is_ready: Callable[[], bool],
    hung_after_s: float,
) -> ThreadingHTTPServer:
    """Start serving in a daemon thread; the server's port is the one bound (0 picks one).

    Raises Refused when the port is taken: several members on one machine need a free one each.
    """

    class Health(PlainRequests):
        def do_GET(self) -> None:
            if self.place == "/metrics":
                self.answer(200, generate_latest(registry), CONTENT_TYPE_LATEST)
            elif self.place == "/live":
                age_s = time.monotonic() - heartbeat()
                self._verdict(age_s < hung_after_s, f"last turn {age_s:.1f} s ago\n")
            elif self.place == "/ready":
                ready = is_ready()
                self._verdict(ready, "ready\n" if ready else "recovering or unassigned\n")
            else:
                self.refuse(404, "GET /live, /ready or /metrics")

        def _verdict(self, good: bool, text: str) -> None:
            self.answer(200 if good else 503, text.encode(), "text/plain")

    try:
        server = ThreadingHTTPServer((host, port), Health)
    except OSError as error:
        raise Refused(
            f"health port {port} on {host}: {error.strerror}; set GRIDLEDGER_HEALTH_PORT to 0 for "
            "a free one, which the status file names"
        ) from None
    server.daemon_threads = True
    threading.Thread(
        # Looks often whether it shall end: a process that is told to must not wait for it.
        target=server.serve_forever,
        args=(0.05,),
        name="health",
        daemon=True,
    ).start()
    return server

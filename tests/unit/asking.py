"""A server in a thread and a client that sends what a browser would not: for the plain edges."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import ThreadingHTTPServer

import pytest

from libs.events.plain_http import PlainRequests

Answer = tuple[int, str, bytes]
"""Status, content type, body."""


@contextmanager
def served(requests: type[PlainRequests]) -> Iterator[int]:
    """The port on which `requests` are answered until the block ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), requests)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def ask(
    port: int,
    method: str,
    path: str,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """One request and what came back; a length that is given is sent as it is, right or wrong."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        line.request(method, path, body, dict(headers or {}))
        answer = line.getresponse()
        if answer.status == 405:
            assert answer.headers["Allow"]
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        line.close()


WRONG_METHODS = pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "BREW"])

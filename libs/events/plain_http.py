"""HTTP without a framework, for the few fixed paths of the clock, the console and the health port.

What the standard library answers by itself is a page of HTML, and 501 where the caller only took
the wrong method. Here every answer has a length and the content type that the service says, and a
wrong method is 405 with the right ones in `Allow` (RFC 9110 15.5.6).

    class Greeting(PlainRequests):
        def do_GET(self) -> None:
            self.answer(200, b"hello\n", "text/plain")

    PUT /    405    Allow: GET    "PUT is not answered here: use GET"
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import ClassVar


class PlainRequests(BaseHTTPRequestHandler):
    """One request and its answer; a subclass gives `do_GET` and the like."""

    timeout = 30
    """Seconds without a byte after which a peer that says less than it announced is left."""

    always: ClassVar[Mapping[str, str]] = {}
    """Headers of every answer."""

    @property
    def place(self) -> str:
        """The path that was asked for, without its query."""
        return self.path.partition("?")[0]

    def answer(
        self, status: int, body: bytes, content_type: str, more: Mapping[str, str] | None = None
    ) -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        for name, value in {**self.always, **(more or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status: int, problem: str, more: Mapping[str, str] | None = None) -> None:
        """Say in one line why nothing was done; a service with another format overrides it."""
        self.answer(status, f"{problem}\n".encode(), "text/plain; charset=utf-8", more)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the base class calls for requests that reach no `do_METHOD`."""
        if code == HTTPStatus.NOT_IMPLEMENTED:
            allowed = ", ".join(
                name.removeprefix("do_") for name in dir(self) if name.startswith("do_")
            )
            problem = f"{self.command} is not answered here: use {allowed}"
            self.refuse(HTTPStatus.METHOD_NOT_ALLOWED, problem, {"Allow": allowed})
        else:
            self.refuse(code, message or HTTPStatus(code).phrase)

    def log_message(self, format: str, *args: object) -> None:
        """Probes and pages that refresh themselves are not worth a log line."""

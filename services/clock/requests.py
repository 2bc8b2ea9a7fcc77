"""What the clock answers over HTTP in simulated time.

    GET  /now                                                      {"at"}
    POST /advance  {"at": "2026-01-02T16:00:00Z", "timeout_s": 60}   {"at", "behind"}
    POST /rest     {"timeout_s": 60}                                 {"at", "behind"}

200 means that the system is at rest (after the tick, for `/advance`), 503 that it was not in time
(`behind` says who) or that the log does not answer. A request that is wrong is 422 with its `field`
and leaves business time alone.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from libs.events.codec import parse_json
from libs.events.errors import BadInput, GridLedgerError
from libs.events.plain_http import PlainRequests
from libs.events.telemetry import logger

BODY_BYTES_MAX = 4096
TIMEOUT_DEFAULT_S = 60
TIMEOUT_MAX_S = 3600
MEMBERS = {"/advance": ("at", "timeout_s"), "/rest": ("timeout_s",)}
"""What the body of each request may hold."""

_PLACES = "GET /now, POST /advance or /rest"
_INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")


class Ticking(Protocol):
    """The clock as its requests need it."""

    @property
    def last_at(self) -> str:
        """Business time."""

    def tick(self, at: str) -> bool:
        """Write a tick; False when business time is there already."""


class Resting(Protocol):
    """The barrier as the requests need it."""

    def wait(self, timeout_s: float) -> dict[str, int]:
        """Wait for rest; {} when it came, else who is behind."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that is right; `at` is empty where only rest is asked for."""

    timeout_s: float
    at: str


def read_asked(place: str, data: bytes) -> Asked:
    """The body of a POST to `place`; BadInput names what is wrong with it."""
    try:
        body = parse_json(data or b"{}", "body")
    except RecursionError:
        raise BadInput("body", "is nested too deep", "send one flat object") from None
    if not isinstance(body, dict):
        raise BadInput("body", "no JSON object", 'send {"at": "2026-01-31T16:00:00Z"}')
    members = MEMBERS[place]
    for name in body:
        if name not in members:
            raise BadInput(name, f"is no member of {place}", f"it takes {', '.join(members)}")
    timeout_s = body.get("timeout_s", TIMEOUT_DEFAULT_S)
    # A bool is an int in Python, but no number in JSON.
    is_number = isinstance(timeout_s, int | float) and not isinstance(timeout_s, bool)
    if not is_number or not 0 <= timeout_s <= TIMEOUT_MAX_S:
        raise BadInput("timeout_s", f"{timeout_s!r}", f"give seconds from 0 to {TIMEOUT_MAX_S}")
    return Asked(timeout_s, check_instant(body.get("at")) if "at" in members else "")


def check_instant(at: object) -> str:
    """An instant as ticks carry it; BadInput otherwise."""
    if isinstance(at, str) and _INSTANT.fullmatch(at):
        try:
            datetime.strptime(f"{at}+0000", "%Y-%m-%dT%H:%M:%SZ%z")
            return at
        except ValueError:
            pass
    raise BadInput("at", f"{at!r} is no instant", "write it like 2026-01-31T16:00:00Z")


def clock_requests(clock: Ticking, barrier: Resting) -> type[PlainRequests]:
    """What answers, one POST at a time."""
    turn = threading.Lock()

    class ClockRequests(PlainRequests):
        def do_GET(self) -> None:
            if self.place == "/now":
                self._say(200, {"at": clock.last_at})
            else:
                self.refuse(404, _PLACES)

        def do_POST(self) -> None:
            try:
                data = self._body()
                if self.place not in MEMBERS:
                    self.refuse(404, _PLACES)
                    return
                asked = read_asked(self.place, data)
                with turn:
                    behind = _rest(asked)
            except BadInput as wrong:
                self._say(422, {"field": wrong.field, "detail": str(wrong)})
            except GridLedgerError as error:
                logger("clock").warning("no tick", reason=str(error))
                self._say(503, {"detail": str(error)})
            else:
                self._say(503 if behind else 200, {"at": clock.last_at, "behind": behind})

        def _body(self) -> bytes:
            length = self.headers.get("Content-Length", "0")
            if "Transfer-Encoding" in self.headers:
                raise BadInput("Transfer-Encoding", "is not read", "give a Content-Length")
            # isdigit alone takes the digits of other scripts, and int a sign.
            if not (length.isascii() and length.isdigit() and len(length) < 10):
                raise BadInput("Content-Length", f"{length!r}", "give the length in bytes")
            if int(length) > BODY_BYTES_MAX:
                raise BadInput("Content-Length", length, f"send at most {BODY_BYTES_MAX} bytes")
            data = self.rfile.read(int(length))
            if len(data) < int(length):
                raise BadInput(
                    "body", f"ends after {len(data)} of {length} bytes", "send all of it"
                )
            return data

        def refuse(self, status: int, problem: str, more: Mapping[str, str] | None = None) -> None:
            self._say(status, {"detail": problem}, more)

        def _say(
            self, status: int, body: dict[str, object], more: Mapping[str, str] | None = None
        ) -> None:
            self.answer(status, json.dumps(body).encode(), "application/json", more)

    def _rest(asked: Asked) -> dict[str, int]:
        """Rest, the tick that is asked for, and rest again; who is behind when it does not come."""
        behind = barrier.wait(asked.timeout_s)
        if behind or not asked.at:
            return behind
        clock.tick(asked.at)
        return barrier.wait(asked.timeout_s)

    return ClockRequests

"""The clock over HTTP: a tick only for a request that is right, and every wrong one names why.

Goal: whoever drives simulated time sees at once what was wrong with a request, and business time
never moves because of it. Method: a real server on a clock and a barrier in memory.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from libs.events.errors import Unavailable
from services.clock.requests import BODY_BYTES_MAX, Asked, clock_requests, read_asked
from tests.unit.asking import WRONG_METHODS, ask, served

START = "2026-01-01T00:00:00Z"
LATER = "2026-01-01T00:01:00Z"


class Room:
    """A clock and a barrier that remember what was asked of them."""

    def __init__(self) -> None:
        self.last_at = START
        self.waited: list[float] = []
        self.behind: list[dict[str, int]] = []
        self.error: Exception | None = None

    def tick(self, at: str) -> bool:
        if self.error is not None:
            raise self.error
        self.last_at = at
        return True

    def wait(self, timeout_s: float) -> dict[str, int]:
        self.waited.append(timeout_s)
        return self.behind.pop(0) if self.behind else {}


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def port(room: Room) -> Iterator[int]:
    with served(clock_requests(room, room)) as port:
        yield port


def told(port: int, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
    """Status and JSON of an answer; whatever was asked, it is JSON."""
    data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    status, kind, answer = ask(port, method, path, data, headers)
    assert kind == "application/json"
    return status, json.loads(answer)


def test_a_tick_waits_for_rest_before_and_after(port: int, room: Room) -> None:
    answer = told(port, "POST", "/advance", {"at": LATER, "timeout_s": 1.5})
    assert answer == (200, {"at": LATER, "behind": {}})
    assert (room.last_at, room.waited) == (LATER, [1.5, 1.5])
    assert told(port, "GET", "/now?x=1") == (200, {"at": LATER})


def test_rest_needs_no_body_and_moves_nothing(port: int, room: Room) -> None:
    assert told(port, "POST", "/rest") == (200, {"at": START, "behind": {}})
    assert told(port, "POST", "/rest", {"timeout_s": 0}) == (200, {"at": START, "behind": {}})
    assert (room.last_at, room.waited) == (START, [60, 0])


def test_who_is_behind_is_told_and_nothing_ticks(port: int, room: Room) -> None:
    room.behind = [{"billing": 2}]
    answer = told(port, "POST", "/advance", {"at": LATER})
    assert answer == (503, {"at": START, "behind": {"billing": 2}})
    room.behind = [{}, {"control": 1}]
    answer = told(port, "POST", "/advance", {"at": LATER})
    assert answer == (503, {"at": LATER, "behind": {"control": 1}})


def test_a_log_that_does_not_answer_is_503(port: int, room: Room) -> None:
    room.error = Unavailable("no broker answers")
    answer = told(port, "POST", "/advance", {"at": LATER})
    assert answer == (503, {"detail": "no broker answers"})


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/advance", b"{", "body"),
        ("/advance", b"\xff", "body"),
        ("/advance", b"[" * BODY_BYTES_MAX, "body"),
        ("/advance", b"[]", "body"),
        ("/rest", b"null", "body"),
        ("/rest", {"at": LATER}, "at"),
        ("/advance", {"at": LATER, "person": "wang"}, "person"),
        ("/advance", {}, "at"),
        ("/advance", {"at": None}, "at"),
        ("/advance", {"at": 20260101}, "at"),
        ("/advance", {"at": ""}, "at"),
        ("/advance", {"at": "2026-01-01"}, "at"),
        ("/advance", {"at": "2026-1-1T0:0:0Z"}, "at"),
        ("/advance", {"at": "２０２６-01-01T00:00:00Z"}, "at"),
        ("/advance", {"at": "0000-01-01T00:00:00Z"}, "at"),
        ("/advance", {"at": "2026-02-29T00:00:00Z"}, "at"),
        ("/advance", {"at": "2026-01-01T24:00:00Z"}, "at"),
        ("/advance", {"at": "2026-01-01T00:00:00Z\n"}, "at"),
        ("/advance", {"at": LATER, "timeout_s": "60"}, "timeout_s"),
        ("/advance", {"at": LATER, "timeout_s": True}, "timeout_s"),
        ("/advance", {"at": LATER, "timeout_s": None}, "timeout_s"),
        ("/rest", {"timeout_s": -1}, "timeout_s"),
        ("/rest", {"timeout_s": 3600.5}, "timeout_s"),
        ("/rest", b'{"timeout_s": NaN}', "body"),
        ("/rest", b'{"timeout_s": 1e300}', "timeout_s"),
    ],
)
def test_a_wrong_body_names_its_field(
    port: int, room: Room, path: str, body: Any, field: str
) -> None:
    status, answer = told(port, "POST", path, body)
    assert (status, answer["field"]) == (422, field)
    assert answer["detail"].startswith(f"{field}: ")
    assert (room.last_at, room.waited) == (START, [])


@pytest.mark.parametrize("length", ["-1", "+2", "x", "", "²", "2.0", "1_0", "9" * 5000])
def test_a_wrong_length_is_no_hang(port: int, room: Room, length: str) -> None:
    status, answer = told(port, "POST", "/rest", None, **{"Content-Length": length})
    assert (status, answer["field"]) == (422, "Content-Length")
    assert room.waited == []


def test_a_body_is_bounded_and_has_a_length(port: int, room: Room) -> None:
    longest = str(BODY_BYTES_MAX + 1)
    status, answer = told(port, "POST", "/rest", None, **{"Content-Length": longest})
    assert (status, answer["field"]) == (422, "Content-Length")
    status, answer = told(port, "POST", "/rest", None, **{"Transfer-Encoding": "chunked"})
    assert (status, answer["field"]) == (422, "Transfer-Encoding")
    assert room.waited == []


def test_a_body_that_breaks_off_is_refused_though_it_can_be_read(port: int, room: Room) -> None:
    with socket.create_connection(("127.0.0.1", port), 5) as line:
        line.sendall(b"POST /rest HTTP/1.1\r\nContent-Length: 40\r\n\r\n{}")
        line.shutdown(socket.SHUT_WR)
        head, _, body = line.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"422"
    wanted = "body: ends after 2 of 40 bytes (send all of it)"
    assert json.loads(body) == {"field": "body", "detail": wanted}
    assert room.waited == []


def test_a_leap_day_is_an_instant() -> None:
    body = b'{"at": "2028-02-29T16:00:00Z"}'
    assert read_asked("/advance", body) == Asked(60, "2028-02-29T16:00:00Z")


@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/rest"), ("POST", "/now")])
def test_another_path_is_not_found(port: int, room: Room, method: str, path: str) -> None:
    status, answer = told(port, method, path)
    assert (status, answer) == (404, {"detail": "GET /now, POST /advance or /rest"})


@WRONG_METHODS
def test_another_method_is_405_in_json(port: int, room: Room, method: str) -> None:
    status, kind, body = ask(port, method, "/advance", b"{}")
    assert (status, kind) == (405, "application/json")
    wanted = f"{method} is not answered here: use GET, POST"
    assert body == (b"" if method == "HEAD" else json.dumps({"detail": wanted}).encode())
    assert room.last_at == START

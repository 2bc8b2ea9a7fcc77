"""The health port: alive, ready and metrics, and the right status for what it does not have."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Counter

from libs.events.health import serve_health
from tests.unit.asking import WRONG_METHODS, ask


class Loop:
    """What the port looks at."""

    heartbeat = 0.0
    ready = False


@pytest.fixture(scope="module")
def loop() -> Loop:
    return Loop()


@pytest.fixture(scope="module")
def port(loop: Loop) -> Iterator[int]:
    registry = CollectorRegistry()
    Counter("turns", "Turns of the loop", registry=registry).inc(3)
    server = serve_health(
        "127.0.0.1", 0, registry, lambda: loop.heartbeat, lambda: loop.ready, hung_after_s=5.0
    )
    yield int(server.server_address[1])
    server.shutdown()
    server.server_close()


def test_a_loop_that_turned_lately_is_alive(port: int, loop: Loop) -> None:
    loop.heartbeat = time.monotonic()
    assert ask(port, "GET", "/live")[:2] == (200, "text/plain")
    loop.heartbeat = time.monotonic() - 6
    status, _, body = ask(port, "GET", "/live")
    assert status == 503
    assert body.startswith(b"last turn 6.")


def test_ready_only_after_recovery(port: int, loop: Loop) -> None:
    assert ask(port, "GET", "/ready") == (503, "text/plain", b"recovering or unassigned\n")
    loop.ready = True
    assert ask(port, "GET", "/ready") == (200, "text/plain", b"ready\n")


def test_metrics_are_served_whatever_the_query(port: int) -> None:
    status, kind, body = ask(port, "GET", "/metrics?name=turns")
    assert (status, kind.partition(";")[0]) == (200, "text/plain")
    assert b"turns_total 3.0\n" in body


def test_another_path_is_not_found(port: int) -> None:
    wanted = (404, "text/plain; charset=utf-8", b"GET /live, /ready or /metrics\n")
    assert ask(port, "GET", "/") == wanted


@WRONG_METHODS
def test_another_method_is_405(port: int, method: str) -> None:
    status, kind, body = ask(port, method, "/metrics", b"x")
    assert (status, kind) == (405, "text/plain; charset=utf-8")
    wanted = f"{method} is not answered here: use GET\n".encode()
    assert body == (b"" if method == "HEAD" else wanted)

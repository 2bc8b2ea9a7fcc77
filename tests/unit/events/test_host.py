"""The host of a loop: its watchdog, its status file, its health port, and how it ends."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from libs.events.errors import Refused
from libs.events.host import HUNG, Pulse, Runtime, oldest, watch, watched
from libs.events.kafka import KafkaSettings
from tests.unit.asking import ask


def ends_of(heartbeats: list[Pulse], beaten: list[Pulse]) -> list[int]:
    """The exit statuses a watchdog of 0.2 s asks for within 0.6 s."""
    ended: list[int] = []
    heartbeat = oldest(*[lambda pulse=pulse: pulse.at for pulse in heartbeats])
    over = watch(heartbeat, 0.2, cast(Any, ended.append))
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        for pulse in beaten:
            pulse.beat(is_ready=True)
        time.sleep(0.01)
    over.set()
    return ended


def test_a_hung_loop_ends_the_process_once() -> None:
    assert ends_of([Pulse()], []) == [HUNG]


def test_a_turning_loop_is_left_alone() -> None:
    pulse = Pulse()
    assert ends_of([pulse], [pulse]) == []


def test_a_part_beside_the_loop_must_not_hang_either() -> None:
    loop, beside = Pulse(), Pulse()
    assert ends_of([loop, beside], [loop]) == [HUNG]
    assert ends_of([loop, beside], [loop, beside]) == []


def test_a_watch_that_is_over_ends_nothing() -> None:
    ended: list[int] = []
    watch(lambda: 0.0, 0.2, cast(Any, ended.append)).set()
    time.sleep(0.3)
    assert ended == []


def runtime_on(port: int | None) -> Runtime:
    return Runtime(KafkaSettings(bootstrap_servers="127.0.0.1:1"), "", 4, health_port=port)


def test_the_port_that_was_bound_is_told_and_given_back() -> None:
    pulse = Pulse()
    with watched(
        runtime_on(0), CollectorRegistry(), lambda: pulse.at, lambda: pulse.is_ready
    ) as report:
        port = report["health_port"]
        assert ask(port, "GET", "/live")[0] == 200
        assert ask(port, "GET", "/ready")[0] == 503
        pulse.beat(is_ready=True)
        assert ask(port, "GET", "/ready")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), 1)


def test_without_a_health_port_only_the_watchdog_runs() -> None:
    with watched(runtime_on(None), CollectorRegistry(), time.monotonic, lambda: True) as report:
        assert report == {}


def test_a_health_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as first:
        port = first.getsockname()[1]
        told = rf"health port {port} .*GRIDLEDGER_HEALTH_PORT"
        with (
            pytest.raises(Refused, match=told),
            watched(runtime_on(port), CollectorRegistry(), time.monotonic, lambda: True),
        ):
            pass


@contextmanager
def running(*more: str) -> Iterator[subprocess.Popen[str]]:
    """A core over a simulated log as a process, see loop_program.py."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.unit.events.loop_program", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def status_of(data_dir: Path, state: str) -> dict[str, Any]:
    """What the process tells its supervisor, once it is in this state."""
    file = data_dir / "toy-0.json"
    limit = time.monotonic() + 60
    while True:
        found: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
        if found.get("state") == state:
            return found
        assert time.monotonic() < limit, f"never {state}: {found}"
        time.sleep(0.02)


def test_a_core_lives_is_ready_counts_and_ends_in_order(tmp_path: Path) -> None:
    with running(str(tmp_path)) as child:
        status = status_of(tmp_path, "ready")
        port = status["health_port"]
        assert status["partitions"] == [0, 1]
        assert ask(port, "GET", "/live")[0] == 200
        assert ask(port, "GET", "/ready") == (200, "text/plain", b"ready\n")
        line = b'gridledger_inputs_total{core="toy",verdict="decided"} 3.0\n'
        limit = time.monotonic() + 20
        while line not in ask(port, "GET", "/metrics")[2]:
            assert time.monotonic() < limit, ask(port, "GET", "/metrics")[2].decode()
            time.sleep(0.05)
        child.send_signal(signal.SIGTERM)
        out, errors = child.communicate(timeout=20)
    assert child.returncode == 0, errors
    # Checkpoints are written only at the end here: 3 coins lie in boxes of two partitions.
    assert out == "saved before the end: 0 rows\nsaved at the end: 3 rows\n"
    assert status_of(tmp_path, "stopped") == {
        "pid": child.pid,
        "state": "stopped",
        "partitions": [],
    }


def test_a_core_lives_and_is_not_ready_while_the_broker_does_not_answer(tmp_path: Path) -> None:
    with running(str(tmp_path), "down") as child:
        status = status_of(tmp_path, "joining")
        time.sleep(1.5)  # longer than its watchdog of 1 s allows a loop that hangs
        assert child.poll() is None
        assert ask(status["health_port"], "GET", "/live")[0] == 200
        assert ask(status["health_port"], "GET", "/ready")[0] == 503
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=20)
    assert child.returncode == 0, errors
    assert "the broker does not answer" in errors

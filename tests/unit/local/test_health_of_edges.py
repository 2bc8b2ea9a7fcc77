"""Every process that is no core has a health port too, and names it: edges, console and clock."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from libs.events.edge import EdgeProducer
from libs.events.errors import Unavailable
from libs.events.record import Outgoing, Record
from libs.events.registry import Catalogue
from libs.events.telemetry import Tracing
from services import wiring
from services.clock import main as clock_main
from services.clock.main import Clock
from services.console import main as console_main
from services.control import edge_main as control_edge
from services.metrology import edge_main as metrology_edge
from services.settings import Settings, load_settings
from tests.unit.asking import ask

EPOCH = "1970-01-01T00:00:00Z"


class Stop:
    """Stands for SIGTERM, which only a main thread receives."""

    now: threading.Event

    @property
    def is_set(self) -> bool:
        return self.now.is_set()

    def wait(self, seconds: float) -> None:
        time.sleep(0.01)


class Port:
    """Acknowledges at once."""

    def __init__(self) -> None:
        self.is_closed = False

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        return list(range(len(outgoing)))

    def close(self) -> None:
        self.is_closed = True


class Tail:
    """A log that answers at first."""

    def __init__(self, *_: object) -> None:
        self.answers = 3

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        self.answers -= 1
        time.sleep(0.01)
        if self.answers < 0:
            raise Unavailable("no broker answers")
        return []

    def close(self) -> None:
        pass


class Writer:
    """Takes what the clock writes, when it may."""

    def __init__(self) -> None:
        self.taken: list[Outgoing] = []
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.failure: Exception | None = None

    def write(self, outgoing: Sequence[Outgoing]) -> None:
        assert self.may_go_on.wait(20)
        if self.failure is not None:
            raise self.failure
        self.taken += outgoing


class Barrier:
    """Always at rest."""

    def __init__(self, *_: object) -> None:
        pass

    def wait(self, timeout_s: float) -> dict[str, int]:
        return {}


@contextmanager
def running(
    run: Callable[[Settings, int], int], settings: Settings, name: str, stop: threading.Event
) -> Iterator[dict[str, Any]]:
    """A service in a thread; what its status file says once it is ready. It ends with status 0."""
    ended: list[int] = []
    thread = threading.Thread(target=lambda: ended.append(run(settings, 0)), daemon=True)
    thread.start()
    file = settings.data_dir / "run" / f"{name}-0.json"
    try:
        limit = time.monotonic() + 20
        status: dict[str, Any] = {}
        while status.get("state") != "ready":
            assert time.monotonic() < limit, f"{name} is not ready: {status}"
            time.sleep(0.02)
            status = json.loads(file.read_text()) if file.exists() else {}
        yield status
    finally:
        stop.set()
        thread.join(20)
    assert ended == [0]


@pytest.fixture
def stop(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    monkeypatch.setattr(wiring, "configure_logs", lambda *_: None)
    event = threading.Event()
    stub = type("StopNow", (Stop,), {"now": event})
    for module in (clock_main, console_main, control_edge, metrology_edge):
        monkeypatch.setattr(module, "StopSignal", stub)
    return event


def settings_of(tmp_path: Path, **changes: Any) -> Settings:
    ports = {"control_port": 0, "metrology_port": 0, "console_port": 0, "clock_port": 0}
    return load_settings(tmp_path, data_dir=tmp_path, **ports, **changes).settings


def check_health(port: int, metric: bytes) -> None:
    assert ask(port, "GET", "/live")[0] == 200
    assert ask(port, "GET", "/ready")[0] == 200
    assert metric in ask(port, "GET", "/metrics")[2]


@pytest.mark.parametrize(
    ("module", "name"), [(control_edge, "control-edge"), (metrology_edge, "metrology-edge")]
)
def test_an_edge(
    module: Any,
    name: str,
    tmp_path: Path,
    stop: threading.Event,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port = Port()

    def open_producer(settings: Settings, source: str, catalogue: Catalogue) -> EdgeProducer:
        return EdgeProducer(source, catalogue, port, lambda topic: 1)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "open_producer", open_producer)
    operators = tmp_path / "operators.json"
    operators.write_text('{"accounts": []}')
    settings = settings_of(tmp_path, operators_file=str(operators))
    with running(module.run, settings, name, stop) as status:
        check_health(status["health_port"], b"# TYPE gridledger_appended_total counter")
    assert port.is_closed


def test_the_console_is_ready_while_the_log_answers(
    tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail = Tail()
    tail.answers = 1_000_000
    monkeypatch.setattr(console_main, "KafkaTail", lambda *_: tail)
    with running(console_main.run, settings_of(tmp_path), "console", stop) as status:
        port = status["health_port"]
        check_health(port, b"gridledger_noted_total 0.0")
        tail.answers = 0
        limit = time.monotonic() + 10
        while ask(port, "GET", "/ready")[0] != 503:
            assert time.monotonic() < limit
        assert ask(port, "GET", "/live")[0] == 200


@pytest.mark.parametrize("mode", ["live", "simulated"])
def test_the_clock(
    mode: str, tmp_path: Path, stop: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = Writer()

    def open_clock(kafka: object, partitions: int, tracing: Tracing) -> Clock:
        return Clock(writer, partitions, EPOCH, tracing)

    monkeypatch.setattr(clock_main, "open_clock", open_clock)
    monkeypatch.setattr(clock_main, "Barrier", Barrier)
    settings = settings_of(tmp_path, clock_mode=mode)
    with running(clock_main.run, settings, "clock", stop) as status:
        check_health(status["health_port"], b"gridledger_business_time_seconds ")
    assert len(writer.taken) == (0 if mode == "simulated" else 4)


def test_the_business_time_is_a_metric() -> None:
    clock = Clock(Writer(), 2, EPOCH)
    assert clock.tick("2026-01-02T16:00:00Z")
    assert not clock.tick("2026-01-02T16:00:00Z")
    found = clock.registry.get_sample_value("gridledger_business_time_seconds")
    assert found == 1767369600  # date -u -d 2026-01-02T16:00:00Z +%s


def test_a_tick_that_never_comes_back_stops_the_heartbeat() -> None:
    """In simulated time it hangs in a thread of its own, while the main one turns."""
    writer = Writer()
    clock = Clock(writer, 1, EPOCH)
    assert time.monotonic() - clock.heartbeat() < 0.1
    writer.may_go_on.clear()
    thread = threading.Thread(target=clock.tick, args=("2026-01-02T16:00:00Z",))
    thread.start()
    time.sleep(0.4)
    assert time.monotonic() - clock.heartbeat() > 0.3
    writer.may_go_on.set()
    thread.join(10)
    assert time.monotonic() - clock.heartbeat() < 0.1


def test_a_tick_that_fails_does_not() -> None:
    writer = Writer()
    writer.failure = Unavailable("no broker answers")
    clock = Clock(writer, 1, EPOCH)
    with pytest.raises(Unavailable):
        clock.tick("2026-01-02T16:00:00Z")
    time.sleep(0.2)
    assert time.monotonic() - clock.heartbeat() < 0.1
    assert clock.last_at == EPOCH

"""The host of a loop: one process, its signals, its health and its status file.

    run_loop(loop, host)      steps until SIGTERM, then leaves in order with status 0

SIGTERM finishes the turn, which always ends committed, writes checkpoints and leaves. A second
signal ends the process at once, which is safe by design. Every error ends the process: recovery at
the next start is the one path everybody tests.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from libs.events.core import decider_of
from libs.events.health import serve_health
from libs.events.kafka import KafkaSettings
from libs.events.loop import Loop
from libs.events.telemetry import logger


@dataclass(frozen=True, slots=True)
class Runtime:
    """What every process of an installation is told: where the log is, where it may write."""

    kafka: KafkaSettings
    database_url: str
    partitions: int
    release: str = ""
    run_dir: Path | None = None
    health_host: str = "127.0.0.1"
    health_port: int | None = None

    @property
    def hung_after_s(self) -> float:
        """After how long without a turn or a commit a loop counts as hung: longer than all calls
        of one transaction may take together."""
        kafka = self.kafka
        return 10.0 + (2 * kafka.transaction_timeout_ms + kafka.request_timeout_ms) / 1000


class StopSignal:
    """Set by SIGTERM or SIGINT; a second signal ends the process at once."""

    def __init__(self) -> None:
        self.is_set = False
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)

    def _receive(self, number: int, _frame: object) -> None:
        if self.is_set:
            os._exit(128 + number)
        self.is_set = True

    def wait(self, seconds: float) -> None:
        """Sleep, but not beyond the signal by more than the rest of the sleep."""
        time.sleep(seconds)


class StatusFile:
    """What a process tells its supervisor, written atomically once a second."""

    def __init__(self, run_dir: Path | None, name: str) -> None:
        self.path = run_dir / f"{name}.json" if run_dir is not None else None
        self._written_at = 0.0

    def write(self, status: dict[str, Any], *, now: bool = False) -> None:
        """Write the status, at most once a second unless `now`."""
        if self.path is None or (not now and time.monotonic() - self._written_at < 1.0):
            return
        self._written_at = time.monotonic()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        draft = self.path.with_suffix(f".{os.getpid()}.tmp")
        draft.write_text(json.dumps({"pid": os.getpid(), **status}), encoding="utf-8")
        draft.replace(self.path)


SHARED_PURE_MODULES = (
    "libs.events.batch",
    "libs.events.core",
    "libs.events.fold",
    "libs.events.policy",
    "libs.events.quantities",
    "libs.events.record",
    "libs.events.step",
)
"""What every core decides with: a changed rounding is another decider too."""


def decider_hash(modules: Iterable[str]) -> str:
    """The decider of a core: the hash of its pure modules' sources, as they are on disk."""
    sources = []
    for name in (*SHARED_PURE_MODULES, *modules):
        spec = importlib.util.find_spec(name)
        assert spec is not None, f"no module {name}"
        assert spec.origin is not None, f"{name} has no source file"
        sources.append((name, Path(spec.origin).read_bytes()))
    return decider_of(sources)


def loop_status(loop: Loop) -> dict[str, Any]:
    """What `gridledger local status` shows of a core."""
    return {
        "state": _state(loop),
        "partitions": sorted(loop.ready),
        "recovering": {
            str(partition): recovery.remaining for partition, recovery in loop.recovering.items()
        },
        "lag_records": 0 if loop.telemetry.is_idle else loop.log.behind(),
        "lag_s": loop.telemetry.lag_s,
        "counts": loop.telemetry.counts,
        "commit_ms": round(loop.commit_s * 1000, 1),
        "keys": sum(len(fold.states) for fold in loop.folds.values()),
    }


def _state(loop: Loop) -> str:
    if loop.is_ready:
        return "ready"
    return "recovering" if loop.recovering or loop.log.joined() else "joining"


HUNG = 75
"""The exit status of a process that ended itself because a client call never came back."""


Heartbeat = Callable[[], float]
"""When a part of a process last turned, by the monotonic clock."""


def oldest(*heartbeats: Heartbeat) -> Heartbeat:
    """The heartbeat of a process of several parts: alive as long as each of them is."""
    return lambda: min(heartbeat() for heartbeat in heartbeats)


class Pulse:
    """What a part that is no loop tells about itself: `beat` it at every turn."""

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.is_ready = False

    def beat(self, *, is_ready: bool) -> None:
        """It turned just now, and can do its work or not."""
        self.at = time.monotonic()
        self.is_ready = is_ready


def watch(
    heartbeat: Heartbeat, hung_after_s: float, end: Callable[[int], object] = os._exit
) -> threading.Event:
    """End the process when it hangs: a client call that never returns cannot be cancelled
    (seen: send_offsets_to_transaction after the broker was killed), and recovery at the next start
    is the path everybody tests. Setting the event that is returned ends the watch."""
    over = threading.Event()

    def look() -> None:
        while not over.wait(min(1.0, hung_after_s / 10)):
            age_s = time.monotonic() - heartbeat()
            if age_s > hung_after_s:
                log = logger("watchdog")
                log.error("the loop hangs, ending the process", age_s=round(age_s, 1))
                end(HUNG)
                return

    threading.Thread(target=look, name="watchdog", daemon=True).start()
    return over


@contextmanager
def watched(
    runtime: Runtime,
    registry: CollectorRegistry,
    heartbeat: Heartbeat,
    is_ready: Callable[[], bool],
) -> Iterator[dict[str, Any]]:
    """Health port and watchdog of this process while the block runs.

    Yields what the status file says of them: the port that was bound, which nobody else knows.
    """
    server = None
    if runtime.health_port is not None:
        server = serve_health(
            runtime.health_host,
            runtime.health_port,
            registry,
            heartbeat,
            is_ready,
            runtime.hung_after_s,
        )
    over = watch(heartbeat, runtime.hung_after_s)
    try:
        yield {} if server is None else {"health_port": server.server_address[1]}
    finally:
        over.set()
        if server is not None:
            server.shutdown()
            server.server_close()


@contextmanager
def running(loops: Iterable[Loop]) -> Iterator[None]:
    """Run loops in threads of their own while the block runs, then stop them in order.

    One that fails takes the whole process with it: recovery at the next start is the one path.
    """
    stopping = threading.Event()
    threads = [
        threading.Thread(target=_run_until, args=(loop, stopping), name=loop.core.name, daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in threads:
            thread.join(LEAVE_S)


LEAVE_S = 30.0
"""How long a loop in a thread may take to leave in order."""
FAILED = 70
"""The exit status of a process that ended itself because a loop in a thread failed."""


def _run_until(loop: Loop, stopping: threading.Event) -> None:
    try:
        while not stopping.is_set():
            loop.step()
        loop.stop()
        loop.telemetry.tracing.close()
    except BaseException as reason:
        text = f"{type(reason).__name__}: {reason}"
        logger(loop.core.name).error("a loop in a thread ended", reason=text)
        os._exit(FAILED)


def run_loop(loop: Loop, runtime: Runtime, name: str, *others: Heartbeat) -> int:
    """Run a loop as this process until it is told to stop; the exit status.

    `others` are heartbeats of further parts of the process: none of them may hang.
    """
    stop = StopSignal()
    status = StatusFile(runtime.run_dir, name)
    telemetry = loop.telemetry
    heartbeat = oldest(lambda: telemetry.heartbeat, *others)
    with watched(runtime, telemetry.registry, heartbeat, lambda: loop.is_ready) as report:
        while not stop.is_set:
            loop.step()
            status.write(loop_status(loop) | report)
        loop.stop()
    telemetry.tracing.close()
    status.write({"state": "stopped", "partitions": []}, now=True)
    return 0

"""A loop in a thread beside the process's own: it turns, leaves in order, ends all if it fails."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from libs.events import host
from libs.events.host import FAILED, running
from services import wiring
from services.settings import load_settings


class Turning:
    """What `running` needs of a loop."""

    def __init__(self, name: str = "beside", fault: Exception | None = None) -> None:
        self.core = SimpleNamespace(name=name)
        self.telemetry = SimpleNamespace(
            heartbeat=time.monotonic(), tracing=SimpleNamespace(close=lambda: None)
        )
        self.fault = fault
        self.turned = threading.Event()
        self.stopped_in = ""

    def step(self) -> None:
        self.turned.set()
        if self.fault is not None:
            raise self.fault
        time.sleep(0.001)

    def stop(self) -> None:
        self.stopped_in = threading.current_thread().name


def test_it_turns_while_the_block_runs_and_then_leaves_in_order() -> None:
    loops = [Turning("a"), Turning("b")]
    with running(cast(Any, loops)):
        assert all(loop.turned.wait(5) for loop in loops)
        assert [loop.stopped_in for loop in loops] == ["", ""]
    assert [loop.stopped_in for loop in loops] == ["a", "b"]


def test_one_that_fails_ends_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(host.os, "_exit", ended.append)
    loop = Turning(fault=ValueError("broken"))
    with running(cast(Any, [loop])):
        assert loop.turned.wait(5)
    assert ended == [FAILED]
    assert loop.stopped_in == ""


def test_cores_beside_another_one_have_their_own_loops_and_are_watched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[tuple[Turning, str]] = []
    run: list[tuple[Any, str, list[float]]] = []

    def make(kind: type, core: Any, runtime: Any, member: str, tracing: Any) -> Turning:
        loop = Turning(core.name)
        made.append((loop, f"{member} {Path(runtime.database_url).name}"))
        return loop

    def run_loop(loop: Any, runtime: Any, name: str, *heartbeats: Any) -> int:
        assert made[1][0].turned.wait(5)
        run.append((loop, name, [heartbeat() for heartbeat in heartbeats]))
        return 0

    monkeypatch.setattr(wiring, "configure_logs", lambda *_: None)
    monkeypatch.setattr(wiring, "_make_loop", make)
    monkeypatch.setattr(wiring, "run_loop", run_loop)
    settings = load_settings(tmp_path, data_dir=tmp_path).settings
    main, beside = (cast(Any, SimpleNamespace(name=name)) for name in ("it", "it.limits"))
    assert wiring.run_core(main, settings, 1, beside=(beside,)) == 0
    assert [named for _, named in made] == ["it-1 it.db", "it-limits-1 it.limits.db"]
    assert run == [(made[0][0], "it-1", [made[1][0].telemetry.heartbeat])]
    assert made[1][0].stopped_in == "it.limits"

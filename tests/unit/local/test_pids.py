"""A pid is trusted only together with its birth mark."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from services.local import pids

DEAF = "import signal,time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); "


@contextmanager
def child(code: str) -> Iterator[tuple[int, str]]:
    started = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert started.stdout is not None
    try:
        started.stdout.readline()
        yield started.pid, pids.birth_of(started.pid) or ""
    finally:
        started.kill()
        started.wait()
        started.stdout.close()


def test_the_birth_of_a_process_does_not_change() -> None:
    first = pids.birth_of(os.getpid())
    assert first
    assert pids.birth_of(os.getpid()) == first
    assert pids.is_alive(os.getpid(), first)


def test_the_same_number_with_another_birth_is_somebody_else() -> None:
    assert not pids.is_alive(os.getpid(), "0123abcd:1")
    assert not pids.is_alive(os.getpid(), "")


def test_a_signal_never_reaches_somebody_else() -> None:
    with child("import time; print(); time.sleep(60)") as (pid, _birth):
        assert pids.send(pid, "0123abcd:1", signal.SIGKILL) is False
        assert pids.end([(pid, "0123abcd:1")], grace_s=0) == []
        assert pids.birth_of(pid) is not None


def test_a_zombie_is_dead() -> None:
    started = subprocess.Popen([sys.executable, "-c", "pass"])
    deadline = time.monotonic() + 10
    while pids.birth_of(started.pid) is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert started.wait() == 0  # it was not reaped until now


def test_a_number_that_nobody_has() -> None:
    started = subprocess.Popen([sys.executable, "-c", "pass"])
    started.wait()
    assert pids.birth_of(started.pid) is None


def test_sigterm_is_enough_for_a_process_that_hears_it() -> None:
    with child("import time; print(flush=True); time.sleep(60)") as owned:
        assert pids.end([owned], grace_s=10) == []
        assert not pids.is_alive(*owned)


def test_a_deaf_process_is_killed_after_the_grace_time() -> None:
    with child(DEAF + "time.sleep(60)") as owned:
        before = time.monotonic()
        assert pids.end([owned], grace_s=0.3) == [owned[0]]
        assert time.monotonic() - before >= 0.3
        assert not pids.is_alive(*owned)


def test_elsewhere_ps_tells_the_birth(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {1: "Ss   Sat Nov 22 10:00:00 2025\n", 2: "Z+   Sat Nov 22 10:00:00 2025\n", 3: ""}

    def ps(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, answers[int(command[-1])], "")

    monkeypatch.setattr(pids, "_PROC", Path("/nowhere"))
    monkeypatch.setattr(subprocess, "run", ps)
    assert pids.birth_of(1) == "Sat Nov 22 10:00:00 2025"
    assert pids.birth_of(2) is None
    assert pids.birth_of(3) is None

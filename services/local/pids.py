"""Which operating-system process a pid means: a number alone may have been given to another.

A record of a process is `(pid, birth)`; `birth` is a string that no later owner of the same pid
has. Nothing here ever sends a signal to a pid whose birth differs, for example::

    birth = birth_of(pid)                       # taken right after the start
    end([(pid, birth)], grace_s=10)             # hours later, perhaps from another program
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

_PROC = Path("/proc")
# Fields of proc(5) stat, counted from the one after the name, which ends field 2.
_STATE, _THREADS, _START = 0, 17, 19

Owned = tuple[int, str]


def birth_of(pid: int) -> str | None:
    """The birth mark of a living process, None when there is none (or only its zombie).

    On Linux the boot's id and the start time in clock ticks; elsewhere what `ps` prints.
    """
    if not (_PROC / "self" / "stat").exists():
        return _birth_by_ps(pid)
    try:
        stat = (_PROC / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    # The first thread may be dead while others still hold ports and locks.
    if fields[_STATE] in {"Z", "X"} and int(fields[_THREADS]) <= 1:
        return None
    boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    return f"{boot[:8]}:{fields[_START]}"


def _birth_by_ps(pid: int) -> str | None:
    answer = subprocess.run(
        ["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False
    )
    state, _, start = answer.stdout.strip().partition(" ")
    return None if not state or state.startswith("Z") else start.strip()


def is_alive(pid: int, birth: str) -> bool:
    """Whether this very process still runs."""
    return bool(birth) and birth_of(pid) == birth


def send(pid: int, birth: str, number: signal.Signals) -> bool:
    """Send a signal to this very process; False when it is gone."""
    if not is_alive(pid, birth):
        return False
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return False
    return True


def end(owned: Iterable[Owned], *, grace_s: float) -> list[int]:
    """SIGTERM to all, SIGKILL after `grace_s` seconds to those left; returns the killed pids."""
    left = [(pid, birth) for pid, birth in owned if send(pid, birth, signal.SIGTERM)]
    left = wait_gone(left, timeout_s=grace_s)
    killed = [pid for pid, birth in left if send(pid, birth, signal.SIGKILL)]
    wait_gone(left, timeout_s=10)
    return killed


def wait_gone(owned: Iterable[Owned], *, timeout_s: float) -> list[Owned]:
    """Wait until all have ended; returns those that still run after `timeout_s` seconds."""
    deadline = time.monotonic() + timeout_s
    left = list(owned)
    while left:
        _reap(left)
        left = [(pid, birth) for pid, birth in left if is_alive(pid, birth)]
        if not left or time.monotonic() >= deadline:
            return left
        time.sleep(0.02)
    return left


def _reap(owned: Iterable[Owned]) -> None:
    """Collect ended children of our own, so that they do not stay as zombies."""
    for pid, _ in owned:
        try:
            os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            continue

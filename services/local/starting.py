"""How a service gets its own operating-system process: a fork of the supervisor, or a new Python.

Starting Python and importing what a service needs costs more than a second of processor time, and
each copy its own memory. The supervisor therefore imports it once and forks: the child calls the
very command a container calls, `gridledger run SERVICE --ordinal N`. A fork is only safe while the
supervisor has one thread and no client of a broker or database; `can_fork` looks, and otherwise
the child becomes a new Python by exec. Measured with 20 services on two cores:

                     all serve after   memory (PSS) of all   one killed serves again after
    fork                     2.8 s             376 MB          0.6 s (0.5 s of it back-off)
    a new Python            24.1 s           1,233 MB          2.5 s

Either way the child waits at a gate until its pid is on record, so that a supervisor killed
between fork and record leaves nobody behind.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import os
import signal
import sys
import traceback
from collections.abc import Callable, Iterable
from pathlib import Path

_PR_SET_NAME = 15
_NAME_BYTES_MAX = 15
_OURS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_COMMAND = ("services.cli.main", "services.cli.run")
_LIBRARIES = (
    "libs.events.kafka",
    "libs.events.checkpoint",
    "libs.events.loop",
    "libs.events.telemetry",
    "fastapi",
    "uvicorn",
)


def preload(targets: Iterable[str], *, libraries: bool = True) -> list[str]:
    """Import what services need, before any fork; returns the modules that could not be.

    `libraries` are the heavy ones that every service uses; `targets` are `module:function`. What
    fails here fails again in the child, where the reason lands in the service's own log.
    """
    failed = []
    own = [target.partition(":")[0] for target in targets]
    for name in (*_COMMAND, *(_LIBRARIES if libraries else ()), *own):
        try:
            importlib.import_module(name)
        except Exception as error:
            failed.append(f"{name}: {type(error).__name__}: {error}")
    gc.collect()
    gc.freeze()  # the collector must not touch, and so copy, the pages shared with children
    return failed


def can_fork() -> bool:
    """Whether a forked child may go on without exec: Linux, and a single thread here."""
    try:
        return len(os.listdir("/proc/self/task")) == 1
    except OSError:
        return False


def start(
    run_arguments: list[str],
    *,
    name: str,
    log_file: Path,
    by_fork: bool,
    close: Iterable[int],
    record: Callable[[int], None],
) -> int:
    """Start `gridledger run ...` in a child of its own; returns its pid.

    `close` are file descriptors the child must not keep; `record` is called with the pid before
    the child goes on.
    """
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    gate_out, gate_in = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    # A SIGTERM that comes before the child dropped our handlers waits until it has.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _OURS)
    pid = os.fork()
    if pid == 0:
        _become_member(run_arguments, name, log, (gate_out, gate_in), close, by_fork)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    os.close(log)
    os.close(gate_out)
    try:
        record(pid)
        os.write(gate_in, b"1")
    except BrokenPipeError:
        pass  # it died at the gate; its death is noticed like any other
    finally:
        os.close(gate_in)
    return pid


def _become_member(
    run_arguments: list[str],
    name: str,
    log: int,
    gate: tuple[int, int],
    close: Iterable[int],
    by_fork: bool,
) -> None:
    """In the child: never returns into the supervisor's frames."""
    status = 1
    try:
        os.setsid()
        os.close(gate[1])
        for descriptor in close:
            os.close(descriptor)
        if os.read(gate[0], 1) != b"1":
            os._exit(0)
        os.close(gate[0])
        for number in _OURS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OURS)
        empty = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((empty, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(empty)
        os.close(log)
        if not by_fork:
            command = [sys.executable, "-m", "services.cli.main", "run", *run_arguments]
            os.execv(sys.executable, command)  # noqa: S606  (no shell is wanted)
        _show_name(name)
        from services.cli.main import main

        sys.argv = ["gridledger", "run", *run_arguments]
        status = main(["run", *run_arguments])
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _show_name(name: str) -> None:
    """What `ps -e` and `top` call it; a fork would otherwise bear the supervisor's name."""
    if sys.platform == "linux":
        title = f"gl:{name}".encode()[:_NAME_BYTES_MAX]
        ctypes.CDLL(None).prctl(_PR_SET_NAME, ctypes.c_char_p(title), 0, 0, 0)

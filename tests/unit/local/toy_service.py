"""Services that do nothing, for the tests of the supervisor: `tests.unit.local.toy_service:run`."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

from libs.events.errors import Refused
from services.settings import Settings


def run(settings: Settings, ordinal: int) -> int:
    """Say every 50 ms what a service says of itself; end with 0 on SIGTERM."""
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: ending.append(number))
    file = settings.data_dir / "run" / f"toy-{ordinal}.json"
    print(f"toy {ordinal} with {settings.partitions} partitions", flush=True)
    while not ending:
        say(file, {"partitions": [ordinal], "lag_records": 7, "lag_s": 1.5, "state": "ready"})
        time.sleep(0.05)
    print("toy ends", flush=True)
    return 0


def refuse(_settings: Settings, _ordinal: int) -> int:
    """A service that cannot run as configured."""
    raise Refused("toy: no such cluster: name another")


def break_down(_settings: Settings, _ordinal: int) -> int:
    """A service with a bug."""
    raise AssertionError("an invariant of the toy is broken")


def ignore_sigterm(_settings: Settings, _ordinal: int) -> int:
    """A service that hangs and hears no SIGTERM."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", flush=True)
    while True:
        time.sleep(1)


def count_sigterms(_settings: Settings, ordinal: int) -> int:
    """A service that takes half a second to leave and says how often it was asked to."""
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: asked.append(number))
    print("counting", flush=True)
    while not asked:
        time.sleep(0.02)
    until = time.monotonic() + 0.5
    while (left_s := until - time.monotonic()) > 0:
        time.sleep(left_s)
    print(f"toy {ordinal} was asked {len(asked)} times", flush=True)
    return 0


def say(file: Path, report: dict[str, object]) -> None:
    beside = file.with_suffix(".new")
    beside.write_text(json.dumps({"pid": os.getpid(), "recovering": None, **report}))
    beside.replace(file)

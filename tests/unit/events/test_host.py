"""The watchdog: a loop whose client call never returns ends its process; a busy one does not."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

from libs.events.host import HUNG, watch
from libs.events.loop import Loop
from libs.events.telemetry import Telemetry


def watched(beats: bool) -> list[int]:
    """The exit statuses a watchdog of 0.2 s asks for within 0.6 s."""
    telemetry = Telemetry("toy")
    loop = cast(Loop, SimpleNamespace(telemetry=telemetry))
    ended: list[int] = []
    watch(loop, 0.2, cast(Any, ended.append))
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        if beats:
            telemetry.heartbeat = time.monotonic()
        time.sleep(0.01)
    telemetry.heartbeat = time.monotonic() + 3600  # the thread goes on: it must stay quiet now
    return ended


def test_a_hung_loop_ends_the_process_once() -> None:
    assert watched(beats=False) == [HUNG]


def test_a_turning_loop_is_left_alone() -> None:
    assert watched(beats=True) == []

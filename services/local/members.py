"""One supervised service: when it is started, started again, given up, as a small state machine.

    running --died--> waiting --delay over--> running
    running --asked to end--> stopping --gone--> stopped

The delay doubles with every death in a row and starts anew after a stable run. No process is
touched here: the supervisor does what `due` says, so the rules are tested with a plain clock.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

State = Literal["running", "waiting", "stopping", "stopped"]


@dataclass(slots=True, kw_only=True)
class BackOff:
    """How long to wait before the next start, in seconds."""

    first_s: float = 0.5
    most_s: float = 30.0
    stable_s: float = 10.0
    deaths_in_a_row: int = 0

    def delay_after(self, ran_s: float) -> float:
        """The wait after a run of `ran_s`: first_s, then doubled up to most_s."""
        if ran_s >= self.stable_s:
            self.deaths_in_a_row = 0
        delay = min(self.most_s, self.first_s * 2.0 ** min(self.deaths_in_a_row, 30))
        self.deaths_in_a_row += 1
        return delay


@dataclass(slots=True, kw_only=True)
class Member:
    """One member of a service (`billing-0`) or a server that is watched (`kafka-1`)."""

    service: str
    ordinal: int
    target: str = ""
    pid: int = 0
    birth: str = ""
    state: State = "waiting"
    restarts: int = -1  # the first start makes it 0
    started_s: float = 0.0
    next_start_s: float = 0.0
    kill_s: float = 0.0
    last_exit: str = ""
    back_off: BackOff = field(default_factory=BackOff)

    @property
    def name(self) -> str:
        return f"{self.service}-{self.ordinal}"

    def started(self, pid: int, birth: str, now_s: float) -> None:
        """A process was started for this member."""
        self.pid, self.birth, self.state = pid, birth, "running"
        self.started_s = now_s
        self.restarts += 1

    def found(self, pid: int, birth: str, now_s: float) -> None:
        """A process that somebody else started serves for this member."""
        self.started(pid, birth, now_s)

    def start_failed(self, reason: str, now_s: float) -> None:
        """No process could be started: wait as after a death."""
        self.last_exit = reason
        self._wait(0.0, now_s)

    def died(self, how: str, now_s: float) -> None:
        """Its process is gone: wait and start again, unless it was asked to end."""
        self.last_exit = how
        if self.state == "stopping":
            self.pid, self.birth, self.state = 0, "", "stopped"
            return
        self._wait(now_s - self.started_s, now_s)

    def asked_to_end(self, now_s: float, grace_s: float) -> None:
        """SIGTERM was sent; after `grace_s` it is killed. A waiting member just stops."""
        if self.state == "running":
            self.state, self.kill_s = "stopping", now_s + grace_s
        elif self.state == "waiting":
            self.state = "stopped"

    def due(self, now_s: float) -> Literal["start", "kill", ""]:
        """What the supervisor has to do with it now."""
        if self.state == "waiting" and now_s >= self.next_start_s:
            return "start"
        if self.state == "stopping" and now_s >= self.kill_s:
            return "kill"
        return ""

    def row(self, now_s: float) -> dict[str, Any]:
        """What `gridledger local status` shows of it."""
        return {
            "service": self.service,
            "ordinal": self.ordinal,
            "pid": self.pid or None,
            "state": self.state,
            "restarts": max(self.restarts, 0),
            "uptime_s": round(now_s - self.started_s, 1) if self.pid else None,
            "next_start_s": (
                round(max(0.0, self.next_start_s - now_s), 1) if self.state == "waiting" else None
            ),
            "last_exit": self.last_exit or None,
        }

    def _wait(self, ran_s: float, now_s: float) -> None:
        self.pid, self.birth, self.state = 0, "", "waiting"
        self.next_start_s = now_s + self.back_off.delay_after(ran_s)

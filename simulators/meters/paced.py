"""A pseudo-terminal as slow as a real line: bytes arrive at the line's bit rate, both ways.

    python -m simulators.meters.paced --baud 2400 --meters 10 --turnaround-ms 20

It prints {"path": "/dev/pts/3"}, answers for meters 000000000001 and on, and ends with its
standard input; then it prints what passed the wire:

    {"requests": 90, "busy_s": 14.71, "span_s": 14.80, "gaps_ms": [0.9, ...]}

A byte takes 11 bits (start, 8 data, parity, stop). busy_s: the time that the bits of requests and
replies take at the line's rate, and the turnaround of the meter that was asked. span_s: from the
first bit to the last. A gap is the time from the last bit of a reply to the first of the next
request: the master's idleness. What this program is late itself counts as idleness too.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
import tty
from dataclasses import dataclass, field

from services.ingest.protocols.dlt645.values import epoch_s
from simulators.meters.bus import Bus, Clock
from simulators.meters.config import parse_config
from simulators.meters.journal import Journal
from simulators.meters.server import make_meters

BITS_PER_BYTE = 11
READ_BYTES = 4096
START_AT = "2026-01-15T02:00:00Z"
BASE_AT = "2025-12-31T16:00:00Z"


def prompt_bus(count: int) -> Bus:
    """A line of household meters 000000000001 to `count`, at START_AT, that answer everything."""
    meters = [
        {"address": f"{number:012d}", "annual_kwh": 2400, "base_at": BASE_AT}
        for number in range(1, count + 1)
    ]
    config = parse_config(
        {
            "clock": {"mode": "simulated", "start_at": START_AT},
            "lines": [{"name": "paced", "kind": "pty", "meters": meters}],
        }
    )
    clock = Clock("simulated", epoch_s(START_AT))
    return Bus("paced", make_meters(config, config.lines[0]), clock, Journal(""))


@dataclass
class WireUse:
    """What passed a wire, in seconds of any clock."""

    requests: int = 0
    busy_s: float = 0.0
    began_s: float = 0.0
    ended_s: float = 0.0
    gaps_s: list[float] = field(default_factory=list)

    def used(self, from_s: float, busy_s: float, to_s: float) -> None:
        """One request and its answer took `busy_s` by the line's rate, and ended at `to_s`."""
        if self.requests:
            self.gaps_s.append(max(from_s - self.ended_s, 0.0))
        else:
            self.began_s = from_s
        self.requests += 1
        self.busy_s += busy_s
        self.ended_s = to_s

    @property
    def busy_ratio(self) -> float:
        """The part of the time that the line was busy, 0 to 1."""
        return self.busy_s / (self.ended_s - self.began_s)

    def report(self) -> dict[str, object]:
        """As it is printed."""
        return {
            "requests": self.requests,
            "busy_s": round(self.busy_s, 3),
            "span_s": round(self.ended_s - self.began_s, 3),
            "gaps_ms": [round(gap_s * 1000, 2) for gap_s in self.gaps_s],
        }


class PacedTerminal:
    """The master side of a pseudo-terminal with a line of meters behind it."""

    def __init__(self, bus: Bus, baud: int, turnaround_s: float) -> None:
        self.use = WireUse()
        self._bus, self._reader = bus, bus.reader()
        self._byte_s, self._turnaround_s = BITS_PER_BYTE / baud, turnaround_s
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path = os.ttyname(self._slave)

    def serve(self, until_fd: int) -> None:
        """Answer until there is something, or the end, on another file."""
        while True:
            ready, _, _ = select.select([self._master, until_fd], [], [])
            if until_fd in ready:
                return
            self._carry()

    def _carry(self) -> None:
        """One request to the meters, and what they say back."""
        began_s = time.monotonic()
        data = os.read(self._master, READ_BYTES)
        now_s = began_s + len(data) * self._byte_s
        _sleep_until(now_s)
        for reply in self._bus.feed(self._reader, data):
            now_s += self._turnaround_s + reply.delay_s
            for byte in reply.data:
                now_s += self._byte_s
                _sleep_until(now_s)
                os.write(self._master, bytes((byte,)))
        self.use.used(began_s, now_s - began_s, time.monotonic())

    def close(self) -> None:
        """Give both ends back."""
        os.close(self._master)
        os.close(self._slave)


def _sleep_until(at_s: float) -> None:
    rest_s = at_s - time.monotonic()
    if rest_s > 0:
        time.sleep(rest_s)


def main(argv: list[str]) -> int:
    """Serve until standard input ends; exit status 0."""
    parser = argparse.ArgumentParser(prog="simulators.meters.paced")
    parser.add_argument("--baud", type=int, default=2400)
    parser.add_argument("--meters", type=int, default=10)
    parser.add_argument("--turnaround-ms", type=int, default=20)
    given = parser.parse_args(argv)
    terminal = PacedTerminal(prompt_bus(given.meters), given.baud, given.turnaround_ms / 1000)
    print(json.dumps({"path": terminal.path}), flush=True)
    terminal.serve(sys.stdin.fileno())
    terminal.close()
    print(json.dumps(terminal.use.report()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""A meter simulator as its own operating-system process, for tests."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from services.ingest.protocols.drivers import Line, LineSettings
from services.ingest.protocols.ports import SerialPort, TcpPort
from services.ingest.protocols.session import MeterSession
from simulators.meters.remote import Remote

START_AT = "2026-01-15T02:00:00Z"  # 10:00 in Shanghai
PEAK_TABLE = [["00:00", 4], ["08:00", 3], ["10:00", 2], ["15:00", 3], ["18:00", 1], ["20:00", 3]]
FAST = LineSettings(baud=115_200, turnaround_s=0.8, inter_byte_s=0.05, tries=2, backoff_s=0.01)
IMPATIENT = LineSettings(
    baud=115_200, turnaround_s=0.25, inter_byte_s=0.05, tries=1, backoff_s=0.01
)


@dataclass
class Running:
    """A running simulator: where its lines are, its control port, its journal."""

    ready: dict[str, Any]
    remote: Remote
    folder: Path
    child: subprocess.Popen[bytes]

    def line(self, name: str, settings: LineSettings = FAST) -> Line:
        """A driver on one of its lines."""
        told = next(row for row in self.ready["lines"] if row["name"] == name)
        if told["kind"] == "pty":
            return Line(SerialPort(told["path"]), settings)
        return Line(TcpPort(told["host"], told["port"]), settings)

    def address_of(self, name: str) -> tuple[str, int]:
        """Host and port of a TCP line."""
        told = next(row for row in self.ready["lines"] if row["name"] == name)
        return told["host"], told["port"]

    def journal(self) -> list[dict[str, Any]]:
        """Every entry so far."""
        text = (self.folder / "journal.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]


def document(folder: Path, lines: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A configuration with simulated time."""
    return {
        "clock": {"mode": "simulated", "start_at": START_AT},
        "ready_file": str(folder / "ready.json"),
        "journal": str(folder / "journal.jsonl"),
        "day_tables": {"peak": PEAK_TABLE},
        "lines": lines,
        **more,
    }


def meter(address: str, **more: Any) -> dict[str, Any]:
    """A household meter that has counted since the first of January."""
    return {
        "address": address,
        "annual_kwh": 2400,
        "day_table": "peak",
        "base_at": "2025-12-31T16:00:00Z",
        "initial_wh": {"1-0:1.8.0": 12_345_670},
        **more,
    }


@contextmanager
def running_simulator(folder: Path, configuration: dict[str, Any]) -> Iterator[Running]:
    """Start it, wait until it is ready, stop it by its control port."""
    path = folder / "config.json"
    path.write_text(json.dumps(configuration), encoding="utf-8")
    ready = folder / "ready.json"
    child = subprocess.Popen([sys.executable, "-m", "simulators.meters", str(path)])
    try:
        patience = time.monotonic() + 30
        while not ready.exists():
            assert child.poll() is None, "the simulator ended before it was ready"
            assert time.monotonic() < patience, "the simulator did not become ready"
            time.sleep(0.02)
        told = json.loads(ready.read_text(encoding="utf-8"))
        with Remote(told["control"]["host"], told["control"]["port"]) as remote:
            yield Running(told, remote, folder, child)
            remote.ask("stop")
        assert child.wait(10) == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(10)


def session(line: Line, address: str) -> MeterSession:
    """A session with one meter."""
    return MeterSession(line, address)

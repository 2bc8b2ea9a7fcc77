"""The lines this process is master of: one port, one lock, and relay commands first.

    lines = Lines(digest_key=b"...")
    with lines.taken("tcp:192.0.2.7:6001", urgent=True) as line: ...

A line is named `tcp:HOST:PORT`, `serial:PATH` or `serial:PATH:BAUD`; Modbus TCP meters have the
line `tcp:HOST:PORT` too and their unit as address.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from services.ingest.protocols.drivers import Line, LineSettings
from services.ingest.protocols.ports import Port, SerialPort, TcpPort

TCP_BAUD = 115_200
SERIAL_BAUD = 2400


def open_port(name: str) -> tuple[Port, int]:
    """The port a line's name means and its bit rate; BadInput when it means none."""
    kind, _, rest = name.partition(":")
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        if host and port.isdigit():
            return TcpPort(host, int(port)), TCP_BAUD
    if kind == "serial" and rest:
        path, _, baud = rest.partition(":")
        rate = int(baud) if baud.isdigit() else SERIAL_BAUD
        return SerialPort(path, rate), rate
    raise BadInput("line", f"{name!r} is no line", "tcp:HOST:PORT or serial:PATH[:BAUD]")


@dataclass(slots=True)
class _Owned:
    """A line with its lock; `urgent` counts relay commands that wait for it."""

    line: Line
    lock: threading.Lock = field(default_factory=threading.Lock)
    free: threading.Event = field(default_factory=threading.Event)
    urgent: int = 0


class Lines:
    """All lines of this process. A scheduled reader gives way to a waiting relay command.

    digest_key: key of the digests of masked frames; without one a password could be searched.
    """

    def __init__(self, digest_key: bytes, timing: LineSettings | None = None) -> None:
        self.digest_key, self.timing = digest_key, timing
        self._owned: dict[str, _Owned] = {}
        self._guard = threading.Lock()

    @contextmanager
    def taken(self, name: str, *, urgent: bool = False) -> Iterator[Line]:
        """The line for one conversation with one meter; waits until it is free."""
        owned = self._find(name)
        if urgent:
            with self._guard:
                owned.urgent += 1
                owned.free.clear()
        else:
            owned.free.wait()
        with owned.lock:
            try:
                yield owned.line
            finally:
                if urgent:
                    with self._guard:
                        owned.urgent -= 1
                        if owned.urgent == 0:
                            owned.free.set()

    def _find(self, name: str) -> _Owned:
        with self._guard:
            owned = self._owned.get(name)
            if owned is None:
                port, baud = open_port(name)
                settings = self.timing or LineSettings(
                    baud=baud, tries=2, turnaround_s=0.3, digest_key=self.digest_key
                )
                owned = self._owned[name] = _Owned(Line(port, settings))
                owned.free.set()
            return owned

    def close(self) -> None:
        """Give all ports back."""
        for owned in self._owned.values():
            owned.line.close()

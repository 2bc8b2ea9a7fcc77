"""A meter line in simulated time: the program costs nothing, so only its waiting can leave gaps."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from services.ingest.protocols.dlt645.frame import Frame, FrameReader
from services.ingest.protocols.drivers import Line, LineSettings
from services.ingest.protocols.failures import LineDown
from simulators.meters.bus import Bus
from simulators.meters.paced import BITS_PER_BYTE, WireUse


@dataclass
class WireClock:
    """Seconds that pass only when somebody waits."""

    now_s: float = 0.0

    def read(self) -> float:
        """The time."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


@dataclass
class SimWire:
    """A port on a line of simulated meters, byte by byte at its rate.

    silent: addresses that never answer; asked: the address of every request; opened: when somebody
    tried to open it; is_down: it can not be opened, or breaks at the next write.
    """

    bus: Bus
    clock: WireClock
    baud: int = 2400
    turnaround_s: float = 0.02
    name: str = "wire"
    silent: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)
    opened: list[float] = field(default_factory=list)
    is_down: bool = False
    use: WireUse = field(default_factory=WireUse)
    _coming: list[tuple[float, int, int]] = field(default_factory=list)
    _reader: FrameReader = field(default_factory=FrameReader)
    _is_open: bool = False

    def line(self, settings: LineSettings | None = None) -> Line:
        """A driver on it."""
        settings = settings or LineSettings(baud=self.baud, tries=2)
        return Line(self, settings, self.clock.read, self.clock.sleep)

    def open(self) -> None:
        """Open it, unless it is open."""
        if self._is_open:
            return
        self.opened.append(self.clock.now_s)
        if self.is_down:
            raise LineDown("cannot be opened")
        self._is_open = True

    def write(self, data: bytes) -> None:
        """The meters hear it when its last bit is there, and answer at the line's rate."""
        if self.is_down:
            self._is_open = False
            raise LineDown("broke")
        began_s = self.clock.now_s
        ended_s = began_s + len(data) * BITS_PER_BYTE / self.baud
        found = [item for item in FrameReader().feed(data) if isinstance(item, Frame)]
        self.asked += [frame.address for frame in found]
        if found[0].address not in self.silent:
            for reply in self.bus.feed(self._reader, data):
                ended_s += self.turnaround_s
                for byte in reply.data:
                    ended_s += BITS_PER_BYTE / self.baud
                    heapq.heappush(self._coming, (ended_s, len(self._coming), byte))
        self.use.used(began_s, ended_s - began_s, ended_s)

    def read(self, timeout_s: float) -> bytes:
        """What came; time passes until then, or by `timeout_s`."""
        if not self._coming or self._coming[0][0] > self.clock.now_s + timeout_s:
            self.clock.now_s += timeout_s
            return b""
        self.clock.now_s = max(self.clock.now_s, self._coming[0][0])
        data = bytearray()
        while self._coming and self._coming[0][0] <= self.clock.now_s:
            data.append(heapq.heappop(self._coming)[2])
        return bytes(data)

    def close(self) -> None:
        """Close it."""
        self._is_open = False

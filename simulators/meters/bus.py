"""One line of simulated meters, without I/O: request bytes in, timed reply bytes out.

    for reply in Bus("area-7", meters, clock, journal).feed(data): ...

Every meter on the line hears every frame; the one it names answers. A wildcard is answered only
when one meter matches: on a real line several would talk at once. Faults of the line (silence,
delay, wrong checksum, cut, echo, other address, second copy) are made here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import (
    BROADCAST,
    Frame,
    FrameReader,
    address_matches,
    encode_frame,
)
from services.ingest.protocols.dlt645.masking import mask_frame, masked_hex
from services.ingest.protocols.dlt645.values import from_epoch_s
from simulators.meters.answers import Conversation, answer
from simulators.meters.journal import Journal
from simulators.meters.meter import Meter

LEAD_BYTES = 4
DEFAULT_DELAY_S = 2.0
DEFAULT_KEEP_BYTES = 10


class Clock:
    """The simulator's time in whole seconds: the wall's, or what the control port set."""

    def __init__(self, mode: str, start_s: int) -> None:
        self.mode = mode
        self._simulated_s = start_s

    def now_s(self) -> int:
        """Seconds since 1970."""
        return int(time.time()) if self.mode == "wall" else self._simulated_s

    def set(self, at_s: int) -> None:
        """Move simulated time forward; BadInput for the past or a wall clock."""
        if self.mode == "wall":
            raise BadInput("at", "this simulator follows the wall clock", "use mode simulated")
        if at_s < self._simulated_s:
            now = from_epoch_s(self._simulated_s)
            raise BadInput("at", f"{from_epoch_s(at_s)} is past", f"time only moves on from {now}")
        self._simulated_s = at_s


@dataclass(frozen=True, slots=True)
class TimedReply:
    """Bytes to send, and after how long."""

    data: bytes
    delay_s: float = 0.0


class Bus:
    """The meters of one line; every connection to it has its own reader."""

    def __init__(self, name: str, meters: Sequence[Meter], clock: Clock, journal: Journal) -> None:
        self.name = name
        self.meters = tuple(meters)
        self._clock = clock
        self._journal = journal
        self._conversations = {meter.config.name: Conversation() for meter in meters}
        self._by_address: dict[str, list[Meter]] = {}
        for meter in meters:
            self._by_address.setdefault(meter.config.address, []).append(meter)

    def reader(self) -> FrameReader:
        """A reader for one connection."""
        return FrameReader()

    def feed(self, reader: FrameReader, data: bytes) -> list[TimedReply]:
        """What the meters send back for the requests in `data`."""
        replies = []
        for found in reader.feed(data):
            if isinstance(found, Frame) and not found.from_meter:
                replies.extend(self._hear(found))
        return replies

    def _hear(self, frame: Frame) -> list[TimedReply]:
        at_s = self._clock.now_s()
        if frame.address == BROADCAST:
            for meter in self.meters:
                if meter.is_installed(at_s):
                    self._answer(meter, frame, at_s)
            return []
        named = self._by_address.get(frame.address)
        if named is None:
            named = [m for m in self.meters if address_matches(frame.address, m.config.address)]
        present = [meter for meter in named if meter.is_installed(at_s)]
        return self._answer(present[0], frame, at_s) if len(present) == 1 else []

    def _answer(self, meter: Meter, frame: Frame, at_s: int) -> list[TimedReply]:
        faults = meter.faults.names()
        reply = None
        if not meter.faults.take("silent"):
            reply = answer(meter, self._conversations[meter.config.name], frame, at_s)
        replies = [] if reply is None else self._spoil(meter, frame, reply)
        self._journal.note(
            from_epoch_s(at_s),
            self.name,
            meter.config.name,
            masked_hex(frame),
            [mask_frame(timed.data) for timed in replies],
            faults,
            meter.relay,
        )
        return replies

    def _spoil(self, meter: Meter, request: Frame, reply: Frame) -> list[TimedReply]:
        """The reply as the line delivers it."""
        take = meter.faults.take
        if take("wrong_address"):
            other = (int(reply.address) + 1) % 999_999_999_999
            reply = replace(reply, address=f"{other:012d}")
        data = encode_frame(reply, LEAD_BYTES)
        if take("wrong_checksum"):
            data = data[:-2] + bytes(((data[-2] + 1) & 0xFF, data[-1]))
        if cut := take("truncated"):
            data = data[: int(cut.options.get("keep", DEFAULT_KEEP_BYTES))]
        slow = take("slow")
        delay_s = float(slow.options.get("seconds", DEFAULT_DELAY_S)) if slow else 0.0
        replies = [TimedReply(data, delay_s)]
        if take("duplicate"):
            replies.append(TimedReply(data, delay_s))
        if take("echo"):
            replies.insert(0, TimedReply(encode_frame(request, LEAD_BYTES)))
        return replies

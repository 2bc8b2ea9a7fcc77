"""One line of meters, blocking: send a request, wait for its reply, keep everything as evidence.

    line = Line(TcpPort("192.0.2.7", 6001), LineSettings(baud=2400))
    reply = line.exchange(request, expect=lambda frame: is_reply(request, frame))

A line is half duplex with one master: exchanges on it follow one another. Frames of other meters,
our own echo, second copies and late replies are counted and never taken for the reply. A command
is sent with `tries=1`: what may have reached a meter is never repeated blindly.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import (
    Frame,
    FrameReader,
    Skipped,
    address_matches,
    encode_frame,
)
from services.ingest.protocols.dlt645.masking import (
    has_secret,
    kept_text,
    mask_frame,
    masked_hex,
)
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply
from services.ingest.protocols.ports import Port

BITS_PER_BYTE = 11
"""Start, 8 data, parity, stop (domain.md 1.1)."""
LONGEST_FRAME_BYTES = 4 + 12 + 200
MOST_LATE_READS = 64
"""A line that never falls silent must not keep us from asking."""
Expect = Callable[[Frame], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """Time-outs and retries of one line.

    baud: of the line behind a terminal too, since its bytes travel that slowly. turnaround_s: the
    longest a meter may think; latency_s: what the network or the power line adds, each way.
    inter_byte_s: silence that ends a frame. tries: how often a read is sent; backoff_s doubles
    after each. digest_key: key of the digest of masked frames (see masking).
    """

    baud: int = 2400
    turnaround_s: float = 0.5
    latency_s: float = 0.0
    inter_byte_s: float = 0.5
    tries: int = 3
    backoff_s: float = 0.2
    lead_bytes: int = 4
    digest_key: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        if self.baud <= 0 or self.tries < 1:
            raise BadInput("line", f"baud {self.baud}, tries {self.tries}", "use 1 or more")

    def transmit_s(self, count: int) -> float:
        """How long so many bytes take on the wire."""
        return count * BITS_PER_BYTE / self.baud

    def first_byte_s(self, request_bytes: int) -> float:
        """From sending until the first byte of a reply must be here."""
        return self.transmit_s(request_bytes) + self.turnaround_s + 2 * self.latency_s

    def reply_s(self, request_bytes: int) -> float:
        """From sending until the longest reply must be here whole."""
        whole = self.first_byte_s(request_bytes) + self.transmit_s(LONGEST_FRAME_BYTES)
        return whole + self.inter_byte_s + self.latency_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The frame that was waited for, and the evidence."""

    frame: Frame
    exchange: Exchange


@dataclass(slots=True)
class _Evidence:
    """What is collected while an exchange runs.

    hide_noise: this request or the one before had a password, and what is left of its echo after a
    disturbance may hold it.
    """

    request: Frame
    request_raw: bytes
    digest_key: bytes
    hide_noise: bool
    started_s: float
    attempts: int = 0
    received: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def keep(self, found: list[Frame | Skipped], expect: Expect | None) -> Frame | None:
        """Note all that came; the first frame that is expected, if any."""
        wanted: Frame | None = None
        for item in found:
            if isinstance(item, Skipped):
                self.skipped[item.reason] += 1
                text = "xx" * len(item.raw) if self.hide_noise else item.raw.hex()
                self.noise.append(kept_text(text, item.raw, self.digest_key))
                continue
            self.received.append(kept_text(masked_hex(item), item.raw, self.digest_key))
            if expect is not None and expect(item):
                if wanted is None:
                    wanted = item
                else:
                    self.skipped["duplicate"] += 1
            else:
                self.skipped[self._reason(item, late=expect is None)] += 1
        return wanted

    def _reason(self, frame: Frame, *, late: bool) -> str:
        if late:
            return "late"
        if not frame.from_meter:
            return "echo" if frame == self.request else "other_master"
        if not address_matches(self.request.address, frame.address):
            return "other_address"
        return "unexpected"

    def exchange(self) -> Exchange:
        """The evidence as it stands."""
        return Exchange(
            sent_hex=kept_text(mask_frame(self.request_raw), self.request_raw, self.digest_key),
            received_hex=tuple(self.received),
            noise_hex=tuple(self.noise),
            skipped=dict(self.skipped),
            attempts=self.attempts,
            elapsed_ms=int((time.monotonic() - self.started_s) * 1000),
        )


class Line:
    """Exchanges on one port, one at a time; threads that share a line wait for each other."""

    def __init__(self, port: Port, settings: LineSettings | None = None) -> None:
        self.port = port
        self.settings = settings or LineSettings()
        self._lock = threading.Lock()
        self._had_secret = False

    def exchange(
        self,
        request: Frame,
        expect: Expect,
        timeout_s: float | None = None,
        tries: int | None = None,
    ) -> Exchanged:
        """Send `request` and wait for the frame that `expect` accepts.

        timeout_s: for the whole reply of one try; computed from the baud rate when not given.
        Raises NoReply (nothing came), BadReply (something else came) or LineDown, each with its
        exchange: after `tries` attempts, with a doubling pause between them.
        """
        count = self.settings.tries if tries is None else tries
        down: LineDown | None = None
        with self._lock:
            evidence = self._evidence(request)
            for attempt in range(count):
                if attempt:
                    time.sleep(self.settings.backoff_s * 2 ** (attempt - 1))
                try:
                    frame = self._try(evidence, expect, timeout_s)
                    down = None
                except LineDown as error:
                    down, frame = error, None
                if frame is not None:
                    return Exchanged(frame=frame, exchange=evidence.exchange())
        exchange = evidence.exchange()
        if down is not None and not exchange.received_hex:
            raise LineDown(down.problem, exchange)
        if exchange.received_hex or exchange.noise_hex:
            seen = ", ".join(f"{n} x {reason}" for reason, n in exchange.skipped.items())
            raise BadReply(f"{self.port.name}: no reply of {request.address}, but {seen}", exchange)
        raise NoReply(f"{self.port.name}: no reply of {request.address}", exchange)

    def send(self, request: Frame) -> Exchange:
        """Send what no meter answers (a broadcast), and leave the line time to carry it."""
        with self._lock:
            evidence = self._evidence(request)
            try:
                self._make_ready(evidence)
                evidence.attempts = 1
                self.port.write(evidence.request_raw)
            except LineDown as error:
                raise LineDown(error.problem, evidence.exchange()) from None
            time.sleep(self.settings.transmit_s(len(evidence.request_raw)))
        return evidence.exchange()

    def close(self) -> None:
        """Give the port back."""
        self.port.close()

    def _evidence(self, request: Frame) -> _Evidence:
        raw = encode_frame(request, self.settings.lead_bytes)
        secret = has_secret(request)
        hide_noise = secret or self._had_secret
        self._had_secret = secret
        return _Evidence(request, raw, self.settings.digest_key, hide_noise, time.monotonic())

    def _try(self, evidence: _Evidence, expect: Expect, timeout_s: float | None) -> Frame | None:
        """One attempt: None when the time passed. LineDown passes through."""
        self._make_ready(evidence)
        size = len(evidence.request_raw)
        started = time.monotonic()
        if timeout_s is None:
            first_s, whole_s = self.settings.first_byte_s(size), self.settings.reply_s(size)
        else:
            first_s = whole_s = timeout_s
        evidence.attempts += 1
        self.port.write(evidence.request_raw)
        return self._listen(evidence, expect, started + first_s, started + whole_s)

    def _listen(
        self, evidence: _Evidence, expect: Expect, first_until: float, until: float
    ) -> Frame | None:
        """Read until the expected frame, until the line stays quiet, or until the time is over."""
        reader = FrameReader()
        while (now := time.monotonic()) < until:
            quiet_s = self.settings.inter_byte_s if reader.pending else first_until - now
            if quiet_s <= 0:
                break
            data = self.port.read(min(quiet_s, until - now))
            wanted = evidence.keep(reader.feed(data) if data else reader.finish(), expect)
            if wanted is not None:
                return wanted
        return evidence.keep(reader.finish(), expect)

    def _make_ready(self, evidence: _Evidence) -> None:
        """Open the port, and a second time when the other side closed an idle connection."""
        self.port.open()
        try:
            self._drop_late(evidence)
        except LineDown:
            self.port.open()

    def _drop_late(self, evidence: _Evidence) -> None:
        """Take away what came since the last exchange: it answers nothing we ask now."""
        reader = FrameReader()
        for _ in range(MOST_LATE_READS):
            data = self.port.read(0)
            if not data:
                break
            evidence.keep(reader.feed(data), None)
        evidence.keep(reader.finish(), None)

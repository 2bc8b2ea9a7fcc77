"""One line of meters, blocking: send a request, wait for its reply, keep everything as evidence.

    line = Line(TcpPort("192.0.2.7", 6001), LineSettings(baud=2400))
    reply = line.exchange(request, expect=lambda frame: is_reply(request, frame))

A line is half duplex with one master: exchanges on it follow one another. Frames of other meters,
our own echo, second copies and late replies are counted and never taken for the reply. A command
is sent with `tries=1`: what may have reached a meter is never repeated blindly.

The reply is taken as soon as its last byte is here, and the next request may follow at once: no
silence is waited for, so a line of prompt meters is never idle (bench/line_busy.py). A line that
cannot be opened, or breaks, rests longer and longer before it is opened again; who asks meanwhile
is told so at once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import (
    CHANGE_PASSWORD,
    FREEZE,
    MAX_DATA_BYTES,
    READ_ADDRESS,
    RELAY,
    WRITE,
    Frame,
    FrameReader,
    address_matches,
    encode_frame,
)
from services.ingest.protocols.dlt645.masking import (
    has_secret,
    kept_text,
    mask_frame,
    masked_hex,
    masked_noise,
)
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply
from services.ingest.protocols.framing import Skipped
from services.ingest.protocols.ports import Port

BITS_PER_BYTE = 11
"""Start, 8 data, parity, stop (domain.md 1.1)."""
FRAME_BYTES = 12
"""What is not DATA: two 68H, address, control, length, checksum, 16H (domain.md 1.1)."""
MOST_LATE_READS = 64
"""A line that never falls silent must not keep us from asking."""
SHORT_REPLIES = {READ_ADDRESS: 6, WRITE: 2, FREEZE: 2, CHANGE_PASSWORD: 4, RELAY: 2}
"""The longest DATA that answers a function, an error word included; any other has up to 200."""
Expect = Callable[[Frame], bool]


def longest_reply_bytes(request: Frame, lead_bytes: int = 4) -> int:
    """The longest frame that may answer, with the FEH before it."""
    return lead_bytes + FRAME_BYTES + SHORT_REPLIES.get(request.function, MAX_DATA_BYTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineSettings:
    """How one line is timed, tried and opened again; services/ingest/line_file.py has a user's.

    baud: of the line behind a terminal too, since its bytes travel that slowly. turnaround_s: the
    longest a meter may think before it answers (DL/T 645-2007: 20 to 500 ms); latency_s: what the
    network or the power line adds, each way. inter_byte_s: the longest a meter may pause between
    two bytes of a frame (DL/T 645-2007: 500 ms). tries: how often a read is sent; backoff_s doubles
    after each. A line that failed twice rests for backoff_s too, then for twice as long, up to
    reopen_max_s. connect_s: how long a terminal may take to accept. digest_key: key of the digest
    of masked frames (see masking).
    """

    baud: int = 2400
    turnaround_s: float = 0.5
    latency_s: float = 0.0
    inter_byte_s: float = 0.5
    tries: int = 3
    backoff_s: float = 0.2
    reopen_max_s: float = 30.0
    connect_s: float = 5.0
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
        bytes_s = self.transmit_s(request_bytes) + self.transmit_s(1)
        return bytes_s + self.turnaround_s + 2 * self.latency_s

    def quiet_s(self) -> float:
        """The silence that ends a frame: the longest pause, a byte's time, a slow network."""
        return self.inter_byte_s + self.transmit_s(1) + self.latency_s

    def reply_s(self, request_bytes: int, reply_bytes: int) -> float:
        """From sending until the longest reply must be here whole, one pause included."""
        whole_s = self.first_byte_s(request_bytes) + self.transmit_s(reply_bytes)
        return whole_s + self.quiet_s()

    def rest_s(self, failures: int) -> float:
        """How long a line rests after so many failures in a row to use it; not after the first."""
        if failures < 2:
            return 0.0
        doublings = min(failures - 2, 30)
        return min(self.backoff_s * 2.0**doublings, self.reopen_max_s)


@dataclass(slots=True)
class LineCounts:
    """What a line did since the start. asked: requests sent, of which `retried` went to a meter
    that had just been asked the same; answered: with the reply that was expected.

    busy_s: from sending a request to its whole reply: bytes on the wire and the meter's turnaround.
    lost_s: waited for a reply that never came, pauses before a repetition, opening. held_s: the
    time somebody had the line, so that busy_s / held_s tells how well it is used.
    """

    asked: int = 0
    answered: int = 0
    retried: int = 0
    broken: int = 0
    busy_s: float = 0.0
    lost_s: float = 0.0
    held_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """The frame that was waited for, and the evidence."""

    frame: Frame
    exchange: Exchange


class _Resting(LineDown):
    """The line is not even tried: it failed a moment ago."""


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
    clock: Callable[[], float]
    started_s: float = field(init=False)
    sent_s: float = field(init=False)
    attempts: int = 0
    received: list[str] = field(default_factory=list)
    noise: list[str] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.started_s = self.sent_s = self.clock()

    @property
    def has_heard(self) -> bool:
        """Whether anything at all came."""
        return bool(self.received or self.noise)

    def keep(self, found: list[Frame | Skipped], expect: Expect | None) -> Frame | None:
        """Note all that came; the first frame that is expected, if any."""
        wanted: Frame | None = None
        for item in found:
            if isinstance(item, Skipped):
                self.skipped[item.reason] += 1
                text = "xx" * len(item.raw) if self.hide_noise else masked_noise(item.raw)
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
            elapsed_ms=int((self.clock() - self.started_s) * 1000),
        )


class Wire(Protocol):
    """Where a session sends its frames: a line, or somebody's turn on one."""

    def exchange(
        self,
        request: Frame,
        expect: Expect,
        timeout_s: float | None = None,
        tries: int | None = None,
    ) -> Exchanged:
        """Send `request` and wait for the frame that `expect` accepts; as `Line.exchange`."""
        ...


class Line:
    """Exchanges on one port, one at a time; threads that share a line wait for each other.

    clock, sleep: monotonic seconds and their passing, which a simulated wire replaces.
    """

    def __init__(
        self,
        port: Port,
        settings: LineSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.port = port
        self.settings = settings or LineSettings()
        self.counts = LineCounts()
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._had_secret = False
        self._failures = 0
        self._rests_until = 0.0

    def exchange(
        self,
        request: Frame,
        expect: Expect,
        timeout_s: float | None = None,
        tries: int | None = None,
        silent_tries: int | None = None,
    ) -> Exchanged:
        """Send `request` and wait for the frame that `expect` accepts.

        timeout_s: for the whole reply of one try; computed from the baud rate when not given.
        silent_tries: after how many attempts without a single byte the meter counts as silent.
        Raises NoReply (nothing came), BadReply (something else came) or LineDown, each with its
        exchange: after `tries` attempts, with a doubling pause between them.
        """
        count = self.settings.tries if tries is None else tries
        down: LineDown | None = None
        with self._lock:
            evidence = self._evidence(request)
            began_s = self._clock()
            for attempt in range(count):
                if attempt and attempt == silent_tries and not evidence.has_heard:
                    break
                if attempt:
                    self._sleep(self.settings.backoff_s * 2 ** (attempt - 1))
                try:
                    frame = self._try(evidence, expect, timeout_s)
                    down = None
                except _Resting as error:
                    down = error
                    break
                except LineDown as error:
                    down, frame = error, None
                if frame is not None:
                    self._count(evidence, began_s, answered=True)
                    return Exchanged(frame=frame, exchange=evidence.exchange())
            self._count(evidence, began_s, answered=False)
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
            self._sleep(self.settings.transmit_s(len(evidence.request_raw)))
        return evidence.exchange()

    def wake(self) -> None:
        """Open the line at the next use even when it rests: a relay command does not wait."""
        self._rests_until = 0.0

    def close(self) -> None:
        """Give the port back."""
        self.port.close()

    def _evidence(self, request: Frame) -> _Evidence:
        raw = encode_frame(request, self.settings.lead_bytes)
        secret = has_secret(request)
        hide_noise = secret or self._had_secret
        self._had_secret = secret
        return _Evidence(request, raw, self.settings.digest_key, hide_noise, self._clock)

    def _count(self, evidence: _Evidence, began_s: float, *, answered: bool) -> None:
        """Note an exchange: its last try was worth the time if it was answered, all else lost."""
        now_s, counts = self._clock(), self.counts
        busy_s = now_s - evidence.sent_s if answered else 0.0
        counts.asked += evidence.attempts
        counts.retried += max(evidence.attempts - 1, 0)
        counts.answered += answered
        counts.busy_s += busy_s
        counts.lost_s += now_s - began_s - busy_s

    def _try(self, evidence: _Evidence, expect: Expect, timeout_s: float | None) -> Frame | None:
        """One attempt: None when the time passed. LineDown passes through, and the line rests."""
        try:
            self._make_ready(evidence)
            size, settings = len(evidence.request_raw), self.settings
            if timeout_s is None:
                first_s = settings.first_byte_s(size)
                longest = longest_reply_bytes(evidence.request, settings.lead_bytes)
                whole_s = settings.reply_s(size, longest)
            else:
                first_s = whole_s = timeout_s
            evidence.attempts += 1
            started = evidence.sent_s = self._clock()
            self.port.write(evidence.request_raw)
            return self._listen(evidence, expect, started + first_s, started + whole_s)
        except _Resting:
            raise
        except LineDown:
            self._failures += 1
            self.counts.broken += 1
            self._rests_until = self._clock() + self.settings.rest_s(self._failures)
            raise

    def _listen(
        self, evidence: _Evidence, expect: Expect, first_until: float, until: float
    ) -> Frame | None:
        """Read until the expected frame, until the line stays quiet, or until the time is over."""
        reader = FrameReader()
        while (now := self._clock()) < until:
            quiet_s = self.settings.quiet_s() if reader.pending else first_until - now
            if quiet_s <= 0:
                break
            data = self.port.read(min(quiet_s, until - now))
            if data:
                self._failures = 0  # a terminal that accepts and says nothing is not well yet
            wanted = evidence.keep(reader.feed(data) if data else reader.finish(), expect)
            if wanted is not None:
                return wanted
        return evidence.keep(reader.finish(), expect)

    def _make_ready(self, evidence: _Evidence) -> None:
        """Open the port, and a second time when the other side closed an idle connection."""
        rest_s = self._rests_until - self._clock()
        if rest_s > 0:
            raise _Resting(f"{self.port.name}: down, opened again in {rest_s:.1f} s")
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

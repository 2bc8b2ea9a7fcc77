"""The DL/T 645-2007 frame: bytes to frames and back, and finding frames in a dirty stream.

    68 A0..A5 68 C L DATA CS 16      (domain.md 1.1)

Addresses are 12 digits, low byte first on the wire; DATA travels with 33H added to every byte; CS
is the sum of all bytes from the first 68H to the last of DATA. Nothing whose checksum or end byte
is wrong ever becomes a `Frame`.

    >>> encode_frame(Frame(address="000000000161", control=0x11, data=b"\\0\\0\\1\\0")).hex()
    '68610100000000681104333334331416'
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from libs.events.errors import BadInput

START = 0x68
END = 0x16
LEAD = 0xFE
BROADCAST = "999999999999"
"""Every meter obeys, none answers: time sync and freeze only."""
WILDCARD = "AAAAAAAAAAAA"
"""Any meter on the line answers, with its own address: reads only."""
MAX_DATA_BYTES = 200
"""The longest DATA of a read (domain.md 1.1)."""

READ = 0x11
READ_FOLLOW_UP = 0x12
READ_ADDRESS = 0x13
WRITE = 0x14
WRITE_ADDRESS = 0x15
FREEZE = 0x16
CHANGE_BAUD = 0x17
CHANGE_PASSWORD = 0x18
CLEAR_DEMAND = 0x19
CLEAR_METER = 0x1A
CLEAR_EVENTS = 0x1B
RELAY = 0x1C
OUTPUT = 0x1D
TIME_SYNC = 0x08
AUTHENTICATE = 0x03
"""ESAM sessions (UNCONFIRMED, see `esam`)."""

FROM_METER = 0x80
ABNORMAL = 0x40
MORE = 0x20
FUNCTION = 0x1F

_OPEN_FUNCTIONS = frozenset({READ, READ_FOLLOW_UP, READ_ADDRESS, FREEZE, TIME_SYNC, 0x01, 0x02})
"""Functions that a wildcard or broadcast address may carry; all others change one meter. 01H and
02H are the reads of DL/T 645-1997, and nothing in 2007."""
_ADD = bytes((n + 0x33) & 0xFF for n in range(256))
_SUBTRACT = bytes((n - 0x33) & 0xFF for n in range(256))
_WILDCARD_ADDRESS = re.compile(r"(AA){1,6}(\d\d){0,5}")
_HEADER_BYTES = 10
_FRAME_BYTES = 12


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; `data` without the 33H.

    raw: as it came, without lead bytes; empty when we built it.
    """

    address: str
    control: int
    data: bytes
    raw: bytes = field(default=b"", compare=False)

    @property
    def function(self) -> int:
        """What is asked or answered, without direction and flags."""
        return self.control & FUNCTION

    @property
    def from_meter(self) -> bool:
        """Whether a meter sent it."""
        return bool(self.control & FROM_METER)

    @property
    def abnormal(self) -> bool:
        """Whether the meter refuses; DATA is then the error word."""
        return bool(self.control & ABNORMAL)

    @property
    def more(self) -> bool:
        """Whether follow-up frames exist."""
        return bool(self.control & MORE)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Bytes that were no frame; reason: noise, lead, checksum, end, length, address, incomplete."""

    raw: bytes
    reason: str


def is_meter_address(address: str) -> bool:
    """Whether it names exactly one meter: 12 digits and not the broadcast address."""
    return len(address) == 12 and address.isascii() and address.isdecimal() and address != BROADCAST


def is_wildcard(address: str) -> bool:
    """Whether high bytes are AAH, so that any meter with the remaining low digits answers."""
    return len(address) == 12 and _WILDCARD_ADDRESS.fullmatch(address) is not None


def address_matches(asked: str, answered: str) -> bool:
    """Whether an answer of meter `answered` can be meant for a frame sent to `asked`."""
    if asked == answered:
        return True
    if not is_wildcard(asked):
        return False
    return answered.endswith(asked.replace("AA", "")) and is_meter_address(answered)


def encode_frame(frame: Frame, lead: int = 0) -> bytes:
    """The bytes on the wire, with `lead` bytes FEH before them.

    BadInput when the address is none, when DATA is too long, or when a wildcard or broadcast
    address would carry anything but a read, a freeze or a time sync: such a frame cannot be built.
    """
    address = frame.address
    if not is_meter_address(address):
        if address != BROADCAST and not is_wildcard(address):
            raise BadInput("address", f"{address!r} is no meter address", "give 12 digits")
        if not frame.from_meter and frame.function not in _OPEN_FUNCTIONS:
            raise BadInput(
                "address",
                f"{address} names more than one meter; function {frame.function:02X}H changes one",
                "give the 12 digits of the one meter",
            )
    if len(frame.data) > MAX_DATA_BYTES:
        raise BadInput("data", f"{len(frame.data)} bytes", f"at most {MAX_DATA_BYTES} fit")
    body = b"".join(
        (
            b"\x68",
            bytes.fromhex(address)[::-1],
            bytes((START, frame.control, len(frame.data))),
            frame.data.translate(_ADD),
        )
    )
    return b"\xfe" * lead + body + bytes((sum(body) & 0xFF, END))


class FrameReader:
    """Finds frames in a stream: `feed` what came, `finish` when the line went quiet.

    A candidate that is no frame costs one byte, then the search goes on behind it, so a good frame
    inside what looked like a longer one is found. The buffer never holds more than one frame.
    Lead bytes and idle line are left out, unless `keep_lead`: then all that is given back, in
    order, is what was fed.
    """

    __slots__ = ("_buffer", "_keep_lead", "_max_data")

    def __init__(self, max_data_bytes: int = MAX_DATA_BYTES, *, keep_lead: bool = False) -> None:
        self._buffer = b""
        self._max_data = max_data_bytes
        self._keep_lead = keep_lead

    @property
    def pending(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame | Skipped]:
        """What the bytes so far make, in the order it came."""
        self._buffer += data
        return self._scan(final=False)

    def finish(self) -> list[Frame | Skipped]:
        """The line went quiet: an incomplete candidate never becomes complete; look behind it."""
        return self._scan(final=True)

    def _scan(self, *, final: bool) -> list[Frame | Skipped]:
        buffer = self._buffer
        found: list[Frame | Skipped] = []
        position = noise_from = 0
        reason = "noise"
        while (start := buffer.find(b"\x68", position)) >= 0:
            verdict = self._judge(buffer, start)
            if type(verdict) is Frame:
                if start > noise_from:
                    self._note_skipped(found, buffer[noise_from:start], reason)
                found.append(verdict)
                position = noise_from = start + len(verdict.raw)
                reason = "noise"
                continue
            if verdict == "incomplete" and not final:
                break
            if reason == "noise":
                reason = str(verdict)
            position = start + 1
        keep_from = len(buffer) if start < 0 else start
        self._note_skipped(found, buffer[noise_from:keep_from], reason)
        self._buffer = buffer[keep_from:]
        return found

    def _judge(self, buffer: bytes, start: int) -> Frame | str:
        """The frame that begins at `start`, or why there is none."""
        have = len(buffer) - start
        if have > 7 and buffer[start + 7] != START:
            return "noise"
        if have < _HEADER_BYTES:
            return "incomplete"
        length = buffer[start + 9]
        if length > self._max_data:
            return "length"
        size = _FRAME_BYTES + length
        if have < size:
            return "incomplete"
        raw = buffer[start : start + size]
        if raw[-1] != END:
            return "end"
        checksum = raw[-2]
        if (sum(raw) - checksum - END) & 0xFF != checksum:
            return "checksum"
        address = raw[6:0:-1].hex()
        if not address.isdecimal():
            address = address.upper()
            if not is_wildcard(address):
                return "address"
        return Frame(address, raw[8], raw[10:-2].translate(_SUBTRACT), raw)

    def _note_skipped(self, found: list[Frame | Skipped], raw: bytes, reason: str) -> None:
        """Report what lies before a frame, unless it is only lead bytes or line idle."""
        noise = raw.rstrip(b"\xfe")
        if noise:
            found.append(Skipped(noise, reason))
        if self._keep_lead and len(noise) < len(raw):
            found.append(Skipped(raw[len(noise) :], "lead"))

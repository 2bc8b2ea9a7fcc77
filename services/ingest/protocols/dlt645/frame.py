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
from zlib import adler32

from libs.events.errors import BadInput
from libs.events.frozen import draft_of
from services.ingest.protocols.framing import INCOMPLETE, StreamReader

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
_CANDIDATE = re.compile(rb"\x68(?:.{6}\x68|.{0,6}\Z)", re.DOTALL)
_LEAD = bytes((LEAD,))
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


_FrameDraft = draft_of(Frame)


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


class FrameReader(StreamReader[Frame]):
    """Finds frames in a stream (`framing.StreamReader`). Lead bytes and an idle line are left out,
    unless `keep_lead`."""

    __slots__ = ()

    def __init__(self, *, keep_lead: bool = False) -> None:
        super().__init__(_judge, _CANDIDATE, lead=_LEAD, keep_lead=keep_lead)


def _judge(buffer: bytes, start: int) -> Frame | str:
    """The frame that begins at `start`, or why there is none."""
    have = len(buffer) - start
    if have < _HEADER_BYTES:
        return INCOMPLETE
    length = buffer[start + 9]
    if length > MAX_DATA_BYTES:
        return "length"
    size = _FRAME_BYTES + length
    if have < size:
        return INCOMPLETE
    raw = buffer[start : start + size]
    if raw[-1] != END:
        return "end"
    # The low half of adler32 is 1 + the sum of the bytes, modulo 65521, which a frame never reaches
    if (adler32(raw[:-2]) - 1) & 0xFF != raw[-2]:
        return "checksum"
    address = raw[6:0:-1].hex()
    if not address.isdecimal():
        address = address.upper()
        if not is_wildcard(address):
            return "address"
    found = _FrameDraft(address, raw[8], raw[10:-2].translate(_SUBTRACT), raw)
    found.__class__ = Frame
    return found

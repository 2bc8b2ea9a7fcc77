"""The Q/GDW 376.1 frame: bytes to frames and back, and finding frames in a dirty stream.

    68 L L 68 | C A1 A1 A2 A2 A3 AFN SEQ  data units  AUX | CS 16      (domain.md 1.5)

L counts the bytes between the second 68H and CS (the user data), shifted left by two; its two low
bits name the protocol (2 is Q/GDW 376.1). CS is the sum of the user data. Nothing whose two lengths
differ, whose checksum or end byte is wrong, or whose parts do not fit, becomes a `Frame`.

    >>> encode_frame(login).hex(" ")          # vector c01
    '68 32 00 32 00 68 c9 00 02 34 12 00 02 71 00 00 01 00 85 16'

Which AFN carry a password (PW) downlink is as two independent readers have it:
`guyingzhi/learngit` (a master in C) and a Kaitai description of the 2009 text (code index id
22291531351).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from libs.events.errors import BadInput
from services.ingest.protocols.framing import INCOMPLETE, StreamReader

START = 0x68
END = 0x16
PROTOCOL_ID = 2
"""The low bits of L: 1 is Q/GDW 130-2005, 2 is Q/GDW 376.1."""
MAX_USER_BYTES = 16_383
"""What 14 bits of length can say."""

ACK, RESET, LINK, SET, CONTROL = 0x00, 0x01, 0x02, 0x04, 0x05
QUERY, CURRENT, FROZEN, EVENTS, FORWARD = 0x0A, 0x0C, 0x0D, 0x0E, 0x10
AFN_NAMES = {
    ACK: "acknowledgement",
    RESET: "reset",
    LINK: "link",
    0x03: "relay station",
    SET: "set parameters",
    CONTROL: "control",
    0x06: "authentication",
    0x08: "cascaded report",
    0x09: "configuration",
    QUERY: "query parameters",
    0x0B: "task data",
    CURRENT: "class 1 data (current)",
    FROZEN: "class 2 data (history)",
    EVENTS: "class 3 data (events)",
    0x0F: "file transfer",
    FORWARD: "forwarding",
}
"""Application functions (AFN)."""
WITH_PASSWORD = frozenset({RESET, SET, CONTROL, 0x06, 0x0F, FORWARD})
"""AFN whose frames to the terminal end with PW, 16 bytes."""

PW_BYTES, EC_BYTES, TP_BYTES = 16, 2, 6
_FROM_TERMINAL, _STARTER, _FCB_ACD, _FCV, _FUNCTION = 0x80, 0x40, 0x20, 0x10, 0x0F
_TPV, _FIR, _FIN, _CON, _PSEQ = 0x80, 0x40, 0x20, 0x10, 0x0F
HEAD_BYTES = 8
"""C, A (5), AFN and SEQ: the least that user data has."""
_CANDIDATE = re.compile(rb"\x68(?:.{4}\x68|.{0,4}\Z)", re.DOTALL)
_AROUND_BYTES = 8
"""68 L L 68, CS and 16."""


@dataclass(frozen=True, slots=True)
class Address:
    """Which terminal: A1 (administrative area, 4 digits) and A2 (0..65535), and A3.

    master: the station address MSA (0..127). group: A2 is a group, or with FFFFH everybody. Text
    form: `0200-1234`, A2 in hexadecimal as it stands in captures.
    """

    area: str
    terminal: int
    master: int = 0
    group: bool = False

    def __post_init__(self) -> None:
        if len(self.area) != 4 or not (self.area.isascii() and self.area.isdecimal()):
            raise BadInput("address", f"{self.area!r} is no area code", "give 4 digits")
        if not 0 <= self.terminal <= 0xFFFF or not 0 <= self.master <= 0x7F:
            raise BadInput(
                "address",
                f"terminal {self.terminal}, master {self.master}",
                "use 0 to 65535 and 0 to 127",
            )

    @property
    def names_one(self) -> bool:
        """Whether it names exactly one terminal; only such an address may carry a command."""
        return not self.group and self.terminal not in {0, 0xFFFF}

    def __str__(self) -> str:
        return f"{self.area}-{self.terminal:04X}"

    def encode(self) -> bytes:
        """A1 A2 A3, low bytes first."""
        return (
            bytes.fromhex(self.area)[::-1]
            + self.terminal.to_bytes(2, "little")
            + bytes((self.master << 1 | self.group,))
        )


def parse_address(text: str, master: int = 0) -> Address:
    """`0200-1234` as people write it; BadInput otherwise."""
    area, _, terminal = text.strip().partition("-")
    try:
        number = int(terminal, 16) if len(terminal) == 4 and terminal.isalnum() else -1
    except ValueError:
        number = -1
    if number < 0:
        raise BadInput("address", f"{text!r} names no terminal", "write it like 0200-1234")
    return Address(area, number, master)


@dataclass(frozen=True, slots=True)
class Sequence:
    """SEQ. number: PSEQ of a request, which its answers repeat as RSEQ (0..15).

    first, final: FIR and FIN; a frame that is both is the whole message. confirm: CON, the other
    side must acknowledge.
    """

    number: int
    first: bool = True
    final: bool = True
    confirm: bool = False

    def encode(self, *, timed: bool) -> int:
        """The byte; `timed` when a time tag Tp follows."""
        flags = (_TPV, timed), (_FIR, self.first), (_FIN, self.final), (_CON, self.confirm)
        return sum(bit for bit, on in flags if on) | self.number & _PSEQ


@dataclass(frozen=True, slots=True)
class TimeTag:
    """Tp: which frame (PFC), when it was sent (DD hh mm ss, civil), minutes it may travel."""

    counter: int
    sent: str
    delay_minutes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame. `body` is the data units, without AUX.

    function: low bits of C. from_terminal: DIR. starter: PRM, the sender began the exchange.
    flag: FCB downlink, ACD (an event waits) uplink; counted: FCV. events: EC1 and EC2, present
    uplink exactly when ACD is set. password: whether the frame had PW; its bytes are never kept
    here. raw: as it came, empty when we built it.
    """

    address: Address
    afn: int
    sequence: Sequence
    body: bytes
    function: int
    from_terminal: bool = False
    starter: bool = True
    flag: bool = False
    counted: bool = False
    events: tuple[int, int] | None = None
    time_tag: TimeTag | None = None
    password: bool = False
    raw: bytes = field(default=b"", compare=False, repr=False)


def control_byte(frame: Frame) -> int:
    """C: DIR, PRM, FCB or ACD, FCV, function."""
    flags = (
        (_FROM_TERMINAL, frame.from_terminal),
        (_STARTER, frame.starter),
        (_FCB_ACD, frame.flag),
        (_FCV, frame.counted),
    )
    return sum(bit for bit, on in flags if on) | frame.function & _FUNCTION


def encode_frame(frame: Frame, password: bytes = bytes(PW_BYTES)) -> bytes:
    """The bytes on the wire; `password` (PW) is used where the AFN has one.

    BadInput when the user data is too long, or when a command would go to more than one terminal.
    """
    needs_password = frame.afn in WITH_PASSWORD and not frame.from_terminal
    if needs_password and not frame.address.names_one:
        raise BadInput(
            "address",
            f"{frame.address} names more than one terminal, or none",
            "give the address of the one terminal",
        )
    if needs_password and len(password) != PW_BYTES:
        raise BadInput("password", f"{len(password)} bytes", f"give {PW_BYTES}")
    if (frame.events is not None) != (frame.from_terminal and frame.flag):
        raise BadInput("events", "EC goes with ACD", "set both, or neither")
    user = b"".join(
        (
            bytes((control_byte(frame),)),
            frame.address.encode(),
            bytes((frame.afn, frame.sequence.encode(timed=frame.time_tag is not None))),
            frame.body,
            password if needs_password else b"",
            b"" if frame.events is None else bytes(frame.events),
            b"" if frame.time_tag is None else encode_time_tag(frame.time_tag),
        )
    )
    if len(user) > MAX_USER_BYTES:
        raise BadInput("data", f"{len(user)} bytes", f"at most {MAX_USER_BYTES} fit")
    length = (len(user) << 2 | PROTOCOL_ID).to_bytes(2, "little")
    return b"\x68" + length + length + b"\x68" + user + bytes((sum(user) & 0xFF, END))


def encode_time_tag(tag: TimeTag) -> bytes:
    """PFC, ss mm hh DD, minutes; BadInput when `sent` is not written like "07 13:52:27"."""
    digits = tag.sent.replace(" ", "").replace(":", "")
    if len(digits) != 8 or not (digits.isascii() and digits.isdecimal()):
        raise BadInput("time tag", f"{tag.sent!r}", 'write it like "07 13:52:27"')
    return bytes((tag.counter,)) + bytes.fromhex(digits)[::-1] + bytes((tag.delay_minutes,))


def decode_time_tag(raw: bytes) -> TimeTag:
    """Six bytes; digits that are none stay visible in `sent`."""
    day, hour, minute, second = (f"{byte:02x}" for byte in raw[4:0:-1])
    return TimeTag(raw[0], f"{day} {hour}:{minute}:{second}", raw[5])


class FrameReader(StreamReader[Frame]):
    """Finds frames in a stream (`framing.StreamReader`)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_judge, _CANDIDATE)


def _judge(buffer: bytes, start: int) -> Frame | str:
    """The frame that begins at `start`, or why there is none."""
    head = buffer[start : start + 6]
    if len(head) < 6:
        return INCOMPLETE
    if head[1:3] != head[3:5]:
        return "length"
    field_value = int.from_bytes(head[1:3], "little")
    size = field_value >> 2
    if field_value & 3 != PROTOCOL_ID or size < HEAD_BYTES:
        return "length"
    end = start + _AROUND_BYTES + size
    if len(buffer) < end:
        return INCOMPLETE
    if buffer[end - 1] != END:
        return "end"
    raw = buffer[start:end]
    if sum(raw[6:-2]) & 0xFF != raw[-2]:
        return "checksum"
    return _frame_of(raw)


def _frame_of(raw: bytes) -> Frame | str:
    """The frame in bytes whose outer form is right, or why its parts do not fit."""
    user = raw[6:-2]
    control, afn, seq = user[0], user[6], user[7]
    from_terminal = bool(control & _FROM_TERMINAL)
    flag = bool(control & _FCB_ACD)
    password = PW_BYTES if not from_terminal and afn in WITH_PASSWORD else 0
    counters = EC_BYTES if from_terminal and flag else 0
    timed = TP_BYTES if seq & _TPV else 0
    body_end = len(user) - password - counters - timed
    if body_end < HEAD_BYTES:
        return "length"
    area = user[2:0:-1].hex()
    if not area.isdecimal():
        return "address"
    ec = user[body_end + password :][:counters]
    return Frame(
        address=Address(area, int.from_bytes(user[3:5], "little"), user[5] >> 1, bool(user[5] & 1)),
        afn=afn,
        sequence=Sequence(seq & _PSEQ, bool(seq & _FIR), bool(seq & _FIN), bool(seq & _CON)),
        body=user[HEAD_BYTES:body_end],
        function=control & _FUNCTION,
        from_terminal=from_terminal,
        starter=bool(control & _STARTER),
        flag=flag,
        counted=bool(control & _FCV),
        events=(ec[0], ec[1]) if ec else None,
        time_tag=decode_time_tag(user[-TP_BYTES:]) if timed else None,
        password=bool(password),
        raw=raw,
    )

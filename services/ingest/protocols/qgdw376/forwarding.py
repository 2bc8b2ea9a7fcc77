"""10H F1: a frame of a meter's own protocol, carried through the terminal both ways.

    to the terminal   port | control byte | message time-out | byte time-out | length (2) | frame
    from it           port | length (2) | frame

Capture c05 has port 31 (power line), 6BH (2400 baud, 8E1), BCH (60 s), 0AH (100 ms); its answer
(code index id 17053496834) confirms the second line. Bits of the control byte and of the time-out
are as a master in Java has them (code index id 16646728187).
"""

from __future__ import annotations

from dataclasses import dataclass

from libs.events.errors import BadInput
from services.ingest.protocols.failures import BadReply

BAUDS = (300, 600, 1200, 2400, 4800, 7200, 9600, 19200)
"""By the three high bits of the control byte."""
PARITIES = {"none": 0, "even": 0x08, "odd": 0x0C}
REQUEST_HEAD_BYTES, REPLY_HEAD_BYTES = 6, 3
"""What stands between identifier and meter frame."""
_SECONDS = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarding:
    """How the terminal shall speak on the meter's side.

    port: 1..31, where 31 is the power line. timeout_ms: how long it waits for the meter's frame, in
    tens of milliseconds up to 1,270, in whole seconds up to 127,000. byte_timeout_ms: silence
    within a frame that ends it, in tens of milliseconds.
    """

    port: int = 31
    baud: int = 2400
    parity: str = "even"
    data_bits: int = 8
    stop_bits: int = 1
    timeout_ms: int = 60_000
    byte_timeout_ms: int = 100

    def __post_init__(self) -> None:
        seconds, rest = divmod(self.timeout_ms, 1000)
        timeouts_fit = (seconds <= 127 and not rest) or (
            self.timeout_ms <= 1270 and not self.timeout_ms % 10
        )
        if not 1 <= self.port <= 31 or self.baud not in BAUDS or self.parity not in PARITIES:
            raise BadInput(
                "forwarding",
                f"port {self.port}, {self.baud} baud, parity {self.parity}",
                f"use port 1 to 31, baud {BAUDS}, parity none, even or odd",
            )
        if not 5 <= self.data_bits <= 8 or self.stop_bits not in (1, 2):
            raise BadInput(
                "forwarding",
                f"{self.data_bits} data bits, {self.stop_bits} stop",
                "use 5-8 and 1-2",
            )
        if self.timeout_ms <= 0 or not timeouts_fit:
            raise BadInput("timeout_ms", f"{self.timeout_ms}", "use whole seconds up to 127")
        if self.byte_timeout_ms % 10 or not 0 < self.byte_timeout_ms <= 2550:
            raise BadInput("byte_timeout_ms", f"{self.byte_timeout_ms}", "use tens up to 2550")

    @property
    def control(self) -> int:
        """The control byte."""
        return (
            BAUDS.index(self.baud) << 5
            | (self.stop_bits - 1) << 4
            | PARITIES[self.parity]
            | self.data_bits - 5
        )

    @property
    def timeout(self) -> int:
        """The byte of the message time-out."""
        if self.timeout_ms % 1000:
            return self.timeout_ms // 10
        return _SECONDS | self.timeout_ms // 1000


def encode_forwarding(forwarding: Forwarding, frame: bytes) -> bytes:
    """What follows the identifier of a request."""
    head = (
        forwarding.port,
        forwarding.control,
        forwarding.timeout,
        forwarding.byte_timeout_ms // 10,
    )
    return bytes(head) + len(frame).to_bytes(2, "little") + frame


def decode_forwarding(raw: bytes) -> tuple[Forwarding, bytes]:
    """A terminal's view of a request; BadReply when lengths or values do not fit."""
    if len(raw) < REQUEST_HEAD_BYTES or len(raw) != REQUEST_HEAD_BYTES + int.from_bytes(
        raw[4:6], "little"
    ):
        raise BadReply(f"a forwarding of {len(raw)} bytes, another length than it says")
    port, control, timeout, byte_timeout = raw[:4]
    parity = {0: "none", 0x08: "even", 0x0C: "odd"}.get(control & 0x0C, "none")
    try:
        forwarding = Forwarding(
            port=port,
            baud=BAUDS[control >> 5],
            parity=parity,
            data_bits=(control & 3) + 5,
            stop_bits=(control >> 4 & 1) + 1,
            timeout_ms=(timeout & 0x7F) * (1000 if timeout & _SECONDS else 10),
            byte_timeout_ms=byte_timeout * 10,
        )
    except BadInput as wrong:
        raise BadReply(f"a forwarding with {wrong.field}: {wrong.problem}") from None
    return forwarding, raw[REQUEST_HEAD_BYTES:]


def encode_forwarded(port: int, frame: bytes) -> bytes:
    """What follows the identifier of an answer."""
    return bytes((port,)) + len(frame).to_bytes(2, "little") + frame


def decode_forwarded(raw: bytes) -> tuple[int, bytes]:
    """Port and frame of an answer; an empty frame means that the meter said nothing."""
    size = int.from_bytes(raw[1:3], "little")
    if len(raw) < REPLY_HEAD_BYTES or len(raw) != REPLY_HEAD_BYTES + size:
        raise BadReply(f"a forwarded answer of {len(raw)} bytes, another length than it says")
    return raw[0], raw[REPLY_HEAD_BYTES:]

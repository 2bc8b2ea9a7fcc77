"""DL/T 698.45 frames in a stream: 68H, length, header with its check, APDU, check, 16H.

The optional package checks both check sums; this module finds where a frame may be.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.ingest.protocols.dlt698 import package, reraise_unknown
from services.ingest.protocols.framing import INCOMPLETE, NOISE, StreamReader

END = 0x16
LEAD_BYTES = b"\xfe"
SHORTEST_BYTES, LONGEST_BYTES = 12, 2048
LENGTH_MASK = 0x3FFF
REASONS = {"checksum_header": "checksum", "checksum_frame": "checksum"}
_CANDIDATE = re.compile(rb"\x68")


@dataclass(frozen=True, slots=True)
class Found:
    """A frame whose lengths and checks are right."""

    raw: bytes


class FrameReader(StreamReader[Found]):
    """Finds frames in a stream (`framing.StreamReader`)."""

    __slots__ = ()

    def __init__(self, *, keep_lead: bool = True) -> None:
        super().__init__(_judge, _CANDIDATE, lead=LEAD_BYTES, keep_lead=keep_lead)


def _judge(buffer: bytes, start: int) -> Found | str:
    """The frame that begins at `start`, or why there is none."""
    if len(buffer) < start + 3:
        return INCOMPLETE
    size = (int.from_bytes(buffer[start + 1 : start + 3], "little") & LENGTH_MASK) + 2
    if size < SHORTEST_BYTES or size > LONGEST_BYTES:
        return "length"
    if len(buffer) < start + size:
        return INCOMPLETE
    if buffer[start + size - 1] != END:
        return "end"
    raw = buffer[start : start + size]
    try:
        package().decode_frame(raw)
    except Exception as error:
        reraise_unknown(error)
        code = getattr(error, "code", None)
        return REASONS.get(getattr(code, "name", ""), NOISE)
    return Found(raw)

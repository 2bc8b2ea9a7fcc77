"""What DLMS/COSEM APDUs travel in: the TCP wrapper (IEC 62056-4-7) and HDLC (IEC 62056-46).

    00 01 | source port | destination port | length | APDU
    7E | A0 length | destination | source | control | HCS | E6 E6/E7 00 APDU | FCS | 7E

One reader finds both. A wrapper has no check sum, so it must hold an APDU by its first byte; HDLC
has two (CRC-16/X.25). Two HDLC frames may share a flag; each is told with its own flags then, the
shared one with the first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.ingest.protocols.framing import INCOMPLETE, NOISE, StreamReader

WRAPPER_BYTES = 8
LONGEST_APDU_BYTES = 65_535
FLAG = 0x7E
LLC = (b"\xe6\xe6\x00", b"\xe6\xe7\x00")
APDUS = {
    0x01: "initiate request",
    0x08: "initiate response",
    0x0E: "confirmed service error",
    0x0F: "data notification",
    0x21: "ciphered initiate request",
    0x28: "ciphered initiate response",
    0x60: "association request (AARQ)",
    0x61: "association response (AARE)",
    0x62: "release request (RLRQ)",
    0x63: "release response (RLRE)",
    0xC0: "GET request",
    0xC1: "SET request",
    0xC2: "event notification",
    0xC3: "ACTION request",
    0xC4: "GET response",
    0xC5: "SET response",
    0xC7: "ACTION response",
    0xC8: "ciphered GET request",
    0xCC: "ciphered GET response",
    0xD8: "exception response",
    0xDB: "general global ciphering",
    0xE0: "general block transfer",
}
_TAGS = b"".join(rb"\x%02x" % tag for tag in APDUS)
_CANDIDATE = re.compile(
    rb"\x00\x01.{6}[" + _TAGS + rb"]|\x00(?:\x01.{0,6})?\Z|\x7e(?:[\xa0-\xaf]|\Z)", re.DOTALL
)
_SHORTEST_HDLC_BYTES = 9
"""Two flags, format, two addresses of a byte, control and one check."""
_ADDRESS_BYTES_MAX = 4


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. source, destination: ports of the wrapper, or HDLC addresses as hex; control: of
    HDLC, -1 in a wrapper; apdu: b"" when it carries none; apdu_offset: where it begins in `raw`."""

    raw: bytes
    source: str
    destination: str
    control: int
    apdu: bytes
    apdu_offset: int


class PacketReader(StreamReader[Packet]):
    """Finds packets in a stream (`framing.StreamReader`)."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(_judge, _CANDIDATE)


def wrapped(apdu: bytes, source: int, destination: int) -> bytes:
    """An APDU in a wrapper, from one port to another."""
    ports = source.to_bytes(2, "big") + destination.to_bytes(2, "big")
    return b"\x00\x01" + ports + len(apdu).to_bytes(2, "big") + apdu


def _judge(buffer: bytes, start: int) -> Packet | str:
    """The packet that begins at `start`, or why there is none."""
    if buffer[start] == FLAG:
        return _hdlc_at(buffer, start)
    head = buffer[start : start + WRAPPER_BYTES]
    if len(head) < WRAPPER_BYTES:
        return INCOMPLETE
    size = int.from_bytes(head[6:8], "big")
    if size == 0:
        return NOISE
    raw = buffer[start : start + WRAPPER_BYTES + size]
    if len(raw) < WRAPPER_BYTES + size:
        return INCOMPLETE
    if not _may_be_apdu(raw[WRAPPER_BYTES:]):
        return NOISE
    source, destination = (str(int.from_bytes(head[n : n + 2], "big")) for n in (2, 4))
    return Packet(raw, source, destination, -1, raw[WRAPPER_BYTES:], WRAPPER_BYTES)


def _may_be_apdu(apdu: bytes) -> bool:
    """What a wrapper has instead of a check sum: an APDU whose first bytes can be right."""
    if 0x60 <= apdu[0] <= 0x63:  # BER: its length is that of the rest
        return len(apdu) > 1 and (apdu[1] >= 0x80 or apdu[1] == len(apdu) - 2)
    if 0xC0 <= apdu[0] <= 0xC7 and apdu[0] != 0xC2:
        return len(apdu) > 3 and 1 <= apdu[1] <= 4
    return True


def _hdlc_at(buffer: bytes, start: int) -> Packet | str:
    head = buffer[start : start + 3]
    if len(head) < 3:
        return INCOMPLETE
    size = (head[1] & 0x07) << 8 | head[2]  # between the flags
    if size + 2 < _SHORTEST_HDLC_BYTES:
        return "length"
    raw = buffer[start : start + size + 2]
    if len(raw) < size + 2:
        return INCOMPLETE
    if raw[-1] != FLAG:
        return "end"
    if crc16_x25(raw[1:-3]) != int.from_bytes(raw[-3:-1], "little"):
        return "checksum"
    destination_end = _address_end(raw, 3)
    source_end = _address_end(raw, destination_end)
    if not source_end or source_end + 1 > len(raw) - 3:
        return "address"
    at = source_end + 1
    if at < len(raw) - 3:  # an information field, behind a check of its own
        if crc16_x25(raw[1:at]) != int.from_bytes(raw[at : at + 2], "little"):
            return "checksum"
        at += 2
    body = raw[at:-3]
    if body[:3] in LLC:
        at += 3
    return Packet(
        raw,
        source=raw[destination_end:source_end].hex(),
        destination=raw[3:destination_end].hex(),
        control=raw[source_end],
        apdu=raw[at:-3] if body[:3] in LLC else b"",
        apdu_offset=at,
    )


def _address_end(raw: bytes, start: int) -> int:
    """Behind an address, whose last byte is odd; 0 when it has none."""
    for place in range(start, min(start + _ADDRESS_BYTES_MAX, len(raw))):
        if start and raw[place] & 1:
            return place + 1
    return 0


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ 0x8408 if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc16_x25(data: bytes) -> int:
    """CRC-16/X.25, the check of HDLC; it travels low byte first.

    >>> hex(crc16_x25(b"123456789"))
    '0x906e'
    """
    crc = 0xFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFF

"""Modbus packets in a stream: serial frames with their CRC, TCP packets with their MBAP header.

    >>> crc16(bytes.fromhex("010300000001"))      # travels low byte first: 84 0A
    2692

Serial frames are separated by silence, which a capture does not show. Their length is therefore
taken from the function, and the CRC tells which of the lengths it can be is right: the shortest
first, so that the answer does not depend on how the stream was cut into pieces. A CRC is stronger
than an MBAP header, whose only fixed bytes are two zeros; such a packet must fit in every byte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from services.ingest.protocols.framing import INCOMPLETE, NOISE, StreamReader

READ_BITS = (1, 2)
READ_WORDS = (3, 4)
WRITE_ONE = (5, 6)
WRITE_MANY = (15, 16)
FUNCTION_NAMES = {
    1: "read coils",
    2: "read discrete inputs",
    3: "read holding registers",
    4: "read input registers",
    5: "write one coil",
    6: "write one register",
    15: "write coils",
    16: "write registers",
}
EXCEPTIONS = {
    1: "illegal_function",
    2: "illegal_address",
    3: "illegal_value",
    4: "device_failure",
    5: "acknowledge",
    6: "device_busy",
    8: "memory_parity",
    10: "gateway_path",
    11: "gateway_target",
}
"""Exception codes of the Modbus application protocol 1.1b3, 7."""
EXCEPTION = 0x80
MBAP_BYTES = 7
MAX_PDU_BYTES = 253
_LAST_UNIT = 247
_SHORTEST_RTU, _SHORTEST_TCP = 5, 9
_CANDIDATE = re.compile(
    rb"[\x00-\xf7](?:[\x01-\x06\x0f\x10\x81-\x86\x8f\x90]|\Z)"  # a unit and its function
    rb"|..\x00\x00\x00[\x03-\xfe]|..\x00{0,3}\Z|.\Z",  # transaction, protocol 0, a length
    re.DOTALL,
)
_CRC_START, _CRC_POLYNOMIAL = 0xFFFF, 0xA001


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ _CRC_POLYNOMIAL if byte & 1 else byte >> 1
    return byte


_CRC_TABLE = tuple(_crc_of_byte(byte) for byte in range(256))


def crc16(data: bytes) -> int:
    """The CRC of a serial frame (Modbus over serial line 1.02, 6.2.2)."""
    crc = _CRC_START
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc


@dataclass(frozen=True, slots=True, kw_only=True)
class Packet:
    """One packet. framing: rtu or tcp; transaction: of the MBAP header, -1 on a serial line; pdu:
    function and data; pdu_offset: where it begins in `raw`."""

    framing: str
    raw: bytes
    unit: int
    transaction: int
    pdu: bytes
    pdu_offset: int


class PacketReader(StreamReader[Packet]):
    """Finds packets in a stream, of both framings (`framing.StreamReader`). Any two bytes
    may begin a serial frame, so only a gap that begins with one is told as a broken one."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__(packet_at, _CANDIDATE, first_only=True)


def packet_at(data: bytes, start: int) -> Packet | str:
    """The packet that begins at `start`; "incomplete" when more bytes may make one, else why not:
    "checksum" (its length fits, its CRC does not) or "noise"."""
    refused = NOISE
    lengths: list[tuple[int, str]] = [(size, "rtu") for size in _rtu_lengths(data, start)]
    mbap = _mbap_length(data, start)
    if mbap:
        lengths.append((mbap, "tcp"))
    for size, framing in sorted(lengths):
        if start + size > len(data):
            return INCOMPLETE
        raw = data[start : start + size]
        if framing == "rtu":
            if crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little"):
                return Packet(
                    framing="rtu", raw=raw, unit=raw[0], transaction=-1, pdu=raw[1:-2], pdu_offset=1
                )
            refused = "checksum"
        elif _is_pdu(raw[MBAP_BYTES:]):
            return Packet(
                framing="tcp",
                raw=raw,
                unit=raw[6],
                transaction=int.from_bytes(raw[:2], "big"),
                pdu=raw[MBAP_BYTES:],
                pdu_offset=MBAP_BYTES,
            )
    return refused


def _rtu_lengths(data: bytes, start: int) -> set[int]:
    """The lengths a serial frame that begins at `start` can have; none when it is none."""
    head = data[start : start + 7]
    if head[:1] > bytes((_LAST_UNIT,)):
        return set()
    if len(head) < 2:
        return {_SHORTEST_RTU}
    function = head[1]
    if function & EXCEPTION:
        return {_SHORTEST_RTU} if function & ~EXCEPTION in FUNCTION_NAMES else set()
    if function in READ_BITS or function in READ_WORDS:
        counts = head[2:3]  # a reply's count of bytes
        is_reply = counts and counts[0] and not (function in READ_WORDS and counts[0] % 2)
        return {8, 5 + counts[0]} if is_reply else {8}
    if function in WRITE_MANY and len(head) == 7 and head[6]:
        return {8, 9 + head[6]}
    return {8} if function in FUNCTION_NAMES else set()


def _mbap_length(data: bytes, start: int) -> int:
    """The length of a TCP packet that begins at `start`; 0 when it is none."""
    head = data[start : start + 6]
    if head[2:4].strip(b"\0"):
        return 0
    if len(head) < 6:
        return _SHORTEST_TCP
    size = 6 + int.from_bytes(head[4:6], "big")
    return size if _SHORTEST_TCP <= size <= MBAP_BYTES + MAX_PDU_BYTES else 0


def is_request(pdu: bytes) -> bool:
    """Whether the bytes can be a request."""
    function, size = pdu[0], len(pdu)
    if function in WRITE_MANY:
        return size > 6 and size == 6 + pdu[5]
    return function in FUNCTION_NAMES and size == 5


def is_reply(pdu: bytes) -> bool:
    """Whether the bytes can be a reply: values, an acknowledgement or an exception."""
    function, size = pdu[0], len(pdu)
    if function & EXCEPTION:
        return function & ~EXCEPTION in FUNCTION_NAMES and size == 2 and pdu[1] in EXCEPTIONS
    if function in READ_BITS or function in READ_WORDS:
        return size > 2 and size == 2 + pdu[1] and not (function in READ_WORDS and pdu[1] % 2)
    return function in FUNCTION_NAMES and size == 5


def _is_pdu(pdu: bytes) -> bool:
    return is_request(pdu) or is_reply(pdu)

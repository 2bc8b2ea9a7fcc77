"""Explains DLMS/COSEM to a person: wrapper and HDLC, GET and SET byte by byte, associations by
their BER elements, for `gridledger decode --protocol dlms`.

    for found in DlmsExplainer().feed(capture): print(found.summary)

What is ciphered stays closed, and services that are not read here are one part with their name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from libs.events.quantities import format_scaled
from services.ingest.protocols.dlms import FLOAT32, INTEGERS, NULL, STRINGS, obis_text
from services.ingest.protocols.dlms_frames import APDUS, LLC, Packet, PacketReader
from services.ingest.protocols.explanation import Explained, Part, StreamExplainer
from services.ingest.protocols.modbus_registers import decode_float32

PROTOCOL = "dlms"
MAX_DEPTH, MAX_PARTS, SHOWN_VALUES = 8, 2000, 3
CLASSES = {1: "data", 3: "register", 4: "extended register", 5: "demand register"}
CLASSES |= {7: "profile", 8: "clock", 15: "association", 20: "activity calendar"}
CLASSES |= {64: "security setup", 70: "disconnect control"}
_CHOICES = {
    0xC0: {1: "normal", 2: "next block", 3: "list"},
    0xC1: {1: "normal", 2: "first block", 3: "block", 4: "list"},
    0xC3: {1: "normal", 2: "next block", 3: "list"},
    0xC4: {1: "normal", 2: "block", 3: "list"},
    0xC5: {1: "normal", 2: "block", 3: "last block"},
    0xC7: {1: "normal", 2: "block", 3: "list"},
}
_REFUSALS = {
    0: "success",
    1: "hardware fault",
    2: "temporary failure",
    3: "read or write denied",
    4: "object undefined",
    9: "object class inconsistent",
    11: "object unavailable",
    12: "type unmatched",
    13: "scope of access violated",
    14: "data block unavailable",
    250: "other reason",
}
"""Data access results of the DLMS green book."""
_BER = {
    0x80: "protocol version",
    0xA1: "application context",
    0xA2: "result, or called title",
    0xA3: "diagnostics, or called qualifier",
    0xA4: "responding title",
    0xA6: "calling title",
    0x88: "responder requirements",
    0x89: "mechanism",
    0x8A: "sender requirements",
    0x8B: "mechanism",
    0xAA: "responding authentication",
    0xAC: "calling authentication",
    0xBE: "user information",
}
_SECRET = frozenset({0xAA, 0xAC})
"""BER elements that hold a password or a challenge."""
_SIZES = {3: 1, 25: 12, 26: 5, 27: 4}
"""Bytes of the types that have always as many (IEC 62056-6-2, 4.1.5)."""

_TYPES = {3: "boolean", 25: "date-time", 26: "date", 27: "time", 9: "octets", 10: "text"}
_TYPES |= {12: "text", 22: "enumeration"}


class DlmsExplainer(StreamExplainer[Packet]):
    """Finds packets in a stream; needs no package."""

    def __init__(self) -> None:
        super().__init__(PROTOCOL, PacketReader(), explain_packet)


@dataclass(slots=True)
class _Cursor:
    """Cuts the bytes of an APDU into parts from the first on; what is not taken stays a rest."""

    apdu: bytes
    base: int
    place: int
    parts: list[Part]

    def take(self, size: int, name: str, value: str = "", **more: str) -> bytes:
        """The next bytes, as a part; cut off when fewer are there."""
        raw = self.apdu[self.place : self.place + size]
        if len(raw) < size:
            raise _CutOff
        offset = self.base + self.place
        self.parts.append(Part(offset=offset, raw_hex=raw.hex(), name=name, value=value, **more))
        self.place += size
        return raw

    def peek(self, size: int = 1) -> int:
        """The number in the next bytes."""
        raw = self.apdu[self.place : self.place + size]
        if len(raw) < size or len(self.parts) > MAX_PARTS:
            raise _CutOff
        return int.from_bytes(raw, "big")


class _CutOff(Exception):
    """The APDU ends before what it announces, or says more than anybody reads."""


def explain_packet(packet: Packet, offset: int = 0) -> Explained:
    """Every byte of one packet."""
    head, tail = _envelope(packet)
    cursor = _Cursor(packet.apdu, packet.apdu_offset, 0, [])
    fields: dict[str, object] = {"source": packet.source, "destination": packet.destination}
    what = "no APDU"
    if packet.apdu:
        what = APDUS.get(packet.apdu[0], f"APDU {packet.apdu[0]:02X}H")
        fields["apdu"] = what
        try:
            what = _explain_apdu(cursor, what, fields)
        except _CutOff:
            fields["problem"] = "cut_off"
        values = fields.get("values")
        if isinstance(values, list):
            more = ", ..." if len(values) > SHOWN_VALUES else ""
            what += f": {', '.join(values[:SHOWN_VALUES])}{more}"
        if cursor.place < len(packet.apdu):
            reason = "cut_off" if "problem" in fields else "unknown"
            cursor.take(len(packet.apdu) - cursor.place, "rest", reason=reason)
    return Explained(
        protocol=PROTOCOL,
        offset=offset,
        raw_hex=packet.raw.hex() if "secret" not in fields else _masked(packet, cursor),
        summary=f"{packet.source} to {packet.destination}: {what}",
        parts=(*head, *cursor.parts, *tail),
        fields={name: value for name, value in fields.items() if name != "secret"},
    )


def _envelope(packet: Packet) -> tuple[list[Part], list[Part]]:
    """The parts before and behind the APDU."""
    raw = packet.raw
    if packet.control < 0:
        ends = (2, "version", "1"), (4, "source port", packet.source)
        more = (6, "destination port", packet.destination), (8, "bytes that follow", "")
        return list(_cut(raw, 0, (*ends, *more))), []
    address = 3 + len(packet.destination) // 2
    control = address + len(packet.source) // 2
    rows = [
        (1, "flag", ""),
        (3, "format and length", str((raw[1] & 7) << 8 | raw[2])),
        (address, "destination", packet.destination),
        (control, "source", packet.source),
        (control + 1, "control", f"{packet.control:02X}H"),
    ]
    if control + 1 < len(raw) - 3:
        rows.append((control + 3, "HCS, right", ""))
        if raw[packet.apdu_offset - 3 : packet.apdu_offset] in LLC:
            rows.append((packet.apdu_offset, "LLC", ""))
        elif len(raw) - 3 > control + 3:
            rows.append((len(raw) - 3, "information", ""))
    tail = _cut(raw, len(raw) - 3, ((len(raw) - 1, "FCS, right", ""), (len(raw), "flag", "")))
    return list(_cut(raw, 0, rows)), list(tail)


def _cut(raw: bytes, start: int, rows: object) -> Iterator[Part]:
    assert isinstance(rows, list | tuple)
    for end, name, value in rows:
        yield Part(offset=start, raw_hex=raw[start:end].hex(), name=name, value=value)
        start = end


def _masked(packet: Packet, cursor: _Cursor) -> str:
    """The packet in hexadecimal, as its parts show it."""
    start = 2 * packet.apdu_offset
    shown = "".join(part.raw_hex for part in cursor.parts)
    whole = packet.raw.hex()
    return whole[:start] + shown + whole[start + len(shown) :]


def _explain_apdu(cursor: _Cursor, name: str, fields: dict[str, object]) -> str:
    tag = cursor.peek()
    cursor.take(1, "APDU", name)
    if tag in (0x60, 0x61, 0x62, 0x63):
        _explain_association(cursor, fields)
        return name
    if tag not in _CHOICES:
        return name
    choice = cursor.peek()
    text = _CHOICES[tag].get(choice, "")
    cursor.take(1, "choice", text)
    cursor.take(1, "invoke number and priority", str(cursor.peek() & 0x0F))
    if choice == 1 and tag in (0xC0, 0xC1, 0xC3):
        text = _explain_object(cursor, fields)
        if cursor.peek():
            cursor.take(1, "selection follows", "yes")
            if tag != 0xC3:  # an ACTION has its parameters there
                cursor.take(1, "selector", str(cursor.peek()))
        else:
            cursor.take(1, "selection follows", "no")
        if cursor.place < len(cursor.apdu):
            _explain_value(cursor, fields, MAX_DEPTH)
    elif tag == 0xC0 and choice == 2:
        cursor.take(4, "block", str(cursor.peek(4)))
    elif tag == 0xC4 and choice == 1:
        _explain_result(cursor, fields)
    elif tag == 0xC4 and choice == 2:
        cursor.take(1, "last block", "yes" if cursor.peek() else "no")
        cursor.take(4, "block", str(cursor.peek(4)))
        cursor.take(1, "result", "refused" if cursor.peek() else "data")
        cursor.take(len(cursor.apdu) - cursor.place, "piece of a value")
    return f"{name}, {text}"


def _explain_object(cursor: _Cursor, fields: dict[str, object]) -> str:
    """Which object and attribute (or method) is meant."""
    number = cursor.peek(2)
    cursor.take(2, "class", f"{number} {CLASSES.get(number, '')}".rstrip())
    cursor.peek(6)
    code = obis_text(cursor.apdu[cursor.place : cursor.place + 6])
    cursor.take(6, "object", code)
    attribute = cursor.peek()
    cursor.take(1, "attribute or method", str(attribute))
    fields |= {"class": number, "obis": code, "attribute": attribute}
    return f"{code} attribute {attribute}"


def _explain_result(cursor: _Cursor, fields: dict[str, object]) -> None:
    if cursor.peek() == 0:
        cursor.take(1, "result", "data")
        _explain_value(cursor, fields, MAX_DEPTH)
        return
    cursor.take(1, "result", "refused")
    why = _REFUSALS.get(cursor.peek(), f"result {cursor.peek()}")
    cursor.take(1, "why", why)
    fields["refused"] = why


def _explain_value(cursor: _Cursor, fields: dict[str, object], depth: int) -> None:
    """One A-XDR value and what it holds; its numbers and texts also go to `values`."""
    tag = cursor.peek()
    if tag in (1, 2) and depth:
        count, size = _length_at(cursor, 1)
        cursor.take(1 + size, "array" if tag == 1 else "structure", f"{count} elements")
        for _ in range(count):
            _explain_value(cursor, fields, depth - 1)
        return
    values = fields.setdefault("values", [])
    assert isinstance(values, list)
    if tag == NULL:
        cursor.take(1, "nothing", "")
        values.append("")
        return
    if tag in INTEGERS:
        size, signed = INTEGERS[tag]
        cursor.peek(1 + size)
        raw = cursor.apdu[cursor.place + 1 : cursor.place + 1 + size]
        value = str(int.from_bytes(raw, "big", signed=signed))
        cursor.take(1 + size, _TYPES.get(tag, f"integer of {size} bytes"), value)
    elif tag == FLOAT32:
        bits = cursor.peek(5)
        number = decode_float32(bits >> 16 & 0xFFFF, bits & 0xFFFF, 1000)
        value = format_scaled(number, 1000) if isinstance(number, int) else ""
        cursor.take(5, "float of 4 bytes", value, reason="" if value else "no_number")
    elif tag in STRINGS or tag in _TYPES:
        size, head = _length_at(cursor, 1) if tag in STRINGS else (_SIZES[tag], 0)
        start = cursor.place + 1 + head
        raw = cursor.apdu[start : start + size]
        is_text = tag in (10, 12) and raw.isascii() and raw.decode("ascii").isprintable()
        value = raw.decode("ascii") if is_text else raw.hex()
        cursor.take(1 + head + size, _TYPES[tag], value)
    else:
        raise _CutOff
    values.append(value)


def _length_at(cursor: _Cursor, ahead: int) -> tuple[int, int]:
    """A length behind `ahead` bytes, and how many bytes it takes itself."""
    cursor.peek(ahead + 1)
    first = cursor.apdu[cursor.place + ahead]
    if first < 0x80:
        return first, 1
    size = first & 0x7F
    cursor.peek(ahead + 1 + size)
    raw = cursor.apdu[cursor.place + ahead + 1 : cursor.place + ahead + 1 + size]
    return int.from_bytes(raw, "big"), 1 + size


def _explain_association(cursor: _Cursor, fields: dict[str, object]) -> None:
    """The elements of an association, each with its tag and length."""
    length, size = _length_at(cursor, 0)
    cursor.take(size, "length", str(length))
    while cursor.place < len(cursor.apdu):
        tag = cursor.peek()
        length, size = _length_at(cursor, 1)
        cursor.peek(1 + size + length)
        raw = cursor.apdu[cursor.place + 1 + size : cursor.place + 1 + size + length]
        name = _BER.get(tag, f"element {tag:02X}H")
        if tag not in _SECRET:
            cursor.take(1 + size + length, name, raw.hex())
            continue
        cursor.take(1 + size, name)
        fields["secret"] = True
        cursor.take(length, name, reason="secret")
        hidden = cursor.parts.pop()
        cursor.parts.append(
            Part(offset=hidden.offset, raw_hex="xx" * length, name=name, reason="secret")
        )

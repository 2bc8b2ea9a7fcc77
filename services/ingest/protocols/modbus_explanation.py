"""Explains Modbus to a person: serial frames and TCP packets, every byte, for `gridledger decode`.

    explainer = ModbusExplainer(load_maps()["modbus_sdm630"])
    for found in [*explainer.feed(capture), *explainer.end()]: print(found.summary)

A reply to a read does not say which registers it holds. Its request does: while that is in the
capture too, words get their address, and with a map their name, value, unit and OBIS code.
"""

from __future__ import annotations

from pathlib import Path

from libs.events.errors import BadInput
from libs.events.quantities import format_scaled
from services.ingest.protocols.explanation import Explained, Part, StreamExplainer
from services.ingest.protocols.modbus import load_maps, shipped_maps
from services.ingest.protocols.modbus_frames import (
    EXCEPTION,
    EXCEPTIONS,
    FUNCTION_NAMES,
    READ_BITS,
    READ_WORDS,
    WRITE_MANY,
    WRITE_ONE,
    Packet,
    PacketReader,
    is_reply,
    is_request,
)
from services.ingest.protocols.modbus_registers import Register, RegisterMap, decode_words

PROTOCOL = "modbus"
Asked = tuple[int, int, int]
"""Function, first address, and count or value of what was asked."""


def make_explainer(protocol: str = PROTOCOL, directory: Path | None = None) -> ModbusExplainer:
    """The explainer of `modbus` (no map: words as they are) or of a map such as `modbus_sdm630`.

    directory: with the installation's own maps. BadInput when there is no such map.
    """
    if protocol == PROTOCOL:
        return ModbusExplainer()
    maps = shipped_maps() if directory is None else load_maps(directory)
    if protocol not in maps:
        fix = f"use {', '.join(sorted(maps))}, or {PROTOCOL} for words without names"
        raise BadInput("protocol", f"there is no register map {protocol!r}", fix)
    return ModbusExplainer(maps[protocol])


class ModbusExplainer(StreamExplainer[Packet]):
    """Finds packets in a stream and remembers the last question to each unit."""

    def __init__(self, registers: RegisterMap | None = None) -> None:
        super().__init__(PROTOCOL, PacketReader(), self._told)
        self.map = registers
        self._asked: dict[tuple[str, int, int], Asked] = {}

    def _told(self, packet: Packet, offset: int) -> Explained:
        key = (packet.framing, packet.unit, packet.transaction)
        asked = self._asked.pop(key, None)
        pdu = packet.pdu
        function = pdu[0] & ~EXCEPTION
        answers = asked is not None and asked[0] == function and is_reply(pdu)
        if is_request(pdu) and not (answers and _fits(asked, pdu)):
            self._asked[key] = (function, _word(pdu, 1), _word(pdu, 3))
            what, parts, fields = self._request(packet)
        else:
            what, parts, fields = self._reply(packet, asked if answers else None)
        head, tail = _envelope(packet)
        text = f"unit {packet.unit}: {what}"
        return Explained(
            protocol=PROTOCOL,
            offset=offset,
            raw_hex=packet.raw.hex(),
            summary=text,
            parts=(*head, *parts, *tail),
            fields={"framing": packet.framing, "unit": packet.unit, **fields},
        )

    def _request(self, packet: Packet) -> tuple[str, list[Part], dict[str, object]]:
        pdu, base = packet.pdu, packet.pdu_offset
        function, name = pdu[0], FUNCTION_NAMES[pdu[0]]
        address, second = _word(pdu, 1), _word(pdu, 3)
        single = function in WRITE_ONE
        parts = [
            _function_part(packet, name),
            _part(base + 1, pdu[1:3], "address", f"{address:04X}H"),
            _part(base + 3, pdu[3:5], "value" if single else "count", str(second)),
        ]
        fields: dict[str, object] = {
            "direction": "request",
            "function": function,
            "address": address,
            "value" if single else "count": second,
        }
        if function in WRITE_MANY:
            parts += [
                _part(base + 5, pdu[5:6], "bytes that follow", str(pdu[5])),
                _part(base + 6, pdu[6:], "values", pdu[6:].hex()),
            ]
        what = f"{name} {address:04X}H, {'value' if single else 'count'} {second}"
        return what, parts, fields

    def _reply(
        self, packet: Packet, asked: Asked | None
    ) -> tuple[str, list[Part], dict[str, object]]:
        pdu, base = packet.pdu, packet.pdu_offset
        function = pdu[0] & ~EXCEPTION
        name = FUNCTION_NAMES[function]
        fields: dict[str, object] = {"direction": "reply", "function": function}
        if pdu[0] & EXCEPTION:
            why = EXCEPTIONS.get(pdu[1], f"exception_{pdu[1]}")
            parts = [
                _function_part(packet, f"{name}, refused"),
                _part(base + 1, pdu[1:2], "exception", why),
            ]
            return f"{name} refused: {why}", parts, fields | {"exception": why}
        parts = [_function_part(packet, name)]
        if function not in READ_BITS and function not in READ_WORDS:
            parts.append(_part(base + 1, pdu[1:3], "address", f"{_word(pdu, 1):04X}H"))
            kind = "value" if function in WRITE_ONE else "count"
            parts.append(_part(base + 3, pdu[3:5], kind, str(_word(pdu, 3))))
            return f"{name} {_word(pdu, 1):04X}H done", parts, fields | {"address": _word(pdu, 1)}
        parts.append(_part(base + 1, pdu[1:2], "bytes that follow", str(pdu[1])))
        if function in READ_BITS:
            parts.append(_part(base + 2, pdu[2:], "bits, first in bit 0", pdu[2:].hex()))
            return f"{name}: {pdu[1]} bytes", parts, fields
        first = asked[1] if asked is not None and asked[2] * 2 == pdu[1] else None
        values = self._values(pdu[2:], base + 2, function, first)
        named = sum(1 for part in values if part.obis)
        where = "its request is not in the capture" if first is None else f"from {first:04X}H"
        what = f"{name}: {pdu[1] // 2} words {where}" + (f", {named} values" if named else "")
        fields["registers"] = [
            {"name": p.name, "value": p.value, "unit": p.unit, "obis": p.obis, "reason": p.reason}
            for p in values
        ]
        return what, parts + values, fields

    def _values(self, raw: bytes, base: int, function: int, first: int | None) -> list[Part]:
        """The words of a reply: registers of the map where it has some, single words elsewhere."""
        parts: list[Part] = []
        rows = self._rows(function) if first is not None else {}
        place = 0
        while place < len(raw) // 2:
            address = place if first is None else first + place
            row = rows.get(address)
            here = raw[2 * place :]
            if row is None or self.map is None or len(here) < 2 * row.words:
                label = f"word {place + 1}" if first is None else f"register {address:04X}H"
                parts.append(_part(base + 2 * place, here[:2], label, str(_word(here, 0))))
                place += 1
                continue
            words = [_word(here, 2 * n) for n in range(row.words)]
            found = decode_words(self.map, row, words)
            value = "" if found.value is None else format_scaled(found.value, found.scale)
            parts.append(
                Part(
                    offset=base + 2 * place,
                    raw_hex=here[: 2 * row.words].hex(),
                    name=row.name,
                    value=value,
                    unit=row.unit,
                    obis=row.obis,
                    reason=found.bad,
                )
            )
            place += row.words
        return parts

    def _rows(self, function: int) -> dict[int, Register]:
        known = self.map
        if known is None:
            return {}
        return {row.address: row for row in known.registers if known.function_of(row) == function}


def _fits(asked: Asked | None, pdu: bytes) -> bool:
    """Whether what looks like a question is the answer to one: as long as the values that were
    asked, or the echo of a written value."""
    assert asked is not None
    function, address, count = asked
    if function in WRITE_ONE:
        return (_word(pdu, 1), _word(pdu, 3)) == (address, count)
    return pdu[1] == (-(-count // 8) if function in READ_BITS else 2 * count)


def _envelope(packet: Packet) -> tuple[list[Part], list[Part]]:
    """The parts before and behind the function and its data."""
    raw = packet.raw
    if packet.framing == "rtu":
        crc = f"{int.from_bytes(raw[-2:], 'little'):04X}H"
        tail = [_part(len(raw) - 2, raw[-2:], "CRC, right", crc)]
        return [_part(0, raw[:1], "unit", str(raw[0]))], tail
    return [
        _part(0, raw[:2], "transaction", str(packet.transaction)),
        _part(2, raw[2:4], "protocol", "0"),
        _part(4, raw[4:6], "bytes that follow", str(_word(raw, 4))),
        _part(6, raw[6:7], "unit", str(packet.unit)),
    ], []


def _function_part(packet: Packet, name: str) -> Part:
    return _part(packet.pdu_offset, packet.pdu[:1], "function", f"{packet.pdu[0]:02X}H {name}")


def _part(offset: int, raw: bytes, name: str, value: str) -> Part:
    return Part(offset=offset, raw_hex=raw.hex(), name=name, value=value)


def _word(raw: bytes, offset: int) -> int:
    return int.from_bytes(raw[offset : offset + 2], "big")

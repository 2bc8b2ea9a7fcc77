"""The Modbus side: a small server of the real protocol (function 4), SDM630 map, on TCP (MBAP) and
on a serial line (CRC).

Written out here because the point is to test the client against something that is not the client's
own library. Faults: silent, slow, no_value (NaN), truncated, wrong_address (another unit answers).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from services.ingest.protocols.dlt645.values import from_epoch_s
from services.ingest.protocols.modbus import READ_INPUT_REGISTERS, SDM630, encode_float32
from services.ingest.protocols.modbus_frames import crc16
from simulators.meters.bus import DEFAULT_DELAY_S, DEFAULT_KEEP_BYTES, Clock, TimedReply
from simulators.meters.energy import TOTAL
from simulators.meters.journal import Journal
from simulators.meters.meter import EXPORT, IMPORT, Meter

MBAP = struct.Struct(">HHHB")
ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3
MAX_WORDS = SDM630.max_words
MAX_PACKET_BYTES = 260
RTU_REQUEST_BYTES = 8
_NAN = (0x7FC0, 0)
_BY_ADDRESS = {register.address: register for register in SDM630.registers}
_LAST_ADDRESS = max(_BY_ADDRESS) + 1


class ModbusBus:
    """The units behind one Modbus TCP port."""

    def __init__(self, name: str, meters: Sequence[Meter], clock: Clock, journal: Journal) -> None:
        self.name = name
        self.meters = tuple(meters)
        self._clock = clock
        self._journal = journal

    def reader(self) -> bytearray:
        """The receive buffer of one connection."""
        return bytearray()

    def feed(self, reader: bytearray, data: bytes) -> list[TimedReply]:
        """The replies to the whole packets received so far."""
        reader += data
        replies = []
        while len(reader) >= MBAP.size + 1:
            _, protocol, length, _ = MBAP.unpack_from(reader)
            if protocol or not 2 <= length <= MAX_PACKET_BYTES - 6:
                reader.clear()  # not Modbus: wait for a fresh beginning
                break
            if len(reader) < 6 + length:
                break
            packet = bytes(reader[: 6 + length])
            del reader[: 6 + length]
            transaction, _, _, unit = MBAP.unpack_from(packet)

            def sealed(unit: int, answer: bytes, transaction: int = transaction) -> bytes:
                return MBAP.pack(transaction, 0, len(answer) + 1, unit) + answer

            replies.extend(self.hear(packet, unit, packet[MBAP.size :], sealed))
        return replies

    def hear(
        self, packet: bytes, unit: int, request: bytes, sealed: Callable[[int, bytes], bytes]
    ) -> list[TimedReply]:
        """The replies of a unit to one request; `sealed` makes its answer a packet."""
        at_s = self._clock.now_s()
        named = [m for m in self.meters if m.config.unit == unit and m.is_installed(at_s)]
        if not named:
            return []  # a gateway would answer 0BH after its time-out; a single meter is silent
        meter = named[0]
        faults = meter.faults.names()
        replies: list[TimedReply] = []
        if not meter.faults.take("silent"):
            answer = self._answer(meter, request, at_s)
            replies = [self._spoil(meter, unit, answer, sealed)]
        self._journal.note(
            from_epoch_s(at_s),
            self.name,
            meter.config.name,
            packet.hex(),
            [timed.data.hex() for timed in replies],
            faults,
            meter.relay,
        )
        return replies

    def _spoil(
        self, meter: Meter, unit: int, answer: bytes, sealed: Callable[[int, bytes], bytes]
    ) -> TimedReply:
        if meter.faults.take("wrong_address"):
            unit = unit % 247 + 1
        data = sealed(unit, answer)
        if cut := meter.faults.take("truncated"):
            data = data[: int(cut.options.get("keep", DEFAULT_KEEP_BYTES))]
        slow = meter.faults.take("slow")
        return TimedReply(
            data, float(slow.options.get("seconds", DEFAULT_DELAY_S)) if slow else 0.0
        )

    def _answer(self, meter: Meter, request: bytes, at_s: int) -> bytes:
        function = request[0]
        if function != READ_INPUT_REGISTERS:
            return bytes((function | 0x80, ILLEGAL_FUNCTION))
        if len(request) != 5:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        address, count = struct.unpack(">HH", request[1:])
        if not 0 < count <= MAX_WORDS or count % 2:
            return bytes((function | 0x80, ILLEGAL_VALUE))
        if address % 2 or address + count > _LAST_ADDRESS + 1:
            return bytes((function | 0x80, ILLEGAL_ADDRESS))
        no_value = meter.faults.take("no_value")
        words: list[int] = []
        for place in range(address, address + count, 2):
            words.extend(_NAN if no_value else _words(meter, place, at_s))
        return struct.pack(f">BB{count}H", function, 2 * count, *words)


class ModbusRtuBus(ModbusBus):
    """The units on one serial line. A frame that is none, or for nobody here, is heard in silence;
    a request has eight bytes."""

    def feed(self, reader: bytearray, data: bytes) -> list[TimedReply]:
        """The replies to the whole requests received so far."""
        reader += data
        replies = []
        while len(reader) >= RTU_REQUEST_BYTES:
            packet = bytes(reader[:RTU_REQUEST_BYTES])
            if crc16(packet[:-2]) != int.from_bytes(packet[-2:], "little"):
                del reader[:1]
                continue
            del reader[:RTU_REQUEST_BYTES]
            replies.extend(self.hear(packet, packet[0], packet[1:-2], _with_crc))
        return replies


def _with_crc(unit: int, answer: bytes) -> bytes:
    body = bytes((unit,)) + answer
    return body + crc16(body).to_bytes(2, "little")


def _words(meter: Meter, address: int, at_s: int) -> tuple[int, int]:
    """The float32 at an address; unused addresses read 0, as the device has it."""
    register = _BY_ADDRESS.get(address)
    if register is None:
        return 0, 0
    return encode_float32(_value(meter, register.obis, at_s), register.factor)


def _value(meter: Meter, obis: str, at_s: int) -> int:
    """The register as the integer that its map row makes of the float."""
    kind = int(obis.removeprefix("1-0:").split(".")[0])
    if obis.endswith(".8.0"):
        parts = {1: (IMPORT,), 2: (EXPORT,), 3: (5, 6), 4: (7, 8)}[kind]
        return sum(meter.shown_wh(part, TOTAL, at_s) for part in parts)
    phases = meter.config.phases
    phase = {3: 1, 5: 2, 7: 3, 15: 1, 17: 2, 19: 3}.get(kind // 10, 0)
    if phase > phases:
        return 0
    active = meter.power_dw(at_s) // (phases if phase else 1)
    reactive = meter.reactive_dvar(at_s) // (phases if phase else 1)
    values = {
        16: active,
        36: active,
        56: active,
        76: active,
        151: reactive,
        171: reactive,
        191: reactive,
        14: 5000,
    }
    if kind in values:
        return values[kind]
    voltage_dv = meter.voltage_dv(phase, at_s)
    return voltage_dv * 100 if kind in (32, 52, 72) else active * 1000 // voltage_dv

"""A Modbus meter on a serial line, blocking: CRC, silences by the bit rate, the same register maps.

    result = ModbusRtuSession(turn.talk, baud=9600, unit=1, registers=SDM630).read()

A request begins after the line was silent for 3.5 characters (Modbus over serial line 1.02, 2.5.1:
1.75 ms fixed above 19,200 baud). A reply is as long as its request says, so its end needs no
silence; its CRC and its unit and function must be right. Two units that answer to one request are
noise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from libs.events.errors import BadInput
from services.ingest.protocols.failures import Exchange
from services.ingest.protocols.framing import INCOMPLETE, StreamReader
from services.ingest.protocols.modbus import RegisterMap, RegisterRead, decode_registers, plan_reads
from services.ingest.protocols.modbus_frames import EXCEPTION, EXCEPTIONS, crc16
from services.ingest.protocols.modbus_tcp import MAX_UNIT, ModbusResult
from services.ingest.protocols.talk import Talk

GAP_CHARACTERS_HALVES = 7
"""3.5 characters of 11 bits."""
FAST_BAUD, FAST_GAP_S = 19_200, 0.00175
_REFUSAL_BYTES = 5


def gap_s(baud: int) -> float:
    """How long a line must be silent between two frames."""
    return FAST_GAP_S if baud > FAST_BAUD else GAP_CHARACTERS_HALVES * 11 / 2 / baud


@dataclass(frozen=True, slots=True)
class Reply:
    """A frame with a right CRC from the unit that was asked, for the function that was asked."""

    raw: bytes


OpenTalk = Callable[[Callable[[], StreamReader[Reply]], float], Talk[Reply]]
"""Opens the conversation on a line, given a reader and the silence before a request."""


class ModbusRtuSession:
    """Conversation with one unit. Raises BadReply, NoReply or LineDown with the exchange."""

    def __init__(self, open_talk: OpenTalk, baud: int, unit: int, registers: RegisterMap) -> None:
        if not 1 <= unit <= MAX_UNIT:
            raise BadInput("unit", f"{unit} is no Modbus unit", f"use 1 to {MAX_UNIT}")
        self._unit, self._registers = unit, registers
        self._wanted = RegisterRead(0, 0, 0)
        self._talk = open_talk(self._reader, gap_s(baud))

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """All that was asked so far, and what came."""
        return tuple(self._talk.exchanges)

    def read(self) -> ModbusResult:
        """Every register of the map, in as few requests as the meter allows."""
        words: dict[tuple[int, int], int] = {}
        for wanted in plan_reads(self._registers):
            self._wanted = wanted
            request = rtu_request(self._unit, wanted)
            longest = _REFUSAL_BYTES + 2 * wanted.count
            raw = self._talk.ask(request, lambda _: True, longest).raw
            if raw[1] & EXCEPTION:
                refused = (EXCEPTIONS.get(raw[2], f"exception_{raw[2]}"),)
                return ModbusResult(unit=self._unit, refused=refused, exchanges=self.exchanges)
            for place in range(wanted.count):
                at = 3 + 2 * place
                word = int.from_bytes(raw[at : at + 2], "big")
                words[wanted.function, wanted.address + place] = word
        return ModbusResult(
            unit=self._unit,
            quantities=decode_registers(self._registers, words),
            exchanges=self.exchanges,
        )

    def close(self) -> None:
        """Nothing: the port is the line's."""

    def _reader(self) -> StreamReader[Reply]:
        unit, wanted = self._unit, self._wanted
        head = bytes((unit, wanted.function, 2 * wanted.count & 0xFF))
        refusal = bytes((unit, wanted.function | EXCEPTION))

        def judge(buffer: bytes, start: int) -> Reply | str:
            is_refusal = buffer.startswith(refusal, start)
            size = _REFUSAL_BYTES if is_refusal else _REFUSAL_BYTES + 2 * wanted.count
            raw = buffer[start : start + size]
            if len(raw) < size:
                return INCOMPLETE
            right = crc16(raw[:-2]) == int.from_bytes(raw[-2:], "little")
            return Reply(raw) if right else "checksum"

        pattern = b"|".join(map(_cut_anywhere, (head, refusal)))
        return StreamReader(judge, re.compile(pattern, re.DOTALL))


def rtu_request(unit: int, wanted: RegisterRead) -> bytes:
    """The frame that asks a unit for its words."""
    body = bytes((unit, wanted.function))
    body += wanted.address.to_bytes(2, "big") + wanted.count.to_bytes(2, "big")
    return body + crc16(body).to_bytes(2, "little")


def _cut_anywhere(head: bytes) -> bytes:
    """A pattern for bytes that are there, or that the end of the stream cuts off."""
    cuts = [re.escape(head), *(re.escape(head[:n]) + rb"\Z" for n in range(1, len(head)))]
    return b"|".join(cuts)

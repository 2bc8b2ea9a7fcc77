"""A Modbus TCP meter, blocking: pymodbus moves the bytes, `modbus` says what they mean.

    result = ModbusSession("192.0.2.9", 502, unit=1).read()

The raw packets are kept as evidence. A Modbus exception is a result (`refused`), as a refusal of a
DL/T 645 meter is; a line that fails raises LineDown, NoReply or BadReply with its exchange.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ConnectionException, ModbusException

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.values import Quantity
from services.ingest.protocols.failures import BadReply, Exchange, LineDown, NoReply
from services.ingest.protocols.modbus import (
    READ_INPUT_REGISTERS,
    SDM630,
    RegisterMap,
    RegisterRead,
    decode_registers,
    plan_reads,
)
from services.ingest.protocols.modbus_frames import EXCEPTIONS

MAX_UNIT = 247


@dataclass(frozen=True, slots=True, kw_only=True)
class ModbusResult:
    """All registers of one meter's map, or why it refused."""

    unit: int
    quantities: tuple[Quantity, ...] = ()
    refused: tuple[str, ...] = ()
    exchanges: tuple[Exchange, ...] = ()


class ModbusSession:
    """Conversation with one unit behind one Modbus TCP address."""

    def __init__(
        self,
        host: str,
        port: int,
        unit: int,
        registers: RegisterMap = SDM630,
        timeout_s: float = 3.0,
        tries: int = 3,
    ) -> None:
        if not 1 <= unit <= MAX_UNIT:
            raise BadInput("unit", f"{unit} is no Modbus unit", f"use 1 to {MAX_UNIT}")
        self.unit = unit
        self.registers = registers
        self.name = f"modbus:{host}:{port}/{unit}"
        self._sent: list[bytes] = []
        self._received: list[bytes] = []
        self._client = ModbusTcpClient(
            host,
            port=port,
            timeout=timeout_s,
            retries=max(0, tries - 1),
            trace_packet=self._trace,
        )

    def read(self) -> ModbusResult:
        """Every register of the map, in as few requests as the meter allows."""
        exchanges: list[Exchange] = []
        words: dict[tuple[int, int], int] = {}
        for wanted in plan_reads(self.registers):
            found, refused, exchange = self._read(wanted)
            exchanges.append(exchange)
            if refused:
                return ModbusResult(unit=self.unit, refused=refused, exchanges=tuple(exchanges))
            for place, word in enumerate(found, start=wanted.address):
                words[wanted.function, place] = word
        return ModbusResult(
            unit=self.unit,
            quantities=decode_registers(self.registers, words),
            exchanges=tuple(exchanges),
        )

    def close(self) -> None:
        """Close the connection."""
        self._client.close()  # type: ignore[no-untyped-call]

    def _read(self, wanted: RegisterRead) -> tuple[list[int], tuple[str, ...], Exchange]:
        self._sent.clear()
        self._received.clear()
        started = time.monotonic()
        try:
            if not self._client.connected and not self._client.connect():  # type: ignore[no-untyped-call]
                raise LineDown(f"{self.name}: no connection", self._exchange(started))
            is_input = wanted.function == READ_INPUT_REGISTERS
            client = self._client
            ask = client.read_input_registers if is_input else client.read_holding_registers
            reply = ask(wanted.address, count=wanted.count, device_id=self.unit)
        except ConnectionException as error:
            raise LineDown(f"{self.name}: {error}", self._exchange(started)) from None
        except ModbusException as error:
            exchange = self._exchange(started)
            if exchange.received_hex:
                raise BadReply(f"{self.name}: {error}", exchange) from None
            raise NoReply(f"{self.name}: no reply", exchange) from None
        exchange = self._exchange(started)
        if reply.isError():
            code = int(getattr(reply, "exception_code", 0))
            return [], (EXCEPTIONS.get(code, f"exception_{code}"),), exchange
        if len(reply.registers) != wanted.count:
            problem = f"{len(reply.registers)} words for the {wanted.count} asked"
            raise BadReply(f"{self.name}: {problem}", exchange)
        return list(reply.registers), (), exchange

    def _trace(self, sending: bool, packet: bytes) -> bytes:
        if sending:
            self._sent.append(bytes(packet))
        elif self._received and packet.startswith(self._received[-1]):
            self._received[-1] = bytes(packet)  # the same packet, grown
        else:
            self._received.append(bytes(packet))
        return packet

    def _exchange(self, started: float) -> Exchange:
        request = self._sent[-1] if self._sent else b""
        exchange = Exchange(
            sent_hex=request.hex(),
            attempts=len(self._sent),
            elapsed_ms=int((time.monotonic() - started) * 1000),
        )
        if not self._received:
            return exchange
        return replace(exchange, received_hex=tuple(packet.hex() for packet in self._received))

"""A meter with a map of its own, over real TCP: holding registers, read in few requests."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from services.ingest.events import ReadFailed, ReadingOrdered, RegistersRead
from services.ingest.lines import Lines
from services.ingest.protocols.modbus import RegisterMap
from services.ingest.protocols.modbus_map_file import parse_map
from services.ingest.protocols.modbus_tcp import ModbusSession
from services.ingest.reading import read_order

OURS = """schema: 1
protocol: modbus_ours
name: Ours
source: this test
function: 3
type: uint32
max_words: 10
registers:
  - {address: 4, obis: "1-0:1.8.0", name: import, unit: Wh, scale: 10, decimals: 0}
  - {address: 8, obis: "1-0:2.8.0", name: export, unit: Wh, scale: 10, decimals: 0, most: 1000}
  - {address: 300, function: 4, type: uint16, obis: "1-0:32.7.0", name: voltage, unit: V,
     scale: 0.1, decimals: 1}
"""
WORDS = {(3, 4): 1, (3, 5): 2, (3, 9): 101, (4, 300): 2301}


@contextmanager
def meter(asked: list[str]) -> Iterator[int]:
    """A unit that answers reads of both kinds from WORDS, zeros elsewhere."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                while packet := connection.recv(260):
                    asked.append(packet[7:].hex())
                    function, address, count = struct.unpack(">BHH", packet[7:12])
                    words = [WORDS.get((function, address + n), 0) for n in range(count)]
                    body = struct.pack(f">BBB{count}H", packet[6], function, 2 * count, *words)
                    connection.sendall(packet[:4] + struct.pack(">H", len(body)) + body)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        thread.join(5)


def ours() -> RegisterMap:
    return parse_map(OURS, "ours.yaml")


def test_holding_and_input_registers_in_two_requests() -> None:
    asked: list[str] = []
    with meter(asked) as port:
        session = ModbusSession("127.0.0.1", port, 1, ours(), timeout_s=2.0, tries=1)
        found = session.read()
        session.close()
    assert asked == ["0300040006", "04012c0001"]
    assert [(q.obis, q.value, q.scale, q.bad) for q in found.quantities] == [
        ("1-0:1.8.0", 655_380, 1, ""),
        ("1-0:2.8.0", None, 1, "implausible"),
        ("1-0:32.7.0", 2301, 10, ""),
    ]
    assert len(found.exchanges) == 2


def order(protocol: str, line: str) -> ReadingOrdered:
    return ReadingOrdered(
        order_id="O1",
        usage_point="P1",
        meter_no="M1",
        day_on="2026-01-31",
        kind="daily_freeze",
        retry_at="",
        attempt=1,
        protocol=protocol,
        line=line,
        address="1",
        registers=("1-0:1.8.0", "1-0:2.8.0"),
    )


def test_an_order_is_carried_out_with_the_map_of_its_protocol() -> None:
    with meter([]) as port:
        found = read_order(
            order("modbus_ours", f"tcp:127.0.0.1:{port}"),
            Lines(b"key"),
            "2026-01-31T16:05:00Z",
            maps={"modbus_ours": ours()},
        )
    assert isinstance(found, RegistersRead)
    assert (found.source, found.registers) == ("modbus_ours", {"1-0:1.8.0": 655_380})
    assert found.flaws == {"1-0:2.8.0": "implausible"}
    assert found.voltages == {"1-0:32.7.0": 2301}


@pytest.mark.parametrize("protocol", ["modbus_ours", "iec104"])
def test_without_a_map_nothing_is_asked(protocol: str) -> None:
    found = read_order(order(protocol, "tcp:127.0.0.1:1"), Lines(b"k"), "2026-01-31T16:05:00Z")
    assert isinstance(found, ReadFailed)
    assert (found.cause, found.frames) == ("refused", ())
    assert protocol in found.detail

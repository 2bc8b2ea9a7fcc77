"""Orders for meters of DL/T 698.45, DLMS/COSEM and Modbus RTU, carried out on real wires."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient
from pymodbus.datastore import (
    ModbusDeviceContext,
    ModbusSequentialDataBlock,
    ModbusServerContext,
)
from pymodbus.server import ModbusSerialServer

from services.ingest.events import ReadFailed, ReadingOrdered, RegistersRead
from services.ingest.line_file import LineBook
from services.ingest.lines import Lines
from services.ingest.protocols.dlt645.values import epoch_s
from services.ingest.protocols.modbus import (
    READ_INPUT_REGISTERS,
    SDM630,
    encode_float32,
    plan_reads,
)
from services.ingest.protocols.modbus_frames import crc16
from services.ingest.protocols.modbus_rtu import gap_s, rtu_request
from services.ingest.reading import read_order
from simulators.meters.bus import Clock
from simulators.meters.config import parse_config
from simulators.meters.dlms_server import DlmsServer
from simulators.meters.dlt698_server import Dlt698Meter, Dlt698Server
from simulators.meters.journal import Journal
from simulators.meters.modbus_server import ModbusRtuBus
from simulators.meters.server import make_meters

AT = "2026-01-31T16:05:00Z"
"""Five minutes after 24:00 of 2026-01-31 in China."""
QUICK = LineBook({"tcp:*": {"turnaround_s": 0.1, "tries": 1, "backoff_s": 0.0}})


def order(protocol: str, line: str, address: str, *registers: str) -> ReadingOrdered:
    return ReadingOrdered(
        order_id="O1",
        usage_point="P1",
        meter_no="M1",
        protocol=protocol,
        line=line,
        address=address,
        kind="daily_freeze",
        day_on="2026-01-31",
        attempt=1,
        registers=registers or ("1-0:1.8.0", "1-0:1.8.1"),
        retry_at=AT,
    )


def carried_out(asked: ReadingOrdered, at: str = AT) -> RegistersRead | ReadFailed:
    lines = Lines(b"key", QUICK)
    try:
        found = read_order(asked, lines, at)
    finally:
        lines.close()
    assert isinstance(found, RegistersRead | ReadFailed)
    return found


def failure(asked: ReadingOrdered, at: str = AT) -> ReadFailed:
    found = carried_out(asked, at)
    assert isinstance(found, ReadFailed)
    return found


# -- DL/T 698.45 ----------------------------------------------------------------------------------

METER = "000000000161"


def meter_698(**more: Any) -> Dlt698Meter:
    pytest.importorskip("dlt698")
    return Dlt698Meter(
        address=METER,
        freezes={"2026-02-01": {"00100200": [123456, 100000, 23456], "00200200": [7, 7, 0]}},
        **more,
    )


@pytest.mark.parametrize("logs_in", [True, False])
def test_the_day_freeze_of_a_698_meter(logs_in: bool) -> None:
    meter = meter_698()
    with Dlt698Server([meter], logs_in=logs_in) as server:
        line = f"tcp:127.0.0.1:{server.port}"
        codes = "1-0:1.8.0", "1-0:1.8.1", "1-0:1.8.3", "1-0:2.8.0", "1-0:5.8.0"
        found = carried_out(order("dlt698", line, METER, *codes))
        assert server.logged_in.is_set() is logs_in
    assert isinstance(found, RegistersRead)
    assert found.registers == {"1-0:1.8.0": 1_234_560, "1-0:1.8.1": 1_000_000, "1-0:2.8.0": 70}
    assert found.flaws == {"1-0:1.8.3": "no_value", "1-0:5.8.0": "no_value"}
    assert found.voltages == {"1-0:32.7.0": 2301, "1-0:52.7.0": 2302, "1-0:72.7.0": 2303}
    assert (found.source, found.kind, found.day_on) == ("dlt698", "daily_freeze", "2026-01-31")
    assert found.clock_offset_s == 0
    assert meter.asked == ["ConnectRequest", "GetRecordRequest", "GetRequest"]
    assert sum(frame.startswith(">68") for frame in found.frames) == 3


NEVER = ("0001-01-01T00:00:00", None)
"""A clock that was never set; no instant in China's zone is that early."""


def test_a_clock_that_is_ahead_and_a_clock_that_is_none() -> None:
    for civil, offset in (("2026-02-01T00:06:10", 70), ("2026-13-01T00:00:00", None), NEVER):
        with Dlt698Server([meter_698(civil=civil)]) as server:
            found = carried_out(order("dlt698", f"tcp:127.0.0.1:{server.port}", METER))
        assert isinstance(found, RegistersRead)
        assert found.clock_offset_s == offset


def test_a_line_counts_what_other_protocols_ask() -> None:
    lines = Lines(b"key", QUICK)
    with Dlt698Server([meter_698()]) as server:
        line = f"tcp:127.0.0.1:{server.port}"
        read_order(order("dlt698", line, METER), lines, AT)
        read_order(order("dlt698", line, "000000000162"), lines, AT)
        lines.close()
    counts = lines.counts()[line]
    assert (counts.asked, counts.answered, counts.retried, counts.broken) == (4, 3, 0, 0)
    assert counts.busy_s > 0
    assert counts.lost_s >= 0.1


def test_what_a_698_meter_does_not_hold() -> None:
    with Dlt698Server([meter_698()]) as server:
        line = f"tcp:127.0.0.1:{server.port}"
        older = failure(replace(order("dlt698", line, METER), day_on="2026-01-30"))
        assert (older.cause, older.detail) == ("not_held", "no day freeze of 2026-01-30")
        assert older.frames
        curve = failure(replace(order("dlt698", line, METER), kind="profile"))
        assert (curve.cause, curve.frames) == ("not_held", ())


def test_a_698_meter_that_refuses_is_silent_or_is_another() -> None:
    with Dlt698Server([meter_698(refuses_connect=True)]) as server:
        refused = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", METER))
    assert refused.cause == "bad_reply"
    assert "no association (result 255)" in refused.detail
    assert refused.frames
    with Dlt698Server([meter_698(silent=True)], logs_in=False) as server:
        silent = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", METER))
        assert silent.cause == "no_reply"
        assert [frame[0] for frame in silent.frames] == [">"]
        other = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", "000000000162"))
        assert other.cause == "no_reply"
        wrong = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", "12"))
        assert wrong.cause == "refused"
        assert "is no meter address" in wrong.detail
    down = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", METER))
    assert down.cause == "line_down"


class Doubling(Dlt698Server):
    """Gives every record twice."""

    def _frame(self, address: str, apdu: Any, client: int, control: int) -> bytes:
        if isinstance(apdu, self._native.GetRecordResponse):
            apdu = self._native.GetRecordResponse(
                piid_acd=apdu.piid_acd, list=True, records=[*apdu.records, *apdu.records]
            )
        return super()._frame(address, apdu, client, control)


def test_two_records_for_one_question_are_no_answer() -> None:
    with Doubling([meter_698()]) as server:
        found = failure(order("dlt698", f"tcp:127.0.0.1:{server.port}", METER))
    assert found.cause == "bad_reply"
    assert "2 records for one question" in found.detail


def test_the_packages_own_server_is_read_too() -> None:
    """Another implementation of the meter's side: it keeps no freezes, and says so."""
    dlt698 = pytest.importorskip("dlt698")
    native = dlt698._native
    address = native.ServerAddress(bytes=bytes.fromhex(METER)[::-1], type=native.AddressType.single)
    options = native.ServerOptions(protocol=native.SessionOptions(server=address))
    with dlt698.Server(options=options) as server:
        server.start_tcp("127.0.0.1", 0)
        found = failure(order("dlt698", f"tcp:127.0.0.1:{server.local_port}", METER))
    assert (found.cause, found.detail) == ("refused", "day freeze: DAR 4")


# -- DLMS/COSEM -----------------------------------------------------------------------------------

REGISTERS = {"1-0:1.8.0": (123_456, 1, 30), "1-0:1.8.1": (99, 3, 30)}


@pytest.mark.parametrize("block_bytes", [0, 4])
def test_the_registers_of_a_dlms_meter(block_bytes: int) -> None:
    pytest.importorskip("dlms_cosem")
    with DlmsServer(REGISTERS, block_bytes=block_bytes) as server:
        found = carried_out(order("dlms", f"tcp:127.0.0.1:{server.port}", "1"))
    assert isinstance(found, RegistersRead)
    assert found.registers == {"1-0:1.8.0": 1_234_560, "1-0:1.8.1": 99_000}
    assert (found.clock_offset_s, found.source) == (0, "dlms")
    assert server.asked[:2] == ["3 1-0:1.8.0 3", "3 1-0:1.8.0 2"]
    assert found.frames[0].startswith(">00010010000100")


@pytest.mark.parametrize(
    ("clock", "offset"),
    [
        ("07ea02010700060a00800000", 70),  # no deviation: China's zone counts
        ("07ea01311010050000000000", None),  # no such month
        ("07ea0201", None),
        ("00010101ff00000000800000", None),  # the first day of all: no instant before it
        ("270f0c1fff173b3b0002d000", None),
    ],
)
def test_the_clock_of_a_dlms_meter(clock: str, offset: int | None) -> None:
    pytest.importorskip("dlms_cosem")
    raw = bytes.fromhex(clock).ljust(12, b"\xff") if len(clock) < 24 else bytes.fromhex(clock)
    with DlmsServer(REGISTERS, clock=raw) as server:
        found = carried_out(order("dlms", f"tcp:127.0.0.1:{server.port}", "1"))
    assert isinstance(found, RegistersRead)
    assert found.clock_offset_s == offset


def test_a_dlms_meter_is_read_twice_over_the_same_line() -> None:
    pytest.importorskip("dlms_cosem")
    lines = Lines(b"key", QUICK)
    with DlmsServer(REGISTERS) as server:
        asked = order("dlms", f"tcp:127.0.0.1:{server.port}", "1")
        for _ in range(2):
            assert isinstance(read_order(asked, lines, AT), RegistersRead)
    lines.close()


def test_what_a_dlms_meter_does_not_give() -> None:
    pytest.importorskip("dlms_cosem")
    with DlmsServer(REGISTERS) as server:
        line = f"tcp:127.0.0.1:{server.port}"
        export = failure(order("dlms", line, "1", "1-0:2.8.0"))
        assert (export.cause, export.detail) == ("refused", "the meter gives none of 1-0:2.8.0")
        partly = carried_out(order("dlms", line, "1", "1-0:1.8.0", "1-0:2.8.0"))
        assert isinstance(partly, RegistersRead)
        assert partly.registers == {"1-0:1.8.0": 1_234_560}
        assert partly.flaws == {"1-0:2.8.0": "no_value"}
        late = failure(order("dlms", line, "1"), "2026-01-31T18:00:00Z")
        assert (late.cause, late.frames) == ("not_held", ())
        assert "120 min ago" in late.detail
        assert failure(replace(order("dlms", line, "1"), kind="profile")).cause == "not_held"
        assert failure(order("dlms", line, "0")).cause == "refused"
        assert failure(order("dlms", line, "2")).cause == "no_reply"
        serial = failure(order("dlms", "serial:/dev/null", "1"))
        assert (serial.cause, "tcp:HOST:PORT" in serial.detail) == ("refused", True)
    with DlmsServer(REGISTERS, rejects=True) as server:
        rejected = failure(order("dlms", f"tcp:127.0.0.1:{server.port}", "1"))
    assert "no association: rejected_permanent" in rejected.detail


@pytest.mark.parametrize(
    ("protocol", "module", "extra"),
    [("dlt698", "dlt698._native", "dlt698"), ("dlms", "dlms_cosem.connection", "dlms")],
)
def test_without_the_extra_an_order_says_what_to_install(
    protocol: str, module: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [module, *(name for name in sys.modules if name.startswith("dlms_cosem."))]:
        monkeypatch.setitem(sys.modules, name, None)
    found = failure(order(protocol, "tcp:127.0.0.1:9", "1" if protocol == "dlms" else METER))
    assert found.cause == "refused"
    assert f"pip install gridledger[{extra}]" in found.detail


# -- Modbus RTU -----------------------------------------------------------------------------------


@contextmanager
def terminal(bus: ModbusRtuBus) -> Iterator[str]:
    """A pseudo-terminal with units behind it."""
    with pseudo_terminal() as (master, path):
        reader = bus.reader()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(master, 4096):
                    for reply in bus.feed(reader, data):
                        os.write(master, reply.data)

        threading.Thread(target=serve, daemon=True).start()
        yield path


@contextmanager
def pseudo_terminal() -> Iterator[tuple[int, str]]:
    master, slave = os.openpty()
    tty.setraw(slave)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


def rtu_bus() -> ModbusRtuBus:
    config = parse_config(
        {
            "clock": {"mode": "simulated", "start_at": AT},
            "lines": [
                {
                    "name": "rtu",
                    "kind": "modbus_rtu",
                    "meters": [
                        {"unit": 7, "annual_kwh": 24_000, "base_at": "2025-12-31T16:00:00Z"}
                    ],
                }
            ],
        }
    )
    meters = make_meters(config, config.lines[0])
    return ModbusRtuBus("rtu", meters, Clock("simulated", epoch_s(AT)), Journal(""))


def test_a_modbus_meter_on_a_serial_line() -> None:
    bus = rtu_bus()
    with terminal(bus) as path:
        found = carried_out(order("modbus_sdm630", f"serial:{path}:9600", "7", "1-0:1.8.0"))
    assert isinstance(found, RegistersRead)
    energy = bus.meters[0].shown_wh(1, 0, epoch_s(AT))
    assert abs(found.registers["1-0:1.8.0"] - energy) <= 1
    assert found.source == "modbus_sdm630"
    assert found.frames[0] == ">" + rtu_request(7, plan_reads(SDM630)[0]).hex()


def test_the_silence_between_two_frames() -> None:
    # Modbus over serial line 1.02, 2.5.1.1: 3.5 characters, 1.75 ms above 19,200 baud
    assert gap_s(9600) == pytest.approx(0.0040104, abs=1e-6)
    assert gap_s(19_200) == pytest.approx(0.0020052, abs=1e-6)
    assert gap_s(38_400) == 0.00175


def test_rtu_failures_are_told() -> None:
    with terminal(rtu_bus()) as path:
        silent = failure(order("modbus_sdm630", f"serial:{path}:9600", "8", "1-0:1.8.0"))
        assert silent.cause == "no_reply"
        wrong = failure(order("modbus_sdm630", f"serial:{path}:9600", "248", "1-0:1.8.0"))
        assert "is no Modbus unit" in wrong.detail
        word = failure(order("modbus_sdm630", f"serial:{path}:9600", "x", "1-0:1.8.0"))
        assert "is no Modbus unit" in word.detail
    with terminal(rtu_bus()) as path:
        refused = failure(order("modbus_dtsd1352", f"serial:{path}:9600", "7", "1-0:1.8.0"))
    assert (refused.cause, refused.detail) == ("refused", "illegal_function")
    down = failure(order("modbus_sdm630", "serial:/dev/null:9600", "7", "1-0:1.8.0"))
    assert down.cause == "line_down"


class BrokenBus(ModbusRtuBus):
    """Answers with one bit changed, behind noise."""

    def feed(self, reader: bytearray, data: bytes) -> list[Any]:
        return [
            replace(reply, data=b"\x00\x07" + reply.data[:-1] + bytes((reply.data[-1] ^ 1,)))
            for reply in super().feed(reader, data)
        ]


def test_a_wrong_crc_is_no_answer() -> None:
    whole = rtu_bus()
    bus = BrokenBus("rtu", whole.meters, Clock("simulated", epoch_s(AT)), Journal(""))
    with terminal(bus) as path:
        found = failure(order("modbus_sdm630", f"serial:{path}:9600", "7", "1-0:1.8.0"))
    assert found.cause == "bad_reply"
    assert "checksum" in found.detail


def test_pymodbus_reads_the_simulated_meter() -> None:
    bus = rtu_bus()
    with terminal(bus) as path:
        client = ModbusSerialClient(path, baudrate=9600, timeout=2)
        try:
            assert client.connect()
            found = client.read_input_registers(72, count=2, device_id=7)
        finally:
            client.close()
    energy = bus.meters[0].shown_wh(1, 0, epoch_s(AT))
    assert tuple(found.registers) == encode_float32(energy, 1000)


def test_the_driver_reads_the_server_of_pymodbus() -> None:
    words = [0] * 400
    words[72:74] = encode_float32(54_321_500, 1000)
    block = ModbusSequentialDataBlock(1, words)
    context = ModbusServerContext(devices={7: ModbusDeviceContext(ir=block)}, single=False)
    with two_ends() as (ours, theirs):
        started, loop = threading.Event(), asyncio.new_event_loop()

        async def serve() -> None:
            server = ModbusSerialServer(context, port=theirs, baudrate=9600)
            await server.listen()
            started.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            await server.shutdown()

        task: list[asyncio.Task[None]] = []

        def run() -> None:
            asyncio.set_event_loop(loop)
            task.append(loop.create_task(serve()))
            loop.run_until_complete(task[0])

        thread = threading.Thread(target=run)
        thread.start()
        assert started.wait(5)
        found = carried_out(order("modbus_sdm630", f"serial:{ours}:9600", "7", "1-0:1.8.0"))
        loop.call_soon_threadsafe(task[0].cancel)
        thread.join(5)
        loop.close()
    assert isinstance(found, RegistersRead)
    assert found.registers == {"1-0:1.8.0": 54_321_500}


@contextmanager
def two_ends() -> Iterator[tuple[str, str]]:
    """Two pseudo-terminals joined like the two ends of a cable."""
    with pseudo_terminal() as (a, ours), pseudo_terminal() as (b, theirs):

        def carry(source: int, target: int) -> None:
            with contextlib.suppress(OSError):
                while data := os.read(source, 4096):
                    os.write(target, data)

        for source, target in ((a, b), (b, a)):
            threading.Thread(target=carry, args=(source, target), daemon=True).start()
        yield ours, theirs


def test_crc_of_the_published_request() -> None:
    assert rtu_request(1, plan_reads(SDM630)[0])[:2] == bytes((1, READ_INPUT_REGISTERS))
    assert crc16(bytes.fromhex("010300000001")).to_bytes(2, "little").hex() == "840a"

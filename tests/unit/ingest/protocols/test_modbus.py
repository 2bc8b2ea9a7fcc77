"""Modbus: exact numbers from float32, request planning, and the SDM630 over real TCP."""

from __future__ import annotations

import math
import socket
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.events.errors import BadInput
from libs.events.quantities import half_up_div
from services.ingest.protocols.dlt645.values import BadValue
from services.ingest.protocols.failures import BadReply, LineDown, NoReply
from services.ingest.protocols.modbus import (
    SDM630,
    Register,
    RegisterMap,
    RegisterRead,
    decode_float32,
    decode_registers,
    encode_float32,
    float32_step,
    plan_reads,
)
from services.ingest.protocols.modbus_tcp import ModbusSession
from simulators.meters.modbus_server import MBAP
from tests.unit.simulators.running import Running, document, meter, running_simulator


def words_of(number: float) -> tuple[int, int]:
    """The two words of the nearest float32, by the machine's own arithmetic."""
    high, low = struct.unpack(">HH", struct.pack(">f", number))
    return high, low


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=False, allow_infinity=False), st.sampled_from([1, 10, 1000]))
def test_every_float32_is_rounded_once_and_exactly(number: float, factor: int) -> None:
    exact = Fraction(number) * factor
    assert decode_float32(*words_of(number), factor) == half_up_div(
        exact.numerator, exact.denominator
    )


@pytest.mark.parametrize(
    ("number", "factor", "expected"),
    [
        (230.1, 1000, 230_100),
        (0.5, 1, 1),
        (-0.5, 1, -1),
        (0.4999, 1, 0),
        (12345.67, 1000, 12_345_670),
        (100_000.01, 1000, 100_000_008),  # the nearest float32 is 100000.0078125
        (0.0, 1000, 0),
        (-0.0, 1000, 0),
        (1e-42, 1000, 0),
    ],
)
def test_numbers_by_hand(number: float, factor: int, expected: int) -> None:
    assert decode_float32(*words_of(number), factor) == expected


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number(number: float) -> None:
    found = decode_float32(*words_of(number), 1000)
    assert isinstance(found, BadValue)
    assert found.reason == "no_number"


@settings(deadline=None)
@given(st.integers(-(10**12), 10**12), st.sampled_from([1, 10, 100, 1000]))
def test_encode_is_the_nearest_float32(numerator: int, denominator: int) -> None:
    words = encode_float32(numerator, denominator)
    (found,) = struct.unpack(">f", struct.pack(">HH", *words))
    exact = Fraction(numerator, denominator)
    (below,) = struct.unpack(
        ">f", struct.pack(">I", (words[0] << 16 | words[1]) - (1 if numerator else 0))
    )
    (above,) = struct.unpack(">f", struct.pack(">I", (words[0] << 16 | words[1]) + 1))
    error = abs(Fraction(found) - exact)
    assert error <= abs(Fraction(below) - exact)
    assert error <= abs(Fraction(above) - exact)


@settings(deadline=None)
@given(st.integers(1, 10**9))
def test_a_register_survives_as_long_as_its_steps_are_fine(wh: int) -> None:
    found = decode_float32(*encode_float32(wh, 1000), 1000)
    assert isinstance(found, int)
    assert abs(found - wh) <= (float32_step(wh, 1000) + 1) // 2
    if wh < 2**23:
        assert found == wh


def test_how_fine_a_float32_register_is() -> None:
    assert float32_step(16_000_000, 1000) == 1
    assert float32_step(100_000_000, 1000) == 8
    assert float32_step(20_000_000_000, 1000) == 2000  # 20 GWh: steps of 2 kWh
    assert float32_step(0, 1000) == 1


def test_the_fewest_requests() -> None:
    assert plan_reads(SDM630) == (RegisterRead(4, 0, 80),)
    far = RegisterMap(
        name="far",
        function=3,
        max_words=20,
        registers=(
            Register(342, "b", "b", "", 1, 1),
            Register(0, "a", "a", "", 1, 1),
            Register(18, "c", "c", "", 1, 1),
            Register(20, "d", "d", "", 1, 1),
        ),
    )
    assert plan_reads(far) == (
        RegisterRead(3, 0, 20),
        RegisterRead(3, 20, 2),
        RegisterRead(3, 342, 2),
    )


def test_the_published_addresses() -> None:
    by_code = {row.obis: (row.address + 30001, row.confirmed) for row in SDM630.registers}
    assert by_code["1-0:32.7.0"] == (30001, True)
    assert by_code["1-0:16.7.0"] == (30053, True)
    assert by_code["1-0:14.7.0"] == (30071, True)
    assert by_code["1-0:1.8.0"] == (30073, False)
    assert by_code["1-0:2.8.0"] == (30075, False)


def test_a_missing_word_is_no_reading() -> None:
    with pytest.raises(BadReply, match="register 0"):
        decode_registers(SDM630, {})


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("simulator")
    more = {"phases": 3, "annual_kwh": 60_000, "ratios": {"export": "0.05"}}
    meters = [{**meter("", **more), "unit": unit, "id": f"m{unit}"} for unit in (1, 2, 3)]
    lines = [{"name": "bus", "kind": "modbus_tcp", "meters": meters}]
    with running_simulator(folder, document(folder, lines)) as running:
        yield running


@pytest.fixture
def session(simulator: Running) -> Iterator[ModbusSession]:
    found = ModbusSession(*simulator.address_of("bus"), unit=1, timeout_s=1.0, tries=1)
    yield found
    found.close()


def test_a_meter_over_modbus_tcp(simulator: Running, session: ModbusSession) -> None:
    result = session.read()
    truth = simulator.remote.ask("state", meter="m1")["registers_wh"]
    found = {q.obis: q for q in result.quantities}
    assert len(found) == len(SDM630.registers)
    assert found["1-0:1.8.0"].value == truth["1-0:1.8.0"]
    assert found["1-0:2.8.0"].value == truth["1-0:2.8.0"] > 0
    assert found["1-0:3.8.0"].value == truth["1-0:5.8.0"] + truth["1-0:6.8.0"]
    assert found["1-0:14.7.0"].value == 5000
    assert 218_000 <= (found["1-0:32.7.0"].value or 0) <= 222_000
    assert (found["1-0:16.7.0"].value or 0) > 0
    (exchange,) = result.exchanges
    assert exchange.sent_hex.endswith("0006" + "01" + "0400000050")
    assert exchange.received_hex[0][12:18] == "0104a0"
    assert len(exchange.received_hex) == 1


def test_not_measured_is_no_zero(simulator: Running, session: ModbusSession) -> None:
    simulator.remote.ask("fault", meter="m1", kind="no_value", count=1)
    assert {(q.value, q.bad) for q in session.read().quantities} == {(None, "no_number")}
    assert session.read().quantities[0].bad == ""


@pytest.mark.parametrize(
    ("kind", "options", "error"),
    [
        ("silent", {}, NoReply),
        ("truncated", {"keep": 20}, BadReply),
        ("slow", {"seconds": 1.6}, NoReply),
        ("wrong_address", {}, BadReply),
    ],
)
def test_faults_on_modbus(
    simulator: Running, kind: str, options: dict[str, float], error: type[Exception]
) -> None:
    session = ModbusSession(*simulator.address_of("bus"), unit=2, timeout_s=0.4, tries=1)
    try:
        simulator.remote.ask("fault", meter="m2", kind=kind, count=1, **options)
        with pytest.raises(error) as caught:
            session.read()
        exchange = caught.value.exchange  # type: ignore[attr-defined]
        assert exchange.attempts == 1
        assert exchange.sent_hex
    finally:
        session.close()
        simulator.remote.ask("clear", meter="m2")


def test_a_refusal_is_a_result(simulator: Running) -> None:
    beyond = RegisterMap("beyond", 4, 80, (Register(500, "x", "x", "", 1, 1),))
    session = ModbusSession(
        *simulator.address_of("bus"), unit=3, registers=beyond, timeout_s=1.0, tries=1
    )
    try:
        result = session.read()
        assert (result.refused, result.quantities) == (("illegal_address",), ())
    finally:
        session.close()


@pytest.mark.parametrize(
    ("pdu", "answer"),
    [
        (b"\x03\x00\x00\x00\x02", b"\x83\x01"),
        (b"\x04\x00\x00\x00\x03", b"\x84\x03"),
        (b"\x04\x00\x00\x00\x52", b"\x84\x03"),
        (b"\x04\x00\x01\x00\x02", b"\x84\x02"),
        (b"\x04\x00", b"\x84\x03"),
    ],
)
def test_the_simulated_meter_refuses_as_the_protocol_says(
    simulator: Running, pdu: bytes, answer: bytes
) -> None:
    with socket.create_connection(simulator.address_of("bus"), 5) as connection:
        connection.sendall(MBAP.pack(7, 0, len(pdu) + 1, 3) + pdu)
        assert connection.recv(260) == MBAP.pack(7, 0, len(answer) + 1, 3) + answer


def test_no_connection_and_no_unit() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    session = ModbusSession("127.0.0.1", port, unit=1, timeout_s=0.3, tries=1)
    with pytest.raises(LineDown) as caught:
        session.read()
    assert not caught.value.sent
    session.close()
    with pytest.raises(BadInput, match="1 to 247"):
        ModbusSession("127.0.0.1", port, unit=0)

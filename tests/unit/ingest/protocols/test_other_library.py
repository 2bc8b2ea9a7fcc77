"""DL/T 645-2007 against PyPI `dlt645` 3.2.0, both ways over TCP: it never runs outside the tests.

Its server is read by our driver and session, its client reads our simulator. What the package does
not have, or does otherwise than the vectors and domain.md say, so that it is not compared here:

- blocks: 0001FF00 answers with a single value, so no block is asked for;
- 13H: the address in the reply is right, its client shows it in wire order (reversed);
- no follow-up frames (12H), no relay control (its server answers DCH 01H), no freezes (05..), no
  load profile (06..), no 1DH; status words are four digits, not bits;
- addresses and passwords travel as they are given: its users give them low byte first;
- 16H carries MM DD hh mm in that order; ours is low byte first like every other time (both
  UNCONFIRMED); 19H and 1AH carry a DI before the password and no operator code;
- values are binary floats: they are compared by the decimal digits that the format has;
- a demand's time: its server sends it low byte first, as ours, but its client reads YY first and
  fails, so its client is not asked for a demand;
- the year zones and day tables are written into a reply two bytes an entry instead of three.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt645
import pytest

from services.ingest.protocols.dlt645.explaining import value_text
from services.ingest.protocols.drivers import Line
from services.ingest.protocols.ports import TcpPort
from services.ingest.protocols.session import MeterSession
from tests.unit.simulators.running import FAST, Running, document, meter, running_simulator

pytestmark = pytest.mark.wide

ADDRESS = "151230011061"
LOW_FIRST = "611001301215"
ENERGIES = {0x00010000: "1234.56", 0x00010200: "0.01", 0x00020000: "799999.99", 0x00050001: "7.00"}
VARIABLES = {
    0x02010100: "231.9",
    0x02020100: "4.999",
    0x02030000: "12.3456",
    0x02040000: "0.4331",
    0x02060000: "0.501",
    0x02800002: "50.03",
}


def free_port() -> int:
    """A port of loopback that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="module")
def session() -> Iterator[MeterSession]:
    """Our session with the package's server."""
    port = free_port()
    server = dlt645.MeterServerService.new_tcp_server("127.0.0.1", port)
    server.set_address(LOW_FIRST)
    for di, value in ENERGIES.items():
        assert server.set_00(di, float(value))
    for di, value in VARIABLES.items():
        assert server.set_02(di, float(value))
    occurred = datetime.fromisoformat("2026-01-31T18:15")
    assert server.set_01(0x01010000, dlt645.Demand(12.3456, occurred))
    assert server.start()
    line = Line(TcpPort("127.0.0.1", port), FAST)
    try:
        yield MeterSession(line, ADDRESS)
    finally:
        line.close()
        server.stop()


def read_text(session: MeterSession, di: int) -> str:
    """One value of the package's server in the unit of the standard (k for energy and power)."""
    (quantity,) = session.read(f"{di:08X}").quantities
    text = value_text(quantity)
    kilo = quantity.unit in ("Wh", "varh", "W", "var")
    return str(Decimal(text) / 1000) if kilo else text


@pytest.mark.parametrize(("di", "value"), (ENERGIES | VARIABLES).items())
def test_our_driver_reads_its_server(session: MeterSession, di: int, value: str) -> None:
    assert Decimal(read_text(session, di)) == Decimal(value)


def test_our_driver_reads_a_demand_with_its_time(session: MeterSession) -> None:
    (demand,) = session.read("01010000").quantities
    assert (demand.value, demand.scale, demand.at) == (123_456, 10, "2026-01-31T10:15:00Z")


def test_what_its_server_does_not_have_it_refuses(session: MeterSession) -> None:
    result = session.read("05060101")
    assert result.refused == ("other",)


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("simulator")
    own = [{"name": "area", "kind": "tcp", "meters": [meter(ADDRESS, phases=3)]}]
    with running_simulator(folder, document(folder, own)) as running:
        yield running


@pytest.fixture(scope="module")
def client(simulator: Running) -> Iterator[Any]:
    """The package's client on our simulator."""
    logging.disable(logging.CRITICAL)
    host, port = simulator.address_of("area")
    found = dlt645.MeterClientService.new_tcp_client(host, port, 5.0)
    assert found.set_address(LOW_FIRST)
    yield found
    found.disconnect()
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize(
    "di", ["00010000", "00010200", "00020000", "00010001", "02010100", "02020300", "02030000"]
)
def test_its_client_reads_our_simulator(simulator: Running, client: Any, di: str) -> None:
    line = simulator.line("area")
    try:
        (ours,) = MeterSession(line, ADDRESS).read(di).quantities
    finally:
        line.close()
    ask = client.read_00 if di.startswith("00") else client.read_02
    theirs = ask(int(di, 16))
    assert ours.value is not None
    kilo = 1000 if ours.unit in ("Wh", "varh", "W", "var") else 1
    expected = Decimal(ours.value) / ours.scale / kilo
    assert Decimal(str(theirs.value)) == expected
    assert ours.value > 0 or di == "00020000"

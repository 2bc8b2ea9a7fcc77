"""The line driver against simulated meters: real TCP, a real pseudo-terminal, every line fault."""

from __future__ import annotations

import hashlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.address import MeterAddress
from services.ingest.protocols.dlt645.frame import BROADCAST, Frame, encode_frame
from services.ingest.protocols.dlt645.replies import ack_reply, data_reply, is_reply
from services.ingest.protocols.dlt645.requests import (
    Credentials,
    RelayOrder,
    freeze_request,
    read_address_request,
    read_request,
    relay_request,
    time_sync_request,
)
from services.ingest.protocols.drivers import Exchanged, Line, LineSettings
from services.ingest.protocols.failures import BadReply, LineDown, NoReply
from services.ingest.protocols.ports import SerialPort, TcpPort
from tests.unit.simulators.running import (
    FAST,
    IMPATIENT,
    Running,
    document,
    meter,
    running_simulator,
)

TCP_METERS = [f"{n:012d}" for n in range(1, 21)]
PTY_METER = "000000000901"
LONELY = "000000000777"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("simulator")
    lines = [
        {"name": "area", "kind": "tcp", "meters": [meter(address) for address in TCP_METERS]},
        {"name": "shop", "kind": "pty", "meters": [meter(PTY_METER)]},
        {"name": "lonely", "kind": "tcp", "meters": [meter(LONELY)]},
    ]
    with running_simulator(folder, document(folder, lines)) as running:
        yield running


@pytest.fixture
def line(simulator: Running) -> Iterator[Line]:
    found = simulator.line("area")
    yield found
    found.close()


@pytest.fixture
def impatient(simulator: Running) -> Iterator[Line]:
    found = simulator.line("area", IMPATIENT)
    yield found
    found.close()


def ask(line: Line, address: str, tries: int | None = None) -> Exchanged:
    """Read total import energy."""
    request = read_request(address, "00010000")
    return line.exchange(request, lambda frame: is_reply(request, frame), tries=tries)


def value_hex(exchanged: Exchanged) -> str:
    """The four bytes of the register."""
    return exchanged.frame.data[4:].hex()


def truth_hex(simulator: Running, address: str) -> str:
    """What the simulator says the register is, as it must come."""
    wh = simulator.remote.ask("state", meter=address)["registers_wh"]["1-0:1.8.0"]
    return bytes.fromhex(f"{wh // 10:08d}")[::-1].hex()


def test_a_read_over_tcp(simulator: Running, line: Line) -> None:
    found = ask(line, TCP_METERS[0])
    assert value_hex(found) == truth_hex(simulator, TCP_METERS[0])
    evidence = found.exchange
    assert evidence.attempts == 1
    assert evidence.sent_hex.startswith("fefefefe6801000000000068110433333433")
    assert evidence.received_hex == (found.frame.raw.hex(),)
    assert evidence.skipped == {}


def test_a_read_over_a_pseudo_terminal(simulator: Running) -> None:
    line = simulator.line("shop")
    try:
        assert value_hex(ask(line, PTY_METER)) == truth_hex(simulator, PTY_METER)
        assert value_hex(ask(line, PTY_METER)) == truth_hex(simulator, PTY_METER)
    finally:
        line.close()


def test_faults_over_a_pseudo_terminal(simulator: Running) -> None:
    line = simulator.line("shop")
    try:
        simulator.remote.ask("fault", meter=PTY_METER, kind="wrong_checksum", count=1)
        simulator.remote.ask("fault", meter=PTY_METER, kind="echo", count=2)
        found = ask(line, PTY_METER)
        assert found.exchange.attempts == 2
        assert found.exchange.skipped == {"echo": 2, "checksum": 1}
        assert value_hex(found) == truth_hex(simulator, PTY_METER)
    finally:
        line.close()


def test_the_pseudo_terminal_is_ours_alone(simulator: Running) -> None:
    one, other = simulator.line("shop"), simulator.line("shop")
    try:
        ask(one, PTY_METER)
        with pytest.raises(LineDown, match="cannot be opened") as caught:
            ask(other, PTY_METER, tries=1)
        assert not caught.value.sent
        one.close()
        ask(other, PTY_METER)
    finally:
        one.close()
        other.close()


def test_silent(simulator: Running, impatient: Line) -> None:
    address = TCP_METERS[1]
    simulator.remote.ask("fault", meter=address, kind="silent", count=1)
    with pytest.raises(NoReply) as caught:
        ask(impatient, address)
    exchange = caught.value.exchange
    assert exchange is not None
    assert caught.value.sent
    assert (exchange.attempts, exchange.received_hex) == (1, ())
    assert value_hex(ask(impatient, address)) == truth_hex(simulator, address)


def test_silence_is_tried_again(simulator: Running) -> None:
    address = TCP_METERS[2]
    simulator.remote.ask("fault", meter=address, kind="silent", count=2)
    line = simulator.line("area", LineSettings(baud=115_200, turnaround_s=0.25, backoff_s=0.05))
    try:
        started = time.monotonic()
        found = ask(line, address)
        assert found.exchange.attempts == 3
        assert time.monotonic() - started > 0.25 + 0.05 + 0.25 + 0.10
    finally:
        line.close()


def test_a_meter_that_is_not_there(impatient: Line) -> None:
    with pytest.raises(NoReply, match="no reply of 000000000555"):
        ask(impatient, "000000000555")


def test_slow_replies_are_dropped_when_they_come_late(simulator: Running, impatient: Line) -> None:
    address, other = TCP_METERS[3], TCP_METERS[4]
    simulator.remote.ask("fault", meter=address, kind="slow", count=1, seconds=0.6)
    with pytest.raises(NoReply):
        ask(impatient, address)
    time.sleep(0.6)
    found = ask(impatient, other)
    assert found.frame.address == other
    assert found.exchange.skipped == {"late": 1}


def test_a_slow_meter_is_waited_for_when_told_so(simulator: Running, impatient: Line) -> None:
    address = TCP_METERS[3]
    simulator.remote.ask("fault", meter=address, kind="slow", count=1, seconds=0.5)
    request = read_request(address, "00010000")
    found = impatient.exchange(request, lambda frame: is_reply(request, frame), timeout_s=3.0)
    assert found.exchange.elapsed_ms >= 500


def test_wrong_checksum_is_never_a_value(simulator: Running, impatient: Line) -> None:
    address = TCP_METERS[5]
    simulator.remote.ask("fault", meter=address, kind="wrong_checksum", count=1)
    with pytest.raises(BadReply, match="1 x checksum") as caught:
        ask(impatient, address)
    assert caught.value.exchange is not None
    assert caught.value.exchange.received_hex == ()
    assert len(caught.value.exchange.noise_hex) == 1


def test_wrong_checksum_is_asked_again(simulator: Running, line: Line) -> None:
    address = TCP_METERS[5]
    simulator.remote.ask("fault", meter=address, kind="wrong_checksum", count=1)
    found = ask(line, address)
    assert found.exchange.attempts == 2
    assert value_hex(found) == truth_hex(simulator, address)


@pytest.mark.parametrize("keep", [5, 13, 18, 23])
def test_truncated(simulator: Running, impatient: Line, keep: int) -> None:
    address = TCP_METERS[6]
    simulator.remote.ask("fault", meter=address, kind="truncated", count=1, keep=keep)
    with pytest.raises(BadReply, match="incomplete"):
        ask(impatient, address)
    assert value_hex(ask(impatient, address)) == truth_hex(simulator, address)


def test_echo_is_not_a_reply(simulator: Running, line: Line) -> None:
    address = TCP_METERS[7]
    simulator.remote.ask("fault", meter=address, kind="echo", count=1)
    found = ask(line, address)
    assert found.exchange.skipped == {"echo": 1}
    assert value_hex(found) == truth_hex(simulator, address)
    assert len(found.exchange.received_hex) == 2


def test_another_meters_frame_is_not_a_reply(simulator: Running, impatient: Line) -> None:
    address = TCP_METERS[8]
    simulator.remote.ask("fault", meter=address, kind="wrong_address", count=1)
    with pytest.raises(BadReply, match="1 x other_address"):
        ask(impatient, address)


def test_a_second_copy_is_counted_and_taken_once(simulator: Running, line: Line) -> None:
    address = TCP_METERS[9]
    simulator.remote.ask("fault", meter=address, kind="duplicate", count=1)
    first = ask(line, address)
    time.sleep(0.1)
    second = ask(line, address)
    assert value_hex(first) == value_hex(second) == truth_hex(simulator, address)
    extra = [first.exchange.skipped.get("duplicate", 0), second.exchange.skipped.get("late", 0)]
    assert sum(extra) == 1


def test_a_wildcard_read_finds_the_only_meter(simulator: Running) -> None:
    line = simulator.line("lonely")
    try:
        request = read_address_request()
        found = line.exchange(request, lambda frame: is_reply(request, frame))
        assert found.frame.address == LONELY
    finally:
        line.close()


def test_broadcasts_are_sent_and_not_answered(simulator: Running, line: Line) -> None:
    address = TCP_METERS[10]
    before = simulator.remote.ask("state", meter=address)
    sync = time_sync_request(BROADCAST, "2026-01-15T02:00:30Z", 480)
    assert line.send(sync).attempts == 1
    line.send(freeze_request(BROADCAST, "99", "99", "99", "99"))
    ask(line, address)
    after = simulator.remote.ask("state", meter=address)
    assert (before["drift_s"], after["drift_s"]) == (0, 30)


def test_threads_share_a_line_one_exchange_at_a_time(simulator: Running, line: Line) -> None:
    found: dict[str, str] = {}

    def read(address: str) -> None:
        for _ in range(5):
            exchanged = ask(line, address)
            assert exchanged.exchange.skipped == {}
            found[address] = exchanged.frame.address

    threads = [threading.Thread(target=read, args=(address,)) for address in TCP_METERS[11:15]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {address: address for address in TCP_METERS[11:15]}


def test_no_line_at_all() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = Line(TcpPort("127.0.0.1", port, connect_timeout_s=0.5), IMPATIENT)
    with pytest.raises(LineDown, match="no connection") as caught:
        ask(line, TCP_METERS[0])
    assert not caught.value.sent
    nowhere = Line(SerialPort("/dev/no-such-tty"), IMPATIENT)
    with pytest.raises(LineDown, match="cannot be opened") as caught:
        ask(nowhere, TCP_METERS[0])
    assert not caught.value.sent


def test_a_closed_port_does_nothing() -> None:
    for port in (TcpPort("127.0.0.1", 1), SerialPort("/dev/no-such-tty")):
        port.close()
        with pytest.raises(LineDown, match="not"):
            port.write(b"x")
        with pytest.raises(LineDown, match="not"):
            port.read(0)


class Terminal(threading.Thread):
    """A terminal that answers each connection as its script says, then closes it."""

    def __init__(self, scripts: list[list[bytes]]) -> None:
        super().__init__(daemon=True)
        self.scripts = scripts
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.server.getsockname()[1]

    def run(self) -> None:
        for script in self.scripts:
            connection, _ = self.server.accept()
            with connection:
                for reply in script:
                    connection.recv(4096)
                    connection.sendall(reply)
        self.server.close()


def reply_frame(address: str) -> bytes:
    """A good reply to `ask`."""
    return encode_frame(data_reply(address, "00010000", bytes.fromhex("26000000")))


def test_a_connection_that_the_terminal_closed_while_idle_is_opened_again() -> None:
    address = TCP_METERS[0]
    terminal = Terminal([[reply_frame(address)], [reply_frame(address)]])
    terminal.start()
    line = Line(TcpPort("127.0.0.1", terminal.port), IMPATIENT)
    try:
        ask(line, address)
        time.sleep(0.1)
        found = ask(line, address, tries=1)  # even a command is not lost to an idle close
        assert found.exchange.attempts == 1
    finally:
        line.close()
        terminal.join(5)


def test_a_connection_that_breaks_after_sending_has_an_unknown_outcome() -> None:
    terminal = Terminal([[b""]])
    terminal.start()
    line = Line(TcpPort("127.0.0.1", terminal.port), IMPATIENT)
    with pytest.raises(LineDown, match="closed by the other side") as caught:
        ask(line, TCP_METERS[0])
    assert caught.value.sent
    terminal.join(5)


def test_a_reply_in_many_small_pieces_is_put_together() -> None:
    address = TCP_METERS[0]
    frame = reply_frame(address)

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.recv(4096)
            for byte in frame:
                connection.sendall(bytes((byte,)))
                time.sleep(0.005)
            connection.recv(1)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        line = Line(TcpPort(*server.getsockname()[:2]), IMPATIENT)
        found = ask(line, address)
        assert found.exchange.received_hex == (frame.hex(),)
        assert found.exchange.noise_hex == ()
        line.close()
        thread.join(5)


def test_endless_noise_ends_with_the_time_allowed() -> None:
    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(4096)
            try:
                while True:
                    connection.sendall(b"\x68\x55")
                    time.sleep(0.01)
            except OSError:
                return

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        line = Line(TcpPort(*server.getsockname()[:2]), IMPATIENT)
        request = read_request(TCP_METERS[0], "00010000")
        started = time.monotonic()
        with pytest.raises(BadReply, match="noise"):
            line.exchange(request, lambda frame: is_reply(request, frame), timeout_s=0.5)
        assert time.monotonic() - started < 5
        line.close()
        thread.join(5)


def test_time_outs_follow_the_baud_rate() -> None:
    slow = LineSettings(baud=2400, turnaround_s=0.5, latency_s=0.25)
    assert slow.transmit_s(24) == pytest.approx(0.11)
    byte_s = 11 / 2400
    assert slow.first_byte_s(24) == pytest.approx(0.11 + byte_s + 0.5 + 0.5)
    assert slow.quiet_s() == pytest.approx(0.5 + byte_s + 0.25)
    assert slow.reply_s(24, 216) == pytest.approx(1.11 + 218 * byte_s + 0.5 + 0.25)
    with pytest.raises(BadInput, match="use 1 or more"):
        LineSettings(baud=0)
    assert "digest_key" not in repr(LineSettings(digest_key=b"secret"))
    assert FAST.tries == 2


def test_frames_of_another_master_are_counted(simulator: Running) -> None:
    address = TCP_METERS[0]
    strange = encode_frame(Frame("000000000099", 0x11, b"\x00\x00\x01\x00"))
    terminal = Terminal([[strange + reply_frame(TCP_METERS[1]) + reply_frame(address)]])
    terminal.start()
    line = Line(TcpPort("127.0.0.1", terminal.port), IMPATIENT)
    found = ask(line, address)
    assert found.exchange.skipped == {"other_master": 1, "other_address": 1}
    line.close()
    terminal.join(5)


def test_a_second_copy_in_the_same_breath_and_an_answer_to_something_else() -> None:
    address = TCP_METERS[0]
    other = encode_frame(data_reply(address, "00020000", bytes.fromhex("26000000")))
    terminal = Terminal([[other + reply_frame(address) + reply_frame(address)]])
    terminal.start()
    line = Line(TcpPort("127.0.0.1", terminal.port), IMPATIENT)
    found = ask(line, address)
    assert found.exchange.skipped == {"unexpected": 1, "duplicate": 1}
    assert value_hex(found) == "26000000"
    line.close()
    terminal.join(5)


class Chatter:
    """A port on which something always comes: noise, and nothing else."""

    name = "chatter"

    def __init__(self, breaks: bool = False) -> None:
        self.breaks = breaks

    def open(self) -> None:
        pass

    def write(self, data: bytes) -> None:
        if self.breaks:
            raise LineDown("chatter: broke")

    def read(self, timeout_s: float) -> bytes:
        return b"\x55" * 100

    def close(self) -> None:
        pass


def test_a_line_that_never_falls_silent_does_not_stop_us() -> None:
    line = Line(Chatter(), IMPATIENT)
    request = read_request(TCP_METERS[0], "00010000")
    with pytest.raises(BadReply, match="noise"):
        line.exchange(request, lambda frame: is_reply(request, frame), timeout_s=0.05)
    sync = time_sync_request(BROADCAST, "2026-01-15T02:00:30Z", 480)
    assert line.send(sync).skipped["noise"] >= 1
    with pytest.raises(LineDown) as caught:
        Line(Chatter(breaks=True), IMPATIENT).send(sync)
    assert caught.value.sent


def test_the_noise_around_a_password_is_hidden_now_and_in_the_next_exchange() -> None:
    address = TCP_METERS[0]
    order = RelayOrder(
        address=MeterAddress(address), command="trip", valid_until_at="2026-01-15T02:05:00Z"
    )
    request = relay_request(order, Credentials(password="918273"), 480)
    sent = encode_frame(request)
    disturbed = sent[:-2] + bytes((sent[-2] ^ 1, sent[-1]))  # an echo with a wrong checksum
    acked = encode_frame(ack_reply(request, address))
    terminal = Terminal([[disturbed + acked + disturbed, reply_frame(address), b"\x55" * 3, b""]])
    terminal.start()
    line = Line(TcpPort("127.0.0.1", terminal.port), IMPATIENT)
    try:
        on_the_wire = bytes((n + 0x33) % 256 for n in bytes.fromhex("918273")[::-1]).hex()
        told = line.exchange(request, lambda frame: is_reply(request, frame), tries=1)
        assert told.exchange.skipped["checksum"] >= 1
        assert on_the_wire not in repr(told.exchange)
        digest = hashlib.sha256(disturbed).hexdigest()
        assert told.exchange.noise_hex[0] == "xx" * len(disturbed) + f"#{digest}"
        on_wire = encode_frame(request, IMPATIENT.lead_bytes)
        assert told.exchange.sent_hex.endswith(f"#{hashlib.sha256(on_wire).hexdigest()}")
        after = ask(line, address)
        assert on_the_wire not in repr(after.exchange)
        with pytest.raises(BadReply) as caught:
            ask(line, address)
        assert caught.value.exchange is not None
        assert caught.value.exchange.noise_hex == ("555555",)
    finally:
        line.close()
        terminal.join(5)

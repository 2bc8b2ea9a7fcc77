"""The simulator as a process: control port, time, meter exchange, journal, start and stop."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from libs.events.errors import BadInput
from services.ingest.protocols.dlt645.frame import FrameReader, encode_frame
from services.ingest.protocols.dlt645.requests import read_request
from services.ingest.protocols.failures import NoReply
from services.ingest.protocols.session import MeterSession
from simulators.meters.__main__ import main
from simulators.meters.bus import Clock
from tests.unit.simulators.running import (
    IMPATIENT,
    START_AT,
    Running,
    document,
    meter,
    running_simulator,
)

PLAIN = "000000000201"
POINT = "000000000202"
OLD, NEW = "old-meter", "new-meter"
EXCHANGED_AT = "2026-01-20T02:00:00Z"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("simulator")
    meters = [
        meter(PLAIN),
        meter(POINT, id=OLD, removed_at=EXCHANGED_AT),
        {**meter(POINT, id=NEW, installed_at=EXCHANGED_AT, initial_wh={}), "base_at": EXCHANGED_AT},
    ]
    lines = [
        {"name": "area", "kind": "tcp", "meters": meters},
        {"name": "other", "kind": "tcp", "meters": [meter("000000000301")]},
    ]
    with running_simulator(folder, document(folder, lines)) as running:
        yield running


def total(simulator: Running, address: str) -> int | None:
    """Total import, read over the wire."""
    line = simulator.line("area")
    try:
        return MeterSession(line, address).read("00010000").quantities[0].value
    finally:
        line.close()


def test_the_ready_file_tells_where_everything_is(simulator: Running) -> None:
    assert simulator.ready["pid"] == simulator.child.pid
    assert [row["name"] for row in simulator.ready["lines"]] == ["area", "other"]
    assert simulator.ready["lines"][0]["meters"] == [PLAIN, OLD, NEW]
    ports = {row["port"] for row in simulator.ready["lines"]}
    assert len(ports | {simulator.ready["control"]["port"]}) == 3


def test_registers_follow_simulated_time_and_a_meter_is_exchanged(simulator: Running) -> None:
    ask = simulator.remote.ask
    assert ask("time") == {"at": START_AT}
    before = total(simulator, POINT)
    assert before is not None
    assert before > 12_345_670
    ask("time", at="2026-01-20T01:59:59Z")
    last = total(simulator, POINT)
    assert last is not None
    assert last > before
    assert ask("state", meter=NEW)["installed"] is False
    ask("time", at=EXCHANGED_AT)
    assert total(simulator, POINT) == 0
    assert ask("state", meter=OLD)["installed"] is False
    final = ask("state", meter=OLD, at=EXCHANGED_AT)["registers_wh"]["1-0:1.8.0"]
    assert 0 <= final - last < 20
    ask("time", at="2026-01-25T00:00:00Z")
    assert (total(simulator, POINT) or 0) > 1_000
    with pytest.raises(BadInput, match="time only moves on"):
        ask("time", at=START_AT)


def test_a_register_rolls_over(simulator: Running) -> None:
    ask = simulator.remote.ask
    ask("fault", meter=PLAIN, kind="rollover", margin_wh=500)
    assert total(simulator, PLAIN) == 10**6 * 1000 - 500
    ask("time", at="2026-01-26T00:00:00Z")
    rolled = total(simulator, PLAIN)
    assert rolled is not None
    assert 1_000 < rolled < 20_000  # a day of 2,400 kWh a year, less 0.5 kWh


@pytest.mark.parametrize(
    ("request_fields", "problem"),
    [
        ({"op": "dance"}, "use one of time"),
        ({"op": "state", "meter": "nobody"}, "'nobody' is not here"),
        ({"op": "state", "meter": PLAIN, "at": "soon"}, "is no instant"),
        ({"op": "fault", "meter": PLAIN, "kind": "fire"}, "use one of silent"),
        ({"op": "fault", "meter": PLAIN, "kind": "silent", "count": 0}, "give 1 or more"),
        ({"op": "fault", "meter": PLAIN, "kind": "silent", "seconds": 3}, "it takes no options"),
        ({"op": "fault", "meter": PLAIN, "kind": "slow", "seconds": "3"}, "give a number"),
        ({"op": "fault", "meter": PLAIN, "kind": "missing_freeze", "day_on": 3}, "give a date"),
        ({"op": "time", "at": "2026-13-01T00:00:00Z"}, "is no instant"),
    ],
)
def test_a_wrong_request_says_what_is_right(
    simulator: Running, request_fields: dict[str, object], problem: str
) -> None:
    op = str(request_fields.pop("op"))
    with pytest.raises(BadInput, match=problem):
        simulator.remote.ask(op, **request_fields)
    assert simulator.remote.ask("meters")["meters"] == sorted([PLAIN, OLD, NEW, "000000000301"])


def test_what_is_no_request_is_answered_too(simulator: Running) -> None:
    control = simulator.ready["control"]
    with socket.create_connection((control["host"], control["port"]), 5) as connection:
        lines = connection.makefile("rb")
        for sent in (b"nonsense\n", b"[]\n", b"\n" + b'{"op":"time"}\n'):
            connection.sendall(sent)
        answers = [json.loads(lines.readline()) for _ in range(3)]
        assert [row["ok"] for row in answers] == [False, False, True]
        lines.close()


def test_faults_are_counted_down_and_cleared(simulator: Running) -> None:
    ask = simulator.remote.ask
    ask("fault", meter=PLAIN, kind="spike", count=2, wh=1_000_000)
    ask("fault", meter=PLAIN, kind="echo")
    base = ask("state", meter=PLAIN)["registers_wh"]["1-0:1.8.0"] // 10 * 10
    assert [total(simulator, PLAIN) for _ in range(3)] == [base + 1_000_000, base + 1_000_000, base]
    assert ask("state", meter=PLAIN)["faults"] == ["echo"]
    assert ask("clear", meter=PLAIN, kind="echo") == {"faults": []}
    ask("fault", meter=PLAIN, kind="silent")
    line = simulator.line("area", IMPATIENT)
    try:
        with pytest.raises(NoReply):
            MeterSession(line, PLAIN).read("00010000")
    finally:
        line.close()
    assert ask("clear", meter=PLAIN) == {"faults": []}
    assert total(simulator, PLAIN) == base


def test_the_journal_has_every_frame_with_its_fault(simulator: Running) -> None:
    simulator.remote.ask("fault", meter=PLAIN, kind="duplicate", count=1)
    total(simulator, PLAIN)
    entry = [row for row in simulator.journal() if row["meter"] == PLAIN][-1]
    assert entry["received"] == encode_frame(read_request(PLAIN, "00010000")).hex()
    assert len(entry["sent"]) == 2
    assert entry["sent"][0] == entry["sent"][1]
    assert (entry["faults"], entry["relay"], entry["line"]) == (["duplicate"], "closed", "area")
    assert entry["at"] == simulator.remote.ask("time")["at"]


def test_meters_of_another_line_do_not_hear(simulator: Running) -> None:
    line = simulator.line("area", IMPATIENT)
    try:
        with pytest.raises(NoReply):
            MeterSession(line, "000000000301").read("00010000")
    finally:
        line.close()


def test_it_answers_at_least_two_thousand_simple_reads_a_second(simulator: Running) -> None:
    """Counted in the simulator's own CPU time, because the box is shared."""
    count = 3_000
    request = encode_frame(read_request("000000000301", "00010000"))
    before_s = cpu_s(simulator.child.pid)
    reader, answered = FrameReader(), 0
    with socket.create_connection(simulator.address_of("other"), 10) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(count):
            connection.sendall(request)
            answered += len(reader.feed(connection.recv(4096)))
    spent_s = cpu_s(simulator.child.pid) - before_s
    assert answered == count
    assert count / spent_s >= 2_000


def cpu_s(pid: int) -> float:
    """CPU seconds a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_it_ends_with_status_0_on_a_signal(tmp_path: Path) -> None:
    lines = [{"name": "serial", "kind": "pty", "meters": [meter(PLAIN)]}]
    configuration = {**document(tmp_path, lines), "clock": {"mode": "wall"}}
    path = tmp_path / "config.json"
    path.write_text(json.dumps(configuration), encoding="utf-8")
    child = subprocess.Popen([sys.executable, "-m", "simulators.meters", str(path)])
    try:
        patience = time.monotonic() + 30
        while not (tmp_path / "ready.json").exists() and time.monotonic() < patience:
            time.sleep(0.02)
        told = json.loads((tmp_path / "ready.json").read_text(encoding="utf-8"))
        assert Path(told["lines"][0]["path"]).exists()
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    finally:
        if child.poll() is None:
            child.kill()
            child.wait(10)


def test_wrong_use_ends_with_status_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty.json").write_text("", encoding="utf-8")
    (tmp_path / "latin.json").write_bytes(b'{"lines": "\xe9"}')
    (tmp_path / "wrong.json").write_text('{"lines": 3}', encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (tmp_path / "port.json").write_text(
            json.dumps({"control_port": port, "lines": []}), encoding="utf-8"
        )
        names = ["missing.json", "empty.json", "latin.json", "wrong.json", "port.json"]
        for argv in ([], ["a", "b"], *[[str(tmp_path / name)] for name in names]):
            assert main(argv) == 2
            lines = capsys.readouterr().err.splitlines()
            assert len(lines) == 1, lines
            assert "Traceback" not in lines[0]
    assert main(["--help"]) == 0
    assert capsys.readouterr().out == "usage: python -m simulators.meters CONFIG.json\n"


def test_the_wall_clock_cannot_be_set() -> None:
    clock = Clock("wall", 0)
    assert abs(clock.now_s() - time.time()) < 2
    with pytest.raises(BadInput, match="simulated"):
        clock.set(2_000_000_000)

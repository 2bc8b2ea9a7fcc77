"""The bench as a program: real processes, real sockets, and an edge made of the real parser.

Goal: every run that is placed arrives whole exactly as measured, whatever the line did, and is
judged as it should be. Method: one bench for the module; the edge is a thread that answers as
metrology's does. The edge may be told to be away or to say nothing.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from services.metrology.bench_protocol import (
    BenchError,
    BenchParser,
    ReceivedRun,
    encode_accepted,
    encode_refused,
)
from services.metrology.error_limits import MeterRating
from services.metrology.judgement import DEFAULT_RULES, judge
from tests.unit.metrology.samples import LIMITS

ROOT = Path(__file__).parents[3]
PATIENCE_S = 20


class Edge:
    """The other end of the line: parses, remembers and answers, one connection after the other."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.socket.getsockname()[1]
        self.runs: list[ReceivedRun] = []
        self.errors: list[BenchError] = []
        self.silent_times = 0
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()

    def close(self) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)  # wakes the accept
        self.thread.join()
        self.socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                self._converse(connection)

    def _converse(self, connection: socket.socket) -> None:
        parser = BenchParser()
        while not parser.failed and (received := connection.recv(100)):
            for outcome in parser.feed(received):
                if self.silent_times > 0:
                    self.silent_times -= 1
                    return
                connection.sendall(self._taken(outcome))
        self.errors += [each for each in parser.close() if isinstance(each, BenchError)]

    def _taken(self, outcome: ReceivedRun | BenchError) -> bytes:
        if isinstance(outcome, ReceivedRun):
            self.runs.append(outcome)
            return encode_accepted(outcome.run.run_id)
        self.errors.append(outcome)
        return encode_refused(outcome)


class Bench:
    """The program under test and a connection to its control port."""

    def __init__(self, folder: Path, edge_port: int, **settings: Any) -> None:
        self.journal = folder / "journal.jsonl"
        config = {
            "bench_no": "B1",
            "reference_meter_no": "R1",
            "reference_due_on": "2027-03-01",
            "operator": "lab-3",
            "edge_port": edge_port,
            "journal": str(self.journal),
            "ready_file": str(folder / "ready.json"),
            "retry_delay_s": 0.02,
            "retry_delay_s_max": 0.1,
            "reply_timeout_s": 2,
            **settings,
        }
        (folder / "bench.json").write_text(json.dumps(config))
        self.program = subprocess.Popen(
            [sys.executable, "-m", "simulators.bench", str(folder / "bench.json")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.program.stdout is not None
        ready = json.loads(self.program.stdout.readline())
        assert ready == json.loads((folder / "ready.json").read_text())
        assert (ready["ready"], ready["pid"]) == ("bench", self.program.pid)
        self.control = socket.create_connection(("127.0.0.1", ready["control_port"]), PATIENCE_S)
        self.lines = self.control.makefile("rb")

    def ask(self, **request: Any) -> dict[str, Any]:
        return self.ask_raw(json.dumps(request).encode())

    def ask_raw(self, request: bytes) -> dict[str, Any]:
        self.control.sendall(request + b"\n")
        answer: dict[str, Any] = json.loads(self.lines.readline())
        return answer

    def wait_idle(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline:
            status = self.ask(op="status")
            if status["idle"]:
                return status
            time.sleep(0.01)
        raise AssertionError(f"not idle: {status}")

    def end(self, *, by_signal: bool) -> int:
        """The exit status; standard error must be empty, with a control connection still open."""
        if by_signal:
            self.program.send_signal(signal.SIGTERM)
        _, complaints = self.program.communicate(timeout=PATIENCE_S)
        assert complaints == ""
        self.lines.close()
        self.control.close()
        return self.program.returncode

    def entries(self, event: str) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.journal.read_text().splitlines()]
        return [entry for entry in found if entry["event"] == event]


def placement(meter_no: str, error_e4_pct: int = 2_000, **changes: Any) -> dict[str, Any]:
    places = ("0.05Ib 1.0", "0.2Ib 1.0", "1Ib 1.0", "Imax 1.0", "0.2Ib 0.5L", "1Ib 0.5L")
    return {
        "meter_no": meter_no,
        "accuracy_class": "1",
        "measured_at": "2026-03-01T02:00:00Z",
        "curve": [
            {"power_factor": factor, "load": "balanced", "knots": [["1", error_e4_pct]]}
            for factor in ("1.0", "0.5L")
        ],
        "points": [
            {"current": place.split()[0], "power_factor": place.split()[1], "load": "balanced"}
            for place in places
        ],
        "noise_e4_pct": 100,
        "tests": {"start": "pass", "creep": "pass", "constant": "pass"},
        **changes,
    }


@pytest.fixture(scope="module")
def edge() -> Iterator[Edge]:
    server = Edge()
    yield server
    server.close()


@pytest.fixture(scope="module")
def bench(edge: Edge, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    program = Bench(tmp_path_factory.mktemp("bench"), edge.port)
    yield program
    assert program.end(by_signal=True) == 0
    assert program.entries("stopped")[0]["unfinished"] == 0


def runs_of(edge: Edge, meter_no: str) -> list[ReceivedRun]:
    return [each for each in edge.runs if each.run.meter_no == meter_no]


def verdict(edge: Edge, meter_no: str) -> tuple[str, tuple[str, ...]]:
    (received,) = runs_of(edge, meter_no)
    meter = MeterRating(accuracy_class="1", connection="direct", imax_multiple="12")
    judgement = judge(received.run, meter, LIMITS, DEFAULT_RULES)
    return judgement.verdict, judgement.reasons


def test_a_good_meter_passes_and_a_bad_one_fails(bench: Bench, edge: Edge) -> None:
    answer = bench.ask(op="place_meter", placement=placement("GOOD"))
    assert answer == {"ok": True, "run": "B1-GOOD-20260301T020000Z"}
    bench.ask(op="place_meter", placement=placement("BAD", 30_000))
    assert bench.wait_idle()["ok"]
    assert verdict(edge, "GOOD") == ("pass", ())
    assert verdict(edge, "BAD")[0] == "fail"
    sent = next(e for e in bench.entries("sent") if e["run"] == answer["run"])
    assert tuple(sent["lines"]) == runs_of(edge, "GOOD")[0].lines
    accepted = next(e for e in bench.entries("accepted") if e["run"] == answer["run"])
    assert accepted["answer"]["type"] == "run_accepted"


@pytest.mark.parametrize(
    ("misbehaviour", "expected", "reason"),
    [
        ("duplicate_point", "pass", ""),
        ("contradicting_point", "not_judged", "0.05Ib 1.0 balanced: measured more than once"),
        ("missing_point", "not_judged", "1Ib 0.5L balanced: demanded by the plan, not measured"),
        ("wrong_class", "not_judged", "the bench was set to class 2, not 1"),
        ("expired_reference", "not_judged", "reference meter R1 was due on 2026-02-28"),
    ],
)
def test_a_wrong_content_arrives_and_is_not_judged(
    bench: Bench, edge: Edge, misbehaviour: str, expected: str, reason: str
) -> None:
    meter_no = misbehaviour.upper()
    bench.ask(op="place_meter", placement=placement(meter_no, misbehaviours=[misbehaviour]))
    bench.wait_idle()
    found, reasons = verdict(edge, meter_no)
    assert found == expected
    assert "".join(reasons[:1]).startswith(reason)


@pytest.mark.parametrize(
    ("misbehaviour", "field"),
    [("garbled_line", "line"), ("lost_line", "seq"), ("disconnect", "run_ended")],
)
def test_a_bad_line_is_repeated_until_the_run_is_whole(
    bench: Bench, edge: Edge, misbehaviour: str, field: str
) -> None:
    meter_no = misbehaviour.upper()
    bench.ask(op="place_meter", placement=placement(meter_no, misbehaviours=[misbehaviour]))
    bench.wait_idle()
    assert verdict(edge, meter_no) == ("pass", ())
    errors = [error for error in edge.errors if error.meter_no == meter_no]
    assert [error.field for error in errors] == [field]
    run = f"B1-{meter_no}-20260301T020000Z"
    assert [e["attempt"] for e in bench.entries("sent") if e["run"] == run] == [1, 2]


def test_an_edge_that_says_nothing_is_asked_again(bench: Bench, edge: Edge) -> None:
    edge.silent_times = 2
    bench.ask(op="place_meter", placement=placement("SILENCE"))
    bench.wait_idle()
    assert verdict(edge, "SILENCE") == ("pass", ())
    run = "B1-SILENCE-20260301T020000Z"
    assert len([e for e in bench.entries("no_reply") if e["run"] == run]) == 2


@pytest.mark.parametrize(
    ("request_line", "error"),
    [
        (b"what", "request: is no JSON (send one JSON object per line)"),
        (b"[]", "op: None is unknown (use place_meter, status or stop)"),
        (b'{"op": "explode"}', "op: 'explode' is unknown (use place_meter, status or stop)"),
        (b'{"op": "place_meter"}', "document: Input should be a valid dictionary or instance"),
        (
            json.dumps({"op": "place_meter", "placement": placement("X", curve=[])}).encode(),
            "curve: Tuple should have at least 1 item",
        ),
        (
            json.dumps({"op": "place_meter", "placement": placement("X", base="In")}).encode(),
            "current: '0.05Ib' has not the base of a ct meter",
        ),
    ],
)
def test_a_wrong_request_is_answered_by_name(bench: Bench, request_line: bytes, error: str) -> None:
    answer = bench.ask_raw(request_line)
    assert answer["ok"] is False
    assert answer["error"].startswith(error)
    assert answer["field"] == error.partition(":")[0]


def test_a_request_without_end_breaks_only_its_connection(bench: Bench) -> None:
    port = bench.control.getpeername()[1]
    other = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    with other, contextlib.suppress(OSError):  # it may be closed while we still send
        other.sendall(b"x" * ((1 << 20) + 100_000))
        other.shutdown(socket.SHUT_WR)
        assert other.recv(1) == b""
    deadline = time.monotonic() + PATIENCE_S
    while not bench.entries("control_broken") and time.monotonic() < deadline:
        assert bench.ask(op="status")["ok"]
    assert len(bench.entries("control_broken")) == 1


def test_an_edge_that_is_away_is_given_up_after_the_attempts(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        program = Bench(tmp_path, unused.getsockname()[1], attempts_max=2)
        program.ask(op="place_meter", placement=placement("ALONE"))
        status = program.wait_idle()
    assert status["outcomes"] == {"given_up": 1, "no_connection": 2}
    assert [entry["attempt"] for entry in program.entries("no_connection")] == [1, 2]
    assert program.entries("given_up")[0]["attempts"] == 2
    assert program.ask(op="stop") == {"ok": True}
    assert program.end(by_signal=False) == 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"control_port": -1}, "control_port: Input should be greater than or equal to 0"),
        ({"journal": "."}, "journal: . cannot be written: Is a directory"),
        ({"control_host": "203.0.113.1"}, "control_port: "),
    ],
)
def test_a_wrong_setting_ends_with_one_line_and_status_2(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    config = {
        "bench_no": "B1",
        "reference_meter_no": "R1",
        "reference_due_on": "2027-03-01",
        "operator": "lab-3",
        "edge_port": 1,
        "journal": str(tmp_path / "journal.jsonl"),
        **settings,
    }
    path = tmp_path / "bench.json"
    path.write_text(json.dumps(config))
    ended = subprocess.run(
        [sys.executable, "-m", "simulators.bench", str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 2
    assert message in ended.stderr
    assert len(ended.stderr.splitlines()) == 1

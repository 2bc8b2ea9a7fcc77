"""The edge over real TCP with the bench simulator: answered only after the broker's ack.

Goal: what a bench sends is on `metrology.bench` when it is told so, and never lost when the broker
is away. Method: the bench as a program of its own, the edge's server in a thread, and a producer in
memory that can be held up or be away.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from libs.events.codec import Codec, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import Unavailable
from libs.events.record import Outgoing, partition_of
from services.metrology.bench_protocol import MESSAGES, encode_message, encode_run, parse_reply
from services.metrology.edge_main import BENCH, BenchServer
from services.metrology.events import RunGarbled, RunMeasured, edge_catalogue
from tests.unit.metrology.samples import bench_run
from tests.unit.simulators_bench.test_bench_program import PATIENCE_S, Bench, placement

pytestmark = pytest.mark.wide

PARTITIONS = 4
STARTED = sorted(MESSAGES["run_started"])


class Memory:
    """A producer's port: keeps what is acknowledged; may be away, or take its time."""

    def __init__(self) -> None:
        self.kept: list[Outgoing] = []
        self.away_times = 0
        self.asked = threading.Event()
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.lock = threading.Lock()

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        self.asked.set()
        assert self.may_go_on.wait(PATIENCE_S)
        with self.lock:
            if self.away_times:
                self.away_times -= 1
                raise Unavailable("no broker answers")
            self.kept += outgoing
            return [len(self.kept) - 1]

    def submit(self, outgoing: Outgoing, on_ack: Callable[[int | Exception], None]) -> None:
        raise AssertionError("a bench waits for its ack")

    def poll(self, timeout_s: float = 0.0) -> int:
        return 0

    def close(self) -> None:
        """Nothing to give back."""

    def bodies(self) -> list[Any]:
        codec = Codec(edge_catalogue)
        for out in self.kept:
            assert out.topic == BENCH
            assert out.key is not None
            assert out.partition == partition_of(out.key.decode(), PARTITIONS)
        return [codec.decode(envelope_of(out.headers).type, out.value) for out in self.kept]


@pytest.fixture(scope="module")
def broker() -> Memory:
    return Memory()


@pytest.fixture
def memory(broker: Memory) -> Memory:
    broker.kept.clear()
    broker.asked.clear()
    return broker


@pytest.fixture(scope="module")
def port(broker: Memory) -> Iterator[int]:
    producer = EdgeProducer("metrology.edge", edge_catalogue, broker, lambda topic: PARTITIONS)
    with BenchServer(("127.0.0.1", 0), producer) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def bench(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    program = Bench(tmp_path_factory.mktemp("bench"), port)
    yield program
    assert program.end(by_signal=True) == 0


def run_of(meter_no: str) -> str:
    return f"B1-{meter_no}-20260301T020000Z"


def entries(bench: Bench, event: str, meter_no: str) -> list[dict[str, Any]]:
    return [entry for entry in bench.entries(event) if entry.get("run") == run_of(meter_no)]


def outcomes(bench: Bench, meter_no: str) -> dict[str, int]:
    """How the attempts of one run ended."""
    bench.wait_idle()
    names = ("accepted", "refused", "no_reply", "cut_off", "given_up")
    counts = {name: len(entries(bench, name, meter_no)) for name in names}
    return {name: count for name, count in counts.items() if count}


def test_a_run_is_accepted_after_the_ack_and_not_before(bench: Bench, memory: Memory) -> None:
    memory.may_go_on.clear()
    bench.ask(op="place_meter", placement=placement("M1"))
    assert memory.asked.wait(PATIENCE_S)
    time.sleep(0.1)
    assert bench.ask(op="status")["unfinished"] == 1
    assert entries(bench, "accepted", "M1") == []
    memory.may_go_on.set()
    assert outcomes(bench, "M1") == {"accepted": 1}
    assert envelope_of(memory.kept[0].headers).traceparent.startswith("00-")
    (body,) = memory.bodies()
    assert isinstance(body, RunMeasured)
    assert (body.run.run_id, body.run.meter_no, len(body.run.points)) == (run_of("M1"), "M1", 6)
    assert list(body.lines) == entries(bench, "sent", "M1")[0]["lines"]  # the raw evidence
    assert memory.kept[0].key == b"M1"


def test_a_run_that_cannot_be_stored_is_not_answered_and_comes_again(
    bench: Bench, memory: Memory
) -> None:
    memory.away_times = 2
    bench.ask(op="place_meter", placement=placement("M2"))
    assert outcomes(bench, "M2") == {"no_reply": 2, "accepted": 1}
    assert [body.run.run_id for body in memory.bodies()] == [run_of("M2")]
    assert [entry["attempt"] for entry in entries(bench, "sent", "M2")] == [1, 2, 3]


def test_a_damaged_line_is_refused_with_a_record_and_the_run_comes_again(
    bench: Bench, memory: Memory
) -> None:
    bench.ask(op="place_meter", placement=placement("M3", misbehaviours=["garbled_line"]))
    assert outcomes(bench, "M3") == {"refused": 1, "accepted": 1}
    garbled, measured = memory.bodies()
    assert isinstance(garbled, RunGarbled)
    assert (garbled.run_id, garbled.meter_no) == (run_of("M3"), "M3")
    assert garbled.problem.startswith("line: is no JSON")
    assert garbled.line in entries(bench, "sent", "M3")[0]["lines"]
    assert entries(bench, "refused", "M3")[0]["answer"]["field"] == "line"
    assert isinstance(measured, RunMeasured)


def test_a_refusal_that_cannot_be_stored_is_not_answered_either(
    bench: Bench, memory: Memory
) -> None:
    memory.away_times = 1
    bench.ask(op="place_meter", placement=placement("M4", misbehaviours=["garbled_line"]))
    assert outcomes(bench, "M4") == {"no_reply": 1, "accepted": 1}
    assert [type(body) for body in memory.bodies()] == [RunMeasured]


def test_a_run_cut_off_leaves_a_record(bench: Bench, memory: Memory) -> None:
    bench.ask(op="place_meter", placement=placement("M5", misbehaviours=["disconnect"]))
    assert outcomes(bench, "M5") == {"cut_off": 1, "accepted": 1}
    deadline = time.monotonic() + PATIENCE_S
    while len(memory.kept) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    garbled = next(body for body in memory.bodies() if isinstance(body, RunGarbled))
    assert (garbled.meter_no, garbled.problem[:10]) == ("M5", "run_ended:")


def converse(port: int, sent: bytes) -> list[dict[str, Any]]:
    """What the edge answers on one connection, until it hangs up."""
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line:
        line.sendall(sent)
        line.shutdown(socket.SHUT_WR)
        answers = line.makefile("rb").readlines()
    return [parse_reply(answer.rstrip(b"\n")) for answer in answers]


def test_what_is_no_bench_is_refused_and_kept_under_unknown(port: int, memory: Memory) -> None:
    (answer,) = converse(port, b"GET / HTTP/1.1\r\n\r\n")
    assert (answer["type"], answer["run"], answer["field"]) == ("run_refused", "", "line")
    (body,) = memory.bodies()
    assert (body.meter_no, body.line) == ("", "GET / HTTP/1.1")
    assert memory.kept[0].key == b"unknown"


ANY_TEXT = st.text(st.characters(), max_size=8)
"""Also what is no text in UTF-8: JSON can escape half a surrogate pair."""

ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@example(members={"run": "\ud800"}, removed=[])
@example(members={"\ud800": 1}, removed=[])
@example(members={"": 1}, removed=[])
@given(
    members=st.dictionaries(st.sampled_from(STARTED) | ANY_TEXT, ANY_JSON, min_size=1, max_size=3),
    removed=st.lists(st.sampled_from(STARTED), max_size=1),
)
def test_any_first_message_is_answered_as_documented_and_recorded(
    port: int, broker: Memory, members: dict[str, Any], removed: list[str]
) -> None:
    """Whatever a bench says: one answer with a field, one record, and the line is closed."""
    broker.kept.clear()
    message = json.loads(encode_run(bench_run())[0]) | {"seq": 2} | members  # it cannot be right
    sent = {name: value for name, value in message.items() if name not in (*removed, "crc32")}
    (answer,) = converse(port, encode_message(sent))
    assert (answer["type"], bool(answer["field"])) == ("run_refused", True)
    (body,) = broker.bodies()
    assert isinstance(body, RunGarbled)
    assert body.problem.startswith(f"{answer['field']}: {answer['problem']}")


def test_two_runs_on_one_connection_are_answered_one_by_one(port: int, memory: Memory) -> None:
    runs = [bench_run(run_id=f"B1-000{number}") for number in (1, 2)]
    sent = b"".join(line for run in runs for line in encode_run(run))
    answers = converse(port, sent)
    assert [(each["type"], each["run"]) for each in answers] == [
        ("run_accepted", "B1-0001"),
        ("run_accepted", "B1-0002"),
    ]
    assert [body.run for body in memory.bodies()] == runs


def test_benches_do_not_wait_for_one_another(port: int, memory: Memory) -> None:
    """One bench is silent in the middle of its run; another is served all the same."""
    lines = encode_run(bench_run())
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as slow:
        slow.sendall(lines[0])
        assert converse(port, b"".join(encode_run(bench_run(run_id="B2-0001"))))[0]["run"] == (
            "B2-0001"
        )
        slow.sendall(b"".join(lines[1:]))
        assert parse_reply(slow.makefile("rb").readline().rstrip(b"\n"))["run"] == "B1-0001"
    assert [body.run.run_id for body in memory.bodies()] == ["B2-0001", "B1-0001"]


def test_a_bench_that_hangs_up_without_a_word_leaves_nothing(port: int, memory: Memory) -> None:
    assert converse(port, b"") == []
    assert memory.kept == []

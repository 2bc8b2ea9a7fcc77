"""Traces: begun at the edges, carried by events, named in log lines, sent only where configured."""

from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from libs.events.codec import encode, envelope_of
from libs.events.core import Tick
from libs.events.edge import EdgeProducer, broadcast
from libs.events.effects import EffectLoop
from libs.events.errors import Aborted, Unavailable
from libs.events.loop import Limits, Loop
from libs.events.record import Envelope, Outgoing, Record, envelope_headers
from libs.events.telemetry import (
    Telemetry,
    Tracing,
    begin_trace,
    configure_logs,
    follow,
    logger,
    trace_id_of,
    traceparent_of,
)
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimLog, SimReader
from services import wiring
from services.settings import load_settings
from tests.simulation.toy import CoinDropped, edge, make_core
from tests.unit.events.collector import attributes_of, collecting

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")
FIRST = "00-" + "1" * 32 + "-" + "a" * 16 + "-01"
SECOND = "00-" + "2" * 32 + "-" + "b" * 16 + "-01"
COIN = CoinDropped(amount_fen=5)


class Port:
    """Acknowledges at once, or fails; says so in the log."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.taken: list[Outgoing] = []

    def submit(self, outgoing: Outgoing, on_ack: Callable[[int | Exception], None]) -> None:
        on_ack(self.append_many([outgoing], 0)[0])

    def poll(self, timeout_s: float = 0.0) -> int:
        return 0

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        logger("port").warning("asked to write")
        if self.failure is not None:
            raise self.failure
        self.taken += outgoing
        return list(range(len(outgoing)))

    def write(self, outgoing: Sequence[Outgoing]) -> None:
        self.append_many(outgoing, 0)

    def close(self) -> None:
        pass


def producer_on(port: Port, tracing: Tracing | None = None) -> EdgeProducer:
    return EdgeProducer("edge", edge, port, lambda topic: 1, tracing=tracing)


def traces_of(port: Port) -> list[str]:
    return [envelope_of(record.headers).traceparent for record in port.taken]


@pytest.fixture
def lines() -> Iterator[Callable[[], list[dict[str, Any]]]]:
    """The log lines written since the last call."""
    written = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stderr", written)
        configure_logs("debug")
    told: list[str] = []

    def since() -> list[dict[str, Any]]:
        new = written.getvalue().splitlines()[len(told) :]
        told.extend(new)
        return [json.loads(line) for line in new]

    follow(())
    yield since
    follow(())
    configure_logs("critical")


# -- where a trace begins -----------------------------------------------------------------------


def test_every_append_of_an_edge_begins_a_trace_of_its_own() -> None:
    port = Port()
    producer = producer_on(port)
    producer.append("edge.coins", "box-1", COIN)
    producer.append_many([producer.outgoing("edge.coins", "box-1", COIN)] * 2)
    asyncio.run(producer.append_async("edge.coins", "box-1", COIN))
    traces = traces_of(port)
    assert all(TRACEPARENT.fullmatch(trace) for trace in traces)
    assert len(set(traces)) == 3


def test_a_trace_that_is_given_goes_on() -> None:
    port = Port()
    producer_on(port).append("edge.coins", "box-1", COIN, FIRST)
    assert traces_of(port) == [FIRST]


def test_a_tick_is_one_trace_in_all_partitions() -> None:
    port = Port()
    broadcast(port, "clock", edge, "calendar", Tick(at="2026-01-01T00:00:00Z"), 3)
    traces = traces_of(port)
    assert len(traces) == 3
    assert len(set(traces)) == 1
    assert TRACEPARENT.fullmatch(traces[0])


def test_a_header_that_is_no_trace_has_no_id() -> None:
    assert trace_id_of(FIRST) == "1" * 32
    assert trace_id_of("") == trace_id_of("00-1") == ""
    assert traceparent_of((("ce_id", b"x"),)) == ""
    assert traceparent_of((("traceparent", b"\xff"),)) == "\ufffd"


# -- what log lines name ------------------------------------------------------------------------


def test_lines_written_while_a_record_is_appended_name_its_trace(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    producer = producer_on(Port())
    producer.append("edge.coins", "box-1", COIN, FIRST)
    asyncio.run(producer.append_async("edge.coins", "box-1", COIN, SECOND))
    logger("after").info("nothing is written any more")
    assert [line.get("trace_id") for line in lines()] == ["1" * 32, "2" * 32, None]


def test_what_an_edge_begins_is_named_from_there_on(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    own = begin_trace()
    with pytest.raises(Unavailable):
        producer_on(Port(Unavailable("gone"))).append("edge.coins", "box-1", COIN, own)
    logger("edge").warning("connection ended")
    assert [line["trace_id"] for line in lines()] == [trace_id_of(own)] * 2


def coin_headers(number: int, traceparent: str) -> tuple[tuple[str, bytes], ...]:
    return envelope_headers(
        Envelope(f"edge/{number}", "edge.coin_dropped.v1", "edge", "", "", traceparent=traceparent)
    )


class SpeakingLog(SimLog):
    """Says something when it commits, and fails when told to."""

    failure: Exception | None = None

    def commit(self, outgoing: Any, positions: Any) -> Any:
        """As simulated, and a line."""
        logger("log").info("committing")
        if self.failure is not None and outgoing:
            failure, self.failure = self.failure, None
            raise failure
        return super().commit(outgoing, positions)


def loop_over(
    traces: Sequence[str], tracing: Tracing | None = None, inputs_max: int = 1000
) -> tuple[Loop, SpeakingLog]:
    """A toy core that has one coin of each trace before it."""
    topics = ("edge.coins", "calendar", "toy.events", "toy.totals", "toy.dlq")
    broker = SimBroker(dict.fromkeys(topics, 1))
    for number, trace in enumerate(traces):
        broker.append("edge.coins", 0, b"box-1", encode(COIN), coin_headers(number, trace))
    core = make_core()
    log = SpeakingLog(broker, core.name, "toy-0", core.inputs)
    loop = Loop(
        core,
        log,
        None,
        lambda topic: 1,
        limits=Limits(poll_s=0, linger_max_s=0),
        telemetry=Telemetry(core.name, tracing=tracing),
    )
    return loop, log


def run(loop: Loop, turns: int = 10) -> None:
    for _ in range(turns):
        loop.step()


def written(log: SimLog) -> list[Record]:
    return SimReader(log.broker).read("toy.events", 0, 0, 100).records


def test_lines_written_while_a_record_is_decided_name_its_trace(
    lines: Callable[[], list[dict[str, Any]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    core = make_core()

    def concerned(view: Any, item: Any) -> Any:
        logger("core").info("looking")
        return core.concerned(view, item)

    loop, _ = loop_over([FIRST, SECOND])
    loop.core = make_core(concerned=concerned)
    run(loop)
    logger("after").info("nothing is decided any more")
    found = [line.get("trace_id") for line in lines() if line["event"] != "committing"]
    assert found == ["1" * 32, "2" * 32, None]


def test_a_transaction_of_one_trace_that_is_rolled_back_names_it(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    for traces, named in (([FIRST], "1" * 32), ([FIRST, SECOND], None)):
        loop, log = loop_over(traces)
        log.failure = Aborted("again")
        run(loop)
        told = [line for line in lines() if line["event"] == "transaction rolled back"]
        assert [line.get("trace_id") for line in told] == [named]
        assert len(written(log)) >= len(traces)


def test_events_carry_the_trace_of_their_input() -> None:
    loop, log = loop_over([FIRST, SECOND])
    run(loop)
    own = [envelope_of(record.headers) for record in written(log)]
    assert [e.traceparent for e in own if e.type == "toy.coin_counted.v1"] == [FIRST, SECOND]
    assert [e.traceparent for e in own if e.type == "toy.step_taken.v1"] == [""]


# -- spans --------------------------------------------------------------------------------------


def test_an_append_is_a_span_and_the_record_continues_it() -> None:
    port = Port()
    with collecting() as collector:
        producer = producer_on(port, Tracing("edge", collector.address))
        producer.append("edge.coins", "box-1", COIN, FIRST)
        asyncio.run(producer.append_async("edge.coins", "box-1", COIN))
        producer.append_many([producer.outgoing("edge.coins", "box-1", COIN, SECOND)])
        producer.append_many([])
        producer.close()
    assert set(collector.paths) == {"/v1/traces"}
    assert collector.services == {"edge"}
    first, second, third = collector.named("append edge.coins")
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == ("1" * 32, "a" * 16)
    for span, trace in zip((first, second), traces_of(port), strict=False):
        assert trace.startswith(f"00-{span.trace_id.hex()}-{span.span_id.hex()}-")
        assert int(trace[-2:], 16) & 1  # sampled
    assert second.parent_span_id == b""
    assert [link.trace_id.hex() for link in third.links] == ["2" * 32]
    assert attributes_of(first) == {
        "messaging.system": "kafka",
        "messaging.operation.name": "append",
        "messaging.operation.type": "send",
        "messaging.destination.name": "edge.coins",
        "messaging.batch.message_count": 1,
    }


def test_an_append_that_fails_marks_its_span_and_is_counted() -> None:
    with collecting() as collector:
        producer = producer_on(Port(Unavailable("gone")), Tracing("edge", collector.address))
        with pytest.raises(Unavailable):
            producer.append("edge.coins", "box-1", COIN)
        producer.close()
    (span,) = collector.spans
    assert span.status.code == span.status.STATUS_CODE_ERROR
    labels = {"edge": "edge", "topic": "edge.coins", "outcome": "failed"}
    count = producer.telemetry.registry.get_sample_value("gridledger_appended_total", labels)
    assert count == 1


def test_a_batch_is_a_span_that_names_the_traces_of_its_inputs() -> None:
    with collecting() as collector:
        loop, log = loop_over([FIRST, SECOND, FIRST, ""], Tracing("toy", collector.address))
        run(loop)
        loop.telemetry.tracing.close()
    (span,) = collector.named("decide toy")
    assert span.parent_span_id == b""
    assert [(link.trace_id.hex(), link.span_id.hex()) for link in span.links] == [
        ("1" * 32, "a" * 16),
        ("2" * 32, "b" * 16),
    ]
    assert attributes_of(span)["messaging.batch.message_count"] == 4
    # What is decided stays in the trace of its input: ids and events do not depend on telemetry.
    assert traceparent_of(written(log)[0].headers) == FIRST


def test_a_tick_is_a_span() -> None:
    port = Port()
    with collecting() as collector:
        tracing = Tracing("clock", f"{collector.address}/v1/traces")
        at = Tick(at="2026-01-01T00:00:00Z")
        broadcast(port, "clock", edge, "calendar", at, 2, tracing)
        tracing.close()
        tracing.close()  # as at the end of the interpreter: nothing more happens
    assert collector.paths == ["/v1/traces"]
    (span,) = collector.spans
    assert {trace_id_of(trace) for trace in traces_of(port)} == {span.trace_id.hex()}


def test_without_an_endpoint_nothing_is_traced() -> None:
    tracing = Tracing("edge")
    assert not tracing.is_on
    with tracing.span("append x", "send") as own:
        assert own == ""
    tracing.close()


def test_a_collector_that_hangs_holds_nobody_up(
    lines: Callable[[], list[dict[str, Any]]],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        tracing = Tracing("edge", f"http://127.0.0.1:{silent.getsockname()[1]}")
        producer = producer_on(Port(), tracing)
        producer.append("edge.coins", "box-1", COIN)
        began = time.monotonic()
        producer.close()
        assert time.monotonic() - began < 5
    until = time.monotonic() + 10
    told: list[dict[str, Any]] = []
    while not (told := told + lines())[1:]:  # the first is the port's own
        assert time.monotonic() < until, "the exporter's complaint never came"
        time.sleep(0.05)
    assert told[1]["part"] == "opentelemetry"


# -- who makes them -----------------------------------------------------------------------------


def test_wiring_sends_spans_where_the_settings_say(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[Loop] = []

    class Log:
        def __init__(self, *_: object) -> None:
            pass

        def cluster_id(self) -> str:
            return "cluster-1"

    def run_made(loop: Loop, *_: object) -> int:
        made.append(loop)
        return 0

    monkeypatch.setattr(wiring, "configure_logs", lambda *_: None)
    monkeypatch.setattr(wiring, "KafkaLog", Log)
    monkeypatch.setattr(wiring, "KafkaProducerPort", lambda settings: Port())
    monkeypatch.setattr(wiring, "run_loop", run_made)
    with collecting() as collector:
        for endpoint in ("", collector.address):
            settings = load_settings(tmp_path, data_dir=tmp_path, otlp_endpoint=endpoint).settings
            core = make_core(inputs=("calendar",))
            assert wiring.run_core(core, settings, 0) == 0
            effects = wiring.make_effect_loop(core, settings, 0, lambda request: None)  # type: ignore[arg-type]
            assert isinstance(effects, EffectLoop)
            producer = wiring.open_producer(settings, "edge", edge)
            parts = [made[-1].telemetry, effects.telemetry, producer.telemetry]
            assert [part.tracing.is_on for part in parts] == [bool(endpoint)] * 3
            for part in parts:
                part.tracing.close()
    assert {loop.cluster_id for loop in made} == {"cluster-1"}

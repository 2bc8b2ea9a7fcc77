"""How a line's time is used: in simulated time, where only our own waiting can leave it idle."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest

from bench.line_busy import ORDERED_AT, measure, order_of, poll
from services.ingest.events import ReadFailed, RegistersRead
from services.ingest.line_queue import Priority
from services.ingest.lines import Lines
from services.ingest.protocols.dlt645.replies import is_reply
from services.ingest.protocols.dlt645.requests import read_request
from services.ingest.protocols.drivers import Line, LineSettings
from services.ingest.protocols.failures import LineDown, NoReply
from services.ingest.reading import read_order
from simulators.meters.paced import prompt_bus
from tests.unit.ingest.wire import SimWire, WireClock

pytestmark = pytest.mark.wide

METERS = 5
EXCHANGES_PER_METER = 7
"""The freeze's stamp, its energy, the stamp again; status, date, time, voltages."""


def wire_of(baud: int = 2400, **more: Any) -> SimWire:
    return SimWire(prompt_bus(METERS), WireClock(), baud, **more)


def ask(line: Line, address: str, **limits: Any) -> Any:
    request = read_request(address, "00010000")
    return line.exchange(request, lambda frame: is_reply(request, frame), **limits)


@pytest.mark.parametrize("baud", [2400, 9600])
def test_the_poller_leaves_no_gap_between_prompt_meters(baud: int) -> None:
    """Not between two requests, and not between two meters: the line is busy all the time."""
    wire = wire_of(baud)
    lines = Lines(b"key", make_line=lambda name: wire.line())
    assert poll("tcp:h:1", METERS, lines) == METERS
    assert wire.use.requests == METERS * EXCHANGES_PER_METER
    assert wire.use.busy_ratio == pytest.approx(1.0)
    assert max(wire.use.gaps_s) < 1e-6


def test_a_silent_meter_is_asked_again_behind_the_others() -> None:
    silent = "000000000002"
    wire = wire_of(silent={silent})
    lines = Lines(b"key", make_line=lambda name: wire.line())
    assert poll("tcp:h:1", METERS, lines) == METERS - 1
    turns = [wire.asked[0]]
    turns += [now for last, now in zip(wire.asked, wire.asked[1:], strict=False) if now != last]
    assert turns == [f"{number:012d}" for number in (1, 2, 3, 4, 5, 2)]
    counts = lines.counts()["tcp:h:1"]
    answered = (METERS - 1) * EXCHANGES_PER_METER
    assert (counts.asked, counts.answered, counts.retried) == (answered + 2, answered, 1)


def test_a_silent_meter_costs_its_time_out_and_no_more() -> None:
    """20 bytes, one byte back, 0.5 s to think; then the line is free."""
    wire = wire_of(silent={"000000000001"})
    line = wire.line()
    with pytest.raises(NoReply):
        ask(line, "000000000001", silent_tries=1)
    assert wire.clock.now_s == pytest.approx(21 * 11 / 2400 + 0.5)
    assert (line.counts.asked, line.counts.answered, line.counts.retried) == (1, 0, 0)
    assert line.counts.lost_s == pytest.approx(wire.clock.now_s)
    with pytest.raises(NoReply):
        ask(line, "000000000001")
    assert (line.counts.asked, line.counts.retried) == (3, 1)


def test_the_counts_are_what_the_wire_says_of_itself() -> None:
    wire = wire_of()
    line = wire.line()
    for number in range(1, METERS + 1):
        ask(line, f"{number:012d}")
    assert (line.counts.asked, line.counts.answered) == (METERS, METERS)
    assert line.counts.busy_s == pytest.approx(wire.use.busy_s)
    assert line.counts.lost_s == pytest.approx(0)


def test_the_frames_of_the_try_before_are_evidence_too() -> None:
    wire = wire_of(silent={"000000000001"})
    lines = Lines(b"key", make_line=lambda name: wire.line())
    order = order_of(1, "tcp:h:1")
    failed = read_order(order, lines, ORDERED_AT)
    assert isinstance(failed, ReadFailed)
    assert failed.cause == "no_reply"
    assert len(failed.frames) == 1
    wire.silent.clear()
    found = read_order(order, lines, ORDERED_AT, None, failed.frames)
    assert isinstance(found, RegistersRead)
    assert found.frames[:1] == failed.frames
    assert len(found.frames) == 1 + 2 * EXCHANGES_PER_METER


def test_a_broken_line_is_opened_with_longer_and_longer_rests() -> None:
    wire = wire_of(is_down=True)
    settings = LineSettings(tries=1, backoff_s=0.5, reopen_max_s=4.0)
    line = wire.line(settings)
    assert [settings.rest_s(n) for n in (1, 2, 3, 5, 6, 99)] == [0, 0.5, 1.0, 4.0, 4.0, 4.0]
    for _ in range(160):  # somebody asks every eighth of a second, for 20 s
        with pytest.raises(LineDown) as caught:
            ask(line, "000000000001")
        assert not caught.value.sent
        wire.clock.sleep(0.125)
    assert wire.opened == [0, 0.125, 0.625, 1.625, 3.625, 7.625, 11.625, 15.625, 19.625]
    assert line.counts.broken == len(wire.opened)
    wire.is_down = False
    with pytest.raises(LineDown, match=r"down, opened again in \d\.\d s"):
        ask(line, "000000000001")
    line.wake()
    ask(line, "000000000001")  # a relay command is not kept waiting
    wire.is_down = True
    with pytest.raises(LineDown, match="broke") as caught:
        ask(line, "000000000001")
    assert caught.value.sent  # the outcome is unknown: nobody repeats it
    wire.is_down = False
    ask(line, "000000000001")  # it was well: no rest after the first failure


def test_no_second_try_and_no_pause_while_a_line_rests() -> None:
    wire = wire_of(is_down=True)
    line = wire.line(LineSettings(tries=2, backoff_s=0.5))
    with pytest.raises(LineDown):
        ask(line, "000000000001")
    began_s = wire.clock.now_s
    with pytest.raises(LineDown, match="opened again"):
        ask(line, "000000000001")
    assert wire.clock.now_s == began_s


def test_other_lines_are_read_while_one_is_being_opened() -> None:
    """A terminal that takes its time to refuse keeps nobody else waiting."""
    stuck = threading.Event()

    class StuckWire(SimWire):
        def open(self) -> None:
            assert stuck.wait(10)
            raise LineDown("no connection")

    wires = {
        "tcp:dead:1": StuckWire(prompt_bus(METERS), WireClock()),
        "tcp:h:1": wire_of(),
    }
    lines = Lines(b"key", make_line=lambda name: wires[name.wire].line())
    thread = threading.Thread(
        target=read_order, args=(order_of(1, "tcp:dead:1"), lines, ORDERED_AT)
    )
    thread.start()
    try:
        assert isinstance(read_order(order_of(1, "tcp:h:1"), lines, ORDERED_AT), RegistersRead)
        with lines.taken("tcp:h:1", Priority.RELAY):
            assert thread.is_alive()
    finally:
        stuck.set()
        thread.join(10)


def test_a_paced_terminal_is_as_slow_as_its_line() -> None:
    """The measurement itself, once: it cannot be faster than the bits, and every meter is read."""
    began_s = time.monotonic()
    found = measure(9600, 1, 20)
    assert found["requests"] == EXCHANGES_PER_METER
    assert len(found["gaps_ms"]) == EXCHANGES_PER_METER - 1
    assert EXCHANGES_PER_METER * (20 * 11 / 9600 + 0.02) < found["busy_s"] <= found["span_s"]
    assert found["span_s"] < time.monotonic() - began_s

"""Whose turn it is on a line and a host, with real threads and meters that answer when they may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.events.errors import BadInput
from services.ingest.line_file import LineBook, LineName
from services.ingest.line_metrics import LineMetrics
from services.ingest.line_queue import Priority
from services.ingest.lines import Lane, Lines
from services.ingest.protocols.dlt645.frame import Frame
from services.ingest.protocols.dlt645.requests import read_request
from services.ingest.protocols.drivers import Exchanged, Line, LineCounts
from services.ingest.protocols.failures import NoReply

PATIENCE_S = 5.0
ONE, TWO = "tcp:h:1", "tcp:h:2"


class GatedLine:
    """A line whose exchanges end when the test lets them; `said` by all of them, in order."""

    def __init__(self, name: LineName, said: list[str]) -> None:
        self.said, self.name = said, name
        self.gate = threading.Semaphore(0)
        self.counts = LineCounts()
        self.settings = LineBook().settings_of(name)
        self.silent_tries: list[int | None] = []
        self.is_silent = False
        self.woken = self.closed = 0

    def wake(self) -> None:
        self.woken += 1

    def close(self) -> None:
        self.closed += 1

    def exchange(
        self, request: Frame, expect: Any, timeout_s: Any, tries: Any, silent_tries: int | None
    ) -> Exchanged:
        self.said.append(request.address.lstrip("0"))
        self.silent_tries.append(silent_tries)
        assert self.gate.acquire(timeout=PATIENCE_S)
        if self.is_silent:
            raise NoReply("nobody")
        return cast(Exchanged, None)


class Scene:
    """Lines of one host, conversations in threads."""

    def __init__(self, limit: int = 16) -> None:
        self.said: list[str] = []
        self.wires: dict[str, GatedLine] = {}
        self.lines = Lines(b"key", LineBook(hosts={"h": limit}), self._make)
        self.pool = ThreadPoolExecutor(8)

    def _make(self, name: LineName) -> Line:
        self.wires[name.wire] = GatedLine(name, self.said)
        return cast(Line, self.wires[name.wire])

    def talk(
        self, who: str, count: int, priority: Priority = Priority.SCHEDULED, line: str = ONE
    ) -> Future[None]:
        """A conversation of so many exchanges; comes back when it is said or waits."""
        waiting = self.waiting()
        said = len(self.said)
        future = self.pool.submit(self._talk, who, count, priority, line)
        self.until(lambda: self.waiting() > waiting or len(self.said) > said)
        return future

    def _talk(self, who: str, count: int, priority: Priority, line: str) -> None:
        request = read_request(f"{int(who):012d}", "00010000")
        with self.lines.taken(line, priority) as turn:
            for _ in range(count):
                turn.exchange(request, lambda frame: True)

    def waiting(self) -> int:
        return sum(len(owned.queue) for owned in self.lines._owned.values())

    def answer(self, count: int = 1, line: str = ONE) -> None:
        """Let so many exchanges of a line end, and the next ones begin."""
        self.wires[line].gate.release(count)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"it never held: {self.said}"
            time.sleep(0.001)

    def end(self, *talks: Future[None]) -> list[str]:
        """Let everything end; what was said."""
        for wire in self.wires.values():
            wire.gate.release(1000)
        for talk in talks:
            talk.result(PATIENCE_S)
        return self.said


Opened = Callable[..., Scene]


@pytest.fixture
def opened() -> Iterator[Opened]:
    made: list[Scene] = []

    def make(**limits: Any) -> Scene:
        made.append(Scene(**limits))
        return made[-1]

    yield make
    for scene in made:
        for wire in scene.wires.values():
            wire.gate.release(1000)
        scene.pool.shutdown()


def test_a_relay_command_waits_for_the_exchange_in_hand_only(opened: Opened) -> None:
    """And keeps the line to its end; the reader goes on where it was."""
    scene = opened()
    reader = scene.talk("1", 3)
    relay = scene.talk("9", 2, Priority.RELAY)
    later = scene.talk("2", 1)
    assert scene.said == ["1"]
    scene.answer()
    scene.until(lambda: len(scene.said) == 2)
    assert scene.said == ["1", "9"]
    # the reader stands behind the other one of its priority now
    assert scene.end(reader, relay, later) == ["1", "9", "9", "2", "1", "1"]


def test_a_reader_keeps_its_turn_among_readers_and_a_relay_command_among_all(
    opened: Opened,
) -> None:
    scene = opened()
    one, two = scene.talk("1", 2), scene.talk("2", 2)
    assert scene.end(one, two) == ["1", "1", "2", "2"]
    scene = opened()
    talks = [scene.talk(str(n), 2, Priority.RELAY) for n in (1, 2)]
    assert scene.end(*talks) == ["1", "1", "2", "2"]


def test_a_look_goes_before_readings_and_behind_commands(opened: Opened) -> None:
    scene = opened()
    talks = [
        scene.talk("1", 1),
        scene.talk("4", 1, Priority.RETRY),
        scene.talk("3", 1),
        scene.talk("2", 2, Priority.ON_DEMAND),
        scene.talk("9", 1, Priority.RELAY),
    ]
    assert scene.end(*talks) == ["1", "9", "2", "2", "3", "4"]


def test_a_host_bears_so_many_lines_at_once(opened: Opened) -> None:
    scene = opened(limit=1)
    one = scene.talk("1", 2, line=ONE)
    two = scene.talk("2", 1, line=TWO)
    assert scene.said == ["1"]
    scene.answer(2, ONE)
    one.result(PATIENCE_S)
    scene.until(lambda: scene.said == ["1", "1", "2"])
    scene.end(two)
    wide = opened(limit=2)
    talks = [wide.talk("1", 1, line=ONE), wide.talk("2", 1, line=TWO)]
    assert wide.said == ["1", "2"]
    wide.end(*talks)


def test_a_relay_command_on_a_full_host_waits_for_one_exchange_of_another_line(
    opened: Opened,
) -> None:
    scene = opened(limit=1)
    reader = scene.talk("1", 3, line=ONE)
    relay = scene.talk("9", 2, Priority.RELAY, line=TWO)
    scene.answer(1, ONE)
    scene.until(lambda: scene.said == ["1", "9"])
    scene.answer(2, TWO)
    relay.result(PATIENCE_S)
    assert scene.end(reader) == ["1", "9", "9", "1", "1"]


def test_only_a_readers_first_request_is_not_repeated_into_silence(opened: Opened) -> None:
    scene = opened()
    scene.end(scene.talk("1", 2))
    assert scene.wires[ONE].silent_tries == [1, None]
    scene.wires[ONE].silent_tries.clear()
    scene.end(scene.talk("9", 2, Priority.RELAY))
    assert scene.wires[ONE].silent_tries == [None, None]


def test_a_line_that_rests_is_opened_for_a_relay_command(opened: Opened) -> None:
    scene = opened()
    scene.end(scene.talk("1", 1), scene.talk("2", 1, Priority.ON_DEMAND))
    assert scene.wires[ONE].woken == 0
    scene.end(scene.talk("9", 1, Priority.RELAY))
    assert scene.wires[ONE].woken == 1


def test_a_conversation_that_fails_gives_the_line_back(opened: Opened) -> None:
    scene = opened()
    reader = scene.talk("1", 2)
    scene.wires[ONE].is_silent = True
    with pytest.raises(NoReply):
        scene.end(reader)
    scene.wires[ONE].is_silent = False
    assert scene.end(scene.talk("2", 1)) == ["1", "2"]
    scene.lines.close()
    assert scene.wires[ONE].closed == 1


def test_one_wire_has_one_master_however_it_is_spelt() -> None:
    lines = Lines(b"key")
    with lines.taken("serial:/dev/a"):
        pass
    with lines.taken("serial:/dev/a:2400"):
        pass
    assert list(lines.counts()) == ["serial:/dev/a"]
    with pytest.raises(BadInput, match=r"has 2400 baud for another meter \(name it alike"):
        lines.taken("serial:/dev/a:9600").__enter__()
    with pytest.raises(BadInput, match="is no line"):
        lines.taken("nowhere").__enter__()


def test_a_scheduler_is_told_host_limit_tries_and_pause() -> None:
    book = LineBook({"tcp:h:1": {"tries": 3, "backoff_s": 0.5}}, {"h": 2})
    lines = Lines(b"key", book)
    assert lines.lane_of("tcp:h:1") == Lane(host="h", limit=2, tries=3, pause_ms=500)
    assert lines.lane_of("nowhere") == Lane(host="nowhere")


def test_the_line_has_the_installations_key_and_the_files_settings() -> None:
    book = LineBook({"tcp:h:1": {"baud": 2400}})
    lines = Lines(b"key", book)
    with lines.taken("tcp:h:1"):
        line = lines._owned["tcp:h:1"].line
    assert (line.settings.digest_key, line.settings.baud) == (b"key", 2400)


def test_metrics_tell_what_each_line_did(opened: Opened) -> None:
    scene = opened()
    scene.end(scene.talk("1", 1))
    found = scene.lines.counts()[ONE]
    assert 0 < found.held_s < PATIENCE_S
    registry = CollectorRegistry()
    registry.register(LineMetrics(lambda: {ONE: LineCounts(asked=3, answered=2, busy_s=1.5)}))
    text = generate_latest(registry).decode()
    assert 'gridledger_line_requests_total{line="tcp:h:1",outcome="asked"} 3.0' in text
    assert 'gridledger_line_requests_total{line="tcp:h:1",outcome="retried"} 0.0' in text
    assert 'gridledger_line_seconds_total{line="tcp:h:1",use="busy"} 1.5' in text

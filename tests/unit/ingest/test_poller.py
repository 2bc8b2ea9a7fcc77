"""The poller on the simulated log: what is slow, cut off or comes again, and what must not be lost.

A line is played by a gate: a meter answers when the test lets it. The broker's time is the test's,
so that a line is slower than the group's patience without anybody waiting for it.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import Aborted, Unavailable
from libs.events.record import Envelope, TopicPartition, envelope_headers
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimAdmin, SimLog, SimProducerPort
from services.ingest import poller as poller_module
from services.ingest.events import ReadFailed, ReadingOrdered, catalogue, edge_catalogue
from services.ingest.lines import Lane
from services.ingest.poller import GROUP, ORDERS, READINGS, Poller, run_poller
from services.ingest.reading_qgdw376 import Later, Waiting
from tests.unit.ingest.desk import at

pytestmark = pytest.mark.wide

MAX_POLL_MS = 10_000
PLACE = TopicPartition(ORDERS, 0)
PATIENCE_S = 5.0


def order(number: int, line: str = "tcp:one:1") -> ReadingOrdered:
    return ReadingOrdered(
        order_id=f"O{number}",
        usage_point=f"P{number}",
        meter_no=f"M{number}",
        protocol="dlt645_2007",
        line=line,
        address=f"{number:012d}",
        kind="daily_freeze",
        day_on="2026-02-01",
        attempt=1,
        registers=("1-0:1.8.0",),
        retry_at="",
    )


def outcome(order: ReadingOrdered, nth: int) -> ReadFailed:
    """What became of an order; `detail` tells which of its readings it is."""
    return ReadFailed(
        order_id=order.order_id,
        usage_point=order.usage_point,
        meter_no=order.meter_no,
        day_on=order.day_on,
        attempt=order.attempt,
        cause="refused",
        detail=str(nth),
        failed_at=at(1),
        frames=(),
    )


class Field:
    """A broker with the two topics, a poller, and meters that answer when they may."""

    def __init__(self, **limits: Any) -> None:
        self.broker = SimBroker(
            {ORDERS: 1, READINGS: 1},
            session_timeout_ms=2 * MAX_POLL_MS,
            max_poll_interval_ms=MAX_POLL_MS,
        )
        self.gates: dict[str, threading.Semaphore] = {}
        self.asked: list[str] = []
        self.before: list[tuple[str, ...]] = []
        self.failing: dict[str, str] = {}
        self.limits = limits
        self.poller = self.started()

    def started(self) -> Poller:
        """A poller of the one member: the next one takes its place over."""
        log = SimLog(self.broker, GROUP, f"{GROUP}-0", (ORDERS,))
        port = SimProducerPort(self.broker)
        producer = EdgeProducer(GROUP, edge_catalogue, port, lambda topic: 1)
        poller = Poller(log, producer, self.read, 4, **{"piece_s": 0.0, **self.limits})
        for _ in range(3):
            poller.step()
        return poller

    def read(
        self, order: ReadingOrdered, ordered_at: str, before: tuple[str, ...], waiting: Waiting
    ) -> ReadFailed:
        self.asked.append(order.order_id)
        self.before.append(before)
        self.gates.setdefault(order.line, threading.Semaphore(0)).acquire()
        found = outcome(order, self.asked.count(order.order_id))
        if order.order_id in self.failing:
            found = replace(found, cause=self.failing[order.order_id], frames=(*before, ">68"))
        return found

    def close(self) -> None:
        """Let every thread that waits for a meter end."""
        self.poller.close()
        for gate in self.gates.values():
            gate.release(100)

    def answer(self, count: int = 1, line: str = "tcp:one:1") -> None:
        """Let some meters of a line answer."""
        self.gates.setdefault(line, threading.Semaphore(0)).release(count)

    def give(self, *orders: ReadingOrdered, ordered_at: str = at(1)) -> None:
        for each in orders:
            kind = catalogue.type_of(each)
            name = f"{len(self.broker.topics[ORDERS][0].entries)}"
            envelope = Envelope(name, kind.full_name, "ingest", ordered_at, each.usage_point)
            self.broker.append(ORDERS, 0, b"P", encode(each), envelope_headers(envelope))

    def until(self, holds: Callable[[], bool]) -> None:
        """Turn until it holds."""
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, "it never held"
            self.poller.step()

    def bodies(self) -> list[Any]:
        """What is in the topic."""
        codec = Codec(edge_catalogue)
        records = self.broker.read(READINGS, 0, 0, 1000).records
        return [codec.decode(envelope_of(found.headers).type, found.value) for found in records]

    def readings(self) -> list[tuple[str, str]]:
        """The readings in the topic: order and which of its readings."""
        return [(body.order_id, body.detail) for body in self.bodies()]

    def committed(self) -> int:
        return SimAdmin(self.broker).committed(GROUP).get(PLACE, 0)


Opened = Callable[..., Field]


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Makes a field whose threads end with the test."""
    made: list[Field] = []

    def make(**limits: Any) -> Field:
        made.append(Field(**limits))
        return made[-1]

    yield make
    for field in made:
        field.close()


def test_a_line_slower_than_the_groups_patience_is_read_once_and_in_pieces(opened: Opened) -> None:
    field = opened()
    field.give(*(order(number) for number in range(6)))
    generation = field.poller.log.generation()
    for done in range(6):
        for _ in range(3):  # each meter takes one and a half times as long as the group waits
            field.poller.step()
            field.broker.advance(MAX_POLL_MS // 2)
        assert field.committed() == done
        field.answer()
        field.until(lambda done=done: field.committed() == done + 1)  # type: ignore[misc]
    assert field.poller.log.generation() == generation
    assert field.asked == [f"O{number}" for number in range(6)]
    assert field.readings() == [(f"O{number}", "1") for number in range(6)]


def test_an_offset_waits_for_the_reading_before_it(opened: Opened) -> None:
    """A slow line holds the offset, not the readings of the others."""
    field = opened()
    field.give(order(0), order(1, "tcp:two:1"), order(2, "tcp:two:1"))
    field.answer(2, "tcp:two:1")
    field.until(lambda: len(field.readings()) == 2)
    assert field.committed() == 0
    field.answer()
    field.until(lambda: field.committed() == 3)
    assert field.readings() == [("O1", "1"), ("O2", "1"), ("O0", "1")]


def test_other_lines_are_served_while_one_is_busy(opened: Opened) -> None:
    field = opened()
    field.give(order(0))
    field.until(lambda: field.asked == ["O0"])
    field.give(order(1, "tcp:two:1"))
    field.answer(1, "tcp:two:1")
    field.until(lambda: field.readings() == [("O1", "1")])


def test_no_more_orders_are_taken_than_the_window_holds(opened: Opened) -> None:
    field = opened(window=2)
    field.give(order(0), order(1), order(2, "tcp:two:1"))
    field.answer(1, "tcp:two:1")
    for _ in range(3):
        field.poller.step()
    assert field.asked == ["O0"]
    field.answer(2)
    field.until(lambda: field.committed() == 3)


def test_an_order_that_comes_again_keeps_its_reading(opened: Opened) -> None:
    """After a rebalance: neither what is read nor what is being read is asked for again."""
    field = opened()
    field.give(order(0), order(1, "tcp:two:1"))
    field.answer(1, "tcp:two:1")
    field.until(lambda: field.readings() == [("O1", "1")])
    field.broker.advance(3 * MAX_POLL_MS)  # frozen: the membership is lost
    generation = field.poller.generation
    field.until(lambda: field.poller.generation not in {-1, generation})
    field.answer()
    field.until(lambda: field.committed() == 2)
    assert field.asked == ["O0", "O1"] or field.asked == ["O1", "O0"]
    assert field.readings() == [("O1", "1"), ("O0", "1")]


def fail_once(field: Field, point: str, error: Exception) -> None:
    """The next call at a point of the log fails."""

    def strike(at_point: str, client: object) -> None:
        if at_point == point:
            field.broker.faults = None
            raise error

    field.broker.faults = strike


@pytest.mark.parametrize(
    ("point", "error"),
    [("commit.offsets", Aborted("no")), ("submit.before", Unavailable("gone"))],
)
def test_what_was_not_committed_is_committed_later_with_the_same_reading(
    opened: Opened, point: str, error: Exception
) -> None:
    field = opened()
    field.give(order(0))
    fail_once(field, point, error)
    field.answer()
    stopping = threading.Event()
    thread = threading.Thread(target=run_poller, args=(field.poller, stopping, "test"))
    thread.start()
    deadline = time.monotonic() + PATIENCE_S
    while field.committed() < 1 and time.monotonic() < deadline:
        time.sleep(0.01)
    stopping.set()
    thread.join(PATIENCE_S)
    assert field.committed() == 1
    assert field.readings() == [("O0", "1")]
    assert field.asked == ["O0"]


def test_what_is_not_an_order_is_passed(opened: Opened) -> None:
    field = opened()
    headers = envelope_headers(Envelope("x", "ingest.step_taken.v1", "ingest", at(1), ""))
    field.broker.append(ORDERS, 0, None, b"{}", headers)
    field.until(lambda: field.committed() == 1)
    assert field.readings() == []


def test_a_stop_keeps_what_is_read_and_the_rest_comes_again(opened: Opened) -> None:
    field = opened(piece_s=3600.0)
    field.give(order(0), order(1))
    field.answer()
    field.until(lambda: field.asked == ["O0", "O1"])
    assert field.readings() == []  # it waits for its piece
    field.poller.close()
    assert (field.readings(), field.committed()) == ([("O0", "1")], 1)
    field.answer()  # the order in hand ends, and nobody hears it
    field.poller = field.started()
    field.answer()
    field.until(lambda: field.committed() == 2)
    assert field.readings() == [("O0", "1"), ("O1", "2")]


def test_an_error_in_a_line_is_an_error_of_the_poller(opened: Opened) -> None:
    field = opened()

    def broken(
        order: ReadingOrdered, ordered_at: str, before: tuple[str, ...], waiting: Waiting
    ) -> ReadFailed:
        raise AssertionError("a bug")

    field.poller.read = broken
    field.give(order(0))
    with pytest.raises(AssertionError, match="a bug"):
        field.until(lambda: False)


def test_it_beats_while_a_line_works_and_not_when_it_never_comes_back(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    field = opened()
    field.give(order(0))
    field.until(lambda: field.asked == ["O0"])
    began = field.poller.heartbeat
    field.poller.beat()
    assert field.poller.heartbeat > began
    monkeypatch.setattr(poller_module, "ORDER_MAX_S", 0.0)
    last = field.poller.heartbeat
    field.poller.beat()
    assert field.poller.heartbeat == last
    field.answer()
    field.until(lambda: field.committed() == 1)
    field.poller.beat()
    assert field.poller.heartbeat > last


def one_host(limit: int, pause_ms: int = 1) -> Callable[[str], Lane]:
    """All lines belong to one concentrator."""
    return lambda line: Lane(host="one", limit=limit, tries=2, pause_ms=pause_ms)


@pytest.mark.parametrize("cause", ["no_reply", "line_down"])
def test_who_says_nothing_is_asked_again_behind_the_others_and_once(
    opened: Opened, cause: str
) -> None:
    field = opened(lane_of=one_host(4))
    field.failing["O0"] = cause
    field.give(*(order(number) for number in range(4)))
    field.answer(5)
    field.until(lambda: field.committed() == 4)
    assert field.asked == ["O0", "O1", "O2", "O3", "O0"]
    assert field.before == [(), (), (), (), (">68",)]
    assert sorted(field.readings()) == [("O0", "2"), ("O1", "1"), ("O2", "1"), ("O3", "1")]


@pytest.mark.parametrize("protocol", ["dlt645_2007", "qgdw376"])
def test_a_dead_meter_costs_its_line_as_many_tries_however_many_days_are_missing(
    opened: Opened, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not so behind a concentrator, which may hold one day and not the other."""
    monkeypatch.setattr(poller_module, "lane_name", lambda protocol, line, address: line)
    field = opened(lane_of=one_host(4))
    days = [
        replace(order(number), meter_no="M9", protocol=protocol, day_on=f"2026-02-0{number}")
        for number in range(1, 5)
    ]
    field.failing = {day.order_id: "no_reply" for day in days}
    field.give(*days, order(5))
    field.answer(9)
    field.until(lambda: field.committed() == 5)
    if protocol == "qgdw376":
        assert Counter(field.asked) == {"O1": 2, "O2": 2, "O3": 2, "O4": 2, "O5": 1}
        return
    assert field.asked == ["O1", "O5", "O1"]
    failed = field.bodies()
    assert sorted((b.order_id, b.day_on, len(b.frames)) for b in failed if b.meter_no == "M9") == [
        ("O1", "2026-02-01", 2),
        ("O2", "2026-02-02", 0),
        ("O3", "2026-02-03", 0),
        ("O4", "2026-02-04", 0),
    ]


def test_a_silent_meter_is_asked_again_for_what_is_ordered_later_and_once_it_answered(
    opened: Opened,
) -> None:
    field = opened(lane_of=one_host(4))
    first, second, third, fourth = (replace(order(n), meter_no="M9") for n in (1, 2, 3, 4))
    field.failing = {"O1": "no_reply", "O4": "no_reply"}
    field.answer(20)
    field.give(first)
    field.until(lambda: field.committed() == 1)
    field.give(second, ordered_at=at(2))
    field.until(lambda: field.committed() == 2)
    field.give(third, ordered_at=at(1))
    field.until(lambda: field.committed() == 3)
    field.give(fourth, ordered_at=at(1))
    field.until(lambda: field.committed() == 4)
    assert field.asked == ["O1", "O1", "O2", "O3", "O4", "O4"]


def test_a_day_that_is_ordered_again_goes_behind_first_attempts(opened: Opened) -> None:
    field = opened()
    field.give(order(0))
    field.until(lambda: field.asked == ["O0"])
    field.give(replace(order(1), attempt=2), order(2), order(3))
    field.until(lambda: len(field.poller._tasks) == 4)
    field.answer(4)
    field.until(lambda: field.committed() == 4)
    assert field.asked == ["O0", "O2", "O3", "O1"]


def test_any_other_failure_is_told_at_once(opened: Opened) -> None:
    field = opened(lane_of=one_host(4))
    field.failing["O0"] = "bad_reply"
    field.give(order(0), order(1))
    field.answer(2)
    field.until(lambda: field.committed() == 2)
    assert field.asked == ["O0", "O1"]


def test_a_pause_occupies_no_thread_and_is_over_with_the_poller(opened: Opened) -> None:
    field = opened(lane_of=one_host(4, pause_ms=3_600_000))
    field.failing["O0"] = "no_reply"
    field.give(order(0))
    field.answer(1)
    field.until(lambda: field.asked == ["O0"] and field.poller._queues["tcp:one:1"].turn is None)
    field.give(order(1))  # others go on meanwhile
    field.answer(1)
    field.until(lambda: field.readings() == [("O1", "1")])
    field.poller.close()
    assert field.committed() == 0
    field.poller = field.started()
    field.failing.clear()
    field.answer(2)
    field.until(lambda: field.committed() == 2)
    assert field.readings() == [("O1", "1"), ("O0", "2"), ("O1", "2")]


def test_of_one_host_no_more_lines_are_busy_than_it_bears_and_they_take_turns(
    opened: Opened,
) -> None:
    field = opened(lane_of=one_host(1))
    field.give(*(order(number, f"tcp:one:{number % 2}") for number in range(4)))
    for line in ("tcp:one:0", "tcp:one:1"):
        field.gates[line] = threading.Semaphore(0)
    field.until(lambda: len(field.asked) == 1)
    for _ in range(5):
        field.poller.step()
    assert field.asked == ["O0"]
    for number in range(4):
        field.answer(1, f"tcp:one:{number % 2}")
        field.until(lambda number=number: len(field.readings()) == number + 1)  # type: ignore[misc]
    assert field.asked == ["O0", "O1", "O2", "O3"]


def test_what_a_concentrator_lacks_waits_behind_what_it_was_not_asked_for(opened: Opened) -> None:
    """A gap goes behind every order of the line; the orders that wait are told to who reads."""
    field = opened()
    heard: list[tuple[str, tuple[str, ...], int]] = []

    def read(
        order: ReadingOrdered, ordered_at: str, before: tuple[str, ...], waiting: Waiting
    ) -> ReadFailed | Later:
        heard.append((order.order_id, before, len(waiting())))
        if order.order_id == "O0" and not before:
            return Later(("<68",))
        return outcome(order, len(heard))

    field.poller.read = read
    behind = [
        replace(order(n), protocol="qgdw376", address=f"0200-0001/{n + 1}/{n:012d}")
        for n in range(3)
    ]
    field.give(*behind)
    field.until(lambda: field.committed() == 3)
    assert [name for name, _, _ in heard] == ["O0", "O1", "O2", "O0"]
    assert heard[0][2] == 2
    assert heard[3][1:] == (("<68",), 0)
    assert {name for name, _ in field.readings()} == {"O0", "O1", "O2"}

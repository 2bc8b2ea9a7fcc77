"""Carries out the orders to read: lines in parallel, one meter of a line after another.

    poll -> a queue per line -> threads read -> every few seconds: readings acknowledged, then
    the offsets of what is read moved

A meter that says nothing, and one whose line is broken, is tried again after a pause and behind
the meters of its line that nobody has asked yet; so are days that the core orders again. When it
said nothing, what else was ordered of it at that instant waits for the next try and, when that is
the last one in vain, fails with it: however many days are missing, a dead meter costs its line the
same few time-outs. Of one
host no more lines are busy than it can bear; they take turns then. A concentrator is one line for
all its meters; what it has not frozen waits behind what it may have.

The poller's own thread talks to Kafka alone and never waits for a meter: whoever does not poll is
put out of the group, and its orders come again for ever. An offset moves only when its order, and
every one before it in the partition, has a reading that the broker acknowledged. What comes again
after a rebalance or an abort is recognised by its place in the topic: it is not read a second
time, and keeps its reading's id. Only after a restart is an order carried out twice, which is one
reading more, and validation recognises it.

    poller = Poller(log, producer, read, threads=64, lane_of=lines.lane_of)
    run_poller(poller, stopping, "ingest.edge")
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from libs.events.codec import Codec, envelope_of
from libs.events.edge import EdgeProducer
from libs.events.errors import Aborted, Unavailable
from libs.events.log import Log
from libs.events.record import Record, TopicPartition
from libs.events.registry import Catalogue
from libs.events.telemetry import logger
from services.ingest.behind import QGDW376, lane_name
from services.ingest.events import ReadFailed, ReadingOrdered
from services.ingest.line_queue import LineQueue, Priority
from services.ingest.lines import TRIED_AGAIN, Lane
from services.ingest.reading import Outcome
from services.ingest.reading_qgdw376 import Later, Waiting

ORDERS = "ingest.events"
READINGS = "ingest.readings"
GROUP = "ingest.edge"
_ORDER_TYPES = frozenset({"ingest.reading_ordered"})

WINDOW = 400
"""How many orders are taken and not committed at most: so much is read again after a crash, and so
far a slow line may fall behind before the others wait for it."""

PIECE_S = 5.0
"""How long a finished reading waits for others before it is written and its offset moves. With
nothing left to read it does not wait."""

ORDER_MAX_S = 600.0
"""After how long with one order a line counts as hung, its wait for relay commands included."""

WAIT_S = 0.1

reader_catalogue = Catalogue(GROUP)
reader_catalogue.reads("ingest.reading_ordered")(ReadingOrdered)

Read = Callable[[ReadingOrdered, str, tuple[str, ...], Waiting], Outcome | Later]
"""Carries out an order given at an instant, with the frames of the tries before; asks, if it can
use them, for the other orders that wait for the same line."""


def _lane(line: str) -> Lane:
    return Lane(host=line)


@dataclass(slots=True, eq=False)
class Task:
    """One record on its way: taken, read, acknowledged. order: None when it orders nothing;
    tries: how often it was read in vain, `frames` what passed the wire then."""

    order: ReadingOrdered | None
    ordered_at: str
    outcome: Outcome | None = None
    is_acknowledged: bool = False
    is_void: bool = False
    tries: int = 0
    frames: tuple[str, ...] = ()

    @property
    def is_read(self) -> bool:
        """Whether no line is needed any more."""
        return self.outcome is not None or self.is_acknowledged or self.is_void


@dataclass(frozen=True, slots=True)
class _Silence:
    """A meter that said nothing: the task that found it so, and what came of that last."""

    task: Task
    failure: ReadFailed


@dataclass(slots=True, eq=False)
class _Queue:
    """The orders of one line, and since when it is busy with the one it has in hand.

    guard: of `waiting`, which the poller's thread fills and the line's thread empties; silent: its
    meters that said nothing, by number, known to the line's thread alone.
    """

    lane: Lane
    waiting: LineQueue[Task] = field(default_factory=LineQueue)
    silent: dict[str, _Silence] = field(default_factory=dict)
    guard: threading.Lock = field(default_factory=threading.Lock)
    since: float | None = None
    turn: Future[None] | None = None

    def give(self, task: Task, priority: Priority, pause_ms: int = 0) -> None:
        """Let a task wait for the line."""
        with self.guard:
            self.waiting.join(task, priority, _now_ms(), pause_ms)

    def take(self) -> Task | None:
        """The next task; None when there is none yet."""
        with self.guard:
            return self.waiting.take(_now_ms())

    def orders(self) -> tuple[ReadingOrdered, ...]:
        """All that wait for the line."""
        with self.guard:
            tasks = list(self.waiting)
        return tuple(task.order for task in tasks if task.order is not None and not task.is_void)

    def is_ready(self) -> bool:
        """Whether the line could begin with a task now."""
        with self.guard:
            return self.waiting.is_ready(_now_ms())

    def silence_of(self, task: Task) -> _Silence | None:
        """What another task, ordered at the same instant, found of the meter; None when it has to
        be asked. What is ordered later is asked again, however soon that is."""
        assert task.order is not None
        found = self.silent.get(task.order.meter_no)
        if found is None or found.task is task or found.task.is_void:
            return None
        return found if found.task.ordered_at == task.ordered_at else None

    def note(self, task: Task, found: Outcome) -> None:
        """What a meter of the line said. What a concentrator holds of one day says nothing of the
        meter's other days."""
        assert task.order is not None
        self.silent.pop(task.order.meter_no, None)
        is_forwarded = task.order.protocol == QGDW376
        if isinstance(found, ReadFailed) and found.cause == "no_reply" and not is_forwarded:
            self.silent[task.order.meter_no] = _Silence(task, found)


def _unasked(order: ReadingOrdered, frames: tuple[str, ...], failure: ReadFailed) -> ReadFailed:
    """The outcome of an order to a meter that said nothing in all tries of another order."""
    return replace(
        failure,
        order_id=order.order_id,
        day_on=order.day_on,
        attempt=order.attempt,
        frames=frames,
    )


def _line_of(order: ReadingOrdered) -> str:
    return lane_name(order.protocol, order.line, order.address)


def _now_ms() -> int:
    return int(time.monotonic() * 1000)


class Poller:
    """One member of the orders' group. `step` belongs to one thread; `read` runs in others."""

    def __init__(
        self,
        log: Log,
        producer: EdgeProducer,
        read: Read,
        threads: int,
        window: int = WINDOW,
        piece_s: float = PIECE_S,
        lane_of: Callable[[str], Lane] = _lane,
    ) -> None:
        self.log, self.producer, self.read = log, producer, read
        self.window, self.piece_s, self.lane_of = window, piece_s, lane_of
        self.codec = Codec(reader_catalogue)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="line")
        self.generation = -1
        self.heartbeat = time.monotonic()
        self._queues: dict[str, _Queue] = {}
        self._tasks: dict[tuple[TopicPartition, int], Task] = {}
        self._taken: dict[TopicPartition, deque[tuple[int, Task]]] = {}
        self._settled_at = time.monotonic()
        self._rested = threading.Event()
        self._stopping = False
        self._crowded: frozenset[str] = frozenset()

    def step(self) -> None:
        """One turn, never longer than a few calls of the log: whatever the lines are doing."""
        is_busy = self._is_busy()
        if is_busy:
            self._rested.wait(WAIT_S)
            self._rested.clear()
        room = self.window - sum(len(taken) for taken in self._taken.values())
        records = self.log.poll(max(room, 0), 0.0 if is_busy else WAIT_S)
        if self.log.generation() != self.generation:
            self._start_partitions()
            return
        self._take(records)
        self._start_lines()
        if not self._is_busy() or time.monotonic() - self._settled_at >= self.piece_s:
            self._settle()

    def beat(self) -> None:
        """Say that the poller lives; not while a line does not come back from one order."""
        now = time.monotonic()
        begun = [queue.since for queue in self._queues.values()]
        if all(since is None or now - since < ORDER_MAX_S for since in begun):
            self.heartbeat = now

    def close(self) -> None:
        """Keep what is read and leave; the orders in hand and behind them come again."""
        self._stopping = True
        self.pool.shutdown(wait=False, cancel_futures=True)
        try:
            if self.log.generation() == self.generation:
                self._settle()
        except Unavailable:
            pass  # they are read again
        self.log.close()

    def _is_busy(self) -> bool:
        return any(not task.is_read for task in self._tasks.values())

    def _start_partitions(self) -> None:
        """Everything from the committed offsets on comes again, and meets the task that it has."""
        self.generation = self.log.generation()
        self._taken.clear()
        for partition in sorted(self.log.assigned()):
            found = self.log.stable_offsets(partition).get(ORDERS) or 0
            place = TopicPartition(ORDERS, partition)
            for tp, offset in [key for key in self._tasks if key[0] == place and key[1] < found]:
                self._tasks.pop((tp, offset)).is_void = True
            self.log.start(partition, {ORDERS: found})

    def _take(self, records: Sequence[Record]) -> None:
        for record in records:
            place = TopicPartition(record.topic, record.partition)
            task = self._tasks.get((place, record.offset))
            if task is None:
                task = self._tasks[place, record.offset] = self._task_of(record)
                if task.order is not None:
                    is_first = task.order.attempt == 1
                    priority = Priority.SCHEDULED if is_first else Priority.RETRY
                    self._queue_of(_line_of(task.order)).give(task, priority)
            self._taken.setdefault(place, deque()).append((record.offset, task))

    def _queue_of(self, line: str) -> _Queue:
        queue = self._queues.get(line)
        if queue is None:
            queue = self._queues[line] = _Queue(self.lane_of(line))
        return queue

    def _task_of(self, record: Record) -> Task:
        envelope = envelope_of(record.headers)
        if envelope.type.rpartition(".v")[0] not in _ORDER_TYPES:
            return Task(None, envelope.time, is_acknowledged=True)
        return Task(self.codec.decode(envelope.type, record.value), envelope.time)

    def _start_lines(self) -> None:
        """Begin with every line that has something to do, as many of a host as it can bear."""
        held: Counter[str] = Counter()
        for queue in self._queues.values():
            if queue.turn is not None and queue.turn.done():
                queue.turn.result()  # an error in there is a bug, and ends the process
                queue.turn = None
            held[queue.lane.host] += queue.turn is not None
        crowded = set()
        for line, queue in list(self._queues.items()):
            if queue.turn is not None or not queue.is_ready():
                continue
            host = queue.lane.host
            if held[host] >= queue.lane.limit:
                crowded.add(host)
                continue
            held[host] += 1
            queue.turn = self.pool.submit(self._read_line, queue)
            self._queues[line] = self._queues.pop(line)  # who had a turn goes behind the others
        self._crowded = frozenset(crowded)

    def _read_line(self, queue: _Queue) -> None:
        """One meter after another; in a thread of the pool. One meter only while other lines of
        the host wait."""
        try:
            while not self._stopping and (task := queue.take()) is not None:
                if not task.is_void:
                    self._read(task, queue)
                if queue.lane.host in self._crowded:
                    return
        finally:
            queue.since = None
            self._rested.set()

    def _read(self, task: Task, queue: _Queue) -> None:
        assert task.order is not None
        queue.since = time.monotonic()
        silence = queue.silence_of(task)
        if silence is not None and silence.task.outcome is None:
            queue.give(task, Priority.RETRY, queue.lane.pause_ms)
            return
        if silence is not None:
            task.outcome = _unasked(task.order, task.frames, silence.failure)
            return
        found = self.read(task.order, task.ordered_at, task.frames, queue.orders)
        if isinstance(found, Later):
            task.frames = found.frames
            queue.give(task, Priority.RETRY)
            return
        task.tries += 1
        queue.note(task, found)
        if (
            isinstance(found, ReadFailed)
            and found.cause in TRIED_AGAIN
            and task.tries < queue.lane.tries
        ):
            task.frames = found.frames
            pause_ms = queue.lane.pause_ms * 2 ** (task.tries - 1)
            queue.give(task, Priority.RETRY, pause_ms)
        else:
            task.outcome = found

    def _settle(self) -> None:
        """Write what was read; when it is acknowledged, move the offsets up to the first gap."""
        self._settled_at = time.monotonic()
        read = [(t, t.outcome) for t in self._tasks.values() if t.outcome and not t.is_acknowledged]
        if read:
            self.producer.append_many(
                [self.producer.outgoing(READINGS, found.usage_point, found) for _, found in read]
            )
            for task, _ in read:
                task.is_acknowledged = True
        positions: dict[TopicPartition, int] = {}
        for place, taken in self._taken.items():
            for offset, task in taken:
                if not task.is_acknowledged:
                    break
                positions[place] = offset + 1
        if not positions:
            return
        try:
            self.log.commit([], positions)
        except Aborted:
            self.generation = -1  # they come again, and are committed then
            return
        for place, position in positions.items():
            taken = self._taken[place]
            while taken and taken[0][0] < position:
                del self._tasks[place, taken.popleft()[0]]


def run_poller(poller: Poller, stopping: threading.Event, name: str) -> None:
    """Poll until told to stop; any other end takes the whole process with it (crash-only)."""
    log = logger(name)
    try:
        while not stopping.is_set():
            try:
                poller.step()
            except Unavailable as reason:
                log.warning("the broker does not answer", reason=str(reason))
                poller.generation = -1
                stopping.wait(WAIT_S)
            poller.beat()
        poller.close()
    except BaseException as reason:
        log.error("the poller ended", reason=f"{type(reason).__name__}: {reason}")
        os._exit(70)

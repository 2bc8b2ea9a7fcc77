"""The simulation driver: many members of many cores over a SimBroker, one thread, one seed.

It steps workers in seeded order, crashes them before and after every port call, lets commits have
unknown outcomes, freezes members past their time-outs, deletes and ages checkpoints, and appends
inputs whenever it likes. `finish` turns faults off and runs until nothing moves; the laws
(laws.py) are checked then. A failing seed is repeated by running the same seed again.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from sqlalchemy import text

from libs.events.batch import Bounds
from libs.events.checkpoint import CheckpointStore, open_engine
from libs.events.core import Core
from libs.events.errors import Aborted, Fenced, Unavailable, Unknown
from libs.events.loop import Limits, Loop
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.recovery import Patience
from libs.events.registry import Catalogue
from libs.events.telemetry import Telemetry
from libs.events.testing.simbroker import SimBroker, SimCrash
from libs.events.testing.simlog import SimLog

STALLS = ("commit.before", "commit.appended", "commit.offsets")
"""Where a long pause of a process makes a zombie. Effects add points of their own around the wire:
whatever touches the world calls `log.pass_fault(point)`."""


@dataclass(slots=True)
class Faults:
    """How often what goes wrong, per port call or per turn."""

    crash: float = 0.01
    unknown: float = 0.02
    abort: float = 0.01
    freeze: float = 0.002
    stall: float = 0.01
    lose_checkpoints: float = 0.003
    age_checkpoints: float = 0.003
    database_down: float = 0.003
    broker_down: float = 0.002


@dataclass(slots=True)
class Worker:
    """One member: how to make it, its metrics, and the loop while it lives."""

    core: Core
    member: str
    telemetry: Telemetry
    loop: Loop | None = None
    frozen_until: int = 0

    @property
    def log(self) -> SimLog:
        """The live loop's log."""
        assert self.loop is not None
        assert isinstance(self.loop.log, SimLog)
        return self.loop.log


@dataclass(slots=True)
class Simulation:
    """A seeded run. Subclass-free: give it cores, feed inputs, call `run` and `finish`."""

    seed: int
    cores: tuple[Core, ...]
    partitions: int = 2
    members: int = 2
    topics: tuple[str, ...] = ()
    faults: Faults = field(default_factory=Faults)
    loop_type: Callable[..., Loop] = Loop
    stalls: tuple[str, ...] = STALLS
    bounds: Bounds | None = None
    random: random.Random = field(init=False)
    broker: SimBroker = field(init=False)
    workers: list[Worker] = field(init=False)
    counts: dict[str, int] = field(init=False)
    stopped: set[str] = field(default_factory=set, init=False)
    """Members that take no turn until they are taken out again, faults or not."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        names = set(self.topics)
        for core in self.cores:
            names |= {core.own_topic, core.dlq_topic, *core.inputs}
        self.broker = SimBroker(
            dict.fromkeys(sorted(names), self.partitions),
            seed=self.seed,
            # A dead member's transaction may end before or after its partitions move on.
            transaction_timeout_ms=self.random.choice((10_000, 25_000)),
            session_timeout_ms=self.random.choice((6_000, 15_000)),
            max_poll_interval_ms=40_000,
            delay_markers=self.random.random() < 0.5,
        )
        self.broker.faults = self._fault
        self.engine = open_engine("sqlite://")
        self.store = CheckpointStore(self.engine)
        self.workers = [
            Worker(core, f"{core.name}-{ordinal}", Telemetry(core.name))
            for core in self.cores
            for ordinal in range(self.members)
        ]
        self.counts = {}
        self.calm = False

    engine: object = field(init=False, default=None)
    store: CheckpointStore = field(init=False)
    calm: bool = field(init=False, default=False)
    _stalled: bool = field(init=False, default=False)

    # -- inputs -----------------------------------------------------------------------------

    def feed(self, catalogue: Catalogue, topic: str, key: str, body: object, index: int) -> int:
        """Append one input as an edge would; its offset, which is the ack."""
        from libs.events.codec import encode

        kind = catalogue.type_of(body)
        envelope = Envelope(
            id=f"edge/{index}",
            type=kind.full_name,
            source=catalogue.owner,
            time="2026-01-01T00:00:00Z",
            subject=key,
        )
        partition = partition_of(key, self.partitions)
        return self.append(topic, partition, key.encode(), encode(body), envelope_headers(envelope))

    def append(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: tuple[tuple[str, bytes], ...],
    ) -> int:
        """Append bytes, with offsets lost to other producers in between; their offset."""
        if self.random.random() < 0.2:
            self.broker.fill(topic, partition, self.random.randrange(1, 3))
        return self.broker.append(topic, partition, key, value, headers)

    # -- running ----------------------------------------------------------------------------

    def run(self, turns: int) -> None:
        """Let `turns` turns pass, with faults."""
        for _ in range(turns):
            self._disturb()
            self.turn()

    def turn(self) -> bool:
        """One worker's turn; whether it did something."""
        worker = self.random.choice(self.workers)
        self.broker.advance(self.random.choice((1, 10, 100, 1000)))
        if self.random.random() < 0.5:
            self.broker.step()
        return self._step(worker)

    def relieve(self, core: Core) -> None:
        """Another release of a core takes over: its members end and start again with it."""
        for worker in self.workers:
            if worker.core.name == core.name:
                if worker.loop is not None:
                    worker.log.kill()
                worker.loop, worker.core = None, core

    def finish(self, turns_max: int = 4000) -> None:
        """No more faults: run until nothing moves; AssertionError when it never settles.

        Who is stopped stays so, and what only they could take is not waited for.
        """
        self.calm = True
        self.broker.down = False
        for worker in self.workers:
            if worker.member in self.stopped:
                continue
            worker.frozen_until = 0
            if worker.loop is not None:
                worker.log.frozen = False
        quiet = 0
        for _ in range(turns_max):
            self.broker.advance(200)
            self.broker.settle()
            moved = [self._step(worker) for worker in self.workers]
            quiet = 0 if any(moved) or self._lags() else quiet + 1
            if quiet > 3:
                return
        raise AssertionError(f"seed {self.seed}: the system never came to rest")

    def _step(self, worker: Worker) -> bool:
        if worker.member in self.stopped or worker.frozen_until > self.broker.now_ms:
            return False
        try:
            if worker.loop is None:
                worker.loop = self._start(worker)
            worker.log.frozen = False
            return worker.loop.step()
        except (SimCrash, Fenced, Unknown) as reason:
            self._count(type(reason).__name__)
            if worker.loop is not None:
                worker.log.kill()
            worker.loop = None
            if not self.calm:
                worker.frozen_until = self.broker.now_ms + self.random.choice((0, 0, 3_000, 12_000))
            return True
        except Unavailable:
            return False

    def _start(self, worker: Worker) -> Loop:
        log = SimLog(self.broker, worker.core.name, worker.member, worker.core.inputs)
        return self.loop_type(
            worker.core,
            log,
            self.store,
            lambda topic: self.partitions,
            limits=Limits(
                batch=self.bounds or self._bounds(),
                poll_s=0.0,
                linger_max_s=0.0,
                recovery_slice_s=0.05,
                checkpoint_s=2.0,
                checkpoint_keys=self.random.choice((1, 3, 1000)),
            ),
            patience=Patience(open_transaction_s=60.0),
            now=lambda: self.broker.now_ms / 1000,
            telemetry=worker.telemetry,
        )

    def _bounds(self) -> Bounds:
        return Bounds(
            inputs_max=self.random.choice((1, 3, 20)), outgoing_max=self.random.choice((2, 5, 50))
        )

    def _lags(self) -> bool:
        for core in self.cores:
            if all(w.member in self.stopped for w in self.workers if w.core.name == core.name):
                continue
            offsets = self.broker.group(core.name).offsets
            for topic in core.inputs:
                for number, partition in enumerate(self.broker.topics[topic]):
                    if partition.visible(offsets.get((topic, number), 0)) is not None:  # type: ignore[call-overload]
                        return True
        return False

    # -- what goes wrong --------------------------------------------------------------------

    def _fault(self, point: str, client: object) -> None:
        if self.calm:
            return
        roll = self.random.random()
        if roll < self.faults.crash:
            raise SimCrash(point)
        if point in self.stalls and not self._stalled and self.random.random() < self.faults.stall:
            self._stall(client)
        if point in ("commit.offsets", "commit.after") and self.random.random() < (
            self.faults.unknown
        ):
            raise Unknown(point)
        if point == "commit.offsets" and self.random.random() < self.faults.abort:
            raise Aborted(point)

    def _stall(self, client: object) -> None:
        """The member stops inside its commit while the others go on, and wakes as a zombie."""
        self._count("stall")
        stalled = [w for w in self.workers if w.loop is not None and w.loop.log is client]
        others = [worker for worker in self.workers if worker not in stalled]
        if not others or not stalled:
            return
        self._stalled = True
        log = stalled[0].log
        log.frozen = True
        for _ in range(self.random.choice((10, 60))):
            self.broker.advance(1_000)
            if self.random.random() < 0.5:
                self.broker.step()
            self._step(self.random.choice(others))
        log.frozen = False
        self._stalled = False

    def _disturb(self) -> None:
        roll = self.random.random
        if roll() < self.faults.freeze:
            worker = self.random.choice(self.workers)
            worker.frozen_until = self.broker.now_ms + self.random.choice((5_000, 30_000))
            if worker.loop is not None:
                worker.log.frozen = True
            self._count("freeze")
        if roll() < self.faults.lose_checkpoints:
            self._sql("DELETE FROM checkpoint_standing")
            self._sql("DELETE FROM checkpoint_row")
            self._count("lose_checkpoints")
        self.broker.down = roll() < self.faults.broker_down

    def _sql(self, statement: str) -> None:
        with self.store.engine.begin() as connection:
            connection.execute(text(statement))

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1

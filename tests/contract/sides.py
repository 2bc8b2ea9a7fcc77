"""One side of the differential test: a world, and the operations that both sides are asked to do.

Every operation gives what came of it as plain data, an error as the name of its class; `state` is
all that can be seen from outside. Two sides are alike when both agree after every operation.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place
from confluent_kafka.admin import OffsetSpec

from libs.events.errors import Aborted, LogError, Refused, Unavailable
from libs.events.log import Bounds, Log
from libs.events.record import TopicPartition
from tests.contract.worlds import HalfOpen, KafkaWorld, SimWorld

PARTITIONS = 2
State = dict[str, Any]
Outcome = tuple[Any, ...]


class Side:
    """Operations common to both; `m` names a member, `x` a bare producer, `p` a partition."""

    def __init__(self, world: SimWorld | KafkaWorld) -> None:
        self.world = world
        self.inp, self.own = world.topics({"in": PARTITIONS, "own": PARTITIONS})
        self.logs: dict[str, Log] = {}
        self.zombies: dict[str, Log] = {}
        self.halves: dict[str, HalfOpen] = {}
        self.former: dict[str, HalfOpen] = {}

    def do(self, operation: Outcome, expected: Outcome | None = None) -> Outcome:
        """One operation; `expected` is what the other side saw, for waiting, never for judging."""
        name, *arguments = operation
        try:
            return ("done", getattr(self, name)(*arguments))
        except (LogError, Refused) as reason:
            return (type(reason).__name__,)

    # --- records and bare producers -------------------------------------------------------------

    def append(self, p: int, value: bytes) -> None:
        self.world.append(self.inp, p, value)

    def take_over(self, x: str) -> None:
        if x in self.halves:
            self.former[x] = self.halves[x]
        self.halves[x] = self.world.half_open(x)

    def open(self, x: str, topic: str, p: int, value: bytes) -> None:
        self.halves[x].append(getattr(self, topic), p, value)

    def offsets(self, x: str, m: str, p: int, offset: int) -> None:
        self._send(self.halves[x], self.logs[m], p, offset)

    def stale_offsets(self, x: str, m: str, p: int, offset: int) -> None:
        """Offsets sent in the name of a member that was replaced."""
        self._send(self.halves[x], self.zombies[m], p, offset)

    def _send(self, half: HalfOpen, log: Log, p: int, offset: int) -> None:
        try:
            half.send_offsets(log, {TopicPartition(self.inp, p): offset})
        except Aborted:
            half.abort()  # nothing else is possible then
            raise

    def end(self, x: str, commit: bool) -> None:
        if commit:
            self.halves[x].commit()
        else:
            self.halves[x].abort()

    def drop(self, x: str) -> None:
        self.halves.pop(x).kill()

    def late(self, x: str, p: int, value: bytes) -> None:
        self.former[x].append(self.own, p, value)

    def late_end(self, x: str) -> None:
        self.former[x].commit()

    def trim(self, p: int, low: int) -> None:
        self.world.trim(self.inp, p, low)

    # --- members --------------------------------------------------------------------------------

    def join(self, m: str) -> None:
        if m in self.logs:
            self.zombies[m] = self.logs[m]
        self.logs[m] = self.world.log(m, [self.inp])

    def kill(self, m: str) -> None:
        self.world.kill(self.logs.pop(m))

    def close(self, m: str) -> None:
        self.logs.pop(m).close()

    def commit(self, m: str, p: int, offset: int, values: tuple[bytes, ...]) -> Outcome:
        return self._commit(self.logs[m], p, offset, values)

    def zombie_commit(self, m: str, p: int, offset: int, values: tuple[bytes, ...]) -> Outcome:
        return self._commit(self.zombies[m], p, offset, values)

    def _commit(self, log: Log, p: int, offset: int, values: tuple[bytes, ...]) -> Outcome:
        outgoing = [self.world.out(self.own, p, value) for value in values]
        ends = log.commit(outgoing, {TopicPartition(self.inp, p): offset})
        return tuple(sorted((tp.partition, end) for tp, end in ends.items()))

    def deliver(self, m: str) -> Outcome:
        """Everything from the stable offsets on, per partition."""
        log = self.logs[m]
        for p in sorted(log.assigned()):
            low = log.bounds(self.inp, p).low
            log.start(p, {self.inp: max(log.stable_offsets(p)[self.inp] or 0, low)})
        got: dict[int, list[tuple[int, bytes]]] = {p: [] for p in log.assigned()}
        for record in self.poll_all(log):
            got[record.partition].append((record.offset, record.value))
        for p in log.assigned():
            log.pause(p)
        return tuple(sorted((p, tuple(records)) for p, records in got.items()))

    def poll_all(self, log: Log) -> list[Any]:
        raise NotImplementedError

    def pass_time(self, ms: int, polling: bool) -> None:
        """Let time pass; members poll meanwhile, or nobody does."""
        for _ in range(20):
            if polling:
                self.poll_members()
            self.world.wait(ms // 20)

    def poll_members(self) -> None:
        for log in self.logs.values():
            log.poll(0, 0.0)

    def assigned(self) -> dict[str, list[int]]:
        return {m: sorted(log.assigned()) for m, log in self.logs.items()}

    def places(self) -> list[tuple[str, int]]:
        return [(topic, p) for topic in ("in", "own") for p in range(PARTITIONS)]

    def topic(self, short: str) -> str:
        return self.inp if short == "in" else self.own


class SimSide(Side):
    world: SimWorld

    def settle(self) -> None:
        for _ in range(4):
            self.poll_members()

    def poll_all(self, log: Log) -> list[Any]:
        return log.poll(1_000, 0.0)

    def zombie_poll(self, m: str) -> None:
        self.zombies[m].poll(0, 0.0)

    def state(self) -> State:
        broker = self.world.broker
        found: State = {"assigned": self.assigned()}
        for short, p in self.places():
            bounds = broker.bounds(self.topic(short), p)
            records = broker.read(self.topic(short), p, bounds.low, 1_000).records
            found[f"{short}/{p}"] = (bounds, [(r.offset, r.value) for r in records])
        for p in range(PARTITIONS):
            tp = TopicPartition(self.inp, p)
            try:
                found[f"offset/{p}"] = broker.stable_offsets(self.world.name("group"), [tp])[tp]
            except Unavailable:
                found[f"offset/{p}"] = "pending"
        return found


class KafkaSide(Side):
    world: KafkaWorld

    def __init__(self, world: KafkaWorld) -> None:
        super().__init__(world)
        self.wanted = 0
        self.seen: dict[tuple[str, int], tuple[Bounds, list[tuple[int, bytes]]]] = {}

    def do(self, operation: Outcome, expected: Outcome | None = None) -> Outcome:
        if operation[0] == "deliver" and expected is not None and expected[0] == "done":
            self.wanted = sum(len(records) for _, records in expected[1])
            log = self.logs[operation[1]]
            for _ in range(5):  # a busy broker may not answer at once; asking again is legal
                generation = log.generation()
                outcome = super().do(operation)
                # A member that comes again may make the group balance late: then all is paused.
                if outcome != ("Unavailable",) and log.generation() == generation:
                    return outcome
        return super().do(operation)

    def join(self, m: str) -> None:
        """Join, and wait until the broker knows the member."""
        former = self._member_id(m)
        super().join(m)
        self.world.eventually(lambda: self._member_id(m) not in ("", former))

    def _member_id(self, m: str) -> str:
        group = self.world.name("group")
        told = self.world.client.describe_consumer_groups([group], request_timeout=3)[group]
        try:
            members = told.result(4).members
        except (KafkaException, TimeoutError):
            return ""  # there is no such group yet
        ids = [x.member_id for x in members if x.group_instance_id == self.world.name(m)]
        return ids[0] if ids else ""

    def poll_all(self, log: Log) -> list[Any]:
        """Poll until as many came as the other side has, then once more."""
        records: list[Any] = []
        deadline = time.monotonic() + 10
        generation = log.generation()
        while len(records) < self.wanted and time.monotonic() < deadline:
            records += log.poll(1_000, 0.05)
            if log.generation() != generation:
                return records
        return records + log.poll(1_000, 0.03)

    def zombie_poll(self, m: str) -> None:
        """A fenced member learns it with its next heartbeat."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            self.zombies[m].poll(0, 0.05)

    def agrees(self, expected: State) -> State:
        """The state as soon as it is the expected one, or as it is after 30 seconds."""
        deadline = time.monotonic() + 30
        while True:
            late = time.monotonic() > deadline
            try:
                self.poll_members()
                found = self.state()
                if found == expected or late:
                    return found
            except (
                KafkaException,
                TimeoutError,
                Unavailable,
            ):  # a coordinator or leader that is new to it
                if late:
                    raise
            time.sleep(0.005)

    def state(self) -> State:
        found: State = {"assigned": self.assigned()}
        for (short, p), bounds in self._bounds().items():
            former = self.seen.get((short, p))
            if former is None or former[0] != bounds:
                topic = self.topic(short)
                records = self._read(topic, p, bounds)
                self.seen[short, p] = bounds, [(r.offset, r.value) for r in records]
            found[f"{short}/{p}"] = self.seen[short, p]
        return found | self._offsets()

    def _read(self, topic: str, p: int, bounds: Bounds) -> list[Any]:
        records: list[Any] = []
        at = bounds.low
        while at < bounds.stable:
            piece = self.world.reader().read(topic, p, at, 1_000)
            records += [r for r in piece.records if r.offset < bounds.stable]
            at = piece.next_offset
        return records

    def _bounds(self) -> dict[tuple[str, int], Bounds]:
        committed, uncommitted = IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED

        def ask(spec: Any, level: Any) -> Callable[[str, int], int]:
            places = {Place(self.topic(short), p): spec for short, p in self.places()}
            asked = self.world.client.list_offsets(places, isolation_level=level, request_timeout=3)
            by_name = {(place.topic, place.partition): f for place, f in asked.items()}
            return lambda short, p: by_name[self.topic(short), p].result(4).offset

        low = ask(OffsetSpec.earliest(), committed)
        stable = ask(OffsetSpec.latest(), committed)
        high = ask(OffsetSpec.latest(), uncommitted)
        return {
            (short, p): Bounds(low(short, p), stable(short, p), high(short, p))
            for short, p in self.places()
        }

    def _offsets(self) -> State:
        group = self.world.name("group")
        places = [Place(self.inp, p) for p in range(PARTITIONS)]
        asked = self.world.client.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, places)], require_stable=True, request_timeout=3
        )
        found: State = {}
        for place in asked[group].result(4).topic_partitions:
            name = f"offset/{place.partition}"
            if place.error is not None:
                assert place.error.code() == KafkaError.UNSTABLE_OFFSET_COMMIT, place.error
                found[name] = "pending"
            else:
                found[name] = place.offset if place.offset >= 0 else None
        return found

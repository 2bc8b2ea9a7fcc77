"""The log port and its companions over a `SimBroker`: what tests and simulations run on.

Every call passes `broker.faults` before and after, as `"<call>.before"` and `"<call>.after"`;
inside `commit` (and `write`) also `"commit.appended"` (records written, nothing else) and
`"commit.offsets"` (offsets sent, not ended). To crash, raise SimCrash there; for a commit of
unknown outcome raise Unknown at `commit.offsets` (not applied) or `commit.after` (applied); to let
a zombie act late, run the others inside the hook.

Example:

    broker = SimBroker({"in": 1, "own": 1})
    log = SimLog(broker, "billing", "billing-0", ("in",))
    log.poll(0, 0.0)
    log.assigned()                           # frozenset({0})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from libs.events.errors import Aborted, Fenced, Refused, Unavailable
from libs.events.log import Bounds, Slice
from libs.events.record import Outgoing, Record, TopicPartition
from libs.events.testing.simbroker import Client, Membership, Session, SimBroker, SimCrash


class _Gate(Client):
    """A client whose every call can be made to fail; dead after a crash or `kill`."""

    def __init__(self, broker: SimBroker) -> None:
        self.broker = broker
        self.alive = True

    def kill(self) -> None:
        """Die without closing: SIGKILL."""
        self.alive = False

    def pass_fault(self, point: str) -> None:
        """Ask the broker's fault hook; a dead client can do nothing any more."""
        if not self.alive:
            raise SimCrash(point)
        if self.broker.faults is not None:
            try:
                self.broker.faults(point, self)
            except SimCrash:
                self.alive = False
                raise
            if not self.alive:
                raise SimCrash(point)

    @contextmanager
    def call(self, name: str) -> Iterator[None]:
        """One port call between its two fault points."""
        self.pass_fault(f"{name}.before")
        if self.broker.down:
            raise Unavailable("no broker answers")
        yield
        self.pass_fault(f"{name}.after")

    def write_transaction(
        self,
        session: Session,
        outgoing: Sequence[Outgoing],
        send_offsets: Callable[[], None],
    ) -> dict[TopicPartition, int]:
        """Append, send offsets, commit; on Aborted the transaction is rolled back first."""
        for out in outgoing:
            self.broker.partition(out.topic, out.partition)
        ends: dict[TopicPartition, int] = {}
        try:
            for out in outgoing:
                offset = self.broker.append_open(
                    session, out.topic, out.partition, out.key, out.value, out.headers
                )
                ends[TopicPartition(out.topic, out.partition)] = offset + 1
            self.pass_fault("commit.appended")
            send_offsets()
            self.pass_fault("commit.offsets")
        except Aborted:
            self.broker.end(session, commit=False)
            raise
        self.broker.end(session, commit=True)
        return ends


class SimReader(_Gate):
    """Reads any topic without a group; the twin of `KafkaReader`."""

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on; see the port."""
        with self.call("read"):
            return self.broker.read(topic, partition, first, limit)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends of one partition."""
        with self.call("bounds"):
            return self.broker.bounds(topic, partition)

    def partitions(self, topic: str) -> int:
        """How many partitions a topic has; Refused when it does not exist."""
        with self.call("partitions"):
            self.broker.partition(topic, 0)
            return len(self.broker.topics[topic])

    def close(self) -> None:
        """Nothing to give back."""
        self.alive = False


class SimLog(SimReader):
    """One member's view of the simulated log; implements `libs.events.log.Log`."""

    def __init__(self, broker: SimBroker, group: str, member: str, inputs: tuple[str, ...]) -> None:
        super().__init__(broker)
        self.group, self.member, self.inputs = group, member, inputs
        self.frozen = False
        for topic in inputs:
            broker.partition(topic, 0)
        self._session = broker.init_producer(member)
        self._generation = -1
        self._changes = 0
        self._assignment: frozenset[TopicPartition] = frozenset()
        self._positions: dict[TopicPartition, int] = {}
        self._polled_ms = broker.now_ms
        self._member_id = broker.join(group, member, inputs)
        broker.clients.append(self)

    def heartbeat(self) -> None:
        """Alive, not frozen and polling: the session goes on."""
        if not self.alive or self.frozen:
            return
        mine = self.broker.group(self.group).members.get(self.member)
        if mine and mine.member_id == self._member_id:
            until = self._polled_ms + self.broker.max_poll_interval_ms
            mine.heard_ms = max(mine.heard_ms, min(self.broker.now_ms, until))

    def joined(self) -> bool:
        """Whether the group has given this member its partitions, maybe none; see the port."""
        return self._generation >= 0

    def generation(self) -> int:
        """Counts assignments and revocations; see the port."""
        return self._changes

    def assigned(self) -> frozenset[int]:
        """The partition numbers owned of every input; see the port."""
        sets = {
            topic: sorted(tp.partition for tp in self._assignment if tp.topic == topic)
            for topic in self.inputs
        }
        if len({tuple(numbers) for numbers in sets.values()}) > 1:
            raise Refused(f"inputs were assigned with different partitions: {sets}")
        return frozenset(tp.partition for tp in self._assignment)

    @property
    def membership(self) -> Membership:
        """As what this member takes part in its group, by its own lights."""
        return Membership(self.group, self.member, self._member_id, self._generation)

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """At most `limit` records of started partitions, in seeded order across them."""
        with self.call("poll"):
            self._serve_group()
            return self._take(limit)

    def _serve_group(self) -> None:
        group = self.broker.group(self.group)
        mine = group.members.get(self.member)
        late = self.broker.now_ms - self._polled_ms > self.broker.max_poll_interval_ms
        self._polled_ms = self.broker.now_ms
        if mine is None or (late and not self.frozen):
            self._drop()
            self._member_id = self.broker.join(self.group, self.member, self.inputs)
            return
        if mine.member_id != self._member_id:
            raise Fenced(f"member {self.member!r} of group {self.group!r} was replaced")
        mine.heard_ms = self.broker.now_ms
        if group.rebalancing and not mine.joined:
            self._drop()
            mine.joined = True
            self.broker.finish_rebalance(group)
        elif not group.rebalancing and self._generation != group.generation:
            self._drop()
            self._generation, self._assignment = group.generation, mine.assignment
            self._changes += 1

    def _drop(self) -> None:
        if self._generation < 0:
            return
        self._generation, self._assignment = -1, frozenset()
        self._changes += 1
        self._positions.clear()

    def _take(self, limit: int) -> list[Record]:
        records: list[Record] = []
        for tp, position in self._positions.items():
            self.broker.check_range(*tp, position)
        ready = sorted(self._positions)
        while ready and len(records) < limit:
            tp = self.broker.random.choice(ready)
            record = self.broker.partition(*tp).visible(self._positions[tp])
            if record is None:
                ready.remove(tp)
            else:
                records.append(record)
                self._positions[tp] = record.offset + 1
        return records

    def stable_offsets(self, partition: int) -> dict[str, int | None]:
        """Committed offsets per input; Unavailable while a transaction on them is pending."""
        with self.call("stable_offsets"):
            wanted = [TopicPartition(topic, partition) for topic in self.inputs]
            offsets = self.broker.stable_offsets(self.group, wanted)
            return {tp.topic: offset for tp, offset in offsets.items()}

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Deliver the inputs named in `positions` from there on; see the port."""
        with self.call("start"):
            assert partition in self.assigned(), f"start of {partition}, which is not assigned"
            self._stop(partition)
            for topic, position in positions.items():
                assert topic in self.inputs, f"start of {topic}, which is no input"
                self._positions[TopicPartition(topic, partition)] = position

    def behind(self) -> int:
        """How many input records of started partitions are not delivered yet."""
        ends = {tp: self.broker.bounds(*tp).high for tp in self._positions}
        return sum(max(0, ends[tp] - at) for tp, at in self._positions.items())

    def pause(self, partition: int) -> None:
        """Deliver nothing of the partition until `start`."""
        with self.call("pause"):
            self._stop(partition)

    def _stop(self, partition: int) -> None:
        for tp in [tp for tp in self._positions if tp.partition == partition]:
            del self._positions[tp]

    def commit(
        self, outgoing: Sequence[Outgoing], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """One transaction; see the port."""
        with self.call("commit"):
            assert positions, "a commit without positions is fenced by nothing"
            owned = self.assigned()
            if any(tp.partition not in owned for tp in positions):
                raise Aborted(f"member {self.member!r} does not own all of {list(positions)}")
            who = self.membership
            return self.write_transaction(
                self._session,
                outgoing,
                lambda: self.broker.add_offsets(self._session, who, positions),
            )


class SimProducerPort(_Gate):
    """Idempotent writes of edges; the twin of `KafkaProducerPort`. Acks come from `poll`."""

    def __init__(self, broker: SimBroker, max_in_flight: int = 10_000) -> None:
        super().__init__(broker)
        self.max_in_flight = max_in_flight
        self._waiting: list[tuple[Outgoing, Callable[[int | Exception], None]]] = []

    def submit(self, outgoing: Outgoing, on_ack: Callable[[int | Exception], None]) -> None:
        """Queue one record; Unavailable when too many wait for their ack."""
        self.pass_fault("submit.before")
        self.broker.partition(outgoing.topic, outgoing.partition)
        if len(self._waiting) >= self.max_in_flight:
            raise Unavailable(f"{self.max_in_flight} records wait for the broker: try again")
        self._waiting.append((outgoing, on_ack))
        self.pass_fault("submit.after")

    def poll(self, timeout_s: float = 0.0) -> int:
        """Write what waits and give the acks; how many records still wait."""
        while self._waiting and not self.broker.down:
            self.pass_fault("append.before")
            out, on_ack = self._waiting.pop(0)
            offset = self.broker.append(out.topic, out.partition, out.key, out.value, out.headers)
            self.pass_fault("append.after")
            on_ack(offset)
        return len(self._waiting)

    def append(self, outgoing: Outgoing, timeout_s: float) -> int:
        """Write one record and wait for its ack; its offset."""
        return self.append_many([outgoing], timeout_s)[0]

    def append_many(self, outgoing: Sequence[Outgoing], timeout_s: float) -> list[int]:
        """Write records and wait for all acks; their offsets."""
        if self.broker.down:
            raise Unavailable("no broker answers")
        offsets: list[int] = []

        def acknowledged(result: int | Exception) -> None:
            assert isinstance(result, int)
            offsets.append(result)

        for out in outgoing:
            self.submit(out, acknowledged)
        self.poll()
        return offsets

    def close(self) -> None:
        """Write what waits, then end."""
        self.poll()
        self.alive = False


class SimWriter(_Gate):
    """Writes in transactions without a group; the twin of `TransactionalWriter`."""

    def __init__(self, broker: SimBroker, transactional_id: str) -> None:
        super().__init__(broker)
        self._session = broker.init_producer(transactional_id)

    def write(self, outgoing: Sequence[Outgoing]) -> dict[TopicPartition, int]:
        """All records in one transaction; per partition the offset after its last record."""
        with self.call("write"):
            return self.write_transaction(self._session, outgoing, lambda: None)

    def close(self) -> None:
        """Nothing to give back."""
        self.alive = False


class SimAdmin(_Gate):
    """Looks at topics and groups; the twin of `KafkaAdmin` where tests need it."""

    def partitions(self) -> dict[str, int]:
        """All topics with their partition counts."""
        with self.call("admin"):
            return {topic: len(found) for topic, found in self.broker.topics.items()}

    def committed(self, group: str) -> dict[TopicPartition, int]:
        """A group's committed offsets."""
        with self.call("admin"):
            return dict(self.broker.group(group).offsets)

    def end_offsets(self, partitions: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The last stable offset of many partitions."""
        with self.call("admin"):
            return {tp: self.broker.bounds(*tp).stable for tp in partitions}

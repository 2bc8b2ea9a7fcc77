"""A Kafka broker in memory: seeded, single-threaded, with a clock that only `advance` moves.

It copies what exactly-once rests on, and what breaks it: control records take offsets; an open
transaction holds the last stable offset back, also for others' committed records; a transactional
id is fenced by its next owner and by the time-out of a transaction; commit markers may reach
partitions and the offsets topic at different times (`delay_markers`); static members stay in the
group until their session ends; a rebalance is eager and waits for every member. The differential
test (tests/contract) holds it against Apache Kafka.

Example:

    broker = SimBroker({"in": 2, "own": 2})
    broker.append("in", 0, b"key", b"value")
    broker.read("in", 0, 0, 10).records      # [Record(topic='in', ...)]
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from libs.events.errors import Aborted, Fenced, Refused, Unavailable
from libs.events.log import Bounds, Slice
from libs.events.record import Headers, Record, TopicPartition

OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"
NO_PRODUCER = -1


class SimCrash(BaseException):
    """The process died here. Not an Exception: no code under test may catch it and go on."""


@dataclass(slots=True)
class Entry:
    """What stands at one offset; a control record or a filler has no record."""

    record: Record | None
    producer_id: int
    state: str


@dataclass(slots=True)
class Partition:
    """One partition: offsets are indices of `entries`; nothing below `low` can be read."""

    low: int = 0
    entries: list[Entry] = field(default_factory=list)
    first_open: dict[int, int] = field(default_factory=dict)

    def bounds(self) -> Bounds:
        """Low, last stable and high offset."""
        return Bounds(self.low, self.stable(), len(self.entries))

    def stable(self) -> int:
        """The last stable offset: nothing at or above it is settled for readers."""
        return min(self.first_open.values()) if self.first_open else len(self.entries)

    def visible(self, first: int) -> Record | None:
        """The first committed record at or above `first` and below the last stable offset."""
        entries = self.entries
        for offset in range(first, self.stable()):
            entry = entries[offset]
            if entry.state == COMMITTED and entry.record is not None:
                return entry.record
        return None

    def mark(self, producer_id: int, state: str) -> None:
        """Write a producer's commit or abort marker, which settles what it had open here."""
        first = self.first_open.pop(producer_id, len(self.entries))
        for entry in self.entries[first:]:
            if entry.producer_id == producer_id and entry.state == OPEN:
                entry.state = state
        self.entries.append(Entry(None, producer_id, state))


class Session(NamedTuple):
    """A producer as it identifies itself: stale once its transactional id has a newer epoch."""

    transactional_id: str
    producer_id: int
    epoch: int


class Membership(NamedTuple):
    """Who commits offsets: what KIP-447 fences by."""

    group: str
    instance: str
    member_id: str
    generation: int


class _Marker(NamedTuple):
    producer_id: int
    target: TopicPartition | str  # a partition, or a group's offsets
    state: str


@dataclass(slots=True)
class _Producer:
    producer_id: int
    epoch: int
    targets: set[TopicPartition | str] = field(default_factory=set)
    open_since_ms: int | None = None


@dataclass(slots=True)
class Member:
    """One member of a group; `heard_ms` is when it last gave a sign of life."""

    member_id: str
    topics: tuple[str, ...]
    heard_ms: int
    joined: bool = True
    assignment: frozenset[TopicPartition] = frozenset()


@dataclass(slots=True)
class Group:
    """A consumer group: who is in it, and the offsets that it committed or is committing."""

    generation: int = 0
    rebalancing: bool = False
    members: dict[str, Member] = field(default_factory=dict)
    offsets: dict[TopicPartition, int] = field(default_factory=dict)
    pending: dict[int, dict[TopicPartition, tuple[int, int]]] = field(default_factory=dict)
    ranks: dict[TopicPartition, int] = field(default_factory=dict)
    writes: int = 0

    def send(self, producer_id: int, positions: Mapping[TopicPartition, int]) -> None:
        """Keep offsets until their transaction ends, ranked by when they were sent."""
        mine = self.pending.setdefault(producer_id, {})
        for tp, offset in positions.items():
            self.writes += 1
            mine[tp] = self.writes, offset

    def settle(self, producer_id: int, state: str) -> None:
        """End a transaction on the offsets: of two commits the one *sent* last counts."""
        for tp, (rank, offset) in self.pending.pop(producer_id, {}).items():
            if state == COMMITTED and rank > self.ranks.get(tp, 0):
                self.offsets[tp], self.ranks[tp] = offset, rank


class Client:
    """What broker time does to a client: `heartbeat` is called whenever the clock moves."""

    def heartbeat(self) -> None:
        """Give a sign of life, if alive and not frozen."""


class SimBroker:
    """The broker. `faults(point, client)` is called before and after every call of a port.

    It may raise SimCrash (the client is dead from then on), Unknown or Aborted, or run other
    clients: what happens inside a call of a zombie then happens late.
    """

    def __init__(
        self,
        topics: Mapping[str, int] | None = None,
        *,
        seed: int = 0,
        transaction_timeout_ms: int = 30_000,
        session_timeout_ms: int = 45_000,
        max_poll_interval_ms: int = 120_000,
        delay_markers: bool = False,
    ) -> None:
        self.random = random.Random(seed)
        self.now_ms = 0
        self.transaction_timeout_ms = transaction_timeout_ms
        self.session_timeout_ms = session_timeout_ms
        self.max_poll_interval_ms = max_poll_interval_ms
        self.delay_markers = delay_markers
        self.faults: Callable[[str, object], None] | None = None
        self.down = False
        self.clients: list[Client] = []
        self.topics: dict[str, list[Partition]] = {}
        self.groups: dict[str, Group] = {}
        self._producers: dict[str, _Producer] = {}
        self._markers: list[_Marker] = []
        self._members_made = 0
        for topic, partitions in (topics or {}).items():
            self.create(topic, partitions)

    # --- topics and plain records ---------------------------------------------------------------

    def create(self, topic: str, partitions: int) -> None:
        """Create a topic."""
        self.topics[topic] = [Partition() for _ in range(partitions)]

    def partition(self, topic: str, partition: int) -> Partition:
        """One partition; Refused when there is no such topic or partition."""
        found = self.topics.get(topic)
        if found is None:
            raise Refused(f"topic {topic!r} does not exist: create it first")
        if not 0 <= partition < len(found):
            raise Refused(f"topic {topic!r} has no partition {partition}: it has {len(found)}")
        return found[partition]

    def append(
        self, topic: str, partition: int, key: bytes | None, value: bytes, headers: Headers = ()
    ) -> int:
        """Write one record outside transactions (an idempotent producer); its offset."""
        if self.down:
            raise Unavailable("no broker answers")
        return self._push(topic, partition, key, value, headers, NO_PRODUCER, COMMITTED)

    def fill(self, topic: str, partition: int, count: int) -> None:
        """Use up offsets that no reader ever sees, as aborted records and markers do."""
        entries = self.partition(topic, partition).entries
        entries.extend(Entry(None, NO_PRODUCER, ABORTED) for _ in range(count))

    def trim(self, topic: str, partition: int, low: int) -> None:
        """Let retention take everything below `low`."""
        found = self.partition(topic, partition)
        if low > found.bounds().high:
            raise Refused(f"{topic}/{partition}: cannot trim to {low}, above the end")
        found.low = max(found.low, low)

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends of one partition."""
        return self.partition(topic, partition).bounds()

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on, as a read_committed reader gets them."""
        found = self.partition(topic, partition)
        self.check_range(topic, partition, first)
        records: list[Record] = []
        at, stable = first, found.stable()
        while len(records) < limit and at < stable:
            entry = found.entries[at]
            at += 1
            if entry.state == COMMITTED and entry.record is not None:
                records.append(entry.record)
        return Slice(records, at)

    def check_range(self, topic: str, partition: int, offset: int) -> None:
        """Refused when no reader can stand at this offset."""
        low, _, high = self.bounds(topic, partition)
        if not low <= offset <= high:
            raise Refused(f"{topic}/{partition}: offset {offset} is outside {low}..{high}")

    def _push(
        self,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: Headers,
        producer_id: int,
        state: str,
    ) -> int:
        found = self.partition(topic, partition)
        offset = len(found.entries)
        record = Record(topic, partition, offset, key, value, headers, self.now_ms)
        found.entries.append(Entry(record, producer_id, state))
        if state == OPEN:
            found.first_open.setdefault(producer_id, offset)
        return offset

    # --- time -----------------------------------------------------------------------------------

    def advance(self, ms: int) -> None:
        """Let time pass: the living give signs of life, old transactions and sessions end."""
        self.now_ms += ms
        for client in self.clients:
            client.heartbeat()
        for producer in self._producers.values():
            since = producer.open_since_ms
            if since is not None and self.now_ms - since > self.transaction_timeout_ms:
                producer.epoch += 1
                self._settle(producer, ABORTED)
        for group in self.groups.values():
            for instance, member in list(group.members.items()):
                if self.now_ms - member.heard_ms > self.session_timeout_ms:
                    del group.members[instance]
                    self._start_rebalance(group)
                    self.finish_rebalance(group)

    def step(self) -> bool:
        """Deliver one delayed marker, in seeded order; False when there was none."""
        if not self._markers:
            return False
        self._deliver(self._markers.pop(self.random.randrange(len(self._markers))))
        return True

    def settle(self) -> None:
        """Deliver all delayed markers."""
        while self.step():
            pass

    # --- transactions ---------------------------------------------------------------------------

    def init_producer(self, transactional_id: str) -> Session:
        """Take over a transactional id: ends what it left open, fences its former owner."""
        producer = self._producers.get(transactional_id)
        if producer is None:
            producer = _Producer(len(self._producers) + 1, -1)
            self._producers[transactional_id] = producer
        producer.epoch += 1
        self._settle(producer, ABORTED)
        self._flush(producer)
        return Session(transactional_id, producer.producer_id, producer.epoch)

    def append_open(
        self,
        session: Session,
        topic: str,
        partition: int,
        key: bytes | None,
        value: bytes,
        headers: Headers = (),
    ) -> int:
        """Write one record inside the session's transaction, which this begins if need be."""
        self.partition(topic, partition)
        self._open(session).targets.add(TopicPartition(topic, partition))
        return self._push(topic, partition, key, value, headers, session.producer_id, OPEN)

    def add_offsets(
        self, session: Session, who: Membership, positions: Mapping[TopicPartition, int]
    ) -> None:
        """Move the group's offsets inside the transaction; Aborted for a stale member.

        The caller has to abort the transaction then.
        """
        producer = self._open(session)
        producer.targets.add(who.group)
        group = self.group(who.group)
        member = group.members.get(who.instance)
        if member is None:
            raise Aborted(f"{who.instance} is not in group {who.group}")
        if member.member_id != who.member_id or group.generation != who.generation:
            raise Aborted(f"{who.instance} is an old member of group {who.group}")
        group.send(producer.producer_id, positions)

    def end(self, session: Session, *, commit: bool) -> None:
        """Commit or abort the session's transaction."""
        producer = self._current(session)
        self._settle(producer, COMMITTED if commit else ABORTED)

    def _current(self, session: Session) -> _Producer:
        producer = self._producers[session.transactional_id]
        if producer.epoch != session.epoch:
            raise Fenced(f"transactional id {session.transactional_id!r} has a new owner")
        return producer

    def _open(self, session: Session) -> _Producer:
        producer = self._current(session)
        if producer.open_since_ms is None:
            self._flush(producer)
            producer.open_since_ms = self.now_ms
        return producer

    def _settle(self, producer: _Producer, state: str) -> None:
        if producer.open_since_ms is None:
            return
        targets = sorted(producer.targets, key=str)
        self._markers.extend(_Marker(producer.producer_id, target, state) for target in targets)
        producer.targets = set()
        producer.open_since_ms = None
        if not self.delay_markers:
            self._flush(producer)

    def _flush(self, producer: _Producer) -> None:
        mine = [m for m in self._markers if m.producer_id == producer.producer_id]
        self._markers = [m for m in self._markers if m.producer_id != producer.producer_id]
        for marker in mine:
            self._deliver(marker)

    def _deliver(self, marker: _Marker) -> None:
        if isinstance(marker.target, TopicPartition):
            self.partition(*marker.target).mark(marker.producer_id, marker.state)
            return
        self.group(marker.target).settle(marker.producer_id, marker.state)

    # --- groups ---------------------------------------------------------------------------------

    def group(self, name: str) -> Group:
        """The group of this name, empty when new."""
        return self.groups.setdefault(name, Group())

    def stable_offsets(
        self, name: str, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int | None]:
        """Committed offsets; Unavailable while a transaction on one of them is pending."""
        group = self.group(name)
        offsets: dict[TopicPartition, int | None] = {}
        for tp in partitions:
            if any(tp in moved for moved in group.pending.values()):
                raise Unavailable(f"group {name}: a transaction on {tp} is pending")
            offsets[tp] = group.offsets.get(tp)
        return offsets

    def join(self, name: str, instance: str, topics: tuple[str, ...]) -> str:
        """Join as a static member, and replace the one of this instance; the new member id.

        A member of a settled group that comes back as it was causes no rebalance.
        """
        group = self.group(name)
        self._members_made += 1
        member_id = f"{instance}-{self._members_made}"
        former = group.members.get(instance)
        if former is not None and not group.rebalancing and former.topics == topics:
            former.member_id, former.heard_ms = member_id, self.now_ms
            return member_id
        self._start_rebalance(group)
        group.members[instance] = Member(member_id, topics, self.now_ms)
        self.finish_rebalance(group)
        return member_id

    def _start_rebalance(self, group: Group) -> None:
        if not group.rebalancing:
            group.rebalancing = True
            for member in group.members.values():
                member.joined = False

    def finish_rebalance(self, group: Group) -> None:
        """Begin the next generation once every member has joined; assign by range."""
        if not group.rebalancing or not all(m.joined for m in group.members.values()):
            return
        group.rebalancing = False
        group.generation += 1
        shares: dict[str, set[TopicPartition]] = {instance: set() for instance in group.members}
        for topic in sorted({t for member in group.members.values() for t in member.topics}):
            takers = sorted(i for i, member in group.members.items() if topic in member.topics)
            count = len(self.topics.get(topic, ()))
            for number in range(count):
                # range: the first count % takers members get one more, in blocks
                small, extra = divmod(count, len(takers))
                big = (small + 1) * extra
                owner = number // (small + 1) if number < big else extra + (number - big) // small
                shares[takers[owner]].add(TopicPartition(topic, number))
        for instance, member in group.members.items():
            member.assignment = frozenset(shares[instance])

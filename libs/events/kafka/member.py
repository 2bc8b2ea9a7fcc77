"""One member of one consumer group: `libs.events.log.Log` over Apache Kafka."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import TopicPartition as Place

from libs.events.errors import Aborted, GridLedgerError, Refused, Unavailable
from libs.events.kafka.client import KafkaSettings, made, plain, record_of, typed
from libs.events.kafka.reader import KafkaReader
from libs.events.kafka.transactions import Transactions
from libs.events.record import Outgoing, Record, TopicPartition

_READ_AHEAD = 1_000


class KafkaLog(KafkaReader):
    """One member of one consumer group; implements `libs.events.log.Log`."""

    def __init__(
        self, settings: KafkaSettings, group: str, member: str, inputs: tuple[str, ...]
    ) -> None:
        super().__init__(settings)
        for topic in inputs:
            self._catalogue.count(topic)
        # First the producer: it ends what this member left open, which makes the offsets final.
        self._transactions = Transactions(settings, member)
        self._inputs, self._name = inputs, f"member {member!r} of group {group!r}"
        self._owned: frozenset[TopicPartition] = frozenset()
        self._membership: object = None
        self._changes = 0
        self._joined = False
        self._parked = False
        self._end: GridLedgerError | None = None
        self._next: dict[TopicPartition, int] = {}
        self._ready: deque[Record] = deque()
        self._consumer = made(Consumer, settings.member(group, member))
        self._consumer.subscribe(
            list(inputs), on_assign=self._gain, on_revoke=self._drop, on_lost=self._drop
        )

    def _gain(self, consumer: Consumer, places: list[Place]) -> None:
        self._changes += 1
        self._owned = frozenset(TopicPartition(p.topic, p.partition) for p in places)
        self._membership = consumer.consumer_group_metadata()
        self._joined = True
        consumer.assign([])  # nothing is fetched before `start` says from where

    def _drop(self, consumer: Consumer, places: list[Place]) -> None:
        self._changes += 1
        self._joined = False
        self._owned = frozenset()
        self._next.clear()
        self._ready.clear()
        consumer.unassign()

    def assigned(self) -> frozenset[int]:
        """The partition numbers owned of every input; see the port."""
        owned = self._owned  # once: the health port asks from a thread of its own
        sets = {
            topic: sorted(tp.partition for tp in owned if tp.topic == topic)
            for topic in self._inputs
        }
        if len({tuple(numbers) for numbers in sets.values()}) > 1:
            raise Refused(
                f"inputs were assigned with different partitions: {sets}: give them the same"
                " partition count, and stop all members before changing the inputs"
            )
        return frozenset(tp.partition for tp in owned)

    def joined(self) -> bool:
        """Whether the group has given this member its partitions, maybe none; see the port."""
        return self._joined

    def generation(self) -> int:
        """Counts assignments and revocations; see the port."""
        return self._changes

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """At most `limit` records of started partitions; serves the group."""
        if limit == 0 and len(self._ready) >= _READ_AHEAD:
            self._consumer.assign([])
            self._parked = True
        elif limit and self._parked:
            self._assign()
        room = (limit or _READ_AHEAD) - len(self._ready)
        if not self._fetch(max(room, 1), 0) and (limit == 0 or not self._ready):
            self._fetch(1, timeout_s)
            self._fetch(max(room - 1, 1), 0)
        return [self._ready.popleft() for _ in range(min(limit, len(self._ready)))]

    def _fetch(self, count: int, timeout_s: float) -> int:
        """Move what the client has to `_ready`; callbacks run in here. How many it gave."""
        try:
            messages = self._consumer.consume(count, timeout_s)
        except (KafkaException, SystemError) as caught:
            raise self._ended(plain(caught).args[0]) from caught
        for message in messages:
            error = message.error()
            if error is not None:
                if not isinstance(self._ended(error), Unavailable):
                    break
                continue
            record = record_of(message)
            tp = TopicPartition(record.topic, record.partition)
            if record.offset >= self._next.get(tp, record.offset + 1):
                self._ready.append(record)
                self._next[tp] = record.offset + 1
        if self._end is not None:
            raise self._end  # the client tells it once, we each time
        return len(messages)

    def _ended(self, error: KafkaError) -> GridLedgerError:
        """What an error means; kept when it ends this member."""
        problem = typed(error, self._name)
        if not isinstance(problem, Unavailable):
            self._end = problem
        return problem

    def _assign(self) -> None:
        places = [Place(tp.topic, tp.partition, at) for tp, at in self._next.items()]
        self._consumer.assign(places)
        self._consumer.resume(places)
        self._parked = False

    def behind(self) -> int:
        """How many input records of started partitions are not delivered yet; see the port."""
        count = len(self._ready)
        for tp, at in self._next.items():
            ends = self._consumer.get_watermark_offsets(Place(*tp), cached=True)
            count += max(0, ends[1] - at) if ends else 0
        return count

    def stable_offsets(self, partition: int) -> dict[str, int | None]:
        """The group's offsets per input; Unavailable while a transaction on them is pending."""
        places = [Place(topic, partition) for topic in self._inputs]
        try:
            found = self._consumer.committed(places, self._settings.slice_timeout_ms / 1000)
        except KafkaException as failure:
            raise typed(failure.args[0], f"stable offsets of {self._name}") from failure
        for place in found:
            if place.error is not None:
                raise typed(place.error, f"stable offsets of {self._name}")
        return {place.topic: place.offset if place.offset >= 0 else None for place in found}

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Deliver the inputs named in `positions` from there on; see the port."""
        assert partition in self.assigned(), f"start of {partition}, which is not assigned"
        self._forget(partition)
        for topic, position in positions.items():
            assert topic in self._inputs, f"start of {topic}, which is no input"
            self._next[TopicPartition(topic, partition)] = position
        self._assign()

    def pause(self, partition: int) -> None:
        """Deliver nothing of the partition until `start`."""
        places = [Place(tp.topic, tp.partition) for tp in self._next if tp.partition == partition]
        self._consumer.pause(places)
        self._forget(partition)

    def _forget(self, partition: int) -> None:
        self._next = {tp: at for tp, at in self._next.items() if tp.partition != partition}
        self._ready = deque(r for r in self._ready if r.partition != partition)

    def commit(
        self, outgoing: Sequence[Outgoing], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """One transaction; raises Aborted, Fenced or Unknown; see the port."""
        assert positions, "a commit without positions is fenced by nothing"
        owned = self.assigned()
        membership = self._consumer.consumer_group_metadata()
        if membership != self._membership or any(tp.partition not in owned for tp in positions):
            raise Aborted(f"{self._name} no longer owns all of {list(positions)}")
        offsets = [Place(tp.topic, tp.partition, at) for tp, at in positions.items()]
        return self._transactions.write(outgoing, offsets, membership)

    def close(self) -> None:
        """Leave in order; as a static member it stays in the group until its session ends."""
        # Dropped, not closed: a static member has nothing to say on leaving, and the client's own
        # close() breaks down when a fatal error is waiting in it.
        vars(self).pop("_consumer", None)
        self._transactions.close()
        super().close()

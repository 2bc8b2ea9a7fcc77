"""The open transaction of a core: decided inputs become outgoing records and a step record.

One `Batch` may touch several partitions; each gets its own step record at the end. Nothing here
reads a clock or talks to a broker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Core, Emit, Item, Tick
from libs.events.errors import Undecodable
from libs.events.fold import Fold
from libs.events.record import (
    Cause,
    Envelope,
    Outgoing,
    Record,
    TopicPartition,
    envelope_headers,
    event_id,
    partition_of,
)
from libs.events.step import STEP, Pending, Run, StepTaken, extend_runs

REJECTED = "_rejected"
"""The ending of the types that say an input was decodable and not acceptable."""


@dataclass(slots=True)
class _Touched:
    """What the open transaction did to one partition."""

    fold: Fold
    runs: list[Run] = field(default_factory=list)
    decided: int = 0
    silent: int = 0
    rejected: int = 0
    dead_lettered: int = 0
    last_cause: Cause | None = None


@dataclass(frozen=True, slots=True)
class Reading:
    """An input as the core sees it: decoded, or the reason why it cannot be."""

    record: Record
    item: Item | None
    problem: Undecodable | None
    traceparent: str = ""


@dataclass(frozen=True, slots=True)
class Bounds:
    """When a transaction is full: inputs closed, records to write, bytes to write."""

    inputs_max: int = 1000
    outgoing_max: int = 4000
    bytes_max: int = 4_000_000


class Batch:
    """Collects one transaction. `partitions` is the partition count of each outgoing topic."""

    def __init__(
        self,
        core: Core,
        codec: Codec,
        partitions: Callable[[str], int],
        bounds: Bounds,
        release: str = "",
    ) -> None:
        self.core = core
        self.codec = codec
        self.partitions = partitions
        self.bounds = bounds
        self.release = release
        self.outgoing: list[Outgoing] = []
        self.size_bytes = 0
        self.input_count = 0
        self._touched: dict[int, _Touched] = {}

    def __bool__(self) -> bool:
        return bool(self._touched)

    @property
    def folds(self) -> list[Fold]:
        """The partitions that this transaction touches."""
        return [touched.fold for touched in self._touched.values()]

    def is_full(self) -> bool:
        """Whether it is time to commit."""
        return (
            self.input_count >= self.bounds.inputs_max
            or len(self.outgoing) >= self.bounds.outgoing_max
            or self.size_bytes >= self.bounds.bytes_max
        )

    def verdicts(self) -> dict[str, int]:
        """How many inputs were closed with each verdict, over all partitions."""
        names = ("decided", "silent", "rejected", "dead_lettered")
        return {
            name: sum(getattr(touched, name) for touched in self._touched.values())
            for name in names
        }

    def touch(self, fold: Fold) -> _Touched:
        """Begin with a partition, once per transaction."""
        touched = self._touched.get(fold.number)
        if touched is None:
            fold.begin()
            touched = self._touched[fold.number] = _Touched(fold)
        return touched

    def read(self, fold: Fold, record: Record) -> Reading:
        """Decode an input; a tick moves the business time of its partition at once."""
        try:
            envelope = envelope_of(record.headers)
            if envelope.type.rpartition(".v")[0] in self.core.ignored_types:
                item = Item(record.topic, record.offset, "", envelope.type, None, fold.as_of)
                return Reading(record, item, None)
            body = self.codec.decode(envelope.type, record.value)
            key = self._key_of(record)
        except (Undecodable, UnicodeDecodeError) as error:
            problem = error if isinstance(error, Undecodable) else Undecodable("key", "not UTF-8")
            return Reading(record, None, problem)
        self.touch(fold)
        if isinstance(body, Tick) and body.at > fold.as_of:
            fold.as_of = body.at
        item = Item(record.topic, record.offset, key, envelope.type, body, fold.as_of)
        return Reading(record, item, None, envelope.traceparent)

    def _key_of(self, record: Record) -> str:
        """The key of a record; without one it would be decided for the whole partition, and in a
        foreign partition its key would have two states."""
        key = record.key.decode() if record.key is not None else ""
        if record.topic in self.core.keyed:
            if not key:
                raise Undecodable("key", f"is missing: {record.topic} is keyed")
            wanted = partition_of(key, self.partitions(record.topic))
            if wanted != record.partition:
                raise Undecodable("key", f"{key} belongs to partition {wanted}")
        return key

    def write(
        self, fold: Fold, reading: Reading, key: str, emits: Sequence[Emit], index: int
    ) -> int:
        """Add the events decided for one key and fold the own ones; returns the next index."""
        touched = self.touch(fold)
        for emit in emits:
            cause = Cause(reading.record.topic, fold.number, reading.record.offset, index)
            touched.last_cause = cause
            if emit.topic:
                partition = partition_of(emit.key, self.partitions(emit.topic))
                self._append(fold, emit.body, emit.topic, partition, emit.key, cause, reading)
            else:
                own = self.core.own_topic
                self._append(fold, emit.body, own, fold.number, key, cause, reading)
                fold.apply(key, emit.body)
            index += 1
        return index

    def close(self, fold: Fold, reading: Reading, verdict: str) -> None:
        """Count an input as decided, silent, rejected or dead-lettered; move its position."""
        touched = self.touch(fold)
        record = reading.record
        extend_runs(touched.runs, record.topic, record.offset)
        setattr(touched, verdict, getattr(touched, verdict) + 1)
        fold.positions[record.topic] = record.offset + 1
        fold.pending = None
        self.input_count += 1

    def dead_letter(self, fold: Fold, reading: Reading) -> None:
        """Pass an undecodable input on, untouched, with the reason and where it came from."""
        record, problem = reading.record, reading.problem
        assert problem is not None
        self.touch(fold)
        reasons = (
            ("dlq.reason", problem.field.encode()),
            ("dlq.error", problem.problem.encode()),
            ("dlq.topic", record.topic.encode()),
            ("dlq.partition", str(record.partition).encode()),
            ("dlq.offset", str(record.offset).encode()),
            ("dlq.timestamp", str(record.timestamp_ms).encode()),
            ("dlq.group", self.core.name.encode()),
        )
        kept = tuple(header for header in record.headers if not header[0].startswith("dlq."))
        partition = fold.number % self.partitions(self.core.dlq_topic)
        self._add(
            Outgoing(self.core.dlq_topic, partition, record.key, record.value, kept + reasons)
        )
        self.close(fold, reading, "dead_lettered")

    def finish(self) -> tuple[list[Outgoing], dict[TopicPartition, int]]:
        """The records of the transaction with a step record each, and the input positions."""
        positions: dict[TopicPartition, int] = {}
        for touched in self._touched.values():
            fold = touched.fold
            self._append_step(touched)
            for topic in self.core.inputs:
                if topic in fold.positions:
                    positions[TopicPartition(topic, fold.number)] = fold.positions[topic]
        return self.outgoing, positions

    def _append_step(self, touched: _Touched) -> None:
        fold = touched.fold
        step = StepTaken(
            runs=tuple(touched.runs),
            positions=dict(fold.positions),
            decided=touched.decided,
            silent=touched.silent,
            rejected=touched.rejected,
            dead_lettered=touched.dead_lettered,
            as_of=fold.as_of,
            decider=self.core.decider,
            pending=fold.pending,
        )
        kind = self.core.catalogue.by_name[f"{self.core.name}.{STEP}"]
        # The own offset before the step makes its id unique: a step has many causes, or none new.
        envelope = Envelope(
            id=f"{self.core.name}/{self.core.own_topic}/{fold.number}/{fold.own_next}/step",
            type=kind.full_name,
            source=self.core.name,
            time=fold.as_of,
            subject=str(fold.number),
            release=self.release,
        )
        self._add(
            Outgoing(
                self.core.own_topic, fold.number, None, encode(step), envelope_headers(envelope)
            )
        )

    def _append(
        self,
        fold: Fold,
        body: object,
        topic: str,
        partition: int,
        key: str,
        cause: Cause,
        reading: Reading,
    ) -> None:
        kind = self.core.catalogue.type_of(body)
        envelope = Envelope(
            id=event_id(self.core.name, cause),
            type=kind.full_name,
            source=self.core.name,
            time=fold.as_of,
            subject=key,
            cause=str(cause),
            traceparent=reading.traceparent,
            release=self.release,
        )
        self._add(
            Outgoing(
                topic,
                partition,
                key.encode() if key else None,
                encode(body),
                envelope_headers(envelope),
            )
        )

    def _add(self, record: Outgoing) -> None:
        self.outgoing.append(record)
        self.size_bytes += len(record.value) + 300


def decide_input(
    batch: Batch, fold: Fold, record: Record, next_part: Callable[[Batch], Batch | None]
) -> Batch | None:
    """Decide one input into `batch`; the batch to go on with.

    When the batch is full in the middle of a long decision, `fold.pending` says how far it came
    and `next_part` commits the part and gives a new batch, or None when the decision was cut short
    (a rebalance, a rolled back transaction). A fold with `pending` goes on after the keys done.
    """
    reading = batch.read(fold, record)
    if reading.item is None:
        batch.dead_letter(fold, reading)
        return batch
    if reading.item.body is None:
        batch.close(fold, reading, "silent")
        return batch
    core = batch.core
    index, after_key, verdict = 0, None, "silent"
    pending = fold.pending
    if pending is not None:
        assert (pending.topic, pending.offset) == (record.topic, record.offset), pending
        index, after_key, verdict = pending.next_index, pending.after_key, "decided"
    keys = sorted(set(core.concerned(fold, reading.item)))
    for number, key in enumerate(keys):
        if after_key is not None and key <= after_key:
            continue
        emits = core.decide(fold, key, reading.item)
        index = batch.write(fold, reading, key, emits, index)
        verdict = _weightier(verdict, _verdict_of(core, emits))
        if batch.is_full() and number + 1 < len(keys):
            fold.pending = Pending(
                topic=record.topic, offset=record.offset, next_index=index, after_key=key
            )
            following = next_part(batch)
            if following is None:
                return None
            batch = following
            batch.touch(fold)
    batch.close(fold, reading, verdict)
    return batch


def _verdict_of(core: Core, emits: Sequence[Emit]) -> str:
    """How an input counts: silent without events, rejected when all say so, else decided."""
    if not emits:
        return "silent"
    if all(core.catalogue.type_of(emit.body).name.endswith(REJECTED) for emit in emits):
        return "rejected"
    return "decided"


def _weightier(first: str, second: str) -> str:
    """One input's verdict over several keys: decided outweighs rejected, rejected silent."""
    rank = ("silent", "rejected", "decided")
    return max(first, second, key=rank.index)

"""The log port: the few things the runtime needs of Kafka.

Two implementations stand behind one contract suite (tests/contract): `kafka.KafkaLog` and
`testing.simlog.SimLog`. A `Log` belongs to one member of one consumer group and to one thread.

The runtime keeps these rules, and an implementation may rely on them:
- `poll` is called often; the group's rebalances happen only inside it, and no transaction is ever
  open across a `poll`;
- a partition number just assigned delivers nothing until `start` was called for it;
- after `Fenced` or `Unknown` only `close` is called.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from libs.events.record import Outgoing, Record, TopicPartition


class Bounds(NamedTuple):
    """The ends of one partition, as offsets of the next record.

    low: the first record that retention left; stable: the last stable offset, up to which a
    read_committed reader sees (open transactions hold it back); high: the high watermark, which
    counts open transactions too.
    """

    low: int
    stable: int
    high: int


class Slice(NamedTuple):
    """Committed records in order, and the offset to go on from (past control records)."""

    records: list[Record]
    next_offset: int


class Log(Protocol):
    """One member's view of the log. Partition numbers are shared by all input topics."""

    def assigned(self) -> frozenset[int]:
        """The partition numbers that this member owns of *every* input topic, as of the last poll.

        Refused when the inputs were not assigned with the same partition set (engine 1.2 b).
        """
        ...

    def joined(self) -> bool:
        """Whether the group has given this member its partitions, maybe none, as of the last poll.

        False before the first assignment and from a revocation to the next assignment.
        """
        ...

    def generation(self) -> int:
        """Counts the assignments and revocations that `poll` has seen.

        When it changed, partitions must be started anew and records polled before are void, even
        if the same numbers came back.
        """
        ...

    def poll(self, limit: int, timeout_s: float) -> list[Record]:
        """At most `limit` input records of started partitions; serves the group.

        `limit=0` serves the group and delivers nothing. Raises Fenced when this member was
        replaced.
        """
        ...

    def behind(self) -> int:
        """How many input records of started partitions are not delivered yet.

        As far as this member knows without asking; control records count, so it may be too many.
        """
        ...

    def stable_offsets(self, partition: int) -> dict[str, int | None]:
        """The group's committed offset per input topic, once no transaction on them is pending.

        None where nothing was ever committed (or the group's offsets expired).
        """
        ...

    def start(self, partition: int, positions: Mapping[str, int]) -> None:
        """Deliver the inputs of an assigned partition from these offsets on.

        Also used to rewind a partition after `Aborted`.
        """
        ...

    def pause(self, partition: int) -> None:
        """Deliver nothing of the partition until `start` is called again."""
        ...

    def commit(
        self, outgoing: Sequence[Outgoing], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        """One transaction: write `outgoing` and move the group's offsets to `positions`.

        Returns, per partition written, the offset after its last record. Raises Aborted (nothing
        will be visible), Fenced, or Unknown.
        """
        ...

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on, up to the last stable offset; no group involved.

        An empty slice whose `next_offset` equals the last stable offset is the end.
        """
        ...

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends of one partition, asked of the broker now."""
        ...

    def close(self) -> None:
        """Leave in order; a static member stays in the group until its session ends."""
        ...

"""What most contract tests start from: one member with two partitions, and ways to read."""

from __future__ import annotations

from libs.events.errors import Unavailable
from libs.events.log import Log
from libs.events.record import Record, TopicPartition
from tests.contract.worlds import World


class Stage:
    """One member with two partitions of one input, and an own topic."""

    def __init__(self, world: World, partitions: int = 2) -> None:
        self.world = world
        self.inp, self.own = world.topics({"in": partitions, "own": partitions})
        self.log = self.join("m-0")
        world.until_assigned({self.log: set(range(partitions))})

    def join(self, member: str) -> Log:
        return self.world.log(member, [self.inp])

    def at(self, partition: int, offset: int) -> dict[TopicPartition, int]:
        return {TopicPartition(self.inp, partition): offset}

    def start_all(self, log: Log | None = None) -> None:
        log = log or self.log
        for partition in log.assigned():
            offset = stable(self.world, log, partition)[self.inp] or 0
            log.start(partition, {self.inp: offset})

    def stable(self, partition: int = 0) -> int | None:
        return stable(self.world, self.log, partition)[self.inp]


def stable(world: World, log: Log, partition: int) -> dict[str, int | None]:
    """Stable offsets, waiting for markers on their way."""
    found: list[dict[str, int | None]] = []

    def known() -> bool:
        try:
            found.append(log.stable_offsets(partition))
        except Unavailable:
            return False
        return True

    world.eventually(known)
    return found[-1]


def drain(world: World, log: Log, count: int) -> list[Record]:
    """Poll until `count` records came, and make sure that no more come."""
    records: list[Record] = []

    def enough() -> bool:
        records.extend(log.poll(100, 0.05))
        return len(records) >= count

    world.eventually(enough)
    for _ in range(3):
        records.extend(log.poll(100, 0.05))
    assert len(records) == count
    return records


def values(records: list[Record]) -> list[bytes]:
    return [record.value for record in records]


def drain_at_least(world: World, log: Log, count: int, limit: int) -> list[Record]:
    records: list[Record] = []

    def enough() -> bool:
        records.extend(log.poll(limit, 0.05))
        return len(records) >= count

    world.eventually(enough)
    return records

"""The audit of a core from its topics alone: does the balance hold?

`balance` checks invariant 1 of the design (nothing lost, nothing counted twice) for every hop and
partition; `libs.events.replay` proves the decisions themselves. Both read only; neither knows
whether the topics are on a broker or in files an auditor took away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.events.codec import decode_as, envelope_of
from libs.events.core import Core
from libs.events.errors import Undecodable
from libs.events.log import Bounds, Slice
from libs.events.record import Envelope, Record, TopicPartition, parse_cause
from libs.events.step import STEP, StepTaken

READ_LIMIT = 2000

Covered = dict[TopicPartition, list[tuple[int, int, int]]]
"""The runs over each input partition: first offset, the one that follows, number of inputs."""


class Reader(Protocol):
    """Committed records of any topic: a broker's reader, the simulated one, or exported files."""

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on."""
        ...

    def bounds(self, topic: str, partition: int) -> Bounds:
        """The ends of one partition."""
        ...


@dataclass(slots=True)
class HopBalance:
    """One input topic and partition of one core. `lag` is committed but not decided yet."""

    core: str
    topic: str
    partition: int
    inputs: int = 0
    decided: int = 0
    lag: int = 0
    lost: int = 0
    doubled: int = 0


@dataclass(slots=True)
class CoreBalance:
    """The balance of one core: its hops, the verdicts of its inputs, and what does not add up."""

    core: str
    hops: list[HopBalance] = field(default_factory=list)
    verdicts: dict[str, int] = field(default_factory=dict)
    events: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """Inputs passed over."""
        return sum(hop.lost for hop in self.hops)

    @property
    def doubled(self) -> int:
        """Inputs decided twice, and events that occur twice."""
        return sum(hop.doubled for hop in self.hops)


def scan(reader: Reader, topic: str, partition: int, first: int = 0) -> Iterator[Record]:
    """All committed records of one partition, in order, up to the stable end as it is now.

    What is written meanwhile is left out: a read may end in the middle of a later transaction.
    """
    ends = reader.bounds(topic, partition)
    at = max(first, ends.low)
    while at < ends.stable:
        piece = reader.read(topic, partition, at, READ_LIMIT)
        for record in piece.records:
            if record.offset >= ends.stable:
                return
            yield record
        if not piece.records:
            return
        at = piece.next_offset


def cut_ends(
    core: Core,
    led_to: Mapping[TopicPartition, int],
    committed: Mapping[TopicPartition, int] | None,
) -> list[str]:
    """Where the steps of a core lead to less than its group has committed.

    A step is written in one transaction with the offsets of its inputs, so steps are missing from
    the end of the own topic. That steps lead to more proves nothing: offsets expire, and they are
    read before the topics.
    """
    found = []
    for (topic, partition), at in sorted((committed or {}).items()):
        position = led_to.get(TopicPartition(topic, partition), 0)
        if position < at:
            found.append(
                f"{core.own_topic}[{partition}]: the steps lead to {position} in "
                f"{topic}[{partition}], {core.name} has committed {at}: the end was cut off"
            )
    return found


def balance(
    reader: Reader,
    core: Core,
    partitions: Callable[[str], int],
    written: tuple[str, ...],
    committed: Mapping[TopicPartition, int] | None = None,
) -> CoreBalance:
    """The balance of a core; `written` are the topics besides its own that it writes to. Without
    `committed`, the offsets of its group as they were before, a missing end shows nowhere."""
    result = CoreBalance(core.name)
    seen: set[str] = set()
    dead_lettered = 0
    covered: Covered = {}
    causes: list[tuple[str, int, int]] = []
    for partition in range(partitions(core.own_topic)):
        dead_lettered += _scan_own(reader, core, partition, result, seen, covered, causes)
    for topic in written:
        for partition in range(partitions(topic)):
            for record in scan(reader, topic, partition):
                _note_event(record, core, topic, result, seen, causes)
    for topic in core.inputs:
        for partition in range(partitions(topic)):
            runs = covered.get(TopicPartition(topic, partition), [])
            result.hops.append(_hop(reader, core, topic, partition, runs, result.problems))
    _check_causes(core, causes, covered, result.problems)
    led_to = {place: max(following for _, following, _ in runs) for place, runs in covered.items()}
    result.problems += cut_ends(core, led_to, committed)
    found = sum(
        1
        for partition in range(partitions(core.dlq_topic))
        for record in scan(reader, core.dlq_topic, partition)
        if dict(record.headers).get("dlq.group") == core.name.encode()
    )
    if found != dead_lettered:
        result.problems.append(f"{dead_lettered} dead letters recorded, {found} in the topic")
    return result


def _scan_own(
    reader: Reader,
    core: Core,
    partition: int,
    result: CoreBalance,
    seen: set[str],
    covered: Covered,
    causes: list[tuple[str, int, int]],
) -> int:
    """Collect the runs and events of one own partition; returns its dead letters."""
    dead_lettered = 0
    step_type = f"{core.name}.{STEP}"
    for record in scan(reader, core.own_topic, partition):
        place = f"{core.own_topic}[{partition}]@{record.offset}"
        try:
            envelope = envelope_of(record.headers)
            if not envelope.type.startswith(step_type):
                _note_event(record, core, core.own_topic, result, seen, causes)
                continue
            step = decode_as(StepTaken, record.value, step_type)
        except Undecodable as damage:
            result.problems.append(f"{place}: {damage}")
            continue
        counted = {name: getattr(step, name) for name in VERDICTS}
        for name, count in counted.items():
            result.verdicts[name] = result.verdicts.get(name, 0) + count
        dead_lettered += step.dead_lettered
        closed = sum(run.count for run in step.runs)
        if closed != sum(counted.values()):
            result.problems.append(
                f"{place}: {closed} inputs in runs, {sum(counted.values())} counted"
            )
        for run in step.runs:
            runs = covered.setdefault(TopicPartition(run.topic, partition), [])
            runs.append((run.first, run.next, run.count))
    return dead_lettered


VERDICTS = ("decided", "silent", "rejected", "dead_lettered")


def _note_event(
    record: Record,
    core: Core,
    topic: str,
    result: CoreBalance,
    seen: set[str],
    causes: list[tuple[str, int, int]],
) -> None:
    envelope = _envelope_or_none(record)
    if envelope is None or envelope.source != core.name or not envelope.cause:
        return
    result.events += 1
    if envelope.id in seen:
        result.problems.append(
            f"{topic}[{record.partition}]@{record.offset}: id {envelope.id} twice"
        )
    seen.add(envelope.id)
    cause = parse_cause(envelope.cause)
    causes.append((cause.topic, cause.partition, cause.offset))


def _envelope_or_none(record: Record) -> Envelope | None:
    """None for what no core wrote: bytes without an envelope, which a reader dead-letters, and a
    dead letter that was written back, a copy with the id of its original (docs/adr/0008).
    """
    if any(name == "dlq.redriven" for name, _ in record.headers):
        return None
    try:
        return envelope_of(record.headers)
    except Undecodable:
        return None


def _hop(
    reader: Reader,
    core: Core,
    topic: str,
    partition: int,
    runs: list[tuple[int, int, int]],
    problems: list[str],
) -> HopBalance:
    """Lay the runs over the input's committed records: gaps are lost, overlaps doubled."""
    hop = HopBalance(core.name, topic, partition)
    runs = sorted(runs)
    there = [0] * len(runs)
    index, position = 0, 0
    for first, following, _ in runs:
        if first < position:
            problems.append(f"{topic}[{partition}]: inputs {first}..{position} decided twice")
        position = max(position, following)
    for record in scan(reader, topic, partition):
        hop.inputs += 1
        while index < len(runs) and runs[index][1] <= record.offset:
            index += 1
        cover = 0
        for number in range(index, len(runs)):
            if runs[number][0] > record.offset:
                break
            if record.offset < runs[number][1]:
                cover += 1
                there[number] += 1
        if cover:
            hop.decided += 1
            hop.doubled += cover - 1
        elif record.offset < position:
            hop.lost += 1
            problems.append(f"{topic}[{partition}]@{record.offset}: passed over by {core.name}")
        else:
            hop.lag += 1
    _check_inputs(hop, runs, there, problems)
    return hop


def _check_inputs(
    hop: HopBalance, runs: list[tuple[int, int, int]], there: list[int], problems: list[str]
) -> None:
    """What was decided is there: an input that was taken out shows by its run alone."""
    wrong = [at for at, (_, _, count) in enumerate(runs) if there[at] != count]
    if wrong:
        decided = sum(runs[at][2] for at in wrong)
        found = sum(there[at] for at in wrong)
        problems.append(
            f"{hop.topic}[{hop.partition}]@{runs[wrong[0]][0]}: decided, but not there: from here "
            f"{hop.core} decided {decided} inputs in {len(wrong)} runs that hold {found}"
        )


def _check_causes(
    core: Core,
    causes: list[tuple[str, int, int]],
    covered: Covered,
    problems: list[str],
) -> None:
    """Every event's cause lies in a run (an open long decision closes in a later one)."""
    from bisect import bisect_right

    ordered = {where: sorted(runs) for where, runs in covered.items()}
    missing = 0
    for topic, partition, offset in causes:
        runs = ordered.get(TopicPartition(topic, partition), [])
        at = bisect_right(runs, (offset, 1 << 62)) - 1
        if at < 0 or not runs[at][0] <= offset < runs[at][1]:
            missing += 1
    if missing:
        problems.append(f"{core.name}: {missing} events whose cause lies in no run")

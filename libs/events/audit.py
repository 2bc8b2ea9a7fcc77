"""The audit of a core from its topics alone: does the balance hold, and does replay prove it?

`balance` checks invariant 1 of the design (nothing lost, nothing counted twice) for every hop and
partition; `replay` decides every recorded input again, in the recorded order, silent ones too, and
compares key, value and `ce_` headers with what was recorded. Both read only; neither knows whether
the topics are on a broker or in files an auditor took away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from libs.events.batch import Batch, Bounds, decide_input
from libs.events.codec import Codec, decode_as, envelope_of
from libs.events.comparison import difference
from libs.events.core import SHARED, Core
from libs.events.errors import Undecodable
from libs.events.fold import Fold
from libs.events.log import Bounds as Ends
from libs.events.log import Slice
from libs.events.record import Envelope, Headers, Outgoing, Record, parse_cause
from libs.events.step import STEP, StepTaken

READ_LIMIT = 2000
_NO_BOUNDS = Bounds(inputs_max=1 << 60, outgoing_max=1 << 60, bytes_max=1 << 60)


class Reader(Protocol):
    """Committed records of any topic: a broker's reader, the simulated one, or exported files."""

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        """Committed records from `first` on."""
        ...

    def bounds(self, topic: str, partition: int) -> Ends:
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
    """All committed records of one partition, in order."""
    ends = reader.bounds(topic, partition)
    at = max(first, ends.low)
    while at < ends.stable:
        piece = reader.read(topic, partition, at, READ_LIMIT)
        yield from piece.records
        if not piece.records:
            return
        at = piece.next_offset


def balance(
    reader: Reader, core: Core, partitions: Callable[[str], int], written: tuple[str, ...]
) -> CoreBalance:
    """The balance of a core; `written` are the topics besides its own that it writes to."""
    result = CoreBalance(core.name)
    seen: set[str] = set()
    dead_lettered = 0
    covered: dict[tuple[str, int], list[tuple[int, int]]] = {}
    causes: list[tuple[str, int, int]] = []
    for partition in range(partitions(core.own_topic)):
        dead_lettered += _scan_own(reader, core, partition, result, seen, covered, causes)
    for topic in written:
        for partition in range(partitions(topic)):
            for record in scan(reader, topic, partition):
                _note_event(record, core, topic, result, seen, causes)
    for topic in core.inputs:
        for partition in range(partitions(topic)):
            runs = covered.get((topic, partition), [])
            result.hops.append(_hop(reader, core, topic, partition, runs, result.problems))
    _check_causes(core, causes, covered, result.problems)
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
    covered: dict[tuple[str, int], list[tuple[int, int]]],
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
            covered.setdefault((run.topic, partition), []).append((run.first, run.next))
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
    runs: list[tuple[int, int]],
    problems: list[str],
) -> HopBalance:
    """Lay the runs over the input's committed records: gaps are lost, overlaps doubled."""
    hop = HopBalance(core.name, topic, partition)
    runs = sorted(runs)
    index, position = 0, 0
    for first, following in runs:
        if first < position:
            problems.append(f"{topic}[{partition}]: inputs {first}..{position} decided twice")
        position = max(position, following)
    for record in scan(reader, topic, partition):
        hop.inputs += 1
        while index < len(runs) and runs[index][1] <= record.offset:
            index += 1
        cover = 0
        for first, following in runs[index:]:
            if first > record.offset:
                break
            cover += first <= record.offset < following
        if cover:
            hop.decided += 1
            hop.doubled += cover - 1
        elif record.offset < position:
            hop.lost += 1
            problems.append(f"{topic}[{partition}]@{record.offset}: passed over by {core.name}")
        else:
            hop.lag += 1
    return hop


def _check_causes(
    core: Core,
    causes: list[tuple[str, int, int]],
    covered: Mapping[tuple[str, int], list[tuple[int, int]]],
    problems: list[str],
) -> None:
    """Every event's cause lies in a run (an open long decision closes in a later one)."""
    from bisect import bisect_right

    ordered = {where: sorted(runs) for where, runs in covered.items()}
    missing = 0
    for topic, partition, offset in causes:
        runs = ordered.get((topic, partition), [])
        at = bisect_right(runs, (offset, 1 << 62)) - 1
        if at < 0 or not runs[at][0] <= offset < runs[at][1]:
            missing += 1
    if missing:
        problems.append(f"{core.name}: {missing} events whose cause lies in no run")


# -- replay -------------------------------------------------------------------------------------


@dataclass(slots=True)
class ReplayResult:
    """What deciding again gave. Only `is_identical` proves the log."""

    core: str
    compared: int = 0
    not_comparable: int = 0
    inputs: int = 0
    differences: list[str] = field(default_factory=list)

    @property
    def is_identical(self) -> bool:
        """Everything was compared and nothing differs."""
        return not self.differences and not self.not_comparable


Recorded = dict[str, tuple[str, int, bytes | None, bytes, Headers]]


def recorded_outgoing(
    reader: Reader, core: Core, partitions: Callable[[str], int], written: tuple[str, ...]
) -> Recorded:
    """What a core wrote for others, by event id."""
    found: Recorded = {}
    for topic in written:
        for partition in range(partitions(topic)):
            for record in scan(reader, topic, partition):
                envelope = _envelope_or_none(record)
                if envelope is not None and envelope.source == core.name and envelope.cause:
                    found[envelope.id] = (
                        topic,
                        partition,
                        record.key,
                        record.value,
                        record.headers,
                    )
    return found


def replay(
    reader: Reader, core: Core, partitions: Callable[[str], int], written: tuple[str, ...]
) -> ReplayResult:
    """Decide all recorded inputs of a core again and compare; see the module's text."""
    result = ReplayResult(core.name)
    outgoing = recorded_outgoing(reader, core, partitions, written)
    for partition in range(partitions(core.own_topic)):
        _Replay(reader, core, partition, partitions, outgoing, result).run()
    result.differences += [
        f"{topic}[{partition}]: event {key} was not decided by any recorded input"
        for key, (topic, partition, *_) in outgoing.items()
    ]
    return result


class _Replay:
    """The replay of one partition: a fold, and the own events that wait for their step."""

    def __init__(
        self,
        reader: Reader,
        core: Core,
        partition: int,
        partitions: Callable[[str], int],
        outgoing: Recorded,
        result: ReplayResult,
    ) -> None:
        self.reader, self.core, self.partition = reader, core, partition
        self.partitions, self.outgoing, self.result = partitions, outgoing, result
        self.codec = Codec(core.catalogue)
        self.fold = Fold(core, partition)
        self.inputs = {topic: _Cursor(reader, topic, partition) for topic in core.inputs}

    def run(self) -> None:
        waiting: list[Record] = []
        step_type = self.core.catalogue.by_name[f"{self.core.name}.{STEP}"].full_name
        for record in scan(self.reader, self.core.own_topic, self.partition):
            try:
                envelope = envelope_of(record.headers)
                if envelope.type != step_type:
                    waiting.append(record)
                    continue
                step = decode_as(StepTaken, record.value, step_type)
            except Undecodable as error:
                self._differ(record, str(error))
                return
            if step.pending is not None and not step.runs:
                continue  # a part of a long decision: compared when it closes
            decided = self._take(step, waiting)
            waiting = waiting[decided:] if step.pending is not None else []
            if self.result.differences:
                return

    def _take(self, step: StepTaken, waiting: list[Record]) -> int:
        """Decide the inputs of one step again; how many of the waiting events they explain."""
        comparable = step.decider == self.core.decider
        produced: list[Outgoing] = []
        for run in step.runs:
            records = self.inputs[run.topic].take(run.first, run.next)
            self.result.inputs += len(records)
            if len(records) != run.count:
                self.result.differences.append(
                    f"{run.topic}[{self.partition}]: {run.count} inputs recorded from "
                    f"{run.first}, {len(records)} are there"
                )
                return 0
            if comparable:
                produced += self._decide(records)
        if not comparable:
            self.result.not_comparable += len(waiting)
            self._fold_recorded(waiting, step)
            return len(waiting)
        own = [record for record in produced if record.topic == self.core.own_topic]
        if len(own) != len(waiting) and (step.pending is None or len(own) > len(waiting)):
            self._differ_count(own, waiting)
        for made, recorded in zip(own, waiting, strict=False):
            self._compare(made, recorded)
        for made in produced:
            if made.topic not in (self.core.own_topic, self.core.dlq_topic):
                self._compare_outgoing(made)
        self._compare_standing(step)
        return len(own)

    def _decide(self, records: list[Record]) -> list[Outgoing]:
        produced: list[Outgoing] = []
        for record in records:
            batch = Batch(self.core, self.codec, self.partitions, _NO_BOUNDS)
            # One fold serves all: a long decision is decided at once, its parts must equal it.
            self.fold.pending = None
            done = decide_input(batch, self.fold, record, lambda part: part)
            assert done is batch
            produced += batch.outgoing
        return produced

    def _fold_recorded(self, waiting: list[Record], step: StepTaken) -> None:
        for record in waiting:
            envelope = envelope_of(record.headers)
            body = self.codec.decode(envelope.type, record.value)
            self.fold.apply(record.key.decode() if record.key else SHARED, body)
        self.fold.apply_step(step)
        self.fold.pending = None

    def _compare(self, made: Outgoing, recorded: Record) -> None:
        self.result.compared += 1
        problem = difference(made, recorded.key, recorded.value, recorded.headers)
        if problem:
            self._differ(recorded, problem)

    def _compare_outgoing(self, made: Outgoing) -> None:
        self.result.compared += 1
        made_id = envelope_of(made.headers).id
        found = self.outgoing.pop(made_id, None)
        if found is None:
            self.result.differences.append(f"{made.topic}: event {made_id} is not recorded")
            return
        topic, partition, key, value, headers = found
        where = f"{topic}[{partition}] event {made_id}"
        if (topic, partition) != (made.topic, made.partition):
            self.result.differences.append(f"{where}: belongs to {made.topic}[{made.partition}]")
            return
        problem = difference(made, key, value, headers)
        if problem:
            self.result.differences.append(f"{where}: {problem}")

    def _compare_standing(self, step: StepTaken) -> None:
        for topic, position in step.positions.items():
            if self.fold.positions.get(topic, 0) != position:
                self.result.differences.append(
                    f"{self.core.own_topic}[{self.partition}]: the step says {topic} is at "
                    f"{position}, its runs lead to {self.fold.positions.get(topic, 0)}"
                )
        if step.pending is None and self.fold.as_of != step.as_of:
            self.result.differences.append(
                f"{self.core.own_topic}[{self.partition}]: as_of is {step.as_of}, "
                f"the inputs lead to {self.fold.as_of}"
            )

    def _differ(self, record: Record, problem: str) -> None:
        self.result.differences.append(
            f"{record.topic}[{record.partition}]@{record.offset}: {problem}"
        )

    def _differ_count(self, own: list[Outgoing], waiting: list[Record]) -> None:
        made = {envelope_of(record.headers).id for record in own}
        kept = {envelope_of(record.headers).id for record in waiting}
        for record in waiting:
            if envelope_of(record.headers).id not in made:
                self._differ(record, "recorded, but not decided by the inputs")
                return
        missing = next(iter(made - kept), "?")
        self.result.differences.append(
            f"{self.core.own_topic}[{self.partition}]: decided, but not recorded: {missing}"
        )


class _Cursor:
    """Reads one input partition forward, run by run."""

    def __init__(self, reader: Reader, topic: str, partition: int) -> None:
        self.records = scan(reader, topic, partition)
        self.ahead: Record | None = None

    def take(self, first: int, following: int) -> list[Record]:
        """The records with offsets from `first` up to `following`; a gap before them shows."""
        taken: list[Record] = []
        while True:
            record = self.ahead or next(self.records, None)
            self.ahead = None
            if record is None:
                return taken
            if record.offset >= following:
                self.ahead = record
                return taken
            taken.append(record)

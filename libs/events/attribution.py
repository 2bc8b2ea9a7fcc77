"""Who decided what in a log, by its step records: the part of replay that needs no deciding.

A step record names the release that decided it (its decider) and the runs of inputs that it closed.
So every input, and through its cause every event, has one decider, whether or not the auditor has
that release at hand. What fits to no step was put into the log by somebody else, and that shows
under any release.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field

from libs.events.audit import Reader, scan
from libs.events.codec import decode_as, envelope_of
from libs.events.core import Core
from libs.events.errors import Undecodable
from libs.events.record import Cause, Envelope, Record, TopicPartition, event_id, parse_cause
from libs.events.step import STEP, StepTaken


@dataclass(slots=True)
class Share:
    """What one decider decided: its steps, the inputs they closed, the events they recorded."""

    steps: int = 0
    inputs: int = 0
    records: int = 0


def step_type_of(core: Core) -> str:
    """The full type of a core's step records."""
    return core.catalogue.by_name[f"{core.name}.{STEP}"].full_name


def cause_of(envelope: Envelope) -> Cause:
    """The cause that an event of a core names. Undecodable when it names none, or when its id is
    not the one that follows from it."""
    try:
        cause = parse_cause(envelope.cause)
    except ValueError:
        problem = f"event {envelope.id} names no cause: {envelope.cause!r}"
        raise Undecodable("ce_cause", problem) from None
    if envelope.id != event_id(envelope.source, cause):
        problem = f"event {envelope.id} has the cause {cause}, which gives another id"
        raise Undecodable("ce_id", problem)
    return cause


class _Runs:
    """The runs of one input partition, each with its decider."""

    def __init__(self) -> None:
        self.firsts: list[int] = []
        self.rest: list[tuple[int, str]] = []

    def add(self, first: int, following: int, decider: str) -> None:
        at = bisect_right(self.firsts, first)
        self.firsts.insert(at, first)
        self.rest.insert(at, (following, decider))

    def find(self, offset: int) -> str | None:
        at = bisect_right(self.firsts, offset) - 1
        if at < 0 or offset >= self.rest[at][0]:
            return None
        return self.rest[at][1]


@dataclass(slots=True)
class Attribution:
    """The deciders of all inputs and own events of one core.

    damaged: partitions with a record that cannot be read, where a missing step proves nothing.
    """

    core: Core
    shares: dict[str, Share] = field(default_factory=dict)
    steps_of: dict[tuple[int, str], int] = field(default_factory=dict)
    damaged: set[int] = field(default_factory=set)
    differences: list[str] = field(default_factory=list)
    _runs: dict[TopicPartition, _Runs] = field(default_factory=dict)
    _parts: dict[tuple[str, int, int], list[tuple[int, str]]] = field(default_factory=dict)
    _numbers: dict[tuple[str, int, int], set[int]] = field(default_factory=dict)

    def decider_of(self, cause: Cause) -> str | None:
        """Who decided the event with this cause; None when no step closed or began its input."""
        for following, decider in self._parts.get((cause.topic, cause.partition, cause.offset), ()):
            if cause.index < following:
                return decider
        runs = self._runs.get(TopicPartition(cause.topic, cause.partition))
        return runs.find(cause.offset) if runs is not None else None

    def led_to(self) -> dict[TopicPartition, int]:
        """Where the steps lead to: the offset after the last input that any of them closed."""
        return {
            place: max(following for following, _ in runs.rest)
            for place, runs in self._runs.items()
        }

    def share_of(self, decider: str) -> Share:
        """The share of one decider, to be added to."""
        return self.shares.setdefault(decider, Share())

    def note_number(self, cause: Cause, place: str) -> None:
        """Remember an event that cannot be decided again here: the events of an input are numbered
        without a gap, so one that was taken out, or put in anywhere but behind them, shows."""
        numbers = self._numbers.setdefault((cause.topic, cause.partition, cause.offset), set())
        if cause.index in numbers:
            self.differences.append(f"{place}: a second event with the cause {cause}")
        numbers.add(cause.index)

    def gaps(self) -> list[str]:
        """The inputs whose remembered events are not numbered 0, 1, 2 and so on."""
        found = []
        for (topic, partition, offset), numbers in self._numbers.items():
            parts = {decider for _, decider in self._parts.get((topic, partition, offset), ())}
            closing = self.decider_of(Cause(topic, partition, offset, 1 << 62))
            if len(parts | {closing or next(iter(parts), "")}) > 1:
                continue  # several releases decided it, each a part of the numbers
            if max(numbers) + 1 != len(numbers):
                missing = next(n for n in range(len(numbers)) if n not in numbers)
                found.append(
                    f"{topic}[{partition}]@{offset}: {len(numbers)} events are recorded up to "
                    f"number {max(numbers)}, number {missing} is missing"
                )
        return found

    def read(self, reader: Reader, partition: int) -> None:
        """Take in one own partition."""
        step_type = step_type_of(self.core)
        events: list[tuple[Record, Envelope]] = []
        for record in scan(reader, self.core.own_topic, partition):
            try:
                envelope = envelope_of(record.headers)
                if envelope.type != step_type:
                    events.append((record, envelope))
                    continue
                step = decode_as(StepTaken, record.value, step_type)
            except Undecodable as damage:
                self.damaged.add(partition)
                self._differ(record, str(damage))
                continue
            self._take(step, partition, events)
            events = []
        for record, envelope in events:
            self._differ(record, f"event {envelope.id} is in no step")

    def _take(self, step: StepTaken, partition: int, events: list[tuple[Record, Envelope]]) -> None:
        share = self.share_of(step.decider)
        share.steps += 1
        share.inputs += sum(run.count for run in step.runs)
        share.records += len(events)
        where = (partition, step.decider)
        self.steps_of[where] = self.steps_of.get(where, 0) + 1
        for run in step.runs:
            runs = self._runs.setdefault(TopicPartition(run.topic, partition), _Runs())
            runs.add(run.first, run.next, step.decider)
        if step.pending is not None:
            place = (step.pending.topic, partition, step.pending.offset)
            self._parts.setdefault(place, []).append((step.pending.next_index, step.decider))
        if step.decider == self.core.decider:
            return  # replay compares them one by one
        for record, envelope in events:
            try:
                cause = cause_of(envelope)
            except Undecodable as wrong:
                self._differ(record, wrong.problem)
                continue
            if cause.partition != partition or self.decider_of(cause) != step.decider:
                self._differ(record, f"event {envelope.id} was decided by no input of its step")
            else:
                self.note_number(cause, place_of(record))

    def _differ(self, record: Record, problem: str) -> None:
        self.differences.append(f"{place_of(record)}: {problem}")


def place_of(record: Record) -> str:
    """Where a record lies, as the differences name it."""
    return f"{record.topic}[{record.partition}]@{record.offset}"


def attribute(reader: Reader, core: Core, partitions: Callable[[str], int]) -> Attribution:
    """Read the step records of all own partitions of a core."""
    found = Attribution(core)
    for partition in range(partitions(core.own_topic)):
        found.read(reader, partition)
    return found

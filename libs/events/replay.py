"""The replay of a core from its topics alone: does deciding again give what is recorded?

`replay` decides every recorded input again, in the recorded order, silent ones too, and compares
key, value and `ce_` headers of each event with what was recorded. What another release decided is
folded and not compared: it is counted by its decider, for a replay by that release. Whatever fits
to no step record is a difference, whoever decided the steps around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from libs.events.attribution import (
    Attribution,
    Share,
    attribute,
    cause_of,
    place_of,
    step_type_of,
)
from libs.events.audit import Reader, cut_ends, scan
from libs.events.batch import Batch, Bounds, decide_input
from libs.events.codec import Codec, decode_as, envelope_of
from libs.events.comparison import difference
from libs.events.core import SHARED, Core, Item, View
from libs.events.dead_letters import REDRIVEN
from libs.events.errors import Undecodable
from libs.events.fold import Fold
from libs.events.record import Cause, Envelope, Outgoing, Record, TopicPartition
from libs.events.step import Run, StepTaken

Writers = Callable[[str], tuple[str, ...]]
IDENTICAL, DIFFERENT, NOT_PROVEN = "IDENTICAL", "DIFFERENT", "NOT PROVEN"
_BROKEN = (AssertionError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_NO_BOUNDS = Bounds(inputs_max=1 << 60, outgoing_max=1 << 60, bytes_max=1 << 60)


@dataclass(slots=True)
class ReplayResult:
    """What deciding again gave. Only `is_identical` proves the log.

    decider: the release that replayed; steps: how many of them it decided; compared: the events it
    made again; inputs: all that are recorded; others: what other deciders decided.
    """

    core: str
    decider: str = ""
    compared: int = 0
    inputs: int = 0
    steps: int = 0
    others: dict[str, Share] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    @property
    def not_comparable(self) -> int:
        """The events that other deciders recorded. With 0 of them there may still be inputs on
        which another decider was silent."""
        return sum(share.records for share in self.others.values())

    @property
    def is_identical(self) -> bool:
        """Everything was decided again and nothing differs."""
        return self.verdict == IDENTICAL

    @property
    def verdict(self) -> str:
        """DIFFERENT with any difference, else NOT PROVEN with any step of another decider."""
        if self.differences:
            return DIFFERENT
        return NOT_PROVEN if self.others else IDENTICAL


def verdict_of(results: Iterable[ReplayResult]) -> str:
    """The verdict over several cores: the worst of theirs."""
    found = {result.verdict for result in results}
    return next((each for each in (DIFFERENT, NOT_PROVEN) if each in found), IDENTICAL)


@dataclass(slots=True)
class Written:
    """What a core wrote for others, by event id, and what of it no core would write."""

    events: dict[str, tuple[Record, Cause]] = field(default_factory=dict)
    differences: list[str] = field(default_factory=list)

    def add(self, record: Record, envelope: Envelope) -> None:
        """Take in an event that names the core as its source."""
        try:
            cause = cause_of(envelope)
        except Undecodable as wrong:
            self.differences.append(f"{place_of(record)}: {wrong.problem}")
            return
        if envelope.id in self.events:
            self.differences.append(f"{place_of(record)}: event {envelope.id} is there twice")
            return
        self.events[envelope.id] = record, cause


def recorded_outgoing(
    reader: Reader,
    core: Core,
    partitions: Callable[[str], int],
    written: tuple[str, ...],
    writers: Writers | None = None,
) -> Written:
    """What a core wrote for others; `written` are the topics besides its own that it writes to.

    Bytes without an envelope are nobody's: whoever reads them makes a dead letter of them.
    """
    found = Written()
    copies: list[tuple[Record, Envelope]] = []
    for topic in written:
        known = None if writers is None else {core.name, *writers(topic)}
        for partition in range(partitions(topic)):
            for record in scan(reader, topic, partition):
                try:
                    envelope = envelope_of(record.headers)
                except Undecodable:
                    continue
                if known is not None and envelope.source not in known:
                    problem = f"event {envelope.id} is of {envelope.source!r}, who may not write it"
                    found.differences.append(f"{place_of(record)}: {problem}")
                elif envelope.source != core.name:
                    continue
                elif any(name == REDRIVEN for name, _ in record.headers):
                    copies.append((record, envelope))
                else:
                    found.add(record, envelope)
    for record, envelope in copies:
        original, _ = found.events.get(envelope.id, (None, None))
        if original is None or _content_of(original) != _content_of(record):
            problem = f"event {envelope.id} was written back, and it is no copy of what was written"
            found.differences.append(f"{place_of(record)}: {problem}")
    return found


def _content_of(record: Record) -> tuple[object, ...]:
    """What a redriven copy has in common with its original (docs/adr/0008)."""
    headers = [header for header in record.headers if not header[0].startswith("dlq.")]
    return record.topic, record.partition, record.key, record.value, headers


def replay(
    reader: Reader,
    core: Core,
    partitions: Callable[[str], int],
    written: tuple[str, ...],
    writers: Writers | None = None,
    committed: Mapping[TopicPartition, int] | None = None,
) -> ReplayResult:
    """Decide all recorded inputs of a core again and compare; see the module's text. With
    `writers`, who may write a topic, an event of anybody else on `written` is a difference; with
    `committed`, the offsets of its group as they were before, an end that was cut off is one."""
    attribution = attribute(reader, core, partitions)
    outgoing = recorded_outgoing(reader, core, partitions, written, writers)
    result = ReplayResult(core.name, core.decider)
    parts = []
    for partition in range(partitions(core.own_topic)):
        steps = attribution.steps_of.get((partition, core.decider), 0)
        part = _Replay(reader, core, partition, partitions, outgoing, result, steps)
        part.run()
        parts.append(part)
        result.differences += part.differences
    result.differences += cut_ends(core, attribution.led_to(), committed)
    result.differences += _left_over(core, attribution, outgoing, parts)
    result.differences += outgoing.differences + attribution.differences + attribution.gaps()
    result.differences = list(dict.fromkeys(result.differences))
    result.steps = attribution.share_of(core.decider).steps
    result.others = {
        decider: share for decider, share in attribution.shares.items() if decider != core.decider
    }
    return result


def _left_over(
    core: Core, attribution: Attribution, outgoing: Written, parts: list[_Replay]
) -> list[str]:
    """Judge the outgoing events that were not decided again: those of other deciders count as
    theirs, and those that were not reached after a difference prove nothing more."""
    found = []
    for event, (record, cause) in outgoing.events.items():
        place = place_of(record)
        decider = attribution.decider_of(cause)
        if decider is None:
            if cause.partition not in attribution.damaged:
                found.append(f"{place}: event {event} was not decided by any recorded input")
        elif decider != core.decider:
            attribution.share_of(decider).records += 1
            attribution.note_number(cause, place)
        elif parts[cause.partition].has_decided(cause):
            found.append(f"{place}: event {event} was not decided by the input that it names")
    return found


class _Replay:
    """The replay of one partition: a fold, and the own events that wait for their step.

    steps_left: how many steps of this decider are still to come. Behind the last of them nothing
    is folded, so that a release need not understand what a newer one recorded after it.
    """

    def __init__(
        self,
        reader: Reader,
        core: Core,
        partition: int,
        partitions: Callable[[str], int],
        outgoing: Written,
        result: ReplayResult,
        steps_left: int,
    ) -> None:
        self.reader, self.core, self.partition = reader, core, partition
        self.partitions, self.outgoing, self.result = partitions, outgoing, result
        self.steps_left = steps_left
        self.codec = Codec(core.catalogue)
        self.fold = Fold(core, partition)
        self.inputs: dict[str, _Cursor] = {}
        self.waiting: list[Record] = []
        self.open: StepTaken | None = None
        self.open_count = 0
        self.stopped = False
        self.differences: list[str] = []

    def run(self) -> None:
        """Go through the own topic until its end or until something differs."""
        step_type = step_type_of(self.core)
        for record in scan(self.reader, self.core.own_topic, self.partition):
            try:
                if envelope_of(record.headers).type != step_type:
                    self.waiting.append(record)
                    continue
                self._take(decode_as(StepTaken, record.value, step_type))
            except Undecodable as damage:
                self._differ(record, str(damage))
            except _BROKEN as failure:
                # What was altered may be anything, and a decision relies on what a core wrote.
                name = type(failure).__name__
                self._differ(record, f"its step cannot be decided again: {name} {failure}")
            if self.differences:
                self.stopped = True
                return
        self._settle_open()

    def has_decided(self, cause: Cause) -> bool:
        """Whether the replay came as far as this input of its partition."""
        return not self.stopped or cause.offset < self.fold.positions.get(cause.topic, 0)

    def _take(self, step: StepTaken) -> None:
        if step.decider != self.core.decider:
            self._settle_open()
            if not self.differences:
                self._pass_over(step)
            return
        self.steps_left -= 1
        if step.pending is None or step.runs:
            decided = self._compare_step(step)
            self.waiting = self.waiting[decided:] if step.pending is not None else []
        # Parts of a long decision wait until it closes, or another release goes on with it.
        self.open = step if step.pending is not None else None
        self.open_count = len(self.waiting)

    def _compare_step(self, step: StepTaken) -> int:
        """Decide the inputs of one step again; how many of the waiting events they explain."""
        produced: list[Outgoing] = []
        for run in step.runs:
            records = self._inputs_of(run)
            if records is None:
                return 0
            for record in records:
                if not self._is_next(record):
                    return 0
                produced += self._decide(self.core, record)
        own = self._own(produced)
        if len(own) != len(self.waiting) and (step.pending is None or len(own) > len(self.waiting)):
            self._differ_count(own, self.waiting)
        self._compare_all(produced, own, self.waiting)
        self._compare_standing(step)
        return len(own)

    def _settle_open(self) -> None:
        """Compare the parts of a long decision that another release went on with, or nobody yet:
        the same decision, over the keys up to the last one done."""
        if self.open is None or self.open.pending is None:
            return
        pending, self.open = self.open.pending, None
        piece = self.reader.read(pending.topic, self.partition, pending.offset, 1)
        record = next(iter(piece.records), None)
        where = f"{pending.topic}[{self.partition}]@{pending.offset}"
        if record is None or record.offset != pending.offset:
            self.differences.append(f"{where}: a decision about it was begun, and it is not there")
            return
        if not self._is_next(record):
            return

        def done(view: View, item: Item) -> Iterable[str]:
            return [key for key in self.core.concerned(view, item) if key <= pending.after_key]

        before = self.fold.positions.get(pending.topic)
        first = self.fold.pending.next_index if self.fold.pending is not None else 0
        produced = self._decide(replace(self.core, concerned=done), record)
        own, recorded = self._own(produced), self.waiting[: self.open_count]
        if len(own) != len(recorded):
            self._differ_count(own, recorded)
        elif first + len(produced) != pending.next_index:
            self.differences.append(
                f"{where}: the step says {pending.next_index} events were decided so far, "
                f"decided were {first + len(produced)}"
            )
        self._compare_all(produced, own, recorded)
        self.waiting = self.waiting[self.open_count :]
        if before is None:
            self.fold.positions.pop(pending.topic, None)
        else:
            self.fold.positions[pending.topic] = before
        self.fold.pending = pending

    def _pass_over(self, step: StepTaken) -> None:
        """Fold what another release decided, and look that its inputs are there."""
        for run in step.runs:
            if self._inputs_of(run) is None:
                return
        recorded, self.waiting = self.waiting, []
        if not self.steps_left:
            return
        for record in recorded:
            body = self.codec.decode(envelope_of(record.headers).type, record.value)
            self.fold.apply(record.key.decode() if record.key else SHARED, body)
        self.fold.positions.update({run.topic: run.next for run in step.runs})
        self.fold.positions.update(step.positions)
        self.fold.as_of = step.as_of
        self.fold.pending = step.pending

    def _inputs_of(self, run: Run) -> list[Record] | None:
        """The inputs of a run; None, and a difference, when they are not those recorded."""
        if run.topic not in self.inputs:  # another release may read a topic that this one does not
            self.inputs[run.topic] = _Cursor(self.reader, run.topic, self.partition)
        records = self.inputs[run.topic].take(run.first, run.next)
        self.result.inputs += len(records)
        if len(records) == run.count:
            return records
        self.differences.append(
            f"{run.topic}[{self.partition}]: {run.count} inputs recorded from "
            f"{run.first}, {len(records)} are there"
        )
        return None

    def _is_next(self, record: Record) -> bool:
        """Whether the step may decide this input now: an open decision comes first."""
        pending = self.fold.pending
        if pending is None or (record.topic, record.offset) == (pending.topic, pending.offset):
            return True
        self._differ(record, f"was decided while {pending.topic} {pending.offset} was open")
        return False

    def _decide(self, core: Core, record: Record) -> list[Outgoing]:
        # Without bounds: a long decision is made at once, and its parts must equal it. One that
        # another release began is open in the fold, and only the rest of it is decided.
        batch = Batch(core, self.codec, self.partitions, _NO_BOUNDS)
        done = decide_input(batch, self.fold, record, lambda part: part)
        assert done is batch
        return batch.outgoing

    def _own(self, produced: list[Outgoing]) -> list[Outgoing]:
        return [record for record in produced if record.topic == self.core.own_topic]

    def _compare_all(
        self, produced: list[Outgoing], own: list[Outgoing], recorded: list[Record]
    ) -> None:
        for made, found in zip(own, recorded, strict=False):
            self.result.compared += 1
            problem = difference(made, found.key, found.value, found.headers)
            if problem:
                self._differ(found, problem)
        for made in produced:
            if made.topic not in (self.core.own_topic, self.core.dlq_topic):
                self._compare_outgoing(made)

    def _compare_outgoing(self, made: Outgoing) -> None:
        self.result.compared += 1
        made_id = envelope_of(made.headers).id
        found, _ = self.outgoing.events.pop(made_id, (None, None))
        if found is None:
            self.differences.append(f"{made.topic}: event {made_id} is not recorded")
            return
        where = f"event {made_id}"
        if (found.topic, found.partition) != (made.topic, made.partition):
            self._differ(found, f"{where} belongs to {made.topic}[{made.partition}]")
            return
        problem = difference(made, found.key, found.value, found.headers)
        if problem:
            self._differ(found, f"{where}: {problem}")

    def _compare_standing(self, step: StepTaken) -> None:
        where = f"{self.core.own_topic}[{self.partition}]"
        for topic, position in step.positions.items():
            if self.fold.positions.get(topic, 0) != position:
                self.differences.append(
                    f"{where}: the step says {topic} is at {position}, its runs lead to "
                    f"{self.fold.positions.get(topic, 0)}"
                )
        if step.pending is None and self.fold.as_of != step.as_of:
            self.differences.append(
                f"{where}: as_of is {step.as_of}, the inputs lead to {self.fold.as_of}"
            )

    def _differ(self, record: Record, problem: str) -> None:
        self.differences.append(f"{place_of(record)}: {problem}")

    def _differ_count(self, own: list[Outgoing], recorded: list[Record]) -> None:
        made = {envelope_of(record.headers).id for record in own}
        kept = {envelope_of(record.headers).id for record in recorded}
        for record in recorded:
            if envelope_of(record.headers).id not in made:
                self._differ(record, "recorded, but not decided by the inputs")
                return
        missing = next(iter(made - kept), "?")
        self.differences.append(
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

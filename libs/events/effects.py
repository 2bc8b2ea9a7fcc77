"""Effects: cores that touch the world (a relay, a gateway), with their memory in the log.

Kafka's transactions stop at Kafka, and nothing fences a wire. So an effect core writes and awaits
what it is about to do (`attempt_started`) before it does it; an attempt that was started and has no
outcome is never done again after a crash, only looked at. The functions:

    decide(view, key, item) -> emits     as in any core; also what is written before the world is
                                         touched; called again after a crash, it must yield nothing
    action(view, key, item, fresh) -> request   what to do in the world now, None for nothing;
                                         `fresh` is false after a crash: then only looking is safe
    conclude(view, key, item, result) -> emits    what the world answered

Every key of an input is decided, acted on and concluded before the next one. Inputs that lead to
no action share a transaction. The world is slow: after every contact with it what has come since is
polled, and an input of a topic with precedence overtakes all that waits. Within a topic's partition
order never changes, so positions say what is decided as ever.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from libs.events.batch import Batch, Reading
from libs.events.codec import envelope_of
from libs.events.core import Core, Emit, Item, View
from libs.events.errors import Undecodable
from libs.events.fold import Fold
from libs.events.loop import Loop
from libs.events.record import Record
from libs.events.step import Pending
from libs.events.telemetry import follow


@dataclass(frozen=True, slots=True)
class TooLate:
    """The action was not done: too long passed between the written attempt and the wire."""

    waited_s: float


Perform = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectCore(Core):
    """A core with an outside. act_within_s: how old a written attempt may be at the wire;
    precedence: inputs that overtake those after them, and those that are not named."""

    action: Callable[[View, str, Item, bool], Any]
    conclude: Callable[[View, str, Item, Any], Sequence[Emit]]
    act_within_s: float = 5.0
    precedence: tuple[str, ...] = ()


WAITING_MAX = 10_000
"""How many polled inputs may wait for the world; more stay in the log."""


class Waiting:
    """Polled inputs that are not decided yet, each topic's partitions in their order."""

    def __init__(self, precedence: Sequence[str], records: Sequence[Record]) -> None:
        self._ranks = {topic: rank for rank, topic in enumerate(precedence)}
        self._queues: list[deque[Record]] = [deque() for _ in range(len(precedence) + 1)]
        self.add(records)

    def __len__(self) -> int:
        return sum(len(queue) for queue in self._queues)

    def add(self, records: Sequence[Record]) -> None:
        """What was polled after all that waits."""
        for record in records:
            self._queues[self._ranks.get(record.topic, -1)].append(record)

    def take(self) -> Record | None:
        """The first input of the topic that goes first; None when none waits."""
        found = next((queue for queue in self._queues if queue), None)
        return found.popleft() if found is not None else None


class EffectLoop(Loop):
    """Runs an effect core: one input at a time, each world contact between two transactions.

    `perform` does an action and returns its result; it never raises for what the world does.
    """

    perform: Perform
    _is_resuming = False

    def _finish_pending(self, fold: Fold) -> bool:
        """What this turn polled before is not decided yet: nothing later may be polled here."""
        self._is_resuming = True
        try:
            return super()._finish_pending(fold)
        finally:
            self._is_resuming = False

    def _take(self, records: Sequence[Record]) -> bool:
        assert isinstance(self.core, EffectCore)
        waiting = Waiting(self.core.precedence, records)
        batch = self._new_batch()
        while (record := waiting.take()) is not None:
            if record.partition not in self.ready:
                continue
            fold = self.folds[record.partition]
            if record.offset < fold.positions.get(record.topic, 0):
                continue
            follow(record.headers)
            following = self._take_one(batch, fold, record)
            if following is None:
                return False
            acted = following is not batch
            batch = following
            if acted or batch.is_full():
                if not self._commit(batch):
                    return False
                batch = self._new_batch()
            if acted and not self._is_resuming and not self._take_in(waiting):
                return False
        return self._commit(batch)

    def _take_in(self, waiting: Waiting) -> bool:
        """Add what came while the world was touched; False after a rebalance, which voids all."""
        waiting.add(self._poll(max(WAITING_MAX - len(waiting), 0), 0.0))
        return self.log.generation() == self._generation

    def _take_one(self, batch: Batch, fold: Fold, record: Record) -> Batch | None:
        """Decide one input; the batch to go on with, None when an abort or rebalance cut it."""
        reading = batch.read(fold, record)
        item = reading.item
        if item is None:
            batch.dead_letter(fold, reading)
            return batch
        if item.body is None:
            batch.close(fold, reading, "silent")
            return batch
        pending = fold.pending
        index = pending.next_index if pending is not None else 0
        done_key = pending.after_key if pending is not None else None
        for key in sorted(set(self.core.concerned(fold, item))):
            if done_key is not None and key <= done_key:
                continue
            emits = self.core.decide(fold, key, item)
            index = batch.write(fold, reading, key, emits, index)
            outcome = self._act(batch, fold, reading, key, index, done_key, fresh=bool(emits))
            if outcome is None:
                return None
            batch, index = outcome
            done_key = key
        batch.close(fold, reading, "decided" if index else "silent")
        return batch

    def _act(
        self,
        batch: Batch,
        fold: Fold,
        reading: Reading,
        key: str,
        index: int,
        done_key: str | None,
        *,
        fresh: bool,
    ) -> tuple[Batch, int] | None:
        """Commit what was decided, do the action, write its conclusion; until there is no more.

        A fresh action that comes too late is not done. A look is never too late: the world may
        have been touched before, so "not done" would be a lie.
        """
        core = self.core
        assert isinstance(core, EffectCore)
        assert reading.item is not None
        while (request := core.action(fold, key, reading.item, fresh)) is not None:
            record = reading.record
            batch.touch(fold)
            fold.pending = Pending(
                topic=record.topic,
                offset=record.offset,
                next_index=index,
                after_key=done_key if done_key is not None else "",
            )
            began_at = self.now()  # before the commit: it may return long after it was done
            if not self._commit(batch) or not self._keep_alive():
                return None
            waited_s = self.now() - began_at
            late = fresh and waited_s > core.act_within_s
            result = TooLate(waited_s) if late else self.perform(request)
            batch = self._new_batch()
            batch.touch(fold)
            emits = core.conclude(fold, key, reading.item, result)
            assert emits, "a conclusion must change the state, or the action never ends"
            index = batch.write(fold, reading, key, emits, index)
            fresh = False
        return batch, index

    def ahead(self, fold: Fold, topic: str, key: str | None) -> list[Any]:
        """What is committed on an input and not decided yet, for one key (None: without a key)."""
        at = fold.positions.get(topic, 0)
        wanted = key.encode() if key is not None else None
        found: list[Any] = []
        while True:
            piece = self.log.read(topic, fold.number, at, 1000)
            if not piece.records and piece.next_offset <= at:
                return found
            for record in piece.records:
                if record.key == wanted:
                    try:
                        envelope = envelope_of(record.headers)
                        found.append(self.codec.decode(envelope.type, record.value))
                    except Undecodable:
                        continue  # it becomes a dead letter when its turn comes
            at = piece.next_offset

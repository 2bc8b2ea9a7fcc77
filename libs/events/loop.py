"""The loop of a core: poll, decide, evolve, commit; one thread, crash-only.

    poll a batch -> decide -> evolve -> one transaction {own events, step record, outgoing, offsets}

What is decided is in memory before it is committed; `Aborted` undoes it and recovers the partition,
`Fenced` and `Unknown` end the process. Rebalances happen only inside `poll`, and no transaction is
open then, so there is nothing to undo on a revoke. Whoever gets a partition folds it to its end
before its inputs are started; what was polled before a rebalance is thrown away and read again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from libs.events.batch import Batch, Bounds, decide_input
from libs.events.checkpoint import CheckpointStore, Place
from libs.events.codec import Codec
from libs.events.core import Core
from libs.events.errors import Aborted, Refused, Unavailable
from libs.events.fold import Fold
from libs.events.log import Log
from libs.events.record import Record, TopicPartition
from libs.events.recovery import Patience, Recovery, changed_rows
from libs.events.telemetry import DECIDE, Telemetry, follow, traceparent_of


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of a transaction and rhythm of the loop, in seconds."""

    batch: Bounds = field(default_factory=Bounds)
    poll_s: float = 0.2
    linger_max_s: float = 0.2
    recovery_slice_s: float = 1.0
    recovery_poll_s: float = 0.01
    checkpoint_s: float = 5.0
    checkpoint_keys: int = 10_000
    checkpoint_age_max_s: float = 600.0


class Loop:
    """Runs one core as one member of its group. Call `step` for ever; see `run`."""

    def __init__(
        self,
        core: Core,
        log: Log,
        store: CheckpointStore | None,
        partitions: Callable[[str], int],
        *,
        cluster_id: str = "",
        release: str = "",
        limits: Limits | None = None,
        patience: Patience | None = None,
        now: Callable[[], float] = time.monotonic,
        telemetry: Telemetry | None = None,
    ) -> None:
        self.core, self.log, self.store = core, log, store
        self.partitions = partitions
        self.cluster_id, self.release = cluster_id, release
        self.limits = limits or Limits()
        self.patience = patience or Patience()
        self.now = now
        self.telemetry = telemetry or Telemetry(core.name)
        self.codec = Codec(core.catalogue)
        self.folds: dict[int, Fold] = {}
        self.recovering: dict[int, Recovery] = {}
        self.ready: set[int] = set()
        self.commit_s = 0.0
        self._generation = -1
        self._void = False
        self._checkpointed_at: dict[int, float] = {}

    @property
    def is_ready(self) -> bool:
        """Whether all that it was given is recovered; a standby was given nothing, and is ready.

        Not before its first assignment, and not between a revocation and the next one.
        """
        log = self.log
        follows = log.joined() and self._generation == log.generation()
        return follows and not self.recovering and self.ready >= log.assigned()

    # -- one turn ---------------------------------------------------------------------------

    def step(self) -> bool:
        """One turn of the loop; True when it did something.

        When the broker does not answer, nothing is lost: the next turn starts over from the folds.
        """
        try:
            return self._turn()
        except Unavailable as reason:
            self.telemetry.unavailable(reason)
            self._void = True
            return False

    def _turn(self) -> bool:
        if self._void:
            self._start_over()
            self._void = False
        records = self._gather()
        if self.log.generation() != self._generation:
            self._follow_assignment()
            return True
        worked = self._recover() if self.recovering else False
        if records:
            self._take_traced(records)
            worked = True
        self.telemetry.took(records)
        self._save_due()
        self.telemetry.turn(self)
        return worked

    def stop(self) -> None:
        """Leave in order: nothing is open between turns, so only checkpoints are written."""
        for partition in sorted(self.ready):
            self._save(self.folds[partition])
        self.log.close()

    def _poll(self, limit: int, timeout_s: float) -> list[Record]:
        return self.log.poll(limit, timeout_s)

    def _gather(self) -> list[Record]:
        """Inputs for one transaction: more at once the longer a commit takes."""
        if not self.ready:
            idle_s = self.limits.recovery_poll_s if self.recovering else self.limits.poll_s
            return self._poll(0, idle_s)
        wait_s = self.limits.recovery_poll_s if self.recovering else self.limits.poll_s
        records = self._poll(self.limits.batch.inputs_max, wait_s)
        if not records:
            return records
        until = self.now() + min(self.limits.linger_max_s, self.commit_s)
        while len(records) < self.limits.batch.inputs_max:
            left_s = until - self.now()
            if left_s <= 0 or self.log.generation() != self._generation:
                break
            records += self._poll(self.limits.batch.inputs_max - len(records), left_s)
        return records

    # -- assignment and recovery ------------------------------------------------------------

    def _follow_assignment(self) -> None:
        """After any rebalance every partition starts over from its fold."""
        self._generation = self.log.generation()
        self._start_over()

    def _start_over(self) -> None:
        self.ready.clear()
        self.recovering.clear()
        for partition in sorted(self.log.assigned()):
            self._recover_from_fold(partition)

    def _recover_from_fold(self, partition: int) -> None:
        self.ready.discard(partition)
        self.log.pause(partition)
        self.recovering[partition] = Recovery(
            self.core,
            self.log,
            self.codec,
            self.store,
            self._place(partition),
            self.folds.get(partition),
            self.now,
            self.patience,
        )

    def _recover(self) -> bool:
        until = self.now() + self.limits.recovery_slice_s
        for partition, recovery in sorted(self.recovering.items()):
            complete = recovery.advance(until)
            # Kept from the first slice on: a rebalance must not throw a long rebuild away.
            self.folds[partition] = recovery.fold
            if complete:
                del self.recovering[partition]
                self._start(recovery)
                return True
            if self.now() >= until:
                return True
        return False

    def _start(self, recovery: Recovery) -> None:
        fold = recovery.fold
        partition = fold.number
        assert recovery.stable is not None
        if any(offset is None for offset in recovery.stable.values()):
            # The group has no offset here yet: commit the fold's, so that none is ever guessed.
            positions = {
                TopicPartition(topic, partition): at for topic, at in fold.positions.items()
            }
            try:
                self.log.commit([], positions)
            except Aborted as reason:
                self.telemetry.aborted(reason)
                self._recover_from_fold(partition)
                return
        self._checkpointed_at[partition] = self.now()
        self.ready.add(partition)
        if fold.pending is not None and not self._finish_pending(fold):
            return
        self.log.start(partition, fold.positions)

    def _finish_pending(self, fold: Fold) -> bool:
        """Finish a long decision before anything else of the partition is decided."""
        pending = fold.pending
        assert pending is not None
        piece = self.log.read(pending.topic, fold.number, pending.offset, 1)
        if not piece.records or piece.records[0].offset != pending.offset:
            raise Refused(
                f"{pending.topic}[{fold.number}]: the input {pending.offset} of an open decision "
                "is no longer there"
            )
        return self._take_traced([piece.records[0]])

    # -- deciding ---------------------------------------------------------------------------

    def _take_traced(self, records: Sequence[Record]) -> bool:
        """Decide and commit records, within a span that names their traces when spans are sent."""
        tracing = self.telemetry.tracing
        try:
            if not tracing.is_on:
                return self._take(records)
            links = [traceparent_of(record.headers) for record in records]
            with tracing.span(
                f"decide {self.core.name}",
                DECIDE,
                self.core.own_topic,
                links=links,
                message_count=len(records),
            ):
                return self._take(records)
        finally:
            follow(())

    def _take(self, records: Sequence[Record]) -> bool:
        """Decide records in the order polled; False when a rebalance or abort cut it short."""
        batch = self._new_batch()
        for record in records:
            if record.partition not in self.ready:
                continue
            fold = self.folds[record.partition]
            if record.offset < fold.positions.get(record.topic, 0):
                continue  # delivered again: recognised by position
            follow(record.headers)
            following = decide_input(batch, fold, record, self._next_part)
            if following is None:
                return False
            batch = following
            if batch.is_full():
                if not self._commit(batch):
                    return False
                batch = self._new_batch()
        return self._commit(batch)

    def _next_part(self, batch: Batch) -> Batch | None:
        """Commit a part of a long decision; None when it cannot go on here."""
        if not self._commit(batch) or not self._keep_alive():
            return None
        return self._new_batch()

    def _keep_alive(self) -> bool:
        """Serve the group between the parts of a long decision; False after a rebalance."""
        self._poll(0, 0.0)
        return self.log.generation() == self._generation

    def _new_batch(self) -> Batch:
        return Batch(self.core, self.codec, self.partitions, self.limits.batch, self.release)

    def _commit(self, batch: Batch) -> bool:
        """Commit what was decided; False when it was rolled back and is being recovered."""
        if not batch:
            return True
        outgoing, positions = batch.finish()
        began = self.now()
        try:
            written = self.log.commit(outgoing, positions)
        except (Aborted, Unavailable) as reason:
            follow(())  # the last input is one of many; `aborted` names the trace of a single one
            self.telemetry.aborted(reason, outgoing)
            for fold in batch.folds:
                fold.roll_back()
            # Records polled with these are not decided either: all partitions start over.
            self._start_over()
            return False
        took_s = self.now() - began
        self.commit_s = took_s if self.commit_s == 0 else 0.8 * self.commit_s + 0.2 * took_s
        for fold in batch.folds:
            fold.own_next = written[TopicPartition(self.core.own_topic, fold.number)]
        self.telemetry.committed(batch, took_s)
        return True

    # -- checkpoints ------------------------------------------------------------------------

    def _place(self, partition: int) -> Place:
        own = f"{self.core.own_topic}@{self.cluster_id}"
        return Place(self.core.name, partition, self.core.fold_version, own)

    def _save_due(self) -> None:
        if self.store is None:
            return
        for partition in sorted(self.ready):
            fold = self.folds[partition]
            age_s = self.now() - self._checkpointed_at.get(partition, 0.0)
            if len(fold.dirty) >= self.limits.checkpoint_keys or (
                fold.dirty and age_s >= self.limits.checkpoint_s
            ):
                self._save(fold)

    def _save(self, fold: Fold) -> None:
        """Write a checkpoint; one that cannot be written now is tried again later."""
        self._checkpointed_at[fold.number] = self.now()
        if self.store is None or (not fold.dirty and fold.saved is not None):
            return
        if fold.saved is None:
            fold.touch_all()
        try:
            place = self._place(fold.number)
            saved = self.store.save(place, fold.saved, fold.standing(), changed_rows(fold))
            if not saved:
                self._meet_stored(fold, self.store.position(place))
                return
        except Unavailable as reason:
            self.telemetry.checkpoint_failed(reason)
            return
        fold.saved = fold.own_next
        fold.dirty.clear()

    def _meet_stored(self, fold: Fold, stored: int | None) -> None:
        """The stored position is not the one we left: a deleted database, or a newer owner."""
        if stored is None or stored < (fold.saved or 0):
            fold.saved = stored
            fold.touch_all()
        self.telemetry.checkpoint_failed(Unavailable(f"the stored checkpoint moved to {stored}"))


def run(loop: Loop, stopping: Callable[[], bool]) -> None:
    """Step until told to stop, then leave in order; every error but a stop ends the process."""
    while not stopping():
        loop.step()
    loop.stop()

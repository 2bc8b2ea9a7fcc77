"""Each trap of the runtime with its answer taken out: the laws must notice.

A test of a trap that passes without its answer proves nothing, so every case here runs the same
histories as test_loop.py with one answer removed (the switches live in this file only) and demands
that at least one history breaks a law.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pytest

from libs.events import batch as batch_module
from libs.events import loop as loop_module
from libs.events.batch import Batch
from libs.events.errors import Refused
from libs.events.fold import Fold
from libs.events.loop import Loop
from libs.events.record import TopicPartition, partition_of
from libs.events.recovery import Recovery
from libs.events.replay import replay
from libs.events.testing.driver import Simulation
from libs.events.testing.laws import check
from libs.events.testing.simbroker import Membership, Session, SimBroker
from libs.events.testing.simlog import SimLog, SimReader
from tests.simulation.test_loop import run_history
from tests.simulation.toy import WRITTEN, CoinDropped, edge, make_core

Mutant = Callable[[pytest.MonkeyPatch], None]


def no_wait_for_open_transactions(patch: pytest.MonkeyPatch) -> None:
    """2.7 first trap: the tail is read to the last stable offset, and believed."""

    def read_on(self: Recovery) -> bool:
        self.target = -1
        return original(self)

    original = Recovery._read_on
    patch.setattr(Recovery, "_read_on", read_on)
    patch.setattr(Recovery, "_agrees", lambda self: True)


def open_decision_forgotten(patch: pytest.MonkeyPatch) -> None:
    """2.7 second trap: after a crash other inputs are decided before the rest of a long one."""

    def finish(self: Loop, fold: Fold) -> bool:
        fold.pending = None
        return True

    patch.setattr(Loop, "_finish_pending", finish)


def index_starts_again(patch: pytest.MonkeyPatch) -> None:
    """2.7 second trap: the index of a long decision restarts, so ids occur twice."""
    original = batch_module.Pending

    def restarted(**fields: Any) -> Any:
        return original(**{**fields, "next_index": 0})

    patch.setattr(batch_module, "Pending", restarted)


def silence_unrecorded(patch: pytest.MonkeyPatch) -> None:
    """2.7 third trap: inputs without events leave no trace in the step record."""
    original = Batch.close

    def close(self: Batch, fold: Fold, reading: Any, verdict: str) -> None:
        if verdict != "silent":
            original(self, fold, reading, verdict)
            return
        self.touch(fold)
        fold.positions[reading.record.topic] = reading.record.offset + 1
        fold.pending = None
        self.input_count += 1

    patch.setattr(Batch, "close", close)


def time_not_folded(patch: pytest.MonkeyPatch) -> None:
    """2.7 third trap: business time is not part of the fold."""
    original = Fold.apply_step

    def apply_step(self: Fold, step: Any) -> None:
        kept = self.as_of
        original(self, step)
        self.as_of = kept

    patch.setattr(Fold, "apply_step", apply_step)


def abort_not_undone(patch: pytest.MonkeyPatch) -> None:
    """An aborted transaction's decisions stay in memory."""

    def roll_back(self: Fold) -> None:
        self.stand(self._before)

    patch.setattr(Fold, "roll_back", roll_back)


def polled_before_a_rebalance_is_decided(patch: pytest.MonkeyPatch) -> None:
    """What is in memory is believed after a rebalance; nothing is folded again."""

    def start_over(self: Loop) -> None:
        self.recovering.clear()
        for partition in sorted(self.log.assigned()):
            if partition in self.folds and not self.folds[partition].pending:
                self.ready.add(partition)
                self.log.start(partition, self.folds[partition].positions)
            else:
                self._recover_from_fold(partition)

    patch.setattr(Loop, "_start_over", start_over)


def offsets_before_records(patch: pytest.MonkeyPatch) -> None:
    """Offsets are committed in a transaction of their own, before the records, and believed."""
    original = SimLog.commit

    def commit(
        self: SimLog, outgoing: Sequence[Any], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        original(self, [], positions)
        return original(self, outgoing, positions)

    def settle(self: Recovery) -> None:
        for topic, offset in (self.stable or {}).items():
            self.fold.positions[topic] = offset or 0

    patch.setattr(SimLog, "commit", commit)
    patch.setattr(Recovery, "_agrees", lambda self: True)
    patch.setattr(Recovery, "_settle", settle)


def offset_one_too_high(patch: pytest.MonkeyPatch) -> None:
    """A start one record too far on."""
    original = SimLog.start

    def start(self: SimLog, partition: int, positions: Mapping[str, int]) -> None:
        high = {topic: self.broker.bounds(topic, partition).high for topic in positions}
        original(
            self, partition, {topic: min(at + 1, high[topic]) for topic, at in positions.items()}
        )

    patch.setattr(SimLog, "start", start)


def redelivery_not_recognised(patch: pytest.MonkeyPatch) -> None:
    """A start one record too early, and nobody looks at positions."""
    original = SimLog.start

    def start(self: SimLog, partition: int, positions: Mapping[str, int]) -> None:
        original(self, partition, {topic: max(at - 1, 0) for topic, at in positions.items()})

    def take(self: Loop, records: Sequence[Any]) -> bool:
        for record in records:
            if record.partition in self.ready:
                self.folds[record.partition].positions.pop(record.topic, None)
        return original_take(self, records)

    original_take = Loop._take
    patch.setattr(SimLog, "start", start)
    patch.setattr(Loop, "_take", take)


def unknown_is_success(patch: pytest.MonkeyPatch) -> None:
    """An unknown commit outcome is taken for a success."""
    original = SimLog.commit

    def commit(self: SimLog, outgoing: Any, positions: Any) -> dict[TopicPartition, int]:
        from libs.events.errors import Unknown

        try:
            return original(self, outgoing, positions)
        except Unknown:
            return {
                TopicPartition(out.topic, out.partition): self.broker.bounds(
                    out.topic, out.partition
                ).high
                for out in outgoing
            }

    patch.setattr(SimLog, "commit", commit)


def checkpoint_unguarded(patch: pytest.MonkeyPatch) -> None:
    """Checkpoints are written without compare-and-set, by whoever comes."""
    from libs.events.checkpoint import CheckpointStore

    original = CheckpointStore.save

    def save(self: CheckpointStore, place: Any, expected: Any, standing: Any, changed: Any) -> bool:
        return original(self, place, self.position(place), standing, changed)

    patch.setattr(CheckpointStore, "save", save)


def checkpoint_ahead(patch: pytest.MonkeyPatch) -> None:
    """A checkpoint says it stands further than its rows."""
    from dataclasses import replace

    original = Fold.standing

    def standing(self: Fold) -> Any:
        found = original(self)
        return replace(found, own_next=found.own_next + 1)

    def save(self: Loop, fold: Fold) -> None:
        patch.setattr(Fold, "standing", standing)
        original_save(self, fold)
        patch.setattr(Fold, "standing", original)

    original_save = Loop._save
    patch.setattr(Loop, "_save", save)


def generation_not_fenced(patch: pytest.MonkeyPatch) -> None:
    """A replaced member's commit is accepted by the group."""

    def add_offsets(
        self: SimBroker,
        session: Session,
        who: Membership,
        positions: Mapping[TopicPartition, int],
    ) -> None:
        producer = self._open(session)
        producer.targets.add(who.group)
        self.group(who.group).send(producer.producer_id, positions)

    patch.setattr(SimBroker, "add_offsets", add_offsets)


def first_offset_not_committed(patch: pytest.MonkeyPatch) -> None:
    """1.2 a: what was never seen is started without an offset of the group."""
    original = Loop._start

    def start(self: Loop, recovery: Recovery) -> None:
        recovery.stable = {**recovery.fold.positions}
        original(self, recovery)

    patch.setattr(Loop, "_start", start)


def first_offset_with_the_first_decision(patch: pytest.MonkeyPatch) -> None:
    """1.2 a: what was never seen gets its offset, but only when something was decided there."""
    original = SimLog.commit
    kept: dict[int, dict[TopicPartition, int]] = {}

    def commit(
        self: SimLog, outgoing: Sequence[Any], positions: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, int]:
        mine = kept.setdefault(id(self), {})
        if not outgoing:
            mine |= positions
            return {}
        return original(self, outgoing, {**mine, **positions})

    patch.setattr(SimLog, "commit", commit)


def never_seen_starts_at_its_end(patch: pytest.MonkeyPatch) -> None:
    """1.2 a: what was never seen starts at what comes next, as `auto.offset.reset=latest` does."""
    original = Recovery._settle

    def settle(self: Recovery) -> None:
        for topic in self.core.inputs:
            high = self.log.bounds(topic, self.place.partition).high
            self.fold.positions.setdefault(topic, high)
        original(self)

    patch.setattr(Recovery, "_settle", settle)


def never_seen_starts_at_what_is_left(patch: pytest.MonkeyPatch) -> None:
    """1.2 a: what retention left over is decided, and nobody says what is missing."""

    def settle(self: Recovery) -> None:
        for topic in self.core.inputs:
            low = self.log.bounds(topic, self.place.partition).low
            position = self.fold.positions.get(topic, 0)
            self.fold.positions[topic] = max(position, low)

    patch.setattr(Recovery, "_settle", settle)


MUTANTS: tuple[Mutant, ...] = (
    no_wait_for_open_transactions,
    open_decision_forgotten,
    index_starts_again,
    silence_unrecorded,
    time_not_folded,
    abort_not_undone,
    polled_before_a_rebalance_is_decided,
    offsets_before_records,
    offset_one_too_high,
    redelivery_not_recognised,
    unknown_is_success,
    checkpoint_unguarded,
    checkpoint_ahead,
    generation_not_fenced,
)


FIRST_MUTANTS: tuple[Mutant, ...] = (
    first_offset_not_committed,
    first_offset_with_the_first_decision,
    never_seen_starts_at_its_end,
    never_seen_starts_at_what_is_left,
)


def run_and_check(seed: int) -> None:
    """A history of test_loop.py, and the laws."""
    check(run_history(seed), WRITTEN)


def run_first_days(seed: int) -> None:
    """Partitions that are seen for the first time: a quiet one, one that waited, one that was cut.

    Whatever is decided in a partition, all its inputs have an offset by then, and in the end also
    those where nothing ever came. What retention took before anybody saw it is refused.
    """
    sim = Simulation(seed, (make_core(),), topics=("toy.totals",))
    watch_first_offsets(sim)
    if seed % 3:
        drop_coins(sim, 0)
    sim.run(20)
    if seed % 2:
        drop_coins(sim, 10)
    sim.finish()
    check(sim, WRITTEN)
    offsets = sim.broker.group("toy").offsets
    missing = [tp for tp in inputs_of(sim, range(sim.partitions)) if tp not in offsets]
    assert not missing, f"seed {seed}: {missing} have no offset"
    refuses_what_retention_took(seed)


def refuses_what_retention_took(seed: int) -> None:
    """Records came and went: before anybody was there, or while nobody was."""
    sim = Simulation(seed, (make_core(),), topics=("toy.totals",))
    if seed % 2:
        sim.finish()
        for worker in sim.workers:
            assert worker.loop is not None
            worker.log.kill()
            worker.loop = None
    drop_coins(sim, 0)
    sim.broker.trim("edge.coins", 0, 1 + seed % sim.broker.bounds("edge.coins", 0).high)
    said = ""
    try:
        sim.finish()
    except Refused as reason:
        said = str(reason)
    assert "lost to retention" in said, f"seed {seed}: what retention took was not missed: {said}"


def drop_coins(sim: Simulation, first: int) -> None:
    """Some coins, all into one partition; nothing comes to the others, and no tick."""
    keys = [f"box-{number}" for number in range(20)]
    keys = [key for key in keys if partition_of(key, sim.partitions) == 0]
    for index in range(first, first + sim.random.randrange(1, 6)):
        coin = CoinDropped(amount_fen=sim.random.choice((0, 5, 10)))
        sim.broker.down = False
        sim.feed(edge, "edge.coins", sim.random.choice(keys), coin, index)


def inputs_of(sim: Simulation, numbers: Iterable[int]) -> list[TopicPartition]:
    """The inputs of some partitions."""
    return [TopicPartition(topic, number) for number in numbers for topic in sim.cores[0].inputs]


def watch_first_offsets(sim: Simulation) -> None:
    """From now on nothing may be decided in a partition while one of its inputs has no offset."""
    faults, own_topic = sim.broker.faults, sim.cores[0].own_topic
    assert faults is not None

    def watch(point: str, client: object) -> None:
        if point == "commit.appended":
            decided = [n for n in range(sim.partitions) if sim.broker.bounds(own_topic, n).high]
            offsets = sim.broker.group("toy").offsets
            guessed = [tp for tp in inputs_of(sim, decided) if tp not in offsets]
            assert not guessed, f"seed {sim.seed}: decided while {guessed} had no offset"
        faults(point, client)

    sim.broker.faults = watch


def breaks_a_law(history: Callable[[int], None], seed: int) -> bool:
    """Whether one history under the mutant breaks a law, or ends in a refusal to run.

    Nothing else counts: a mutant that the harness stumbles over was not noticed by any law.
    """
    try:
        history(seed)
    except (AssertionError, Refused):
        return True
    return False


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_its_answer_a_trap_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    noticed = any(breaks_a_law(run_and_check, seed) for seed in range(200))
    assert noticed, f"{mutant.__name__} went unnoticed"


@pytest.mark.parametrize("seed", range(60))
def test_what_was_never_seen_starts_at_the_beginning(seed: int) -> None:
    run_first_days(seed)


@pytest.mark.parametrize("mutant", FIRST_MUTANTS, ids=lambda mutant: mutant.__name__)
def test_without_its_first_offset_a_partition_is_noticed(
    mutant: Mutant, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutant(monkeypatch)
    noticed = any(breaks_a_law(run_first_days, seed) for seed in range(60))
    assert noticed, f"{mutant.__name__} went unnoticed"


def test_other_code_is_not_comparable_and_never_identical() -> None:
    """2.7 fourth trap: decisions of other code are counted, not compared."""
    sim = run_history(3)
    other = make_core(decider="toy-2")
    result = replay(SimReader(sim.broker), other, lambda topic: sim.partitions, WRITTEN["toy"])
    assert result.not_comparable > 0
    assert result.compared == 0
    assert (result.verdict, result.differences) == ("NOT PROVEN", [])


def test_a_rebuild_longer_than_the_poll_interval_keeps_its_partitions() -> None:
    """1.2 c: recovery in slices serves the group; one long rebuild would be evicted."""

    def generations(slice_s: float) -> int:
        sim = Simulation(1, (make_core(),), members=1, partitions=1, topics=("toy.totals",))
        sim.calm = True
        for index in range(60):
            sim.feed(edge, "edge.coins", "box-1", CoinDropped(amount_fen=5), index)
        sim.finish()
        worker = sim.workers[0]
        assert worker.loop is not None
        worker.loop.log.kill()
        worker.loop = None
        sim._sql("DELETE FROM checkpoint_standing")
        before = sim.broker.group("toy").generation

        def slow_read(point: str, client: object) -> None:
            if point == "read.before":
                sim.broker.advance(4_000)

        sim.broker.faults = slow_read
        worker.loop = sim._start(worker)
        worker.loop.limits = loop_module.Limits(
            batch=worker.loop.limits.batch, poll_s=0.0, linger_max_s=0.0, recovery_slice_s=slice_s
        )
        for _ in range(60):
            sim.broker.advance(10)
            worker.loop.step()
        return sim.broker.group("toy").generation - before

    from libs.events import recovery

    kept, recovery.READ_LIMIT = recovery.READ_LIMIT, 5
    try:
        assert generations(1.0) == 0, "the member lost its partitions while it rebuilt"
        assert generations(1e9) > 0, "this test cannot fail: one long rebuild was not evicted"
    finally:
        recovery.READ_LIMIT = kept

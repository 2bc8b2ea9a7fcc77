"""Laws every core obeys after any history: balance, replay, and one state by every road.

live fold = fold rebuilt from the topics = checkpoint + tail; nothing lost, nothing doubled; what is
decided again equals what was recorded.
"""

from __future__ import annotations

from libs.events.audit import balance
from libs.events.checkpoint import CheckpointStore, Place
from libs.events.codec import Codec
from libs.events.core import Core
from libs.events.effects import EffectCore
from libs.events.fold import Fold
from libs.events.recovery import Patience, Recovery, state_digest
from libs.events.replay import replay
from libs.events.testing.driver import Simulation
from libs.events.testing.simlog import SimLog, SimReader


def rebuild(sim: Simulation, core: Core, partition: int, store: CheckpointStore | None) -> Fold:
    """A fold made by recovery, without a member: from a checkpoint, or from nothing."""

    class _Observer(SimReader):
        def stable_offsets(self, number: int) -> dict[str, int | None]:
            return {}

    recovery = Recovery(
        core,
        _Observer(sim.broker),  # type: ignore[arg-type]
        Codec(core.catalogue),
        store,
        Place(core.name, partition, core.fold_version, f"{core.own_topic}@"),
        None,
        lambda: 0.0,
        Patience(),
    )
    assert recovery.advance(1.0)
    return recovery.fold


def check(sim: Simulation, written: dict[str, tuple[str, ...]]) -> None:
    """All laws for all cores of a finished simulation; `written`: core -> outgoing topics.

    What the world answered to an effect is not decided again: effect cores are not replayed.
    """
    reader = SimReader(sim.broker)
    for core in sim.cores:
        outgoing = written.get(core.name, ())
        committed = sim.broker.group(core.name).offsets
        ledger = balance(reader, core, lambda topic: sim.partitions, outgoing, committed)
        assert not ledger.problems, f"seed {sim.seed}: {ledger.problems[:5]}"
        assert ledger.lost == 0, f"seed {sim.seed}: lost {ledger.lost}"
        assert ledger.doubled == 0, f"seed {sim.seed}: doubled {ledger.doubled}"
        assert sum(hop.lag for hop in ledger.hops) == 0, f"seed {sim.seed}: not all decided"
        if not isinstance(core, EffectCore):
            again = replay(reader, core, lambda topic: sim.partitions, outgoing)
            assert again.is_identical, f"seed {sim.seed}: {again.differences[:3]}"
        _check_states(sim, core)


def _check_states(sim: Simulation, core: Core) -> None:
    for partition in range(sim.partitions):
        rebuilt = state_digest(rebuild(sim, core, partition, None))
        cached = state_digest(rebuild(sim, core, partition, sim.store))
        assert cached == rebuilt, f"seed {sim.seed}: checkpoint + tail differs in {partition}"
        for worker in sim.workers:
            loop = worker.loop
            if worker.core is not core or loop is None or partition not in loop.ready:
                continue
            live = state_digest(loop.folds[partition])
            assert live == rebuilt, f"seed {sim.seed}: the live fold differs in {partition}"


def owners(sim: Simulation, core: Core, partition: int) -> list[SimLog]:
    """The members that think they own a partition now."""
    return [
        worker.loop.log  # type: ignore[misc]
        for worker in sim.workers
        if worker.core is core and worker.loop is not None and partition in worker.loop.ready
    ]

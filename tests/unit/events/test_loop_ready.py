"""When a member of a core is ready, and that a checkpoint of another cluster is not taken."""

from __future__ import annotations

from libs.events.checkpoint import CheckpointStore, Place, open_engine
from libs.events.codec import encode
from libs.events.host import loop_status
from libs.events.loop import Limits, Loop
from libs.events.record import Envelope, envelope_headers
from libs.events.recovery import Recovery
from libs.events.testing.simbroker import SimBroker
from libs.events.testing.simlog import SimLog
from tests.simulation.toy import CoinDropped, make_core

TOPICS = ("edge.coins", "calendar", "toy.events", "toy.totals", "toy.dlq")


def broker_with_a_coin() -> SimBroker:
    broker = SimBroker(dict.fromkeys(TOPICS, 1))
    headers = envelope_headers(Envelope("edge/0", "edge.coin_dropped.v1", "edge", "", "box-1"))
    broker.append("edge.coins", 0, b"box-1", encode(CoinDropped(amount_fen=5)), headers)
    return broker


def member(
    broker: SimBroker, name: str, store: CheckpointStore | None = None, cluster_id: str = ""
) -> Loop:
    core = make_core()
    return Loop(
        core,
        SimLog(broker, core.name, name, core.inputs),
        store,
        lambda topic: 1,
        cluster_id=cluster_id,
        limits=Limits(poll_s=0, linger_max_s=0),
    )


def turn(*loops: Loop, turns: int = 10) -> None:
    for _ in range(turns):
        for loop in loops:
            loop.log.broker.advance(100)  # type: ignore[attr-defined]
            loop.step()


def test_nobody_is_ready_before_its_first_assignment() -> None:
    broker = broker_with_a_coin()
    broker.down = True
    loop = member(broker, "toy-0")
    assert loop_status(loop)["state"] == "joining"
    turn(loop)
    assert not loop.is_ready
    broker.down = False
    loop.step()  # the group gives it its partition, which it has to recover first
    assert (loop.is_ready, loop_status(loop)["state"]) == (False, "recovering")
    turn(loop)
    assert (loop.is_ready, loop_status(loop)["state"]) == (True, "ready")
    assert loop.ready == {0}


def test_a_standby_without_partitions_is_ready_and_takes_over() -> None:
    broker = broker_with_a_coin()
    first = member(broker, "toy-0")
    turn(first)
    second = member(broker, "toy-1")
    assert not second.is_ready
    turn(first, second)
    standby, owner = sorted((first, second), key=lambda loop: len(loop.ready))
    assert (standby.ready, owner.ready) == (set(), {0})
    assert standby.is_ready
    assert loop_status(standby)["state"] == "ready"
    assert owner.is_ready


def test_between_a_revocation_and_the_next_assignment_nobody_is_ready() -> None:
    broker = broker_with_a_coin()
    first = member(broker, "toy-0")
    turn(first)
    second = member(broker, "toy-1")
    first.step()  # it gives its partition back and waits until the other has joined too
    assert not first.log.joined()
    assert not first.is_ready
    turn(first, second)
    assert first.is_ready


def test_the_heartbeat_goes_on_while_the_broker_does_not_answer() -> None:
    broker = broker_with_a_coin()
    loop = member(broker, "toy-0")
    turn(loop)
    broker.down = True
    loop.telemetry.heartbeat = 0.0
    loop.step()
    assert loop.telemetry.heartbeat > 0.0


def test_a_checkpoint_of_another_cluster_is_not_used() -> None:
    store = CheckpointStore(open_engine("sqlite://"))
    here = broker_with_a_coin()
    loop = member(here, "toy-0", store, "cluster-1")
    turn(loop)
    loop.stop()
    place = Place("toy", 0, loop.core.fold_version, "toy.events@cluster-1")
    assert store.position(place) == loop.folds[0].own_next > 0

    # The same database, as after `gridledger local reset` of the log alone: a cluster of the same
    # topics whose own topic is still empty. Its fold begins at the beginning.
    other = member(broker_with_a_coin(), "toy-0", store, "cluster-2")
    turn(other, turns=2)
    assert store.position(other._place(0)) is None
    turn(other)
    assert other.folds[0].states["box-1"].total_fen == 5

    again = member(here, "toy-0", store, "cluster-1")
    recovery = Recovery(
        again.core, again.log, again.codec, store, again._place(0), None, again.now, again.patience
    )
    recovery.advance(again.now() + 1)
    assert recovery.fold.saved == loop.folds[0].own_next

"""The laws of the log port about groups and its companions; see test_log_contract.py."""

from __future__ import annotations

import pytest

from libs.events.errors import Fenced, Refused, Unavailable
from libs.events.record import TopicPartition
from tests.contract.stage import Stage, drain, stable, values
from tests.contract.worlds import World

# --- groups ---------------------------------------------------------------------------------------


def test_two_members_share_by_range(world: World) -> None:
    stage = Stage(world, partitions=3)
    before = stage.log.generation()
    joined = stage.join("m-1")
    world.until_assigned({stage.log: {0, 1}, joined: {2}})
    assert stage.log.generation() - before == 2  # a revocation and an assignment
    world.append(stage.inp, 0, b"0")
    world.append(stage.inp, 2, b"2")
    assert stage.log.poll(10, 0.1) == []  # what was started before has to be started again
    stage.start_all(stage.log)
    stage.start_all(joined)
    assert values(drain(world, stage.log, 1)) == [b"0"]
    assert values(drain(world, joined, 1)) == [b"2"]


def test_a_member_without_partitions_has_joined_too(world: World) -> None:
    (inp,) = world.topics({"in": 1})
    one, two = world.log("m-0", [inp]), world.log("m-1", [inp])
    assert not one.joined()
    assert not two.joined()

    def both() -> bool:
        one.poll(0, 0.05)
        two.poll(0, 0.05)
        return one.joined() and two.joined() and one.assigned() != two.assigned()

    world.eventually(both)
    assert sorted(map(sorted, (one.assigned(), two.assigned()))) == [[], [0]]


def test_all_inputs_come_with_the_same_partitions(world: World) -> None:
    first, second = world.topics({"one": 3, "two": 3})
    one, two = world.log("m-0", [first, second]), world.log("m-1", [first, second])
    world.until_assigned({one: {0, 1}, two: {2}})


def test_inputs_with_different_partitions_are_refused(world: World) -> None:
    wide, narrow = world.topics({"wide": 2, "narrow": 1})
    log = world.log("m-0", [wide, narrow])

    def refused() -> bool:
        log.poll(0, 0.05)
        try:
            return bool(log.assigned())
        except Refused:
            return True

    world.eventually(refused)
    with pytest.raises(Refused, match=r"wide.*narrow"):
        log.assigned()


def test_members_with_different_inputs_are_refused(world: World) -> None:
    first, second = world.topics({"one": 2, "two": 2})
    old, new = world.log("m-0", [first]), world.log("m-1", [first, second])

    def refused() -> bool:
        old.poll(0, 0.02)
        new.poll(0, 0.02)
        try:
            new.assigned()
        except Refused:
            return True
        return False

    world.eventually(refused)
    world.until_assigned({old: {0}})


def test_a_static_member_comes_back_without_a_rebalance(world: World) -> None:
    stage = Stage(world)
    joined = stage.join("m-1")
    world.until_assigned({stage.log: {0}, joined: {1}})
    before = joined.generation()
    stage.log.commit([], stage.at(0, 8))
    world.kill(stage.log)
    stage.log = stage.join("m-0")
    world.until_assigned({stage.log: {0}, joined: {1}})
    assert joined.generation() == before
    assert stage.stable() == 8


def test_a_replaced_member_is_fenced_when_it_polls(world: World) -> None:
    stage = Stage(world)
    again = stage.join("m-0")
    world.until_assigned({again: {0, 1}})

    def fenced() -> bool:
        try:
            stage.log.poll(0, 0.05)
        except Fenced:
            return True
        return False

    world.eventually(fenced)
    with pytest.raises(Fenced):
        stage.log.poll(1, 0.05)  # and not only once


def test_a_member_that_was_replaced_unawares_can_still_be_closed(world: World) -> None:
    stage = Stage(world)
    again = stage.join("m-0")
    world.until_assigned({again: {0, 1}})
    world.wait(4 * world.heartbeat_ms)  # the news is waiting for it, and it never polls again
    stage.log.close()
    again.commit([], stage.at(0, 1))
    assert stable(world, again, 0)[stage.inp] == 1


def test_a_closed_member_keeps_its_partitions_until_its_session_ends(world: World) -> None:
    stage = Stage(world)
    joined = stage.join("m-1")
    world.until_assigned({stage.log: {0}, joined: {1}})
    before = joined.generation()
    stage.log.close()
    for _ in range(5):
        joined.poll(0, 0.02)
    assert (joined.assigned(), joined.generation()) == ({1}, before)
    for _ in range(8):
        world.wait(world.session_ms // 4)
        joined.poll(0, 0.02)
    world.until_assigned({joined: {0, 1}})


def test_a_member_that_did_not_poll_in_time_loses_all_and_comes_back(world: World) -> None:
    stage = Stage(world)
    stage.start_all()
    before = stage.log.generation()
    world.wait(world.max_poll_ms + world.session_ms + 1_500)
    world.eventually(lambda: stage.log.poll(0, 0.05) == [] and stage.log.generation() > before)
    world.until_assigned({stage.log: {0, 1}})
    assert stage.log.generation() >= before + 2
    world.append(stage.inp, 0, b"0")
    assert stage.log.poll(10, 0.1) == []
    stage.start_all()
    assert values(drain(world, stage.log, 1)) == [b"0"]
    stage.log.commit([], stage.at(0, 1))
    assert stage.stable() == 1


# --- companions -----------------------------------------------------------------------------------


def test_an_edge_gets_the_offset_with_the_ack(world: World) -> None:
    topic = world.topic("edge", 2)
    port = world.producer()
    assert port.append(world.out(topic, 1, b"0"), 20.0) == 0
    assert port.append_many([world.out(topic, 1, b"1"), world.out(topic, 1, b"2")], 20.0) == [1, 2]
    acks: list[int | Exception] = []
    port.submit(world.out(topic, 1, b"3"), acks.append)
    world.eventually(lambda: port.poll(0.05) == 0 and acks == [3])
    assert world.values(topic, 1) == [b"0", b"1", b"2", b"3"]


def test_an_edge_says_when_too_much_waits(world: World) -> None:
    topic = world.topic("edge", 1)
    port = world.producer(max_in_flight=2)
    acks: list[int | Exception] = []
    port.submit(world.out(topic, 0, b"0"), acks.append)
    port.submit(world.out(topic, 0, b"1"), acks.append)
    with pytest.raises(Unavailable, match="2 records"):
        port.submit(world.out(topic, 0, b"2"), acks.append)
    world.eventually(lambda: port.poll(0.05) == 0)
    assert acks == [0, 1]
    with pytest.raises(Refused, match="nowhere"):
        port.submit(world.out(world.name("nowhere"), 0, b""), acks.append)


def test_a_writer_writes_all_partitions_or_none_and_is_fenced_by_its_id(world: World) -> None:
    topic = world.topic("reference", 2)
    old = world.writer("clock")
    everywhere = [world.out(topic, partition, b"v1") for partition in (0, 1)]
    assert old.write(everywhere) == {TopicPartition(topic, 0): 1, TopicPartition(topic, 1): 1}
    new = world.writer("clock")
    with pytest.raises(Fenced):
        old.write(everywhere)
    new.write([world.out(topic, 1, b"v2")])
    world.eventually(lambda: world.values(topic, 1) == [b"v1", b"v2"])
    assert world.values(topic, 0) == [b"v1"]


def test_offsets_and_ends_of_many_partitions(world: World) -> None:
    stage = Stage(world)
    stage.log.commit([world.out(stage.own, 1, b"a")], stage.at(1, 3))
    own = [TopicPartition(stage.own, partition) for partition in (0, 1)]
    admin = world.admin()
    world.eventually(lambda: admin.end_offsets(own) == {own[0]: 0, own[1]: 2})
    half = world.half_open("x")
    half.append(stage.own, 1, b"open")
    world.eventually(lambda: admin.end_offsets(own) == {own[0]: 0, own[1]: 2})
    half.abort()
    world.eventually(lambda: admin.end_offsets(own) == {own[0]: 0, own[1]: 4})
    assert admin.committed(world.name("group")) == stage.at(1, 3)
    assert admin.committed(world.name("nobody")) == {}
    assert {stage.inp: 2, stage.own: 2}.items() <= admin.partitions().items()
    assert world.reader().partitions(stage.own) == 2

"""The laws of the log port: one suite, run on SimLog and on Apache Kafka.

Here: transactions, offsets and delivery; the laws of groups are in test_group_contract.py. Offsets
are computed by hand: each end of a transaction takes one offset (its control record) in every
partition that it wrote to.
"""

from __future__ import annotations

import pytest

from libs.events.errors import Aborted, Fenced, Refused, Unavailable
from libs.events.log import Bounds
from libs.events.record import Outgoing, Record, TopicPartition
from tests.contract.stage import Stage, drain, drain_at_least, values
from tests.contract.worlds import World

# --- transactions ---------------------------------------------------------------------------------


def test_a_commit_shows_all_its_records_and_offsets_together(world: World) -> None:
    stage = Stage(world)
    ends = stage.log.commit(
        [
            world.out(stage.own, 0, b"a"),
            world.out(stage.own, 1, b"b"),
            world.out(stage.own, 0, b"c"),
        ],
        stage.at(0, 4) | stage.at(1, 9),
    )
    assert ends == {TopicPartition(stage.own, 0): 2, TopicPartition(stage.own, 1): 1}
    world.eventually(lambda: world.values(stage.own, 0) == [b"a", b"c"])
    world.eventually(lambda: world.values(stage.own, 1) == [b"b"])
    assert (stage.stable(0), stage.stable(1)) == (4, 9)


def test_offsets_alone_can_be_committed(world: World) -> None:
    stage = Stage(world)
    assert stage.log.commit([], stage.at(0, 0) | stage.at(1, 7)) == {}
    assert (stage.stable(0), stage.stable(1)) == (0, 7)
    assert world.reader().bounds(stage.own, 0) == Bounds(0, 0, 0)


def test_a_commit_without_positions_is_a_bug(world: World) -> None:
    stage = Stage(world)
    with pytest.raises(AssertionError):
        stage.log.commit([world.out(stage.own, 0, b"a")], {})


def test_nothing_open_or_aborted_is_ever_read(world: World) -> None:
    stage = Stage(world)
    stage.start_all()
    half = world.half_open("other")
    half.append(stage.inp, 0, b"doubtful")
    world.append(stage.inp, 0, b"plain")
    assert world.values(stage.inp, 0) == []
    assert world.reader().bounds(stage.inp, 0) == Bounds(0, 0, 2)
    assert stage.log.poll(10, 0.1) == []
    half.abort()
    assert values(drain(world, stage.log, 1)) == [b"plain"]
    assert world.values(stage.inp, 0) == [b"plain"]
    assert world.reader().bounds(stage.inp, 0) == Bounds(0, 3, 3)


def test_an_open_transaction_holds_back_what_others_committed_after_it(world: World) -> None:
    stage = Stage(world)
    half = world.half_open("dead")
    half.append(stage.own, 0, b"dangling")
    half.kill()
    stage.log.commit([world.out(stage.own, 0, b"mine")], stage.at(0, 1))
    world.eventually(lambda: world.reader().bounds(stage.own, 0) == Bounds(0, 0, 3))
    assert world.values(stage.own, 0) == []
    assert stage.log.read(stage.own, 0, 0, 10) == ([], 0)
    assert stage.stable() == 1
    world.wait(world.transaction_ms + 1_000)
    world.eventually(lambda: world.reader().bounds(stage.own, 0) == Bounds(0, 4, 4))
    assert world.values(stage.own, 0) == [b"mine"]


def test_taking_an_id_over_ends_what_it_left_open(world: World) -> None:
    stage = Stage(world)
    dead = world.half_open("m-0")  # the member's own id: as if it died in its transaction
    dead.append(stage.own, 0, b"dangling")
    dead.kill()
    again = stage.join("m-0")
    world.until_assigned({again: {0, 1}})
    world.eventually(lambda: world.reader().bounds(stage.own, 0) == Bounds(0, 2, 2))
    again.commit([world.out(stage.own, 0, b"fresh")], stage.at(0, 1))
    world.eventually(lambda: world.values(stage.own, 0) == [b"fresh"])


def test_a_transaction_over_its_time_is_aborted_and_its_producer_fenced(world: World) -> None:
    stage = Stage(world)
    half = world.half_open("slow")
    half.append(stage.own, 0, b"late")
    world.wait(world.transaction_ms + 1_000)
    world.eventually(lambda: world.reader().bounds(stage.own, 0).stable == 2)
    with pytest.raises(Fenced):
        half.commit()
    assert world.values(stage.own, 0) == []


def test_the_next_owner_of_an_id_fences_the_former(world: World) -> None:
    stage = Stage(world)
    again = stage.join("m-0")
    with pytest.raises(Fenced):
        stage.log.commit([world.out(stage.own, 0, b"zombie")], stage.at(0, 5))
    world.until_assigned({again: {0, 1}})
    assert again.stable_offsets(0) == {stage.inp: None}
    assert world.reader().bounds(stage.own, 0) == Bounds(0, 0, 0)


def test_a_late_write_of_a_fenced_producer_is_refused(world: World) -> None:
    stage = Stage(world)
    old = world.half_open("x")
    old.append(stage.own, 0, b"one")
    new = world.half_open("x")
    with pytest.raises(Fenced):
        old.append(stage.own, 0, b"late")
    new.append(stage.own, 0, b"two")
    new.commit()
    world.eventually(lambda: world.values(stage.own, 0) == [b"two"])
    assert world.reader().bounds(stage.own, 0) == Bounds(0, 4, 4)


def test_a_stale_member_cannot_move_offsets(world: World) -> None:
    stage = Stage(world)
    stage.log.commit([], stage.at(0, 3))
    world.wait(world.max_poll_ms + world.session_ms + 1_500)  # it does not poll: its session ends
    with pytest.raises(Aborted):
        stage.log.commit([world.out(stage.own, 0, b"stale")], stage.at(0, 4))
    half = world.half_open("zombie")
    half.append(stage.own, 0, b"stale")
    with pytest.raises(Aborted):
        half.send_offsets(stage.log, stage.at(0, 4))
    half.abort()
    world.until_assigned({stage.log: {0, 1}})
    assert stage.stable() == 3
    assert world.values(stage.own, 0) == []


def test_after_an_abort_the_next_commit_works(world: World) -> None:
    stage = Stage(world)
    other = TopicPartition(stage.inp, 1)
    joined = stage.join("m-1")
    world.until_assigned({stage.log: {0}, joined: {1}})
    with pytest.raises(Aborted):
        stage.log.commit([world.out(stage.own, 0, b"no")], {other: 1})
    stage.log.commit([world.out(stage.own, 0, b"yes")], stage.at(0, 1))
    world.eventually(lambda: world.values(stage.own, 0) == [b"yes"])


def test_an_unknown_topic_is_named_and_nothing_is_written(world: World) -> None:
    stage = Stage(world)
    nowhere = world.name("nowhere")
    for wrong in (lambda: stage.log.read(nowhere, 0, 0, 1), lambda: stage.log.bounds(nowhere, 0)):
        with pytest.raises(Refused, match="nowhere"):
            wrong()
    with pytest.raises(Refused, match="nowhere"):
        world.log("m-9", [stage.inp, nowhere], group="g-9")
    with pytest.raises(Refused, match="nowhere"):
        stage.log.commit(
            [world.out(stage.own, 0, b"a"), world.out(nowhere, 0, b"b")], stage.at(0, 1)
        )
    with pytest.raises(Refused, match="no partition 7"):
        stage.log.commit([world.out(stage.own, 7, b"a")], stage.at(0, 1))
    assert stage.stable() is None
    assert world.reader().bounds(stage.own, 0) == Bounds(0, 0, 0)


# --- stable offsets -------------------------------------------------------------------------------


def test_offsets_never_committed_are_none(world: World) -> None:
    stage = Stage(world)
    assert stage.log.stable_offsets(0) == {stage.inp: None}


def test_pending_offsets_are_not_told(world: World) -> None:
    stage = Stage(world)
    stage.log.commit([], stage.at(0, 2) | stage.at(1, 2))
    assert stage.stable(0) == 2
    half = world.half_open("x")
    half.append(stage.own, 0, b"r")
    half.send_offsets(stage.log, stage.at(0, 5))
    with pytest.raises(Unavailable):
        stage.log.stable_offsets(0)
    assert stage.log.stable_offsets(1) == {stage.inp: 2}
    half.abort()
    assert stage.stable(0) == 2
    half.append(stage.own, 0, b"s")
    half.send_offsets(stage.log, stage.at(0, 6))
    half.commit()
    assert stage.stable(0) == 6


def test_of_two_commits_the_offset_sent_last_counts(world: World) -> None:
    stage = Stage(world)
    half = world.half_open("x")
    half.append(stage.own, 1, b"r")
    half.send_offsets(stage.log, stage.at(0, 5))
    stage.log.commit([], stage.at(0, 3))
    half.commit()
    assert stage.stable(0) == 3
    half.append(stage.own, 1, b"s")
    half.send_offsets(stage.log, stage.at(0, 4))
    half.commit()
    assert stage.stable(0) == 4


# --- delivery -------------------------------------------------------------------------------------


def test_nothing_is_delivered_before_start(world: World) -> None:
    stage = Stage(world)
    world.append(stage.inp, 0, b"0")
    world.append(stage.inp, 1, b"1")
    assert [stage.log.poll(10, 0.1) for _ in range(3)] == [[], [], []]
    stage.log.start(1, {stage.inp: 0})
    assert values(drain(world, stage.log, 1)) == [b"1"]
    stage.log.start(0, {stage.inp: 0})
    assert values(drain(world, stage.log, 1)) == [b"0"]


def test_start_of_what_is_not_assigned_is_a_bug(world: World) -> None:
    stage = Stage(world)
    with pytest.raises(AssertionError):
        stage.log.start(5, {stage.inp: 0})


def test_start_rewinds_and_skips(world: World) -> None:
    stage = Stage(world)
    world.append(stage.inp, 0, b"0", b"1", b"2", b"3")
    world.append(stage.inp, 1, b"other")
    stage.start_all()
    assert sorted(values(drain(world, stage.log, 5))) == [b"0", b"1", b"2", b"3", b"other"]
    stage.log.start(0, {stage.inp: 2})
    assert values(drain(world, stage.log, 2)) == [b"2", b"3"]
    stage.log.start(0, {stage.inp: 0})
    first = drain_at_least(world, stage.log, 1, limit=1)
    stage.log.start(0, {stage.inp: 3})
    assert (values(first), values(drain(world, stage.log, 1))) == ([b"0"], [b"3"])


def test_only_the_topics_that_start_names_are_delivered(world: World) -> None:
    first, second = world.topics({"one": 1, "two": 1})
    log = world.log("m-0", [first, second])
    world.until_assigned({log: {0}})
    world.append(first, 0, b"first")
    world.append(second, 0, b"second")
    log.start(0, {second: 0})
    assert values(drain(world, log, 1)) == [b"second"]
    log.start(0, {first: 0, second: 1})
    assert values(drain(world, log, 1)) == [b"first"]


def test_a_member_knows_how_far_it_is_behind(world: World) -> None:
    stage = Stage(world)
    world.append(stage.inp, 0, b"0", b"1", b"2", b"3")
    assert stage.log.behind() == 0, "nothing was started"
    stage.start_all()
    taken = drain_at_least(world, stage.log, 1, limit=1)
    assert stage.log.behind() == 4 - len(taken)
    drain(world, stage.log, 4 - len(taken))
    assert stage.log.behind() == 0


def test_poll_gives_at_most_its_limit_and_loses_nothing(world: World) -> None:
    stage = Stage(world)
    wanted = [b"%d" % number for number in range(50)]
    world.append(stage.inp, 0, *wanted)
    stage.start_all()
    got: list[Record] = []

    def all_came() -> bool:
        piece = stage.log.poll(7, 0.05)
        assert len(piece) <= 7
        got.extend(piece)
        return len(got) >= 50

    for _ in range(3):
        got.extend(stage.log.poll(7, 0.05))
    while len(got) < 50:
        world.eventually(lambda: all_came() or True)
    assert values(got) == wanted


def test_poll_of_nothing_serves_the_group_and_loses_nothing(world: World) -> None:
    stage = Stage(world)
    wanted = [b"%05d" % number for number in range(2_500)]
    world.append(stage.inp, 0, *wanted)
    stage.start_all()
    for _ in range(60):  # more than any read-ahead holds
        assert stage.log.poll(0, 0.01) == []
    joined = stage.join("m-1")  # the group is served although records are ready
    world.until_assigned({stage.log: {0}, joined: {1}})
    stage.log.start(0, {stage.inp: 0})
    for _ in range(30):
        assert stage.log.poll(0, 0.01) == []
    got: list[Record] = []
    for _ in range(400):
        got += stage.log.poll(100, 0.05)
        stage.log.poll(0, 0.0)
        if len(got) >= len(wanted):
            break
    assert values(got) == wanted


def test_a_paused_partition_is_silent_until_start(world: World) -> None:
    stage = Stage(world)
    stage.start_all()
    stage.log.pause(0)
    world.append(stage.inp, 0, b"0")
    world.append(stage.inp, 1, b"1")
    assert values(drain(world, stage.log, 1)) == [b"1"]
    stage.log.start(0, {stage.inp: 0})
    assert values(drain(world, stage.log, 1)) == [b"0"]


def test_pause_takes_back_what_was_fetched(world: World) -> None:
    stage = Stage(world)
    world.append(stage.inp, 0, *[b"%d" % number for number in range(20)])
    stage.start_all()
    assert len(drain_at_least(world, stage.log, 1, limit=1)) == 1
    stage.log.pause(0)
    assert [stage.log.poll(10, 0.05) for _ in range(3)] == [[], [], []]
    stage.log.start(0, {stage.inp: 1})
    assert values(drain(world, stage.log, 19)) == [b"%d" % number for number in range(1, 20)]


def test_offsets_have_gaps_and_readers_get_past_them(world: World) -> None:
    stage = Stage(world)
    writer = world.writer("w")
    for value in (b"0", b"2", b"4"):
        assert writer.write([world.out(stage.inp, 0, value)]) == {
            TopicPartition(stage.inp, 0): int(value) + 1
        }
    world.eventually(lambda: world.reader().bounds(stage.inp, 0) == Bounds(0, 6, 6))
    stage.start_all()
    assert [record.offset for record in drain(world, stage.log, 3)] == [0, 2, 4]
    piece = stage.log.read(stage.inp, 0, 0, 2)
    assert ([record.offset for record in piece.records], piece.next_offset) == ([0, 2], 3)
    piece = stage.log.read(stage.inp, 0, 3, 2)
    assert ([record.offset for record in piece.records], piece.next_offset) == ([4], 6)
    assert stage.log.read(stage.inp, 0, 6, 2) == ([], 6)
    assert stage.log.read(stage.inp, 0, 5, 2) == ([], 6)  # control records only


def test_a_partition_of_aborted_records_only_is_read_to_its_end(world: World) -> None:
    stage = Stage(world)
    half = world.half_open("x")
    half.append(stage.own, 0, b"no")
    half.append(stage.own, 0, b"no")
    half.abort()
    world.eventually(lambda: world.reader().bounds(stage.own, 0) == Bounds(0, 3, 3))
    assert stage.log.read(stage.own, 0, 0, 10) == ([], 3)


def test_reading_goes_on_where_new_records_come(world: World) -> None:
    stage = Stage(world)
    assert stage.log.read(stage.own, 0, 0, 10) == ([], 0)
    world.append(stage.own, 0, b"0", b"1", b"2")
    assert stage.log.read(stage.own, 0, 0, 2).next_offset == 2
    world.append(stage.own, 0, b"3")
    piece = stage.log.read(stage.own, 0, 2, 10)
    assert (values(piece.records), piece.next_offset) == ([b"2", b"3"], 4)
    assert values(stage.log.read(stage.own, 0, 1, 1).records) == [b"1"]


def test_key_value_and_headers_come_back_as_written(world: World) -> None:
    stage = Stage(world)
    headers = (("ce_id", b"billing/in/0/0/0"), ("twice", b"1"), ("twice", b"2"), ("empty", b""))
    stage.log.commit(
        [
            Outgoing(stage.own, 0, b"\x00\xff", b'{"a":1}', headers),
            Outgoing(stage.own, 0, None, b"", ()),
        ],
        stage.at(0, 1),
    )
    world.append(stage.own, 0, b"plain")
    world.eventually(lambda: len(world.values(stage.own, 0)) == 3)
    first, second, third = stage.log.read(stage.own, 0, 0, 10).records
    assert (first.topic, first.partition, first.offset) == (stage.own, 0, 0)
    assert (first.key, first.value, first.headers) == (b"\x00\xff", b'{"a":1}', headers)
    assert (second.key, second.value, second.headers) == (None, b"", ())
    assert (third.key, third.value, third.offset) == (b"key", b"plain", 3)


def test_what_retention_took_is_refused(world: World) -> None:
    stage = Stage(world)
    world.append(stage.inp, 0, b"0", b"1", b"2", b"3")
    world.trim(stage.inp, 0, 2)
    assert stage.log.bounds(stage.inp, 0) == Bounds(2, 4, 4)
    assert world.values(stage.inp, 0) == [b"2", b"3"]
    for offset in (1, 5):
        with pytest.raises(Refused, match="offset"):
            stage.log.read(stage.inp, 0, offset, 10)
    stage.log.start(0, {stage.inp: 2})
    assert values(drain(world, stage.log, 2)) == [b"2", b"3"]
    stage.log.start(0, {stage.inp: 0})

    def refused() -> bool:
        try:
            assert stage.log.poll(10, 0.05) == []
        except Refused:
            return True
        return False

    world.eventually(refused)

"""What simulations can do to SimLog that no test can do to a real broker: die anywhere, see markers
arrive one by one, lose the outcome of a commit, freeze; and the same seed gives the same run."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from libs.events.errors import Aborted, Fenced, Unavailable, Unknown
from libs.events.log import Bounds
from libs.events.record import Outgoing, TopicPartition
from libs.events.testing.simbroker import SimBroker, SimCrash
from libs.events.testing.simlog import SimLog, SimProducerPort

IN = TopicPartition("in", 0)
OWN = TopicPartition("own", 0)


def make(seed: int = 0, *, delay_markers: bool = False) -> tuple[SimBroker, SimLog]:
    broker = SimBroker({"in": 2, "own": 2}, seed=seed, delay_markers=delay_markers)
    return broker, join(broker)


def join(broker: SimBroker, member: str = "m-0") -> SimLog:
    log = SimLog(broker, "group", member, ("in",))
    log.poll(0, 0.0)
    return log


def out(value: bytes, partition: int = 0) -> Outgoing:
    return Outgoing("own", partition, b"key", value, ())


def values(broker: SimBroker, partition: int = 0) -> list[bytes]:
    return [record.value for record in broker.read("own", partition, 0, 100).records]


def once(point: str, action: Callable[[], None]) -> Callable[[str, object], None]:
    """A fault hook that acts the first time that `point` is passed."""
    done: list[str] = []

    def faults(passed: str, client: object) -> None:
        if passed == point and not done:
            done.append(passed)
            action()

    return faults


def fail(reason: BaseException) -> Callable[[], None]:
    def action() -> None:
        raise reason

    return action


@pytest.mark.parametrize(
    ("point", "left_open", "offset"),
    [
        ("commit.before", False, None),
        ("commit.appended", True, None),
        ("commit.offsets", True, "pending"),
        ("commit.after", False, 5),
    ],
)
def test_a_crash_leaves_what_was_done_until_then(
    point: str, left_open: bool, offset: int | str | None
) -> None:
    broker, log = make()
    other = join(broker, "m-1")
    broker.faults = once(point, fail(SimCrash(point)))
    with pytest.raises(SimCrash):
        log.commit([out(b"a")], {IN: 5})
    bounds = broker.bounds(*OWN)
    assert (bounds.stable < bounds.high) == left_open
    if offset == "pending":
        with pytest.raises(Unavailable):
            other.stable_offsets(0)
    else:
        assert other.stable_offsets(0) == {"in": offset}
    with pytest.raises(SimCrash):
        log.poll(0, 0.0)  # the dead stay dead
    again = join(broker)
    assert again.stable_offsets(0) == {"in": 5 if offset == 5 else None}
    assert values(broker) == ([b"a"] if offset == 5 else [])
    assert broker.bounds(*OWN).stable == broker.bounds(*OWN).high


@pytest.mark.parametrize(("point", "applied"), [("commit.offsets", False), ("commit.after", True)])
def test_a_commit_of_unknown_outcome_is_applied_or_not(point: str, applied: bool) -> None:
    broker, log = make()
    broker.faults = once(point, fail(Unknown(point)))
    with pytest.raises(Unknown):
        log.commit([out(b"a")], {IN: 5})
    log.kill()
    again = join(broker)
    assert again.stable_offsets(0) == {"in": 5 if applied else None}
    assert values(broker) == ([b"a"] if applied else [])


def test_an_injected_abort_rolls_back() -> None:
    broker, log = make()
    broker.faults = once("commit.appended", fail(Aborted("by the driver")))
    with pytest.raises(Aborted):
        log.commit([out(b"a")], {IN: 5})
    assert (values(broker), broker.bounds(*OWN)) == ([], Bounds(0, 2, 2))
    assert log.commit([out(b"b")], {IN: 6}) == {OWN: 3}
    assert values(broker) == [b"b"]


def test_markers_arrive_one_by_one() -> None:
    """Between two markers a reader sees half of a transaction, as on a real broker."""
    seen: set[tuple[int, int, str]] = set()
    for seed in range(30):
        broker, log = make(seed, delay_markers=True)
        log.commit([out(b"a", 0), out(b"b", 1)], {IN: 5})
        assert (values(broker, 0), values(broker, 1)) == ([], [])
        assert broker.step()
        try:
            offset = str(log.stable_offsets(0)["in"])
        except Unavailable:
            offset = "pending"
        seen.add((len(values(broker, 0)), len(values(broker, 1)), offset))
        broker.settle()
        assert (values(broker, 0), values(broker, 1)) == ([b"a"], [b"b"])
        assert log.stable_offsets(0) == {"in": 5}
        assert not broker.step()
    assert seen == {(1, 0, "pending"), (0, 1, "pending"), (0, 0, "5")}


def test_the_next_transaction_of_a_producer_waits_for_its_markers() -> None:
    broker, log = make(delay_markers=True)
    log.commit([out(b"a")], {IN: 5})
    log.commit([out(b"b")], {IN: 6})
    assert values(broker) == [b"a"]
    assert broker.bounds(*OWN) == Bounds(0, 2, 3)


def test_a_zombie_may_act_late() -> None:
    """Frozen inside its commit while its session ends and another member takes over."""
    broker, log = make()

    def meanwhile() -> None:
        log.frozen = True
        broker.advance(broker.session_timeout_ms + 1)
        join(broker, "m-1").commit([out(b"new")], {IN: 9})
        log.frozen = False

    broker.faults = once("commit.before", meanwhile)
    with pytest.raises(Aborted):
        log.commit([out(b"old")], {IN: 5})
    assert values(broker) == [b"new"]
    assert broker.bounds(*OWN) == Bounds(0, 4, 4)  # the late record is there, aborted
    assert broker.stable_offsets("group", [IN]) == {IN: 9}


def test_a_zombie_whose_transaction_timed_out_is_fenced() -> None:
    broker, log = make()
    broker.faults = once(
        "commit.appended", lambda: broker.advance(broker.transaction_timeout_ms + 1)
    )
    with pytest.raises(Fenced):
        log.commit([out(b"late")], {IN: 5})
    assert values(broker) == []
    assert broker.stable_offsets("group", [IN]) == {IN: None}


def test_a_frozen_member_loses_its_partitions_and_a_live_one_does_not() -> None:
    broker, log = make()
    other = join(broker, "m-1")
    for each in (log, other, log, other):
        each.poll(0, 0.0)
    assert (log.assigned(), other.assigned()) == ({0}, {1})
    log.frozen = True
    for _ in range(10):
        broker.advance(broker.session_timeout_ms // 9)
        other.poll(0, 0.0)
    other.poll(0, 0.0)
    assert other.assigned() == {0, 1}
    log.frozen = False
    log.poll(0, 0.0)
    assert log.assigned() == set()


def test_nothing_works_while_the_broker_is_down() -> None:
    broker, log = make()
    port = SimProducerPort(broker, max_in_flight=1)
    broker.down = True
    for call in (
        lambda: log.poll(1, 0.0),
        lambda: log.commit([out(b"a")], {IN: 1}),
        lambda: log.bounds("in", 0),
        lambda: port.append(out(b"a"), 1.0),
        lambda: broker.append("in", 0, None, b""),
    ):
        with pytest.raises(Unavailable):
            call()
    acks: list[int | Exception] = []
    port.submit(out(b"b"), acks.append)
    assert (port.poll(), acks) == (1, [])
    broker.down = False
    assert (port.poll(), acks) == (0, [0])


def test_the_same_seed_gives_the_same_order() -> None:
    def order(seed: int) -> list[bytes]:
        broker, log = make(seed)
        for number in range(10):
            broker.append("in", number % 2, None, b"%d" % number)
        log.start(0, {"in": 0})
        log.start(1, {"in": 0})
        return [record.value for record in log.poll(100, 0.0)]

    assert order(1) == order(1)
    assert len({tuple(order(seed)) for seed in range(10)}) > 5
    for seed in range(10):
        got = order(seed)
        assert [v for v in got if int(v) % 2 == 0] == [b"0", b"2", b"4", b"6", b"8"]
        assert [v for v in got if int(v) % 2 == 1] == [b"1", b"3", b"5", b"7", b"9"]


def test_filled_offsets_are_seen_by_nobody() -> None:
    broker, log = make()
    broker.fill("in", 0, 3)
    broker.append("in", 0, None, b"first")
    log.start(0, {"in": 0})
    assert [(r.offset, r.value) for r in log.poll(10, 0.0)] == [(3, b"first")]
    assert broker.bounds("in", 0) == Bounds(0, 4, 4)

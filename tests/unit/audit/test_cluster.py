"""The audit of a running cluster: one moment of it, and no alarm over what is being written."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from libs.events.attribution import attribute
from libs.events.audit import balance, cut_ends, scan
from libs.events.errors import Unavailable
from libs.events.record import TopicPartition
from libs.events.replay import replay
from libs.events.testing.driver import Simulation
from libs.events.testing.simlog import SimReader
from services.audit.mirror import EndedReader, settled_ends
from tests.simulation import toy

PLACE = TopicPartition("toy.events", 0)
OUTGOING = ("toy.totals",)


class Answers:
    """A cluster that says, look by look, how far one partition is visible and written."""

    def __init__(self, visible: list[int], written: list[int]) -> None:
        self.looks = {True: visible, False: written}

    def end_offsets(
        self, partitions: Iterable[TopicPartition], *, stable: bool = True
    ) -> dict[TopicPartition, int]:
        (place,) = partitions
        left = self.looks[stable]
        return {place: left.pop(0) if len(left) > 1 else left[0]}


def test_ends_are_those_of_a_moment_in_which_nothing_is_written() -> None:
    """First a transaction is open, then one more record comes while we look, then all is calm."""
    admin = Answers(visible=[5, 9, 10, 11], written=[9, 9, 10, 10, 12])
    assert settled_ends(admin, [PLACE]) == {PLACE: 10}


def test_without_a_calm_moment_the_ends_hide_nothing_of_before() -> None:
    admin = Answers(visible=[7, 8, 9, 10], written=[9, 11, 12, 13, 14])
    assert settled_ends(admin, [PLACE], calm_s=0) == {PLACE: 9}


def test_a_transaction_that_stays_open_is_named() -> None:
    admin = Answers(visible=[7], written=[9])
    with pytest.raises(Unavailable, match=r"hides the end of toy.events\[0\]"):
        settled_ends(admin, [PLACE], calm_s=0, open_s=0)


def busy(seed: int) -> Simulation:
    """Coins on the way through a toy core whose commits reach each partition at another time."""
    sim = Simulation(seed, (toy.make_core(),), topics=OUTGOING)
    sim.calm = sim.broker.delay_markers = True
    for number in range(60):
        coin = toy.CoinDropped(amount_fen=number + 1)
        sim.feed(toy.edge, "edge.coins", f"k{number % 5}", coin, number)
    return sim


def test_offsets_that_were_read_before_settled_ends_give_no_alarm() -> None:
    """With ends that hide a commit they would: offsets sometimes come before their records."""
    early = 0
    for seed in range(8):
        sim = busy(seed)
        core, reader = sim.cores[0], SimReader(sim.broker)
        for _ in range(120):
            sim.turn()
            committed = dict(sim.broker.group(core.name).offsets)
            ends = [reader.bounds(core.own_topic, number) for number in range(sim.partitions)]
            led_to = attribute(reader, core, lambda topic: 2).led_to()
            if all(end.stable == end.high for end in ends):
                assert cut_ends(core, led_to, committed) == []
            else:
                early += bool(cut_ends(core, led_to, committed))
    assert early > 0


def test_a_large_log_is_read_up_to_the_ends_of_one_moment() -> None:
    sim = busy(3)
    sim.finish()
    core, inner = sim.cores[0], SimReader(sim.broker)
    topics = {core.own_topic, core.dlq_topic, *core.inputs, *OUTGOING}
    places = [TopicPartition(topic, number) for topic in topics for number in range(2)]
    reader = EndedReader(inner, {place: inner.bounds(*place).stable for place in places})
    committed = dict(sim.broker.group(core.name).offsets)
    before = [list(scan(reader, *place)) for place in places]
    sim.feed(toy.edge, "edge.coins", "k1", toy.CoinDropped(amount_fen=9), 99)
    sim.finish()
    assert [list(scan(reader, *place)) for place in places] == before
    found = balance(reader, core, lambda topic: 2, OUTGOING, committed)
    assert (found.lost, found.doubled, found.problems) == (0, 0, [])
    assert sum(hop.lag for hop in found.hops) == 0
    assert replay(reader, core, lambda topic: 2, OUTGOING, committed=committed).is_identical
    # By the offsets of a moment later the same log lacks its end.
    later = dict(sim.broker.group(core.name).offsets)
    assert "cut off" in str(balance(reader, core, lambda topic: 2, OUTGOING, later).problems)
    assert replay(reader, core, lambda topic: 2, OUTGOING, committed=later).verdict == "DIFFERENT"

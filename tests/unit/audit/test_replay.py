"""Replay where several releases of one core decided a log: what each proves, and what none can.

The core is the toy of the simulation. A release ends in the middle of a long decision and another
one goes on with it; each release compares exactly its own parts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from libs.events.audit import scan
from libs.events.batch import Bounds
from libs.events.codec import decode_as, envelope_of
from libs.events.core import Core, Emit, Item, View
from libs.events.log import Bounds as Ends
from libs.events.log import Slice
from libs.events.record import Record
from libs.events.registry import Catalogue
from libs.events.replay import ReplayResult, replay
from libs.events.step import StepTaken
from libs.events.testing.driver import Simulation
from libs.events.testing.simbroker import SimCrash
from libs.events.testing.simlog import SimReader
from tests.simulation import toy

OUTGOING = ("toy.totals",)
STEP_TYPE = "toy.step_taken.v1"


def release(name: str, **changes: Any) -> Core:
    return toy.make_core(decider=name, **changes)


def new_simulation(first: Core) -> Simulation:
    """One partition, small transactions, one member."""
    sim = Simulation(
        3,
        (first,),
        members=1,
        partitions=1,
        topics=(*OUTGOING, "edge.more"),
        bounds=Bounds(inputs_max=4, outgoing_max=2),
    )
    sim.calm = True
    return sim


def feed(sim: Simulation, *bodies: object) -> None:
    for number, body in enumerate(bodies):
        sim.feed(toy.edge, "edge.coins", f"k{number}", body, number)


def coins(count: int) -> list[object]:
    return [toy.CoinDropped(amount_fen=n + 1) for n in range(count)]


def end_after(sim: Simulation, commits: int) -> None:
    """Let the member work until it dies behind so many commits."""
    left = commits

    def fault(point: str, client: object) -> None:
        nonlocal left
        left -= point == "commit.after"
        if left == 0:
            raise SimCrash(point)

    sim.broker.faults = fault
    while left > 0:
        sim.broker.advance(200)
        sim.broker.settle()
        sim._step(sim.workers[0])
    sim.broker.faults = lambda point, client: None


def replayed(sim: Simulation, core: Core, reader: Any = None) -> ReplayResult:
    return replay(reader or SimReader(sim.broker), core, lambda topic: 1, OUTGOING)


def steps(sim: Simulation) -> list[StepTaken]:
    return [
        decode_as(StepTaken, record.value, STEP_TYPE)
        for record in scan(SimReader(sim.broker), "toy.events", 0)
        if envelope_of(record.headers).type == STEP_TYPE
    ]


def events(sim: Simulation) -> int:
    """All events of the core, own and outgoing."""
    reader = SimReader(sim.broker)
    found = [record for topic in ("toy.events", *OUTGOING) for record in scan(reader, topic, 0)]
    return sum(bool(envelope_of(record.headers).cause) for record in found)


@dataclass(frozen=True)
class Altered:
    """A log in which each record is what `change` makes of it; None takes it out."""

    inner: SimReader
    change: Callable[[Record], Record | None]

    def read(self, topic: str, partition: int, first: int, limit: int) -> Slice:
        piece = self.inner.read(topic, partition, first, limit)
        changed = [self.change(record) for record in piece.records]
        return Slice([record for record in changed if record is not None], piece.next_offset)

    def bounds(self, topic: str, partition: int) -> Ends:
        return self.inner.bounds(topic, partition)


@pytest.fixture
def handed_over() -> Simulation:
    """A sweep over nine keys that three releases decided, a part each; more coins behind it."""
    sim = new_simulation(release("a"))
    feed(sim, *coins(9))
    sim.finish()
    feed(sim, toy.SweepOrdered(sweep=1))
    end_after(sim, 2)
    sim.relieve(release("b"))
    end_after(sim, 1)
    sim.relieve(release("c"))
    sim.finish()
    feed(sim, *coins(3))
    sim.finish()
    parts = [step.decider for step in steps(sim) if step.pending is not None]
    assert set(parts) == {"a", "b", "c"}
    return sim


def test_each_release_compares_its_part_of_a_long_decision(handed_over: Simulation) -> None:
    results = {name: replayed(handed_over, release(name)) for name in "abc"}
    for name, result in results.items():
        assert result.differences == [], name
        assert result.verdict == "NOT PROVEN"
        assert result.others.keys() == set("abc") - {name}
        for other, share in result.others.items():
            assert (share.records, share.steps) == (results[other].compared, results[other].steps)
    assert sum(result.compared for result in results.values()) == events(handed_over)
    nobody = replayed(handed_over, release("d"))
    assert (nobody.compared, nobody.differences) == (0, [])
    assert nobody.not_comparable == events(handed_over)


def decide_otherwise(view: View, key: str, item: Item) -> Sequence[Emit]:
    emits = toy.decide(view, key, item)
    if isinstance(item.body, toy.SweepOrdered) and key == "k3":
        return [Emit(replace(emit.body, rank=99)) for emit in emits]
    return emits


def test_a_key_belongs_to_the_release_that_decided_it(handed_over: Simulation) -> None:
    """k3 was swept by one of the three; only that one differs when it decides otherwise."""
    found = {
        name: replayed(handed_over, release(name, decide=decide_otherwise)).differences
        for name in "abc"
    }
    assert sorted(len(lines) for lines in found.values()) == [0, 0, 1]
    assert "rank: decided 99, recorded 1" in str(found)


def test_a_decision_that_is_still_open_is_compared() -> None:
    sim = new_simulation(release("a"))
    feed(sim, *coins(9))
    sim.finish()
    feed(sim, toy.SweepOrdered(sweep=1))
    end_after(sim, 5)
    assert steps(sim)[-1].pending is not None
    result = replayed(sim, release("a"))
    assert (result.verdict, result.differences) == ("IDENTICAL", [])
    assert result.compared == events(sim)
    assert len(replayed(sim, release("a", decide=decide_otherwise)).differences) == 1


def test_silence_of_another_release_is_not_proven() -> None:
    sim = new_simulation(release("a"))
    feed(sim, *coins(3))
    sim.finish()
    sim.relieve(release("b"))
    feed(sim, toy.CoinDropped(amount_fen=0))
    sim.finish()
    result = replayed(sim, release("a"))
    assert (result.verdict, result.not_comparable) == ("NOT PROVEN", 0)
    assert [(share.inputs, share.records) for share in result.others.values()] == [(1, 0)]


def test_a_release_need_not_know_what_a_newer_one_reads_and_records() -> None:
    sim = new_simulation(release("old"))
    feed(sim, *coins(3))
    sim.finish()
    new_inputs = ("edge.coins", "calendar", "edge.more")
    sim.relieve(release("new", inputs=new_inputs))
    sim.feed(toy.edge, "edge.more", "k1", toy.CoinDropped(amount_fen=7), 50)
    feed(sim, toy.SweepOrdered(sweep=1))
    sim.finish()
    old = Catalogue("toy")
    for name, kind in toy.catalogue.by_name.items():
        if name not in ("toy.box_emptied", "toy.sweep_begun"):
            old.event(name)(kind.body)
    result = replayed(sim, release("old", catalogue=old))
    assert (result.verdict, result.differences) == ("NOT PROVEN", [])
    newer = replayed(sim, release("new", inputs=new_inputs))
    assert newer.differences == []
    assert result.compared + newer.compared == events(sim)


def test_an_own_event_in_no_step_is_a_difference() -> None:
    sim = new_simulation(release("a"))
    feed(sim, *coins(3))
    sim.finish()
    record = next(scan(SimReader(sim.broker), "toy.events", 0))
    sim.broker.append("toy.events", 0, record.key, record.value, record.headers)
    for name in "ab":
        lines = replayed(sim, release(name)).differences
        assert len(lines) == 1
        assert "is in no step" in lines[0]


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_is_taken_out_shows_though_nobody_can_decide_it_again(name: str) -> None:
    """The first event of an input that caused two; the other one keeps its number."""
    sim = new_simulation(release("a"))
    feed(sim, *coins(3))
    sim.finish()

    def without_first(record: Record) -> Record | None:
        return None if (record.topic, record.offset) == ("toy.events", 0) else record

    result = replayed(sim, release(name), Altered(SimReader(sim.broker), without_first))
    assert result.verdict == "DIFFERENT"


def test_after_a_difference_what_was_not_reached_is_not_reported() -> None:
    """One altered input makes one difference, not one for every event behind it."""
    sim = new_simulation(release("a"))
    feed(sim, *coins(9))
    sim.finish()

    def dearer(record: Record) -> Record:
        if record.topic != "edge.coins" or b'"amount_fen":2' not in record.value:
            return record
        return replace(record, value=b'{"amount_fen":200}')

    result = replayed(sim, release("a"), Altered(SimReader(sim.broker), dearer))
    assert len(result.differences) == 2
    assert "amount_fen: decided 200, recorded 2" in result.differences[0]
    assert "total_fen: decided 200, recorded 2" in result.differences[1]


def test_an_altered_log_that_breaks_a_decision_is_a_difference() -> None:
    """`evolve` relies on what the core recorded: without its first coin a box cannot be emptied."""
    sim = new_simulation(release("a"))
    feed(sim, *coins(1))
    sim.finish()
    feed(sim, toy.SweepOrdered(sweep=1))
    sim.finish()
    sim.relieve(release("b"))
    feed(sim, *coins(1))
    sim.finish()

    def foreign_key(record: Record) -> Record:
        first = (record.topic, record.offset) == ("toy.events", 0)
        return replace(record, key=b"other") if first else record

    result = replayed(sim, release("b"), Altered(SimReader(sim.broker), foreign_key))
    assert result.verdict == "DIFFERENT"
    assert "its step cannot be decided again" in result.differences[0]

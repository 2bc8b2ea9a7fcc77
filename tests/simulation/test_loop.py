"""The loop under seeded faults: whatever happens, the laws hold at the end."""

from __future__ import annotations

import pytest

from libs.events.codec import encode
from libs.events.core import Tick
from libs.events.record import Envelope, Headers, envelope_headers, partition_of
from libs.events.testing.driver import Faults, Simulation
from libs.events.testing.laws import check
from libs.events.testing.simlog import SimReader
from tests.simulation.toy import WRITTEN, CoinDropped, SweepOrdered, edge, make_core

SEEDS = 200


def feed_some(sim: Simulation, index: int) -> None:
    """One random input: mostly coins, some poison, some sweeps over all keys, some ticks."""
    roll = sim.random.random()
    if roll < 0.75:
        amount = sim.random.choice((0, -1, 5, 10, 50))
        key = f"box-{sim.random.randrange(12)}"
        sim.feed(edge, "edge.coins", key, CoinDropped(amount_fen=amount), index)
    elif roll < 0.80:
        partition = sim.random.randrange(sim.partitions)
        sim.append("edge.coins", partition, b"box-1", b"\xff no json", ())
    elif roll < 0.90:
        sim.feed(edge, "edge.coins", f"sweep-{index}", SweepOrdered(sweep=index), index)
    else:
        tick = Tick(at=f"2026-01-01T00:{index // 60 % 60:02d}:{index % 60:02d}Z")
        for partition in range(sim.partitions):
            headers = envelope_headers(
                Envelope(f"tick/{index}", "clock.ticked.v1", "clock", tick.at, "")
            )
            sim.append("calendar", partition, None, encode(tick), headers)


def run_history(seed: int, faults: Faults | None = None) -> Simulation:
    sim = Simulation(seed, (make_core(),), topics=("toy.totals",), faults=faults or Faults())
    for index in range(120):
        if not sim.broker.down:
            feed_some(sim, index)
        sim.run(sim.random.randrange(1, 6))
    sim.finish()
    return sim


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws(seed: int) -> None:
    check(run_history(seed), WRITTEN)


def coin_headers(name: str) -> Headers:
    return envelope_headers(Envelope(name, "edge.coin_dropped.v1", "edge", "", ""))


def test_a_record_without_its_key_or_in_a_foreign_partition_is_a_dead_letter() -> None:
    sim = Simulation(1, (make_core(),), topics=("toy.totals",))
    sim.calm = True
    coin = encode(CoinDropped(amount_fen=5))
    own = partition_of("box-1", sim.partitions)
    for number, (partition, key) in enumerate(((own, b"box-1"), (0, None), (1 - own, b"box-1"))):
        sim.append("edge.coins", partition, key, coin, coin_headers(f"edge/{number}"))
    sim.finish()
    check(sim, WRITTEN)
    dead = [
        dict(record.headers)["dlq.error"].decode()
        for partition in range(sim.partitions)
        for record in SimReader(sim.broker).read("toy.dlq", partition, 0, 100).records
    ]
    assert sorted(dead) == [f"box-1 belongs to partition {own}", "is missing: edge.coins is keyed"]

"""A redriven copy of what a core wrote does not count as an event that occurs twice."""

from __future__ import annotations

from libs.events.audit import balance, scan
from libs.events.dead_letters import REDRIVEN
from libs.events.replay import replay
from libs.events.testing.driver import Simulation
from libs.events.testing.simlog import SimReader
from tests.simulation import toy


def test_a_redriven_copy_is_not_doubled() -> None:
    sim = Simulation(3, (toy.make_core(),), topics=("toy.totals",))
    sim.calm = True
    for n in range(20):
        sim.feed(toy.edge, "edge.coins", f"k{n % 3}", toy.CoinDropped(amount_fen=n + 1), n)
    sim.finish()
    reader = SimReader(sim.broker)
    record = next(r for p in (0, 1) for r in scan(reader, "toy.totals", p))
    headers = (*record.headers, (REDRIVEN, b"x.dlq/0/1"))
    sim.broker.append("toy.totals", record.partition, record.key, record.value, headers)
    result = balance(reader, sim.cores[0], lambda t: 2, ("toy.totals",))
    assert (result.lost, result.doubled, result.problems) == (0, 0, [])
    assert replay(reader, sim.cores[0], lambda t: 2, ("toy.totals",)).is_identical

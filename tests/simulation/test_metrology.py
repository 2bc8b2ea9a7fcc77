"""The metrology core under seeded faults: meters, runs and decisions in any order, told once.

Three meters, each used by two accounts. Benches repeat runs, some are garbled, people decide about
cases that are there and that are not. In the end every run of a known meter is judged once, and
what went to billing is what the meters' own events say, each case decided at most once.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from libs.events.codec import Codec, encode, envelope_of
from libs.events.core import Tick
from libs.events.record import Envelope, envelope_headers, partition_of
from libs.events.testing.driver import Simulation
from libs.events.testing.laws import check
from libs.events.testing.simlog import SimReader
from services.metrology.core import WRITTEN, make_core
from services.metrology.events import (
    CorrectionDecided,
    CorrectionProposed,
    MeterAwaited,
    MeterJudged,
    RunRejected,
    catalogue,
)
from tests.unit.metrology.samples import PLAN, TESTS
from tests.unit.metrology_core.lab import FAST, SLOW, decision, garbled, meter, run, use

SEEDS = 60
METERS = ("M1", "M2", "M3")
TOPICS = {"MeterPublished": "customers.meters"}
occurred: Counter[str] = Counter()


def inputs_of(random: Random, meter_no: str) -> list[Any]:
    """What is told about one meter; a run of each kind, some of them twice."""
    first, second = f"A{meter_no}1", f"A{meter_no}2"
    uses = use("P1", first, to_on="2025-01-01"), use("P2", second, "2025-01-01")
    told: list[Any] = [
        meter(uses[0], account=first, meter_no=meter_no),
        meter(uses[1], account=second, meter_no=meter_no, connection=random.choice(CONNECTIONS)),
        meter(use("P2", second, "2025-01-01", "2025-11-01"), version=2, account=second),
    ]
    told[2] = replace(told[2], meter_no=meter_no)
    for number, points in enumerate((PLAN, FAST, SLOW, PLAN[:4], FAST), start=1):
        at = f"2026-0{number}-01T02:00:00Z"
        tests = {**TESTS, "creep": random.choice(("pass", "fail"))}
        body = run(
            run_id=f"{meter_no}-{number}",
            meter_no=meter_no,
            points=points,
            measured_at=at,
            tests=tests,
        )
        told += [body] * random.choice((1, 1, 2))
    told.append(replace(garbled(), meter_no=meter_no))
    for number in (2, 3, 5, 9):
        case_id = f"{meter_no}-{number}/P{random.choice((1, 2))}/{random.choice(FROM)}"
        word = random.choice(("approved", "refused", "maybe"))
        told.append(replace(decision(case_id, word), meter_no=meter_no))
    return told


CONNECTIONS = ("direct", "direct", "odd")
FROM = ("2024-01-01", "2025-01-01")


class World:
    """Benches, customers, people and the clock."""

    def __init__(self, seed: int) -> None:
        self.sim = Simulation(seed, (make_core("m"),), topics=WRITTEN)
        self.index = 0

    def tell(self, meter_no: str, body: Any) -> None:
        self.index += 1
        self.sim.broker.down = False  # an edge waits for it
        topic = TOPICS.get(type(body).__name__, "metrology.bench")
        self.sim.feed(catalogue, topic, meter_no, body, self.index)

    def poison(self, partition: int) -> None:
        self.sim.append("metrology.bench", partition, b"M1", b"\xff no json", ())

    def tick(self) -> None:
        body = Tick(at="2026-06-01T00:00:00Z")
        headers = envelope_headers(Envelope("t", "clock.ticked.v1", "clock", body.at, ""))
        for partition in range(self.sim.partitions):
            self.sim.append("calendar", partition, None, encode(body), headers)

    def bodies(self, topic: str) -> list[tuple[str, int, Any]]:
        """Key, partition and body of every record but steps, in order for each key."""
        codec, reader = Codec(catalogue), SimReader(self.sim.broker)
        found = []
        for partition in range(self.sim.partitions):
            for record in reader.read(topic, partition, 0, 100_000).records:
                name = envelope_of(record.headers).type
                occurred[name.partition(".v")[0]] += 1
                if record.key is not None:
                    body = codec.decode(name, record.value)
                    found.append((record.key.decode(), partition, body))
        return found


def run_history(seed: int) -> World:
    world = World(seed)
    random = Random(seed)
    told = [(no, body) for no in METERS for body in inputs_of(random, no)]
    random.shuffle(told)
    for meter_no, body in told:
        world.tell(meter_no, body)
        if random.random() < 0.03:
            world.poison(random.randrange(2))
        if random.random() < 0.05:
            world.tick()
        world.sim.run(random.randrange(1, 7))
    world.sim.broker.down = False
    world.sim.finish()
    return world


def check_findings(world: World, own: list[tuple[str, int, Any]]) -> None:
    """What billing was told is what the own events say, under the account, in their order."""
    told = world.bodies("metrology.findings")
    for key, partition, body in told:
        assert key == body.account_no
        assert partition == partition_of(key, world.sim.partitions)
    wanted = defaultdict(list)
    for _, _, body in own:
        if isinstance(body, (CorrectionProposed, CorrectionDecided)):
            wanted[body.account_no].append(body)
    found = defaultdict(list)
    for key, _, body in told:
        found[key].append(body)
    assert found == wanted
    decided = Counter(body.case_id for _, _, body in told if isinstance(body, CorrectionDecided))
    assert all(count == 1 for count in decided.values())
    proposed = {body.case_id for _, _, body in told if isinstance(body, CorrectionProposed)}
    assert decided.keys() <= proposed


def check_runs(own: list[tuple[str, int, Any]]) -> None:
    """Every run was judged once, or rejected for what the register said of its meter then."""
    judged = Counter(body.judgement.run_id for _, _, body in own if isinstance(body, MeterJudged))
    assert all(count == 1 for count in judged.values())
    rejected = {body.run_id for _, _, body in own if isinstance(body, RunRejected)}
    all_runs = {f"{meter_no}-{number}" for meter_no in METERS for number in range(1, 6)}
    assert all_runs <= judged.keys() | rejected
    held = {body.run.run_id for _, _, body in own if isinstance(body, MeterAwaited)}
    assert held <= all_runs


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws(seed: int) -> None:
    world = run_history(seed)
    check(world.sim, {"metrology": WRITTEN})
    own = world.bodies("metrology.events")
    check_findings(world, own)
    check_runs(own)


def test_every_type_occurred() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not occurred:
        for seed in range(8):
            run_history(seed).bodies("metrology.events")
    own = {kind.name for kind in catalogue.by_name.values() if not kind.foreign}
    assert own - occurred.keys() == set()

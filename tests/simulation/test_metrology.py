"""The metrology core under seeded faults: meters, runs and decisions in any order, told once.

One or two meters, each used by two accounts. Benches repeat runs, some are garbled, one is out of
date; people decide about cases that are there and that are not, move devices, and apply, break and
use seals again. In the end every run of a known meter is judged once or refused, no seal was
applied twice, each broken one is a case of its meter, nothing due was told twice, and what went to
billing is what the meters' own events say, each case decided at most once.
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
    CertificateIssued,
    CorrectionDecided,
    CorrectionProposed,
    DeviceMoved,
    MeterAwaited,
    MeterJudged,
    RunRejected,
    SealBroken,
    SealBrokenFound,
    SealMoved,
    VerificationDue,
    VerificationOverdue,
    VerificationUntracked,
    catalogue,
)
from tests.unit.metrology.samples import PLAN, TESTS
from tests.unit.metrology_core.lab import (
    FAST,
    SLOW,
    decision,
    garbled,
    meter,
    move,
    run,
    seal,
    standard,
    use,
)

SEEDS = 200
METERS = ("M1", "M2")
TOPICS = {"MeterPublished": "customers.meters"}
STANDARDS = (
    standard(due_on="2026-03-20"),  # so the runs of April and May must wait for the next one
    standard("reference_meter", "R1"),
    standard(certificate_no="Z-B1-2", from_on="2026-04-15", due_on="2028-04-14"),
    standard(certificate_no="Z-B1-2", from_on="2026-04-15", due_on="2029-04-14"),  # contradicts
)
TICKS = tuple(f"2026-{month:02}-01T00:00:00Z" for month in (2, 4, 6, 9))
occurred: Counter[str] = Counter()


def meters_of(seed: int) -> tuple[str, ...]:
    """Every fourth history has both meters: what concerns one key is worth the most seeds."""
    return METERS if seed % 4 == 0 else METERS[seed % 2 :][:1]


def inputs_of(random: Random, meter_no: str) -> list[Any]:
    """What is told about one meter; a run of each kind, some of them twice."""
    first, second = f"A{meter_no}1", f"A{meter_no}2"
    uses = use("P1", first, to_on="2025-01-01"), use("P2", second, "2025-01-01")
    told: list[Any] = [
        meter(uses[0], account=first, meter_no=meter_no, verified_on=random.choice(VERIFIED)),
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
    told += [
        move("receive", "2023-01-01", accuracy_class="1", connection="direct", device_no=meter_no),
        move("reserve", "2023-01-02", device_no=meter_no),
    ]
    if random.random() < 0.5:
        told += [move("remove", "2026-06-01", device_no=meter_no)] * 2
    return told


def trail_of(random: Random, meter_no: str) -> list[tuple[str, Any]]:
    """The entries of two seals of a meter, in their order: one is broken, one is used again."""
    found: list[tuple[str, Any]] = []
    for number, end in ((1, "break"), (2, "remove")):
        seal_no = f"S{meter_no}{number}"
        entries = [
            seal("issue", "2024-01-01", seal_no=seal_no),
            seal("apply", "2024-01-02", seal_no=seal_no, device_no=meter_no),
            seal(end, "2026-02-01", seal_no=seal_no, device_no=meter_no),
            seal("apply", "2026-03-01", seal_no=seal_no, device_no="M9"),
        ]
        for entry in entries:
            found += [(seal_no, entry)] * random.choice((1, 1, 2))
    word = random.choice(("closed", "approved"))
    closing = decision(f"seal/S{meter_no}1", word)
    return [*found, (meter_no, replace(closing, meter_no=meter_no))]


VERIFIED = ("", "2018-04-20")
CONNECTIONS = ("direct", "direct", "odd")
FROM = ("2024-01-01", "2025-01-01")


class World:
    """Benches, customers, people and the clock."""

    def __init__(self, seed: int) -> None:
        members = 2 if seed % 3 == 0 else 1  # a second one mostly waits
        self.sim = Simulation(seed, (make_core("m"),), members=members, topics=WRITTEN)
        self.index = 0

    def tell(self, meter_no: str, body: Any) -> None:
        self.index += 1
        self.sim.broker.down = False  # an edge waits for it
        topic = TOPICS.get(type(body).__name__, "metrology.bench")
        self.sim.feed(catalogue, topic, meter_no, body, self.index)

    def poison(self, partition: int) -> None:
        self.sim.append("metrology.bench", partition, b"M1", b"\xff no json", ())

    def tick(self, at: str) -> None:
        self._broadcast("calendar", "clock.ticked.v1", "clock", Tick(at=at))

    def register(self, body: Any) -> None:
        name = "metrology.standard_registered.v1"
        self._broadcast("metrology.standards", name, "metrology.edge", body)

    def _broadcast(self, topic: str, name: str, source: str, body: Any) -> None:
        self.sim.broker.down = False
        self.index += 1
        envelope = Envelope(f"b{self.index}", name, source, "2026-01-01T00:00:00Z", "")
        for partition in range(self.sim.partitions):
            self.sim.append(topic, partition, None, encode(body), envelope_headers(envelope))

    def bodies(self, topic: str) -> list[tuple[str, int, Any]]:
        """Key, partition and body of every record but steps, in order for each key."""
        codec, reader = Codec(catalogue), SimReader(self.sim.broker)
        found = []
        for partition in range(self.sim.partitions):
            for record in reader.read(topic, partition, 0, 100_000).records:
                name = envelope_of(record.headers).type
                occurred[name.rpartition(".v")[0]] += 1
                if record.key is not None:
                    body = codec.decode(name, record.value)
                    found.append((record.key.decode(), partition, body))
        return found


def run_history(seed: int) -> World:
    world = World(seed)
    random = Random(seed)
    meters = meters_of(seed)
    told = [(no, body) for no in meters for body in inputs_of(random, no)]
    told += [("", body) for body in (*STANDARDS, STANDARDS[0])]
    random.shuffle(told)
    trails = [trail_of(random, no) for no in meters]
    ticks = list(TICKS)
    while told or any(trails):
        _next(world, random, told, trails)
        if random.random() < 0.03:
            world.poison(random.randrange(2))
        if ticks and random.random() < 0.15:
            world.tick(ticks.pop(0))
        world.sim.run(random.randrange(1, 4))
    for at in ticks:
        world.tick(at)
    world.sim.broker.down = False
    world.sim.finish()
    return world


def _next(
    world: World,
    random: Random,
    told: list[tuple[str, Any]],
    trails: list[list[tuple[str, Any]]],
) -> None:
    """One input: any of those told, or the next entry of one of the trails."""
    waiting = [trail for trail in trails if trail]
    if waiting and (not told or random.random() < 0.3):
        key, body = random.choice(waiting).pop(0)
    else:
        key, body = told.pop()
    if key:
        world.tell(key, body)
    else:
        world.register(body)


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


def check_runs(meters: tuple[str, ...], own: list[tuple[str, int, Any]]) -> None:
    """Every run was judged once, or rejected for what the registers said of meter or bench then;
    in April the bench had no certificate. What was judged pass or fail is certified once."""
    judged = Counter(body.judgement.run_id for _, _, body in own if isinstance(body, MeterJudged))
    assert all(count == 1 for count in judged.values())
    rejected = {body.run_id for _, _, body in own if isinstance(body, RunRejected)}
    all_runs = {f"{meter_no}-{number}" for meter_no in meters for number in range(1, 6)}
    assert all_runs <= judged.keys() | rejected
    assert not {f"{meter_no}-4" for meter_no in meters} & judged.keys()
    certified = Counter(
        body.certificate.run_id for _, _, body in own if isinstance(body, CertificateIssued)
    )
    verdicts = {
        body.judgement.run_id: body.judgement.verdict
        for _, _, body in own
        if isinstance(body, MeterJudged)
    }
    wanted = [name for name, verdict in verdicts.items() if verdict != "not_judged"]
    assert certified == Counter(wanted)
    held = {body.run.run_id for _, _, body in own if isinstance(body, MeterAwaited)}
    assert held <= all_runs


def check_custody(world: World, meters: tuple[str, ...], own: list[tuple[str, int, Any]]) -> None:
    """No seal is on two meters; a broken one is a case of its meter, of whoever had it then."""
    applied = Counter(
        body.seal.seal_no
        for _, _, body in own
        if isinstance(body, SealMoved) and body.entry.action == "apply"
    )
    assert all(count == 1 for count in applied.values())
    told = {
        body.seal_no: key
        for key, _, body in world.bodies("metrology.custody")
        if isinstance(body, SealBroken)
    }
    assert told == {f"S{meter_no}1": meter_no for meter_no in meters}
    cases = {
        body.broken.seal_no: (key, body.account_no)
        for key, _, body in own
        if isinstance(body, SealBrokenFound)
    }
    assert {seal_no: key for seal_no, (key, _) in cases.items()} == told
    places = {key: body.device.state for key, _, body in own if isinstance(body, DeviceMoved)}
    assert places.keys() == set(meters)


def check_duties(own: list[tuple[str, int, Any]]) -> None:
    """Nothing due was told twice."""
    duties = (VerificationDue, VerificationOverdue, VerificationUntracked)
    told = Counter(
        (key, type(body).__name__, body.duty, getattr(body, "due_on", ""))
        for key, _, body in own
        if isinstance(body, duties)
    )
    assert all(count == 1 for count in told.values())


def check_register(world: World) -> None:
    """Each partition adopted every certificate once, and none that contradicts another."""
    codec, reader = Codec(catalogue), SimReader(world.sim.broker)
    for partition in range(world.sim.partitions):
        adopted = Counter(
            codec.decode(name, record.value).standard.certificate_no
            for record in reader.read("metrology.events", partition, 0, 100_000).records
            if (name := envelope_of(record.headers).type).startswith("metrology.standard_adopted")
        )
        assert adopted == {"Z-B1": 1, "Z-R1": 1, "Z-B1-2": 1}


@pytest.mark.parametrize("seed", range(SEEDS))
def test_any_history_keeps_the_laws(seed: int) -> None:
    world = run_history(seed)
    check(world.sim, {"metrology": WRITTEN})
    own = world.bodies("metrology.events")
    check_findings(world, own)
    check_runs(meters_of(seed), own)
    check_custody(world, meters_of(seed), own)
    check_duties(own)
    check_register(world)


def test_every_type_occurred() -> None:
    """Runs after the histories; alone it makes some of its own."""
    if not occurred:
        for seed in range(8):
            world = run_history(seed)
            world.bodies("metrology.events")
            world.bodies("metrology.custody")
    own = {kind.name for kind in catalogue.by_name.values() if not kind.foreign}
    assert own - occurred.keys() == set()
